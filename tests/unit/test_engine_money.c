/* engine: what is spent is known and bounded, and ERROR may be tried again for nothing. */
#include "engine_world.h"
#include "run.h"

#include <pthread.h>

#define DAY (24 * HOUR)

static struct price_account account(void)
{
	struct price_account now;

	ck_assert_int_eq(engine_account(sim.engine, &now), 0);
	return now;
}

/* Starts again with another configuration. */
static void remount(const char *budget, unsigned retry_errors)
{
	stop_driver();
	sim.conf.budget = (struct price_budget){ 0 };
	if (budget)
		ck_assert_int_eq(price_budget_parse(&sim.conf.budget, budget), 0);
	sim.conf.retry_errors = retry_errors;
	start_driver();
}

static int order(uint64_t *number, const char *json)
{
	struct params *params = NULL;
	char error[PARAMS_ERROR_MAX];
	int r;

	ck_assert_int_eq(params_parse(json, strlen(json), &params, error), PARAMS_OK);
	r = engine_submit(sim.engine, number, "dog", &somebody, params);
	params_free(params);
	return r;
}

static int order_new(const char *json)
{
	uint64_t number = 0;

	return order(&number, json);
}

static const struct job *job_of(uint64_t number)
{
	const struct job *job = engine_get(sim.engine, number);

	ck_assert_ptr_nonnull(job);
	job_put(job); /* the engine's reference stays until the next change */
	return job;
}

static unsigned jobs(void)
{
	const struct job *job;
	unsigned count = 0;

	for (uint64_t after = 0; (job = engine_next(sim.engine, after)) != NULL; job_put(job)) {
		after = job->number;
		count++;
	}
	return count;
}

/* The oldest POST that is under way is received and answered. */
static void settle(long http_status, const char *body)
{
	struct call *post;

	pass(0);
	post = take_call(CALL_SUBMIT);
	ck_assert_int_eq(receive(post), 0);
	answer(post, http_status, body);
}

static void poll_says(const char *body)
{
	struct call *poll;

	pass(15000);
	poll = take_call(CALL_STATUS);
	ck_assert_ptr_nonnull(poll);
	answer(poll, 200, body);
}

#define SMALL "{\"image_url\": \"https://example.com/a.png\", \"texture_size\": 1024}"
#define LARGE "{\"image_url\": \"https://example.com/a.png\", \"texture_size\": 4096}"

START_TEST(each_texture_size_has_its_price)
{
	ck_assert_int_eq(order_new(SMALL), 0);
	ck_assert_int_eq(account().ever, 300000);
	ck_assert_int_eq(order_new(IMAGE), 0);
	ck_assert_int_eq(account().ever, 720000);
	ck_assert_int_eq(order_new(LARGE), 0);
	ck_assert_int_eq(account().ever, 1140000);
	ck_assert_int_eq(account().today, 1140000);
	ck_assert_int_eq(account().month, 1140000);
}
END_TEST

START_TEST(the_list_can_be_replaced)
{
	ck_assert_int_eq(price_list_parse(&sim.conf.prices, "4096:1.25"), 0);
	remount(NULL, 0);
	ck_assert_int_eq(order_new(LARGE), 0);
	ck_assert_int_eq(account().ever, 1250000);
}
END_TEST

START_TEST(what_is_refused_is_given_back)
{
	ck_assert_int_eq(order_new(IMAGE), 0);
	settle(402, "{\"error\": \"Insufficient Balance\", \"message\": \"no\"}");
	ck_assert_int_eq(account().ever, 0);
	ck_assert_int_eq(sim.posts, 1);
}
END_TEST

START_TEST(what_was_not_sent_stays_reserved)
{
	uint64_t number = submit();
	struct call *post = take_call(CALL_SUBMIT);

	ck_assert_ptr_nonnull(post);
	fault(post, REMOTE_DNS, false);
	ck_assert_int_eq(state_of(number), JOB_WAITING);
	ck_assert_int_eq(account().ever, 420000);
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	ck_assert_int_eq(account().ever, 0);
}
END_TEST

