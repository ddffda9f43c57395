/* engine: callbacks. They hasten what polls find out anyway, and bring the id of a purchase whose
 * answer was lost; whatever they say, nothing is believed that the service does not confirm. */
#include "api.h"
#include "engine_world.h"
#include "run.h"

#define BASE "https://studio.example/p3d"

/* Where a callback goes. */
struct target {
	uint64_t number;
	char token[API_TOKEN_LEN + 1];
};

static void setup(void)
{
	sim_setup();
	stop_driver();
	sim.conf.callback_base = BASE;
	sim.conf.callback_mode = "terminal";
	start_driver();
}

/* Lets the service receive the POST; what it is told to call. */
static struct target received(struct call *post)
{
	struct target target;

	ck_assert_int_eq(receive(post), 0);
	ck_assert_ptr_nonnull(post->url);
	ck_assert_int_eq(strncmp(post->url, BASE "/", sizeof(BASE)), 0);
	ck_assert(api_callback_target(post->url, &target.number, target.token));
	return target;
}

static int call_back(const struct target *target, const char *request_id)
{
	return engine_callback(sim.engine, target->number, target->token, request_id);
}

static struct target accepted_target(void)
{
	uint64_t number = submit();
	struct call *post = next_post();
	struct target target = received(post);

	ck_assert_uint_eq(target.number, number);
	answer(post, 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	return target;
}

static struct target uncertain_target(void)
{
	uint64_t number = submit();
	struct call *post = next_post();
	struct target target = received(post);

	fault(post, REMOTE_CUT, true);
	expect_state(number, JOB_UNCERTAIN);
	expect_error(number, "call back");
	return target;
}

static unsigned polls_within(int64_t ms)
{
	unsigned before = sim.polls;

	pass(ms);
	return sim.polls - before;
}

static const char *claim_of(uint64_t number)
{
	static char claim[64];
	const struct job *job = engine_get(sim.engine, number);

	snprintf(claim, sizeof(claim), "%s", job->claim ? job->claim : "none");
	job_put(job);
	return claim;
}

START_TEST(a_callback_leads_to_one_poll_now)
{
	struct target target = accepted_target();

	ck_assert_uint_eq(polls_within(1000), 0);
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	ck_assert_uint_eq(polls_within(0), 1);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 200, 1234);
	expect_state(target.number, JOB_COMPLETED);
	/* Duplicates and latecomers. */
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	ck_assert_uint_eq(polls_within(HOUR), 0);
	expect_state(target.number, JOB_COMPLETED);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

START_TEST(a_flood_is_a_few_polls)
{
	struct target target = accepted_target();

	for (int i = 0; i < 1000; i++) {
		struct call *poll;

		ck_assert_int_eq(call_back(&target, i % 2 ? "pixal3d_1" : "nonsense"), 0);
		pass(1);
		if ((poll = take_call(CALL_STATUS)))
			answer(poll, 200, RUNNING);
	}
	/* one at once, then one in 300 ms; the last may be a little early */
	ck_assert_uint_ge(sim.polls, 4);
	ck_assert_uint_le(sim.polls, 6);
	expect_state(target.number, JOB_PROCESSING);
}
END_TEST

/* The poll under way may have been answered before what the callback is about. */
START_TEST(a_callback_during_a_poll_leads_to_another)
{
	struct target target = accepted_target();
	struct call *poll;

	pass(6000);
	poll = next_call(CALL_STATUS);
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	ck_assert_uint_eq(polls_within(200), 0);
	answer(poll, 200, RUNNING);
	ck_assert_uint_eq(polls_within(0), 1);
}
END_TEST

START_TEST(a_service_that_wants_rest_gets_it)
{
	struct target target = accepted_target();

	pass(6000);
	reply(next_call(CALL_STATUS), &(struct remote_reply){ .sent = true,
							      .http_status = 429,
							      .retry_after_ms = 60000,
							      .body = "",
							      .detail = "" });
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	ck_assert_uint_eq(polls_within(59000), 0);
	ck_assert_uint_eq(polls_within(10000), 1);
}
END_TEST

START_TEST(what_is_forged_is_not_expected)
{
	struct target target = accepted_target(), other = target;
	unsigned wakes = sim.wakes;

	for (size_t i = 0; i < API_TOKEN_LEN; i++) {
		other = target;
		other.token[i] ^= 1;
		ck_assert(!engine_callback_expected(sim.engine, other.number, other.token));
		ck_assert_int_eq(call_back(&other, "pixal3d_1"), -ENOENT);
	}
	other = target;
	other.number++;
	ck_assert_int_eq(call_back(&other, "pixal3d_1"), -ENOENT);
	ck_assert(engine_callback_expected(sim.engine, target.number, target.token));
	ck_assert_int_eq(engine_forget(sim.engine, target.number), 0);
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), -ENOENT);
	ck_assert_uint_eq(sim.wakes, wakes);
	ck_assert_uint_eq(polls_within(HOUR), 0);
}
END_TEST

