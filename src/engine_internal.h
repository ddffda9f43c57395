/*
 * engine_internal - what the parts of the engine share
 *
 * Role:    the table of jobs (engine_table.c), the change protocol (engine.c), and the three
 * activities that run on the network thread: submissions, polls, and outputs' sizes. Locks:   see
 * engine.h; fields marked [table] belong to `table_lock`, and functions ending in _locked want it
 * held.
 */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include "api.h"
#include "engine.h"

#include <pthread.h>

/* What a job can be found by, besides its number. */
enum table_key { KEY_NAME, KEY_REQUEST, KEY_LABEL, KEY_ORIGIN, KEYS };

/* What the network thread does for a job, each with its own timer and limit. */
enum queue_kind {
	QUEUE_PUBLISH, /* the image of a job that is to be sent then */
	QUEUE_SEND,
	QUEUE_POLL, /* and the size requests that end it */
	QUEUE_SAVE, /* commit what the disk would not take before */
	QUEUES
};

struct table_node {
	struct table_node *next, **link; /* link NULL: not in the index */
	uint32_t hash;
};

/* One job: its published snapshot and what is known of it in this process only. All [table]. */
struct entry {
	uint64_t number;
	const struct job *job;
	struct table_node nodes[KEYS];
	struct sched_timer timers[QUEUES];
	bool busy[QUEUES]; /* a request of this kind is under way: it sets the next timer itself */
	bool unsaved;      /* what is shown was heard from the service, and is not on disk yet */
	bool hinted;       /* a callback has come since the last poll began */
	bool renewing;     /* readers wait for the poll that brings a new URL, or none */
	unsigned save_failures;
	unsigned loaded_attempt; /* the attempt that an earlier run made; 0: none */
	unsigned poll_failures;  /* in a row */
	unsigned called_attempt; /* the last one that a callback was about; 0: none */
	unsigned size_tries;     /* before a completion without sizes is told */
	unsigned held_attempt;   /* the last one whose POST waited for what belongs to its image */
	uint32_t changed;        /* outputs, a bit each, whose size and ETag are to be asked anew */
	int64_t retry_after_ms;  /* from the last failed poll; -1: none */
	int64_t hint_polled_ms;  /* when a poll that one had asked for began; 0: never */
	int64_t size_since_ms;
	int64_t refreshed_ms; /* the last time that such a poll was begun; 0: never */
	int64_t changed_ms;   /* the last time that these were asked; 0: never */
	struct engine_watch *watches;
	struct spool_file *image; /* its job may need it; NULL: none. Of `write` */
	int64_t held_since_ms;    /* it has waited since then */
};

struct index {
	struct table_node **buckets;
	size_t size; /* a power of two */
	size_t count;
};

struct table_slot {
	uint64_t number;
	struct entry *entry; /* NULL: forgotten */
};

struct table {
	struct table_slot *slots; /* by number */
	size_t count, capacity, holes;
	struct index indexes[KEYS];
};

int table_init(struct table *table);
/* Frees the entries too. */
void table_release(struct table *table);
/* Makes room, so that the next ROOM table_adds cannot fail. 0 or -ENOMEM. */
int table_reserve(struct table *table, size_t room);
/* ENTRY's number is above all others, its job is set. */
void table_add(struct table *table, struct entry *entry);
/* Shows JOB (reference taken over) in place of ENTRY's, whose reference goes to the caller. */
const struct job *table_swap(struct table *table, struct entry *entry, const struct job *job);
/* Takes ENTRY out; entry_free() is the caller's. */
void table_remove(struct table *table, struct entry *entry);
void entry_free(struct entry *entry);
struct entry *table_find(const struct table *table, uint64_t number);
/* The first with a number above AFTER. */
struct entry *table_after(const struct table *table, uint64_t after);
struct entry *table_latest(const struct table *table);
/* The newest whose KEY is TEXT. */
struct entry *table_lookup(const struct table *table, enum table_key key, const char *text);

struct queue {
	struct sched sched;
	unsigned busy, max;
};

