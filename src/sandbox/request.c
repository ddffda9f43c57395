/*
 * Invariants: created <= processing <= ended; params never changes after insertion;
 * `outcome` is terminal; refunded only when outcome is ERROR.
 */
#include "request.h"

#include "clock.h"
#include "ledger.h"
#include "validate.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BUCKETS = 4096 };

struct request {
	struct request *next_in_bucket, *next;
	char id[REQUEST_ID];
	json_t *params;
	int64_t created, processing, ended; /* when each state begins, ms */
	enum state outcome;
	int64_t seed, bytes, cents;
	int outputs;
	bool refunded;
	char *webhook;
	bool sync, called_back;
	int64_t next_callback; /* of mode sync */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct request *buckets[BUCKETS], *first, **last = &first;

void request_new_id(char id[REQUEST_ID])
{
	uint8_t r[10] = { 0 };
	uint64_t ms = (uint64_t)clock_ms();

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		r[0] = (uint8_t)clock_mono_ns();
	r[0] = (uint8_t)(0x70 | (r[0] & 0x0f)); /* version 7 */
	r[2] = (uint8_t)(0x80 | (r[2] & 0x3f)); /* variant */
	snprintf(id, REQUEST_ID, "pixal3d_%08x-%04x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 (unsigned)(ms >> 16), (unsigned)(ms & 0xffff), r[0], r[1], r[2], r[3], r[4], r[5],
		 r[6], r[7], r[8], r[9]);
}

static struct request **bucket_of(const char *id)
{
	return &buckets[glb_hash(id, strlen(id)) % BUCKETS];
}

static struct request *find_locked(const char *id)
{
	struct request *r = *bucket_of(id);

	while (r && strcmp(r->id, id) != 0)
		r = r->next_in_bucket;
	return r;
}

static void insert_locked(struct request *r)
{
	struct request **bucket = bucket_of(r->id);

	r->next_in_bucket = *bucket;
	*bucket = r;
	*last = r;
	last = &r->next;
}

static enum state state_at(const struct request *r, int64_t now)
{
	return now >= r->ended ? r->outcome : now >= r->processing ? ST_PROCESSING : ST_QUEUED;
}

static const char *image_of(const json_t *params)
{
	return json_string_value(json_object_get(params, "image_url"));
}

/* "fail" or "error" in the last component of the image URL's path decide the end. */
static enum state outcome_of(const json_t *params)
{
	const char *url = image_of(params), *path = strstr(url, "://");
	size_t n = strcspn(url, "?#"), start = path ? (size_t)(path - url) + 3 : 0;

