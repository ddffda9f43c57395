/* store: what was charged stays in the books, whatever becomes of its job. */
#include "store_fixture.h"

#include <errno.h>

#define DAY INT64_C(86400000)

/* The sum of the charges since SINCE_MS, and what of it is in STATE. */
static int64_t spent(int64_t since_ms, enum job_state state, int64_t *of_it)
{
	int64_t sums[JOB_STATES], sum = 0;

	ck_assert_int_eq(store_spent(store, since_ms, sums), 0);
	for (int i = 0; i < JOB_STATES; i++)
		sum += sums[i];
	if (of_it)
		*of_it = sums[state];
	return sum;
}

static int64_t spent_ever(void)
{
	return spent(INT64_MIN, JOB_DRAFT, NULL);
}

/* A job whose first attempt was made at AT_MS for PRICE. */
static struct job *bought(int64_t at_ms, int64_t price)
{
	struct job *job = make_job("dog");

	job->state = JOB_WAITING;
	job->attempts = 1;
	job->price = price;
	job->changed_ms = at_ms;
	ck_assert_int_eq(store_insert(store, job, NULL), 0);
	return job;
}

static void move(struct job *job, enum job_state state)
{
	job->state = state;
	job->changed_ms += 1000;
	ck_assert_int_eq(store_update(store, job, NULL), 0);
}

START_TEST(a_draft_costs_nothing)
{
	struct job *job = make_job("draft");

	job->price = 420000;
	ck_assert_int_eq(store_insert(store, job, NULL), 0);
	ck_assert_int_eq(spent_ever(), 0);
	job_put(job);
}
END_TEST

START_TEST(the_charge_follows_the_state)
{
	struct job *job = bought(DAY, 420000);
	int64_t in_state;

	for (int i = 0; i < JOB_STATES; i++) {
		enum job_state state = (enum job_state)i;
		int64_t want = state == JOB_REFUSED || state == JOB_ERROR ? 0 : 420000;

		move(job, state);
		ck_assert_int_eq(spent(INT64_MIN, state, &in_state), want);
		ck_assert_int_eq(in_state, want);
	}
	reopen();
	ck_assert_int_eq(spent_ever(), 420000);
	job_put(job);
}
END_TEST

START_TEST(each_attempt_is_charged)
{
	struct job *job = bought(DAY, 420000);

	move(job, JOB_FAILED);
	job->attempts = 2;
	job->price = 300000;
	move(job, JOB_WAITING);
	ck_assert_int_eq(spent_ever(), 720000);
	move(job, JOB_REFUSED);
	ck_assert_int_eq(spent_ever(), 420000);
	job_put(job);
}
END_TEST

START_TEST(a_charge_has_the_time_of_its_submission)
{
	struct job *job = bought(DAY, 420000);

	job->changed_ms = 5 * DAY;
	move(job, JOB_COMPLETED);
	ck_assert_int_eq(spent(DAY, JOB_COMPLETED, NULL), 420000);
	ck_assert_int_eq(spent(DAY + 1, JOB_COMPLETED, NULL), 0);
	job_put(job);
}
END_TEST

START_TEST(forgetting_forgets_no_money)
{
	static const enum job_state states[] = { JOB_QUEUED, JOB_UNCERTAIN, JOB_COMPLETED };
	struct job *job;
	int64_t uncertain;

	for (size_t i = 0; i < 3; i++) {
		job = bought(DAY, 420000);
		move(job, states[i]);
		ck_assert_int_eq(store_forget(store, job->number), 0);
		job_put(job);
	}
	/* Never sent; its first attempt was. */
	job = bought(DAY, 300000);
	move(job, JOB_FAILED);
	job->attempts = 2;
	move(job, JOB_WAITING);
	ck_assert_int_eq(spent_ever(), 3 * 420000 + 2 * 300000);
	ck_assert_int_eq(store_forget(store, job->number), 0);
	job_put(job);
	reopen();
	ck_assert_int_eq(spent(INT64_MIN, JOB_UNCERTAIN, &uncertain), 3 * 420000 + 300000);
	ck_assert_int_eq(uncertain, 420000);
	ck_assert_int_eq(store_forget(store, 99), -ENOENT);
}
END_TEST

START_TEST(the_prices_of_a_job_come_back)
{
	struct job *job = bought(DAY, 420000);
	struct loaded loaded = { .count = 0 };

	job->earlier = INT64_C(1) << 40;
	job->retries = 3;
	move(job, JOB_QUEUED);
	reopen();
	ck_assert_int_eq(store_load(store, keep, &loaded), 0);
	ck_assert_int_eq(loaded.jobs[0]->price, 420000);
	ck_assert_int_eq(loaded.jobs[0]->earlier, job->earlier);
	ck_assert_uint_eq(loaded.jobs[0]->retries, 3);
	drop(&loaded);
	job_put(job);
}
END_TEST

