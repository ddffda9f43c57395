/*
 * span - HTTP ranges and validators
 *
 * Role:    what of an object a request's header fields ask for (RFC 9110).  Pure.
 */
#ifndef SANDBOX_SPAN_H
#define SANDBOX_SPAN_H

#include <stdbool.h>
#include <stdint.h>

enum span_kind { SPAN_WHOLE, SPAN_PART, SPAN_UNSATISFIABLE };

struct span {
	enum span_kind kind;
	uint64_t start, size;
};

/* A Range header (NULL: none) over `total` bytes; what is not one valid range is ignored. */
struct span span_parse(const char *range, uint64_t total);

/* An If-None-Match or If-Match list names this ETag. */
bool span_list_has(const char *list, const char *etag);

/* An If-Range value (NULL: none) allows a part of this version. */
bool span_if_range(const char *value, const char *etag, const char *modified);

#endif
