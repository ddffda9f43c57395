/*
 * fs_batch - lists of jobs: one a line, each with its own outcome
 *
 * A batch is remembered by the name of its list until that is removed, so that new/NAME.error can
 * follow its jobs. What is bought does not depend on that memory: it is in the books, by origin.
 * A writer's close waits for the outcome of all lines.
 */
#include "fs_internal.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct line {
	unsigned number;
	uint64_t job; /* 0: none */
	char *why;    /* why there is none */
	int error;    /* its positive errno */
};

struct fs_batch {
	struct fs_batch *next;
	int refs; /* under batch_lock, as the list */
	char name[256];
	size_t count;
	struct line lines[];
};

/* Origins */

/* FNV-1a, from both ends: neither is strong, and both together take no two lines for one. */
static uint64_t hash(const char *text, size_t len, bool backwards)
{
	uint64_t hash = 14695981039346656037u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[backwards ? len - 1 - i : i]) * 1099511628211u;
	return hash;
}

static char *make_origin(const char *name, const uint64_t of[2], unsigned occurrence)
{
	char *origin;
	return asprintf(&origin, "%016" PRIx64 "%016" PRIx64 " %u %s", of[0], of[1], occurrence,
			name) < 0
		       ? NULL
		       : origin;
}

static bool hash_params(const struct params *params, uint64_t of[2])
{
	char *text = params_format(params);
	if (!text)
		return false;
	of[0] = hash(text, strlen(text), false);
	of[1] = hash(text, strlen(text), true);
	free(text);
	return true;
}

char *fs_origin(const char *name, const struct params *params, unsigned occurrence)
{
	uint64_t of[2];
	return hash_params(params, of) ? make_origin(name, of, occurrence) : NULL;
}

/* The name of the list in an origin. */
static const char *list_of(const char *origin)
{
	const char *space = strchr(origin, ' ');
	space = space ? strchr(space + 1, ' ') : NULL;
	return space ? space + 1 : "";
}

bool fs_is_list(struct fs *fs, const char *name, uint64_t number)
{
	const struct job *job;
	bool found = false;
	for (uint64_t after = 0; !found && (job = engine_next(fs->engine, after)) != NULL;
	     job_put(job)) {
		after = job->number;
		found = job->number != number && job->origin &&
			strcmp(list_of(job->origin), name) == 0;
	}
	return found;
}

/* The memory of batches */

static void destroy(struct fs_batch *batch)
{
	for (size_t i = 0; batch && i < batch->count; i++)
		free(batch->lines[i].why);
	free(batch);
}

static void unref_locked(struct fs_batch *batch)
{
	if (--batch->refs == 0)
		destroy(batch);
}

static void batch_put(struct fs *fs, struct fs_batch *batch)
{
	pthread_mutex_lock(&fs->batch_lock);
	unref_locked(batch);
	pthread_mutex_unlock(&fs->batch_lock);
}

static void forget_locked(struct fs *fs, const char *name)
{
	for (struct fs_batch **at = &fs->batches, *old; (old = *at) != NULL;) {
		if (strcmp(old->name, name) != 0) {
			at = &old->next;
			continue;
		}
		*at = old->next;
		unref_locked(old);
	}
}

void fs_forget_batch(struct fs *fs, const char *name)
{
	pthread_mutex_lock(&fs->batch_lock);
	forget_locked(fs, name);
	pthread_mutex_unlock(&fs->batch_lock);
}

/* BATCH, which does not change any more, is the one of its name from now on. */
static void remember(struct fs *fs, struct fs_batch *batch)
{
	pthread_mutex_lock(&fs->batch_lock);
	forget_locked(fs, batch->name);
	batch->refs++;
	batch->next = fs->batches;
	fs->batches = batch;
	pthread_mutex_unlock(&fs->batch_lock);
}

static struct fs_batch *recall(struct fs *fs, const char *name)
{
	pthread_mutex_lock(&fs->batch_lock);
	struct fs_batch *batch = fs->batches;
	while (batch && strcmp(batch->name, name) != 0)
		batch = batch->next;
	if (batch)
		batch->refs++;
	pthread_mutex_unlock(&fs->batch_lock);
	return batch;
}

void fs_batches_free(struct fs *fs)
{
	for (struct fs_batch *batch = fs->batches, *next; batch; batch = next) {
		next = batch->next;
		unref_locked(batch);
	}
}

/* Outcomes */

/* Writes what there is to say of a line. 0 or its positive errno. */
static int tell_line(struct fs *fs, const struct line *line, FILE *out)
{
	const struct job *job = line->job ? engine_get(fs->engine, line->job) : NULL;
	int error = line->job ? (job ? fs_outcome(job) : 0) : line->error;
	if (error)
		fprintf(out, "line %u: %s\n", line->number,
			!job         ? line->why
			: job->error ? job->error
				     : strerror(error));
	job_put(job);
	return error;
}

