/*
 * http_server - a server that plays a script, and the client's side of a test
 *
 * Every connection has a thread that reads whole requests and gives them to the script, which
 * writes what it likes to the socket. Everything that arrives is counted: connections, bytes, and
 * POSTs whose body came whole.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "http.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVER_CONNECTIONS 64
#define SERVER_REQUEST_MAX (4 * 1024 * 1024)

struct server {
	int fd;
	int port;
	char url[64];
	/* Answers one request; false: close the connection. */
	bool (*script)(struct server *server, int fd, const char *request);
	int step; /* the script's */
	/* When set, has the whole connection instead. */
	void (*raw)(struct server *server, int fd);
	pthread_t thread;
	pthread_t connections[SERVER_CONNECTIONS];
	int fds[SERVER_CONNECTIONS];
	atomic_int connected, requests, posts;
	atomic_llong bytes;
	sem_t arrived;        /* a whole request is there */
	pthread_mutex_t lock; /* for last */
	char last[8192];
};

struct connection {
	struct server *server;
	int fd;
};

static inline bool say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

__attribute__((format(printf, 2, 3))) static inline bool sayf(int fd, const char *fmt, ...)
{
	char text[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return say(fd, text);
}

/* An answer with this status line's end, header lines ("A: b\r\n") and body. */
static inline bool answer(int fd, const char *status, const char *headers, const char *body)
{
	return sayf(fd, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
		    strlen(body), body);
}

/* Ends a connection with RST; the descriptor stays open. */
static inline void reset(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	connect(fd, &none, sizeof(none));
}

static inline size_t body_length(const char *request)
{
	const char *line = strcasestr(request, "\r\nContent-Length:");

	return line ? strtoul(line + 17, NULL, 10) : 0;
}

/* One whole request into BUF, or false at the end. */
static inline bool read_request(struct server *server, int fd, char *buf)
{
	size_t len = 0, want = 0;

	while (!want || len < want) {
		ssize_t n = recv(fd, buf + len, SERVER_REQUEST_MAX - 1 - len, 0);
		char *end;

		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
		server->bytes += n;
		end = strstr(buf, "\r\n\r\n");
		if (end && !want)
			want = (size_t)(end + 4 - buf) + body_length(buf);
	}
	return true;
}

static inline void *serve_connection(void *arg)
{
	struct connection *connection = arg;
	struct server *server = connection->server;
	char *buf = malloc(SERVER_REQUEST_MAX);
	bool more = !server->raw;

	if (server->raw)
		server->raw(server, connection->fd);
	while (more && read_request(server, connection->fd, buf)) {
		server->requests++;
		server->posts += !strncmp(buf, "POST ", 5);
		pthread_mutex_lock(&server->lock);
		snprintf(server->last, sizeof(server->last), "%s", buf);
		pthread_mutex_unlock(&server->lock);
		sem_post(&server->arrived);
		more = server->script(server, connection->fd, buf);
	}
	free(buf);
	/* Not closed: the number must stay ours until the end. */
	shutdown(connection->fd, SHUT_RDWR);
	free(connection);
	return NULL;
}

static inline void *serve(void *arg)
{
	struct server *server = arg;

	for (;;) {
		struct connection *connection = malloc(sizeof(*connection));
		int i = server->connected;

		connection->server = server;
		connection->fd = accept(server->fd, NULL, NULL);
		if (connection->fd < 0 || i == SERVER_CONNECTIONS) {
			free(connection);
			return NULL;
		}
		server->fds[i] = connection->fd;
		server->connected++;
		pthread_create(&server->connections[i], NULL, serve_connection, connection);
	}
}

static inline void server_start(struct server *server,
				bool (*script)(struct server *, int, const char *))
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	memset(server, 0, sizeof(*server));
	server->script = script;
	server->fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(server->fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(server->fd, 64), 0);
	getsockname(server->fd, (struct sockaddr *)&address, &len);
	server->port = ntohs(address.sin_port);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d", server->port);
	sem_init(&server->arrived, 0, 0);
	pthread_mutex_init(&server->lock, NULL);
	pthread_create(&server->thread, NULL, serve, server);
}

static inline void server_stop(struct server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
	for (int i = 0; i < server->connected; i++) {
		shutdown(server->fds[i], SHUT_RDWR);
		pthread_join(server->connections[i], NULL);
		close(server->fds[i]);
	}
}

