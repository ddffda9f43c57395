#include "range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void range_set_init(struct range_set *set)
{
	*set = (struct range_set){ 0 };
}

void range_set_release(struct range_set *set)
{
	free(set->v);
	range_set_init(set);
}

void range_set_clear(struct range_set *set)
{
	set->count = 0;
}

/* Index of the first range that ends beyond X. */
static size_t first_beyond(const struct range_set *set, uint64_t x)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->v[middle].end > x)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static int reserve(struct range_set *set)
{
	if (set->count < set->capacity)
		return 0;
	size_t capacity = set->capacity ? 2 * set->capacity : 8;
	struct range *v = reallocarray(set->v, capacity, sizeof *v);
	if (!v)
		return -ENOMEM;
	set->v = v;
	set->capacity = capacity;
	return 0;
}

/* Puts R in the place of the ranges [FROM, TO). */
static int replace(struct range_set *set, size_t from, size_t to, struct range r)
{
	if (from == to && reserve(set))
		return -ENOMEM;
	memmove(set->v + from + 1, set->v + to, (set->count - to) * sizeof r);
	set->v[from] = r;
	set->count = set->count + 1 - (to - from);
	return 0;
}

int range_set_add(struct range_set *set, uint64_t start, uint64_t end)
{
	if (start >= end)
		return 0;
	/* start - 1: a range that ends at START is adjacent and merges */
	size_t from = start ? first_beyond(set, start - 1) : 0;
	size_t to = from;
	while (to < set->count && set->v[to].start <= end)
		to++;
	if (from < to) {
		if (set->v[from].start < start)
			start = set->v[from].start;
		if (set->v[to - 1].end > end)
			end = set->v[to - 1].end;
	}
	return replace(set, from, to, (struct range){ start, end });
}

uint64_t range_set_run(const struct range_set *set, uint64_t offset)
{
	size_t i = first_beyond(set, offset);
	return i < set->count && set->v[i].start <= offset ? set->v[i].end - offset : 0;
}

uint64_t range_set_gap_end(const struct range_set *set, uint64_t offset, uint64_t limit)
{
	size_t i = first_beyond(set, offset);
	if (i == set->count)
		return limit;
	if (set->v[i].start <= offset)
		return offset;
	return set->v[i].start < limit ? set->v[i].start : limit;
}

bool range_set_covers(const struct range_set *set, uint64_t start, uint64_t end)
{
	return start >= end || range_set_run(set, start) >= end - start;
}

uint64_t range_set_total(const struct range_set *set)
{
	uint64_t total = 0;
	for (size_t i = 0; i < set->count; i++)
		total += set->v[i].end - set->v[i].start;
	return total;
}
