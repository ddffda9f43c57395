/* store: a change that the disk refused never was, then and after a crash. */
#include "faulty_vfs.h"
#include "store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>

/* Faults of the disk, between SQLite's log and the system. */
static atomic_int fail_writes, fail_syncs, hold_syncs;
static atomic_int faults;
static sem_t syncing, go_on;

static int faulty_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
	if (fail_writes) {
		faults++;
		return fail_writes;
	}
	return real_methods->xWrite(file, data, len, at);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
	if (hold_syncs) {
		hold_syncs--;
		sem_post(&syncing);
		sem_wait(&go_on);
	}
	if (fail_syncs) {
		fail_syncs--;
		faults++;
		return SQLITE_IOERR_FSYNC;
	}
	return real_methods->xSync(file, flags);
}

static void setup_faulty(void)
{
	sem_init(&syncing, 0, 0);
	sem_init(&go_on, 0, 0);
	faulty_register();
	setup();
}

static void fails_without_a_trace(int want)
{
	struct store_texts texts = { .params = "changed", .log_line = "changed" };
	struct job *job = make_job("new");
	struct loaded loaded = { .count = 0 };

	ck_assert_int_eq(store_insert(store, job, &texts), want);
	ck_assert_uint_eq(job->number, 0);
	ck_assert_uint_eq(job->text_len[JOB_TEXT_PARAMS], 0);
	ck_assert_uint_eq(job->text_len[JOB_TEXT_LOG], 0);
	ck_assert_int_gt(faults, 0);
	fail_writes = 0;
	shell("rm -rf %s.copy && cp -a %s %s.copy", dir, dir, dir);
	ck_assert_int_eq(jobs_in(store), 1);
	check_text(1, JOB_TEXT_PARAMS, "", 0);
	ck_assert_uint_eq(insert("after"), 2);
	ck_assert_int_eq(store_load(store, keep, &loaded), 0);
	ck_assert_str_eq(loaded.jobs[1]->name, "after");
	check_text(2, JOB_TEXT_PARAMS, "", 0);
	drop(&loaded);
	job_put(job);
}

START_TEST(full_disk)
{
	insert("before");
	fail_writes = SQLITE_FULL;
	fails_without_a_trace(-ENOSPC);
}
END_TEST

START_TEST(broken_disk)
{
	insert("before");
	fail_writes = SQLITE_IOERR_WRITE;
	errno = 0;
	fails_without_a_trace(-EIO);
}
END_TEST

START_TEST(failed_sync_stays_failed_after_a_crash)
{
	char crashed[80];

	insert("before");
	fail_syncs = 1;
	errno = 0;
	fails_without_a_trace(-EIO);
	store_close(store);
	snprintf(crashed, sizeof(crashed), "%s.copy", dir);
	ck_assert_int_eq(store_open(crashed, NULL, &store, error), 0);
	ck_assert_int_eq(jobs_in(store), 1);
}
END_TEST

static void *insert_one(void *arg)
{
	(void)arg;
	insert("slow disk");
	return NULL;
}

/* What is written to them would be forgotten with the mount: somebody removed them, or put a copy
 * in their place. */
START_TEST(books_that_are_gone_are_not_written)
{
	struct job *job = make_job("dog");

	ck_assert_int_eq(store_insert(store, job, NULL), 0);
	shell("mv %s %s.copy", dir, dir);
	ck_assert_int_eq(store_update(store, job, NULL), -EIDRM);
	shell("cp -r %s.copy %s", dir, dir);
	ck_assert_int_eq(store_update(store, job, NULL), -EIDRM);
	ck_assert_int_eq(store_forget(store, job->number), -EIDRM);
	shell("rm -r %s && mv %s.copy %s", dir, dir, dir);
	ck_assert_int_eq(store_update(store, job, NULL), 0);
	job_put(job);
}
END_TEST

START_TEST(readers_do_not_wait_for_writers)
{
	pthread_t writer;

	insert("before");
	hold_syncs = 1;
	pthread_create(&writer, NULL, insert_one, NULL);
	sem_wait(&syncing);
	check_text(1, JOB_TEXT_LOG, "", 0);
	sem_post(&go_on);
	pthread_join(writer, NULL);
	ck_assert_int_eq(jobs_in(store), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store disk");
	TCase *tc = add_tcase(suite, "disk", setup_faulty);

	tcase_add_test(tc, full_disk);
	tcase_add_test(tc, broken_disk);
	tcase_add_test(tc, failed_sync_stays_failed_after_a_crash);
	tcase_add_test(tc, books_that_are_gone_are_not_written);
	tcase_add_test(tc, readers_do_not_wait_for_writers);
	return run_suite(suite);
}
