/* upload=s3://: where things go, what is asked, and what each answer comes to. */
#include "run.h"
#include "upload_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

/* Places. */

static const struct {
	struct upload_conf conf;
	const char *origin, *host, *dir, *public_base;
} places[] = {
	{ { .target = "s3://models" },
	  "https://models.s3.us-east-1.amazonaws.com",
	  "models.s3.us-east-1.amazonaws.com",
	  "/",
	  NULL },
	{ { .target = "s3://models/in/2024/", .region = "eu-west-1" },
	  "https://models.s3.eu-west-1.amazonaws.com",
	  "models.s3.eu-west-1.amazonaws.com",
	  "/in/2024/",
	  NULL },
	{ { .target = "s3://my.models/a b+c", .region = "cn-north-1" },
	  "https://s3.cn-north-1.amazonaws.com.cn",
	  "s3.cn-north-1.amazonaws.com.cn",
	  "/my.models/a%20b%2Bc/",
	  NULL },
	{ { .target = "s3://Old_Bucket" },
	  "https://s3.us-east-1.amazonaws.com",
	  "s3.us-east-1.amazonaws.com",
	  "/Old_Bucket/",
	  NULL },
	{ { .target = "s3://models/p",
	    .endpoint = "https://ID.r2.cloudflarestorage.com/",
	    .region = "auto",
	    .public_url = "https://pub.example/cdn/" },
	  "https://id.r2.cloudflarestorage.com",
	  "id.r2.cloudflarestorage.com",
	  "/models/p/",
	  "https://pub.example/cdn/p/" },
	{ { .target = "s3://models", .endpoint = "http://127.0.0.1:9000", .local = true },
	  "http://127.0.0.1:9000",
	  "127.0.0.1:9000",
	  "/models/",
	  NULL },
	/* its own port is in no Host header */
	{ { .target = "s3://models", .endpoint = "https://minio.lan:443/base" },
	  "https://minio.lan",
	  "minio.lan",
	  "/base/models/",
	  NULL },
	{ { .target = "s3://models", .endpoint = "http://[::1]:9000//", .local = true },
	  "http://[::1]:9000",
	  "[::1]:9000",
	  "/models/",
	  NULL },
};

START_TEST(a_place)
{
	struct upload_place place;
	char error[UPLOAD_ERROR_MAX] = "";
	int r = upload_place_init(&place, &places[_i].conf, error);
	ck_assert_msg(r == 0, "%s", error);
	ck_assert_str_eq(place.origin, places[_i].origin);
	ck_assert_str_eq(place.host, places[_i].host);
	ck_assert_str_eq(place.dir, places[_i].dir);
	ck_assert_pstr_eq(place.public_base, places[_i].public_base);
	upload_place_release(&place);
}
END_TEST

#define S3(...)                                                                                    \
	{                                                                                          \
		.target = "s3://models", __VA_ARGS__                                               \
	}

static const struct {
	struct upload_conf conf;
	const char *word; /* in the error; NULL: it is right */
} checks[] = {
	{ { .target = "exec:/usr/local/bin/publish" }, NULL },
	{ { .target = "exec:cat > /tmp/x" }, NULL },
	{ { .target = "exec:" }, "exec:COMMAND" },
	{ { .target = "exec:  " }, "exec:COMMAND" },
	{ { .target = "ftp://x/" }, "s3://BUCKET" },
	{ { .target = "" }, "s3://BUCKET" },
	{ { .target = "s3://" }, "bucket" },
	{ { .target = "s3:///prefix" }, "bucket" },
	{ { .target = "s3://a b" }, "bucket" },
	{ { .target = "s3://models/a//b" }, "prefix" },
	{ { .target = "s3://models/../b" }, "prefix" },
	{ { .target = "s3://models/a/." }, "prefix" },
	{ { .target = "s3://models/.hidden/..." }, NULL },
	{ S3(.endpoint = "http://minio.lan:9000"), "unencrypted" },
	{ S3(.endpoint = "http://127.0.0.1:9000"), "loopback; say with s3_public=" },
	{ S3(.endpoint = "http://127.0.0.1:9000", .public_url = "https://cdn.example"), NULL },
	{ S3(.endpoint = "https://minio.lan", .public_url = "http://127.0.0.1"), "s3_public" },
	{ S3(.endpoint = "minio.lan"), "s3_endpoint" },
	{ S3(.endpoint = "https://user@minio.lan"), "s3_endpoint" },
	{ S3(.endpoint = "https://minio.lan/?a"), "s3_endpoint" },
	{ S3(.region = "eu west"), "s3_region" },
	{ S3(.region = ""), "s3_region" },
	{ S3(.public_url = "http://cdn.example"), "s3_public" },
	{ S3(.public_url = "https://cdn.example/?x="), "s3_public" },
};

