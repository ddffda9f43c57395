/*
 * output_internal - what the parts of output share
 *
 * output.c           the outputs in memory: opening, sharing, forgetting
 * output_saver.c     the cache's own thread and what it does
 * output_renew.c     a URL that has expired, and the next one
 * output_read.c      the readers: present or not, waiting, waking, giving up
 * output_direct.c    bytes that go past the disk, from the network to the readers
 * output_plan.c      what is fetched for a read
 * output_fetch.c     the downloads: requests, the remote's callbacks, retries, failures
 * output_prefetch.c  fetching what nobody reads yet
 * output_space.c     the bound: what the files take, what goes, what nobody wants
 * output_check.c     is a copy what it should be: GLB header, digest
 * output_pieces.c    the sums of a part's bytes
 * output_map.c       the files: data and map, their names, loading, saving
 * output_era.c       was the cache left in order
 *
 * Locks:  names, then lock.
 *   names  a key's files and its place in cache->outputs change together under it; held for short
 *          system calls on names and maps, never for a sync of data.
 *   lock   all fields below that are not marked constant; held for moments, never over a system
 *          call on a file.  The remote's fetch and cancel are called under it: by contract they
 *          neither block nor call back, and so a download is never seen without its id.
 * Where a function ends in _locked, the caller holds `lock`; where it ends in _named, `names`.
 */
#ifndef OUTPUT_INTERNAL_H
#define OUTPUT_INTERNAL_H

#include "lru.h"
#include "output.h"
#include "range.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>

#define SHA256_TEXT 65 /* in hexadecimal, with its NUL */
#define ERA_TEXT    17
#define STAMP_TEXT  64

/* What the server's answers for an output have shown. */
struct output_pace {
	int64_t latency_us; /* from a request to its answer, at best; 0: none has come */
	uint64_t rate;      /* the most that one connection brought, bytes a second; 0: unknown */
	bool alone;         /* it does not serve several at a time */
};

/* What is fetched for a reader that reads in order, before it asks. */
struct output_ahead {
	uint64_t bytes;   /* a part is begun when its start is so near to the reader */
	uint64_t part;    /* bytes of one request */
	unsigned streams; /* at a time */
};

/* Reads that came in order, by one reader or several: [start, end). */
struct output_run {
	uint64_t start;
	uint64_t end;
	unsigned reads; /* those that moved it; 0: a free place */
	uint64_t used;  /* output->reads at its last one */
};

#define OUTPUT_RUNS 4

/* One request's worth of bytes, with its retries.  Freed by done(). */
struct download {
	struct output *output; /* constant; holds a reference */
	struct download *next;
	uint64_t pos;         /* next byte it owes */
	uint64_t end;         /* one past the last; moves down when a far read takes a window */
	uint64_t asked_start; /* of the request that is under way */
	uint64_t asked_end;
	uint64_t id;        /* the remote's */
	unsigned asked_url; /* output->urls at that time */
	int64_t asked_us;   /* when, monotonic clock; once it was answered: then */
	uint64_t brought;   /* bytes since */
	unsigned tries;     /* in a row without a new byte */
	bool progress;      /* a new byte came since the request was begun */
	bool direct;        /* its bytes go past the disk */
	bool dead;          /* its bytes are not wanted any more; only done() is still to come */
	bool changed;       /* network thread only; begin() saw another object */
	bool full;          /* network thread only; the disk took no more, and it is over */
	int error;          /* network thread only; local failure, -errno */
};

/* A waiter's own bytes. */
struct output_bytes {
	struct range_set got; /* of the object */
	char data[];          /* from the waiter's start on */
};

/* A range of the object and the sum of its bytes; 0 where that is all of it, which has a digest. */
struct output_piece {
	struct range range;
	uint64_t sum;
};

struct output_pieces {
	struct output_piece *v; /* in order, disjoint */
	size_t count;
};

/* Bytes [start, end) of an object that its server sends from the start only, past the disk. */
struct output_tail {
	uint64_t start, end;
	char *data; /* NULL: none */
};

