/* store: what is committed stays, all of it, and numbers are never reused. */
#include "store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static struct job *full_job(void)
{
	struct job *job = make_job("dog");

	job_set(&job->label, "");
	job_set(&job->word, "COMPLETED");
	job_set(&job->request_id, "pixal3d_019d");
	job_set(&job->polling_url, "https://gateway.example/v2/x");
	job_set(&job->warning, "mesh_scale: unusual\n");
	job_set(&job->origin, "dogs.jsonl 0123 1");
	job_set(&job->token, "0123456789abcdef0123456789abcdef");
	job_set(&job->claim, "pixal3d_019e");
	job_set(&job->error, "it's \xff a \"line\"\nand one more");
	job->state = JOB_COMPLETED;
	job->error_errno = EDQUOT;
	job->attempts = 3;
	job->failures = 4000000000U;
	job->created_ms = 1;
	job->submitted_ms = 2;
	job->ended_ms = INT64_MAX;
	job->retry_at_ms = -5;
	job->hidden = UINT32_MAX;
	job->uid = (uid_t)-2;
	job->gid = 7;
	job->mode = 0751;
	job_set(&job->image_url, "https://example.com/dog.png");
	job_set(&job->image, "0123abcd.png");
	job->texture_size = 4096;
	job->output_unreachable = true;
	while (job->output_count < JOB_OUTPUTS_MAX)
		ck_assert_ptr_nonnull(job_add_output(job));
	for (size_t i = 0; i < JOB_OUTPUTS_MAX; i++) {
		job_set(&job->outputs[i].url, "https://cdn.example/o.glb?sig=1");
		job_set(&job->outputs[i].name, i ? "output-2.glb" : "output.glb");
		job_set(&job->outputs[i].etag, i % 2 ? "\"e\"" : NULL);
		job_set(&job->outputs[i].sha256, i % 3 ? "0123abcd" : NULL);
		job->outputs[i].size = i ? (int64_t)i << 40 : -1;
		job->outputs[i].mtime_ms = (int64_t)i;
	}
	return job;
}

static void check_same_outputs(const struct job *a, const struct job *b)
{
	ck_assert_uint_eq(a->output_count, b->output_count);
	for (size_t i = 0; i < a->output_count; i++) {
		ck_assert_pstr_eq(a->outputs[i].url, b->outputs[i].url);
		ck_assert_pstr_eq(a->outputs[i].name, b->outputs[i].name);
		ck_assert_pstr_eq(a->outputs[i].media_type, b->outputs[i].media_type);
		ck_assert_pstr_eq(a->outputs[i].etag, b->outputs[i].etag);
		ck_assert_pstr_eq(a->outputs[i].sha256, b->outputs[i].sha256);
		ck_assert_int_eq(a->outputs[i].size, b->outputs[i].size);
		ck_assert_int_eq(a->outputs[i].mtime_ms, b->outputs[i].mtime_ms);
	}
}

static void check_same(const struct job *a, const struct job *b)
{
	ck_assert_pstr_eq(a->name, b->name);
	ck_assert_pstr_eq(a->label, b->label);
	ck_assert_pstr_eq(a->word, b->word);
	ck_assert_pstr_eq(a->request_id, b->request_id);
	ck_assert_pstr_eq(a->polling_url, b->polling_url);
	ck_assert_pstr_eq(a->error, b->error);
	ck_assert_pstr_eq(a->warning, b->warning);
	ck_assert_pstr_eq(a->origin, b->origin);
	ck_assert_pstr_eq(a->token, b->token);
	ck_assert_pstr_eq(a->claim, b->claim);
	ck_assert_int_eq(a->state, b->state);
	ck_assert_int_eq(a->error_errno, b->error_errno);
	ck_assert_uint_eq(a->attempts, b->attempts);
	ck_assert_uint_eq(a->failures, b->failures);
	ck_assert_int_eq(a->created_ms, b->created_ms);
	ck_assert_int_eq(a->submitted_ms, b->submitted_ms);
	ck_assert_int_eq(a->changed_ms, b->changed_ms);
	ck_assert_int_eq(a->ended_ms, b->ended_ms);
	ck_assert_int_eq(a->retry_at_ms, b->retry_at_ms);
	ck_assert_uint_eq(a->hidden, b->hidden);
	ck_assert_pstr_eq(a->image_url, b->image_url);
	ck_assert_pstr_eq(a->image, b->image);
	ck_assert_uint_eq(a->texture_size, b->texture_size);
	ck_assert_uint_eq(a->uid, b->uid);
	ck_assert_uint_eq(a->gid, b->gid);
	ck_assert_uint_eq(a->mode, b->mode);
	ck_assert(a->output_unreachable == b->output_unreachable);
	check_same_outputs(a, b);
}

