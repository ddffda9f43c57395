/*
 * output_fetch - downloads
 *
 * A download owes the bytes [pos, end) and runs one request after another until it has them:
 *
 *   event                              next
 *   data                               stored; pos moves up
 *   pos reached end                    over
 *   cut, timed out, 5xx                asked again from pos; over after MAX_TRIES without a byte
 *   expired                            over; the readers wait if another URL is asked for
 *   refused, disk error                over, failed() told
 *   another object at the server       output detached, over, failed() told
 *   bad copy                           all downloads dead, all ranges dropped; planned again
 *   killed (dead)                      over
 *   nobody reads any more, or nobody   killed, unless it is nearly over
 *     has for a while
 *   refused, but others are served     over, silently: from now on one at a time
 *     and nobody waits for it
 *   the remote stops                   over, nothing more is begun
 *
 * When one is over, waiters whose bytes nobody owes now get the error, if there was one, and all
 * others are planned again.  Callbacks come on one thread, so downloads of an output never store
 * at the same time, and a byte that is there is never written again.
 *
 * Invariants (under `lock`): the [pos, end) of downloads that are not dead are disjoint, but where
 * a server that ignores ranges sends the whole object; at most MAX_DOWNLOADS, dead ones included.
 */
#include "log.h"
#include "output_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TRIES 4
/* So little is let come, that its connection can be used again. */
#define NEARLY_OVER (256 * 1024)
/* A reader that reads nothing for so long may have seen enough. */
#define IDLE_US 3000000
/* The start of a transfer tells nothing of its rate. */
#define RATE_AFTER_US    50000
#define RATE_AFTER_BYTES (256 * 1024)
/* A second is what a crash may cost; counted in time, so that a fast download is hardly synced. */
#define SAVE_AFTER_MS 1000

static int fetch_begin(void *arg, const struct remote_object *object);
static int fetch_data(void *arg, uint64_t offset, const void *data, size_t len);
static void fetch_done(void *arg, const struct remote_object *result);

int64_t output_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Asks the remote for what D owes. */
static int request_locked(struct download *d)
{
	struct output *o = d->output;

	d->asked_start = o->no_ranges ? 0 : d->pos;
	d->asked_end = o->no_ranges ? o->size : d->end;
	d->asked_url = o->urls;
	d->asked_us = output_now_us();
	d->brought = 0;
	d->progress = false;
	struct remote_fetch fetch = {
		.url = o->url,
		.start = d->asked_start,
		.end = d->asked_end,
		.size = o->size,
		.etag = o->etag,
		.begin = fetch_begin,
		.data = fetch_data,
		.done = fetch_done,
		.arg = d,
	};
	return o->cache->remote->fetch(o->cache->remote->ctx, &fetch, &d->id);
}

int output_begin_locked(struct output *output, struct range wanted)
{
	struct download *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	if (output->no_ranges)
		wanted = (struct range){ 0, output->size };
	d->output = output;
	d->pos = wanted.start + range_set_run(&output->have, wanted.start);
	d->end = wanted.end;
	d->direct = output_is_direct_locked(output);
	int r = request_locked(d);
	if (r < 0) {
		free(d);
		/* The driver ends, or the URL is none that may be fetched. */
		log_debug("output %llu-%u: no download: %s", (unsigned long long)output->job,
			  output->index, strerror(-r));
		return -EIO;
	}
	d->next = output->downloads;
	output->downloads = d;
	output->cache->downloads++;
	output->refs++;
	return 0;
}

static void kill_locked(struct download *d)
{
	const struct remote *remote = d->output->cache->remote;

	if (!d->dead)
		remote->cancel(remote->ctx, d->id);
	d->dead = true;
}

void output_kill_downloads_locked(struct output *output)
{
	for (struct download *d = output->downloads; d; d = d->next)
		kill_locked(d);
}

void output_end_idle_locked(struct output *output)
{
	for (struct download *d = output->downloads; d; d = d->next)
		if (d->pos + NEARLY_OVER < d->asked_end)
			kill_locked(d);
}

/* The server sends the object from its start: D takes over the whole of it, unless another did. */
static int take_whole_locked(struct download *d)
{
	struct output *o = d->output;

	o->no_ranges = true;
	for (struct download *other = o->downloads; other; other = other->next) {
		if (other != d && !other->dead && other->asked_start == 0 &&
		    other->end == o->size) {
			d->dead = true;
			return -1;
		}
	}
	d->pos = range_set_run(&o->have, 0);
	d->asked_start = 0;
	d->asked_end = o->size;
	d->end = o->size;
	return 0;
}

