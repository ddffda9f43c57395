#include "params.h"

#include "guess.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * A set is a JSON object whose members passed check(): known names, right types (floats are kept
 * as JSON reals), allowed values. The order is made when it is formatted.
 */
struct params {
	json_t *values;
};

#define DEFAULT_TEXTURE_SIZE "2048"

/* The usual ranges are those of another host of the same model, hence a warning only. */
/* clang-format off */
static const struct params_spec specs[] = {
	{ "image_url", PARAMS_STRING, NULL, NULL, 0, 0,
	  "public http(s) URL of the image to convert (required)" },
	{ "seed", PARAMS_INTEGER, NULL, NULL, 0, 0,
	  "the same seed gives the same model again" },
	{ "resolution", PARAMS_INTEGER, "1024", "1024, 1536", 0, 0,
	  "of the initial structure: higher is more detailed and slower" },
	{ "ss_guidance_strength", PARAMS_FLOAT, "7.5", NULL, 0, 10,
	  "how closely the initial structure follows the image" },
	{ "ss_guidance_rescale", PARAMS_FLOAT, "0.7", NULL, 0, 1,
	  "dampens artifacts of high guidance in the initial structure" },
	{ "ss_sampling_steps", PARAMS_INTEGER, "12", NULL, 1, 50,
	  "denoising steps of the initial structure" },
	{ "ss_rescale_t", PARAMS_FLOAT, "5", NULL, 1, 6,
	  "noise schedule of the initial structure: higher stresses early steps" },
	{ "shape_slat_guidance_strength", PARAMS_FLOAT, "7.5", NULL, 0, 10,
	  "how closely the detailed shape follows the image" },
	{ "shape_slat_guidance_rescale", PARAMS_FLOAT, "0.5", NULL, 0, 1,
	  "dampens artifacts of high guidance in the shape" },
	{ "shape_slat_sampling_steps", PARAMS_INTEGER, "12", NULL, 1, 50,
	  "denoising steps of the shape" },
	{ "shape_slat_rescale_t", PARAMS_FLOAT, "3", NULL, 1, 6,
	  "noise schedule of the shape: higher stresses early steps" },
	{ "tex_slat_guidance_strength", PARAMS_FLOAT, "1", NULL, 0, 10,
	  "how closely the texture follows the image's colours: lower prevents oversaturation" },
	{ "tex_slat_guidance_rescale", PARAMS_FLOAT, NULL, NULL, 0, 1,
	  "dampens artifacts of high guidance in the texture" },
	{ "tex_slat_sampling_steps", PARAMS_INTEGER, "12", NULL, 1, 50,
	  "denoising steps of the texture" },
	{ "tex_slat_rescale_t", PARAMS_FLOAT, "3", NULL, 1, 6,
	  "noise schedule of the texture: higher stresses early steps" },
	{ "mesh_scale", PARAMS_FLOAT, "1", NULL, 0, 0,
	  "above 1 enlarges the model, below 1 shrinks it" },
	{ "max_num_tokens", PARAMS_INTEGER, "49152", NULL, 0, 0,
	  "limit of the shape sampler: higher is more detailed, slower, takes more memory" },
	{ "decimation_target", PARAMS_INTEGER, "200000", NULL, 5000, 1500000,
	  "vertices of the final mesh: lower makes a smaller file" },
	{ "texture_size", PARAMS_INTEGER, DEFAULT_TEXTURE_SIZE, "1024, 2048, 4096", 0, 0,
	  "pixels of the texture's side: higher is sharper and makes a larger file" },
	{ "remesh", PARAMS_BOOLEAN, "true", NULL, 0, 0,
	  "rebuild the mesh with more uniform triangles" },
};
/* clang-format on */
#define SPECS (sizeof specs / sizeof specs[0])

const struct params_spec *params_specs(size_t *count)
{
	*count = SPECS;
	return specs;
}

static const struct params_spec *find_spec(const char *name)
{
	for (size_t i = 0; i < SPECS; i++)
		if (strcmp(specs[i].name, name) == 0)
			return &specs[i];
	return NULL;
}

/* Single values. */

#define NUMBER_MAX 32

