/*
 * upload_exec - commands that publish: which one runs, and what it has said
 *
 * One thread starts them, reads what they print, and ends them: publish() puts an image into
 * `queue`, the thread moves it to `running`, and what is in neither has been answered. Nobody else
 * touches a task that the thread has taken.
 *
 * The receipt is a digest of the command, the end of the URL's life, and the URL: another command
 * is asked anew.
 */
#include "text.h"
#include "upload_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define KEPT_MS     (24 * 3600 * 1000) /* a URL with less to live is not given again */
#define DIGEST_TEXT 17                 /* enough to tell commands apart */
#define POLLS       (3 * UPLOAD_COMMANDS + 1)

struct task {
	TAILQ_ENTRY(task) entry;
	char *image;                               /* path */
	char *variables[UPLOAD_COMMAND_VARIABLES]; /* of the environment */
	char *receipt;
	void (*done)(void *arg, const struct published *result);
	void *arg;

	struct upload_command command;
	int64_t deadline_ms;
	bool late;
};

TAILQ_HEAD(task_list, task);

struct exec {
	struct upload_way way;
	char *where;
	char *text; /* what the shell runs */
	char digest[DIGEST_TEXT];
	int64_t limit_ms;
	bool local;
	int lifeline[2];
	int wakeup; /* eventfd */
	pthread_t thread;
	bool started;

	struct task *running[UPLOAD_COMMANDS]; /* the thread's; NULL: room */

