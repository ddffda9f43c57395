/*
 * engine_publish - a person's own image, from this disk to a URL that the service can fetch
 *
 * A job with an image waits for its turn to be published before it waits for its turn to be sent
 * (engine_send_queue): the URL is then in its parameters, in the books, and what is sent is what
 * they say. Where an image was published already, that URL does, unless it is about to expire.
 *
 * Single flight: the jobs that want an image which is on its way join its publication. Only the
 * network thread begins one, and it looks for one under way before it looks into the books; who
 * ends one writes into the books first. So none is begun for what has just been published.
 */
#include "engine_internal.h"
#include "image.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The service must be able to fetch the image for as long after the POST: it queues jobs. */
#define URL_LASTS_MS (24 * 3600 * 1000)

/* Without anything new for so long, all that belongs to an image is here; if there is always
 * something new, it is sent after this time. */
#define QUIET_MS       1000
#define QUIET_AFTER_MS (2 * QUIET_MS)
#define NEVER_QUIET_MS (60 * QUIET_MS)

#define NO_CREDENTIALS                                                                             \
	"there are no credentials for the bucket: s3_credentials= or ~/.aws/credentials has them"

/* A job that waits for a publication. */
struct waiting {
	uint64_t number;
	unsigned attempt;
};

struct publication {
	struct engine *engine;
	struct publication *next;
	struct spool_file *file;
	uint64_t first; /* the job that has the place in the queue */
	struct waiting *jobs;
	size_t count;
};

const char *engine_publishes(const struct engine *engine)
{
	return engine->publisher ? engine->publisher->where : NULL;
}

void engine_stir(struct engine *engine)
{
	engine->stirred_ms = engine_mono(engine);
}

int64_t engine_image_delay(struct engine *engine, const struct job *job)
{
	int64_t now = engine_mono(engine), quiet = engine->stirred_ms + QUIET_AFTER_MS, last = now;
	struct entry *entry;

	if (!engine->stirred_ms)
		return 0;
	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, job->number);
	if (entry && entry->held_attempt != job->attempts) {
		entry->held_attempt = job->attempts;
		entry->held_since_ms = now;
	}
	if (entry)
		last = entry->held_since_ms + NEVER_QUIET_MS;
	pthread_mutex_unlock(&engine->table_lock);
	return (quiet < last ? quiet : last) - now;
}

void engine_keep_image(struct engine *engine, struct entry *entry, const struct job *job)
{
	struct spool_file *before = entry->image, *after = NULL;
	bool needed = job && job_needs_image(job);

	if (needed && before && strcmp(spool_name(before), job->image) == 0)
		return;
	if (needed && engine->spool && spool_find(engine->spool, job->image, &after) < 0)
		after = NULL; /* told when it is to be published */
	entry->image = after;
	spool_put(before);
}

/* Outcomes */

static void apply(struct engine *engine, const struct waiting *job, const struct job_event *event)
{
	struct change change = { .number = job->number, .attempt = job->attempt, .event = event };

	engine_change(engine, &change);
}

static void refuse(struct engine *engine, const struct waiting *job, int error, const char *why)
{
	char *reason = text_format("The image could not be published: %s. Nothing was sent, and "
				   "nothing was charged. Remove the cause, then write the image, "
				   "or params.json, again.",
				   why);
	struct job_event event = {
		.kind = JOB_EVENT_REFUSED,
		.now_ms = engine_wall(engine),
		.error = error,
		.reason = reason,
	};

	apply(engine, job, &event);
	free(reason);
}

static void postpone(struct engine *engine, const struct waiting *waiting, const char *why)
{
	const struct job *job = engine_get(engine, waiting->number);
	struct job_event event = { .kind = JOB_EVENT_NOT_SENT, .now_ms = engine_wall(engine) };
	char time[JOB_TIME_MAX], *reason;

	if (!job)
		return;
	event.retry_at_ms = event.now_ms + sched_retry_delay(&engine->conf.sched, job->failures + 1,
							     -1, engine_random(engine));
	reason = text_format("The image could not be published yet: %s. Nothing was sent, and "
			     "nothing was charged. It is tried again by itself, next at %s.",
			     why, job_time(event.retry_at_ms, time));
	event.reason = reason;
	apply(engine, waiting, &event);
	free(reason);
	job_put(job);
}

static void not_published(struct engine *engine, const struct waiting *job, int error, bool refused,
			  const char *why)
{
	if (refused || engine->conf.submit_sync)
		refuse(engine, job, error, why);
	else
		postpone(engine, job, why);
}

/* What a change of the parameters has to write, made once the job cannot change meanwhile. */
struct rewrite {
	struct change *change;
	const char *url;       /* of a publication; NULL: */
	struct params *params; /* new ones. Owned where there is a URL */
	char *body, *warnings;
};

static int set_body(struct rewrite *rewrite)
{
	rewrite->body = params_format(rewrite->params);
	rewrite->change->texts.params = rewrite->body;
	rewrite->change->params = rewrite->params;
	return rewrite->body ? 0 : -ENOMEM;
}

