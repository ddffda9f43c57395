#include "api.h"
#include "run.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))
#define ID          "pixal3d_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
#define G           API_PUBLIC_GATEWAY
#define CDN         "https://pub-582b7213209642b9b995c96c95a30381.r2.dev/v1/"

static void expect_text(const char *text, const char *expected)
{
	if (!text || !expected)
		ck_assert_ptr_eq(text, expected);
	else
		ck_assert_str_eq(text, expected);
}

static const struct {
	const char *source;
	const char *gateway; /* NULL: refused */
} gateways[] = {
	{ "https://gateway.pixazo.ai", G },
	{ "https://gateway.pixazo.ai/", G },
	{ "HTTPS://Gateway.Pixazo.AI/pixal3d/v1", G },
	{ "https://gateway.pixazo.ai/pixal3d/v1/", G },
	{ "https://gateway.pixazo.ai/v2/", G },
	{ "https://my_proxy:8443", "https://my_proxy:8443" },
	{ "http://localhost:8080/", "http://localhost:8080" },
	{ "http://127.0.0.1:1", "http://127.0.0.1:1" },
	{ "http://127.9.9.9", "http://127.9.9.9" },
	{ "http://[::1]:65535", "http://[::1]:65535" },
	{ "http://gateway.pixazo.ai", NULL },
	{ "http://127.0.0.1.example.com", NULL },
	{ "http://localhost.example.com", NULL },
	{ "http://127.1", NULL },
	{ "https://gateway.pixazo.ai/other", NULL },
	{ "https://gateway.pixazo.ai?x", NULL },
	{ "https://user@gateway.pixazo.ai", NULL },
	{ "https://gateway.pixazo.ai:0", NULL },
	{ "https://gateway.pixazo.ai:65536", NULL },
	{ "https://gateway.pixazo.ai:99999999999999999999", NULL },
	{ "https://gateway.pixazo.ai:-1", NULL },
	{ "https://gateway.pixazo.ai:80x", NULL },
	{ "https://[::1", NULL },
	{ "https://", NULL },
	{ "https:///", NULL },
	{ "https://a b", NULL },
	{ "ftp://gateway.pixazo.ai", NULL },
	{ "pixal3d", NULL },
	{ "", NULL },
};

START_TEST(gateway)
{
	char error[300] = "";
	char *url = api_gateway(gateways[_i].source, error, sizeof error);
	expect_text(url, gateways[_i].gateway);
	ck_assert_int_eq(error[0] != '\0', !url);
	free(url);
}
END_TEST

static const struct {
	const char *gateway;
	const char *url;
	bool same;
	bool media;
} origins[] = {
	{ G, G, true, true },
	{ G, G "/v2/requests/status/x", true, true },
	{ G, G ":443/x", true, true },
	{ G, "https://GATEWAY.pixazo.ai/x?y#z", true, true },
	{ G, G ":444/x", false, true },
	{ G, CDN "output.glb", false, true },
	{ G, G ".example.com/x", false, true },
	{ G, "https://gateway.pixazo.ai@example.com/", false, false },
	{ G, "https://example.com\\@gateway.pixazo.ai/", false, false },
	{ G, "https://gateway.pixazo.ai\\x", false, false },
	{ G, "https://gateway%2epixazo.ai/", false, false },
	{ G, "https://gateway.pixazo.ai/a b", false, false },
	{ G, "https://gateway.pixazo.ai/a\r\nx: y", false, false },
	{ G, "http://gateway.pixazo.ai/x", false, false },
	{ G, "http://localhost/x", false, false },
	{ G, "file:///etc/passwd", false, false },
	{ G, "//gateway.pixazo.ai/x", false, false },
	{ G, "/v2/requests/status/x", false, false },
	{ G, "", false, false },
	{ "http://127.0.0.1:80", "http://127.0.0.1/x", true, true },
	{ "http://127.0.0.1:80", "http://127.0.0.1:81/x", false, true },
	{ "http://127.0.0.1:80", "http://[::1]/x", false, true },
	{ "http://127.0.0.1:80", "http://169.254.169.254/x", false, false },
	{ "http://127.0.0.1:80", "https://127.0.0.1:80/x", false, true },
};

