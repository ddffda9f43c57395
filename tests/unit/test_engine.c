/* engine: polls, completions, names, waiting. Buying has its own: test_engine_submit.c. */
#include "engine_internal.h"
#include "engine_world.h"
#include "run.h"

#include <pthread.h>
#include <sched.h>

/* Polls */

START_TEST(only_news_is_written)
{
	uint64_t number = accepted_job();
	unsigned changes;

	ck_assert_ptr_null(take_call(CALL_STATUS));
	pass(4000);
	ck_assert_ptr_null(take_call(CALL_STATUS));
	answer(next_poll(), 200, RUNNING);
	expect_state(number, JOB_PROCESSING);
	expect_text(number, JOB_TEXT_STATUS, RUNNING);
	changes = sim.changes;
	for (int i = 0; i < 5; i++)
		answer(next_poll(), 200, RUNNING);
	ck_assert_uint_eq(sim.changes, changes);
	answer(next_poll(), 200, ENDED("Baking", "null"));
	expect_state(number, JOB_OTHER);
	ck_assert_uint_eq(sim.changes, changes + 1);
	ck_assert_ptr_nonnull(sim.calls = next_poll());
}
END_TEST

START_TEST(polls_that_fail_are_repeated_and_told)
{
	static const long statuses[] = { 404, 401, 500, 200 };
	static const char *const told[] = { "does not know", "API key", "HTTP 500",
					    "no usable answer" };
	uint64_t number = accepted_job();
	unsigned changes = sim.changes;

	for (int i = 0; i < 20; i++) {
		pass(HOUR);
		answer(next_call(CALL_STATUS), statuses[_i], "nonsense");
		expect_error(number, i < 2 && statuses[_i] != 401 ? NULL : told[_i]);
		expect_state(number, JOB_QUEUED);
	}
	ck_assert_uint_eq(sim.changes, changes + 1);
	pass(HOUR);
	answer(next_call(CALL_STATUS), 200,
	       "{\"request_id\": \"pixal3d_1\", \"status\": \"QUEUED\"}");
	expect_error(number, NULL);
	fault(next_poll(), REMOTE_DNS, false);
	pass(HOUR);
	ck_assert_ptr_nonnull(sim.calls);
}
END_TEST

/* Also when it says so in an answer that is of no use, and when the answer is none. */
START_TEST(polls_come_no_sooner_than_the_service_says)
{
	static const struct remote_reply later[] = {
		{ .sent = true,
		  .http_status = 429,
		  .retry_after_ms = HOUR,
		  .body = "",
		  .detail = "" },
		{ .sent = true,
		  .http_status = 503,
		  .retry_after_ms = HOUR,
		  .body = "",
		  .detail = "" },
		{ .fault = REMOTE_CUT,
		  .sent = true,
		  .http_status = 503,
		  .retry_after_ms = HOUR,
		  .body = "",
		  .detail = "cut" },
	};

	accepted_job();
	reply(next_poll(), &later[_i]);
	pass(HOUR - 1000);
	ck_assert_ptr_null(take_call(CALL_STATUS));
	pass(HOUR / 10 + 1000);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	ck_assert_ptr_nonnull(sim.calls = next_poll());
}
END_TEST

START_TEST(polls_cannot_begin)
{
	uint64_t number = accepted_job();

	sim.refuse = -ENOMEM;
	pass(6000);
	ck_assert_ptr_null(sim.calls);
	answer(next_poll(), 200, RUNNING);
	expect_state(number, JOB_PROCESSING);
}
END_TEST

START_TEST(bad_ends)
{
	static const struct {
		const char *body;
		enum job_state state;
		const char *told;
	} ends[] = {
		{ ENDED("FAILED", "\"no object\""), JOB_FAILED, "no object" },
		{ ENDED("FAILED", "null"), JOB_FAILED, "Whether it was charged" },
		{ ENDED("error", "\"GPU\""), JOB_ERROR, "not charged" },
		{ ENDED("cancelled", "null"), JOB_CANCELLED, "cancelled" },
	};
	uint64_t number = accepted_job();

	answer(next_poll(), 200, ends[_i].body);
	expect_state(number, ends[_i].state);
	expect_error(number, ends[_i].told);
	pass(HOUR);
	ck_assert_ptr_null(sim.calls);
	crash();
	pass(HOUR);
	ck_assert_ptr_null(sim.calls);
	ck_assert_int_eq(submit_as(&number, "again"), 0);
	expect_error(number, NULL);
}
END_TEST

