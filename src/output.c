/*
 * output - the outputs in memory
 *
 * An output is in memory while it is held: by readers, by a download, or by the save queue.
 *
 *   in cache->outputs   stale == 0   owns the files of its key
 *   detached            stale != 0   its files are unlinked; lives on until it is put
 *
 * Invariants (under `lock`):
 *   - at most one output of a key is in cache->outputs, and no other touches the key's files;
 *   - refs > 0; the last unref of a dirty output saves its map first;
 *   - waiters != NULL implies downloads != NULL or paused: a done() or the end of the pause is to
 *     come, which wakes or plans again.
 */
#include "log.h"
#include "output_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Opens what belongs to the directory.  0 or -errno. */
static int open_dir(struct output_cache *cache, const struct output_conf *conf)
{
	struct statvfs st;

	if (mkdir(conf->dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	cache->dirfd = open(conf->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cache->dirfd < 0)
		return -errno;
	cache->limit = conf->size;
	if (!conf->size && conf->percent && fstatvfs(cache->dirfd, &st) == 0)
		cache->limit = (uint64_t)st.f_blocks * st.f_frsize / 100 * conf->percent;
	return output_era_begin(cache);
}

static void close_dir(struct output_cache *cache)
{
	if (cache->lockfd >= 0)
		close(cache->lockfd);
	if (cache->dirfd >= 0)
		close(cache->dirfd);
	free(cache->books);
	free(cache);
}

struct output_cache *output_cache_new(const struct output_conf *conf, const struct remote *remote,
				      const struct output_events *events)
{
	struct output_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->dirfd = cache->lockfd = -1;
	cache->books = strdup(conf->books);
	int r = cache->books ? open_dir(cache, conf) : -ENOMEM;
	if (r < 0) {
		close_dir(cache);
		errno = -r;
		return NULL;
	}
	cache->remote = remote;
	cache->events = *events;
	lru_init(&cache->lru);
	pthread_mutex_init(&cache->names, NULL);
	pthread_mutex_init(&cache->lock, NULL);
	pthread_cond_init(&cache->work, NULL);
	return cache;
}

void output_cache_free(struct output_cache *cache)
{
	if (!cache)
		return;
	output_stop(cache);
	output_saver_run(cache);
	output_era_end(cache);
	if (cache->outputs)
		log_error("output %llu-%u is still held", (unsigned long long)cache->outputs->job,
			  cache->outputs->index);
	pthread_cond_destroy(&cache->work);
	pthread_mutex_destroy(&cache->lock);
	pthread_mutex_destroy(&cache->names);
	lru_release(&cache->lru);
	close_dir(cache);
}

static void unlist_locked(struct output *output)
{
	struct output **p = &output->cache->outputs;

	while (*p && *p != output)
		p = &(*p)->next;
	if (*p)
		*p = output->next;
}

static void destroy(struct output *output)
{
	if (output->fd >= 0)
		close(output->fd);
	range_set_release(&output->have);
	output_pieces_clear(&output->pieces);
	output_tail_clear(&output->tail);
	free(output->url);
	free(output->etag);
	free(output);
}

void output_unref(struct output *output)
{
	struct output_cache *cache = output->cache;

	pthread_mutex_lock(&cache->lock);
	if (output->refs == 1 && output->dirty && !output->stale && output->fd >= 0)
		output_queue_save_locked(output);
	bool last = --output->refs == 0;
	if (last && !output->stale) {
		output_release_space_locked(output);
		unlist_locked(output);
	}
	pthread_mutex_unlock(&cache->lock);
	if (last)
		destroy(output);
}

void output_put(struct output *output)
{
	if (!output)
		return;
	pthread_mutex_lock(&output->cache->lock);
	if (--output->readers == 0) {
		output_end_idle_locked(output);
		output_tail_clear(&output->tail);
	}
	pthread_mutex_unlock(&output->cache->lock);
	output_unref(output);
}

struct output *output_find_locked(struct output_cache *cache, uint64_t job, unsigned index)
{
	struct output *o = cache->outputs;

	while (o && (o->job != job || o->index != index))
		o = o->next;
	return o;
}

bool output_same_locked(const struct output *output, const struct output_source *source)
{
	return output->size == source->size && remote_same_object(output->etag, source->etag);
}

bool output_set_url_locked(struct output *output, const char *url)
{
	if (strcmp(output->url, url) == 0)
		return true;
	char *copy = strdup(url);
	if (!copy)
		return false;
	free(output->url);
	output->url = copy;
	output->urls++;
	return true;
}

/* WOKEN: those waiters that no download's end will wake. */
static void detach_locked(struct output *output, int error, struct output_waiter **woken)
{
	unlist_locked(output);
	output->stale = error;
	output_release_space_locked(output);
	output->renewing = output->checking = false;
	output_tail_clear(&output->tail);
	output_kill_downloads_locked(output);
	if (!output->downloads)
		output_plan_waiters_locked(output, error, woken);
}

void output_detach(struct output *output, int error)
{
	struct output_cache *cache = output->cache;
	struct output_waiter *woken = NULL;

	pthread_mutex_lock(&cache->names);
	pthread_mutex_lock(&cache->lock);
	bool owned = !output->stale;
	if (owned)
		detach_locked(output, error, &woken);
	pthread_mutex_unlock(&cache->lock);
	if (owned)
		output_unlink_named(cache, output->job, output->index);
	pthread_mutex_unlock(&cache->names);
	output_wake(woken);
}

void output_drop(struct output *output)
{
	struct output_cache *cache = output->cache;

	pthread_mutex_lock(&cache->names);
	pthread_mutex_lock(&cache->lock);
	bool owned = !output->stale;
	range_set_clear(&output->have);
	output_pieces_clear(&output->pieces);
	output_tail_clear(&output->tail);
	output->dirty = output->tell = false;
	*output->sha256 = '\0';
	output->epoch++;
	output_kill_downloads_locked(output);
	pthread_mutex_unlock(&cache->lock);
	if (owned)
		output_unlink_map_named(output);
	pthread_mutex_unlock(&cache->names);
}

/* A disk that does not give the files is no reason not to read: what is read goes past it. */
static int open_files_named(struct output *output)
{
	int r = output_files_open_named(output);

	if (r < 0 && r != -ENOMEM) {
		log_errno(r, "output %llu-%u cannot be cached", (unsigned long long)output->job,
			  output->index);
		if (output->fd >= 0)
			close(output->fd);
		output->fd = -1;
	}
	return r == -ENOMEM ? r : 0;
}

/* An output that is not in the table; its files belong to nobody else. */
static int make_named(struct output_cache *cache, const struct output_source *source,
		      struct output **out)
{
	struct output *output = calloc(1, sizeof(*output));

	if (!output)
		return -ENOMEM;
	output->cache = cache;
	output->job = source->job;
	output->index = source->index;
	output->size = source->size;
	output->glb = source->glb;
	output->fd = -1;
	output->refs = 1;
	output->readers = 1;
	snprintf(output->known, sizeof(output->known), "%s", source->sha256 ? source->sha256 : "");
	range_set_init(&output->have);
	output->url = strdup(source->url);
	output->etag = source->etag ? strdup(source->etag) : NULL;
	int r = -ENOMEM;
	if (output->url && (output->etag || !source->etag))
		r = open_files_named(output);
	if (r == 0)
		r = output_hold_space(output);
	if (r < 0) {
		destroy(output);
		return r;
	}
	pthread_mutex_lock(&cache->lock);
	output->pace.latency_us = cache->latency_us;
	output->next = cache->outputs;
	cache->outputs = output;
	if (output->checking || output->dirty || output->tell)
		output_queue_save_locked(output);
	pthread_mutex_unlock(&cache->lock);
	*out = output;
	return 0;
}

static int open_named(struct output_cache *cache, const struct output_source *source,
		      struct output **out, struct output_waiter **woken)
{
	pthread_mutex_lock(&cache->lock);
	struct output *found = output_find_locked(cache, source->job, source->index);
	bool same = found && output_same_locked(found, source);
	if (same) {
		found->refs++;
		found->readers++;
		*out = found;
	} else if (found) {
		detach_locked(found, -ESTALE, woken);
	}
	pthread_mutex_unlock(&cache->lock);
	if (same) {
		output_files_look_named(found);
		output_touch_map_named(found);
		return 0;
	}
	if (found)
		output_unlink_named(cache, source->job, source->index);
	return make_named(cache, source, out);
}

int output_open(struct output_cache *cache, const struct output_source *source, struct output **out)
{
	struct output_waiter *woken = NULL;

	pthread_mutex_lock(&cache->names);
	int r = open_named(cache, source, out, &woken);
	pthread_mutex_unlock(&cache->names);
	output_wake(woken);
	return r;
}

int output_fd(const struct output *output)
{
	return output->fd;
}

bool output_is_whole(struct output *output)
{
	pthread_mutex_lock(&output->cache->lock);
	bool whole = range_set_covers(&output->have, 0, output->size);
	pthread_mutex_unlock(&output->cache->lock);
	return whole;
}

uint64_t output_cached(struct output *output)
{
	pthread_mutex_lock(&output->cache->lock);
	uint64_t total = range_set_total(&output->have);
	pthread_mutex_unlock(&output->cache->lock);
	return total;
}

uint64_t output_stored(struct output_cache *cache, const struct output_source *source)
{
	uint64_t total = 0;

	pthread_mutex_lock(&cache->names);
	pthread_mutex_lock(&cache->lock);
	struct output *found = output_find_locked(cache, source->job, source->index);
	if (found && output_same_locked(found, source))
		total = found->checking ? found->claimed : range_set_total(&found->have);
	pthread_mutex_unlock(&cache->lock);
	if (!found)
		total = output_stored_named(cache, source);
	pthread_mutex_unlock(&cache->names);
	return total;
}

void output_forget(struct output_cache *cache, uint64_t job)
{
	struct output_waiter *woken = NULL;

	pthread_mutex_lock(&cache->names);
	pthread_mutex_lock(&cache->lock);
	for (struct output *o = cache->outputs, *next; o; o = next) {
		next = o->next;
		if (o->job == job)
			detach_locked(o, -ESTALE, &woken);
	}
	pthread_mutex_unlock(&cache->lock);
	output_unlink_job_named(cache, job);
	pthread_mutex_unlock(&cache->names);
	output_wake(woken);
}

int output_statfs(struct output_cache *cache, struct statvfs *out)
{
	return fstatvfs(cache->dirfd, out) < 0 ? -errno : 0;
}
