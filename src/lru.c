#include "lru.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void lru_init(struct lru *lru)
{
	*lru = (struct lru){ 0 };
}

void lru_release(struct lru *lru)
{
	free(lru->v);
	lru_init(lru);
}

/* Where the file is, or would be. */
static size_t place_of(const struct lru *lru, uint64_t job, unsigned index)
{
	size_t low = 0, high = lru->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct lru_file *file = &lru->v[middle];
		if (file->job < job || (file->job == job && file->index < index))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct lru_file *find(const struct lru *lru, uint64_t job, unsigned index)
{
	size_t i = place_of(lru, job, index);
	bool there = i < lru->count && lru->v[i].job == job && lru->v[i].index == index;
	return there ? &lru->v[i] : NULL;
}

const struct lru_file *lru_find(const struct lru *lru, uint64_t job, unsigned index)
{
	return find(lru, job, index);
}

const struct lru_file *lru_any(const struct lru *lru, uint64_t job)
{
	size_t i = place_of(lru, job, 0);
	return i < lru->count && lru->v[i].job == job ? &lru->v[i] : NULL;
}

static int reserve(struct lru *lru)
{
	if (lru->count < lru->capacity)
		return 0;
	size_t capacity = lru->capacity ? 2 * lru->capacity : 64;
	struct lru_file *v = reallocarray(lru->v, capacity, sizeof(*v));
	if (!v)
		return -ENOMEM;
	lru->v = v;
	lru->capacity = capacity;
	return 0;
}

int lru_add(struct lru *lru, uint64_t job, unsigned index)
{
	if (find(lru, job, index))
		return 0;
	if (reserve(lru))
		return -ENOMEM;
	struct lru_file *file = &lru->v[place_of(lru, job, index)];
	memmove(file + 1, file, (size_t)(lru->v + lru->count - file) * sizeof(*file));
	*file = (struct lru_file){ .job = job, .index = index, .used = INT64_MIN };
	lru->count++;
	return 0;
}

void lru_remove(struct lru *lru, uint64_t job, unsigned index)
{
	struct lru_file *file = find(lru, job, index);
	if (!file)
		return;
	lru->total -= file->bytes;
	lru->count--;
	memmove(file, file + 1, (size_t)(lru->v + lru->count - file) * sizeof(*file));
}

void lru_set_bytes(struct lru *lru, uint64_t job, unsigned index, uint64_t bytes)
{
	struct lru_file *file = find(lru, job, index);
	if (!file)
		return;
	lru->total += bytes - file->bytes;
	file->bytes = bytes;
}

void lru_grow(struct lru *lru, uint64_t job, unsigned index, uint64_t bytes)
{
	const struct lru_file *file = find(lru, job, index);
	if (file)
		lru_set_bytes(lru, job, index, file->bytes + bytes);
}

void lru_use(struct lru *lru, uint64_t job, unsigned index, int64_t used)
{
	struct lru_file *file = find(lru, job, index);
	if (file && used > file->used)
		file->used = used;
}

void lru_hold(struct lru *lru, uint64_t job, unsigned index)
{
	struct lru_file *file = find(lru, job, index);
	if (file)
		file->held++;
}

void lru_unhold(struct lru *lru, uint64_t job, unsigned index)
{
	struct lru_file *file = find(lru, job, index);
	if (file && file->held)
		file->held--;
}

bool lru_victim(const struct lru *lru, uint64_t *job)
{
	int64_t oldest = INT64_MAX;
	bool found = false;
	for (size_t i = 0, next; i < lru->count; i = next) {
		int64_t used = INT64_MIN;
		uint64_t bytes = 0;
		bool held = false;
		for (next = i; next < lru->count && lru->v[next].job == lru->v[i].job; next++) {
			const struct lru_file *file = &lru->v[next];
			used = file->used > used ? file->used : used;
			bytes += file->bytes;
			held |= file->held > 0;
		}
		if (held || !bytes || (found && used >= oldest))
			continue;
		oldest = used;
		*job = lru->v[i].job;
		found = true;
	}
	return found;
}
