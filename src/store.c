/*
 * store - jobs in an SQLite database
 *
 *   job      one row each, all of struct job but its outputs
 *   output   (number, position): the outputs of a job
 *   text     (number, which): a job's texts; apart, so that loading all jobs reads none of them
 *   log      (number, position): the lines of JOB_TEXT_LOG, so that appending rewrites nothing
 *   image    where an image is public; store_image.c has it
 *   charge   (number, attempt): what each attempt has cost; stays when its job is forgotten;
 *            store_charge.c reads it
 *
 * Numbers are never reused (AUTOINCREMENT), and states are stored by name: enum job_state may be
 * reordered. Every change is one transaction on the writer's connection; when it fails, nothing of
 * it is visible, then or after a crash.
 */
#include "store_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOB_VALUES "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"

static const char *const sql[STORE_STATEMENTS] = {
	[STORE_BEGIN] = "BEGIN IMMEDIATE",
	[STORE_COMMIT] = "COMMIT",
	[STORE_ROLLBACK] = "ROLLBACK",
	[STORE_TOUCH] = "PRAGMA user_version = " STORE_TEXT(STORE_FORMAT),
	[STORE_INSERT_JOB] = "INSERT INTO job (" STORE_JOB_COLUMNS ") VALUES " JOB_VALUES,
	[STORE_UPDATE_JOB] = "UPDATE job SET (" STORE_JOB_COLUMNS ") = " JOB_VALUES
			     " WHERE number = ?",
	[STORE_DELETE_JOB] = "DELETE FROM job WHERE number = ?",
	[STORE_INSERT_OUTPUT] = "INSERT INTO output (" STORE_OUTPUT_COLUMNS
				") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[STORE_DELETE_OUTPUTS] = "DELETE FROM output WHERE number = ?",
	[STORE_SET_TEXT] = "INSERT INTO text (number, which, body) VALUES (?, ?, ?) "
			   "ON CONFLICT DO UPDATE SET body = excluded.body",
	[STORE_DELETE_TEXTS] = "DELETE FROM text WHERE number = ?",
	[STORE_APPEND_LOG] = "INSERT INTO log (number, position, line) SELECT ?1, "
			     "ifnull((SELECT max(position) FROM log WHERE number = ?1), 0) + 1, ?2",
	[STORE_DELETE_LOG] = "DELETE FROM log WHERE number = ?",
	/* Its time stays that of the submission. */
	[STORE_SET_CHARGE] = "INSERT INTO charge (number, attempt, at_ms, state, micros) "
			     "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
			     "SET state = excluded.state, micros = excluded.micros "
			     "WHERE state != excluded.state OR micros != excluded.micros",
	/* A job that is WAITING has bought nothing yet. */
	[STORE_RELEASE_CHARGE] = "DELETE FROM charge WHERE (number, attempt) = (SELECT number, "
				 "attempts FROM job WHERE number = ? AND state = 'WAITING')",
	/* No row: no such job. A row with NULL: no such text. */
	[STORE_READ_TEXT] = "SELECT body FROM job LEFT JOIN text "
			    "ON text.number = job.number AND which = ?2 WHERE job.number = ?1",
	[STORE_READ_LOG] = "SELECT line FROM job LEFT JOIN log ON log.number = job.number "
			   "WHERE job.number = ?1 AND ?2 = ?2 ORDER BY position",
};

static void put_int(struct store_cursor *c, int64_t value)
{
	if (c->rc == SQLITE_OK)
		c->rc = sqlite3_bind_int64(c->stmt, c->next++, value);
}

static void put_text(struct store_cursor *c, const char *text)
{
	if (c->rc == SQLITE_OK)
		c->rc = sqlite3_bind_text(c->stmt, c->next++, text, -1, SQLITE_STATIC);
}

static void put_blob(struct store_cursor *c, const void *data, size_t len)
{
	if (c->rc == SQLITE_OK)
		c->rc = sqlite3_bind_blob64(c->stmt, c->next++, len ? data : "", len,
					    SQLITE_STATIC);
}