START_TEST(every_field_comes_back)
{
	struct job *job = full_job();
	struct loaded loaded = { .count = 0 };
	uint64_t number;

	insert(NULL);
	ck_assert_int_eq(store_insert(store, job, NULL), 0);
	number = job->number;
	insert("last");
	reopen();
	ck_assert_int_eq(store_load(store, keep, &loaded), 0);
	ck_assert_int_eq(loaded.count, 3);
	ck_assert_uint_eq(loaded.jobs[1]->number, number);
	check_same(loaded.jobs[1], job);
	ck_assert_ptr_null(loaded.jobs[0]->name);
	ck_assert_uint_eq(loaded.jobs[2]->output_count, 0);
	drop(&loaded);
	job_put(job);
}
END_TEST

START_TEST(every_state_comes_back)
{
	for (int i = 0; i < JOB_STATES; i++) {
		struct loaded loaded = { .count = 0 };
		struct job *job = make_job("x");

		job->state = (enum job_state)i;
		ck_assert_int_eq(store_insert(store, job, NULL), 0);
		ck_assert_int_eq(store_load(store, keep, &loaded), 0);
		ck_assert_int_eq(loaded.jobs[0]->state, job->state);
		ck_assert_int_eq(store_forget(store, job->number), 0);
		drop(&loaded);
		job_put(job);
	}
}
END_TEST

START_TEST(update_replaces)
{
	struct job *job = full_job();
	struct loaded loaded = { .count = 0 };

	ck_assert_int_eq(store_insert(store, job, NULL), 0);
	for (size_t i = 1; i < JOB_OUTPUTS_MAX; i++) {
		job_set(&job->outputs[i].url, NULL);
		job_set(&job->outputs[i].name, NULL);
		job_set(&job->outputs[i].etag, NULL);
		job_set(&job->outputs[i].sha256, NULL);
	}
	job_clear_outputs(job);
	ck_assert_ptr_nonnull(job_add_output(job));
	job->outputs[0].size = 42;
	job->state = JOB_FAILED;
	job_set(&job->error, NULL);
	ck_assert_int_eq(store_update(store, job, NULL), 0);
	ck_assert_int_eq(store_load(store, keep, &loaded), 0);
	check_same(loaded.jobs[0], job);
	drop(&loaded);
	job_put(job);
}
END_TEST

START_TEST(texts_are_kept_and_the_log_grows)
{
	static const char answer[] = "202\n{\"a\":\0}";
	static const char log[] = "2026-05-22T13:17:32.110Z DRAFT -> WAITING\n"
				  "2026-05-22T13:17:33.110Z WAITING -> QUEUED\n";
	struct store_texts texts = { .params = "{}\n", .log_line = "DRAFT -> WAITING" };
	struct job *job = make_job("dog");
	struct loaded loaded = { .count = 0 };

	ck_assert_int_eq(store_insert(store, job, &texts), 0);
	check_text(job->number, JOB_TEXT_PARAMS, "{}\n", 3);
	check_text(job->number, JOB_TEXT_ANSWER, "", 0);
	texts = (struct store_texts){ .answer = answer,
				      .answer_len = sizeof(answer) - 1,
				      .status = "",
				      .log_line = "WAITING -> QUEUED" };
	job->changed_ms += 1000;
	ck_assert_int_eq(store_update(store, job, &texts), 0);
	ck_assert_uint_eq(job->text_len[JOB_TEXT_PARAMS], 3);
	ck_assert_uint_eq(job->text_len[JOB_TEXT_STATUS], 0);
	ck_assert_uint_eq(job->text_len[JOB_TEXT_LOG], sizeof(log) - 1);
	reopen();
	ck_assert_int_eq(store_load(store, keep, &loaded), 0);
	ck_assert_mem_eq(loaded.jobs[0]->text_len, job->text_len, sizeof(job->text_len));
	drop(&loaded);
	check_text(job->number, JOB_TEXT_PARAMS, "{}\n", 3);
	check_text(job->number, JOB_TEXT_ANSWER, answer, sizeof(answer) - 1);
	check_text(job->number, JOB_TEXT_STATUS, "", 0);
	check_text(job->number, JOB_TEXT_LOG, log, sizeof(log) - 1);
	job_put(job);
}
END_TEST