/* Polls are answered as they come, for MS: their number is not bounded by those under way. */
static void answer_polls(int ms)
{
	for (int i = 0; i < ms; i += 50) {
		struct call *poll;

		while ((poll = take_call(CALL_STATUS)) != NULL)
			answer(poll, 200, "{}");
		pass(50);
	}
}

START_TEST(no_storm_after_a_restart)
{
	char body[80];
	unsigned polls;

	for (int i = 0; i < 30; i++) {
		struct call *post;
		submit();
		post = next_call(CALL_SUBMIT);
		receive(post);
		snprintf(body, sizeof(body), "{\"request_id\": \"pixal3d_%d\"}", i);
		answer(post, 202, body);
	}
	crash();
	sim.polls = 0;
	answer_polls(500);
	ck_assert_uint_le(sim.polls, 5);
	answer_polls(10000);
	polls = sim.polls;
	ck_assert_uint_ge(polls, 29);
	ck_assert_uint_le(polls, 60);
}
END_TEST

START_TEST(forgotten_while_polled)
{
	uint64_t number = accepted_job();
	struct call *poll = next_poll(), *head;

	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	answer(poll, 200, RUNNING);
	number = accepted_job();
	answer(next_poll(), 200, COMPLETED);
	head = next_call(CALL_HEAD);
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	object(head, 200, 1234);
	pass(HOUR);
	ck_assert_ptr_null(sim.calls);
	ck_assert_ptr_null(engine_latest(sim.engine));
}
END_TEST

/* Names */

static void expect_number(const struct job *job, uint64_t number)
{
	ck_assert_uint_eq(job ? job->number : 0, number);
	job_put(job);
}

START_TEST(names_are_unique)
{
	uint64_t dog, cat, bought = accepted_job();

	ck_assert_int_eq(engine_create(sim.engine, "dog", &somebody, &dog), 0);
	ck_assert_int_eq(engine_create(sim.engine, "dog", &somebody, &cat), -EEXIST);
	ck_assert_int_eq(engine_create(sim.engine, "pixal3d_1", &somebody, &cat), -EEXIST);
	ck_assert_int_eq(engine_create(sim.engine, "cat", &somebody, &cat), 0);
	ck_assert_int_eq(engine_rename(sim.engine, cat, "dog"), -EEXIST);
	ck_assert_int_eq(engine_rename(sim.engine, bought, "bird"), 0);
	ck_assert_int_eq(engine_rename(sim.engine, cat, "pixal3d_1"), -EEXIST);
	expect_number(engine_find(sim.engine, "pixal3d_1"), 0);
	expect_number(engine_find(sim.engine, "bird"), bought);
	expect_number(engine_find_label(sim.engine, "bird"), bought);
	expect_number(engine_find_request(sim.engine, "pixal3d_1"), bought);
	crash();
	expect_number(engine_find(sim.engine, "bird"), bought);
	expect_number(engine_next(sim.engine, 0), bought);
	expect_number(engine_next(sim.engine, bought), dog);
	expect_number(engine_next(sim.engine, cat), 0);
	expect_number(engine_latest(sim.engine), cat);
}
END_TEST

/* The user may have taken a name that a later job would get. */
START_TEST(made_names_give_way)
{
	uint64_t number, bought;

	ck_assert_int_eq(engine_create(sim.engine, "job-2", &somebody, &number), 0);
	bought = submit();
	ck_assert_uint_eq(bought, 2);
	expect_number(engine_find(sim.engine, "job-2"), number);
	expect_number(engine_find(sim.engine, "job-2.2"), bought);
	ck_assert_int_eq(engine_create(sim.engine, "pixal3d_1", &somebody, &number), 0);
	answer(next_call(CALL_SUBMIT), 400, "{}");
	bought = accepted_job();
	expect_number(engine_find(sim.engine, "pixal3d_1"), number);
	expect_number(engine_find(sim.engine, "job-4"), bought);
	expect_number(engine_find_request(sim.engine, "pixal3d_1"), bought);
	crash();
	expect_number(engine_find(sim.engine, "job-2.2"), 2);
}
END_TEST

START_TEST(the_newest_of_a_label)
{
	uint64_t first = submit(), second = submit();

	expect_number(engine_find_label(sim.engine, "dog"), second);
	ck_assert_int_eq(engine_rename(sim.engine, first, "bird"), 0);
	ck_assert_int_eq(engine_rename(sim.engine, first, "dog"), 0);
	expect_number(engine_find_label(sim.engine, "dog"), second);
	expect_number(engine_latest(sim.engine), second);
	ck_assert_int_eq(engine_forget(sim.engine, second), 0);
	expect_number(engine_find_label(sim.engine, "dog"), first);
	ck_assert_int_eq(engine_forget(sim.engine, first), 0);
	expect_number(engine_find_label(sim.engine, "dog"), 0);
}
END_TEST

