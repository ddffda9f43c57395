/*
 * engine_table - the jobs by number, name, request id, label and origin
 *
 * State:      slots in order of number (numbers only grow, so adding is appending), and one hash
 *             index for each key.
 * Invariants:
 *  - an entry is in an index exactly when its job has that key;
 *  - a chain of an index is in falling order of number, so that the first match is the newest;
 *  - less than half of the slots are holes.
 * Nothing here fails after table_reserve(): an index that cannot grow gets longer chains.
 */
#include "engine_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_FIRST 64

static const char *key_of(const struct job *job, enum table_key key, char buf[JOB_NAME_MAX])
{
	switch (key) {
	case KEY_NAME: return job_name(job, buf);
	case KEY_REQUEST: return job->request_id;
	case KEY_ORIGIN: return job->origin;
	default: return job->label;
	}
}

/* FNV-1a. */
static uint32_t hash_of(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

/* Whose NODE of KEY it is: of 100 000 jobs, a pointer for each node would be 3 MB. */
static struct entry *entry_of(struct table_node *node, enum table_key key)
{
	return (void *)((char *)(node - key) - offsetof(struct entry, nodes));
}

static void link_node(struct table *table, enum table_key key, struct table_node *node)
{
	struct index *index = &table->indexes[key];
	struct table_node **at = &index->buckets[node->hash & (index->size - 1)];
	uint64_t number = entry_of(node, key)->number;

	while (*at && entry_of(*at, key)->number > number)
		at = &(*at)->next;
	node->next = *at;
	node->link = at;
	if (node->next)
		node->next->link = &node->next;
	*at = node;
}

static void unlink_node(struct index *index, struct table_node *node)
{
	if (!node->link)
		return;
	*node->link = node->next;
	if (node->next)
		node->next->link = node->link;
	node->link = NULL;
	index->count--;
}

/* In order of number: every node then goes to the head of its chain at once. */
static void grow(struct table *table, enum table_key key)
{
	struct index *index = &table->indexes[key];
	struct table_node **buckets = calloc(2 * index->size, sizeof(*buckets));

	if (!buckets)
		return;
	free(index->buckets);
	index->buckets = buckets;
	index->size *= 2;
	for (size_t i = 0; i < table->count; i++) {
		struct entry *entry = table->slots[i].entry;
		if (entry && entry->nodes[key].link)
			link_node(table, key, &entry->nodes[key]);
	}
}

static void index_entry(struct table *table, struct entry *entry, enum table_key key)
{
	char buf[JOB_NAME_MAX];
	const char *text = key_of(entry->job, key, buf);
	struct index *index = &table->indexes[key];

	if (!text)
		return;
	if (index->count >= index->size)
		grow(table, key);
	entry->nodes[key].hash = hash_of(text);
	link_node(table, key, &entry->nodes[key]);
	index->count++;
}

int table_init(struct table *table)
{
	*table = (struct table){ 0 };
	for (int key = 0; key < KEYS; key++) {
		struct index *index = &table->indexes[key];
		index->size = INDEX_FIRST;
		index->buckets = calloc(INDEX_FIRST, sizeof(struct table_node *));
		if (!index->buckets) {
			table_release(table);
			return -ENOMEM;
		}
	}
	return 0;
}

void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	job_put(entry->job);
	free(entry);
}

void table_release(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		entry_free(table->slots[i].entry);
	free(table->slots);
	for (int key = 0; key < KEYS; key++)
		free(table->indexes[key].buckets);
	*table = (struct table){ 0 };
}

int table_reserve(struct table *table, size_t room)
{
	size_t capacity = table->capacity ? table->capacity : 64;
	struct table_slot *slots;

	while (capacity - table->count < room)
		capacity *= 2;
	if (capacity == table->capacity)
		return 0;
	slots = reallocarray(table->slots, capacity, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	table->slots = slots;
	table->capacity = capacity;
	return 0;
}

void table_add(struct table *table, struct entry *entry)
{
	table->slots[table->count++] = (struct table_slot){ entry->number, entry };
	for (enum table_key key = 0; key < KEYS; key++)
		index_entry(table, entry, key);
}

static bool same_key(const struct job *a, const struct job *b, enum table_key key)
{
	char buf_a[JOB_NAME_MAX], buf_b[JOB_NAME_MAX];
	const char *text_a = key_of(a, key, buf_a);
	const char *text_b = key_of(b, key, buf_b);

	return text_a && text_b ? strcmp(text_a, text_b) == 0 : text_a == text_b;
}

const struct job *table_swap(struct table *table, struct entry *entry, const struct job *job)
{
	const struct job *before = entry->job;

	entry->job = job;
	for (enum table_key key = 0; key < KEYS; key++) {
		if (same_key(before, job, key))
			continue;
		unlink_node(&table->indexes[key], &entry->nodes[key]);
		index_entry(table, entry, key);
	}
	return before;
}

/* The first slot with a number above AFTER. */
static size_t slot_after(const struct table *table, uint64_t after)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->slots[middle].number > after)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void compact(struct table *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->count; i++)
		if (table->slots[i].entry)
			table->slots[kept++] = table->slots[i];
	table->count = kept;
	table->holes = 0;
}

void table_remove(struct table *table, struct entry *entry)
{
	for (enum table_key key = 0; key < KEYS; key++)
		unlink_node(&table->indexes[key], &entry->nodes[key]);
	table->slots[slot_after(table, entry->number - 1)].entry = NULL;
	table->holes++;
	if (table->holes > table->count / 2)
		compact(table);
}

struct entry *table_find(const struct table *table, uint64_t number)
{
	size_t i = number ? slot_after(table, number - 1) : table->count;

	return i < table->count && table->slots[i].number == number ? table->slots[i].entry : NULL;
}

struct entry *table_after(const struct table *table, uint64_t after)
{
	for (size_t i = slot_after(table, after); i < table->count; i++)
		if (table->slots[i].entry)
			return table->slots[i].entry;
	return NULL;
}

struct entry *table_latest(const struct table *table)
{
	for (size_t i = table->count; i > 0; i--)
		if (table->slots[i - 1].entry)
			return table->slots[i - 1].entry;
	return NULL;
}

struct entry *table_lookup(const struct table *table, enum table_key key, const char *text)
{
	const struct index *index = &table->indexes[key];
	uint32_t hash = hash_of(text);
	char buf[JOB_NAME_MAX];

	for (struct table_node *node = index->buckets[hash & (index->size - 1)]; node;
	     node = node->next)
		if (node->hash == hash &&
		    strcmp(key_of(entry_of(node, key)->job, key, buf), text) == 0)
			return entry_of(node, key);
	return NULL;
}
