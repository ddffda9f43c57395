#include "answer.h"

#include "barrier.h"
#include "clock.h"
#include "fault.h"
#include "raw.h"
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *words_of(unsigned code)
{
	switch (code) {
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 402: return "Insufficient Balance";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 410: return "Gone";
	case 429: return "Too Many Requests";
	case 500: return "Internal Server Error";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	default: return code < 400 ? "OK" : "Error";
	}
}

struct answer answer_json(unsigned code, json_t *body)
{
	return (struct answer){ .code = code, .body = body };
}

struct answer answer_error(unsigned code, const char *message)
{
	return answer_json(code,
			   json_pack("{s:s,s:s}", "error", words_of(code), "message", message));
}

struct answer answer_text(unsigned code, const char *type, const char *text)
{
	struct answer a = { .code = code, .text = strdup(text) };

	answer_header(&a, "Content-Type", type);
	return a;
}

void answer_header(struct answer *a, const char *name, const char *value)
{
	if (!a->headers)
		a->headers = json_object();
	json_object_set_new(a->headers, name, json_string(value));
}

static void release(struct answer *a)
{
	json_decref(a->body);
	json_decref(a->headers);
	free(a->text);
	*a = (struct answer){ 0 };
}

/* The body as text; the caller frees it. */
static char *body_of(const struct answer *a)
{
	char *text = a->body ? json_dumps(a->body,
					  JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))
			     : strdup(a->text ? a->text : "");

	return text ? text : strdup("");
}

static void add_headers(struct MHD_Response *r, const struct answer *a)
{
	const char *name;
	json_t *value;

	if (a->body && !json_object_get(a->headers, "Content-Type"))
		MHD_add_response_header(r, "Content-Type", "application/json");
	json_object_foreach(a->headers, name, value)
	{
		if (json_is_string(value))
			MHD_add_response_header(r, name, json_string_value(value));
	}
}

enum MHD_Result answer_send(struct MHD_Connection *c, struct answer *a)
{
	char *text = body_of(a);
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), text,
								 MHD_RESPMEM_MUST_FREE);

	if (!r) {
		free(text);
		release(a);
		return MHD_NO;
	}
	add_headers(r, a);
	enum MHD_Result result = MHD_queue_response(c, a->code, r);
	MHD_destroy_response(r);
	release(a);
	return result;
}

/* Replace one %NAME% at *in; true when there was one. */
static bool expand_one(const char **in, FILE *out, const char *id)
{
	char media[REQUEST_URL];

	request_media_url(id, 0, media);
	const char *const names[] = { "%GATEWAY%", "%CDN%", "%ID%", "%MEDIA%" };
	const char *const values[] = { config.gateway_url, config.cdn_url, id, media };
	for (int i = 0; i < 4; i++) {
		if (strncmp(*in, names[i], strlen(names[i])) == 0) {
			fputs(values[i], out);
			*in += strlen(names[i]);
			return true;
		}
	}
	return false;
}

/* A copy of the text with its %NAME%s replaced. */
static char *expand(const char *text, const char *id)
{
	char *result = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&result, &size);

	if (!out)
		return strdup(text);
	while (*text)
		if (*text != '%' || !expand_one(&text, out, id ? id : ""))
			fputc(*text++, out);
	fclose(out);
	return result;
}

static json_t *expand_json(const json_t *v, const char *id)
{
	if (!json_is_string(v) && !json_is_object(v) && !json_is_array(v))
		return json_deep_copy(v);
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	char *expanded = text ? expand(text, id) : NULL;
	json_t *result = expanded ? json_loads(expanded, JSON_DECODE_ANY, NULL) : NULL;
	free(text);
	free(expanded);
	return result;
}

static void merge(json_t *into, const json_t *from)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)from, key, value)
	{
		json_t *old = json_object_get(into, key);

		if (json_is_object(old) && json_is_object(value))
			merge(old, value);
		else
			json_object_set(into, key, value);
	}
}

