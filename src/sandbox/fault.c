#include "fault.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
	SUBMIT = 1 << AT_SUBMIT,
	STATUS = 1 << AT_STATUS,
	CDN = 1 << AT_CDN,
	HEAD = 1 << AT_HEAD,
	WEBHOOK = 1 << AT_WEBHOOK,
	API = SUBMIT | STATUS,
	HTTP = API | CDN | HEAD,
};

static const char *const at_names[] = { "submit", "status", "cdn", "head", "webhook" };

/* Which faults exist, where, and which members each may have beside the common ones. */
static const struct rule {
	const char *what;
	int at;
	const char *keys[4];
} rules[] = {
	{ "http", HTTP, { "status", "headers", "body", "shape" } },
	{ "close", HTTP, { "after" } },
	{ "reset", HTTP, { "after" } },
	{ "stall", HTTP, { "after" } },
	{ "delay", HTTP | WEBHOOK, { "seconds" } },
	{ "redirect", HTTP, { "status", "location" } },
	{ "truncate", API, { "bytes" } },
	{ "not_json", API, { "body" } },
	{ "answer", HTTP, { "set", "drop" } },
	{ "huge", API | CDN, { "bytes" } },
	{ "no_range", CDN, { 0 } },
	{ "wrong_range", CDN, { "by" } },
	{ "close_after", CDN, { "bytes", "offset" } },
	{ "reset_after", CDN, { "bytes", "offset" } },
	{ "stall_after", CDN, { "bytes", "offset" } },
	{ "bump_after", CDN, { "bytes", "offset" } },
	{ "no_length", CDN | HEAD, { "bytes" } },
	{ "length", HEAD, { "bytes" } },
	{ "bump", CDN | HEAD, { 0 } },
	{ "gzip", CDN, { 0 } },
	{ "slow", CDN, { "rate" } },
	{ "corrupt", CDN, { "offset" } },
	{ "short", CDN, { "bytes" } },
	{ "duplicate", WEBHOOK, { "copies" } },
	{ "lose", WEBHOOK, { 0 } },
};

/* The members that faults can have, and their types. */
static const struct member {
	const char *key;
	enum { TEXT, COUNT, REAL, FLAG, OBJECT, ARRAY, ANY } type;
	int at; /* common to all faults at these places; 0 = only where a rule names it */
} members[] = {
	{ "at", TEXT, HTTP | WEBHOOK },
	{ "do", TEXT, HTTP | WEBHOOK },
	{ "name", TEXT, HTTP | WEBHOOK },
	{ "skip", COUNT, HTTP | WEBHOOK },
	{ "times", COUNT, HTTP | WEBHOOK },
	{ "match", TEXT, HTTP | WEBHOOK },
	{ "when", TEXT, STATUS | WEBHOOK },
	{ "charge", FLAG, SUBMIT },
	{ "after", TEXT, 0 },
	{ "status", COUNT, 0 },
	{ "headers", OBJECT, 0 },
	{ "body", ANY, 0 },
	{ "shape", TEXT, 0 },
	{ "seconds", REAL, 0 },
	{ "location", TEXT, 0 },
	{ "bytes", COUNT, 0 },
	{ "set", OBJECT, 0 },
	{ "drop", ARRAY, 0 },
	{ "by", COUNT, 0 },
	{ "rate", COUNT, 0 },
	{ "offset", COUNT, 0 },
	{ "copies", COUNT, 0 },
};

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *list;  /* array of faults, each with its own "skip" and "times" */
static json_t *fired; /* object of counts */

static int at_parse(const char *word)
{
	for (size_t i = 0; word && i < LENGTH(at_names); i++)
		if (!strcmp(at_names[i], word))
			return (int)i;
	return -1;
}

static const struct rule *rule_of(const json_t *fault)
{
	for (size_t i = 0; i < LENGTH(rules); i++)
		if (fault_is(fault, rules[i].what))
			return &rules[i];
	return NULL;
}

static bool has_type(const json_t *v, const struct member *m)
{
	switch (m->type) {
	case TEXT: return json_is_string(v);
	case COUNT: return json_is_integer(v) && json_integer_value(v) >= 0;
	case REAL: return json_is_number(v) && json_number_value(v) >= 0;
	case FLAG: return json_is_boolean(v);
	case OBJECT: return json_is_object(v);
	case ARRAY: return json_is_array(v);
	case ANY: return true;
	}
	return false;
}

static const struct member *member_of(const struct rule *rule, int at, const char *key)
{
	for (size_t i = 0; i < LENGTH(members); i++) {
		if (strcmp(members[i].key, key) != 0)
			continue;
		if (members[i].at & (1 << at))
			return &members[i];
		for (size_t k = 0; k < LENGTH(rule->keys) && rule->keys[k]; k++)
			if (!strcmp(rule->keys[k], key))
				return &members[i];
	}
	return NULL;
}

/* Words of which only some are allowed. */
static const char *bad_word(const json_t *f, int at)
{
	const char *after = fault_str(f, "after", "body"), *shape = fault_str(f, "shape", "queue");
	const char *when = fault_str(f, "when", NULL);
	int64_t status = fault_int(f, "status", 200);

	if (strcmp(after, "body") != 0 && (strcmp(after, "headers") != 0 || at != AT_SUBMIT))
		return "after";
	if (strcmp(shape, "queue") != 0 && strcmp(shape, "status") != 0)
		return "shape";
	if (when && state_parse(when) == ST_NONE)
		return "when";
	if (status < 200 || status > 999)
		return "status";
	if (fault_is(f, "slow") && fault_int(f, "rate", 0) <= 0)
		return "rate";
	if (fault_is(f, "redirect") && !fault_str(f, "location", NULL))
		return "location";
	return NULL;
}

