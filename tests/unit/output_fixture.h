/*
 * output_fixture - a cache in a directory of its own over a scripted remote, and readers that
 * compare what they get with the object
 */
#ifndef OUTPUT_FIXTURE_H
#define OUTPUT_FIXTURE_H

#include "output.h"
#include "scripted_remote.h"

#include <check.h>
#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define MIB  (1024 * 1024ULL)
#define SIZE (24 * MIB + 12345)
/* What a single read fetches, at least. */
#define WINDOW (128 * 1024ULL)

static char dir[256];
static unsigned char first[SIZE];
static const unsigned char *object; /* what readers are to get */
static struct scripted_remote far;
static bool stopped; /* `far` was */
static struct output_cache *cache;
static struct output *out;
static struct output_source source;
static atomic_int failures, whole, expirations;
static enum output_failure failure;    /* the last one */
static _Atomic(bool (*)(void)) renews; /* what expired() gives; NULL: false */
static char digest[80];                /* of the last one that became whole */
static uint64_t unwanted_job = UINT64_MAX;
static unsigned unwanted_index = UINT_MAX;
static uint64_t bound; /* of the cache's size; 0: none */
static const char *books = "books";
static char why[512]; /* of the last failure; read when the reader has got its error */

/* Changes the script: SCRIPT(hold = MIB). */
#define SCRIPT(assignment)                                                                         \
	do {                                                                                       \
		scripted_lock(&far);                                                               \
		far.assignment;                                                                    \
		scripted_unlock(&far);                                                             \
	} while (0)

static inline void fill(unsigned char *bytes, uint32_t size, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + 1;

	for (uint32_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (unsigned char)x;
	}
	memcpy(bytes, "glTF\2\0\0\0", 8);
	for (int i = 0; i < 4; i++)
		bytes[8 + i] = (unsigned char)(size >> 8 * i);
}

static bool note_expired(void *ctx, uint64_t job, unsigned index)
{
	bool (*answer)(void) = renews;

	(void)ctx;
	ck_assert(job == source.job && index == source.index);
	bool comes = answer && answer();
	atomic_fetch_add(&expirations, 1);
	return comes;
}

static void note_failed(void *ctx, uint64_t job, unsigned index, enum output_failure kind,
			const char *text)
{
	(void)ctx;
	failure = kind;
	if (job == source.job && index == source.index)
		snprintf(why, sizeof(why), "%s", text);
	atomic_fetch_add(&failures, 1);
}

static void note_whole(void *ctx, uint64_t job, unsigned index, const char *sha256)
{
	(void)ctx;
	if (job != source.job || index != source.index)
		return;
	snprintf(digest, sizeof(digest), "%s", sha256);
	atomic_fetch_add(&whole, 1);
}

/* The cache's thread says so COUNT times, and not more often until now. */
static inline void expect_whole(int count)
{
	while (atomic_load(&whole) < count)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert_int_eq(atomic_load(&whole), count);
}

static bool is_wanted(void *ctx, uint64_t job, unsigned index)
{
	(void)ctx;
	return job != unwanted_job && index != unwanted_index;
}

static inline void go_on(void *ctx, uint64_t job, unsigned index)
{
	struct output_source again = source;

	(void)ctx;
	again.job = job;
	again.index = index;
	output_prefetch(cache, &again);
}

static inline void open_cache(void)
{
	static const struct output_events events = { .expired = note_expired,
						     .failed = note_failed,
						     .whole = note_whole,
						     .wanted = is_wanted,
						     .unfetched = go_on };
	struct output_conf conf = { .dir = dir, .books = books, .size = bound };

	scripted_start(&far);
	far.object = object;
	far.size = SIZE;
	stopped = false;
	cache = output_cache_new(&conf, &far.remote, &events);
	ck_assert_ptr_nonnull(cache);
}

static inline void close_cache(void)
{
	if (!stopped)
		scripted_stop(&far);
	output_stop(cache);
	output_put(out);
	out = NULL;
	output_cache_free(cache);
}

static inline void open_output(void)
{
	ck_assert_int_eq(output_open(cache, &source, &out), 0);
}

static inline void fixture_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/output-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	strcat(dir, "/cache");
	fill(first, SIZE, 1);
	object = first;
	source = (struct output_source){
		.job = 7,
		.url = "https://cdn.example/a.glb",
		.size = SIZE,
		.etag = "\"one\"",
		.glb = true,
	};
	open_cache();
}

static inline void fixture_teardown(void)
{
	char command[300];

	close_cache();
	*strrchr(dir, '/') = '\0';
	snprintf(command, sizeof(command), "rm -r %.250s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* A reader that waits. `waiter` is first, so that it leads back to its reader. */
struct reader {
	struct output_waiter waiter;
	sem_t woken;
	uint64_t at;
	size_t len;
};

static void wake_reader(struct output_waiter *waiter)
{
	sem_post(&((struct reader *)waiter)->woken);
}

/* false: there was nothing to wait for. */
static inline bool start_reader(struct reader *r, uint64_t at, size_t len)
{
	*r = (struct reader){ .waiter = { .wake = wake_reader }, .at = at, .len = len };
	sem_init(&r->woken, 0, 0);
	ssize_t n = output_read(out, at, len, &r->waiter);
	ck_assert(n == -EINPROGRESS || n == (ssize_t)len);
	return n == -EINPROGRESS;
}

static inline void wait_woken(struct reader *r)
{
	while (sem_wait(&r->woken) < 0)
		;
}

/* What output_read() said is there, from wherever it is; the waiter is over. */
static inline ssize_t take_bytes(struct output_waiter *waiter, uint64_t at, ssize_t n,
				 unsigned char *buf)
{
	const char *bytes = output_waiter_bytes(waiter);

	if (n > 0 && bytes)
		memcpy(buf, bytes, (size_t)n);
	else if (n > 0)
		n = pread(output_fd(out), buf, (size_t)n, (off_t)at);
	output_waiter_release(waiter);
	return n;
}

static inline void finish_reader(struct reader *r)
{
	static unsigned char buf[MIB];

	wait_woken(r);
	ssize_t n = output_read(out, r->at, r->len, &r->waiter);
	ck_assert_int_eq(n, (ssize_t)r->len);
	ck_assert_int_eq(take_bytes(&r->waiter, r->at, n, buf), (ssize_t)r->len);
	ck_assert(memcmp(buf, object + r->at, r->len) == 0);
}

static inline void finish_failed(struct reader *r, int error)
{
	wait_woken(r);
	ck_assert_int_eq(output_read(out, r->at, r->len, &r->waiter), error);
}

/* Reads and waits; usable from any thread. */
static inline ssize_t try_read(uint64_t at, size_t len, unsigned char *buf)
{
	struct reader r = { .waiter = { .wake = wake_reader } };

	sem_init(&r.woken, 0, 0);
	for (;;) {
		ssize_t n = output_read(out, at, len, &r.waiter);
		if (n != -EINPROGRESS)
			return take_bytes(&r.waiter, at, n, buf);
		wait_woken(&r);
	}
}

static inline void check_read(uint64_t at, size_t len)
{
	static unsigned char buf[MIB];
	uint64_t want = len < SIZE - at ? len : SIZE - at;

	ck_assert_int_eq(try_read(at, len, buf), (ssize_t)want);
	ck_assert_msg(memcmp(buf, object + at, want) == 0, "wrong bytes at %llu",
		      (unsigned long long)at);
}

static inline void fail_read(uint64_t at, size_t len, int error)
{
	unsigned char buf[4096];

	ck_assert_int_eq(try_read(at, len, buf), error);
}

#endif
