/*
 * job_moves - how a job moves between its states
 *
 * State:      one table, moves[state][event], decides everything; each cell names a move, each
 *             of which is one small function.
 * Invariants, after every move:
 *  - request_id is set exactly in the service's states (JOB_REMOTE_STATES);
 *  - ended_ms is set exactly in JOB_TERMINAL_STATES;
 *  - outputs exist in COMPLETED only;
 *  - a token is of the POST that may have been taken last; a claim has a token, and no request_id;
 *  - `earlier` and job_cost() together are what all attempts have cost;
 *  - only SUBMIT leaves a state in which money may have been spent for one that spends again, and
 *    SENDING is the one event that must not be repeated: a second one is refused, so that what
 *    was begun twice is still sent once.
 */
#include "job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The event's strings, copied before anything is changed, so that no move can fail half-way. */
struct strings {
	char *request_id;
	char *token;
	char *polling_url;
	char *word;
	char *reason;
};

static void take(char **field, char **value)
{
	free(*field);
	*field = *value;
	*value = NULL;
}

static void drop(char **field)
{
	free(*field);
	*field = NULL;
}

static void enter(struct job *job, enum job_state state, const struct job_event *event)
{
	job->state = state;
	job->changed_ms = event->now_ms;
	if (!job_is(job, JOB_TERMINAL_STATES))
		job->ended_ms = 0;
	else if (!job->ended_ms)
		job->ended_ms = event->now_ms;
}

/* Its timers, by the state it is in. */
static int actions_of(const struct job *job)
{
	if (job->state == JOB_WAITING || job_will_retry(job))
		return JOB_DO_SEND;
	if (job_is_polled(job))
		return JOB_DO_POLL;
	return JOB_DO_STOP;
}

typedef int move_fn(struct job *job, const struct job_event *event, struct strings *strings);

static int invalid(struct job *job, const struct job_event *event, struct strings *strings)
{
	(void)job, (void)event, (void)strings;
	return -EINVAL;
}

static int bought(struct job *job, const struct job_event *event, struct strings *strings)
{
	(void)job, (void)event, (void)strings;
	return -EROFS;
}

static int underway(struct job *job, const struct job_event *event, struct strings *strings)
{
	(void)job, (void)event, (void)strings;
	return -EALREADY;
}

static int nothing(struct job *job, const struct job_event *event, struct strings *strings)
{
	(void)job, (void)event, (void)strings;
	return JOB_DO_NOTHING;
}

static int resume(struct job *job, const struct job_event *event, struct strings *strings)
{
	(void)event, (void)strings;
	return actions_of(job);
}

/* What was asked for a callback is not the last one any more, or was not taken. */
static void forget_callback(struct job *job)
{
	drop(&job->token);
	drop(&job->claim);
}

/* A new attempt: what is known of the one before stays in the log alone. Not while the service may
 * say at any moment that it has that one. */
static int buy(struct job *job, const struct job_event *event, struct strings *strings)
{
	if (job->claim)
		return -EALREADY;
	if (event->again && !job_will_retry(job))
		return -EINVAL;
	job->retries = event->again ? job->retries + 1 : 0;
	job->earlier += job_cost(job);
	job->price = event->price;
	drop(&job->request_id);
	drop(&job->polling_url);
	drop(&job->word);
	forget_callback(job);
	job_clear_outputs(job);
	drop(&job->error);
	if (!event->again)
		take(&job->warning, &strings->reason);
	job->error_errno = 0;
	job->attempts++;
	job->failures = 0;
	job->submitted_ms = 0;
	job->retry_at_ms = 0;
	job->hidden = 0;
	enter(job, JOB_WAITING, event);
	return JOB_DO_SEND;
}

/* What has ended comes back as it was: an ERROR as what was decided when it was heard of. */
static int rest(struct job *job, const struct job_event *event, struct strings *strings)
{
	int actions = actions_of(job);

	(void)event, (void)strings;
	return actions == JOB_DO_STOP ? JOB_DO_NOTHING : actions;
}

static int intend(struct job *job, const struct job_event *event, struct strings *strings)
{
	take(&job->token, &strings->token);
	take(&job->error, &strings->reason);
	job->retry_at_ms = 0;
	job->hidden = 0; /* it cannot be forgotten any more, and is shown as a whole */
	enter(job, JOB_SUBMITTING, event);
	return JOB_DO_NOTHING;
}

static int postpone(struct job *job, const struct job_event *event, struct strings *strings)
{
	forget_callback(job);
	take(&job->error, &strings->reason);
	job->error_errno = event->error;
	job->failures++;
	job->retry_at_ms = event->retry_at_ms;
	enter(job, JOB_WAITING, event);
	return JOB_DO_SEND;
}

