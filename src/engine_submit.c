/*
 * engine_submit - buying: from WAITING to the service's answer, exactly once
 *
 * One POST:  engine_send() takes a WAITING job; `sending` commits SUBMITTING, or nothing is sent;
 *            `done` stores the raw answer in a commit of its own, reads it, and applies what it
 *            means. A crash before `sending` leaves WAITING (sent later), after it SUBMITTING,
 *            which comes back as what the stored answer says, or as UNCERTAIN.
 * Money:     what is provably not accepted is tried again; what is refused is told; everything
 *            else is UNCERTAIN and left to the person. When in doubt, doubt.
 */
#include "engine_internal.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN "then write params.json again"

#define MEND_KEY                                                                                   \
	"mend the API key (a key file is read again when it changes, PIXAZO_API_KEY at the next "  \
	"mount)"

#define WAYS_OUT                                                                                   \
	"It may have been accepted and charged, so it is not sent again by itself. Look for it "   \
	"in the service's dashboard: if it is there, write its request id to request_id, which "   \
	"is free of charge; if it is not, write params.json again, which is a second purchase "    \
	"should the first one turn up after all.%s"

/* What may happen by itself to JOB, when its answer is missing: the end of WAYS_OUT. */
static const char *hope(const struct job *job)
{
	return job->token ? " The service was asked to call back about it (webhook_url=): when it "
			    "does, this is settled by itself. Wait for that first."
			  : "";
}

/* One POST under way. */
struct post {
	struct engine *engine;
	uint64_t number;
	unsigned attempt;
	char token[API_TOKEN_LEN + 1]; /* of its callbacks; "": it asks for none */
	int commit_error;              /* why `sending` said no; 0: it did not */
};

/* What the outcome of a POST means. */
struct verdict {
	struct job_event event;
	struct api_submit answer; /* the event's strings point into it */
	char *reason;
};

static void release_verdict(struct verdict *verdict)
{
	api_submit_release(&verdict->answer);
	free(verdict->reason);
}

static void because(struct verdict *verdict, char *reason)
{
	free(verdict->reason);
	verdict->event.reason = verdict->reason = reason;
}

static void refused(struct verdict *verdict, int error, char *reason)
{
	verdict->event.kind = JOB_EVENT_REFUSED;
	verdict->event.error = error;
	because(verdict, reason);
}

static void lost(const struct job *job, const struct remote_reply *reply, struct verdict *verdict)
{
	int error = remote_errno(reply->fault, reply->http_status);

	verdict->event.kind = JOB_EVENT_LOST;
	verdict->event.error = error ? error : EREMOTEIO;
	if (reply->fault == REMOTE_OK)
		because(verdict,
			text_format("The request was sent, and the answer (HTTP %ld%s%s) does not "
				    "say that it was taken. " WAYS_OUT,
				    reply->http_status, verdict->answer.message ? ": " : "",
				    verdict->answer.message ? verdict->answer.message : "",
				    hope(job)));
	else
		because(verdict, text_format("The request was sent, and no whole answer came "
					     "(%s). " WAYS_OUT,
					     reply->detail, hope(job)));
}

/* WHAT happened, as a sentence without its end; it is tried again. */
static void postponed(const struct engine *engine, const struct job *job,
		      const struct remote_reply *reply, const char *what, struct verdict *verdict)
{
	int64_t delay = sched_retry_delay(&engine->conf.sched, job->failures + 1,
					  reply->retry_after_ms, engine_random(engine));
	bool key = reply->fault == REMOTE_NO_KEY || reply->http_status == 401;
	char time[JOB_TIME_MAX];

	verdict->event.kind = JOB_EVENT_NOT_SENT;
	verdict->event.error = key ? remote_errno(reply->fault, reply->http_status) : 0;
	verdict->event.retry_at_ms = engine_wall(engine) + delay;
	because(verdict, text_format("%s. Nothing was charged. It is tried again by itself, next "
				     "at %s; %s.",
				     what, job_time(verdict->event.retry_at_ms, time),
				     key ? MEND_KEY : "there is nothing to do"));
}

