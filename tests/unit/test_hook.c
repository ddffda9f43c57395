/* hook: callbacks over real sockets, and all that is none. */
#include "hook.h"

#include "api.h"
#include "run.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TOKEN       "0123456789abcdef0123456789abcdef"
#define PATH        "/p3d/17-" TOKEN
#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct {
	atomic_int asked, called;
	int gives; /* what `called` gives */
	char id[160];
} owner;
static struct hook *hook;
static int port;

static bool expected(void *ctx, uint64_t number, const char *token)
{
	(void)ctx;
	owner.asked++;
	return number == 17 && strcmp(token, TOKEN) == 0;
}

static int called(void *ctx, uint64_t number, const char *token, const char *request_id)
{
	(void)ctx;
	ck_assert_uint_eq(number, 17);
	ck_assert_str_eq(token, TOKEN);
	snprintf(owner.id, sizeof(owner.id), "%s", request_id ? request_id : "none");
	owner.called++;
	return owner.gives;
}

static const struct hook_events events = { .expected = expected, .called = called };

static int free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static int make(void)
{
	char address[32], error[HOOK_ERROR_MAX];

	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	return hook_new(address, &events, &hook, error);
}

static void setup(void)
{
	memset(&owner, 0, sizeof(owner));
	/* Somebody else may have been faster than we with a port that was free. */
	for (int i = 0; i < 20 && !hook; i++) {
		port = free_port();
		make();
	}
	ck_assert_ptr_nonnull(hook);
	ck_assert_int_eq(hook_start(hook), 0);
}

static void teardown(void)
{
	hook_free(hook);
	hook = NULL;
}

