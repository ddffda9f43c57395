/*
 * clock - the sandbox's notion of time
 *
 * Role:    wall clock in milliseconds (request states must survive a restart) and the two
 *          time formats that the service's documentation shows.
 * Threads: any; no state.
 */
#ifndef SANDBOX_CLOCK_H
#define SANDBOX_CLOCK_H

#include <stdint.h>

enum { CLOCK_TEXT = 40 };

/* Milliseconds since the epoch. */
int64_t clock_ms(void);

/* Nanoseconds of the monotonic clock, for pacing. */
int64_t clock_mono_ns(void);

/* "2026-03-31T10:00:00.000Z" */
void clock_iso(int64_t ms, char out[CLOCK_TEXT]);

/* "2026-05-22 13:19:23" */
void clock_sql(int64_t ms, char out[CLOCK_TEXT]);

/* "Fri, 22 May 2026 13:19:23 GMT" */
void clock_http(int64_t ms, char out[CLOCK_TEXT]);

#endif
