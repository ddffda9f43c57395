/*
 * output_plan - the policy as a function, and what it comes to: which requests reach the server, in
 * which order, and which are ended because nobody reads any more
 */
#include "output_fixture.h"
#include "output_internal.h"
#include "run.h"

#include <check.h>

#define KIB 1024ULL

static const struct output_pace unknown;
static const struct output_pace near_by = { .latency_us = 300, .rate = 900 * MIB };
static const struct output_pace far_off = { .latency_us = 41000 };

static struct range range(uint64_t start, uint64_t end)
{
	return (struct range){ start, end };
}

static void check_window(struct range read, struct range gap, uint64_t part, struct range want)
{
	struct range got = output_window(read, gap, part);

	ck_assert_msg(got.start == want.start && got.end == want.end, "[%llu, %llu)",
		      (unsigned long long)got.start, (unsigned long long)got.end);
}

START_TEST(windows)
{
	struct range all = { 0, 20 * MIB };

	check_window(range(0, 16 * KIB), all, WINDOW, range(0, 128 * KIB));
	check_window(range(70000, 70001), all, WINDOW, range(0, 128 * KIB));
	check_window(range(130 * KIB, 600 * KIB), all, WINDOW, range(128 * KIB, 640 * KIB));
	check_window(range(0, 16 * KIB), all, MIB, range(0, MIB));
	/* What others have or fetch is left to them. */
	check_window(range(70000, 70001), range(65536, 100000), WINDOW, range(65536, 100000));
	/* A rest that is smaller than a window is taken along. */
	check_window(range(0, 10), range(0, 200 * KIB), WINDOW, range(0, 200 * KIB));
	check_window(range(20 * MIB - 5, 20 * MIB), all, WINDOW,
		     range(20 * MIB - 128 * KIB, 20 * MIB));
}
END_TEST

static void check_ahead(uint64_t in_order, uint64_t left, const struct output_pace *pace,
			uint64_t bytes, uint64_t part, unsigned streams)
{
	struct output_ahead got = output_ahead(in_order, left, pace);

	ck_assert_uint_eq(got.bytes, bytes);
	ck_assert_uint_eq(got.part, part);
	ck_assert_uint_eq(got.streams, streams);
}

/* Never more than was read is fetched ahead, and little until it is clear that all is wanted. */
START_TEST(near_server)
{
	check_ahead(16 * KIB, 64 * MIB, &unknown, 32 * KIB, 128 * KIB, 1);
	check_ahead(16 * KIB, 64 * MIB, &near_by, 32 * KIB, 128 * KIB, 1);
	check_ahead(256 * KIB, 64 * MIB, &near_by, 64 * KIB, 256 * KIB, 1);
	check_ahead(7 * MIB, 64 * MIB, &near_by, 128 * KIB, 512 * KIB, 1);
	check_ahead(8 * MIB, 500 * MIB, &near_by, MIB, 8 * MIB, 1);
	check_ahead(400 * MIB, 100 * MIB, &near_by, MIB, 32 * MIB, 1);
}
END_TEST

/* As soon as it is read on. */
START_TEST(far_server)
{
	struct output_pace slow = { .latency_us = 300, .rate = 8 * MIB };
	struct output_pace alone = { .latency_us = 41000, .alone = true };

	check_ahead(16 * KIB, 64 * MIB, &far_off, 64 * MIB, 8 * MIB, 8);
	check_ahead(16 * KIB, 20 * MIB, &far_off, 20 * MIB, 20 * MIB / 8, 8);
	check_ahead(16 * KIB, 4 * MIB, &far_off, 8 * MIB, MIB, 8);
	check_ahead(16 * KIB, 500 * MIB, &far_off, 64 * MIB, 8 * MIB, 8);
	check_ahead(MIB, 500 * MIB, &slow, 64 * MIB, 8 * MIB, 8);
	check_ahead(MIB, 500 * MIB, &alone, 8 * MIB, 8 * MIB, 1);
}
END_TEST

static unsigned requests(void)
{
	scripted_lock(&far);
	unsigned count = far.count;
	scripted_unlock(&far);
	return count;
}

static void await_requests(unsigned count)
{
	while (requests() < count)
		sched_yield();
}

/* Two reads in order from a server whose answers take their time; then no byte comes. */
static void read_on_far(struct reader readers[2])
{
	open_output();
	SCRIPT(hold_all = true);
	start_reader(&readers[0], 0, 16384);
	start_reader(&readers[1], 16384, 32768);
	ck_assert_uint_eq(requests(), 1);
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	SCRIPT(hold = 0);
	SCRIPT(hold_all = false);
}

/* The first byte was asked for alone; when its answer comes, others are asked for what follows. */
START_TEST(parts_follow_the_first_answer)
{
	struct reader readers[2];

	read_on_far(readers);
	await_requests(8);
	SCRIPT(hold = UINT64_MAX);
	finish_reader(&readers[0]);
	finish_reader(&readers[1]);
	for (uint64_t at = 0; at < SIZE; at += WINDOW)
		check_read(at, WINDOW);
	scripted_idle(&far);
	ck_assert_uint_le(far.most, 8);
	ck_assert_uint_eq(far.bytes, SIZE);
	expect_whole(1);
}
END_TEST

