/* engine: buying. Whatever happens, the service receives what was asked for once, or it is told. */
#include "engine_world.h"
#include "run.h"

START_TEST(accepted)
{
	uint64_t number = submit();
	struct call *post = next_post();
	const struct job *job;

	expect_state(number, JOB_WAITING);
	ck_assert_int_eq(receive(post), 0);
	expect_state(number, JOB_SUBMITTING);
	ck_assert_ptr_nonnull(strstr(post->body, "\"seed\""));
	expect_text(number, JOB_TEXT_PARAMS, post->body);
	answer(post, 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	expect_error(number, NULL);
	expect_text(number, JOB_TEXT_ANSWER, "202\n" ACCEPTED);
	expect_text(number, JOB_TEXT_STATUS, ACCEPTED);
	expect_text(number, JOB_TEXT_LOG, "SUBMITTING -> QUEUED, request pixal3d_1");
	job = engine_find(sim.engine, "pixal3d_1");
	ck_assert_uint_eq(job->number, number);
	ck_assert_str_eq(job->label, "dog");
	job_put(job);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* Answers, and the lack of one: what they mean, and that nothing is sent again by itself. */
static const struct {
	enum remote_fault fault;
	long http_status;
	const char *body;
	enum job_state state;
	int error;
	const char *told;
} endings[] = {
	{ REMOTE_OK, 400, "{\"error\": \"Bad seed\"}", JOB_REFUSED, EINVAL, "Bad seed" },
	{ REMOTE_OK, 401, "{}", JOB_REFUSED, EKEYREJECTED, "Nothing was charged" },
	{ REMOTE_OK, 402, "{\"error\": \"Insufficient Balance\"}", JOB_REFUSED, EDQUOT, "funds" },
	{ REMOTE_OK, 403, "Forbidden", JOB_REFUSED, EACCES, "HTTP 403" },
	{ REMOTE_CUT, 402, "{\"err", JOB_REFUSED, EDQUOT, "HTTP 402" },
	{ REMOTE_OK, 202, "{\"status\": \"QUEUED\"}", JOB_UNCERTAIN, EREMOTEIO, "request_id" },
	{ REMOTE_OK, 200, "<html>", JOB_UNCERTAIN, EREMOTEIO, "second purchase" },
	{ REMOTE_OK, 500, "{}", JOB_UNCERTAIN, EREMOTEIO, "HTTP 500" },
	{ REMOTE_OK, 502, "", JOB_UNCERTAIN, EREMOTEIO, "HTTP 502" },
	{ REMOTE_OK, 503, "", JOB_UNCERTAIN, EREMOTEIO, "HTTP 503" },
	{ REMOTE_OK, 504, "", JOB_UNCERTAIN, EREMOTEIO, "HTTP 504" },
	{ REMOTE_REDIRECT, 307, "", JOB_UNCERTAIN, EREMOTEIO, "no whole answer" },
	{ REMOTE_CUT, 0, NULL, JOB_UNCERTAIN, EREMOTEIO, "no whole answer" },
	{ REMOTE_CUT, 202, "{\"request_id\": \"pix", JOB_UNCERTAIN, EREMOTEIO, "cut" },
	{ REMOTE_TIMEOUT, 0, NULL, JOB_UNCERTAIN, ETIMEDOUT, "timeout" },
	{ REMOTE_TOO_BIG, 200, "{", JOB_UNCERTAIN, EREMOTEIO, "too-big" },
};
#define ENDINGS (sizeof(endings) / sizeof(endings[0]))

START_TEST(one_post_in_every_fault)
{
	uint64_t number = submit();
	struct call *post = next_post();
	const char *body = endings[_i].body;

	ck_assert_int_eq(receive(post), 0);
	reply(post, &(struct remote_reply){ .fault = endings[_i].fault,
					    .sent = true,
					    .http_status = endings[_i].http_status,
					    .retry_after_ms = -1,
					    .body = body,
					    .body_len = body ? strlen(body) : 0,
					    .detail = remote_fault_name(endings[_i].fault) });
	expect_state(number, endings[_i].state);
	ck_assert_int_eq(errno_of(number), endings[_i].error);
	expect_error(number, endings[_i].told);
	expect_no_post(HOUR);
	crash();
	expect_state(number, endings[_i].state);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* An answer that was cut after its last byte that matters is an answer. */
START_TEST(a_cut_answer_with_an_id_is_taken)
{
	uint64_t number = submit();
	struct call *post = next_post();

	receive(post);
	reply(post, &(struct remote_reply){ .fault = REMOTE_CUT,
					    .sent = true,
					    .http_status = 202,
					    .retry_after_ms = -1,
					    .body = ACCEPTED,
					    .body_len = strlen(ACCEPTED),
					    .detail = "cut" });
	expect_state(number, JOB_QUEUED);
}
END_TEST

static const enum remote_fault unsent[] = { REMOTE_DNS, REMOTE_CONNECT, REMOTE_TLS,
					    REMOTE_TIMEOUT };

START_TEST(what_was_not_sent_is_sent_later)
{
	uint64_t number = submit();

	for (int i = 0; i < 5; i++) {
		fault(next_post(), unsent[_i], false);
		expect_state(number, JOB_WAITING);
		ck_assert_int_eq(errno_of(number), 0);
		expect_error(number, "Nothing was charged");
		if (i == 2)
			crash();
		ck_assert_ptr_null(sim.calls);
		pass(40000);
	}
	receive(sim.calls);
	answer(next_post(), 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	expect_error(number, NULL);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* It connected, the intent was recorded, and still not a byte left. */
START_TEST(not_sent_after_the_intent)
{
	uint64_t number = submit();
	struct call *post = next_post();

	ck_assert_int_eq(post->sending(post->arg), 0);
	expect_state(number, JOB_SUBMITTING);
	fault(post, REMOTE_CONNECT, false);
	expect_state(number, JOB_WAITING);
	pass(2000);
	ck_assert_ptr_nonnull(sim.calls);
}
END_TEST

START_TEST(retry_after_is_honoured)
{
	static const long statuses[] = { 429, 503 };
	uint64_t number = submit();
	struct call *post = next_post();

	receive(post);
	reply(post, &(struct remote_reply){ .sent = true,
					    .http_status = statuses[_i],
					    .retry_after_ms = 120000,
					    .body = "{\"error\": \"slow down\"}",
					    .body_len = 22,
					    .detail = "" });
	expect_state(number, JOB_WAITING);
	expect_error(number, "slow down");
	expect_no_post(119000);
	crash();
	expect_no_post(900);
	pass(13000);
	receive(sim.calls);
	answer(next_post(), 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	/* the first one was received, and provably not accepted */
	ck_assert_uint_eq(sim.posts, 2);
}
END_TEST

/* A retry is noted in wall-clock time; should that jump, the job must not wait for years. */
START_TEST(the_clock_is_set_back)
{
	uint64_t number = submit();

	fault(next_post(), REMOTE_DNS, false);
	stop_driver();
	sim.wall_jump_ms = -365 * 24 * (int64_t)HOUR;
	start_driver();
	expect_state(number, JOB_WAITING);
	expect_no_post(1000);
	pass(2 * HOUR);
	ck_assert_ptr_nonnull(sim.calls);
}
END_TEST

START_TEST(sync_refuses_what_is_not_taken_at_once)
{
	static const int errors[] = { EHOSTUNREACH, ECONNREFUSED, EREMOTEIO, ETIMEDOUT };
	uint64_t number;

	stop_driver();
	sim.conf.submit_sync = true;
	start_driver();
	number = submit();
	fault(next_post(), unsent[_i], false);
	expect_state(number, JOB_REFUSED);
	ck_assert_int_eq(errno_of(number), errors[_i]);
	number = submit();
	receive(sim.calls);
	answer(next_post(), 429, "{}");
	expect_state(number, JOB_REFUSED);
	ck_assert_int_eq(errno_of(number), EBUSY);
	expect_no_post(HOUR);
}
END_TEST

START_TEST(no_key)
{
	uint64_t number = submit();

	fault(next_post(), REMOTE_NO_KEY, false);
	expect_state(number, JOB_REFUSED);
	ck_assert_int_eq(errno_of(number), ENOKEY);
	expect_error(number, "Nothing was sent");
	expect_no_post(HOUR);
}
END_TEST

START_TEST(what_cannot_be_begun_is_begun_later)
{
	uint64_t number = 0;

	sim.refuse = -ENOMEM;
	ck_assert_int_eq(submit_as(&number, "dog"), 0);
	pass(0);
	ck_assert_ptr_null(sim.calls);
	expect_error(number, "was not sent");
	pass(2000);
	receive(sim.calls);
	answer(next_post(), 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
}
END_TEST

/* The plug is pulled at every step of a submission. */
enum step { STORED, BEGUN, INTENDED, RECEIVED, ANSWERED, ACCEPTED_, STEPS };

static void go_to(enum step step, uint64_t number)
{
	struct store_texts texts = { .answer = "202\n" ACCEPTED,
				     .answer_len = strlen("202\n" ACCEPTED) };
	const struct job *job;
	struct job *copy;

	if (step >= BEGUN)
		pass(0);
	if (step == INTENDED)
		ck_assert_int_eq(sim.calls->sending(sim.calls->arg), 0);
	if (step >= RECEIVED)
		ck_assert_int_eq(receive(sim.calls), 0);
	if (step == ANSWERED) {
		/* just between the two commits */
		job = engine_get(sim.engine, number);
		copy = job_copy(job);
		ck_assert_int_eq(store_update(sim.store, copy, &texts), 0);
		job_put(copy);
		job_put(job);
	}
	if (step == ACCEPTED_)
		answer(next_post(), 202, ACCEPTED);
}

START_TEST(crash_at_every_step)
{
	static const enum job_state after[STEPS] = {
		[STORED] = JOB_WAITING,     [BEGUN] = JOB_WAITING,   [INTENDED] = JOB_UNCERTAIN,
		[RECEIVED] = JOB_UNCERTAIN, [ANSWERED] = JOB_QUEUED, [ACCEPTED_] = JOB_QUEUED,
	};
	uint64_t number = 0;

	ck_assert_int_eq(submit_as(&number, "dog"), 0);
	go_to((enum step)_i, number);
	crash();
	expect_state(number, after[_i]);
	if (after[_i] == JOB_WAITING) {
		pass(0);
		receive(sim.calls);
		answer(next_post(), 202, ACCEPTED);
	}
	if (after[_i] == JOB_UNCERTAIN)
		expect_error(number, "request_id");
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, _i == INTENDED ? 0 : 1);
}
END_TEST

/* An orderly end knows more than a crash. */
START_TEST(stopped)
{
	uint64_t first = submit(), second = submit(), third = 0;

	ck_assert_int_eq(submit_as(&third, "cat"), 0);
	pass(0);
	receive(sim.calls);
	stop_driver();
	start_driver();
	expect_state(first, JOB_UNCERTAIN);
	expect_state(second, JOB_WAITING);
	expect_state(third, JOB_WAITING);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

START_TEST(an_old_answer_is_none_to_a_new_attempt)
{
	uint64_t number = submit();

	receive(sim.calls);
	answer(next_post(), 400, "{}");
	expect_state(number, JOB_REFUSED);
	ck_assert_int_eq(submit_as(&number, "ignored"), 0);
	pass(0);
	ck_assert_int_eq(receive(sim.calls), 0);
	crash();
	expect_state(number, JOB_UNCERTAIN);
	ck_assert_int_eq(submit_as(&number, "ignored"), 0);
	pass(0);
	receive(sim.calls);
	answer(next_post(), 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	expect_text(number, JOB_TEXT_LOG, "attempt 3");
	ck_assert_uint_eq(sim.posts, 3);
}
END_TEST

/* "Try later" was said of the POST before; of this one nothing is known. */
START_TEST(an_old_answer_is_none_to_a_new_try)
{
	uint64_t number = submit();

	receive(sim.calls);
	answer(next_post(), 429, "{}");
	expect_state(number, JOB_WAITING);
	pass(5 * 60000);
	ck_assert_int_eq(receive(sim.calls), 0);
	crash();
	expect_state(number, JOB_UNCERTAIN);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 2);
}
END_TEST

/* An answer that names an end at once is an answer; a 404 later does not take the id away. */
START_TEST(an_early_end_then_unknown)
{
	uint64_t number = submit();

	receive(sim.calls);
	answer(next_post(), 202, "{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\"}");
	expect_state(number, JOB_QUEUED);
	answer(next_poll(), 404, "{}");
	expect_state(number, JOB_QUEUED);
	answer(next_poll(), 200, RUNNING);
	expect_state(number, JOB_PROCESSING);
}
END_TEST

START_TEST(bought_is_bought)
{
	uint64_t number = submit();

	ck_assert_int_eq(submit_as(&number, "dog"), -EALREADY);
	receive(sim.calls);
	ck_assert_int_eq(submit_as(&number, "dog"), -EALREADY);
	answer(next_post(), 202, ACCEPTED);
	ck_assert_int_eq(submit_as(&number, "dog"), -EROFS);
	number = 99;
	ck_assert_int_eq(submit_as(&number, "dog"), -ENOENT);
	expect_no_post(HOUR);
}
END_TEST

START_TEST(so_many_at_once)
{
	struct call *posts[2];
	uint64_t number = 0;

	for (int i = 0; i < 5; i++) {
		number = 0;
		ck_assert_int_eq(submit_as(&number, "dog"), 0);
	}
	for (int i = 0; i < 5; i++) {
		pass(0);
		posts[0] = next_post();
		posts[1] = take_call(CALL_SUBMIT);
		ck_assert_int_eq(posts[1] != NULL, i < 4);
		ck_assert_ptr_null(take_call(CALL_SUBMIT));
		receive(posts[0]);
		answer(posts[0], 400, "{}");
		sim.calls = posts[1];
	}
	ck_assert_uint_eq(sim.posts, 5);
}
END_TEST

START_TEST(attach)
{
	uint64_t draft, other, number = submit();

	receive(sim.calls);
	fault(next_post(), REMOTE_CUT, true);
	expect_state(number, JOB_UNCERTAIN);
	ck_assert_int_eq(engine_attach(sim.engine, number, "../x"), -EINVAL);
	ck_assert_int_eq(engine_attach(sim.engine, number, "pixal3d_1"), 0);
	expect_state(number, JOB_QUEUED);
	expect_error(number, NULL);
	ck_assert_int_eq(engine_attach(sim.engine, number, "pixal3d_1"), 0);
	ck_assert_int_eq(engine_attach(sim.engine, number, "pixal3d_2"), -EROFS);
	ck_assert_int_eq(engine_create(sim.engine, "cat", &somebody, &draft), 0);
	ck_assert_int_eq(engine_attach(sim.engine, draft, "pixal3d_1"), -EEXIST);
	ck_assert_int_eq(engine_attach(sim.engine, draft, "pixal3d_2"), 0);
	ck_assert_int_eq(engine_attach(sim.engine, 99, "pixal3d_3"), -ENOENT);
	other = submit();
	ck_assert_int_eq(engine_attach(sim.engine, other, "pixal3d_3"), -EALREADY);
	pass(11000);
	ck_assert_uint_eq(sim.polls, 2);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* rm -r that comes too late takes nothing away: what it had begun with is there again. */
START_TEST(nothing_is_hidden_of_what_is_sent)
{
	uint64_t number = submit();
	struct call *post = next_post();
	const struct job *job;

	ck_assert_int_eq(engine_hide(sim.engine, number, 6), 0);
	ck_assert_int_eq(receive(post), 0);
	ck_assert_int_eq(engine_hide(sim.engine, number, 8), -EBUSY);
	ck_assert_int_eq(engine_forget(sim.engine, number), -EBUSY);
	answer(post, 202, ACCEPTED);
	job = engine_get(sim.engine, number);
	ck_assert_uint_eq(job->hidden, 0);
	job_put(job);
}
END_TEST

START_TEST(forget_while_under_way)
{
	uint64_t number = submit();
	struct call *post = next_post();

	/* still connecting: nothing is sent any more */
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	ck_assert_int_ne(receive(post), 0);
	fault(post, REMOTE_ABORTED, false);
	ck_assert_int_eq(engine_forget(sim.engine, number), -ENOENT);
	number = submit();
	ck_assert_uint_eq(number, 2);
	receive(sim.calls);
	ck_assert_int_eq(engine_forget(sim.engine, number), -EBUSY);
	answer(next_post(), 202, ACCEPTED);
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	ck_assert_ptr_null(engine_find_request(sim.engine, "pixal3d_1"));
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 1);
	ck_assert_uint_eq(sim.polls, 0);
}
END_TEST

START_TEST(read_only)
{
	uint64_t number = submit(), other = 0;

	stop_driver();
	sim.conf.read_only = true;
	start_driver();
	expect_no_post(HOUR);
	ck_assert_int_eq(submit_as(&other, "dog"), -EROFS);
	expect_state(number, JOB_WAITING);
}
END_TEST

START_TEST(drafts)
{
	struct params *params = NULL;
	char error[PARAMS_ERROR_MAX];
	uint64_t number;

	ck_assert_int_eq(params_parse("{\"texture_size\": 4096}", 22, &params, error), PARAMS_OK);
	ck_assert_int_eq(engine_create(sim.engine, "dog", &somebody, &number), 0);
	ck_assert_int_eq(engine_keep_params(sim.engine, number, params), 0);
	expect_text(number, JOB_TEXT_PARAMS, "4096");
	crash();
	expect_state(number, JOB_DRAFT);
	expect_no_post(HOUR);
	ck_assert_int_eq(submit_as(&number, "ignored"), 0);
	ck_assert_int_eq(engine_keep_params(sim.engine, number, params), -EROFS);
	pass(0);
	receive(sim.calls);
	answer(next_post(), 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	params_free(params);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine_submit");
	TCase *tcase = tcase_create("submit");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, sim_setup, sim_teardown);
	tcase_add_test(tcase, accepted);
	tcase_add_loop_test(tcase, one_post_in_every_fault, 0, ENDINGS);
	tcase_add_test(tcase, a_cut_answer_with_an_id_is_taken);
	tcase_add_loop_test(tcase, what_was_not_sent_is_sent_later, 0, 4);
	tcase_add_test(tcase, not_sent_after_the_intent);
	tcase_add_loop_test(tcase, retry_after_is_honoured, 0, 2);
	tcase_add_test(tcase, the_clock_is_set_back);
	tcase_add_loop_test(tcase, sync_refuses_what_is_not_taken_at_once, 0, 4);
	tcase_add_test(tcase, no_key);
	tcase_add_test(tcase, what_cannot_be_begun_is_begun_later);
	tcase_add_loop_test(tcase, crash_at_every_step, 0, STEPS);
	tcase_add_test(tcase, stopped);
	tcase_add_test(tcase, an_old_answer_is_none_to_a_new_attempt);
	tcase_add_test(tcase, an_old_answer_is_none_to_a_new_try);
	tcase_add_test(tcase, an_early_end_then_unknown);
	tcase_add_test(tcase, bought_is_bought);
	tcase_add_test(tcase, so_many_at_once);
	tcase_add_test(tcase, attach);
	tcase_add_test(tcase, nothing_is_hidden_of_what_is_sent);
	tcase_add_test(tcase, forget_while_under_way);
	tcase_add_test(tcase, read_only);
	tcase_add_test(tcase, drafts);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
