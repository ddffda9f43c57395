/*
 * engine - the table of jobs and the one way to change it
 *
 * State:      every job has an entry: its published snapshot, its timers (publish, send, poll,
 *             save) and what is under way for it. Requests to the service begin in
 *             engine_tick() and in their callbacks, so on the network thread alone.
 * Invariants:
 *  - what is shown was committed before; the one exception is an answer of the service that the
 *    disk would not take (`unsaved`): it is true all the same, is shown, and is committed as soon
 *    as the disk lets us;
 *  - the numbers in the table only grow, and a change of a job happens under `write`;
 *  - callbacks of requests know a job by its number and attempt: a forgotten or newer one makes
 *    them harmless;
 *  - a job has at most one request of a kind under way, and a POST is begun only for a WAITING one;
 *  - observers and watches are called, and the remote is called, with no lock held.
 */
#include "engine_internal.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part of the shortest interval that a poll may come early. */
#define POLL_EARLY 50

/* A retry further away than this is due to a clock that jumped: Retry-After ends at an hour. */
#define SEND_DELAY_MAX_MS (2 * 3600 * 1000)

/* Uploads at once: two fill most uplinks, and one that hangs must not hold up all. */
#define PUBLICATIONS_MAX 4

int64_t engine_wall(const struct engine *engine)
{
	return engine->world->wall_ms(engine->world->ctx);
}

int64_t engine_mono(const struct engine *engine)
{
	return engine->world->mono_ms(engine->world->ctx);
}

uint64_t engine_random(const struct engine *engine)
{
	return engine->world->random(engine->world->ctx);
}

struct engine *engine_new(const struct engine_conf *conf, const struct world *world,
			  struct store *store, const struct remote *remote,
			  const struct engine_observer *observer)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	char *gateway = strdup(conf->gateway);

	if (!engine || !gateway || table_init(&engine->table) < 0) {
		free(engine);
		free(gateway);
		errno = ENOMEM;
		return NULL;
	}
	engine->conf = *conf;
	engine->conf.gateway = engine->gateway = gateway;
	engine->world = world;
	engine->store = store;
	engine->remote = remote;
	engine->observer = observer;
	engine->slow = sched_policy_called_back(&conf->sched);
	pthread_mutex_init(&engine->write, NULL);
	pthread_mutex_init(&engine->table_lock, NULL);
	for (int kind = 0; kind < QUEUES; kind++) {
		sched_init(&engine->queues[kind].sched);
		engine->queues[kind].max = 1;
	}
	engine->queues[QUEUE_PUBLISH].max = PUBLICATIONS_MAX;
	if (conf->max_submissions)
		engine->queues[QUEUE_SEND].max = conf->max_submissions;
	if (conf->max_polls)
		engine->queues[QUEUE_POLL].max = conf->max_polls;
	return engine;
}

/* With its line in the log, which is to have every request id. */
static int save_late(struct engine *engine, const struct job *job)
{
	struct job_event event = { .kind = JOB_EVENTS,
				   .reason = "recorded late: the disk had refused it" };
	char *line = job_describe(NULL, job, &event);
	struct job *late = job_copy(job);
	int r = late ? store_update(engine->store, late, &(struct store_texts){ .log_line = line })
		     : -ENOMEM;

	if (r == 0) {
		pthread_mutex_lock(&engine->table_lock);
		job_put(table_swap(&engine->table, table_find(&engine->table, late->number), late));
		pthread_mutex_unlock(&engine->table_lock);
	} else {
		job_put(late);
	}
	free(line);
	return r;
}

void engine_set_cache(struct engine *engine, struct output_cache *cache)
{
	engine->cache = cache;
}

void engine_set_publisher(struct engine *engine, const struct publisher *publisher)
{
	engine->publisher = publisher;
}

void engine_set_spool(struct engine *engine, struct spool *spool)
{
	engine->spool = spool;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	for (uint64_t number = 0;;) {
		struct entry *entry = table_after(&engine->table, number);
		if (!entry)
			break;
		number = entry->number;
		if (entry->unsaved && save_late(engine, entry->job) < 0)
			log_error("job %" PRIu64 " (%s): its last state could not be recorded",
				  number, entry->job->request_id ? entry->job->request_id : "-");
	}
	for (int kind = 0; kind < QUEUES; kind++)
		sched_release(&engine->queues[kind].sched);
	table_release(&engine->table);
	params_free(engine->defaults);
	pthread_mutex_destroy(&engine->write);
	pthread_mutex_destroy(&engine->table_lock);
	free(engine->gateway);
	free(engine);
}