/* The answer has come: so long does a request take.  What delays one is soon forgotten. */
static void note_answer_locked(struct download *d)
{
	struct output_cache *cache = d->output->cache;
	int64_t now = output_now_us();
	int64_t took = now > d->asked_us ? now - d->asked_us : 1;

	if (!cache->latency_us || took < cache->latency_us)
		cache->latency_us = took;
	else
		cache->latency_us += (took - cache->latency_us) / 8;
	d->output->pace.latency_us = cache->latency_us;
	d->asked_us = now;
	output_go_ahead_locked(d->output);
}

static int begin_locked(struct download *d, const struct remote_object *object)
{
	struct output *o = d->output;

	if (d->dead)
		return -1;
	/* The ETag was not known when this was asked: the first answer sets it. */
	if (!o->etag && object->etag)
		o->etag = strdup(object->etag);
	d->changed = !remote_same_object(object->etag, o->etag) ||
		     (object->size >= 0 && (uint64_t)object->size != o->size);
	if (d->changed)
		return -1;
	if (object->start != (int64_t)d->asked_start &&
	    (object->start != 0 || take_whole_locked(d)))
		return -1;
	note_answer_locked(d);
	return 0;
}

static int fetch_begin(void *arg, const struct remote_object *object)
{
	struct download *d = arg;

	pthread_mutex_lock(&d->output->cache->lock);
	int r = begin_locked(d, object);
	pthread_mutex_unlock(&d->output->cache->lock);
	return r;
}

static void note_growth_locked(struct output *output, bool whole)
{
	int64_t now = output_now_ms();

	if (!output->dirty) {
		output->dirty = true;
		output->dirty_ms = now;
	}
	if (whole || now - output->dirty_ms >= SAVE_AFTER_MS)
		output_queue_save_locked(output);
}

static int write_all(int fd, uint64_t offset, const char *data, size_t len)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Will [start, end) complete the GLB header? */
static bool header_due_locked(const struct output *output, uint64_t start, uint64_t end)
{
	uint64_t header = output->size < 12 ? output->size : 12;

	return output->glb && start < header && range_set_covers(&output->have, 0, start) &&
	       (end >= header || range_set_covers(&output->have, end, header));
}

/* Checked as soon as the header's bytes have come and before anybody is told of them, so that no
 * reader sees the start of a bad copy.  The first bad copy is fetched once more; then readers are
 * told.  HEAD: the header, where it is in memory. */
static int check_copy(struct download *d, const char *head)
{
	struct output *o = d->output;
	bool right = head ? output_check_glb(o, (const unsigned char *)head, o->bad_why,
					     sizeof(o->bad_why))
			  : output_check_glb_file(o, o->bad_why, sizeof(o->bad_why));

	if (right) {
		o->bad = 0;
		return 0;
	}
	log_warn("output %llu-%u: bad copy: %s", (unsigned long long)o->job, o->index, o->bad_why);
	output_drop(o);
	if (++o->bad > 1)
		d->error = -EBADMSG;
	return -1;
}

/* LEN more bytes of D's request have come. */
static void note_rate_locked(struct download *d, uint64_t len)
{
	struct output *o = d->output;
	int64_t now = output_now_us();
	int64_t took = now - d->asked_us;

	d->brought += len;
	if (took >= RATE_AFTER_US || (took > 0 && d->brought >= RATE_AFTER_BYTES)) {
		uint64_t rate = d->brought * 1000000 / (uint64_t)took;
		if (rate > o->pace.rate)
			o->pace.rate = rate;
	}
	if (!o->waiters && now - o->read_us > IDLE_US)
		output_end_idle_locked(o);
}

/* Tells of the bytes [start, end), which are in the file. */
static int publish(struct download *d, uint64_t start, uint64_t end)
{
	struct output *o = d->output;
	struct output_waiter *ready = NULL;

	pthread_mutex_lock(&o->cache->lock);
	int r = d->dead ? -1 : range_set_add(&o->have, start, end);
	if (!r) {
		d->progress = true;
		d->pos += range_set_run(&o->have, d->pos);
		note_rate_locked(d, end - start);
		note_growth_locked(o, range_set_covers(&o->have, 0, o->size));
		lru_grow(&o->cache->lru, o->job, o->index, end - start);
		ready = output_take_ready_locked(o);
	} else if (!d->dead) {
		d->error = r;
	}
	/* The file was written to, whatever came of it. */
	o->dirty |= !o->stale;
	pthread_mutex_unlock(&o->cache->lock);
	output_wake(ready);
	return r;
}

