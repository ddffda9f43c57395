/*
 * engine_poll - asking the service how a job is doing, or whether it knows what a callback named
 *
 * A poll that brings nothing new writes nothing. One that fails is repeated, ever more slowly, for
 * as long as the job is there: what was paid for is never given up. After TELL_AFTER failures in a
 * row, or at once when it is the key, the person is told, until the next good answer.
 */
#include "engine_internal.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_AFTER 3

struct poll {
	struct engine *engine;
	uint64_t number;
	unsigned attempt;
	char *id; /* the request that it is about */
};

static int edit_error(struct engine *engine, struct job *job, void *arg)
{
	(void)engine;
	return job_set(&job->error, arg);
}

void engine_tell(struct engine *engine, const struct job *job, const char *error)
{
	struct change change = {
		.number = job->number,
		.attempt = job->attempts,
		.edit = edit_error,
		.arg = (char *)error,
		.note = error,
	};

	if (!error || (job->error && strcmp(job->error, error) == 0))
		return;
	engine_change(engine, &change);
}

/* The request that the service is asked for; NULL: none. */
static const char *asked_id(const struct job *job)
{
	return job->request_id ? job->request_id : job_is_polled(job) ? job->claim : NULL;
}

static bool is_about(const struct poll *poll, const struct job *job)
{
	const char *id = job ? asked_id(job) : NULL;

	return id && job->attempts == poll->attempt && strcmp(id, poll->id) == 0;
}

static void free_poll(struct poll *poll)
{
	if (poll)
		free(poll->id);
	free(poll);
}

/* No news: gives the place in the queue back and asks again later. */
static void failed(struct engine *engine, const struct job *job, int64_t retry_after_ms,
		   unsigned tell_after, const char *why)
{
	unsigned failures;
	char *error;

	engine_polled(engine, job->number);
	failures = engine_poll_again(engine, job->number, true, retry_after_ms);
	if (failures < tell_after || !job_is(job, JOB_POLLED_STATES))
		return;
	error = text_format("How this job is doing is not known at the moment: %s. It is asked "
			    "again by itself; the status is the last one that was heard.",
			    why);
	engine_tell(engine, job, error);
	free(error);
}

/* What the person is told at an end that is none they wanted. */
static char *reason_of(enum job_state state, const char *message, int64_t retry_at_ms)
{
	char time[JOB_TIME_MAX];

	if (!message)
		message = "no reason given";
	switch (state) {
	case JOB_FAILED:
		return text_format("The generation failed: %s. Whether it was charged is not "
				   "documented: see the account. Write params.json again to try "
				   "once more, which costs again.",
				   message);
	case JOB_ERROR:
		if (retry_at_ms)
			return text_format("The service had an error of its own: %s. According to "
					   "its documentation this is not charged. It is submitted "
					   "again by itself at %s (retry_errors=).",
					   message, job_time(retry_at_ms, time));
		return text_format("The service had an error of its own: %s. According to its "
				   "documentation this is not charged. Write params.json again to "
				   "try once more.",
				   message);
	case JOB_CANCELLED:
		return text_format("The service says that this was cancelled: %s. Whether it was "
				   "charged is not documented: see the account. Write params.json "
				   "again to try once more, which costs again.",
				   message);
	default: return NULL;
	}
}

static bool is_news(const struct job *job, enum job_state state, const char *word)
{
	if (state != job->state || job->error || !job->word)
		return true;
	return state == JOB_OTHER && (!job->word || strcmp(job->word, word) != 0);
}

static void answered(struct engine *engine, const struct job *job, const struct api_status *status,
		     const struct remote_reply *reply)
{
	enum job_state state = job_state_of_word(status->word);
	int64_t retry_at_ms = state == JOB_ERROR ? engine_retry_at(engine, job) : 0;
	char *reason = reason_of(state, status->message, retry_at_ms);
	struct job_event event = {
		.kind = JOB_EVENT_STATUS,
		.now_ms = engine_wall(engine),
		.word = status->word,
		.reason = reason,
		.retry_at_ms = retry_at_ms,
	};
	struct change change = {
		.number = job->number,
		.attempt = job->attempts,
		.heard = true,
		.event = &event,
		.texts = { .status = reply->body, .status_len = reply->body_len },
	};

	engine_polled(engine, job->number);
	/* An end is final: of a job that has ended only its outputs are asked for. */
	engine_poll_again(engine, job->number, !job_is(job, JOB_POLLED_STATES), -1);
	if (job_is(job, JOB_POLLED_STATES) && is_news(job, state, status->word))
		engine_change(engine, &change);
	free(reason);
}

/* The service does not know an id that only the user vouches for. */
static void disown(struct engine *engine, const struct job *job)
{
	char *reason = text_format("The service does not know the request id %s. Nothing was "
				   "charged for asking. Check it, and write it to request_id "
				   "again%s.",
				   job->request_id,
				   job->attempts
					   ? "; or, if the request is not to be found in the "
					     "service's dashboard, write params.json again, which "
					     "is a second purchase should it turn up after all"
					   : "");
	struct job_event event = {
		.kind = JOB_EVENT_UNKNOWN,
		.now_ms = engine_wall(engine),
		.reason = reason,
		.error = ENOENT,
	};
	struct change change = {
		.number = job->number, .attempt = job->attempts, .heard = true, .event = &event
	};

	engine_polled(engine, job->number);
	engine_change(engine, &change);
	free(reason);
}

