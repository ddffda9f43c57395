/* What a mistyped word was meant to be. */
#include "guess.h"
#include "run.h"

#include <check.h>

static const char *guessed(const char *typed)
{
	static const char *const known[] = {
		"budget",
		"poll",
		"state_dir",
		"cache_dir",
		"a_word_that_is_much_longer_than_what_anybody_ever_types",
	};
	struct guess guess = guess_start(typed);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		guess_consider(&guess, known[i]);
	return guess.best ? guess.best : "none";
}

START_TEST(nearest_word)
{
	ck_assert_str_eq(guessed("budgt"), "budget");
	ck_assert_str_eq(guessed("statedir"), "state_dir");
	ck_assert_str_eq(guessed("chache_dir"), "cache_dir");
	ck_assert_str_eq(guessed("pol"), "poll");
	ck_assert_str_eq(guessed("poll"), "poll");
}
END_TEST

START_TEST(nothing_is_near)
{
	ck_assert_str_eq(guessed(""), "none");
	ck_assert_str_eq(guessed("colour"), "none");
	ck_assert_str_eq(guessed("a_word_that_is_much_longer_than_what_anybody_ever_type"), "none");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guess");
	TCase *tcase = tcase_create("guess");
	tcase_add_test(tcase, nearest_word);
	tcase_add_test(tcase, nothing_is_near);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