START_TEST(a_check)
{
	char error[UPLOAD_ERROR_MAX] = "";
	int r = upload_check(&checks[_i].conf, error);
	ck_assert_int_eq(r, checks[_i].word ? -EINVAL : 0);
	if (checks[_i].word)
		ck_assert_msg(strstr(error, checks[_i].word) != NULL, "%s", error);
}
END_TEST

/* A network that does what it is told. */

static struct {
	struct remote remote;
	int refuse; /* the next request is not begun: -errno */
	char url[2048], headers[8192], path[256];
	uint64_t size;
	int heads, puts;
	void (*done)(void *arg, const struct remote_reply *reply);
	void *arg;
} net;

static int take(void *ctx, const struct remote_upload *ask)
{
	(void)ctx;
	if (net.refuse)
		return net.refuse;
	snprintf(net.url, sizeof(net.url), "%s", ask->url);
	snprintf(net.headers, sizeof(net.headers), "%s", ask->headers);
	snprintf(net.path, sizeof(net.path), "%s", ask->path ? ask->path : "");
	net.size = ask->size;
	net.heads += !ask->path;
	net.puts += ask->path != NULL;
	net.done = ask->done;
	net.arg = ask->arg;
	return 0;
}

static void answer(enum remote_fault fault, long http_status, int64_t size, const char *body)
{
	struct remote_reply reply = { .fault = fault,
				      .sent = true,
				      .http_status = http_status,
				      .retry_after_ms = -1,
				      .size = size,
				      .body = body,
				      .body_len = strlen(body),
				      .detail = "the network's words" };
	void (*done)(void *arg, const struct remote_reply *reply) = net.done;
	net.done = NULL;
	ck_assert(done != NULL);
	done(net.arg, &reply);
}

/* One publication. */

#define SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static struct {
	int calls;
	int error;
	bool refused;
	char url[4096], detail[1024];
	int64_t expires_ms;
} got;

static void on_published(void *arg, const struct published *result)
{
	ck_assert_ptr_eq(arg, &got);
	got.calls++;
	got.error = result->error;
	got.refused = result->refused;
	snprintf(got.url, sizeof(got.url), "%s", result->url ? result->url : "");
	snprintf(got.detail, sizeof(got.detail), "%s", result->detail);
	got.expires_ms = result->expires_ms;
	ck_assert_int_eq(result->error == 0, result->url != NULL);
	ck_assert_ptr_null(result->receipt);
	ck_assert_ptr_null(strstr(got.detail, "s3cret"));
}

static struct credentials *credentials;
static struct upload *upload;

