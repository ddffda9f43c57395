/* Files that are being written: their bytes, names and limits, and the judgement of single
 * requests. */
#include "draft.h"
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define NEW         7u
#define DOG         "{\"image_url\": \"https://e.example/dog.png\"}"

static struct draft_box *box;
static const struct timespec now = { .tv_sec = 1000 };

static void set_up(void)
{
	box = draft_box_new();
	ck_assert_ptr_nonnull(box);
}

static void tear_down(void)
{
	draft_box_free(box);
}

static struct draft *make(const char *name, const char *text)
{
	struct draft *draft;
	ck_assert_int_eq(draft_create(box, NEW, name, 0644, 1, 2, text, strlen(text), now, &draft),
			 0);
	return draft;
}

static enum draft_verdict judge(struct draft *draft, enum draft_use use, bool closing)
{
	struct draft_content content;
	enum draft_verdict verdict = draft_judge(draft, use, closing, &content);
	draft_content_release(&content);
	return verdict;
}

static void append(struct draft *draft, const char *text)
{
	struct draft_info info;
	draft_info(draft, &info);
	ck_assert_int_eq(draft_write(draft, info.size, text, strlen(text), now), 0);
}

static const struct {
	enum draft_use use;
	const char *text;
	enum draft_verdict at_write, at_close;
} contents[] = {
	{ DRAFT_SCRATCH, DOG, DRAFT_NOTHING, DRAFT_NOTHING },
	{ DRAFT_REQUEST, "", DRAFT_NOTHING, DRAFT_NOTHING },
	{ DRAFT_REQUEST, DOG, DRAFT_READY, DRAFT_READY },
	{ DRAFT_REQUEST, DOG "\n", DRAFT_READY, DRAFT_READY },
	{ DRAFT_REQUEST, "{\"image_url\": ", DRAFT_PARTIAL, DRAFT_PARTIAL },
	{ DRAFT_REQUEST, "  \n", DRAFT_PARTIAL, DRAFT_PARTIAL },
	{ DRAFT_REQUEST, "{]", DRAFT_INVALID, DRAFT_INVALID },
	{ DRAFT_REQUEST, DOG "x", DRAFT_INVALID, DRAFT_INVALID },
	{ DRAFT_IMAGE_URL, "https://e.example/dog.png", DRAFT_PARTIAL, DRAFT_READY },
	{ DRAFT_IMAGE_URL, "https://e.example/dog.png\n", DRAFT_READY, DRAFT_READY },
	{ DRAFT_IMAGE_URL, "dog.png\n", DRAFT_INVALID, DRAFT_INVALID },
	{ DRAFT_IMAGE_URL, "https://e.example/a b\n", DRAFT_INVALID, DRAFT_INVALID },
	{ DRAFT_IMAGE_URL, " \n\n", DRAFT_NOTHING, DRAFT_NOTHING },
	{ DRAFT_REQUEST_ID, "pixal3d_1", DRAFT_PARTIAL, DRAFT_READY },
	{ DRAFT_REQUEST_ID, "  pixal3d_1\n", DRAFT_READY, DRAFT_READY },
	{ DRAFT_REQUEST_ID, "two words\n", DRAFT_INVALID, DRAFT_INVALID },
};

START_TEST(contents_are_judged)
{
	struct draft *written = make("a", contents[_i].text),
		     *closed = make("b", contents[_i].text);
	ck_assert_int_eq(judge(written, contents[_i].use, false), contents[_i].at_write);
	ck_assert_int_eq(judge(closed, contents[_i].use, true), contents[_i].at_close);
	int error;
	char *text = draft_error(closed, &error);
	ck_assert_int_eq(text != NULL, contents[_i].at_close == DRAFT_INVALID);
	ck_assert_int_eq(error, text ? EINVAL : 0);
	free(text);
	draft_put(written);
	draft_put(closed);
}
END_TEST

START_TEST(a_content_is_asked_for_once)
{
	struct draft *draft = make("dog.json", DOG);
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, false), DRAFT_READY);
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_NOTHING);
	append(draft, "\n"); /* the same parameters */
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_NOTHING);
	ck_assert_int_eq(draft_truncate(draft, 0, now), 0);
	append(draft, DOG); /* copied again: another job */
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, false), DRAFT_READY);
	draft_put(draft);
}
END_TEST

START_TEST(what_is_wrong_is_told_once_and_can_be_mended)
{
	struct draft *draft = make("dog.json", "{\"seed\": 1}}");
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, false), DRAFT_INVALID);
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_NOTHING);
	int error;
	free(draft_error(draft, &error));
	ck_assert_int_eq(error, EINVAL);
	ck_assert_int_eq(draft_truncate(draft, 11, now), 0);
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_READY);
	ck_assert_ptr_null(draft_error(draft, NULL));
	draft_put(draft);
}
END_TEST

