/*
 * output_renew - a URL that has expired, and the next one
 *
 *   event                            next
 *   a download is refused            renewing, if expired() says that another URL is asked for
 *   ... while renewing               renewing
 *   output_renew(), another URL      all waiters are planned again, from there
 *   output_renew(), another object   detached; waiters get -ESTALE
 *   output_renew_failed()            failed() told; waiters whose bytes nobody owes get -EIO
 *
 * While an output is renewing its waiters wait without a download; those that are under way go on.
 */
#include "output_internal.h"

#include <errno.h>
#include <string.h>

bool output_expire(struct output *output)
{
	const struct output_events *events = &output->cache->events;

	pthread_mutex_lock(&output->cache->lock);
	output->renewing = !output->stale;
	pthread_mutex_unlock(&output->cache->lock);
	if (events->expired && events->expired(events->ctx, output->job, output->index))
		return true;
	pthread_mutex_lock(&output->cache->lock);
	output->renewing = false;
	pthread_mutex_unlock(&output->cache->lock);
	return false;
}

void output_renew(struct output_cache *cache, const struct output_source *source)
{
	struct output_waiter *woken = NULL;

	pthread_mutex_lock(&cache->lock);
	struct output *output = output_find_locked(cache, source->job, source->index);
	bool same = output && output_same_locked(output, source);
	if (output)
		output->refs++;
	if (same && strcmp(output->url, source->url) != 0 &&
	    output_set_url_locked(output, source->url)) {
		output->renewing = false;
		output_plan_waiters_locked(output, 0, &woken);
	}
	pthread_mutex_unlock(&cache->lock);
	output_wake(woken);
	if (output && !same)
		output_detach(output, -ESTALE);
	if (output)
		output_unref(output);
}

/* With a reference; NULL: none. */
static struct output *renewing_of(struct output_cache *cache, uint64_t job)
{
	pthread_mutex_lock(&cache->lock);
	struct output *output = cache->outputs;
	while (output && (output->job != job || !output->renewing))
		output = output->next;
	if (output)
		output->refs++;
	pthread_mutex_unlock(&cache->lock);
	return output;
}

void output_renew_failed(struct output_cache *cache, uint64_t job)
{
	struct output *output;

	while ((output = renewing_of(cache, job))) {
		output_tell(output, OUTPUT_EXPIRED, output->expired_why);
		struct output_waiter *woken = NULL;
		pthread_mutex_lock(&cache->lock);
		output->renewing = false;
		output_plan_waiters_locked(output, -EIO, &woken);
		pthread_mutex_unlock(&cache->lock);
		output_wake(woken);
		output_unref(output);
	}
}
