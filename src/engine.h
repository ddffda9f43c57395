/*
 * engine - runs the jobs
 *
 * Role:    owns the table of jobs; turns requests of the filesystem and answers of the service into
 * events of the state machine (job.h), commits them to the store and only then lets anybody see
 * them; runs polls, retries and size requests. It reads no clock and opens no socket: struct world
 * and struct remote come from outside. Threads: any thread may call, except engine_tick(): network
 * thread only. Locks:   `write` (one change at a time; held across the store's commit) before
 * `table` (moments; readers never wait for a disk). Observers and watches are called with no lock
 * held. Errors:  0 or -errno; the store's errors come through as they are.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include "job.h"
#include "output.h"
#include "params.h"
#include "price.h"
#include "publish.h"
#include "remote.h"
#include "sched.h"
#include "spool.h"
#include "store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Time and chance, from outside. Any thread calls; none blocks. */
struct world {
	void *ctx;
	int64_t (*wall_ms)(void *ctx); /* Unix epoch; may jump */
	int64_t (*mono_ms)(void *ctx); /* never goes back */
	uint64_t (*random)(void *ctx);
	/* LEN bytes that nobody can guess. 0 or -errno. */
	int (*secret)(void *ctx, void *out, size_t len);
};

struct engine_conf {
	const char *gateway; /* api_gateway(); copied */
	struct sched_policy sched;
	unsigned max_submissions; /* POSTs under way at once */
	unsigned max_polls;       /* polls under way at once; they share connections */
	bool submit_sync; /* submit=sync: what is not accepted at once is refused, not kept WAITING
			   */
	struct price_list prices;
	struct price_budget budget; /* no submission passes it */
	unsigned retry_errors; /* so often a job that ended in ERROR is submitted again by itself */
	bool prefetch;         /* fetch outputs when their job completes, before they are read */
	bool read_only;        /* never spends: every submission is -EROFS */
	const char *callback_base; /* submissions ask for callbacks below it; borrowed; NULL: none
				    */
	const char *callback_mode; /* with it: "terminal" or "sync" */
};

struct engine_observer {
	void *ctx;
	/* A job changed, after the new state is visible. BEFORE is NULL for a new job, AFTER for a
	 * forgotten one. No lock is held; any thread. Borrowed. */
	void (*changed)(void *ctx, const struct job *before, const struct job *after);
};

struct engine;

/* Everything is borrowed but CONF (copied). NULL with errno. */
struct engine *engine_new(const struct engine_conf *conf, const struct world *world,
			  struct store *store, const struct remote *remote,
			  const struct engine_observer *observer);
/* The outputs' cache; set once, before engine_load. Its events are engine_output_events(). */
void engine_set_cache(struct engine *engine, struct output_cache *cache);
struct output_events engine_output_events(struct engine *engine);
/* What makes images public (borrowed); set once, before engine_load. NULL, as at first: nothing
 * does, and an image is refused. No done() of it comes after engine_free(). */
void engine_set_publisher(struct engine *engine, const struct publisher *publisher);
/* Where images are until they are published (borrowed); set once, before engine_load. An image is
 * kept until its job is COMPLETED or forgotten, for until then it may have to be sent again; what
 * the engine still keeps when it ends, spool_close() leaves to the next one. */
void engine_set_spool(struct engine *engine, struct spool *spool);

/* Takes every job from the store: what was under way when the driver ended becomes UNCERTAIN (or
 * what the stored answer says), what was WAITING will be sent, what runs will be polled, spread
 * over time. Sends nothing by itself. */
int engine_load(struct engine *engine);

/* Network thread: does what is due. Milliseconds until it wants to be called again. */
int64_t engine_tick(struct engine *engine);

/* After http_stop() and output_cache_free(). */
void engine_free(struct engine *engine);

