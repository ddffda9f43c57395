/*
 * engine_output - what a job has made
 *
 * Completion: a poll that says COMPLETED is applied only once the size of every output is known, so
 *             that status, wait and output.glb change in the same moment. While a size cannot be
 *             had the poll is repeated a few times (its answer may bring a better URL); then the
 *             job completes without it, says so, and goes on being polled in the background.
 * Later:      a poll asks for a new URL when one has expired, once a minute at most, and for a new
 *             size and ETag when the object has changed: that is another version of the output.
 *             Sizes that are known are never given up for an answer that knows less.
 */
#include "engine_internal.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The writer of `wait` may be a script: so long may a completion be kept back for its sizes. */
#define SIZE_TRIES   3
#define SIZE_KEPT_MS 10000

/* A new URL, and what the object is now, are not asked for more often than this. */
#define REFRESH_MS 60000
#define CHANGED_MS 5000

/* The size requests of one poll, one after the other. */
struct sizing {
	struct engine *engine;
	uint64_t number;
	unsigned attempt;
	char *word, *body; /* the poll's answer */
	size_t body_len;
	size_t count, at;
	struct job_output outputs[JOB_OUTPUTS_MAX];
	char *why; /* the last size that could not be had; NULL: all could */
};

static void free_sizing(struct sizing *sizing)
{
	for (size_t i = 0; i < sizing->count; i++) {
		free(sizing->outputs[i].url);
		free(sizing->outputs[i].name);
		free(sizing->outputs[i].media_type);
		free(sizing->outputs[i].etag);
		free(sizing->outputs[i].sha256);
	}
	free(sizing->word);
	free(sizing->body);
	free(sizing->why);
	free(sizing);
}

/* The driver ends, or nobody wants to know any more. */
static void abandon(struct sizing *sizing)
{
	engine_idle(sizing->engine, QUEUE_POLL, sizing->number);
	free_sizing(sizing);
}

static void blame(struct sizing *sizing, const char *why)
{
	job_set(&sizing->why, why);
}

static size_t unknown_sizes(const struct job_output *outputs, size_t count)
{
	size_t unknown = 0;

	for (size_t i = 0; i < count; i++)
		unknown += outputs[i].size < 0;
	return unknown;
}

static bool same_object(const struct job_output *old, const struct job_output *new)
{
	return old->size == new->size &&remote_same_object(old->etag, new->etag);
}

static uint16_t next_version(const struct job_output *old, const struct job_output *new)
{
	return (uint16_t)(old->version + (old->size >= 0 && !same_object(old, new)));
}

static bool same_outputs(const struct job *job, const struct sizing *sizing)
{
	if (job->output_count != sizing->count)
		return false;
	for (size_t i = 0; i < sizing->count; i++)
		if (strcmp(job->outputs[i].url, sizing->outputs[i].url) != 0 ||
		    !same_object(&job->outputs[i], &sizing->outputs[i]))
			return false;
	return true;
}

/* Is the answer better than what is shown? The first one always is. */
static bool is_better(const struct job *job, const struct sizing *sizing)
{
	size_t shown = unknown_sizes(job->outputs, job->output_count);
	size_t now = unknown_sizes(sizing->outputs, sizing->count);

	if (job->state != JOB_COMPLETED)
		return true;
	if (!sizing->count)
		return false;
	if (!job->output_count)
		return now < sizing->count;
	return now < shown || (now == 0 && !same_outputs(job, sizing));
}

/* Shall the completion be kept back once more for its sizes? Sets the timer. */
static bool keep_back(struct engine *engine, uint64_t number)
{
	int64_t now = engine_mono(engine);
	struct entry *entry;
	bool again = false;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	if (entry) {
		if (!entry->size_tries++)
			entry->size_since_ms = now;
		again = entry->size_tries < SIZE_TRIES && now - entry->size_since_ms < SIZE_KEPT_MS;
		if (again)
			engine_arm_locked(engine, entry, QUEUE_POLL,
					  sched_retry_delay(&engine->conf.sched, entry->size_tries,
							    -1, engine_random(engine)));
		else
			entry->size_tries = 0;
	}
	pthread_mutex_unlock(&engine->table_lock);
	return again;
}

