/*
 * job: random histories of one to three jobs, with a driver, a disk and a service in miniature.
 *
 * What the driver has to know stands in struct job alone; this test plays the world around it: a
 * user who asks, a disk that refuses or crashes between two commits, a service that takes a POST,
 * answers it, answers twice or not at all. Each answer that can be heard is true. See
 * test_history.c for the same with the real engine and the real store.
 */
#include "history.h"
#include "job.h"
#include "run.h"

#include <check.h>
#include <errno.h>

#define JOBS 3
/* What this many attempts cost is enough to see. */
#define ATTEMPTS_MAX 1000

struct play {
	struct history *h;
	struct job *job;       /* as committed: on disk, and shown */
	int64_t now_ms;        /* wall clock: it jumps */
	unsigned asked;        /* purchases that the user asked for */
	unsigned on_wire;      /* POSTs of this purchase that the service may have taken */
	bool listening;        /* a POST is under way, and we would hear its answer */
	bool taken;            /* the service has taken it, */
	bool known;            /* and we have heard its id */
	unsigned ids;          /* given out so far */
	char id[32];           /* the last one */
	struct job_event last; /* of what may arrive twice */
	char last_id[32];
};

static const char *const words[] = {
	"QUEUED",    "PROCESSING", "COMPLETED", "FAILED", "ERROR",
	"CANCELLED", "canceled",   "Rendering", "queued", "Up-scaling"
};

