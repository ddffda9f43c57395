/*
 * store_image - where images were published
 *
 * An image stays known when its jobs are forgotten: the same bytes are not sent a second time.
 * Read and written once for each submission of an image: statements are not kept.
 */
#include "store_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int prepare(struct store_db *db, const char *sql, const char *name, const char *place,
		   sqlite3_stmt **stmt)
{
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(*stmt, 1, name, -1, SQLITE_STATIC);
	return rc == SQLITE_OK ? sqlite3_bind_text(*stmt, 2, place, -1, SQLITE_STATIC) : rc;
}

static int take_row(sqlite3_stmt *stmt, struct store_image *out)
{
	int r = job_set(&out->url, (const char *)sqlite3_column_text(stmt, 0));

	out->expires_ms = sqlite3_column_int64(stmt, 1);
	if (r == 0)
		r = job_set(&out->receipt, (const char *)sqlite3_column_text(stmt, 2));
	return r;
}

static int read_locked(struct store_db *db, const char *name, const char *place,
		       struct store_image *out)
{
	sqlite3_stmt *stmt = NULL;
	int rc = prepare(db,
			 "SELECT url, expires_ms, receipt FROM image WHERE name = ? AND place = ?",
			 name, place, &stmt);
	int r = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		r = take_row(stmt, out);
	else if (rc != SQLITE_DONE)
		r = store_errno(db->handle, rc);
	sqlite3_finalize(stmt);
	return r;
}

int store_image(struct store *store, const char *name, const char *place, struct store_image *out)
{
	int r;

	*out = (struct store_image){ 0 };
	pthread_mutex_lock(&store->reader.lock);
	r = read_locked(&store->reader, name, place, out);
	pthread_mutex_unlock(&store->reader.lock);
	if (r < 0)
		store_image_release(out);
	return r;
}

void store_image_release(struct store_image *image)
{
	free(image->url);
	free(image->receipt);
	*image = (struct store_image){ 0 };
}

static int write_locked(struct store_db *db, const char *name, const char *place,
			const struct store_image *image)
{
	sqlite3_stmt *stmt = NULL;
	int rc = prepare(db,
			 "INSERT INTO image (name, place, url, expires_ms, receipt) VALUES "
			 "(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET url = excluded.url, "
			 "expires_ms = excluded.expires_ms, receipt = excluded.receipt",
			 name, place, &stmt);
	int r;

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 3, image->url, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(stmt, 4, image->expires_ms);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 5, image->receipt, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	r = rc == SQLITE_DONE ? 0 : store_errno(db->handle, rc);
	sqlite3_finalize(stmt);
	return r;
}

int store_set_image(struct store *store, const char *name, const char *place,
		    const struct store_image *image)
{
	int r;

	pthread_mutex_lock(&store->writer.lock);
	r = write_locked(&store->writer, name, place, image);
	pthread_mutex_unlock(&store->writer.lock);
	return r;
}
