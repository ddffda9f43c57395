#include "gateway.h"

#include "admin.h"
#include "answer.h"
#include "barrier.h"
#include "fault.h"
#include "inbox.h"
#include "ledger.h"
#include "request.h"
#include "validate.h"
#include "webhook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SUBMIT_PATH "/pixal3d/v1/pixal3d-request"
#define STATUS_PATH "/v2/requests/status/"

enum { MAX_BODY = 1 << 20 };

/* A request's body as it comes in. */
struct upload {
	char *data;
	size_t size;
	bool too_large;
};

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static bool key_is_good(struct MHD_Connection *c)
{
	const char *key = header(c, KEY_HEADER);

	return key && *key && (!config.key || !strcmp(key, config.key));
}

static bool is_json_type(const char *type)
{
	static const char json[] = "application/json";

	if (!type || strncasecmp(type, json, sizeof(json) - 1) != 0)
		return false;
	type += sizeof(json) - 1;
	return !*type || *type == ';' || *type == ' ';
}

/* What the service would say to this POST, without charging. */
struct verdict {
	unsigned code; /* 0: nothing is wrong */
	char why[VALIDATE_WHY];
	json_t *params; /* complete, when nothing is wrong */
	char image[512];
	const char *webhook;
	bool sync;
};

static void refuse(struct verdict *v, unsigned code, const char *why)
{
	v->code = code;
	snprintf(v->why, sizeof(v->why), "%s", why);
}

static void judge_webhook(struct MHD_Connection *c, struct verdict *v)
{
	const char *mode = header(c, "X-Webhook-Mode");

	v->webhook = header(c, "X-Webhook-URL");
	v->sync = mode && !strcasecmp(mode, "sync");
	if (v->webhook && !webhook_url_is_good(v->webhook))
		refuse(v, 400, "X-Webhook-URL must be an https URL.");
	else if (mode && !v->sync && strcasecmp(mode, "terminal") != 0)
		refuse(v, 400, "X-Webhook-Mode must be terminal or sync.");
}

static void judge_body(const struct upload *u, struct verdict *v)
{
	json_error_t error;
	json_t *body = u->too_large ? NULL
				    : json_loadb(u->data ? u->data : "", u->size,
						 JSON_REJECT_DUPLICATES, &error);
	const char *image = json_string_value(json_object_get(body, "image_url"));

	snprintf(v->image, sizeof(v->image), "%s", image ? image : "");
	if (u->too_large)
		refuse(v, 400, "The request body is too large.");
	else if (!body)
		refuse(v, 400, "The request body is not valid JSON.");
	else if (!validate_params(body, v->why))
		v->code = 400;
	else
		v->params = validate_complete(body);
	json_decref(body);
}

static void judge(struct MHD_Connection *c, const struct upload *u, struct verdict *v)
{
	*v = (struct verdict){ 0 };
	judge_body(u, v);
	if (!v->code)
		judge_webhook(c, v);
	if (!is_json_type(header(c, "Content-Type")))
		refuse(v, 400, "Content-Type must be application/json.");
	if (!header(c, KEY_HEADER))
		refuse(v, 401, "Access denied due to missing subscription key.");
	else if (!key_is_good(c))
		refuse(v, 401, "Access denied due to invalid subscription key.");
}

static struct answer accepted(const char *id)
{
	char url[REQUEST_URL];

	snprintf(url, sizeof(url), "%s" STATUS_PATH "%s", config.gateway_url, id);
	return answer_json(202, json_pack("{s:s,s:s,s:s}", "request_id", id, "status", "QUEUED",
					  "polling_url", url));
}

/* Charge unless `uncharged` (then the id is known to nobody), and build the normal answer. */
static struct answer submit(const struct verdict *v, const char *id, bool uncharged)
{
	int r = 0;

	if (v->code)
		return answer_error(v->code, v->why);
	if (!uncharged)
		r = request_accept(id, v->params, v->webhook, v->sync);
	if (r == -EDQUOT)
		return answer_error(402, "Your wallet does not have enough balance.");
	if (r < 0)
		return answer_error(500, "Out of memory.");
	if (!uncharged && v->webhook)
		webhook_wake();
	return accepted(id);
}

static enum MHD_Result handle_submit(struct MHD_Connection *c, const struct upload *u)
{
	struct verdict v;
	char id[REQUEST_ID];

	ledger_post();
	inbox_put(c, u->data ? u->data : "", u->size);
	barrier_reach(PT_SUBMIT_RECEIVED);
	judge(c, u, &v);
	request_new_id(id);
	json_t *fault = fault_take(AT_SUBMIT, "body", v.image, id, ST_NONE);
	bool charge = !fault_is(fault, "http") && !fault_is(fault, "redirect");
	struct answer a = submit(&v, id, !fault_bool(fault, "charge", charge));
	barrier_reach(PT_SUBMIT_ACCEPTED);
	enum MHD_Result result = answer_spoil(c, fault, &a, id);
	json_decref(fault);
	json_decref(v.params);
	return result;
}