	while (n > start && url[n - 1] == '/')
		n--;
	char *part = strndup(url + start, n > start ? n - start : 0);
	const char *slash = part ? strrchr(part, '/') : NULL;
	enum state s = slash && strstr(slash, "fail")    ? ST_FAILED
		       : slash && strstr(slash, "error") ? ST_ERROR
							 : ST_COMPLETED;
	free(part);
	return s;
}

static int64_t price_of(const json_t *params)
{
	return json_integer_value(json_object_get(params, "texture_size")) == 1024 ? 30 : 42;
}

static void free_request(struct request *r)
{
	json_decref(r->params);
	free(r->webhook);
	free(r);
}

static json_t *accept_event(const struct request *r)
{
	return json_pack("{s:s,s:s,s:O,s:I,s:I,s:I,s:s,s:I,s:I,s:i,s:s*,s:b}", "event", "accept",
			 "request_id", r->id, "params", r->params, "created_ms",
			 (json_int_t)r->created, "processing_ms", (json_int_t)r->processing,
			 "ended_ms", (json_int_t)r->ended, "outcome", state_name(r->outcome),
			 "drawn_seed", (json_int_t)r->seed, "output_bytes", (json_int_t)r->bytes,
			 "outputs", r->outputs, "webhook", r->webhook, "sync", r->sync);
}

static int64_t draw_seed(const json_t *params)
{
	const json_t *given = json_object_get(params, "seed");
	uint32_t drawn = 0;

	if (json_is_integer(given))
		return json_integer_value(given);
	if (getrandom(&drawn, sizeof(drawn), 0) != sizeof(drawn))
		drawn = (uint32_t)clock_mono_ns();
	return drawn & 0x7fffffff;
}

static int64_t later(int64_t ms, double seconds)
{
	return ms + llround(fmin(seconds, 1e9) * 1000);
}

int request_accept(const char *id, const json_t *params, const char *webhook, bool sync)
{
	struct request *r = calloc(1, sizeof(*r));
	struct settings s;

	if (!r)
		return -ENOMEM;
	settings_get(&s);
	snprintf(r->id, sizeof(r->id), "%s", id);
	r->params = json_deep_copy(params);
	r->created = clock_ms();
	r->processing = later(r->created, s.queue_time);
	r->ended = later(r->processing, s.process_time);
	r->outcome = s.outcome ? s.outcome : outcome_of(params);
	r->seed = draw_seed(params);
	r->bytes = s.output_bytes;
	r->outputs = s.outputs;
	r->cents = price_of(params);
	r->webhook = webhook ? strdup(webhook) : NULL;
	r->sync = sync;
	r->next_callback = r->processing;
	pthread_mutex_lock(&lock);
	int e = ledger_charge(r->id, r->cents, accept_event(r));
	if (!e)
		insert_locked(r);
	pthread_mutex_unlock(&lock);
	if (e)
		free_request(r);
	return e;
}

static int64_t event_int(const json_t *event, const char *key)
{
	return json_integer_value(json_object_get(event, key));
}

static const char *event_str(const json_t *event, const char *key)
{
	const char *s = json_string_value(json_object_get(event, key));

	return s ? s : "";
}

static void restore_accept(const json_t *e)
{
	struct request *r = calloc(1, sizeof(*r));
	const json_t *params = json_object_get(e, "params");
	char why[VALIDATE_WHY];

	if (!r)
		return;
	if (!validate_params(params, why) || find_locked(event_str(e, "request_id"))) {
		free(r);
		return;
	}
	snprintf(r->id, sizeof(r->id), "%s", event_str(e, "request_id"));
	r->params = json_deep_copy(params);
	r->created = event_int(e, "created_ms");
	r->processing = event_int(e, "processing_ms");
	r->ended = event_int(e, "ended_ms");
	r->outcome = state_parse(event_str(e, "outcome"));
	r->seed = event_int(e, "drawn_seed");
	r->bytes = event_int(e, "output_bytes");
	r->outputs = (int)event_int(e, "outputs");
	r->cents = price_of(params);
	r->webhook = *event_str(e, "webhook") ? strdup(event_str(e, "webhook")) : NULL;
	r->sync = json_is_true(json_object_get(e, "sync"));
	r->next_callback = r->processing;
	insert_locked(r);
}

static bool advance_locked(struct request *r, enum state to, int64_t now)
{
	if (state_is_terminal(state_at(r, now)))
		return false;
	if (to == ST_PROCESSING) {
		if (now >= r->processing)
			return false;
		r->ended += now - r->processing;
		r->processing = now;
		r->next_callback = now;
		return true;
	}
	r->processing = r->processing < now ? r->processing : now;
	r->ended = now;
	r->outcome = to;
	return true;
}

void request_restore(const json_t *event)
{
	const char *what = event_str(event, "event");

	pthread_mutex_lock(&lock);
	struct request *r = find_locked(event_str(event, "request_id"));
	if (!strcmp(what, "accept"))
		restore_accept(event);
	else if (r && !strcmp(what, "refund"))
		r->refunded = true;
	else if (r && !strcmp(what, "webhook"))
		r->called_back = true;
	else if (r && !strcmp(what, "advance"))
		advance_locked(r, state_parse(event_str(event, "to")), event_int(event, "at_ms"));
	pthread_mutex_unlock(&lock);
}

static void settle_locked(struct request *r, int64_t now)
{
	if (state_at(r, now) != ST_ERROR || r->refunded)
		return;
	r->refunded = true;
	ledger_refund(r->id, r->cents);
}

void request_settle(void)
{
	pthread_mutex_lock(&lock);
	for (struct request *r = first; r; r = r->next)
		settle_locked(r, clock_ms());
	pthread_mutex_unlock(&lock);
}

int request_advance(const char *id, enum state to)
{
	int64_t now = clock_ms();
	int moved = 0;

	pthread_mutex_lock(&lock);
	for (struct request *r = first; r; r = r->next) {
		if ((strcmp(id, "*") != 0 && strcmp(id, r->id) != 0) || !advance_locked(r, to, now))
			continue;
		moved++;
		ledger_append(json_pack("{s:s,s:s,s:s,s:I}", "event", "advance", "request_id",
					r->id, "to", state_name(to), "at_ms", (json_int_t)now),
			      NULL);
		settle_locked(r, now);
	}
	pthread_mutex_unlock(&lock);
	return moved;
}

void request_media_url(const char *id, int n, char url[REQUEST_URL])
{
	struct settings s;
	char number[16] = "", query[32] = "";

	settings_get(&s);
	if (n > 0)
		snprintf(number, sizeof(number), "-%d", n + 1);
	if (s.generation > 0)
		snprintf(query, sizeof(query), "?g=%d", s.generation);
	snprintf(url, REQUEST_URL, "%s/v1/%s/output%s.glb%s", config.cdn_url, id, number, query);
}

static json_t *output_json(const struct request *r)
{
	json_t *urls = json_array();
	char url[REQUEST_URL];

	for (int n = 0; n < r->outputs; n++) {
		request_media_url(r->id, n, url);
		json_array_append_new(urls, json_string(url));
	}
	return json_pack("{s:o,s:s}", "media_url", urls, "media_type", "model/glb");
}

static const char *error_text(enum state s)
{
	return s == ST_FAILED  ? "The model could not process the input image."
	       : s == ST_ERROR ? "Internal error while processing the request."
			       : NULL;
}

/* The documentation shows ISO times in status answers, and SQL's in callbacks. */
static json_t *status_json(const struct request *r, int64_t now, bool sql)
{
	enum state s = state_at(r, now);
	char created[CLOCK_TEXT], updated[CLOCK_TEXT];
	int64_t since = s == ST_QUEUED ? r->created : s == ST_PROCESSING ? r->processing : r->ended;

	clock_iso(r->created, created);
	if (sql)
		clock_sql(since, updated);
	else
		clock_iso(since, updated);
	return json_pack("{s:s,s:s,s:s,s:s?,s:o,s:s,s:s,s:s?}", "request_id", r->id, "status",
			 state_name(s), "model_id", "pixal3d", "error", error_text(s), "output",
			 s == ST_COMPLETED ? output_json(r) : json_null(), "created_at", created,
			 "updated_at", updated, "completed_at",
			 state_is_terminal(s) ? updated : NULL);
}

bool request_view(const char *id, bool sql_times, struct request_view *out)
{
	int64_t now = clock_ms();

	*out = (struct request_view){ 0 };
	pthread_mutex_lock(&lock);
	struct request *r = find_locked(id);
	if (r) {
		settle_locked(r, now);
		out->state = state_at(r, now);
		out->params = json_incref(r->params);
		out->status = status_json(r, now, sql_times);
	}
	pthread_mutex_unlock(&lock);
	return r != NULL;
}

/* They are shared, and jansson's counting does not put a deletion after what other threads did. */
static void put_params(json_t *params)
{
	pthread_mutex_lock(&lock);
	json_decref(params);
	pthread_mutex_unlock(&lock);
}

void request_view_release(struct request_view *v)
{
	put_params(v->params);
	json_decref(v->status);
	*v = (struct request_view){ 0 };
}

static int32_t clamped(const json_t *params, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(params, key));