START_TEST(without_webhooks_nothing_is_asked_for)
{
	uint64_t number;
	struct call *post;
	struct target none = { 0 };

	stop_driver();
	sim.conf.callback_base = NULL;
	start_driver();
	number = none.number = submit();
	post = next_post();
	ck_assert_ptr_null(post->url);
	ck_assert_int_eq(receive(post), 0);
	fault(post, REMOTE_CUT, true);
	expect_state(number, JOB_UNCERTAIN);
	memset(none.token, '.', API_TOKEN_LEN);
	ck_assert_int_eq(call_back(&none, "pixal3d_1"), -ENOENT);
	expect_state(number, JOB_UNCERTAIN);
}
END_TEST

START_TEST(an_uncertain_job_is_resolved)
{
	struct target target = uncertain_target();
	struct counter watch = waiter(target.number);
	struct call *poll;

	ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	expect_state(target.number, JOB_UNCERTAIN);
	/* Who looks now waits for what the service says. */
	ck_assert(engine_watch(sim.engine, &watch.watch));
	if (_i)
		crash();
	pass(11000);
	poll = next_call(CALL_STATUS);
	ck_assert_str_eq(poll->url, GATEWAY "/v2/requests/status/pixal3d_1");
	answer(poll, 200, COMPLETED);
	expect_state(target.number, JOB_QUEUED);
	expect_error(target.number, NULL);
	expect_text(target.number, JOB_TEXT_LOG, "UNCERTAIN, a callback names request pixal3d_1");
	expect_text(target.number, JOB_TEXT_LOG, "UNCERTAIN -> QUEUED, request pixal3d_1");
	pass(0);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	object(next_call(CALL_HEAD), 200, 1234);
	expect_state(target.number, JOB_COMPLETED);
	ck_assert_uint_eq(watch.fired, _i ? 0 : 1);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

START_TEST(what_the_service_does_not_know_is_not_believed)
{
	struct target target = uncertain_target();

	ck_assert_int_eq(call_back(&target, "forged"), 0);
	/* One at a time is looked into. */
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), -EBUSY);
	ck_assert_int_eq(submit_as(&target.number, NULL), -EALREADY);
	pass(0);
	answer(next_call(CALL_STATUS), 404, "{}");
	expect_state(target.number, JOB_UNCERTAIN);
	expect_error(target.number, "second purchase");
	expect_text(target.number, JOB_TEXT_LOG, "request forged, which a callback named");
	ck_assert_uint_eq(polls_within(HOUR), 0);
	/* The true one comes again. */
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	pass(1000);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	expect_state(target.number, JOB_PROCESSING);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* As long as the service gives no answer it is asked again. */
START_TEST(a_claim_is_not_given_up)
{
	struct target target = uncertain_target();

	ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	for (int i = 0; i < 5; i++) {
		pass(HOUR);
		if (i % 2)
			answer(next_call(CALL_STATUS), 503, "");
		else
			fault(next_call(CALL_STATUS), REMOTE_CONNECT, false);
		expect_state(target.number, JOB_UNCERTAIN);
		ck_assert_str_eq(claim_of(target.number), "pixal3d_1");
	}
	pass(HOUR);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	expect_state(target.number, JOB_PROCESSING);
}
END_TEST

START_TEST(another_jobs_id_is_not_claimed)
{
	struct target one = accepted_target(), two = uncertain_target();

	ck_assert_int_eq(call_back(&two, "pixal3d_1"), 0);
	ck_assert_str_eq(claim_of(two.number), "none");
	expect_state(two.number, JOB_UNCERTAIN);
	expect_state(one.number, JOB_QUEUED);
}
END_TEST

/* Two claim the same one: who is confirmed first has it. */
START_TEST(two_claims_of_one_id)
{
	struct target one = uncertain_target(), two = uncertain_target();

	ck_assert_int_eq(call_back(&one, "pixal3d_1"), 0);
	ck_assert_int_eq(call_back(&two, "pixal3d_1"), 0);
	pass(0);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	expect_state(one.number, JOB_PROCESSING);
	expect_state(two.number, JOB_UNCERTAIN);
	ck_assert_str_eq(claim_of(two.number), "none");
	ck_assert_uint_eq(polls_within(0), 1);
}
END_TEST