/* A decimal that reads back as VALUE: 0.7, not 0.69999999999999996. */
static const char *decimal(double value, char buf[NUMBER_MAX])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buf, NUMBER_MAX, "%.*g", digits, value);
		if (strtod(buf, NULL) == value)
			break;
	}
	return buf;
}

/* Heap. */
static char *value_text(const json_t *value)
{
	char buf[NUMBER_MAX];
	if (json_is_real(value))
		return strdup(decimal(json_real_value(value), buf));
	return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* Is VALUE a word of the comma separated LIST? */
static bool listed(const char *list, const json_t *value)
{
	char *text = value_text(value);
	size_t len = text ? strlen(text) : 0;
	bool found = false;
	for (const char *p = list; text && !found && *p; p += strspn(p, ", ")) {
		size_t word = strcspn(p, ",");
		found = word == len && memcmp(p, text, len) == 0;
		p += word;
	}
	free(text);
	return found;
}

static bool right_type(enum params_type type, const json_t *value)
{
	switch (type) {
	case PARAMS_STRING: return json_is_string(value);
	case PARAMS_INTEGER: return json_is_integer(value);
	case PARAMS_FLOAT: return json_is_number(value);
	case PARAMS_BOOLEAN: return json_is_boolean(value);
	}
	return false;
}

static void say_type(const struct params_spec *spec, const json_t *value,
		     char error[PARAMS_ERROR_MAX])
{
	static const char *const given[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_INTEGER] = "an integer",
		[JSON_REAL] = "a float",     [JSON_TRUE] = "a boolean",
		[JSON_FALSE] = "a boolean",  [JSON_NULL] = "no value",
	};
	static const char *const needed[] = {
		[PARAMS_STRING] = "a string",
		[PARAMS_INTEGER] = "an integer",
		[PARAMS_FLOAT] = "a number",
		[PARAMS_BOOLEAN] = "true or false",
	};
	/* as jansson writes it: 1024.0 must not be shown as 1024 */
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
	snprintf(error, PARAMS_ERROR_MAX, "%s: %.60s is %s, %s is needed", spec->name,
		 text ? text : "it", given[json_typeof(value)], needed[spec->type]);
	free(text);
}

/* Checks a member and takes it into PARAMS. */
static int take(struct params *params, const struct params_spec *spec, json_t *value,
		char error[PARAMS_ERROR_MAX])
{
	if (!right_type(spec->type, value)) {
		say_type(spec, value, error);
		return -EINVAL;
	}
	if (spec->allowed && !listed(spec->allowed, value)) {
		char *text = value_text(value);
		snprintf(error, PARAMS_ERROR_MAX, "%s: %.60s is not one of %s", spec->name,
			 text ? text : "this", spec->allowed);
		free(text);
		return -EINVAL;
	}
	char why[PARAMS_ERROR_MAX];
	if (spec->type == PARAMS_STRING &&
	    params_check_url(json_string_value(value), json_string_length(value), why)) {
		snprintf(error, PARAMS_ERROR_MAX, "%s: %.400s", spec->name, why);
		return -EINVAL;
	}
	json_t *kept = spec->type == PARAMS_FLOAT ? json_real(json_number_value(value))
						  : json_incref(value);
	if (json_object_set_new(params->values, spec->name, kept) == 0)
		return 0;
	snprintf(error, PARAMS_ERROR_MAX, "out of memory");
	return -ENOMEM;
}

/* Unknown names. */

static const char *nearest(const char *name)
{
	struct guess guess = guess_start(name);
	for (size_t i = 0; i < SPECS; i++)
		guess_consider(&guess, specs[i].name);
	return guess.best;
}

