/* engine: a refused key. Who stands by is told; what nobody waits for waits for a key that works.
 */
#include "engine_world.h"
#include "run.h"

#define NO_KEY "{\"message\": \"Access denied\"}"
#define SECOND "{\"request_id\": \"pixal3d_2\", \"status\": \"QUEUED\"}"
#define THIRD  "{\"request_id\": \"pixal3d_3\", \"status\": \"QUEUED\"}"

static void refuse_key(struct call *call)
{
	if (call->kind == CALL_SUBMIT)
		receive(call);
	answer(call, 401, NO_KEY);
}

static void accept_next(uint64_t number, const char *answer_text)
{
	struct call *post = next_call(CALL_SUBMIT);

	receive(post);
	answer(post, 202, answer_text);
	expect_state(number, JOB_QUEUED);
	expect_error(number, NULL);
}

START_TEST(a_key_that_never_worked_is_refused)
{
	uint64_t number = submit();

	refuse_key(next_call(CALL_SUBMIT));
	expect_state(number, JOB_REFUSED);
	ck_assert_int_eq(errno_of(number), EKEYREJECTED);
	expect_error(number, "Check the API key");
	pass(HOUR);
	ck_assert_ptr_null(sim.calls);
}
END_TEST

START_TEST(a_key_that_worked_is_waited_for)
{
	uint64_t first = accepted_job(), number = submit();

	for (int i = 0; i < 5; i++) {
		refuse_key(next_call(CALL_SUBMIT));
		expect_state(number, JOB_WAITING);
		expect_error(number, "Access denied (HTTP 401). Nothing was charged");
		expect_error(number, "mend the API key");
		pass(HOUR);
	}
	accept_next(number, SECOND);
	expect_state(first, JOB_QUEUED);
	/* five refused, two bought */
	ck_assert_uint_eq(sim.posts, 7);
}
END_TEST

START_TEST(with_sync_it_is_refused)
{
	uint64_t number;

	stop_driver();
	sim.conf.submit_sync = true;
	start_driver();
	accepted_job();
	number = submit();
	refuse_key(next_call(CALL_SUBMIT));
	expect_state(number, JOB_REFUSED);
	ck_assert_int_eq(errno_of(number), EKEYREJECTED);
}
END_TEST

/* Left by an earlier run, at whatever point: nobody stands by. */
START_TEST(what_was_left_waits)
{
	static const enum remote_fault faults[] = { REMOTE_OK, REMOTE_NO_KEY };
	uint64_t number = submit();

	crash();
	pass(1);
	if (faults[_i] == REMOTE_OK)
		refuse_key(next_call(CALL_SUBMIT));
	else
		fault(next_call(CALL_SUBMIT), REMOTE_NO_KEY, false);
	expect_state(number, JOB_WAITING);
	expect_error(number, "mend the API key");
	crash();
	pass(10000);
	accept_next(number, ACCEPTED);
}
END_TEST

START_TEST(what_was_put_off_waits)
{
	uint64_t number = submit();

	fault(next_call(CALL_SUBMIT), REMOTE_DNS, false);
	pass(2000);
	refuse_key(next_call(CALL_SUBMIT));
	expect_state(number, JOB_WAITING);
}
END_TEST

/* A new attempt of an old job has a writer again. */
START_TEST(a_new_attempt_is_told)
{
	uint64_t number = submit();

	refuse_key(next_call(CALL_SUBMIT));
	crash();
	ck_assert_int_eq(submit_as(&number, NULL), 0);
	pass(0);
	refuse_key(next_call(CALL_SUBMIT));
	expect_state(number, JOB_REFUSED);
}
END_TEST

START_TEST(polls_go_on_and_tell_at_once)
{
	uint64_t number = accepted_job();

	refuse_key(next_poll());
	expect_state(number, JOB_QUEUED);
	expect_error(number, "does not accept the API key");
	pass(HOUR);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	expect_state(number, JOB_PROCESSING);
	expect_error(number, NULL);
}
END_TEST

/* The first sign that the key works again lets everything go on, however long it was put off. */
START_TEST(all_go_on_at_once)
{
	uint64_t polled, held;

	stop_driver();
	sim.conf.sched.retry_min_ms = sim.conf.sched.retry_max_ms = HOUR;
	start_driver();
	polled = accepted_job();
	refuse_key(next_poll());
	expect_error(polled, "does not accept the API key");
	held = submit();
	refuse_key(next_call(CALL_SUBMIT));
	expect_state(held, JOB_WAITING);
	pass(1000);
	ck_assert_ptr_null(sim.calls);
	accept_next(submit(), SECOND);
	pass(0);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	expect_error(polled, NULL);
	accept_next(held, THIRD);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine_key");
	TCase *tcase = tcase_create("key");
	tcase_add_checked_fixture(tcase, sim_setup, sim_teardown);
	tcase_add_test(tcase, a_key_that_never_worked_is_refused);
	tcase_add_test(tcase, a_key_that_worked_is_waited_for);
	tcase_add_test(tcase, with_sync_it_is_refused);
	tcase_add_loop_test(tcase, what_was_left_waits, 0, 2);
	tcase_add_test(tcase, what_was_put_off_waits);
	tcase_add_test(tcase, a_new_attempt_is_told);
	tcase_add_test(tcase, polls_go_on_and_tell_at_once);
	tcase_add_test(tcase, all_go_on_at_once);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