/* Gives the bytes [start, end) to the readers, past the disk.  A header that comes in pieces is not
 * checked here. */
static int store_direct(struct download *d, uint64_t start, uint64_t end, const char *data)
{
	bool header = d->output->glb && start == 0 && end >= GLB_HEADER;

	if (header && check_copy(d, data))
		return -1;
	d->full = output_give(d, start, end, data) != 0;
	return d->full ? -1 : 0;
}

/* The missing bytes [start, end) could not be stored: the readers get them all the same, and D is
 * over. */
static int overflow(struct download *d, uint64_t start, uint64_t end, const char *data, int why)
{
	output_go_direct(d->output->cache, why);
	if (store_direct(d, start, end, data) == 0)
		d->full = true;
	return -1;
}

/* Stores the missing bytes [start, end). */
static int store(struct download *d, uint64_t start, uint64_t end, const char *data, bool header)
{
	if (d->direct)
		return store_direct(d, start, end, data);
	if (!output_make_room(d->output->cache, end - start))
		return overflow(d, start, end, data, 0);
	int r = write_all(d->output->fd, start, data, end - start);
	if (r < 0)
		return overflow(d, start, end, data, r);
	if (header && check_copy(d, NULL))
		return -1;
	return publish(d, start, end);
}

static int fetch_data(void *arg, uint64_t offset, const void *data, size_t len)
{
	struct download *d = arg;
	struct output *o = d->output;
	uint64_t at = offset;

	for (;;) {
		pthread_mutex_lock(&o->cache->lock);
		uint64_t limit = offset + len < d->end ? offset + len : d->end;
		if (at < limit)
			at += range_set_run(&o->have, at);
		uint64_t end = at < limit ? range_set_gap_end(&o->have, at, limit) : at;
		bool header = header_due_locked(o, at, end);
		bool stop = d->dead || (d->pos >= d->end && d->end < d->asked_end);
		pthread_mutex_unlock(&o->cache->lock);
		if (stop || at >= limit)
			return stop;
		if (store(d, at, end, (const char *)data + (at - offset), header))
			return -1;
		at = end;
	}
}

enum verdict {
	OVER,    /* it has what it owed */
	DROPPED, /* dead, or given up */
	AGAIN,
	FAILED,
	EXPIRED,
	CHANGED,
	STOPPED,
};

static bool worth_another_try(const struct remote_object *result)
{
	long status = result->http_status;

	switch (result->fault) {
	case REMOTE_OK: return status < 300 || status >= 500 || status == 408 || status == 429;
	case REMOTE_DNS:
	case REMOTE_CONNECT:
	case REMOTE_TIMEOUT:
	case REMOTE_CUT:
	case REMOTE_ABORTED: return true;
	default: return false;
	}
}

/* Signed URLs are refused in all these ways, once their time is over. */
static bool is_refused(const struct remote_object *result)
{
	long status = result->http_status;

	return result->fault == REMOTE_OK &&
	       (status == 400 || status == 401 || status == 403 || status == 404 || status == 410);
}

/* Does nobody wait for what D owes, while others bring theirs? */
static bool is_spare_locked(const struct download *d)
{
	bool others = false;

	for (const struct output_waiter *w = d->output->waiters; w; w = w->next)
		if (w->start < d->end && w->end > d->pos)
			return false;
	for (const struct download *other = d->output->downloads; other; other = other->next)
		others |= other != d && !other->dead;
	return others;
}

static bool is_too_many(const struct remote_object *result)
{
	return result->fault == REMOTE_CONNECT || result->fault == REMOTE_TIMEOUT ||
	       (result->fault == REMOTE_OK &&
		(result->http_status == 429 || result->http_status == 503));
}

static enum verdict judge_locked(struct download *d, const struct remote_object *result)
{
	struct output *o = d->output;
	bool good = result->fault == REMOTE_OK && result->http_status < 300;
	uint64_t owed = d->asked_end < d->end ? d->asked_end : d->end;

