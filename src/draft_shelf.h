/*
 * draft_shelf - things in an order of their own, to be found by it; a part of draft
 *
 * Role:    what is looked for, listed and watched by the thousand must not be walked through.
 * Owns:    its array, and nothing that stands on it.  Locks: the caller's.
 */
#ifndef DRAFT_SHELF_H
#define DRAFT_SHELF_H

#include <stddef.h>

/* Zeroed but for ORDER it is empty. */
struct draft_shelf {
	/* As for qsort(3); no two things on one shelf are equal. */
	int (*order)(const void *a, const void *b);
	void **things;
	size_t count, capacity;
};

/* Makes room for COUNT things in all. 0 or -ENOMEM. */
int draft_shelf_reserve(struct draft_shelf *shelf, size_t count);
/* THING has its place by what it is now: take it away before that changes. There is room. */
void draft_shelf_put(struct draft_shelf *shelf, void *thing);
/* Nothing when it is not there. */
void draft_shelf_take(struct draft_shelf *shelf, const void *thing);
/* The first thing that does not come before KEY, which is like a thing; NULL: none. */
void *draft_shelf_from(const struct draft_shelf *shelf, const void *key);
void draft_shelf_release(struct draft_shelf *shelf);

#endif
