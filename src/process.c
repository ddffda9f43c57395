#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void process_guard_memory(void)
{
	const struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

void process_tune_memory(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

int process_enter_namespace(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 || setns(fd, CLONE_NEWNS) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

int process_make_dirs(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* The truth: 0 once the child serves, else the child's own status. */
static int wait_for_child(int pipe, pid_t child)
{
	char ok;
	int status;
	if (read(pipe, &ok, 1) == 1)
		return 0;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status))
		return WEXITSTATUS(status);
	return -1;
}

int process_fork(int *parent, int *status)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid_t child = fork();
	int r = child < 0 ? -errno : child > 0;
	if (r == 0) {
		close(ends[0]);
		*parent = ends[1];
		return 0;
	}
	close(ends[1]);
	if (r > 0)
		*status = wait_for_child(ends[0], child);
	close(ends[0]);
	return r;
}

static void let_terminal_go(void)
{
	setsid();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

int process_serving(int parent)
{
	const char ok = 0;
	let_terminal_go();
	int r = write(parent, &ok, 1) == 1 ? 0 : -errno;
	close(parent);
	return r;
}
