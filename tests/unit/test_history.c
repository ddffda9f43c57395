/*
 * engine and store: random histories of users, services, clocks, disks and crashes.
 *
 * The engine and the store are the real ones. A user asks, attaches, renames, forgets; a service
 * takes POSTs or refuses them and answers truly, falsely cut, or never, and calls back, in any
 * order with its answer, and others forge its calls; time passes and jumps; the disk is full or
 * does not sync; the driver ends, or is killed, or the power fails and takes with it what was not
 * synced, also in the middle of a write. After each step:
 *
 *  - a purchase (an attempt that the user asked for) is POSTed once: a second POST leaves only
 *    when the service had said that it had not taken the first, or, as often as retry_errors= says,
 *    that it ended in ERROR; what the user was refused, by an error or by REFUSED, is never POSTed
 *    at all;
 *  - what was POSTed and may be charged never passes the budget;
 *  - every request id that was fully received is its job's, and in its log; where neither memory
 *    nor disk could keep it, because the driver died before the disk took it, the job is UNCERTAIN;
 *  - the same holds for a request id that a callback has brought; one with the token of an older
 *    attempt, or another one's, is not taken;
 *  - every state that needs it is explained; logs only grow; numbers are never reused; what is
 *    shown is what is on disk, also after a restart.
 *
 * In the end, when all is well again, everything that was promised has been sent.
 */
#include "history_books.h"
#include "run.h"

/* The user */

static struct ask *ask_of(const char *body)
{
	const char *image = strstr(body, "example.com/");
	unsigned i = image ? (unsigned)strtoul(image + strlen("example.com/"), NULL, 10) : 99;

	ck_assert_uint_lt(i, play.asked);
	return &play.asks[i];
}

static void ask_for(uint64_t number)
{
	struct ask *ask = &play.asks[play.asked];
	struct params *params = NULL;
	char error[PARAMS_ERROR_MAX], text[64], label[16];
	const struct job *job = number ? engine_get(sim.engine, number) : NULL;
	bool may = !job || job_is(job, JOB_RETRIABLE_STATES | JOB_IN(JOB_DRAFT));
	int r;

	job_put(job);
	snprintf(text, sizeof(text), "{\"image_url\": \"https://example.com/%u.png\"}", play.asked);
	snprintf(label, sizeof(label), "ask%u", play.asked);
	ck_assert_int_eq(params_parse(text, strlen(text), &params, error), PARAMS_OK);
	*ask = (struct ask){ .number = number };
	play.asking = (int)play.asked++;
	r = engine_submit(sim.engine, &ask->number, number ? NULL : label, &somebody, params);
	params_free(params);
	note("ask %d for job %" PRIu64 ": %d", play.asking, ask->number, r);
	if (r == 0 && !may)
		wrong("job %" PRIu64 " is bought twice", number);
	ask->refused = r < 0 && !power_cut[0];
	job = r < 0 ? NULL : engine_get(sim.engine, ask->number);
	if (job)
		ask->attempt = job->attempts;
	job_put(job);
}

static void ask_new(void)
{
	if (alive() < JOBS_MAX)
		ask_for(0);
}

static void ask_again(void)
{
	uint64_t number = some_job();

	if (number)
		ask_for(number);
}

static void attach(void)
{
	uint64_t number = some_job();
	char id[32] = "another_1";
	int r;

	if (play.asked && chance(play.h, 70)) {
		struct ask *ask = &play.asks[draw(play.h, play.asked)];

		if (ask->id[0]) {
			strcpy(id, ask->id);
			number = ask->number ? ask->number : number;
		}
	}
	r = number ? engine_attach(sim.engine, number, id) : 0;
	/* The user knows better than callbacks. */
	for (unsigned i = 0; i < play.asked; i++)
		if (r == 0 && play.asks[i].number == number)
			play.asks[i].called = false;
	note("attach %s to job %" PRIu64 ": %d", id, number, r);
}

