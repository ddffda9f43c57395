/*
 * engine_world - a simulated world for the engine's tests
 *
 * The store is the real one in a temporary directory, on a disk that can be made full, fail to
 * sync, or be copied as it is in the middle of a write; the clock stands until it is moved; the
 * service is a list of requests under way, which the test answers by hand. `posts` counts the POST
 * bodies that the service received in full: what was paid for.
 */
#ifndef ENGINE_WORLD_H
#define ENGINE_WORLD_H

#include "engine.h"
#include "faulty_disk.h"

#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR 3600000

#define ENDED(word, error)                                                                         \
	"{\"request_id\": \"pixal3d_1\", \"status\": \"" word "\", \"error\": " error              \
	", \"output\": null}"

#define GATEWAY   "https://gateway.example"
#define IMAGE     "{\"image_url\": \"https://example.com/dog.png\"}"
#define ACCEPTED  "{\"request_id\": \"pixal3d_1\", \"status\": \"QUEUED\"}"
#define MEDIA_URL "https://cdn.example/pixal3d_1/output.glb"
#define RUNNING   "{\"request_id\": \"pixal3d_1\", \"status\": \"PROCESSING\", \"output\": null}"
#define COMPLETED                                                                                  \
	"{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\", \"output\": {\"media_url\": "  \
	"[\"" MEDIA_URL "\"], \"media_type\": \"model/glb\"}}"

enum call_kind { CALL_SUBMIT, CALL_STATUS, CALL_HEAD, CALL_FETCH };

struct call {
	enum call_kind kind;
	char *url, *body; /* of a submission, url is where it wants to be called back; or NULL */
	int (*sending)(void *arg);
	void (*replied)(void *arg, const struct remote_reply *reply);
	void (*sized)(void *arg, const struct remote_object *object);
	void (*fetched)(void *arg, const struct remote_object *result);
	void *arg;
	bool received;
	struct call *next;
};

struct sim {
	struct store *store;
	struct engine *engine;
	struct engine_conf conf;
	struct world world;
	struct remote remote;
	struct engine_observer observer;
	const char *images; /* the directory of the spool; NULL: none */
	struct spool *spool;
	const struct publisher *publisher;
	_Atomic int64_t now_ms;
	int64_t wall_jump_ms;
	_Atomic uint64_t seed;
	uint64_t secrets;   /* drawn */
	struct call *calls; /* oldest first; network thread only */
	unsigned posts;     /* fully received */
	unsigned polls, heads;
	int refuse; /* what the next operation gives, instead of beginning */
	_Atomic unsigned changes, wakes;
};

static struct sim sim;

/* The clock and the service. */

static inline int64_t sim_wall(void *ctx)
{
	(void)ctx;
	return 1779456000000 + sim.now_ms + sim.wall_jump_ms;
}

static inline int64_t sim_mono(void *ctx)
{
	(void)ctx;
	return 1000000 + sim.now_ms;
}

static inline uint64_t sim_random(void *ctx)
{
	(void)ctx;
	return atomic_fetch_add(&sim.seed, 0x9e3779b97f4a7c15u) >> 16;
}

/* Each differs from the one before. */
static inline int sim_secret(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 0, len);
	memcpy(out, &(uint64_t){ ++sim.secrets }, sizeof(uint64_t));
	return 0;
}

static inline struct call *add_call(enum call_kind kind, const char *url, void *arg)
{
	struct call *call = calloc(1, sizeof(*call)), **at = &sim.calls;

	if (!call)
		abort();
	call->kind = kind;
	call->url = url ? strdup(url) : NULL;
	call->arg = arg;
	while (*at)
		at = &(*at)->next;
	return *at = call;
}

static inline int refused_to_begin(void)
{
	int r = sim.refuse;

	sim.refuse = 0;
	return r;
}

static inline int sim_submit(void *ctx, const struct remote_submit *submit)
{
	struct call *call;
	int r = refused_to_begin();

	(void)ctx;
	if (r < 0)
		return r;
	call = add_call(CALL_SUBMIT, submit->callback_url, submit->arg);
	call->body = strndup(submit->body, submit->len);
	call->sending = submit->sending;
	call->replied = submit->done;
	return 0;
}

static inline int sim_status(void *ctx, const char *url,
			     void (*done)(void *arg, const struct remote_reply *reply), void *arg)
{
	int r = refused_to_begin();

	(void)ctx;
	if (r < 0)
		return r;
	sim.polls++;
	add_call(CALL_STATUS, url, arg)->replied = done;
	return 0;
}

