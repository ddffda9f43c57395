/*
 * http_media - what comes from the CDN, without the key
 *
 * The server is not believed: a range may be ignored or be another one than asked for, a body may
 * be short or long, encoded, or of another version of the object. begin() is called only for an
 * answer that was checked, and REMOTE_OK is given only when every byte was counted.
 *
 * A size that no header tells is in a GLB file's own, which is all that is read of it; another file
 * is counted to its end, within bounds.  A body that its server ends too early is found out later:
 * a fetch of it is cut.
 *
 * curl gives 16 KiB at a time: they are gathered, for each piece costs its reader a write and a
 * round of locks. The first ones are not, since somebody waits for them, and nothing is kept longer
 * than the round of the network thread in which it came.
 */
#include "http_internal.h"

#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RECEIVE_BUFFER (512 * 1024L)
#define ETAG_MAX       1024
#define STRAIGHT       (32 * 1024)
/* An object may be written twice in a second, and dates of two clocks differ by more; a server that
 * knows no date says the present one (RFC 9110 section 8.8.2.2). */
#define SETTLED_S 60

#define COUNT_MAX (1024LL << 20)

static const char encoded[] = "the server encodes what was asked for as it is";

struct head {
	struct request base;
	bool ranged;      /* the second try, with a range */
	bool unsized;     /* all of the object comes, and no header says how much that is */
	int64_t received; /* bytes of its body... */
	char start[12];   /* ...and the first ones */
	int64_t told;     /* by these; 0: nothing */
	void (*done)(void *arg, const struct remote_object *object);
	void *arg;
};

struct fetch {
	struct request base;
	struct remote_fetch ask; /* strings are ours */
	struct remote_object object;
	bool begun;
	uint64_t at;  /* offset of the next byte; what is gathered ends here */
	uint64_t end; /* of what the answer promises */
};

/* Decimal digits at *P, which moves past them. */
static bool take_number(const char **p, uint64_t *out)
{
	const char *start = *p;

	*out = 0;
	for (; **p >= '0' && **p <= '9'; ++*p) {
		if (*out > (uint64_t)(INT64_MAX - 9) / 10)
			return false;
		*out = *out * 10 + (uint64_t)(**p - '0');
	}
	return *p > start;
}

/* "bytes 0-9/100": [*start, *end) of *size. RFC 9110 section 14.4. */
static bool parse_content_range(const char *text, uint64_t *start, uint64_t *end, uint64_t *size)
{
	uint64_t last;

	if (!text || strncasecmp(text, "bytes ", 6))
		return false;
	text += 6;
	if (!take_number(&text, start) || *text++ != '-' || !take_number(&text, &last) ||
	    *text++ != '/' || !take_number(&text, size) || *text)
		return false;
	*end = last + 1;
	return *start < *end && *end <= *size;
}

static bool is_strong_etag(const char *etag)
{
	size_t len = etag ? strlen(etag) : 0;

	if (len < 2 || len > ETAG_MAX || etag[0] != '"' || etag[len - 1] != '"')
		return false;
	for (const char *p = etag; *p; p++) {
		if ((unsigned char)*p < ' ')
			return false;
	}
	return true;
}

static bool is_encoded(struct request *request)
{
	const char *encoding = http_answer_header(request, "Content-Encoding");

	return encoding && *encoding && strcasecmp(encoding, "identity");
}

static const char *etag_of(struct request *request)
{
	const char *etag = http_answer_header(request, "ETag");
	bool weak = etag && !strncmp(etag, "W/", 2);

	return is_strong_etag(weak ? etag + 2 : etag) ? etag : NULL;
}

/* The date of an object that was not changed just now; NULL: it may have been, or there is none. */
static const char *settled_date_of(struct request *request)
{
	const char *modified = http_answer_header(request, "Last-Modified");
	const char *date = http_answer_header(request, "Date");
	time_t then = modified ? curl_getdate(modified, NULL) : -1;
	time_t now = date ? curl_getdate(date, NULL) : -1;

	return then >= 0 && now >= 0 && now - then >= SETTLED_S ? modified : NULL;
}

