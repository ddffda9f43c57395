/* log: what a line looks like, and what it cannot be made to do. */
#include "log.h"
#include "run.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char text[512];
static int saved, ends[2];

static void begin(enum log_level level)
{
	ck_assert_int_eq(pipe(ends), 0);
	saved = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
	close(ends[1]);
	log_setup(level, false);
}

/* Gives what was said since begin(). */
static const char *said(void)
{
	fflush(stderr);
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	close(saved);
	ssize_t n = read(ends[0], text, sizeof(text) - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(ends[0]);
	return text;
}

START_TEST(less_than_the_level_is_not_said)
{
	begin(LOG_LEVEL_WARN);
	log_debug("debug");
	log_info("info");
	log_warn("a warning");
	log_error("an error");
	ck_assert_str_eq(said(), "pixal3dfs: warn: a warning\npixal3dfs: error: an error\n");
}
END_TEST

START_TEST(an_error_is_told_and_given)
{
	begin(LOG_LEVEL_ERROR);
	errno = ERANGE;
	ck_assert_int_eq(log_errno(-ENOENT, "cannot open %s", "it"), -ENOENT);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_str_eq(said(), "pixal3dfs: error: cannot open it: No such file or directory\n");
}
END_TEST

/* The service's words are in it. */
START_TEST(no_words_forge_a_line_or_drive_a_terminal)
{
	begin(LOG_LEVEL_WARN);
	log_warn("%s", "red \x1b[31m\r\npixal3dfs: error: forged\x7f, \xc3\xa4");
	ck_assert_str_eq(said(),
			 "pixal3dfs: warn: red  [31m  pixal3dfs: error: forged , \xc3\xa4\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_add_test(tc, less_than_the_level_is_not_said);
	tcase_add_test(tc, an_error_is_told_and_given);
	tcase_add_test(tc, no_words_forge_a_line_or_drive_a_terminal);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
