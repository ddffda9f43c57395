#include "sched.h"

#include <errno.h>
#include <stdlib.h>

/* A generation usually takes this long: polls are at their slowest from then on. */
#define USUAL_MS 120000

#define NET_MIN_MS 60000
#define NET_MAX_MS 300000

struct sched_policy sched_policy_default(void)
{
	return (struct sched_policy){
		.poll_min_ms = 5000,
		.poll_max_ms = 10000,
		.retry_min_ms = 1000,
		.retry_max_ms = 300000,
	};
}

static int64_t min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

struct sched_policy sched_policy_called_back(const struct sched_policy *policy)
{
	struct sched_policy slow = *policy;

	slow.poll_min_ms = max(policy->poll_min_ms, NET_MIN_MS);
	slow.poll_max_ms = max(policy->poll_max_ms, NET_MAX_MS);
	return slow;
}

static int64_t plus_tenth(int64_t ms)
{
	return ms > INT64_MAX - ms / 10 ? INT64_MAX : ms + ms / 10;
}

static int64_t between(int64_t low, int64_t high, uint64_t random)
{
	if (low >= high)
		return low;
	return low + (int64_t)(random % ((uint64_t)(high - low) + 1));
}

static int64_t doubled(int64_t ms, unsigned times, int64_t cap)
{
	for (; times && ms < cap; times--)
		ms = ms > cap / 2 ? cap : 2 * ms;
	return min(ms, cap);
}

/* Many jobs are told the same Retry-After: they must not all come back in the same moment. */
static int64_t at_least(int64_t delay, int64_t retry_after, uint64_t random)
{
	return delay >= retry_after ? delay : between(retry_after, plus_tenth(retry_after), random);
}

int64_t sched_poll_delay(const struct sched_policy *policy, int64_t age_ms, unsigned failures,
			 int64_t retry_after_ms, uint64_t random)
{
	/* never 0, or a policy of zeros would spin */
	int64_t first = max(policy->poll_min_ms, 1);
	int64_t growth = max(policy->poll_max_ms - first, 0);
	double part = (double)min(max(age_ms, 0), USUAL_MS) / USUAL_MS;
	int64_t delay = first + (int64_t)((double)growth * part);
	int64_t high = plus_tenth(delay);
	if (failures) {
		int64_t cap = max(policy->retry_max_ms, delay);
		delay = doubled(delay, failures, cap);
		high = min(plus_tenth(delay), cap);
	}
	return at_least(between(max(delay - delay / 10, 1), high, random), retry_after_ms, random);
}

int64_t sched_retry_delay(const struct sched_policy *policy, unsigned failures,
			  int64_t retry_after_ms, uint64_t random)
{
	int64_t first = max(policy->retry_min_ms, 1);
	int64_t delay = doubled(first, failures ? failures - 1 : 0,
				max(policy->retry_max_ms, first));
	return at_least(between(delay - delay / 2, delay, random), retry_after_ms, random);
}

void sched_init(struct sched *sched)
{
	*sched = (struct sched){ 0 };
}

void sched_release(struct sched *sched)
{
	free(sched->heap);
	sched_init(sched);
}

/* The heap: heap[i] is due no later than heap[2i+1] and heap[2i+2], and heap[i]->slot is i + 1. */

static void place(struct sched *sched, size_t i, struct sched_timer *timer)
{
	sched->heap[i] = timer;
	timer->slot = i + 1;
}

static size_t earlier_child(const struct sched *sched, size_t i)
{
	size_t child = 2 * i + 1;
	if (child + 1 < sched->count && sched->heap[child + 1]->due_ms < sched->heap[child]->due_ms)
		child++;
	return child;
}

/* Moves TIMER from slot I to where it belongs. */
static void settle(struct sched *sched, size_t i, struct sched_timer *timer)
{
	for (size_t up; i && sched->heap[up = (i - 1) / 2]->due_ms > timer->due_ms; i = up)
		place(sched, i, sched->heap[up]);
	for (size_t down; (down = earlier_child(sched, i)) < sched->count &&
			  sched->heap[down]->due_ms < timer->due_ms;
	     i = down)
		place(sched, i, sched->heap[down]);
	place(sched, i, timer);
}

int sched_set(struct sched *sched, struct sched_timer *timer, int64_t due_ms)
{
	if (!timer->slot && sched->count == sched->capacity) {
		size_t capacity = sched->capacity ? 2 * sched->capacity : 16;
		struct sched_timer **heap = reallocarray(sched->heap, capacity, sizeof(*heap));
		if (!heap)
			return -ENOMEM;
		sched->heap = heap;
		sched->capacity = capacity;
	}
	if (!timer->slot)
		place(sched, sched->count++, timer);
	timer->due_ms = due_ms;
	settle(sched, timer->slot - 1, timer);
	return 0;
}

void sched_clear(struct sched *sched, struct sched_timer *timer)
{
	if (!timer->slot)
		return;
	size_t hole = timer->slot - 1;
	struct sched_timer *last = sched->heap[--sched->count];
	if (last != timer)
		settle(sched, hole, last);
	timer->slot = 0;
}

struct sched_timer *sched_pop(struct sched *sched, int64_t now_ms)
{
	if (!sched->count || sched->heap[0]->due_ms > now_ms)
		return NULL;
	struct sched_timer *first = sched->heap[0];
	sched_clear(sched, first);
	return first;
}

int64_t sched_next(const struct sched *sched)
{
	return sched->count ? sched->heap[0]->due_ms : INT64_MAX;
}
