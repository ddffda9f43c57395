#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM        "pixal3d-sandbox"
#define READY_TRIES    1000
#define READY_PAUSE_NS 10000000 /* 10 s in all */

/* In the child, between fork and exec. */
static void run(const char *ready, const char *ledger, int lifeline)
{
	char self[PATH_MAX], number[16];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - sizeof(PROGRAM));
	snprintf(number, sizeof(number), "%d", lifeline);
	setpgid(0, 0); /* a Ctrl-C is for the driver, which unmounts first */
	const char *argv[] = { PROGRAM, "--ready",    ready,  "--ledger",
			       ledger,  "--lifeline", number, "--allow-http-webhook",
			       NULL };
	if (len > 0) {
		self[len] = '\0';
		strcpy(strrchr(self, '/') + 1, PROGRAM);
		execv(self, (char **)argv);
	}
	execvp(PROGRAM, (char **)argv);
	fprintf(stderr, "pixal3dfs: %s: %s\n", PROGRAM, strerror(errno));
	_exit(127);
}

/* The value of NAME in a file of NAME=VALUE lines; heap, NULL: not there. */
static char *read_value(const char *path, const char *name)
{
	FILE *in = fopen(path, "re");
	char line[256], *value = NULL;
	size_t len = strlen(name);
	while (in && !value && fgets(line, sizeof(line), in))
		if (strncmp(line, name, len) == 0 && line[len] == '=') {
			line[strcspn(line, "\n")] = '\0';
			value = strdup(line + len + 1);
		}
	if (in)
		fclose(in);
	return value;
}

static int wait_ready(struct spawn *spawn, const char *ready, char *error, size_t error_size)
{
	const struct timespec pause = { .tv_nsec = READY_PAUSE_NS };
	for (int i = 0; i < READY_TRIES; i++) {
		spawn->gateway = read_value(ready, "GATEWAY");
		if (spawn->gateway)
			return 0;
		if (waitpid(spawn->pid, NULL, WNOHANG) == spawn->pid) {
			spawn->pid = 0;
			snprintf(error, error_size, "the sandbox gateway (%s) did not start",
				 PROGRAM);
			return -ECHILD;
		}
		nanosleep(&pause, NULL);
	}
	snprintf(error, error_size, "the sandbox gateway (%s) was not ready in 10 seconds",
		 PROGRAM);
	return -ETIMEDOUT;
}

static int start(struct spawn *spawn, const char *ready, const char *ledger)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	spawn->lifeline = ends[1];
	spawn->pid = fork();
	if (spawn->pid == 0) {
		fcntl(ends[0], F_SETFD, 0);
		run(ready, ledger, ends[0]);
	}
	int r = spawn->pid < 0 ? -errno : 0;
	close(ends[0]);
	if (r) {
		spawn->pid = 0;
		close(ends[1]);
	}
	return r;
}

int spawn_sandbox(struct spawn *spawn, const char *state_dir, char *error, size_t error_size)
{
	char *ready = NULL, *ledger = NULL;
	*spawn = (struct spawn){ 0 };
	int r = asprintf(&ready, "%s/sandbox.ready", state_dir) < 0 ||
				asprintf(&ledger, "%s/sandbox.ledger", state_dir) < 0
			? -ENOMEM
			: 0;
	if (r == 0) {
		unlink(ready);
		r = start(spawn, ready, ledger);
		if (r)
			snprintf(error, error_size, "cannot start %s: %s", PROGRAM, strerror(-r));
		else
			r = wait_ready(spawn, ready, error, error_size);
	}
	free(ready);
	free(ledger);
	if (r)
		spawn_end(spawn);
	return r;
}

void spawn_end(struct spawn *spawn)
{
	if (spawn->pid > 0) {
		close(spawn->lifeline);
		kill(spawn->pid, SIGTERM);
		waitpid(spawn->pid, NULL, 0);
	}
	free(spawn->gateway);
	*spawn = (struct spawn){ 0 };
}