static void edit(struct answer *a, const json_t *fault, const char *id)
{
	json_t *set = expand_json(json_object_get(fault, "set"), id), *key;
	json_t *copy = json_deep_copy(a->body);
	size_t i;

	json_decref(a->body);
	a->body = copy;
	if (json_is_object(a->body))
		merge(a->body, set);
	json_array_foreach(json_object_get(fault, "drop"), i, key)
	{
		if (json_is_string(key))
			json_object_del(a->body, json_string_value(key));
	}
	json_decref(set);
}

/* The documented body of an error that comes as a status answer. */
static json_t *status_shape(unsigned code, const char *id)
{
	return json_pack("{s:s?,s:s,s:s,s:s,s:n}", "request_id", id, "status", "ERROR", "model_id",
			 "pixal3d", "error", words_of(code), "output");
}

static struct answer http_answer(const json_t *fault, const char *id)
{
	unsigned code = (unsigned)fault_int(fault, "status", 500);
	const json_t *body = json_object_get(fault, "body");
	struct answer a = answer_error(code, "Injected by the sandbox.");

	if (!strcmp(fault_str(fault, "shape", "queue"), "status")) {
		json_decref(a.body);
		a.body = status_shape(code, id);
	}
	if (body) {
		json_decref(a.body);
		a.body = json_is_string(body) ? NULL : expand_json(body, id);
		a.text = json_is_string(body) ? expand(json_string_value(body), id) : NULL;
	}
	a.headers = expand_json(json_object_get(fault, "headers"), id);
	return a;
}

static struct answer redirect_answer(const json_t *fault, const char *id)
{
	struct answer a = { .code = (unsigned)fault_int(fault, "status", 302) };
	char *location = expand(fault_str(fault, "location", ""), id);

	answer_header(&a, "Location", location);
	free(location);
	return a;
}

bool answer_replace(struct MHD_Connection *c, const json_t *fault, const char *id,
		    enum MHD_Result *result)
{
	struct answer a;

	*result = MHD_NO;
	if (fault_is(fault, "reset"))
		raw_reset(raw_socket(c));
	if (fault_is(fault, "close") || fault_is(fault, "reset"))
		return true;
	if (fault_is(fault, "stall"))
		barrier_stall(raw_socket(c));
	if (fault_is(fault, "delay"))
		barrier_sleep_until(clock_mono_ns() +
				    (int64_t)(fault_num(fault, "seconds", 1) * 1e9));
	if (!fault_is(fault, "http") && !fault_is(fault, "redirect"))
		return false;
	a = fault_is(fault, "http") ? http_answer(fault, id) : redirect_answer(fault, id);
	*result = answer_send(c, &a);
	return true;
}

static void send_truncated(int fd, const json_t *fault, const struct answer *a)
{
	char *text = body_of(a), head[256];
	size_t size = strlen(text);
	int64_t want = fault_int(fault, "bytes", (int64_t)size / 2);
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			 a->code, words_of(a->code), size);

	if (raw_send(fd, head, (size_t)n) == 0)
		raw_send(fd, text, (uint64_t)want < size ? (size_t)want : size);
	free(text);
}

static void send_huge(int fd, const json_t *fault, const struct answer *a)
{
	char block[16384], head[256];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
			 "Connection: close\r\n\r\n{\"request_id\":\"pixal3d_",
			 a->code, words_of(a->code));

	memset(block, 'a', sizeof(block));
	if (raw_send(fd, head, (size_t)n) == 0)
		raw_repeat(fd, block, sizeof(block), (uint64_t)fault_int(fault, "bytes", 0));
}

enum MHD_Result answer_spoil(struct MHD_Connection *c, const json_t *fault, struct answer *a,
			     const char *id)
{
	enum MHD_Result result;

	if (answer_replace(c, fault, id, &result)) {
		release(a);
		return result;
	}
	if (fault_is(fault, "answer"))
		edit(a, fault, id);
	if (fault_is(fault, "not_json")) {
		json_decref(a->body);
		a->body = NULL;
		a->text = strdup(fault_str(fault, "body", "<html><body>Welcome</body></html>"));
	}
	if (!fault_is(fault, "truncate") && !fault_is(fault, "huge"))
		return answer_send(c, a);
	if (fault_is(fault, "truncate"))
		send_truncated(raw_socket(c), fault, a);
	else
		send_huge(raw_socket(c), fault, a);
	release(a);
	return MHD_NO;
}
