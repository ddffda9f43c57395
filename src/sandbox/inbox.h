/*
 * inbox - the last POSTs that were received at the submit path, as they came
 *
 * Role:    lets a test see what a client really sent (its header fields, its exact body), and
 *          lets one sandbox be the receiver of another one's callbacks.
 * Threads: any; one lock, a leaf.  Bounded: the last INBOX_POSTS, long bodies cut.
 */
#ifndef SANDBOX_INBOX_H
#define SANDBOX_INBOX_H

#include <jansson.h>
#include <microhttpd.h>

enum { INBOX_POSTS = 32, INBOX_BODY = 65536 };

void inbox_put(struct MHD_Connection *c, const char *body, size_t size);

/* New array, oldest first, of {"headers": {lower-case name: value}, "body": text}. */
json_t *inbox_json(void);

void inbox_release(void);

#endif
