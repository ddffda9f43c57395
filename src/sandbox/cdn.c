#include "cdn.h"

#include "answer.h"
#include "barrier.h"
#include "body.h"
#include "clock.h"
#include "fault.h"
#include "gateway.h"
#include "ledger.h"
#include "objects.h"
#include "picture.h"
#include "raw.h"
#include "request.h"
#include "span.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One request, from its first line to its last byte. */
struct visit {
	uint64_t planned;     /* body bytes that the answer promises */
	uint64_t sent_before; /* on this connection, for what was broken off */
	bool get;
};

/* An object as it is now. */
struct object {
	char id[REQUEST_ID];
	struct glb_spec spec;
	uint64_t size;
	char etag[32], modified[CLOCK_TEXT];
};

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* "/v1/ID/output.glb" or "/v1/ID/output-N.glb": the output's number from 0; -1 for others. */
static int parse_path(const char *url, char id[REQUEST_ID])
{
	const char *name = strncmp(url, "/v1/", 4) ? NULL : strchr(url + 4, '/');
	int n = 0, end = 0;

	if (!name || name - url - 4 >= REQUEST_ID)
		return -1;
	snprintf(id, REQUEST_ID, "%.*s", (int)(name - url - 4), url + 4);
	if (!strcmp(name, "/output.glb"))
		return 0;
	if (sscanf(name, "/output-%2d.glb%n", &n, &end) == 1 && end && !name[end] && n > 1)
		return n - 1;
	return -1;
}

static bool find_object(const char *url, struct object *o)
{
	int64_t modified = 0;
	int n = parse_path(url, o->id);

	if (n < 0 || !request_output(o->id, n, &o->spec, &modified))
		return false;
	o->size = glb_size(&o->spec);
	snprintf(o->etag, sizeof(o->etag), "\"%016" PRIx64 "\"",
		 glb_hash(&o->spec, sizeof(o->spec)));
	clock_http(modified, o->modified);
	return true;
}

static bool is_expired(struct MHD_Connection *c, unsigned *code)
{
	const char *g = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "g");
	struct settings s;

	settings_get(&s);
	*code = (unsigned)s.expired_status;
	return (g ? atoi(g) : 0) < s.generation;
}

static enum MHD_Result send_error(struct MHD_Connection *c, unsigned code)
{
	struct answer a = answer_error(code, "The object is not available.");

	return answer_send(c, &a);
}

static void add_object_headers(struct MHD_Response *r, const struct object *o)
{
	MHD_add_response_header(r, "Content-Type", "model/gltf-binary");
	MHD_add_response_header(r, "Accept-Ranges", "bytes");
	MHD_add_response_header(r, "ETag", o->etag);
	MHD_add_response_header(r, "Last-Modified", o->modified);
}

static enum MHD_Result send_empty(struct MHD_Connection *c, const struct object *o, unsigned code)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	char range[64];

	if (!r)
		return MHD_NO;
	add_object_headers(r, o);
	snprintf(range, sizeof(range), "bytes */%" PRIu64, o->size);
	if (code == 416)
		MHD_add_response_header(r, "Content-Range", range);
	enum MHD_Result result = MHD_queue_response(c, code, r);
	MHD_destroy_response(r);
	return result;
}

static struct span wanted_span(struct MHD_Connection *c, const struct object *o, bool get,
			       const json_t *fault)
{
	const char *range = header(c, "Range");

	if (!get || fault_is(fault, "no_range") || fault_is(fault, "gzip") ||
	    fault_is(fault, "no_length") ||
	    !span_if_range(header(c, "If-Range"), o->etag, o->modified))
		range = NULL;
	return span_parse(range, o->size);
}

static void apply_fault(struct body *b, const json_t *fault)
{
	static const struct {
		const char *what;
		enum body_end end;
	} ends[] = { { "close_after", END_CLOSE },
		     { "bump_after", END_CLOSE },
		     { "reset_after", END_RESET },
		     { "stall_after", END_STALL } };

	for (int i = 0; i < 4; i++)
		if (fault_is(fault, ends[i].what))
			b->end = ends[i].end;
	int64_t offset = fault_int(fault, "offset", -1);
	b->stop_at = offset >= 0 ? (uint64_t)offset - b->start
				 : (uint64_t)fault_int(fault, "bytes", (int64_t)b->size / 2);
	b->bump = fault_is(fault, "bump_after");
	b->rate = fault_is(fault, "slow") ? fault_int(fault, "rate", 1) : b->rate;
	b->corrupt = fault_is(fault, "corrupt");
	b->corrupt_at = (uint64_t)fault_int(fault, "offset", 0);
}

