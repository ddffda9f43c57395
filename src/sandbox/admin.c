#include "admin.h"

#include "answer.h"
#include "barrier.h"
#include "clock.h"
#include "control.h"
#include "fault.h"
#include "inbox.h"
#include "ledger.h"
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *argument(struct MHD_Connection *c, const char *name, const char *initial)
{
	const char *v = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);

	return v ? v : initial;
}

/* Dollars; whole ones without a fraction. */
static json_t *money(int64_t cents)
{
	return cents % 100 ? json_real((double)cents / 100) : json_integer(cents / 100);
}

static json_t *ledger_json(void)
{
	struct totals t;

	request_settle();
	ledger_totals(&t);
	json_t *ids = request_ids();
	json_int_t accepted = (json_int_t)json_array_size(ids);
	return json_pack("{s:I,s:I,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "posts",
			 (json_int_t)t.count[C_POSTS], "accepted", accepted, "charged_usd",
			 money(t.charged - t.refunded), "refunded_usd", money(t.refunded),
			 "balance_usd", money(t.balance), "requests", ids, "polls",
			 (json_int_t)t.count[C_POLLS], "cdn_requests",
			 (json_int_t)t.count[C_CDN_REQUESTS], "cdn_bytes",
			 (json_int_t)t.count[C_CDN_BYTES], "heads", (json_int_t)t.count[C_HEADS],
			 "keys_seen_at_cdn", (json_int_t)t.count[C_KEYS_AT_CDN], "webhooks",
			 (json_int_t)t.count[C_WEBHOOKS], "faults_fired", fault_fired());
}

static struct answer count_answer(const char *what)
{
	json_t *ledger = ledger_json(), *fired = json_object_get(ledger, "faults_fired");
	json_t *v = json_object_get(ledger, what);
	char text[64];

	v = json_is_number(v) ? v : json_object_get(fired, what);
	if (strstr(what, "_usd"))
		snprintf(text, sizeof(text), "%.2f\n", json_number_value(v));
	else
		snprintf(text, sizeof(text), "%lld\n", (long long)json_integer_value(v));
	json_decref(ledger);
	return answer_text(200, "text/plain", text);
}

static struct answer wait_point(struct MHD_Connection *c, int point, double timeout)
{
	long n = barrier_wait((enum point)point, atol(argument(c, "count", "1")), timeout);
	char text[64];

	snprintf(text, sizeof(text), "%ld\n", n);
	return n < 0 ? answer_error(408, "The time is over.")
		     : answer_text(200, "text/plain", text);
}

static struct answer wait_request(const char *id, enum state want, double timeout)
{
	int64_t end = clock_mono_ns() + (int64_t)(timeout * 1e9);
	struct request_view v;
	char text[64];

	while (request_view(id, false, &v)) {
		enum state now = v.state;

		request_view_release(&v);
		snprintf(text, sizeof(text), "%s\n", state_name(now));
		if (want == ST_NONE ? state_is_terminal(now) : now == want)
			return answer_text(200, "text/plain", text);
		if (barrier_stopping() || clock_mono_ns() >= end)
			return answer_error(408, "The time is over.");
		barrier_sleep_until(clock_mono_ns() + 5000000);
	}
	return answer_error(404, "Request not found.");
}

static struct answer wait_answer(struct MHD_Connection *c)
{
	const char *request = argument(c, "request", NULL), *word = argument(c, "state", NULL);
	double timeout = atof(argument(c, "timeout", "10"));
	int point = point_parse(argument(c, "point", NULL));

	timeout = timeout > 0 && timeout < 3600 ? timeout : 0;
	if (request && (!word || state_parse(word)))
		return wait_request(request, state_parse(word), timeout);
	if (request || point < 0)
		return answer_error(400, "There is no such point or state.");
	return wait_point(c, point, timeout);
}

static struct answer release_answer(struct MHD_Connection *c)
{
	int point = point_parse(argument(c, "point", NULL));
	long count = atol(argument(c, "count", "0"));

	if (point < 0 || count < 0 || count > 100000)
		return answer_error(400, "There is no such point, or the count is wrong.");
	barrier_release((enum point)point, (unsigned)count);
	return answer_text(200, "text/plain", "ok\n");
}

static struct answer control_answer(const char *body, size_t size)
{
	json_error_t error;
	json_t *control = json_loadb(body, size, JSON_REJECT_DUPLICATES, &error);
	char why[CONTROL_WHY] = "";

	if (!control)
		return answer_error(400, error.text);
	bool good = control_apply(control, why);
	json_decref(control);
	return good ? answer_text(200, "text/plain", "ok\n") : answer_error(400, why);
}

enum MHD_Result admin_handle(struct MHD_Connection *c, const char *path, const char *method,
			     const char *body, size_t size)
{
	bool get = !strcmp(method, "GET"), post = !strcmp(method, "POST");
	struct answer a;

	if (get && !strcmp(path, "ledger"))
		a = answer_json(200, ledger_json());
	else if (get && !strcmp(path, "received"))
		a = answer_json(200, inbox_json());
	else if (get && !strcmp(path, "count"))
		a = count_answer(argument(c, "what", "posts"));
	else if (get && !strcmp(path, "wait"))
		a = wait_answer(c);
	else if (post && !strcmp(path, "release"))
		a = release_answer(c);
	else if (post && !strcmp(path, "control"))
		a = control_answer(body, size);
	else
		a = answer_error(404, "There is no such sandbox resource.");
	return answer_send(c, &a);
}