static inline int sim_head(void *ctx, const char *url,
			   void (*done)(void *arg, const struct remote_object *object), void *arg)
{
	int r = refused_to_begin();

	(void)ctx;
	if (r < 0)
		return r;
	sim.heads++;
	add_call(CALL_HEAD, url, arg)->sized = done;
	return 0;
}

static inline int sim_fetch(void *ctx, const struct remote_fetch *fetch, uint64_t *id)
{
	(void)ctx;
	*id = 0;
	add_call(CALL_FETCH, fetch->url, fetch->arg)->fetched = fetch->done;
	return 0;
}

static inline void sim_cancel(void *ctx, uint64_t id)
{
	(void)ctx, (void)id;
}

static inline void sim_wake(void *ctx)
{
	(void)ctx;
	sim.wakes++;
}

static inline void sim_changed(void *ctx, const struct job *before, const struct job *after)
{
	(void)ctx;
	ck_assert(before || after);
	sim.changes++;
}

/* Takes the oldest request of KIND that is under way; NULL: none. */
static inline struct call *take_call(enum call_kind kind)
{
	struct call **at = &sim.calls, *call;

	while (*at && (*at)->kind != kind)
		at = &(*at)->next;
	call = *at;
	if (call)
		*at = call->next;
	return call;
}

static inline void free_call(struct call *call)
{
	free(call->url);
	free(call->body);
	free(call);
}

static inline void reply(struct call *call, const struct remote_reply *reply)
{
	call->replied(call->arg, reply);
	free_call(call);
}

static inline void answer(struct call *call, long http_status, const char *body)
{
	reply(call, &(struct remote_reply){ .sent = true,
					    .http_status = http_status,
					    .retry_after_ms = -1,
					    .body = body,
					    .body_len = strlen(body),
					    .detail = "" });
}

/* No whole answer. */
static inline void fault(struct call *call, enum remote_fault fault, bool sent)
{
	reply(call, &(struct remote_reply){ .fault = fault,
					    .sent = sent,
					    .retry_after_ms = -1,
					    .detail = remote_fault_name(fault) });
}

static inline void object(struct call *call, long http_status, int64_t size)
{
	call->sized(call->arg, &(struct remote_object){ .http_status = http_status,
							.size = size,
							.mtime_s = 1779450000,
							.etag = "\"abc\"",
							.detail = "" });
	free_call(call);
}

/* Lets the service receive the whole POST. */
static inline int receive(struct call *call)
{
	int r;

	ck_assert_ptr_nonnull(call);
	r = call->sending(call->arg);
	call->received = r == 0;
	sim.posts += call->received;
	return r;
}

/* The driver's life. */

static inline void start_driver(void)
{
	char error[STORE_ERROR_MAX];
	int r;

	log_synced = log_size(disk_dir);
	r = store_open(disk_dir, "/mnt/p3d", &sim.store, error);

	ck_assert_msg(r == 0, "%s", error);
	sim.engine = engine_new(&sim.conf, &sim.world, sim.store, &sim.remote, &sim.observer);
	ck_assert_ptr_nonnull(sim.engine);
	if (sim.images)
		ck_assert_int_eq(spool_open(sim.images, &sim.spool), 0);
	engine_set_spool(sim.engine, sim.spool);
	engine_set_publisher(sim.engine, sim.publisher);
	ck_assert_int_eq(engine_load(sim.engine), 0);
}

static inline void stop_driver(void)
{
	while (sim.calls) {
		struct call *call = sim.calls;
		sim.calls = call->next;
		if (call->kind != CALL_HEAD) {
			fault(call, REMOTE_STOPPED, call->received);
			continue;
		}
		call->sized(call->arg, &(struct remote_object){
					       .fault = REMOTE_STOPPED, .size = -1, .detail = "" });
		free_call(call);
	}
	engine_free(sim.engine);
	store_close(sim.store);
	spool_close(sim.spool);
	sim.spool = NULL;
}

/* The driver is gone; the next one finds the disk as it was copied to COPY. */
static inline void restart_from(const char *copy)
{
	stop_driver();
	remove_dir(disk_dir);
	strcpy(disk_dir, copy);
	start_driver();
}

/* Pulls the plug: the next driver sees the disk as it is at this moment. */
static inline void crash(void)
{
	char copy[DISK_DIR_MAX];

	other_dir(copy);
	copy_dir(disk_dir, copy);
	if (power_cut_loses)
		lose_unsynced(copy);
	restart_from(copy);
}

