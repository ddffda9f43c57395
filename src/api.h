/*
 * api - the words of the Pixal3D API
 *
 * Role:    URLs to ask, answers to read. Pure: texts in, structs out. Everything here comes from
 * the API's documentation ("Pixal3D generate request", "Response Handling", "Retrieving Results")
 * or, where said, from other writings about the service. Threads: no state.
 */
#ifndef API_H
#define API_H

#include "job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The public gateway: what SOURCE `pixal3d` means. */
#define API_PUBLIC_GATEWAY       "https://gateway.pixazo.ai"
#define API_KEY_HEADER           "Ocp-Apim-Subscription-Key"
#define API_CALLBACK_URL_HEADER  "X-Webhook-URL"
#define API_CALLBACK_MODE_HEADER "X-Webhook-Mode" /* terminal or sync */
/* Largest answer read; documented ones are under 2 KiB. */
#define API_ANSWER_MAX (1024 * 1024)

/* The origin of a gateway URL as a user writes it: "https://host[:port]", an ending "/",
 * "/pixal3d/v1" or "/v2" dropped. Heap; NULL with ERROR: no http(s) URL, or http to another host
 * than loopback. */
char *api_gateway(const char *source, char *error, size_t error_size);

/* Heap, NULL: no memory. */
char *api_submit_url(const char *gateway);
/* POLLING_URL (may be NULL) where it is on GATEWAY's own origin, else the documented one for
 * REQUEST_ID. */
char *api_status_url(const char *gateway, const char *request_id, const char *polling_url);

/* Is URL's origin (scheme, host, port) that of GATEWAY? */
bool api_same_origin(const char *gateway, const char *url);
/* May a media URL be fetched at all, by its text: https; http only when the gateway itself and
 * URL's host are on loopback. User names, escapes and the like in the host are never allowed. */
bool api_media_url_allowed(const char *gateway, const char *url);

/* Callbacks: the service POSTs to BASE/NUMBER-TOKEN, where BASE is the user's and the token, which
 * is drawn for each POST, is all that tells its callback from a forged one. */

#define API_TOKEN_LEN 32 /* small hexadecimal digits: 128 bits */

/* May the service at GATEWAY be told to call below BASE: https; http only on loopback, as the
 * gateway. Without a query, fragment or "/" at the end. */
bool api_callback_base_allowed(const char *gateway, const char *base);
/* Heap, NULL: no memory. */
char *api_callback_url(const char *base, uint64_t number, const char *token);
/* Reads the last component of PATH, whatever a proxy has left in front of it. */
bool api_callback_target(const char *path, uint64_t *number, char token[API_TOKEN_LEN + 1]);
/* The request id that a callback's body names (it is shaped as the answer to a poll); heap. NULL:
 * none. */
char *api_callback_id(const char *body, size_t len);

/* 1 to 128 of A-Z a-z 0-9 _ - . and not starting with a dot: also a safe file name. */
bool api_request_id_valid(const char *text, size_t len);

enum api_submit_kind {
	API_ACCEPTED,  /* 2xx with a request id */
	API_REFUSED,   /* 4xx but 408 and 429: not accepted, not charged */
	API_TRY_LATER, /* 429, and 503 with a Retry-After: not accepted */
	API_LOST,      /* anything else: it may have been accepted */
};

struct api_submit {
	enum api_submit_kind kind;
	char *request_id;  /* API_ACCEPTED */
	char *word;        /* status word; "QUEUED" when the answer has none */
	char *polling_url; /* NULL: none given */
	char *message;     /* the service's own words, one line; NULL: none */
};

/* Reads the answer to a POST. RETRY_AFTER: it named a time to come again, which is what tells a
 * gateway that is too busy to take it from one that lost what it had taken. 0 or -ENOMEM; never
 * fails on content. */
int api_submit_parse(long http_status, bool retry_after, const char *body, size_t len,
		     struct api_submit *out);
void api_submit_release(struct api_submit *submit);

enum api_status_kind {
	API_STATUS_OK,
	API_STATUS_RETRY,   /* 408, 429, 5xx, not JSON, another request's id: ask again later */
	API_STATUS_NO_KEY,  /* 401, 403: ask again later, and tell the person */
	API_STATUS_UNKNOWN, /* 404: the service does not know this id (yet) */
};

struct api_status {
	enum api_status_kind kind;
	char *word;    /* API_STATUS_OK: as it came */
	char *message; /* `error` as text; for the other kinds, the service's words; NULL: none */
	char *media_type; /* NULL: none */
	char *completed_at;
	size_t media_count;
	char *media_url[JOB_OUTPUTS_MAX];
};

/* Reads the answer to a poll of REQUEST_ID. `media_url` may be an array or a string, words in any
 * case (seen in other writings). 0 or -ENOMEM. */
int api_status_parse(long http_status, const char *body, size_t len, const char *request_id,
		     struct api_status *out);
void api_status_release(struct api_status *status);

/* Retry-After (RFC 9110 section 10.2.3): seconds (a fraction is taken too) or an HTTP date against
 * NOW_S (Unix time). Clamped to 1 s .. 1 h; -1 for what is neither, or negative. A date in the past
 * is 1 s. In milliseconds. */
int64_t api_retry_after(const char *value, int64_t now_s);

/* The file name of output INDEX (from 0): "output.glb", "output-2.glb"; the extension by
 * MEDIA_TYPE, else by the URL's path, else "bin". Heap. */
char *api_output_name(size_t index, const char *media_type, const char *url);

#endif