static int refuse(struct job *job, const struct job_event *event, struct strings *strings)
{
	take(&job->error, &strings->reason);
	job->error_errno = event->error;
	job->retry_at_ms = 0;
	enter(job, JOB_REFUSED, event);
	return actions_of(job);
}

static int doubt(struct job *job, const struct job_event *event, struct strings *strings)
{
	take(&job->error, &strings->reason);
	job->error_errno = event->error;
	job->retry_at_ms = 0;
	enter(job, JOB_UNCERTAIN, event);
	return actions_of(job);
}

/* The service knows it by an id. A word that ends the job is left to the next poll, which also has
 * what belongs to that end: the outputs or the reason. */
static int adopt(struct job *job, const struct job_event *event, struct strings *strings)
{
	enum job_state state = event->word ? job_state_of_word(event->word) : JOB_QUEUED;

	if (!event->request_id)
		return -EINVAL;
	/* The word itself is kept: it says that the service knows the id. */
	if ((JOB_IN(state) & JOB_POLLED_STATES) == 0)
		state = JOB_QUEUED;
	drop(&job->claim);
	take(&job->request_id, &strings->request_id);
	take(&job->polling_url, &strings->polling_url);
	take(&job->word, &strings->word);
	take(&job->error, &strings->reason);
	job->error_errno = 0;
	job->failures = 0;
	job->retry_at_ms = 0;
	job->submitted_ms = event->now_ms;
	enter(job, state, event);
	return JOB_DO_POLL;
}

/* An id for a job that has one: the same id again is no news. */
static int known(struct job *job, const struct job_event *event, struct strings *strings)
{
	(void)strings;
	if (!event->request_id)
		return -EINVAL;
	if (!job->request_id || strcmp(event->request_id, job->request_id) != 0)
		return -EROFS;
	return actions_of(job);
}

static int follow(struct job *job, const struct job_event *event, struct strings *strings)
{
	if (!event->word)
		return -EINVAL;
	take(&job->word, &strings->word);
	take(&job->error, &strings->reason);
	job->error_errno = 0;
	job->failures = 0;
	enter(job, job_state_of_word(event->word), event);
	job->retry_at_ms = job->state == JOB_ERROR && job->attempts ? event->retry_at_ms : 0;
	return actions_of(job);
}

/* An id that the user gave and the service never confirmed was a slip: back to where it was
 * written. One that it knew before will be known again. */
static int disown(struct job *job, const struct job_event *event, struct strings *strings)
{
	if (job->word)
		return actions_of(job);
	drop(&job->request_id);
	drop(&job->polling_url);
	take(&job->error, &strings->reason);
	job->error_errno = event->error;
	job->submitted_ms = 0;
	enter(job, job->attempts ? JOB_UNCERTAIN : JOB_DRAFT, event);
	return JOB_DO_STOP;
}

/* Remembered until the POST's own answer is there, or the service confirms it. One at a time: no
 * flood of them makes more than one question. */
static int claim(struct job *job, const struct job_event *event, struct strings *strings)
{
	if (!event->request_id || !job->token)
		return -EINVAL;
	if (job->claim && strcmp(job->claim, event->request_id) != 0)
		return -EBUSY;
	take(&job->claim, &strings->request_id);
	job->changed_ms = event->now_ms;
	return job_is_polled(job) ? JOB_DO_POLL : JOB_DO_NOTHING;
}

/* What a callback had named is nothing that the service knows. */
static int disclaim(struct job *job, const struct job_event *event, struct strings *strings)
{
	(void)strings;
	if (!job->claim)
		return -EINVAL;
	drop(&job->claim);
	job->changed_ms = event->now_ms;
	return JOB_DO_STOP;
}

/* COMPLETED is final; only what is known of its outputs, filled in by the caller, may change. */
static int refresh(struct job *job, const struct job_event *event, struct strings *strings)
{
	if (!event->word)
		return -EINVAL;
	if (job_state_of_word(event->word) == JOB_COMPLETED) {
		take(&job->error, &strings->reason);
		job->changed_ms = event->now_ms;
	}
	return actions_of(job);
}

