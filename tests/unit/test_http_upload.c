/* http towards the user's own store: the bytes of a file as they are, and no key. */
#include "http_server.h"
#include "run.h"

#include <errno.h>
#include <fcntl.h>

#define SIZE 700001 /* more than one buffer of curl, sent without asking */

static char image[] = "/tmp/test_http_upload.XXXXXX";
static char bytes[SIZE];

static void set_up(void)
{
	int fd = mkstemp(image);

	for (int i = 0; i < SIZE; i++)
		bytes[i] = (char)('a' + i % 23);
	ck_assert_int_eq(write(fd, bytes, SIZE), SIZE);
	close(fd);
}

static void tear_down(void)
{
	unlink(image);
}

struct answered {
	struct outcome outcome;
	int64_t size;
};

static void on_answer(void *arg, const struct remote_reply *reply)
{
	struct answered *answered = arg;

	answered->size = reply->size;
	on_done(&answered->outcome, reply);
}

static int begin_upload(struct answered *answered, const char *url, const char *path)
{
	struct remote_upload upload = { .url = url,
					.headers = "x-amz-date: now\nContent-Type: image/png\n",
					.path = path,
					.size = SIZE,
					.done = on_answer,
					.arg = answered };

	outcome_init(&answered->outcome);
	return remote->upload(remote->ctx, &upload);
}

static void upload(struct answered *answered, const char *path)
{
	char url[128];

	snprintf(url, sizeof(url), "%s/bucket/x.png", server.url);
	ck_assert_int_eq(begin_upload(answered, url, path), 0);
	wait_done(&answered->outcome);
}

static atomic_int same;

static bool keep(struct server *s, int fd, const char *request)
{
	const char *body = strstr(request, "\r\n\r\n");

	(void)s;
	same += body && strlen(body + 4) == SIZE && !memcmp(body + 4, bytes, SIZE);
	return answer(fd, "200 OK", "ETag: \"1\"\r\n", "");
}

START_TEST(a_file_is_put)
{
	struct answered answered;

	start(keep);
	upload(&answered, image);
	ck_assert_int_eq(answered.outcome.fault, REMOTE_OK);
	ck_assert_int_eq(answered.outcome.http_status, 200);
	ck_assert_int_eq(same, 1);
	ck_assert(server_saw(&server, "PUT /bucket/x.png HTTP/1.1\r\n"));
	ck_assert(server_saw(&server, "\r\nContent-Length: 700001\r\n"));
	ck_assert(server_saw(&server, "\r\nx-amz-date: now\r\n"));
	ck_assert(server_saw(&server, "\r\nContent-Type: image/png\r\n"));
	ck_assert(!server_saw(&server, TEST_KEY));
	ck_assert(!server_saw(&server, "Transfer-Encoding"));
	finish_outcome(&answered.outcome);
	stop();
}
END_TEST

static bool describe(struct server *s, int fd, const char *request)
{
	(void)s;
	return !strncmp(request, "HEAD ", 5) &&
	       say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 700001\r\n\r\n");
}

START_TEST(a_head_tells_the_size)
{
	struct answered answered;
	struct http_counts counts;

	start(describe);
	upload(&answered, NULL);
	ck_assert_int_eq(answered.outcome.fault, REMOTE_OK);
	ck_assert_int_eq(answered.outcome.http_status, 200);
	ck_assert_int_eq(answered.size, SIZE);
	ck_assert(!server_saw(&server, TEST_KEY));
	http_counts(http, &counts);
	ck_assert_uint_eq(counts.heads, 1);
	ck_assert_uint_eq(counts.uploads, 0);
	finish_outcome(&answered.outcome);
	stop();
}
END_TEST

#define WORDS "<Error><Code>PermanentRedirect</Code></Error>"

static bool redirect(struct server *s, int fd, const char *request)
{
	(void)s, (void)request;
	return answer(fd, "301 Moved Permanently", "Location: http://127.0.0.1:1/\r\n", WORDS);
}

START_TEST(a_refusal_has_its_words)
{
	struct answered answered;

	start(redirect);
	upload(&answered, image);
	ck_assert_int_eq(answered.outcome.fault, REMOTE_REDIRECT);
	ck_assert_int_eq(answered.outcome.http_status, 301);
	ck_assert_str_eq(answered.outcome.body, WORDS);
	ck_assert_int_eq(answered.size, -1);
	ck_assert_int_eq(server.requests, 1);
	finish_outcome(&answered.outcome);
	stop();
}
END_TEST