/* Does the answer tell that its object is another one than that of KNOWN? */
static bool is_another(struct request *request, const char *known)
{
	const char *etag = etag_of(request);

	return !remote_same_object(known,
				   etag ? etag : http_answer_header(request, "Last-Modified"));
}

/* Fills in what the answer's headers say of the whole object. */
static void describe(struct request *request, long http_status, struct remote_object *object)
{
	const char *etag = etag_of(request);
	const char *ranges = http_answer_header(request, "Accept-Ranges");
	const char *range = http_answer_header(request, "Content-Range");
	const char *modified = http_answer_header(request, "Last-Modified");
	uint64_t start, end, size;
	curl_off_t length = -1;

	object->http_status = http_status;
	object->size = -1;
	object->etag = etag ? etag : settled_date_of(request);
	object->media_type = http_answer_header(request, "Content-Type");
	object->mtime_s = modified ? (int64_t)curl_getdate(modified, NULL) : -1;
	object->ranges = ranges && !strcasecmp(ranges, "bytes");
	if (is_encoded(request))
		return;
	if (http_status == 206 && parse_content_range(range, &start, &end, &size)) {
		object->ranges = true;
		object->size = (int64_t)size;
	} else if (http_status == 200) {
		curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		object->size = length;
	}
}

static enum remote_fault prepare_media(struct request *request)
{
	const struct http *http = request->http;

	if (!api_media_url_allowed(http->conf.gateway, request->url))
		return REMOTE_FORBIDDEN;
	request->reach = http->local ? HTTP_REACH_LOOPBACK : HTTP_REACH_PUBLIC;
	/* Parallel ranges are faster on connections of their own. */
	HTTP_SET(request, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	http_header(request, "Accept-Encoding: identity");
	return REMOTE_OK;
}

static enum remote_fault prepare_head(struct request *request)
{
	const struct http_conf *conf = &request->http->conf;

	HTTP_SET(request, CURLOPT_NOBODY, 1L);
	HTTP_SET(request, CURLOPT_TIMEOUT_MS, (long)(conf->connect_ms + conf->answer_ms));
	return prepare_media(request);
}

/* A GLB file's own length, from its header (glTF 2.0 specification, "Binary glTF layout"). */
static int64_t glb_length(const char header[12])
{
	const unsigned char *p = (const unsigned char *)header + 8;

	if (memcmp(header, "glTF\2\0\0\0", 8) != 0)
		return 0;
	return (int64_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
}

static bool comes_unsized(struct request *request)
{
	struct remote_object object;
	long http_status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &http_status);
	describe(request, http_status, &object);
	return http_status == 200 && object.size < 0 && !is_encoded(request);
}

/* Where the headers have said all, a server that sends more than the one byte is not listened to.
 */
static size_t receive_head(struct request *request, const char *data, size_t len)
{
	struct head *head = (struct head *)request;
	size_t had = (size_t)head->received, want = sizeof(head->start);

	if (!had)
		head->unsized = comes_unsized(request);
	head->received += (int64_t)len;
	if (!head->unsized)
		return head->received <= 1 ? len : http_decide(request, REMOTE_OK, NULL);
	if (had < want)
		memcpy(head->start + had, data, len < want - had ? len : want - had);
	if (had < want && head->received >= (int64_t)want)
		head->told = glb_length(head->start);
	if (head->told)
		return http_decide(request, REMOTE_OK, NULL);
	return head->received <= COUNT_MAX
		       ? len
		       : http_decide(request, REMOTE_TOO_BIG, "the object has no end");
}

static bool try_range(struct request *request, enum remote_fault fault, long http_status)
{
	struct head *head = (struct head *)request;
	struct remote_object object;

	if (head->ranged || fault != REMOTE_OK)
		return false;
	describe(request, http_status, &object);
	if (http_status != 403 && http_status != 405 && http_status != 501 &&
	    (http_status != 200 || object.size >= 0))
		return false;
	head->ranged = true;
	HTTP_SET(request, CURLOPT_NOBODY, 0L);
	HTTP_SET(request, CURLOPT_HTTPGET, 1L);
	HTTP_SET(request, CURLOPT_RANGE, "0-0");
	return true;
}

static void finish_head(struct request *request, enum remote_fault fault, long http_status,
			const char *detail)
{
	struct head *head = (struct head *)request;
	struct remote_object object = { .size = -1, .mtime_s = -1, .http_status = http_status };

	if (request->easy && http_status)
		describe(request, http_status, &object);
	if (head->unsized && fault == REMOTE_OK)
		object.size = head->told ? head->told : head->received;
	object.fault = fault;
	object.detail = detail;
	if (fault == REMOTE_OK && is_encoded(request)) {
		object.fault = REMOTE_CHANGED;
		object.detail = encoded;
	}
	head->done(head->arg, &object);
}

static void free_plain(struct request *request)
{
	free(request);
}

static const struct request_kind head_kind = {
	.count = HTTP_COUNT_HEADS,
	.prepare = prepare_head,
	.receive = receive_head,
	.again = try_range,
	.finish = finish_head,
	.free = free_plain,
};

static enum remote_fault prepare_fetch(struct request *request)
{
	struct fetch *fetch = (struct fetch *)request;
	const struct remote_fetch *ask = &fetch->ask;
	int64_t stall_s = (request->http->conf.stall_ms + 999) / 1000;
	char line[ETAG_MAX + 64];

