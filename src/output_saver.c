/*
 * output_saver - the cache's own thread
 *
 * What takes long happens here, because neither the network thread nor a reader may stop for it: a
 * sync may take seconds, a digest tenths of one, a sweep looks at every file.  The thread is
 * started when there is something to do for the first time.
 *
 * An output is queued at most once, with a reference, and then everything is done that it needs.
 */
#include "log.h"
#include "output_internal.h"

#include <signal.h>
#include <string.h>
#include <time.h>

int64_t output_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool output_closing(struct output_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	bool closing = cache->closing;
	pthread_mutex_unlock(&cache->lock);
	return closing;
}

/* A moment of OUTPUT's state, under the lock. */
static bool is_set(struct output *output, const bool *flag)
{
	pthread_mutex_lock(&output->cache->lock);
	bool set = *flag && !output->stale;
	pthread_mutex_unlock(&output->cache->lock);
	return set;
}

/* Whoever hears of it may be gone once the cache closes. */
static void tell_whole(struct output *output)
{
	struct output_cache *cache = output->cache;
	char sha256[SHA256_TEXT];

	pthread_mutex_lock(&cache->lock);
	bool tell = output->tell && *output->sha256 && !output->stale && !cache->closing;
	if (tell)
		output->tell = false;
	memcpy(sha256, output->sha256, sizeof(sha256));
	pthread_mutex_unlock(&cache->lock);
	if (tell && cache->events.whole)
		cache->events.whole(cache->events.ctx, output->job, output->index, sha256);
}

static void look_after(struct output *output)
{
	if (is_set(output, &output->checking))
		output_check(output);
	if (is_set(output, &output->dirty))
		output_seal(output);
	if (is_set(output, &output->dirty))
		output_save(output);
	output_measure(output);
	tell_whole(output);
}

/* What is next, with its reference; NULL: the cache closes, and nothing is queued. */
static struct output *next(struct output_cache *cache, bool *sweep)
{
	pthread_mutex_lock(&cache->lock);
	while (!cache->queue && !cache->sweeping && !cache->closing)
		pthread_cond_wait(&cache->work, &cache->lock);
	struct output *output = cache->queue;
	*sweep = !output && cache->sweeping && !cache->closing;
	if (output) {
		cache->queue = output->queue_next;
		output->queued = false;
	} else {
		cache->sweeping = false;
	}
	pthread_mutex_unlock(&cache->lock);
	return output;
}

void output_saver_run(struct output_cache *cache)
{
	bool sweep;
	struct output *output;

	while ((output = next(cache, &sweep)) || sweep) {
		if (sweep) {
			output_do_sweep(cache);
			continue;
		}
		look_after(output);
		output_unref(output);
	}
}

static void *saver_main(void *arg)
{
	output_saver_run(arg);
	return NULL;
}

static void start_locked(struct output_cache *cache)
{
	sigset_t all, old;

	/* Without the thread the queue is saved when the cache is freed. */
	if (cache->saver_runs || cache->closing)
		return;
	/* Signals are for the threads that wait for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&cache->saver, NULL, saver_main, cache);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		log_errno(-r, "cannot start the cache's thread");
	cache->saver_runs = !r;
}

void output_queue_save_locked(struct output *output)
{
	struct output_cache *cache = output->cache;

	if (output->queued)
		return;
	output->queued = true;
	output->refs++;
	output->queue_next = NULL;
	struct output **tail = &cache->queue;
	while (*tail)
		tail = &(*tail)->queue_next;
	*tail = output;
	start_locked(cache);
	pthread_cond_signal(&cache->work);
}

void output_sweep(struct output_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	cache->sweeping = true;
	start_locked(cache);
	pthread_cond_signal(&cache->work);
	pthread_mutex_unlock(&cache->lock);
}

void output_stop(struct output_cache *cache)
{
	if (!cache)
		return;
	pthread_mutex_lock(&cache->lock);
	cache->closing = true;
	pthread_cond_signal(&cache->work);
	bool runs = cache->saver_runs;
	cache->saver_runs = false;
	pthread_mutex_unlock(&cache->lock);
	if (runs)
		pthread_join(cache->saver, NULL);
	output_prefetch_stop(cache);
}