START_TEST(small_changes_are_kept)
{
	struct engine_owner owner = { .uid = 5, .gid = 6, .mode = 0755 };
	uint64_t number = completed_job();
	const struct job *job;

	ck_assert_int_eq(engine_hide(sim.engine, number, 4), 0);
	ck_assert_int_eq(engine_hide(sim.engine, number, 8), 0);
	ck_assert_int_eq(engine_chown(sim.engine, number, &owner), 0);
	crash();
	job = engine_get(sim.engine, number);
	ck_assert_uint_eq(job->hidden, 12);
	ck_assert_uint_eq(job->uid, 5);
	ck_assert_uint_eq(job->gid, 6);
	ck_assert_uint_eq(job->mode, 0755);
	job_put(job);
	ck_assert_int_eq(engine_hide(sim.engine, 99, 1), -ENOENT);
}
END_TEST

/* A change that has nothing to do with the poll does not put it off. */
/* What is learnt of an attempt must not be taken for the next one's. */
START_TEST(a_change_is_of_its_attempt_alone)
{
	uint64_t number = submit();
	struct change change = { .number = number, .attempt = 1, .note = "late" };
	struct call *post = next_post();

	ck_assert_int_eq(receive(post), 0);
	answer(post, 400, "");
	ck_assert_int_ge(engine_change(sim.engine, &change), 0);
	ck_assert_int_eq(submit_as(&number, "dog"), 0);
	ck_assert_int_eq(engine_change(sim.engine, &change), -ESTALE);
	expect_state(number, JOB_WAITING);
	change.attempt = 2;
	ck_assert_int_ge(engine_change(sim.engine, &change), 0);
}
END_TEST

START_TEST(what_was_unlinked_is_shown_again)
{
	uint64_t number = completed_job();
	const struct job *job;

	ck_assert_int_eq(engine_hide(sim.engine, number, 12), 0);
	ck_assert_int_eq(engine_show(sim.engine, number, 4), 0);
	crash();
	job = engine_get(sim.engine, number);
	ck_assert_uint_eq(job->hidden, 8);
	job_put(job);
	ck_assert_int_eq(engine_show(sim.engine, 99, 1), -ENOENT);
}
END_TEST

START_TEST(renaming_does_not_delay_polls)
{
	uint64_t number = accepted_job();

	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(engine_rename(sim.engine, number, i % 2 ? "a" : "b"), 0);
		pass(1000);
	}
	ck_assert_uint_eq(sim.polls, 1);
}
END_TEST

#define MANY 100000

static struct job *table_job(uint64_t number)
{
	struct job *job = job_new();
	char text[32];

	job->number = number;
	snprintf(text, sizeof(text), "pixal3d_%u", (unsigned)number);
	job_set(&job->request_id, text);
	job_set(&job->label, number % 2 ? "image" : text);
	return job;
}

START_TEST(a_hundred_thousand_jobs)
{
	struct table table;
	struct entry *entry;
	char name[32];

	ck_assert_int_eq(table_init(&table), 0);
	for (uint64_t number = 1; number <= MANY; number++) {
		entry = calloc(1, sizeof(*entry));
		entry->number = number;
		entry->job = table_job(number);
		ck_assert_int_eq(table_reserve(&table, 1), 0);
		table_add(&table, entry);
	}
	for (uint64_t number = MANY; number > 1; number--) {
		snprintf(name, sizeof(name), "pixal3d_%u", (unsigned)number);
		ck_assert_uint_eq(table_lookup(&table, KEY_NAME, name)->number, number);
		ck_assert_uint_eq(table_lookup(&table, KEY_LABEL, "image")->number,
				  number - 1 + number % 2);
		ck_assert_uint_eq(table_latest(&table)->number, number);
		entry = table_find(&table, number);
		table_remove(&table, entry);
		entry_free(entry);
		ck_assert_ptr_null(table_find(&table, number));
		ck_assert_ptr_null(table_after(&table, number - 1));
	}
	table_release(&table);
}
END_TEST

/* Waiting */