START_TEST(origin)
{
	const char *from = origins[_i].gateway, *url = origins[_i].url;
	ck_assert_int_eq(api_same_origin(from, url), origins[_i].same);
	ck_assert_int_eq(api_media_url_allowed(from, url), origins[_i].media);
	char *asked = api_status_url(G, ID, url);
	bool own = origins[_i].same && strcmp(from, G) == 0;
	expect_text(asked, own ? url : G "/v2/requests/status/" ID);
	free(asked);
}
END_TEST

START_TEST(documented_urls)
{
	char *submit = api_submit_url(G), *status = api_status_url(G, ID, NULL);
	expect_text(submit, "https://gateway.pixazo.ai/pixal3d/v1/pixal3d-request");
	expect_text(status, "https://gateway.pixazo.ai/v2/requests/status/" ID);
	free(submit);
	free(status);
}
END_TEST

static const struct {
	const char *text;
	bool valid;
} ids[] = {
	{ ID, true },     { "a", true },    { "a.b", true },   { "", false },
	{ ".", false },   { "..", false },  { ".a", false },   { "a/b", false },
	{ "a b", false }, { "a\n", false }, { "\xc3", false }, { "a?b", false },
};

START_TEST(request_ids)
{
	ck_assert_int_eq(api_request_id_valid(ids[_i].text, strlen(ids[_i].text)), ids[_i].valid);
}
END_TEST

START_TEST(request_id_lengths)
{
	char text[129];
	memset(text, 'a', sizeof text);
	ck_assert(api_request_id_valid(text, 128));
	ck_assert(!api_request_id_valid(text, 129));
	ck_assert(!api_request_id_valid("a\0b", 3));
}
END_TEST

#define INSUFFICIENT                                                                               \
	"{\n\"error\": \"Insufficient Balance\",\n"                                                \
	"\"message\": \"Your wallet does not have enough balance.\"\n}"
#define INSUFFICIENT_LINE "Insufficient Balance: Your wallet does not have enough balance."

