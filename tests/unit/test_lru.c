/* lru against a model that is as simple as can be: every file in a plain array. */
#include "lru.h"
#include "run.h"

#include <check.h>
#include <stdlib.h>

#define JOBS    12
#define INDEXES 3

static struct lru lru;

static struct model {
	bool known;
	unsigned held;
	uint64_t bytes;
	int64_t used;
} model[JOBS][INDEXES];

static void setup(void)
{
	lru_init(&lru);
}

static void teardown(void)
{
	lru_release(&lru);
}

static void make(uint64_t job, unsigned index, uint64_t bytes, int64_t used)
{
	ck_assert_int_eq(lru_add(&lru, job, index), 0);
	lru_set_bytes(&lru, job, index, bytes);
	lru_use(&lru, job, index, used);
}

START_TEST(the_job_that_was_used_the_longest_ago_goes)
{
	uint64_t job = 0;

	ck_assert(!lru_victim(&lru, &job));
	make(1, 0, 10, 30);
	make(2, 0, 10, 10);
	make(3, 0, 10, 20);
	ck_assert(lru_victim(&lru, &job));
	ck_assert_uint_eq(job, 2);
	/* One output of a job that is used keeps the others. */
	make(2, 7, 10, 40);
	ck_assert(lru_victim(&lru, &job));
	ck_assert_uint_eq(job, 3);
	lru_hold(&lru, 3, 0);
	ck_assert(lru_victim(&lru, &job));
	ck_assert_uint_eq(job, 1);
	lru_hold(&lru, 1, 0);
	lru_hold(&lru, 2, 7);
	ck_assert(!lru_victim(&lru, &job));
	lru_unhold(&lru, 3, 0);
	ck_assert(lru_victim(&lru, &job));
	ck_assert_uint_eq(job, 3);
}
END_TEST

START_TEST(what_takes_nothing_frees_nothing)
{
	uint64_t job;

	make(1, 0, 0, 1);
	ck_assert(!lru_victim(&lru, &job));
	lru_grow(&lru, 1, 0, 5);
	ck_assert(lru_victim(&lru, &job));
	ck_assert_uint_eq(lru.total, 5);
}
END_TEST

static void do_something(uint64_t job, unsigned index)
{
	struct model *m = &model[job][index];
	uint64_t bytes = (uint64_t)rand() % 100;
	int64_t used = rand() % 1000;

	switch (rand() % 7) {
	case 0:
		ck_assert_int_eq(lru_add(&lru, job, index), 0);
		if (!m->known)
			*m = (struct model){ .known = true, .used = INT64_MIN };
		break;
	case 1:
		lru_remove(&lru, job, index);
		*m = (struct model){ 0 };
		break;
	case 2:
		lru_set_bytes(&lru, job, index, bytes);
		m->bytes = m->known ? bytes : 0;
		break;
	case 3:
		lru_grow(&lru, job, index, bytes);
		m->bytes += m->known ? bytes : 0;
		break;
	case 4:
		lru_use(&lru, job, index, used);
		if (m->known && used > m->used)
			m->used = used;
		break;
	case 5:
		lru_hold(&lru, job, index);
		m->held += m->known;
		break;
	default:
		lru_unhold(&lru, job, index);
		m->held -= m->held > 0;
		break;
	}
}

/* *BYTES and *USED of JOB; is it free to go? */
static bool sum_up(uint64_t job, uint64_t *bytes, int64_t *used)
{
	bool held = false;

	*bytes = 0;
	*used = INT64_MIN;
	for (unsigned i = 0; i < INDEXES; i++) {
		const struct model *m = &model[job][i];
		held |= m->held > 0;
		*bytes += m->bytes;
		if (m->known && m->used > *used)
			*used = m->used;
	}
	return !held && *bytes;
}

static void compare(void)
{
	uint64_t total = 0, bytes, victim;
	int64_t used, oldest = INT64_MAX;
	bool any = false;

	for (uint64_t job = 0; job < JOBS; job++) {
		bool free = sum_up(job, &bytes, &used);
		total += bytes;
		any |= free;
		if (free && used < oldest)
			oldest = used;
		for (unsigned i = 0; i < INDEXES; i++)
			ck_assert(!lru_find(&lru, job, i) == !model[job][i].known);
	}
	ck_assert_uint_eq(lru.total, total);
	ck_assert(lru_victim(&lru, &victim) == any);
	if (any) {
		ck_assert(sum_up(victim, &bytes, &used));
		ck_assert_int_eq(used, oldest);
		ck_assert_uint_eq(lru_any(&lru, victim)->job, victim);
	}
}

START_TEST(random_histories_agree_with_the_model)
{
	srand(7);
	for (int i = 0; i < 10000; i++) {
		do_something((uint64_t)rand() % JOBS, (unsigned)rand() % INDEXES);
		compare();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lru");
	TCase *tcase = tcase_create("lru");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_job_that_was_used_the_longest_ago_goes);
	tcase_add_test(tcase, what_takes_nothing_frees_nothing);
	tcase_add_test(tcase, random_histories_agree_with_the_model);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
