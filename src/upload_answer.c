/*
 * upload_answer - what S3 says, in words
 *
 * An error is a small XML document; of it a code, a message and where else to go are wanted, which
 * are plain text in elements of their own. Whatever comes is shown as one line of ASCII.
 */
#include "upload_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 256

enum verdict { REFUSED, RETRIED };

/* By code, since several have one HTTP status. Codes are in "Error responses" of the S3 API
 * reference. */
static const struct advice {
	const char *code;
	enum verdict verdict;
	const char *what_to_do;
} advices[] = {
	{ "AccessDenied", REFUSED,
	  "these credentials need s3:GetObject and s3:PutObject on what is below it" },
	{ "NoSuchBucket", REFUSED, "make the bucket, or correct upload=" },
	{ "SignatureDoesNotMatch", REFUSED,
	  "the secret access key is not the one of this access key, or a proxy changes requests" },
	{ "InvalidAccessKeyId", REFUSED, "the store does not know this access key" },
	{ "ExpiredToken", REFUSED, "the session of these credentials is over: renew them" },
	{ "InvalidToken", REFUSED, "the session token is not that of these credentials" },
	{ "RequestTimeTooSkewed", RETRIED, "set this machine's clock; it is tried again" },
	{ "RequestTimeout", RETRIED, "it is tried again" },
	{ "XAmzContentSHA256Mismatch", RETRIED, "it was damaged on the way; it is tried again" },
	{ "BadDigest", RETRIED, "it was damaged on the way; it is tried again" },
	{ "AuthorizationHeaderMalformed", REFUSED, "set s3_region= to the bucket's region" },
	{ "PermanentRedirect", REFUSED, "set s3_region= or s3_endpoint= to where the bucket is" },
	{ "TemporaryRedirect", RETRIED, "the bucket moves; it is tried again" },
};

static const struct advice *find_advice(const char *code)
{
	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (strcmp(advices[i].code, code) == 0)
			return &advices[i];
	return NULL;
}

void upload_answer_clean(char *text)
{
	char *start = text, *out = text;
	for (; *text; text++) {
		if (*text > ' ' && *text < 0x7f)
			*out++ = *text;
		else if (out > start && out[-1] != ' ')
			*out++ = ' ';
	}
	while (out > start && out[-1] == ' ')
		out--;
	*out = '\0';
}

/* The character that TEXT begins with, and how many bytes it takes there. */
static char character(const char *text, size_t *len)
{
	static const struct {
		const char *name;
		char character;
	} entities[] = {
		{ "&amp;", '&' },  { "&lt;", '<' },    { "&gt;", '>' },
		{ "&quot;", '"' }, { "&apos;", '\'' }, { "&#39;", '\'' },
	};
	for (size_t i = 0; *text == '&' && i < sizeof(entities) / sizeof(entities[0]); i++) {
		*len = strlen(entities[i].name);
		if (strncmp(text, entities[i].name, *len) == 0)
			return entities[i].character;
	}
	*len = 1;
	return *text;
}

/* The text of the first element NAME, which has no other ones in it; "": there is none. */
static void read_element(const char *body, const char *name, char out[WORD_MAX])
{
	char tag[64];
	size_t used = 0, len;
	snprintf(tag, sizeof(tag), "<%s>", name);
	const char *at = strstr(body, tag);
	for (at = at ? at + strlen(tag) : ""; *at && *at != '<' && used < WORD_MAX - 1; at += len)
		out[used++] = character(at, &len);
	out[used] = '\0';
	upload_answer_clean(out);
}

/* What says no, and not "later". */
static bool is_final(long http_status)
{
	return http_status >= 300 && http_status < 500 && http_status != 408 &&
	       http_status != 409 && http_status != 425 && http_status != 429;
}

static void read_words(const struct remote_reply *reply, const char *where,
		       const struct advice *advice, const char *code,
		       char detail[UPLOAD_DETAIL_MAX])
{
	char message[WORD_MAX], region[WORD_MAX], place[WORD_MAX], hint[2 * WORD_MAX + 32] = "";
	read_element(reply->body, "Message", message);
	read_element(reply->body, "Region", region);
	read_element(reply->body, "Endpoint", place);
	if (region[0] || place[0])
		snprintf(hint, sizeof(hint), " (it is %s%s%s%s)", region[0] ? "in " : "", region,
			 place[0] ? (region[0] ? ", at " : "at ") : "", place);
	snprintf(detail, UPLOAD_DETAIL_MAX, "%.100s: HTTP %ld%s%.60s%s%.200s%.200s%s%s", where,
		 reply->http_status, code[0] ? " " : "", code, message[0] ? ": " : "", message,
		 hint, advice ? "; " : "", advice ? advice->what_to_do : "");
}

void upload_answer_read(const struct remote_reply *reply, const char *where,
			struct published *result, char detail[UPLOAD_DETAIL_MAX])
{
	char code[WORD_MAX] = "";
	const struct advice *advice = NULL;
	bool answered = reply->fault == REMOTE_OK || reply->fault == REMOTE_REDIRECT;
	if (answered) {
		read_element(reply->body, "Code", code);
		advice = find_advice(code);
		read_words(reply, where, advice, code, detail);
	} else {
		snprintf(detail, UPLOAD_DETAIL_MAX, "%.100s: %.300s", where, reply->detail);
	}
	*result = (struct published){ .error = remote_errno(reply->fault, reply->http_status),
				      .detail = detail };
	if (!answered)
		result->refused = reply->fault == REMOTE_FORBIDDEN;
	else if (advice)
		result->refused = advice->verdict == REFUSED;
	else
		result->refused = is_final(reply->http_status);
	if (!result->error)
		result->error = EREMOTEIO;
}