static const struct {
	long http_status;
	const char *body;
	enum api_submit_kind kind;
	const char *id, *word, *polling_url, *message;
} submits[] = {
	{ 202,
	  "{\n\"request_id\": \"" ID "\",\n\"status\": \"QUEUED\",\n"
	  "\"polling_url\": \"" G "/v2/requests/status/" ID "\"\n}",
	  API_ACCEPTED, ID, "QUEUED", G "/v2/requests/status/" ID, NULL },
	{ 200, "{\"request_id\": \"a\"}", API_ACCEPTED, "a", "QUEUED", NULL, NULL },
	{ 202, "{\"request_id\": \"a\", \"status\": \"queued\", \"polling_url\": null}",
	  API_ACCEPTED, "a", "queued", NULL, NULL },
	{ 202, "{\"request_id\": \"a\", \"status\": 7, \"n\": 99999999999999999999}", API_ACCEPTED,
	  "a", "QUEUED", NULL, NULL },
	{ 202, "{\"request_id\": \"a\", \"status\": \" a\\nb \"}", API_ACCEPTED, "a", "a b", NULL,
	  NULL },
	{ 202, "{\"request_id\": \"../a\"}", API_LOST, NULL, NULL, NULL, NULL },
	{ 202, "{\"request_id\": 7}", API_LOST, NULL, NULL, NULL, NULL },
	{ 202, "{\"request_id\": null, \"message\": \"hm\"}", API_LOST, NULL, NULL, NULL, "hm" },
	{ 202, "{}", API_LOST, NULL, NULL, NULL, NULL },
	{ 202, "", API_LOST, NULL, NULL, NULL, NULL },
	{ 202, "{\"request_id\": \"a", API_LOST, NULL, NULL, NULL, "{\"request_id\": \"a" },
	{ 200, "<html>Welcome</html>", API_LOST, NULL, NULL, NULL, NULL },
	{ 400,
	  "{\n\"error\": \"Model not found\",\n"
	  "\"message\": \"Model 'pixal3d' not found or is disabled\"\n}",
	  API_REFUSED, NULL, NULL, NULL,
	  "Model not found: Model 'pixal3d' not found or is disabled" },
	{ 400, "{\"error\": \"a\", \"message\": \"a\"}", API_REFUSED, NULL, NULL, NULL, "a" },
	{ 400, "{\"error\": {\"code\": 7, \"message\": \"a\\n\\tb\"}}", API_REFUSED, NULL, NULL,
	  NULL, "a b" },
	{ 400, "{\"message\": \"a\\u001b[31m\\u009b31mb\\u007f\xc2\x85\xc2\xa0\"}", API_REFUSED,
	  NULL, NULL, NULL, "a [31m 31mb \xc2\xa0" },
	{ 400,
	  "\x9b"
	  "31mred",
	  API_REFUSED, NULL, NULL, NULL, NULL },
	{ 422, "{\"detail\": [{\"msg\": \"seed\"}]}", API_REFUSED, NULL, NULL, NULL,
	  "[{\"msg\":\"seed\"}]" },
	{ 401, "{\"statusCode\": 401, \"message\": \"Access denied\"}", API_REFUSED, NULL, NULL,
	  NULL, "Access denied" },
	{ 402, INSUFFICIENT, API_REFUSED, NULL, NULL, NULL, INSUFFICIENT_LINE },
	{ 403, "Forbidden\n", API_REFUSED, NULL, NULL, NULL, "Forbidden" },
	{ 403, "{\"error\": null}", API_REFUSED, NULL, NULL, NULL, NULL },
	{ 404, "", API_REFUSED, NULL, NULL, NULL, NULL },
	{ 408, "", API_LOST, NULL, NULL, NULL, NULL },
	{ 429, "{\"error\": \"Too Many Requests\"}", API_TRY_LATER, NULL, NULL, NULL,
	  "Too Many Requests" },
	{ 503, "<html>", API_LOST, NULL, NULL, NULL, NULL },
	{ 500, "{\"error\": \"Internal Server Error\"}", API_LOST, NULL, NULL, NULL,
	  "Internal Server Error" },
	{ 500, "{\"request_id\": \"a\"}", API_LOST, NULL, NULL, NULL, NULL },
	{ 502, "", API_LOST, NULL, NULL, NULL, NULL },
	{ 504, "", API_LOST, NULL, NULL, NULL, NULL },
	{ 302, "", API_LOST, NULL, NULL, NULL, NULL },
	{ 0, "", API_LOST, NULL, NULL, NULL, NULL },
};

START_TEST(submit_answers)
{
	struct api_submit got;
	const char *body = submits[_i].body;
	ck_assert_int_eq(api_submit_parse(submits[_i].http_status, false, body, strlen(body), &got),
			 0);
	ck_assert_int_eq(got.kind, submits[_i].kind);
	expect_text(got.request_id, submits[_i].id);
	expect_text(got.word, submits[_i].word);
	expect_text(got.polling_url, submits[_i].polling_url);
	expect_text(got.message, submits[_i].message);
	api_submit_release(&got);
}
END_TEST

/* Busy, or lost what it had taken? Only the first one says when to come again. */
START_TEST(retry_after_makes_503_a_refusal)
{
	struct api_submit got;
	ck_assert_int_eq(api_submit_parse(503, true, "", 0, &got), 0);
	ck_assert_int_eq(got.kind, API_TRY_LATER);
	api_submit_release(&got);
	ck_assert_int_eq(api_submit_parse(502, true, "", 0, &got), 0);
	ck_assert_int_eq(got.kind, API_LOST);
	api_submit_release(&got);
}
END_TEST

START_TEST(long_messages_are_cut_between_characters)
{
	char body[2000];
	struct api_submit got;
	for (int shift = 0; shift < 3; shift++) {
		int len = snprintf(body, sizeof body, "%.*s", shift, "aa");
		while (len < 1500)
			len += snprintf(body + len, 4, "\xe2\x82\xac");
		ck_assert_int_eq(api_submit_parse(400, false, body, (size_t)len, &got), 0);
		ck_assert_uint_gt(strlen(got.message), 490);
		ck_assert_uint_le(strlen(got.message), 500);
		ck_assert_uint_eq(strlen(got.message) % 3, (size_t)shift);
		api_submit_release(&got);
	}
}
END_TEST

