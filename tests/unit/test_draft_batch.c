/* The judgement of lists: which lines ask for what, and when. */
#include "draft.h"
#include "run.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARENT 3
#define DOG    "{\"image_url\": \"https://e.example/dog.png\"}"
#define CAT    "{\"image_url\": \"https://e.example/cat.png\", \"seed\": 7}"
#define URL    "https://e.example/"

static struct draft_box *box;
static struct draft *draft;
static struct draft_content content;

static void setup(void)
{
	box = draft_box_new(NULL);
	ck_assert_int_eq(draft_create(box, PARENT, "list", 0644, 0, 0, NULL, 0,
				      (struct timespec){ 0 }, &draft),
			 0);
}

static void teardown(void)
{
	draft_content_release(&content);
	draft_put(draft);
	draft_box_free(box);
}

static void append(const char *text)
{
	struct draft_info info;

	draft_info(draft, &info);
	ck_assert_int_eq(draft_write(draft, info.size, text, strlen(text), (struct timespec){ 0 }),
			 0);
}

static enum draft_verdict judge(enum draft_use use, bool closing)
{
	draft_content_release(&content);
	return draft_judge(draft, use, closing, &content);
}

static void expect_line(size_t i, unsigned number, const char *error)
{
	ck_assert_uint_lt(i, content.line_count);
	ck_assert_uint_eq(content.lines[i].number, number);
	ck_assert(!content.lines[i].params == !!error);
	if (error)
		ck_assert_msg(strstr(content.lines[i].error, error) != NULL, "line %u: %s", number,
			      content.lines[i].error);
}

static void expect_url(size_t i, unsigned number, const char *url)
{
	expect_line(i, number, NULL);
	ck_assert_str_eq(params_image_url(content.lines[i].params), url);
}

START_TEST(a_batch_is_ready_at_close_and_never_at_write)
{
	append(DOG "\n");
	ck_assert_int_eq(judge(DRAFT_BATCH, false), DRAFT_PARTIAL);
	append(CAT);
	ck_assert_int_eq(judge(DRAFT_BATCH, false), DRAFT_PARTIAL);
	ck_assert_int_eq(judge(DRAFT_BATCH, true), DRAFT_READY);
	ck_assert_uint_eq(content.line_count, 2);
	expect_url(0, 1, URL "dog.png");
	expect_url(1, 2, URL "cat.png");
	ck_assert_int_eq(judge(DRAFT_BATCH, true), DRAFT_NOTHING);
}
END_TEST

START_TEST(blank_lines_and_comments_say_nothing)
{
	append("\n# dogs\n  \t\r\n" DOG "\r\n\n   # " CAT "\n   " CAT "   ");
	ck_assert_int_eq(judge(DRAFT_BATCH, true), DRAFT_READY);
	ck_assert_uint_eq(content.line_count, 2);
	expect_url(0, 4, URL "dog.png");
	expect_url(1, 7, URL "cat.png");
}
END_TEST

START_TEST(nothing_but_comments_asks_for_nothing)
{
	append("# nothing\n\n  \n#");
	ck_assert_int_eq(judge(DRAFT_BATCH, true), DRAFT_NOTHING);
	ck_assert_int_eq(judge(DRAFT_URLS, false), DRAFT_PARTIAL);
	ck_assert_int_eq(judge(DRAFT_URLS, true), DRAFT_NOTHING);
}
END_TEST

static const struct {
	const char *line;
	const char *error;
} wrong[] = {
	{ "{\"image_url\": \"https://e.example/a\", \"texture_size\": 3000}",
	  "texture_size: 3000 is not one of 1024, 2048, 4096" },
	{ "{\"image_url\": \"https://e.example/a\", \"texture_siez\": 1024}",
	  "did you mean texture_size?" },
	{ "{\"seed\": 1}", "image_url is missing" },
	{ "{}", "image_url is missing" },
	{ "{", "ends before its JSON object" },
	{ "{\"image_url\": \"https://e.exa", "ends before its JSON object" },
	{ "{\"seed\": 1 2}", "column 12" },
	{ DOG " " DOG, "column" },
	{ DOG ",", "column" },
	{ "[" DOG "]", "not an object" },
	{ "https://e.example/dog.png", "not an object" },
	{ "null", "not an object" },
};
#define WRONG (int)(sizeof(wrong) / sizeof(wrong[0]))

/* A wrong line is named, and spoils no other. */
START_TEST(a_wrong_line_is_named)
{
	append(DOG "\n");
	append(wrong[_i].line);
	append("\n" CAT "\n");
	ck_assert_int_eq(judge(DRAFT_BATCH, true), DRAFT_READY);
	ck_assert_uint_eq(content.line_count, 3);
	expect_line(0, 1, NULL);
	expect_line(1, 2, wrong[_i].error);
	ck_assert_ptr_null(strstr(content.lines[1].error, "line 1"));
	expect_line(2, 3, NULL);
}
END_TEST

