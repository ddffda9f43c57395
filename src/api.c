#include "api.h"

#include "text.h"
#include "url.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define RETRY_AFTER_MAX_S 3600
#define MESSAGE_MAX       500
#define WORD_MAX          64

/* URLs. */

static bool gateway_path(const char *path)
{
	static const char *const known[] = { "", "/pixal3d/v1", "/v2" };
	size_t len = strlen(path);
	if (len && path[len - 1] == '/')
		len--;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strlen(known[i]) == len && strncmp(known[i], path, len) == 0)
			return true;
	return false;
}

static const char *why_no_gateway(const char *source, struct url_origin *origin)
{
	if (!url_parse(source, origin))
		return "is not a gateway's URL (https://HOST[:PORT])";
	if (!origin->https && !url_is_loopback(origin))
		return "would send the key unencrypted: use https";
	if (!gateway_path(origin->rest))
		return "has a path that no gateway has: give https://HOST[:PORT] only";
	return NULL;
}

char *api_gateway(const char *source, char *error, size_t error_size)
{
	struct url_origin origin;
	const char *why = why_no_gateway(source, &origin);
	if (why) {
		snprintf(error, error_size, "%.200s %s", source, why);
		return NULL;
	}
	char *gateway = strndup(source, (size_t)(origin.rest - source));
	if (!gateway)
		snprintf(error, error_size, "out of memory");
	for (char *p = gateway; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return gateway;
}

char *api_submit_url(const char *gateway)
{
	return text_format("%s/pixal3d/v1/pixal3d-request", gateway);
}

char *api_status_url(const char *gateway, const char *request_id, const char *polling_url)
{
	if (polling_url && api_same_origin(gateway, polling_url))
		return strdup(polling_url);
	return text_format("%s/v2/requests/status/%s", gateway, request_id);
}

bool api_same_origin(const char *gateway, const char *url)
{
	struct url_origin a, b;
	return url_parse(gateway, &a) && url_parse(url, &b) && a.https == b.https &&
	       a.port == b.port && a.host_len == b.host_len &&
	       strncasecmp(a.host, b.host, a.host_len) == 0;
}

bool api_media_url_allowed(const char *gateway, const char *url)
{
	struct url_origin from, to;
	if (!url_parse(gateway, &from) || !url_parse(url, &to))
		return false;
	return to.https || (url_is_loopback(&from) && url_is_loopback(&to));
}

bool api_request_id_valid(const char *text, size_t len)
{
	if (len < 1 || len > 128 || text[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && (!text[i] || !strchr("_-.", text[i])))
			return false;
	return true;
}

/* Words of the service. */

/* The bytes at TEXT that would drive a terminal, or are blank: ASCII's, and C1 controls (U+0080 to
 * U+009F), which some terminals obey. */
static size_t blank_at(const char *text, size_t len)
{
	const unsigned char *c = (const unsigned char *)text;
	if (*c <= ' ' || *c == 0x7f)
		return 1;
	return len > 1 && c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f ? 2 : 0;
}

/* TEXT, UTF-8, as one line of at most MAX bytes, runs of blanks and control characters as one
 * blank, not cut within a character. Heap. *R becomes -ENOMEM when there is no memory, NULL is
 * given then and for what is empty. */
static char *one_line(const char *text, size_t len, size_t max, int *r)
{
	size_t used = 0, i = 0;
	char *line = malloc(max + 1);
	if (!line) {
		*r = -ENOMEM;
		return NULL;
	}
	while (i < len && used < max) {
		size_t blank = blank_at(text + i, len - i);
		if (!blank)
			line[used++] = text[i];
		else if (used && line[used - 1] != ' ')
			line[used++] = ' ';
		i += blank ? blank : 1;
	}
	if (i < len && ((unsigned char)text[i] & 0xc0) == 0x80) {
		while (used && ((unsigned char)line[used - 1] & 0xc0) == 0x80)
			used--;
		used -= used > 0;
	}
	while (used && line[used - 1] == ' ')
		used--;
	line[used] = '\0';
	if (used)
		return line;
	free(line);
	return NULL;
}

static char *line_of(const json_t *string, size_t max, int *r)
{
	if (!json_is_string(string))
		return NULL;
	return one_line(json_string_value(string), json_string_length(string), max, r);
}

/* The text of a member that may be a string, an object with a message, or anything else. */
static char *text_of(const json_t *value, int *r)
{
	if (!value || json_is_null(value))
		return NULL;
	if (json_is_string(json_object_get(value, "message")))
		value = json_object_get(value, "message");
	if (json_is_string(value))
		return line_of(value, MESSAGE_MAX, r);
	char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	char *line = dump ? one_line(dump, strlen(dump), MESSAGE_MAX, r) : NULL;
	if (!dump)
		*r = -ENOMEM;
	free(dump);
	return line;
}

/* `error` is the title and `message` the explanation in the documented errors; `detail` is the
 * explanation of the usual validation errors. */
static char *explain(const json_t *object, int *r)
{
	char *title = text_of(json_object_get(object, "error"), r);
	char *more = text_of(json_object_get(object, "message"), r);
	if (!more)
		more = text_of(json_object_get(object, "detail"), r);
	if (!title || !more || strcmp(title, more) == 0) {
		char *only = title ? title : more;
		if (only != more)
			free(more);
		return only;
	}
	char *both = text_format("%s: %s", title, more);
	if (!both)
		*r = -ENOMEM;
	free(title);
	free(more);
	return both;
}

/* Unusual numbers elsewhere in an answer must not cost us its request id. */
static json_t *load_object(const char *body, size_t len)
{
	json_t *root = json_loadb(body, len, 0, NULL);
	if (!root)
		root = json_loadb(body, len, JSON_DECODE_INT_AS_REAL, NULL);
	if (json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

static char *message_of(const json_t *root, const char *body, size_t len, int *r)
{
	if (root)
		return explain(root, r);
	/* a proxy's page is no message, nor are bytes that are no text */
	json_t *string = len && !memchr(body, '<', len) ? json_stringn(body, len) : NULL;
	char *line = line_of(string, MESSAGE_MAX, r);
	json_decref(string);
	return line;
}

/* The answer to a POST. */

static enum api_submit_kind submit_kind(long http_status, bool retry_after, bool has_id)
{
	if (http_status >= 200 && http_status < 300)
		return has_id ? API_ACCEPTED : API_LOST;
	if (http_status == 429 || (http_status == 503 && retry_after))
		return API_TRY_LATER;
	return http_status >= 400 && http_status < 500 && http_status != 408 ? API_REFUSED
									     : API_LOST;
}

int api_submit_parse(long http_status, bool retry_after, const char *body, size_t len,
		     struct api_submit *out)
{
	int r = 0;
	json_t *root = load_object(body, len);
	const json_t *id = json_object_get(root, "request_id");
	bool has_id = json_is_string(id) &&
		      api_request_id_valid(json_string_value(id), json_string_length(id));
	*out = (struct api_submit){ .kind = submit_kind(http_status, retry_after, has_id) };
	out->message = message_of(root, body, len, &r);
	if (out->kind == API_ACCEPTED) {
		const json_t *polling_url = json_object_get(root, "polling_url");
		out->request_id = line_of(id, json_string_length(id), &r);
		out->word = line_of(json_object_get(root, "status"), WORD_MAX, &r);
		if (!out->word && !(out->word = strdup("QUEUED")))
			r = -ENOMEM;
		out->polling_url = line_of(polling_url, json_string_length(polling_url), &r);
	}
	json_decref(root);
	if (r)
		api_submit_release(out);
	return r;
}

void api_submit_release(struct api_submit *submit)
{
	free(submit->request_id);
	free(submit->word);
	free(submit->polling_url);
	free(submit->message);
	*submit = (struct api_submit){ .kind = API_LOST };
}

/* The answer to a poll. */

static enum api_status_kind status_kind(long http_status, const json_t *root,
					const char *request_id)
{
	if (http_status == 401 || http_status == 403)
		return API_STATUS_NO_KEY;
	if (http_status == 404)
		return API_STATUS_UNKNOWN;
	if (http_status < 200 || http_status >= 300)
		return API_STATUS_RETRY;
	const json_t *id = json_object_get(root, "request_id");
	const char *word = json_string_value(json_object_get(root, "status"));
	if (id && (!json_is_string(id) || strcmp(json_string_value(id), request_id) != 0))
		return API_STATUS_RETRY;
	return word && *word ? API_STATUS_OK : API_STATUS_RETRY;
}

static void take_url(const json_t *url, struct api_status *out, int *r)
{
	size_t len = json_string_length(url);
	if (out->media_count == JOB_OUTPUTS_MAX || !len || !url_is_visible(json_string_value(url)))
		return;
	char *copy = strdup(json_string_value(url));
	if (copy)
		out->media_url[out->media_count++] = copy;
	else
		*r = -ENOMEM;
}

static void take_output(const json_t *output, struct api_status *out, int *r)
{
	const json_t *media = json_object_get(output, "media_url");
	for (size_t i = 0; i < json_array_size(media); i++)
		take_url(json_array_get(media, i), out, r);
	take_url(media, out, r);
	out->media_type = line_of(json_object_get(output, "media_type"), WORD_MAX, r);
}

int api_status_parse(long http_status, const char *body, size_t len, const char *request_id,
		     struct api_status *out)
{
	int r = 0;
	json_t *root = load_object(body, len);
	*out = (struct api_status){ .kind = status_kind(http_status, root, request_id) };
	if (out->kind != API_STATUS_OK) {
		out->message = message_of(root, body, len, &r);
	} else {
		out->message = text_of(json_object_get(root, "error"), &r);
		out->word = line_of(json_object_get(root, "status"), WORD_MAX, &r);
		out->completed_at = line_of(json_object_get(root, "completed_at"), WORD_MAX, &r);
		take_output(json_object_get(root, "output"), out, &r);
		if (!out->word && !r)
			out->kind = API_STATUS_RETRY;
	}
	json_decref(root);
	if (r)
		api_status_release(out);
	return r;
}

void api_status_release(struct api_status *status)
{
	free(status->word);
	free(status->message);
	free(status->media_type);
	free(status->completed_at);
	for (size_t i = 0; i < status->media_count; i++)
		free(status->media_url[i]);
	*status = (struct api_status){ .kind = API_STATUS_RETRY };
}

/* Callbacks. */

bool api_callback_base_allowed(const char *gateway, const char *base)
{
	return api_media_url_allowed(gateway, base) && !strpbrk(base, "?#") &&
	       base[strlen(base) - 1] != '/';
}

char *api_callback_url(const char *base, uint64_t number, const char *token)
{
	return text_format("%s/%" PRIu64 "-%s", base, number, token);
}

bool api_callback_target(const char *path, uint64_t *number, char token[API_TOKEN_LEN + 1])
{
	const char *last = strrchr(path, '/'), *dash = last ? strchr(last, '-') : NULL;
	size_t digits = dash ? strspn(last + 1, "0123456789") : 0;
	if (!digits || digits > 19 || last + 1 + digits != dash ||
	    strspn(dash + 1, "0123456789abcdef") != API_TOKEN_LEN || dash[1 + API_TOKEN_LEN])
		return false;
	*number = strtoull(last + 1, NULL, 10);
	memcpy(token, dash + 1, API_TOKEN_LEN + 1);
	return true;
}

char *api_callback_id(const char *body, size_t len)
{
	json_t *root = load_object(body, len);
	const json_t *id = json_object_get(root, "request_id");
	size_t id_len = json_string_length(id);
	char *copy = id_len && api_request_id_valid(json_string_value(id), id_len)
			     ? strdup(json_string_value(id))
			     : NULL;
	json_decref(root);
	return copy;
}

/* Headers and names. */

static int64_t clamp_ms(double seconds)
{
	if (!(seconds > 1))
		return 1000;
	return seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S * 1000 : (int64_t)(seconds * 1000);
}

static bool parse_date(const char *value, int64_t *out)
{
	static const char *const formats[] = {
		"%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate, and two old ones */
		"%A, %d-%b-%y %H:%M:%S GMT",
		"%a %b %e %H:%M:%S %Y",
	};
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		struct tm tm = { 0 };
		const char *end = strptime(value, formats[i], &tm);
		if (end && !end[strspn(end, " \t\r\n")]) {
			*out = timegm(&tm);
			return true;
		}
	}
	return false;
}

int64_t api_retry_after(const char *value, int64_t now_s)
{
	int64_t date;
	if (!value)
		return -1;
	value += strspn(value, " \t");
	if (parse_date(value, &date))
		return clamp_ms((double)date - (double)now_s);
	/* strtod alone takes signs, hexadecimal numbers, infinity and NaN */
	size_t len = strspn(value, "0123456789.eE+");
	if (!isdigit((unsigned char)*value) || value[len + strspn(value + len, " \t\r\n")])
		return -1;
	char *end;
	double seconds = strtod(value, &end);
	return end == value + len ? clamp_ms(seconds) : -1;
}

static const struct {
	const char *media_type;
	const char *extension;
} extensions[] = {
	{ "model/glb", "glb" },        { "model/gltf-binary", "glb" },
	{ "model/gltf+json", "gltf" }, { "model/obj", "obj" },
	{ "model/stl", "stl" },        { "model/vnd.usdz+zip", "usdz" },
	{ "application/zip", "zip" },  { "image/png", "png" },
	{ "image/jpeg", "jpg" },       { "image/webp", "webp" },
	{ "video/mp4", "mp4" },
};

static const char *extension_of_type(const char *media_type)
{
	size_t len = strcspn(media_type, "; ");
	for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
		if (strlen(extensions[i].media_type) == len &&
		    strncasecmp(extensions[i].media_type, media_type, len) == 0)
			return extensions[i].extension;
	return NULL;
}

/* The extension of the URL's path in small letters, at most 8 letters and digits. */
static bool extension_of_url(const char *url, char buf[9])
{
	struct url_origin origin;
	if (!url_parse(url, &origin))
		return false;
	size_t len = strcspn(origin.rest, "?#"), start = len;
	while (start && isalnum((unsigned char)origin.rest[start - 1]))
		start--;
	if (start < 2 || origin.rest[start - 1] != '.' || len - start < 1 || len - start > 8)
		return false;
	for (size_t i = start; i < len; i++)
		buf[i - start] = (char)tolower((unsigned char)origin.rest[i]);
	buf[len - start] = '\0';
	return true;
}

char *api_output_name(size_t index, const char *media_type, const char *url)
{
	char buf[9];
	const char *extension = media_type ? extension_of_type(media_type) : NULL;
	if (!extension)
		extension = url && extension_of_url(url, buf) ? buf : "bin";
	return index ? text_format("output-%zu.%s", index + 1, extension)
		     : text_format("output.%s", extension);
}