#define HEAD(word) "{\n\"request_id\": \"" ID "\",\n\"status\": \"" word "\",\n"
#define MODEL      "\"model_id\": \"pixal3d\",\n"

static const struct {
	long http_status;
	const char *body;
	enum api_status_kind kind;
	const char *word, *message, *type, *completed;
	const char *media[3];
} statuses[] = {
	/* "Response (Completed)", "Callback Payload", "Failure callback shape" and "Error via
	 * Status/Webhook" of the documentation */
	{ 200,
	  HEAD("COMPLETED") MODEL "\"error\": null,\n\"output\": {\n\"media_url\": [\"" CDN
				  "pixal3d_019dxxxx/output.glb\"],\n"
				  "\"media_type\": \"model/glb\"\n},\n"
				  "\"created_at\": \"2026-03-31T10:00:00.000Z\",\n"
				  "\"updated_at\": \"2026-03-31T10:00:15.000Z\",\n"
				  "\"completed_at\": \"2026-03-31T10:00:15.000Z\"\n}",
	  API_STATUS_OK,
	  "COMPLETED",
	  NULL,
	  "model/glb",
	  "2026-03-31T10:00:15.000Z",
	  { CDN "pixal3d_019dxxxx/output.glb" } },
	{ 200,
	  HEAD("COMPLETED") MODEL "\"error\": null,\n\"output\": {\n\"media_url\": [\n\"" CDN ID
				  "/output.glb\"\n],\n\"media_type\": \"model/glb\"\n},\n"
				  "\"created_at\": \"2026-05-22T13:17:32.110Z\",\n"
				  "\"updated_at\": \"2026-05-22 13:19:23\",\n"
				  "\"completed_at\": \"2026-05-22 13:19:23\"\n}",
	  API_STATUS_OK,
	  "COMPLETED",
	  NULL,
	  "model/glb",
	  "2026-05-22 13:19:23",
	  { CDN ID "/output.glb" } },
	{ 200,
	  HEAD("ERROR") MODEL "\"error\": \"Description of the error\",\n\"output\": null,\n"
			      "\"created_at\": \"...\",\n\"updated_at\": \"...\",\n"
			      "\"completed_at\": \"...\"\n}",
	  API_STATUS_OK,
	  "ERROR",
	  "Description of the error",
	  NULL,
	  "...",
	  { NULL } },
	{ 200,
	  HEAD("ERROR") MODEL "\"error\": \"Description of the error\",\n\"output\": null\n}",
	  API_STATUS_OK,
	  "ERROR",
	  "Description of the error",
	  NULL,
	  NULL,
	  { NULL } },
	{ 200, HEAD("QUEUED") "\"a\": 1}", API_STATUS_OK, "QUEUED", NULL, NULL, NULL, { NULL } },
	{ 200,
	  HEAD("PROCESSING") "\"message\": \"hm\"}",
	  API_STATUS_OK,
	  "PROCESSING",
	  NULL,
	  NULL,
	  NULL,
	  { NULL } },
	{ 200,
	  HEAD("FAILED") "\"error\": {\"code\": 7}}",
	  API_STATUS_OK,
	  "FAILED",
	  "{\"code\":7}",
	  NULL,
	  NULL,
	  { NULL } },
	/* other writings, and what may come */
	{ 200,
	  HEAD("completed") "\"output\": {\"media_url\": \"https://h/a\"}}",
	  API_STATUS_OK,
	  "completed",
	  NULL,
	  NULL,
	  NULL,
	  { "https://h/a" } },
	{ 200,
	  HEAD("COMPLETED") "\"output\": {\"media_url\": [\"https://h/a\", 7, null, \"\", "
			    "\"b c\", \"https://h/d\"]}}",
	  API_STATUS_OK,
	  "COMPLETED",
	  NULL,
	  NULL,
	  NULL,
	  { "https://h/a", "https://h/d" } },
	{ 200,
	  HEAD("COMPLETED") "\"output\": []}",
	  API_STATUS_OK,
	  "COMPLETED",
	  NULL,
	  NULL,
	  NULL,
	  { NULL } },
	{ 200,
	  HEAD("COMPLETED") "\"output\": {\"media_url\": {}, \"media_type\": 7}}",
	  API_STATUS_OK,
	  "COMPLETED",
	  NULL,
	  NULL,
	  NULL,
	  { NULL } },
	{ 200,
	  HEAD("Rendering") "\"a\": 1}",
	  API_STATUS_OK,
	  "Rendering",
	  NULL,
	  NULL,
	  NULL,
	  { NULL } },
	{ 200, "{\"status\": \"QUEUED\"}", API_STATUS_OK, "QUEUED", NULL, NULL, NULL, { NULL } },
	{ 200,
	  "{\"status\": \"QUEUED\", \"request_id\": \"other\"}",
	  API_STATUS_RETRY,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  { NULL } },
	{ 200,
	  "{\"status\": \"QUEUED\", \"request_id\": 7}",
	  API_STATUS_RETRY,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  { NULL } },
	{ 200, HEAD("") "\"a\": 1}", API_STATUS_RETRY, NULL, NULL, NULL, NULL, { NULL } },
	{ 200, HEAD("\\n") "\"a\": 1}", API_STATUS_RETRY, NULL, NULL, NULL, NULL, { NULL } },
	{ 200, "{}", API_STATUS_RETRY, NULL, NULL, NULL, NULL, { NULL } },
	{ 200, "", API_STATUS_RETRY, NULL, NULL, NULL, NULL, { NULL } },
	{ 200, "[]", API_STATUS_RETRY, NULL, "[]", NULL, NULL, { NULL } },
	{ 401, "{\"message\": \"no\"}", API_STATUS_NO_KEY, NULL, "no", NULL, NULL, { NULL } },
	{ 403, "", API_STATUS_NO_KEY, NULL, NULL, NULL, NULL, { NULL } },
	{ 404, "", API_STATUS_UNKNOWN, NULL, NULL, NULL, NULL, { NULL } },
	{ 400, "", API_STATUS_RETRY, NULL, NULL, NULL, NULL, { NULL } },
	{ 408, "", API_STATUS_RETRY, NULL, NULL, NULL, NULL, { NULL } },
	{ 429, "", API_STATUS_RETRY, NULL, NULL, NULL, NULL, { NULL } },
	{ 500, "Oops", API_STATUS_RETRY, NULL, "Oops", NULL, NULL, { NULL } },
	{ 0, "", API_STATUS_RETRY, NULL, NULL, NULL, NULL, { NULL } },
};

