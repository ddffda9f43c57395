/*
 * store_setting - what the mount keeps besides jobs
 *
 * Read when it is mounted and changed by hand: statements are not kept.
 */
#include "store_internal.h"

#include <errno.h>
#include <string.h>

static int prepare(struct store_db *db, const char *sql, const char *name, sqlite3_stmt **stmt)
{
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, stmt, NULL);

	return rc == SQLITE_OK ? sqlite3_bind_text(*stmt, 1, name, -1, SQLITE_STATIC) : rc;
}

static int read_locked(struct store_db *db, const char *name, char **text)
{
	sqlite3_stmt *stmt = NULL;
	int rc = prepare(db, "SELECT value FROM setting WHERE name = ?", name, &stmt);
	int r = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		const char *value = sqlite3_column_blob(stmt, 0);

		*text = strndup(value ? value : "", (size_t)sqlite3_column_bytes(stmt, 0));
		r = *text ? 0 : -ENOMEM;
	} else if (rc != SQLITE_DONE) {
		r = store_errno(db->handle, rc);
	}
	sqlite3_finalize(stmt);
	return r;
}

int store_setting(struct store *store, const char *name, char **text)
{
	int r;

	*text = NULL;
	pthread_mutex_lock(&store->reader.lock);
	r = read_locked(&store->reader, name, text);
	pthread_mutex_unlock(&store->reader.lock);
	return r;
}

static int write_locked(struct store_db *db, const char *name, const char *text)
{
	sqlite3_stmt *stmt = NULL;
	int rc = prepare(db,
			 text ? "INSERT INTO setting (name, value) VALUES (?, ?) "
				"ON CONFLICT DO UPDATE SET value = excluded.value"
			      : "DELETE FROM setting WHERE name = ?",
			 name, &stmt);
	int r;

	if (rc == SQLITE_OK && text)
		rc = sqlite3_bind_blob64(stmt, 2, text, strlen(text), SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	r = rc == SQLITE_DONE ? 0 : store_errno(db->handle, rc);
	sqlite3_finalize(stmt);
	return r;
}

int store_set_setting(struct store *store, const char *name, const char *text)
{
	int r;

	pthread_mutex_lock(&store->writer.lock);
	r = write_locked(&store->writer, name, text);
	pthread_mutex_unlock(&store->writer.lock);
	return r;
}
