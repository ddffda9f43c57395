/* engine: images are published before their jobs are sent, and once. */
#include "engine_world.h"
#include "run.h"

#include <inttypes.h>

#define DAY  (24 * (int64_t)HOUR)
#define URL  "https://bucket.example/a.png?X-Amz-Signature=1"
#define URL2 "https://bucket.example/a.png?X-Amz-Signature=2"

/* The publisher: what is under way is answered by hand. */

struct upload {
	char *sha256, *receipt, *content;
	char media_type[32];
	void (*done)(void *arg, const struct published *result);
	void *arg;
	struct upload *next;
};

static struct {
	struct upload *uploads;
	unsigned begun;
	int refuse;
} bucket;

static char images[] = "/tmp/p3d-images-XXXXXX";

static int publish(void *ctx, const struct publish_image *image,
		   void (*done)(void *arg, const struct published *result), void *arg)
{
	struct upload *upload = calloc(1, sizeof(*upload)), **at = &bucket.uploads;
	FILE *file = fopen(image->path, "r");
	int r = bucket.refuse;

	(void)ctx;
	bucket.refuse = 0;
	ck_assert_ptr_nonnull(file);
	upload->content = calloc(1, image->size + 1);
	ck_assert_uint_eq(fread(upload->content, 1, image->size, file), image->size);
	fclose(file);
	upload->sha256 = strdup(image->sha256);
	upload->receipt = image->receipt ? strdup(image->receipt) : NULL;
	snprintf(upload->media_type, sizeof(upload->media_type), "%s", image->media_type);
	ck_assert_str_eq(image->extension, "png");
	upload->done = done;
	upload->arg = arg;
	while (*at)
		at = &(*at)->next;
	*at = upload;
	bucket.begun++;
	if (r < 0) {
		*at = NULL;
		free(upload->sha256);
		free(upload->receipt);
		free(upload->content);
		free(upload);
	}
	return r;
}

static const struct publisher publisher = { .where = "s3://bucket/p", .publish = publish };

static void end_upload(const struct published *result)
{
	struct upload *upload = bucket.uploads;

	ck_assert_ptr_nonnull(upload);
	bucket.uploads = upload->next;
	upload->done(upload->arg, result);
	free(upload->sha256);
	free(upload->receipt);
	free(upload->content);
	free(upload);
}

static int64_t in(int64_t ms)
{
	return sim_wall(NULL) + ms;
}

static void publish_as(const char *url, int64_t lasts_ms)
{
	end_upload(&(struct published){
		.url = url, .expires_ms = in(lasts_ms), .receipt = "r1", .detail = "" });
}

static void fail_upload(int error, bool is_refused, const char *detail)
{
	end_upload(&(struct published){ .error = error, .refused = is_refused, .detail = detail });
}

static void set_up(void)
{
	sim_setup();
	stop_driver();
	ck_assert_ptr_nonnull(mkdtemp(images));
	sim.images = images;
	sim.publisher = &publisher;
	start_driver();
}

/* A killed driver's uploads never end; here they end when nobody listens. */
static void forget_uploads(void)
{
	while (bucket.uploads)
		fail_upload(ESHUTDOWN, false, "stopped");
}

static void tear_down(void)
{
	forget_uploads();
	sim_teardown();
	if (access(images, F_OK) == 0)
		remove_dir(images);
}

static void stop_and_start(void)
{
	forget_uploads();
	stop_driver();
	start_driver();
}

static void crash_now(void)
{
	forget_uploads();
	crash();
}

