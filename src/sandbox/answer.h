/*
 * answer - an HTTP answer with a small body, and the faults of such answers
 *
 * Role:    the normal answer is built first; a fault then spoils it.
 * Threads: a value of the connection's own thread.  Sending may block.
 * Owns:    its JSON, text and headers.
 */
#ifndef SANDBOX_ANSWER_H
#define SANDBOX_ANSWER_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>

struct answer {
	unsigned code;
	json_t *body;    /* or NULL: `text` is the body */
	char *text;      /* or NULL: empty */
	json_t *headers; /* object of strings, or NULL */
};

/* Steals the body. */
struct answer answer_json(unsigned code, json_t *body);

/* The documented shape {"error": ..., "message": ...}; the error is the code's own words. */
struct answer answer_error(unsigned code, const char *message);

struct answer answer_text(unsigned code, const char *type, const char *text);

void answer_header(struct answer *a, const char *name, const char *value);

/* Queues and releases it. */
enum MHD_Result answer_send(struct MHD_Connection *c, struct answer *a);

/* Sends the answer as the fault (borrowed; NULL: none) spoils it, and releases it. `id` is
 * what %ID% stands for. */
enum MHD_Result answer_spoil(struct MHD_Connection *c, const json_t *fault, struct answer *a,
			     const char *id);

/* The faults that need no normal answer: http, close, reset, redirect, and stall and delay,
 * which only take time. True when the request is dealt with, its result in *result. */
bool answer_replace(struct MHD_Connection *c, const json_t *fault, const char *id,
		    enum MHD_Result *result);

#endif