static int open_connection(void)
{
	const struct timeval patience = { .tv_sec = 20 };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* A server that has heard enough may close early. */
static void say(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

__attribute__((format(printf, 2, 3))) static void sayf(int fd, const char *fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, fmt);
	int len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	say(fd, text, (size_t)len);
}

static void post(int fd, const char *path, const char *body)
{
	sayf(fd, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path, strlen(body),
	     body);
}

/* The status of the next answer, read to its end; 0: the connection has ended, or was reset. */
static int next_status(int fd)
{
	char text[1024] = "";
	size_t len = 0;
	int status = 0;

	while (len < sizeof(text) - 1 && !strstr(text, "\r\n\r\n")) {
		ssize_t n = recv(fd, text + len, 1, 0);

		ck_assert_msg(n >= 0 || errno == ECONNRESET, "no answer: %s", strerror(errno));
		if (n <= 0)
			return 0;
		len++;
	}
	ck_assert_int_eq(sscanf(text, "HTTP/1.1 %d", &status), 1);
	return status;
}

static int status_of_post(const char *path, const char *body)
{
	int fd = open_connection(), status;

	post(fd, path, body);
	status = next_status(fd);
	close(fd);
	return status;
}

START_TEST(a_callback_is_told)
{
	ck_assert_int_eq(status_of_post(PATH, "{\"request_id\": \"pixal3d_1\"}"), 200);
	ck_assert_str_eq(owner.id, "pixal3d_1");
	ck_assert_int_eq(status_of_post("/17-" TOKEN "?x=y", "{\"request_id\": \"../etc\"}"), 200);
	ck_assert_str_eq(owner.id, "none");
	ck_assert_int_eq(status_of_post(PATH, ""), 200);
	ck_assert_int_eq(owner.called, 3);
}
END_TEST

START_TEST(the_owners_word_is_the_answer)
{
	static const struct {
		int gives, status;
	} words[] = {
		{ 0, 200 }, { -ENOENT, 404 }, { -EBUSY, 503 }, { -ENOSPC, 503 }, { -EIO, 503 }
	};

	for (int i = 0; i < ROWS(words); i++) {
		owner.gives = words[i].gives;
		ck_assert_int_eq(status_of_post(PATH, "{}"), words[i].status);
	}
	ck_assert_int_eq(owner.called, ROWS(words));
}
END_TEST

static const struct {
	const char *request;
	int status;
} refused[] = {
	{ "GET " PATH " HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
	{ "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
	{ "HEAD " PATH " HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
	{ "PUT " PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 405 },
	{ "DELETE " PATH " HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
	{ "BREW " PATH " HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
	{ "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 404 },
	{ "POST /p3d/17 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 404 },
	{ "POST /p3d/18-" TOKEN " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 404 },
	{ "POST /p3d/17-0123456789abcdef0123456789abcdee HTTP/1.1\r\nHost: x\r\n"
	  "Content-Length: 2\r\n\r\n{}",
	  404 },
	/* Nor is it waited for what such a one has to say. */
	{ "POST /p3d/18-" TOKEN " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", 404 },
	{ "POST " PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n", 413 },
	{ "POST " PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
	  413 },
	{ "what is this?\r\n\r\n", 400 },
};

START_TEST(what_is_no_callback_is_refused)
{
	int fd = open_connection(), status;

	sayf(fd, "%s", refused[_i].request);
	status = next_status(fd);
	ck_assert_int_eq(status, refused[_i].status);
	close(fd);
	ck_assert_int_eq(owner.called, 0);
}
END_TEST

static void say_chunks(int fd, size_t chunks)
{
	char chunk[1024 + 16];

	say(fd, chunk,
	    (size_t)snprintf(chunk, sizeof(chunk),
			     "POST " PATH " HTTP/1.1\r\nHost: x\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n"));
	memcpy(chunk, "400\r\n", 5);
	memset(chunk + 5, ' ', 1024);
	memcpy(chunk + 5 + 1024, "\r\n", 2);
	for (size_t i = 0; i < chunks; i++)
		say(fd, chunk, 5 + 1024 + 2);
	say(fd, "0\r\n\r\n", 5);
}

START_TEST(bodies_have_a_limit)
{
	char body[HOOK_BODY_MAX + 1];
	int fd = open_connection();

	memset(body, ' ', HOOK_BODY_MAX);
	body[HOOK_BODY_MAX] = '\0';
	memcpy(body, "{\"request_id\": \"pixal3d_1\"}", 27);
	sayf(fd, "POST " PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", HOOK_BODY_MAX);
	say(fd, body, HOOK_BODY_MAX);
	ck_assert_int_eq(next_status(fd), 200);
	ck_assert_str_eq(owner.id, "pixal3d_1");
	say_chunks(fd, HOOK_BODY_MAX / 1024);
	ck_assert_int_eq(next_status(fd), 200);
	ck_assert_int_eq(owner.called, 2);
	say_chunks(fd, HOOK_BODY_MAX / 1024 + 1);
	ck_assert_int_eq(next_status(fd), 0);
	close(fd);
	ck_assert_int_eq(owner.called, 2);
}
END_TEST

START_TEST(requests_may_follow_each_other_unasked)
{
	int fd = open_connection();

	for (int i = 0; i < 20; i++)
		post(fd, PATH, "{}");
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(next_status(fd), 200);
	close(fd);
	ck_assert_int_eq(owner.called, 20);
}
END_TEST

/* Many that say little, and never all: a callback gets through, the oldest give way. */
START_TEST(slow_ones_keep_nobody_out)
{
	int fds[4 * HOOK_CONNECTIONS];
	char byte;

	for (int i = 0; i < ROWS(fds); i++) {
		fds[i] = open_connection();
		sayf(fds[i], i % 2 ? "POST " PATH
				     " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
				   : "POST " PATH " HTTP/1.1\r\nX-Sl");
		if (i % HOOK_CONNECTIONS == 0)
			ck_assert_int_eq(status_of_post(PATH, "{}"), 200);
	}
	ck_assert_int_eq(status_of_post(PATH, "{}"), 200);
	ck_assert_int_eq(owner.called, 5);
	ck_assert_int_eq(recv(fds[0], &byte, 1, 0), 0);
	for (int i = 0; i < ROWS(fds); i++)
		close(fds[i]);
	ck_assert_int_eq(status_of_post(PATH, "{}"), 200);
}
END_TEST

static void *call_often(void *arg)
{
	atomic_int *good = arg;

	for (int i = 0; i < 50; i++)
		*good += status_of_post(i % 2 ? PATH : "/18-" TOKEN, "{}") == (i % 2 ? 200 : 404);
	return NULL;
}

START_TEST(many_at_a_time)
{
	pthread_t threads[16];
	atomic_int good = 0;

	for (int i = 0; i < ROWS(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &good), 0);
	for (int i = 0; i < ROWS(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(good, 16 * 50);
	ck_assert_int_eq(owner.called, 16 * 25);
}
END_TEST

START_TEST(a_port_that_is_taken)
{
	struct hook *second;
	char address[32], error[HOOK_ERROR_MAX] = "";

	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	ck_assert_int_eq(hook_new(address, &events, &second, error), -EADDRINUSE);
	ck_assert_ptr_null(second);
	ck_assert_ptr_nonnull(strstr(error, address));
	ck_assert_ptr_nonnull(strstr(error, "Address already in use"));
	/* It is free as soon as the first one has gone. */
	status_of_post(PATH, "{}");
	hook_free(hook);
	ck_assert_int_eq(make(), 0);
	hook_free(hook);
	hook = NULL;
}
END_TEST

/* What comes before the thread runs waits for it; what is under way at the end is ended. */
START_TEST(early_and_late_ones)
{
	int early, late;
	char byte;

	hook_free(hook);
	ck_assert_int_eq(make(), 0);
	early = open_connection();
	post(early, PATH, "{}");
	ck_assert_int_eq(hook_start(hook), 0);
	ck_assert_int_eq(next_status(early), 200);
	late = open_connection();
	sayf(late, "POST " PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{");
	hook_free(hook);
	hook = NULL;
	ck_assert_int_le(recv(late, &byte, 1, 0), 0);
	close(early);
	close(late);
	ck_assert_int_eq(owner.called, 1);
}
END_TEST

static const struct {
	const char *text;
	int family; /* 0: none */
} addresses[] = {
	{ "127.0.0.1:8090", AF_INET },
	{ "0.0.0.0:1", AF_INET },
	{ "[::1]:65535", AF_INET6 },
	{ "[::]:8090", AF_INET6 },
	{ "localhost:8090", 0 },
	{ "127.0.0.1:0", 0 },
	{ "127.0.0.1:+1", 0 },
	{ "127.0.0.1:65536", 0 },
	{ "127.0.0.1:", 0 },
	{ ":8090", 0 },
	{ "8090", 0 },
	{ "::1:8090", 0 },
	{ "[::1:8090", 0 },
	{ "[127.0.0.1]:8090", 0 },
	{ "127.0.0.1:8090x", 0 },
	{ "", 0 },
	{ "1.2.3.4.5.6:8090", 0 },
};

START_TEST(listening_addresses)
{
	struct sockaddr_storage address;
	socklen_t len;
	bool good = hook_address(addresses[_i].text, &address, &len);

	ck_assert(good == (addresses[_i].family != 0));
	if (good)
		ck_assert_int_eq(address.ss_family, addresses[_i].family);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hook");
	TCase *tcase = tcase_create("callbacks");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, a_callback_is_told);
	tcase_add_test(tcase, the_owners_word_is_the_answer);
	tcase_add_loop_test(tcase, what_is_no_callback_is_refused, 0, ROWS(refused));
	tcase_add_test(tcase, bodies_have_a_limit);
	tcase_add_test(tcase, requests_may_follow_each_other_unasked);
	tcase_add_test(tcase, slow_ones_keep_nobody_out);
	tcase_add_test(tcase, many_at_a_time);
	tcase_add_test(tcase, a_port_that_is_taken);
	tcase_add_test(tcase, early_and_late_ones);
	tcase_add_loop_test(tcase, listening_addresses, 0, ROWS(addresses));
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
