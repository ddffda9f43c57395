/*
 * store_charge - what the attempts have cost
 *
 * store.c writes the charges, each with its job; this adds them up.
 */
#include "store_internal.h"

#include <string.h>

static int sum_locked(sqlite3 *db, int64_t since_ms, int64_t spent[JOB_STATES])
{
	sqlite3_stmt *stmt = NULL;
	enum job_state state;
	int rc = sqlite3_prepare_v2(
		db, "SELECT state, sum(micros) FROM charge WHERE at_ms >= ? GROUP BY state", -1,
		&stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(stmt, 1, since_ms);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	while (rc == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(stmt, 0);

		if (!name || !store_state_named(name, &state)) {
			rc = SQLITE_CORRUPT;
			break;
		}
		spent[state] = sqlite3_column_int64(stmt, 1);
		rc = sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : store_errno(db, rc);
}

int store_spent(struct store *store, int64_t since_ms, int64_t spent[JOB_STATES])
{
	struct store_db *db = &store->reader;
	int r;

	memset(spent, 0, JOB_STATES * sizeof(spent[0]));
	pthread_mutex_lock(&db->lock);
	r = sum_locked(db->handle, since_ms, spent);
	pthread_mutex_unlock(&db->lock);
	return r;
}
