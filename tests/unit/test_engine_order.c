/* engine: orders with origins are bought once, for ever, and start from the defaults. */
#include "engine_world.h"
#include "run.h"

#define LINES 300 /* more than one commit */

static struct params *parse(const char *text)
{
	struct params *params = NULL;
	char error[PARAMS_ERROR_MAX];

	ck_assert_int_eq(params_parse(text, strlen(text), &params, error), PARAMS_OK);
	return params;
}

struct batch {
	struct engine_order orders[LINES];
	char origins[LINES][32], labels[LINES][32];
};

static struct batch batch;

static void submit_batch(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		snprintf(batch.origins[i], sizeof(batch.origins[i]), "dogs.url %zu", i);
		snprintf(batch.labels[i], sizeof(batch.labels[i]), "dogs-%zu", i + 1);
		batch.orders[i] = (struct engine_order){ .label = batch.labels[i],
							 .owner = &somebody,
							 .origin = batch.origins[i],
							 .params = parse(IMAGE) };
	}
	engine_submit_all(sim.engine, batch.orders, count);
	for (size_t i = 0; i < count; i++)
		params_free(batch.orders[i].params);
}

static void expect_errors(size_t first, size_t end, int error)
{
	for (size_t i = first; i < end; i++)
		ck_assert_int_eq(batch.orders[i].error, error);
}

/* Answers every POST under way or due. Gives how many there were. */
static unsigned serve(long http_status)
{
	unsigned before = sim.posts;
	struct call *post;

	for (pass(0); (post = take_call(CALL_SUBMIT)) != NULL; pass(0)) {
		char body[80];

		receive(post);
		snprintf(body, sizeof(body), "{\"request_id\": \"pixal3d_%u\"}", sim.posts);
		answer(post, http_status, body);
	}
	return sim.posts - before;
}

START_TEST(each_line_is_bought_once)
{
	uint64_t first;

	submit_batch(LINES);
	expect_errors(0, LINES, 0);
	first = batch.orders[0].number;
	ck_assert_uint_eq(serve(202), LINES);
	for (size_t i = 0; i < LINES; i++) {
		ck_assert_uint_eq(batch.orders[i].number, first + i);
		expect_state(first + i, JOB_QUEUED);
	}
	submit_batch(LINES);
	expect_errors(0, LINES, -EEXIST);
	ck_assert_uint_eq(batch.orders[7].number, first + 7);
	crash();
	submit_batch(LINES);
	expect_errors(0, LINES, -EEXIST);
	ck_assert_uint_eq(serve(202), 0);
}
END_TEST

static unsigned in_state(enum job_state state)
{
	const struct job *job;
	unsigned count = 0;

	for (uint64_t after = 0; (job = engine_next(sim.engine, after)) != NULL; job_put(job)) {
		after = job->number;
		count += job->state == state;
	}
	return count;
}

/* The plug is pulled when some were sent, some are under way, some wait. */
START_TEST(a_crash_amid_a_batch)
{
	struct call *post;

	submit_batch(10);
	pass(0);
	post = next_call(CALL_SUBMIT);
	receive(post);
	answer(post, 202, ACCEPTED);
	pass(0);
	receive(sim.calls); /* it stays under way */
	crash();
	submit_batch(12);
	expect_errors(0, 10, -EEXIST);
	expect_errors(10, 12, 0);
	ck_assert_uint_eq(in_state(JOB_QUEUED), 1);
	ck_assert_uint_eq(in_state(JOB_UNCERTAIN), 1);
	serve(202);
	ck_assert_uint_eq(sim.posts, 12);
}
END_TEST

START_TEST(a_refused_line_is_tried_again)
{
	uint64_t number;

	submit_batch(2);
	number = batch.orders[0].number;
	ck_assert_uint_eq(serve(402), 2);
	expect_state(number, JOB_REFUSED);
	submit_batch(3);
	expect_errors(0, 3, 0);
	ck_assert_uint_eq(batch.orders[0].number, number);
	ck_assert_uint_eq(serve(202), 3);
	expect_state(number, JOB_QUEUED);
	submit_batch(3);
	expect_errors(0, 3, -EEXIST);
}
END_TEST

START_TEST(a_forgotten_line_is_bought_again)
{
	submit_batch(2);
	serve(202);
	ck_assert_int_eq(engine_forget(sim.engine, batch.orders[1].number), 0);
	submit_batch(2);
	expect_errors(0, 1, -EEXIST);
	expect_errors(1, 2, 0);
	ck_assert_uint_eq(serve(202), 1);
}
END_TEST

