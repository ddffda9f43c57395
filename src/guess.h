/*
 * guess - what a mistyped word was meant to be
 *
 * Role:    pure; the nearest of the known words.
 * Threads: none of its own, nothing shared.
 */
#ifndef GUESS_H
#define GUESS_H

#include <stddef.h>

struct guess {
	const char *typed;
	const char *best; /* borrowed from guess_consider(); NULL: nothing is near */
	size_t edits;     /* letters to change, add or take away; only fewer make a better one */
};

/* Nothing known yet. Words that differ in more than one letter and a quarter of them are not near.
 */
struct guess guess_start(const char *typed);
/* KNOWN is the guess now when it is nearer than what was considered before. */
void guess_consider(struct guess *guess, const char *known);

#endif