static void sign_as(const char *token)
{
	char error[CREDENTIALS_ERROR_MAX];
	setenv("AWS_ACCESS_KEY_ID", "AKIA", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s3cret", 1);
	setenv("AWS_SESSION_TOKEN", token, 1);
	ck_assert_int_eq(credentials_find(NULL, NULL, &credentials, error), 0);
}

static void make(const struct upload_conf *conf)
{
	memset(&net, 0, sizeof(net));
	memset(&got, 0, sizeof(got));
	net.remote.upload = take;
	upload = upload_new(conf, &net.remote, credentials);
	ck_assert_ptr_nonnull(upload);
	ck_assert_int_eq(upload_start(upload), 0);
}

static int begin(void)
{
	const struct publisher *publisher = upload_publisher(upload);
	struct publish_image image = { .path = "/images/x",
				       .size = 3,
				       .sha256 = SHA,
				       .media_type = "image/png",
				       .extension = "png" };
	return publisher->publish(publisher->ctx, &image, on_published, &got);
}

static void end(void)
{
	upload_free(upload);
	credentials_free(credentials);
}

static const struct upload_conf local = { .target = "s3://models/in",
					  .endpoint = "http://127.0.0.1:9000",
					  .local = true };

#define OBJECT "http://127.0.0.1:9000/models/in/" SHA ".png"

START_TEST(what_is_missing_is_sent_and_signed_for)
{
	int64_t now_s = (int64_t)time(NULL);
	sign_as("");
	make(&local);
	ck_assert_str_eq(upload_publisher(upload)->where, "s3://models/in at 127.0.0.1:9000");
	ck_assert_int_eq(begin(), 0);
	ck_assert_str_eq(net.url, OBJECT);
	ck_assert_str_eq(net.path, "");
	ck_assert_ptr_nonnull(strstr(net.headers, "Authorization: AWS4-HMAC-SHA256 "));
	ck_assert_ptr_null(strstr(net.headers, "s3cret"));
	answer(REMOTE_OK, 404, -1, "");
	ck_assert_int_eq(got.calls, 0);
	ck_assert_str_eq(net.url, OBJECT);
	ck_assert_str_eq(net.path, "/images/x");
	ck_assert_uint_eq(net.size, 3);
	ck_assert_ptr_nonnull(strstr(net.headers, "x-amz-content-sha256: " SHA "\n"));
	ck_assert_ptr_nonnull(strstr(net.headers, "Content-Type: image/png\n"));
	answer(REMOTE_OK, 200, -1, "");
	ck_assert_int_eq(got.calls, 1);
	ck_assert_int_eq(got.error, 0);
	ck_assert_int_eq(strncmp(got.url, OBJECT "?X-Amz-Algorithm=", strlen(OBJECT) + 17), 0);
	ck_assert_ptr_nonnull(strstr(got.url, "&X-Amz-Expires=604800&"));
	ck_assert_ptr_null(strstr(got.url, "s3cret"));
	ck_assert_int_ge(got.expires_ms, 1000 * (now_s + 604800));
	ck_assert_int_le(got.expires_ms, 1000 * (now_s + 604800 + 60));
	ck_assert_int_eq(net.heads, 1);
	ck_assert_int_eq(net.puts, 1);
	end();
}
END_TEST

START_TEST(what_is_there_is_not_sent)
{
	sign_as("");
	make(&local);
	ck_assert_int_eq(begin(), 0);
	answer(REMOTE_OK, 200, 3, "");
	ck_assert_int_eq(got.error, 0);
	ck_assert_int_eq(net.puts, 0);
	end();
}
END_TEST

START_TEST(what_is_there_with_another_size_is_sent_again)
{
	sign_as("");
	make(&local);
	ck_assert_int_eq(begin(), 0);
	answer(REMOTE_OK, 200, 2, "");
	ck_assert_int_eq(net.puts, 1);
	answer(REMOTE_OK, 204, -1, "");
	ck_assert_int_eq(got.error, 0);
	end();
}
END_TEST

START_TEST(a_public_bucket_needs_no_signature)
{
	struct upload_conf conf = local;
	conf.public_url = "https://cdn.example/models";
	sign_as("");
	make(&conf);
	ck_assert_str_eq(upload_publisher(upload)->where,
			 "s3://models/in at cdn.example/models/in/");
	ck_assert_int_eq(begin(), 0);
	answer(REMOTE_OK, 200, 3, "");
	ck_assert_str_eq(got.url, "https://cdn.example/models/in/" SHA ".png");
	ck_assert_int_eq(got.expires_ms, 0);
	end();
}
END_TEST

START_TEST(the_url_of_a_session_is_not_trusted_for_long)
{
	int64_t now_s = (int64_t)time(NULL);
	sign_as("t0ken");
	make(&local);
	ck_assert_int_eq(begin(), 0);
	ck_assert_ptr_nonnull(strstr(net.headers, "x-amz-security-token: t0ken\n"));
	answer(REMOTE_OK, 200, 3, "");
	ck_assert_ptr_nonnull(strstr(got.url, "&X-Amz-Security-Token=t0ken&"));
	ck_assert_int_le(got.expires_ms, 1000 * (now_s + 3600 + 60));
	end();
}
END_TEST

#define XML(code, more)                                                                            \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code "</Code>" more "</Error>"

/* What a PUT is answered. */
static const struct {
	enum remote_fault fault;
	long http_status;
	const char *body;
	int error;
	bool refused;
	const char *words[3];
} answers[] = {
	{ REMOTE_OK,
	  403,
	  XML("AccessDenied", "<Message>Access Denied</Message>"),
	  EACCES,
	  true,
	  { "s3://models/in at 127.0.0.1:9000: HTTP 403 AccessDenied: Access Denied; ",
	    "s3:PutObject" } },
	{ REMOTE_OK, 404, XML("NoSuchBucket", ""), EREMOTEIO, true, { "NoSuchBucket", "upload=" } },
	{ REMOTE_OK, 403, XML("SignatureDoesNotMatch", ""), EACCES, true, { "secret access key" } },
	{ REMOTE_OK, 403, XML("InvalidAccessKeyId", ""), EACCES, true, { "access key" } },
	{ REMOTE_OK, 400, XML("ExpiredToken", ""), EINVAL, true, { "renew" } },
	{ REMOTE_OK, 403, XML("RequestTimeTooSkewed", ""), EACCES, false, { "clock" } },
	{ REMOTE_OK, 400, XML("XAmzContentSHA256Mismatch", ""), EINVAL, false, { "damaged" } },
	{ REMOTE_OK, 400, XML("RequestTimeout", ""), EINVAL, false, { "tried again" } },
	{ REMOTE_OK,
	  400,
	  XML("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
	  EINVAL,
	  true,
	  { "in eu-west-1", "s3_region=" } },
	{ REMOTE_REDIRECT,
	  301,
	  XML("PermanentRedirect", "<Endpoint>models.s3.eu-west-1.amazonaws.com</Endpoint>"),
	  EREMOTEIO,
	  true,
	  { "at models.s3.eu-west-1.amazonaws.com", "s3_region=" } },
	{ REMOTE_OK, 503, XML("SlowDown", ""), EREMOTEIO, false, { "HTTP 503 SlowDown" } },
	{ REMOTE_OK, 500, XML("InternalError", ""), EREMOTEIO, false, { "InternalError" } },
	{ REMOTE_OK, 429, "", EBUSY, false, { "HTTP 429" } },
	{ REMOTE_OK, 413, "<html>no</html>", EINVAL, true, { "HTTP 413" } },
	{ REMOTE_OK, 499, "", EREMOTEIO, true, { "HTTP 499" } },
	/* nothing of an answer gets through that could drive a terminal or has no end */
	{ REMOTE_OK,
	  400,
	  XML("Odd\x1b[31m", "<Message>a &lt;b&gt; &amp;amp;\n\n\tc\xc3\xa4 &bad"),
	  EINVAL,
	  true,
	  { "HTTP 400 Odd [31m: a <b> &amp; c &bad" } },
	{ REMOTE_DNS,
	  0,
	  "",
	  EHOSTUNREACH,
	  false,
	  { "s3://models/in at 127.0.0.1:9000: the network's words" } },
	{ REMOTE_CONNECT, 0, "", ECONNREFUSED, false, { "the network's words" } },
	{ REMOTE_TLS, 0, "", EREMOTEIO, false, { "the network's words" } },
	{ REMOTE_CUT, 0, "", EREMOTEIO, false, { "the network's words" } },
	{ REMOTE_FORBIDDEN, 0, "", EACCES, true, { "the network's words" } },
	{ REMOTE_STOPPED, 0, "", ESHUTDOWN, false, { "the network's words" } },
};

static void expect_answer(int i)
{
	ck_assert_int_eq(got.calls, 1);
	ck_assert_int_eq(got.error, answers[i].error);
	ck_assert_int_eq(got.refused, answers[i].refused);
	for (int j = 0; j < 3 && answers[i].words[j]; j++)
		ck_assert_msg(strstr(got.detail, answers[i].words[j]) != NULL, "%s", got.detail);
	for (const char *p = got.detail; *p; p++)
		ck_assert(*p >= ' ' && *p < 0x7f);
}

START_TEST(an_answer_to_a_put)
{
	sign_as("");
	make(&local);
	ck_assert_int_eq(begin(), 0);
	/* without the right to list the bucket, this is what is said of an object that is missing
	 */
	answer(REMOTE_OK, 403, -1, "");
	answer(answers[_i].fault, answers[_i].http_status, -1, answers[_i].body);
	expect_answer(_i);
	end();
}
END_TEST

/* A HEAD has no words: where the store itself is not well nothing is sent, else the PUT is asked.
 */
START_TEST(an_answer_to_a_head)
{
	bool ill = (answers[_i].fault != REMOTE_OK && answers[_i].fault != REMOTE_REDIRECT) ||
		   answers[_i].http_status >= 500 || answers[_i].http_status == 429;
	sign_as("");
	make(&local);
	ck_assert_int_eq(begin(), 0);
	answer(answers[_i].fault, answers[_i].http_status, -1, "");
	ck_assert_int_eq(net.puts, !ill);
	ck_assert_int_eq(got.calls, ill);
	if (ill)
		ck_assert_int_eq(got.error, answers[_i].error);
	else
		answer(REMOTE_OK, 200, -1, "");
	ck_assert_int_eq(got.calls, 1);
	end();
}
END_TEST

START_TEST(a_long_answer_is_cut)
{
	char body[8192];
	int len = snprintf(body, sizeof(body), "<Code>Long</Code><Message>");
	memset(body + len, 'x', sizeof(body) - (size_t)len - 1);
	body[sizeof(body) - 1] = '\0';
	sign_as("");
	make(&local);
	ck_assert_int_eq(begin(), 0);
	answer(REMOTE_OK, 404, -1, "");
	answer(REMOTE_OK, 400, -1, body);
	ck_assert_uint_le(strlen(got.detail), 512);
	end();
}
END_TEST

START_TEST(what_was_not_begun_is_told_at_once)
{
	sign_as("");
	make(&local);
	net.refuse = -ESHUTDOWN;
	ck_assert_int_eq(begin(), -ESHUTDOWN);
	net.refuse = 0;
	ck_assert_int_eq(begin(), 0);
	net.refuse = -ENOENT;
	answer(REMOTE_OK, 404, -1, "");
	ck_assert_int_eq(got.calls, 1);
	ck_assert_int_eq(got.error, ENOENT);
	end();
}
END_TEST

START_TEST(without_credentials_nothing_is_asked)
{
	char error[CREDENTIALS_ERROR_MAX];
	unsetenv("CREDENTIALS_DIRECTORY");
	ck_assert_int_eq(credentials_find("/nowhere", NULL, &credentials, error), -ENOENT);
	make(&local);
	ck_assert_int_eq(begin(), -ENOKEY);
	ck_assert_int_eq(net.heads, 0);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("upload");
	TCase *tcase = tcase_create("upload");
	tcase_add_loop_test(tcase, a_place, 0, ROWS(places));
	tcase_add_loop_test(tcase, a_check, 0, ROWS(checks));
	tcase_add_test(tcase, what_is_missing_is_sent_and_signed_for);
	tcase_add_test(tcase, what_is_there_is_not_sent);
	tcase_add_test(tcase, what_is_there_with_another_size_is_sent_again);
	tcase_add_test(tcase, a_public_bucket_needs_no_signature);
	tcase_add_test(tcase, the_url_of_a_session_is_not_trusted_for_long);
	tcase_add_loop_test(tcase, an_answer_to_a_put, 0, ROWS(answers));
	tcase_add_loop_test(tcase, an_answer_to_a_head, 0, ROWS(answers));
	tcase_add_test(tcase, a_long_answer_is_cut);
	tcase_add_test(tcase, what_was_not_begun_is_told_at_once);
	tcase_add_test(tcase, without_credentials_nothing_is_asked);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
