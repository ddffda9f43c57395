/*
 * output_plan - what is fetched, and when
 *
 * output_window() and output_ahead() are the policy, two pure functions; the rest finds what
 * surrounds a missing byte and applies them.
 *
 *   a read alone                    a window around it
 *   reads in order, server near     a part that grows with what was read, one at a time: a reader
 *                                   that stops has cost little, and another request costs nothing
 *   reads in order, server far      the first byte has come on one connection; now several bring
 *                                   parts of what follows, since one is slow to start, and may be
 *                                   all that the server gives to one
 *
 * Invariants (under `lock`): what the downloads owe, [pos, end), is missing and disjoint, dead ones
 * aside, and but for servers that ignore ranges, where one download brings the whole object; at
 * most MAX_DOWNLOADS, dead ones included.
 */
#include "output_internal.h"

#define KIB (1024ULL)
#define MIB (1024 * KIB)

/* The policy. */
#define WINDOW      (128 * KIB) /* unit and alignment; the kernel's read-ahead */
#define TIMID_PART  (512 * KIB) /* the largest part for a reader that may want the head only... */
#define TIMID_UNTIL (8 * MIB)   /* ...which is known after so much in order */
#define NEAR_PART   (32 * MIB)
#define NEAR_BYTES  MIB /* a near server answers before a reader has come so far */
#define FAR_PART    (8 * MIB)
#define FAR_STREAMS 8
#define FAR_US      8000       /* a server whose answer takes so long is far */
#define FAST        (64 * MIB) /* a second; a connection that brings so much is no bottleneck */

/* A reader waits for a download that is so far away, unless another request would be sooner. */
#define WAIT_LEAST (512 * KIB)
#define WAIT_MOST  (4 * MIB)

#define MAX_DOWNLOADS (FAR_STREAMS + 4) /* of an output: reads have room beside what is ahead */
#define MAX_AHEAD     16                /* of the cache: else one ahead for each output */

static uint64_t round_down(uint64_t x)
{
	return x - x % WINDOW;
}

static uint64_t round_up(uint64_t x)
{
	return round_down(x + WINDOW - 1);
}

static uint64_t clamp(uint64_t x, uint64_t low, uint64_t high)
{
	return x < low ? low : x > high ? high : x;
}

struct range output_window(struct range read, struct range gap, uint64_t part)
{
	uint64_t start = round_down(read.start);
	struct range window = { start > gap.start ? start : gap.start, round_up(read.end) };

	if (window.end < window.start + part)
		window.end = round_up(window.start + part);
	/* Not worth a request of its own. */
	if (window.end + WINDOW > gap.end)
		window.end = gap.end;
	return window;
}

static bool is_far(const struct output_pace *pace)
{
	return pace->latency_us >= FAR_US || (pace->rate && pace->rate < FAST);
}

struct output_ahead output_ahead(uint64_t in_order, uint64_t left, const struct output_pace *pace)
{
	if (is_far(pace)) {
		unsigned streams = pace->alone ? 1 : FAR_STREAMS;
		uint64_t part = clamp(round_up(left / FAR_STREAMS), MIB, FAR_PART);
		return (struct output_ahead){ streams * part, part, streams };
	}
	uint64_t part = in_order < TIMID_UNTIL ? clamp(in_order, WINDOW, TIMID_PART)
					       : clamp(in_order, 0, NEAR_PART);
	return (struct output_ahead){ clamp(part / 4, 0, NEAR_BYTES), part, 1 };
}

static uint64_t worth_waiting_for(const struct output_pace *pace)
{
	uint64_t brought = pace->rate / 1000 * (uint64_t)pace->latency_us / 1000;

	return clamp(2 * brought, WAIT_LEAST, WAIT_MOST);
}

static unsigned count_locked(const struct output *output)
{
	unsigned count = 0;

	for (const struct download *d = output->downloads; d; d = d->next)
		count++;
	return count;
}

static struct download *owing_locked(const struct output *output, uint64_t pos)
{
	struct download *d = output->downloads;

	while (d && (d->dead || pos < d->pos || pos >= d->end))
		d = d->next;
	return d;
}

/* The bytes around the missing byte POS that nobody has or owes; what SPLIT owes behind POS counts
 * as nobody's. */
static struct range gap_locked(const struct output *output, uint64_t pos,
			       const struct download *split)
{
	const struct range_set *have = &output->have;
	struct range gap = { 0, range_set_gap_end(have, pos, output->size) };

	for (size_t i = 0; i < have->count && have->v[i].end <= pos; i++)
		gap.start = have->v[i].end;
	for (const struct download *d = output->downloads; d; d = d->next) {
		if (d->dead || (split && d == split))
			continue;
		if (d->pos > pos && d->pos < gap.end)
			gap.end = d->pos;
		if (d->end <= pos && d->end > gap.start)
			gap.start = d->end;
	}
	if (split && split->pos >= gap.start)
		gap.start = split->pos + 1;
	return gap;
}

