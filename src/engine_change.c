/*
 * engine_change - how a job changes, and the changes that users make by hand
 *
 * Every change takes the same way: copy, edit, event, commit, show, tell. See the invariants in
 * engine.c.
 */
#include "engine_internal.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool engine_name_taken(struct engine *engine, const char *name, uint64_t number)
{
	struct entry *by_name, *by_request;

	/* `write` keeps the table as it is; the lock is for readers who look at the same time. */
	pthread_mutex_lock(&engine->table_lock);
	by_name = table_lookup(&engine->table, KEY_NAME, name);
	by_request = table_lookup(&engine->table, KEY_REQUEST, name);
	pthread_mutex_unlock(&engine->table_lock);
	return (by_name && by_name->number != number) ||
	       (by_request && by_request->number != number);
}

/* A name that we make may be one that the user gave to another job before. 1: JOB got a name. */
static int settle_name(struct engine *engine, struct job *job)
{
	char name[JOB_NAME_MAX];

	if (job->name || !engine_name_taken(engine, job_name(job, name), job->number))
		return 0;
	snprintf(name, sizeof(name), "job-%" PRIu64, job->number);
	for (unsigned i = 2; engine_name_taken(engine, name, job->number); i++)
		snprintf(name, sizeof(name), "job-%" PRIu64 ".%u", job->number, i);
	return job_set(&job->name, name) < 0 ? -ENOMEM : 1;
}

struct entry *engine_entry_new(struct engine *engine, size_t room)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	int r;

	if (!entry)
		return NULL;
	entry->retry_after_ms = -1;
	pthread_mutex_lock(&engine->table_lock);
	r = table_reserve(&engine->table, room);
	pthread_mutex_unlock(&engine->table_lock);
	if (r == 0)
		return entry;
	free(entry);
	return NULL;
}

static char *one_line(const char *note)
{
	char *line = strdup(note);

	for (char *c = line; c && *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	return line;
}

/* What is shown of the parameters without reading them. */
static int note_params(struct job *job, const struct params *params)
{
	job->texture_size = params_has_texture_size(params) ? (uint32_t)params_texture_size(params)
							    : 0;
	return job_set(&job->image_url, params_image_url(params));
}

/* Makes AFTER what it shall be. Gives the actions. */
static int prepare(struct engine *engine, const struct change *change, const struct job *before,
		   struct job *after, char **line)
{
	int actions = JOB_DO_NOTHING, r;

	if (change->attempt && change->attempt != after->attempts)
		return -ESTALE;
	r = change->edit ? change->edit(engine, after, change->arg) : 0;
	if (r < 0)
		return r;
	if (change->event)
		actions = job_apply(after, change->event);
	else if (!change->contents)
		after->changed_ms = engine_wall(engine);
	if (actions < 0)
		return actions;
	r = change->params ? note_params(after, change->params) : 0;
	if (r == 0 && change->event && change->event->kind == JOB_EVENT_SUBMIT)
		r = engine_afford(engine, change->event);
	if (r < 0)
		return r;
	if (before && settle_name(engine, after) < 0)
		return -ENOMEM;
	if (change->event)
		*line = job_describe(before, after, change->event);
	else if (change->note)
		*line = one_line(change->note);
	return *line || (!change->event && !change->note) ? actions : -ENOMEM;
}

/* A change on its way. */
struct step {
	struct change *change;
	const struct job *before; /* NULL: a new job */
	struct job *after;
	struct entry *entry; /* of a new job, until it is shown */
	char *line;
	struct engine_watch *fired;
};

/* Commits those steps that have not failed yet. */
static int commit(struct engine *engine, struct step *steps, size_t count)
{
	struct store_change *changes = calloc(count, sizeof(*changes));
	size_t kept = 0;
	int r = changes ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (steps[i].change->result < 0)
			continue;
		changes[kept].job = steps[i].after;
		changes[kept].texts = steps[i].change->texts;
		changes[kept++].texts.log_line = steps[i].line;
	}
	if (kept)
		r = store_apply(engine->store, changes, kept);
	free(changes);
	return r;
}

/* Takes those watches of ENTRY that JOB fires (NULL: all of them); linked by next. */
static struct engine_watch *collect_locked(struct entry *entry, const struct job *job)
{
	struct engine_watch *fired = NULL, *watch, *next;

	for (watch = entry->watches; watch; watch = next) {
		next = watch->next;
		if (job && !watch->until(job))
			continue;
		engine_unlink_watch_locked(entry, watch);
		watch->next = fired;
		fired = watch;
	}
	return fired;
}