	if (d->error)
		return FAILED;
	if (d->dead)
		return DROPPED;
	if (d->full)
		return OVER;
	if (d->changed || result->fault == REMOTE_CHANGED)
		return CHANGED;
	if (result->fault == REMOTE_STOPPED)
		return STOPPED;
	if (d->pos >= d->end || (good && range_set_covers(&o->have, d->asked_start, owed)))
		return OVER;
	if (is_refused(result))
		return d->asked_url == o->urls ? EXPIRED : AGAIN;
	if (!d->progress && is_too_many(result) && is_spare_locked(d)) {
		o->pace.alone = true;
		return DROPPED;
	}
	if (d->progress)
		d->tries = 0;
	return worth_another_try(result) && ++d->tries < MAX_TRIES ? AGAIN : FAILED;
}

void output_tell(struct output *output, enum output_failure failure, const char *why)
{
	const struct output_events *events = &output->cache->events;

	log_warn("output %llu-%u: %s", (unsigned long long)output->job, output->index, why);
	if (events->failed)
		events->failed(events->ctx, output->job, output->index, failure, why);
}

static void tell_failure(const struct download *d, const struct remote_object *result)
{
	char why[256];

	if (d->error == -EBADMSG) {
		snprintf(why, sizeof(why), "the file that the server sends is damaged: %s",
			 d->output->bad_why);
		output_tell(d->output, OUTPUT_DAMAGED, why);
	} else if (d->error) {
		snprintf(why, sizeof(why), "cannot write to the cache: %s", strerror(-d->error));
		output_tell(d->output, OUTPUT_LOCAL, why);
	} else if (is_refused(result)) {
		output_tell(d->output, OUTPUT_EXPIRED, d->output->expired_why);
	} else {
		if (result->fault == REMOTE_OK)
			snprintf(why, sizeof(why), "the media server answered HTTP %ld",
				 result->http_status);
		else
			snprintf(why, sizeof(why), "the download failed: %s", result->detail);
		output_tell(d->output, OUTPUT_UNREACHABLE, why);
	}
}

static void tell_change(const struct download *d, const struct remote_object *result)
{
	char why[256];

	snprintf(why, sizeof(why),
		 "the object at the server is not the one that was announced any more (stale): %s",
		 d->changed ? "it has another size or ETag" : result->detail);
	output_tell(d->output, OUTPUT_CHANGED, why);
}

static void unlink_download_locked(struct download *d)
{
	struct download **p = &d->output->downloads;

	while (*p != d)
		p = &(*p)->next;
	*p = d->next;
}

/* D is over: fails the waiters that it leaves alone, plans for the others.  Gives those to wake. */
static struct output_waiter *retire_locked(struct download *d, enum verdict verdict)
{
	struct output *o = d->output;
	struct output_waiter *woken = NULL;
	int error = 0;

	unlink_download_locked(d);
	o->cache->downloads--;
	if (verdict == STOPPED)
		o->cache->stopped = true;
	if (o->stale)
		error = o->stale;
	else if (o->cache->stopped || verdict == FAILED)
		error = d->error && d->error != -EBADMSG ? d->error : -EIO;
	output_plan_waiters_locked(o, error, &woken);
	if (verdict == OVER)
		output_go_ahead_locked(o);
	else if (verdict == FAILED)
		memset(o->runs, 0, sizeof(o->runs)); /* only who reads on tries again */
	return woken;
}

/* What D's last request has come to; told before the readers wake, so that they find the reason. */
static enum verdict judge(struct download *d, const struct remote_object *result)
{
	struct output *o = d->output;

	pthread_mutex_lock(&o->cache->lock);
	enum verdict verdict = judge_locked(d, result);
	pthread_mutex_unlock(&o->cache->lock);
	if (verdict == EXPIRED) {
		snprintf(o->expired_why, sizeof(o->expired_why),
			 "the media URL has expired (HTTP %ld)", result->http_status);
		verdict = output_expire(o) ? EXPIRED : FAILED;
	}
	if (verdict == CHANGED) {
		output_detach(o, -EIO);
		tell_change(d, result);
	} else if (verdict == FAILED) {
		tell_failure(d, result);
	}
	return verdict;
}

static void fetch_done(void *arg, const struct remote_object *result)
{
	struct download *d = arg;
	struct output *o = d->output;
	struct output_waiter *woken = NULL;
	enum verdict verdict = judge(d, result);

	pthread_mutex_lock(&o->cache->lock);
	bool again = verdict == AGAIN && !d->dead && request_locked(d) == 0;
	if (verdict == AGAIN && !again)
		verdict = d->dead ? DROPPED : FAILED;
	if (!again)
		woken = retire_locked(d, verdict);
	pthread_mutex_unlock(&o->cache->lock);
	output_wake(woken);
	if (!again) {
		free(d);
		output_unref(o);
	}
}
