/* output: URLs that expire. Readers wait for the next one, and notice nothing. */
#include "output_fixture.h"
#include "run.h"

#define NEXT "https://cdn.example/b.glb"

static struct reader near_one, far_one;

static bool later(void)
{
	return true;
}

static struct output_source next_source(void)
{
	struct output_source next = source;

	next.url = NEXT;
	return next;
}

static bool at_once(void)
{
	struct output_source next = next_source();

	output_renew(cache, &next);
	return true;
}

static void expire(long status)
{
	SCRIPT(gone_status = status);
	SCRIPT(gone = source.url);
}

/* Two readers whose downloads were refused, and who wait. */
static void park_two(long status)
{
	expire(status);
	renews = later;
	ck_assert(start_reader(&near_one, 0, 100));
	ck_assert(start_reader(&far_one, 20 * MIB, 100));
	scripted_idle(&far);
	ck_assert_int_ge(atomic_load(&expirations), 1);
	ck_assert_int_eq(sem_trywait(&near_one.woken), -1);
	ck_assert_int_eq(sem_trywait(&far_one.woken), -1);
}

START_TEST(readers_notice_nothing)
{
	static const long statuses[] = { 400, 401, 403, 404, 410 };
	struct reader third;

	open_output();
	check_read(10 * MIB, 100);
	scripted_idle(&far);
	park_two(statuses[_i]);
	unsigned count = far.count;
	ck_assert(start_reader(&third, 15 * MIB, 100));
	scripted_idle(&far);
	ck_assert_uint_eq(far.count, count); /* the old URL is not tried any more */
	check_read(10 * MIB, 100);           /* what is there is there */
	ck_assert(output_cancel(out, &near_one.waiter) && output_cancel(out, &far_one.waiter) &&
		  output_cancel(out, &third.waiter));
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

START_TEST(the_next_url_is_used)
{
	struct output_source next = next_source();

	open_output();
	check_read(10 * MIB, 100);
	scripted_idle(&far);
	park_two(403);
	output_renew(cache, &next);
	finish_reader(&near_one);
	finish_reader(&far_one);
	check_read(5 * MIB, 100);
	scripted_idle(&far);
	unsigned count = far.count;
	check_read(10 * MIB, 100);
	ck_assert_uint_eq(far.count, count);
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

START_TEST(there_is_no_other_url)
{
	open_output();
	park_two(404);
	output_renew(cache, &source); /* the same */
	ck_assert_int_eq(sem_trywait(&near_one.woken), -1);
	output_renew_failed(cache, source.job + 1);
	ck_assert_int_eq(sem_trywait(&near_one.woken), -1);
	output_renew_failed(cache, source.job);
	ck_assert_int_eq(atomic_load(&failures), 1);
	ck_assert_int_eq(failure, OUTPUT_EXPIRED);
	ck_assert_ptr_nonnull(strstr(why, "HTTP 404"));
	finish_failed(&near_one, -EIO);
	finish_failed(&far_one, -EIO);
	/* Not asked for again: the next one is told at once. */
	renews = (bool (*)(void))0;
	fail_read(0, 100, -EIO);
	ck_assert_int_eq(atomic_load(&failures), 2);
	/* It was a mistake of the server's. */
	SCRIPT(gone = NULL);
	check_read(0, 100);
}
END_TEST

START_TEST(the_next_url_is_another_object)
{
	struct output_source next = next_source();

	open_output();
	park_two(410);
	next.etag = "\"two\"";
	output_renew(cache, &next);
	finish_failed(&near_one, -ESTALE);
	finish_failed(&far_one, -ESTALE);
}
END_TEST

START_TEST(forgotten_meanwhile)
{
	open_output();
	park_two(403);
	output_forget(cache, source.job);
	finish_failed(&near_one, -ESTALE);
	finish_failed(&far_one, -ESTALE);
	output_renew_failed(cache, source.job);
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

START_TEST(replaced_meanwhile)
{
	struct output_source next = next_source();
	struct output *other;

	open_output();
	park_two(403);
	next.etag = "\"two\"";
	ck_assert_int_eq(output_open(cache, &next, &other), 0);
	finish_failed(&near_one, -ESTALE);
	finish_failed(&far_one, -ESTALE);
	output_put(other);
}
END_TEST

START_TEST(cancelled_meanwhile)
{
	struct output_source next = next_source();

	open_output();
	park_two(403);
	ck_assert(output_cancel(out, &near_one.waiter));
	output_renew(cache, &next);
	finish_reader(&far_one);
	ck_assert_int_eq(sem_trywait(&near_one.woken), -1);
	check_read(0, 100);
}
END_TEST

START_TEST(put_meanwhile)
{
	struct output_source next = next_source();

	open_output();
	park_two(403);
	ck_assert(output_cancel(out, &near_one.waiter));
	ck_assert(output_cancel(out, &far_one.waiter));
	output_put(out);
	output_renew(cache, &next);
	output_renew_failed(cache, source.job);
	ck_assert_int_eq(atomic_load(&failures), 0);
	source = next;
	open_output();
	check_read(0, 100);
}
END_TEST

START_TEST(stopped_meanwhile)
{
	open_output();
	park_two(403);
	scripted_stop(&far);
	stopped = true;
	ck_assert(output_cancel(out, &near_one.waiter));
	ck_assert(output_cancel(out, &far_one.waiter));
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

/* What is under way goes on, and the end of the renewal is not its own. */
START_TEST(others_go_on)
{
	struct reader lucky;

	open_output();
	SCRIPT(hold = 32768);
	check_read(0, 100);
	start_reader(&lucky, 65536, 100);
	expire(403);
	renews = later;
	ck_assert(start_reader(&far_one, 20 * MIB, 100));
	while (!atomic_load(&expirations))
		sched_yield();
	output_renew_failed(cache, source.job);
	finish_failed(&far_one, -EIO);
	ck_assert_int_eq(sem_trywait(&lucky.woken), -1);
	SCRIPT(hold = UINT64_MAX);
	finish_reader(&lucky);
}
END_TEST

/* A request for the old URL that is refused after the new one came is made again, with that. */
START_TEST(refused_late)
{
	open_output();
	expire(403);
	renews = at_once;
	SCRIPT(hold_all = true);
	ck_assert(start_reader(&near_one, 0, 100));
	ck_assert(start_reader(&far_one, 20 * MIB, 100));
	SCRIPT(hold_all = false);
	finish_reader(&near_one);
	finish_reader(&far_one);
	ck_assert_int_eq(atomic_load(&expirations), 1);
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

static atomic_int finished;

static void *read_and_cancel(void *arg)
{
	uint64_t at = (uint64_t)(uintptr_t)arg;
	unsigned char buf[4096];

	for (int i = 0; i < 40; i++, at = (at + 7 * MIB / 2) % (20 * MIB)) {
		struct reader r = { .waiter = { .wake = wake_reader } };
		sem_init(&r.woken, 0, 0);
		if (output_read(out, at, 4096, &r.waiter) == -EINPROGRESS &&
		    (i % 2 || !output_cancel(out, &r.waiter)))
			wait_woken(&r);
		ssize_t n = try_read(at, sizeof(buf), buf);
		ck_assert_int_eq(n, sizeof(buf));
		ck_assert(memcmp(buf, object + at, sizeof(buf)) == 0);
	}
	atomic_fetch_add(&finished, 1);
	return NULL;
}

static char present[64]; /* with scripted_lock() */

static bool roll(void)
{
	struct output_source next = source;
	static unsigned number;
	char url[64];

	scripted_lock(&far);
	snprintf(url, sizeof(url), "https://cdn.example/%u.glb", ++number);
	strcpy(present, url);
	far.gone = NULL;
	scripted_unlock(&far);
	next.url = url;
	output_renew(cache, &next);
	return true;
}

/* Every URL lasts for a moment only. */
START_TEST(renewals_race_with_readers)
{
	pthread_t threads[3];

	open_output();
	strcpy(present, source.url);
	SCRIPT(gone_status = 403);
	SCRIPT(cuts = UINT32_MAX);
	SCRIPT(cut_at = 100000);
	renews = roll;
	for (size_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, read_and_cancel, (void *)(uintptr_t)(i * MIB));
	while (atomic_load(&finished) < 3) {
		SCRIPT(gone = present);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_gt(atomic_load(&expirations), 0);
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("output_renew");
	TCase *tc = tcase_create("renew");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_add_loop_test(tc, readers_notice_nothing, 0, 5);
	tcase_add_test(tc, the_next_url_is_used);
	tcase_add_test(tc, there_is_no_other_url);
	tcase_add_test(tc, the_next_url_is_another_object);
	tcase_add_test(tc, forgotten_meanwhile);
	tcase_add_test(tc, replaced_meanwhile);
	tcase_add_test(tc, cancelled_meanwhile);
	tcase_add_test(tc, put_meanwhile);
	tcase_add_test(tc, stopped_meanwhile);
	tcase_add_test(tc, others_go_on);
	tcase_add_test(tc, refused_late);
	tcase_add_test(tc, renewals_race_with_readers);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
