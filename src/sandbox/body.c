#include "body.h"

#include "barrier.h"
#include "clock.h"
#include "raw.h"
#include "settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, FIRST = 16 << 10 };

struct stream {
	struct body b;
	int64_t began; /* when the first byte went out */
	bool held, stalled;
};

/* How much may be sent next at this rate: about a twentieth of a second's worth. */
static size_t portion(const struct stream *s, uint64_t at, size_t room)
{
	uint64_t left = s->b.size - at, n = room;

	if (s->b.rate > 0) {
		uint64_t slice = (uint64_t)s->b.rate / 20 + 1;
		n = n < slice ? n : slice;
	}
	if (at == 0)
		n = n < FIRST ? n : FIRST;
	if (s->b.end != END_WHOLE && !s->stalled && at < s->b.stop_at)
		n = n < s->b.stop_at - at ? n : s->b.stop_at - at;
	return (size_t)(n < left ? n : left);
}

static void keep_pace(struct stream *s, uint64_t at)
{
	if (at == 0)
		s->began = clock_mono_ns();
	else if (s->b.rate > 0)
		barrier_sleep_until(s->began + (int64_t)((double)at * 1e9 / (double)s->b.rate));
}

/* The body has come to its end before its end: true when it goes on after all. */
static bool end_early(struct stream *s)
{
	if (s->b.bump)
		settings_bump();
	if (s->b.end == END_RESET)
		raw_reset(s->b.socket);
	if (s->b.end != END_STALL)
		return false;
	s->stalled = true;
	barrier_stall(s->b.socket);
	return !barrier_stopping();
}

static void invert(const struct stream *s, uint64_t at, char *data, size_t n)
{
	uint64_t first = s->b.start + at;

	if (s->b.corrupt && s->b.corrupt_at >= first && s->b.corrupt_at < first + n)
		data[s->b.corrupt_at - first] ^= (char)0xff;
}

static ssize_t read_block(void *cls, uint64_t at, char *data, size_t room)
{
	struct stream *s = cls;

	if (at > 0 && !s->held) {
		s->held = true;
		barrier_reach(PT_CDN_BODY);
	}
	if (s->b.end != END_WHOLE && !s->stalled && at >= s->b.stop_at && !end_early(s))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	keep_pace(s, at);
	size_t want = portion(s, at, room);
	ssize_t n = pread(s->b.file, data, want, (off_t)(s->b.start + at));
	if (n <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	invert(s, at, data, (size_t)n);
	return n;
}

static void free_stream(void *cls)
{
	struct stream *s = cls;

	close(s->b.file);
	free(s);
}

static struct MHD_Response *streamed(const struct body *b)
{
	struct stream *s = calloc(1, sizeof(*s));
	size_t block = b->rate > 0 && b->rate / 20 < BLOCK ? (size_t)b->rate / 20 + 1 : BLOCK;

	if (!s) {
		close(b->file);
		return NULL;
	}
	s->b = *b;
	struct MHD_Response *r = MHD_create_response_from_callback(b->size, block, read_block, s,
								   free_stream);
	if (!r)
		free_stream(s);
	return r;
}

struct MHD_Response *body_response(const struct body *b)
{
	if (b->size &&
	    (b->rate > 0 || b->end != END_WHOLE || b->corrupt || barrier_is_held(PT_CDN_BODY)))
		return streamed(b);
	struct MHD_Response *r = MHD_create_response_from_fd_at_offset64(b->size, b->file,
									 b->start);
	if (!r)
		close(b->file);
	return r;
}

void body_send_raw(const struct body *b, const char *head)
{
	uint64_t n = b->end == END_WHOLE ? b->size : b->stop_at < b->size ? b->stop_at : b->size;

	if (raw_send(b->socket, head, strlen(head)) == 0)
		raw_send_file(b->socket, b->file, b->start, n);
	close(b->file);
}
