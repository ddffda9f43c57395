/* engine: completions. Status, wait and output change in one moment, and sizes are true. */
#include "engine_world.h"
#include "run.h"

START_TEST(everything_changes_together)
{
	uint64_t number = accepted_job();
	struct counter counter = waiter(number);
	const struct job *job;

	ck_assert(engine_watch(sim.engine, &counter.watch));
	answer(next_poll(), 200, COMPLETED);
	expect_state(number, JOB_QUEUED);
	ck_assert_uint_eq(counter.fired, 0);
	ck_assert_str_eq(sim.calls->url, MEDIA_URL);
	object(next_call(CALL_HEAD), 200, 1234);
	ck_assert_uint_eq(counter.fired, 1);
	ck_assert(counter.output_seen);
	crash();
	job = engine_get(sim.engine, number);
	ck_assert_int_eq(job->state, JOB_COMPLETED);
	ck_assert_str_eq(job->outputs[0].name, "output.glb");
	ck_assert_str_eq(job->outputs[0].media_type, "model/glb");
	ck_assert_str_eq(job->outputs[0].etag, "\"abc\"");
	ck_assert_int_eq(job->outputs[0].mtime_ms, 1779450000000);
	job_put(job);
	pass(HOUR);
	ck_assert_ptr_null(sim.calls);
}
END_TEST

START_TEST(a_size_that_comes_at_the_second_try)
{
	uint64_t number = accepted_job();

	answer(next_poll(), 200, COMPLETED);
	object(next_call(CALL_HEAD), 503, -1);
	expect_state(number, JOB_QUEUED);
	pass(2000);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 200, 1234);
	expect_state(number, JOB_COMPLETED);
	expect_error(number, NULL);
}
END_TEST

static void fail_sizes(uint64_t number, int tries)
{
	for (int i = 0; i < tries; i++) {
		expect_state(number, JOB_QUEUED);
		answer(next_poll(), 200, COMPLETED);
		object(next_call(CALL_HEAD), 200, -1);
	}
}

START_TEST(a_size_that_comes_late)
{
	uint64_t number = accepted_job();
	struct output *output;
	const struct job *job;

	answer(next_poll(), 200, COMPLETED);
	object(next_call(CALL_HEAD), 404, -1);
	for (int i = 0; i < 2; i++) {
		expect_state(number, JOB_QUEUED);
		pass(2000);
		answer(next_call(CALL_STATUS), 200, COMPLETED);
		object(next_call(CALL_HEAD), 404, -1);
	}
	expect_state(number, JOB_COMPLETED);
	expect_error(number, "HTTP 404");
	ck_assert_int_eq(engine_output(sim.engine, number, 0, 0, &output), -ENOENT);
	if (_i)
		crash();
	pass(HOUR);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 404, -1);
	expect_error(number, "HTTP 404");
	pass(HOUR);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 200, 1234);
	expect_error(number, NULL);
	job = engine_get(sim.engine, number);
	ck_assert_int_eq(job->outputs[0].size, 1234);
	ck_assert(!job->output_unreachable);
	job_put(job);
	pass(HOUR);
	ck_assert_ptr_null(sim.calls);
}
END_TEST

/* Ends are final, and background questions are rare, whatever the service says. */
START_TEST(a_service_that_changes_its_mind)
{
	uint64_t number = accepted_job();
	struct call *poll;

	fail_sizes(number, 2);
	expect_state(number, JOB_COMPLETED);
	sim.polls = 0;
	for (int i = 0; i < 3600; i++) {
		pass(1000);
		if ((poll = take_call(CALL_STATUS)) != NULL)
			answer(poll, 200, RUNNING);
	}
	expect_state(number, JOB_COMPLETED);
	ck_assert_uint_ge(sim.polls, 10);
	ck_assert_uint_le(sim.polls, 40);
}
END_TEST

/* However slow the CDN is, the completion is told in the end. */
START_TEST(a_completion_is_not_kept_back_for_long)
{
	uint64_t number = accepted_job();

	fail_sizes(number, 2);
	expect_state(number, JOB_COMPLETED);
}
END_TEST

