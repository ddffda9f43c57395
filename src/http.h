/*
 * http - the network thread
 *
 * Role:    implements struct remote over libcurl's multi interface; the only file that knows curl.
 * Threads: one of its own, which owns the multi handle and makes every callback; all entry points
 * may be called from any thread. Locks:   a queue of new requests; held for moments, never while
 * calling out. Trust:   the key goes to the gateway's origin and nowhere else; no redirect is
 * followed; media is fetched over https from public addresses only (checked after name resolution),
 * except that a gateway on loopback may name media on loopback. Images are sent where the user
 * said: over https, or to loopback.
 */
#ifndef HTTP_H
#define HTTP_H

#include "key.h"
#include "remote.h"

#include <stdint.h>

struct http_conf {
	const char *gateway; /* api_gateway() */
	const char *ca_file; /* NULL: the system's */
	struct key *key;     /* borrowed */
	int64_t connect_ms;  /* to connect, DNS and TLS included */
	int64_t answer_ms;   /* for a whole answer to submit and status */
	int64_t stall_ms;    /* a transfer without a byte for so long (and up to 6 s) is cut */
};

/* The defaults for all but gateway and key: 10 s, 60 s, 30 s. */
struct http_conf http_conf_default(void);

struct http;

/* CONF is copied. NULL with errno. The first call sets up curl for the process. */
struct http *http_new(const struct http_conf *conf);
const struct remote *http_remote(struct http *http);

/* What was done since the start. */
struct http_counts {
	uint64_t submissions, polls, heads, fetches, uploads; /* transfers begun */
	uint64_t bytes; /* of answers' bodies, of transfers ended */
};

/* Any thread. */
void http_counts(struct http *http, struct http_counts *out);

/* Starts the thread. TICK is called on it at once, after every round of events and after wake(); it
 * gives the milliseconds until it wants to be called again (at most; INT64_MAX: only when woken). 0
 * or -errno. */
int http_start(struct http *http, int64_t (*tick)(void *arg), void *arg);

/* Ends it: submissions under way get GRACE_MS to be answered (polls, heads and fetches are ended at
 * once), then everything left gets REMOTE_STOPPED; then the thread is joined. New requests are
 * refused with -ESHUTDOWN. TICK is not called any more. Blocks. */
void http_stop(struct http *http, int64_t grace_ms);
void http_free(struct http *http);

#endif
