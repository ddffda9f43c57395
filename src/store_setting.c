/*
 * store_setting - what the mount keeps besides jobs
 *
 * Read when it is mounted and changed by hand: statements are not kept.
 */
#include "store_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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

/* No job, and none that was forgotten after it had cost something. */
static int is_blank(struct store *store, bool *blank)
{
	struct store_db *db = &store->reader;
	sqlite3_stmt *stmt = NULL;
	int rc, r = 0;

	pthread_mutex_lock(&db->lock);
	rc = sqlite3_prepare_v2(
		db->handle, "SELECT NOT EXISTS (SELECT 1 FROM job UNION ALL SELECT 1 FROM charge)",
		-1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*blank = sqlite3_column_int(stmt, 0);
	else
		r = store_errno(db->handle, rc);
	sqlite3_finalize(stmt);
	pthread_mutex_unlock(&db->lock);
	return r;
}

#define GATEWAY "gateway"

int store_belong(struct store *store, const char *gateway, char error[STORE_ERROR_MAX])
{
	char *owner = NULL;
	bool blank = false;
	int r = store_setting(store, GATEWAY, &owner);

	if (r == 0 && owner && strcmp(owner, gateway) == 0) {
		free(owner);
		return 0;
	}
	if (r == 0 && owner)
		r = is_blank(store, &blank);
	if (r == 0 && (!owner || blank))
		r = store_set_setting(store, GATEWAY, gateway);
	else if (r == 0)
		r = -EXDEV;
	if (r == -EXDEV)
		snprintf(
			error, STORE_ERROR_MAX,
			"the books are of jobs at %s, and not at %s: give this mount a state_dir= of its own",
			owner, gateway);
	else if (r < 0)
		snprintf(error, STORE_ERROR_MAX, "the books cannot be read: %s", strerror(-r));
	free(owner);
	return r;
}

static int draw_name(struct store *store, char name[STORE_NAME_MAX])
{
	unsigned char random[(STORE_NAME_MAX - 1) / 2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -errno;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(name + 2 * i, 3, "%02x", random[i]);
	return store_set_setting(store, "name", name);
}

int store_name(struct store *store, char name[STORE_NAME_MAX])
{
	char *known;
	int r = store_setting(store, "name", &known);

	if (r)
		return r;
	if (known)
		snprintf(name, STORE_NAME_MAX, "%s", known);
	free(known);
	return known ? 0 : draw_name(store, name);
}