/* Timers */

void engine_arm_locked(struct engine *engine, struct entry *entry, enum queue_kind kind,
		       int64_t delay_ms)
{
	/* What is under way arms the timer anew when it ends. */
	if (entry->busy[kind])
		return;
	if (sched_set(&engine->queues[kind].sched, &entry->timers[kind],
		      engine_mono(engine) + delay_ms) < 0)
		log_error("job %" PRIu64 ": no memory for a timer; it rests until the next mount",
			  entry->number);
}

void engine_disarm_locked(struct engine *engine, struct entry *entry, enum queue_kind kind)
{
	sched_clear(&engine->queues[kind].sched, &entry->timers[kind]);
}

enum queue_kind engine_send_queue(const struct job *job)
{
	return job->image && job->state == JOB_WAITING ? QUEUE_PUBLISH : QUEUE_SEND;
}

static int64_t send_delay(const struct engine *engine, const struct job *job)
{
	int64_t delay = job->retry_at_ms ? job->retry_at_ms - engine_wall(engine) : 0;

	if (delay < 0)
		return 0;
	return delay < SEND_DELAY_MAX_MS ? delay : SEND_DELAY_MAX_MS;
}

int64_t engine_poll_delay_locked(const struct engine *engine, const struct entry *entry)
{
	const struct job *job = entry->job;

	if (entry->hinted && entry->retry_after_ms < 0)
		return engine_hint_delay(engine, entry);
	/* The job has ended, or we do not know its id; it is asked for something else. */
	if (!job_is(job, JOB_POLLED_STATES))
		return sched_retry_delay(&engine->conf.sched,
					 entry->poll_failures ? entry->poll_failures : 1,
					 entry->retry_after_ms, engine_random(engine));
	return sched_poll_delay(engine_pace(engine, entry), engine_wall(engine) - job->submitted_ms,
				entry->poll_failures, entry->retry_after_ms, engine_random(engine));
}

void engine_perform_locked(struct engine *engine, struct entry *entry, int actions)
{
	if (actions == JOB_DO_NOTHING)
		return;
	engine_disarm_locked(engine, entry, QUEUE_PUBLISH);
	engine_disarm_locked(engine, entry, QUEUE_SEND);
	engine_disarm_locked(engine, entry, QUEUE_POLL);
	if ((actions & JOB_DO_SEND) && !engine->conf.read_only)
		engine_arm_locked(engine, entry, engine_send_queue(entry->job),
				  send_delay(engine, entry->job));
	if (actions & JOB_DO_POLL)
		engine_arm_locked(engine, entry, QUEUE_POLL,
				  engine_poll_delay_locked(engine, entry));
}

void engine_arm(struct engine *engine, enum queue_kind kind, uint64_t number, int64_t delay_ms)
{
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	if (entry)
		engine_arm_locked(engine, entry, kind, delay_ms);
	pthread_mutex_unlock(&engine->table_lock);
}

unsigned engine_poll_again(struct engine *engine, uint64_t number, bool failed,
			   int64_t retry_after_ms)
{
	struct entry *entry;
	unsigned failures = 0;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	if (entry) {
		failures = entry->poll_failures = failed ? entry->poll_failures + 1 : 0;
		entry->retry_after_ms = retry_after_ms;
		if (job_is_polled(entry->job))
			engine_arm_locked(engine, entry, QUEUE_POLL,
					  engine_poll_delay_locked(engine, entry));
	}
	pthread_mutex_unlock(&engine->table_lock);
	return failures;
}

void engine_idle(struct engine *engine, enum queue_kind kind, uint64_t number)
{
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	engine->queues[kind].busy--;
	entry = table_find(&engine->table, number);
	if (entry)
		entry->busy[kind] = false;
	pthread_mutex_unlock(&engine->table_lock);
}

/* The next job whose timer of KIND is due, with its place in the queue taken; 0: none, or the queue
 * is full. */
