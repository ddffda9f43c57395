#include "remote.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	int error;
} faults[] = {
	[REMOTE_OK] = { "ok", 0 },
	[REMOTE_DNS] = { "dns", EHOSTUNREACH },
	[REMOTE_CONNECT] = { "connect", ECONNREFUSED },
	[REMOTE_TLS] = { "tls", EREMOTEIO },
	[REMOTE_TIMEOUT] = { "timeout", ETIMEDOUT },
	[REMOTE_CUT] = { "cut", EREMOTEIO },
	/* not EFBIG: the writer would take it for his own file */
	[REMOTE_TOO_BIG] = { "too-big", EREMOTEIO },
	[REMOTE_FORBIDDEN] = { "forbidden", EACCES },
	[REMOTE_REDIRECT] = { "redirect", EREMOTEIO },
	[REMOTE_NO_KEY] = { "no-key", ENOKEY },
	[REMOTE_ABORTED] = { "aborted", ECANCELED },
	[REMOTE_STOPPED] = { "stopped", ESHUTDOWN },
	[REMOTE_CHANGED] = { "changed", ESTALE },
};
#define FAULTS (sizeof faults / sizeof faults[0])

static const struct {
	int status;
	int error;
} statuses[] = {
	{ 400, EINVAL }, { 401, EKEYREJECTED }, { 402, EDQUOT },
	{ 403, EACCES }, { 408, ETIMEDOUT },    { 413, EINVAL },
	{ 415, EINVAL }, { 422, EINVAL },       { 429, EBUSY },
};

/* What is in the quotes of an ETag, with them; NULL: it is none. */
static const char *opaque_tag(const char *etag)
{
	if (strncmp(etag, "W/", 2) == 0)
		etag += 2;
	return *etag == '"' ? etag : NULL;
}

bool remote_same_object(const char *a, const char *b)
{
	if (!a || !b)
		return true;
	const char *tag_a = opaque_tag(a), *tag_b = opaque_tag(b);
	if (!tag_a != !tag_b)
		return true;
	return strcmp(tag_a ? tag_a : a, tag_b ? tag_b : b) == 0;
}

static int status_errno(long http_status)
{
	if (http_status >= 200 && http_status < 300)
		return 0;
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		if (statuses[i].status == http_status)
			return statuses[i].error;
	return EREMOTEIO;
}

int remote_errno(enum remote_fault fault, long http_status)
{
	if (fault == REMOTE_OK)
		return status_errno(http_status);
	return (size_t)fault < FAULTS ? faults[fault].error : EIO;
}

const char *remote_fault_name(enum remote_fault fault)
{
	return (size_t)fault < FAULTS ? faults[fault].name : "unknown";
}
