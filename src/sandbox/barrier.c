/*
 * Per point: `arrived` counts up; `held` makes arrivals wait; `epoch` changes when all that
 * wait are let go; `permits` lets single ones pass.
 */
#include "barrier.h"

#include "clock.h"
#include "raw.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

static struct point_state {
	bool held;
	long arrived;
	unsigned epoch, permits;
} points[PT_COUNT];

static const char *const names[PT_COUNT] = {
	"submit.received", "submit.accepted", "status.received", "head.received", "cdn.received",
	"cdn.body",        "cdn.done",        "webhook.send",    "webhook.done",  "stall",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool stopping;

static void init(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	pthread_condattr_destroy(&attr);
}

static void enter(void)
{
	pthread_once(&once, init);
	pthread_mutex_lock(&lock);
}

static void leave(void)
{
	pthread_mutex_unlock(&lock);
}

/* False when the time is over. */
static bool wait_until_locked(int64_t mono_ns)
{
	struct timespec ts = { .tv_sec = mono_ns / 1000000000, .tv_nsec = mono_ns % 1000000000 };

	return pthread_cond_timedwait(&changed, &lock, &ts) == 0;
}

int point_parse(const char *name)
{
	for (int p = 0; name && p < PT_COUNT; p++)
		if (!strcmp(names[p], name))
			return p;
	return -1;
}

void barrier_reach(enum point p)
{
	struct point_state *s = &points[p];

	enter();
	unsigned epoch = s->epoch;
	s->arrived++;
	pthread_cond_broadcast(&changed);
	while (!stopping && s->held && s->epoch == epoch && !s->permits)
		pthread_cond_wait(&changed, &lock);
	if (s->held && s->epoch == epoch && s->permits)
		s->permits--;
	leave();
}

bool barrier_is_held(enum point p)
{
	enter();
	bool held = points[p].held;
	leave();
	return held;
}

void barrier_stall(int fd)
{
	struct point_state *s = &points[PT_STALL];

	enter();
	unsigned epoch = s->epoch;
	s->arrived++;
	pthread_cond_broadcast(&changed);
	while (!stopping && s->epoch == epoch && !s->permits && !raw_peer_gone(fd))
		wait_until_locked(clock_mono_ns() + 50000000);
	if (s->epoch == epoch && s->permits)
		s->permits--;
	leave();
}

void barrier_sleep_until(int64_t mono_ns)
{
	enter();
	while (!stopping && clock_mono_ns() < mono_ns)
		wait_until_locked(mono_ns);
	leave();
}

static void let_go_locked(struct point_state *s)
{
	s->held = false;
	s->epoch++;
	s->permits = 0;
}

void barrier_hold(unsigned mask)
{
	enter();
	for (int p = 0; p < PT_COUNT; p++) {
		struct point_state *s = &points[p];
		bool wanted = mask & (1u << p);

		if (wanted && !s->held)
			s->arrived = 0;
		if (!wanted && s->held)
			let_go_locked(s);
		s->held = wanted;
	}
	pthread_cond_broadcast(&changed);
	leave();
}

void barrier_release(enum point p, unsigned count)
{
	enter();
	if (count)
		points[p].permits += count;
	else
		let_go_locked(&points[p]);
	pthread_cond_broadcast(&changed);
	leave();
}

long barrier_wait(enum point p, long count, double timeout)
{
	int64_t end = clock_mono_ns() + (int64_t)(timeout * 1e9);

	enter();
	while (!stopping && points[p].arrived < count && clock_mono_ns() < end)
		wait_until_locked(end);
	long n = points[p].arrived >= count ? points[p].arrived : -1;
	leave();
	return n;
}

void barrier_reset(void)
{
	enter();
	for (int p = 0; p < PT_COUNT; p++) {
		let_go_locked(&points[p]);
		points[p].arrived = 0;
	}
	pthread_cond_broadcast(&changed);
	leave();
}

void barrier_stop(void)
{
	enter();
	stopping = true;
	pthread_cond_broadcast(&changed);
	leave();
}

bool barrier_stopping(void)
{
	enter();
	bool s = stopping;
	leave();
	return s;
}