START_TEST(what_is_uncertain_is_counted_and_said_to_be)
{
	uint64_t number = submit();
	struct call *post = take_call(CALL_SUBMIT);

	ck_assert_int_eq(receive(post), 0);
	fault(post, REMOTE_CUT, true);
	ck_assert_int_eq(state_of(number), JOB_UNCERTAIN);
	ck_assert_int_eq(account().ever, 420000);
	ck_assert_int_eq(account().uncertain, 420000);
	/* A second purchase on purpose. */
	ck_assert_int_eq(order(&number, SMALL), 0);
	settle(202, ACCEPTED);
	ck_assert_int_eq(account().ever, 720000);
	ck_assert_int_eq(account().uncertain, 420000);
	const struct job *job = engine_get(sim.engine, number);
	ck_assert_int_eq(job->earlier, 420000);
	ck_assert_int_eq(job_cost(job), 300000);
	job_put(job);
}
END_TEST

START_TEST(attaching_is_free)
{
	uint64_t number = 0;

	ck_assert_int_eq(engine_create(sim.engine, "cat", &somebody, &number), 0);
	ck_assert_int_eq(engine_attach(sim.engine, number, "pixal3d_1"), 0);
	poll_says(ENDED("FAILED", "\"no\""));
	ck_assert_int_eq(state_of(number), JOB_FAILED);
	ck_assert_int_eq(account().ever, 0);
}
END_TEST

static const struct {
	const char *word;
	int64_t cost;
} ends[] = { { "COMPLETED", 420000 },
	     { "FAILED", 420000 },
	     { "ERROR", 0 },
	     { "CANCELLED", 420000 },
	     { "PAUSED", 420000 } };

START_TEST(every_end_has_its_cost)
{
	uint64_t number = accepted_job();
	char body[160];

	snprintf(body, sizeof(body), "{\"request_id\": \"pixal3d_1\", \"status\": \"%s\"}",
		 ends[_i].word);
	for (int round = 0; round < 4 && job_is(job_of(number), JOB_POLLED_STATES); round++)
		poll_says(body);
	ck_assert_int_eq(account().ever, ends[_i].cost);
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	ck_assert_int_eq(account().ever, ends[_i].cost);
	remount(NULL, 0);
	ck_assert_int_eq(account().ever, ends[_i].cost);
}
END_TEST

/* The budget. */

START_TEST(a_budget_refuses_before_sending)
{
	struct params *params = NULL;
	char error[PARAMS_ERROR_MAX], *why;

	remount("1.00", 0);
	ck_assert_int_eq(order_new(IMAGE), 0);
	ck_assert_int_eq(order_new(SMALL), 0);
	ck_assert_int_eq(order_new(SMALL), -EDQUOT);
	ck_assert_uint_eq(jobs(), 2);
	settle(202, ACCEPTED);
	settle(400, "{\"error\": \"no\"}");
	ck_assert_ptr_null(take_call(CALL_SUBMIT));
	ck_assert_int_eq(sim.posts, 2);
	/* What was refused has made room: 0.42 + 0.30 + 0.28. */
	ck_assert_int_eq(order_new(SMALL), 0);
	ck_assert_int_eq(order_new(IMAGE), -EDQUOT);
	ck_assert_int_eq(params_parse(IMAGE, strlen(IMAGE), &params, error), PARAMS_OK);
	why = engine_over_budget(sim.engine, params);
	ck_assert_ptr_nonnull(strstr(why, "costs 0.42 USD"));
	ck_assert_ptr_nonnull(strstr(why, "0.72 of 1.00 USD in all"));
	ck_assert_ptr_nonnull(strstr(why, "estimate"));
	free(why);
	params_free(params);
}
END_TEST

START_TEST(a_budget_that_fits_exactly_fits)
{
	remount("0.72", 0);
	ck_assert_int_eq(order_new(IMAGE), 0);
	ck_assert_int_eq(order_new(SMALL), 0);
	ck_assert_int_eq(order_new(SMALL), -EDQUOT);
	/* More of it at the next mount: what was spent is known. */
	remount("1.02", 0);
	ck_assert_int_eq(order_new(SMALL), 0);
	ck_assert_int_eq(order_new(SMALL), -EDQUOT);
	remount("0", 0);
	ck_assert_int_eq(order_new(SMALL), -EDQUOT);
	remount(NULL, 0);
	ck_assert_int_eq(order_new(SMALL), 0);
}
END_TEST

START_TEST(a_refused_attempt_leaves_the_job)
{
	uint64_t number = 0;
	const struct job *job;

	remount("0.42", 0);
	number = accepted_job();
	poll_says(ENDED("FAILED", "\"no\""));
	ck_assert_int_eq(order(&number, SMALL), -EDQUOT);
	job = engine_get(sim.engine, number);
	ck_assert_int_eq(job->state, JOB_FAILED);
	ck_assert_uint_eq(job->attempts, 1);
	ck_assert_int_eq(job->price, 420000);
	job_put(job);
	ck_assert_int_eq(sim.posts, 1);
}
END_TEST