/* A cursor on a statement whose parameters, if any, are to be put. */
static struct store_cursor statement(struct store_db *db, enum store_statement which)
{
	struct store_cursor c = { .next = 1, .rc = SQLITE_OK };

	if (!db->cache[which])
		c.rc = sqlite3_prepare_v3(db->handle, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
					  &db->cache[which], NULL);
	c.stmt = db->cache[which];
	return c;
}

/* Runs a statement without rows to its end. */
static int run(struct store_db *db, struct store_cursor *c)
{
	int r;

	if (c->rc == SQLITE_OK)
		c->rc = sqlite3_step(c->stmt);
	r = c->rc == SQLITE_DONE ? 0 : store_errno(db->handle, c->rc);
	sqlite3_reset(c->stmt);
	sqlite3_clear_bindings(c->stmt);
	return r;
}

static int run_plain(struct store_db *db, enum store_statement which)
{
	struct store_cursor c = statement(db, which);

	return run(db, &c);
}

static int run_for(struct store_db *db, enum store_statement which, uint64_t number)
{
	struct store_cursor c = statement(db, which);

	put_int(&c, (int64_t)number);
	return run(db, &c);
}

/* What is written to books that somebody removed or moved is forgotten with the mount. */
static bool are_gone(sqlite3 *db)
{
	int moved = 0;

	return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	       moved;
}

static int begin(struct store *store)
{
	int r;

	pthread_mutex_lock(&store->writer.lock);
	r = are_gone(store->writer.handle) ? -EIDRM : run_plain(&store->writer, STORE_BEGIN);
	if (r)
		pthread_mutex_unlock(&store->writer.lock);
	return r;
}

/*
 * A commit that failed in the disk's sync may have written all its frames to the log, and a crash
 * would bring them back: a refused submission would be sent. An innocent commit in the same place
 * of the log breaks their chain of checksums.
 */
static void bury(struct store *store)
{
	run_plain(&store->writer, STORE_TOUCH);
}

/* Commits when R is 0, else rolls back. Gives the first error. */
static int end(struct store *store, int r)
{
	struct store_db *db = &store->writer;

	if (!r) {
		r = run_plain(db, STORE_COMMIT);
		if (r) {
			if (!sqlite3_get_autocommit(db->handle))
				run_plain(db, STORE_ROLLBACK);
			bury(store);
		}
	} else if (!sqlite3_get_autocommit(db->handle)) {
		run_plain(db, STORE_ROLLBACK);
	}
	pthread_mutex_unlock(&db->lock);
	return r;
}

static void put_job(struct store_cursor *c, const struct job *job)
{
	put_text(c, job->name);
	put_text(c, job->label);
	put_text(c, job_state_name(job->state));
	put_text(c, job->word);
	put_text(c, job->request_id);
	put_text(c, job->polling_url);
	put_text(c, job->error);
	put_int(c, job->error_errno);
	put_int(c, job->attempts);
	put_int(c, job->failures);
	put_int(c, job->created_ms);
	put_int(c, job->submitted_ms);
	put_int(c, job->changed_ms);
	put_int(c, job->ended_ms);
	put_int(c, job->retry_at_ms);
	put_int(c, job->hidden);
	put_int(c, job->uid);
	put_int(c, job->gid);
	put_int(c, job->mode);
	put_int(c, job->output_unreachable);
	put_text(c, job->origin);
	put_text(c, job->warning);
	put_int(c, job->retries);
	put_int(c, job->price);
	put_int(c, job->earlier);
	put_text(c, job->token);
	put_text(c, job->claim);
	put_int(c, job->text_len[JOB_TEXT_PARAMS]);
	put_int(c, job->text_len[JOB_TEXT_STATUS]);
	put_int(c, job->text_len[JOB_TEXT_LOG]);
	put_text(c, job->image_url);
	put_int(c, job->texture_size);
	put_text(c, job->image);
}

