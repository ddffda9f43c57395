/*
 * output_read - readers and their waiting
 *
 * A waiter is, by turns:
 *
 *   idle      waiting == false, error == 0
 *   waiting   waiting == true, in output->waiters; only output_cancel() or a taking ends this
 *   taken     waiting == false, in a list of one thread that is about to wake it; cancel is too
 * late woken     the owner's again; error says what output_read() gives if the bytes are not there
 *
 * Taking and cancelling are decided under `lock`, so exactly one of them happens.
 */
#include "output_internal.h"

#include <errno.h>
#include <unistd.h>

static void add_waiter_locked(struct output *output, struct output_waiter *w)
{
	w->waiting = true;
	w->prev = NULL;
	w->next = output->waiters;
	if (w->next)
		w->next->prev = w;
	output->waiters = w;
}

static void remove_waiter_locked(struct output *output, struct output_waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		output->waiters = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->next = w->prev = NULL;
	w->waiting = false;
}

void output_take_locked(struct output *output, struct output_waiter *w, int error,
			struct output_waiter **list)
{
	remove_waiter_locked(output, w);
	w->error = error;
	w->next = *list;
	*list = w;
}

bool output_paused_locked(const struct output *output)
{
	return output->renewing || output->checking;
}

uint64_t output_missing_locked(const struct output *output, const struct output_waiter *w)
{
	for (uint64_t pos = w->start; pos < w->end;) {
		uint64_t run = range_set_run(&output->have, pos);
		if (!run && w->bytes)
			run = range_set_run(&w->bytes->got, pos);
		if (!run)
			return pos;
		pos += run;
	}
	return w->end;
}

struct output_waiter *output_take_ready_locked(struct output *output)
{
	struct output_waiter *ready = NULL;

	for (struct output_waiter *w = output->waiters, *next; w; w = next) {
		next = w->next;
		if (output_missing_locked(output, w) == w->end)
			output_take_locked(output, w, 0, &ready);
	}
	return ready;
}

static int plan_locked(struct output *output, const struct output_waiter *w, uint64_t start)
{
	if (w->background && output_is_direct_locked(output))
		return -ENOSPC;
	return output_plan_locked(output, start, w->end);
}

void output_plan_waiters_locked(struct output *output, int error, struct output_waiter **list)
{
	bool over = output->stale || output->cache->stopped;

	for (struct output_waiter *w = output->waiters, *next; w; w = next) {
		next = w->next;
		uint64_t start = output_missing_locked(output, w);
		int r = error && !output_owed_locked(output, start, w->end) ? error : 0;
		if (!r && !over)
			r = plan_locked(output, w, start);
		if (r < 0)
			output_take_locked(output, w, r, list);
	}
}

void output_wake(struct output_waiter *list)
{
	while (list) {
		struct output_waiter *w = list;
		/* Once woken, W may be freed or waiting again. */
		list = w->next;
		w->next = NULL;
		w->wake(w);
	}
}

static ssize_t read_locked(struct output *output, struct output_waiter *w)
{
	uint64_t start = output_missing_locked(output, w);
	int failed = w->error;

	w->error = 0;
	if (range_set_covers(&output->have, 0, output->size))
		return (ssize_t)(w->end - w->start);
	if (start < w->end && output_take_tail_locked(output, w) == 0)
		start = output_missing_locked(output, w);
	output_note_read_locked(output, w->start, w->end);
	if (start == w->end) {
		output_go_ahead_locked(output);
		return (ssize_t)(w->end - w->start);
	}
	if (failed)
		return failed;
	if (output->stale)
		return output->stale;
	if (output->cache->stopped)
		return -EIO;
	int r = plan_locked(output, w, start);
	if (r < 0)
		return r;
	add_waiter_locked(output, w);
	output_go_ahead_locked(output);
	return -EINPROGRESS;
}

/* What W has not in memory is in the file. */
static int complete_bytes(const struct output *output, struct output_waiter *w)
{
	const struct range_set *got = &w->bytes->got;

	for (uint64_t pos = w->start; pos < w->end;) {
		uint64_t run = range_set_run(got, pos);
		uint64_t end = run ? pos + run : range_set_gap_end(got, pos, w->end);
		if (!run && pread(output->fd, w->bytes->data + (pos - w->start), end - pos,
				  (off_t)pos) != (ssize_t)(end - pos))
			return -EIO;
		pos = end;
	}
	return 0;
}

ssize_t output_read(struct output *output, uint64_t offset, size_t len,
		    struct output_waiter *waiter)
{
	if (offset >= output->size)
		return 0;
	waiter->start = offset;
	waiter->end = len < output->size - offset ? offset + len : output->size;
	pthread_mutex_lock(&output->cache->lock);
	ssize_t r = read_locked(output, waiter);
	output->cache->counts.reads += r > 0;
	output->cache->counts.waits += r == -EINPROGRESS;
	pthread_mutex_unlock(&output->cache->lock);
	int completed = r > 0 && waiter->bytes ? complete_bytes(output, waiter) : 0;
	return completed < 0 ? completed : r;
}

ssize_t output_read_now(struct output *output, uint64_t offset, size_t len)
{
	struct output_waiter nobody = { .start = offset };

	if (offset >= output->size)
		return 0;
	nobody.end = len < output->size - offset ? offset + len : output->size;
	pthread_mutex_lock(&output->cache->lock);
	bool there = range_set_covers(&output->have, nobody.start, nobody.end);
	ssize_t r = there ? read_locked(output, &nobody) : -EAGAIN;
	output->cache->counts.reads += r > 0;
	pthread_mutex_unlock(&output->cache->lock);
	return r;
}

void output_counts(struct output_cache *cache, struct output_counts *out)
{
	pthread_mutex_lock(&cache->lock);
	*out = cache->counts;
	pthread_mutex_unlock(&cache->lock);
}

bool output_cancel(struct output *output, struct output_waiter *waiter)
{
	pthread_mutex_lock(&output->cache->lock);
	bool waiting = waiter->waiting;
	if (waiting)
		remove_waiter_locked(output, waiter);
	pthread_mutex_unlock(&output->cache->lock);
	return waiting;
}
