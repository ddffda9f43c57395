#include "run.h"
#include "sched.h"

#include <check.h>
#include <stdlib.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static const uint64_t randoms[] = { 0, 1, 12345678901234567, UINT64_MAX / 2, UINT64_MAX };

static const struct {
	int64_t age_ms;
	unsigned failures;
	int64_t retry_after_ms;
	int64_t low, high;
} polls[] = {
	{ 0, 0, -1, 4500, 5500 },
	{ -1000, 0, -1, 4500, 5500 },
	{ 60000, 0, -1, 6750, 8250 },
	{ 120000, 0, -1, 9000, 11000 },
	{ INT64_MAX, 0, -1, 9000, 11000 },
	{ 0, 1, -1, 9000, 11000 },
	{ 0, 3, -1, 36000, 44000 },
	{ 120000, 5, -1, 270000, 300000 },
	{ 0, UINT32_MAX, -1, 270000, 300000 },
	{ 0, 0, 120000, 120000, 132000 },
	{ 0, 0, 1000, 4500, 5500 },
	{ 0, 9, 3600000, 3600000, 3960000 },
	{ 0, 0, INT64_MAX, INT64_MAX, INT64_MAX },
};

START_TEST(poll_delay)
{
	struct sched_policy policy = sched_policy_default();
	for (int i = 0; i < ROWS(randoms); i++) {
		int64_t delay = sched_poll_delay(&policy, polls[_i].age_ms, polls[_i].failures,
						 polls[_i].retry_after_ms, randoms[i]);
		ck_assert_int_ge(delay, polls[_i].low);
		ck_assert_int_le(delay, polls[_i].high);
	}
}
END_TEST

static const struct {
	unsigned failures;
	int64_t retry_after_ms;
	int64_t low, high;
} retries[] = {
	{ 0, -1, 500, 1000 },
	{ 1, -1, 500, 1000 },
	{ 2, -1, 1000, 2000 },
	{ 5, -1, 8000, 16000 },
	{ 9, -1, 128000, 256000 },
	{ 10, -1, 150000, 300000 },
	{ UINT32_MAX, -1, 150000, 300000 },
	{ 1, 120000, 120000, 132000 },
	{ 10, 1000, 150000, 300000 },
	{ 1, INT64_MAX, INT64_MAX, INT64_MAX },
};

START_TEST(retry_delay)
{
	struct sched_policy policy = sched_policy_default();
	for (int i = 0; i < ROWS(randoms); i++) {
		int64_t delay = sched_retry_delay(&policy, retries[_i].failures,
						  retries[_i].retry_after_ms, randoms[i]);
		ck_assert_int_ge(delay, retries[_i].low);
		ck_assert_int_le(delay, retries[_i].high);
	}
}
END_TEST

START_TEST(odd_policies_never_spin)
{
	struct sched_policy zero = { 0 }, crossed = { .poll_min_ms = 900, .poll_max_ms = 30 };
	for (int i = 0; i < ROWS(randoms); i++) {
		ck_assert_int_ge(sched_poll_delay(&zero, 0, 0, -1, randoms[i]), 1);
		ck_assert_int_ge(sched_poll_delay(&zero, 9999999, 3, -1, randoms[i]), 1);
		ck_assert_int_ge(sched_retry_delay(&zero, 4, -1, randoms[i]), 1);
		ck_assert_int_ge(sched_poll_delay(&crossed, 9999999, 0, -1, randoms[i]), 810);
	}
}
END_TEST

START_TEST(delays_are_spread)
{
	struct sched_policy policy = sched_policy_default();
	static const int64_t retry_after[] = { -1, 60000 };
	for (int i = 0; i < ROWS(retry_after); i++) {
		ck_assert_int_ne(sched_poll_delay(&policy, 0, 0, retry_after[i], 1),
				 sched_poll_delay(&policy, 0, 0, retry_after[i], 2));
		ck_assert_int_ne(sched_retry_delay(&policy, 1, retry_after[i], 1),
				 sched_retry_delay(&policy, 1, retry_after[i], 2));
	}
}
END_TEST

