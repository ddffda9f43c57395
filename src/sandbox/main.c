#include "barrier.h"
#include "cdn.h"
#include "control.h"
#include "gateway.h"
#include "inbox.h"
#include "ledger.h"
#include "objects.h"
#include "options.h"
#include "request.h"
#include "webhook.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 4000 };

static struct MHD_Daemon *gateway, *cdn;

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "pixal3d-sandbox: %s: %s\n", what, why);
	return 1;
}

/* A listening socket; *port becomes the one it got. -errno when it cannot be. */
static int listen_on(unsigned *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port) };
	socklen_t size = sizeof(address);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (inet_pton(AF_INET, config.listen, &address.sin_addr) != 1)
		errno = EINVAL;
	else if (bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 1024) == 0 &&
		 getsockname(fd, (struct sockaddr *)&address, &size) == 0) {
		*port = ntohs(address.sin_port);
		return fd;
	}
	int error = errno;
	close(fd);
	return -error;
}

static struct MHD_Daemon *serve(int fd, MHD_AccessHandlerCallback handle,
				MHD_RequestCompletedCallback ended)
{
	const unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			       MHD_USE_POLL;

	return MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_NOTIFY_COMPLETED, ended, NULL,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_END);
}

static void name_urls(void)
{
	const char *host = strcmp(config.listen, "0.0.0.0") ? config.listen : "127.0.0.1";

	snprintf(config.gateway_url, sizeof(config.gateway_url), "http://%s:%u", host, config.port);
	snprintf(config.cdn_url, sizeof(config.cdn_url), "http://%s:%u", host, config.cdn_port);
}

/* Both URLs are known before either port is served. */
static int start(void)
{
	int gateway_fd = listen_on(&config.port), cdn_fd = listen_on(&config.cdn_port);

	if (gateway_fd < 0)
		return fail("gateway port", strerror(-gateway_fd));
	if (cdn_fd < 0)
		return fail("CDN port", strerror(-cdn_fd));
	name_urls();
	cdn = serve(cdn_fd, cdn_handle, cdn_ended);
	gateway = cdn ? serve(gateway_fd, gateway_handle, gateway_ended) : NULL;
	return gateway ? 0 : fail("start", "the HTTP server does not start");
}

static int write_ready_file(void)
{
	char *temporary = NULL;
	FILE *f = NULL;
	int r = -1;

	if (!config.ready_file)
		return 0;
	if (asprintf(&temporary, "%s.%ld", config.ready_file, (long)getpid()) < 0)
		return fail(config.ready_file, "out of memory");
	f = fopen(temporary, "we");
	if (f) {
		fprintf(f, "GATEWAY=%s\nCDN=%s\nPID=%ld\n", config.gateway_url, config.cdn_url,
			(long)getpid());
		r = fclose(f) || rename(temporary, config.ready_file);
	}
	if (r)
		fail(config.ready_file, strerror(errno));
	free(temporary);
	return r;
}

/* Until SIGTERM or SIGINT, or the end of who holds the other end of the lifeline. */
static void wait_for_end(int signals)
{
	struct pollfd p[2] = { { .fd = signals, .events = POLLIN },
			       { .fd = config.lifeline, .events = POLLIN } };
	char byte;

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents)
			return;
		if (p[1].revents && read(config.lifeline, &byte, 1) <= 0)
			return;
	}
}

static void stop(void)
{
	barrier_stop();
	webhook_stop();
	if (gateway)
		MHD_stop_daemon(gateway);
	if (cdn)
		MHD_stop_daemon(cdn);
	ledger_close();
	request_release();
	inbox_release();
	objects_release();
}

static int catch_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	char why[CONTROL_WHY];
	int64_t balance = options_parse(argc, argv);
	int signals = catch_signals();
	int r = ledger_open(config.ledger_file, balance, request_restore);

	if (r < 0)
		return fail(config.ledger_file, strerror(-r));
	if (config.control_file && !control_load(config.control_file, why))
		return fail(config.control_file, why);
	if (signals < 0 || webhook_start() < 0)
		return fail("start", strerror(errno));
	r = start();
	if (r == 0)
		r = write_ready_file();
	if (r == 0)
		wait_for_end(signals);
	stop();
	close(signals);
	return r ? 1 : 0;
}