/* Provably not accepted: WHAT happened, as a sentence without its end. */
static void not_accepted(const struct engine *engine, const struct job *job,
			 const struct remote_reply *reply, const char *what,
			 struct verdict *verdict)
{
	if (!engine->conf.submit_sync) {
		postponed(engine, job, reply, what, verdict);
		return;
	}
	refused(verdict, remote_errno(reply->fault, reply->http_status),
		text_format("%s. Nothing was charged, and it is not tried again by itself "
			    "(submit=sync): write params.json again when you want it to be.",
			    what));
}

static const char *advice(long http_status)
{
	switch (http_status) {
	case 400: return "Correct the parameters, " AGAIN;
	case 401: return "Check the API key, " AGAIN;
	case 402: return "Add funds to the account, " AGAIN;
	case 403: return "Check what this key is allowed to use, " AGAIN;
	case 404: return "Check the gateway's address, " AGAIN;
	default: return "Remove the cause, " AGAIN;
	}
}

/* The service's answer was not yet. */
static void put_off(const struct engine *engine, const struct job *job,
		    const struct remote_reply *reply, struct verdict *verdict)
{
	const char *message = verdict->answer.message;
	char *what = text_format("The service did not take the request: %s (HTTP %ld)",
				 message ? message : "no reason given", reply->http_status);

	not_accepted(engine, job, reply, what ? what : "The service is busy", verdict);
	free(what);
}

/* The documented URL can be built at any time, and is not kept: a hundred bytes of each job. */
static const char *polling_url_to_keep(const struct engine *engine, const struct api_submit *answer)
{
	char *documented = api_status_url(engine->gateway, answer->request_id, NULL);
	bool known = documented && answer->polling_url &&
		     strcmp(documented, answer->polling_url) == 0;

	free(documented);
	return known ? NULL : answer->polling_url;
}

static void judge_answer(struct engine *engine, const struct job *job,
			 const struct remote_reply *reply, struct verdict *verdict)
{
	struct api_submit *answer = &verdict->answer;
	const char *message;

	if (api_submit_parse(reply->http_status, reply->retry_after_ms >= 0, reply->body,
			     reply->body_len, answer) < 0)
		answer->kind = API_LOST;
	/* Not taken, says the answer; a callback has said otherwise. */
	if (answer->kind == API_TRY_LATER && job->claim)
		answer->kind = API_LOST;
	message = answer->message ? answer->message : "no reason given";
	switch (answer->kind) {
	case API_ACCEPTED:
		verdict->event.kind = JOB_EVENT_ACCEPTED;
		verdict->event.request_id = answer->request_id;
		verdict->event.polling_url = polling_url_to_keep(engine, answer);
		verdict->event.word = answer->word;
		return;
	case API_REFUSED:
		if (reply->http_status == 401 && engine_waits_for_key(engine, job)) {
			put_off(engine, job, reply, verdict);
			return;
		}
		refused(verdict, remote_errno(REMOTE_OK, reply->http_status),
			text_format("The service refused the request: %s (HTTP %ld). Nothing was "
				    "charged. %s.",
				    message, reply->http_status, advice(reply->http_status)));
		return;
	case API_TRY_LATER: put_off(engine, job, reply, verdict); return;
	case API_LOST: lost(job, reply, verdict);
	}
}

static void judge_unsent(struct engine *engine, const struct job *job,
			 const struct remote_reply *reply, int commit_error,
			 struct verdict *verdict)
{
	char *what;

