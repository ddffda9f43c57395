/*
 * fault - deterministic, counted faults, and the vocabulary of the control
 *
 * Role:    the list of faults and the choice of the one that fires.  What a fault does to an
 *          answer is in sabotage.c (submit, status), cdn.c (cdn, head), webhook.c (webhook).
 * Threads: any; one lock, a leaf.
 * Owns:    the list.  fault_take() gives a copy that is the caller's.
 *
 * The control is a JSON object, sent to POST /sandbox/control or read from --control FILE.
 * It is checked as a whole first: an unknown key is 400 and nothing changes. Its keys:
 *
 *   "reset": true           back to the command line's values; no faults, no holds (goes first)
 *   "queue_time": S         seconds QUEUED      } of requests accepted from now on
 *   "process_time": S       seconds PROCESSING  }
 *   "outcome": WORD|null    COMPLETED, FAILED or ERROR for requests accepted from now on;
 *                           null: by image URL ("fail", "error" in its last component)
 *   "outputs": N            media URLs per request accepted from now on (1..16)
 *   "output_bytes": N       exact size of the outputs of requests accepted from now on: a
 *                           multiple of 4, at least 8192 (0: natural size)
 *   "rate": N               bytes per second of each CDN answer; 0 = unlimited
 *   "balance": USD          the wallet
 *   "time_format": WORD     "iso" or "sql" (the callback's format) in status answers
 *   "webhook_cycle": S      seconds between callbacks of mode sync, at most 15
 *   "advance": {"request": ID or "*", "to": STATE}
 *                           that request (or all that are not terminal) enters PROCESSING,
 *                           COMPLETED, FAILED or ERROR now
 *   "expire": true          media URLs given so far answer "expired_status"; the next status
 *                           answer has new ones
 *   "expired_status": N     403 (initially), 404, 410, ...
 *   "bump": true            the content and ETag of every output change
 *   "hold": [POINT, ...]    exactly these points hold (barrier.h lists them)
 *   "faults": [FAULT, ...]  replaces the list;  "add_faults" appends to it
 *
 * FAULT is an object. Of those in the list that match an event, the first one that is past
 * its "skip" and has "times" left fires; at most one fires for one event.
 *
 *   "at"     submit, status, cdn (GET), head (HEAD on the CDN) or webhook
 *   "do"     see below
 *   "name"   its name in the ledger's faults_fired; else "AT.DO"
 *   "skip"   let so many matching events through first (0)
 *   "times"  fire so often (1); 0 = for ever
 *   "match"  only when the image URL or the request id contains this string
 *   "when"   (status, webhook) only when the request is in this state
 *   "charge" (submit) was the POST accepted and charged before the fault? Initially true,
 *            but false for "http" and "redirect"
 *   "after"  (submit: close, reset, stall) "body" (initially) or "headers": before the body
 *            was read, so that the POST does not count
 *
 *   at submit and status, "do" is one of
 *     "http"      "status": N, "headers": {..}, "body": text or JSON, "shape": "queue" or
 *                 "status" (the two documented error bodies, when there is no "body")
 *     "close"     no answer, FIN;  "reset"  no answer, RST
 *     "stall"     no answer until point "stall" is released or the client has gone; when
 *                 released the normal answer follows
 *     "delay"     "seconds": S, then the normal answer
 *     "truncate"  the normal answer with its Content-Length, but only "bytes": N of it (half)
 *     "not_json"  the normal status with "body": text (an HTML page)
 *     "answer"    the normal answer with "set": {..} merged into it and "drop": [key, ..]
 *                 removed; null in "set" sets null
 *     "huge"      JSON that goes on for "bytes": N (0: for ever), without Content-Length
 *     "redirect"  "status": 301|302|303|307|308, "location": URL
 *   at cdn, "do" is one of http, close, reset, stall, delay, redirect as above, or
 *     "no_range"     Range is ignored: 200 and the whole body
 *     "wrong_range"  Content-Range is off by "by": N (1000); the body is the one asked for
 *     "close_after"  close after "bytes": N of the body;  "reset_after"  the same with RST
 *     "stall_after"  stall after "bytes": N
 *                    With "offset": N instead, these and "bump_after" fire only for an answer
 *                    that has the object's byte N, and end before it.
 *     "no_length"    no Content-Length, close after "bytes": N (0: after the whole body)
 *     "bump"         as the control's, before this request is looked at
 *     "bump_after"   as "close_after", then "bump"
 *     "gzip"         the body compressed, unsolicited
 *     "slow"         "rate": N bytes per second
 *     "corrupt"      the byte at "offset": N (0) of the object is inverted; as there
 *     "short"        the object ends after "bytes": N, consistently
 *     "huge"         no Content-Length; after the whole body "bytes": N more (0: for ever)
 *     "answer"       "set": {NAME: VALUE} and "drop": [NAME, ..] change the header fields
 *   at head: http, close, reset, stall, delay, redirect, bump, no_length, answer, or
 *     "length"       Content-Length is "bytes": N
 *   at webhook: "duplicate" ("copies": N (2)), "lose", "delay" ("seconds")
 *
 * In strings of "set", "headers", "body" and "location", %GATEWAY%, %CDN%, %ID% and %MEDIA% stand
 * for the two base URLs, the request's id and its (first) media URL.
 */
#ifndef SANDBOX_FAULT_H
#define SANDBOX_FAULT_H

#include "settings.h"

#include <jansson.h>

enum fault_at { AT_SUBMIT, AT_STATUS, AT_CDN, AT_HEAD, AT_WEBHOOK };

enum { FAULT_WHY = 200 };

/* What is wrong with an array of faults; true when nothing is. */
bool fault_check(const json_t *faults, char why[FAULT_WHY]);

/* Add checked faults to the list, which is emptied first when `replace`. */
void fault_add(const json_t *faults, bool replace);

/* An event happens: the fault that fires, or NULL. `after` is "headers" or "body"; `text`
 * and `id` (either may be NULL) are what "match" looks at. The caller must json_decref(). */
json_t *fault_take(enum fault_at at, const char *after, const char *text, const char *id,
		   enum state state);
/* The same for an answer with the bytes [start, end) of the object. */
json_t *fault_take_within(enum fault_at at, const char *after, const char *text, const char *id,
			  enum state state, uint64_t start, uint64_t end);

/* The fault's "do" is this word; false for NULL. */
bool fault_is(const json_t *fault, const char *what);

/* Members of a fault, with a default. */
const char *fault_str(const json_t *fault, const char *key, const char *initial);
int64_t fault_int(const json_t *fault, const char *key, int64_t initial);
double fault_num(const json_t *fault, const char *key, double initial);
bool fault_bool(const json_t *fault, const char *key, bool initial);

/* New object {name: count} of all that have fired since the start. */
json_t *fault_fired(void);

#endif
