#include "url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool url_is_visible(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

/* Strict: what is odd (user names, escapes, backslashes) is read differently by different
 * programs, and then a check of the origin proves nothing. */
static const char *skip_host(const char *p)
{
	if (*p != '[')
		return p + strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789.-_");
	p += 1 + strspn(p + 1, "0123456789abcdefABCDEF:.");
	return *p == ']' ? p + 1 : NULL;
}

bool url_parse(const char *url, struct url_origin *out)
{
	out->https = strncasecmp(url, "https://", 8) == 0;
	if ((!out->https && strncasecmp(url, "http://", 7) != 0) || !url_is_visible(url))
		return false;
	out->host = url + (out->https ? 8 : 7);
	out->port = out->https ? 443 : 80;
	const char *end = skip_host(out->host);
	if (!end || end == out->host)
		return false;
	out->host_len = (size_t)(end - out->host);
	if (*end == ':') {
		char *after = NULL;
		if (!isdigit((unsigned char)end[1]))
			return false;
		out->port = strtol(end + 1, &after, 10);
		end = after;
	}
	out->rest = end;
	return out->port >= 1 && out->port <= 65535 && (!*end || strchr("/?#", *end));
}

bool url_is_loopback(const struct url_origin *origin)
{
	char host[INET_ADDRSTRLEN];
	struct in_addr address;
	if (origin->host_len >= sizeof host)
		return false;
	memcpy(host, origin->host, origin->host_len);
	host[origin->host_len] = '\0';
	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool url_is_private(const char *url)
{
	struct url_origin origin;
	return url_parse(url, &origin) && (origin.https || url_is_loopback(&origin));
}