START_TEST(empty_queue)
{
	struct sched sched;
	struct sched_timer timer = { 0 };
	sched_init(&sched);
	sched_clear(&sched, &timer);
	ck_assert_int_eq(sched_next(&sched), INT64_MAX);
	ck_assert_ptr_null(sched_pop(&sched, INT64_MAX));
	sched_release(&sched);
}
END_TEST

START_TEST(due_is_inclusive)
{
	struct sched sched;
	struct sched_timer timer = { 0 };
	sched_init(&sched);
	ck_assert_int_eq(sched_set(&sched, &timer, 100), 0);
	ck_assert_int_eq(sched_next(&sched), 100);
	ck_assert_ptr_null(sched_pop(&sched, 99));
	ck_assert_ptr_eq(sched_pop(&sched, 100), &timer);
	ck_assert_uint_eq(timer.slot, 0);
	ck_assert_ptr_null(sched_pop(&sched, 100));
	sched_release(&sched);
}
END_TEST

#define TIMERS 97

/* Check notes every assertion it makes, which is slow: of the many here it hears of failures only.
 */
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s", #condition);                                            \
	} while (0)

static void check_heap(const struct sched *sched, const struct sched_timer *timers)
{
	size_t set = 0;
	int64_t next = INT64_MAX;
	for (int i = 0; i < TIMERS; i++) {
		if (!timers[i].slot)
			continue;
		set++;
		EXPECT(sched->heap[timers[i].slot - 1] == &timers[i]);
		next = timers[i].due_ms < next ? timers[i].due_ms : next;
	}
	EXPECT(set == sched->count);
	EXPECT(next == sched_next(sched));
	for (size_t i = 1; i < sched->count; i++)
		EXPECT(sched->heap[(i - 1) / 2]->due_ms <= sched->heap[i]->due_ms);
}

START_TEST(random_operations_keep_the_heap)
{
	struct sched sched;
	struct sched_timer timers[TIMERS] = { 0 };
	sched_init(&sched);
	srand((unsigned)_i);
	for (int round = 0; round < 3000; round++) {
		struct sched_timer *timer = &timers[rand() % TIMERS];
		int64_t due = rand() % 500;
		if (rand() % 4)
			EXPECT(sched_set(&sched, timer, due) == 0);
		else if (rand() % 2)
			sched_clear(&sched, timer);
		else if ((timer = sched_pop(&sched, due)))
			EXPECT(timer->due_ms <= due);
		check_heap(&sched, timers);
	}
	int64_t last = -1;
	for (struct sched_timer *timer; (timer = sched_pop(&sched, INT64_MAX));) {
		ck_assert_int_ge(timer->due_ms, last);
		last = timer->due_ms;
	}
	check_heap(&sched, timers);
	sched_release(&sched);
}
END_TEST

START_TEST(callbacks_make_polls_rare)
{
	struct sched_policy usual = sched_policy_default(), slower = usual;
	struct sched_policy slow = sched_policy_called_back(&usual);

	ck_assert_int_eq(slow.poll_min_ms, 60000);
	ck_assert_int_eq(slow.poll_max_ms, 300000);
	ck_assert_int_eq(slow.retry_min_ms, usual.retry_min_ms);
	ck_assert_int_eq(slow.retry_max_ms, usual.retry_max_ms);
	slower.poll_min_ms = 90000;
	slower.poll_max_ms = 600000;
	slow = sched_policy_called_back(&slower);
	ck_assert_int_eq(slow.poll_min_ms, 90000);
	ck_assert_int_eq(slow.poll_max_ms, 600000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sched");
	TCase *tcase = tcase_create("sched");
	tcase_add_loop_test(tcase, poll_delay, 0, ROWS(polls));
	tcase_add_loop_test(tcase, retry_delay, 0, ROWS(retries));
	tcase_add_test(tcase, odd_policies_never_spin);
	tcase_add_test(tcase, delays_are_spread);
	tcase_add_test(tcase, callbacks_make_polls_rare);
	tcase_add_test(tcase, empty_queue);
	tcase_add_test(tcase, due_is_inclusive);
	tcase_add_loop_test(tcase, random_operations_keep_the_heap, 1, 11);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