/* Of a data file; text, so that it can be compared and written down. */
struct output_stamp {
	char file[STAMP_TEXT];  /* which file it is: inode and time of birth */
	char times[STAMP_TEXT]; /* of its last write and its last change */
};

struct output {
	/* Constant. */
	struct output_cache *cache;
	uint64_t job;
	unsigned index;
	uint64_t size;
	bool glb;
	int fd;                  /* -1: there is no file, all goes past the disk */
	char known[SHA256_TEXT]; /* the digest that it must have; "": any */

	unsigned refs;       /* readers, downloads, the saver's queue */
	unsigned readers;    /* who have it open */
	struct output *next; /* in cache->outputs while stale is 0 */
	char *url;
	unsigned urls; /* counts them */
	bool renewing; /* the URL has expired: nothing is begun until another one comes, or none */
	bool checking; /* a copy is there and not trusted: nothing is read or begun until the saver
			  has hashed it */
	uint64_t claimed; /* bytes of it while it is not */
	char *etag;       /* NULL: unknown so far */
	struct range_set have;
	struct download *downloads;
	struct output_waiter *waiters; /* newest first */
	struct output_run runs[OUTPUT_RUNS];
	uint64_t reads;  /* counts them */
	int64_t read_us; /* when the last one was, monotonic clock */
	struct output_pace pace;
	int stale;      /* not 0: what missing bytes answer; its files are gone */
	bool no_ranges; /* the server sends the whole object whatever it is asked */
	struct output_tail tail;

	/* Network thread only. */
	unsigned bad; /* copies in a row that failed their check */
	char bad_why[160];
	char expired_why[64];

	/* For the saver. */
	unsigned epoch;              /* counts drops: a map of an older epoch must not be saved */
	bool dirty;                  /* the map on disk says less than there is */
	bool tell;                   /* it became whole, and events.whole() has not been told */
	char sha256[SHA256_TEXT];    /* of the whole copy; "": unknown */
	struct output_pieces pieces; /* what the map on disk names */
	struct output_stamp stamp; /* of the data file when a whole copy was last saved or loaded */
	int64_t dirty_ms;
	bool queued;
	struct output *queue_next;
};

struct prefetch;

struct output_cache {
	/* Constant. */
	const struct remote *remote;
	struct output_events events;
	int dirfd;
	int lockfd;
	char *books;
	char era[ERA_TEXT]; /* changes with every unclean end */
	uint64_t limit;     /* bytes; 0: none */

	pthread_mutex_t names;
	pthread_mutex_t lock;

	struct output_counts counts;
	struct output *outputs;
	unsigned downloads; /* of all outputs */
	int64_t latency_us; /* of their servers, as in struct output_pace: mostly it is one */
	bool stopped;       /* the remote ends: no download is begun */
	struct lru lru;
	int64_t direct_until_ms; /* before, the disk is not tried */

	pthread_t saver;
	pthread_cond_t work;
	bool saver_runs;
	bool closing;
	bool sweeping;        /* a sweep was asked for */
	struct output *queue; /* outputs that the saver is to look after */

	struct prefetch *prefetches; /* under way and waiting, in order */
};

/* output.c */

void output_unref(struct output *output);
/* Takes OUTPUT out of the cache for good: its files are deleted, its downloads end, and what is
 * missing answers ERROR from now on (waiters: when the downloads have ended). */
void output_detach(struct output *output, int error);
struct output *output_find_locked(struct output_cache *cache, uint64_t job, unsigned index);
/* A source without an ETag contradicts nothing: the cached one is checked with every fetch. */
bool output_same_locked(const struct output *output, const struct output_source *source);
/* Is URL the output's now? No: no memory. */
bool output_set_url_locked(struct output *output, const char *url);
/* A bad copy: forgets all ranges and ends the downloads, so that it is fetched again. */
void output_drop(struct output *output);

/* output_saver.c */

/* Has the saver look after OUTPUT: check it, save its map, tell that it is whole. */
void output_queue_save_locked(struct output *output);
/* The saver's work until the cache closes, then what is queued. */
void output_saver_run(struct output_cache *cache);
bool output_closing(struct output_cache *cache);
int64_t output_now_ms(void);

