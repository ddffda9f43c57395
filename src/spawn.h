/*
 * spawn - a sandbox gateway of the mount's own
 *
 * Role:    starts pixal3d-sandbox as a child that ends with us, also when we are killed: it holds
 * the reading end of a pipe, and leaves when the writing end closes. Threads: before any other
 * thread.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <stddef.h>
#include <sys/types.h>

struct spawn {
	pid_t pid;
	int lifeline;  /* writing end */
	char *gateway; /* its URL */
};

/* Starts the program that stands beside our own, or in PATH, with its ledger in STATE_DIR (which
 * exists); waits, at most ten seconds, until it serves. 0 or -errno, with ERROR for the person. */
int spawn_sandbox(struct spawn *spawn, const char *state_dir, char *error, size_t error_size);

/* Ends it and waits for that. A zeroed or failed spawn is nothing. */
void spawn_end(struct spawn *spawn);

#endif
