/*
 * hook - libmicrohttpd, and nothing of it beyond this file
 *
 * A request: its headers decide. What is no POST, or has no expected token, is answered before its
 *            body is read; a body that is too large ends the connection. Then the owner is told,
 *            and its word is the answer.
 * Invariant: `connections` has those that are neither closed nor told to close, oldest first; it
 *            is touched by libmicrohttpd's thread alone.
 */
#include "hook.h"

#include "api.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define MEMORY_MAX 16384 /* of a connection's headers */

struct connection {
	TAILQ_ENTRY(connection) entry;
	int fd;
	bool told; /* to close: not in the list any more */
};

TAILQ_HEAD(connections, connection);

struct hook {
	struct hook_events events;
	int fd; /* until libmicrohttpd has it; -1 then */
	struct MHD_Daemon *daemon;
	struct MHD_Response *empty, *post_only;
	_Atomic uint64_t taken, refused;
	struct connections connections;
	unsigned count;
};

/* A callback as it comes in. */
struct call {
	uint64_t number;
	char token[API_TOKEN_LEN + 1];
	char *body;
	size_t len;
};

/* The address. */

static bool parse_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*port = htons((uint16_t)n);
	return *text >= '0' && *text <= '9' && !*end && n >= 1 && n <= 65535;
}

bool hook_address(const char *text, struct sockaddr_storage *address, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	const char *colon = strrchr(text, ':');
	size_t host_len = colon ? (size_t)(colon - text) : 0;
	char host[INET6_ADDRSTRLEN + 2];

	memset(address, 0, sizeof(*address));
	if (!host_len || host_len >= sizeof(host))
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)host_len, text);
	if (host[0] != '[') {
		address->ss_family = AF_INET;
		*len = sizeof(*v4);
		return inet_pton(AF_INET, host, &v4->sin_addr) == 1 &&
		       parse_port(colon + 1, &v4->sin_port);
	}
	if (host[host_len - 1] != ']')
		return false;
	host[host_len - 1] = '\0';
	address->ss_family = AF_INET6;
	*len = sizeof(*v6);
	return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1 &&
	       parse_port(colon + 1, &v6->sin6_port);
}

/* Connections. */

static void tell_to_close(struct hook *hook, struct connection *connection)
{
	shutdown(connection->fd, SHUT_RDWR);
	connection->told = true;
	TAILQ_REMOVE(&hook->connections, connection, entry);
	hook->count--;
}

static void opened(struct hook *hook, struct MHD_Connection *c, void **state)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct connection *connection = info ? calloc(1, sizeof(*connection)) : NULL;

	*state = connection;
	if (!connection)
		return;
	/* A flood, or many that are slow on purpose, keeps no callback out. */
	if (hook->count >= HOOK_CONNECTIONS)
		tell_to_close(hook, TAILQ_FIRST(&hook->connections));
	connection->fd = info->connect_fd;
	TAILQ_INSERT_TAIL(&hook->connections, connection, entry);
	hook->count++;
}

static void closed(struct hook *hook, struct connection *connection)
{
	if (connection && !connection->told) {
		TAILQ_REMOVE(&hook->connections, connection, entry);
		hook->count--;
	}
	free(connection);
}

static void note_connection(void *cls, struct MHD_Connection *c, void **state,
			    enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		opened(cls, c, state);
	else
		closed(cls, *state);
}

/* Requests. */

static enum MHD_Result answer(struct hook *hook, struct MHD_Connection *c, unsigned status)
{
	atomic_fetch_add(status == MHD_HTTP_OK ? &hook->taken : &hook->refused, 1);
	return MHD_queue_response(
		c, status, status == MHD_HTTP_METHOD_NOT_ALLOWED ? hook->post_only : hook->empty);
}

static bool too_large(struct MHD_Connection *c)
{
	const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");

	return length && strtoull(length, NULL, 10) > HOOK_BODY_MAX;
}

static enum MHD_Result begin(struct hook *hook, struct MHD_Connection *c, const char *url,
			     const char *method, struct call **state)
{
	struct call call = { 0 };

	if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
		return answer(hook, c, MHD_HTTP_METHOD_NOT_ALLOWED);
	if (!api_callback_target(url, &call.number, call.token) ||
	    !hook->events.expected(hook->events.ctx, call.number, call.token)) {
		log_debug("webhook: a call that is not expected");
		return answer(hook, c, MHD_HTTP_NOT_FOUND);
	}
	if (too_large(c))
		return answer(hook, c, MHD_HTTP_CONTENT_TOO_LARGE);
	*state = malloc(sizeof(call));
	if (!*state)
		return MHD_NO;
	**state = call;
	return MHD_YES;
}