static uint64_t next_due(struct engine *engine, enum queue_kind kind, int64_t now_ms)
{
	struct queue *queue = &engine->queues[kind];
	struct sched_timer *timer = NULL;
	uint64_t number = 0;

	pthread_mutex_lock(&engine->table_lock);
	/* Polls that are due soon go with those that are due now: many jobs cost few awakenings. */
	if (kind == QUEUE_POLL)
		now_ms += engine->conf.sched.poll_min_ms / POLL_EARLY;
	if (queue->busy < queue->max)
		timer = sched_pop(&queue->sched, now_ms);
	if (timer) {
		struct entry *entry = (struct entry *)(void *)((char *)(timer - kind) -
							       offsetof(struct entry, timers));
		entry->busy[kind] = true;
		if (kind == QUEUE_POLL)
			engine_hint_taken_locked(engine, entry);
		queue->busy++;
		number = entry->number;
	}
	pthread_mutex_unlock(&engine->table_lock);
	return number;
}

static int64_t next_delay(struct engine *engine)
{
	int64_t due = INT64_MAX, now = engine_mono(engine);

	pthread_mutex_lock(&engine->table_lock);
	for (int kind = 0; kind < QUEUES; kind++) {
		struct queue *queue = &engine->queues[kind];
		/* A full queue goes on when a request ends, and not before. */
		if (queue->busy < queue->max && sched_next(&queue->sched) < due)
			due = sched_next(&queue->sched);
	}
	pthread_mutex_unlock(&engine->table_lock);
	if (due == INT64_MAX)
		return due;
	return due > now ? due - now : 0;
}

static bool take_unsaved(struct engine *engine, uint64_t number, const struct job **job)
{
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	*job = entry && entry->unsaved ? job_get(entry->job) : NULL;
	pthread_mutex_unlock(&engine->table_lock);
	return *job != NULL;
}

static void saved(struct engine *engine, uint64_t number, bool success)
{
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, number);
	entry->unsaved = !success;
	entry->busy[QUEUE_SAVE] = false;
	if (success)
		entry->save_failures = 0;
	else
		engine_arm_locked(engine, entry, QUEUE_SAVE,
				  sched_retry_delay(&engine->conf.sched, ++entry->save_failures, -1,
						    engine_random(engine)));
	pthread_mutex_unlock(&engine->table_lock);
}

void engine_save(struct engine *engine, uint64_t number)
{
	const struct job *job;

	/* `write` keeps both the entry and its snapshot. */
	if (take_unsaved(engine, number, &job))
		saved(engine, number, save_late(engine, job) == 0);
	job_put(job);
}

static void save(struct engine *engine, uint64_t number)
{
	const struct job *job;

	pthread_mutex_lock(&engine->write);
	engine_save(engine, number);
	pthread_mutex_unlock(&engine->write);
	job = engine_get(engine, number);
	if (job && engine->observer && engine->observer->changed)
		engine->observer->changed(engine->observer->ctx, job, job);
	job_put(job);
	engine_idle(engine, QUEUE_SAVE, number);
}

int64_t engine_tick(struct engine *engine)
{
	static void (*const activities[QUEUES])(struct engine *, uint64_t) = {
		[QUEUE_PUBLISH] = engine_publish,
		[QUEUE_SEND] = engine_send,
		[QUEUE_POLL] = engine_poll,
		[QUEUE_SAVE] = save,
	};
	int64_t now = engine_mono(engine);
	uint64_t number;

	for (enum queue_kind kind = 0; kind < QUEUES; kind++)
		while ((number = next_due(engine, kind, now)) != 0)
			activities[kind](engine, number);
	return next_delay(engine);
}

/* Loading */

static int take_loaded(void *arg, struct job *job)
{
	struct engine *engine = arg;
	struct entry *entry = engine_entry_new(engine, 1);

	if (!entry) {
		job_put(job);
		return -ENOMEM;
	}
	entry->number = job->number;
	entry->job = job;
	entry->loaded_attempt = job->attempts;
	engine_keep_image(engine, entry, job);
	pthread_mutex_lock(&engine->table_lock);
	table_add(&engine->table, entry);
	pthread_mutex_unlock(&engine->table_lock);
	return 0;
}

/* Goes on with what needs no commit. The first polls are spread over time: no storm. */
static int resume(struct engine *engine, const struct job *job)
{
	struct job_event event = { .kind = JOB_EVENT_RESTART, .now_ms = engine_wall(engine) };
	struct job *copy = job_copy(job);
	int actions = copy ? job_apply(copy, &event) : -ENOMEM;
	int64_t spread = engine->conf.sched.poll_max_ms;

	job_put(copy);
	if (actions < 0)
		return actions;
	if ((actions & JOB_DO_SEND) && !engine->conf.read_only)
		engine_arm(engine, engine_send_queue(job), job->number, send_delay(engine, job));
	if (actions & JOB_DO_POLL)
		engine_arm(engine, QUEUE_POLL, job->number,
			   spread > 0 ? (int64_t)(engine_random(engine) % (uint64_t)spread) : 0);
	return 0;
}