/* output_read.c */

/* Is nothing to be begun for OUTPUT now? The end of what it waits for plans anew. */
bool output_paused_locked(const struct output *output);
/* The first byte that W waits for and has not; W->end: none. */
uint64_t output_missing_locked(const struct output *output, const struct output_waiter *w);
/* Takes W off OUTPUT's waiters and puts it in front of LIST; ERROR is what its next read gives. */
void output_take_locked(struct output *output, struct output_waiter *w, int error,
			struct output_waiter **list);
/* Takes those whose bytes are there. */
struct output_waiter *output_take_ready_locked(struct output *output);
/* Plans anew for all waiters, but fails with ERROR, when that is not 0, those whose bytes nobody
 * owes: they are put in front of LIST. */
void output_plan_waiters_locked(struct output *output, int error, struct output_waiter **list);
/* Wakes a list; no lock held. */
void output_wake(struct output_waiter *list);

/* output_direct.c */

/* Do OUTPUT's bytes go past the disk for now? */
bool output_is_direct_locked(const struct output *output);
/* The disk took no more (WHY, -errno), or there is no room (0): for a moment it is not tried. */
void output_go_direct(struct output_cache *cache, int why);
/* Network thread. D's bytes [START, END) for those who wait for them; of a server without ranges
 * some are kept in memory for the next reads. 0, or not: nobody waits for more of D, and no more is
 * kept. */
int output_give(struct download *d, uint64_t start, uint64_t end, const char *data);

/* Gives W what was kept of its first bytes. 0 or -ENOMEM. */
int output_take_tail_locked(const struct output *output, struct output_waiter *w);
void output_tail_clear(struct output_tail *tail);

/* output_plan.c */

/* The policy for a read whose first byte is missing: the window of at least PART bytes around it,
 * within GAP, which nobody has or fetches. */
struct range output_window(struct range read, struct range gap, uint64_t part);
/* The policy for a reader that has read IN_ORDER bytes in one piece; LEFT follow. */
struct output_ahead output_ahead(uint64_t in_order, uint64_t left, const struct output_pace *pace);

/* Somebody reads [start, end). */
void output_note_read_locked(struct output *output, uint64_t start, uint64_t end);
/* Begins what is to be fetched before it is asked for.  Call when somebody read, and when a
 * download was answered or is over. */
void output_go_ahead_locked(struct output *output);
/* Sees to it that every missing byte of [start, end) is on its way, or that a download's end or
 * that of a pause will plan again.  0: OUTPUT has a download whose done() is to come, or is
 * paused. */
int output_plan_locked(struct output *output, uint64_t start, uint64_t end);
/* Is every missing byte of [start, end) owed by a download? */
bool output_owed_locked(const struct output *output, uint64_t start, uint64_t end);

/* output_fetch.c */

/* Begins a download of the bytes of WANTED, of which the first is missing.  0 or -EIO, -ENOMEM. */
int output_begin_locked(struct output *output, struct range wanted);
/* Nobody reads any more: ends all downloads but those that are nearly over, whose connections can
 * then be used again. */
void output_end_idle_locked(struct output *output);
int64_t output_now_us(void);
/* Ends all downloads; nothing more is taken from them. */
void output_kill_downloads_locked(struct output *output);
/* Logs, and tells the engine, why readers will get an error; no lock held. */
void output_tell(struct output *output, enum output_failure failure, const char *why);

/* output_prefetch.c */

/* None is begun any more, and those under way are over. */
void output_prefetch_stop(struct output_cache *cache);

/* output_renew.c */

/* Network thread, a download is to come to its end: OUTPUT's URL was refused. Will readers wait for
 * another one? */
bool output_expire(struct output *output);

/* output_space.c */

