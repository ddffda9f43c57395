/* One inode is never open both ways, nor with two backing files. */
#include "iomode.h"
#include "run.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static struct iomode iomode;

static void setup(void)
{
	iomode_init(&iomode);
}

static void teardown(void)
{
	iomode_release(&iomode);
}

START_TEST(first_open_decides)
{
	ck_assert_int_eq(iomode_open(&iomode, 1, 0), 0);
	ck_assert_int_eq(iomode_open(&iomode, 1, 7), 0);
	ck_assert_int_eq(iomode_open(&iomode, 2, 8), 8);
	ck_assert_int_eq(iomode_open(&iomode, 2, 0), 8);
	ck_assert_int_eq(iomode_open(&iomode, 2, 9), 8);
}
END_TEST

START_TEST(last_close_gives_back)
{
	iomode_open(&iomode, 1, 7);
	iomode_open(&iomode, 1, 8);
	ck_assert_int_eq(iomode_close(&iomode, 1), 0);
	ck_assert_int_eq(iomode_close(&iomode, 1), 7);
	/* ... and the next one decides anew. */
	ck_assert_int_eq(iomode_open(&iomode, 1, 0), 0);
	ck_assert_int_eq(iomode_close(&iomode, 1), 0);
	ck_assert_int_eq(iomode_open(&iomode, 1, 9), 9);
	ck_assert_int_eq(iomode_close(&iomode, 1), 9);
}
END_TEST

/* The inode's version, number and kind all count. */
START_TEST(inodes_are_apart)
{
	const uint64_t inos[] = { 1, 1ULL << 8, 1ULL << 48, (1ULL << 48) + 1, UINT64_MAX };
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(iomode_open(&iomode, inos[i], i + 1), i + 1);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(iomode_close(&iomode, inos[i]), i + 1);
}
END_TEST

START_TEST(open_at_the_end)
{
	for (int i = 0; i < 1000; i++)
		iomode_open(&iomode, (uint64_t)i, i);
}
END_TEST

/* What the kernel holds of an inode: the number of opens of either kind, at most one kind and one
 * id at a time. */
#define INODES 4
static _Atomic int cached[INODES], backed[INODES];
static _Atomic int32_t backing[INODES];
static _Atomic int32_t ids = 1;
static _Atomic int live; /* ids that were made and not given back */

static void kernel_open(unsigned i, int32_t id)
{
	if (id == 0) {
		ck_assert_int_eq(backed[i], 0);
		cached[i]++;
		return;
	}
	ck_assert_int_eq(cached[i], 0);
	int32_t none = 0;
	if (!atomic_compare_exchange_strong(&backing[i], &none, id))
		ck_assert_int_eq(none, id);
	backed[i]++;
}

/* As the kernel does: it lets go first, then the driver hears of it. */
static void kernel_close(unsigned i, int32_t id)
{
	if (id == 0)
		cached[i]--;
	else if (--backed[i] == 0)
		backing[i] = 0;
}

static pthread_mutex_t kernel = PTHREAD_MUTEX_INITIALIZER;

static void *open_and_close(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	for (int n = 0; n < 20000; n++) {
		unsigned i = (unsigned)rand_r(&seed) % INODES;
		int32_t offer = rand_r(&seed) % 3 ? ids++ : 0;
		live += offer != 0;
		int32_t id = iomode_open(&iomode, i, offer);
		live -= offer && id != offer;
		pthread_mutex_lock(&kernel);
		kernel_open(i, id);
		pthread_mutex_unlock(&kernel);
		pthread_mutex_lock(&kernel);
		kernel_close(i, id);
		pthread_mutex_unlock(&kernel);
		live -= iomode_close(&iomode, i) != 0;
	}
	return NULL;
}

START_TEST(threads)
{
	pthread_t thread[4];
	unsigned seed[4];
	for (unsigned i = 0; i < 4; i++) {
		seed[i] = i + 1;
		pthread_create(&thread[i], NULL, open_and_close, &seed[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(live, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("iomode");
	TCase *tcase = tcase_create("iomode");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, first_open_decides);
	tcase_add_test(tcase, last_close_gives_back);
	tcase_add_test(tcase, inodes_are_apart);
	tcase_add_test(tcase, open_at_the_end);
	tcase_add_test(tcase, threads);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