/* One read is no order: whoever looks at the head pays for the head. */
START_TEST(a_head_costs_a_window)
{
	struct reader readers[20];

	open_output();
	SCRIPT(hold_all = true);
	for (int i = 0; i < 20; i++)
		start_reader(&readers[i], 0, 16384);
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	SCRIPT(hold_all = false);
	for (int i = 0; i < 20; i++)
		finish_reader(&readers[i]);
	scripted_idle(&far);
	ck_assert_uint_eq(far.count, 1);
	ck_assert_uint_eq(far.bytes, WINDOW);
}
END_TEST

/* A reader need not wait for the part that it jumps into. */
START_TEST(a_jump_overtakes_a_part)
{
	struct reader readers[2], jump;
	uint64_t part = SIZE / 8 + WINDOW; /* at most */

	read_on_far(readers);
	await_requests(8);
	start_reader(&jump, 5 * part - MIB, 100);
	await_requests(9);
	SCRIPT(hold = UINT64_MAX);
	finish_reader(&jump);
	for (uint64_t at = 0; at < SIZE; at += WINDOW)
		check_read(at, WINDOW);
	scripted_idle(&far);
	/* The part that was cut off may have had a chunk more on the wire. */
	ck_assert_uint_le(far.bytes, SIZE + far.chunk);
}
END_TEST

/* A server that does not like to be asked several things at a time. */
START_TEST(alone_when_refused)
{
	struct reader readers[2];

	SCRIPT(fault = REMOTE_OK);
	SCRIPT(status = 503);
	SCRIPT(skip = 1);
	SCRIPT(faults = 7);
	read_on_far(readers);
	await_requests(8);
	SCRIPT(hold = UINT64_MAX);
	finish_reader(&readers[0]);
	finish_reader(&readers[1]);
	scripted_idle(&far);
	ck_assert_uint_eq(far.faults, 0);
	ck_assert(out->pace.alone);
	SCRIPT(most = 0);
	for (uint64_t at = 0; at < SIZE; at += WINDOW)
		check_read(at, WINDOW);
	ck_assert_uint_le(far.most, 2);
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

/* Who closes does not pay for what follows, and loses nothing of what came. */
START_TEST(a_close_ends_what_is_ahead)
{
	struct reader readers[2];

	read_on_far(readers);
	await_requests(8);
	ck_assert(output_cancel(out, &readers[0].waiter));
	ck_assert(output_cancel(out, &readers[1].waiter));
	output_put(out);
	out = NULL;
	SCRIPT(hold = UINT64_MAX);
	scripted_idle(&far);
	ck_assert_uint_le(far.bytes, WINDOW); /* nearly over: it may be */
	SCRIPT(bytes = 0);
	open_output();
	uint64_t had = output_cached(out);
	for (uint64_t at = 0; at < SIZE; at += WINDOW)
		check_read(at, WINDOW);
	scripted_idle(&far);
	ck_assert_uint_eq(far.bytes + had, SIZE);
}
END_TEST

/* Nor does one who has seen enough, and keeps it open. */
START_TEST(a_pause_ends_what_is_ahead)
{
	struct reader readers[2];

	read_on_far(readers);
	await_requests(8);
	SCRIPT(hold = WINDOW);
	finish_reader(&readers[0]);
	finish_reader(&readers[1]);
	pthread_mutex_lock(&cache->lock);
	out->read_us -= 10000000;
	pthread_mutex_unlock(&cache->lock);
	SCRIPT(hold = UINT64_MAX);
	scripted_idle(&far);
	ck_assert_uint_lt(output_cached(out), SIZE / 2);
	for (uint64_t at = 0; at < SIZE; at += WINDOW)
		check_read(at, WINDOW);
}
END_TEST

/* What is fetched ahead in vain is no endless task. */
START_TEST(a_failure_is_not_repeated_unasked)
{
	struct reader readers[2];

	read_on_far(readers);
	await_requests(8);
	SCRIPT(fault = REMOTE_CUT);
	SCRIPT(status = 0);
	SCRIPT(faults = 1000000);
	SCRIPT(cuts = 1000000);
	SCRIPT(hold = UINT64_MAX);
	wait_woken(&readers[0]);
	wait_woken(&readers[1]);
	scripted_idle(&far);
	ck_assert_uint_le(far.count, 8 * 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("output plan");
	TCase *policy = tcase_create("policy");
	TCase *played = tcase_create("played");

	tcase_add_test(policy, windows);
	tcase_add_test(policy, near_server);
	tcase_add_test(policy, far_server);
	suite_add_tcase(suite, policy);
	tcase_add_checked_fixture(played, fixture_setup, fixture_teardown);
	tcase_set_timeout(played, 60);
	tcase_add_test(played, parts_follow_the_first_answer);
	tcase_add_test(played, a_head_costs_a_window);
	tcase_add_test(played, a_jump_overtakes_a_part);
	tcase_add_test(played, alone_when_refused);
	tcase_add_test(played, a_close_ends_what_is_ahead);
	tcase_add_test(played, a_pause_ends_what_is_ahead);
	tcase_add_test(played, a_failure_is_not_repeated_unasked);
	suite_add_tcase(suite, played);
	return run_suite(suite);
}
