/*
 * upload_command - the processes of a command
 *
 * They are a group of their own, which dies with the command itself, with upload_command_end(), and
 * with the driver however that ends: a watcher in the group reads a pipe that nobody writes to (the
 * lifeline), and kills the group when that closes. Init adopts it, so that the command has no child
 * that it did not make.
 */
#include "upload_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define FD_FIRST 10 /* ours are out of the way of what the child sets up */
#define LIFELINE 3  /* the child's */
#define READ_MAX 4096
#define DRAINS   32 /* reads of what is left: more than a pipe holds */

void upload_close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int upload_pipe(int ends[2])
{
	int low[2], r = 0;
	ends[0] = ends[1] = -1;
	if (pipe2(low, O_CLOEXEC))
		return -errno;
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, FD_FIRST);
		if (ends[i] < 0)
			r = -errno;
	}
	upload_close_all(low, 2);
	return r;
}

/* Starting: what has no error of its own gives 0 or an errno, as posix_spawn() does. */

/* The driver's own, which has no secret any more (see secret.h), and VARIABLES. Heap, one block. */
static char **make_environment(char *const variables[UPLOAD_COMMAND_VARIABLES])
{
	size_t count = 0;
	while (environ[count])
		count++;
	char **all = calloc(UPLOAD_COMMAND_VARIABLES + count + 1, sizeof(*all));
	if (!all)
		return NULL;
	for (size_t i = 0; i < UPLOAD_COMMAND_VARIABLES; i++)
		all[i] = variables[i];
	memcpy(all + UPLOAD_COMMAND_VARIABLES, environ, count * sizeof(*all));
	return all;
}

static int set_up_files(posix_spawn_file_actions_t *files, const char *image, int out, int err,
			int lifeline)
{
	int r = posix_spawn_file_actions_addopen(files, 0, image, O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(files, out, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(files, err, 2);
	if (!r)
		r = posix_spawn_file_actions_adddup2(files, lifeline, LIFELINE);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(files, LIFELINE + 1);
	return r;
}

static int set_up_process(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int r = posix_spawnattr_setflags(
		attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (!r)
		r = posix_spawnattr_setsigmask(attributes, &none);
	return r ? r : posix_spawnattr_setsigdefault(attributes, &all);
}

/* $0 is the command, $1 the image. */
static const char watched[] = "( { read -r _; kill -KILL 0; } <&3 >/dev/null 2>&1 & )\n"
			      "exec 3<&-\n"
			      "exec /bin/sh -c \"$0\" sh \"$1\"";

static int spawn(pid_t *pid, const char *text, const char *image,
		 const posix_spawn_file_actions_t *files, char *const variables[])
{
	const char *argv[] = { "sh", "-c", watched, text, image, NULL };
	char **environment = make_environment(variables);
	posix_spawnattr_t attributes;
	posix_spawnattr_init(&attributes);
	int r = environment ? set_up_process(&attributes) : ENOMEM;
	if (!r)
		r = posix_spawn(pid, "/bin/sh", files, &attributes, (char **)argv, environment);
	posix_spawnattr_destroy(&attributes);
	free(environment);
	return r;
}

static int open_process(struct upload_command *command)
{
	command->process = pidfd_open(command->pid, 0);
	if (command->process >= 0)
		return 0;
	int r = errno;
	kill(-command->pid, SIGKILL);
	waitpid(command->pid, NULL, 0);
	return r;
}

int upload_command_start(struct upload_command *command, const char *text, const char *image,
			 char *const variables[UPLOAD_COMMAND_VARIABLES], int lifeline)
{
	posix_spawn_file_actions_t files;
	int ends[4] = { -1, -1, -1, -1 };
	int r = -upload_pipe(&ends[0]);
	if (!r)
		r = -upload_pipe(&ends[2]);
	posix_spawn_file_actions_init(&files);
	if (!r)
		r = set_up_files(&files, image, ends[1], ends[3], lifeline);
	if (!r)
		r = spawn(&command->pid, text, image, &files, variables);
	posix_spawn_file_actions_destroy(&files);
	if (!r)
		r = open_process(command);
	command->out = ends[0];
	command->err = ends[2];
	upload_close_all((int[]){ ends[1], ends[3] }, 2);
	if (r) {
		upload_close_all((int[]){ ends[0], ends[2] }, 2);
		return -r;
	}
	fcntl(command->out, F_SETFL, O_NONBLOCK);
	fcntl(command->err, F_SETFL, O_NONBLOCK);
	return 0;
}

/* Reading and ending */

/* Gives false when there is no more, for now or ever. */
static bool read_some(int *fd, char *buf, size_t size, size_t *len)
{
	ssize_t n = *fd < 0 ? 0 : read(*fd, buf, size);
	*len = n > 0 ? (size_t)n : 0;
	if (n == 0 && *fd >= 0) {
		close(*fd);
		*fd = -1; /* poll() leaves it alone */
	}
	return n > 0;
}

bool upload_command_read_output(struct upload_command *command)
{
	char rest[READ_MAX];
	size_t room = UPLOAD_OUTPUT_MAX - command->output_len, len;
	if (!room)
		return read_some(&command->out, rest, sizeof(rest), &len);
	bool more = read_some(&command->out, command->output + command->output_len, room, &len);
	command->output_len += len;
	return more;
}

bool upload_command_read_words(struct upload_command *command)
{
	char part[READ_MAX];
	size_t len, kept = command->words_len;
	if (!read_some(&command->err, part, sizeof(part), &len))
		return false;
	size_t more = len < UPLOAD_WORDS_MAX ? len : UPLOAD_WORDS_MAX;
	if (kept > UPLOAD_WORDS_MAX - more)
		kept = UPLOAD_WORDS_MAX - more;
	memmove(command->words, command->words + command->words_len - kept, kept);
	memcpy(command->words + kept, part + len - more, more);
	command->words_len = kept + more;
	return true;
}

int upload_command_end(struct upload_command *command)
{
	int status = 0;
	/* Until it is waited for, its number is nobody else's group. */
	kill(-command->pid, SIGKILL);
	while (waitpid(command->pid, &status, 0) < 0 && errno == EINTR)
		;
	/* Nobody has the other ends any more, but for who left the group. */
	for (int i = 0; i < DRAINS && upload_command_read_output(command); i++)
		;
	for (int i = 0; i < DRAINS && upload_command_read_words(command); i++)
		;
	upload_close_all((int[]){ command->process, command->out, command->err }, 3);
	return status;
}
