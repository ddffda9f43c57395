/*
 * log - what the driver tells its operator
 *
 * Role:    levelled lines to stderr (foreground; with their priority when that is the journal) or
 *          syslog (background).
 * Threads: any thread may call; one call is one line.
 * Owns:    the process's level and destination, the one process-wide state of the driver.
 *
 * The key, and URLs' query parts (they may be signed), are never passed in here.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Lines up to LEVEL are written, to syslog when TO_SYSLOG, else to stderr. Call before threads
 * start. */
void log_setup(enum log_level level, bool to_syslog);

/* The level named "error", "warn", "info" or "debug"; -1 for anything else. */
int log_level_parse(const char *name);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Logs an error and gives R back: `return log_errno(-errno, "open %s", path);`. The text of -R is
 * appended. */
int log_errno(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