/* Moves the outputs into JOB. */
static int edit_outputs(struct engine *engine, struct job *job, void *arg)
{
	struct sizing *sizing = arg;

	(void)engine;
	for (size_t i = 0; i < sizing->count && i < job->output_count; i++) {
		sizing->outputs[i].version = next_version(&job->outputs[i], &sizing->outputs[i]);
		if (sizing->outputs[i].version == job->outputs[i].version &&
		    job_set(&sizing->outputs[i].sha256, job->outputs[i].sha256) < 0)
			return -ENOMEM;
	}
	job_clear_outputs(job);
	for (size_t i = 0; i < sizing->count; i++) {
		struct job_output *output = job_add_output(job);
		if (!output)
			return -ENOMEM;
		*output = sizing->outputs[i];
		sizing->outputs[i] = (struct job_output){ 0 };
	}
	job->output_unreachable = sizing->why != NULL;
	return 0;
}

static void apply(struct engine *engine, struct sizing *sizing)
{
	char *reason = !sizing->why
			       ? NULL
			       : text_format("The service says COMPLETED, but the size of the "
					     "output could not be learnt: %s. Nothing is lost: "
					     "it is asked again by itself, and the file "
					     "appears then.",
					     sizing->why);
	struct job_event event = {
		.kind = JOB_EVENT_STATUS,
		.now_ms = engine_wall(engine),
		.word = sizing->word,
		.reason = reason,
	};
	struct change change = {
		.number = sizing->number,
		.attempt = sizing->attempt,
		.heard = true,
		.edit = edit_outputs,
		.arg = sizing,
		.event = &event,
		.texts = { .status = sizing->body, .status_len = sizing->body_len },
	};

	engine_change(engine, &change);
	free(reason);
}

static bool is_glb(const char *name)
{
	size_t len = strlen(name);

	return len >= 4 && strcmp(name + len - 4, ".glb") == 0;
}

static struct output_source source_of(const struct job *job, unsigned index)
{
	const struct job_output *output = &job->outputs[index];

	return (struct output_source){
		.job = job->number,
		.index = index,
		.url = output->url,
		.size = (uint64_t)output->size,
		.etag = output->etag,
		.sha256 = output->sha256,
		.glb = is_glb(output->name),
	};
}

/* Gives every output of known size to TAKE. */
static void each_output(struct engine *engine, uint64_t number,
			void (*take)(struct output_cache *cache,
				     const struct output_source *source))
{
	const struct job *job = engine->cache ? engine_get(engine, number) : NULL;

	for (unsigned i = 0; job && i < job->output_count; i++) {
		struct output_source source = source_of(job, i);
		if (job->outputs[i].size >= 0)
			take(engine->cache, &source);
	}
	job_put(job);
}

/* The poll that readers waited for is over. */
static void end_renewal(struct engine *engine, uint64_t number)
{
	struct entry *entry;
	bool awaited;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	awaited = entry && entry->renewing;
	if (awaited)
		entry->renewing = false;
	pthread_mutex_unlock(&engine->table_lock);
	if (awaited && engine->cache)
		output_renew_failed(engine->cache, number);
}

void engine_polled(struct engine *engine, uint64_t number)
{
	engine_idle(engine, QUEUE_POLL, number);
	end_renewal(engine, number);
}

/* Every size was asked for. */
static void conclude(struct sizing *sizing)
{
	struct engine *engine = sizing->engine;
	const struct job *job = engine_get(engine, sizing->number);

	if (!sizing->count)
		blame(sizing, "it named no output");
	engine_idle(engine, QUEUE_POLL, sizing->number);
	if (job &&
	    (!sizing->why || job->state == JOB_COMPLETED || !keep_back(engine, sizing->number))) {
		engine_poll_again(engine, sizing->number, sizing->why != NULL, -1);
		if (is_better(job, sizing)) {
			apply(engine, sizing);
			/* Those that are open have to know where they are to be had now. */
			each_output(engine, sizing->number, output_renew);
			if (engine->conf.prefetch && job->state != JOB_COMPLETED)
				each_output(engine, sizing->number, output_prefetch);
		}
	}
	end_renewal(engine, sizing->number);
	job_put(job);
	free_sizing(sizing);
}

static void ask(struct sizing *sizing);

static void note_object(struct sizing *sizing, const struct remote_object *object)
{
	struct job_output *output = &sizing->outputs[sizing->at];

	output->size = object->size;
	if (object->mtime_s >= 0)
		output->mtime_ms = object->mtime_s * 1000;
	job_set(&output->etag, object->etag);
	/* The service knows better what it made: object stores often call everything a stream of
	 * octets. */
	if (!output->media_type)
		job_set(&output->media_type, object->media_type);
}