START_TEST(one_url_is_ready_at_its_newline)
{
	append(URL "dog.png");
	ck_assert_int_eq(judge(DRAFT_URLS, false), DRAFT_PARTIAL);
	append("\n");
	ck_assert_int_eq(judge(DRAFT_URLS, false), DRAFT_READY);
	ck_assert_ptr_null(content.lines);
	ck_assert_str_eq(params_image_url(content.params), URL "dog.png");
	append("\n");
	ck_assert_int_eq(judge(DRAFT_URLS, true), DRAFT_NOTHING);
}
END_TEST

START_TEST(several_urls_are_a_batch)
{
	append(URL "dog.png\n" URL "c");
	ck_assert_int_eq(judge(DRAFT_URLS, false), DRAFT_PARTIAL);
	append("at.png\nnonsense\n" URL "a " URL "b\n# more\n" URL "cow.png");
	ck_assert_int_eq(judge(DRAFT_URLS, false), DRAFT_PARTIAL);
	ck_assert_int_eq(judge(DRAFT_URLS, true), DRAFT_READY);
	ck_assert_uint_eq(content.line_count, 5);
	expect_url(0, 1, URL "dog.png");
	expect_url(1, 2, URL "cat.png");
	expect_line(2, 3, "URL is needed");
	expect_line(3, 4, "white space");
	expect_url(4, 6, URL "cow.png");
}
END_TEST

START_TEST(one_url_below_a_comment_is_a_list)
{
	append("# dogs\n" URL "dog.png\n");
	ck_assert_int_eq(judge(DRAFT_URLS, false), DRAFT_PARTIAL);
	ck_assert_int_eq(judge(DRAFT_URLS, true), DRAFT_READY);
	ck_assert_uint_eq(content.line_count, 1);
	expect_url(0, 2, URL "dog.png");
}
END_TEST

/* A job's own image_url is one URL. */
START_TEST(image_url_is_no_list)
{
	append(URL "dog.png\n" URL "cat.png\n");
	ck_assert_int_eq(judge(DRAFT_IMAGE_URL, true), DRAFT_INVALID);
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
	ck_assert_int_eq(draft_write(draft, 0, URL "a\0b\n" URL "\xff\n\0\n" URL "c\n", 48,
				     (struct timespec){ 0 }),
			 0);
	ck_assert_int_eq(judge(DRAFT_URLS, true), DRAFT_READY);
	ck_assert_uint_ge(content.line_count, 3);
	for (size_t i = 0; i < 3; i++)
		expect_line(i, (unsigned)i + 1, "");
}
END_TEST

START_TEST(a_list_has_an_end)
{
	size_t len = (DRAFT_LINES_MAX + 1) * strlen(URL "\n");
	char *text = malloc(len);
	char *error;

	for (size_t i = 0; i < len; i += strlen(URL "\n"))
		memcpy(text + i, URL "\n", strlen(URL "\n"));
	ck_assert_int_eq(draft_write(draft, 0, text, len, (struct timespec){ 0 }), 0);
	ck_assert_int_eq(judge(DRAFT_URLS, true), DRAFT_INVALID);
	error = draft_error(draft, NULL);
	ck_assert_ptr_nonnull(strstr(error, "10001 jobs are too many"));
	free(error);
	ck_assert_int_eq(draft_truncate(draft, len - strlen(URL "\n"), (struct timespec){ 0 }), 0);
	ck_assert_int_eq(judge(DRAFT_URLS, true), DRAFT_READY);
	ck_assert_uint_eq(content.line_count, DRAFT_LINES_MAX);
	free(text);
}
END_TEST

/* Emptied and written again, the same list is asked for again: refused lines get their next try. */
START_TEST(the_same_list_again)
{
	append(DOG "\n");
	ck_assert_int_eq(judge(DRAFT_BATCH, true), DRAFT_READY);
	ck_assert_int_eq(draft_truncate(draft, 0, (struct timespec){ 0 }), 0);
	append(DOG "\n");
	ck_assert_int_eq(judge(DRAFT_BATCH, true), DRAFT_READY);
	append(CAT "\n");
	ck_assert_int_eq(judge(DRAFT_BATCH, true), DRAFT_READY);
	ck_assert_uint_eq(content.line_count, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("draft_batch");
	TCase *tcase = tcase_create("lists");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_batch_is_ready_at_close_and_never_at_write);
	tcase_add_test(tcase, blank_lines_and_comments_say_nothing);
	tcase_add_test(tcase, nothing_but_comments_asks_for_nothing);
	tcase_add_loop_test(tcase, a_wrong_line_is_named, 0, WRONG);
	tcase_add_test(tcase, one_url_is_ready_at_its_newline);
	tcase_add_test(tcase, several_urls_are_a_batch);
	tcase_add_test(tcase, one_url_below_a_comment_is_a_list);
	tcase_add_test(tcase, image_url_is_no_list);
	tcase_add_test(tcase, bytes_that_are_no_text);
	tcase_add_test(tcase, a_list_has_an_end);
	tcase_add_test(tcase, the_same_list_again);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