START_TEST(forbidden_addresses_are_not_asked)
{
	static const char *const bodies[] = {
		"{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\", \"output\": "
		"{\"media_url\": [\"http://cdn.example/output.glb\"]}}",
		"{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\", \"output\": "
		"{\"media_url\": \"file:///etc/passwd\"}}",
		"{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\", \"output\": null}",
	};
	uint64_t number = accepted_job();

	answer(next_poll(), 200, bodies[_i]);
	for (int i = 0; i < 2; i++) {
		pass(2000);
		answer(next_call(CALL_STATUS), 200, bodies[_i]);
	}
	expect_state(number, JOB_COMPLETED);
	expect_error(number, _i < 2 ? "may be fetched" : "no output");
	ck_assert_uint_eq(sim.heads, 0);
	pass(HOUR);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 200, 1234);
	expect_error(number, NULL);
}
END_TEST

START_TEST(several_outputs)
{
	uint64_t number = accepted_job();
	const struct job *job;

	answer(next_poll(), 200,
	       "{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\", \"output\": "
	       "{\"media_url\": [\"https://cdn.example/a.glb\", \"https://cdn.example/b.png\"]}}");
	object(next_call(CALL_HEAD), 200, 10);
	expect_state(number, JOB_QUEUED);
	object(next_call(CALL_HEAD), 200, 20);
	job = engine_get(sim.engine, number);
	ck_assert_uint_eq(job->output_count, 2);
	ck_assert_str_eq(job->outputs[0].name, "output.glb");
	ck_assert_str_eq(job->outputs[1].name, "output-2.png");
	ck_assert_int_eq(job->outputs[1].size, 20);
	job_put(job);
}
END_TEST

START_TEST(a_failed_download_asks_for_a_new_address)
{
	uint64_t number = completed_job();
	struct output_events events = engine_output_events(sim.engine);
	const struct job *job;

	ck_assert(events.expired(events.ctx, number, 0));
	ck_assert(events.expired(events.ctx, number, 0)); /* one poll for both */
	expect_error(number, NULL);
	expect_state(number, JOB_COMPLETED);
	pass(0);
	answer(next_call(CALL_STATUS), 200,
	       "{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\", \"output\": "
	       "{\"media_url\": [\"https://cdn.example/new.glb\"]}}");
	object(next_call(CALL_HEAD), 200, 1234);
	expect_error(number, NULL);
	job = engine_get(sim.engine, number);
	ck_assert_str_eq(job->outputs[0].url, "https://cdn.example/new.glb");
	ck_assert_uint_eq(job->outputs[0].version, 0);
	job_put(job);
	/* not again and again; and a worse answer changes nothing */
	ck_assert(!events.expired(events.ctx, number, 0));
	events.failed(events.ctx, number, 0, OUTPUT_EXPIRED, "broken");
	expect_error(number, "broken");
	pass(1000);
	ck_assert_ptr_null(sim.calls);
	pass(HOUR);
	ck_assert(events.expired(events.ctx, number, 0));
	pass(0);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 404, -1);
	expect_error(number, "broken");
	pass(HOUR);
	ck_assert_ptr_null(sim.calls);
	events.whole(events.ctx, number, 0, "ab12");
	expect_error(number, NULL);
	job = engine_get(sim.engine, number);
	ck_assert_str_eq(job->outputs[0].sha256, "ab12");
	job_put(job);
}
END_TEST

#define COMPLETED_AT(url)                                                                          \
	"{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\", \"output\": "                  \
	"{\"media_url\": [\"" url "\"]}}"

static void expect_version(uint64_t number, unsigned version, int64_t size, const char *etag)
{
	const struct job *job = engine_get(sim.engine, number);

	ck_assert_uint_eq(job->outputs[0].version, version);
	ck_assert_int_eq(job->outputs[0].size, size);
	ck_assert_str_eq(job->outputs[0].etag, etag);
	job_put(job);
}