START_TEST(what_cannot_be_bought_is_refused_for_that)
{
	uint64_t number;

	remount("0.42", 0);
	number = accepted_job();
	ck_assert_int_eq(order(&number, SMALL), -EROFS);
}
END_TEST

static const struct {
	const char *budget;
	int64_t too_early, in_time; /* after the clock's start, 2026-05-22T13:20Z */
} windows[] = {
	{ "0.42/day", 10 * HOUR + 39 * 60000, 10 * HOUR + 40 * 60000 },
	{ "0.42/month", 9 * DAY + 10 * HOUR + 39 * 60000, 9 * DAY + 10 * HOUR + 40 * 60000 },
};

START_TEST(days_and_months_are_added_up)
{
	ck_assert_int_eq(order_new(LARGE), 0);
	sim.now_ms = windows[0].in_time;
	ck_assert_int_eq(order_new(SMALL), 0);
	ck_assert_int_eq(account().today, 300000);
	ck_assert_int_eq(account().month, 720000);
	sim.now_ms = windows[1].in_time;
	ck_assert_int_eq(account().today, 0);
	ck_assert_int_eq(account().month, 0);
	ck_assert_int_eq(account().ever, 720000);
}
END_TEST

START_TEST(a_budget_begins_anew)
{
	remount(windows[_i].budget, 0);
	ck_assert_int_eq(order_new(LARGE), 0);
	sim.now_ms = windows[_i].too_early;
	ck_assert_int_eq(order_new(SMALL), -EDQUOT);
	sim.now_ms = windows[_i].in_time;
	ck_assert_int_eq(order_new(SMALL), 0);
	ck_assert_int_eq(account().today, 300000);
	ck_assert_int_eq(account().ever, 720000);
	/* A clock that is set back brings no new money. */
	sim.wall_jump_ms = -5 * 60000;
	ck_assert_int_eq(order_new(SMALL), -EDQUOT);
}
END_TEST

#define BUYERS 8
#define EACH   12

static _Atomic unsigned taken, refused;

static void *buyer(void *arg)
{
	(void)arg;
	for (int i = 0; i < EACH; i++) {
		uint64_t number = 0;
		struct params *params = params_new();
		int r;

		if (!params || params_set_image_url(params, "https://example.com/a.png"))
			abort();
		r = engine_submit(sim.engine, &number, "x", &somebody, params);
		params_free(params);
		if (r == 0)
			taken++;
		else if (r == -EDQUOT)
			refused++;
	}
	return NULL;
}

START_TEST(many_at_once_stay_below_the_budget)
{
	pthread_t threads[BUYERS];

	taken = refused = 0;
	remount("10.00/day", 0);
	for (int i = 0; i < BUYERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, buyer, NULL), 0);
	for (int i = 0; i < BUYERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(taken, 23); /* 9.66 USD */
	ck_assert_uint_eq(refused, BUYERS * EACH - 23);
	ck_assert_uint_eq(jobs(), 23);
	ck_assert_int_eq(account().today, 23 * 420000);
}
END_TEST

START_TEST(the_lines_of_a_batch_share_the_budget)
{
	struct engine_order orders[5] = { 0 };
	char error[PARAMS_ERROR_MAX];
	int bought = 0;

	remount("1.00", 0);
	for (int i = 0; i < 5; i++) {
		orders[i].owner = &somebody;
		ck_assert_int_eq(params_parse(SMALL, strlen(SMALL), &orders[i].params, error),
				 PARAMS_OK);
	}
	engine_submit_all(sim.engine, orders, 5);
	for (int i = 0; i < 5; i++) {
		bought += orders[i].error == 0;
		ck_assert_int_eq(orders[i].error, i < 3 ? 0 : -EDQUOT);
		params_free(orders[i].params);
	}
	ck_assert_int_eq(bought, 3);
	ck_assert_uint_eq(jobs(), 3);
	ck_assert_int_eq(account().ever, 900000);
}
END_TEST

START_TEST(a_full_disk_reserves_nothing)
{
	remount("0.42", 0);
	disk_full = 1;
	ck_assert_int_eq(order_new(IMAGE), -ENOSPC);
	disk_full = 0;
	ck_assert_int_eq(account().ever, 0);
	ck_assert_int_eq(order_new(IMAGE), 0);
}
END_TEST

