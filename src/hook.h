/*
 * hook - listens for the service's callbacks
 *
 * Role:    a small HTTP server: tells its owner of POSTs to URLs whose token the owner expects; to
 * everything else it says no, and not why. Threads: libmicrohttpd's one, which calls the owner; the
 * functions here are for one thread. Locks:   none. Bounds:  HOOK_BODY_MAX bytes of a body,
 * HOOK_CONNECTIONS at a time (the oldest gives way to a new one), HOOK_IDLE_S without a byte.
 */
#ifndef HOOK_H
#define HOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define HOOK_ERROR_MAX   256
#define HOOK_BODY_MAX    65536
#define HOOK_CONNECTIONS 64
#define HOOK_IDLE_S      10

/* Called on the hook's thread; may wait for the local disk, and for nothing else. */
struct hook_events {
	void *ctx;
	/* Is TOKEN (API_TOKEN_LEN characters) that of NUMBER? Before a byte of the body is read. */
	bool (*expected)(void *ctx, uint64_t number, const char *token);
	/* A whole callback, naming REQUEST_ID (NULL: no valid one). 0: taken; -ENOENT: not expected
	 * any more; another error: it may come again. */
	int (*called)(void *ctx, uint64_t number, const char *token, const char *request_id);
};

/* A numeric address and port as a socket address: "127.0.0.1:8090", "[::1]:8090". */
bool hook_address(const char *text, struct sockaddr_storage *address, socklen_t *len);

struct hook;

/* Has the port from now on, so that what calls waits. EVENTS are copied. 0, or -errno with ERROR in
 * words. */
int hook_new(const char *address, const struct hook_events *events, struct hook **out,
	     char error[HOOK_ERROR_MAX]);
/* Starts the thread. 0 or -errno. */
int hook_start(struct hook *hook);
/* Callbacks that were taken, and requests that were refused, since the start. Any thread. */
void hook_counts(struct hook *hook, uint64_t *taken, uint64_t *refused);
/* Ends it: no event comes any more. Blocks for the one that is under way. NULL is nothing. */
void hook_free(struct hook *hook);

#endif
