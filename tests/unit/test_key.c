#include "key.h"
#include "run.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

/* A directory of its own for each test: home, credentials and key file are below it. */
static char dir[] = "/tmp/test_key.XXXXXX";
static char home[64], credentials[64], key_file[64];

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(home, sizeof home, "%s/home", dir);
	snprintf(credentials, sizeof credentials, "%s/credentials", dir);
	snprintf(key_file, sizeof key_file, "%s/key", dir);
	unsetenv("PIXAZO_API_KEY");
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void tear_down(void)
{
	static const char *const made[] = { "home/.config/pixal3dfs/key",
					    "home/.pixazo/api-key",
					    "credentials/pixal3d-key",
					    "key",
					    "home/.config/pixal3dfs",
					    "home/.config",
					    "home/.pixazo",
					    "home",
					    "credentials",
					    "" };
	char path[128];
	for (int i = 0; i < ROWS(made); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, made[i]);
		remove(path);
	}
}

/* Writes the file BASE/NAME, with the directories on the way. */
static void put(const char *base, const char *name, const char *text, mode_t mode)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", base, name);
	for (char *slash = path + strlen(dir) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	FILE *out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	fclose(out);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void expect_key(struct key *key, const char *expected)
{
	char value[KEY_MAX];
	ck_assert_int_eq(key_read(key, value), expected ? 0 : -ENOKEY);
	if (expected)
		ck_assert_str_eq(value, expected);
}

#define LONGEST_64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONGEST_448 LONGEST_64 LONGEST_64 LONGEST_64 LONGEST_64 LONGEST_64 LONGEST_64 LONGEST_64
#define LONGEST     LONGEST_448 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static const struct {
	const char *text;
	mode_t mode;
	int r;
	const char *value;
} files[] = {
	{ "abc", 0600, 0, "abc" },
	{ "abc\n", 0400, 0, "abc" },
	{ "abc \r\n\n", 0600, 0, "abc" },
	{ LONGEST "\n", 0600, 0, LONGEST },
	{ LONGEST "x", 0600, -EINVAL, NULL },
	{ LONGEST LONGEST LONGEST, 0600, -EINVAL, NULL },
	{ "", 0600, -EINVAL, NULL },
	{ "\n", 0600, -EINVAL, NULL },
	{ "a b", 0600, -EINVAL, NULL },
	{ "abc\ndef\n", 0600, -EINVAL, NULL },
	{ "abc\xc3\xa4", 0600, -EINVAL, NULL },
	{ "abc\x7f", 0600, -EINVAL, NULL },
	{ "abc", 0640, -EACCES, NULL },
	{ "abc", 0604, -EACCES, NULL },
	{ "abc", 0620, -EACCES, NULL },
	{ "abc", 0666, -EACCES, NULL },
};

START_TEST(key_files)
{
	struct key *key;
	char error[KEY_ERROR_MAX] = "";
	put(dir, "key", files[_i].text, files[_i].mode);
	ck_assert_int_eq(key_find(key_file, home, &key, error), files[_i].r);
	ck_assert_int_eq(error[0] != '\0', files[_i].r != 0);
	ck_assert_ptr_null(strstr(error, "abc"));
	if (files[_i].r)
		ck_assert_ptr_null(key);
	else
		expect_key(key, files[_i].value);
	key_free(key);
}
END_TEST

/* Which sources are there, and which one is taken. */
static const struct {
	bool file, environment, credentials, config, pixazo;
	const char *value;
} orders[] = {
	{ 1, 1, 1, 1, 1, "file" },        { 0, 1, 1, 1, 1, "environment" },
	{ 0, 0, 1, 1, 1, "credentials" }, { 0, 0, 0, 1, 1, "config" },
	{ 0, 0, 0, 0, 1, "pixazo" },      { 0, 0, 0, 0, 0, NULL },
};

