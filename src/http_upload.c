/*
 * http_upload - what goes to the user's own store, without the key
 *
 * The user named the place, so that any address will do; but what is sent (a picture, a signature
 * that is good for minutes) goes over https, or stays on this machine. Sending it twice makes the
 * same object twice, so that curl may try a connection that died again.
 */
#include "http_internal.h"

#include "api.h"
#include "url.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX  (64 * 1024) /* S3's errors are under 2 KiB */
#define UNASKED_MAX (1024 * 1024)
#define SEND_BUFFER (256 * 1024L)

struct upload {
	struct request base;
	int file; /* -1: a HEAD */
	uint64_t size;
	uint64_t at; /* the next byte to be sent */
	struct http_answer answer;
	void (*done)(void *arg, const struct remote_reply *reply);
	void *arg;
};

/* Callbacks of curl. */

static size_t give_bytes(char *out, size_t size, size_t count, void *arg)
{
	struct upload *upload = arg;
	uint64_t left = upload->size - upload->at, want = size * count < left ? size * count : left;
	ssize_t n = 0;

	if (want)
		do
			n = pread(upload->file, out, want, (off_t)upload->at);
		while (n < 0 && errno == EINTR);
	if (n < 0 || (want && n == 0)) {
		http_decide(&upload->base, REMOTE_ABORTED,
			    n < 0 ? "the image cannot be read" : "the image became shorter");
		return CURL_READFUNC_ABORT;
	}
	upload->at += (uint64_t)n;
	return (size_t)n;
}

static int go_back(void *arg, curl_off_t offset, int origin)
{
	struct upload *upload = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > upload->size)
		return CURL_SEEKFUNC_FAIL;
	upload->at = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* A request. */

static enum remote_fault prepare(struct request *request)
{
	struct url_origin origin;

	if (!url_is_private(request->url) || !url_parse(request->url, &origin))
		return REMOTE_FORBIDDEN;
	request->reach = origin.https ? HTTP_REACH_ANY : HTTP_REACH_LOOPBACK;
	HTTP_SET(request, CURLOPT_PROTOCOLS_STR, origin.https ? "https" : "http");
	HTTP_SET(request, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	return REMOTE_OK;
}

static enum remote_fault prepare_head(struct request *request)
{
	const struct http_conf *conf = &request->http->conf;

	HTTP_SET(request, CURLOPT_NOBODY, 1L);
	HTTP_SET(request, CURLOPT_TIMEOUT_MS, (long)(conf->connect_ms + conf->answer_ms));
	return prepare(request);
}

static enum remote_fault prepare_put(struct request *request)
{
	struct upload *upload = (struct upload *)request;
	int64_t stall_s = (request->http->conf.stall_ms + 999) / 1000;

	HTTP_SET(request, CURLOPT_UPLOAD, 1L);
	HTTP_SET(request, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
	HTTP_SET(request, CURLOPT_INFILESIZE_LARGE, (curl_off_t)upload->size);
	HTTP_SET(request, CURLOPT_READFUNCTION, give_bytes);
	HTTP_SET(request, CURLOPT_READDATA, upload);
	HTTP_SET(request, CURLOPT_SEEKFUNCTION, go_back);
	HTTP_SET(request, CURLOPT_SEEKDATA, upload);
	/* curl asks before it sends (100-continue), so that a refusal costs no transfer. */
	if (upload->size <= UNASKED_MAX)
		http_header(request, "Expect:");
	HTTP_SET(request, CURLOPT_LOW_SPEED_LIMIT, 1L);
	HTTP_SET(request, CURLOPT_LOW_SPEED_TIME, (long)stall_s);
	return prepare(request);
}

static size_t receive(struct request *request, const char *data, size_t len)
{
	struct upload *upload = (struct upload *)request;

	return http_keep_answer(request, &upload->answer, ANSWER_MAX, data, len);
}

static void finish(struct request *request, enum remote_fault fault, long http_status,
		   const char *detail)
{
	struct upload *upload = (struct upload *)request;
	const char *retry = request->easy ? http_answer_header(request, "Retry-After") : NULL;
	curl_off_t size = -1;

	if (request->easy && upload->file < 0 && http_status == 200)
		curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
	upload->done(upload->arg,
		     &(struct remote_reply){
			     .fault = fault,
			     .sent = request->sent,
			     .http_status = http_status,
			     .retry_after_ms = retry ? api_retry_after(retry, time(NULL)) : -1,
			     .size = size,
			     .body = upload->answer.text ? upload->answer.text : "",
			     .body_len = upload->answer.len,
			     .detail = detail });
}

static void free_upload(struct request *request)
{
	struct upload *upload = (struct upload *)request;

	if (upload->file >= 0)
		close(upload->file);
	free(upload->answer.text);
	free(upload);
}

static const struct request_kind head_kind = {
	.count = HTTP_COUNT_HEADS,
	.prepare = prepare_head,
	.receive = receive,
	.finish = finish,
	.free = free_upload,
};

static const struct request_kind put_kind = {
	.count = HTTP_COUNT_UPLOADS,
	.prepare = prepare_put,
	.receive = receive,
	.finish = finish,
	.free = free_upload,
};

/* Making one. */

static void add_headers(struct request *request, const char *lines)
{
	for (const char *end; (end = strchr(lines, '\n')); lines = end + 1) {
		char *line = strndup(lines, (size_t)(end - lines));

		if (!line) {
			request->setup = CURLE_OUT_OF_MEMORY;
			return;
		}
		http_header(request, line);
		explicit_bzero(line, strlen(line));
		free(line);
	}
}

int http_upload(void *ctx, const struct remote_upload *ask)
{
	struct upload *upload = calloc(1, sizeof(*upload));
	int r = 0;

	if (!upload)
		return -ENOMEM;
	upload->file = ask->path ? open(ask->path, O_RDONLY | O_CLOEXEC) : -1;
	if (ask->path && upload->file < 0)
		r = -errno;
	upload->base.kind = ask->path ? &put_kind : &head_kind;
	upload->base.url = strdup(ask->url);
	upload->size = ask->size;
	upload->done = ask->done;
	upload->arg = ask->arg;
	if (r || !upload->base.url) {
		free(upload->base.url);
		free_upload(&upload->base);
		return r ? r : -ENOMEM;
	}
	add_headers(&upload->base, ask->headers);
	return http_enqueue(ctx, &upload->base, NULL);
}