/* Looking. Every job comes with a reference for the caller: job_put(). NULL: none. */
const struct job *engine_get(struct engine *engine, uint64_t number);
/* By the name of its directory. */
const struct job *engine_find(struct engine *engine, const char *name);
/* By request id, whatever its name. */
const struct job *engine_find_request(struct engine *engine, const char *request_id);
/* The newest with this label (by-name/). */
const struct job *engine_find_label(struct engine *engine, const char *label);
/* The one that this line of a batch made. */
const struct job *engine_find_origin(struct engine *engine, const char *origin);
const struct job *engine_latest(struct engine *engine);
/* The first job with a number above AFTER; NULL at the end. For listings. */
const struct job *engine_next(struct engine *engine, uint64_t after);
/* As store_text(). */
int engine_text(struct engine *engine, uint64_t number, enum job_text which, char **out,
		size_t *len);

/* Doing. */

/* Who makes a job: owner and permission bits of its directory. */
struct engine_owner {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/* A DRAFT called NAME. -EEXIST: a job has this name or request id. */
int engine_create(struct engine *engine, const char *name, const struct engine_owner *owner,
		  uint64_t *number);

/* Keeps PARAMS (borrowed) as a draft's parameters. -EROFS when it is no draft. */
int engine_keep_params(struct engine *engine, uint64_t number, const struct params *params);

/* Buys: makes a job labelled LABEL (*NUMBER 0 on entry) or takes the draft, or the job whose
 * attempt ended, *NUMBER; stores it WAITING and starts sending. PARAMS is complete (image_url set);
 * it gets what the defaults have and it has not, and a drawn seed when it has none. *NUMBER is the
 * job's number after 0: the submission is then durable, and its outcome is seen with
 * engine_watch(). OWNER matters for a new job only. -EROFS: already submitted; -EALREADY: under
 * way; -EDQUOT: the budget has no room for it, and nothing has changed (engine_over_budget() has
 * the words). */
int engine_submit(struct engine *engine, uint64_t *number, const char *label,
		  const struct engine_owner *owner, struct params *params);

/* One of several submissions. */
struct engine_order {
	uint64_t number; /* as engine_submit()'s */
	const char *label;
	const struct engine_owner *owner;
	const char *origin; /* what asks for it; NULL: it is asked for anew every time */
	const char *image; /* a sealed file's name, to which the caller has a reference: what PARAMS
			      have as image_url once it is published; NULL: they have one */
	struct params *params;
	int error; /* out: 0 or -errno. -EEXIST: NUMBER is the job that ORIGIN made before */
};

/* engine_submit() for all ORDERS with few commits. An origin buys once, for ever: where it has made
 * a job, nothing is submitted, but when that job was REFUSED: this is then its next attempt.
 * Origins of one call are different. */
void engine_submit_all(struct engine *engine, struct engine_order *orders, size_t count);

/* Images: a job with one waits while it is published, and is sent then. */

/* What publishes them, for the person ("s3://bucket"); NULL: nothing does. Borrowed. */
const char *engine_publishes(const struct engine *engine);
/* A file came, or grows: what belongs to an image may come yet. Jobs with an image are not sent
 * within two seconds after this, unless it never ends. */
void engine_stir(struct engine *engine);
/* Replaces the parameters of a job with an image, which keeps it; they get what engine_submit()
 * gives them. -EROFS: it was sent, or is being sent; -EDQUOT as there. */
int engine_amend(struct engine *engine, uint64_t number, struct params *params);
/* Refuses a job with an image, as the service would: what belongs to the image is wrong, ERROR (a
 * positive errno) and REASON say how. -EROFS as above. */
int engine_call_off(struct engine *engine, uint64_t number, int error, const char *reason);
/* submit=sync: who submits is to hear the outcome, whatever it takes. */
bool engine_is_sync(const struct engine *engine);

/* What every submission from now on has where it says nothing itself: TEXT, kept as it is, and what
 * it means, PARAMS (copied). Durable. NULL, NULL: nothing. -EROFS. */
int engine_set_defaults(struct engine *engine, const char *text, const struct params *params);
/* That text: heap, *TEXT is NULL when there is none. 0 or -errno. */
int engine_defaults(struct engine *engine, char **text);
/* The texture_size of a submission that names none. */
long engine_texture_size(struct engine *engine);

/* Money; every amount is an estimate. */

const struct price_list *engine_prices(const struct engine *engine);
/* 0 or -errno. */
int engine_account(struct engine *engine, struct price_account *out);
/* Why the budget has no room for PARAMS, with the numbers; heap. NULL: there is no budget. */
char *engine_over_budget(struct engine *engine, const struct params *params);

/* Says that REQUEST_ID is this draft's or UNCERTAIN job's: polled from now on, free of charge.
 * -EINVAL: no request id; -EEXIST: another job's; -EROFS. */
int engine_attach(struct engine *engine, uint64_t number, const char *request_id);

/* Callbacks of the service; any thread. Their content is never believed: they lead to a poll of the
 * job, or, for one whose POST's answer is missing, to a question for the request that they name. */

/* Is this the token that the job's present attempt gave out? Takes equally long for all answers. */
bool engine_callback_expected(struct engine *engine, uint64_t number, const char *token);
/* One came, naming REQUEST_ID (NULL: nothing). What it says is durable after 0. -ENOENT: not
 * expected; -EBUSY: it names another request than one that is looked into just now; or the store's
 * error. After these it may come again. May block on the disk. */
int engine_callback(struct engine *engine, uint64_t number, const char *token,
		    const char *request_id);

/* Renames a job's directory (and its label). -EEXIST: taken. */
int engine_rename(struct engine *engine, uint64_t number, const char *name);
/* Ors KINDS into job->hidden. -EBUSY while a POST is under way: rm -r, which could not forget the
 * job then, must not leave it half gone. */
int engine_hide(struct engine *engine, uint64_t number, uint32_t kinds);
/* Takes KINDS out of job->hidden: such a file was made anew. */
int engine_show(struct engine *engine, uint64_t number, uint32_t kinds);
/* Owner and permissions of its directory. */
int engine_chown(struct engine *engine, uint64_t number, const struct engine_owner *owner);
/* Deletes a job from the books and its outputs from the cache. What runs at the service runs on;
 * -EBUSY while a POST is under way. */
int engine_forget(struct engine *engine, uint64_t number);

/* Waiting. A watch lives in its owner's struct until it fired or was cancelled. */
struct engine_watch {
	uint64_t number;
	bool (*until)(const struct job *job);     /* pure and quick; called under a lock */
	void (*fire)(struct engine_watch *watch); /* once; no lock held; any thread. Also when the
						     job is forgotten */
	struct engine_watch *next, *prev;         /* engine's */
	bool watching;                            /* engine's */
};

/* true: WATCH was registered and will fire; false: UNTIL holds already (or there is no such job),
 * it will not. */
bool engine_watch(struct engine *engine, struct engine_watch *watch);
/* true: it will not fire any more; false: it has fired or is firing. */
bool engine_unwatch(struct engine *engine, struct engine_watch *watch);

/* For UNTIL: the outcome of a submission is known (accepted, refused, uncertain, or, provably not
 * sent, waiting for a retry); the job has ended (UNCERTAIN and a DRAFT count: nothing more will
 * happen by itself). */
bool engine_submission_settled(const struct job *job);
/* The service has said whether it knows the request id that was attached. */
bool engine_attachment_settled(const struct job *job);
bool engine_job_ended(const struct job *job);

/* Output INDEX of a job, with a reference (output_put). -ENOENT: not there, or its size is not
 * known yet; -ESTALE: VERSION, a job_output's, is not the present one. */
int engine_output(struct engine *engine, uint64_t number, unsigned index, uint16_t version,
		  struct output **out);
/* Bytes of output INDEX of JOB, whose size is known, on the local disk: as output_stored(). */
uint64_t engine_stored(struct engine *engine, const struct job *job, unsigned index);

#endif