	HTTP_SET(request, CURLOPT_HTTPGET, 1L);
	HTTP_SET(request, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	HTTP_SET(request, CURLOPT_LOW_SPEED_LIMIT, 1L);
	HTTP_SET(request, CURLOPT_LOW_SPEED_TIME, (long)stall_s);
	if (ask->start > 0 || ask->end < ask->size) {
		snprintf(line, sizeof(line), "%llu-%llu", (unsigned long long)ask->start,
			 (unsigned long long)ask->end - 1);
		HTTP_SET(request, CURLOPT_RANGE, line);
		if (is_strong_etag(ask->etag)) {
			snprintf(line, sizeof(line), "If-Range: %s", ask->etag);
			http_header(request, line);
		}
	}
	return prepare_media(request);
}

static size_t changed(struct request *request, const char *why)
{
	return http_decide(request, REMOTE_CHANGED, why);
}

/* Checks the answer's headers. 0: its body may be taken; else the fetch was decided. */
static size_t check_answer(struct fetch *fetch, long http_status)
{
	struct request *request = &fetch->base;
	const struct remote_fetch *ask = &fetch->ask;
	uint64_t size = ask->size;

	if (http_status != 200 && http_status != 206)
		return http_decide(request, REMOTE_OK, NULL);
	describe(request, http_status, &fetch->object);
	if (is_encoded(request))
		return changed(request, encoded);
	if (is_another(request, ask->etag))
		return changed(request, "the object has another ETag or date than before");
	fetch->at = 0;
	fetch->end = size;
	if (http_status == 206 &&
	    (!parse_content_range(http_answer_header(request, "Content-Range"), &fetch->at,
				  &fetch->end, &size) ||
	     fetch->at != ask->start || fetch->end > ask->end))
		return changed(request, "the server sends another range than was asked for");
	if (fetch->object.size >= 0)
		size = (uint64_t)fetch->object.size;
	if (size != ask->size)
		return changed(request, "the object has another size than before");
	fetch->object.start = (int64_t)fetch->at;
	return 0;
}

static size_t begin(struct fetch *fetch)
{
	struct request *request = &fetch->base;
	long http_status = 0;
	size_t stop;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &http_status);
	stop = check_answer(fetch, http_status);
	if (stop)
		return stop;
	fetch->begun = true;
	fetch->object.detail = "";
	if (fetch->ask.begin(fetch->ask.arg, &fetch->object))
		return http_decide(request, REMOTE_ABORTED, "stopped by its reader");
	return 0;
}

static void give(struct fetch *fetch, uint64_t offset, const char *data, size_t len)
{
	struct http *http = fetch->base.http;

	if (!fetch->ask.data(fetch->ask.arg, offset, data, len))
		return;
	http_decide(&fetch->base, REMOTE_ABORTED, "stopped by its reader");
	/* Outside of its own callback curl is not told otherwise. */
	pthread_mutex_lock(&http->lock);
	fetch->base.cancelled = true;
	http->any_cancelled = true;
	http->again = true;
	pthread_mutex_unlock(&http->lock);
}

void http_flush(struct http *http)
{
	struct fetch *fetch = http->gathering;

	if (!fetch)
		return;
	http->gathering = NULL;
	give(fetch, fetch->at - http->gathered_len, http->gathered, http->gathered_len);
}

static void gather(struct fetch *fetch, const char *data, size_t len)
{
	struct http *http = fetch->base.http;

	if (http->gathering != fetch || len > HTTP_GATHER - http->gathered_len)
		http_flush(http);
	if (!http->gathering)
		http->gathered_len = 0;
	http->gathering = fetch;
	memcpy(http->gathered + http->gathered_len, data, len);
	http->gathered_len += len;
}

static size_t receive_fetch(struct request *request, const char *data, size_t len)
{
	struct fetch *fetch = (struct fetch *)request;
	size_t stop = fetch->begun ? 0 : begin(fetch);

	if (stop)
		return stop;
	if (len > fetch->end - fetch->at)
		return changed(request, "the server sends more than it said");
	if (fetch->at < (uint64_t)fetch->object.start + STRAIGHT || len > HTTP_GATHER)
		give(fetch, fetch->at, data, len);
	else
		gather(fetch, data, len);
	fetch->at += len;
	return request->decided ? CURL_WRITEFUNC_ERROR : len;
}

/* An answer without a body was not looked at yet, and one that ended may have ended early. */
static bool check_end(struct request *request, enum remote_fault fault, long http_status)
{
	struct fetch *fetch = (struct fetch *)request;

	(void)http_status;
	if (fault == REMOTE_OK && !request->decided && (fetch->begun || !begin(fetch)) &&
	    (fetch->at < fetch->end || fetch->end < fetch->ask.end))
		http_decide(request, REMOTE_CUT, "the connection ended before the object did");
	return false;
}

static void finish_fetch(struct request *request, enum remote_fault fault, long http_status,
			 const char *detail)
{
	struct fetch *fetch = (struct fetch *)request;
	struct remote_object result = { .size = -1, .mtime_s = -1, .http_status = http_status };

	if (request->easy && http_status)
		describe(request, http_status, &result);
	result.start = fetch->object.start;
	result.fault = fault;
	result.detail = detail;
	fetch->ask.done(fetch->ask.arg, &result);
}

static void free_fetch(struct request *request)
{
	struct fetch *fetch = (struct fetch *)request;

	free((char *)fetch->ask.url);
	free((char *)fetch->ask.etag);
	free(fetch);
}

static const struct request_kind fetch_kind = {
	.count = HTTP_COUNT_FETCHES,
	.prepare = prepare_fetch,
	.receive = receive_fetch,
	.again = check_end,
	.finish = finish_fetch,
	.free = free_fetch,
	.spares = HTTP_FETCH_SPARES,
};

int http_head(void *ctx, const char *url,
	      void (*done)(void *arg, const struct remote_object *object), void *arg)
{
	struct head *head = calloc(1, sizeof(*head));

	if (!head)
		return -ENOMEM;
	head->base.kind = &head_kind;
	head->base.url = strdup(url);
	head->done = done;
	head->arg = arg;
	if (!head->base.url) {
		free(head);
		return -ENOMEM;
	}
	return http_enqueue(ctx, &head->base, NULL);
}

int http_fetch(void *ctx, const struct remote_fetch *ask, uint64_t *id)
{
	struct fetch *fetch;

	if (ask->start >= ask->end || ask->end > ask->size)
		return -EINVAL;
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return -ENOMEM;
	fetch->base.kind = &fetch_kind;
	fetch->ask = *ask;
	fetch->ask.url = NULL;
	fetch->base.url = strdup(ask->url);
	fetch->ask.etag = ask->etag ? strdup(ask->etag) : NULL;
	if (!fetch->base.url || (ask->etag && !fetch->ask.etag)) {
		free(fetch->base.url);
		free((char *)fetch->ask.etag);
		free(fetch);
		return -ENOMEM;
	}
	return http_enqueue(ctx, &fetch->base, id);
}
