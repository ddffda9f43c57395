/* store: what is committed stays, what failed never was, and nobody else's file is touched. */
#include "store.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static char dir[64];
static char error[STORE_ERROR_MAX];
static struct store *store;

__attribute__((format(printf, 1, 2))) static void shell(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	ck_assert_int_eq(system(command), 0);
}

static void open_store(void)
{
	int r = store_open(dir, "/mnt/p3d", &store, error);

	ck_assert_msg(r == 0, "%s", error);
}

static void reopen(void)
{
	store_close(store);
	open_store();
}

static void setup(void)
{
	strcpy(dir, "/tmp/p3d-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	open_store();
}

static void teardown(void)
{
	store_close(store);
	store = NULL;
	shell("rm -rf %s %s.copy", dir, dir);
}

static struct job *make_job(const char *name)
{
	struct job *job = job_new();

	ck_assert_int_eq(job_set(&job->name, name), 0);
	job->changed_ms = 1779455852110;
	return job;
}

static uint64_t insert(const char *name)
{
	struct job *job = make_job(name);
	uint64_t number = 0;

	ck_assert_int_eq(store_insert(store, job, NULL, &number), 0);
	job_put(job);
	return number;
}

struct loaded {
	struct job *jobs[16];
	int count;
};

static int keep(void *arg, struct job *job)
{
	struct loaded *loaded = arg;

	loaded->jobs[loaded->count++] = job;
	return 0;
}

static void drop(struct loaded *loaded)
{
	while (loaded->count)
		job_put(loaded->jobs[--loaded->count]);
}

static int count_only(void *arg, struct job *job)
{
	++*(int *)arg;
	job_put(job);
	return 0;
}

static int jobs_in(struct store *in)
{
	int count = 0;

	ck_assert_int_eq(store_load(in, count_only, &count), 0);
	return count;
}

static void check_text(uint64_t number, enum job_text which, const char *want, size_t len)
{
	char *text;
	size_t got;

	ck_assert_int_eq(store_text(store, number, which, &text, &got), 0);
	ck_assert_uint_eq(got, len);
	ck_assert_mem_eq(text, want, len + 1);
	free(text);
}

static struct job *full_job(void)
{
	struct job *job = make_job("dog");

	job_set(&job->label, "");
	job_set(&job->word, "COMPLETED");
	job_set(&job->request_id, "pixal3d_019d");
	job_set(&job->polling_url, "https://gateway.example/v2/x");
	job_set(&job->error, "it's \xff a \"line\"\nand one more");
	job->state = JOB_COMPLETED;
	job->error_errno = EDQUOT;
	job->attempts = 3;
	job->failures = 4000000000U;
	job->created_ms = 1;
	job->submitted_ms = 2;
	job->ended_ms = INT64_MAX;
	job->retry_at_ms = -5;
	job->hidden = UINT32_MAX;
	job->uid = (uid_t)-2;
	job->gid = 7;
	job->mode = 0751;
	job->output_unreachable = true;
	job->output_count = JOB_OUTPUTS_MAX;
	for (size_t i = 0; i < JOB_OUTPUTS_MAX; i++) {
		job_set(&job->outputs[i].url, "https://cdn.example/o.glb?sig=1");
		job_set(&job->outputs[i].name, i ? "output-2.glb" : "output.glb");
		job_set(&job->outputs[i].etag, i % 2 ? "\"e\"" : NULL);
		job->outputs[i].size = i ? (int64_t)i << 40 : -1;
		job->outputs[i].mtime_ms = (int64_t)i;
	}
	return job;
}

static void check_same_outputs(const struct job *a, const struct job *b)
{
	ck_assert_uint_eq(a->output_count, b->output_count);
	for (size_t i = 0; i < a->output_count; i++) {
		ck_assert_pstr_eq(a->outputs[i].url, b->outputs[i].url);
		ck_assert_pstr_eq(a->outputs[i].name, b->outputs[i].name);
		ck_assert_pstr_eq(a->outputs[i].media_type, b->outputs[i].media_type);
		ck_assert_pstr_eq(a->outputs[i].etag, b->outputs[i].etag);
		ck_assert_int_eq(a->outputs[i].size, b->outputs[i].size);
		ck_assert_int_eq(a->outputs[i].mtime_ms, b->outputs[i].mtime_ms);
	}
}

static void check_same(const struct job *a, const struct job *b)
{
	ck_assert_pstr_eq(a->name, b->name);
	ck_assert_pstr_eq(a->label, b->label);
	ck_assert_pstr_eq(a->word, b->word);
	ck_assert_pstr_eq(a->request_id, b->request_id);
	ck_assert_pstr_eq(a->polling_url, b->polling_url);
	ck_assert_pstr_eq(a->error, b->error);
	ck_assert_int_eq(a->state, b->state);
	ck_assert_int_eq(a->error_errno, b->error_errno);
	ck_assert_uint_eq(a->attempts, b->attempts);
	ck_assert_uint_eq(a->failures, b->failures);
	ck_assert_int_eq(a->created_ms, b->created_ms);
	ck_assert_int_eq(a->submitted_ms, b->submitted_ms);
	ck_assert_int_eq(a->changed_ms, b->changed_ms);
	ck_assert_int_eq(a->ended_ms, b->ended_ms);
	ck_assert_int_eq(a->retry_at_ms, b->retry_at_ms);
	ck_assert_uint_eq(a->hidden, b->hidden);
	ck_assert_uint_eq(a->uid, b->uid);
	ck_assert_uint_eq(a->gid, b->gid);
	ck_assert_uint_eq(a->mode, b->mode);
	ck_assert(a->output_unreachable == b->output_unreachable);
	check_same_outputs(a, b);
}

START_TEST(every_field_comes_back)
{
	struct job *job = full_job();
	struct loaded loaded = { .count = 0 };
	uint64_t number;

	insert(NULL);
	ck_assert_int_eq(store_insert(store, job, NULL, &number), 0);
	insert("last");
	reopen();
	ck_assert_int_eq(store_load(store, keep, &loaded), 0);
	ck_assert_int_eq(loaded.count, 3);
	ck_assert_uint_eq(loaded.jobs[1]->number, number);
	check_same(loaded.jobs[1], job);
	ck_assert_ptr_null(loaded.jobs[0]->name);
	ck_assert_uint_eq(loaded.jobs[2]->output_count, 0);
	drop(&loaded);
	job_put(job);
}
END_TEST

START_TEST(every_state_comes_back)
{
	for (int i = 0; i < JOB_STATES; i++) {
		struct loaded loaded = { .count = 0 };
		struct job *job = make_job("x");

		job->state = (enum job_state)i;
		ck_assert_int_eq(store_insert(store, job, NULL, &job->number), 0);
		ck_assert_int_eq(store_load(store, keep, &loaded), 0);
		ck_assert_int_eq(loaded.jobs[0]->state, job->state);
		ck_assert_int_eq(store_forget(store, job->number), 0);
		drop(&loaded);
		job_put(job);
	}
}
END_TEST

START_TEST(update_replaces)
{
	struct job *job = full_job();
	struct loaded loaded = { .count = 0 };

	ck_assert_int_eq(store_insert(store, job, NULL, &job->number), 0);
	for (size_t i = 1; i < JOB_OUTPUTS_MAX; i++) {
		job_set(&job->outputs[i].url, NULL);
		job_set(&job->outputs[i].name, NULL);
		job_set(&job->outputs[i].etag, NULL);
	}
	job->output_count = 1;
	job->outputs[0].size = 42;
	job->state = JOB_FAILED;
	job_set(&job->error, NULL);
	ck_assert_int_eq(store_update(store, job, NULL), 0);
	ck_assert_int_eq(store_load(store, keep, &loaded), 0);
	check_same(loaded.jobs[0], job);
	drop(&loaded);
	job_put(job);
}
END_TEST

START_TEST(texts_are_kept_and_the_log_grows)
{
	static const char answer[] = "202\n{\"a\":\0}";
	static const char log[] = "2026-05-22T13:17:32.110Z DRAFT -> WAITING\n"
				  "2026-05-22T13:17:33.110Z WAITING -> QUEUED\n";
	struct store_texts texts = { .params = "{}\n", .log_line = "DRAFT -> WAITING" };
	struct job *job = make_job("dog");

	ck_assert_int_eq(store_insert(store, job, &texts, &job->number), 0);
	check_text(job->number, JOB_TEXT_PARAMS, "{}\n", 3);
	check_text(job->number, JOB_TEXT_ANSWER, "", 0);
	texts = (struct store_texts){ .answer = answer,
				      .answer_len = sizeof(answer) - 1,
				      .status = "",
				      .log_line = "WAITING -> QUEUED" };
	job->changed_ms += 1000;
	ck_assert_int_eq(store_update(store, job, &texts), 0);
	reopen();
	check_text(job->number, JOB_TEXT_PARAMS, "{}\n", 3);
	check_text(job->number, JOB_TEXT_ANSWER, answer, sizeof(answer) - 1);
	check_text(job->number, JOB_TEXT_STATUS, "", 0);
	check_text(job->number, JOB_TEXT_LOG, log, sizeof(log) - 1);
	job_put(job);
}
END_TEST

START_TEST(what_is_not_there_is_enoent)
{
	struct job *job = make_job("x");
	char *text;
	size_t len;

	ck_assert_int_eq(store_update(store, job, NULL), -ENOENT);
	job->number = UINT64_MAX;
	ck_assert_int_eq(store_update(store, job, NULL), -ENOENT);
	ck_assert_int_eq(store_forget(store, 1), -ENOENT);
	for (int i = 0; i < JOB_TEXTS; i++)
		ck_assert_int_eq(store_text(store, 1, (enum job_text)i, &text, &len), -ENOENT);
	ck_assert_uint_eq(insert("still works"), 1);
	job_put(job);
}
END_TEST

START_TEST(numbers_are_never_reused)
{
	struct store_texts texts = { .params = "old", .log_line = "old" };
	struct job *job = full_job();
	uint64_t number;

	insert("a");
	ck_assert_int_eq(store_insert(store, job, &texts, &number), 0);
	ck_assert_int_eq(store_forget(store, number), 0);
	ck_assert_uint_eq(insert("b"), number + 1);
	ck_assert_int_eq(store_forget(store, number + 1), 0);
	reopen();
	ck_assert_uint_eq(insert("c"), number + 2);
	check_text(number + 2, JOB_TEXT_LOG, "", 0);
	ck_assert_int_eq(jobs_in(store), 2);
	job_put(job);
}
END_TEST

static int stop_at_second(void *arg, struct job *job)
{
	int *count = arg;

	job->attempts++;
	ck_assert_int_eq(store_update(store, job, NULL), 0);
	check_text(job->number, JOB_TEXT_LOG, "", 0);
	job_put(job);
	return ++*count == 2 ? -ECANCELED : 0;
}

START_TEST(load_stops_and_may_use_the_store)
{
	int count = 0;

	insert("a");
	insert("b");
	insert("c");
	ck_assert_int_eq(store_load(store, stop_at_second, &count), -ECANCELED);
	ck_assert_int_eq(count, 2);
}
END_TEST

START_TEST(one_driver_at_a_time)
{
	char want[64];
	struct store *second;

	ck_assert_int_eq(store_open(dir, "/elsewhere", &second, error), -EBUSY);
	ck_assert_ptr_null(second);
	snprintf(want, sizeof(want), "process %d", (int)getpid());
	ck_assert_ptr_nonnull(strstr(error, want));
	ck_assert_ptr_nonnull(strstr(error, "/mnt/p3d"));
	reopen();
}
END_TEST

START_TEST(makes_private_directories)
{
	char deep[128];
	struct store *second;
	struct stat st;

	snprintf(deep, sizeof(deep), "%s/a/b/", dir);
	ck_assert_int_eq(store_open(deep, NULL, &second, error), 0);
	ck_assert_int_eq(stat(deep, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	strcat(deep, "jobs.db");
	ck_assert_int_eq(stat(deep, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	store_close(second);
	ck_assert_int_lt(store_open("/dev/null/x", NULL, &second, error), 0);
	ck_assert_ptr_nonnull(strstr(error, "/dev/null"));
}
END_TEST

/* Kills a child that has committed, with the store open. */
static void crash_after_commit(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct store_texts texts = { .log_line = "DRAFT -> WAITING" };
		struct job *job = make_job("paid");

		if (store_open(dir, "/mnt", &store, error) ||
		    store_insert(store, job, &texts, &job->number))
			_exit(1);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

START_TEST(survives_kill)
{
	store_close(store);
	crash_after_commit();
	open_store();
	ck_assert_int_eq(jobs_in(store), 1);
}
END_TEST

static void refuses_as_it_is(int want, const char *word)
{
	shell("rm -rf %s.copy && cp -a %s %s.copy", dir, dir, dir);
	ck_assert_int_eq(store_open(dir, "/mnt", &store, error), want);
	ck_assert_ptr_null(store);
	ck_assert_msg(strstr(error, word) != NULL, "%s", error);
	shell("cmp %s/jobs.db %s.copy/jobs.db", dir, dir);
	shell("! [ -e %s.copy/jobs.db-wal ] || cmp %s/jobs.db-wal %s.copy/jobs.db-wal", dir, dir,
	      dir);
}

START_TEST(refuses_what_is_no_database)
{
	store_close(store);
	shell("seq 1000 >%s/jobs.db", dir);
	refuses_as_it_is(-EUCLEAN, "jobs.db");
}
END_TEST

START_TEST(refuses_another_programs_database)
{
	store_close(store);
	shell("rm %s/jobs.db; sqlite3 %s/jobs.db 'CREATE TABLE bookmarks (x)'", dir, dir);
	refuses_as_it_is(-EUCLEAN, "another program");
}
END_TEST

START_TEST(refuses_a_newer_version)
{
	store_close(store);
	shell("sqlite3 %s/jobs.db 'PRAGMA user_version = 99'", dir);
	refuses_as_it_is(-EPROTONOSUPPORT, "newer");
}
END_TEST

START_TEST(refuses_damage_after_a_crash)
{
	for (int i = 0; i < 200; i++)
		insert("padding that makes the table several pages long, one would think so");
	store_close(store);
	crash_after_commit();
	shell("dd if=/dev/urandom of=%s/jobs.db bs=4096 seek=10 count=3 conv=notrunc 2>/dev/null",
	      dir);
	refuses_as_it_is(-EUCLEAN, "damaged");
}
END_TEST

START_TEST(refuses_a_log_without_its_store)
{
	store_close(store);
	crash_after_commit();
	shell("rm %s/jobs.db", dir);
	ck_assert_int_eq(store_open(dir, "/mnt", &store, error), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(error, "is gone"));
	shell("[ -s %s/jobs.db-wal ]", dir);
}
END_TEST

/* Faults of the disk, between SQLite's log and the system. */
static sqlite3_vfs faulty;
static sqlite3_vfs *real;
static sqlite3_io_methods methods;
static const sqlite3_io_methods *real_methods;
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

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	int rc = real->xOpen(real, name, file, flags, out);

	(void)vfs;
	if (rc != SQLITE_OK || !(flags & SQLITE_OPEN_WAL))
		return rc;
	if (!real_methods) {
		real_methods = file->pMethods;
		methods = *real_methods;
		methods.xWrite = faulty_write;
		methods.xSync = faulty_sync;
	}
	file->pMethods = &methods;
	return rc;
}

static void setup_faulty(void)
{
	real = sqlite3_vfs_find(NULL);
	faulty = *real;
	faulty.zName = "faulty";
	faulty.xOpen = faulty_open;
	sem_init(&syncing, 0, 0);
	sem_init(&go_on, 0, 0);
	ck_assert_int_eq(sqlite3_vfs_register(&faulty, 1), SQLITE_OK);
	setup();
}

static void fails_without_a_trace(int want)
{
	struct store_texts texts = { .params = "changed", .log_line = "changed" };
	struct job *job = make_job("new");
	struct loaded loaded = { .count = 0 };

	job->number = 77;
	ck_assert_int_eq(store_insert(store, job, &texts, &job->number), want);
	ck_assert_uint_eq(job->number, 77);
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

static void *work(void *arg)
{
	struct store_texts texts = { .status = "{}", .status_len = 2, .log_line = "x" };
	struct job *job = make_job("worker");

	(void)arg;
	for (int i = 0; i < 20; i++) {
		char *text;
		size_t len;

		ck_assert_int_eq(store_insert(store, job, &texts, &job->number), 0);
		ck_assert_int_eq(store_update(store, job, &texts), 0);
		ck_assert_int_eq(store_text(store, job->number, JOB_TEXT_LOG, &text, &len), 0);
		ck_assert_uint_eq(len, 2 * strlen("2026-05-22T13:17:32.110Z x\n"));
		free(text);
	}
	job_put(job);
	return NULL;
}

START_TEST(many_threads)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(jobs_in(store), 80);
}
END_TEST

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fill(void)
{
	insert("first");
	store_close(store);
	shell("sqlite3 %s/jobs.db \"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n "
	      "WHERE i < 100000) INSERT INTO job SELECT i, 'name-' || i, 'label', 'COMPLETED', "
	      "'COMPLETED', 'pixal3d_' || i, NULL, NULL, 0, 1, 0, 1, 2, 3, 4, 0, 0, 0, 0, 493, 0 "
	      "FROM n; INSERT INTO output SELECT number, 0, 'https://cdn.example/' || number, "
	      "'output.glb', 'model/glb', '\\\"etag\\\"', 1000, 0 FROM job; "
	      "INSERT INTO text SELECT number, 0, zeroblob(700) FROM job;"
	      "INSERT INTO text SELECT number, 2, zeroblob(900) FROM job;\"",
	      dir);
}

static void load_quickly(int want)
{
	double start = now();
	int count;

	open_store();
	count = jobs_in(store);
	ck_assert_int_eq(count, want);
#ifndef SANITIZED
	ck_assert_double_lt(now() - start, 2.0);
#else
	(void)start;
#endif
}

START_TEST(a_hundred_thousand_jobs)
{
	fill();
	load_quickly(100000);
}
END_TEST

START_TEST(a_hundred_thousand_jobs_after_a_crash)
{
	fill();
	crash_after_commit();
	load_quickly(100001);
}
END_TEST

static TCase *add_tcase(Suite *suite, const char *name, SFun set_up)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return tc;
}

static Suite *store_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = add_tcase(suite, "books", setup);

	tcase_add_test(tc, every_field_comes_back);
	tcase_add_test(tc, every_state_comes_back);
	tcase_add_test(tc, update_replaces);
	tcase_add_test(tc, texts_are_kept_and_the_log_grows);
	tcase_add_test(tc, what_is_not_there_is_enoent);
	tcase_add_test(tc, numbers_are_never_reused);
	tcase_add_test(tc, load_stops_and_may_use_the_store);
	tcase_add_test(tc, many_threads);
	tcase_add_test(tc, a_hundred_thousand_jobs);
	tcase_add_test(tc, a_hundred_thousand_jobs_after_a_crash);

	tc = add_tcase(suite, "opening", setup);
	tcase_add_test(tc, one_driver_at_a_time);
	tcase_add_test(tc, makes_private_directories);
	tcase_add_test(tc, survives_kill);
	tcase_add_test(tc, refuses_what_is_no_database);
	tcase_add_test(tc, refuses_another_programs_database);
	tcase_add_test(tc, refuses_a_newer_version);
	tcase_add_test(tc, refuses_damage_after_a_crash);
	tcase_add_test(tc, refuses_a_log_without_its_store);

	tc = add_tcase(suite, "disk", setup_faulty);
	tcase_add_test(tc, full_disk);
	tcase_add_test(tc, broken_disk);
	tcase_add_test(tc, failed_sync_stays_failed_after_a_crash);
	tcase_add_test(tc, readers_do_not_wait_for_writers);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(store_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