struct engine {
	struct engine_conf conf;
	char *gateway; /* conf.gateway */
	const struct world *world;
	struct store *store;
	const struct remote *remote;
	const struct engine_observer *observer;
	struct output_cache *cache;        /* set once, before threads */
	const struct publisher *publisher; /* the same; NULL: none */
	struct spool *spool;               /* the same */
	struct publication *publications;  /* [table]; under way */
	_Atomic int64_t stirred_ms;        /* monotonic; see engine_stir() */
	pthread_mutex_t write;             /* before table_lock */
	pthread_mutex_t table_lock;
	struct table table;          /* [table]; changed with `write` held as well */
	struct queue queues[QUEUES]; /* [table] */
	int64_t spent; /* [write] of the budget, with what the commit that is being prepared asks
			  for; -1: not known */
	struct params *defaults;  /* [table]; NULL: none */
	struct sched_policy slow; /* of polls that callbacks make unnecessary */
	bool callbacks_come;      /* [table]; as far as is known */
	/* What the service's answers said of the key, since the start. Network thread. */
	bool key_worked;
	bool key_refused; /* and not accepted since */
};

/* One change of one job: edit, event, commit, show, tell. */
struct change {
	uint64_t number;   /* set for a new job when it succeeded */
	struct job *fresh; /* a new job; taken over, whatever happens */
	unsigned attempt;  /* the change is of this attempt alone, else -ESTALE; 0: of any */
	bool heard; /* the service has spoken: it is shown even while the disk cannot take it, and
		       committed later */
	bool contents; /* of files alone, whose names stay: the directory keeps its time, or tar
			  would complain of what its own reading brought about. No EVENT */
	/* Changes the copy, before EVENT; 0 or -errno. `write` is held. */
	int (*edit)(struct engine *engine, struct job *job, void *arg);
	void *arg;
	const struct job_event *event; /* NULL: none */
	const char *note;              /* the log's line where there is no event; NULL: none */
	struct store_texts texts;      /* but the log's line */
	const struct params *params;   /* what TEXTS.params says; NULL: nothing */
	int result;                    /* a mask of job_action, or -errno: nothing has changed */
};

/* Gives the change's result. */
int engine_change(struct engine *engine, struct change *change);
/* The same for changes of COUNT different jobs, in one commit: where that fails they all do, else
 * each has its own result. */
void engine_change_all(struct engine *engine, struct change *changes, size_t count);

/* The job called NAME or made by request id NAME is another one than NUMBER. `write` is held. */
bool engine_name_taken(struct engine *engine, const char *name, uint64_t number);

/* A new record for OWNER, or NULL. */
struct job *engine_fresh(struct engine *engine, const char *label,
			 const struct engine_owner *owner);

int64_t engine_wall(const struct engine *engine);
int64_t engine_mono(const struct engine *engine);
uint64_t engine_random(const struct engine *engine);

/* Commits what the disk would not take before, if there is something. `write` is held. */
void engine_save(struct engine *engine, uint64_t number);

/* Frees the place that NUMBER had in the queue. */
void engine_idle(struct engine *engine, enum queue_kind kind, uint64_t number);
/* The same for a poll that brought no new outputs: who waits for these is told so. */
void engine_polled(struct engine *engine, uint64_t number);
/* The next poll of a job that did not change: FAILED says whether this one brought an answer. Gives
 * the polls in a row that failed. */
unsigned engine_poll_again(struct engine *engine, uint64_t number, bool failed,
			   int64_t retry_after_ms);
/* A zeroed entry, with room for ROOM in the table; NULL: no memory. */
struct entry *engine_entry_new(struct engine *engine, size_t room);
/* Sets the timers that ACTIONS, a mask of job_action, ask for. */
void engine_perform_locked(struct engine *engine, struct entry *entry, int actions);
void engine_arm_locked(struct engine *engine, struct entry *entry, enum queue_kind kind,
		       int64_t delay_ms);
