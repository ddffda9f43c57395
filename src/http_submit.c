/*
 * http_submit - what goes to the gateway, with the key
 *
 * A submission costs money each time it arrives. curl sends a request again when a used connection
 * dies without an answer, whatever its method; so each POST has a connection of its own, which is
 * new and not used again, and speaks HTTP/1.1. What fails before sending() was called has
 * provably not been sent.
 */
#include "http_internal.h"

#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define KEY_HIDDEN_MIN 12 /* shorter ones are words, and no keys of the service */

/* A submission or a question for a status. */
struct ask {
	struct request base;
	struct remote_submit submit; /* body is ours; all zero for a status */
	void (*done)(void *arg, const struct remote_reply *reply);
	void *arg;
	struct http_answer answer;
};

static size_t receive(struct request *request, const char *data, size_t len)
{
	struct ask *ask = (struct ask *)request;

	return http_keep_answer(request, &ask->answer, API_ANSWER_MAX, data, len);
}

static enum remote_fault add_key(struct request *request)
{
	char key[KEY_MAX];
	char line[sizeof(API_KEY_HEADER ": ") + KEY_MAX];

	if (key_read(request->http->conf.key, key))
		return REMOTE_NO_KEY;
	snprintf(line, sizeof(line), "%s: %s", API_KEY_HEADER, key);
	http_header(request, line);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(line, sizeof(line));
	return REMOTE_OK;
}

/* What was sent as header NAME; "" when it was not. */
static const char *header_sent(const struct request *request, const char *name)
{
	size_t len = strlen(name);

	for (const struct curl_slist *line = request->headers; line; line = line->next) {
		if (!strncmp(line->data, name, len) && !strncmp(line->data + len, ": ", 2))
			return line->data + len + 2;
	}
	return "";
}

/* An answer that repeats a secret would show it in the mount, the books and the log. */
static void hide(struct ask *ask, const char *secret)
{
	size_t len = strlen(secret);
	char *at = ask->answer.text;

	if (len < KEY_HIDDEN_MIN)
		return;
	while (at &&
	       (at = memmem(at, (size_t)(ask->answer.text + ask->answer.len - at), secret, len)))
		memset(at, '*', len);
}

static void hide_secrets(struct ask *ask)
{
	const char *slash = strrchr(header_sent(&ask->base, API_CALLBACK_URL_HEADER), '/');

	hide(ask, header_sent(&ask->base, API_KEY_HEADER));
	/* The URL's end alone: JSON may write its slashes in two ways. */
	if (slash)
		hide(ask, slash + 1);
}

static enum remote_fault prepare(struct request *request)
{
	const struct http_conf *conf = &request->http->conf;

	if (!api_same_origin(conf->gateway, request->url))
		return REMOTE_FORBIDDEN;
	request->reach = strncasecmp(conf->gateway, "http:", 5) ? HTTP_REACH_ANY
								: HTTP_REACH_LOOPBACK;
	HTTP_SET(request, CURLOPT_TIMEOUT_MS, (long)(conf->connect_ms + conf->answer_ms));
	http_header(request, "Cache-Control: no-cache");
	return add_key(request);
}

static enum remote_fault prepare_submit(struct request *request)
{
	struct ask *ask = (struct ask *)request;

	HTTP_SET(request, CURLOPT_FRESH_CONNECT, 1L);
	HTTP_SET(request, CURLOPT_FORBID_REUSE, 1L);
	HTTP_SET(request, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	HTTP_SET(request, CURLOPT_POST, 1L);
	HTTP_SET(request, CURLOPT_POSTFIELDS, ask->submit.body);
	HTTP_SET(request, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->submit.len);
	http_header(request, "Content-Type: application/json");
	http_header(request, "Expect:");
	return prepare(request);
}

static enum remote_fault prepare_status(struct request *request)
{
	HTTP_SET(request, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	HTTP_SET(request, CURLOPT_PIPEWAIT, 1L);
	HTTP_SET(request, CURLOPT_HTTPGET, 1L);
	return prepare(request);
}

static int sending(struct request *request)
{
	struct ask *ask = (struct ask *)request;

	return ask->submit.sending(ask->submit.arg);
}

static void finish(struct request *request, enum remote_fault fault, long http_status,
		   const char *detail)
{
	struct ask *ask = (struct ask *)request;
	const char *retry = request->easy ? http_answer_header(request, "Retry-After") : NULL;
	struct remote_reply reply = {
		.fault = fault,
		.sent = request->sent,
		.http_status = http_status,
		.retry_after_ms = retry ? api_retry_after(retry, time(NULL)) : -1,
		.size = -1,
		.body = ask->answer.text ? ask->answer.text : "",
		.body_len = ask->answer.len,
		.detail = detail,
	};

	hide_secrets(ask);
	ask->done(ask->arg, &reply);
}

static void free_ask(struct request *request)
{
	struct ask *ask = (struct ask *)request;

	free((char *)ask->submit.body);
	free(ask->answer.text);
	free(ask);
}

static const struct request_kind submit_kind = {
	.count = HTTP_COUNT_SUBMISSIONS,
	.prepare = prepare_submit,
	.sending = sending,
	.receive = receive,
	.finish = finish,
	.free = free_ask,
	.patient = true,
};

static const struct request_kind status_kind = {
	.count = HTTP_COUNT_POLLS,
	.prepare = prepare_status,
	.receive = receive,
	.finish = finish,
	.free = free_ask,
	.spares = HTTP_POLL_SPARES,
};

static void add_header(struct request *request, const char *name, const char *value)
{
	char *line = NULL;

	if (asprintf(&line, "%s: %s", name, value) < 0)
		request->setup = CURLE_OUT_OF_MEMORY;
	else
		http_header(request, line);
	free(line);
}

int http_submit(void *ctx, const struct remote_submit *submit)
{
	struct http *http = ctx;
	struct ask *ask = calloc(1, sizeof(*ask));
	char *body = malloc(submit->len + 1);
	char *url = api_submit_url(http->conf.gateway);

	if (!ask || !body || !url) {
		free(ask);
		free(body);
		free(url);
		return -ENOMEM;
	}
	memcpy(body, submit->body, submit->len);
	body[submit->len] = '\0';
	ask->base.kind = &submit_kind;
	ask->base.url = url;
	ask->submit = *submit;
	ask->submit.body = body;
	if (submit->callback_url) {
		add_header(&ask->base, API_CALLBACK_URL_HEADER, submit->callback_url);
		add_header(&ask->base, API_CALLBACK_MODE_HEADER, submit->callback_mode);
	}
	ask->done = submit->done;
	ask->arg = submit->arg;
	return http_enqueue(http, &ask->base, NULL);
}

int http_status(void *ctx, const char *url,
		void (*done)(void *arg, const struct remote_reply *reply), void *arg)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return -ENOMEM;
	ask->base.kind = &status_kind;
	ask->base.url = strdup(url);
	ask->done = done;
	ask->arg = arg;
	if (!ask->base.url) {
		free(ask);
		return -ENOMEM;
	}
	return http_enqueue(ctx, &ask->base, NULL);
}