	return (int32_t)(v < 0 ? 0 : v > INT32_MAX ? INT32_MAX : v);
}

static void spec_of(const struct request *r, int n, struct glb_spec *spec)
{
	const char *url = image_of(r->params);
	struct settings s;

	settings_get(&s);
	memset(spec, 0, sizeof(*spec));
	spec->image = glb_hash(url, strlen(url));
	spec->seed = r->seed;
	spec->mesh_scale = json_number_value(json_object_get(r->params, "mesh_scale"));
	spec->bytes = r->bytes;
	spec->vertices = clamped(r->params, "decimation_target");
	spec->texture = clamped(r->params, "texture_size");
	spec->resolution = clamped(r->params, "resolution");
	spec->remesh = json_is_true(json_object_get(r->params, "remesh"));
	spec->variant = n;
	spec->version = s.version;
}

bool request_output(const char *id, int n, struct glb_spec *spec, int64_t *modified_ms)
{
	pthread_mutex_lock(&lock);
	struct request *r = find_locked(id);
	bool there = r && n >= 0 && n < r->outputs && state_at(r, clock_ms()) == ST_COMPLETED;
	if (there) {
		struct settings s;

		settings_get(&s);
		spec_of(r, n, spec);
		*modified_ms = r->ended > s.version_ms ? r->ended : s.version_ms;
	}
	pthread_mutex_unlock(&lock);
	return there;
}

json_t *request_ids(void)
{
	json_t *ids = json_array();

	pthread_mutex_lock(&lock);
	for (struct request *r = first; r; r = r->next)
		json_array_append_new(ids, json_string(r->id));
	pthread_mutex_unlock(&lock);
	return ids;
}

/* When the request wants its next callback; INT64_MAX for never. */
static int64_t callback_due(const struct request *r)
{
	if (!r->webhook || r->called_back)
		return INT64_MAX;
	return r->sync && r->next_callback < r->ended ? r->next_callback : r->ended;
}

bool request_take_callback(struct request_callback *out, int64_t *next_ms)
{
	int64_t now = clock_ms();
	struct request *r;
	struct settings s;

	settings_get(&s);
	*next_ms = INT64_MAX;
	pthread_mutex_lock(&lock);
	for (r = first; r && callback_due(r) > now; r = r->next)
		*next_ms = callback_due(r) < *next_ms ? callback_due(r) : *next_ms;
	if (r) {
		settle_locked(r, now);
		*out = (struct request_callback){ .params = json_incref(r->params),
						  .payload = status_json(r, now, true),
						  .url = strdup(r->webhook),
						  .state = state_at(r, now) };
		snprintf(out->id, sizeof(out->id), "%s", r->id);
		r->next_callback = later(now, s.webhook_cycle);
		r->called_back = now >= r->ended;
	}
	pthread_mutex_unlock(&lock);
	return r != NULL;
}

void request_callback_release(struct request_callback *c)
{
	free(c->url);
	put_params(c->params);
	json_decref(c->payload);
}

void request_callback_done(const char *id, bool delivered)
{
	ledger_append(json_pack("{s:s,s:s,s:b}", "event", "webhook", "request_id", id, "delivered",
				delivered),
		      NULL);
}

void request_release(void)
{
	pthread_mutex_lock(&lock);
	while (first) {
		struct request *r = first;

		first = r->next;
		free_request(r);
	}
	memset(buckets, 0, sizeof(buckets));
	last = &first;
	pthread_mutex_unlock(&lock);
}
