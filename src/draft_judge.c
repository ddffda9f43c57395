#include "draft_judge.h"
#include "draft_batch.h"
#include "draft_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum draft_verdict judge_request(const char *text, size_t len, struct draft_content *out,
					char **canonical, char error[PARAMS_ERROR_MAX])
{
	switch (params_parse(text, len, &out->params, error)) {
	case PARAMS_INCOMPLETE: return DRAFT_PARTIAL;
	case PARAMS_INVALID: return DRAFT_INVALID;
	case PARAMS_OK: break;
	}
	*canonical = params_format(out->params);
	return DRAFT_READY;
}

/* One word on one line: a URL or an id. */
static enum draft_verdict judge_word(const char *text, size_t len, bool closing, char **canonical,
				     char error[PARAMS_ERROR_MAX])
{
	const char *start = text, *end = text + len;
	while (start < end && isspace((unsigned char)*start))
		start++;
	const char *stop = start;
	while (stop < end && !isspace((unsigned char)*stop))
		stop++;
	if (start == end)
		return DRAFT_NOTHING;
	if (stop == end && !closing)
		return DRAFT_PARTIAL;
	for (const char *rest = stop; rest < end; rest++)
		if (!isspace((unsigned char)*rest)) {
			strcpy(error, "more than one word: one line with one word is needed");
			return DRAFT_INVALID;
		}
	if (memchr(start, '\0', (size_t)(stop - start))) {
		strcpy(error, "a NUL byte in the text");
		return DRAFT_INVALID;
	}
	*canonical = strndup(start, (size_t)(stop - start));
	return DRAFT_READY;
}

static enum draft_verdict judge_image_url(const char *text, size_t len, bool closing,
					  struct draft_content *out, char **canonical,
					  char error[PARAMS_ERROR_MAX])
{
	enum draft_verdict verdict = judge_word(text, len, closing, canonical, error);
	if (verdict != DRAFT_READY || !*canonical)
		return verdict;
	if (params_check_url(*canonical, strlen(*canonical), error))
		return DRAFT_INVALID;
	out->params = params_new();
	if (out->params && params_set_image_url(out->params, *canonical) == 0)
		return DRAFT_READY;
	strcpy(error, strerror(ENOMEM));
	return DRAFT_INVALID;
}

static enum draft_verdict judge_request_id(const char *text, size_t len, bool closing,
					   struct draft_content *out, char **canonical,
					   char error[PARAMS_ERROR_MAX])
{
	enum draft_verdict verdict = judge_word(text, len, closing, canonical, error);
	if (verdict != DRAFT_READY || !*canonical)
		return verdict;
	if (strlen(*canonical) >= sizeof(out->request_id)) {
		strcpy(error, "too long for a request id");
		return DRAFT_INVALID;
	}
	strcpy(out->request_id, *canonical);
	return DRAFT_READY;
}

static enum draft_verdict judge_list(const char *text, size_t len, enum draft_use use, bool closing,
				     struct draft_content *out, char **canonical,
				     char error[PARAMS_ERROR_MAX])
{
	if (use == DRAFT_URLS && !draft_is_list(text, len))
		return judge_image_url(text, len, closing, out, canonical, error);
	if (!closing)
		return DRAFT_PARTIAL;
	return draft_judge_lines(text, len, use, out, canonical, error);
}

enum draft_verdict draft_judge_text(const char *text, size_t len, enum draft_use use, bool closing,
				    struct draft_content *out, char **canonical,
				    char error[PARAMS_ERROR_MAX])
{
	if (use == DRAFT_SCRATCH || len == 0)
		return DRAFT_NOTHING;
	switch (use) {
	case DRAFT_REQUEST: return judge_request(text, len, out, canonical, error);
	case DRAFT_IMAGE_URL: return judge_image_url(text, len, closing, out, canonical, error);
	case DRAFT_BATCH:
	case DRAFT_URLS: return judge_list(text, len, use, closing, out, canonical, error);
	default: return judge_request_id(text, len, closing, out, canonical, error);
	}
}

#define PIECE (128 * 1024)

static int read_image(const struct spool_file *file, struct image_check *check)
{
	char *buf = malloc(PIECE);
	ssize_t n = buf ? 1 : -ENOMEM;
	for (uint64_t offset = 0; n > 0 && !check->complete && !check->wrong;
	     offset += (uint64_t)n) {
		n = spool_read(file, offset, buf, PIECE);
		if (n > 0)
			image_feed(check, buf, (size_t)n);
	}
	image_end(check);
	free(buf);
	return n < 0 ? (int)n : 0;
}

enum draft_verdict draft_judge_image(struct spool_file **file, uint64_t size,
				     char error[PARAMS_ERROR_MAX])
{
	struct image_check check = { 0 };
	int r = read_image(*file, &check);
	if (r == 0 && check.wrong) {
		snprintf(error, PARAMS_ERROR_MAX,
			 "this is %s, whatever its name says: the service takes PNG, JPEG and WebP",
			 check.wrong);
		return DRAFT_INVALID;
	}
	if (r == 0 && !check.complete) {
		snprintf(error, PARAMS_ERROR_MAX,
			 "the image ends early: it goes on after these %llu bytes",
			 (unsigned long long)size);
		return DRAFT_PARTIAL;
	}
	if (r == 0)
		r = spool_seal(file, image_extension(check.type));
	if (r)
		snprintf(error, PARAMS_ERROR_MAX, "it cannot be kept on the local disk: %s",
			 strerror(-r));
	return r ? DRAFT_INVALID : DRAFT_READY;
}

static bool same_bytes(const struct spool_file *a, uint64_t a_at, const struct spool_file *b,
		       uint64_t b_at, uint64_t len)
{
	char *bufs = malloc((size_t)2 * PIECE);
	bool same = bufs != NULL;
	for (uint64_t done = 0; same && done < len;) {
		size_t want = len - done < PIECE ? (size_t)(len - done) : PIECE;
		ssize_t n = spool_read(a, a_at + done, bufs, want);
		same = n > 0 && spool_read(b, b_at + done, bufs + PIECE, (size_t)n) == n &&
		       memcmp(bufs, bufs + PIECE, (size_t)n) == 0;
		done += (uint64_t)(n > 0 ? n : 0);
	}
	free(bufs);
	return same;
}

static bool same_picture(const struct spool_file *a, const struct spool_file *b)
{
	struct image_check left = { 0 }, right = { 0 };
	if (read_image(a, &left) < 0 || read_image(b, &right) < 0)
		return false;
	uint64_t len = left.pixels_end - left.pixels;
	return left.complete && right.complete && left.type == right.type && len > 0 &&
	       left.width == right.width && left.height == right.height &&
	       right.pixels_end - right.pixels == len &&
	       same_bytes(a, left.pixels, b, right.pixels, len);
}

bool draft_same_picture(struct draft_box *box, const char *a, const char *b)
{
	struct spool_file *left = NULL, *right = NULL;
	bool same = box->spool && spool_find(box->spool, a, &left) == 0 &&
		    spool_find(box->spool, b, &right) == 0 && same_picture(left, right);
	spool_put(left);
	spool_put(right);
	return same;
}