/* new/NAME.error from what is known now. Gives the errno of the first line that was refused, and
 * all of them in *TEXT (heap or NULL). */
static int tell(struct fs *fs, const struct fs_batch *batch, char **text)
{
	size_t len, refused = 0;
	int first = 0;
	FILE *out = open_memstream(text, &len);
	if (!out)
		return ENOMEM;
	for (size_t i = 0; i < batch->count; i++) {
		int error = tell_line(fs, &batch->lines[i], out);
		refused += error != 0;
		first = first ? first : error;
	}
	fprintf(out,
		"%zu of %zu lines were not taken. Correct %s and save it again: only these "
		"are submitted.",
		refused, batch->count, batch->name);
	if (fclose(out) != 0)
		*text = NULL;
	fs_set_error_file(fs, node_ino(0, NODE_NEW), batch->name, refused ? *text : NULL);
	return first;
}

void fs_tell_batch(struct fs *fs, const struct job *job)
{
	struct fs_batch *batch = job->origin ? recall(fs, list_of(job->origin)) : NULL;
	char *text = NULL;
	if (!batch)
		return;
	if (fs_outcome(job)) {
		tell(fs, batch, &text);
		free(text);
	}
	batch_put(fs, batch);
}

/* Waiting for all lines */

struct line_watch {
	struct engine_watch watch;
	struct batch_park *wait;
};

struct batch_park {
	struct fs_park park;
	struct fs_ask ask;
	struct fs_batch *batch;
	_Atomic size_t left; /* watches that will fire, and one while they are being set */
	struct line_watch watches[];
};

static void answer(struct fs *fs, const struct fs_ask *ask, const struct fs_batch *batch)
{
	char *text = NULL;
	int error = tell(fs, batch, &text);
	draft_refuse(ask->draft, ask->claim, error ? text : NULL, error);
	free(text);
	fs_answer(ask, error);
}

/* Interrupted or expired, what is not known yet counts as taken: it is in the books. */
static void batch_answer(struct fs_park *park, enum fs_why why)
{
	struct batch_park *wait = (struct batch_park *)park;
	(void)why;
	answer(park->fs, &wait->ask, wait->batch);
}

static bool is_last(struct batch_park *wait)
{
	return atomic_fetch_sub(&wait->left, 1) == 1;
}

static void line_fire(struct engine_watch *watch)
{
	struct batch_park *wait = ((struct line_watch *)watch)->wait;
	if (is_last(wait))
		fs_park_fire(&wait->park);
}

/* Whoever takes the last watch away is the one who would have fired. */
static bool batch_cancel(struct fs_park *park)
{
	struct batch_park *wait = (struct batch_park *)park;
	bool last = false;
	for (size_t i = 0; i < wait->batch->count; i++)
		if (engine_unwatch(park->fs->engine, &wait->watches[i].watch))
			last |= is_last(wait);
	return last;
}

static void batch_destroy(struct fs_park *park)
{
	struct batch_park *wait = (struct batch_park *)park;
	draft_put(wait->ask.draft);
	batch_put(park->fs, wait->batch);
	free(wait);
}

static void watch_lines(struct fs *fs, struct batch_park *wait)
{
	const struct fs_batch *batch = wait->batch;
	wait->left = 1;
	for (size_t i = 0; i < batch->count; i++) {
		struct line_watch *line = &wait->watches[i];
		line->wait = wait;
		line->watch = (struct engine_watch){ .number = batch->lines[i].job,
						     .until = engine_submission_settled,
						     .fire = line_fire };
		atomic_fetch_add(&wait->left, 1);
		if (!engine_watch(fs->engine, &line->watch))
			atomic_fetch_sub(&wait->left, 1);
	}
	if (is_last(wait))
		fs_park_fire(&wait->park);
}

/* Takes a reference of its own. */
static void wait_for(struct fs *fs, const struct fs_ask *ask, struct fs_batch *batch)
{
	struct batch_park *wait =
		ask->req ? calloc(1, sizeof(*wait) + batch->count * sizeof(wait->watches[0]))
			 : NULL;
	if (!wait) {
		answer(fs, ask, batch);
		return;
	}
	wait->ask = *ask;
	wait->ask.draft = draft_ref(ask->draft);
	pthread_mutex_lock(&fs->batch_lock);
	batch->refs++;
	pthread_mutex_unlock(&fs->batch_lock);
	wait->batch = batch;
	wait->park.cancel = batch_cancel;
	wait->park.answer = batch_answer;
	wait->park.destroy = batch_destroy;
	fs_park_init(&wait->park, fs, ask->req, fs_ask_deadline(fs, ask));
	watch_lines(fs, wait);
	fs_park_done(&wait->park);
}

/* Asking */