/* The person knows better, while we are asking. */
START_TEST(an_id_that_was_written_goes_before_a_claim)
{
	struct target target = uncertain_target();
	struct call *poll;

	ck_assert_int_eq(call_back(&target, "forged"), 0);
	pass(0);
	poll = next_call(CALL_STATUS);
	ck_assert_int_eq(engine_attach(sim.engine, target.number, "pixal3d_1"), 0);
	answer(poll, 404, "{}");
	expect_state(target.number, JOB_QUEUED);
	answer(next_poll(), 200, RUNNING);
	expect_state(target.number, JOB_PROCESSING);
}
END_TEST

/* The callback overtakes the POST's answer, whatever that will be. */
static const struct {
	long http_status; /* 0: none comes */
	const char *body;
	bool claimed; /* the claim is looked into */
} overtaken[] = {
	{ 202, ACCEPTED, false },
	{ 202, "{\"request_id\": \"pixal3d_1\", \"status\": \"COMPLETED\"}", false },
	{ 0, NULL, true },
	{ 500, "", true },
	{ 429, "", true },
	{ 402, "{}", true },
};

START_TEST(a_callback_before_the_answer)
{
	uint64_t number = submit();
	struct call *post = next_post();
	struct target target = received(post);

	ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	expect_state(number, JOB_SUBMITTING);
	ck_assert_uint_eq(polls_within(1000), 0);
	if (overtaken[_i].http_status)
		answer(post, overtaken[_i].http_status, overtaken[_i].body);
	else
		fault(post, REMOTE_TIMEOUT, true);
	ck_assert_uint_eq(polls_within(0), 1);
	answer(next_call(CALL_STATUS), 200, COMPLETED);
	if (overtaken[_i].claimed) {
		ck_assert_uint_eq(polls_within(0), 1);
		answer(next_call(CALL_STATUS), 200, COMPLETED);
	}
	object(next_call(CALL_HEAD), 200, 1234);
	expect_state(number, JOB_COMPLETED);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

/* ... and names something else than it: the answer is right. */
START_TEST(the_answer_goes_before_a_forged_claim)
{
	uint64_t number = submit();
	struct call *post = next_post();
	struct target target = received(post);

	ck_assert_int_eq(call_back(&target, "forged"), 0);
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), -EBUSY);
	answer(post, 202, ACCEPTED);
	expect_state(number, JOB_QUEUED);
	ck_assert_str_eq(claim_of(number), "none");
	expect_text(number, JOB_TEXT_LOG, "QUEUED, request pixal3d_1");
}
END_TEST

START_TEST(killed_before_the_answer_then_called)
{
	uint64_t number = submit();
	struct target target = received(sim.calls); /* under way when the driver dies */

	if (_i)
		ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	crash();
	if (!_i) {
		expect_state(number, JOB_UNCERTAIN);
		expect_error(number, "call back");
		ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	}
	pass(11000);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	expect_state(number, JOB_PROCESSING);
	expect_no_post(HOUR);
	ck_assert_uint_eq(sim.posts, 1);
}
END_TEST

START_TEST(a_claim_that_is_not_on_disk_was_not_taken)
{
	struct target target = uncertain_target();

	disk_full = 1;
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), -ENOSPC);
	ck_assert_str_eq(claim_of(target.number), "none");
	disk_full = 0;
	ck_assert_int_eq(call_back(&target, "pixal3d_1"), 0);
	ck_assert_str_eq(claim_of(target.number), "pixal3d_1");
}
END_TEST

/* The first purchase's callback says nothing of the second. */
START_TEST(an_older_attempt_resolves_nothing)
{
	struct target first = uncertain_target(), second;
	struct call *post;

	ck_assert_int_eq(submit_as(&first.number, NULL), 0);
	ck_assert_int_eq(call_back(&first, "pixal3d_1"), -ENOENT);
	pass(0);
	post = next_post();
	second = received(post);
	ck_assert_str_ne(first.token, second.token);
	ck_assert_int_eq(call_back(&first, "pixal3d_1"), -ENOENT);
	fault(post, REMOTE_CUT, true);
	expect_state(first.number, JOB_UNCERTAIN);
	ck_assert_int_eq(call_back(&first, "pixal3d_1"), -ENOENT);
	expect_state(first.number, JOB_UNCERTAIN);
	ck_assert_str_eq(claim_of(first.number), "none");
	ck_assert_uint_eq(sim.posts, 2);
}
END_TEST

/* A POST that provably was not taken, and is sent again, has another token. */
START_TEST(each_post_has_a_token_of_its_own)
{
	uint64_t number = submit();
	struct call *post = next_post();
	struct target first = received(post), second;

	answer(post, 429, "");
	expect_state(number, JOB_WAITING);
	ck_assert_int_eq(call_back(&first, "pixal3d_1"), -ENOENT);
	pass(HOUR);
	second = received(sim.calls);
	ck_assert_str_ne(first.token, second.token);
	ck_assert_int_eq(call_back(&second, "pixal3d_1"), 0);
}
END_TEST

