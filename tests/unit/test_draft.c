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
	box = draft_box_new(NULL);
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

/* Which content the draft holds now. */
static unsigned claim_of(struct draft *draft)
{
	struct draft_content content;
	draft_judge(draft, DRAFT_SCRATCH, true, &content);
	return content.claim;
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
	draft_set_job(old, claim_of(old), 5);
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

static uint64_t job_of(struct draft *draft)
{
	struct draft_info info;
	draft_info(draft, &info);
	return info.job;
}

/* Two write the same file one after the other, and the first is answered last. */
START_TEST(what_is_learned_of_a_content_is_not_taken_for_the_next_ones)
{
	struct draft *draft = make("dog.json", DOG);
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_READY);
	unsigned first = claim_of(draft);
	draft_set_job(draft, first, 5);
	ck_assert_int_eq(draft_truncate(draft, 0, now), 0);
	append(draft, DOG);
	draft_refuse(draft, first, "too late, and it holds nothing that was asked for", EDQUOT);
	ck_assert_ptr_null(draft_error(draft, NULL));
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_READY);
	unsigned second = claim_of(draft);
	draft_set_job(draft, second, 6);
	draft_set_job(draft, first, 5);
	draft_refuse(draft, first, "too late", EDQUOT);
	ck_assert_uint_eq(job_of(draft), 6);
	ck_assert_ptr_null(draft_error(draft, NULL));
	draft_refuse(draft, second, "in time", EDQUOT);
	int error;
	free(draft_error(draft, &error));
	ck_assert_int_eq(error, EDQUOT);
	draft_put(draft);
}
END_TEST

START_TEST(what_was_refused_can_be_asked_for_again)
{
	struct draft *draft = make("dog.json", DOG);
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_READY);
	draft_refuse(draft, claim_of(draft), "the wallet is empty", EDQUOT);
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_NOTHING);
	draft_ask_again(draft);
	ck_assert_ptr_null(draft_error(draft, NULL));
	ck_assert_int_eq(judge(draft, DRAFT_REQUEST, true), DRAFT_READY);
	draft_put(draft);
}
END_TEST

/* Many drafts in two directories, moved, removed and held: each is found by what it is now, and
 * only there. */
START_TEST(drafts_are_found_by_number_name_place_and_job)
{
	enum { COUNT = 500, OTHER = 9 };
	struct draft *drafts[COUNT];
	char name[32];
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "%d.json", i);
		drafts[i] = make(name, DOG);
		ck_assert_int_eq(judge(drafts[i], DRAFT_REQUEST, true), DRAFT_READY);
		draft_set_job(drafts[i], claim_of(drafts[i]), (uint64_t)(1 + i % 50));
	}
	for (int i = 0; i < COUNT; i += 2)
		ck_assert_int_eq(draft_rename(drafts[i], OTHER, i % 4 ? "same" : "other", false),
				 0);
	for (int i = 1; i < COUNT; i += 4)
		ck_assert_int_eq(draft_unlink(drafts[i]), 0);
	for (int i = 0; i < COUNT; i++) {
		struct draft_info info;
		draft_info(drafts[i], &info);
		bool linked = i % 2 ? i % 4 == 3 : i >= COUNT - 4;
		ck_assert_int_eq(info.linked, linked);
		struct draft *named = draft_find(box, info.parent, info.name),
			     *numbered = draft_by_number(box, info.number),
			     *next = draft_next(box, info.parent, info.number - 1),
			     *of_job = draft_of_job(box, info.job, info.number - 1);
		ck_assert_ptr_eq(numbered, drafts[i]); /* it is held */
		ck_assert_int_eq(named == drafts[i], linked);
		ck_assert_int_eq(next == drafts[i], linked);
		ck_assert_int_eq(of_job == drafts[i], linked);
		draft_put(named);
		draft_put(numbered);
		draft_put(next);
		draft_put(of_job);
	}
	draft_unlink_all(box, NEW);
	ck_assert_ptr_null(draft_next(box, NEW, 0));
	struct draft *other = draft_next(box, OTHER, 0);
	ck_assert_ptr_nonnull(other);
	draft_put(other);
	for (int i = 0; i < COUNT; i++)
		draft_put(drafts[i]);
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
	tcase_add_test(tcase, what_is_learned_of_a_content_is_not_taken_for_the_next_ones);
	tcase_add_test(tcase, what_was_refused_can_be_asked_for_again);
	tcase_add_test(tcase, drafts_are_found_by_number_name_place_and_job);
	tcase_add_test(tcase, names_are_unique_and_replaced_by_rename);
	tcase_add_test(tcase, holes_are_zero_and_limits_hold);
	tcase_add_loop_test(tcase, temporary_names, 0, ROWS(names));
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