/* The schema of format 1, as it was. */
static const char format_1[] =
	"CREATE TABLE job (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, label TEXT, "
	"state TEXT NOT NULL, word TEXT, request_id TEXT, polling_url TEXT, error TEXT, "
	"error_errno INTEGER NOT NULL, attempts INTEGER NOT NULL, failures INTEGER NOT NULL, "
	"created_ms INTEGER NOT NULL, submitted_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, "
	"ended_ms INTEGER NOT NULL, retry_at_ms INTEGER NOT NULL, hidden INTEGER NOT NULL, "
	"uid INTEGER NOT NULL, gid INTEGER NOT NULL, mode INTEGER NOT NULL, "
	"output_unreachable INTEGER NOT NULL) STRICT;"
	"CREATE TABLE output (number INTEGER, position INTEGER, url TEXT, name TEXT, "
	"media_type TEXT, etag TEXT, size INTEGER NOT NULL, mtime_ms INTEGER NOT NULL, "
	"PRIMARY KEY (number, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE text (number INTEGER, which INTEGER, body BLOB NOT NULL, "
	"PRIMARY KEY (number, which)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE log (number INTEGER, position INTEGER, line BLOB NOT NULL, "
	"PRIMARY KEY (number, position)) STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = 1345537619; PRAGMA user_version = 1;";

/* A store of format 1 in place of the new one. */
static void make_format_1(const char *rows)
{
	char path[80];
	FILE *script;

	store_close(store);
	shell("rm %s/jobs.db*", dir);
	snprintf(path, sizeof(path), "%s/script", dir);
	script = fopen(path, "w");
	ck_assert_ptr_nonnull(script);
	fputs(format_1, script);
	fputs(rows, script);
	fclose(script);
	shell("sqlite3 %s/jobs.db <%s", dir, path);
}

#define OLD_JOB(name, state, attempts, submitted)                                                  \
	"INSERT INTO job (name, state, error_errno, attempts, failures, created_ms, "              \
	"submitted_ms, changed_ms, ended_ms, retry_at_ms, hidden, uid, gid, mode, "                \
	"output_unreachable) VALUES ('" name "', '" state "', 0, " attempts ", 0, 100, " submitted \
	", 300, 0, 0, 0, 0, 0, 493, 0);"
#define OLD_PARAMS(number, size)                                                                   \
	"INSERT INTO text VALUES (" number ", 0, CAST('{' || char(10) || "                         \
	"'  \"image_url\": \"https://example.com/a.png\",' || char(10) || "                        \
	"'  \"texture_size\": " size "' || char(10) || '}' || char(10) AS BLOB));"

/* clang-format off */
static const char old_jobs[] =
	OLD_JOB("small", "COMPLETED", "1", "200") OLD_PARAMS("1", "1024")
	OLD_JOB("plain", "QUEUED", "2", "200")
	OLD_JOB("large", "UNCERTAIN", "1", "0") OLD_PARAMS("3", "4096")
	OLD_JOB("no", "REFUSED", "1", "0")
	OLD_JOB("error", "ERROR", "1", "200")
	OLD_JOB("draft", "DRAFT", "0", "0") OLD_PARAMS("6", "1024");
/* clang-format on */

START_TEST(older_books_get_their_charges)
{
	struct loaded loaded = { .count = 0 };

	make_format_1(old_jobs);
	for (int round = 0; round < 2; round++) {
		int64_t uncertain;

		open_store();
		ck_assert_int_eq(spent(INT64_MIN, JOB_UNCERTAIN, &uncertain), 300000 + 2 * 420000);
		ck_assert_int_eq(uncertain, 420000);
		ck_assert_int_eq(spent(200, JOB_DRAFT, NULL), 300000 + 420000);
		ck_assert_int_eq(store_load(store, keep, &loaded), 0);
		ck_assert_int_eq(loaded.count, 6);
		ck_assert_int_eq(loaded.jobs[0]->price, 300000);
		ck_assert_int_eq(loaded.jobs[1]->price, 420000);
		ck_assert_int_eq(loaded.jobs[5]->price, 0);
		ck_assert_str_eq(loaded.jobs[5]->name, "draft");
		drop(&loaded);
		store_close(store);
	}
	open_store();
}
END_TEST

START_TEST(an_upgrade_that_fails_changes_nothing)
{
	/* What stands in the way of the last step. */
	make_format_1("CREATE VIEW charge AS SELECT 1;");
	for (int round = 0; round < 2; round++)
		ck_assert_int_lt(store_open(dir, "/mnt", &store, error), 0);
	ck_assert_ptr_nonnull(strstr(error, "charge"));
	shell("sqlite3 %s/jobs.db 'DROP VIEW charge; INSERT INTO job (state, error_errno, attempts, "
	      "failures, created_ms, submitted_ms, changed_ms, ended_ms, retry_at_ms, hidden, uid, "
	      "gid, mode, output_unreachable) "
	      "VALUES (\"DRAFT\", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)'",
	      dir);
	open_store();
	ck_assert_int_eq(jobs_in(store), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store charge");
	TCase *tc = add_tcase(suite, "charges", setup);

	tcase_add_test(tc, a_draft_costs_nothing);
	tcase_add_test(tc, the_charge_follows_the_state);
	tcase_add_test(tc, each_attempt_is_charged);
	tcase_add_test(tc, a_charge_has_the_time_of_its_submission);
	tcase_add_test(tc, forgetting_forgets_no_money);
	tcase_add_test(tc, the_prices_of_a_job_come_back);
	tcase_add_test(tc, older_books_get_their_charges);
	tcase_add_test(tc, an_upgrade_that_fails_changes_nothing);
	return run_suite(suite);
}