START_TEST(a_changed_object_is_another_version)
{
	uint64_t number = completed_job();
	struct output_events events = engine_output_events(sim.engine);
	struct output *output;

	expect_version(number, 0, 1234, "\"abc\"");
	events.failed(events.ctx, number, 0, OUTPUT_CHANGED, "another object");
	expect_error(number, "another object");
	expect_version(number, 1, 1234,
		       "\"abc\""); /* at once: the old inode is not opened any more */
	pass(0);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 200, 99);
	expect_error(number, NULL);
	expect_version(number, 2, 99, "\"abc\"");
	/* again, and soon: but not at once */
	events.failed(events.ctx, number, 0, OUTPUT_CHANGED, "another object");
	pass(1000);
	ck_assert_ptr_null(sim.calls);
	pass(5000);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 503, -1);
	expect_version(number, 3, 99, "\"abc\"");
	ck_assert_int_eq(engine_output(sim.engine, number, 0, 0, &output), -ENOENT);
	pass(HOUR);
	ck_assert_ptr_null(sim.calls);
	crash();
	expect_version(number, 0, 99, "\"abc\"");
}
END_TEST

/* The readers of a refused URL wait for the poll, and it ends their wait, whatever comes of it. */

struct reader {
	struct output_waiter waiter;
	struct output *output;
	int woken;
};

static void wake_reader(struct output_waiter *waiter)
{
	((struct reader *)waiter)->woken++;
}

static struct output_cache *start_cache(void)
{
	struct output_events events = engine_output_events(sim.engine);
	struct output_cache *cache;
	char dir[DISK_DIR_MAX + 8];

	snprintf(dir, sizeof(dir), "%s/cache", disk_dir);
	cache = output_cache_new(&(struct output_conf){ .dir = dir, .books = "" }, &sim.remote,
				 &events);
	ck_assert_ptr_nonnull(cache);
	engine_set_cache(sim.engine, cache);
	return cache;
}

static void refuse_fetch(const char *url)
{
	struct call *fetch = next_call(CALL_FETCH);

	ck_assert_str_eq(fetch->url, url);
	fetch->fetched(fetch->arg,
		       &(struct remote_object){ .http_status = 404, .size = -1, .detail = "" });
	free_call(fetch);
}

static struct reader park(uint64_t number)
{
	struct reader reader = { .waiter.wake = wake_reader };

	ck_assert_int_eq(engine_output(sim.engine, number, 0, 0, &reader.output), 0);
	return reader;
}

static void end_cache(struct output_cache *cache, struct reader *reader)
{
	output_cancel(reader->output, &reader->waiter);
	output_put(reader->output);
	engine_set_cache(sim.engine, NULL);
	output_cache_free(cache);
}

static void poll_in_vain(uint64_t number, int how)
{
	switch (how) {
	case 0: answer(next_call(CALL_STATUS), 200, COMPLETED); break;
	case 1: answer(next_call(CALL_STATUS), 500, ""); break;
	case 2: answer(next_call(CALL_STATUS), 404, "{\"message\": \"no\"}"); break;
	case 3: answer(next_call(CALL_STATUS), 200, RUNNING); break;
	case 4: fault(next_call(CALL_STATUS), REMOTE_TIMEOUT, true); break;
	case 5:
		answer(next_call(CALL_STATUS), 200, COMPLETED_AT("https://cdn.example/new.glb"));
		object(next_call(CALL_HEAD), 404, -1);
		break;
	case 6:
		answer(next_call(CALL_STATUS), 200, COMPLETED_AT("http://cdn.example/new.glb"));
		break;
	case 7: ck_assert_int_eq(engine_forget(sim.engine, number), 0); break;
	default: ck_abort();
	}
}

START_TEST(a_renewal_that_fails)
{
	uint64_t number = completed_job();
	struct output_cache *cache = start_cache();
	struct reader reader = park(number);
	struct output_waiter *waiter = &reader.waiter;

	ck_assert_int_eq(output_read(reader.output, 0, 10, waiter), -EINPROGRESS);
	refuse_fetch(MEDIA_URL);
	ck_assert_int_eq(reader.woken, 0);
	pass(0);
	poll_in_vain(number, _i);
	ck_assert_int_eq(reader.woken, 1);
	ck_assert_int_eq(output_read(reader.output, 0, 10, waiter), _i == 7 ? -ESTALE : -EIO);
	if (_i != 7) {
		expect_error(number, "HTTP 404");
		expect_state(number, JOB_COMPLETED);
		/* The next reader is told at once. */
		ck_assert_int_eq(output_read(reader.output, 0, 10, waiter), -EINPROGRESS);
		refuse_fetch(MEDIA_URL);
		ck_assert_int_eq(reader.woken, 2);
		pass(1000);
		ck_assert_ptr_null(sim.calls);
	}
	end_cache(cache, &reader);
}
END_TEST