/* Shows AFTER (reference taken over). NEW is its entry when it is a new job. */
static struct engine_watch *publish(struct engine *engine, struct entry *new,
				    const struct job *after, int actions, bool unsaved)
{
	struct engine_watch *fired;
	struct entry *entry = new;

	pthread_mutex_lock(&engine->table_lock);
	if (new) {
		new->number = after->number;
		new->job = after;
		table_add(&engine->table, new);
	} else {
		entry = table_find(&engine->table, after->number);
		job_put(table_swap(&engine->table, entry, after));
	}
	engine_perform_locked(engine, entry, actions);
	if (unsaved && !entry->unsaved)
		engine_arm_locked(engine, entry, QUEUE_SAVE, engine->conf.sched.retry_min_ms);
	if (!unsaved)
		engine_disarm_locked(engine, entry, QUEUE_SAVE);
	entry->unsaved = unsaved;
	fired = collect_locked(entry, after);
	pthread_mutex_unlock(&engine->table_lock);
	return fired;
}

static void tell(struct engine *engine, const struct job *before, const struct job *after,
		 struct engine_watch *fired)
{
	if (engine->observer && engine->observer->changed)
		engine->observer->changed(engine->observer->ctx, before, after);
	while (fired) {
		/* The owner may free it as soon as it fires. */
		struct engine_watch *next = fired->next;
		fired->next = fired->prev = NULL;
		fired->fire(fired);
		fired = next;
	}
}

static void log_refusal(const struct change *change, const struct job *after, int r)
{
	if (!after->number) {
		log_errno(r, "a new job could not be recorded");
		return;
	}
	log_errno(r, "job %" PRIu64 " could not be recorded", after->number);
	if (change->heard && after->request_id)
		log_error("job %" PRIu64 ": its request id is %s", after->number,
			  after->request_id);
}

/* Finds the job and makes it what it shall be; STEP is the ORDINALth of its commit. */
static void begin_step(struct engine *engine, struct step *step, size_t ordinal)
{
	struct change *change = step->change;

	if (!change->fresh) {
		engine_save(engine, change->number);
		step->before = engine_get(engine, change->number);
	}
	step->after = step->before ? job_copy(step->before) : change->fresh;
	if (!step->after) {
		change->result = step->before ? -ENOMEM : -ENOENT;
		return;
	}
	step->after->revision += !change->contents;
	change->result = prepare(engine, change, step->before, step->after, &step->line);
	if (change->result < 0 || step->before)
		return;
	step->entry = engine_entry_new(engine, ordinal);
	if (!step->entry)
		change->result = -ENOMEM;
}

/* Shows what was committed, R being 0, or what is true all the same. */
static void finish_step(struct engine *engine, struct step *step, int r)
{
	struct change *change = step->change;

	if (change->result < 0)
		return;
	if (r < 0)
		log_refusal(change, step->after, r);
	if (r < 0 && !change->heard) {
		change->result = r;
		return;
	}
	/* Only now a new job's number is known, which may be in its name. Where this is not
	 * recorded, the next change does it. */
	if (!step->before && settle_name(engine, step->after) > 0)
		store_update(engine->store, step->after, NULL);
	step->fired = publish(engine, step->entry, job_get(step->after), change->result, r < 0);
	step->entry = NULL;
	change->number = step->after->number;
	engine_keep_image(engine, table_find(&engine->table, change->number), step->after);
}

static void change_locked(struct engine *engine, struct step *steps, size_t count)
{
	int r;

	engine->spent = -1;
	for (size_t i = 0; i < count; i++)
		begin_step(engine, &steps[i], i + 1);
	r = commit(engine, steps, count);
	for (size_t i = 0; i < count; i++)
		finish_step(engine, &steps[i], r);
}

static void end_step(struct engine *engine, struct step *step, bool *wake)
{
	struct change *change = step->change;

	if (change->result >= 0) {
		tell(engine, step->before, step->after, step->fired);
		*wake |= change->heard || (change->result & (JOB_DO_SEND | JOB_DO_POLL));
	}
	entry_free(step->entry);
	free(step->line);
	job_put(step->before);
	job_put(step->after);
}

void engine_change_all(struct engine *engine, struct change *changes, size_t count)
{
	struct step one = { 0 }, *steps = count == 1 ? &one : calloc(count, sizeof(*steps));
	bool wake = false;

	for (size_t i = 0; i < count; i++) {
		changes[i].result = -ENOMEM;
		if (steps)
			steps[i].change = &changes[i];
		else
			job_put(changes[i].fresh);
	}
	if (!steps)
		return;
	pthread_mutex_lock(&engine->write);
	change_locked(engine, steps, count);
	pthread_mutex_unlock(&engine->write);
	for (size_t i = 0; i < count; i++)
		end_step(engine, &steps[i], &wake);
	if (wake)
		engine->remote->wake(engine->remote->ctx);
	if (steps != &one)
		free(steps);
}