static enum MHD_Result take(struct call *call, const char *data, size_t *size)
{
	char *body = call->len + *size > HOOK_BODY_MAX ? NULL
						       : realloc(call->body, call->len + *size);

	if (!body)
		return MHD_NO;
	memcpy(body + call->len, data, *size);
	call->body = body;
	call->len += *size;
	*size = 0;
	return MHD_YES;
}

static enum MHD_Result finish(struct hook *hook, struct MHD_Connection *c, const struct call *call)
{
	char *id = api_callback_id(call->body ? call->body : "", call->len);
	int r = hook->events.called(hook->events.ctx, call->number, call->token, id);

	log_debug("webhook: job %llu is called about, %s: %s", (unsigned long long)call->number,
		  id ? id : "without a request id", r ? strerror(-r) : "taken");
	free(id);
	return answer(hook, c,
		      r == 0         ? MHD_HTTP_OK
		      : r == -ENOENT ? MHD_HTTP_NOT_FOUND
				     : MHD_HTTP_SERVICE_UNAVAILABLE);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **state)
{
	(void)version;
	if (!*state)
		return begin(cls, c, url, method, (struct call **)state);
	return *size ? take(*state, data, size) : finish(cls, c, *state);
}

static void ended(void *cls, struct MHD_Connection *c, void **state,
		  enum MHD_RequestTerminationCode code)
{
	struct call *call = *state;

	(void)cls, (void)c, (void)code;
	if (call)
		free(call->body);
	free(call);
	*state = NULL;
}

/* Life. */

static int bind_socket(const char *text)
{
	struct sockaddr_storage address;
	socklen_t len;
	const int on = 1;

	if (!hook_address(text, &address, &len))
		return -EINVAL;
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	int r = -errno;
	close(fd);
	return r;
}

static struct MHD_Response *make_response(const char *allow)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(0, (void *)"",
									MHD_RESPMEM_PERSISTENT);

	if (response && allow && MHD_add_response_header(response, "Allow", allow) != MHD_YES) {
		MHD_destroy_response(response);
		return NULL;
	}
	return response;
}

int hook_new(const char *address, const struct hook_events *events, struct hook **out,
	     char error[HOOK_ERROR_MAX])
{
	struct hook *hook = calloc(1, sizeof(*hook));
	int r = hook ? bind_socket(address) : -ENOMEM;

	*out = NULL;
	if (hook) {
		hook->events = *events;
		hook->fd = r;
		hook->empty = make_response(NULL);
		hook->post_only = make_response(MHD_HTTP_METHOD_POST);
		TAILQ_INIT(&hook->connections);
	}
	if (r >= 0 && (!hook->empty || !hook->post_only))
		r = -ENOMEM;
	if (r < 0) {
		snprintf(error, HOOK_ERROR_MAX, "cannot listen on %.64s (webhook_listen=): %s",
			 address, strerror(-r));
		hook_free(hook);
		return r;
	}
	*out = hook;
	return 0;
}

int hook_start(struct hook *hook)
{
	/* Its own limit leaves room for those that were told to close. */
	hook->daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, handle, hook,
					MHD_OPTION_LISTEN_SOCKET, hook->fd,
					MHD_OPTION_CONNECTION_LIMIT, 2U * HOOK_CONNECTIONS,
					MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HOOK_IDLE_S,
					MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
					MHD_OPTION_NOTIFY_CONNECTION, note_connection, hook,
					MHD_OPTION_NOTIFY_COMPLETED, ended, hook, MHD_OPTION_END);
	if (!hook->daemon)
		return errno ? -errno : -ENOMEM;
	hook->fd = -1;
	return 0;
}

void hook_counts(struct hook *hook, uint64_t *taken, uint64_t *refused)
{
	*taken = atomic_load(&hook->taken);
	*refused = atomic_load(&hook->refused);
}

void hook_free(struct hook *hook)
{
	if (!hook)
		return;
	if (hook->daemon)
		MHD_stop_daemon(hook->daemon);
	if (hook->fd >= 0)
		close(hook->fd);
	if (hook->empty)
		MHD_destroy_response(hook->empty);
	if (hook->post_only)
		MHD_destroy_response(hook->post_only);
	free(hook);
}
