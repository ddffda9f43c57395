/*
 * output_prefetch - fetching what nobody reads yet
 *
 * A prefetch is a reader that wants all of an object to be there and takes none of its bytes.  A
 * few at a time wait as readers do, the others in line, all in cache->prefetches:
 *
 *   asked   in line
 *   begun   belongs to the thread that took it, then to the one that wakes it
 *   over    all is there, or there is no room, or it failed: gone, and the next one begins
 *
 * Those that have begun are in front of those that have not.  While one is asked for, or was when
 * the driver ended or the network failed, there is a mark on the disk: the next driver finds it.
 */
#include "log.h"
#include "output_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PREFETCHES 2

struct prefetch {
	struct output_waiter waiter; /* first: it leads back to its prefetch */
	struct prefetch *next;
	bool begun;
	struct output *output;
	struct output_source source;
	char *url, *etag, *sha256; /* the source's */
};

static void free_prefetch(struct prefetch *p)
{
	output_put(p->output);
	free(p->url);
	free(p->etag);
	free(p->sha256);
	free(p);
}

static void unlist(struct output_cache *cache, const struct prefetch *p)
{
	pthread_mutex_lock(&cache->lock);
	struct prefetch **at = &cache->prefetches;
	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
	pthread_mutex_unlock(&cache->lock);
}

/* Asks for all of it: P waits, or is over.  false: over. */
static bool ask(struct prefetch *p)
{
	ssize_t r = output_read(p->output, 0, p->source.size, &p->waiter);

	if (r == -EINPROGRESS)
		return true;
	log_debug("output %" PRIu64 "-%u: prefetch: %s", p->source.job, p->source.index,
		  r < 0 ? strerror((int)-r) : "done");
	if (r > 0 || r == -ENOSPC)
		output_unmark_prefetch(p->output->cache, p->source.job, p->source.index);
	return false;
}

/* The first in line, if it is its turn: the caller's to begin.  NULL: none. */
static struct prefetch *take_next(struct output_cache *cache)
{
	unsigned begun = 0;

	pthread_mutex_lock(&cache->lock);
	struct prefetch *p = cache->prefetches;
	for (; p && p->begun; p = p->next)
		begun++;
	if (begun >= PREFETCHES || cache->closing)
		p = NULL;
	if (p)
		p->begun = true;
	pthread_mutex_unlock(&cache->lock);
	return p;
}

/* Begins as many as may be under way. */
static void begin_some(struct output_cache *cache)
{
	struct prefetch *p;

	while ((p = take_next(cache))) {
		if (output_open(cache, &p->source, &p->output) == 0 && ask(p))
			continue;
		unlist(cache, p);
		free_prefetch(p);
	}
}

static void woken(struct output_waiter *waiter)
{
	struct prefetch *p = (struct prefetch *)waiter;
	struct output_cache *cache = p->output->cache;

	if (ask(p))
		return;
	unlist(cache, p);
	free_prefetch(p);
	begin_some(cache);
}

static bool set_source(struct prefetch *p, const struct output_source *source)
{
	p->source = *source;
	p->source.url = p->url = strdup(source->url);
	p->source.etag = p->etag = source->etag ? strdup(source->etag) : NULL;
	p->source.sha256 = p->sha256 = source->sha256 ? strdup(source->sha256) : NULL;
	return p->url && !source->etag == !p->etag && !source->sha256 == !p->sha256;
}

void output_prefetch(struct output_cache *cache, const struct output_source *source)
{
	struct prefetch *p = calloc(1, sizeof(*p));

	if (!p)
		return;
	p->waiter = (struct output_waiter){ .wake = woken, .background = true };
	if (!set_source(p, source)) {
		free_prefetch(p);
		return;
	}
	output_mark_prefetch(cache, source->job, source->index);
	pthread_mutex_lock(&cache->lock);
	struct prefetch **tail = &cache->prefetches;
	while (*tail)
		tail = &(*tail)->next;
	*tail = p;
	pthread_mutex_unlock(&cache->lock);
	begin_some(cache);
}

/* Those that wait for a download were woken when it was stopped. */
void output_prefetch_stop(struct output_cache *cache)
{
	struct prefetch *p;

	while ((p = cache->prefetches)) {
		cache->prefetches = p->next;
		if (p->output)
			output_cancel(p->output, &p->waiter);
		free_prefetch(p);
	}
}
