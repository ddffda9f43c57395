/*
 * notify - tells the kernel what changed
 *
 * Role:    a queue of invalidations and the one thread that sends them. They can block while the
 * kernel holds a lock that a request of ours must release (measured: a handler that invalidates its
 * own inode wedges the mount), so nobody else may. Threads: one of its own; any thread may add, and
 * never blocks. Locks:   its queue's, a leaf; not held while the kernel is told.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

struct fuse_session;
struct notify;

/* Starts the thread. NULL with errno. */
struct notify *notify_new(struct fuse_session *session);

/* The attributes of INO are not what the kernel may have cached. */
void notify_attr(struct notify *notify, uint64_t ino);

/* NAME in directory PARENT is not what the kernel may have cached. */
void notify_entry(struct notify *notify, uint64_t parent, const char *name);

/* The session has ended: nothing more is told, and what is queued is dropped. Waits a moment for
 * the thread to end; an invalidation that blocks in the kernel ends with the unmount, which
 * follows. NULL is nothing. */
void notify_stop(struct notify *notify);
/* After the unmount. NULL is nothing. */
void notify_free(struct notify *notify);

#endif
