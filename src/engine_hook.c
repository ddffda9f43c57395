/*
 * engine_hook - what a callback of the service means
 *
 * Token:   drawn for each POST and committed with its intent, so that a callback after a crash
 *          finds its job. It dies with the attempt: an older attempt's callback is not expected.
 * Hint:    a callback leads to one poll, at once or HINT_MS after the last one that a callback led
 *          to. One that comes while a poll is under way leads to another: that one may have been
 *          answered before what the callback is about.
 * Claim:   where the POST's answer is missing, or was a refusal, the request id that the callback
 *          names is committed as the job's claim before the callback is answered. The service is
 *          asked whether it knows the id (engine_poll.c), and only then is it the job's.
 * Pace:    where callbacks come, polls are a safety net, and rare. Whether they come is learnt:
 *          from the first one, until a poll finds an end that no callback has told of. A job that
 *          was called about is polled as usual from then on: the answer may lag behind the call.
 */
#include "engine_internal.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HINT_MS 300

/* The token. */

int engine_draw_token(const struct engine *engine, char token[API_TOKEN_LEN + 1])
{
	unsigned char bytes[API_TOKEN_LEN / 2];
	int r = engine->world->secret(engine->world->ctx, bytes, sizeof(bytes));

	for (size_t i = 0; r == 0 && i < sizeof(bytes); i++)
		snprintf(token + 2 * i, 3, "%02x", bytes[i]);
	return r;
}

/* In a time that says nothing of where they differ. */
static bool same_secret(const char *a, const char *b)
{
	unsigned char difference = 0;

	for (size_t i = 0; i < API_TOKEN_LEN; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

/* What is compared where there is no token. */
static const char nobody[API_TOKEN_LEN + 1] = "................................";

/* With a reference; NULL: TOKEN is not that of job NUMBER's present attempt. */
static const struct job *expected_job(struct engine *engine, uint64_t number, const char *token)
{
	const struct job *job = engine_get(engine, number);
	bool has_token = job && job->token && strlen(job->token) == API_TOKEN_LEN;

	if (same_secret(token, has_token ? job->token : nobody) && has_token)
		return job;
	job_put(job);
	return NULL;
}

bool engine_callback_expected(struct engine *engine, uint64_t number, const char *token)
{
	const struct job *job = expected_job(engine, number, token);

	job_put(job);
	return job != NULL;
}

char *engine_redacted(const struct job *job, struct remote_reply *reply)
{
	const char *body = reply->body;
	size_t len = reply->body_len, token_len = job->token ? strlen(job->token) : 0;
	char *copy, *at;

	if (!token_len || !memmem(body, len, job->token, token_len))
		return NULL;
	copy = calloc(1, len + 1);
	reply->body = copy ? copy : "";
	reply->body_len = copy ? len : 0;
	if (!copy)
		return NULL;
	memcpy(copy, body, len);
	for (at = copy; (at = memmem(at, (size_t)(copy + len - at), job->token, token_len));)
		memset(at, '*', token_len);
	return copy;
}

/* The pace. */

const struct sched_policy *engine_pace(const struct engine *engine, const struct entry *entry)
{
	bool called = entry->called_attempt == entry->job->attempts;

	return engine->callbacks_come && entry->job->token && !called ? &engine->slow
								      : &engine->conf.sched;
}

/* Arms the poll's timer, unless it is due earlier already. */
static void hasten_locked(struct engine *engine, struct entry *entry, int64_t delay_ms)
{
	const struct sched_timer *timer = &entry->timers[QUEUE_POLL];

	if (!timer->slot || timer->due_ms > engine_mono(engine) + delay_ms)
		engine_arm_locked(engine, entry, QUEUE_POLL, delay_ms);
}

void engine_not_called(struct engine *engine, const struct job *job)
{
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, job->number);
	if (engine->callbacks_come && job->token && entry &&
	    entry->called_attempt != job->attempts) {
		engine->callbacks_come = false;
		for (uint64_t number = 0; (entry = table_after(&engine->table, number)) != NULL;
		     number = entry->number)
			if (job_is(entry->job, JOB_POLLED_STATES))
				hasten_locked(engine, entry,
					      engine_poll_delay_locked(engine, entry));
	}
	pthread_mutex_unlock(&engine->table_lock);
}

/* The hint. */

int64_t engine_hint_delay(const struct engine *engine, const struct entry *entry)
{
	int64_t delay = entry->hint_polled_ms
				? entry->hint_polled_ms + HINT_MS - engine_mono(engine)
				: 0;

	return delay > 0 ? delay : 0;
}

void engine_hint_taken_locked(const struct engine *engine, struct entry *entry)
{
	if (entry->hinted)
		entry->hint_polled_ms = engine_mono(engine);
	entry->hinted = false;
}

/* A service that said when to come again is not asked before. */
static void hint(struct engine *engine, const struct job *job)
{
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	engine->callbacks_come = true;
	entry = table_find(&engine->table, job->number);
	if (entry && entry->job->attempts == job->attempts) {
		entry->called_attempt = job->attempts;
		entry->hinted = job_is_polled(entry->job) || entry->job->state == JOB_SUBMITTING;
		if (job_is_polled(entry->job) && entry->retry_after_ms < 0)
			hasten_locked(engine, entry, engine_hint_delay(engine, entry));
	}
	pthread_mutex_unlock(&engine->table_lock);
	engine->remote->wake(engine->remote->ctx);
}

/* The claim. */

int engine_free_id(struct engine *engine, struct job *job, void *arg)
{
	const struct job *other = engine_find_request(engine, arg);
	bool taken = other && other->number != job->number;

	job_put(other);
	return taken ? -EEXIST : 0;
}

static int claim(struct engine *engine, const struct job *job, const char *request_id)
{
	struct job_event event = {
		.kind = JOB_EVENT_CALLED,
		.now_ms = engine_wall(engine),
		.request_id = request_id,
	};
	struct change change = {
		.number = job->number,
		.attempt = job->attempts,
		.edit = engine_free_id,
		.arg = (char *)request_id,
		.event = &event,
	};

	return engine_change(engine, &change);
}

int engine_callback(struct engine *engine, uint64_t number, const char *token,
		    const char *request_id)
{
	const struct job *job = expected_job(engine, number, token);
	bool news = job && request_id && !job->request_id &&
		    (!job->claim || strcmp(job->claim, request_id) != 0);
	int r = job ? 0 : -ENOENT;

	if (news)
		r = claim(engine, job, request_id);
	/* Another job's id, or the POST's answer was faster: there is nothing to claim. */
	if (r > 0 || r == -EEXIST || r == -EINVAL)
		r = 0;
	if (r == 0)
		hint(engine, job);
	job_put(job);
	return r == -ESTALE ? -ENOENT : r;
}
