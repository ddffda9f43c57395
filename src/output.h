/*
 * output - the local copies of jobs' results
 *
 * Role:    per output a sparse file and the set of its ranges that are there; fetches what is
 *          read, at most one download per range; keeps both through restart and crash.
 * Threads: any thread may call; wake-ups and events come with no lock held, events on the network
 *          thread, wake-ups there or from output_open() and output_forget().
 *          One thread of its own, started when first needed, syncs data and saves maps.
 * Locks:   its own; under them it calls nobody but the remote's fetch and cancel, which neither
 *          block nor call back.
 * Owns:    the cache directory, its files and descriptors.  Borrows: struct remote.
 *
 * On disk: DIR/NUMBER-INDEX.data (sparse) and DIR/NUMBER-INDEX.map (identity of the object and its
 *          ranges, replaced by rename, only ever naming bytes that were synced before).
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
	uint64_t size;    /* bytes */
	const char *etag; /* NULL: unknown */
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
	/* Network thread. The object could not be fetched; the readers get an error. WHY is a
	 * sentence for the person. */
	void (*failed)(void *ctx, uint64_t job, unsigned index, enum output_failure failure,
		       const char *why);
	/* Network thread. All its bytes are on the local disk and were checked. */
	void (*whole)(void *ctx, uint64_t job, unsigned index);
};

/* Opens (makes, mode 0700) the cache in DIR. NULL with errno. EVENTS is copied. */
struct output_cache *output_cache_new(const char *dir, const struct remote *remote,
				      const struct output_events *events);
/* Saves maps. After http_stop(), which ends all downloads, and before the remote is freed. All
 * outputs were put. */
void output_cache_free(struct output_cache *cache);

/* The output for SOURCE (copied), with a reference: 0 or -errno. May touch the local disk. */
int output_open(struct output_cache *cache, const struct output_source *source,
		struct output **out);
void output_put(struct output *output);

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
	struct output_waiter *next, *prev;          /* output's */
	uint64_t start, end;                        /* output's */
	bool waiting;                               /* output's */
	int error;                                  /* output's: why it was woken */
};

/* Are [offset, offset + len) (cut at the end of the object) there?
 *   > 0           so many bytes are, all that were asked for up to the end: read them from
 *                 output_fd() at the same offset
 *   0             at or past the end
 *   -EINPROGRESS  WAITER will be woken once, when they are or when the download has failed; it may
 *                 be woken before this returns
 *   -ESTALE       missing, and the output was forgotten or is another object now
 *   other errors  the download failed and failed() has told why (not when the driver ends); the
 *                 next read tries again. Given once to a WAITER that was woken for a failure. */
ssize_t output_read(struct output *output, uint64_t offset, size_t len,
		    struct output_waiter *waiter);

/* Stops waiting. true: WAITER will not be woken; false: it was, or is being, woken. */
bool output_cancel(struct output *output, struct output_waiter *waiter);

/* The sparse file, for reading; valid while OUTPUT is held. */
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