static void sized(void *arg, const struct remote_object *object)
{
	struct sizing *sizing = arg;
	char why[64];

	if (object->fault == REMOTE_STOPPED) {
		abandon(sizing);
		return;
	}
	snprintf(why, sizeof(why), "its server answered HTTP %ld", object->http_status);
	if (object->fault != REMOTE_OK)
		blame(sizing, object->detail);
	else if (object->http_status / 100 != 2)
		blame(sizing, why);
	else if (object->size <= 0)
		blame(sizing, "its server does not say how large it is");
	else
		note_object(sizing, object);
	sizing->at++;
	ask(sizing);
}

static void ask(struct sizing *sizing)
{
	const struct remote *remote = sizing->engine->remote;
	int r;

	for (; sizing->at < sizing->count; sizing->at++) {
		const struct job_output *output = &sizing->outputs[sizing->at];
		if (output->size >= 0)
			continue;
		if (!api_media_url_allowed(sizing->engine->gateway, output->url)) {
			blame(sizing, "its address is not one that may be fetched");
			continue;
		}
		r = remote->head(remote->ctx, output->url, sized, sizing);
		if (r == 0)
			return;
		if (r == -ESHUTDOWN) {
			abandon(sizing);
			return;
		}
		blame(sizing, strerror(-r));
	}
	conclude(sizing);
}

/* Those outputs whose objects are to be looked at anew. */
static uint32_t take_changed(struct engine *engine, uint64_t number)
{
	struct entry *entry;
	uint32_t changed = 0;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	if (entry && entry->changed) {
		changed = entry->changed;
		entry->changed = 0;
		entry->changed_ms = engine_mono(engine);
	}
	pthread_mutex_unlock(&engine->table_lock);
	return changed;
}

/* What is KNOWN of the URL already need not be asked. */
static int fill_output(struct job_output *output, const struct job_output *known, size_t index,
		       const struct api_status *status, int64_t now_ms)
{
	const struct job_output *old = known && strcmp(known->url, status->media_url[index]) == 0
					       ? known
					       : NULL;

	output->size = old ? old->size : -1;
	output->mtime_ms = old ? old->mtime_ms : now_ms;
	output->name = api_output_name(index, status->media_type, status->media_url[index]);
	if (!output->name || job_set(&output->url, status->media_url[index]) < 0 ||
	    job_set(&output->media_type, old ? old->media_type : status->media_type) < 0 ||
	    job_set(&output->etag, old ? old->etag : NULL) < 0)
		return -ENOMEM;
	return 0;
}

static struct sizing *new_sizing(struct engine *engine, const struct job *job,
				 const struct api_status *status, const struct remote_reply *reply)
{
	struct sizing *sizing = calloc(1, sizeof(*sizing));
	uint32_t changed = take_changed(engine, job->number);
	int r = 0;

	if (!sizing)
		return NULL;
	sizing->engine = engine;
	sizing->number = job->number;
	sizing->attempt = job->attempts;
	sizing->word = strdup(status->word);
	sizing->body = malloc(reply->body_len + 1);
	sizing->count = status->media_count;
	for (size_t i = 0; r == 0 && i < sizing->count; i++) {
		bool known = i < job->output_count && !(changed & 1u << i);
		r = fill_output(&sizing->outputs[i], known ? &job->outputs[i] : NULL, i, status,
				engine_wall(engine));
	}
	if (r < 0 || !sizing->word || !sizing->body) {
		free_sizing(sizing);
		return NULL;
	}
	memcpy(sizing->body, reply->body, reply->body_len);
	sizing->body[reply->body_len] = '\0';
	sizing->body_len = reply->body_len;
	return sizing;
}

void engine_size(struct engine *engine, const struct job *job, const struct api_status *status,
		 const struct remote_reply *reply)
{
	struct sizing *sizing = new_sizing(engine, job, status, reply);

	if (sizing) {
		ask(sizing);
		return;
	}
	engine_polled(engine, job->number);
	engine_poll_again(engine, job->number, true, -1);
}

/* Outputs */

int engine_output(struct engine *engine, uint64_t number, unsigned index, uint16_t version,
		  struct output **out)
{
	const struct job *job = engine_get(engine, number);
	int r = -ENOENT;

	if (job && engine->cache && job->state == JOB_COMPLETED && index < job->output_count &&
	    job->outputs[index].size >= 0) {
		struct output_source source = source_of(job, index);
		r = job->outputs[index].version == version
			    ? output_open(engine->cache, &source, out)
			    : -ESTALE;
	}
	job_put(job);
	return r;
}

uint64_t engine_stored(struct engine *engine, const struct job *job, unsigned index)
{
	struct output_source source = source_of(job, index);

	return engine->cache ? output_stored(engine->cache, &source) : 0;
}