	pthread_mutex_t lock; /* for the rest */
	struct task_list queue;
	bool stopping;
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Receipts */

static char *write_receipt(const struct exec *exec, const char *url, int64_t expires_ms)
{
	return text_format("%s %" PRId64 " %s", exec->digest, expires_ms, url);
}

/* The URL in it, while it is good for long enough and this command's. NULL: ask the command. */
static const char *read_receipt(const struct exec *exec, const char *receipt, int64_t *expires_ms)
{
	size_t len = strlen(exec->digest);
	char *end;
	if (!receipt || strncmp(receipt, exec->digest, len) != 0 || receipt[len] != ' ')
		return NULL;
	*expires_ms = strtoll(receipt + len, &end, 10);
	if (*expires_ms && *expires_ms < clock_ms(CLOCK_REALTIME) + KEPT_MS)
		return NULL;
	return *end == ' ' ? end + 1 : NULL;
}

/* What it printed */

/* "URL" or "URL SECONDS" in its first line. NULL with WHY. */
static const char *read_output(char *output, bool local, int64_t *expires_ms, const char **why)
{
	char *seconds = NULL, *end = NULL;
	output[strcspn(output, "\r\n")] = '\0';
	char *url = strtok_r(output, " \t", &seconds);
	*expires_ms = 0;
	*why = "printed nothing; a URL was expected";
	if (!url)
		return NULL;
	*why = "printed something else than an https:// URL";
	if (strlen(url) > UPLOAD_URL_MAX || !upload_is_fetchable(url, local))
		return NULL;
	seconds += strspn(seconds, " \t");
	if (*seconds) {
		double s = strtod(seconds, &end);
		*why = "printed something else than seconds behind the URL";
		if (end == seconds || end[strspn(end, " \t")] || !(s >= 1 && s <= 1e9))
			return NULL;
		*expires_ms = clock_ms(CLOCK_REALTIME) + (int64_t)(s * 1000);
	}
	return url;
}

static bool is_final(int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	return code == 126 || code == 127 ||
	       (code >= EX__BASE && code <= EX__MAX && code != EX_TEMPFAIL);
}

static void free_task(struct task *task)
{
	free(task->image);
	for (size_t i = 0; i < UPLOAD_COMMAND_VARIABLES; i++)
		free(task->variables[i]);
	free(task->receipt);
	free(task);
}

static void end(struct task *task, const struct published *result)
{
	task->done(task->arg, result);
	free_task(task);
}

static void fail(const struct exec *exec, struct task *task, int error, bool refused,
		 const char *what)
{
	char detail[UPLOAD_DETAIL_MAX];
	upload_answer_clean(task->command.words);
	snprintf(detail, sizeof(detail), "%.200s %s%s%s", exec->where, what,
		 task->command.words[0] ? ": " : "", task->command.words);
	end(task, &(struct published){ .error = error, .refused = refused, .detail = detail });
}

static void succeed(const struct exec *exec, struct task *task)
{
	int64_t expires_ms;
	const char *why, *url = read_output(task->command.output, exec->local, &expires_ms, &why);
	char *receipt = url ? write_receipt(exec, url, expires_ms) : NULL;
	if (!url)
		fail(exec, task, EREMOTEIO, true, why);
	else
		end(task, &(struct published){ .url = url,
					       .expires_ms = expires_ms,
					       .receipt = receipt,
					       .detail = "published by the command" });
	free(receipt);
}

static void judge(const struct exec *exec, struct task *task, int status)
{
	char what[96];
	if (task->late) {
		snprintf(what, sizeof(what), "was killed after %lld s",
			 (long long)(exec->limit_ms / 1000));
		fail(exec, task, ETIMEDOUT, false, what);
	} else if (WIFSIGNALED(status)) {
		snprintf(what, sizeof(what), "was killed by signal %d", WTERMSIG(status));
		fail(exec, task, EREMOTEIO, false, what);
	} else if (WEXITSTATUS(status)) {
		snprintf(what, sizeof(what), "failed with status %d", WEXITSTATUS(status));
		fail(exec, task, EREMOTEIO, is_final(status), what);
	} else {
		succeed(exec, task);
	}
}

static bool answer_from_receipt(const struct exec *exec, struct task *task)
{
	int64_t expires_ms;
	const char *url = read_receipt(exec, task->receipt, &expires_ms);
	if (url)
		end(task, &(struct published){ .url = url,
					       .expires_ms = expires_ms,
					       .receipt = task->receipt,
					       .detail = "published before" });
	return url != NULL;
}

/* The command at SLOT has ended, or is to. */
static void reap(struct exec *exec, struct task **slot, bool stopping)
{
	struct task *task = *slot;
	int status = upload_command_end(&task->command);
	*slot = NULL;
	if (stopping)
		fail(exec, task, ESHUTDOWN, false, "was ended with the mount");
	else
		judge(exec, task, status);
}

/* The thread */

static int start(const struct exec *exec, struct task *task)
{
	task->deadline_ms = clock_ms(CLOCK_MONOTONIC) + exec->limit_ms;
	return upload_command_start(&task->command, exec->text, task->image, task->variables,
				    exec->lifeline[0]);
}

static struct task **find_room(struct exec *exec)
{
	for (size_t i = 0; i < UPLOAD_COMMANDS; i++)
		if (!exec->running[i])
			return &exec->running[i];
	return NULL;
}

/* The next one; NULL: there is none, or no room for it, which it takes none of when all is to end.
 */
static struct task *take_next(struct exec *exec, bool room, bool *stopping)
{
	struct task *task = NULL;
	pthread_mutex_lock(&exec->lock);
	*stopping = exec->stopping;
	if (room || exec->stopping)
		task = TAILQ_FIRST(&exec->queue);
	if (task)
		TAILQ_REMOVE(&exec->queue, task, entry);
	pthread_mutex_unlock(&exec->lock);
	return task;
}

/* Gives whether the thread is to go on. */
static bool start_queued(struct exec *exec)
{
	for (;;) {
		struct task **room = find_room(exec);
		bool stopping;
		struct task *task = take_next(exec, room != NULL, &stopping);
		if (!task)
			return !stopping;
		if (!stopping && answer_from_receipt(exec, task))
			continue;
		int error = stopping || !room ? ESHUTDOWN : -start(exec, task);
		if (error)
			fail(exec, task, error, false, "was not started");
		else
			*room = task;
	}
}

/* Of each slot three, then the wake-up. Gives the milliseconds until something is to be done. */
static int fill_polls(const struct exec *exec, struct pollfd polls[POLLS])
{
	int64_t now = clock_ms(CLOCK_MONOTONIC), left = INT_MAX;
	for (size_t i = 0; i < UPLOAD_COMMANDS; i++) {
		const struct task *task = exec->running[i];
		const int fds[] = { task ? task->command.process : -1,
				    task ? task->command.out : -1, task ? task->command.err : -1 };
		for (size_t j = 0; j < 3; j++)
			polls[3 * i + j] = (struct pollfd){ .fd = fds[j], .events = POLLIN };
		if (task && task->deadline_ms - now < left)
			left = task->deadline_ms - now;
	}
	polls[POLLS - 1] = (struct pollfd){ .fd = exec->wakeup, .events = POLLIN };
	return left > 0 ? (int)left : 0;
}

static void attend(struct exec *exec, const struct pollfd polls[POLLS])
{
	int64_t now = clock_ms(CLOCK_MONOTONIC);
	uint64_t wakeups;
	if (polls[POLLS - 1].revents && read(exec->wakeup, &wakeups, sizeof(wakeups)) < 0)
		wakeups = 0;
	for (size_t i = 0; i < UPLOAD_COMMANDS; i++, polls += 3) {
		struct task *task = exec->running[i];
		if (!task)
			continue;
		if (polls[1].revents)
			upload_command_read_output(&task->command);
		if (polls[2].revents)
			upload_command_read_words(&task->command);
		task->late = !polls[0].revents && now >= task->deadline_ms;
		if (polls[0].revents || task->late)
			reap(exec, &exec->running[i], false);
	}
}

static void *run(void *arg)
{
	struct exec *exec = arg;
	struct pollfd polls[POLLS];
	while (start_queued(exec)) {
		int timeout = fill_polls(exec, polls);
		if (poll(polls, POLLS, timeout) >= 0)
			attend(exec, polls);
	}
	for (size_t i = 0; i < UPLOAD_COMMANDS; i++)
		if (exec->running[i])
			reap(exec, &exec->running[i], true);
	return NULL;
}

static void wake(struct exec *exec)
{
	const uint64_t one = 1;
	ssize_t n = write(exec->wakeup, &one, sizeof(one));
	(void)n; /* full: it is awake */
}

/* From outside */

/* NULL: no memory. */
static struct task *new_task(const struct publish_image *image)
{
	struct task *task = calloc(1, sizeof(*task));
	if (!task)
		return NULL;
	task->image = strdup(image->path);
	task->receipt = image->receipt ? strdup(image->receipt) : NULL;
	task->variables[0] = text_format("PIXAL3DFS_NAME=%s.%s", image->sha256, image->extension);
	task->variables[1] = text_format("PIXAL3DFS_MEDIA_TYPE=%s", image->media_type);
	if (task->image && task->variables[0] && task->variables[1] &&
	    (task->receipt || !image->receipt))
		return task;
	free_task(task);
	return NULL;
}

static int publish(void *ctx, const struct publish_image *image,
		   void (*done)(void *arg, const struct published *result), void *arg)
{
	struct exec *exec = ctx;
	struct task *task = new_task(image);
	if (!task)
		return -ENOMEM;
	task->done = done;
	task->arg = arg;
	pthread_mutex_lock(&exec->lock);
	bool stopping = exec->stopping;
	if (!stopping)
		TAILQ_INSERT_TAIL(&exec->queue, task, entry);
	pthread_mutex_unlock(&exec->lock);
	if (stopping)
		free_task(task);
	else
		wake(exec);
	return stopping ? -ESHUTDOWN : 0;
}

static int start_thread(void *ctx)
{
	struct exec *exec = ctx;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&exec->thread, NULL, run, exec);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	exec->started = !error;
	return -error;
}