	if (commit_error < 0) {
		refused(verdict, -commit_error,
			text_format(
				"Nothing was sent and nothing was charged: the job could not "
				"be recorded on the local disk first (%s). Remove the cause, " AGAIN
				".",
				strerror(-commit_error)));
		return;
	}
	if (reply->fault == REMOTE_NO_KEY && !engine_waits_for_key(engine, job)) {
		refused(verdict, ENOKEY,
			text_format("Nothing was sent and nothing was charged: there is no API "
				    "key. Give one in PIXAZO_API_KEY or with key_file=, " AGAIN
				    "."));
		return;
	}
	what = text_format("The request was not sent: %s", reply->detail);
	not_accepted(engine, job, reply, what ? what : "The request was not sent", verdict);
	free(what);
}

static void judge(struct engine *engine, const struct job *job, const struct remote_reply *reply,
		  int commit_error, struct verdict *verdict)
{
	*verdict = (struct verdict){ .event.now_ms = engine_wall(engine) };
	if (!reply->sent)
		judge_unsent(engine, job, reply, commit_error, verdict);
	else if (reply->http_status > 0)
		judge_answer(engine, job, reply, verdict);
	else
		lost(job, reply, verdict);
}

/* Refused, and the service knows nothing of it. */
static bool is_ours_alone(const struct verdict *verdict, const struct remote_reply *reply)
{
	return verdict->event.kind == JOB_EVENT_REFUSED && !reply->sent;
}

static int apply_verdict(struct engine *engine, uint64_t number, unsigned attempt,
			 const struct remote_reply *reply, const struct verdict *verdict)
{
	struct change change = {
		.number = number,
		.attempt = attempt,
		.heard = !is_ours_alone(verdict, reply),
		.event = &verdict->event,
	};
	int r;

	if (verdict->event.kind == JOB_EVENT_ACCEPTED) {
		change.texts.status = reply->body;
		change.texts.status_len = reply->body_len;
	}
	r = engine_change(engine, &change);
	/* Should this ever happen, what was paid for is still to be found. */
	if (r < 0 && verdict->event.request_id)
		log_error("job %" PRIu64 ": request %s was accepted, but is not wanted any more",
			  number, verdict->event.request_id);
	return r;
}

/* Before anything is made of it: a crash, or a flaw in reading it, must not lose an answer. */
static void keep_answer(struct engine *engine, uint64_t number, const struct remote_reply *reply)
{
	struct store_texts texts = { 0 };
	char status[32];
	size_t status_len = (size_t)snprintf(status, sizeof(status), "%ld\n", reply->http_status);
	char *answer = malloc(status_len + reply->body_len + 1);
	const struct job *shown;
	struct job *job;
	int r = -ENOMEM;

	pthread_mutex_lock(&engine->write);
	shown = engine_get(engine, number);
	job = shown ? job_copy(shown) : NULL;
	if (job && answer) {
		memcpy(answer, status, status_len);
		if (reply->body_len)
			memcpy(answer + status_len, reply->body, reply->body_len);
		texts.answer = answer;
		texts.answer_len = status_len + reply->body_len;
		r = store_update(engine->store, job, &texts);
	}
	pthread_mutex_unlock(&engine->write);
	if (r < 0 && shown)
		log_errno(r, "job %" PRIu64 ": the service's answer could not be recorded", number);
	job_put(shown);
	job_put(job);
	free(answer);
}

static int sending(void *arg)
{
	struct post *post = arg;
	struct job_event event = {
		.kind = JOB_EVENT_SENDING,
		.now_ms = engine_wall(post->engine),
		.token = *post->token ? post->token : NULL,
	};
	/* The answer to an earlier POST ("try later") must never be taken for one to this. */
	struct change change = {
		.number = post->number,
		.attempt = post->attempt,
		.event = &event,
		.texts = { .answer = "" },
	};
	int r = engine_change(post->engine, &change);

	if (r < 0)
		post->commit_error = r;
	return r < 0 ? r : 0;
}

/* The driver ends. What was sent stays SUBMITTING on disk, to be UNCERTAIN at the next start; what
 * was not goes back to WAITING, or is refused where somebody was promised an outcome. */