/* clang-format off */
static move_fn *const moves[JOB_STATES][JOB_EVENTS] = {
	/*                   SUBMIT    SENDING   NOT_SENT  ACCEPTED REFUSED  LOST     RESTART  ATTACH    STATUS   UNKNOWN   CALLED */
	[JOB_DRAFT]      = { buy,      invalid,  invalid,  invalid, invalid, invalid, nothing, adopt,    invalid, invalid,  invalid },
	[JOB_WAITING]    = { underway, intend,   postpone, adopt,   refuse,  doubt,   resume,  underway, invalid, invalid,  invalid },
	[JOB_SUBMITTING] = { underway, underway, postpone, adopt,   refuse,  doubt,   doubt,   underway, invalid, invalid,  claim },
	[JOB_UNCERTAIN]  = { buy,      invalid,  invalid,  adopt,   invalid, nothing, rest,    adopt,    invalid, disclaim, claim },
	[JOB_REFUSED]    = { buy,      invalid,  invalid,  adopt,   nothing, invalid, rest,    bought,   invalid, disclaim, claim },
	[JOB_QUEUED]     = { bought,   invalid,  invalid,  known,   invalid, invalid, resume,  known,    follow,  disown,   nothing },
	[JOB_PROCESSING] = { bought,   invalid,  invalid,  known,   invalid, invalid, resume,  known,    follow,  disown,   nothing },
	[JOB_OTHER]      = { bought,   invalid,  invalid,  known,   invalid, invalid, resume,  known,    follow,  disown,   nothing },
	[JOB_COMPLETED]  = { bought,   invalid,  invalid,  known,   invalid, invalid, resume,  known,    refresh, resume,   nothing },
	[JOB_FAILED]     = { buy,      invalid,  invalid,  known,   invalid, invalid, nothing, known,    nothing, nothing,  nothing },
	[JOB_ERROR]      = { buy,      invalid,  invalid,  known,   invalid, invalid, rest,    known,    nothing, nothing,  nothing },
	[JOB_CANCELLED]  = { buy,      invalid,  invalid,  known,   invalid, invalid, nothing, known,    nothing, nothing,  nothing },
};
/* clang-format on */

_Static_assert(JOB_EVENT_SUBMIT == 0 && JOB_EVENT_SENDING == 1 && JOB_EVENT_NOT_SENT == 2 &&
		       JOB_EVENT_ACCEPTED == 3 && JOB_EVENT_REFUSED == 4 && JOB_EVENT_LOST == 5 &&
		       JOB_EVENT_RESTART == 6 && JOB_EVENT_ATTACH == 7 && JOB_EVENT_STATUS == 8 &&
		       JOB_EVENT_UNKNOWN == 9 && JOB_EVENT_CALLED == 10 && JOB_EVENTS == 11,
	       "the columns of moves");

static void release_strings(struct strings *strings)
{
	free(strings->request_id);
	free(strings->token);
	free(strings->polling_url);
	free(strings->word);
	free(strings->reason);
}

static int copy_event(struct strings *strings, const struct job_event *event)
{
	*strings = (struct strings){ 0 };
	if (job_set(&strings->request_id, event->request_id) < 0 ||
	    job_set(&strings->token, event->token) < 0 ||
	    job_set(&strings->polling_url, event->polling_url) < 0 ||
	    job_set(&strings->word, event->word) < 0 ||
	    job_set(&strings->reason, event->reason) < 0) {
		release_strings(strings);
		return -ENOMEM;
	}
	return 0;
}

int job_apply(struct job *job, const struct job_event *event)
{
	struct strings strings;
	int r;

	if ((unsigned)job->state >= JOB_STATES || (unsigned)event->kind >= JOB_EVENTS)
		return -EINVAL;
	if (copy_event(&strings, event) < 0)
		return -ENOMEM;
	r = moves[job->state][event->kind](job, event, &strings);
	release_strings(&strings);
	return r;
}

static void put_line(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
}

static void put_words(FILE *out, const struct job *before, const struct job *after)
{
	if (before && strcmp(job_word(before), job_word(after)) != 0) {
		put_line(out, job_word(before));
		fputs(" -> ", out);
	}
	put_line(out, job_word(after));
}

char *job_describe(const struct job *before, const struct job *after, const struct job_event *event)
{
	char *line = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&line, &len);

	if (!out)
		return NULL;
	put_words(out, before, after);
	if (event->kind == JOB_EVENT_SUBMIT && after->attempts > 1)
		fprintf(out, ", attempt %u", after->attempts);
	if (after->request_id && (!before || !before->request_id)) {
		fputs(", request ", out);
		put_line(out, after->request_id);
	}
	if (event->kind == JOB_EVENT_CALLED) {
		fputs(", a callback names request ", out);
		put_line(out, event->request_id);
	}
	if (event->reason) {
		fputs(": ", out);
		put_line(out, event->reason);
	}
	if (fclose(out) == 0)
		return line;
	free(line);
	return NULL;
}
