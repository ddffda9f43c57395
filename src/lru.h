/*
 * lru - what a cache's files take, and what is the first to go
 *
 * Role:    for every file, named by a job's number and an index, its bytes, when it was last used,
 *          and how many hold it. What goes is a whole job. Pure: no I/O, no clock, no locks.
 * Threads: the caller serialises.
 * Owns:    its array.
 */
#ifndef LRU_H
#define LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lru_file {
	uint64_t job;
	unsigned index;
	unsigned held;
	uint64_t bytes;
	int64_t used; /* any clock: only the order matters */
};

struct lru {
	struct lru_file *v; /* in order of job, then index */
	size_t count;
	size_t capacity;
	uint64_t total; /* bytes */
};

void lru_init(struct lru *lru);
void lru_release(struct lru *lru);

/* NULL: unknown. Valid until the next lru_add or lru_remove. */
const struct lru_file *lru_find(const struct lru *lru, uint64_t job, unsigned index);
/* Any file of JOB. As above. */
const struct lru_file *lru_any(const struct lru *lru, uint64_t job);

/* Makes the file known, with no bytes, not held and never used; one that is known stays as it is.
 * 0 or -ENOMEM. */
int lru_add(struct lru *lru, uint64_t job, unsigned index);

/* Of an unknown file these are nothing. */
void lru_remove(struct lru *lru, uint64_t job, unsigned index);
void lru_set_bytes(struct lru *lru, uint64_t job, unsigned index, uint64_t bytes);
void lru_grow(struct lru *lru, uint64_t job, unsigned index, uint64_t bytes);
/* A use before the last one changes nothing. */
void lru_use(struct lru *lru, uint64_t job, unsigned index, int64_t used);
void lru_hold(struct lru *lru, uint64_t job, unsigned index);
void lru_unhold(struct lru *lru, uint64_t job, unsigned index);

/* Of the jobs that have bytes and none of whose files is held, the one whose last use is the
 * longest ago; *JOB. false: there is none. */
bool lru_victim(const struct lru *lru, uint64_t *job);

#endif
