/*
 * store_internal - what the parts of the store share
 *
 * store_open.c finds out whether a directory holds our books and makes them when there are none;
 * store_load.c reads all jobs, store.c changes them and reads their texts, store_charge.c adds up
 * what they have cost, store_setting.c has what is kept besides jobs, store_image.c what was
 * published.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>

#define STORE_APPLICATION 0x50334653 /* "P3FS", in the file's header */
#define STORE_FORMAT      7          /* raised with every step of store_open.c */

#define STORE_TEXT_OF(value) #value
#define STORE_TEXT(macro)    STORE_TEXT_OF(macro)

/* store.c writes them and store_load.c reads them in this order. */
#define STORE_JOB_COLUMNS                                                                          \
	"name, label, state, word, request_id, polling_url, error, error_errno, attempts, "        \
	"failures, created_ms, submitted_ms, changed_ms, ended_ms, retry_at_ms, hidden, uid, "     \
	"gid, mode, output_unreachable, origin, warning, retries, price, earlier, token, claim, "  \
	"params_len, status_len, log_len, image_url, texture_size, image"
#define STORE_OUTPUT_COLUMNS "number, position, url, name, media_type, etag, sha256, size, mtime_ms"

enum store_statement {
	STORE_BEGIN,
	STORE_COMMIT,
	STORE_ROLLBACK,
	STORE_TOUCH,
	STORE_INSERT_JOB,
	STORE_UPDATE_JOB,
	STORE_DELETE_JOB,
	STORE_INSERT_OUTPUT,
	STORE_DELETE_OUTPUTS,
	STORE_SET_TEXT,
	STORE_DELETE_TEXTS,
	STORE_APPEND_LOG,
	STORE_DELETE_LOG,
	STORE_SET_CHARGE,
	STORE_RELEASE_CHARGE,
	STORE_READ_TEXT,
	STORE_READ_LOG,
	STORE_STATEMENTS
};

/* One connection. */
struct store_db {
	pthread_mutex_t lock; /* for all of it */
	sqlite3 *handle;
	sqlite3_stmt *cache[STORE_STATEMENTS]; /* prepared when first used */
};

/* Goes from left to right over a statement's parameters, or over the columns of its row; the first
 * error sticks. */
struct store_cursor {
	sqlite3_stmt *stmt;
	int next;
	int rc;
};

struct store {
	int lock_fd;            /* flock: this driver has the directory */
	struct store_db writer; /* commits wait for the disk under its lock, */
	struct store_db reader; /* so readers have a connection of their own */
};

/* An SQLite result code of the last call on DB as -errno. */
int store_errno(sqlite3 *db, int rc);
/* The state that the books call NAME; false: none. */
bool store_state_named(const char *name, enum job_state *state);
/* Closes what is open of DB. */
void store_db_release(struct store_db *db);

#endif
