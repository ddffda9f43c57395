/*
 * range - a set of byte ranges
 *
 * Role:    which bytes of a sparse file are there. Pure: no I/O, no locks.
 * Threads: the caller serialises.
 * Owns:    its array.
 *
 * Ranges are half-open [start, end), sorted, disjoint and never adjacent (adjacent ones merge).
 */
#ifndef RANGE_H
#define RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start;
	uint64_t end;
};

struct range_set {
	struct range *v;
	size_t count;
	size_t capacity;
};

void range_set_init(struct range_set *set);
void range_set_release(struct range_set *set);
void range_set_clear(struct range_set *set);

/* Adds [start, end); an empty range is nothing. 0 or -ENOMEM (the set is then unchanged). */
int range_set_add(struct range_set *set, uint64_t start, uint64_t end);

/* How many bytes are there without a gap from OFFSET on; 0 when OFFSET itself is missing. */
uint64_t range_set_run(const struct range_set *set, uint64_t offset);

/* Where the gap that holds OFFSET ends: the next byte that is there, or LIMIT. OFFSET itself when
 * it is there. */
uint64_t range_set_gap_end(const struct range_set *set, uint64_t offset, uint64_t limit);

/* Is every byte of [start, end) there? An empty range is. */
bool range_set_covers(const struct range_set *set, uint64_t start, uint64_t end);

/* Sum of all ranges, in bytes. */
uint64_t range_set_total(const struct range_set *set);

#endif
