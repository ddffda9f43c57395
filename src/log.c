#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARN] = { "warn", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};
#define LEVELS (sizeof levels / sizeof levels[0])

static enum log_level threshold = LOG_LEVEL_INFO;
static bool use_syslog;
static bool to_journal;

/* systemd names in $JOURNAL_STREAM the stream that it reads from a service. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;
	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_setup(enum log_level level, bool to_syslog)
{
	threshold = level;
	use_syslog = to_syslog;
	to_journal = !to_syslog && stderr_is_journal();
	if (to_syslog)
		openlog("pixal3dfs", LOG_PID, LOG_DAEMON);
}

int log_level_parse(const char *name)
{
	for (size_t i = 0; i < LEVELS; i++)
		if (strcmp(name, levels[i].name) == 0)
			return (int)i;
	return -1;
}

/* What comes from the network must not be able to forge a line or drive a terminal. */
static void defuse(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = ' ';
}

__attribute__((format(printf, 3, 0))) static void emit(enum log_level level, int error,
						       const char *fmt, va_list args)
{
	if (level > threshold)
		return;
	int saved = errno;
	char line[2048], why[128];
	vsnprintf(line, sizeof line, fmt, args);
	defuse(line);
	const char *reason = error ? strerror_r(error, why, sizeof why) : "";
	const char *colon = error ? ": " : "";
	if (use_syslog)
		syslog(levels[level].priority, "%s%s%s", line, colon, reason);
	else if (to_journal)
		fprintf(stderr, "<%d>%s%s%s\n", levels[level].priority, line, colon, reason);
	else
		fprintf(stderr, "pixal3dfs: %s: %s%s%s\n", levels[level].name, line, colon, reason);
	errno = saved;
}

#define EMIT(level, error)                                                                         \
	do {                                                                                       \
		va_list args;                                                                      \
		va_start(args, fmt);                                                               \
		emit(level, error, fmt, args);                                                     \
		va_end(args);                                                                      \
	} while (0)

void log_error(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_ERROR, 0);
}

void log_warn(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_WARN, 0);
}

void log_info(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_INFO, 0);
}

void log_debug(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_DEBUG, 0);
}

int log_errno(int r, const char *fmt, ...)
{
	EMIT(LOG_LEVEL_ERROR, -r);
	return r;
}