static void disclaim(struct engine *engine, const struct job *job, const char *why)
{
	char *reason = text_format("request %s, which a callback named, is %s", job->claim, why);
	struct job_event event = { .kind = JOB_EVENT_UNKNOWN,
				   .now_ms = engine_wall(engine),
				   .reason = reason };
	struct change change = {
		.number = job->number, .attempt = job->attempts, .heard = true, .event = &event
	};

	engine_change(engine, &change);
	free(reason);
}

/* The service knows the request that a callback named as this job's. Its word is left to the next
 * poll, which has all of it. */
static void confirm(struct engine *engine, const struct job *job, const struct api_status *status,
		    const struct remote_reply *reply)
{
	struct job_event event = {
		.kind = JOB_EVENT_ACCEPTED,
		.now_ms = engine_wall(engine),
		.request_id = job->claim,
		.word = status->word,
	};
	struct change change = {
		.number = job->number,
		.attempt = job->attempts,
		.heard = true,
		.edit = engine_free_id,
		.arg = job->claim,
		.event = &event,
		.texts = { .status = reply->body, .status_len = reply->body_len },
	};

	if (engine_change(engine, &change) >= 0)
		engine_arm(engine, QUEUE_POLL, job->number, 0);
	else if (change.result == -EEXIST)
		disclaim(engine, job, "another job's");
}

/* true: all that was to be done is done. */
static bool read_claim(struct engine *engine, const struct job *job,
		       const struct api_status *status, const struct remote_reply *reply)
{
	if (status->kind != API_STATUS_OK && status->kind != API_STATUS_UNKNOWN)
		return false;
	engine_polled(engine, job->number);
	engine_poll_again(engine, job->number, false, -1);
	if (status->kind == API_STATUS_OK)
		confirm(engine, job, status, reply);
	else
		disclaim(engine, job, "nothing that the service knows");
	return true;
}

static void read_answer(struct engine *engine, const struct job *job,
			const struct remote_reply *reply)
{
	struct api_status status;
	char why[256];

	if (api_status_parse(reply->http_status, reply->body, reply->body_len, asked_id(job),
			     &status) < 0) {
		failed(engine, job, -1, TELL_AFTER, "out of memory");
		return;
	}
	if (!job->request_id && read_claim(engine, job, &status, reply)) {
		api_status_release(&status);
		return;
	}
	if (status.kind == API_STATUS_OK) {
		if (JOB_IN(job_state_of_word(status.word)) & JOB_TERMINAL_STATES)
			engine_not_called(engine, job);
		if (job_state_of_word(status.word) == JOB_COMPLETED)
			engine_size(engine, job, &status, reply);
		else
			answered(engine, job, &status, reply);
		api_status_release(&status);
		return;
	}
	if (status.kind == API_STATUS_UNKNOWN && !job->word && job_is(job, JOB_POLLED_STATES)) {
		api_status_release(&status);
		disown(engine, job);
		return;
	}
	snprintf(why, sizeof(why), "%s (HTTP %ld%s%s)",
		 status.kind == API_STATUS_NO_KEY    ? "the service does not accept the API key"
		 : status.kind == API_STATUS_UNKNOWN ? "the service does not know the request id"
						     : "the service gave no usable answer",
		 reply->http_status, status.message ? ": " : "",
		 status.message ? status.message : "");
	failed(engine, job, reply->retry_after_ms,
	       status.kind == API_STATUS_NO_KEY ? 1 : TELL_AFTER, why);
	api_status_release(&status);
}

static void read_redacted(struct engine *engine, const struct job *job, struct remote_reply reply)
{
	char *copy = engine_redacted(job, &reply);

	read_answer(engine, job, &reply);
	free(copy);
}

/* The job has become another one meanwhile, and may wait for a poll of its own. */
static void overtaken(struct engine *engine, uint64_t number)
{
	engine_polled(engine, number);
	engine_poll_again(engine, number, false, -1);
}

static void done(void *arg, const struct remote_reply *reply)
{
	struct poll *poll = arg;
	struct engine *engine = poll->engine;
	const struct job *job = engine_get(engine, poll->number);

	engine_heard(engine, reply);
	if (reply->fault == REMOTE_STOPPED)
		engine_idle(engine, QUEUE_POLL, poll->number);
	else if (!is_about(poll, job))
		overtaken(engine, poll->number);
	else if (reply->fault != REMOTE_OK)
		failed(engine, job, reply->retry_after_ms,
		       reply->fault == REMOTE_NO_KEY ? 1 : TELL_AFTER, reply->detail);
	else
		read_redacted(engine, job, *reply);
	job_put(job);
	free_poll(poll);
}

static int begin(struct engine *engine, const struct job *job)
{
	struct poll *poll = calloc(1, sizeof(*poll));
	char *url = api_status_url(engine->gateway, asked_id(job), job->polling_url);
	int r = -ENOMEM;

	if (poll)
		poll->id = strdup(asked_id(job));
	if (poll && poll->id && url) {
		poll->engine = engine;
		poll->number = job->number;
		poll->attempt = job->attempts;
		r = engine->remote->status(engine->remote->ctx, url, done, poll);
	}
	if (r < 0)
		free_poll(poll);
	free(url);
	return r;
}

void engine_poll(struct engine *engine, uint64_t number)
{
	const struct job *job = engine_get(engine, number);
	int r = job && asked_id(job) ? begin(engine, job) : -ESHUTDOWN;

	if (r == -ESHUTDOWN)
		engine_idle(engine, QUEUE_POLL, number);
	else if (r < 0)
		failed(engine, job, -1, TELL_AFTER, strerror(-r));
	job_put(job);
}