static struct body body_of(struct MHD_Connection *c, const struct span *s, int file)
{
	struct settings set;

	settings_get(&set);
	return (struct body){ .file = file,
			      .socket = raw_socket(c),
			      .start = s->start,
			      .size = s->size,
			      .rate = set.rate };
}

static void add_range(struct MHD_Response *r, const struct object *o, const struct span *s,
		      const json_t *fault)
{
	uint64_t by = fault_is(fault, "wrong_range") ? (uint64_t)fault_int(fault, "by", 1000) : 0;
	char range[96];

	snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, s->start + by,
		 s->start + s->size - 1 + by, o->size);
	MHD_add_response_header(r, "Content-Range", range);
}

/* A fault "answer": its "drop" and "set" change the header fields. */
static void edit_headers(struct MHD_Response *r, const json_t *fault)
{
	const char *name, *old;
	json_t *value;
	size_t i;

	if (!fault_is(fault, "answer"))
		return;
	json_array_foreach(json_object_get(fault, "drop"), i, value)
	{
		name = json_string_value(value);
		if (name && (old = MHD_get_response_header(r, name)))
			MHD_del_response_header(r, name, old);
	}
	json_object_foreach(json_object_get(fault, "set"), name, value)
	{
		if ((old = MHD_get_response_header(r, name)))
			MHD_del_response_header(r, name, old);
		if (json_is_string(value))
			MHD_add_response_header(r, name, json_string_value(value));
	}
}

/* After a body that has no length: what nobody asked for. */
static void send_more(int fd, const json_t *fault)
{
	static const char zeros[16384];

	if (fault_is(fault, "huge"))
		raw_repeat(fd, zeros, sizeof(zeros), (uint64_t)fault_int(fault, "bytes", 0));
}

/* No Content-Length: what neither the library nor a good server would send. */
static enum MHD_Result send_without_length(struct MHD_Connection *c, const struct object *o,
					   struct visit *v, const json_t *fault)
{
	char head[512];
	uint64_t n = fault_is(fault, "huge") ? 0 : (uint64_t)fault_int(fault, "bytes", 0);
	struct span whole = { SPAN_WHOLE, 0, n && n < o->size ? n : o->size };

	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\nContent-Type: model/gltf-binary\r\nETag: %s\r\n"
		 "Last-Modified: %s\r\nConnection: close\r\n\r\n",
		 o->etag, o->modified);
	if (!v->get) {
		raw_send(raw_socket(c), head, strlen(head));
		return MHD_NO;
	}
	int file = objects_open(&o->spec);
	if (file < 0)
		return send_error(c, 500);
	struct body b = body_of(c, &whole, file);
	v->planned = whole.size;
	body_send_raw(&b, head);
	send_more(b.socket, fault);
	return MHD_NO;
}

static enum MHD_Result send_part(struct MHD_Connection *c, const struct object *o, struct visit *v,
				 struct span s, const json_t *fault)
{
	bool gzip = fault_is(fault, "gzip"), part = s.kind == SPAN_PART;
	int file = objects_open(&o->spec);

	if (gzip && file >= 0)
		file = picture_gzip(file, &s.size);
	if (file < 0)
		return send_error(c, 500);
	struct body b = body_of(c, &s, file);
	apply_fault(&b, fault);
	struct MHD_Response *r = body_response(&b);
	if (!r)
		return MHD_NO;
	add_object_headers(r, o);
	if (part)
		add_range(r, o, &s, fault);
	if (gzip)
		MHD_add_response_header(r, "Content-Encoding", "gzip");
	edit_headers(r, fault);
	v->planned = s.size;
	enum MHD_Result result = MHD_queue_response(c, part ? 206 : 200, r);
	MHD_destroy_response(r);
	return result;
}

