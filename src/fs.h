/*
 * fs - the filesystem that the kernel talks to
 *
 * Role:    FUSE requests to looks at and requests of the engine; the parking of requests that must
 * wait. Threads: libfuse's workers run the operations and touch memory and the local disk only;
 * what must wait is parked, and answered by the network thread or by whoever made the awaited
 * change. Locks:   the list of parked requests; a leaf, but for libfuse's request lock, which comes
 * before it. Owns:    drafts, handles, parked requests.  Borrows: engine, cache, notify, touch.
 */
#ifndef FS_H
#define FS_H

#include "engine.h"
#include "node.h"
#include "notify.h"
#include "output.h"
#include "touch.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fuse_lowlevel_ops;
struct fuse_session;

struct fs_conf {
	const char *source;     /* as given; copied */
	const char *mountpoint; /* absolute; copied */
	uid_t uid;              /* owner of what nobody in particular made */
	gid_t gid;
	mode_t umask;           /* permission bits that are taken from every file */
	bool passthrough;       /* the kernel may read whole outputs by itself, if it can */
	int64_t submit_wait_ms; /* a writer waits for the service's answer at most so long */
	struct spool *spool;    /* where images are; borrowed. NULL: none are taken */
	struct world world;
	/* Makes the network thread call fs_tick soon. Any thread, never blocks. */
	void (*wake)(void *ctx);
	/* The kernel has said INIT: the mount serves. On a worker, once. */
	void (*serving)(void *ctx);
	/* The lines of `stats`; how many. On a worker. */
	size_t (*stats)(void *ctx, struct node_stat rows[NODE_STATS_MAX]);
	void *ctx; /* of the functions */
};

struct fs;

/* NULL with errno. */
struct fs *fs_new(const struct fs_conf *conf);
/* Before the first request. TOUCH may be NULL. */
void fs_attach(struct fs *fs, struct engine *engine, struct output_cache *cache,
	       struct notify *notify, struct touch *touch);

/* SESSION, whose userdata is FS, is mounted; before its loop. 0 or -errno. */
int fs_mounted(struct fs *fs, struct fuse_session *session);

/* The operations; their userdata is a struct fs. */
const struct fuse_lowlevel_ops *fs_operations(void);

/* The engine's observer: CTX is a struct fs. */
void fs_job_changed(void *ctx, const struct job *before, const struct job *after);

/* Network thread: answers what was interrupted or has waited long enough. Milliseconds until it
 * wants to be called again. */
int64_t fs_tick(struct fs *fs);

/* No more waiting: every parked request is answered, and later ones are not parked. After the
 * session's loop ended, before the unmount. */
void fs_stop(struct fs *fs);
void fs_free(struct fs *fs);

#endif