/* Does the last request have this text? */
static inline bool server_saw(struct server *server, const char *text)
{
	bool saw;

	pthread_mutex_lock(&server->lock);
	saw = strcasestr(server->last, text) != NULL;
	pthread_mutex_unlock(&server->lock);
	return saw;
}

static inline double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The client's side. */

#define TEST_KEY "secret-0123456789"

static struct http *http;
static const struct remote *remote;
static struct key *key;

static inline int64_t no_tick(void *arg)
{
	(void)arg;
	return INT64_MAX;
}

static inline void client_start(const char *gateway)
{
	struct http_conf conf = http_conf_default();

	conf.gateway = gateway;
	conf.connect_ms = 1000;
	conf.answer_ms = 1000;
	conf.stall_ms = 1000;
	conf.key = key = key_fixed(TEST_KEY);
	http = http_new(&conf);
	ck_assert_ptr_nonnull(http);
	remote = http_remote(http);
	ck_assert_int_eq(http_start(http, no_tick, NULL), 0);
}

static inline void client_stop(void)
{
	http_stop(http, 0);
	http_free(http);
	key_free(key);
}

/* What most tests talk to. */
static struct server server;

#define ACCEPTED "{\"request_id\":\"pixal3d_1\",\"status\":\"QUEUED\"}"

static inline bool accept_all(struct server *s, int fd, const char *request)
{
	(void)s;
	if (!strncmp(request, "POST", 4))
		return answer(fd, "202 Accepted", "Retry-After: 120\r\n", ACCEPTED);
	return answer(fd, "200 OK", "", "{}");
}

static inline bool say_nothing(struct server *s, int fd, const char *request)
{
	char byte;

	(void)s, (void)request;
	recv(fd, &byte, 1, 0);
	return false;
}

static inline void be_silent(struct server *s, int fd)
{
	char buf[4096];

	(void)s;
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

/* The gateway's URL as https. */
static inline const char *start_raw(void (*raw)(struct server *, int))
{
	static char gateway[64];

	server_start(&server, accept_all);
	server.raw = raw;
	snprintf(gateway, sizeof(gateway), "https://127.0.0.1:%d", server.port);
	return gateway;
}

/* What came of a submit or a status. */
struct outcome {
	sem_t done;
	atomic_int calls;
	atomic_int sending_calls;
	int sending_gives;
	enum remote_fault fault;
	bool sent;
	long http_status;
	int64_t retry_after_ms;
	char *body;
	size_t len;
	char detail[256];
	char next_url[128]; /* asked for from within done */
	struct outcome *next;
};

static inline int on_sending(void *arg)
{
	struct outcome *outcome = arg;

	outcome->sending_calls++;
	return outcome->sending_gives;
}

static inline void on_done(void *arg, const struct remote_reply *reply)
{
	struct outcome *outcome = arg;

	outcome->calls++;
	outcome->fault = reply->fault;
	outcome->sent = reply->sent;
	outcome->http_status = reply->http_status;
	outcome->retry_after_ms = reply->retry_after_ms;
	outcome->len = reply->body_len;
	outcome->body = strdup(reply->body);
	snprintf(outcome->detail, sizeof(outcome->detail), "%s", reply->detail);
	if (outcome->next)
		remote->status(remote->ctx, outcome->next_url, on_done, outcome->next);
	sem_post(&outcome->done);
}

static inline void outcome_init(struct outcome *outcome)
{
	memset(outcome, 0, sizeof(*outcome));
	sem_init(&outcome->done, 0, 0);
}

static inline void begin_submit(struct outcome *outcome, const char *body)
{
	struct remote_submit submit = { .body = body,
					.len = strlen(body),
					.sending = on_sending,
					.done = on_done,
					.arg = outcome };

	outcome_init(outcome);
	ck_assert_int_eq(remote->submit(remote->ctx, &submit), 0);
}

static inline void begin_status(struct outcome *outcome, const char *path)
{
	char url[256];

	outcome_init(outcome);
	snprintf(url, sizeof(url), "%s%s", server.url, path);
	ck_assert_int_eq(remote->status(remote->ctx, url, on_done, outcome), 0);
}

static inline void wait_done(struct outcome *outcome)
{
	sem_wait(&outcome->done);
}

static inline void finish_outcome(struct outcome *outcome)
{
	ck_assert_int_eq(outcome->calls, 1);
	free(outcome->body);
}

static inline void start(bool (*script)(struct server *, int, const char *))
{
	server_start(&server, script);
	client_start(server.url);
}

static inline void stop(void)
{
	client_stop();
	server_stop(&server);
}

#endif