static int write_outputs(struct store_db *db, uint64_t number, const struct job *job)
{
	int r = run_for(db, STORE_DELETE_OUTPUTS, number);

	for (size_t i = 0; !r && i < job->output_count; i++) {
		const struct job_output *output = &job->outputs[i];
		struct store_cursor c = statement(db, STORE_INSERT_OUTPUT);

		put_int(&c, (int64_t)number);
		put_int(&c, (int64_t)i);
		put_text(&c, output->url);
		put_text(&c, output->name);
		put_text(&c, output->media_type);
		put_text(&c, output->etag);
		put_text(&c, output->sha256);
		put_int(&c, output->size);
		put_int(&c, output->mtime_ms);
		r = run(db, &c);
	}
	return r;
}

static int write_text(struct store_db *db, uint64_t number, enum job_text which, const char *body,
		      size_t len)
{
	struct store_cursor c;

	if (!body)
		return 0;
	c = statement(db, STORE_SET_TEXT);
	put_int(&c, (int64_t)number);
	put_int(&c, which);
	put_blob(&c, body, len);
	return run(db, &c);
}

static int append_log(struct store_db *db, uint64_t number, int64_t time_ms, const char *line)
{
	char time[JOB_TIME_MAX];
	struct store_cursor c;
	char *text;
	int len, r;

	if (!line)
		return 0;
	len = asprintf(&text, "%s %s\n", job_time(time_ms, time), line);
	if (len < 0)
		return -ENOMEM;
	c = statement(db, STORE_APPEND_LOG);
	put_int(&c, (int64_t)number);
	put_blob(&c, text, (size_t)len);
	r = run(db, &c);
	free(text);
	return r;
}

static int write_charge(struct store_db *db, uint64_t number, const struct job *job)
{
	struct store_cursor c;

	if (!job->attempts)
		return 0;
	c = statement(db, STORE_SET_CHARGE);
	put_int(&c, (int64_t)number);
	put_int(&c, job->attempts);
	put_int(&c, job->changed_ms);
	put_text(&c, job_state_name(job->state));
	put_int(&c, job_cost(job));
	return run(db, &c);
}

/* Everything of a job but its row. */
static int write_rest(struct store_db *db, uint64_t number, const struct job *job,
		      const struct store_texts *texts)
{
	int r = write_outputs(db, number, job);

	if (!r)
		r = write_charge(db, number, job);
	if (!r)
		r = write_text(db, number, JOB_TEXT_PARAMS, texts->params,
			       texts->params ? strlen(texts->params) : 0);
	if (!r)
		r = write_text(db, number, JOB_TEXT_ANSWER, texts->answer, texts->answer_len);
	if (!r)
		r = write_text(db, number, JOB_TEXT_STATUS, texts->status, texts->status_len);
	if (!r)
		r = append_log(db, number, job->changed_ms, texts->log_line);
	return r;
}

static int insert_locked(struct store_db *db, const struct job *job,
			 const struct store_texts *texts, uint64_t *number)
{
	struct store_cursor c = statement(db, STORE_INSERT_JOB);
	int r;

	put_job(&c, job);
	r = run(db, &c);
	if (r)
		return r;
	*number = (uint64_t)sqlite3_last_insert_rowid(db->handle);
	return write_rest(db, *number, job, texts);
}

static int update_locked(struct store_db *db, const struct job *job,
			 const struct store_texts *texts)
{
	struct store_cursor c = statement(db, STORE_UPDATE_JOB);
	int r;

	put_job(&c, job);
	put_int(&c, (int64_t)job->number);
	r = run(db, &c);
	if (!r && sqlite3_changes(db->handle) == 0)
		r = -ENOENT;
	return r ? r : write_rest(db, job->number, job, texts);
}

/* What TEXTS make of the lengths in JOB's record. */
static void measure(struct job *job, const struct store_texts *texts)
{
	char time[JOB_TIME_MAX];

	if (texts->params)
		job->text_len[JOB_TEXT_PARAMS] = (uint32_t)strlen(texts->params);
	if (texts->status)
		job->text_len[JOB_TEXT_STATUS] = (uint32_t)texts->status_len;
	if (texts->log_line)
		job->text_len[JOB_TEXT_LOG] += (uint32_t)(strlen(job_time(job->changed_ms, time)) +
							  strlen(texts->log_line) + 2);
}

