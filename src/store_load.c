/*
 * store_load - all jobs into memory, once, when the mount begins
 */
#include "store_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int64_t take_int(struct store_cursor *c)
{
	return sqlite3_column_int64(c->stmt, c->next++);
}

static void take_text(struct store_cursor *c, char **field)
{
	int column = c->next++;
	const char *text = (const char *)sqlite3_column_text(c->stmt, column);

	if (job_set(field, text) || (!text && sqlite3_column_type(c->stmt, column) != SQLITE_NULL))
		c->rc = SQLITE_NOMEM;
}

bool store_state_named(const char *name, enum job_state *state)
{
	for (int i = 0; i < JOB_STATES; i++) {
		*state = (enum job_state)i;
		if (!strcmp(name, job_state_name(*state)))
			return true;
	}
	return false;
}

static int take_state(struct store_cursor *c, enum job_state *state)
{
	const char *name = (const char *)sqlite3_column_text(c->stmt, c->next++);

	if (!name)
		return -ENOMEM;
	return store_state_named(name, state) ? 0 : -EUCLEAN;
}

static int take_job(struct store_cursor *c, struct job *job)
{
	int r;

	take_text(c, &job->name);
	take_text(c, &job->label);
	r = take_state(c, &job->state);
	take_text(c, &job->word);
	take_text(c, &job->request_id);
	take_text(c, &job->polling_url);
	take_text(c, &job->error);
	job->error_errno = (int)take_int(c);
	job->attempts = (unsigned)take_int(c);
	job->failures = (unsigned)take_int(c);
	job->created_ms = take_int(c);
	job->submitted_ms = take_int(c);
	job->changed_ms = take_int(c);
	job->ended_ms = take_int(c);
	job->retry_at_ms = take_int(c);
	job->hidden = (uint32_t)take_int(c);
	job->uid = (uid_t)take_int(c);
	job->gid = (gid_t)take_int(c);
	job->mode = (mode_t)take_int(c);
	job->output_unreachable = take_int(c) != 0;
	take_text(c, &job->origin);
	take_text(c, &job->warning);
	job->retries = (unsigned)take_int(c);
	job->price = take_int(c);
	job->earlier = take_int(c);
	take_text(c, &job->token);
	take_text(c, &job->claim);
	job->text_len[JOB_TEXT_PARAMS] = (uint32_t)take_int(c);
	job->text_len[JOB_TEXT_STATUS] = (uint32_t)take_int(c);
	job->text_len[JOB_TEXT_LOG] = (uint32_t)take_int(c);
	take_text(c, &job->image_url);
	job->texture_size = (uint32_t)take_int(c);
	take_text(c, &job->image);
	job->number = (uint64_t)take_int(c);
	return c->rc == SQLITE_OK ? r : -ENOMEM;
}

/* Two statements over all jobs and all outputs, both in order of number. */
struct loading {
	sqlite3 *db;
	sqlite3_stmt *jobs;
	sqlite3_stmt *outputs;
	bool output; /* OUTPUTS stands on a row */
};

static int next_row(sqlite3 *db, sqlite3_stmt *stmt, bool *row)
{
	int rc = sqlite3_step(stmt);

	*row = rc == SQLITE_ROW;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_errno(db, rc);
}

static int take_outputs(struct loading *loading, struct job *job)
{
	while (loading->output) {
		struct store_cursor c = { .stmt = loading->outputs };
		uint64_t number = (uint64_t)take_int(&c);
		struct job_output *output;
		int r;

		if (number > job->number)
			return 0;
		if (number != job->number || take_int(&c) != (int64_t)job->output_count ||
		    job->output_count == JOB_OUTPUTS_MAX)
			return -EUCLEAN;
		output = job_add_output(job);
		if (!output)
			return -ENOMEM;
		take_text(&c, &output->url);
		take_text(&c, &output->name);
		take_text(&c, &output->media_type);
		take_text(&c, &output->etag);
		take_text(&c, &output->sha256);
		output->size = take_int(&c);
		output->mtime_ms = take_int(&c);
		if (c.rc != SQLITE_OK)
			return -ENOMEM;
		r = next_row(loading->db, loading->outputs, &loading->output);
		if (r)
			return r;
	}
	return 0;
}

static int load_jobs(struct loading *loading, int (*each)(void *arg, struct job *job), void *arg)
{
	bool row;
	int r = next_row(loading->db, loading->outputs, &loading->output);

	if (!r)
		r = next_row(loading->db, loading->jobs, &row);
	while (!r && row) {
		struct store_cursor c = { .stmt = loading->jobs };
		struct job *job = job_new();

		r = job ? take_job(&c, job) : -ENOMEM;
		if (!r)
			r = take_outputs(loading, job);
		if (r)
			job_put(job);
		else
			r = each(arg, job);
		if (!r)
			r = next_row(loading->db, loading->jobs, &row);
	}
	return r;
}

/* Takes no lock: EACH may use the store. */
int store_load(struct store *store, int (*each)(void *arg, struct job *job), void *arg)
{
	struct loading loading = { .db = store->reader.handle };
	int rc, r;

	rc = sqlite3_prepare_v2(loading.db,
				"SELECT " STORE_JOB_COLUMNS ", number FROM job ORDER BY number", -1,
				&loading.jobs, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(loading.db,
					"SELECT " STORE_OUTPUT_COLUMNS
					" FROM output ORDER BY number, position",
					-1, &loading.outputs, NULL);
	r = rc == SQLITE_OK ? load_jobs(&loading, each, arg) : store_errno(loading.db, rc);
	sqlite3_finalize(loading.jobs);
	sqlite3_finalize(loading.outputs);
	return r;
}
