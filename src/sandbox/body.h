/*
 * body - the body of a CDN answer, at a pace and with an end of one's choice
 *
 * Role:    whole bodies at full speed are handed to sendfile; all others are read block by
 *          block on the connection's thread, which sleeps, waits and breaks off as told.
 * Threads: the connection's own.
 */
#ifndef SANDBOX_BODY_H
#define SANDBOX_BODY_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

enum body_end { END_WHOLE, END_CLOSE, END_RESET, END_STALL };

struct body {
	int file;             /* owned by the response */
	int socket;           /* borrowed */
	uint64_t start, size; /* of the file's bytes */
	int64_t rate;         /* bytes per second; 0 = unlimited */
	enum body_end end;    /* what happens after `stop_at` bytes */
	uint64_t stop_at;
	bool bump;    /* and then the content changes */
	bool corrupt; /* the byte at this offset of the file is inverted */
	uint64_t corrupt_at;
};

/* A response with this body; NULL (the file is closed) without memory. */
struct MHD_Response *body_response(const struct body *b);

/* The body of an answer without a length: raw, after which the connection closes. */
void body_send_raw(const struct body *b, const char *head);

#endif