static void handle(void)
{
	uint64_t number = some_job(), made;
	char name[16];
	int r = 0;

	snprintf(name, sizeof(name), "name%u", draw(play.h, 4));
	switch (draw(play.h, 4)) {
	case 0: r = number ? engine_rename(sim.engine, number, name) : 0; break;
	case 1: r = number ? engine_hide(sim.engine, number, 2) : 0; break;
	case 2: r = number ? engine_chown(sim.engine, number, &somebody) : 0; break;
	default:
		if (alive() < JOBS_MAX)
			r = engine_create(sim.engine, name, &somebody, &made);
	}
	note("rename, hide, chown or make job %" PRIu64 ": %d", number, r);
}

static void forget(void)
{
	uint64_t number = chance(play.h, 40) ? some_job() : 0;
	struct seen *seen = seen_of(number);
	int r;

	if (!seen)
		return;
	r = engine_forget(sim.engine, number);
	note("forget job %" PRIu64 ": %d", number, r);
	/* Where the power fails meanwhile, both are right. */
	if (r == 0 || power_cut[0])
		seen->forgotten = true;
}

/* The service */

static struct call *find_call(enum call_kind kind, int received)
{
	for (struct call *call = sim.calls; call; call = call->next)
		if (call->kind == kind && (received < 0 || call->received == received))
			return call;
	return NULL;
}

static struct call *unlink_call(struct call *call)
{
	struct call **at = &sim.calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	return call;
}

/* It may be the driver's own next attempt, after an ERROR. */
static void note_attempt(struct ask *ask)
{
	const struct job *job = engine_get(sim.engine, ask->number);

	if (job && job->attempts != ask->attempt) {
		ask->attempt = job->attempts;
		ask->delivered = ask->called = false;
		ask->id[0] = '\0';
	}
	job_put(job);
}

static void not_charged(struct ask *ask)
{
	ask->on_wire--;
	play.paid -= PRICE;
}

/* A connection for a POST stands: does it leave? */
static void connected(void)
{
	struct call *call = find_call(CALL_SUBMIT, 0);
	struct ask *ask = call ? ask_of(call->body) : NULL;
	bool dies = chance(play.h, 10);
	int r;

	if (!call)
		return;
	r = call->sending(call->arg);
	note("connected for ask %td: %d%s", ask - play.asks, r, dies ? ", and cut" : "");
	if (power_cut[0])
		return;
	if (r < 0 || dies) {
		fault(unlink_call(call), r < 0 ? REMOTE_ABORTED : REMOTE_CUT, false);
		return;
	}
	call->received = true;
	if (call->url)
		ck_assert(api_callback_target(call->url, &(uint64_t){ 0 }, ask->token));
	if (chance(play.h, 10) && call->sending(call->arg) == 0)
		wrong("ask %td may be sent a second time", ask - play.asks);
	if (ask->refused)
		wrong("ask %td was refused, and is sent", ask - play.asks);
	if (ask->on_wire++)
		wrong("ask %td is sent twice", ask - play.asks);
	if (ask->errors > sim.conf.retry_errors)
		wrong("ask %td is sent again after %u errors", ask - play.asks, ask->errors);
	play.paid += PRICE;
	if (sim.conf.budget.set && play.paid > sim.conf.budget.micros)
		wrong("ask %td passes the budget", ask - play.asks);
	note_attempt(ask);
	ask->mind = chance(play.h, 60) ? TAKES : chance(play.h, 50) ? REFUSES : NOT_NOW;
	if (ask->mind == TAKES)
		snprintf(ask->id, sizeof(ask->id), "pixal3d_%u", ++play.ids);
}

static void not_connected(void)
{
	static const enum remote_fault faults[] = { REMOTE_DNS, REMOTE_CONNECT, REMOTE_TLS,
						    REMOTE_NO_KEY };
	struct call *call = find_call(CALL_SUBMIT, 0);
	enum remote_fault why = faults[draw(play.h, 4)];

	if (!call)
		return;
	note("not connected for ask %td: %s", ask_of(call->body) - play.asks,
	     remote_fault_name(why));
	fault(unlink_call(call), why, false);
}

