#include "raw.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

int raw_socket(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? (int)info->connect_fd : -1;
}

bool raw_peer_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0;
}

static int wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT | POLLRDHUP };

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return p.revents & (POLLERR | POLLHUP | POLLRDHUP) ? -EPIPE : 0;
}

static void uncork(int fd)
{
	int off = 0, on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int raw_send(int fd, const void *data, size_t n)
{
	const char *p = data;

	uncork(fd);
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (sent < 0) {
			int r = wait_writable(fd);

			if (r < 0)
				return r;
			continue;
		}
		p += sent;
		n -= (size_t)sent;
	}
	return 0;
}

void raw_reset(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	/* Disconnecting an established TCP socket sends RST at once. */
	(void)connect(fd, &none, sizeof(none));
}

int raw_send_file(int fd, int file, uint64_t offset, uint64_t n)
{
	off_t at = (off_t)offset;

	while (n) {
		ssize_t sent = sendfile(fd, file, &at, n < (1u << 21) ? (size_t)n : 1u << 21);

		if (sent == 0)
			return -EIO;
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (sent > 0)
			n -= (uint64_t)sent;
		else if (wait_writable(fd) < 0)
			return -EPIPE;
	}
	return 0;
}

int raw_repeat(int fd, const void *data, size_t size, uint64_t n)
{
	bool endless = n == 0;

	while (endless || n) {
		size_t part = !endless && n < size ? (size_t)n : size;
		int r = raw_send(fd, data, part);

		if (r < 0)
			return r;
		n -= endless ? 0 : part;
	}
	return 0;
}

uint64_t raw_bytes_sent(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
}
