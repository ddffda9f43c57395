/* store_fixture - a store in a directory of its own, and what to put into it. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "run.h"
#include "store.h"

#include <check.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static char error[STORE_ERROR_MAX];
static struct store *store;

__attribute__((format(printf, 1, 2))) static inline void shell(const char *fmt, ...)
{
	char command[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	ck_assert_int_eq(system(command), 0);
}

static inline void open_store(void)
{
	int r = store_open(dir, "/mnt/p3d", &store, error);

	ck_assert_msg(r == 0, "%s", error);
}

static inline void reopen(void)
{
	store_close(store);
	open_store();
}

static inline void setup(void)
{
	strcpy(dir, "/tmp/p3d-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	open_store();
}

static inline void teardown(void)
{
	store_close(store);
	store = NULL;
	shell("rm -rf %s %s.copy", dir, dir);
}

static inline struct job *make_job(const char *name)
{
	struct job *job = job_new();

	ck_assert_int_eq(job_set(&job->name, name), 0);
	job->changed_ms = 1779455852110;
	return job;
}

static inline uint64_t insert(const char *name)
{
	struct job *job = make_job(name);
	uint64_t number;

	ck_assert_int_eq(store_insert(store, job, NULL), 0);
	number = job->number;
	job_put(job);
	return number;
}

struct loaded {
	struct job *jobs[16];
	int count;
};

static inline int keep(void *arg, struct job *job)
{
	struct loaded *loaded = arg;

	loaded->jobs[loaded->count++] = job;
	return 0;
}

static inline void drop(struct loaded *loaded)
{
	while (loaded->count)
		job_put(loaded->jobs[--loaded->count]);
}

static inline int count_only(void *arg, struct job *job)
{
	++*(int *)arg;
	job_put(job);
	return 0;
}

static inline int jobs_in(struct store *in)
{
	int count = 0;

	ck_assert_int_eq(store_load(in, count_only, &count), 0);
	return count;
}

static inline void check_text(uint64_t number, enum job_text which, const char *want, size_t len)
{
	char *text;
	size_t got;

	ck_assert_int_eq(store_text(store, number, which, &text, &got), 0);
	ck_assert_uint_eq(got, len);
	ck_assert_mem_eq(text, want, len + 1);
	free(text);
}

/* Kills a child that has committed, with the store open. */
static inline void crash_after_commit(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct store_texts texts = { .log_line = "DRAFT -> WAITING" };
		struct job *job = make_job("paid");

		if (store_open(dir, "/mnt", &store, error) || store_insert(store, job, &texts))
			_exit(1);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static inline TCase *add_tcase(Suite *suite, const char *name, SFun set_up)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return tc;
}

#endif