START_TEST(the_first_source_is_taken)
{
	struct key *key;
	char error[KEY_ERROR_MAX] = "";
	setenv("CREDENTIALS_DIRECTORY", credentials, 1);
	if (orders[_i].file)
		put(dir, "key", "file", 0600);
	if (orders[_i].environment)
		setenv("PIXAZO_API_KEY", "environment", 1);
	if (orders[_i].credentials)
		put(credentials, "pixal3d-key", "credentials", 0440);
	if (orders[_i].config)
		put(home, ".config/pixal3dfs/key", "config", 0600);
	if (orders[_i].pixazo)
		put(home, ".pixazo/api-key", "pixazo", 0600);
	ck_assert_int_eq(key_find(orders[_i].file ? key_file : NULL, home, &key, error),
			 orders[_i].value ? 0 : -ENOENT);
	expect_key(key, orders[_i].value);
	ck_assert_ptr_null(getenv("PIXAZO_API_KEY"));
	key_free(key);
}
END_TEST

START_TEST(the_environment_is_wiped)
{
	struct key *key;
	char error[KEY_ERROR_MAX], text[] = "PIXAZO_API_KEY=secret";
	ck_assert_int_eq(putenv(text), 0);
	ck_assert_int_eq(key_find(NULL, NULL, &key, error), 0);
	ck_assert_str_eq(text, "PIXAZO_API_KEY=");
	expect_key(key, "secret");
	key_free(key);
}
END_TEST

START_TEST(a_bad_environment_is_refused)
{
	struct key *key;
	char error[KEY_ERROR_MAX];
	setenv("PIXAZO_API_KEY", "two words", 1);
	ck_assert_int_eq(key_find(NULL, home, &key, error), -EINVAL);
	ck_assert_ptr_null(key);
	ck_assert_ptr_null(strstr(error, "two"));
	setenv("PIXAZO_API_KEY", "", 1);
	ck_assert_int_eq(key_find(NULL, NULL, &key, error), -ENOENT);
	expect_key(key, NULL);
	key_free(key);
}
END_TEST

START_TEST(a_missing_key_file_is_not_replaced_by_another_source)
{
	struct key *key;
	char error[KEY_ERROR_MAX];
	setenv("PIXAZO_API_KEY", "environment", 1);
	ck_assert_int_eq(key_find(key_file, home, &key, error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error, key_file));
	expect_key(key, NULL);
	put(dir, "key", "later", 0600);
	expect_key(key, "later");
	key_free(key);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	struct key *key;
	char error[KEY_ERROR_MAX];
	ck_assert_int_eq(key_find(dir, home, &key, error), -EINVAL);
	ck_assert_int_eq(mkfifo(key_file, 0600), 0);
	ck_assert_int_eq(key_find(key_file, home, &key, error), -EINVAL);
}
END_TEST

START_TEST(a_changed_file_is_read_again)
{
	struct key *key;
	char error[KEY_ERROR_MAX];
	put(home, ".config/pixal3dfs/key", "first", 0600);
	ck_assert_int_eq(key_find(NULL, home, &key, error), 0);
	put(home, ".config/pixal3dfs/key", "second-one", 0600);
	expect_key(key, "second-one");
	put(home, ".config/pixal3dfs/key", "not a key", 0600);
	expect_key(key, "second-one");
	put(home, ".config/pixal3dfs/key", "exposed-to-all", 0644);
	expect_key(key, "second-one");
	tear_down();
	expect_key(key, "second-one");
	key_free(key);
}
END_TEST

START_TEST(a_fixed_key)
{
	struct key *key = key_fixed("sandbox");
	expect_key(key, "sandbox");
	key_free(key);
	ck_assert_ptr_null(key_fixed("two words"));
	key_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("key");
	TCase *tcase = tcase_create("key");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, key_files, 0, ROWS(files));
	tcase_add_loop_test(tcase, the_first_source_is_taken, 0, ROWS(orders));
	tcase_add_test(tcase, the_environment_is_wiped);
	tcase_add_test(tcase, a_bad_environment_is_refused);
	tcase_add_test(tcase, a_missing_key_file_is_not_replaced_by_another_source);
	tcase_add_test(tcase, what_is_no_file_is_refused);
	tcase_add_test(tcase, a_changed_file_is_read_again);
	tcase_add_test(tcase, a_fixed_key);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
