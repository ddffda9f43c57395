#include "draft_shelf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int draft_shelf_reserve(struct draft_shelf *shelf, size_t count)
{
	size_t capacity = shelf->capacity ? shelf->capacity : 16;
	void **things;

	if (count <= shelf->capacity)
		return 0;
	while (capacity < count)
		capacity *= 2;
	things = reallocarray(shelf->things, capacity, sizeof(*things));
	if (!things)
		return -ENOMEM;
	shelf->things = things;
	shelf->capacity = capacity;
	return 0;
}

/* How many come before KEY. */
static size_t place_of(const struct draft_shelf *shelf, const void *key)
{
	size_t low = 0, high = shelf->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (shelf->order(shelf->things[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void draft_shelf_put(struct draft_shelf *shelf, void *thing)
{
	size_t i = place_of(shelf, thing);
	void **at = shelf->things + i;

	memmove(at + 1, at, (shelf->count++ - i) * sizeof(*at));
	*at = thing;
}

void draft_shelf_take(struct draft_shelf *shelf, const void *thing)
{
	size_t i = place_of(shelf, thing);
	void **at = shelf->things + i;

	if (i < shelf->count && *at == thing)
		memmove(at, at + 1, (--shelf->count - i) * sizeof(*at));
}

void *draft_shelf_from(const struct draft_shelf *shelf, const void *key)
{
	size_t i = place_of(shelf, key);

	return i < shelf->count ? shelf->things[i] : NULL;
}

void draft_shelf_release(struct draft_shelf *shelf)
{
	free(shelf->things);
	shelf->things = NULL;
	shelf->count = shelf->capacity = 0;
}