/* The library calls no reader for a HEAD, but wants one. */
static ssize_t read_nothing(void *cls, uint64_t at, char *data, size_t room)
{
	(void)cls, (void)at, (void)data, (void)room;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* The answer's head alone, with the length that the body would have: nothing is made. */
static enum MHD_Result send_head(struct MHD_Connection *c, const struct object *o,
				 const json_t *fault)
{
	uint64_t size = fault_is(fault, "length") ? (uint64_t)fault_int(fault, "bytes", 0)
						  : o->size;
	struct MHD_Response *r = MHD_create_response_from_callback(size, 1024, read_nothing, NULL,
								   NULL);

	if (!r)
		return MHD_NO;
	add_object_headers(r, o);
	edit_headers(r, fault);
	enum MHD_Result result = MHD_queue_response(c, 200, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result send_object(struct MHD_Connection *c, struct object *o, struct visit *v,
				   const json_t *fault)
{
	if (fault_is(fault, "short")) {
		uint64_t n = (uint64_t)fault_int(fault, "bytes", (int64_t)o->size / 2);
		o->size = n < o->size ? n : o->size;
	}
	if (header(c, "If-Match") && !span_list_has(header(c, "If-Match"), o->etag))
		return send_empty(c, o, 412);
	if (span_list_has(header(c, "If-None-Match"), o->etag))
		return send_empty(c, o, 304);
	if (fault_is(fault, "no_length") || fault_is(fault, "huge"))
		return send_without_length(c, o, v, fault);
	if (!v->get)
		return send_head(c, o, fault);
	struct span s = wanted_span(c, o, v->get, fault);
	return s.kind == SPAN_UNSATISFIABLE ? send_empty(c, o, 416) : send_part(c, o, v, s, fault);
}

static enum MHD_Result handle_object(struct MHD_Connection *c, const char *url, struct visit *v)
{
	struct object o = { 0 };
	struct request_view view;
	enum MHD_Result result;
	unsigned code;

	parse_path(url, o.id);
	bool known = request_view(o.id, false, &view);
	const char *image = json_string_value(json_object_get(view.params, "image_url"));
	struct span asked = { 0 };
	if (known && find_object(url, &o))
		asked = wanted_span(c, &o, v->get, NULL);
	json_t *fault = fault_take_within(v->get ? AT_CDN : AT_HEAD, "body", image, o.id, ST_NONE,
					  asked.start, asked.start + asked.size);
	if (fault_is(fault, "bump"))
		settings_bump();
	if (!answer_replace(c, fault, o.id, &result)) {
		if (!known || !find_object(url, &o))
			result = send_error(c, 404);
		else if (is_expired(c, &code))
			result = send_error(c, code);
		else
			result = send_object(c, &o, v, fault);
	}
	json_decref(fault);
	request_view_release(&view);
	return result;
}

static enum MHD_Result handle_picture(struct MHD_Connection *c, const char *url)
{
	size_t size;
	void *png = picture_png(url, &size);
	struct MHD_Response *r =
		png ? MHD_create_response_from_buffer(size, png, MHD_RESPMEM_MUST_FREE) : NULL;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "image/png");
	enum MHD_Result result = MHD_queue_response(c, 200, r);
	MHD_destroy_response(r);
	return result;
}

static void count(const struct visit *v)
{
	ledger_count(v->get ? C_CDN_REQUESTS : C_HEADS, 1);
	barrier_reach(v->get ? PT_CDN_RECEIVED : PT_HEAD_RECEIVED);
}

enum MHD_Result cdn_handle(void *cls, struct MHD_Connection *c, const char *url, const char *method,
			   const char *version, const char *data, size_t *size, void **state)
{
	struct visit *v = *state;
	size_t n = strlen(url);

	(void)cls, (void)version, (void)data;
	if (!v) {
		*state = calloc(1, sizeof(*v));
		return *state ? MHD_YES : MHD_NO;
	}
	if (*size) {
		*size = 0;
		return MHD_YES;
	}
	v->get = !strcmp(method, "GET");
	v->sent_before = raw_bytes_sent(raw_socket(c));
	if (header(c, KEY_HEADER))
		ledger_count(C_KEYS_AT_CDN, 1);
	if (!v->get && strcmp(method, "HEAD") != 0)
		return send_error(c, 405);
	count(v);
	if (!strncmp(url, "/images/", 8) && n > 12 && !strcmp(url + n - 4, ".png"))
		return handle_picture(c, url);
	if (!strncmp(url, "/v1/", 4))
		return handle_object(c, url, v);
	return send_error(c, 404);
}

void cdn_ended(void *cls, struct MHD_Connection *c, void **state,
	       enum MHD_RequestTerminationCode code)
{
	struct visit *v = *state;
	uint64_t sent;

	(void)cls;
	if (!v)
		return;
	sent = v->planned;
	if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK) {
		uint64_t all = raw_bytes_sent(raw_socket(c));
		all -= all > v->sent_before ? v->sent_before : all;
		sent = all < sent ? all : sent;
	}
	if (v->get) {
		ledger_count(C_CDN_BYTES, (int64_t)sent);
		barrier_reach(PT_CDN_DONE);
	}
	free(v);
	*state = NULL;
}