static void reply_lost(struct call *call, const char *whole)
{
	static const int statuses[] = { 500, 502, 504 };
	char half[128];

	switch (draw(play.h, 4)) {
	case 0: fault(call, REMOTE_TIMEOUT, true); return;
	case 1: fault(call, REMOTE_CUT, true); return;
	case 2: answer(call, statuses[draw(play.h, 3)], "{\"message\": \"oops\"}"); return;
	default:
		snprintf(half, sizeof(half), "%.*s", (int)strlen(whole) / 2, whole);
		answer(call, 202, half);
	}
}

static void reply_truly(struct call *call, struct ask *ask, const char *whole)
{
	struct remote_reply later = { .sent = true,
				      .http_status = chance(play.h, 50) ? 429 : 503,
				      .retry_after_ms = chance(play.h, 50) ? 120000 : -1,
				      .body = "",
				      .detail = "" };

	/* From here on the driver can know. */
	play.answering = ask;
	if (ask->mind != TAKES)
		not_charged(ask);
	ask->delivered = ask->mind == TAKES;
	if (ask->mind == TAKES)
		answer(call, 202, whole);
	else if (ask->mind == REFUSES)
		answer(call, 400 + (long)draw(play.h, 4), "{\"message\": \"no\"}");
	else
		reply(call, &later);
}

static void post_answered(void)
{
	static const char *const words[] = { "QUEUED", "PROCESSING", "COMPLETED", "Dreaming" };
	struct call *call = find_call(CALL_SUBMIT, 1);
	struct ask *ask;
	char whole[96];
	bool truly = chance(play.h, 70);

	if (!call)
		return;
	ask = ask_of(unlink_call(call)->body);
	note("the POST of ask %td (%s) is answered%s", ask - play.asks, ask->id,
	     truly ? "" : ", but it is lost");
	snprintf(whole, sizeof(whole), "{\"request_id\": \"%s\", \"status\": \"%s\"}", ask->id,
		 words[draw(play.h, 4)]);
	if (truly)
		reply_truly(call, ask, whole);
	else
		reply_lost(call, whole);
}

/* The service, or who has seen its calls, calls about a POST that it has received. */
static void called_back(void)
{
	struct ask *ask = play.asked ? &play.asks[draw(play.h, play.asked)] : NULL;
	const struct job *job = ask && ask->token[0] ? engine_get(sim.engine, ask->number) : NULL;
	bool forged = !ask || !ask->id[0] || chance(play.h, 20), known = job && job->request_id;
	bool current = job && job->token && strcmp(job->token, ask->token) == 0 &&
		       job->attempts == ask->attempt;
	int r;

	job_put(job);
	if (!ask || !ask->token[0] || !ask->number)
		return;
	r = engine_callback(sim.engine, ask->number, ask->token, forged ? "another_2" : ask->id);
	note("a callback names %s for ask %td: %d", forged ? "another_2" : ask->id, ask - play.asks,
	     r);
	if (power_cut[0])
		return;
	if (!current && r != -ENOENT)
		wrong("the callback of ask %td is taken for another one's: %d", ask - play.asks, r);
	if (current && r == -ENOENT)
		wrong("the callback of ask %td was not expected", ask - play.asks);
	if (r == 0 && !forged && !known)
		ask->called = true;
}

static void not_known(const char *id)
{
	for (unsigned i = 0; i < play.asked; i++) {
		const struct job *job = engine_get(sim.engine, play.asks[i].number);

		if (job && !job->request_id && strcmp(play.asks[i].id, id) == 0)
			play.asks[i].called = false;
		job_put(job);
	}
}