static enum MHD_Result handle_status(struct MHD_Connection *c, const char *id)
{
	struct request_view view;
	struct settings s;
	struct answer a;

	ledger_count(C_POLLS, 1);
	barrier_reach(PT_STATUS_RECEIVED);
	settings_get(&s);
	bool known = request_view(id, s.sql_times, &view);
	if (!key_is_good(c))
		a = answer_error(401, "Access denied due to missing or invalid subscription key.");
	else if (!known)
		a = answer_error(404, "Request not found.");
	else
		a = answer_json(200, json_incref(view.status));
	const char *image = json_string_value(json_object_get(view.params, "image_url"));
	json_t *fault = fault_take(AT_STATUS, "body", image, id, view.state);
	enum MHD_Result result = answer_spoil(c, fault, &a, id);
	json_decref(fault);
	request_view_release(&view);
	return result;
}

/* "/MODEL/v1/..." of another model: the documented 400. */
static enum MHD_Result handle_other_post(struct MHD_Connection *c, const char *url)
{
	const char *slash = strchr(url + 1, '/');
	int n = slash ? (int)(slash - url - 1) : 0;
	char text[160];

	if (!n || strncmp(slash, "/v1/", 4) != 0 || (n == 7 && !strncmp(url, "/pixal3d", 8))) {
		struct answer a = answer_error(404, "Resource not found.");
		return answer_send(c, &a);
	}
	snprintf(text, sizeof(text), "Model '%.*s' not found or is disabled", n < 80 ? n : 80,
		 url + 1);
	struct answer a = answer_json(
		400, json_pack("{s:s,s:s}", "error", "Model not found", "message", text));
	return answer_send(c, &a);
}

static enum MHD_Result method_not_allowed(struct MHD_Connection *c, const char *allowed)
{
	struct answer a = answer_error(405, "Method not allowed.");

	answer_header(&a, "Allow", allowed);
	return answer_send(c, &a);
}

static enum MHD_Result dispatch(struct MHD_Connection *c, const char *url, const char *method,
				const struct upload *u)
{
	bool get = !strcmp(method, "GET"), post = !strcmp(method, "POST");

	if (!strncmp(url, "/sandbox/", 9))
		return admin_handle(c, url + 9, method, u->data ? u->data : "", u->size);
	if (!strcmp(url, SUBMIT_PATH))
		return post ? handle_submit(c, u) : method_not_allowed(c, "POST");
	if (!strncmp(url, STATUS_PATH, strlen(STATUS_PATH)))
		return get ? handle_status(c, url + strlen(STATUS_PATH))
			   : method_not_allowed(c, "GET");
	if (post)
		return handle_other_post(c, url);
	struct answer a = answer_error(404, "Resource not found.");
	return answer_send(c, &a);
}

/* A fault before the body is read; true when the connection is to be closed. */
static bool fails_at_headers(struct MHD_Connection *c, const char *url, const char *method)
{
	enum MHD_Result result;

	if (strcmp(url, SUBMIT_PATH) != 0 || strcmp(method, "POST") != 0)
		return false;
	json_t *fault = fault_take(AT_SUBMIT, "headers", NULL, NULL, ST_NONE);
	bool done = fault && answer_replace(c, fault, "", &result);
	json_decref(fault);
	return done;
}

static void append(struct upload *u, const char *data, size_t size)
{
	char *more = u->size + size > MAX_BODY ? NULL : realloc(u->data, u->size + size);

	if (!more) {
		u->too_large = true;
		return;
	}
	memcpy(more + u->size, data, size);
	u->data = more;
	u->size += size;
}

enum MHD_Result gateway_handle(void *cls, struct MHD_Connection *c, const char *url,
			       const char *method, const char *version, const char *data,
			       size_t *size, void **state)
{
	struct upload *u = *state;

	(void)cls, (void)version;
	if (!u) {
		*state = calloc(1, sizeof(*u));
		return *state && !fails_at_headers(c, url, method) ? MHD_YES : MHD_NO;
	}
	if (*size) {
		append(u, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return dispatch(c, url, method, u);
}

void gateway_ended(void *cls, struct MHD_Connection *c, void **state,
		   enum MHD_RequestTerminationCode code)
{
	struct upload *u = *state;

	(void)cls, (void)c, (void)code;
	if (u)
		free(u->data);
	free(u);
	*state = NULL;
}