static bool left_for_restart(const struct post *post, const struct job *job,
			     const struct remote_reply *reply)
{
	if (reply->fault != REMOTE_STOPPED)
		return false;
	return reply->sent || (job->state == JOB_WAITING && !post->engine->conf.submit_sync);
}

/* Told is what is on disk: where the disk does not take a refusal of ours, the job is WAITING after
 * a crash, and is sent. So it waits now, too. */
static void settle(const struct post *post, const struct job *job, const struct remote_reply *reply,
		   struct verdict *verdict)
{
	int r = apply_verdict(post->engine, post->number, post->attempt, reply, verdict);
	char *what;

	if (r >= 0 || !is_ours_alone(verdict, reply))
		return;
	what = text_format("The request was not sent: the local disk does not take a record of it "
			   "(%s)",
			   strerror(-r));
	postponed(post->engine, job, reply, what ? what : "The request was not sent", verdict);
	free(what);
	apply_verdict(post->engine, post->number, post->attempt, reply, verdict);
}

static void done(void *arg, const struct remote_reply *reply)
{
	struct post *post = arg;
	struct engine *engine = post->engine;
	const struct job *job = engine_get(engine, post->number);
	struct verdict verdict;

	engine_idle(engine, QUEUE_SEND, post->number);
	engine_heard(engine, reply);
	if (job && !left_for_restart(post, job, reply)) {
		if (reply->http_status > 0)
			keep_answer(engine, post->number, reply);
		judge(engine, job, reply, post->commit_error, &verdict);
		settle(post, job, reply, &verdict);
		release_verdict(&verdict);
	}
	job_put(job);
	free(post);
}

/* The POST was not even begun: as if it had failed before its first byte. */
static void not_begun(struct post *post, int error)
{
	struct remote_reply reply = {
		.fault = REMOTE_CONNECT,
		.retry_after_ms = -1,
		.detail = strerror(-error),
	};

	if (error == -ESHUTDOWN)
		reply.fault = REMOTE_STOPPED;
	done(post, &reply);
}

static struct post *new_post(struct engine *engine, const struct job *job)
{
	struct post *post = calloc(1, sizeof(*post));

	if (!post)
		return NULL;
	post->engine = engine;
	post->number = job->number;
	post->attempt = job->attempts;
	return post;
}

/* Asks for callbacks, where they are wanted. */
static int ask_for_callback(struct post *post, struct remote_submit *submit)
{
	const struct engine_conf *conf = &post->engine->conf;
	int r;

	if (!conf->callback_base)
		return 0;
	r = engine_draw_token(post->engine, post->token);
	if (r < 0)
		return r;
	submit->callback_url = api_callback_url(conf->callback_base, post->number, post->token);
	submit->callback_mode = conf->callback_mode;
	return submit->callback_url ? 0 : -ENOMEM;
}

static void begin(struct engine *engine, const struct job *job)
{
	struct post *post = new_post(engine, job);
	struct remote_submit submit = { .sending = sending, .done = done, .arg = post };
	char *body = NULL;
	int r;

	if (!post) {
		engine_idle(engine, QUEUE_SEND, job->number);
		engine_arm(engine, QUEUE_SEND, job->number, engine->conf.sched.retry_max_ms);
		return;
	}
	/* From here on engine_amend() changes it no more. */
	pthread_mutex_lock(&engine->write);
	r = store_text(engine->store, job->number, JOB_TEXT_PARAMS, &body, &submit.len);
	pthread_mutex_unlock(&engine->write);
	submit.body = body;
	if (r == 0)
		r = ask_for_callback(post, &submit);
	if (r == 0)
		r = engine->remote->submit(engine->remote->ctx, &submit);
	free(body);
	free((char *)submit.callback_url);
	if (r < 0)
		not_begun(post, r);
}

