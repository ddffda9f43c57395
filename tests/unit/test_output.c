/*
 * output, as its readers see it: every byte that is served is compared with the object, whatever
 * the network does; requests and bytes on the wire are counted.
 */
#include "output.h"
#include "output_fixture.h"
#include "run.h"

#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define MAX_DOWNLOADS 12

START_TEST(reads_in_order)
{
	open_output();
	for (uint64_t at = 0; at < SIZE; at += 131072)
		check_read(at, 131072);
	ck_assert_int_eq(output_read(out, SIZE, 1, &(struct output_waiter){ 0 }), 0);
	ck_assert_int_eq(output_read(out, SIZE + 5, 1, &(struct output_waiter){ 0 }), 0);
	scripted_idle(&far);
	ck_assert_uint_eq(far.bytes, SIZE);
	ck_assert_uint_eq(output_cached(out), SIZE);
	expect_whole(1);
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

START_TEST(end_is_cut_off)
{
	struct output_waiter w = { 0 };

	open_output();
	check_read(SIZE - 100, 100);
	ck_assert_int_eq(output_read(out, SIZE - 100, 4096, &w), 100);
	ck_assert_int_eq(output_read(out, SIZE - 100, SIZE_MAX, &w), 100);
	ck_assert_int_eq(output_read(out, SIZE - 100, 0, &w), 0);
}
END_TEST

START_TEST(far_reads_fetch_windows)
{
	open_output();
	check_read(10 * MIB + 70000, 5000);
	check_read(2 * MIB + 130000, 5000);
	scripted_idle(&far);
	ck_assert_uint_eq(far.count, 2);
	ck_assert_uint_eq(far.bytes, 3 * WINDOW);
	ck_assert_uint_eq(output_cached(out), 3 * WINDOW);
}
END_TEST

START_TEST(tail_first_then_all)
{
	open_output();
	check_read(SIZE - 4096, 4096);
	for (uint64_t at = 0; at < SIZE; at += 65536)
		check_read(at, 65536);
	scripted_idle(&far);
	ck_assert_uint_eq(far.bytes, SIZE);
	expect_whole(1);
}
END_TEST

START_TEST(one_request_for_many_readers)
{
	struct reader readers[64];

	open_output();
	SCRIPT(hold_all = true);
	for (int i = 0; i < 64; i++)
		start_reader(&readers[i], 1000, 70000);
	SCRIPT(hold_all = false);
	for (int i = 0; i < 64; i++)
		finish_reader(&readers[i]);
	scripted_idle(&far);
	ck_assert_uint_eq(far.count, 1);
	ck_assert_uint_eq(far.bytes, WINDOW);
}
END_TEST

START_TEST(downloads_are_few)
{
	struct reader readers[20];

	open_output();
	SCRIPT(hold_all = true);
	for (unsigned i = 0; i < 20; i++)
		start_reader(&readers[i], (19 - i) * MIB + 300, 200);
	ck_assert_uint_eq(far.count, MAX_DOWNLOADS);
	SCRIPT(hold_all = false);
	for (int i = 0; i < 20; i++)
		finish_reader(&readers[i]);
	scripted_idle(&far);
	ck_assert_uint_le(far.most, MAX_DOWNLOADS);
	ck_assert_uint_eq(far.bytes, output_cached(out));
}
END_TEST

static void random_reads(unsigned seed, int count)
{
	for (int i = 0; i < count; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % SIZE;
		check_read(at, (size_t)rand_r(&seed) % 300000);
	}
}

START_TEST(random_reads_with_cuts)
{
	open_output();
	SCRIPT(cuts = 1000000);
	SCRIPT(cut_at = 150001);
	SCRIPT(chunk = 10007);
	random_reads(1, 200);
	ck_assert_int_eq(atomic_load(&failures), 0);
	ck_assert_uint_le(far.most, MAX_DOWNLOADS);
}
END_TEST

START_TEST(random_reads_with_ignored_ranges)
{
	open_output();
	SCRIPT(ignore_range = true);
	random_reads(2, 50);
	scripted_idle(&far);
	ck_assert_uint_eq(output_cached(out), SIZE);
	expect_whole(1);
	ck_assert_uint_le(far.count, 4);
	ck_assert_uint_le(far.bytes, 2 * SIZE);
}
END_TEST

START_TEST(ignored_ranges_and_cuts)
{
	open_output();
	SCRIPT(ignore_range = true);
	SCRIPT(cuts = 3);
	SCRIPT(cut_at = 3 * MIB);
	check_read(2 * MIB, 100);
	check_read(9 * MIB, 100);
	random_reads(3, 20);
}
END_TEST

START_TEST(cut_forever_fails)
{
	open_output();
	SCRIPT(faults = 1000000);
	SCRIPT(fault = REMOTE_CONNECT);
	fail_read(0, 100, -EIO);
	ck_assert_uint_eq(far.count, 4);
	ck_assert_int_eq(atomic_load(&failures), 1);
	ck_assert_ptr_nonnull(strstr(why, "as scripted"));
	SCRIPT(faults = 0);
	check_read(0, 100);
}
END_TEST

START_TEST(short_answer_is_no_end)
{
	/* 200 and a whole answer, but not a byte of it. */
	open_output();
	SCRIPT(faults = 2);
	SCRIPT(fault = REMOTE_OK);
	SCRIPT(status = 200);
	check_read(0, 100);
	ck_assert_uint_eq(far.count, 3);
}
END_TEST

START_TEST(expired_url)
{
	static const long statuses[] = { 403, 404, 410 };

	open_output();
	SCRIPT(fault = REMOTE_OK);
	SCRIPT(status = statuses[_i]);
	SCRIPT(faults = 1);
	fail_read(5 * MIB, 100, -EIO);
	ck_assert_uint_eq(far.count, 1);
	ck_assert_ptr_nonnull(strstr(why, "expired"));
	ck_assert_int_eq(failure, OUTPUT_EXPIRED);
	check_read(5 * MIB, 100);
}
END_TEST

START_TEST(failure_is_for_those_it_leaves_alone)
{
	struct reader lucky, unlucky;

	open_output();
	SCRIPT(hold = 32768);
	check_read(0, 100);
	start_reader(&lucky, 65536, 100);
	SCRIPT(fault = REMOTE_OK);
	SCRIPT(status = 404);
	SCRIPT(hold_all = true);
	start_reader(&unlucky, 20 * MIB, 100);
	SCRIPT(faults = 100); /* one may be for what is fetched ahead */
	SCRIPT(hold_all = false);
	finish_failed(&unlucky, -EIO);
	SCRIPT(faults = 0);
	SCRIPT(hold = UINT64_MAX);
	finish_reader(&lucky);
}
END_TEST

START_TEST(refused_begin)
{
	open_output();
	SCRIPT(refuse = -EINVAL);
	ck_assert_int_eq(output_read(out, 0, 10, &(struct output_waiter){ 0 }), -EIO);
	SCRIPT(refuse = 0);
	check_read(0, 10);
}
END_TEST

START_TEST(stop_is_silent)
{
	struct reader r;

	open_output();
	SCRIPT(hold = 0);
	start_reader(&r, 100, 100);
	scripted_stop(&far);
	stopped = true;
	finish_failed(&r, -EIO);
	ck_assert_int_eq(atomic_load(&failures), 0);
	fail_read(100, 100, -EIO);
}
END_TEST

START_TEST(cancel_a_stalled_reader)
{
	struct reader r;

	open_output();
	SCRIPT(hold = 0);
	start_reader(&r, 100, 100);
	ck_assert(output_cancel(out, &r.waiter));
	ck_assert(!output_cancel(out, &r.waiter));
	SCRIPT(hold = UINT64_MAX);
	check_read(0, 100000);
	ck_assert_int_eq(sem_trywait(&r.woken), -1);
}
END_TEST

START_TEST(cancel_races_with_wake)
{
	int cancelled = 0, woken = 0;

	open_output();
	SCRIPT(chunk = 4096);
	for (uint64_t at = 0; at + 4096 <= SIZE / 4; at += 4096) {
		struct reader r;
		if (!start_reader(&r, at, 4096))
			continue;
		if (at / 4096 % 3)
			sched_yield();
		if (output_cancel(out, &r.waiter)) {
			ck_assert_int_eq(sem_trywait(&r.woken), -1);
			cancelled++;
		} else {
			wait_woken(&r);
			woken++;
		}
		check_read(at, 4096);
	}
	ck_assert_int_gt(cancelled + woken, 0);
}
END_TEST

START_TEST(changed_object)
{
	static unsigned char other[SIZE];
	unsigned char buf[100];
	struct reader r;

	open_output();
	fill(other, SIZE, 99);
	SCRIPT(hold = 2 * MIB);
	check_read(0, MIB);
	start_reader(&r, 3 * MIB, 100);
	SCRIPT(object = other);
	SCRIPT(etag = "\"two\"");
	/* The stream goes on with the old one; a request that sees the new one ends it all. */
	ck_assert_int_eq(try_read(SIZE - 100, 100, buf), -EIO);
	finish_failed(&r, -EIO);
	ck_assert_ptr_nonnull(strstr(why, "stale"));
	ck_assert_int_eq(failure, OUTPUT_CHANGED);
	SCRIPT(hold = UINT64_MAX);
	/* This handle is of the old version, and of nothing else. */
	check_read(0, MIB);
	fail_read(10 * MIB, 100, -EIO);

	struct output *old = out;
	source.etag = "\"two\"";
	object = other;
	open_output();
	check_read(0, MIB);
	random_reads(4, 20);
	output_put(old);
}
END_TEST

START_TEST(changed_object_of_unknown_etag)
{
	static unsigned char other[SIZE];

	source.etag = NULL;
	open_output();
	check_read(10 * MIB, 100);
	scripted_idle(&far);
	fill(other, SIZE, 98);
	SCRIPT(object = other);
	SCRIPT(etag = "\"two\"");
	fail_read(5 * MIB, 100, -EIO);
	ck_assert_ptr_nonnull(strstr(why, "stale"));
	ck_assert_int_eq(failure, OUTPUT_CHANGED);
}
END_TEST

/* Both were asked for before an answer had told the ETag. */
START_TEST(versions_of_unknown_etag_do_not_mix)
{
	struct reader early, late;

	source.etag = NULL;
	open_output();
	SCRIPT(hold_all = true);
	SCRIPT(next_etag = "\"two\"");
	start_reader(&early, 0, 100);
	start_reader(&late, 12 * MIB, 100);
	SCRIPT(hold_all = false);
	finish_failed(&late, -EIO);
	finish_failed(&early, -EIO);
	ck_assert_ptr_nonnull(strstr(why, "stale"));
	ck_assert_int_eq(failure, OUTPUT_CHANGED);
}
END_TEST

static const struct {
	int offset; /* of the byte in the header that is another */
	const char *why;
} headers[] = {
	{ 3, "does not begin like a GLB" },
	{ 4, "glTF version 3, not 2" },
	{ 8, "its header says 25178168 bytes, the server 25178169" },
	{ 11, "its header says 8400953 bytes" },
};

START_TEST(a_wrong_header_is_no_model)
{
	static unsigned char other[SIZE];

	open_output();
	fill(other, SIZE, 1);
	other[headers[_i].offset] ^= 1;
	SCRIPT(object = other);
	fail_read(0, 100, -EIO);
	ck_assert_msg(strstr(why, headers[_i].why) != NULL, "%s", why);
	ck_assert_int_eq(failure, OUTPUT_DAMAGED);
	ck_assert_uint_eq(output_cached(out), 0);
}
END_TEST

START_TEST(damaged_once)
{
	open_output();
	SCRIPT(bad_headers = 1);
	check_read(SIZE - 5, 5);
	check_read(0, 100);
	for (uint64_t at = 0; at < SIZE; at += MIB)
		check_read(at, MIB);
	scripted_idle(&far);
	ck_assert_int_eq(atomic_load(&failures), 0);
	expect_whole(1);
}
END_TEST

START_TEST(damaged_twice)
{
	open_output();
	SCRIPT(bad_headers = 2);
	SCRIPT(chunk = (size_t)_i);
	fail_read(0, 100, -EIO);
	ck_assert_int_eq(atomic_load(&failures), 1);
	ck_assert_ptr_nonnull(strstr(why, "damaged"));
	ck_assert_int_eq(failure, OUTPUT_DAMAGED);
	ck_assert_uint_eq(output_cached(out), 0);
	SCRIPT(chunk = 16384);
	check_read(0, 100);
}
END_TEST

START_TEST(forgotten_while_read)
{
	struct reader r;
	char path[256];

	open_output();
	SCRIPT(hold = MIB);
	check_read(0, MIB);
	start_reader(&r, 2 * MIB, 100);
	output_forget(cache, source.job + 1);
	ck_assert(r.waiter.waiting);
	output_forget(cache, source.job);
	finish_failed(&r, -ESTALE);
	check_read(0, MIB);
	fail_read(2 * MIB, 100, -ESTALE);
	snprintf(path, sizeof(path), "%.200s/7-0.data", dir);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(atomic_load(&failures), 0);

	struct output *old = out;
	SCRIPT(hold = UINT64_MAX);
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
	check_read(2 * MIB, 100);
	output_put(old);
	check_read(0, MIB);
}
END_TEST

START_TEST(full_disk)
{
	struct rlimit old, low;
	struct reader r;

	/* A limit on the file's size stands in for the full disk. */
	open_output();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	low = old;
	low.rlim_cur = MIB;
	setrlimit(RLIMIT_FSIZE, &low);
	start_reader(&r, 2 * MIB, 100);
	finish_reader(&r);
	ck_assert_uint_eq(output_cached(out), 0);
	for (uint64_t at = 0; at < SIZE; at += 100000)
		check_read(at, 100000);
	ck_assert_uint_le(output_cached(out), MIB);
	ck_assert_int_eq(atomic_load(&failures), 0);
	setrlimit(RLIMIT_FSIZE, &old);
}
END_TEST

struct crowd {
	pthread_t thread;
	unsigned seed;
	int wrong;
};

static void *read_like_a_crowd(void *arg)
{
	struct crowd *c = arg;
	unsigned char *buf = malloc(200000);

	for (int i = 0; i < 30; i++) {
		uint64_t at = (uint64_t)rand_r(&c->seed) % SIZE;
		size_t len = 1 + (size_t)rand_r(&c->seed) % 200000;
		ssize_t n = try_read(at, len, buf);
		uint64_t want = len < SIZE - at ? len : SIZE - at;
		if (n < 0 || (uint64_t)n != want || memcmp(buf, object + at, want) != 0)
			c->wrong++;
	}
	free(buf);
	return NULL;
}

START_TEST(crowd)
{
	struct crowd readers[64];

	open_output();
	SCRIPT(cuts = 50);
	SCRIPT(cut_at = 700001);
	for (unsigned i = 0; i < 64; i++) {
		readers[i] = (struct crowd){ .seed = i };
		pthread_create(&readers[i].thread, NULL, read_like_a_crowd, &readers[i]);
	}
	for (int i = 0; i < 64; i++) {
		pthread_join(readers[i].thread, NULL);
		ck_assert_int_eq(readers[i].wrong, 0);
	}
	ck_assert_uint_le(far.most, MAX_DOWNLOADS);
}
END_TEST

/* Opens, reads, gives up, closes and forgets, all at once. */
static void *churn_thread(void *arg)
{
	struct crowd *c = arg;
	unsigned char *buf = malloc(100000);

	for (int i = 0; i < 150; i++) {
		struct output *mine;
		struct reader r = { .waiter = { .wake = wake_reader } };
		uint64_t at = (uint64_t)rand_r(&c->seed) % (SIZE - 100000);
		int what = rand_r(&c->seed) % 20;

		if (output_open(cache, &source, &mine) < 0) {
			c->wrong++;
			continue;
		}
		sem_init(&r.woken, 0, 0);
		ssize_t n = output_read(mine, at, 100000, &r.waiter);
		if (what == 0)
			output_forget(cache, source.job);
		if (n == -EINPROGRESS && (what % 3 || !output_cancel(mine, &r.waiter))) {
			wait_woken(&r);
			n = output_read(mine, at, 100000, &r.waiter);
		}
		if (n > 0 && (pread(output_fd(mine), buf, 100000, (off_t)at) != 100000 ||
			      memcmp(buf, object + at, 100000) != 0))
			c->wrong++;
		if (n < 0 && n != -EINPROGRESS && n != -ESTALE)
			c->wrong++;
		output_put(mine);
	}
	free(buf);
	return NULL;
}

START_TEST(churn)
{
	struct crowd threads[8];

	SCRIPT(cuts = 100);
	SCRIPT(cut_at = 500001);
	for (unsigned i = 0; i < 8; i++) {
		threads[i] = (struct crowd){ .seed = 100 + i };
		pthread_create(&threads[i].thread, NULL, churn_thread, &threads[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i].thread, NULL);
		ck_assert_int_eq(threads[i].wrong, 0);
	}
	ck_assert_int_eq(atomic_load(&failures), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("output");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, reads_in_order);
	tcase_add_test(tc, end_is_cut_off);
	tcase_add_test(tc, far_reads_fetch_windows);
	tcase_add_test(tc, tail_first_then_all);
	tcase_add_test(tc, one_request_for_many_readers);
	tcase_add_test(tc, downloads_are_few);
	tcase_add_test(tc, random_reads_with_cuts);
	tcase_add_test(tc, random_reads_with_ignored_ranges);
	tcase_add_test(tc, ignored_ranges_and_cuts);
	tcase_add_test(tc, cut_forever_fails);
	tcase_add_test(tc, short_answer_is_no_end);
	tcase_add_loop_test(tc, expired_url, 0, 3);
	tcase_add_test(tc, failure_is_for_those_it_leaves_alone);
	tcase_add_test(tc, refused_begin);
	tcase_add_test(tc, stop_is_silent);
	tcase_add_test(tc, cancel_a_stalled_reader);
	tcase_add_test(tc, cancel_races_with_wake);
	tcase_add_test(tc, changed_object);
	tcase_add_test(tc, changed_object_of_unknown_etag);
	tcase_add_test(tc, versions_of_unknown_etag_do_not_mix);
	tcase_add_loop_test(tc, a_wrong_header_is_no_model, 0, sizeof(headers) / sizeof(*headers));
	tcase_add_test(tc, damaged_once);
	tcase_add_loop_test(tc, damaged_twice, 1, 14);
	tcase_add_test(tc, forgotten_while_read);
	tcase_add_test(tc, full_disk);
	tcase_add_test(tc, crowd);
	tcase_add_test(tc, churn);
	Suite *suite = suite_create("output");
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
