/*
 * output_plan - what is fetched for a read
 *
 * plan_fetch() is the policy, a pure function; the rest finds what surrounds a missing byte and
 * applies it.
 *
 * Invariants (under `lock`): what the downloads owe, [pos, end), is missing and disjoint, dead ones
 * aside, and but for servers that ignore ranges, where one download brings the whole object; at
 * most MAX_DOWNLOADS, dead ones included.
 */
#include "output_internal.h"

#define MIB           (1024 * 1024ULL)
#define MAX_DOWNLOADS 4

/* The policy: what is fetched for a read. */
#define WINDOW       MIB       /* unit and alignment of random reads */
#define NEAR         (4 * MIB) /* so far ahead of a download a read still waits for it */
#define STREAM_AFTER (8 * MIB) /* so much in one piece is read in order: fetch all that follows */

/* What surrounds a missing byte. */
struct gap {
	uint64_t start; /* bytes nobody has or fetches, around it */
	uint64_t end;
	uint64_t before; /* bytes in one piece, there or being fetched, up to `start` */
};

/* For a read of [OFFSET, END) in GAP: from the start of the object, and where reads have come in
 * order, everything up to what is there already; elsewhere a window, which grows with what lies
 * before it. */
static struct plan plan_fetch(uint64_t offset, uint64_t end, const struct gap *gap)
{
	/* The kernel reads ahead with several requests, which may overtake one another. */
	bool ordered = gap->before && offset - gap->start < WINDOW;
	uint64_t start = offset - offset % WINDOW;
	if (ordered || start < gap->start)
		start = gap->start;
	if (start == 0 || (ordered && gap->before >= STREAM_AFTER))
		return (struct plan){ start, gap->end, true };
	uint64_t grown = ordered ? start + 2 * gap->before : start;
	uint64_t stop = (end > grown ? end : grown) + WINDOW - 1;
	stop -= stop % WINDOW;
	return (struct plan){ start, stop < gap->end ? stop : gap->end, false };
}

/* Does a read at POS wait for D, which owes that byte? */
static bool near_locked(const struct download *d, uint64_t pos)
{
	return pos - d->pos <= NEAR;
}

static bool room_locked(const struct output *output)
{
	unsigned count = 0;

	for (const struct download *d = output->downloads; d; d = d->next)
		count++;
	return count < MAX_DOWNLOADS;
}

static struct download *owing_locked(const struct output *output, uint64_t pos)
{
	struct download *d = output->downloads;

	while (d && (d->dead || pos < d->pos || pos >= d->end))
		d = d->next;
	return d;
}

/* The gap around the missing byte POS; what SPLIT owes counts as missing from NEAR ahead on. */
static struct gap gap_locked(const struct output *output, uint64_t pos,
			     const struct download *split)
{
	const struct range_set *have = &output->have;
	struct gap gap = { 0, range_set_gap_end(have, pos, output->size), 0 };

	for (size_t i = 0; i < have->count && have->v[i].end <= pos; i++) {
		gap.start = have->v[i].end;
		gap.before = have->v[i].end - have->v[i].start;
	}
	for (const struct download *d = output->downloads; d; d = d->next) {
		if (d->dead || (split && d == split))
			continue;
		if (d->pos > pos && d->pos < gap.end)
			gap.end = d->pos;
		if (d->end <= pos && d->end > gap.start) {
			gap.start = d->end;
			/* A stream that was cut short by a far read says nothing of order. */
			gap.before = d->stream ? 0 : d->end - d->start;
		}
	}
	if (split && split->pos >= gap.start) {
		gap.start = split->pos + 1;
		gap.before = 0;
	}
	return gap;
}

/* Begins a download for the read of [POS, END), whose first byte is missing; SPLIT owes it, but is
 * far away, or is NULL.  Gives the end of what is on its way. */
static int fetch_for_locked(struct output *output, uint64_t pos, uint64_t end,
			    struct download *split, uint64_t *reached)
{
	struct gap gap = gap_locked(output, pos, split);
	struct plan plan = plan_fetch(pos, end, &gap);
	int r = output_begin_locked(output, plan);
	if (r < 0)
		return r;
	if (split)
		split->end = plan.start;
	*reached = output->no_ranges ? output->size : plan.end;
	return 0;
}

int output_plan_locked(struct output *output, uint64_t start, uint64_t end)
{
	uint64_t pos = start;

	while (pos < end && !output->renewing) {
		uint64_t run = range_set_run(&output->have, pos);
		if (run) {
			pos += run;
			continue;
		}
		struct download *d = owing_locked(output, pos);
		bool room = room_locked(output);
		if (d && (near_locked(d, pos) || !room || output->no_ranges)) {
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

/* A stream was over at POS: the next one goes on, unless another stream is there already. */
void output_go_on_locked(struct output *output, uint64_t pos)
{
	while (pos < output->size && room_locked(output) && !output->renewing) {
		uint64_t run = range_set_run(&output->have, pos);
		const struct download *d = run ? NULL : owing_locked(output, pos);
		if (d && d->stream)
			return;
		if (run || d) {
			pos = run ? pos + run : d->end;
			continue;
		}
		struct gap gap = gap_locked(output, pos, NULL);
		output_begin_locked(output, (struct plan){ pos, gap.end, true });
		return;
	}
}