static unsigned files(void)
{
	unsigned count = 0;
	DIR *dir = opendir(images);
	const struct dirent *entry;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static int drop_into(uint64_t *number, const char *content, const char *text)
{
	struct engine_order order = {
		.number = *number, .label = "dog", .owner = &somebody, .error = 1
	};
	struct spool_file *file;
	char error[PARAMS_ERROR_MAX];

	ck_assert_int_eq(spool_create(sim.spool, &file), 0);
	ck_assert_int_eq(spool_write(file, 0, content, strlen(content)), 0);
	ck_assert_int_eq(spool_seal(&file, "png"), 0);
	order.image = spool_name(file);
	ck_assert_int_eq(params_parse(text, strlen(text), &order.params, error), PARAMS_OK);
	engine_submit_all(sim.engine, &order, 1);
	params_free(order.params);
	spool_put(file);
	*number = order.number;
	return order.error;
}

static uint64_t drop(const char *content)
{
	uint64_t number = 0;

	ck_assert_int_eq(drop_into(&number, content, "{\"seed\": 1}"), 0);
	pass(0);
	return number;
}

static int amend(uint64_t number, const char *text)
{
	struct params *params = NULL;
	char error[PARAMS_ERROR_MAX];
	int r;

	ck_assert_int_eq(params_parse(text, strlen(text), &params, error), PARAMS_OK);
	r = engine_amend(sim.engine, number, params);
	params_free(params);
	return r;
}

/* It is sent with URL, and params.json says what was sent. */
static void expect_sent(uint64_t number, const char *url)
{
	struct call *post;
	char *text;
	size_t len;

	pass(0);
	post = next_post();
	ck_assert_ptr_nonnull(strstr(post->body, url));
	ck_assert_int_eq(receive(post), 0);
	ck_assert_int_eq(engine_text(sim.engine, number, JOB_TEXT_PARAMS, &text, &len), 0);
	ck_assert_str_eq(text, post->body);
	free(text);
	answer(post, 202, ACCEPTED);
}

START_TEST(published_then_sent)
{
	uint64_t number = drop("dog");

	expect_state(number, JOB_WAITING);
	ck_assert_str_eq(bucket.uploads->content, "dog");
	ck_assert_str_eq(bucket.uploads->media_type, "image/png");
	ck_assert_uint_eq(strlen(bucket.uploads->sha256), 64);
	ck_assert_ptr_null(bucket.uploads->receipt);
	expect_no_post(HOUR);
	publish_as(URL, 7 * DAY);
	expect_sent(number, URL);
	expect_state(number, JOB_QUEUED);
	expect_text(number, JOB_TEXT_LOG, "its image is published at s3://bucket/p");
	ck_assert_uint_eq(sim.posts, 1);
	ck_assert_uint_eq(bucket.begun, 1);
	ck_assert_uint_eq(files(), 1);
	answer(next_poll(), 200, COMPLETED);
	object(next_call(CALL_HEAD), 200, 1234);
	expect_state(number, JOB_COMPLETED);
	ck_assert_uint_eq(files(), 0);
}
END_TEST

/* The same bytes are published once: at the same time, and later. */
START_TEST(once_for_the_same_bytes)
{
	uint64_t jobs[3] = { drop("dog"), drop("dog"), drop("cat") };

	ck_assert_uint_eq(bucket.begun, 2);
	ck_assert_uint_eq(files(), 2);
	publish_as(URL, 7 * DAY);
	expect_sent(jobs[0], URL);
	expect_sent(jobs[1], URL);
	fail_upload(EACCES, true, "denied");
	expect_state(jobs[2], JOB_REFUSED);
	uint64_t later = drop("dog");
	ck_assert_uint_eq(bucket.begun, 2);
	expect_sent(later, URL);
	ck_assert_uint_eq(sim.posts, 3);
}
END_TEST

START_TEST(an_url_that_expires_is_made_anew)
{
	uint64_t number = drop("dog");

	publish_as(URL, 2 * DAY);
	pass(0);
	fault(next_post(), REMOTE_CONNECT, false);
	expect_state(number, JOB_WAITING);
	sim.wall_jump_ms = 36 * HOUR;
	pass(HOUR);
	ck_assert_ptr_null(take_call(CALL_SUBMIT));
	ck_assert_uint_eq(bucket.begun, 2);
	ck_assert_str_eq(bucket.uploads->receipt, "r1");
	publish_as(URL2, 7 * DAY);
	expect_sent(number, URL2);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

START_TEST(failures_are_tried_again_and_refusals_told)
{
	uint64_t number = drop("dog");

	fail_upload(ECONNREFUSED, false, "could not connect to bucket.example");
	expect_state(number, JOB_WAITING);
	expect_error(number, "could not connect to bucket.example. Nothing was sent, and nothing");
	expect_no_post(10000);
	ck_assert_uint_eq(bucket.begun, 2);
	bucket.refuse = -EMFILE;
	fail_upload(ECONNREFUSED, false, "again");
	pass(10000);
	expect_state(number, JOB_WAITING);
	pass(60000);
	fail_upload(EACCES, true, "AccessDenied: no such bucket for you");
	expect_state(number, JOB_REFUSED);
	expect_error(number, "AccessDenied: no such bucket for you");
	ck_assert_int_eq(errno_of(number), EACCES);
	/* Its image is kept: it may be asked for again. */
	ck_assert_uint_eq(files(), 1);
	struct params *none = params_new();
	ck_assert_int_eq(engine_submit(sim.engine, &number, NULL, NULL, none), 0);
	params_free(none);
	pass(0);
	publish_as(URL, 7 * DAY);
	expect_sent(number, URL);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* With submit=sync nothing waits. */
START_TEST(sync_refuses_at_once)
{
	uint64_t number;

	stop_driver();
	sim.conf.submit_sync = true;
	start_driver();
	number = drop("dog");
	fail_upload(ECONNREFUSED, false, "no");
	expect_state(number, JOB_REFUSED);
	ck_assert_int_eq(errno_of(number), ECONNREFUSED);
}
END_TEST

/* Killed, or ended, at every step: published again where that is not known, bought once. */
START_TEST(a_crash_at_every_step)
{
	void (*restart)(void) = _i % 2 ? crash_now : stop_and_start;
	uint64_t number = 0;

	ck_assert_int_eq(drop_into(&number, "dog", "{\"seed\": 1}"), 0);
	if (_i / 2 == 0)
		restart();
	pass(0);
	if (_i / 2 == 1) {
		restart();
		pass(0);
	}
	ck_assert_ptr_nonnull(bucket.uploads);
	publish_as(URL, 7 * DAY);
	unsigned begun = bucket.begun;
	if (_i / 2 == 2)
		restart();
	pass(0);
	if (_i / 2 == 3) {
		struct call *post = next_post();
		fault(post, REMOTE_STOPPED, false);
		restart();
		pass(0);
	}
	expect_sent(number, URL);
	expect_no_post(HOUR);
	restart();
	expect_no_post(HOUR);
	ck_assert_uint_eq(bucket.begun, begun);
	ck_assert_uint_eq(sim.posts, 1);
	ck_assert_uint_eq(files(), 1);
	ck_assert_int_eq(engine_forget(sim.engine, number), 0);
	ck_assert_uint_eq(files(), 0);
}
END_TEST

/* Killed while the POST was under way: in doubt, as ever, and its image is kept. */
START_TEST(a_crash_in_the_post)
{
	uint64_t number = drop("dog");

	publish_as(URL, 7 * DAY);
	pass(0);
	struct call *post = next_post();
	receive(post);
	fault(post, REMOTE_STOPPED, true);
	crash_now();
	expect_state(number, JOB_UNCERTAIN);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 1);
	ck_assert_uint_eq(files(), 1);
}
END_TEST

START_TEST(what_the_disk_does_not_take_is_not_sent)
{
	uint64_t number = 0;

	disk_full = 1;
	ck_assert_int_eq(drop_into(&number, "dog", "{}"), -ENOSPC);
	ck_assert_uint_eq(files(), 0);
	disk_full = 0;
	number = drop("dog");
	disk_full = 1;
	publish_as(URL, 7 * DAY);
	expect_no_post(60000);
	disk_full = 0;
	pass(HOUR);
	if (bucket.uploads)
		publish_as(URL2, 7 * DAY);
	pass(0);
	ck_assert_ptr_nonnull(sim.calls);
	struct call *post = next_post();
	receive(post);
	answer(post, 202, ACCEPTED);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* What belongs to an image may come a moment after it; once it is sent, it is too late. */
START_TEST(parameters_may_come_later)
{
	uint64_t number;

	engine_stir(sim.engine);
	number = drop("dog");
	if (_i == 0)
		publish_as(URL, 7 * DAY);
	expect_no_post(1000);
	engine_stir(sim.engine);
	expect_no_post(1999);
	ck_assert_int_eq(amend(number, "{\"seed\": 7, \"texture_size\": 4096}"), 0);
	if (_i == 1)
		publish_as(URL, 7 * DAY);
	pass(1);
	ck_assert_ptr_nonnull(strstr(sim.calls->body, "\"texture_size\": 4096"));
	ck_assert_ptr_nonnull(strstr(sim.calls->body, "\"seed\": 7"));
	ck_assert_int_eq(amend(number, "{\"seed\": 8}"), -EROFS);
	expect_sent(number, URL);
	ck_assert_int_eq(amend(number, "{\"seed\": 8}"), -EROFS);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

START_TEST(it_does_not_wait_for_ever)
{
	engine_stir(sim.engine);
	uint64_t number = drop("dog");
	publish_as(URL, 7 * DAY);
	for (int i = 0; i < 59; i++) {
		expect_no_post(1000);
		engine_stir(sim.engine);
	}
	pass(1500);
	expect_sent(number, URL);
}
END_TEST

START_TEST(amending_keeps_to_the_budget)
{
	uint64_t number = 0;
	struct price_account account;

	stop_driver();
	ck_assert_int_eq(price_budget_parse(&sim.conf.budget, "0.40"), 0);
	start_driver();
	ck_assert_int_eq(drop_into(&number, "dog", "{}"), -EDQUOT);
	number = 0;
	ck_assert_int_eq(drop_into(&number, "dog", "{\"texture_size\": 1024}"), 0);
	ck_assert_int_eq(amend(number, "{\"texture_size\": 2048}"), -EDQUOT);
	ck_assert_int_eq(amend(number, "{\"texture_size\": 1024, \"seed\": 3}"), 0);
	ck_assert_int_eq(engine_account(sim.engine, &account), 0);
	ck_assert_int_eq(account.ever, 300000);
	expect_text(number, JOB_TEXT_PARAMS, "\"seed\": 3");
}
END_TEST

START_TEST(amending_is_counted)
{
	struct price_account account;
	uint64_t number = drop("dog");

	ck_assert_int_eq(amend(number, "{\"texture_size\": 1024}"), 0);
	ck_assert_int_eq(engine_account(sim.engine, &account), 0);
	ck_assert_int_eq(account.ever, 300000);
	ck_assert_int_eq(amend(number, "{\"texture_size\": 4096}"), 0);
	ck_assert_int_eq(engine_account(sim.engine, &account), 0);
	ck_assert_int_eq(account.ever, 420000);
}
END_TEST

/* Mounted without upload= later: it waits, and its image with it. */
START_TEST(without_a_publisher_it_waits)
{
	uint64_t number = drop("dog");

	forget_uploads();
	stop_driver();
	sim.publisher = NULL;
	start_driver();
	ck_assert_int_eq(spool_sweep(sim.spool), 0);
	expect_no_post(HOUR);
	expect_error(number, "upload=");
	expect_state(number, JOB_WAITING);
	stop_driver();
	sim.publisher = &publisher;
	start_driver();
	pass(0);
	publish_as(URL, 7 * DAY);
	expect_sent(number, URL);
	expect_error(number, NULL);
}
END_TEST

START_TEST(an_image_that_is_gone_is_told)
{
	uint64_t number = drop("dog");

	forget_uploads();
	stop_driver();
	remove_dir(images);
	start_driver();
	expect_no_post(HOUR);
	expect_state(number, JOB_REFUSED);
	expect_error(number, "gone");
}
END_TEST

/* A job that has an image, and is told another URL, has another image. */
START_TEST(another_url_is_another_image)
{
	uint64_t number = drop("dog");

	fail_upload(EACCES, true, "no");
	ck_assert_int_eq(submit_as(&number, NULL), 0);
	ck_assert_uint_eq(files(), 0);
	expect_sent(number, "https://example.com/dog.png");
	ck_assert_uint_eq(bucket.begun, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine_publish");
	TCase *tests = tcase_create("all");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, published_then_sent);
	tcase_add_test(tests, once_for_the_same_bytes);
	tcase_add_test(tests, an_url_that_expires_is_made_anew);
	tcase_add_test(tests, failures_are_tried_again_and_refusals_told);
	tcase_add_test(tests, sync_refuses_at_once);
	tcase_add_loop_test(tests, a_crash_at_every_step, 0, 8);
	tcase_add_test(tests, a_crash_in_the_post);
	tcase_add_test(tests, what_the_disk_does_not_take_is_not_sent);
	tcase_add_loop_test(tests, parameters_may_come_later, 0, 2);
	tcase_add_test(tests, it_does_not_wait_for_ever);
	tcase_add_test(tests, amending_keeps_to_the_budget);
	tcase_add_test(tests, amending_is_counted);
	tcase_add_test(tests, without_a_publisher_it_waits);
	tcase_add_test(tests, an_image_that_is_gone_is_told);
	tcase_add_test(tests, another_url_is_another_image);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