void engine_send(struct engine *engine, uint64_t number)
{
	const struct job *job = engine_get(engine, number);
	int64_t delay = job && job->image ? engine_image_delay(engine, job) : 0;

	if (job && job->state == JOB_WAITING && delay <= 0)
		begin(engine, job);
	else
		engine_idle(engine, QUEUE_SEND, number);
	if (delay > 0)
		engine_arm(engine, QUEUE_SEND, number, delay);
	if (job && job_will_retry(job))
		engine_retry(engine, job);
	job_put(job);
}

/* The stored answer as a reply: "HTTP-STATUS\n" and the body. */
static bool stored_reply(char *text, size_t len, struct remote_reply *reply)
{
	char *body;

	*reply = (struct remote_reply){
		.fault = REMOTE_OK,
		.sent = true,
		.http_status = strtol(text, &body, 10),
		.retry_after_ms = -1,
		.detail = "",
	};
	if (reply->http_status <= 0 || *body != '\n')
		return false;
	reply->body = body + 1;
	reply->body_len = len - (size_t)(body + 1 - text);
	return true;
}

bool engine_was_answered(struct engine *engine, const struct job *job)
{
	struct remote_reply reply;
	struct api_submit answer = { 0 };
	char *text = NULL;
	size_t len = 0;
	bool ours = job->request_id &&
		    store_text(engine->store, job->number, JOB_TEXT_ANSWER, &text, &len) == 0 &&
		    stored_reply(text, len, &reply) &&
		    api_submit_parse(reply.http_status, false, reply.body, reply.body_len,
				     &answer) == 0 &&
		    answer.kind == API_ACCEPTED && strcmp(answer.request_id, job->request_id) == 0;

	api_submit_release(&answer);
	free(text);
	return ours;
}

int engine_recover(struct engine *engine, const struct job *job)
{
	struct remote_reply reply = { .fault = REMOTE_STOPPED };
	struct verdict verdict;
	char *text = NULL;
	size_t len = 0;
	int r = store_text(engine->store, job->number, JOB_TEXT_ANSWER, &text, &len);

	if (r < 0)
		return r;
	if (stored_reply(text, len, &reply)) {
		judge(engine, job, &reply, 0, &verdict);
	} else {
		verdict = (struct verdict){ .event = { .kind = JOB_EVENT_RESTART,
						       .now_ms = engine_wall(engine),
						       .error = EREMOTEIO } };
		because(&verdict, text_format("The driver ended while the request was under way, "
					      "before an answer came. " WAYS_OUT,
					      hope(job)));
	}
	r = apply_verdict(engine, job->number, job->attempts, &reply, &verdict);
	release_verdict(&verdict);
	free(text);
	return r < 0 ? r : 0;
}

/* What users do */

static int edit_draft(struct engine *engine, struct job *job, void *arg)
{
	(void)engine, (void)arg;
	return job->state == JOB_DRAFT ? 0 : -EROFS;
}

int engine_keep_params(struct engine *engine, uint64_t number, const struct params *params)
{
	char *body = params_format(params);
	struct change change = {
		.number = number,
		.edit = edit_draft,
		.texts = { .params = body },
		.params = params,
	};
	int r = body ? engine_change(engine, &change) : -ENOMEM;

	free(body);
	return r;
}

int engine_attach(struct engine *engine, uint64_t number, const char *request_id)
{
	struct job_event event = {
		.kind = JOB_EVENT_ATTACH,
		.now_ms = engine_wall(engine),
		.request_id = request_id,
	};
	struct change change = {
		.number = number,
		.edit = engine_free_id,
		.arg = (char *)request_id,
		.event = &event,
	};
	int r;

	if (!api_request_id_valid(request_id, strlen(request_id)))
		return -EINVAL;
	r = engine_change(engine, &change);
	if (r < 0)
		return r;
	/* Somebody waits to hear whether the service knows it. */
	engine_arm(engine, QUEUE_POLL, number, 0);
	engine->remote->wake(engine->remote->ctx);
	return 0;
}