/* Half of the body is read, then the connection ends. */
static void read_half(struct server *s, int fd)
{
	char buf[4096];
	ssize_t n;

	while (s->bytes < SIZE / 2 && (n = recv(fd, buf, sizeof(buf), 0)) > 0)
		s->bytes += n;
	reset(fd);
}

START_TEST(a_server_that_dies_is_a_cut)
{
	struct answered answered;

	server_start(&server, accept_all);
	server.raw = read_half;
	client_start(server.url);
	upload(&answered, image);
	ck_assert_int_eq(answered.outcome.fault, REMOTE_CUT);
	ck_assert(answered.outcome.sent);
	finish_outcome(&answered.outcome);
	stop();
}
END_TEST

START_TEST(a_file_that_became_shorter_is_not_sent)
{
	struct answered answered;

	start(keep);
	ck_assert_int_eq(truncate(image, SIZE / 2), 0);
	upload(&answered, image);
	ck_assert_int_eq(answered.outcome.fault, REMOTE_ABORTED);
	ck_assert_str_eq(answered.outcome.detail, "the image became shorter");
	ck_assert_int_eq(same, 0);
	ck_assert_int_eq(server.requests, 0);
	finish_outcome(&answered.outcome);
	ck_assert_int_eq(begin_upload(&answered, server.url, "/nowhere"), -ENOENT);
	stop();
}
END_TEST

static const char *const elsewhere[] = {
	"http://192.168.1.2/x.png", "http://store.example/x.png",  "ftp://127.0.0.1/x.png",
	"file:///etc/passwd",       "http://user@127.0.0.1/x.png",
};

START_TEST(plain_http_stays_on_this_machine)
{
	struct answered answered;

	start(keep);
	ck_assert_int_eq(begin_upload(&answered, elsewhere[_i], image), 0);
	wait_done(&answered.outcome);
	ck_assert_int_eq(answered.outcome.fault, REMOTE_FORBIDDEN);
	ck_assert(!answered.outcome.sent);
	finish_outcome(&answered.outcome);
	stop();
}
END_TEST

/* The gateway is elsewhere, and the store may be here all the same. */
START_TEST(a_store_on_loopback_needs_no_gateway_there)
{
	struct answered answered;

	server_start(&server, keep);
	client_start("https://gateway.example");
	upload(&answered, image);
	ck_assert_int_eq(answered.outcome.http_status, 200);
	ck_assert_int_eq(same, 1);
	finish_outcome(&answered.outcome);
	stop();
}
END_TEST

static void wait_for_more(struct server *s, int fd)
{
	char buf[4096];

	recv(fd, buf, sizeof(buf), 0);
	sem_post(&s->arrived);
	be_silent(s, fd);
}

START_TEST(the_end_of_the_driver_ends_it)
{
	struct answered answered;
	char url[128];

	server_start(&server, accept_all);
	server.raw = wait_for_more;
	client_start(server.url);
	snprintf(url, sizeof(url), "%s/x.png", server.url);
	ck_assert_int_eq(begin_upload(&answered, url, image), 0);
	sem_wait(&server.arrived);
	http_stop(http, 0);
	ck_assert_int_eq(answered.outcome.fault, REMOTE_STOPPED);
	finish_outcome(&answered.outcome);
	ck_assert_int_eq(begin_upload(&answered, url, image), -ESHUTDOWN);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_upload");
	TCase *tcase = tcase_create("http_upload");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_file_is_put);
	tcase_add_test(tcase, a_head_tells_the_size);
	tcase_add_test(tcase, a_refusal_has_its_words);
	tcase_add_test(tcase, a_server_that_dies_is_a_cut);
	tcase_add_test(tcase, a_file_that_became_shorter_is_not_sent);
	tcase_add_loop_test(tcase, plain_http_stays_on_this_machine, 0,
			    sizeof(elsewhere) / sizeof(*elsewhere));
	tcase_add_test(tcase, a_store_on_loopback_needs_no_gateway_there);
	tcase_add_test(tcase, the_end_of_the_driver_ends_it);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
