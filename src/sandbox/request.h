/*
 * request - the requests that were accepted, and their states
 *
 * Role:    a state is a function of the time since creation; an output one of the parameters.
 *          So the ledger's "accept" events are enough to know everything again.
 * Threads: any; one lock, above the ledger's.
 * Owns:    all requests until request_release().
 *
 *   QUEUED --queue_time--> PROCESSING --process_time--> COMPLETED | FAILED | ERROR
 *
 * What the end will be is decided at acceptance.  FAILED stays charged, ERROR is refunded once.
 */
#ifndef SANDBOX_REQUEST_H
#define SANDBOX_REQUEST_H

#include "glb.h"
#include "settings.h"

#include <jansson.h>

enum { REQUEST_ID = 48, REQUEST_URL = 320 };

/* A new id: "pixal3d_" and a UUID version 7. */
void request_new_id(char id[REQUEST_ID]);

/* Charge and keep a request with these complete parameters (borrowed) and callback URL (may
 * be NULL).  0, or -EDQUOT when the wallet does not hold the price. */
int request_accept(const char *id, const json_t *params, const char *webhook, bool sync);

/* Replay of a ledger's event. */
void request_restore(const json_t *event);

struct request_view {
	enum state state;
	json_t *params; /* the caller's reference; read-only */
	json_t *status; /* the caller's reference: the status answer */
};

/* False when the id is unknown. */
bool request_view(const char *id, bool sql_times, struct request_view *out);
void request_view_release(struct request_view *v);

/* The n-th output (0 is the first) of a completed request; false when there is none. */
bool request_output(const char *id, int n, struct glb_spec *spec, int64_t *modified_ms);

void request_media_url(const char *id, int n, char url[REQUEST_URL]);

/* Move a request, or with "*" all that are not terminal, to a state now; how many moved. */
int request_advance(const char *id, enum state to);

/* Refund what has become ERROR by now. */
void request_settle(void);

/* New array of all ids, oldest first. */
json_t *request_ids(void);

struct request_callback {
	char id[REQUEST_ID];
	char *url;                /* the caller's to free */
	json_t *params, *payload; /* the caller's references */
	enum state state;
};

/* Take one callback that is due; false when none is, with the time of the next (or
 * INT64_MAX) in *next_ms. */
bool request_take_callback(struct request_callback *out, int64_t *next_ms);
void request_callback_release(struct request_callback *c);

/* The terminal callback was answered or given up: not sent again after a restart. */
void request_callback_done(const char *id, bool delivered);

void request_release(void);

#endif
