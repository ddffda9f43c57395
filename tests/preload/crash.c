/*
 * crash.so - ends a program at one exact call, counted over all of its threads
 *
 * Preloaded. It counts the calls by which a program leaves a trace outside of itself, on disk and
 * on the network, from the moment on that file $CRASH/armed exists, and writes a line "NAME N" for
 * each to $CRASH/calls before the call is made, the Nth of this name: threads take turns as they
 * like, so that only the calls of one name are the same in every run. The call that $CRASH/at names
 * is not made: SIGKILL; where $CRASH/half exists, half of its bytes are. With $CRASH/fail, each
 * fsync and fdatasync gives EIO instead, as long as that file exists.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum call { PWRITE, FTRUNCATE, FDATASYNC, FSYNC, CONNECT, SEND, RECV, WRITEV, CALLS };
static const char *const names[CALLS] = { "pwrite",  "ftruncate", "fdatasync", "fsync",
					  "connect", "send",      "recv",      "writev" };
static int counts[CALLS];

static const char *path_of(const char *name, char path[4096])
{
	const char *dir = getenv("CRASH");

	snprintf(path, 4096, "%s/%s", dir ? dir : "/nowhere", name);
	return path;
}

static bool is_there(const char *name)
{
	char path[4096];

	return access(path_of(name, path), F_OK) == 0;
}

static bool is_named(const char *line)
{
	char path[4096], text[64] = "";
	int fd = open(path_of("at", path), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strcmp(text, line) == 0;
}

static void write_down(const char *line)
{
	char path[4096];
	int fd = open(path_of("calls", path), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	syscall(SYS_write, fd, line, strlen(line));
	close(fd);
}

enum what { GO_ON, DIE, DIE_HALF, FAIL };

/* No other thread gets further once one has been told to die. */
static enum what next(enum call call)
{
	enum what what = GO_ON;
	int error = errno;
	char line[64];

	if (!is_there("armed"))
		return GO_ON;
	pthread_mutex_lock(&lock);
	snprintf(line, sizeof(line), "%s %d\n", names[call], ++counts[call]);
	write_down(line);
	if (is_there("fail"))
		what = call == FDATASYNC || call == FSYNC ? FAIL : GO_ON;
	else if (is_named(line))
		what = is_there("half") ? DIE_HALF : DIE;
	if (what == DIE)
		raise(SIGKILL);
	if (what != DIE_HALF)
		pthread_mutex_unlock(&lock);
	errno = error;
	return what;
}

static void die_in(enum call call)
{
	if (next(call) == DIE_HALF)
		raise(SIGKILL);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	if (next(PWRITE) == DIE_HALF) {
		syscall(SYS_pwrite64, fd, data, len / 2, at);
		raise(SIGKILL);
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

/* Threads wake each other with single bytes: this is between us. */
ssize_t send(int fd, const void *data, size_t len, int flags)
{
	if (len > 1 && next(SEND) == DIE_HALF) {
		syscall(SYS_sendto, fd, data, len / 2, flags, NULL, 0);
		raise(SIGKILL);
	}
	return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
	if (len > 64)
		die_in(RECV);
	return syscall(SYS_recvfrom, fd, data, len, flags, NULL, NULL);
}

int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t len)
{
	die_in(CONNECT);
	return (int)syscall(SYS_connect, fd, address.__sockaddr__, len);
}

/* The answers to the kernel, so to the writer. Notifications (unique 0) come from a thread of their
 * own, at any time: counting them would make every run another one. */
ssize_t writev(int fd, const struct iovec *parts, int n)
{
	const struct fuse_out_header *header = parts->iov_base;

	if (parts->iov_len >= sizeof(*header) && header->unique)
		die_in(WRITEV);
	return syscall(SYS_writev, fd, parts, n);
}

static int sync_with(long number, enum call call, int fd)
{
	switch (next(call)) {
	case DIE_HALF: raise(SIGKILL); break;
	case FAIL: errno = EIO; return -1;
	default: break;
	}
	return (int)syscall(number, fd);
}

int fdatasync(int fd)
{
	return sync_with(SYS_fdatasync, FDATASYNC, fd);
}

int fsync(int fd)
{
	return sync_with(SYS_fsync, FSYNC, fd);
}

int ftruncate64(int fd, off64_t len)
{
	die_in(FTRUNCATE);
	return (int)syscall(SYS_ftruncate, fd, len);
}
