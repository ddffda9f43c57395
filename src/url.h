/*
 * url - whom a URL leads to
 *
 * Role:    reads the origin of http(s) URLs, strictly. Pure. Threads: no state.
 */
#ifndef URL_H
#define URL_H

#include <stdbool.h>
#include <stddef.h>

struct url_origin {
	bool https;
	const char *host; /* borrowed from the URL */
	size_t host_len;
	long port;
	const char *rest; /* what follows: "", or from "/", "?" or "#" on */
};

/* false: no http(s) URL, or an odd one (user names, escapes, backslashes in its host, white space
 * or control characters anywhere). */
bool url_parse(const char *url, struct url_origin *out);
/* No white space, no control characters. */
bool url_is_visible(const char *text);
/* Is its host this machine, by its text: localhost, 127.0.0.0/8, [::1]? */
bool url_is_loopback(const struct url_origin *origin);
/* https, or http on loopback, where nobody listens in. */
bool url_is_private(const char *url);

#endif