static bool check_one(const json_t *f, char why[FAULT_WHY])
{
	int at = at_parse(fault_str(f, "at", NULL));
	const struct rule *rule = rule_of(f);
	const char *key, *word;
	json_t *value;

	if (at < 0 || !rule || !(rule->at & (1 << at))) {
		snprintf(why, FAULT_WHY, "there is no fault '%.40s' at '%.40s'",
			 fault_str(f, "do", "?"), fault_str(f, "at", "?"));
		return false;
	}
	json_object_foreach((json_t *)f, key, value)
	{
		const struct member *m = member_of(rule, at, key);

		if (!m || !has_type(value, m)) {
			snprintf(why, FAULT_WHY, "'%.40s' of fault '%s' is %s", key, rule->what,
				 m ? "of the wrong type" : "not known there");
			return false;
		}
	}
	word = bad_word(f, at);
	if (word)
		snprintf(why, FAULT_WHY, "fault '%s' needs a proper '%s'", rule->what, word);
	return !word;
}

bool fault_check(const json_t *faults, char why[FAULT_WHY])
{
	json_t *f;
	size_t i;

	snprintf(why, FAULT_WHY, "faults must be an array of objects");
	if (!json_is_array(faults))
		return false;
	json_array_foreach(faults, i, f)
	{
		if (!check_one(f, why))
			return false;
	}
	return true;
}

void fault_add(const json_t *faults, bool replace)
{
	json_t *copy = json_deep_copy(faults);

	pthread_mutex_lock(&lock);
	if (!list)
		list = json_array();
	if (replace)
		json_array_clear(list);
	json_array_extend(list, copy);
	pthread_mutex_unlock(&lock);
	json_decref(copy);
}

static bool matches(const json_t *f, const char *text, const char *id)
{
	const char *match = fault_str(f, "match", NULL);

	return !match || (text && strstr(text, match)) || (id && strstr(id, match));
}

static bool fits(const json_t *f, enum fault_at at, const char *after, enum state state)
{
	const char *when = fault_str(f, "when", NULL);

	return at_parse(fault_str(f, "at", "")) == (int)at &&
	       !strcmp(fault_str(f, "after", "body"), after) &&
	       (!when || state_parse(when) == state);
}

/* Counts the event; true when the fault fires. */
static bool fires(json_t *f)
{
	int64_t skip = fault_int(f, "skip", 0), times = fault_int(f, "times", 1);

	if (skip > 0)
		json_object_set_new(f, "skip", json_integer(skip - 1));
	else if (times > 1)
		json_object_set_new(f, "times", json_integer(times - 1));
	else if (times == 1)
		json_object_set_new(f, "times", json_integer(-1));
	return skip <= 0 && times >= 0;
}

static void count_locked(const json_t *f)
{
	char name[128];

	snprintf(name, sizeof(name), "%s.%s", fault_str(f, "at", ""), fault_str(f, "do", ""));
	const char *key = fault_str(f, "name", name);
	if (!fired)
		fired = json_object();
	json_object_set_new(fired, key, json_integer(fault_int(fired, key, 0) + 1));
}

/* Does an answer with these bytes of the object reach what the fault is about? */
static bool reaches(const json_t *f, uint64_t start, uint64_t end)
{
	int64_t offset = fault_int(f, "offset", -1);

	return offset < 0 || (start <= (uint64_t)offset && (uint64_t)offset < end);
}

json_t *fault_take(enum fault_at at, const char *after, const char *text, const char *id,
		   enum state state)
{
	return fault_take_within(at, after, text, id, state, 0, UINT64_MAX);
}

json_t *fault_take_within(enum fault_at at, const char *after, const char *text, const char *id,
			  enum state state, uint64_t start, uint64_t end)
{
	json_t *f, *taken = NULL;
	size_t i;

	pthread_mutex_lock(&lock);
	json_array_foreach(list, i, f)
	{
		if (fits(f, at, after, state) && matches(f, text, id) && reaches(f, start, end) &&
		    fires(f)) {
			count_locked(f);
			taken = json_deep_copy(f);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return taken;
}

bool fault_is(const json_t *fault, const char *what)
{
	return !strcmp(fault_str(fault, "do", ""), what);
}

const char *fault_str(const json_t *fault, const char *key, const char *initial)
{
	const json_t *v = json_object_get(fault, key);

	return json_is_string(v) ? json_string_value(v) : initial;
}

int64_t fault_int(const json_t *fault, const char *key, int64_t initial)
{
	const json_t *v = json_object_get(fault, key);

	return json_is_integer(v) ? json_integer_value(v) : initial;
}

double fault_num(const json_t *fault, const char *key, double initial)
{
	const json_t *v = json_object_get(fault, key);

	return json_is_number(v) ? json_number_value(v) : initial;
}

bool fault_bool(const json_t *fault, const char *key, bool initial)
{
	const json_t *v = json_object_get(fault, key);

	return json_is_boolean(v) ? json_is_true(v) : initial;
}

json_t *fault_fired(void)
{
	pthread_mutex_lock(&lock);
	json_t *copy = fired ? json_deep_copy(fired) : json_object();
	pthread_mutex_unlock(&lock);
	return copy;
}
