/*
 * history - random histories that can be told, repeated and shortened
 *
 * A history is up to HISTORY_STEPS random steps. Each step draws from a generator of its own, made
 * of the history's seed and the step's place, so that leaving steps out changes no other step: a
 * history that fails is shortened by truncation, then by leaving out every step that it fails
 * without, and told in words.
 *
 * Environment: HISTORIES how many (each test has a default that takes a few seconds), SEED the
 * first one's seed, the others follow it. A seed says everything: SEED=17 HISTORIES=1 repeats one.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_STEPS 40

struct history {
	uint64_t seed;
	unsigned length;
	uint64_t left_out; /* a bit for each step */
	bool tell;
	/* of the play under way */
	uint64_t random;
	unsigned step;
	char why[1024]; /* what was broken, at STEP; empty: nothing */
};

typedef void history_play(struct history *history);

static inline uint64_t history_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline uint64_t draw64(struct history *history)
{
	return history->random = history_mix(history->random);
}

/* 0 .. BELOW - 1 */
static inline unsigned draw(struct history *history, unsigned below)
{
	return (unsigned)((draw64(history) >> 11) % below);
}

static inline bool chance(struct history *history, unsigned percent)
{
	return draw(history, 100) < percent;
}

/* Goes on to the next step that is not left out. For setting up, call it with STEP 0 first. */
static inline bool history_next(struct history *history, unsigned *at)
{
	while (*at < history->length && (history->left_out >> *at & 1))
		++*at;
	if (*at >= history->length || history->why[0])
		return false;
	history->step = *at;
	history->random = history_mix(history->seed ^ history_mix(++*at));
	return true;
}

__attribute__((format(printf, 2, 3))) static inline void tell(struct history *history,
							      const char *fmt, ...)
{
	va_list args;

	if (!history->tell)
		return;
	printf("  %2u: ", history->step);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

/* The first thing that was broken counts. */
__attribute__((format(printf, 2, 3))) static inline void broken(struct history *history,
								const char *fmt, ...)
{
	va_list args;

	if (history->why[0])
		return;
	va_start(args, fmt);
	vsnprintf(history->why, sizeof(history->why), fmt, args);
	va_end(args);
}

static inline bool history_fails(struct history *history, history_play *play)
{
	history->why[0] = '\0';
	history->step = 0;
	play(history);
	return history->why[0] != '\0';
}

static inline void history_shorten(struct history *history, history_play *play)
{
	if (history->step + 1 < history->length)
		history->length = history->step + 1;
	for (unsigned i = history->length; i-- > 0;) {
		history->left_out |= UINT64_C(1) << i;
		if (!history_fails(history, play))
			history->left_out &= ~(UINT64_C(1) << i);
	}
}

static inline unsigned long history_number(const char *name, unsigned long unset)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 10) : unset;
}

/* Plays them all; false after the first that fails, which was told. */
static inline bool history_run(const char *what, unsigned long count, history_play *play)
{
	uint64_t seed = history_number("SEED", 1);

	count = history_number("HISTORIES", count);
	for (unsigned long i = 0; i < count; i++) {
		struct history history = { .seed = seed + i };

		history.length = 5 + (unsigned)(history_mix(history.seed) % (HISTORY_STEPS - 4));
		if (!history_fails(&history, play))
			continue;
		history_shorten(&history, play);
		printf("%s: history SEED=%" PRIu64 " fails:\n", what, history.seed);
		history.tell = true;
		history_fails(&history, play);
		printf("  broken at step %u: %s\n", history.step, history.why);
		fflush(stdout); /* the test's process ends without it */
		return false;
	}
	printf("%s: %lu histories from SEED=%" PRIu64 " hold\n", what, count, seed);
	fflush(stdout);
	return count > 0;
}

#endif
