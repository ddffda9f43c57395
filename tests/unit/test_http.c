/* http towards the gateway: a POST leaves once or provably not at all, and the key stays home. */
#include "http_server.h"

#include "api.h"
#include "run.h"

#include <errno.h>

START_TEST(submits_as_documented)
{
	struct outcome outcome;

	start(accept_all);
	begin_submit(&outcome, "{\"a\": 1}");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_OK);
	ck_assert_int_eq(outcome.http_status, 202);
	ck_assert_int_eq(outcome.retry_after_ms, 120000);
	ck_assert(outcome.sent);
	ck_assert_int_eq(outcome.sending_calls, 1);
	ck_assert_str_eq(outcome.body, ACCEPTED);
	ck_assert_uint_eq(outcome.len, strlen(ACCEPTED));
	ck_assert_str_ne(outcome.detail, "");
	ck_assert(server_saw(&server, "POST /pixal3d/v1/pixal3d-request HTTP/1.1\r\n"));
	ck_assert(server_saw(&server, "\r\nOcp-Apim-Subscription-Key: " TEST_KEY "\r\n"));
	ck_assert(server_saw(&server, "\r\nContent-Type: application/json\r\n"));
	ck_assert(server_saw(&server, "\r\nCache-Control: no-cache\r\n"));
	ck_assert(server_saw(&server, "\r\nUser-Agent: pixal3dfs/"));
	ck_assert(server_saw(&server, "\r\n\r\n{\"a\": 1}"));
	finish_outcome(&outcome);
	stop();
}
END_TEST

START_TEST(large_body_leaves_at_once)
{
	static char body[3 * 1024 * 1024];
	struct outcome outcome;

	memset(body, ' ', sizeof(body) - 1);
	start(accept_all);
	begin_submit(&outcome, body);
	wait_done(&outcome);
	ck_assert_int_eq(outcome.http_status, 202);
	ck_assert(!server_saw(&server, "Expect"));
	finish_outcome(&outcome);
	stop();
}
END_TEST

#define CALLBACK "https://studio.example/p3d/17-0123456789abcdef0123456789abcdef"

static bool repeat_all(struct server *s, int fd, const char *request)
{
	(void)s;
	return answer(fd, "202 Accepted", "", request);
}

/* As documented, and an answer that repeats it does not tell the secret. */
START_TEST(asks_to_be_called_back)
{
	struct outcome outcome;
	struct remote_submit submit = { .body = "{}",
					.len = 2,
					.callback_url = CALLBACK,
					.callback_mode = "sync",
					.sending = on_sending,
					.done = on_done,
					.arg = &outcome };

	start(repeat_all);
	outcome_init(&outcome);
	ck_assert_int_eq(remote->submit(remote->ctx, &submit), 0);
	wait_done(&outcome);
	ck_assert_int_eq(outcome.http_status, 202);
	ck_assert(server_saw(&server, "\r\nX-Webhook-URL: " CALLBACK "\r\n"));
	ck_assert(server_saw(&server, "\r\nX-Webhook-Mode: sync\r\n"));
	ck_assert_ptr_nonnull(strstr(outcome.body, "X-Webhook-URL: https://studio.example/p3d/**"));
	ck_assert_ptr_null(strstr(outcome.body, "0123456789abcdef"));
	finish_outcome(&outcome);
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert(!server_saw(&server, "X-Webhook"));
	finish_outcome(&outcome);
	stop();
}
END_TEST

static bool take_posts_and_close(struct server *s, int fd, const char *request)
{
	if (strncmp(request, "POST", 4))
		return answer(fd, "200 OK", "", "{}");
	if (s->step)
		reset(fd);
	return false;
}

/* curl would send again on a connection that was used before. */
START_TEST(post_is_sent_once)
{
	struct outcome polls[4], outcome;

	start(take_posts_and_close);
	server.step = _i;
	for (int i = 0; i < 4; i++) {
		begin_status(&polls[i], "/v2/requests/status/x");
		wait_done(&polls[i]);
		ck_assert_int_eq(polls[i].fault, REMOTE_OK);
		finish_outcome(&polls[i]);
	}
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_CUT);
	ck_assert(outcome.sent);
	ck_assert_int_eq(outcome.http_status, 0);
	ck_assert_int_eq(outcome.sending_calls, 1);
	usleep(100000);
	ck_assert_int_eq(server.posts, 1);
	ck_assert_int_eq(server.connected, 2);
	finish_outcome(&outcome);
	stop();
}
END_TEST

