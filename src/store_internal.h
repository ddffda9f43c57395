/*
 * store_internal - what store.c and store_open.c share
 *
 * store_open.c finds out whether a directory holds our books and makes them when there are none;
 * store.c reads and changes them, store_charge.c adds up what they have cost, store_setting.c
 * has what is kept besides jobs.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store.h"

#include <pthread.h>
#include <sqlite3.h>

#define STORE_APPLICATION 0x50334653 /* "P3FS", in the file's header */
#define STORE_FORMAT      6          /* raised with every step of store_open.c */

#define STORE_TEXT_OF(value) #value
#define STORE_TEXT(macro)    STORE_TEXT_OF(macro)

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

struct store {
	int lock_fd;            /* flock: this driver has the directory */
	struct store_db writer; /* commits wait for the disk under its lock, */
	struct store_db reader; /* so readers have a connection of their own */
};

/* An SQLite result code of the last call on DB as -errno. */
int store_errno(sqlite3 *db, int rc);
/* Closes what is open of DB. */
void store_db_release(struct store_db *db);

#endif