/* The driver has heard of ends that are not charged. */
static void note_errors(void)
{
	for (struct ask *ask = play.asks; ask < play.asks + play.asked; ask++) {
		const struct job *job = engine_get(sim.engine, ask->number);

		if (job && job->state == JOB_ERROR && job->attempts == ask->attempt &&
		    ask->on_wire) {
			not_charged(ask);
			ask->errors += !unsaved(job->number) && !power_cut[0];
		}
		job_put(job);
	}
}

static void poll_answered(void)
{
	static const char *const words[] = { "QUEUED", "PROCESSING", "FAILED",
					     "ERROR",  "CANCELLED",  "Dreaming" };
	struct call *call = find_call(CALL_STATUS, -1);
	const char *id = call ? strrchr(call->url, '/') : NULL;
	char body[300];
	/* Where it is tried again, ERROR is seen often enough to be tried too often. */
	unsigned what = sim.conf.retry_errors && chance(play.h, 60) ? 3 : draw(play.h, 12);

	if (!call)
		return;
	unlink_call(call);
	note("the poll %s is answered, %u", call->url, what);
	snprintf(body, sizeof(body), "{\"request_id\": \"%s\", \"status\": \"%s\"}", id + 1,
		 words[what % 6]);
	if (what > 8)
		snprintf(body, sizeof(body),
			 "{\"request_id\": \"%s\", \"status\": \"COMPLETED\", \"output\": "
			 "{\"media_url\": [\"" MEDIA_URL "\"], \"media_type\": \"model/glb\"}}",
			 id + 1);
	if (what == 7)
		not_known(id + 1);
	if (what == 6)
		fault(call, REMOTE_TIMEOUT, true);
	else
		answer(call, what == 7 ? 404 : what == 8 ? 503 : 200, body);
	note_errors();
}

static void size_answered(void)
{
	struct call *call = take_call(CALL_HEAD);

	if (call)
		object(call, chance(play.h, 70) ? 200 : 404, chance(play.h, 90) ? 1234 : -1);
}

/* The world */

static void time_passes(void)
{
	static const int64_t spans[] = { 0, 1000, 12000, 300000, 3 * HOUR };
	int64_t ms = spans[draw(play.h, 5)];

	note("%" PRId64 " ms pass", ms);
	pass(ms);
}

static void clock_jumps(void)
{
	sim.wall_jump_ms = (int64_t)(draw64(play.h) % 1000) * HOUR - 500 * HOUR;
	note("the clock jumps, %" PRId64 " h off", sim.wall_jump_ms / HOUR);
}

static void disk_changes(void)
{
	unsigned what = draw(play.h, 4);

	disk_full = what == 1;
	disk_broken = what == 2;
	note("the disk is %s", disk_full ? "full" : disk_broken ? "broken" : "well");
}

static void power_will_fail(void)
{
	power_cut_in = 1 + (int)draw(play.h, 16);
	power_cut_loses = chance(play.h, 50);
	note("the %s in write %d", power_cut_loses ? "power fails" : "driver is killed",
	     power_cut_in);
}

static void driver_dies(void)
{
	power_cut_in = 0;
	power_cut_loses = chance(play.h, 50);
	note(power_cut_loses ? "the power fails" : "the driver is killed");
	crash();
	excuse();
	check_same_after(JOB_ANY_STATE & ~JOB_IN(JOB_SUBMITTING));
}

static void driver_ends(void)
{
	note("the driver ends");
	stop_driver();
	start_driver();
	/* As long as the disk is not well, an end is no better than a crash. */
	excuse();
	if (!power_cut[0])
		check_same_after(JOB_REMOTE_STATES | JOB_IN(JOB_DRAFT) | JOB_IN(JOB_UNCERTAIN) |
				 JOB_IN(JOB_REFUSED));
}