static bool is_bad_end(const struct job *job)
{
	return job_is(job, JOB_IN(JOB_REFUSED) | JOB_IN(JOB_UNCERTAIN) | JOB_IN(JOB_FAILED) |
				   JOB_IN(JOB_ERROR) | JOB_IN(JOB_CANCELLED));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void check_record(struct play *p)
{
	const struct job *job = p->job;
	const char *state = job_state_name(job->state);

	if (!job->request_id != !job_is(job, JOB_REMOTE_STATES))
		broken(p->h, "%s with request id %s", state,
		       job->request_id ? job->request_id : "none");
	if (!job->ended_ms != !job_is(job, JOB_TERMINAL_STATES))
		broken(p->h, "%s, ended at %" PRId64, state, job->ended_ms);
	if (is_bad_end(job) && !job->error)
		broken(p->h, "%s is not explained", state);
	if (job->state == JOB_WAITING && job->failures && !job->error)
		broken(p->h, "WAITING after a failure is not explained");
	if (job->attempts != p->asked)
		broken(p->h, "%u attempts, %u asked for", job->attempts, p->asked);
	if (p->on_wire > 1)
		broken(p->h, "%u POSTs for one purchase", p->on_wire);
	/* What was taken is known by its id, or is in doubt; nothing else. */
	if (p->taken && !p->listening && !job_is(job, JOB_REMOTE_STATES | JOB_IN(JOB_UNCERTAIN)))
		broken(p->h, "%s was taken, and is %s", p->id, state);
	if (job->claim && (!job->token || job->request_id || !same_text(job->claim, p->id)))
		broken(p->h, "%s with claim %s", state, job->claim);
	if (p->known && !same_text(job->request_id, p->id))
		broken(p->h, "%s is lost: %s", p->id, state);
}

static bool same(const struct job *a, const struct job *b)
{
	return a->state == b->state && a->attempts == b->attempts && a->failures == b->failures &&
	       a->changed_ms == b->changed_ms && a->ended_ms == b->ended_ms &&
	       a->submitted_ms == b->submitted_ms && a->retry_at_ms == b->retry_at_ms &&
	       a->error_errno == b->error_errno && same_text(a->error, b->error) &&
	       same_text(a->request_id, b->request_id) && same_text(a->word, b->word) &&
	       same_text(a->token, b->token) && same_text(a->claim, b->claim);
}

static void check_line(struct play *p, const struct job *after, const struct job_event *event)
{
	char *line = job_describe(p->job, after, event);

	if (!line || !*line || strchr(line, '\n'))
		broken(p->h, "event %d has no line in the log", event->kind);
	else if (after->request_id && !p->job->request_id && !strstr(line, after->request_id))
		broken(p->h, "the log does not tell of %s: %s", after->request_id, line);
	free(line);
}

/* Copy, apply, commit, show. */
static int apply(struct play *p, struct job_event event)
{
	struct job *after = job_copy(p->job);
	int r;

	event.now_ms = p->now_ms;
	r = job_apply(after, &event);
	if (r < 0 && !same(p->job, after))
		broken(p->h, "event %d failed (%d) half-way", event.kind, r);
	if (p->job->state == JOB_COMPLETED && after->state != JOB_COMPLETED)
		broken(p->h, "COMPLETED is not final");
	if (r >= 0)
		check_line(p, after, &event);
	tell(p->h, "event %d: %s -> %s (%d)", event.kind, job_state_name(p->job->state),
	     job_state_name(after->state), r);
	if (r >= 0 && event.kind != JOB_EVENT_STATUS && chance(p->h, 5)) {
		/* A crash before the commit, or a disk that refuses it: it never was. */
		tell(p->h, "... is not committed");
		r = -ENOSPC;
	}
	if (r < 0) {
		job_put(after);
		return r;
	}
	job_put(p->job);
	p->job = after;
	return r;
}

static void ask(struct play *p)
{
	enum job_state before = p->job->state;

	if (p->asked >= ATTEMPTS_MAX ||
	    apply(p, (struct job_event){ .kind = JOB_EVENT_SUBMIT }) < 0)
		return;
	if (!(JOB_IN(before) & (JOB_RETRIABLE_STATES | JOB_IN(JOB_DRAFT))))
		broken(p->h, "bought again in %s", job_state_name(before));
	p->asked++;
	p->on_wire = 0;
	p->listening = p->taken = p->known = false;
	p->last.kind = JOB_EVENTS;
}

/* Once the intent is committed the bytes go, and may be taken. */
static void send(struct play *p)
{
	if (apply(p, (struct job_event){ .kind = JOB_EVENT_SENDING, .token = "secret" }) < 0)
		return;
	p->on_wire++;
	p->listening = true;
	p->taken = chance(p->h, 50);
	if (p->taken)
		snprintf(p->id, sizeof(p->id), "pixal3d_%u", ++p->ids);
}

static void heard(struct play *p, struct job_event event)
{
	int r;

	if (event.request_id) {
		strcpy(p->last_id, event.request_id);
		event.request_id = p->last_id;
	}
	p->last = event;
	/* Where a disk refuses an answer, the engine shows it all the same and commits it later:
	 * here it comes again. */
	do
		r = apply(p, event);
	while (r == -ENOSPC);
	if (r < 0)
		broken(p->h, "the answer (event %d) was not taken: %d", event.kind, r);
}

static struct job_event truth(struct play *p)
{
	if (p->taken)
		return (struct job_event){ .kind = JOB_EVENT_ACCEPTED,
					   .request_id = p->id,
					   .word = words[draw(p->h, 9)] };
	if (chance(p->h, 50))
		return (struct job_event){ .kind = JOB_EVENT_REFUSED, .error = 1, .reason = "no" };
	return (struct job_event){ .kind = JOB_EVENT_NOT_SENT,
				   .error = 1,
				   .reason = "later",
				   .retry_at_ms = p->now_ms + 1000 };
}

static void hear(struct play *p)
{
	struct job_event event = truth(p);

	if (!p->listening) {
		/* It did not even connect. */
		if (p->job->state == JOB_WAITING)
			apply(p, (struct job_event){ .kind = JOB_EVENT_NOT_SENT, .reason = "dns" });
		return;
	}
	p->listening = false;
	if (chance(p->h, 25)) {
		heard(p, (struct job_event){
				 .kind = JOB_EVENT_LOST, .error = 1, .reason = "no answer" });
		return;
	}
	if (!p->taken)
		p->on_wire--;
	p->known = p->taken;
	heard(p, event);
}

static void hear_again(struct play *p)
{
	enum job_state before = p->job->state;

	if (p->last.kind == JOB_EVENTS || before == JOB_WAITING || before == JOB_SUBMITTING)
		return;
	apply(p, p->last);
	if (p->job->state != before && before != JOB_UNCERTAIN)
		broken(p->h, "an answer heard twice made %s of %s", job_state_name(p->job->state),
		       job_state_name(before));
}

static void poll(struct play *p)
{
	apply(p, (struct job_event){ .kind = JOB_EVENT_STATUS,
				     .word = words[draw(p->h, 10)],
				     .reason = "the service says so" });
}

/* Services forget, and have copies that lag behind. */
static void unknown(struct play *p)
{
	apply(p, (struct job_event){
			 .kind = JOB_EVENT_UNKNOWN, .error = 1, .reason = "no such request" });
}

static void attach(struct play *p)
{
	char other[32];
	bool known = p->job->request_id != NULL;

	snprintf(other, sizeof(other), "other_%u", draw(p->h, 3));
	if (apply(p, (struct job_event){ .kind = JOB_EVENT_ATTACH,
					 .request_id = p->taken ? p->id : other }) >= 0 &&
	    !known)
		p->last.kind = JOB_EVENTS;
}

/* It may overtake the POST's answer. */
static void callback(struct play *p)
{
	if (p->taken)
		apply(p, (struct job_event){ .kind = JOB_EVENT_CALLED, .request_id = p->id });
}

/* A callback that names the job ties a lost answer to it, once the service confirms it. */
static void confirm(struct play *p)
{
	if (!p->job->claim || !job_is_polled(p->job))
		return;
	p->known = true;
	heard(p, (struct job_event){
			 .kind = JOB_EVENT_ACCEPTED, .request_id = p->id, .word = "QUEUED" });
}

static void crash(struct play *p)
{
	bool answered = p->listening && chance(p->h, 30);

	tell(p->h, "crash%s", answered ? ", the raw answer is stored" : "");
	if (p->job->state == JOB_SUBMITTING && answered) {
		hear(p);
	} else {
		p->listening = false;
		while (apply(p, (struct job_event){ .kind = JOB_EVENT_RESTART,
						    .error = 1,
						    .reason = "the driver ended" }) == -ENOSPC)
			;
	}
	if (p->job->state == JOB_SUBMITTING)
		broken(p->h, "SUBMITTING after a restart");
	p->last.kind = JOB_EVENTS;
}

static void jump(struct play *p)
{
	p->now_ms += (int64_t)(draw64(p->h) % 20000000) - 10000000;
	if (p->now_ms < 1)
		p->now_ms = 1;
	tell(p->h, "it is %" PRId64, p->now_ms);
}

typedef void step_fn(struct play *p);
static step_fn *const steps[] = { ask,    ask,      send,    send,       send, hear,
				  hear,   hear,     poll,    hear_again, poll, unknown,
				  attach, callback, confirm, crash,      jump };

static void play_history(struct history *h)
{
	struct play plays[JOBS];
	unsigned at = 0;

	for (int i = 0; i < JOBS; i++)
		plays[i] = (struct play){
			.h = h, .job = job_new(), .now_ms = 1779456000123, .last.kind = JOB_EVENTS
		};
	while (history_next(h, &at)) {
		struct play *p = &plays[draw(h, 1 + (unsigned)(h->seed % JOBS))];

		steps[draw(h, sizeof(steps) / sizeof(steps[0]))](p);
		check_record(p);
	}
	for (int i = 0; i < JOBS; i++)
		job_put(plays[i].job);
}

START_TEST(money_is_spent_once_and_every_state_is_explained)
{
	ck_assert(history_run("job", 200000, play_history));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("job history");
	TCase *tcase = tcase_create("histories");
	tcase_set_timeout(tcase, 3600);
	tcase_add_test(tcase, money_is_spent_once_and_every_state_is_explained);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
