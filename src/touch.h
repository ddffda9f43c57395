/*
 * touch - makes inotify tell of what the driver changes
 *
 * Role:    a process of its own that does to the mount, through the kernel, what makes the kernel
 * raise the events: it creates a name that has appeared, and sets the time of a file that has
 * changed. The driver knows these requests by the process they come from, and answers them with
 * what is there already: nothing is ever made or changed by them. A process and not a thread: one
 * that hangs in the kernel on a mount whose driver was killed would keep that driver from ending.
 * Threads: touch_start before there are any; the rest from any, and never blocks. Locks:   its own,
 * a leaf.
 */
#ifndef TOUCH_H
#define TOUCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct touch;

enum touch_what {
	TOUCH_CHANGED = 'c', /* MODIFY */
	TOUCH_ATTRIB = 'a',  /* ATTRIB */
	TOUCH_FILE = 'f',    /* CREATE and CLOSE_WRITE */
	TOUCH_DIR = 'd',     /* CREATE */
	TOUCH_LINK = 'l',    /* CREATE */
};

/* Starts the process for the mount that will be on MOUNTPOINT. It has no file of ours open, and
 * nothing of our environment. NULL with errno. */
struct touch *touch_start(const char *mountpoint);

/* Asks for the events of PATH, which begins at the mount's root, and whose last part is a name in
 * directory PARENT. When the process does not keep up, there are none. NULL is nothing. */
void touch_send(struct touch *touch, enum touch_what what, uint64_t parent, const char *path);

/* Does a request of process PID come from ours? */
bool touch_is_ours(const struct touch *touch, pid_t pid);
/* Of ours: is it about to create NAME in PARENT? It must not find it before. */
bool touch_expects(struct touch *touch, uint64_t parent, const char *name);
/* It creates it now: true once. */
bool touch_take(struct touch *touch, uint64_t parent, const char *name);

/* Ends the process, after the unmount. NULL is nothing. */
void touch_end(struct touch *touch);

#endif