/* The first byte from POS on that is missing and not owed. */
static uint64_t next_free_locked(const struct output *output, uint64_t pos)
{
	while (pos < output->size) {
		uint64_t run = range_set_run(&output->have, pos);
		const struct download *d = run ? NULL : owing_locked(output, pos);
		if (!run && !d)
			break;
		pos = run ? pos + run : d->end;
	}
	return pos;
}

/* Reads in order. */

static struct output_run *run_of_locked(struct output *output, uint64_t start)
{
	struct output_run *oldest = &output->runs[0];

	for (struct output_run *run = output->runs; run < output->runs + OUTPUT_RUNS; run++) {
		/* The kernel reads ahead with several requests, which may overtake one another. */
		if (run->reads && start <= run->end + 2 * WINDOW && start + 2 * WINDOW >= run->end)
			return run;
		if (run->used < oldest->used)
			oldest = run;
	}
	*oldest = (struct output_run){ .start = start, .end = start };
	return oldest;
}

void output_note_read_locked(struct output *output, uint64_t start, uint64_t end)
{
	struct output_run *run = run_of_locked(output, start);

	run->used = ++output->reads;
	output->read_us = output_now_us();
	/* The same read again, by the same reader or another one, tells nothing of order. */
	run->reads += start < run->start || end > run->end;
	if (start < run->start)
		run->start = start;
	if (end > run->end)
		run->end = end;
}

static bool in_order(const struct output_run *run)
{
	return run->reads > 1;
}

static struct output_ahead ahead_locked(const struct output *output, const struct output_run *run)
{
	return output_ahead(run->end - run->start, output->size - run->end, &output->pace);
}

/* May one more download be begun for what no reader waits for yet? */
static bool may_go_ahead_locked(const struct output *output, unsigned streams)
{
	unsigned count = count_locked(output);

	return count < streams && (!count || output->cache->downloads < MAX_AHEAD);
}

static void go_ahead_locked(struct output *output, const struct output_run *run)
{
	struct output_ahead ahead = ahead_locked(output, run);

	while (may_go_ahead_locked(output, ahead.streams)) {
		uint64_t pos = next_free_locked(output, run->end);
		if (pos >= output->size || pos >= run->end + ahead.bytes)
			return;
		struct range gap = gap_locked(output, pos, NULL);
		struct range part = output_window((struct range){ pos, pos + 1 }, gap, ahead.part);
		if (output_begin_locked(output, part) < 0)
			return;
	}
}

void output_go_ahead_locked(struct output *output)
{
	/* Who ignores ranges sends all there is. */
	if (output->no_ranges || output_paused_locked(output) || output->stale ||
	    output_is_direct_locked(output) || output->cache->stopped || !output->readers)
		return;
	for (const struct output_run *run = output->runs; run < output->runs + OUTPUT_RUNS; run++)
		if (in_order(run))
			go_ahead_locked(output, run);
}

/* What readers wait for. */

/* The least that a request for the read of [START, END) brings. */
static uint64_t part_locked(const struct output *output, uint64_t start, uint64_t end)
{
	for (const struct output_run *run = output->runs; run < output->runs + OUTPUT_RUNS; run++)
		if (in_order(run) && run->start <= start && run->end >= end)
			return ahead_locked(output, run).part;
	return WINDOW;
}

/* Begins a download for the read of [POS, END), whose first byte is missing; SPLIT owes it, but is
 * far away, or is NULL.  Gives the end of what is on its way. */
static int fetch_for_locked(struct output *output, uint64_t pos, uint64_t end,
			    struct download *split, uint64_t *reached)
{
	struct range read = { pos, end };
	struct range gap = gap_locked(output, pos, split);
	struct range window = output_window(read, gap, part_locked(output, pos, end));
	if (output_is_direct_locked(output))
		window = (struct range){ pos, end < gap.end ? end : gap.end };
	int r = output_begin_locked(output, window);
	if (r < 0)
		return r;
	if (split)
		split->end = window.start;
	*reached = output->no_ranges ? output->size : window.end;
	return 0;
}

int output_plan_locked(struct output *output, uint64_t start, uint64_t end)
{
	uint64_t pos = start;

	while (pos < end && !output_paused_locked(output)) {
		uint64_t run = range_set_run(&output->have, pos);
		if (run) {
			pos += run;
			continue;
		}
		struct download *d = owing_locked(output, pos);
		bool room = count_locked(output) < MAX_DOWNLOADS;
		if (d && (pos - d->pos <= worth_waiting_for(&output->pace) || !room ||
			  output->no_ranges)) {
			pos = d->end;
			continue;
		}
		if (!room)
			return 0;
		int r = fetch_for_locked(output, pos, end, d, &pos);
		if (r < 0)
			return r;
	}
	return 0;
}

bool output_owed_locked(const struct output *output, uint64_t start, uint64_t end)
{
	for (uint64_t pos = start; pos < end;) {
		uint64_t run = range_set_run(&output->have, pos);
		const struct download *d = run ? NULL : owing_locked(output, pos);
		if (!run && !d)
			return false;
		pos = run ? pos + run : d->end;
	}
	return true;
}
