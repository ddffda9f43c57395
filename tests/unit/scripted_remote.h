/*
 * scripted_remote - a struct remote with one object, a thread that plays its answers, and faults
 *
 * Fields under "the object" and "the script" are set while no request is under way, or with
 * scripted_lock(). Requests take turns, a chunk at a time. Counted faults are used up one by one.
 */
#ifndef SCRIPTED_REMOTE_H
#define SCRIPTED_REMOTE_H

#include "remote.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct scripted_request {
	struct scripted_request *next;
	struct remote_fetch fetch;
	uint64_t id;
	char etag[32];
	char url[64];
	const unsigned char *object; /* the version that this request serves */
	uint64_t pos, stop;          /* what it gives */
	uint64_t given;
	enum remote_fault end; /* once [pos, stop) was given */
	long status;
	bool begun, cancelled, bad;
};

struct scripted_remote {
	struct remote remote;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct scripted_request *requests; /* in turn, but for... */
	struct scripted_request *current;  /* ...the one that calls back just now */
	uint64_t last_id;
	bool stopping;

	/* The object. */
	const unsigned char *object;
	uint64_t size;
	const char *etag;
	const char *next_etag; /* its ETag once the next answer has begun; NULL: the same */

	/* The script. */
	size_t chunk;      /* bytes of one data() */
	uint64_t hold;     /* no byte from here on is given, for now */
	bool hold_all;     /* nor does anything else happen */
	bool ignore_range; /* the whole object, whatever was asked */
	unsigned cuts;     /* so many requests break off... */
	uint64_t cut_at;   /* ...after so many bytes */
	unsigned skip;     /* after so many that do not... */
	unsigned faults;   /* ...so many requests fail at once... */
	enum remote_fault fault;
	long status;            /* ...with REMOTE_OK and this status, when not 0 */
	const char *gone;       /* this URL always does, with... */
	long gone_status;       /* ...REMOTE_OK and this */
	unsigned bad_headers;   /* so many requests for byte 0 get a damaged one */
	int refuse;             /* what fetch gives */
	unsigned count;         /* requests taken */
	unsigned running, most; /* at a time */
	uint64_t bytes;         /* given */
};

static inline void scripted_lock(struct scripted_remote *s)
{
	pthread_mutex_lock(&s->lock);
}