struct orders {
	struct engine_order *list;
	struct line **lines; /* the line of each order */
	uint64_t (*hashes)[2];
	size_t count;
};

static void orders_release(struct orders *orders)
{
	for (size_t i = 0; i < orders->count; i++) {
		free((char *)orders->list[i].label);
		free((char *)orders->list[i].origin);
	}
	free(orders->list);
	free(orders->lines);
	free(orders->hashes);
}

static unsigned occurrence(const struct orders *orders, const uint64_t of[2])
{
	unsigned n = 1;
	for (size_t i = 0; i < orders->count; i++)
		n += memcmp(orders->hashes[i], of, sizeof(orders->hashes[i])) == 0;
	return n;
}

/* An order for LINE, which is STEM-NUMBER below by-name. */
static int add_order(struct orders *orders, const char *name, struct line *line,
		     struct params *params)
{
	const char *dot = strrchr(name, '.');
	struct engine_order *order = &orders->list[orders->count];
	uint64_t *of = orders->hashes[orders->count];
	char *label = NULL;
	if (!hash_params(params, of))
		return -ENOMEM;
	order->origin = make_origin(name, of, occurrence(orders, of));
	if (asprintf(&label, "%.*s-%u", (int)(dot - name), name, line->number) < 0)
		label = NULL;
	order->label = label;
	order->params = params;
	orders->lines[orders->count++] = line;
	return order->origin && label ? 0 : -ENOMEM;
}

static int make_orders(struct orders *orders, struct fs_batch *batch,
		       const struct draft_content *content)
{
	int r = 0;
	*orders = (struct orders){ .list = calloc(batch->count, sizeof(*orders->list)),
				   .lines = calloc(batch->count, sizeof(*orders->lines)),
				   .hashes = calloc(batch->count, sizeof(*orders->hashes)) };
	if (!orders->list || !orders->lines || !orders->hashes)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < batch->count; i++)
		if (content->lines[i].params)
			r = add_order(orders, batch->name, &batch->lines[i],
				      content->lines[i].params);
	return r;
}

static void note_outcomes(struct fs *fs, const struct orders *orders)
{
	bool too_dear = false; /* the numbers are told once */
	for (size_t i = 0; i < orders->count; i++) {
		const struct engine_order *order = &orders->list[i];
		struct line *line = orders->lines[i];
		if (order->error == 0 || order->error == -EEXIST) {
			line->job = order->number;
			continue;
		}
		line->error = -order->error;
		line->why = fs_why_not(fs, too_dear ? NULL : order->params, -order->error);
		too_dear |= order->error == -EDQUOT;
	}
}

static void submit(struct fs *fs, const struct fs_ask *ask, const struct orders *orders)
{
	struct draft_info info;
	size_t taken = 0, before = 0;
	draft_info(ask->draft, &info);
	struct engine_owner owner = { .uid = info.uid,
				      .gid = info.gid,
				      .mode = 0777 & ~fs->conf.umask };
	for (size_t i = 0; i < orders->count; i++)
		orders->list[i].owner = &owner;
	engine_submit_all(fs->engine, orders->list, orders->count);
	for (size_t i = 0; i < orders->count; i++) {
		taken += orders->list[i].error == 0;
		before += orders->list[i].error == -EEXIST;
	}
	log_info("%s: %zu jobs submitted, %zu were before", ask->name, taken, before);
}

static struct fs_batch *batch_new(const char *name, const struct draft_content *content)
{
	size_t count = content->line_count;
	struct fs_batch *batch = calloc(1, sizeof(*batch) + count * sizeof(batch->lines[0]));
	if (!batch)
		return NULL;
	batch->refs = 1;
	batch->count = count;
	strcpy(batch->name, name);
	for (size_t i = 0; i < count; i++) {
		struct line *line = &batch->lines[i];
		line->number = content->lines[i].number;
		line->error = EINVAL;
		line->why = content->lines[i].error;
		content->lines[i].error = NULL;
	}
	return batch;
}

static void submit_batch(struct fs *fs, const struct fs_ask *ask, const struct orders *orders,
			 struct fs_batch *batch)
{
	submit(fs, ask, orders);
	note_outcomes(fs, orders);
	remember(fs, batch);
	wait_for(fs, ask, batch);
	batch_put(fs, batch);
}

void fs_ask_batch(struct fs *fs, const struct fs_ask *ask, struct draft_content *content)
{
	struct fs_batch *batch = batch_new(ask->name, content);
	struct orders orders = { 0 };
	if (batch && make_orders(&orders, batch, content) == 0) {
		submit_batch(fs, ask, &orders, batch);
	} else {
		destroy(batch);
		fs_answer(ask, fs_refuse(fs, ask, strerror(ENOMEM), ENOMEM));
	}
	orders_release(&orders);
	draft_content_release(content);
}