START_TEST(changes_are_made_together_or_not_at_all)
{
	uint64_t old = insert("old");
	struct store_change changes[3] = {
		{ .job = make_job("renamed") },
		{ .job = make_job("second"), .texts.params = "{}", .texts.log_line = "WAITING" },
		{ .job = make_job("third") }
	};

	changes[0].job->number = old;
	job_set(&changes[1].job->origin, "dogs.jsonl 1");
	job_set(&changes[2].job->origin, "dogs.jsonl 1");
	ck_assert_int_eq(store_apply(store, changes, 3), -EEXIST);
	ck_assert_uint_eq(changes[1].job->number, 0);
	ck_assert_uint_eq(changes[1].job->text_len[JOB_TEXT_LOG], 0);
	reopen();
	ck_assert_int_eq(jobs_in(store), 1);
	job_set(&changes[2].job->origin, "dogs.jsonl 2");
	ck_assert_int_eq(store_apply(store, changes, 3), 0);
	reopen();
	ck_assert_int_eq(jobs_in(store), 3);
	ck_assert_uint_gt(changes[1].job->number, old);
	ck_assert_uint_gt(changes[2].job->number, changes[1].job->number);
	check_text(changes[1].job->number, JOB_TEXT_PARAMS, "{}", 2);
	for (int i = 0; i < 3; i++)
		job_put(changes[i].job);
}
END_TEST

static void check_setting(const char *name, const char *want)
{
	char *text;

	ck_assert_int_eq(store_setting(store, name, &text), 0);
	ck_assert_pstr_eq(text, want);
	free(text);
}

/* What waits in them must not be sent to another gateway, where it may cost real money. */
START_TEST(books_are_of_one_gateways_jobs)
{
	struct job *job = make_job("dog");

	ck_assert_int_eq(store_belong(store, "sandbox", error), 0);
	ck_assert_int_eq(store_belong(store, "https://a.example", error),
			 0); /* nothing is in them */
	ck_assert_int_eq(store_insert(store, job, NULL), 0);
	ck_assert_int_eq(store_belong(store, "https://a.example", error), 0);
	reopen();
	ck_assert_int_eq(store_belong(store, "sandbox", error), -EXDEV);
	ck_assert_ptr_nonnull(strstr(error, "https://a.example"));
	ck_assert_ptr_nonnull(strstr(error, "sandbox"));
	ck_assert_int_eq(store_belong(store, "https://a.example", error), 0);
	ck_assert_int_eq(store_forget(store, job->number), 0);
	ck_assert_int_eq(store_belong(store, "sandbox", error), 0);
	job_put(job);
}
END_TEST

START_TEST(settings_are_kept)
{
	check_setting("defaults", NULL);
	ck_assert_int_eq(store_set_setting(store, "defaults", "{}\n"), 0);
	ck_assert_int_eq(store_set_setting(store, "other", ""), 0);
	ck_assert_int_eq(store_set_setting(store, "defaults", "{\"seed\": 1}\n"), 0);
	reopen();
	check_setting("defaults", "{\"seed\": 1}\n");
	check_setting("other", "");
	ck_assert_int_eq(store_set_setting(store, "defaults", NULL), 0);
	reopen();
	check_setting("defaults", NULL);
}
END_TEST

START_TEST(what_is_not_there_is_enoent)
{
	struct job *job = make_job("x");
	char *text;
	size_t len;

	ck_assert_int_eq(store_update(store, job, NULL), -ENOENT);
	job->number = UINT64_MAX;
	ck_assert_int_eq(store_update(store, job, NULL), -ENOENT);
	ck_assert_int_eq(store_forget(store, 1), -ENOENT);
	for (int i = 0; i < JOB_TEXTS; i++)
		ck_assert_int_eq(store_text(store, 1, (enum job_text)i, &text, &len), -ENOENT);
	ck_assert_uint_eq(insert("still works"), 1);
	job_put(job);
}
END_TEST

START_TEST(numbers_are_never_reused)
{
	struct store_texts texts = { .params = "old", .log_line = "old" };
	struct job *job = full_job();
	uint64_t number;

	insert("a");
	ck_assert_int_eq(store_insert(store, job, &texts), 0);
	number = job->number;
	ck_assert_int_eq(store_forget(store, number), 0);
	ck_assert_uint_eq(insert("b"), number + 1);
	ck_assert_int_eq(store_forget(store, number + 1), 0);
	reopen();
	ck_assert_uint_eq(insert("c"), number + 2);
	check_text(number + 2, JOB_TEXT_LOG, "", 0);
	ck_assert_int_eq(jobs_in(store), 2);
	job_put(job);
}
END_TEST

