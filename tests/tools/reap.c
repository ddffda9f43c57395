/*
 * reap - runs a test and leaves nothing of it running
 *
 * Usage:   reap COMMAND [ARGUMENT...]
 * Role:    becomes the subreaper of everything that COMMAND starts, daemons included. When COMMAND
 *          has ended, its descendants get a moment to end; those that do not are named on stderr
 *          and killed, and a COMMAND that succeeded has failed.
 * Status:  COMMAND's own (128 + N for a signal); STATUS_LEAK when something was left running.
 * SIGTERM: COMMAND gets the same moment, then SIGKILL (timeout(1) has told its group already).
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	STATUS_LEAK = 96,
	STATUS_USAGE = 125,
	STEP_MS = 20,
	GRACE_MS = 3000,
	KILL_MS = 10000,
};

static volatile sig_atomic_t asked_to_end;

static void on_term(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

static void sleep_step(void)
{
	struct timespec step = { .tv_nsec = STEP_MS * 1000000L };

	nanosleep(&step, NULL);
}

/* The command line of PID for a person, its name when there is none. */
static void describe(pid_t pid, char *buf, size_t size)
{
	char path[64];
	FILE *f;
	size_t len = 0;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	f = fopen(path, "r");
	if (f) {
		len = fread(buf, 1, size - 1, f);
		fclose(f);
	}
	while (len && !buf[len - 1])
		len--;
	for (size_t i = 0; i < len; i++)
		if (!buf[i] || buf[i] == '\n')
			buf[i] = ' ';
	buf[len] = '\0';
}

/* Kills the children of this process; names them first when NAME. */
static void kill_children(bool name)
{
	char path[64], what[512];
	int pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "r");
	if (!f) {
		fprintf(stderr, "reap: %s: %s\n", path, strerror(errno));
		return;
	}
	while (fscanf(f, "%d", &pid) == 1) {
		if (name) {
			describe(pid, what, sizeof(what));
			fprintf(stderr, "left running: %d %s\n", pid, what);
		}
		kill(pid, SIGKILL);
	}
	fclose(f);
}

/* Collects what has ended; true while there are children. */
static bool collect(pid_t main_child, int *main_status)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == main_child)
			*main_status = status;
	return pid == 0 || errno != ECHILD;
}

static int wait_for_command(pid_t command)
{
	int status = -1, grace = GRACE_MS;

	while (collect(command, &status) && status == -1) {
		if (asked_to_end && (grace -= STEP_MS) < 0)
			kill(command, SIGKILL);
		sleep_step();
	}
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

/* true when something had to be killed. */
static bool end_the_rest(void)
{
	int ignored = 0;
	bool leaked = false;

	for (int t = 0; collect(0, &ignored); t += STEP_MS) {
		if (t >= GRACE_MS) {
			kill_children(t == GRACE_MS);
			leaked = true;
		}
		if (t >= KILL_MS) {
			fprintf(stderr, "reap: something cannot be killed\n");
			break;
		}
		sleep_step();
	}
	return leaked;
}

int main(int argc, char **argv)
{
	struct sigaction term = { .sa_handler = on_term };
	pid_t pid;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: reap COMMAND [ARGUMENT...]\n");
		return STATUS_USAGE;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid == 0) {
		/* A shell ignores these in what it starts in the background. */
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		execvp(argv[1], argv + 1);
		fprintf(stderr, "reap: %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	if (pid < 0) {
		perror("reap: fork");
		return STATUS_USAGE;
	}
	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGINT, &term, NULL);
	status = wait_for_command(pid);
	if (end_the_rest() && (status == 0 || status == 77))
		status = STATUS_LEAK;
	return status;
}