/* Polls are rare once callbacks are seen to come, and only for what was submitted with one. */
START_TEST(polls_are_the_safety_net)
{
	struct target first = accepted_target(), second;

	ck_assert_uint_eq(polls_within(12000), 1);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	ck_assert_int_eq(call_back(&first, "pixal3d_1"), 0);
	pass(0);
	answer(next_call(CALL_STATUS), 200, ENDED("FAILED", "\"no\""));
	second = accepted_target();
	ck_assert_uint_eq(polls_within(50000), 0);
	ck_assert_uint_eq(polls_within(20000), 1);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	ck_assert_uint_eq(polls_within(50000), 0);
	/* It was called about: its end may lag a little behind the call. */
	ck_assert_int_eq(call_back(&second, "pixal3d_1"), 0);
	pass(0);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	ck_assert_uint_eq(polls_within(12000), 1);
}
END_TEST

START_TEST(callbacks_that_cease_are_missed)
{
	struct target first = accepted_target();

	ck_assert_int_eq(call_back(&first, "pixal3d_1"), 0);
	pass(0);
	answer(next_call(CALL_STATUS), 200, ENDED("FAILED", "\"no\""));
	accepted_target();
	pass(70000);
	/* Another one, whose end no callback tells. */
	ck_assert_ptr_nonnull(sim.calls);
	answer(next_call(CALL_STATUS), 200, RUNNING);
	accepted_target();
	pass(70000);
	answer(next_call(CALL_STATUS), 200, ENDED("FAILED", "\"no\""));
	/* From now on all are polled as usual, those that rest as well. */
	ck_assert_uint_ge(polls_within(12000), 1);
}
END_TEST

/* A service that repeats what it was sent does not show it to everybody. */
START_TEST(a_token_in_an_answer_is_hidden)
{
	struct target target = accepted_target();
	char *body, *text;
	size_t len;

	ck_assert_int_gt(
		asprintf(&body,
			 "{\"request_id\": \"pixal3d_1\", \"status\": \"FAILED\", \"error\": "
			 "\"%s %s\", \"webhook\": \"" BASE "/1-%s\"}",
			 target.token, target.token, target.token),
		0);
	answer(next_poll(), 200, body);
	free(body);
	expect_state(target.number, JOB_FAILED);
	expect_error(target.number, "********************************");
	for (enum job_text which = 0; which < JOB_TEXTS; which++) {
		ck_assert_int_eq(engine_text(sim.engine, target.number, which, &text, &len), 0);
		ck_assert_ptr_null(strstr(text, target.token));
		free(text);
	}
	expect_text(target.number, JOB_TEXT_STATUS, "\"webhook\": \"" BASE "/1-****");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine hook");
	TCase *tcase = tcase_create("callbacks");
	tcase_add_checked_fixture(tcase, setup, sim_teardown);
	tcase_add_test(tcase, a_callback_leads_to_one_poll_now);
	tcase_add_test(tcase, a_flood_is_a_few_polls);
	tcase_add_test(tcase, a_callback_during_a_poll_leads_to_another);
	tcase_add_test(tcase, a_service_that_wants_rest_gets_it);
	tcase_add_test(tcase, what_is_forged_is_not_expected);
	tcase_add_test(tcase, without_webhooks_nothing_is_asked_for);
	tcase_add_loop_test(tcase, an_uncertain_job_is_resolved, 0, 2);
	tcase_add_test(tcase, what_the_service_does_not_know_is_not_believed);
	tcase_add_test(tcase, a_claim_is_not_given_up);
	tcase_add_test(tcase, another_jobs_id_is_not_claimed);
	tcase_add_test(tcase, two_claims_of_one_id);
	tcase_add_test(tcase, an_id_that_was_written_goes_before_a_claim);
	tcase_add_loop_test(tcase, a_callback_before_the_answer, 0, 6);
	tcase_add_test(tcase, the_answer_goes_before_a_forged_claim);
	tcase_add_loop_test(tcase, killed_before_the_answer_then_called, 0, 2);
	tcase_add_test(tcase, a_claim_that_is_not_on_disk_was_not_taken);
	tcase_add_test(tcase, an_older_attempt_resolves_nothing);
	tcase_add_test(tcase, each_post_has_a_token_of_its_own);
	tcase_add_test(tcase, polls_are_the_safety_net);
	tcase_add_test(tcase, callbacks_that_cease_are_missed);
	tcase_add_test(tcase, a_token_in_an_answer_is_hidden);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
