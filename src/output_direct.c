/*
 * output_direct - bytes that go past the disk
 *
 * Where the disk takes no more, or the cache is full of what is in use, bytes go from the network
 * to the readers: each waiter gets what it waits for, in memory of its own, and what nobody waits
 * for is dropped.  So downloads are planned for exactly what is read, and memory is bounded by the
 * readers, of which the kernel lets each wait for no more than it asked for.
 *
 *   a write fails, or there is no room   its download ends; until direct_until_ms all downloads
 *                                        that are begun are direct
 *   afterwards                           the next download tries the disk again
 *   there is no data file (fd == -1)     always direct
 *
 * A server that ignores ranges sends all that lies before what is read, each time. So of what
 * follows it a piece is kept, from which the next reads in order are answered: a whole reading
 * costs as many transfers as there are such pieces in the object, not reads.
 */
#include "log.h"
#include "output_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIRECT_MS 2000
#define QUIET_MS  60000 /* so long after the last time it is no news */
#define TAIL_MAX  (8U << 20)

bool output_is_direct_locked(const struct output *output)
{
	return output->fd < 0 || output_now_ms() < output->cache->direct_until_ms;
}

void output_go_direct(struct output_cache *cache, int why)
{
	int64_t now = output_now_ms();

	pthread_mutex_lock(&cache->lock);
	bool news = now > cache->direct_until_ms + QUIET_MS;
	cache->direct_until_ms = now + DIRECT_MS;
	pthread_mutex_unlock(&cache->lock);
	if (news && why)
		log_errno(why, "the cache's disk takes no more; what is read goes past it");
	else if (news)
		log_info("the cache is full of what is in use; what is read goes past it");
}

static int take_bytes(struct output_waiter *w, uint64_t start, uint64_t end, const char *data)
{
	if (!w->bytes) {
		w->bytes = calloc(1, sizeof(*w->bytes) + (w->end - w->start));
		if (!w->bytes)
			return -ENOMEM;
	}
	int r = range_set_add(&w->bytes->got, start, end);
	if (!r)
		memcpy(w->bytes->data + (start - w->start), data, end - start);
	return r;
}

/* Gives W its part of [START, END).  0; or what W fails with. */
static int serve(struct output_waiter *w, uint64_t start, uint64_t end, const char *data)
{
	uint64_t from = w->start > start ? w->start : start;
	uint64_t to = w->end < end ? w->end : end;

	if (w->background)
		return -ENOSPC;
	return from < to ? take_bytes(w, from, to, data + (from - start)) : 0;
}

void output_tail_clear(struct output_tail *tail)
{
	free(tail->data);
	*tail = (struct output_tail){ 0 };
}

/* Keeps the bytes [START, END), where they follow what is kept, or else what of them was SERVED,
 * the end of it, to a reader (0: none).  false: there is no more room. */
static bool keep_tail_locked(struct output *o, uint64_t start, uint64_t end, const char *data,
			     uint64_t served)
{
	struct output_tail *tail = &o->tail;
	bool follows = tail->data && start >= tail->start && start <= tail->end;

	if (!o->no_ranges || !o->readers)
		return false;
	if (!follows || end - tail->start > TAIL_MAX) {
		if (!served || end - served > TAIL_MAX)
			return false;
		tail->start = tail->end = served;
	}
	if (!tail->data && !(tail->data = malloc(TAIL_MAX)))
		return false;
	if (end > tail->end) {
		memcpy(tail->data + (tail->end - tail->start), data + (tail->end - start),
		       end - tail->end);
		tail->end = end;
	}
	return true;
}

int output_take_tail_locked(const struct output *output, struct output_waiter *w)
{
	const struct output_tail *tail = &output->tail;
	uint64_t to = w->end < tail->end ? w->end : tail->end;

	if (w->background || !tail->data || w->start < tail->start || w->start >= to)
		return 0;
	return take_bytes(w, w->start, to, tail->data + (w->start - tail->start));
}

int output_give(struct download *d, uint64_t start, uint64_t end, const char *data)
{
	struct output *o = d->output;
	struct output_waiter *woken = NULL;
	bool awaited = false;
	uint64_t served = 0;

	pthread_mutex_lock(&o->cache->lock);
	for (struct output_waiter *w = o->waiters, *next; w && !d->dead; w = next) {
		next = w->next;
		int r = serve(w, start, end, data);
		if (!r && w->end > start && w->end <= end && w->end > served)
			served = w->end;
		if (r || output_missing_locked(o, w) == w->end)
			output_take_locked(o, w, r, &woken);
		else
			awaited |= w->start < d->end && w->end > end;
	}
	d->pos = end + range_set_run(&o->have, end);
	d->progress = true;
	bool kept = !d->dead && keep_tail_locked(o, start, end, data, served);
	pthread_mutex_unlock(&o->cache->lock);
	output_wake(woken);
	return awaited || kept ? 0 : -1;
}

void output_waiter_move(struct output_waiter *again, struct output_waiter *waiter)
{
	again->error = waiter->error;
	again->bytes = waiter->bytes;
	waiter->bytes = NULL;
}

void output_waiter_release(struct output_waiter *waiter)
{
	if (waiter->bytes)
		range_set_release(&waiter->bytes->got);
	free(waiter->bytes);
	waiter->bytes = NULL;
}

const char *output_waiter_bytes(const struct output_waiter *waiter)
{
	return waiter->bytes ? waiter->bytes->data : NULL;
}
