#include "run.h"
#include "spool.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* sha256sum of "hello" */
#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824.png"

static char root[] = "/tmp/pixal3dfs-spool-XXXXXX", path[64];
static struct spool *spool;

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/images", root);
	ck_assert_int_eq(spool_open(path, &spool), 0);
}

static unsigned files(void)
{
	unsigned count = 0;
	DIR *dir = opendir(path);
	const struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void tear_down(void)
{
	ck_assert_int_eq(spool_sweep(spool), 0);
	spool_close(spool);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(root), 0);
}

static struct spool_file *make(const char *text)
{
	struct spool_file *file;

	ck_assert_int_eq(spool_create(spool, &file), 0);
	ck_assert_int_eq(spool_write(file, 0, text, strlen(text)), 0);
	return file;
}

static void expect(const struct spool_file *file, const char *text)
{
	char buf[64];
	uint64_t size;
	ssize_t n = spool_read(file, 0, buf, sizeof(buf));

	ck_assert_int_eq(n, (ssize_t)strlen(text));
	ck_assert_mem_eq(buf, text, strlen(text));
	ck_assert_int_eq(spool_size(file, &size), 0);
	ck_assert_uint_eq(size, strlen(text));
}

START_TEST(a_file_is_named_by_its_content)
{
	char at[PATH_MAX];
	struct stat st;
	struct spool_file *file = make("hellx");

	ck_assert_ptr_null(spool_name(file));
	ck_assert_int_eq(spool_write(file, 4, "o!", 2), 0);
	ck_assert_int_eq(spool_truncate(file, 5), 0);
	ck_assert_int_eq(spool_seal(&file, "png"), 0);
	ck_assert_str_eq(spool_name(file), HELLO);
	expect(file, "hello");
	spool_path(file, at);
	ck_assert_int_eq(stat(at, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	spool_put(file);
	ck_assert_int_eq(stat(at, &st), -1);
}
END_TEST

START_TEST(what_is_sealed_does_not_change)
{
	struct spool_file *file = make("hello"), *copy;

	ck_assert_int_eq(spool_seal(&file, "png"), 0);
	ck_assert_int_eq(spool_seal(&file, "png"), 0);
	ck_assert_int_eq(spool_write(file, 0, "x", 1), -EROFS);
	ck_assert_int_eq(spool_truncate(file, 0), -EROFS);
	ck_assert_int_eq(spool_copy(file, &copy), 0);
	ck_assert_int_eq(spool_write(copy, 0, "j", 1), 0);
	expect(copy, "jello");
	expect(file, "hello");
	spool_put(copy);
	spool_put(file);
	ck_assert_uint_eq(files(), 0);
}
END_TEST

START_TEST(equal_contents_are_one_file)
{
	struct spool_file *one = make("hello"), *two = make("hello"), *found;

	ck_assert_int_eq(spool_find(spool, HELLO, &found), -ENOENT);
	ck_assert_int_eq(spool_seal(&one, "png"), 0);
	ck_assert_int_eq(spool_seal(&two, "png"), 0);
	ck_assert_ptr_eq(one, two);
	ck_assert_uint_eq(files(), 1);
	ck_assert_int_eq(spool_find(spool, HELLO, &found), 0);
	ck_assert_ptr_eq(found, one);
	spool_put(one);
	spool_put(two);
	expect(found, "hello");
	spool_put(spool_ref(found));
	expect(found, "hello");
	spool_put(found);
	ck_assert_uint_eq(files(), 0);
}
END_TEST

/* The next process finds what this one still had; what nobody asks for goes. */
START_TEST(the_next_process_takes_over)
{
	struct spool_file *kept = make("hello"), *lost = make("lost"), *found;

	static struct spool_file *volatile half; /* as if its process had died */

	half = make("half");
	ck_assert_ptr_null(spool_name(half));
	ck_assert_int_eq(spool_seal(&kept, "png"), 0);
	ck_assert_int_eq(spool_seal(&lost, "jpg"), 0);
	ck_assert_uint_eq(files(), 3);
	spool_close(spool);
	ck_assert_int_eq(spool_open(path, &spool), 0);
	ck_assert_int_eq(spool_find(spool, HELLO, &found), 0);
	ck_assert_int_eq(spool_sweep(spool), 0);
	ck_assert_uint_eq(files(), 1);
	expect(found, "hello");
	spool_put(found);
}
END_TEST

/* As on a full disk: the writer is told, and what was there stays. */
START_TEST(a_write_that_fails_is_told)
{
	struct rlimit before, limit;
	struct spool_file *file = make("hello");
	static char much[8192];

	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 4096;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	ck_assert_int_eq(spool_write(file, 5, much, sizeof(much)), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	ck_assert_int_eq(spool_truncate(file, 5), 0);
	expect(file, "hello");
	spool_put(file);
}
END_TEST

static void *seal_and_put(void *arg)
{
	for (int i = 0; i < 100; i++) {
		struct spool_file *file = make("hello");
		ck_assert_int_eq(spool_seal(&file, "png"), 0);
		expect(file, "hello");
		spool_put(file);
	}
	return arg;
}

START_TEST(many_seal_the_same)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, seal_and_put, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(files(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spool");
	TCase *tests = tcase_create("all");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_file_is_named_by_its_content);
	tcase_add_test(tests, what_is_sealed_does_not_change);
	tcase_add_test(tests, equal_contents_are_one_file);
	tcase_add_test(tests, the_next_process_takes_over);
	tcase_add_test(tests, a_write_that_fails_is_told);
	tcase_add_test(tests, many_seal_the_same);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