void engine_disarm_locked(struct engine *engine, struct entry *entry, enum queue_kind kind);
int64_t engine_poll_delay_locked(const struct engine *engine, const struct entry *entry);
void engine_unlink_watch_locked(struct entry *entry, struct engine_watch *watch);

/* Sets the timer of KIND to DELAY_MS from now. */
void engine_arm(struct engine *engine, enum queue_kind kind, uint64_t number, int64_t delay_ms);

/* May EVENT, a SUBMIT, be committed? 0: its price is reserved; -EDQUOT: the budget has no room for
 * it. `write` is held until the commit. */
int engine_afford(struct engine *engine, const struct job_event *event);
/* When to submit JOB, whose attempt was just heard to have ended in ERROR, again; 0: not. */
int64_t engine_retry_at(struct engine *engine, const struct job *job);
/* The time has come; network thread, no place in the queue is taken. */
void engine_retry(struct engine *engine, const struct job *job);

/* Where JOB, which is to be sent, waits for its turn. */
enum queue_kind engine_send_queue(const struct job *job);

/* engine_publish.c */

/* Keeps the image of ENTRY's JOB on the disk as long as it needs it; NULL: it is forgotten. `write`
 * is held. */
void engine_keep_image(struct engine *engine, struct entry *entry, const struct job *job);
/* How long JOB's POST waits for what may come to its image. Network thread. */
int64_t engine_image_delay(struct engine *engine, const struct job *job);
/* An activity: makes JOB's image public and lets it be sent. */
void engine_publish(struct engine *engine, uint64_t number);
/* Gives PARAMS the defaults and a seed. 0 or -ENOMEM. */
int engine_complete(struct engine *engine, struct params *params);

/* The three activities; network thread, the queue's place is taken. */
void engine_send(struct engine *engine, uint64_t number);
void engine_poll(struct engine *engine, uint64_t number);
/* JOB's poll said COMPLETED: asks for the sizes, then applies it. */
void engine_size(struct engine *engine, const struct job *job, const struct api_status *status,
		 const struct remote_reply *reply);

/* Sets JOB's error file, unless it says so already. */
void engine_tell(struct engine *engine, const struct job *job, const char *error);

/* Takes the defaults from the store. */
int engine_load_defaults(struct engine *engine);
/* Gives PARAMS what the defaults have and it has not. 0 or -ENOMEM. */
int engine_apply_defaults(struct engine *engine, struct params *params);
/* Whether JOB, whose submission was refused for the key, waits for another one (engine_key.c). */
bool engine_waits_for_key(struct engine *engine, const struct job *job);
/* Notes what an answer says of the key. */
void engine_heard(struct engine *engine, const struct remote_reply *reply);

/* engine_hook.c */

/* A new token. 0 or -errno. */
int engine_draw_token(const struct engine *engine, char token[API_TOKEN_LEN + 1]);
/* An answer that repeats JOB's token would show it in the mount: hides it in REPLY. Gives what is
 * to be freed when REPLY is. */
char *engine_redacted(const struct job *job, struct remote_reply *reply);
/* An edit: -EEXIST where ARG, a request id, is another job's. */
int engine_free_id(struct engine *engine, struct job *job, void *arg);
/* How fast ENTRY's job is polled; `table_lock` is held for this and what follows. */
const struct sched_policy *engine_pace(const struct engine *engine, const struct entry *entry);
/* How soon the poll may begin that a callback has asked for. */
int64_t engine_hint_delay(const struct engine *engine, const struct entry *entry);
/* ENTRY's poll begins. */
void engine_hint_taken_locked(const struct engine *engine, struct entry *entry);
/* A poll has found the end of JOB, which it still shows running: no callback was there before? No
 * lock is held. */
void engine_not_called(struct engine *engine, const struct job *job);

/* Did JOB's request id come in the answer to its own POST? Else the user found it, or a callback
 * named it. */
bool engine_was_answered(struct engine *engine, const struct job *job);

/* A SUBMITTING job that was loaded: what does its stored answer say? */
int engine_recover(struct engine *engine, const struct job *job);

#endif
