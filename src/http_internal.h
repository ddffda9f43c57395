/*
 * http_internal - what the parts of http share
 *
 * http.c          the thread, the queue and what all requests have in common
 * http_submit.c   submit and status: with the key, to the gateway
 * http_fault.c    what the end of a transfer means, and its words
 * http_media.c    head and fetch: without the key, to wherever the media is
 * http_upload.c   upload: without the key, to where the user wants it
 * http_answer.c   answers that are read whole
 * http_address.c  which addresses may be connected to
 */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include "http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct request;

/* Where a kind's transfers are counted. */
enum http_count {
	HTTP_COUNT_SUBMISSIONS,
	HTTP_COUNT_POLLS,
	HTTP_COUNT_HEADS,
	HTTP_COUNT_FETCHES,
	HTTP_COUNT_UPLOADS,
	HTTP_COUNT_BYTES,
	HTTP_COUNTS
};

struct request_kind {
	enum http_count count;
	/* The URL's own easy handle is there; sets what is this kind's. A fault: do not begin. */
	enum remote_fault (*prepare)(struct request *request);
	/* Connected, nothing sent; may be NULL. Not 0: send nothing. */
	int (*sending)(struct request *request);
	size_t (*receive)(struct request *request, const char *data, size_t len);
	/* A transfer has ended; may be NULL, may decide. true: it was prepared for another one. */
	bool (*again)(struct request *request, enum remote_fault fault, long http_status);
	void (*finish)(struct request *request, enum remote_fault fault, long http_status,
		       const char *detail);
	void (*free)(struct request *request);
	bool patient; /* once sent, it is given time to be answered when the driver ends */
	/* Where its handles, and their buffers, are kept for the next ones of its kind. */
	enum http_spare_kind {
		HTTP_NO_SPARES,
		HTTP_POLL_SPARES,
		HTTP_FETCH_SPARES,
		HTTP_SPARE_KINDS
	} spares;
};

/* Whom a request may connect to. */
enum http_reach {
	HTTP_REACH_ANY,
	HTTP_REACH_PUBLIC,
	HTTP_REACH_LOOPBACK,
};

/* The first member of each kind's struct. Belongs to the network thread once it is queued. */
struct request {
	struct http *http;
	const struct request_kind *kind;
	TAILQ_ENTRY(request) entry; /* http.lock; in the queue or among the active */
	uint64_t id;                /* http.lock; for cancel */
	bool cancelled;             /* http.lock */

	char *url;
	enum http_reach reach;
	CURL *easy;
	CURLcode setup; /* the first option that could not be set */
	struct curl_slist *headers;
	size_t header_bytes;
	bool whole;        /* its transfer ended as it should */
	bool sent;         /* the request may have left */
	bool out_of_reach; /* an address was refused */
	bool decided;      /* a callback ended it: with this */
	enum remote_fault verdict;
	const char *why;
	char curl_words[CURL_ERROR_SIZE];
};

TAILQ_HEAD(request_list, request);

#define HTTP_SPARES 8

struct http_spares {
	CURL *easy[HTTP_SPARES];
	unsigned count;
};

struct http {
	struct remote remote;
	struct http_conf conf;                       /* strings are ours */
	bool local;                                  /* the gateway is on loopback */
	CURLM *multi;                                /* network thread, but for its wake-up */
	struct http_spares spares[HTTP_SPARE_KINDS]; /* network thread */
	pthread_t thread;
	bool again; /* network thread: it asked something of itself in this round */
	bool started;
	int64_t (*tick)(void *arg);
	void *tick_arg;

	struct fetch *gathering; /* network thread; whose bytes are gathered, NULL: nobody's */
	char *gathered;
	size_t gathered_len;

	_Atomic uint64_t counts[HTTP_COUNTS]; /* written by the network thread */

	pthread_mutex_t lock; /* for the rest */
	struct request_list queue;
	struct request_list active; /* changed by the network thread only */
	uint64_t last_id;
	bool any_cancelled;
	bool stopping;
	int64_t stop_at_ms;
};

#define HTTP_SET(request, option, value)                                                           \
	((request)->setup = (request)->setup ? (request)->setup                                    \
					     : curl_easy_setopt((request)->easy, option, value))

/* Hands REQUEST over to the network thread, as *ID when that is not NULL; frees it on failure. */
int http_enqueue(struct http *http, struct request *request, uint64_t *id);

/* For receive(): ends REQUEST with this fault and words; gives what stops curl. */
size_t http_decide(struct request *request, enum remote_fault fault, const char *why);

/* The body of an answer that is for people or for us. */
struct http_answer {
	char *text; /* with a NUL behind it; NULL: nothing came */
	size_t len;
	size_t room;
};

/* For receive(): adds to ANSWER, and gives what receive() gives: more than MAX bytes end REQUEST.
 */
size_t http_keep_answer(struct request *request, struct http_answer *answer, size_t max,
			const char *data, size_t len);

/* Adds a header line; no memory is noted in REQUEST->setup. */
void http_header(struct request *request, const char *line);
/* A header of the answer, or NULL. Valid until the next transfer. */
const char *http_answer_header(struct request *request, const char *name);

/* http_fault.c */

/* The fault of a transfer that ended with CODE, or what was decided before. */
enum remote_fault http_fault_of(const struct request *request, CURLcode code);
/* One line in words for what happened; borrowed from REQUEST. */
const char *http_detail_of(struct request *request, enum remote_fault fault);

/* Any thread: the vtable's operations. */
int http_submit(void *ctx, const struct remote_submit *submit);
int http_status(void *ctx, const char *url,
		void (*done)(void *arg, const struct remote_reply *reply), void *arg);
int http_head(void *ctx, const char *url,
	      void (*done)(void *arg, const struct remote_object *object), void *arg);
int http_fetch(void *ctx, const struct remote_fetch *fetch, uint64_t *id);
int http_upload(void *ctx, const struct remote_upload *upload);

/* Network thread: gives the bytes that fetches have gathered to their readers. */
void http_flush(struct http *http);
#define HTTP_GATHER (256 * 1024)

bool http_address_allowed(const struct sockaddr *address, enum http_reach reach);

#endif