START_TEST(what_replaces_the_same_content_asks_for_nothing)
{
	struct draft *old = make("dog.json", DOG), *same = make(".dog.json.x", DOG),
		     *other = make(".dog.json.y", "{\"image_url\": \"https://e.example/cat.png\"}");
	ck_assert_int_eq(judge(old, DRAFT_REQUEST, true), DRAFT_READY);
	draft_set_job(old, 5);
	draft_inherit(same, old);
	draft_inherit(other, old);
	ck_assert_int_eq(judge(same, DRAFT_REQUEST, true), DRAFT_NOTHING);
	ck_assert_int_eq(judge(other, DRAFT_REQUEST, true), DRAFT_READY);
	struct draft_info info;
	draft_info(same, &info);
	ck_assert_uint_eq(info.job, 5);
	draft_put(old);
	draft_put(same);
	draft_put(other);
}
END_TEST

START_TEST(names_are_unique_and_replaced_by_rename)
{
	struct draft *a = make("a", "A"), *b = make("b", "B"), *none;
	ck_assert_int_eq(draft_create(box, NEW, "a", 0644, 0, 0, NULL, 0, now, &none), -EEXIST);
	ck_assert_int_eq(draft_rename(a, NEW, "b", true), -EEXIST);
	ck_assert_int_eq(draft_rename(a, NEW, "b", false), 0);
	struct draft *found = draft_find(box, NEW, "b");
	ck_assert_ptr_eq(found, a);
	draft_put(found);
	ck_assert_ptr_null(draft_find(box, NEW, "a"));
	ck_assert_int_eq(draft_rename(b, NEW, "c", false), -ENOENT);
	char text[2] = "";
	ck_assert_int_eq(draft_read(b, 0, text, 2), 1); /* it is held */
	ck_assert_str_eq(text, "B");
	ck_assert_int_eq(draft_unlink(a), 0);
	ck_assert_int_eq(draft_unlink(a), -ENOENT);
	ck_assert_ptr_null(draft_next(box, NEW, 0));
	draft_put(a);
	draft_put(b);
}
END_TEST

START_TEST(holes_are_zero_and_limits_hold)
{
	struct draft *draft = make("hole", "ab");
	char text[6];
	ck_assert_int_eq(draft_write(draft, 4, "ef", 2, now), 0);
	ck_assert_int_eq(draft_read(draft, 0, text, 6), 6);
	ck_assert_mem_eq(text, "ab\0\0ef", 6);
	ck_assert_int_eq(draft_read(draft, 6, text, 6), 0);
	ck_assert_int_eq(draft_write(draft, DRAFT_SIZE_MAX, "x", 1, now), -EFBIG);
	ck_assert_int_eq(draft_write(draft, UINT64_MAX, "x", 1, now), -EFBIG);
	ck_assert_int_eq(draft_truncate(draft, DRAFT_SIZE_MAX + 1, now), -EFBIG);
	struct draft *many[DRAFT_TOTAL_MAX / DRAFT_SIZE_MAX + 1];
	int made = 0, r = 0;
	for (; made < ROWS(many) && r == 0; made++) {
		char name[16];
		snprintf(name, sizeof(name), "%d", made);
		many[made] = make(name, "");
		r = draft_truncate(many[made], DRAFT_SIZE_MAX, now);
	}
	ck_assert_int_eq(r, -ENOSPC);
	while (made--)
		draft_put(many[made]);
	draft_put(draft);
}
END_TEST

static const struct {
	const char *name;
	bool temporary;
} names[] = {
	{ "dog.json", false },  { ".dog.json.swp", true }, { "dog.json~", true },
	{ "#dog.json#", true }, { "4913", false },         { "", false },
};

START_TEST(temporary_names)
{
	ck_assert_int_eq(draft_is_temporary(names[_i].name), names[_i].temporary);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("draft");
	TCase *tcase = tcase_create("draft");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, contents_are_judged, 0, ROWS(contents));
	tcase_add_test(tcase, a_content_is_asked_for_once);
	tcase_add_test(tcase, what_is_wrong_is_told_once_and_can_be_mended);
	tcase_add_test(tcase, what_replaces_the_same_content_asks_for_nothing);
	tcase_add_test(tcase, names_are_unique_and_replaced_by_rename);
	tcase_add_test(tcase, holes_are_zero_and_limits_hold);
	tcase_add_loop_test(tcase, temporary_names, 0, ROWS(names));
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
