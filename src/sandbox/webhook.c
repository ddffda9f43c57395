/*
 * The timer thread takes due callbacks from the requests and gives each to a detached thread;
 * `sending` counts those, and webhook_stop() waits for it to be 0.
 */
#include "webhook.h"

#include "barrier.h"
#include "clock.h"
#include "fault.h"
#include "ledger.h"
#include "request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIES = 3, PATIENCE = 5, RETRY_MS = 500 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t timer;
static bool started, stopping;
static unsigned woken;
static int sending;

/* An http URL taken apart. */
struct target {
	char host[128], port[8];
	const char *path; /* within the URL; may be empty */
};

static bool is_loopback(const char *host)
{
	struct in_addr a;

	if (inet_pton(AF_INET, host, &a) == 1)
		return ntohl(a.s_addr) >> 24 == 127;
	return !strcasecmp(host, "localhost") || !strcmp(host, "::1");
}

static bool parse_http(const char *url, struct target *t)
{
	size_t n, host;

	if (strncasecmp(url, "http://", 7) != 0)
		return false;
	url += 7;
	n = strcspn(url, "/?#");
	const char *start = *url == '[' ? url + 1 : url;
	host = *url == '[' ? strcspn(start, "]") : strcspn(start, ":/?#");
	const char *after = start + host + (*url == '[' && start[host] == ']');
	if (host == 0 || host >= sizeof(t->host) || after > url + n)
		return false;
	snprintf(t->host, sizeof(t->host), "%.*s", (int)host, start);
	snprintf(t->port, sizeof(t->port), "%s", "80");
	if (*after == ':')
		snprintf(t->port, sizeof(t->port), "%.*s", (int)(url + n - after - 1), after + 1);
	t->path = url + n;
	return true;
}

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 127)
			return false;
	return true;
}

bool webhook_url_is_good(const char *url)
{
	struct target t;

	if (!is_printable(url))
		return false;
	if (!strncasecmp(url, "https://", 8))
		return url[8] != '\0' && url[8] != '/';
	return config.allow_http_webhook && parse_http(url, &t) && is_loopback(t.host);
}

static int open_connection(const struct target *t)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const struct timeval patience = { .tv_sec = PATIENCE };
	struct addrinfo *list, *a;
	int fd = -1;

	if (getaddrinfo(t->host, t->port, &hints, &list))
		return -EHOSTUNREACH;
	for (a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd < 0 ? -ECONNREFUSED : fd;
}

/* The status code of the answer; 0 when there is none. */
static int exchange(int fd, const char *text, size_t n)
{
	char answer[64] = "";
	size_t got = 0;
	int code = 0;

	while (n) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return 0;
		text += sent;
		n -= (size_t)sent;
	}
	while (got < sizeof(answer) - 1) {
		ssize_t part = recv(fd, answer + got, sizeof(answer) - 1 - got, 0);

		if (part <= 0)
			break;
		got += (size_t)part;
	}
	return sscanf(answer, "HTTP/1.%*d %3d", &code) == 1 ? code : 0;
}

/* POST the payload once; true when the answer is 2xx. */
static bool post(const struct target *t, const char *payload)
{
	char *text = NULL;
	int fd = open_connection(t), code = 0;
	int n = asprintf(&text,
			 "POST %s%s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: pixal3d-sandbox\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n"
			 "Connection: close\r\n\r\n%s",
			 *t->path == '/' ? "" : "/", t->path, t->host, t->port, strlen(payload),
			 payload);

	if (fd >= 0 && n > 0)
		code = exchange(fd, text, (size_t)n);
	if (fd >= 0)
		close(fd);
	if (n >= 0)
		free(text);
	return code >= 200 && code < 300;
}

static bool deliver(const struct request_callback *c)
{
	struct target t;
	char *payload = json_dumps(c->payload, JSON_COMPACT);
	bool good = false;

	if (payload && c->url && parse_http(c->url, &t)) {
		for (int i = 0; i < TRIES && !good && !barrier_stopping(); i++) {
			if (i > 0)
				barrier_sleep_until(clock_mono_ns() + RETRY_MS * 1000000LL * i);
			good = post(&t, payload);
		}
	}
	free(payload);
	return good;
}

/* All of one callback, with its faults; in mode sync not only the last one comes here. */
static void send_callback(const struct request_callback *c)
{
	const char *image = json_string_value(json_object_get(c->params, "image_url"));
	json_t *fault = fault_take(AT_WEBHOOK, "body", image, c->id, c->state);
	int64_t copies = fault_is(fault, "duplicate") ? fault_int(fault, "copies", 2) : 1;
	bool good = false;

	barrier_reach(PT_WEBHOOK_SEND);
	if (fault_is(fault, "delay"))
		barrier_sleep_until(clock_mono_ns() +
				    (int64_t)(fault_num(fault, "seconds", 1) * 1e9));
	for (int64_t i = 0; i < copies && !fault_is(fault, "lose") && !barrier_stopping(); i++) {
		good = deliver(c);
		ledger_count(C_WEBHOOKS, good);
	}
	if (state_is_terminal(c->state) && !barrier_stopping())
		request_callback_done(c->id, good);
	barrier_reach(PT_WEBHOOK_DONE);
	json_decref(fault);
}

static void *send_main(void *arg)
{
	struct request_callback *c = arg;

	send_callback(c);
	request_callback_release(c);
	free(c);
	pthread_mutex_lock(&lock);
	sending--;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void spawn(struct request_callback *c)
{
	pthread_t thread;

	pthread_mutex_lock(&lock);
	sending++;
	pthread_mutex_unlock(&lock);
	if (pthread_create(&thread, NULL, send_main, c) == 0)
		pthread_detach(thread);
	else
		send_main(c);
}

/* Send what is due; when the next will be. */
static int64_t send_due(void)
{
	struct request_callback *c;
	int64_t next = INT64_MAX;

	while ((c = calloc(1, sizeof(*c))) && request_take_callback(c, &next))
		spawn(c);
	free(c);
	return next;
}

static void *timer_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	while (!stopping) {
		unsigned seen = woken;

		pthread_mutex_unlock(&lock);
		int64_t next = send_due();
		pthread_mutex_lock(&lock);
		struct timespec ts = { next / 1000, next % 1000 * 1000000 };
		if (!stopping && seen == woken && next < INT64_MAX)
			pthread_cond_timedwait(&changed, &lock, &ts);
		else if (!stopping && seen == woken)
			pthread_cond_wait(&changed, &lock);
	}
	while (sending > 0)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

int webhook_start(void)
{
	int r = pthread_create(&timer, NULL, timer_main, NULL);

	started = r == 0;
	return -r;
}

void webhook_wake(void)
{
	pthread_mutex_lock(&lock);
	woken++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void webhook_stop(void)
{
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (started)
		pthread_join(timer, NULL);
}