/* The power failed in this step: all that came after it never was. */
static void power_fails(void)
{
	char copy[sizeof(power_cut)];
	struct ask *ask = play.asking < 0 ? NULL : &play.asks[play.asking];
	const struct job *job;
	char label[16];

	strcpy(copy, power_cut);
	power_cut[0] = '\0';
	note("... this was the moment, and nothing after it has happened");
	restart_from(copy);
	excuse();
	for (unsigned i = 0; i < play.jobs; i++) {
		job = engine_get(sim.engine, play.seen[i].number);
		if (!job && play.seen[i].record && !play.seen[i].forgotten)
			wrong("job %" PRIu64 " is gone", play.seen[i].number);
		if (job && play.seen[i].record)
			play.seen[i].forgotten = false;
		job_put(job);
	}
	if (!ask)
		return;
	/* The user was told nothing: is it in the books? */
	snprintf(label, sizeof(label), "ask%d", play.asking);
	job = seen_of(ask->number) ? engine_get(sim.engine, ask->number)
				   : engine_find_label(sim.engine, label);
	ask->number = job ? job->number : 0;
	job_put(job);
}

typedef void step_fn(void);
static step_fn *const steps[] = {
	ask_new,       ask_new,         ask_again,   ask_again,     attach,        handle,
	forget,        connected,       connected,   connected,     connected,     not_connected,
	post_answered, post_answered,   time_passes, post_answered, poll_answered, poll_answered,
	size_answered, time_passes,     time_passes, time_passes,   clock_jumps,   disk_changes,
	disk_changes,  power_will_fail, driver_dies, driver_ends,   called_back,   called_back,
};

static void step(void)
{
	remember();
	steps[draw(play.h, sizeof(steps) / sizeof(steps[0]))]();
	if (power_cut[0])
		power_fails();
	/* What was asked for begins at once. */
	if (chance(play.h, 70))
		pass(0);
	if (power_cut[0])
		power_fails();
	check_all();
}

/* All is well again: everything that was promised is kept. */
static void end_well(void)
{
	const struct job *job;

	disk_full = disk_broken = power_cut_in = 0;
	for (int i = 0; i < 60 && !play.h->why[0]; i++) {
		remember();
		pass(HOUR);
		connected();
		post_answered();
		poll_answered();
		check_all();
	}
	for (uint64_t number = 0; (job = engine_next(sim.engine, number)); job_put(job)) {
		number = job->number;
		if (job->state == JOB_SUBMITTING || unsaved(number))
			wrong("job %" PRIu64 " is never settled: %s", number, job_word(job));
	}
}

static void forget_play(void)
{
	for (unsigned i = 0; i < play.jobs; i++) {
		free(play.seen[i].log);
		free(play.seen[i].record);
	}
}

static void play_history(struct history *h)
{
	unsigned at = 0;

	memset(&play, 0, sizeof(play));
	play.h = h;
	disk_full = disk_broken = power_cut_in = 0;
	power_cut_loses = false;
	power_cut[0] = '\0';
	sim_setup();
	sim.conf.submit_sync = h->seed % 4 == 0;
	sim.conf.callback_base = h->seed % 3 == 0 ? NULL : "https://studio.example/p3d";
	sim.conf.callback_mode = "terminal";
	sim.conf.retry_errors = h->seed / 4 % 3;
	if (h->seed / 12 % 2)
		sim.conf.budget = (struct price_budget){ .set = true, .micros = 3 * PRICE };
	stop_driver();
	start_driver();
	while (history_next(h, &at))
		step();
	if (!h->why[0])
		end_well();
	sim_teardown();
	forget_play();
}

START_TEST(nothing_is_paid_twice_and_nothing_paid_is_lost)
{
	if (access("/dev/shm", W_OK) == 0)
		disk_at = "/dev/shm";
	ck_assert(history_run("engine", 300, play_history));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("history");
	TCase *tcase = tcase_create("histories");
	tcase_set_timeout(tcase, 3600);
	tcase_add_test(tcase, nothing_is_paid_twice_and_nothing_paid_is_lost);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