int engine_load(struct engine *engine)
{
	const struct job *job;
	uint64_t number = 0;
	int r = engine_load_defaults(engine);

	if (r == 0)
		r = store_load(engine->store, take_loaded, engine);

	while (r == 0 && (job = engine_next(engine, number)) != NULL) {
		number = job->number;
		r = job->state == JOB_SUBMITTING ? engine_recover(engine, job)
						 : resume(engine, job);
		job_put(job);
	}
	return r;
}

/* Looking */

static const struct job *job_of(const struct entry *entry)
{
	return entry ? job_get(entry->job) : NULL;
}

const struct job *engine_get(struct engine *engine, uint64_t number)
{
	const struct job *job;

	pthread_mutex_lock(&engine->table_lock);
	job = job_of(table_find(&engine->table, number));
	pthread_mutex_unlock(&engine->table_lock);
	return job;
}

static const struct job *look_up(struct engine *engine, enum table_key key, const char *text)
{
	const struct job *job;

	pthread_mutex_lock(&engine->table_lock);
	job = job_of(table_lookup(&engine->table, key, text));
	pthread_mutex_unlock(&engine->table_lock);
	return job;
}

const struct job *engine_find(struct engine *engine, const char *name)
{
	return look_up(engine, KEY_NAME, name);
}

const struct job *engine_find_request(struct engine *engine, const char *request_id)
{
	return look_up(engine, KEY_REQUEST, request_id);
}

const struct job *engine_find_label(struct engine *engine, const char *label)
{
	return look_up(engine, KEY_LABEL, label);
}

const struct job *engine_find_origin(struct engine *engine, const char *origin)
{
	return look_up(engine, KEY_ORIGIN, origin);
}

const struct job *engine_latest(struct engine *engine)
{
	const struct job *job;

	pthread_mutex_lock(&engine->table_lock);
	job = job_of(table_latest(&engine->table));
	pthread_mutex_unlock(&engine->table_lock);
	return job;
}

const struct job *engine_next(struct engine *engine, uint64_t after)
{
	const struct job *job;

	pthread_mutex_lock(&engine->table_lock);
	job = job_of(table_after(&engine->table, after));
	pthread_mutex_unlock(&engine->table_lock);
	return job;
}

int engine_text(struct engine *engine, uint64_t number, enum job_text which, char **out,
		size_t *len)
{
	return store_text(engine->store, number, which, out, len);
}

/* Waiting */

bool engine_submission_settled(const struct job *job)
{
	if (job->state == JOB_WAITING)
		return job->failures > 0;
	return job->state != JOB_SUBMITTING && !job->claim;
}

bool engine_attachment_settled(const struct job *job)
{
	return job->word || !job_is(job, JOB_POLLED_STATES);
}

bool engine_job_ended(const struct job *job)
{
	return job_is(job, JOB_TERMINAL_STATES | JOB_IN(JOB_UNCERTAIN) | JOB_IN(JOB_DRAFT)) &&
	       !job_will_retry(job) && !job->claim;
}

bool engine_watch(struct engine *engine, struct engine_watch *watch)
{
	struct entry *entry;

	pthread_mutex_lock(&engine->table_lock);
	entry = table_find(&engine->table, watch->number);
	watch->watching = entry && !watch->until(entry->job);
	if (watch->watching) {
		watch->prev = NULL;
		watch->next = entry->watches;
		if (watch->next)
			watch->next->prev = watch;
		entry->watches = watch;
	}
	/* Read here: once the lock is gone it may fire, and its owner may free it. */
	bool watching = watch->watching;
	pthread_mutex_unlock(&engine->table_lock);
	return watching;
}

void engine_unlink_watch_locked(struct entry *entry, struct engine_watch *watch)
{
	*(watch->prev ? &watch->prev->next : &entry->watches) = watch->next;
	if (watch->next)
		watch->next->prev = watch->prev;
	watch->watching = false;
}

bool engine_unwatch(struct engine *engine, struct engine_watch *watch)
{
	bool watching;

	pthread_mutex_lock(&engine->table_lock);
	watching = watch->watching;
	if (watching)
		engine_unlink_watch_locked(table_find(&engine->table, watch->number), watch);
	pthread_mutex_unlock(&engine->table_lock);
	return watching;
}
