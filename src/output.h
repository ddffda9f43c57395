/*
 * output - the local copies of jobs' results
 *
 * Role:    per output a sparse file and the set of its ranges that are there; fetches what is
 *          read, at most one download per range; keeps both through restart and crash.
 * Threads: any thread may call; wake-ups and events come with no lock held, wake-ups on the network
 *          thread, the cache's own, or from output_open() and output_forget().
 *          One thread of its own, started when first needed, does what takes long: it syncs data,
 *          computes digests and saves maps; it sweeps away what nobody wants.
 * Locks:   its own; under them it calls nobody but the remote's fetch and cancel, which neither
 *          block nor call back.
 * Owns:    the cache directory, its files and descriptors.  Borrows: struct remote.
 *
 * On disk: DIR/NUMBER-INDEX.data (sparse) and DIR/NUMBER-INDEX.map (identity of the object and its
 *          ranges, replaced by rename, only ever naming bytes that were synced before).
 * Trust:   a copy is served as it lies there when its data file is the one that the map was written
 *          for, untouched since (inode, times of birth, change and writing, to the nanosecond), and
 *          the cache was left in order ever since. Else it is hashed before a byte of it is served,
 *          once, by the cache's thread while its readers wait: what has not the digest in its map
 *          is dropped and fetched again, and of a part each piece that has not its sum.
 * Space:   conf.size bounds the data. Before a byte is written that would pass it, the job that was
 *          used the longest ago goes, all of it; never one that is open, downloaded or hashed.
 * Disk:    where there is no room, and where the disk takes no more or fails, readers get their
 *          bytes from memory as they come from the network, each the bytes that it asked for and no
 *          more; the disk is tried again after a moment.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "remote.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct output_cache;
struct output;

/* What an output is. An object of another size or ETag is another object: what was cached of the
 * old one is dropped. */
struct output_source {
	uint64_t job;   /* number */
	unsigned index; /* from 0 */
	const char *url;
	uint64_t size;      /* bytes */
	const char *etag;   /* NULL: unknown */
	const char *sha256; /* what a whole copy had once, in hexadecimal; NULL: unknown. A copy
			       that has another one is another object */
	bool glb; /* check the GLB header when it is whole (glTF 2.0 specification, "Binary glTF
		     layout") */
};

/* Why readers get an error. */
enum output_failure {
	OUTPUT_UNREACHABLE,
	OUTPUT_EXPIRED, /* the URL is refused, and no other one came */
	OUTPUT_CHANGED, /* the server has another object now; what was cached is dropped */
	OUTPUT_DAMAGED, /* what the server sends is no such file */
	OUTPUT_LOCAL,   /* the cache's disk */
};

struct output_events {
	void *ctx;
	/* Network thread. The URL is refused as one that has expired is. true: another one is being
	 * asked for, and output_renew() or output_renew_failed() will come, on the network thread;
	 * until then the readers wait. May be NULL: false. */
	bool (*expired)(void *ctx, uint64_t job, unsigned index);
	/* Network thread or the cache's. The object could not be fetched, or is another one than it
	 * was; the readers get an error. WHY is a sentence for the person. */
	void (*failed)(void *ctx, uint64_t job, unsigned index, enum output_failure failure,
		       const char *why);
	/* The cache's thread. All its bytes are on the local disk and were checked; this is their
	 * digest. Comes when a copy has become whole, or is found whole, whose source does not
	 * say its digest. */
	void (*whole)(void *ctx, uint64_t job, unsigned index, const char *sha256);
	/* The cache's thread. May what is cached of it be wanted? May be NULL: yes. */
	bool (*wanted)(void *ctx, uint64_t job, unsigned index);
	/* The cache's thread, sweeping. An earlier driver ended before its prefetch did. May be
	 * NULL. */
	void (*unfetched)(void *ctx, uint64_t job, unsigned index);
};

struct output_conf {
	const char *dir;
	const char *books; /* which books its job numbers are of: what is of others is dropped; a
			      word */
	uint64_t size;     /* bytes that the data may take; 0: what the disk has */
	unsigned percent;  /* with size 0: of the disk's size; 0: no bound */
};

/* Opens (makes, mode 0700) the cache. NULL with errno; EBUSY: another driver has it. CONF and
 * EVENTS are copied. */
struct output_cache *output_cache_new(const struct output_conf *conf, const struct remote *remote,
				      const struct output_events *events);
/* Begins to sweep: files that events.wanted() does not want are deleted, and what is more than the
 * bound; events.unfetched() is told. Takes no time of the caller. */
