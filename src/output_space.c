/*
 * output_space - what the cache's files take, and what goes
 *
 * cache->lru knows every data file in the directory: those that were there at the start from the
 * sweep on, the others from their opening on; a file is held while its output is in memory.  Files
 * that were unlinked while they were open are not counted.
 *
 * A job that goes is in nobody's memory, which `names` keeps so; its maps are deleted first, so
 * that whatever a crash leaves has no map, and is swept or made anew.
 */
#include "log.h"
#include "output_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A map takes a block of the disk. */
#define MAP_BYTES 4096

static uint64_t bytes_of(const struct stat *st)
{
	return (uint64_t)st->st_blocks * 512 + MAP_BYTES;
}

static int64_t time_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* What OUTPUT's data takes now; 0: there is no file. */
static uint64_t measure(const struct output *output)
{
	struct stat st;

	return output->fd >= 0 && fstat(output->fd, &st) == 0 ? bytes_of(&st) : 0;
}

int output_hold_space(struct output *output)
{
	struct output_cache *cache = output->cache;
	struct timespec now;
	uint64_t bytes = measure(output);

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&cache->lock);
	int r = lru_add(&cache->lru, output->job, output->index);
	lru_hold(&cache->lru, output->job, output->index);
	lru_use(&cache->lru, output->job, output->index, time_of(&now));
	lru_set_bytes(&cache->lru, output->job, output->index, bytes);
	pthread_mutex_unlock(&cache->lock);
	return r;
}

void output_release_space_locked(struct output *output)
{
	struct lru *lru = &output->cache->lru;

	if (output->stale)
		lru_remove(lru, output->job, output->index);
	else
		lru_unhold(lru, output->job, output->index);
}

void output_measure(struct output *output)
{
	uint64_t bytes = measure(output);

	pthread_mutex_lock(&output->cache->lock);
	if (!output->stale)
		lru_set_bytes(&output->cache->lru, output->job, output->index, bytes);
	pthread_mutex_unlock(&output->cache->lock);
}

/* Takes the job that goes for LEN bytes more out of the books; JOB's files are deleted then.
 * *INDEXES: a bit for each.  false: nothing needs to go, or (*ROOM false) nothing can. */
static bool choose(struct output_cache *cache, uint64_t len, uint64_t *job, uint32_t *indexes,
		   bool *room)
{
	struct lru *lru = &cache->lru;
	const struct lru_file *file;

	pthread_mutex_lock(&cache->lock);
	*room = !cache->limit || lru->total + len <= cache->limit;
	bool chosen = !*room && lru_victim(lru, job);
	*indexes = 0;
	while (chosen && (file = lru_any(lru, *job))) {
		*indexes |= 1u << (file->index & 31);
		lru_remove(lru, *job, file->index);
	}
	pthread_mutex_unlock(&cache->lock);
	return chosen;
}

bool output_make_room(struct output_cache *cache, uint64_t len)
{
	uint64_t job;
	uint32_t indexes;
	bool room, chosen;

	do {
		pthread_mutex_lock(&cache->names);
		chosen = choose(cache, len, &job, &indexes, &room);
		for (unsigned i = 0; chosen && i < 32; i++)
			if (indexes & 1u << i)
				output_unlink_named(cache, job, i);
		pthread_mutex_unlock(&cache->names);
		if (chosen)
			log_info("job %" PRIu64 " leaves the cache, which is full", job);
	} while (chosen);
	return room;
}

/* When the output was used last: its map's own time. */
static int64_t used_of(struct output_cache *cache, const char *data, const struct stat *st)
{
	struct stat map;
	char name[64];

	snprintf(name, sizeof(name), "%.*s.map", (int)strcspn(data, "."), data);
	bool mapped = fstatat(cache->dirfd, name, &map, AT_SYMLINK_NOFOLLOW) == 0;
	return time_of(mapped ? &map.st_mtim : &st->st_mtim);
}

static void count_named(struct output_cache *cache, const char *name, uint64_t job, unsigned index)
{
	struct stat st;

	if (fstatat(cache->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	int64_t used = used_of(cache, name, &st);
	pthread_mutex_lock(&cache->lock);
	if (!lru_find(&cache->lru, job, index) && lru_add(&cache->lru, job, index) == 0) {
		lru_set_bytes(&cache->lru, job, index, bytes_of(&st));
		lru_use(&cache->lru, job, index, used);
	}
	pthread_mutex_unlock(&cache->lock);
}

/* One file of the directory: known from now on, or gone. */
static void sweep_file(struct output_cache *cache, const char *name)
{
	const struct output_events *events = &cache->events;
	uint64_t job;
	unsigned index;
	const char *suffix = output_parse_name(name, &job, &index);

	if (!suffix)
		return;
	bool wanted = !events->wanted || events->wanted(events->ctx, job, index);
	pthread_mutex_lock(&cache->names);
	pthread_mutex_lock(&cache->lock);
	bool open = output_find_locked(cache, job, index) != NULL;
	pthread_mutex_unlock(&cache->lock);
	if (!open && !wanted)
		output_unlink_named(cache, job, index);
	else if (!open && strcmp(suffix, "data") == 0)
		count_named(cache, name, job, index);
	pthread_mutex_unlock(&cache->names);
	if (!open && !wanted)
		log_info("%s is no job's, and is deleted from the cache", name);
	else if (events->unfetched && strcmp(suffix, "prefetch") == 0)
		events->unfetched(events->ctx, job, index);
}

void output_do_sweep(struct output_cache *cache)
{
	DIR *dir = output_list(cache);

	if (!dir)
		return;
	for (struct dirent *e; !output_closing(cache) && (e = readdir(dir));)
		sweep_file(cache, e->d_name);
	closedir(dir);
	output_make_room(cache, 0);
}