START_TEST(a_full_disk_takes_none)
{
	disk_full = 1;
	submit_batch(5);
	expect_errors(0, 5, -ENOSPC);
	disk_full = 0;
	ck_assert_uint_eq(serve(202), 0);
	ck_assert_ptr_null(engine_latest(sim.engine));
	submit_batch(5);
	expect_errors(0, 5, 0);
	ck_assert_uint_eq(serve(202), 5);
}
END_TEST

START_TEST(without_an_origin_every_order_buys)
{
	struct engine_order orders[2] = { { .label = "a", .owner = &somebody },
					  { .label = "a", .owner = &somebody } };

	for (int i = 0; i < 2; i++)
		orders[i].params = parse(IMAGE);
	engine_submit_all(sim.engine, orders, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(orders[i].error, 0);
		params_free(orders[i].params);
	}
	ck_assert_uint_eq(serve(202), 2);
}
END_TEST

START_TEST(read_only_buys_nothing)
{
	stop_driver();
	sim.conf.read_only = true;
	start_driver();
	submit_batch(3);
	expect_errors(0, 3, -EROFS);
	ck_assert_int_eq(engine_set_defaults(sim.engine, NULL, NULL), -EROFS);
}
END_TEST

static void set_defaults(const char *text)
{
	struct params *params = parse(text);

	ck_assert_int_eq(engine_set_defaults(sim.engine, text, params), 0);
	params_free(params);
}

static void expect_defaults(const char *want)
{
	char *text;

	ck_assert_int_eq(engine_defaults(sim.engine, &text), 0);
	ck_assert_pstr_eq(text, want);
	free(text);
}

/* What a job without parameters of its own is sent with, and one with a texture_size. */
static void expect_sent(const char *texture, const char *mesh)
{
	struct params *own = parse("{\"image_url\": \"https://e.example/a\", \"texture_size\": "
				   "1024}");
	uint64_t number = 0, other = 0;

	ck_assert_int_eq(submit_as(&number, "dog"), 0);
	expect_text(number, JOB_TEXT_PARAMS, texture);
	expect_text(number, JOB_TEXT_PARAMS, mesh);
	ck_assert_int_eq(engine_submit(sim.engine, &other, "dog", &somebody, own), 0);
	expect_text(other, JOB_TEXT_PARAMS, "\"texture_size\": 1024");
	expect_text(other, JOB_TEXT_PARAMS, mesh);
	params_free(own);
}

START_TEST(defaults_are_below_a_jobs_own_parameters)
{
	expect_defaults(NULL);
	set_defaults("{\"texture_size\":4096, \"mesh_scale\": 2}");
	expect_sent("\"texture_size\": 4096", "\"mesh_scale\": 2");
	crash();
	expect_defaults("{\"texture_size\":4096, \"mesh_scale\": 2}");
	expect_sent("\"texture_size\": 4096", "\"mesh_scale\": 2");
	disk_full = 1;
	ck_assert_int_eq(engine_set_defaults(sim.engine, NULL, NULL), -ENOSPC);
	disk_full = 0;
	expect_sent("\"texture_size\": 4096", "\"mesh_scale\": 2");
	ck_assert_int_eq(engine_set_defaults(sim.engine, NULL, NULL), 0);
	expect_defaults(NULL);
	expect_sent("image_url", "seed");
	crash();
	expect_defaults(NULL);
}
END_TEST

/* What is unusual stays to be seen, whatever the job goes through. */
START_TEST(a_warning_stays)
{
	struct params *params = parse("{\"image_url\": \"https://e.example/a\", "
				      "\"ss_sampling_steps\": 99}");
	const struct job *job;
	uint64_t number = 0;

	ck_assert_int_eq(engine_submit(sim.engine, &number, "dog", &somebody, params), 0);
	params_free(params);
	ck_assert_uint_eq(serve(202), 1);
	crash();
	job = engine_get(sim.engine, number);
	ck_assert_str_eq(job->warning, "ss_sampling_steps: 99 is outside the usual 1 to 50\n");
	ck_assert_ptr_null(job->error);
	job_put(job);
	expect_text(number, JOB_TEXT_LOG, "ss_sampling_steps: 99 is outside");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine_order");
	TCase *tcase = tcase_create("order");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, sim_setup, sim_teardown);
	tcase_add_test(tcase, each_line_is_bought_once);
	tcase_add_test(tcase, a_crash_amid_a_batch);
	tcase_add_test(tcase, a_refused_line_is_tried_again);
	tcase_add_test(tcase, a_forgotten_line_is_bought_again);
	tcase_add_test(tcase, a_full_disk_takes_none);
	tcase_add_test(tcase, without_an_origin_every_order_buys);
	tcase_add_test(tcase, read_only_buys_nothing);
	tcase_add_test(tcase, defaults_are_below_a_jobs_own_parameters);
	tcase_add_test(tcase, a_warning_stays);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
