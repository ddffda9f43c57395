/*
 * output's space: what goes when the bound is reached and what never does, whatever a crash leaves;
 * reads where there is no room; sweeping; prefetching.
 *
 * unlinkat of this program stops working when a test says that the power is off.
 */
#include "output.h"
#include "output_fixture.h"
#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static atomic_int unlinks_left = -1; /* 0: the power is off, nothing is deleted any more */

int unlinkat(int dirfd, const char *name, int flags)
{
	if (!atomic_load(&unlinks_left))
		return 0;
	int r = (int)syscall(SYS_unlinkat, dirfd, name, flags);
	if (r == 0 && strchr(name, '-') && atomic_load(&unlinks_left) > 0)
		atomic_fetch_sub(&unlinks_left, 1);
	return r;
}

static const char *path(uint64_t job, const char *suffix)
{
	static char text[300];

	snprintf(text, sizeof(text), "%.250s/%llu-0.%s", dir, (unsigned long long)job, suffix);
	return text;
}

/* What the data files take. */
static uint64_t taken(void)
{
	uint64_t total = 0;
	struct stat st;
	char name[600];
	struct dirent *e;
	DIR *d = opendir(dir);

	while ((e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		if (strstr(e->d_name, ".data") && stat(name, &st) == 0)
			total += (uint64_t)st.st_blocks * 512;
	}
	closedir(d);
	return total;
}

static void put_output(void)
{
	output_put(out);
	out = NULL;
}

static void read_whole(uint64_t job)
{
	source.job = job;
	open_output();
	for (uint64_t at = 0; at < SIZE; at += MIB)
		check_read(at, MIB);
	scripted_idle(&far);
}

/* JOB is whole on the disk, and nobody holds it. */
static void leave_whole(uint64_t job)
{
	atomic_store(&whole, 0);
	read_whole(job);
	while (!atomic_load(&whole))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	put_output();
}

static void restart_with(uint64_t size)
{
	close_cache();
	bound = size;
	open_cache();
}

static bool is_there(uint64_t job)
{
	return access(path(job, "data"), F_OK) == 0;
}

START_TEST(the_oldest_goes_before_it_overflows)
{
	restart_with(2 * SIZE + SIZE / 2);
	leave_whole(1);
	leave_whole(2);
	leave_whole(1); /* used again */
	source.job = 3;
	open_output();
	for (uint64_t at = 0; at < SIZE; at += MIB) {
		check_read(at, MIB);
		ck_assert_uint_le(taken(), bound);
	}
	ck_assert(is_there(1));
	ck_assert(!is_there(2));
	ck_assert_int_eq(access(path(2, "map"), F_OK), -1);
	ck_assert_uint_eq(output_cached(out), SIZE);
}
END_TEST

START_TEST(what_is_open_stays_and_all_can_be_read)
{
	struct output *held[2];

	restart_with(2 * SIZE + MIB);
	read_whole(1);
	held[0] = out;
	read_whole(2);
	held[1] = out;
	SCRIPT(bytes = 0);
	read_whole(3);
	ck_assert_uint_lt(output_cached(out), MIB);
	ck_assert_uint_ge(far.bytes, SIZE);
	ck_assert_uint_le(taken(), bound);
	ck_assert(is_there(1) && is_there(2));
	output_put(held[0]);
	output_put(held[1]);
}
END_TEST

START_TEST(random_reads_where_nothing_has_room)
{
	unsigned seed = 5;

	restart_with(64 * 1024);
	open_output();
	SCRIPT(cuts = 20);
	SCRIPT(cut_at = 50000);
	for (int i = 0; i < 300; i++)
		check_read((uint64_t)rand_r(&seed) % SIZE, 1 + (size_t)rand_r(&seed) % 300000);
	ck_assert_uint_eq(far.cuts, 0);
	ck_assert_uint_le(taken(), bound);
}
END_TEST

START_TEST(a_server_without_ranges_where_nothing_has_room)
{
	restart_with(64 * 1024);
	open_output();
	SCRIPT(ignore_range = true);
	check_read(3 * MIB, MIB);
	check_read(0, 100);
	check_read(SIZE - 100, 100);
	scripted_idle(&far);
	ck_assert_uint_le(taken(), bound);
}
END_TEST

/* What a bad server sends is no better past the disk. */
START_TEST(a_bad_copy_where_nothing_has_room)
{
	restart_with(1);
	open_output();
	SCRIPT(bad_headers = 10);
	fail_read(0, 4096, -EIO);
	SCRIPT(bad_headers = 0);
	check_read(0, 131072);
}
END_TEST

/* A crash after any of its deletions leaves nothing that is served and wrong. */
START_TEST(eviction_survives_a_crash)
{
	char clean[300];

	restart_with(SIZE + SIZE / 2);
	leave_whole(1);
	unlinks_left = _i;
	source.job = 2;
	open_output();
	check_read(0, MIB); /* fills what is left, and then more */
	for (uint64_t at = MIB; at < SIZE; at += MIB)
		check_read(at, MIB);
	close_cache();
	unlinks_left = -1;
	snprintf(clean, sizeof(clean), "%.250s/clean", dir);
	unlink(clean);
	open_cache();
	output_sweep(cache);
	read_whole(1);
	ck_assert_uint_le(taken(), bound + SIZE); /* 2 may be held by the sweep's end, not longer */
}
END_TEST

START_TEST(what_was_too_much_at_the_start_goes)
{
	for (uint64_t job = 1; job <= 4; job++)
		leave_whole(job);
	leave_whole(1);
	restart_with(2 * SIZE + SIZE / 2);
	output_sweep(cache);
	while (taken() > bound)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert(is_there(1) && is_there(4));
	ck_assert(!is_there(2) && !is_there(3));
}
END_TEST

START_TEST(what_nobody_wants_is_swept)
{
	char foreign[300];

	leave_whole(1);
	leave_whole(2);
	snprintf(foreign, sizeof(foreign), "%.250s/2-0.data.txt", dir);
	close(open(foreign, O_CREAT | O_WRONLY, 0600));
	close(open(path(2, "map.tmp"), O_CREAT | O_WRONLY, 0600));
	unwanted_job = 2;
	restart_with(0);
	source.job = 1;
	open_output();
	output_sweep(cache);
	while (is_there(2) || access(path(2, "map"), F_OK) == 0 ||
	       access(path(2, "map.tmp"), F_OK) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert(is_there(1));
	ck_assert_int_eq(access(foreign, F_OK), 0);
}
END_TEST

START_TEST(a_prefetch_fetches_all_of_it)
{
	for (uint64_t job = 1; job <= 5; job++) {
		source.job = job;
		output_prefetch(cache, &source);
	}
	expect_whole(1); /* of the last one, job 5 */
	SCRIPT(refuse = -ESHUTDOWN);
	for (uint64_t job = 1; job <= 5; job++) {
		read_whole(job);
		put_output();
	}
	ck_assert_uint_le(far.most, 4); /* two, and two whose last byte has come */
}
END_TEST

START_TEST(a_prefetch_ends_where_there_is_no_room)
{
	restart_with(SIZE / 2);
	output_prefetch(cache, &source);
	scripted_idle(&far);
	ck_assert_uint_le(taken(), bound);
	ck_assert_uint_le(far.bytes, SIZE / 2 + MIB);
	read_whole(source.job);
	ck_assert_uint_le(taken(), bound);
}
END_TEST

START_TEST(a_stop_ends_prefetches)
{
	SCRIPT(hold = MIB);
	for (uint64_t job = 1; job <= 5; job++) {
		source.job = job;
		output_prefetch(cache, &source);
	}
}
END_TEST

/* Two were under way, and the others in line. */
START_TEST(what_a_stop_cut_short_goes_on_at_the_next_start)
{
	SCRIPT(hold = MIB);
	for (uint64_t job = 1; job <= 5; job++) {
		source.job = job;
		output_prefetch(cache, &source);
	}
	restart_with(0);
	output_sweep(cache);
	expect_whole(1); /* of job 5 */
	for (uint64_t job = 1; job <= 5; job++) {
		while (access(path(job, "prefetch"), F_OK) == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		struct output_source there = source;
		there.job = job;
		ck_assert_uint_eq(output_stored(cache, &there), SIZE);
	}
}
END_TEST

START_TEST(one_driver_at_a_time)
{
	struct output_events events = { 0 };
	struct output_conf conf = { .dir = dir, .books = "" };

	ck_assert_ptr_null(output_cache_new(&conf, &far.remote, &events));
	ck_assert_int_eq(errno, EBUSY);
}
END_TEST

/* The directory cannot be written at all: what is read goes past it. */
START_TEST(no_file_can_be_made)
{
	mkdir(path(7, "data"), 0700); /* stands in the way, for root too */
	open_output();
	ck_assert_int_eq(output_fd(out), -1);
	for (uint64_t at = 0; at < SIZE; at += MIB)
		check_read(at, MIB);
	put_output();
	rmdir(path(7, "data"));
	read_whole(7);
	ck_assert_uint_eq(output_cached(out), SIZE);
}
END_TEST

/* What follows a read is kept for a while, or each one would cost all that lies before it. */
START_TEST(a_server_without_ranges_is_read_past_the_disk)
{
	mkdir(path(7, "data"), 0700);
	SCRIPT(ignore_range = true);
	open_output();
	for (uint64_t at = 0; at < SIZE; at += 128 << 10)
		check_read(at, 128 << 10);
	ck_assert_int_eq(output_fd(out), -1);
	ck_assert_uint_lt(far.bytes, 3 * (uint64_t)SIZE);
	ck_assert_uint_le(far.count, 4);
	check_read(5 * MIB, 1000); /* and back */
	check_read(SIZE - 10, 10);
	put_output();
	rmdir(path(7, "data"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("space");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_oldest_goes_before_it_overflows);
	tcase_add_test(tc, what_is_open_stays_and_all_can_be_read);
	tcase_add_test(tc, random_reads_where_nothing_has_room);
	tcase_add_test(tc, a_server_without_ranges_where_nothing_has_room);
	tcase_add_test(tc, a_bad_copy_where_nothing_has_room);
	tcase_add_loop_test(tc, eviction_survives_a_crash, 0, 4);
	tcase_add_test(tc, what_was_too_much_at_the_start_goes);
	tcase_add_test(tc, what_nobody_wants_is_swept);
	tcase_add_test(tc, a_prefetch_fetches_all_of_it);
	tcase_add_test(tc, a_prefetch_ends_where_there_is_no_room);
	tcase_add_test(tc, a_stop_ends_prefetches);
	tcase_add_test(tc, a_server_without_ranges_is_read_past_the_disk);
	tcase_add_test(tc, what_a_stop_cut_short_goes_on_at_the_next_start);
	tcase_add_test(tc, one_driver_at_a_time);
	tcase_add_test(tc, no_file_can_be_made);
	Suite *suite = suite_create("output_space");
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
