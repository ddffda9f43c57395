#include "credentials.h"
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static char dir[] = "/tmp/test_credentials.XXXXXX";
static char home[64], file[64], given[64];

static void set_up(void)
{
	char path[80];
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(home, sizeof(home), "%s/home", dir);
	snprintf(file, sizeof(file), "%s/file", dir);
	snprintf(given, sizeof(given), "%s/pixal3d-s3", dir);
	snprintf(path, sizeof(path), "%s/.aws", home);
	mkdir(home, 0700);
	mkdir(path, 0700);
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void tear_down(void)
{
	static const char *const made[] = {
		"home/.aws/credentials", "home/.aws", "home", "file", "pixal3d-s3", ""
	};
	char path[128];
	for (int i = 0; i < ROWS(made); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
		remove(path);
	}
}

static void put(const char *path, const char *text, mode_t mode)
{
	FILE *out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	fclose(out);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void expect(struct credentials *credentials, const char *id, const char *secret,
		   const char *token)
{
	struct credentials_value value;
	ck_assert_int_eq(credentials_read(credentials, &value), id ? 0 : -ENOKEY);
	ck_assert_str_eq(value.id, id ? id : "");
	ck_assert_str_eq(value.secret, secret);
	ck_assert_str_eq(value.token, token);
}

#define TOO_LONG                                                                                   \
	"0123456789012345678901234567890123456789012345678901234567890123456789"                   \
	"0123456789012345678901234567890123456789012345678901234567890123456789"

static const struct {
	const char *text;
	mode_t mode;
	int r;
	const char *id, *secret, *token;
} files[] = {
	{ "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s3cr+t/=\n", 0600, 0,
	  "AKIA1", "s3cr+t/=", "" },
	{ "aws_access_key_id=AKIA1\r\naws_secret_access_key=s3cret\r\naws_session_token=t==\r\n",
	  0400, 0, "AKIA1", "s3cret", "t==" },
	{ "[work]\naws_access_key_id=W\naws_secret_access_key=w\n# aws_x\n[default]\n"
	  "region = eu-west-1\n  aws_access_key_id=D\naws_secret_access_key=d\n[more]\n"
	  "aws_access_key_id=M\n",
	  0600, 0, "D", "d", "" },
	{ "[work]\naws_access_key_id=W\naws_secret_access_key=s3cret\n", 0600, -EINVAL, NULL, NULL,
	  NULL },
	{ "[default]\naws_access_key_id=s3cret\n", 0600, -EINVAL, NULL, NULL, NULL },
	{ "[default]\naws_access_key_id=A\naws_secret_access_key=s3 cret\n", 0600, -EINVAL, NULL,
	  NULL, NULL },
	{ "[default]\naws_access_key_id=" TOO_LONG "\naws_secret_access_key=s3cret\n", 0600,
	  -EINVAL, NULL, NULL, NULL },
	{ "", 0600, -EINVAL, NULL, NULL, NULL },
	{ "[default]\naws_access_key_id=A\naws_secret_access_key=s3cret\n", 0640, -EACCES, NULL,
	  NULL, NULL },
	{ "[default]\naws_access_key_id=A\naws_secret_access_key=s3cret\n", 0604, -EACCES, NULL,
	  NULL, NULL },
};

START_TEST(credentials_files)
{
	struct credentials *credentials;
	char error[CREDENTIALS_ERROR_MAX] = "";
	put(file, files[_i].text, files[_i].mode);
	ck_assert_int_eq(credentials_find(file, home, &credentials, error), files[_i].r);
	ck_assert_int_eq(error[0] != '\0', files[_i].r != 0);
	ck_assert_ptr_null(strstr(error, "s3cret"));
	if (files[_i].r)
		ck_assert_ptr_null(credentials);
	else
		expect(credentials, files[_i].id, files[_i].secret, files[_i].token);
	credentials_free(credentials);
}
END_TEST

#define AS(id) "aws_access_key_id=" id "\naws_secret_access_key=s\n"

/* Which sources are there, and which one is taken. */
static const struct {
	bool file, environment, given, home;
	const char *id;
} orders[] = {
	{ 1, 1, 1, 1, "file" }, { 0, 1, 1, 1, "environment" }, { 0, 0, 1, 1, "given" },
	{ 0, 0, 0, 1, "home" }, { 0, 0, 0, 0, NULL },
};

static void put_home(const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/.aws/credentials", home);
	put(path, text, 0600);
}

START_TEST(the_first_source_is_taken)
{
	struct credentials *credentials;
	char error[CREDENTIALS_ERROR_MAX] = "";
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	setenv("AWS_SESSION_TOKEN", "", 1);
	if (orders[_i].file)
		put(file, AS("file"), 0600);
	if (orders[_i].environment) {
		setenv("AWS_ACCESS_KEY_ID", "environment", 1);
		setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	}
	if (orders[_i].given)
		put(given, AS("given"), 0440);
	if (orders[_i].home)
		put_home(AS("home"));
	ck_assert_int_eq(credentials_find(orders[_i].file ? file : NULL, home, &credentials, error),
			 orders[_i].id ? 0 : -ENOENT);
	expect(credentials, orders[_i].id, orders[_i].id ? "s" : "", "");
	ck_assert_ptr_null(getenv("AWS_ACCESS_KEY_ID"));
	ck_assert_ptr_null(getenv("AWS_SECRET_ACCESS_KEY"));
	ck_assert_ptr_null(getenv("AWS_SESSION_TOKEN"));
	credentials_free(credentials);
}
END_TEST

START_TEST(the_environment_is_wiped)
{
	struct credentials *credentials;
	char error[CREDENTIALS_ERROR_MAX];
	char id[] = "AWS_ACCESS_KEY_ID=AKIA", secret[] = "AWS_SECRET_ACCESS_KEY=s3cret",
	     token[] = "AWS_SESSION_TOKEN=t0ken";
	putenv(id);
	putenv(secret);
	putenv(token);
	ck_assert_int_eq(credentials_find(NULL, NULL, &credentials, error), 0);
	ck_assert_str_eq(id, "AWS_ACCESS_KEY_ID=");
	ck_assert_str_eq(secret, "AWS_SECRET_ACCESS_KEY=");
	ck_assert_str_eq(token, "AWS_SESSION_TOKEN=");
	expect(credentials, "AKIA", "s3cret", "t0ken");
	credentials_free(credentials);
}
END_TEST

START_TEST(half_an_environment_is_refused)
{
	struct credentials *credentials;
	char error[CREDENTIALS_ERROR_MAX];
	setenv("AWS_SECRET_ACCESS_KEY", "s3cret", 1);
	ck_assert_int_eq(credentials_find(NULL, home, &credentials, error), -EINVAL);
	ck_assert_ptr_null(credentials);
	ck_assert_ptr_null(strstr(error, "s3cret"));
}
END_TEST

START_TEST(what_comes_or_changes_later_is_found)
{
	struct credentials *credentials;
	char error[CREDENTIALS_ERROR_MAX];
	ck_assert_int_eq(credentials_find(NULL, home, &credentials, error), -ENOENT);
	expect(credentials, NULL, "", "");
	put_home(AS("later") "aws_session_token=first\n");
	expect(credentials, "later", "s", "first");
	put_home(AS("later") "aws_session_token=renewed\n");
	expect(credentials, "later", "s", "renewed");
	put_home(AS("later"));
	expect(credentials, "later", "s", "");
	put_home("half a file");
	expect(credentials, "later", "s", "");
	credentials_free(credentials);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("credentials");
	TCase *tcase = tcase_create("credentials");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, credentials_files, 0, ROWS(files));
	tcase_add_loop_test(tcase, the_first_source_is_taken, 0, ROWS(orders));
	tcase_add_test(tcase, the_environment_is_wiped);
	tcase_add_test(tcase, half_an_environment_is_refused);
	tcase_add_test(tcase, what_comes_or_changes_later_is_found);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