START_TEST(no_intent_no_byte)
{
	struct outcome outcome;
	struct remote_submit submit = {
		.body = "{}", .len = 2, .sending = on_sending, .done = on_done, .arg = &outcome
	};

	start(accept_all);
	outcome_init(&outcome);
	outcome.sending_gives = -ENOSPC;
	ck_assert_int_eq(remote->submit(remote->ctx, &submit), 0);
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_ABORTED);
	ck_assert(!outcome.sent);
	usleep(50000);
	ck_assert_int_eq(server.connected, 1);
	ck_assert_int_eq(server.bytes, 0);
	finish_outcome(&outcome);
	stop();
}
END_TEST

static void fails_unsent(const char *gateway, enum remote_fault fault)
{
	struct outcome outcome;
	double began = seconds();

	client_start(gateway);
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_msg(outcome.fault == fault, "%s: %s", remote_fault_name(outcome.fault),
		      outcome.detail);
	ck_assert(!outcome.sent);
	ck_assert_int_eq(outcome.sending_calls, 0);
	ck_assert_int_eq(outcome.http_status, 0);
	ck_assert_str_ne(outcome.detail, "");
	ck_assert_double_lt(seconds() - began, 5);
	finish_outcome(&outcome);
	client_stop();
}

START_TEST(refused_is_not_sent)
{
	server_start(&server, accept_all);
	server_stop(&server);
	fails_unsent(server.url, REMOTE_CONNECT);
}
END_TEST

/* No name server is asked for a label of 64 characters. */
START_TEST(unknown_name_is_not_sent)
{
	fails_unsent("https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
		     "invalid",
		     REMOTE_DNS);
}
END_TEST

static void speak_no_tls(struct server *s, int fd)
{
	char buf[4096];

	(void)s;
	if (recv(fd, buf, sizeof(buf), 0) > 0)
		say(fd, "220 this is no TLS\r\n");
}

START_TEST(no_tls_is_not_sent)
{
	fails_unsent(start_raw(speak_no_tls), REMOTE_TLS);
	server_stop(&server);
}
END_TEST

START_TEST(stalled_tls_is_not_sent)
{
	fails_unsent(start_raw(be_silent), REMOTE_TIMEOUT);
	server_stop(&server);
}
END_TEST

static struct server other;

static bool point_elsewhere(struct server *s, int fd, const char *request)
{
	static const char *const words[] = { "301 Moved", "302 Found", "303 See Other",
					     "307 Temporary", "308 Permanent" };
	char header[128];

	(void)request;
	snprintf(header, sizeof(header), "Location: %s/x\r\n", other.url);
	return answer(fd, words[s->step], header, "");
}

START_TEST(redirects_are_not_followed)
{
	struct outcome outcome;

	server_start(&other, accept_all);
	start(point_elsewhere);
	server.step = _i;
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_REDIRECT);
	ck_assert(outcome.sent);
	ck_assert_int_ge(outcome.http_status, 301);
	finish_outcome(&outcome);
	begin_status(&outcome, "/v2/requests/status/x");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_REDIRECT);
	finish_outcome(&outcome);
	ck_assert_int_eq(server.posts, 1);
	ck_assert_int_eq(other.connected, 0);
	stop();
	server_stop(&other);
}
END_TEST

START_TEST(status_of_another_origin_is_refused)
{
	struct outcome outcome;

	server_start(&other, accept_all);
	start(accept_all);
	outcome_init(&outcome);
	ck_assert_int_eq(remote->status(remote->ctx, other.url, on_done, &outcome), 0);
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_FORBIDDEN);
	ck_assert(!outcome.sent);
	ck_assert_int_eq(other.connected, 0);
	finish_outcome(&outcome);
	stop();
	server_stop(&other);
}
END_TEST

static bool never_end(struct server *s, int fd, const char *request)
{
	char chunk[8192 + 16];

	(void)request;
	memset(chunk, 'x', sizeof(chunk));
	chunk[sizeof(chunk) - 1] = '\0';
	if (s->step) { /* headers */
		say(fd, "HTTP/1.1 200 OK\r\n");
		memcpy(chunk, "A: ", 3);
		memcpy(chunk + sizeof(chunk) - 3, "\r\n", 2);
	} else {
		say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		memcpy(chunk, "2005\r\n", 6);
		memcpy(chunk + 6 + 0x2005, "\r\n", 3);
	}
	while (say(fd, chunk))
		;
	return false;
}