/* Retries. */

#define BROKEN ENDED("ERROR", "\"boiler\"")

static void ends_in_error(void)
{
	settle(202, ACCEPTED);
	poll_says(BROKEN);
}

START_TEST(no_retry_unless_asked_for)
{
	uint64_t number = submit();

	ends_in_error();
	ck_assert_int_eq(state_of(number), JOB_ERROR);
	ck_assert(engine_job_ended(job_of(number)));
	pass(DAY);
	ck_assert_int_eq(sim.posts, 1);
}
END_TEST

START_TEST(errors_are_retried_so_often)
{
	uint64_t number;
	char *body = NULL, *log = NULL;
	size_t len;

	remount("0.42", 2);
	number = submit();
	for (unsigned i = 0; i < 3; i++) {
		struct call *post;

		pass(10000);
		post = take_call(CALL_SUBMIT);
		ck_assert_ptr_nonnull(post);
		/* The same request, its seed included. */
		if (body)
			ck_assert_str_eq(post->body, body);
		free(body);
		body = strdup(post->body);
		ck_assert_int_eq(receive(post), 0);
		answer(post, 202, ACCEPTED);
		ck_assert_int_eq(account().ever, 420000);
		poll_says(BROKEN);
		ck_assert_int_eq(state_of(number), JOB_ERROR);
		/* A waiter goes on waiting. */
		ck_assert(engine_job_ended(job_of(number)) == (i == 2));
		ck_assert_int_eq(account().ever, 0);
	}
	pass(DAY);
	ck_assert_int_eq(sim.posts, 3);
	ck_assert_uint_eq(job_of(number)->attempts, 3);
	ck_assert_int_eq(engine_text(sim.engine, number, JOB_TEXT_LOG, &log, &len), 0);
	ck_assert_ptr_nonnull(strstr(log, "submitted again by itself, 1 of 2 times"));
	ck_assert_ptr_nonnull(strstr(log, "submitted again by itself, 2 of 2 times"));
	free(log);
	free(body);
}
END_TEST

START_TEST(only_error_is_retried)
{
	static const char *const ends_of[] = { ENDED("FAILED", "\"no\""),
					       ENDED("CANCELLED", "\"no\"") };
	uint64_t number;

	remount(NULL, 5);
	number = submit();
	settle(202, ACCEPTED);
	poll_says(ends_of[_i]);
	ck_assert(engine_job_ended(job_of(number)));
	pass(DAY);
	ck_assert_int_eq(sim.posts, 1);
}
END_TEST

START_TEST(what_was_attached_is_not_retried)
{
	uint64_t number = 0;

	remount(NULL, 5);
	ck_assert_int_eq(engine_create(sim.engine, "cat", &somebody, &number), 0);
	ck_assert_int_eq(engine_attach(sim.engine, number, "pixal3d_1"), 0);
	poll_says(BROKEN);
	ck_assert_int_eq(state_of(number), JOB_ERROR);
	pass(DAY);
	ck_assert_int_eq(sim.posts, 0);
}
END_TEST

/* The id was found by the user, or named by a callback: nobody knows whether there is not another
 * purchase that the POST has made. */
START_TEST(what_was_in_doubt_is_not_retried)
{
	uint64_t number;
	struct call *post;

	remount(NULL, 5);
	number = submit();
	post = take_call(CALL_SUBMIT);
	ck_assert_int_eq(receive(post), 0);
	fault(post, REMOTE_TIMEOUT, true);
	ck_assert_int_eq(state_of(number), JOB_UNCERTAIN);
	ck_assert_int_eq(engine_attach(sim.engine, number, "pixal3d_1"), 0);
	poll_says(BROKEN);
	ck_assert_int_eq(state_of(number), JOB_ERROR);
	ck_assert(engine_job_ended(job_of(number)));
	pass(DAY);
	ck_assert_int_eq(sim.posts, 1);
}
END_TEST

START_TEST(a_deliberate_attempt_counts_anew)
{
	uint64_t number;

	remount(NULL, 1);
	number = submit();
	ends_in_error();
	pass(10000);
	ends_in_error();
	ck_assert(engine_job_ended(job_of(number)));
	ck_assert_int_eq(order(&number, IMAGE), 0);
	ends_in_error();
	ck_assert(!engine_job_ended(job_of(number)));
	pass(10000);
	ends_in_error();
	pass(DAY);
	ck_assert_int_eq(sim.posts, 4);
}
END_TEST