START_TEST(status_answers)
{
	struct api_status got;
	const char *body = statuses[_i].body;
	size_t count = 0;
	ck_assert_int_eq(api_status_parse(statuses[_i].http_status, body, strlen(body), ID, &got),
			 0);
	ck_assert_int_eq(got.kind, statuses[_i].kind);
	expect_text(got.word, statuses[_i].word);
	expect_text(got.message, statuses[_i].message);
	expect_text(got.media_type, statuses[_i].type);
	expect_text(got.completed_at, statuses[_i].completed);
	for (; statuses[_i].media[count]; count++)
		expect_text(got.media_url[count], statuses[_i].media[count]);
	ck_assert_uint_eq(got.media_count, count);
	api_status_release(&got);
}
END_TEST

START_TEST(many_outputs_are_limited)
{
	char body[2000];
	struct api_status got;
	int len = snprintf(
		body, sizeof body,
		"{\"status\": \"COMPLETED\", \"output\": {\"media_url\": [\"https://h\"");
	for (int i = 0; i < 30; i++)
		len += snprintf(body + len, sizeof body - (size_t)len, ", \"https://h/%d\"", i);
	len += snprintf(body + len, sizeof body - (size_t)len, "]}}");
	ck_assert_int_eq(api_status_parse(200, body, (size_t)len, ID, &got), 0);
	ck_assert_uint_eq(got.media_count, JOB_OUTPUTS_MAX);
	api_status_release(&got);
}
END_TEST

/* 2026-03-31T10:00:00Z */
#define NOW 1774951200