static bool output_expired(void *ctx, uint64_t number, unsigned index)
{
	struct engine *engine = ctx;
	int64_t now = engine_mono(engine);
	struct entry *entry;
	bool renewing;

	(void)index;
	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	if (entry && entry->job->state == JOB_COMPLETED && !entry->renewing &&
	    (!entry->refreshed_ms || now - entry->refreshed_ms >= REFRESH_MS)) {
		entry->renewing = true;
		entry->refreshed_ms = now;
		engine_arm_locked(engine, entry, QUEUE_POLL, 0);
	}
	renewing = entry && entry->renewing;
	pthread_mutex_unlock(&engine->table_lock);
	return renewing;
}

/* Looks soon at what the object is now. */
static void look_again(struct engine *engine, uint64_t number, unsigned index)
{
	int64_t delay = 0;
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	if (entry) {
		if (entry->changed_ms)
			delay = entry->changed_ms + CHANGED_MS - engine_mono(engine);
		entry->changed |= 1u << index;
		engine_arm_locked(engine, entry, QUEUE_POLL, delay > 0 ? delay : 0);
	}
	pthread_mutex_unlock(&engine->table_lock);
	engine->remote->wake(engine->remote->ctx);
}

struct new_version {
	unsigned index;
	const char *why;
};

/* At once, lest what the kernel keeps of the old object is taken for the new one's. */
static int edit_version(struct engine *engine, struct job *job, void *arg)
{
	const struct new_version *new = arg;

	(void)engine;
	if (new->index < job->output_count) {
		job->outputs[new->index].version++;
		job_set(&job->outputs[new->index].sha256, NULL);
	}
	return job_set(&job->error, new->why);
}

static void output_failed(void *ctx, uint64_t number, unsigned index, enum output_failure failure,
			  const char *why)
{
	struct engine *engine = ctx;
	const struct job *job = engine_get(engine, number);
	struct new_version new = { index, why };
	struct change change = {
		.number = number, .edit = edit_version, .arg = &new, .heard = true, .note = why
	};

	if (job && job->state == JOB_COMPLETED && failure == OUTPUT_CHANGED) {
		engine_change(engine, &change);
		look_again(engine, number, index);
	} else if (job && job->state == JOB_COMPLETED && failure == OUTPUT_EXPIRED) {
		char *text = text_format("%s. The service was asked for a new one, in vain; it is "
					 "asked again, at most once a minute, when the file is "
					 "read.",
					 why);
		engine_tell(engine, job, text);
		free(text);
	} else if (job && job->state == JOB_COMPLETED) {
		engine_tell(engine, job, why);
	}
	job_put(job);
}

struct whole {
	unsigned index;
	const char *sha256;
};

static int edit_whole(struct engine *engine, struct job *job, void *arg)
{
	const struct whole *whole = arg;

	(void)engine;
	if (job->state != JOB_COMPLETED || whole->index >= job->output_count)
		return -ESTALE;
	if (!job->output_unreachable && job_set(&job->error, NULL) < 0)
		return -ENOMEM;
	return job_set(&job->outputs[whole->index].sha256, whole->sha256);
}

static void output_whole(void *ctx, uint64_t number, unsigned index, const char *sha256)
{
	struct engine *engine = ctx;
	const struct job *job = engine_get(engine, number);
	struct whole whole = { index, sha256 };
	char *note = text_format("output %u: downloaded and checked, SHA-256 %s", index + 1,
				 sha256);
	struct change change = {
		.number = number,
		.contents = job && !job->error,
		.edit = edit_whole,
		.arg = &whole,
		.heard = true,
		.note = note ? note : "downloaded and checked",
	};

	engine_change(engine, &change);
	job_put(job);
	free(note);
}

static bool output_wanted(void *ctx, uint64_t number, unsigned index)
{
	const struct job *job = engine_get(ctx, number);
	bool wanted = job && job->state == JOB_COMPLETED && index < job->output_count;

	job_put(job);
	return wanted;
}

static void output_unfetched(void *ctx, uint64_t number, unsigned index)
{
	struct engine *engine = ctx;
	const struct job *job = engine->conf.prefetch ? engine_get(engine, number) : NULL;

	if (job && job->state == JOB_COMPLETED && index < job->output_count &&
	    job->outputs[index].size >= 0) {
		struct output_source source = source_of(job, index);
		output_prefetch(engine->cache, &source);
	}
	job_put(job);
}

struct output_events engine_output_events(struct engine *engine)
{
	return (struct output_events){
		.ctx = engine,
		.expired = output_expired,
		.failed = output_failed,
		.whole = output_whole,
		.wanted = output_wanted,
		.unfetched = output_unfetched,
	};
}
