#include "control.h"

#include "barrier.h"
#include "fault.h"
#include "glb.h"
#include "ledger.h"
#include "request.h"
#include "settings.h"
#include "webhook.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* One key: what its value must be, and what it does. */
struct control {
	const char *key;
	bool (*check)(const json_t *v);
	void (*apply)(const json_t *v, struct settings *s); /* NULL: applied elsewhere */
};

static bool is_true(const json_t *v)
{
	return json_is_true(v);
}

static bool is_amount(const json_t *v)
{
	double x = json_is_number(v) ? json_number_value(v) : -1;

	return x >= 0 && x <= 1e9;
}

static bool is_outcome(const json_t *v)
{
	return json_is_null(v) ||
	       (json_is_string(v) && state_is_terminal(state_parse(json_string_value(v))));
}

static bool is_within(const json_t *v, json_int_t lo, json_int_t hi)
{
	return json_is_integer(v) && json_integer_value(v) >= lo && json_integer_value(v) <= hi;
}

static bool is_outputs(const json_t *v)
{
	return is_within(v, 1, 16);
}

static bool is_size(const json_t *v)
{
	return is_within(v, 0, 0) ||
	       (is_within(v, GLB_MIN_BYTES, 0xfffffffc) && json_integer_value(v) % 4 == 0);
}

static bool is_rate(const json_t *v)
{
	return is_within(v, 0, INT64_MAX);
}

static bool is_code(const json_t *v)
{
	return is_within(v, 400, 599);
}

static bool is_format(const json_t *v)
{
	const char *s = json_string_value(v);

	return s && (!strcmp(s, "iso") || !strcmp(s, "sql"));
}

static bool is_cycle(const json_t *v)
{
	return json_is_number(v) && json_number_value(v) >= 0.01 && json_number_value(v) <= 15;
}

static bool is_advance(const json_t *v)
{
	const char *id = json_string_value(json_object_get(v, "request"));
	struct request_view view = { 0 };
	bool known = id && (!strcmp(id, "*") || request_view(id, false, &view));

	request_view_release(&view);
	return known && json_object_size(v) == 2 &&
	       state_parse(json_string_value(json_object_get(v, "to"))) >= ST_PROCESSING;
}

static bool is_points(const json_t *v)
{
	json_t *name;
	size_t i;

	json_array_foreach(v, i, name)
	{
		if (point_parse(json_string_value(name)) < 0)
			return false;
	}
	return json_is_array(v);
}

static void set_queue_time(const json_t *v, struct settings *s)
{
	s->queue_time = json_number_value(v);
}

static void set_process_time(const json_t *v, struct settings *s)
{
	s->process_time = json_number_value(v);
}

static void set_outcome(const json_t *v, struct settings *s)
{
	s->outcome = state_parse(json_string_value(v));
}

static void set_outputs(const json_t *v, struct settings *s)
{
	s->outputs = (int)json_integer_value(v);
}

static void set_output_bytes(const json_t *v, struct settings *s)
{
	s->output_bytes = json_integer_value(v);
}

static void set_rate(const json_t *v, struct settings *s)
{
	s->rate = json_integer_value(v);
}

static void set_balance(const json_t *v, struct settings *s)
{
	(void)s;
	ledger_set_balance(llround(json_number_value(v) * 100));
}

static void set_format(const json_t *v, struct settings *s)
{
	s->sql_times = !strcmp(json_string_value(v), "sql");
}

static void set_cycle(const json_t *v, struct settings *s)
{
	s->webhook_cycle = json_number_value(v);
}

static void set_expire(const json_t *v, struct settings *s)
{
	(void)v;
	s->generation++;
}

static void set_expired_status(const json_t *v, struct settings *s)
{
	s->expired_status = (int)json_integer_value(v);
}

static void do_advance(const json_t *v)
{
	request_advance(json_string_value(json_object_get(v, "request")),
			state_parse(json_string_value(json_object_get(v, "to"))));
	webhook_wake();
}

static void do_hold(const json_t *v)
{
	unsigned mask = 0;
	json_t *name;
	size_t i;

	json_array_foreach(v, i, name)
	{
		mask |= 1u << point_parse(json_string_value(name));
	}
	barrier_hold(mask);
}

static const struct control controls[] = {
	{ "reset", is_true, NULL },
	{ "queue_time", is_amount, set_queue_time },
	{ "process_time", is_amount, set_process_time },
	{ "outcome", is_outcome, set_outcome },
	{ "outputs", is_outputs, set_outputs },
	{ "output_bytes", is_size, set_output_bytes },
	{ "rate", is_rate, set_rate },
	{ "balance", is_amount, set_balance },
	{ "time_format", is_format, set_format },
	{ "webhook_cycle", is_cycle, set_cycle },
	{ "expire", is_true, set_expire },
	{ "expired_status", is_code, set_expired_status },
	{ "bump", is_true, NULL },
	{ "advance", is_advance, NULL },
	{ "hold", is_points, NULL },
	{ "faults", NULL, NULL },
	{ "add_faults", NULL, NULL },
};

enum { CONTROLS = sizeof(controls) / sizeof(*controls) };

static const struct control *find(const char *key)
{
	for (int i = 0; i < CONTROLS; i++)
		if (!strcmp(controls[i].key, key))
			return &controls[i];
	return NULL;
}

static bool check(const json_t *control, char why[CONTROL_WHY])
{
	const char *key;
	json_t *value;

	snprintf(why, CONTROL_WHY, "a control is a JSON object");
	if (!json_is_object(control))
		return false;
	json_object_foreach((json_t *)control, key, value)
	{
		const struct control *c = find(key);

		snprintf(why, CONTROL_WHY, c ? "bad value of '%.100s'" : "unknown key '%.100s'",
			 key);
		if (!c || (c->check ? !c->check(value) : !fault_check(value, why)))
			return false;
	}
	return true;
}

static void apply_settings(const json_t *control)
{
	struct settings s;
	const char *key;
	json_t *value;

	settings_get(&s);
	json_object_foreach((json_t *)control, key, value)
	{
		const struct control *c = find(key);

		if (c && c->apply)
			c->apply(value, &s);
	}
	settings_set(&s);
}

static void apply(const json_t *control)
{
	const json_t *v;

	if (json_object_get(control, "reset")) {
		json_t *none = json_array();

		settings_reset();
		barrier_reset();
		fault_add(none, true);
		json_decref(none);
	}
	apply_settings(control);
	if (json_object_get(control, "bump"))
		settings_bump();
	if ((v = json_object_get(control, "faults")))
		fault_add(v, true);
	if ((v = json_object_get(control, "add_faults")))
		fault_add(v, false);
	if ((v = json_object_get(control, "hold")))
		do_hold(v);
	if ((v = json_object_get(control, "advance")))
		do_advance(v);
}

bool control_apply(const json_t *control, char why[CONTROL_WHY])
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool good;

	pthread_mutex_lock(&lock);
	good = check(control, why);
	if (good)
		apply(control);
	pthread_mutex_unlock(&lock);
	return good;
}

bool control_load(const char *path, char why[CONTROL_WHY])
{
	json_error_t error;
	json_t *control = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	if (!control) {
		snprintf(why, CONTROL_WHY, "line %d: %.200s", error.line, error.text);
		return false;
	}
	bool good = control_apply(control, why);
	json_decref(control);
	return good;
}