START_TEST(a_watch_fires_once)
{
	uint64_t number = accepted_job();
	struct counter counter = waiter(number), unwatched = waiter(number), late = waiter(number);

	ck_assert(engine_watch(sim.engine, &counter.watch));
	ck_assert(engine_watch(sim.engine, &unwatched.watch));
	ck_assert(engine_watch(sim.engine, &late.watch));
	ck_assert(engine_unwatch(sim.engine, &unwatched.watch));
	ck_assert(!engine_unwatch(sim.engine, &unwatched.watch));
	answer(next_poll(), 200, RUNNING);
	ck_assert_uint_eq(counter.fired, 0);
	answer(next_poll(), 200, ENDED("FAILED", "null"));
	ck_assert_uint_eq(counter.fired, 1);
	ck_assert_uint_eq(late.fired, 1);
	ck_assert_uint_eq(unwatched.fired, 0);
	ck_assert(!engine_unwatch(sim.engine, &counter.watch));
	ck_assert(!engine_watch(sim.engine, &counter.watch));
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	ck_assert_uint_eq(counter.fired, 1);
	ck_assert(!engine_watch(sim.engine, &counter.watch));
}
END_TEST

START_TEST(a_watch_fires_when_its_job_is_forgotten)
{
	uint64_t number = accepted_job();
	struct counter counter = waiter(number);

	ck_assert(engine_watch(sim.engine, &counter.watch));
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	ck_assert_uint_eq(counter.fired, 1);
}
END_TEST

#define THREADS    4
#define PER_THREAD 12

static _Atomic unsigned users_left;

/* Buys, waits, changes his mind; and looks around meanwhile. */
static void *user(void *arg)
{
	unsigned seed = *(unsigned *)arg;

	for (int i = 0; i < PER_THREAD; i++) {
		struct counter counter;
		uint64_t number = 0;
		ck_assert_int_eq(submit_as(&number, "dog"), 0);
		counter = waiter(number);
		if (engine_watch(sim.engine, &counter.watch)) {
			engine_hide(sim.engine, number, 1);
			job_put(engine_find_label(sim.engine, "dog"));
			if ((seed + (unsigned)i) % 3 == 0 &&
			    engine_unwatch(sim.engine, &counter.watch))
				continue;
			while (!counter.fired)
				sched_yield();
			ck_assert_uint_eq(counter.fired, 1);
		}
		if (i % 4 == 0)
			engine_forget(sim.engine, number);
	}
	users_left--;
	return NULL;
}

static void serve(unsigned *id)
{
	char body[160];
	struct call *call;

	pass(100);
	while ((call = take_call(CALL_SUBMIT)) != NULL) {
		snprintf(body, sizeof(body), "{\"request_id\": \"pixal3d_%u\"}", ++*id);
		if (receive(call) == 0)
			answer(call, *id % 5 ? 202 : 402, body);
		else
			fault(call, REMOTE_ABORTED, false);
	}
	while ((call = take_call(CALL_STATUS)) != NULL) {
		snprintf(body, sizeof(body),
			 "{\"request_id\": \"%.40s\", \"status\": \"FAILED\", \"error\": \"x\"}",
			 strrchr(call->url, '/') + 1);
		answer(call, 200, body);
	}
}

START_TEST(many_users_at_once)
{
	pthread_t threads[THREADS];
	unsigned seeds[THREADS], id = 0;

	users_left = THREADS;
	for (unsigned i = 0; i < THREADS; i++) {
		seeds[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, user, &seeds[i]), 0);
	}
	while (users_left)
		serve(&id);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_le(sim.posts, THREADS * PER_THREAD);
	ck_assert_uint_gt(sim.wakes, 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, only_news_is_written);
	tcase_add_loop_test(tcase, polls_that_fail_are_repeated_and_told, 0, 4);
	tcase_add_loop_test(tcase, polls_come_no_sooner_than_the_service_says, 0, 3);
	tcase_add_test(tcase, polls_cannot_begin);
	tcase_add_loop_test(tcase, bad_ends, 0, 4);
	tcase_add_test(tcase, no_storm_after_a_restart);
	tcase_add_test(tcase, forgotten_while_polled);
	tcase_add_test(tcase, names_are_unique);
	tcase_add_test(tcase, made_names_give_way);
	tcase_add_test(tcase, the_newest_of_a_label);
	tcase_add_test(tcase, small_changes_are_kept);
	tcase_add_test(tcase, a_change_is_of_its_attempt_alone);
	tcase_add_test(tcase, what_was_unlinked_is_shown_again);
	tcase_add_test(tcase, renaming_does_not_delay_polls);
	tcase_add_test(tcase, a_hundred_thousand_jobs);
	tcase_add_test(tcase, a_watch_fires_once);
	tcase_add_test(tcase, a_watch_fires_when_its_job_is_forgotten);
	tcase_add_test(tcase, many_users_at_once);
}

int main(void)
{
	Suite *suite = suite_create("engine");
	TCase *tcase = tcase_create("engine");
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, sim_setup, sim_teardown);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
