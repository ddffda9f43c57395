/* store: one driver at a time, and nobody else's file is touched. */
#include "store_fixture.h"

#include <errno.h>
#include <sys/stat.h>

START_TEST(one_driver_at_a_time)
{
	char want[64];
	struct store *second;

	ck_assert_int_eq(store_open(dir, "/elsewhere", &second, error), -EBUSY);
	ck_assert_ptr_null(second);
	snprintf(want, sizeof(want), "process %d", (int)getpid());
	ck_assert_ptr_nonnull(strstr(error, want));
	ck_assert_ptr_nonnull(strstr(error, "/mnt/p3d"));
	reopen();
}
END_TEST

START_TEST(makes_private_directories)
{
	char deep[128];
	struct store *second;
	struct stat st;

	snprintf(deep, sizeof(deep), "%s/a/b/", dir);
	ck_assert_int_eq(store_open(deep, NULL, &second, error), 0);
	ck_assert_int_eq(stat(deep, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	strcat(deep, "jobs.db");
	ck_assert_int_eq(stat(deep, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	store_close(second);
	ck_assert_int_lt(store_open("/dev/null/x", NULL, &second, error), 0);
	ck_assert_ptr_nonnull(strstr(error, "/dev/null"));
}
END_TEST

START_TEST(survives_kill)
{
	store_close(store);
	crash_after_commit();
	open_store();
	ck_assert_int_eq(jobs_in(store), 1);
}
END_TEST

static void refuses_as_it_is(int want, const char *word)
{
	shell("rm -rf %s.copy && cp -a %s %s.copy", dir, dir, dir);
	ck_assert_int_eq(store_open(dir, "/mnt", &store, error), want);
	ck_assert_ptr_null(store);
	ck_assert_msg(strstr(error, word) != NULL, "%s", error);
	shell("cmp %s/jobs.db %s.copy/jobs.db", dir, dir);
	shell("! [ -e %s.copy/jobs.db-wal ] || cmp %s/jobs.db-wal %s.copy/jobs.db-wal", dir, dir,
	      dir);
}

START_TEST(refuses_what_is_no_database)
{
	store_close(store);
	shell("seq 1000 >%s/jobs.db", dir);
	refuses_as_it_is(-EUCLEAN, "jobs.db");
}
END_TEST

START_TEST(refuses_another_programs_database)
{
	store_close(store);
	shell("rm %s/jobs.db; sqlite3 %s/jobs.db 'CREATE TABLE bookmarks (x)'", dir, dir);
	refuses_as_it_is(-EUCLEAN, "another program");
}
END_TEST

START_TEST(refuses_a_newer_version)
{
	store_close(store);
	shell("sqlite3 %s/jobs.db 'PRAGMA user_version = 99'", dir);
	refuses_as_it_is(-EPROTONOSUPPORT, "newer");
}
END_TEST

START_TEST(upgrades_an_older_version)
{
	struct job *job = make_job("new");
	char *text;

	insert("old");
	store_close(store);
	shell("sqlite3 %s/jobs.db 'DROP INDEX job_origin; ALTER TABLE job DROP COLUMN origin; "
	      "ALTER TABLE job DROP COLUMN warning; DROP TABLE setting; "
	      "ALTER TABLE job DROP COLUMN retries; ALTER TABLE job DROP COLUMN price; "
	      "ALTER TABLE job DROP COLUMN earlier; DROP TABLE charge; "
	      "ALTER TABLE job DROP COLUMN token; ALTER TABLE job DROP COLUMN claim; "
	      "ALTER TABLE job DROP COLUMN params_len; ALTER TABLE job DROP COLUMN status_len; "
	      "ALTER TABLE job DROP COLUMN log_len; ALTER TABLE job DROP COLUMN image_url; "
	      "ALTER TABLE job DROP COLUMN texture_size; ALTER TABLE output DROP COLUMN sha256; "
	      "ALTER TABLE job DROP COLUMN image; DROP TABLE image; "
	      "PRAGMA user_version = 1'",
	      dir);
	open_store();
	ck_assert_int_eq(jobs_in(store), 1);
	job_set(&job->origin, "dogs.jsonl 1");
	ck_assert_int_eq(store_insert(store, job, NULL), 0);
	ck_assert_int_eq(store_insert(store, job, NULL), -EEXIST);
	ck_assert_int_eq(store_setting(store, "defaults", &text), 0);
	job_put(job);
	reopen();
	ck_assert_int_eq(jobs_in(store), 2);
}
END_TEST

START_TEST(older_books_learn_the_lengths_of_their_texts)
{
	static const char params[] = "{\n  \"image_url\": \"https://example.com/\xc3\xa9.png\",\n"
				     "  \"texture_size\": 4096\n}\n";
	struct store_texts texts = {
		.params = params, .status = "{}", .status_len = 2, .log_line = "x"
	};
	struct job *job = make_job("dog"), *other = make_job("cat");
	struct loaded loaded = { .count = 0 };

	ck_assert_int_eq(store_insert(store, job, &texts), 0);
	ck_assert_int_eq(store_update(store, job, &(struct store_texts){ .log_line = "y" }), 0);
	texts.params = "not JSON";
	ck_assert_int_eq(store_insert(store, other, &texts), 0);
	store_close(store);
	shell("sqlite3 %s/jobs.db 'ALTER TABLE job DROP COLUMN params_len; "
	      "ALTER TABLE job DROP COLUMN status_len; ALTER TABLE job DROP COLUMN log_len; "
	      "ALTER TABLE job DROP COLUMN image_url; "
	      "ALTER TABLE job DROP COLUMN texture_size; "
	      "ALTER TABLE output DROP COLUMN sha256; ALTER TABLE job DROP COLUMN image; "
	      "DROP TABLE image; PRAGMA user_version = 4'",
	      dir);
	open_store();
	ck_assert_int_eq(store_load(store, keep, &loaded), 0);
	ck_assert_int_eq(loaded.count, 2);
	ck_assert_mem_eq(loaded.jobs[0]->text_len, job->text_len, sizeof(job->text_len));
	ck_assert_mem_eq(loaded.jobs[1]->text_len, other->text_len, sizeof(job->text_len));
	ck_assert_str_eq(loaded.jobs[0]->image_url, "https://example.com/\xc3\xa9.png");
	ck_assert_uint_eq(loaded.jobs[0]->texture_size, 4096);
	ck_assert_ptr_null(loaded.jobs[1]->image_url);
	drop(&loaded);
	job_put(job);
	job_put(other);
}
END_TEST

START_TEST(refuses_damage_after_a_crash)
{
	for (int i = 0; i < 200; i++)
		insert("padding that makes the table several pages long, one would think so");
	store_close(store);
	crash_after_commit();
	shell("dd if=/dev/urandom of=%s/jobs.db bs=4096 seek=10 count=3 conv=notrunc 2>/dev/null",
	      dir);
	refuses_as_it_is(-EUCLEAN, "damaged");
}
END_TEST

START_TEST(refuses_a_log_without_its_store)
{
	store_close(store);
	crash_after_commit();
	shell("rm %s/jobs.db", dir);
	ck_assert_int_eq(store_open(dir, "/mnt", &store, error), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(error, "is gone"));
	shell("[ -s %s/jobs.db-wal ]", dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store open");
	TCase *tc = add_tcase(suite, "opening", setup);

	tcase_add_test(tc, one_driver_at_a_time);
	tcase_add_test(tc, makes_private_directories);
	tcase_add_test(tc, survives_kill);
	tcase_add_test(tc, refuses_what_is_no_database);
	tcase_add_test(tc, refuses_another_programs_database);
	tcase_add_test(tc, refuses_a_newer_version);
	tcase_add_test(tc, upgrades_an_older_version);
	tcase_add_test(tc, older_books_learn_the_lengths_of_their_texts);
	tcase_add_test(tc, refuses_damage_after_a_crash);
	tcase_add_test(tc, refuses_a_log_without_its_store);
	return run_suite(suite);
}
