/*
 * job - the record; job_moves.c changes it
 */
#include "job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *const state_names[JOB_STATES] = {
	[JOB_DRAFT] = "DRAFT",           [JOB_WAITING] = "WAITING", [JOB_SUBMITTING] = "SUBMITTING",
	[JOB_UNCERTAIN] = "UNCERTAIN",   [JOB_REFUSED] = "REFUSED", [JOB_QUEUED] = "QUEUED",
	[JOB_PROCESSING] = "PROCESSING", [JOB_OTHER] = "OTHER",     [JOB_COMPLETED] = "COMPLETED",
	[JOB_FAILED] = "FAILED",         [JOB_ERROR] = "ERROR",     [JOB_CANCELLED] = "CANCELLED",
};

static void free_output(struct job_output *output)
{
	free(output->url);
	free(output->name);
	free(output->media_type);
	free(output->etag);
	free(output->sha256);
	*output = (struct job_output){ .size = -1 };
}

void job_clear_outputs(struct job *job)
{
	for (size_t i = 0; i < job->output_count; i++)
		free_output(&job->outputs[i]);
	free(job->outputs);
	job->outputs = NULL;
	job->output_count = 0;
	job->output_unreachable = false;
}

struct job_output *job_add_output(struct job *job)
{
	struct job_output *outputs = realloc(job->outputs,
					     (job->output_count + 1) * sizeof(*outputs));

	if (!outputs)
		return NULL;
	job->outputs = outputs;
	outputs += job->output_count++;
	*outputs = (struct job_output){ .size = -1 };
	return outputs;
}

struct job *job_new(void)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job)
		job->refs = 1;
	return job;
}

static int copy_output(struct job_output *to, const struct job_output *from)
{
	to->size = from->size;
	to->mtime_ms = from->mtime_ms;
	to->version = from->version;
	if (job_set(&to->url, from->url) < 0 || job_set(&to->name, from->name) < 0 ||
	    job_set(&to->media_type, from->media_type) < 0 || job_set(&to->etag, from->etag) < 0 ||
	    job_set(&to->sha256, from->sha256) < 0)
		return -ENOMEM;
	return 0;
}

static int copy_strings(struct job *to, const struct job *from)
{
	if (job_set(&to->name, from->name) < 0 || job_set(&to->label, from->label) < 0 ||
	    job_set(&to->word, from->word) < 0 || job_set(&to->request_id, from->request_id) < 0 ||
	    job_set(&to->polling_url, from->polling_url) < 0 ||
	    job_set(&to->token, from->token) < 0 || job_set(&to->claim, from->claim) < 0 ||
	    job_set(&to->error, from->error) < 0 || job_set(&to->warning, from->warning) < 0 ||
	    job_set(&to->image_url, from->image_url) < 0 || job_set(&to->image, from->image) < 0 ||
	    job_set(&to->origin, from->origin) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < from->output_count; i++) {
		struct job_output *output = job_add_output(to);
		if (!output || copy_output(output, &from->outputs[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

struct job *job_copy(const struct job *job)
{
	struct job *copy = job_new();

	if (!copy)
		return NULL;
	*copy = (struct job){
		.number = job->number,
		.state = job->state,
		.error_errno = job->error_errno,
		.attempts = job->attempts,
		.retries = job->retries,
		.price = job->price,
		.earlier = job->earlier,
		.failures = job->failures,
		.created_ms = job->created_ms,
		.submitted_ms = job->submitted_ms,
		.changed_ms = job->changed_ms,
		.ended_ms = job->ended_ms,
		.retry_at_ms = job->retry_at_ms,
		.hidden = job->hidden,
		.uid = job->uid,
		.gid = job->gid,
		.mode = job->mode,
		.texture_size = job->texture_size,
		.revision = job->revision,
		.output_unreachable = job->output_unreachable,
		.refs = 1,
	};
	memcpy(copy->text_len, job->text_len, sizeof(copy->text_len));
	if (copy_strings(copy, job) < 0) {
		job_put(copy);
		return NULL;
	}
	return copy;
}

const struct job *job_get(const struct job *job)
{
	/* The count is the one part of a published job that changes. */
	__atomic_add_fetch(&((struct job *)job)->refs, 1, __ATOMIC_RELAXED);
	return job;
}

void job_put(const struct job *job)
{
	struct job *mine = (struct job *)job;

	if (!mine || __atomic_sub_fetch(&mine->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	job_clear_outputs(mine);
	free(mine->name);
	free(mine->label);
	free(mine->word);
	free(mine->request_id);
	free(mine->polling_url);
	free(mine->token);
	free(mine->claim);
	free(mine->error);
	free(mine->warning);
	free(mine->image_url);
	free(mine->image);
	free(mine->origin);
	free(mine);
}

int job_set(char **field, const char *value)
{
	char *copy = NULL;

	if (value) {
		copy = strdup(value);
		if (!copy)
			return -ENOMEM;
	}
	free(*field);
	*field = copy;
	return 0;
}

const char *job_name(const struct job *job, char buf[JOB_NAME_MAX])
{
	if (job->name)
		snprintf(buf, JOB_NAME_MAX, "%s", job->name);
	else if (job->request_id)
		snprintf(buf, JOB_NAME_MAX, "%s", job->request_id);
	else
		snprintf(buf, JOB_NAME_MAX, "job-%" PRIu64, job->number);
	return buf;
}

const char *job_word(const struct job *job)
{
	/* A documented word is shown in the documentation's spelling, whatever case it came in. */
	if (job->state == JOB_OTHER && job->word)
		return job->word;
	return job_state_name(job->state);
}

const char *job_state_name(enum job_state state)
{
	return state < JOB_STATES ? state_names[state] : "?";
}

int64_t job_cost(const struct job *job)
{
	return job_is(job, JOB_IN(JOB_REFUSED) | JOB_IN(JOB_ERROR)) ? 0 : job->price;
}

enum job_state job_state_of_word(const char *word)
{
	if (!word)
		return JOB_OTHER;
	for (enum job_state state = 0; state < JOB_STATES; state++)
		if ((JOB_IN(state) & JOB_REMOTE_STATES) != 0 && state != JOB_OTHER &&
		    strcasecmp(word, state_names[state]) == 0)
			return state;
	return strcasecmp(word, "CANCELED") == 0 ? JOB_CANCELLED : JOB_OTHER;
}

const char *job_time(int64_t wall_ms, char buf[JOB_TIME_MAX])
{
	int64_t ms = wall_ms % 1000;
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	if (!gmtime_r(&seconds, &tm) || strftime(buf, JOB_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		memcpy(buf, "1970-01-01T00:00:00", sizeof("1970-01-01T00:00:00"));
	size_t used = strlen(buf);
	snprintf(buf + used, JOB_TIME_MAX - used, ".%03dZ", (int)ms);
	return buf;
}