/* The plug is pulled after each step of error, retry, error; N tries are N tries. */
START_TEST(crashes_make_no_more_retries)
{
	uint64_t number;

	remount(NULL, 1);
	number = submit();
	ends_in_error();
	if (_i == 0)
		crash();
	ck_assert(!engine_job_ended(job_of(number)));
	pass(10000);
	if (_i == 1)
		crash();
	pass(10000);
	ends_in_error();
	if (_i == 2)
		crash();
	pass(DAY);
	ck_assert_int_eq(state_of(number), JOB_ERROR);
	ck_assert(engine_job_ended(job_of(number)));
	ck_assert_int_eq(sim.posts, 2);
	ck_assert_int_eq(account().ever, 0);
}
END_TEST

START_TEST(a_retry_needs_room_in_the_budget)
{
	uint64_t number;

	remount("0.42", 1);
	number = submit();
	ends_in_error();
	ck_assert_int_eq(order_new(SMALL), 0); /* somebody else was faster */
	pass(10000);
	ck_assert_int_eq(state_of(number), JOB_ERROR);
	ck_assert(engine_job_ended(job_of(number)));
	ck_assert_ptr_nonnull(strstr(job_of(number)->error, "budget"));
	settle(202, "{\"request_id\": \"pixal3d_2\", \"status\": \"QUEUED\"}");
	pass(HOUR);
	ck_assert_int_eq(sim.posts, 2);
}
END_TEST

START_TEST(a_mount_that_does_not_ask_for_retries_makes_none)
{
	uint64_t number;

	remount(NULL, 1);
	number = submit();
	ends_in_error();
	remount(NULL, 0);
	ck_assert(!engine_job_ended(job_of(number)));
	pass(10000);
	ck_assert(engine_job_ended(job_of(number)));
	ck_assert_ptr_nonnull(strstr(job_of(number)->error, "retry_errors"));
	pass(DAY);
	ck_assert_int_eq(sim.posts, 1);
}
END_TEST

START_TEST(a_retry_waits_for_the_disk)
{
	uint64_t number;

	remount(NULL, 1);
	number = submit();
	ends_in_error();
	disk_full = 1;
	pass(10000);
	ck_assert_int_eq(state_of(number), JOB_ERROR);
	disk_full = 0;
	pass(HOUR);
	ends_in_error();
	pass(DAY);
	ck_assert_int_eq(sim.posts, 2);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
	Suite *suite = suite_create("engine money");
	TCase *tc = tcase_create("money");
	tcase_add_checked_fixture(tc, sim_setup, sim_teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_test(tc, each_texture_size_has_its_price);
	tcase_add_test(tc, the_list_can_be_replaced);
	tcase_add_test(tc, what_is_refused_is_given_back);
	tcase_add_test(tc, what_was_not_sent_stays_reserved);
	tcase_add_test(tc, what_is_uncertain_is_counted_and_said_to_be);
	tcase_add_test(tc, attaching_is_free);
	tcase_add_loop_test(tc, every_end_has_its_cost, 0, COUNT(ends));
	tcase_add_test(tc, a_budget_refuses_before_sending);
	tcase_add_test(tc, a_budget_that_fits_exactly_fits);
	tcase_add_test(tc, a_refused_attempt_leaves_the_job);
	tcase_add_test(tc, what_cannot_be_bought_is_refused_for_that);
	tcase_add_test(tc, days_and_months_are_added_up);
	tcase_add_loop_test(tc, a_budget_begins_anew, 0, COUNT(windows));
	tcase_add_test(tc, many_at_once_stay_below_the_budget);
	tcase_add_test(tc, the_lines_of_a_batch_share_the_budget);
	tcase_add_test(tc, a_full_disk_reserves_nothing);
	tcase_add_test(tc, no_retry_unless_asked_for);
	tcase_add_test(tc, errors_are_retried_so_often);
	tcase_add_loop_test(tc, only_error_is_retried, 0, 2);
	tcase_add_test(tc, what_was_attached_is_not_retried);
	tcase_add_test(tc, what_was_in_doubt_is_not_retried);
	tcase_add_test(tc, a_deliberate_attempt_counts_anew);
	tcase_add_loop_test(tc, crashes_make_no_more_retries, 0, 3);
	tcase_add_test(tc, a_retry_needs_room_in_the_budget);
	tcase_add_test(tc, a_mount_that_does_not_ask_for_retries_makes_none);
	tcase_add_test(tc, a_retry_waits_for_the_disk);
	return run_suite(suite);
}