/* What a transaction changes of a job in memory, which it takes back when it fails. */
struct undo {
	uint64_t number;
	uint32_t text_len[JOB_TEXTS];
};

static int apply_locked(struct store_db *db, const struct store_change *change, struct undo *undo)
{
	struct job *job = change->job;

	undo->number = job->number;
	memcpy(undo->text_len, job->text_len, sizeof(undo->text_len));
	measure(job, &change->texts);
	return job->number ? update_locked(db, job, &change->texts)
			   : insert_locked(db, job, &change->texts, &job->number);
}

int store_apply(struct store *store, struct store_change *changes, size_t count)
{
	struct undo *undo = calloc(count ? count : 1, sizeof(*undo));
	int r = undo ? begin(store) : -ENOMEM;
	size_t done = 0;

	if (r) {
		free(undo);
		return r;
	}
	while (!r && done < count) {
		r = apply_locked(&store->writer, &changes[done], &undo[done]);
		done++;
	}
	r = end(store, r);
	for (size_t i = 0; r && i < done; i++) {
		changes[i].job->number = undo[i].number;
		memcpy(changes[i].job->text_len, undo[i].text_len, sizeof(undo[i].text_len));
	}
	free(undo);
	return r;
}

int store_insert(struct store *store, struct job *job, const struct store_texts *texts)
{
	struct store_change change = { .job = job };

	if (texts)
		change.texts = *texts;
	job->number = 0;
	return store_apply(store, &change, 1);
}

int store_update(struct store *store, struct job *job, const struct store_texts *texts)
{
	struct store_change change = { .job = job };

	if (texts)
		change.texts = *texts;
	return job->number ? store_apply(store, &change, 1) : -ENOENT;
}

int store_forget(struct store *store, uint64_t number)
{
	static const enum store_statement steps[] = {
		STORE_RELEASE_CHARGE, STORE_DELETE_OUTPUTS, STORE_DELETE_TEXTS,
		STORE_DELETE_LOG,     STORE_DELETE_JOB,
	};
	struct store_db *db = &store->writer;
	int r = begin(store);

	if (r)
		return r;
	for (size_t i = 0; !r && i < sizeof(steps) / sizeof(steps[0]); i++)
		r = run_for(db, steps[i], number);
	if (!r && sqlite3_changes(db->handle) == 0)
		r = -ENOENT;
	return end(store, r);
}

/* Adds every row's first column to OUT. */
static int collect(struct store_db *db, struct store_cursor *c, FILE *out)
{
	bool any = false;
	int r;

	while (c->rc == SQLITE_OK && sqlite3_step(c->stmt) == SQLITE_ROW) {
		const void *data = sqlite3_column_blob(c->stmt, 0);
		size_t len = (size_t)sqlite3_column_bytes(c->stmt, 0);

		any = true;
		if (len && !data)
			c->rc = SQLITE_NOMEM;
		else
			fwrite(data ? data : "", 1, len, out);
	}
	if (c->rc == SQLITE_OK)
		c->rc = sqlite3_reset(c->stmt);
	r = c->rc == SQLITE_OK ? 0 : store_errno(db->handle, c->rc);
	sqlite3_reset(c->stmt);
	sqlite3_clear_bindings(c->stmt);
	return r || any ? r : -ENOENT;
}

int store_text(struct store *store, uint64_t number, enum job_text which, char **out, size_t *len)
{
	struct store_db *db = &store->reader;
	struct store_cursor c;
	char *text = NULL;
	FILE *stream = open_memstream(&text, len);
	int r;

	if (!stream)
		return -ENOMEM;
	pthread_mutex_lock(&db->lock);
	c = statement(db, which == JOB_TEXT_LOG ? STORE_READ_LOG : STORE_READ_TEXT);
	put_int(&c, (int64_t)number);
	put_int(&c, which);
	r = collect(db, &c, stream);
	pthread_mutex_unlock(&db->lock);
	if (fclose(stream) && !r)
		r = -ENOMEM;
	if (r) {
		free(text);
		return r;
	}
	*out = text;
	return 0;
}
