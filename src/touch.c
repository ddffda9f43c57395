#include "touch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME        "pixal3dfs-touch"
#define FUSE_MAGIC  0x65735546 /* FUSE_SUPER_MAGIC, linux/magic.h */
#define MESSAGE_MAX 1024
#define END_TRIES   200 /* milliseconds until it is left to init */

/* A name to be created, in the order of the messages. */
struct expected {
	struct expected *next;
	uint64_t parent;
	char name[];
};

struct touch {
	pid_t pid;
	int socket;
	pthread_mutex_t lock; /* guards what follows */
	struct expected *first;
	struct expected **last;
};

/* The process */

/* By way of a mount of its own, which is nowhere, where that is allowed: an umount must not find
 * the other one in use. */
static int open_apart(const char *mountpoint)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, mountpoint,
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return fd >= 0 ? fd : open(mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The root of the mount, or -1: it is not there, or something else is in its place. */
static int open_root(const char *mountpoint, dev_t *device)
{
	struct statfs fs;
	struct stat st;
	int fd = open_apart(mountpoint);
	if (fd < 0)
		return -1;
	if (fstatfs(fd, &fs) == 0 && fs.f_type == FUSE_MAGIC && fstat(fd, &st) == 0 &&
	    (*device == 0 || *device == st.st_dev)) {
		*device = st.st_dev;
		return fd;
	}
	close(fd);
	return -1;
}

static bool creates(enum touch_what what)
{
	return what != TOUCH_CHANGED && what != TOUCH_ATTRIB;
}

static void change(int root, enum touch_what what, const char *path)
{
	/* The time of the last access being left out, it is a MODIFY, otherwise an ATTRIB. */
	const struct timespec times[] = {
		{ .tv_nsec = what == TOUCH_ATTRIB ? UTIME_NOW : UTIME_OMIT },
		{ .tv_nsec = UTIME_NOW },
	};
	utimensat(root, path, times, AT_SYMLINK_NOFOLLOW);
}

static int create(int root, enum touch_what what, const char *path)
{
	if (what == TOUCH_DIR)
		return mkdirat(root, path, 0700);
	if (what == TOUCH_LINK)
		return symlinkat(".", root, path);
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	return fd < 0 ? -1 : close(fd);
}

/* Somebody who has found the name before us has taken its CREATE from the watchers. */
static void serve(int root, enum touch_what what, const char *path)
{
	if (!creates(what) || (create(root, what, path) && errno == EEXIST))
		change(root, what, path);
}

static void forget_environment(void)
{
	extern char **environ;
	for (char **variable = environ; variable && *variable; variable++)
		memset(*variable, 0, strlen(*variable));
}

/* In `ps`, and for who looks for the driver by its command line, it is another program. */
static void change_command_line(void)
{
	char line[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, line, sizeof(line));
	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return;
	memset(program_invocation_name, 0, (size_t)len);
	strncpy(program_invocation_name, NAME, (size_t)len - 1);
}

static void close_all_but(int socket)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	close_range(3, (unsigned)socket - 1, 0);
	close_range((unsigned)socket + 1, UINT_MAX, 0);
}

static void run(const char *mountpoint, int socket)
{
	char message[MESSAGE_MAX + 1];
	dev_t device = 0;
	ssize_t len;
	setpgid(0, 0); /* a Ctrl-C is for the driver */
	prctl(PR_SET_NAME, NAME);
	forget_environment();
	change_command_line();
	if (socket < 3 || chdir("/"))
		_exit(1);
	close_all_but(socket);
	while ((len = recv(socket, message, MESSAGE_MAX, 0)) > 1) {
		message[len] = '\0';
		int root = open_root(mountpoint, &device);
		if (root < 0)
			continue;
		serve(root, (enum touch_what)message[0], message + 1);
		close(root);
	}
	_exit(0);
}

/* The driver's side */

struct touch *touch_start(const char *mountpoint)
{
	struct touch *touch = calloc(1, sizeof(*touch));
	int ends[2];
	if (!touch || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		free(touch);
		return NULL;
	}
	pthread_mutex_init(&touch->lock, NULL);
	touch->last = &touch->first;
	touch->socket = ends[0];
	touch->pid = fork();
	if (touch->pid == 0)
		run(mountpoint, ends[1]);
	close(ends[1]);
	if (touch->pid > 0)
		return touch;
	close(ends[0]);
	free(touch);
	return NULL;
}

static void expect_locked(struct touch *touch, uint64_t parent, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	struct expected *expected = malloc(sizeof(*expected) + strlen(name) + 1);
	if (!expected)
		return;
	expected->next = NULL;
	expected->parent = parent;
	strcpy(expected->name, name);
	*touch->last = expected;
	touch->last = &expected->next;
}

void touch_send(struct touch *touch, enum touch_what what, uint64_t parent, const char *path)
{
	char message[MESSAGE_MAX];
	size_t len = strlen(path);
	if (!touch || len >= sizeof(message))
		return;
	message[0] = (char)what;
	memcpy(message + 1, path, len);
	/* Messages and what is expected of them are in one order. */
	pthread_mutex_lock(&touch->lock);
	if (send(touch->socket, message, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 &&
	    creates(what))
		expect_locked(touch, parent, path);
	pthread_mutex_unlock(&touch->lock);
}

bool touch_is_ours(const struct touch *touch, pid_t pid)
{
	return touch && touch->pid == pid;
}

static struct expected *find_locked(const struct touch *touch, uint64_t parent, const char *name)
{
	struct expected *expected = touch->first;
	while (expected && (expected->parent != parent || strcmp(expected->name, name) != 0))
		expected = expected->next;
	return expected;
}

static void drop_first_locked(struct touch *touch)
{
	struct expected *first = touch->first;
	touch->first = first->next;
	if (!touch->first)
		touch->last = &touch->first;
	free(first);
}

bool touch_expects(struct touch *touch, uint64_t parent, const char *name)
{
	pthread_mutex_lock(&touch->lock);
	bool found = find_locked(touch, parent, name) != NULL;
	pthread_mutex_unlock(&touch->lock);
	return found;
}

bool touch_take(struct touch *touch, uint64_t parent, const char *name)
{
	pthread_mutex_lock(&touch->lock);
	struct expected *found = find_locked(touch, parent, name);
	/* Those before it have failed: it is the order in which they are done. */
	while (found && touch->first != found)
		drop_first_locked(touch);
	if (found)
		drop_first_locked(touch);
	pthread_mutex_unlock(&touch->lock);
	return found != NULL;
}

void touch_end(struct touch *touch)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	if (!touch)
		return;
	close(touch->socket);
	kill(touch->pid, SIGKILL);
	for (int i = 0; i < END_TRIES && waitpid(touch->pid, NULL, WNOHANG) == 0; i++)
		nanosleep(&pause, NULL);
	while (touch->first)
		drop_first_locked(touch);
	pthread_mutex_destroy(&touch->lock);
	free(touch);
}
