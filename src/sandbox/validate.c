#include "validate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum type { STRING, INTEGER, FLOAT, ENUM, BOOLEAN };

struct param {
	const char *name;
	const char *initial; /* documented default as JSON; NULL = none */
	enum type type;
	int allowed[3]; /* of ENUM; 0 ends */
};

static const struct param table[] = {
	{ "image_url", NULL, STRING, { 0 } },
	{ "seed", NULL, INTEGER, { 0 } },
	{ "resolution", "1024", ENUM, { 1024, 1536 } },
	{ "ss_guidance_strength", "7.5", FLOAT, { 0 } },
	{ "ss_guidance_rescale", "0.7", FLOAT, { 0 } },
	{ "ss_sampling_steps", "12", INTEGER, { 0 } },
	{ "ss_rescale_t", "5", FLOAT, { 0 } },
	{ "shape_slat_guidance_strength", "7.5", FLOAT, { 0 } },
	{ "shape_slat_guidance_rescale", "0.5", FLOAT, { 0 } },
	{ "shape_slat_sampling_steps", "12", INTEGER, { 0 } },
	{ "shape_slat_rescale_t", "3", FLOAT, { 0 } },
	{ "tex_slat_guidance_strength", "1", FLOAT, { 0 } },
	{ "tex_slat_guidance_rescale", NULL, FLOAT, { 0 } },
	{ "tex_slat_sampling_steps", "12", INTEGER, { 0 } },
	{ "tex_slat_rescale_t", "3", FLOAT, { 0 } },
	{ "mesh_scale", "1", FLOAT, { 0 } },
	{ "max_num_tokens", "49152", INTEGER, { 0 } },
	{ "decimation_target", "200000", INTEGER, { 0 } },
	{ "texture_size", "2048", ENUM, { 1024, 2048, 4096 } },
	{ "remesh", "true", BOOLEAN, { 0 } },
};

enum { PARAMS = sizeof(table) / sizeof(*table) };

static const struct param *find(const char *name)
{
	for (int i = 0; i < PARAMS; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

static bool in_enum(const struct param *p, json_int_t v)
{
	for (int i = 0; i < 3 && p->allowed[i]; i++)
		if (p->allowed[i] == v)
			return true;
	return false;
}

static bool is_image_url(const char *s)
{
	size_t scheme = !strncasecmp(s, "https://", 8) ? 8 : !strncasecmp(s, "http://", 7) ? 7 : 0;

	if (!scheme || !s[scheme] || s[scheme] == '/')
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 127)
			return false;
	return true;
}

/* What the value should have been; NULL when it is right. */
static const char *mismatch(const struct param *p, const json_t *v)
{
	switch (p->type) {
	case STRING:
		return json_is_string(v) && is_image_url(json_string_value(v))
			       ? NULL
			       : "an http or https URL";
	case INTEGER: return json_is_integer(v) ? NULL : "an integer";
	case FLOAT: return json_is_number(v) ? NULL : "a number";
	case BOOLEAN: return json_is_boolean(v) ? NULL : "a boolean";
	case ENUM:
		if (json_is_integer(v) && in_enum(p, json_integer_value(v)))
			return NULL;
		return p->allowed[2] ? "one of 1024, 2048, 4096" : "one of 1024, 1536";
	}
	return "known";
}

bool validate_params(const json_t *body, char why[VALIDATE_WHY])
{
	const char *name;
	json_t *value;

	if (!json_is_object(body)) {
		snprintf(why, VALIDATE_WHY, "The request body must be a JSON object.");
		return false;
	}
	json_object_foreach((json_t *)body, name, value)
	{
		const struct param *p = find(name);
		const char *want = p ? mismatch(p, value) : NULL;

		if (!p)
			snprintf(why, VALIDATE_WHY, "Unknown parameter '%.100s'.", name);
		else if (want)
			snprintf(why, VALIDATE_WHY, "Parameter '%s' must be %s.", name, want);
		if (!p || want)
			return false;
	}
	if (!json_object_get(body, "image_url")) {
		snprintf(why, VALIDATE_WHY, "Missing required parameter 'image_url'.");
		return false;
	}
	return true;
}

json_t *validate_complete(const json_t *body)
{
	json_t *whole = json_deep_copy(body);

	for (int i = 0; whole && i < PARAMS; i++) {
		const struct param *p = &table[i];

		if (p->initial && !json_object_get(whole, p->name))
			json_object_set_new(whole, p->name,
					    json_loads(p->initial, JSON_DECODE_ANY, NULL));
	}
	return whole;
}