START_TEST(endless_answers_are_cut)
{
	struct outcome outcome;

	start(never_end);
	server.step = _i;
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_msg(outcome.fault == REMOTE_TOO_BIG, "%s", outcome.detail);
	ck_assert(outcome.sent);
	ck_assert_uint_le(outcome.len, API_ANSWER_MAX);
	ck_assert_uint_eq(outcome.len, strlen(outcome.body));
	finish_outcome(&outcome);
	stop();
}
END_TEST

static bool half(struct server *s, int fd, const char *request)
{
	(void)s, (void)request;
	say(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{\"request_id\":");
	return false;
}

START_TEST(half_an_answer_is_kept)
{
	struct outcome outcome;

	start(half);
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_CUT);
	ck_assert_int_eq(outcome.http_status, 202);
	ck_assert_str_eq(outcome.body, "{\"request_id\":");
	ck_assert(outcome.sent);
	finish_outcome(&outcome);
	stop();
}
END_TEST

START_TEST(no_answer_times_out)
{
	struct outcome outcome;
	double began = seconds();

	start(say_nothing);
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_TIMEOUT);
	ck_assert(outcome.sent);
	ck_assert_double_lt(seconds() - began, 4);
	ck_assert_int_eq(server.posts, 1);
	finish_outcome(&outcome);
	stop();
}
END_TEST

static bool say_junk(struct server *s, int fd, const char *request)
{
	(void)s, (void)request;
	say(fd, "hello, this is no HTTP\r\n\r\n");
	return false;
}

START_TEST(junk_is_an_answer_that_was_cut)
{
	struct outcome outcome;

	start(say_junk);
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_CUT);
	ck_assert(outcome.sent);
	ck_assert_int_eq(server.posts, 1);
	finish_outcome(&outcome);
	stop();
}
END_TEST

START_TEST(no_key_no_request)
{
	struct http_conf conf = http_conf_default();
	struct outcome outcome;
	char words[KEY_ERROR_MAX];

	unsetenv("PIXAZO_API_KEY");
	unsetenv("CREDENTIALS_DIRECTORY");
	server_start(&server, accept_all);
	ck_assert_int_eq(key_find(NULL, "/nonexistent", &key, words), -ENOENT);
	conf.gateway = server.url;
	conf.key = key;
	http = http_new(&conf);
	remote = http_remote(http);
	http_start(http, no_tick, NULL);
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.fault, REMOTE_NO_KEY);
	ck_assert(!outcome.sent);
	ck_assert_int_eq(server.connected, 0);
	finish_outcome(&outcome);
	stop();
}
END_TEST

START_TEST(proxies_of_the_environment_do_not_see_the_key)
{
	struct outcome outcome;

	server_start(&other, accept_all);
	setenv("http_proxy", other.url, 1);
	setenv("ALL_PROXY", other.url, 1);
	start(accept_all);
	begin_submit(&outcome, "{}");
	wait_done(&outcome);
	ck_assert_int_eq(outcome.http_status, 202);
	ck_assert_int_eq(other.connected, 0);
	finish_outcome(&outcome);
	stop();
	server_stop(&other);
}
END_TEST

static void add_submit_tests(TCase *tc)
{
	tcase_add_test(tc, submits_as_documented);
	tcase_add_test(tc, large_body_leaves_at_once);
	tcase_add_test(tc, asks_to_be_called_back);
	tcase_add_loop_test(tc, post_is_sent_once, 0, 2);
	tcase_add_test(tc, no_intent_no_byte);
	tcase_add_test(tc, refused_is_not_sent);
	tcase_add_test(tc, unknown_name_is_not_sent);
	tcase_add_test(tc, no_tls_is_not_sent);
	tcase_add_test(tc, stalled_tls_is_not_sent);
	tcase_add_test(tc, half_an_answer_is_kept);
	tcase_add_test(tc, no_answer_times_out);
	tcase_add_test(tc, junk_is_an_answer_that_was_cut);
	tcase_add_loop_test(tc, endless_answers_are_cut, 0, 2);
}

static void add_trust_tests(TCase *tc)
{
	tcase_add_loop_test(tc, redirects_are_not_followed, 0, 5);
	tcase_add_test(tc, status_of_another_origin_is_refused);
	tcase_add_test(tc, no_key_no_request);
	tcase_add_test(tc, proxies_of_the_environment_do_not_see_the_key);
}

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *tc = tcase_create("gateway");
	add_submit_tests(tc);
	add_trust_tests(tc);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