void output_sweep(struct output_cache *cache);
/* Ends the cache's thread: no event comes after this. After http_stop(), which ends all
 * downloads. */
void output_stop(struct output_cache *cache);
/* Saves maps, and notes that the cache was left in order. After output_stop(), and before the
 * remote is freed. All outputs were put. NULL is nothing. */
void output_cache_free(struct output_cache *cache);

/* The output for SOURCE (copied), with a reference: 0 or -errno. May touch the local disk. */
int output_open(struct output_cache *cache, const struct output_source *source,
		struct output **out);
void output_put(struct output *output);

/* Fetches all of SOURCE (copied) that is missing, a few at a time and in the order of these calls,
 * as far as there is room. Tells no one but by the events. What the network or the driver's end
 * cuts short is events.unfetched() of the next sweep. */
void output_prefetch(struct output_cache *cache, const struct output_source *source);

/* Network thread. SOURCE (copied) is where the output is to be had now. If it is in memory, its
 * downloads go on from there; if it was another object, its readers get -ESTALE for what is
 * missing. */
void output_renew(struct output_cache *cache, const struct output_source *source);
/* Network thread. Those outputs of JOB that are still waiting for another URL get none: failed() is
 * told, the readers get an error. */
void output_renew_failed(struct output_cache *cache, uint64_t job);

/* A reader that waits; zeroed, but for `wake`, before its first use; embedded in its owner's
 * struct, which must live until it was woken or cancelled. */
struct output_waiter {
	void (*wake)(struct output_waiter *waiter); /* once: ask output_read() again */
	bool background;                   /* it takes no bytes, it only wants them cached */
	struct output_waiter *next, *prev; /* output's */
	uint64_t start, end;               /* output's */
	bool waiting;                      /* output's */
	int error;                         /* output's: why it was woken */
	struct output_bytes *bytes;        /* output's: what came past the disk */
};

/* A waiter that asks again, for the same bytes, as AGAIN in place of WAITER, which is over. */
void output_waiter_move(struct output_waiter *again, struct output_waiter *waiter);
/* A waiter is over that was asked with. Not needed where output_read() gave n <= 0 and no other
 * wake-up came before. */
void output_waiter_release(struct output_waiter *waiter);

/* Are [offset, offset + len) (cut at the end of the object) there?
 *   > 0           so many bytes are, all that were asked for up to the end: they are
 *                 output_waiter_bytes() until the waiter is released; NULL: read them from
 *                 output_fd() at the same offset
 *   0             at or past the end
 *   -EINPROGRESS  WAITER will be woken once, when they are or when the download has failed; it may
 *                 be woken before this returns
 *   -ESTALE       missing, and the output was forgotten or is another object now
 *   other errors  the download failed and failed() has told why (not when the driver ends); the
 *                 next read tries again. Given once to a WAITER that was woken for a failure. */
ssize_t output_read(struct output *output, uint64_t offset, size_t len,
		    struct output_waiter *waiter);

/* As output_read(), but -EAGAIN, and nothing is begun, when they are not there. */
ssize_t output_read_now(struct output *output, uint64_t offset, size_t len);

/* Stops waiting. true: WAITER will not be woken; false: it was, or is being, woken. */
bool output_cancel(struct output *output, struct output_waiter *waiter);

/* What output_read() gave, where it is not in the file. */
const char *output_waiter_bytes(const struct output_waiter *waiter);

/* The sparse file, for reading; valid while OUTPUT is held. -1: the disk did not take it. */
int output_fd(const struct output *output);

/* Are all its bytes there and checked? Then they stay as they are while OUTPUT is held: whoever
 * reads output_fd() need not ask output_read(), nor come through the driver at all. */
bool output_is_whole(struct output *output);

/* Bytes on the local disk so far. */
uint64_t output_cached(struct output *output);
/* The same of SOURCE, which need not be open: reads its map at most, and makes nothing. */
uint64_t output_stored(struct output_cache *cache, const struct output_source *source);

/* Reads since the start; those that the kernel makes by itself (output_is_whole()) are not seen. */
struct output_counts {
	uint64_t reads; /* answered with bytes */
	uint64_t waits; /* had to wait for the network */
};
void output_counts(struct output_cache *cache, struct output_counts *out);

/* Deletes what is cached of JOB, all indexes; readers that are open keep their descriptor, and get
 * -ESTALE for what is missing. */
void output_forget(struct output_cache *cache, uint64_t job);

/* Size and free space of the cache's disk, for statfs. 0 or -errno. */
struct statvfs;
int output_statfs(struct output_cache *cache, struct statvfs *out);

#endif
