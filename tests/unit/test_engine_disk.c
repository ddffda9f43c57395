/* engine: buying on a disk that is full. The writer hears it, or the books hold it: never neither.
 */
#include "engine_world.h"
#include "run.h"

START_TEST(disk_full_before_anything)
{
	uint64_t number = 0;

	disk_full = 1;
	ck_assert_int_eq(submit_as(&number, "dog"), -ENOSPC);
	ck_assert_ptr_null(engine_latest(sim.engine));
	disk_full = 0;
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 0);
}
END_TEST

/* The job is in the books already: as long as the disk does not take a refusal, it waits, and a
 * crash makes nothing else of it. */
START_TEST(disk_full_at_the_intent)
{
	uint64_t number = submit();
	struct call *post = next_post();

	disk_full = 1;
	ck_assert_int_eq(receive(post), -ENOSPC);
	fault(post, REMOTE_ABORTED, false);
	expect_state(number, JOB_WAITING);
	expect_error(number, "Nothing was charged");
	if (_i == 0)
		crash();
	disk_full = 0;
	pass(HOUR);
	post = next_post();
	receive(post);
	answer(post, 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* It took the refusal: this is final, and the writer hears why. */
START_TEST(disk_full_at_the_intent_alone)
{
	uint64_t number = submit();
	struct call *post = next_post();

	disk_full = 1;
	ck_assert_int_eq(receive(post), -ENOSPC);
	disk_full = 0;
	fault(post, REMOTE_ABORTED, false);
	expect_state(number, JOB_REFUSED);
	ck_assert_int_eq(errno_of(number), ENOSPC);
	expect_error(number, "nothing was charged");
	crash();
	expect_state(number, JOB_REFUSED);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 0);
}
END_TEST

/* What was paid for is kept in memory until the disk takes it. */
START_TEST(disk_full_at_the_answer)
{
	uint64_t number = submit();
	struct call *post = next_post();

	receive(post);
	disk_full = 1;
	answer(post, 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	pass(2500);
	disk_full = 0;
	if (_i == 0)
		pass(10000);
	else if (_i == 1)
		crash();
	else {
		stop_driver();
		start_driver();
	}
	if (_i == 0)
		crash();
	expect_state(number, _i == 1 ? JOB_UNCERTAIN : JOB_QUEUED);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine_disk");
	TCase *tcase = tcase_create("disk");
	tcase_add_checked_fixture(tcase, sim_setup, sim_teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, disk_full_before_anything);
	tcase_add_loop_test(tcase, disk_full_at_the_intent, 0, 2);
	tcase_add_test(tcase, disk_full_at_the_intent_alone);
	tcase_add_loop_test(tcase, disk_full_at_the_answer, 0, 3);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