static const struct {
	const char *value;
	int64_t ms;
} retries[] = {
	{ "120", 120000 },
	{ " 120 ", 120000 },
	{ "0", 1000 },
	{ "1.5", 1500 },
	{ "0.2", 1000 },
	{ "3600", 3600000 },
	{ "3601", 3600000 },
	{ "1e23", 3600000 },
	{ "99999999999999999999999999", 3600000 },
	{ "1e999", 3600000 },
	{ "-5", -1 },
	{ "", -1 },
	{ " ", -1 },
	{ "soon", -1 },
	{ "1.2.3", -1 },
	{ "12 s", -1 },
	{ "0x10", -1 },
	{ "inf", -1 },
	{ "nan", -1 },
	{ "+5", -1 },
	{ "1e", -1 },
	{ "Tue, 31 Mar 2026 10:02:00 GMT", 120000 },
	{ "Tuesday, 31-Mar-26 10:02:00 GMT", 120000 },
	{ "Tue Mar 31 10:02:00 2026", 120000 },
	{ "Tue, 31 Mar 2026 09:00:00 GMT", 1000 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT", 1000 },
	{ "Fri, 31 Dec 9999 23:59:59 GMT", 3600000 },
	{ "Tue, 31 Mar 2026", -1 },
	{ "Tue, 31 Mar 2026 10:02:00 GMT, or so", -1 },
};

START_TEST(retry_after)
{
	ck_assert_int_eq(api_retry_after(retries[_i].value, NOW), retries[_i].ms);
}
END_TEST

START_TEST(retry_after_survives_any_clock)
{
	const char *date = "Tue, 31 Mar 2026 10:02:00 GMT";
	ck_assert_int_eq(api_retry_after(NULL, NOW), -1);
	ck_assert_int_eq(api_retry_after(date, INT64_MIN), 3600000);
	ck_assert_int_eq(api_retry_after(date, INT64_MAX), 1000);
}
END_TEST

static const struct {
	size_t index;
	const char *type;
	const char *url;
	const char *name;
} outputs[] = {
	{ 0, "model/glb", "https://h/x.zip", "output.glb" },
	{ 1, "model/gltf-binary", "https://h/x", "output-2.glb" },
	{ 15, "Model/GLB; charset=binary", "https://h/x", "output-16.glb" },
	{ 0, "image/png", "https://h/x.glb", "output.png" },
	{ 0, NULL, "https://h/a.b/output.GLB?sig=x.y#z.w", "output.glb" },
	{ 0, "application/octet-stream", "https://h/x.tar.gz", "output.gz" },
	{ 0, NULL, "https://h/a.b/output", "output.bin" },
	{ 0, NULL, "https://h.glb", "output.bin" },
	{ 0, NULL, "https://h/x.", "output.bin" },
	{ 0, NULL, "https://h/x.much-too", "output.bin" },
	{ 0, NULL, "https://h/x.muchtoolong", "output.bin" },
	{ 0, "", "", "output.bin" },
	{ 0, NULL, NULL, "output.bin" },
};

START_TEST(output_names)
{
	char *name = api_output_name(outputs[_i].index, outputs[_i].type, outputs[_i].url);
	expect_text(name, outputs[_i].name);
	free(name);
}
END_TEST

#define TOKEN "0123456789abcdef0123456789abcdef"

static const struct {
	const char *gateway, *base;
	bool allowed;
} bases[] = {
	{ "https://gateway.example", "https://studio.example/p3d", true },
	{ "https://gateway.example", "https://studio.example:8443", true },
	{ "http://127.0.0.1:8080", "https://studio.example", true },
	{ "http://127.0.0.1:8080", "http://127.0.0.1:8090/p3d", true },
	{ "http://127.0.0.1:8080", "http://studio.example", false },
	{ "https://gateway.example", "http://127.0.0.1:8090", false },
	{ "https://gateway.example", "http://studio.example", false },
	{ "https://gateway.example", "https://studio.example/", false },
	{ "https://gateway.example", "https://studio.example/?a=", false },
	{ "https://gateway.example", "https://studio.example/#a", false },
	{ "https://gateway.example", "https://a b.example/", false },
	{ "https://gateway.example", "https://user@studio.example", false },
	{ "https://gateway.example", "studio.example", false },
	{ "https://gateway.example", "", false },
};

START_TEST(callback_bases)
{
	ck_assert(api_callback_base_allowed(bases[_i].gateway, bases[_i].base) ==
		  bases[_i].allowed);
}
END_TEST

static const struct {
	const char *path;
	uint64_t number; /* 0: none */
} targets[] = {
	{ "/17-" TOKEN, 17 },
	{ "/hook/p3d/9223372036854775807-" TOKEN, 9223372036854775807 },
	{ "//17-" TOKEN, 17 },
	{ "17-" TOKEN, 0 },
	{ "/17-" TOKEN "0", 0 },
	{ "/17-" TOKEN "/", 0 },
	{ "/17-0123456789abcdef0123456789abcde", 0 },
	{ "/17-0123456789ABCDEF0123456789ABCDEF", 0 },
	{ "/17-0123456789abcdef0123456789abcdeg", 0 },
	{ "/-" TOKEN, 0 },
	{ "/-17-" TOKEN, 0 },
	{ "/+17-" TOKEN, 0 },
	{ "/ 17-" TOKEN, 0 },
	{ "/17 -" TOKEN, 0 },
	{ "/99999999999999999999-" TOKEN, 0 },
	{ "/17", 0 },
	{ "/", 0 },
	{ "", 0 },
};

START_TEST(callback_targets)
{
	uint64_t number = 0;
	char token[API_TOKEN_LEN + 1] = "";

	ck_assert(api_callback_target(targets[_i].path, &number, token) ==
		  (targets[_i].number != 0));
	ck_assert_uint_eq(number, targets[_i].number);
	ck_assert_str_eq(token, number ? TOKEN : "");
}
END_TEST

START_TEST(a_callback_url_is_read_again)
{
	char *url = api_callback_url("https://studio.example/p3d", UINT64_C(281474976710655),
				     TOKEN);
	uint64_t number;
	char token[API_TOKEN_LEN + 1];

	ck_assert_str_eq(url, "https://studio.example/p3d/281474976710655-" TOKEN);
	ck_assert(api_callback_target(url, &number, token));
	ck_assert_uint_eq(number, UINT64_C(281474976710655));
	free(url);
}
END_TEST

static const struct {
	const char *body, *id;
} callbacks[] = {
	{ "{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\", \"output\": {}}",
	  "pixal3d_1" },
	{ "{\"request_id\": \"../etc\"}", NULL },
	{ "{\"request_id\": \"\"}", NULL },
	{ "{\"request_id\": 7}", NULL },
	{ "{\"request_id\": \"a\\u0000b\"}", NULL },
	{ "[\"request_id\"]", NULL },
	{ "{\"request_id\": \"pixal3d_1\"", NULL },
	{ "", NULL },
};

START_TEST(callback_ids)
{
	char *id = api_callback_id(callbacks[_i].body, strlen(callbacks[_i].body));

	ck_assert_pstr_eq(id, callbacks[_i].id);
	free(id);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("api");
	TCase *tcase = tcase_create("api");
	tcase_add_loop_test(tcase, gateway, 0, ROWS(gateways));
	tcase_add_loop_test(tcase, origin, 0, ROWS(origins));
	tcase_add_test(tcase, documented_urls);
	tcase_add_loop_test(tcase, request_ids, 0, ROWS(ids));
	tcase_add_test(tcase, request_id_lengths);
	tcase_add_loop_test(tcase, submit_answers, 0, ROWS(submits));
	tcase_add_test(tcase, retry_after_makes_503_a_refusal);
	tcase_add_test(tcase, long_messages_are_cut_between_characters);
	tcase_add_loop_test(tcase, status_answers, 0, ROWS(statuses));
	tcase_add_test(tcase, many_outputs_are_limited);
	tcase_add_loop_test(tcase, retry_after, 0, ROWS(retries));
	tcase_add_test(tcase, retry_after_survives_any_clock);
	tcase_add_loop_test(tcase, output_names, 0, ROWS(outputs));
	tcase_add_loop_test(tcase, callback_bases, 0, ROWS(bases));
	tcase_add_loop_test(tcase, callback_targets, 0, ROWS(targets));
	tcase_add_test(tcase, a_callback_url_is_read_again);
	tcase_add_loop_test(tcase, callback_ids, 0, ROWS(callbacks));
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