static int edit_url(struct engine *engine, struct job *job, void *arg)
{
	struct rewrite *rewrite = arg;
	char error[PARAMS_ERROR_MAX], *text;
	size_t len;
	int r;

	if (job->state != JOB_WAITING || !job->image)
		return -ESTALE;
	if (job->image_url && strcmp(job->image_url, rewrite->url) == 0)
		return -EALREADY;
	r = store_text(engine->store, job->number, JOB_TEXT_PARAMS, &text, &len);
	if (r < 0)
		return r;
	if (params_parse(text, len, &rewrite->params, error) != PARAMS_OK)
		r = -EUCLEAN;
	free(text);
	if (r == 0)
		r = params_set_image_url(rewrite->params, rewrite->url);
	return r == 0 ? set_body(rewrite) : r;
}

/* JOB is sent with URL. */
static void use_url(struct engine *engine, const struct waiting *job, const char *url)
{
	char *note = text_format("WAITING: its image is published at %s", engine->publisher->where);
	struct rewrite rewrite = { .url = url };
	struct change change = {
		.number = job->number,
		.attempt = job->attempt,
		.edit = edit_url,
		.arg = &rewrite,
		.note = note ? note : "WAITING",
	};
	int r;

	rewrite.change = &change;
	r = engine_change(engine, &change);
	if (r == -EINVAL)
		refuse(engine, job, EINVAL, "what it was published as is no URL for the service");
	else if (r >= 0 || r == -EALREADY)
		engine_arm(engine, QUEUE_SEND, job->number, 0);
	else if (r != -ESTALE && r != -ENOENT)
		engine_arm(engine, QUEUE_PUBLISH, job->number, engine->conf.sched.retry_max_ms);
	params_free(rewrite.params);
	free(rewrite.body);
	free(note);
}

/* Publications */

static void end_publication(struct publication *publication)
{
	struct engine *engine = publication->engine;
	struct publication **at = &engine->publications;

	pthread_mutex_lock(&engine->table_lock);
	while (*at && *at != publication)
		at = &(*at)->next;
	if (*at)
		*at = publication->next;
	pthread_mutex_unlock(&engine->table_lock);
	engine_idle(engine, QUEUE_PUBLISH, publication->first);
}

static void published(void *arg, const struct published *result)
{
	struct publication *publication = arg;
	struct engine *engine = publication->engine;
	const char *name = spool_name(publication->file);
	struct store_image image = { .url = (char *)result->url,
				     .expires_ms = result->expires_ms,
				     .receipt = (char *)result->receipt };
	int r = result->error
			? 0
			: store_set_image(engine->store, name, engine->publisher->where, &image);

	if (r < 0)
		log_errno(r, "%s was published, which could not be recorded", name);
	end_publication(publication);
	for (size_t i = 0; i < publication->count; i++) {
		const struct waiting *job = &publication->jobs[i];
		if (!result->error)
			use_url(engine, job, result->url);
		else if (result->error != ESHUTDOWN)
			not_published(engine, job, result->error, result->refused, result->detail);
	}
	engine->remote->wake(engine->remote->ctx);
	spool_put(publication->file);
	free(publication->jobs);
	free(publication);
}

static int add_job(struct publication *publication, const struct job *job)
{
	struct waiting *jobs = reallocarray(publication->jobs, publication->count + 1,
					    sizeof(*jobs));

	if (!jobs)
		return -ENOMEM;
	jobs[publication->count++] = (struct waiting){ job->number, job->attempts };
	publication->jobs = jobs;
	return 0;
}

/* true: JOB's image is on its way, and JOB goes on when it has arrived. */
static bool join(struct engine *engine, const struct job *job)
{
	struct publication *publication;
	bool joined;

	pthread_mutex_lock(&engine->table_lock);
	publication = engine->publications;
	while (publication && strcmp(spool_name(publication->file), job->image) != 0)
		publication = publication->next;
	joined = publication && add_job(publication, job) == 0;
	pthread_mutex_unlock(&engine->table_lock);
	return joined;
}

static struct publication *new_publication(struct engine *engine, const struct job *job,
					   struct spool_file *file)
{
	struct publication *publication = calloc(1, sizeof(*publication));

	if (!publication || add_job(publication, job) < 0) {
		free(publication);
		return NULL;
	}
	publication->engine = engine;
	publication->file = spool_ref(file);
	publication->first = job->number;
	pthread_mutex_lock(&engine->table_lock);
	publication->next = engine->publications;
	engine->publications = publication;
	pthread_mutex_unlock(&engine->table_lock);
	return publication;
}