int engine_change(struct engine *engine, struct change *change)
{
	engine_change_all(engine, change, 1);
	return change->result;
}

/* What users do */

struct job *engine_fresh(struct engine *engine, const char *label, const struct engine_owner *owner)
{
	struct job *job = job_new();

	if (!job)
		return NULL;
	job->created_ms = engine_wall(engine);
	job->uid = owner->uid;
	job->gid = owner->gid;
	job->mode = owner->mode;
	if (job_set(&job->label, label) == 0)
		return job;
	job_put(job);
	return NULL;
}

/* Names a job: its directory and its label. ARG is the name. */
static int edit_name(struct engine *engine, struct job *job, void *arg)
{
	const char *name = arg;

	if (strlen(name) >= JOB_NAME_MAX)
		return -ENAMETOOLONG;
	if (engine_name_taken(engine, name, job->number))
		return -EEXIST;
	if (job_set(&job->name, name) < 0 || job_set(&job->label, name) < 0)
		return -ENOMEM;
	return 0;
}

int engine_create(struct engine *engine, const char *name, const struct engine_owner *owner,
		  uint64_t *number)
{
	struct change change = {
		.fresh = engine_fresh(engine, name, owner),
		.edit = edit_name,
		.arg = (char *)name,
		.note = "DRAFT",
	};
	int r = change.fresh ? engine_change(engine, &change) : -ENOMEM;

	if (r >= 0)
		*number = change.number;
	return r < 0 ? r : 0;
}

int engine_rename(struct engine *engine, uint64_t number, const char *name)
{
	struct change change = {
		.number = number,
		.edit = edit_name,
		.arg = (char *)name,
		.note = "renamed",
	};

	return engine_change(engine, &change);
}

static int edit_hidden(struct engine *engine, struct job *job, void *arg)
{
	(void)engine;
	if (job->state == JOB_SUBMITTING)
		return -EBUSY;
	job->hidden |= *(const uint32_t *)arg;
	return 0;
}

int engine_hide(struct engine *engine, uint64_t number, uint32_t kinds)
{
	struct change change = { .number = number, .edit = edit_hidden, .arg = &kinds };

	return engine_change(engine, &change);
}

static int edit_shown(struct engine *engine, struct job *job, void *arg)
{
	(void)engine;
	job->hidden &= ~*(const uint32_t *)arg;
	return 0;
}

int engine_show(struct engine *engine, uint64_t number, uint32_t kinds)
{
	struct change change = { .number = number, .edit = edit_shown, .arg = &kinds };

	return engine_change(engine, &change);
}

static int edit_owner(struct engine *engine, struct job *job, void *arg)
{
	const struct engine_owner *owner = arg;

	(void)engine;
	job->uid = owner->uid;
	job->gid = owner->gid;
	job->mode = owner->mode;
	return 0;
}

int engine_chown(struct engine *engine, uint64_t number, const struct engine_owner *owner)
{
	struct change change = { .number = number,
				 .edit = edit_owner,
				 .arg = (struct engine_owner *)owner };

	return engine_change(engine, &change);
}

static struct engine_watch *withdraw(struct engine *engine, uint64_t number)
{
	struct engine_watch *fired;
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	fired = collect_locked(entry, NULL);
	for (enum queue_kind kind = 0; kind < QUEUES; kind++)
		engine_disarm_locked(engine, entry, kind);
	table_remove(&engine->table, entry);
	pthread_mutex_unlock(&engine->table_lock);
	engine_keep_image(engine, entry, NULL);
	entry_free(entry);
	return fired;
}

int engine_forget(struct engine *engine, uint64_t number)
{
	struct engine_watch *fired = NULL;
	const struct job *job;
	int r = -ENOENT;

	pthread_mutex_lock(&engine->write);
	job = engine_get(engine, number);
	if (job)
		r = job->state == JOB_SUBMITTING ? -EBUSY : store_forget(engine->store, number);
	if (r == 0)
		fired = withdraw(engine, number);
	pthread_mutex_unlock(&engine->write);
	if (r == 0) {
		if (engine->cache)
			output_forget(engine->cache, number);
		tell(engine, job, NULL, fired);
	}
	job_put(job);
	return r;
}
