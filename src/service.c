#include "service.h"

#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int send_to(const char *path, const char *text, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t path_len = strlen(path);
	if (path_len >= sizeof(address.sun_path) || !strchr("/@", path[0]))
		return -EINVAL;
	memcpy(address.sun_path, path, path_len);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* in the abstract namespace */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
	ssize_t sent = sendto(fd, text, len, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
	int r = sent < 0 ? -errno : 0;
	close(fd);
	return r;
}

void service_notify(const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char text[1024];
	va_list args;
	if (!path || !*path)
		return;
	va_start(args, fmt);
	int len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	int r = len < 0 || (size_t)len >= sizeof(text) ? -EMSGSIZE
						       : send_to(path, text, (size_t)len);
	if (r)
		log_warn("NOTIFY_SOCKET: %s", strerror(-r));
}