/* 0: published() comes; -errno: it does not. */
static int begin(struct engine *engine, const struct job *job, struct spool_file *file,
		 const char *receipt)
{
	char path[PATH_MAX], sha256[SPOOL_SHA256 + 1];
	const char *extension = strrchr(job->image, '.') + 1;
	struct publish_image image = { .path = path,
				       .sha256 = sha256,
				       .media_type = image_media_type(
					       image_of_extension(extension)),
				       .extension = extension,
				       .receipt = receipt };
	struct publication *publication;
	int r = spool_size(file, &image.size);

	if (r < 0)
		return r;
	publication = new_publication(engine, job, file);
	if (!publication)
		return -ENOMEM;
	spool_path(file, path);
	snprintf(sha256, sizeof(sha256), "%.*s", SPOOL_SHA256, job->image);
	r = engine->publisher->publish(engine->publisher->ctx, &image, published, publication);
	if (r < 0)
		published(publication,
			  &(struct published){ .error = -r,
					       .detail = r == -ENOKEY ? NO_CREDENTIALS
								      : strerror(-r) });
	return 0;
}

static bool lasts(const struct engine *engine, const struct store_image *image)
{
	return image->url &&
	       (!image->expires_ms || image->expires_ms - engine_wall(engine) > URL_LASTS_MS);
}

/* JOB has a place in the queue, which it keeps only while something is under way for it. */
static void publish(struct engine *engine, const struct job *job)
{
	struct waiting waiting = { job->number, job->attempts };
	struct spool_file *file = NULL;
	struct store_image known;
	int r = store_image(engine->store, job->image, engine->publisher->where, &known);

	if (r == 0 && lasts(engine, &known)) {
		engine_idle(engine, QUEUE_PUBLISH, job->number);
		use_url(engine, &waiting, known.url);
		store_image_release(&known);
		return;
	}
	if (r == 0)
		r = engine->spool ? spool_find(engine->spool, job->image, &file) : -ENOENT;
	if (r == 0)
		r = begin(engine, job, file, known.receipt);
	spool_put(file);
	store_image_release(&known);
	if (r == 0)
		return;
	engine_idle(engine, QUEUE_PUBLISH, job->number);
	not_published(engine, &waiting, -r, r == -ENOENT,
		      r == -ENOENT ? "it is gone from the state directory" : strerror(-r));
}

void engine_publish(struct engine *engine, uint64_t number)
{
	const struct job *job = engine_get(engine, number);
	bool wanted = job && job->state == JOB_WAITING && job->image;

	if (wanted && !engine->publisher)
		engine_tell(engine, job,
			    "It has an image that is to be published first, and this mount has no "
			    "upload=. Nothing was sent, and nothing was charged: it waits for a "
			    "mount that has.");
	if (wanted && engine->publisher && !join(engine, job))
		publish(engine, job);
	else
		engine_idle(engine, QUEUE_PUBLISH, number);
	job_put(job);
}

/* Parameters that come after their image */

static bool is_being_sent(struct engine *engine, uint64_t number)
{
	const struct entry *entry;
	bool busy;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	busy = entry && entry->busy[QUEUE_SEND];
	pthread_mutex_unlock(&engine->table_lock);
	return busy;
}

/* 0 or -EROFS. */
static int not_sent_yet(struct engine *engine, const struct job *job)
{
	return job->state == JOB_WAITING && job->image && !is_being_sent(engine, job->number)
		       ? 0
		       : -EROFS;
}

static int edit_params(struct engine *engine, struct job *job, void *arg)
{
	struct rewrite *rewrite = arg;
	struct job_event event = {
		.kind = JOB_EVENT_SUBMIT,
		.now_ms = engine_wall(engine),
		.price = price_of(&engine->conf.prices, params_texture_size(rewrite->params)),
	};
	int64_t price = event.price;
	int r = not_sent_yet(engine, job);

	/* What it costs so far is counted already. */
	event.price -= job->price;
	if (r == 0 && event.price > 0)
		r = engine_afford(engine, &event);
	if (r == 0 && job->image_url)
		r = params_set_image_url(rewrite->params, job->image_url);
	if (r == 0)
		r = job_set(&job->warning, rewrite->warnings);
	job->price = price;
	return r == 0 ? set_body(rewrite) : r;
}

int engine_amend(struct engine *engine, uint64_t number, struct params *params)
{
	struct rewrite rewrite = { .params = params };
	struct change change = {
		.number = number,
		.edit = edit_params,
		.arg = &rewrite,
		.note = "WAITING: its parameters have come",
	};
	int r = engine->conf.read_only ? -EROFS : engine_complete(engine, params);

	rewrite.change = &change;
	rewrite.warnings = params_warnings(params);
	if (r == 0)
		r = engine_change(engine, &change);
	free(rewrite.warnings);
	free(rewrite.body);
	return r < 0 ? r : 0;
}

static int edit_nothing(struct engine *engine, struct job *job, void *arg)
{
	(void)arg;
	return not_sent_yet(engine, job);
}

int engine_call_off(struct engine *engine, uint64_t number, int error, const char *reason)
{
	struct job_event event = {
		.kind = JOB_EVENT_REFUSED,
		.now_ms = engine_wall(engine),
		.error = error,
		.reason = reason,
	};
	struct change change = { .number = number, .edit = edit_nothing, .event = &event };
	int r = engine_change(engine, &change);

	return r < 0 ? r : 0;
}

bool engine_is_sync(const struct engine *engine)
{
	return engine->conf.submit_sync;
}