static int take_all(struct params *params, json_t *object, char error[PARAMS_ERROR_MAX])
{
	const char *name;
	json_t *value;
	int r = 0;
	json_object_foreach(object, name, value)
	{
		const struct params_spec *spec = find_spec(name);
		if (!r && spec) {
			r = take(params, spec, value, error);
		} else if (!r) {
			const char *near = nearest(name);
			snprintf(error, PARAMS_ERROR_MAX, "%.64s: unknown parameter%s%s%s", name,
				 near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
			r = -EINVAL;
		}
	}
	return r;
}

/* Whole texts. */

static json_t *load(const char *text, size_t len, json_error_t *e)
{
	return json_loadb(text, len, JSON_REJECT_DUPLICATES, e);
}

/*
 * jansson knows a premature end between tokens and within strings only. Within another token, an
 * escape or a UTF-8 character, the text is a beginning if one of these endings leads on.
 */
static const char *const endings[] = {
	"rue",         "ue", "e",   "alse", "lse", "se",   "ull",      "ll",           "l",
	"0",           "00", "000", "0000", "n",   "\x80", "\x80\x80", "\x80\x80\x80", "\xa0\x80",
	"\x90\x80\x80"
};
#define ENDING_MAX 8

static bool may_go_on(const char *text, size_t len)
{
	bool found = false;
	char *longer = malloc(len + ENDING_MAX);
	if (!longer)
		return false;
	memcpy(longer, text, len);
	for (size_t i = 0; !found && i < sizeof endings / sizeof endings[0]; i++) {
		json_error_t e;
		size_t more = strlen(endings[i]);
		memcpy(longer + len, endings[i], more);
		json_t *whole = load(longer, len + more, &e);
		found = whole || json_error_code(&e) == json_error_premature_end_of_input;
		json_decref(whole);
	}
	free(longer);
	return found;
}

static enum params_verdict judge_broken(const char *text, size_t len, const json_error_t *e,
					char error[PARAMS_ERROR_MAX])
{
	bool premature = json_error_code(e) == json_error_premature_end_of_input;
	bool at_end = e->position >= 0 && (size_t)e->position + ENDING_MAX >= len;
	if (premature || (at_end && may_go_on(text, len))) {
		snprintf(error, PARAMS_ERROR_MAX,
			 "line %d, column %d: the text ends before its JSON object does", e->line,
			 e->column);
		return PARAMS_INCOMPLETE;
	}
	snprintf(error, PARAMS_ERROR_MAX, "line %d, column %d: %s", e->line, e->column, e->text);
	return PARAMS_INVALID;
}

/* Refuses at once what jansson would call an incomplete array, or takes for a whole value. */
static enum params_verdict judge_start(const char *text, size_t len, char error[PARAMS_ERROR_MAX])
{
	size_t i = 0;
	while (i < len && text[i] && strchr(" \t\r\n", text[i]))
		i++;
	if (i < len && text[i] == '{' && len <= PARAMS_TEXT_MAX)
		return PARAMS_OK;
	if (len > PARAMS_TEXT_MAX)
		snprintf(error, PARAMS_ERROR_MAX, "longer than %d bytes", PARAMS_TEXT_MAX);
	else
		snprintf(error, PARAMS_ERROR_MAX, "%s: a JSON object is needed",
			 i < len ? "this is not an object" : "the text is empty");
	return i == len && len <= PARAMS_TEXT_MAX ? PARAMS_INCOMPLETE : PARAMS_INVALID;
}

enum params_verdict params_parse(const char *text, size_t len, struct params **out,
				 char error[PARAMS_ERROR_MAX])
{
	json_error_t e;
	*out = NULL;
	error[0] = '\0';
	enum params_verdict verdict = judge_start(text, len, error);
	if (verdict != PARAMS_OK)
		return verdict;
	json_t *object = load(text, len, &e);
	if (!object)
		return judge_broken(text, len, &e, error);
	struct params *params = params_new();
	if (!params)
		snprintf(error, PARAMS_ERROR_MAX, "out of memory");
	if (!params || take_all(params, object, error)) {
		params_free(params);
		params = NULL;
	}
	json_decref(object);
	*out = params;
	return params ? PARAMS_OK : PARAMS_INVALID;
}

/* Sets. */

struct params *params_new(void)
{
	struct params *params = malloc(sizeof *params);
	if (params && !(params->values = json_object())) {
		free(params);
		return NULL;
	}
	return params;
}

void params_free(struct params *params)
{
	if (params)
		json_decref(params->values);
	free(params);
}

int params_merge(struct params *base, const struct params *over)
{
	return json_object_update(base->values, over->values) ? -ENOMEM : 0;
}

int params_fill(struct params *params, const struct params *defaults)
{
	return json_object_update_missing(params->values, defaults->values) ? -ENOMEM : 0;
}

const char *params_image_url(const struct params *params)
{
	return json_string_value(json_object_get(params->values, "image_url"));
}

int params_set_image_url(struct params *params, const char *url)
{
	char error[PARAMS_ERROR_MAX];
	if (params_check_url(url, strlen(url), error))
		return -EINVAL;
	return json_object_set_new(params->values, "image_url", json_string(url)) ? -ENOMEM : 0;
}

void params_clear_image_url(struct params *params)
{
	json_object_del(params->values, "image_url");
}

bool params_has_seed(const struct params *params)
{
	return json_object_get(params->values, "seed") != NULL;
}

long long params_seed(const struct params *params)
{
	return json_integer_value(json_object_get(params->values, "seed"));
}

int params_set_seed(struct params *params, uint64_t seed)
{
	json_t *value = json_integer((json_int_t)(seed & 0x7fffffff));
	return json_object_set_new(params->values, "seed", value) ? -ENOMEM : 0;
}

long params_texture_size(const struct params *params)
{
	const json_t *value = params ? json_object_get(params->values, "texture_size") : NULL;
	return value ? (long)json_integer_value(value) : strtol(DEFAULT_TEXTURE_SIZE, NULL, 10);
}

bool params_has_texture_size(const struct params *params)
{
	return json_object_get(params->values, "texture_size") != NULL;
}

/* Closes a memory stream: its text, or NULL when memory ran out on the way. */
static char *finish(FILE *out, char **text, bool failed)
{
	if (ferror(out))
		failed = true;
	if (fclose(out) || failed) {
		free(*text);
		return NULL;
	}
	return *text;
}

char *params_format(const struct params *params)
{
	char *text = NULL;
	size_t len;
	bool failed = false;
	const char *before = "";
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	fputs("{", out);
	for (size_t i = 0; i < SPECS; i++) {
		const json_t *value = json_object_get(params->values, specs[i].name);
		char *shown = value ? value_text(value) : NULL;
		if (shown)
			fprintf(out, "%s\n  \"%s\": %s", before, specs[i].name, shown);
		failed |= value && !shown;
		before = value ? "," : before;
		free(shown);
	}
	fputs(*before ? "\n}\n" : "}\n", out);
	return finish(out, &text, failed);
}

char *params_warnings(const struct params *params)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	for (size_t i = 0; i < SPECS; i++) {
		const struct params_spec *spec = &specs[i];
		const json_t *value = json_object_get(params->values, spec->name);
		double number = json_number_value(value);
		char shown[NUMBER_MAX];
		if (!value || spec->usual_min == spec->usual_max ||
		    (number >= spec->usual_min && number <= spec->usual_max))
			continue;
		fprintf(out, "%s: %s is outside the usual %.15g to %.15g\n", spec->name,
			decimal(number, shown), spec->usual_min, spec->usual_max);
	}
	char *done = finish(out, &text, false);
	if (done && *done)
		return done;
	free(done);
	return NULL;
}