/* Notes that OUTPUT's files are there and held, or not any more. */
int output_hold_space(struct output *output);
void output_release_space_locked(struct output *output);
/* Asks the disk what OUTPUT's data takes. */
void output_measure(struct output *output);
/* Is there room for LEN bytes more? Others' copies are deleted for it. */
bool output_make_room(struct output_cache *cache, uint64_t len);
/* The saver's: what output_sweep() promises. */
void output_do_sweep(struct output_cache *cache);

/* output_check.c */

/* Is this the beginning of a GLB file of OUTPUT's size?  If not, gives false and the reason. */
#define GLB_HEADER 12
bool output_check_glb(const struct output *output, const unsigned char head[GLB_HEADER], char *why,
		      size_t size);
/* The same for what the data file begins with. */
bool output_check_glb_file(const struct output *output, char *why, size_t size);
/* The digest of the whole data file. 0, -ECANCELED when the cache closes, or -errno. */
int output_digest(const struct output *output, char out[SHA256_TEXT]);
/* The saver's: hashes a copy that is not trusted, and lets the readers at it or has it fetched. */
void output_check(struct output *output);
/* The saver's: OUTPUT became whole. Computes its digest, unless the cache closes. */
void output_seal(struct output *output);

/* output_pieces.c */

void output_pieces_clear(struct output_pieces *pieces);
/* The saver works on OUTPUT's pieces without the lock; it gives them back if none were dropped
 * since EPOCH, and else keeps them. */
struct output_pieces output_pieces_take_locked(struct output *output);
void output_pieces_give_locked(struct output *output, struct output_pieces *pieces, unsigned epoch);
/* The pieces of RANGES, which are in OUTPUT's data file, in OUT, which is empty: those that OLD has
 * keep their sums. Reads the others. 0 or -errno. */
int output_pieces_make(const struct output *output, const struct range_set *ranges,
		       const struct output_pieces *old, struct output_pieces *out);
/* Takes those out of PIECES whose bytes have another sum, and adds the others to RIGHT. 0,
 * -ECANCELED when the cache closes, or -ENOMEM. */
int output_pieces_check(const struct output *output, struct output_pieces *pieces,
			struct range_set *right);
/* One "start-end sum\n" for each, half-open. */
void output_pieces_format(const struct output_pieces *pieces, FILE *out);
/* Reads what that wrote, none of it beyond LIMIT, into PIECES and RANGES. 0, -EINVAL or -ENOMEM. */
int output_pieces_parse(struct output_pieces *pieces, struct range_set *ranges, const char *text,
			uint64_t limit);

/* output_map.c */

/* Opens the data file and loads the map, or starts an empty one.  0 or -errno. */
int output_files_open_named(struct output *output);
/* What would be there if SOURCE, which is not in the cache, were opened; in bytes. */
uint64_t output_stored_named(struct output_cache *cache, const struct output_source *source);
/* Is OUTPUT's data file, which is whole, as it was? If not, it is checked before it is read
 * again. */
void output_files_look_named(struct output *output);
void output_unlink_named(struct output_cache *cache, uint64_t job, unsigned index);
void output_unlink_map_named(struct output *output);
/* Notes, for the driver after this one, that all of it is to be fetched; or that it need not be. */
void output_mark_prefetch(struct output_cache *cache, uint64_t job, unsigned index);
void output_unmark_prefetch(struct output_cache *cache, uint64_t job, unsigned index);
/* The cache's files, to be listed and closed; NULL: they cannot be, which was logged. */
DIR *output_list(struct output_cache *cache);
/* All files of JOB, whatever their index. */
void output_unlink_job_named(struct output_cache *cache, uint64_t job);
/* Syncs the data, then replaces the map.  Blocks; the saver's. */
void output_save(struct output *output);
/* Notes that OUTPUT is used now, for the next driver. */
void output_touch_map_named(const struct output *output);
/* The key of the file NAME, and the suffix behind it; NULL: it is none of ours. */
const char *output_parse_name(const char *name, uint64_t *job, unsigned *index);

/* output_era.c */

/* Is the cache's directory ours alone, and what is its era? 0 or -errno. */
int output_era_begin(struct output_cache *cache);
/* The cache is left in order. */
void output_era_end(struct output_cache *cache);

#endif
