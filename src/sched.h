/*
 * sched - when to do what next
 *
 * Role:    delays with backoff and jitter, and a queue of timers. Pure: time and randomness are
 * arguments. Threads: the caller serialises. Units:   milliseconds everywhere, of a monotonic
 * clock.
 */
#ifndef SCHED_H
#define SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sched_policy {
	int64_t poll_min_ms;  /* first poll; the documentation says every 5-10 seconds */
	int64_t poll_max_ms;  /* polls of long jobs */
	int64_t retry_min_ms; /* first retry of what failed */
	int64_t retry_max_ms;
};

/* 5 s to 10 s, as documented; retries from 1 s to 5 min. */
struct sched_policy sched_policy_default(void);
/* POLICY where callbacks tell what polls would: they are its safety net, after 1 min, growing to 5
 * min, unless it is slower itself. */
struct sched_policy sched_policy_called_back(const struct sched_policy *policy);

/* Delay to the next poll of a job submitted AGE_MS ago: poll_min at first, growing with the age to
 * poll_max (reached after two minutes, the usual time of a generation), jittered by up to 10 %
 * either way with RANDOM. FAILURES polls in a row that failed back off further, up to retry_max.
 * RETRY_AFTER_MS (-1: none) is a lower bound. */
int64_t sched_poll_delay(const struct sched_policy *policy, int64_t age_ms, unsigned failures,
			 int64_t retry_after_ms, uint64_t random);

/* Delay before try number FAILURES + 1 (FAILURES >= 1) of a request that failed: doubling from
 * retry_min to retry_max, the upper half jittered. RETRY_AFTER_MS (-1: none) is a lower bound,
 * jittered upwards only. */
int64_t sched_retry_delay(const struct sched_policy *policy, unsigned failures,
			  int64_t retry_after_ms, uint64_t random);

/* A timer lives in its owner's struct; zeroed is unset. */
struct sched_timer {
	int64_t due_ms;
	size_t slot; /* 1 + index in the heap; 0: not set */
};

struct sched {
	struct sched_timer **heap;
	size_t count;
	size_t capacity;
};

void sched_init(struct sched *sched);
void sched_release(struct sched *sched);

/* Sets or moves TIMER, which must stay where it is until it is popped or cleared. 0 or -ENOMEM. */
int sched_set(struct sched *sched, struct sched_timer *timer, int64_t due_ms);
void sched_clear(struct sched *sched, struct sched_timer *timer);

/* Takes the earliest timer that is due at NOW_MS out of the queue; NULL when none is. */
struct sched_timer *sched_pop(struct sched *sched, int64_t now_ms);

/* When the earliest timer is due; INT64_MAX without any. */
int64_t sched_next(const struct sched *sched);

#endif