static int stop_at_second(void *arg, struct job *job)
{
	int *count = arg;

	job->attempts++;
	ck_assert_int_eq(store_update(store, job, NULL), 0);
	check_text(job->number, JOB_TEXT_LOG, "", 0);
	job_put(job);
	return ++*count == 2 ? -ECANCELED : 0;
}

START_TEST(load_stops_and_may_use_the_store)
{
	int count = 0;

	insert("a");
	insert("b");
	insert("c");
	ck_assert_int_eq(store_load(store, stop_at_second, &count), -ECANCELED);
	ck_assert_int_eq(count, 2);
}
END_TEST

static void *work(void *arg)
{
	struct store_texts texts = { .status = "{}", .status_len = 2, .log_line = "x" };
	struct job *job = make_job("worker");

	(void)arg;
	for (int i = 0; i < 20; i++) {
		char *text;
		size_t len;

		ck_assert_int_eq(store_insert(store, job, &texts), 0);
		ck_assert_int_eq(store_update(store, job, &texts), 0);
		ck_assert_int_eq(store_text(store, job->number, JOB_TEXT_LOG, &text, &len), 0);
		ck_assert_uint_eq(len, 2 * strlen("2026-05-22T13:17:32.110Z x\n"));
		free(text);
	}
	job_put(job);
	return NULL;
}

START_TEST(many_threads)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(jobs_in(store), 80);
}
END_TEST

/* Our own processor time: a busy machine is no slower for it. */
static double spent(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fill(void)
{
	insert("first");
	store_close(store);
	shell("sqlite3 %s/jobs.db \"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n "
	      "WHERE i < 100000) INSERT INTO job (number, name, label, state, word, request_id, "
	      "polling_url, error, error_errno, attempts, failures, created_ms, submitted_ms, "
	      "changed_ms, ended_ms, retry_at_ms, hidden, uid, gid, mode, output_unreachable) "
	      "SELECT i, 'name-' || i, 'label', 'COMPLETED', "
	      "'COMPLETED', 'pixal3d_' || i, NULL, NULL, 0, 1, 0, 1, 2, 3, 4, 0, 0, 0, 0, 493, 0 "
	      "FROM n; INSERT INTO output (number, position, url, name, media_type, etag, size, "
	      "mtime_ms) SELECT number, 0, 'https://cdn.example/' || number, "
	      "'output.glb', 'model/glb', '\\\"etag\\\"', 1000, 0 FROM job; "
	      "INSERT INTO text SELECT number, 0, zeroblob(700) FROM job;"
	      "INSERT INTO text SELECT number, 2, zeroblob(900) FROM job;\"",
	      dir);
}

static void load_quickly(int want)
{
	double start = spent();
	int count;

	open_store();
	count = jobs_in(store);
	ck_assert_int_eq(count, want);
#ifndef SANITIZED
	ck_assert_double_lt(spent() - start, 2.0);
#else
	(void)start;
#endif
}

START_TEST(a_hundred_thousand_jobs)
{
	fill();
	load_quickly(100000);
}
END_TEST

START_TEST(a_hundred_thousand_jobs_after_a_crash)
{
	fill();
	crash_after_commit();
	load_quickly(100001);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = add_tcase(suite, "books", setup);

	tcase_add_test(tc, every_field_comes_back);
	tcase_add_test(tc, every_state_comes_back);
	tcase_add_test(tc, update_replaces);
	tcase_add_test(tc, texts_are_kept_and_the_log_grows);
	tcase_add_test(tc, changes_are_made_together_or_not_at_all);
	tcase_add_test(tc, books_are_of_one_gateways_jobs);
	tcase_add_test(tc, settings_are_kept);
	tcase_add_test(tc, what_is_not_there_is_enoent);
	tcase_add_test(tc, numbers_are_never_reused);
	tcase_add_test(tc, load_stops_and_may_use_the_store);
	tcase_add_test(tc, many_threads);
	tcase_add_test(tc, a_hundred_thousand_jobs);
	tcase_add_test(tc, a_hundred_thousand_jobs_after_a_crash);
	return run_suite(suite);
}