static void stop(void *ctx)
{
	struct exec *exec = ctx;
	pthread_mutex_lock(&exec->lock);
	exec->stopping = true;
	pthread_mutex_unlock(&exec->lock);
	wake(exec);
	if (exec->started)
		pthread_join(exec->thread, NULL);
	else
		run(exec);
	exec->started = false;
}

static void free_exec(void *ctx)
{
	struct exec *exec = ctx;
	upload_close_all((int[]){ exec->lifeline[0], exec->lifeline[1], exec->wakeup }, 3);
	pthread_mutex_destroy(&exec->lock);
	free(exec->where);
	free(exec->text);
	free(exec);
}

/* What a shell would not read as anything else is the name of a program, which gets the path. */
static char *shell_text(const char *command)
{
	bool plain = !command[strcspn(command, " \t|&;<>()$`\\\"'*?[#~=%!{}\n")];
	return text_format("%s%s", command, plain ? " \"$1\"" : "");
}

static void digest_command(struct exec *exec)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	memset(digest, 0, sizeof(digest));
	EVP_Digest(exec->text, strlen(exec->text), digest, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < DIGEST_TEXT / 2; i++)
		snprintf(exec->digest + 2 * i, 3, "%02x", digest[i]);
}

struct upload_way *upload_exec_new(const struct upload_conf *conf)
{
	struct exec *exec = calloc(1, sizeof(*exec));
	if (!exec)
		return NULL;
	TAILQ_INIT(&exec->queue);
	pthread_mutex_init(&exec->lock, NULL);
	exec->lifeline[0] = exec->lifeline[1] = -1;
	exec->where = strdup(conf->target);
	exec->text = shell_text(strchr(conf->target, ':') + 1);
	exec->limit_ms = conf->command_ms ? conf->command_ms : 1000 * UPLOAD_COMMAND_S;
	exec->local = conf->local;
	exec->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!exec->where || !exec->text || exec->wakeup < 0 || upload_pipe(exec->lifeline)) {
		free_exec(exec);
		return NULL;
	}
	digest_command(exec);
	exec->way = (struct upload_way){
		.publisher = { .ctx = exec, .where = exec->where, .publish = publish },
		.start = start_thread,
		.stop = stop,
		.free = free_exec,
	};
	return &exec->way;
}
