#include "range.h"
#include "run.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES       300
#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static char *text_of(const struct range_set *set)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	ck_assert_ptr_nonnull(out);
	for (size_t i = 0; i < set->count; i++)
		fprintf(out, "%" PRIu64 "-%" PRIu64 "\n", set->v[i].start, set->v[i].end);
	fclose(out);
	return text;
}

static const struct {
	struct range add[4];
	const char *text;
} adds[] = {
	{ { { 0, 0 } }, "" },
	{ { { 9, 5 } }, "" },
	{ { { 5, 9 } }, "5-9\n" },
	{ { { 5, 9 }, { 5, 9 } }, "5-9\n" },
	{ { { 5, 9 }, { 6, 8 } }, "5-9\n" },
	{ { { 5, 9 }, { 9, 12 } }, "5-12\n" },
	{ { { 5, 9 }, { 0, 5 } }, "0-9\n" },
	{ { { 5, 9 }, { 10, 12 } }, "5-9\n10-12\n" },
	{ { { 10, 12 }, { 5, 9 }, { 9, 10 } }, "5-12\n" },
	{ { { 1, 2 }, { 4, 5 }, { 7, 8 }, { 0, 9 } }, "0-9\n" },
	{ { { 1, 2 }, { 4, 5 }, { 7, 8 }, { 3, 6 } }, "1-2\n3-6\n7-8\n" },
	{ { { 0, UINT64_MAX } }, "0-18446744073709551615\n" },
};

START_TEST(add_merges)
{
	struct range_set set;
	range_set_init(&set);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(range_set_add(&set, adds[_i].add[i].start, adds[_i].add[i].end),
				 0);
	char *text = text_of(&set);
	ck_assert_str_eq(text, adds[_i].text);
	free(text);
	range_set_release(&set);
}
END_TEST

/* The obvious model: a flag for each byte. */

static uint64_t map_end(const bool *map, uint64_t offset, bool value)
{
	while (offset < BYTES && map[offset] == value)
		offset++;
	return offset;
}

/* Check notes every assertion it makes, which is slow: of the many here it hears of failures only.
 */
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s", #condition);                                            \
	} while (0)

static void compare(const struct range_set *set, const bool *map)
{
	uint64_t total = 0;
	for (uint64_t i = 0; i < BYTES; i++) {
		total += map[i];
		EXPECT(range_set_run(set, i) == map_end(map, i, true) - i);
		EXPECT(range_set_gap_end(set, i, BYTES) == map_end(map, i, false));
		for (uint64_t end = i; end <= BYTES; end += 7)
			EXPECT(range_set_covers(set, i, end) == (map_end(map, i, true) >= end));
	}
	EXPECT(range_set_total(set) == total);
	for (size_t i = 1; i < set->count; i++)
		EXPECT(set->v[i - 1].end < set->v[i].start);
}

START_TEST(random_adds_match_a_byte_map)
{
	struct range_set set;
	bool map[BYTES] = { false };
	range_set_init(&set);
	srand((unsigned)_i);
	for (int round = 0; round < 60; round++) {
		size_t start = (size_t)rand() % BYTES;
		size_t len = (size_t)rand() % (1 + (size_t)rand() % 20);
		size_t end = start + len < BYTES ? start + len : BYTES;
		ck_assert_int_eq(range_set_add(&set, start, end), 0);
		memset(map + start, true, end - start);
		compare(&set, map);
	}
	range_set_clear(&set);
	compare(&set, (bool[BYTES]){ false });
	range_set_release(&set);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("range");
	TCase *tcase = tcase_create("range");
	tcase_add_loop_test(tcase, add_merges, 0, ROWS(adds));
	tcase_add_loop_test(tcase, random_adds_match_a_byte_map, 1, 21);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