START_TEST(a_renewal_that_helps)
{
	uint64_t number = completed_job();
	struct output_cache *cache = start_cache();
	struct reader reader = park(number);
	struct call *fetch;

	ck_assert_int_eq(output_read(reader.output, 0, 10, &reader.waiter), -EINPROGRESS);
	refuse_fetch(MEDIA_URL);
	pass(0);
	answer(next_call(CALL_STATUS), 200, COMPLETED_AT("https://cdn.example/new.glb"));
	object(next_call(CALL_HEAD), 200, 1234);
	ck_assert_int_eq(reader.woken, 0);
	expect_error(number, NULL);
	fetch = next_call(CALL_FETCH);
	ck_assert_str_eq(fetch->url, "https://cdn.example/new.glb");
	fetch->fetched(fetch->arg, &(struct remote_object){
					   .fault = REMOTE_STOPPED, .size = -1, .detail = "" });
	free_call(fetch);
	end_cache(cache, &reader);
}
END_TEST

/* The driver ends while the URL is asked for: nothing is blamed on it. */
START_TEST(a_renewal_that_is_stopped)
{
	uint64_t number = completed_job();
	struct output_cache *cache = start_cache();
	struct reader reader = park(number);

	ck_assert_int_eq(output_read(reader.output, 0, 10, &reader.waiter), -EINPROGRESS);
	refuse_fetch(MEDIA_URL);
	pass(0);
	fault(next_call(CALL_STATUS), REMOTE_STOPPED, true);
	ck_assert(output_cancel(reader.output, &reader.waiter));
	expect_error(number, NULL);
	end_cache(cache, &reader);
}
END_TEST

START_TEST(outputs_come_from_the_cache)
{
	uint64_t number = completed_job();
	struct output_cache *cache;
	struct output *output;

	ck_assert_int_eq(engine_output(sim.engine, number, 0, 0, &output), -ENOENT);
	cache = start_cache();
	ck_assert_int_eq(engine_output(sim.engine, number, 0, 1, &output), -ESTALE);
	ck_assert_int_eq(engine_output(sim.engine, number, 0, 0, &output), 0);
	ck_assert_uint_eq(output_cached(output), 0);
	output_put(output);
	ck_assert_int_eq(engine_output(sim.engine, number, 1, 0, &output), -ENOENT);
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	ck_assert_int_eq(engine_output(sim.engine, number, 0, 0, &output), -ENOENT);
	engine_set_cache(sim.engine, NULL);
	output_cache_free(cache);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine_output");
	TCase *tcase = tcase_create("output");
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, sim_setup, sim_teardown);
	tcase_add_test(tcase, everything_changes_together);
	tcase_add_test(tcase, a_size_that_comes_at_the_second_try);
	tcase_add_loop_test(tcase, a_size_that_comes_late, 0, 2);
	tcase_add_test(tcase, a_service_that_changes_its_mind);
	tcase_add_test(tcase, a_completion_is_not_kept_back_for_long);
	tcase_add_loop_test(tcase, forbidden_addresses_are_not_asked, 0, 3);
	tcase_add_test(tcase, several_outputs);
	tcase_add_test(tcase, a_failed_download_asks_for_a_new_address);
	tcase_add_test(tcase, a_changed_object_is_another_version);
	tcase_add_loop_test(tcase, a_renewal_that_fails, 0, 8);
	tcase_add_test(tcase, a_renewal_that_helps);
	tcase_add_test(tcase, a_renewal_that_is_stopped);
	tcase_add_test(tcase, outputs_come_from_the_cache);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
