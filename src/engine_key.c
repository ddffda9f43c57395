/*
 * engine_key - what a refused key means for jobs
 *
 * A key that is missing or refused is the writer's error, who is told by an errno: nothing was
 * bought. But a job must not fail because a key expired, or was changed, in the middle of the
 * night. So it waits for a key that works
 *  - when the service has accepted the key since this driver began, or
 *  - when nobody stands by to be told: it was put off before, or an earlier run left it.
 * The first answer to an accepted key lets all of them go on at once.
 */
#include "engine_internal.h"

#include <errno.h>

bool engine_waits_for_key(struct engine *engine, const struct job *job)
{
	const struct entry *entry;
	bool inherited;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, job->number);
	inherited = entry && entry->loaded_attempt == job->attempts;
	pthread_mutex_unlock(&engine->table_lock);
	return engine->key_worked || job->failures || inherited;
}

static bool is_held(const struct job *job)
{
	return job->state == JOB_WAITING &&
	       (job->error_errno == EKEYREJECTED || job->error_errno == ENOKEY);
}

static void release_held(struct engine *engine)
{
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	for (uint64_t number = 0; (entry = table_after(&engine->table, number)) != NULL;
	     number = entry->number) {
		if (is_held(entry->job))
			engine_arm_locked(engine, entry, engine_send_queue(entry->job), 0);
		else if (entry->poll_failures && job_is(entry->job, JOB_POLLED_STATES))
			engine_arm_locked(engine, entry, QUEUE_POLL, 0);
	}
	pthread_mutex_unlock(&engine->table_lock);
}

void engine_heard(struct engine *engine, const struct remote_reply *reply)
{
	if (reply->http_status == 401 || reply->fault == REMOTE_NO_KEY) {
		engine->key_refused = true;
	} else if (reply->http_status >= 200 && reply->http_status < 300) {
		if (engine->key_refused)
			release_held(engine);
		engine->key_refused = false;
		engine->key_worked = true;
	}
}
