/*
 * notify - tells the kernel, and through it whoever watches, what changed
 *
 * Role:    two queues of notices, and for each the one thread that sends them. They can block while
 * the kernel holds a lock that a request of ours must release (measured: a handler that invalidates
 * its own inode wedges the mount), so nobody else may. What can never block goes first: attributes
 * and polls have a queue of their own. Names wait for whoever looks at, or renames into, their
 * directory, and that may be a writer who waits for the service. Threads: its two; any thread may
 * add, and never blocks. Locks:   a queue's, a leaf; not held while the kernel is told.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "touch.h"

#include <stdbool.h>
#include <stdint.h>

struct fuse_session;
struct fuse_pollhandle;
struct notify;

/* Starts the threads. TOUCH (may be NULL) is borrowed. NULL with errno. */
struct notify *notify_new(struct fuse_session *session, struct touch *touch);

/* The attributes of INO are not what the kernel may have cached. */
void notify_attr(struct notify *notify, uint64_t ino);

/* Wakes who polls; HANDLE is taken over. */
void notify_poll(struct notify *notify, struct fuse_pollhandle *handle);

/* NAME in directory PARENT is not what the kernel may have cached. */
void notify_entry(struct notify *notify, uint64_t parent, const char *name);

/* Events for who watches with inotify, see touch_send(). Nothing when the kernel knows no inode
 * PARENT: nobody can watch it then. */
void notify_event(struct notify *notify, enum touch_what what, uint64_t parent, const char *path);

struct notify_call {
	void (*fire)(struct notify_call *call);
};

/* true: CALL will be fired, on a thread of ours, when the kernel has been told of all attributes
 * that were added before; false: it knows them, and CALL is not fired. */
bool notify_after(struct notify *notify, struct notify_call *call);

/* The session has ended: nothing more is told, and what is queued is dropped, but calls are fired.
 * Waits a moment for the threads to end; an invalidation that blocks in the kernel ends with the
 * unmount, which follows. NULL is nothing. */
void notify_stop(struct notify *notify);
/* After the unmount. NULL is nothing. */
void notify_free(struct notify *notify);

#endif