static inline void scripted_unlock(struct scripted_remote *s)
{
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* Lock held. */
static void scripted_append(struct scripted_remote *s, struct scripted_request *r)
{
	struct scripted_request **tail = &s->requests;

	while (*tail)
		tail = &(*tail)->next;
	*tail = r;
}

static int scripted_fetch(void *ctx, const struct remote_fetch *fetch, uint64_t *id)
{
	struct scripted_remote *s = ctx;
	struct scripted_request *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	scripted_lock(s);
	int refused = s->stopping ? -ESHUTDOWN : s->refuse;
	if (refused) {
		scripted_unlock(s);
		free(r);
		return refused;
	}
	r->fetch = *fetch;
	if (fetch->etag)
		strcpy(r->etag, fetch->etag);
	strcpy(r->url, fetch->url);
	r->id = *id = ++s->last_id;
	scripted_append(s, r);
	s->count++;
	if (++s->running > s->most)
		s->most = s->running;
	scripted_unlock(s);
	return 0;
}

static void scripted_cancel(void *ctx, uint64_t id)
{
	struct scripted_remote *s = ctx;

	scripted_lock(s);
	for (struct scripted_request *r = s->requests; r; r = r->next)
		if (r->id == id)
			r->cancelled = true;
	if (s->current && s->current->id == id)
		s->current->cancelled = true;
	scripted_unlock(s);
}

/* Lock held. */
static bool scripted_may_move(const struct scripted_remote *s, const struct scripted_request *r)
{
	if (s->stopping || r->cancelled)
		return true;
	return !s->hold_all && (!r->begun || r->pos < s->hold || r->pos >= r->stop);
}

/* Lock held: takes the next request that can move out of the list. */
static struct scripted_request *scripted_next(struct scripted_remote *s)
{
	for (struct scripted_request **p = &s->requests; *p; p = &(*p)->next) {
		struct scripted_request *r = *p;
		if (scripted_may_move(s, r)) {
			*p = r->next;
			r->next = NULL;
			return r;
		}
	}
	return NULL;
}

/* Lock held: decides what this request will give. */
static void scripted_decide(struct scripted_remote *s, struct scripted_request *r)
{
	r->object = s->object;
	r->pos = s->ignore_range ? 0 : r->fetch.start;
	r->stop = s->ignore_range ? s->size : r->fetch.end;
	r->end = REMOTE_OK;
	r->status = r->fetch.start ? 206 : 200;
	if (s->gone && strcmp(s->gone, r->url) == 0) {
		r->status = s->gone_status;
		r->stop = r->pos;
	} else if (s->faults && !(s->skip && s->skip--)) {
		s->faults--;
		r->end = s->fault;
		r->status = s->status;
		r->stop = r->pos;
	} else if (r->fetch.size != s->size ||
		   (*r->etag && s->etag && strcmp(r->etag, s->etag) != 0)) {
		r->end = REMOTE_CHANGED;
		r->stop = r->pos;
	} else if (s->cuts) {
		s->cuts--;
		r->end = REMOTE_CUT;
		if (s->cut_at < r->stop - r->pos)
			r->stop = r->pos + s->cut_at;
	}
	if (s->bad_headers && r->stop > r->pos && r->pos == 0) {
		s->bad_headers--;
		r->bad = true;
	}
}

/* Gives begin() or some data(). Not 0: the request was stopped. */
static int scripted_give(struct scripted_remote *s, struct scripted_request *r, size_t len)
{
	if (!r->begun) {
		struct remote_object object = {
			.http_status = r->status,
			.size = (int64_t)s->size,
			.start = (int64_t)r->pos,
			.ranges = true,
			.etag = s->etag,
			.mtime_s = -1,
			.detail = "",
		};
		r->begun = true;
		scripted_lock(s);
		if (s->next_etag)
			s->etag = s->next_etag;
		s->next_etag = NULL;
		scripted_unlock(s);
		return r->pos < r->stop ? r->fetch.begin(r->fetch.arg, &object) : 0;
	}
	unsigned char *copy = malloc(len);
	memcpy(copy, r->object + r->pos, len);
	if (r->bad && r->pos == 0)
		copy[0] ^= 0x20;
	int stop = r->fetch.data(r->fetch.arg, r->pos, copy, len);
	free(copy);
	r->pos += len;
	r->given += len;
	return stop;
}

static void scripted_done(struct scripted_remote *s, struct scripted_request *r,
			  enum remote_fault fault)
{
	struct remote_object result = {
		.fault = fault,
		.http_status = r->status,
		.size = (int64_t)s->size,
		.mtime_s = -1,
		.detail = "as scripted",
	};

	scripted_lock(s);
	s->running--;
	scripted_unlock(s);
	r->fetch.done(r->fetch.arg, &result);
}

/* Lock held; gives it up while it calls back. true: R is over. */
static bool scripted_step(struct scripted_remote *s, struct scripted_request *r)
{
	bool ended = s->stopping || r->cancelled;
	enum remote_fault fault = s->stopping ? REMOTE_STOPPED : REMOTE_ABORTED;

	if (!r->begun && !ended)
		scripted_decide(s, r);
	uint64_t limit = r->stop < s->hold ? r->stop : s->hold;
	size_t len = r->pos < limit && limit - r->pos < s->chunk ? limit - r->pos : s->chunk;
	if (!ended && r->begun && r->pos >= r->stop) {
		ended = true;
		fault = r->end;
	}
	if (!ended && r->begun)
		s->bytes += len;
	scripted_unlock(s);
	if (!ended)
		ended = scripted_give(s, r, len) != 0;
	if (ended)
		scripted_done(s, r, fault);
	scripted_lock(s);
	return ended;
}

static void *scripted_main(void *arg)
{
	struct scripted_remote *s = arg;

	scripted_lock(s);
	for (;;) {
		struct scripted_request *r = s->current = scripted_next(s);
		if (!r && s->stopping)
			break;
		if (!r) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		bool over = scripted_step(s, r);
		s->current = NULL;
		if (over)
			free(r);
		else
			scripted_append(s, r);
	}
	scripted_unlock(s);
	return NULL;
}

static inline void scripted_start(struct scripted_remote *s)
{
	*s = (struct scripted_remote){ .chunk = 16384, .hold = UINT64_MAX, .etag = "\"one\"" };
	s->remote = (struct remote){ .ctx = s, .fetch = scripted_fetch, .cancel = scripted_cancel };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	pthread_create(&s->thread, NULL, scripted_main, s);
}

/* Ends what is under way with REMOTE_STOPPED. */
static inline void scripted_stop(struct scripted_remote *s)
{
	scripted_lock(s);
	s->stopping = true;
	scripted_unlock(s);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
}

/* Waits until no request is under way. */
static inline void scripted_idle(struct scripted_remote *s)
{
	for (;;) {
		scripted_lock(s);
		bool idle = !s->requests && !s->current;
		scripted_unlock(s);
		if (idle)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

#endif