/* Length of the scheme and "://" of an http(s) URL; 0 for another one. */
static size_t scheme_length(const char *url, size_t len)
{
	if (len >= 7 && strncasecmp(url, "http://", 7) == 0)
		return 7;
	if (len >= 8 && strncasecmp(url, "https://", 8) == 0)
		return 8;
	return 0;
}

static bool has_host(const char *authority, size_t len)
{
	size_t end = 0, host = 0;
	for (; end < len && !strchr("/?#", authority[end]); end++)
		if (authority[end] == '@')
			host = end + 1;
	return host < end && authority[host] != ':';
}

static const char *why_no_url(const char *url, size_t len)
{
	if (len > 8192)
		return "a URL of more than 8192 bytes";
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)url[i] <= ' ' || url[i] == 0x7f)
			return "a URL has no white space or control characters";
	size_t scheme = scheme_length(url, len);
	if (!scheme)
		return "an http:// or https:// URL is needed";
	if (!has_host(url + scheme, len - scheme))
		return "the URL has no host";
	json_t *string = json_stringn(url, len);
	json_decref(string);
	return string ? NULL : "the URL is not UTF-8";
}

int params_check_url(const char *url, size_t len, char error[PARAMS_ERROR_MAX])
{
	const char *why = why_no_url(url, len);
	if (why)
		snprintf(error, PARAMS_ERROR_MAX, "%s", why);
	return why ? -EINVAL : 0;
}