static inline void sim_setup(void)
{
	sim = (struct sim){
		.conf = { .gateway = GATEWAY, .max_submissions = 2, .max_polls = 2 },
		.world = { .wall_ms = sim_wall,
			   .mono_ms = sim_mono,
			   .random = sim_random,
			   .secret = sim_secret },
		.remote = { .submit = sim_submit,
			    .status = sim_status,
			    .head = sim_head,
			    .fetch = sim_fetch,
			    .cancel = sim_cancel,
			    .wake = sim_wake },
		.observer = { .changed = sim_changed },
	};
	sim.conf.sched = sched_policy_default();
	sim.conf.prices = price_list_default();
	snprintf(disk_dir, DISK_DIR_MAX, "%s/p3d-engine-XXXXXX", disk_at);
	ck_assert_ptr_nonnull(mkdtemp(disk_dir));
	make_disk();
	start_driver();
}

static inline void sim_teardown(void)
{
	stop_driver();
	remove_dir(disk_dir);
}

/* Moves the clock, and gives the network thread its turn at every moment it asked for. */
static inline void pass(int64_t ms)
{
	int64_t end = sim.now_ms + ms;

	for (;;) {
		int64_t delay = engine_tick(sim.engine);
		if (delay > end - sim.now_ms)
			break;
		sim.now_ms += delay;
	}
	sim.now_ms = end;
}

/* Jobs. */

static const struct engine_owner somebody = { .uid = 1000, .gid = 1000, .mode = 0700 };

static inline int submit_as(uint64_t *number, const char *label)
{
	struct params *params = NULL;
	char error[PARAMS_ERROR_MAX];
	int r;

	ck_assert_int_eq(params_parse(IMAGE, strlen(IMAGE), &params, error), PARAMS_OK);
	r = engine_submit(sim.engine, number, label, &somebody, params);
	params_free(params);
	return r;
}

static inline uint64_t submit(void)
{
	uint64_t number = 0;

	ck_assert_int_eq(submit_as(&number, "dog"), 0);
	pass(0);
	return number;
}

/* A job that the service has taken. */
static inline uint64_t accepted_job(void)
{
	uint64_t number = submit();
	struct call *post = take_call(CALL_SUBMIT);

	ck_assert_int_eq(receive(post), 0);
	answer(post, 202, ACCEPTED);
	return number;
}

static inline enum job_state state_of(uint64_t number)
{
	const struct job *job = engine_get(sim.engine, number);
	enum job_state state = job ? job->state : JOB_STATES;

	job_put(job);
	return state;
}

#define expect_state(number, expected)                                                             \
	ck_assert_str_eq(job_state_name(state_of(number)), job_state_name(expected))

/* The job's error has PART in it; NULL: it has none. */
static inline void expect_error(uint64_t number, const char *part)
{
	const struct job *job = engine_get(sim.engine, number);

	ck_assert_ptr_nonnull(job);
	if (part)
		ck_assert_msg(job->error && strstr(job->error, part), "\"%s\" is not in \"%s\"",
			      part, job->error ? job->error : "");
	else
		ck_assert_msg(!job->error, "%s", job->error);
	job_put(job);
}

static inline void expect_text(uint64_t number, enum job_text which, const char *part)
{
	char *text = NULL;
	size_t len;

	ck_assert_int_eq(engine_text(sim.engine, number, which, &text, &len), 0);
	ck_assert_msg(strstr(text, part), "\"%s\" is not in \"%s\"", part, text);
	free(text);
}

static inline struct call *next_call(enum call_kind kind)
{
	struct call *call = take_call(kind);

	ck_assert_ptr_nonnull(call);
	return call;
}

static inline struct call *next_post(void)
{
	return next_call(CALL_SUBMIT);
}

static inline int errno_of(uint64_t number)
{
	const struct job *job = engine_get(sim.engine, number);
	int error = job->error_errno;

	job_put(job);
	return error;
}

static inline void expect_no_post(int64_t ms)
{
	pass(ms);
	ck_assert_ptr_null(take_call(CALL_SUBMIT));
}

static inline struct call *next_poll(void)
{
	pass(11000);
	return next_call(CALL_STATUS);
}

static inline uint64_t completed_job(void)
{
	uint64_t number = accepted_job();

	answer(next_poll(), 200, COMPLETED);
	object(next_call(CALL_HEAD), 200, 1234);
	expect_state(number, JOB_COMPLETED);
	return number;
}

/* A watch that counts. */

struct counter {
	struct engine_watch watch;
	_Atomic unsigned fired;
	bool output_seen;
};

static inline void count(struct engine_watch *watch)
{
	struct counter *counter = (struct counter *)(void *)watch;
	const struct job *job = engine_get(sim.engine, watch->number);

	counter->output_seen = job && job->output_count == 1 && job->outputs[0].size == 1234;
	job_put(job);
	counter->fired++;
}

static inline struct counter waiter(uint64_t number)
{
	return (struct counter){
		.watch = { .number = number, .until = engine_job_ended, .fire = count },
	};
}

#endif
