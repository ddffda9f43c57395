/*
 * barrier - named points at which requests can be made to wait
 *
 * Role:    every request counts itself at each point that it passes; a point that is held
 *          keeps it there until it is released.  Tests use this instead of sleeping.
 *          Counts go from the start of the program, or from when the point was last newly
 *          held, or from a reset.
 * Threads: any; one lock, a leaf.  All waits end at barrier_stop().
 */
#ifndef SANDBOX_BARRIER_H
#define SANDBOX_BARRIER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum point {
	PT_SUBMIT_RECEIVED, /* the whole POST body is here; nothing was looked at */
	PT_SUBMIT_ACCEPTED, /* charged; not answered */
	PT_STATUS_RECEIVED, /* a status GET, before the state is looked up */
	PT_HEAD_RECEIVED,   /* a HEAD on the CDN */
	PT_CDN_RECEIVED,    /* a GET on the CDN, before anything is answered */
	PT_CDN_BODY,        /* the answer's head and the first bytes of the body are sent */
	PT_CDN_DONE,        /* a GET on the CDN has ended */
	PT_WEBHOOK_SEND,    /* a callback is about to be sent */
	PT_WEBHOOK_DONE,    /* a callback was answered or given up */
	PT_STALL,           /* a fault "stall" or "stall_after" is stalling */
	PT_COUNT
};

/* -1 when there is no point of that name. */
int point_parse(const char *name);

/* Count an arrival; wait while the point is held. */
void barrier_reach(enum point p);

/* True when requests stop at this point now. */
bool barrier_is_held(enum point p);

/* Stall until PT_STALL is released or the peer of socket `fd` has gone. */
void barrier_stall(int fd);

/* Sleep until the monotonic time, or to barrier_stop(). */
void barrier_sleep_until(int64_t mono_ns);

/* Hold exactly the points of this mask (1 << point); newly held ones count from 0 again,
 * those no longer held let everyone go. */
void barrier_hold(unsigned mask);

/* count = 0: let all go and hold no longer; else let that many pass. */
void barrier_release(enum point p, unsigned count);

/* Wait until `count` have arrived; the number arrived, or -1 when the time is over. */
long barrier_wait(enum point p, long count, double timeout);

/* Nothing held, all counts 0. */
void barrier_reset(void);

/* End all waits, now and in future. */
void barrier_stop(void);
bool barrier_stopping(void);

#endif
