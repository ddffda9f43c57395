/* http's thread: who may ask, who is answered, and how it ends. */
#include "http_server.h"
#include "run.h"

#include <errno.h>

START_TEST(polls_share_a_connection)
{
	struct outcome first, outcome;

	start(accept_all);
	for (int i = 0; i < 8; i++) {
		begin_status(&outcome, "/v2/requests/status/x");
		wait_done(&outcome);
		ck_assert_str_eq(outcome.body, "{}");
		finish_outcome(&outcome);
	}
	ck_assert_int_eq(server.connected, 1);
	begin_submit(&first, "{}");
	wait_done(&first);
	ck_assert_int_eq(server.connected, 2);
	finish_outcome(&first);
	begin_status(&outcome, "/v2/requests/status/x");
	wait_done(&outcome);
	finish_outcome(&outcome);
	ck_assert_int_eq(server.connected, 2);
	stop();
}
END_TEST

START_TEST(callbacks_may_ask_again)
{
	struct outcome first, second;

	start(accept_all);
	outcome_init(&first);
	outcome_init(&second);
	first.next = &second;
	snprintf(first.next_url, sizeof(first.next_url), "%s/v2/second", server.url);
	ck_assert_int_eq(remote->status(remote->ctx, first.next_url, on_done, &first), 0);
	wait_done(&first);
	wait_done(&second);
	ck_assert_int_eq(second.http_status, 200);
	finish_outcome(&first);
	finish_outcome(&second);
	stop();
}
END_TEST

static void *ask_much(void *arg)
{
	struct outcome outcomes[8];

	(void)arg;
	for (int i = 0; i < 8; i++) {
		if (i % 4)
			begin_status(&outcomes[i], "/v2/requests/status/x");
		else
			begin_submit(&outcomes[i], "{}");
	}
	for (int i = 0; i < 8; i++) {
		wait_done(&outcomes[i]);
		ck_assert_int_eq(outcomes[i].fault, REMOTE_OK);
		finish_outcome(&outcomes[i]);
	}
	return NULL;
}

START_TEST(any_thread_may_ask)
{
	pthread_t threads[4];

	start(accept_all);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, ask_much, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(server.posts, 8);
	ck_assert_int_eq(server.requests, 32);
	stop();
}
END_TEST

/* Stopping. */

START_TEST(stop_waits_for_a_submission_and_for_nothing_else)
{
	struct outcome outcome, poll;
	double began;

	start(say_nothing);
	begin_status(&poll, "/v2/requests/status/x");
	begin_submit(&outcome, "{}");
	sem_wait(&server.arrived);
	sem_wait(&server.arrived);
	began = seconds();
	http_stop(http, 300);
	ck_assert_double_ge(seconds() - began, 0.29);
	ck_assert_double_lt(seconds() - began, 2);
	ck_assert_int_eq(outcome.fault, REMOTE_STOPPED);
	ck_assert(outcome.sent);
	ck_assert_int_eq(poll.fault, REMOTE_STOPPED);
	finish_outcome(&outcome);
	finish_outcome(&poll);
	ck_assert_int_eq(remote->status(remote->ctx, server.url, on_done, &poll), -ESHUTDOWN);
	stop();
}
END_TEST

static bool answer_late(struct server *s, int fd, const char *request)
{
	usleep(200000);
	return accept_all(s, fd, request);
}

START_TEST(stop_takes_an_answer_that_comes_in_time)
{
	struct outcome outcome;
	double began;

	start(answer_late);
	begin_submit(&outcome, "{}");
	sem_wait(&server.arrived);
	began = seconds();
	http_stop(http, 5000);
	ck_assert_double_lt(seconds() - began, 2);
	ck_assert_int_eq(outcome.fault, REMOTE_OK);
	ck_assert_int_eq(outcome.http_status, 202);
	finish_outcome(&outcome);
	stop();
}
END_TEST

START_TEST(stop_does_not_begin_a_submission)
{
	struct outcome outcome;
	double began;

	client_start(start_raw(be_silent));
	begin_submit(&outcome, "{}");
	usleep(100000);
	began = seconds();
	http_stop(http, 5000);
	ck_assert_double_lt(seconds() - began, 2);
	ck_assert_int_eq(outcome.fault, REMOTE_STOPPED);
	ck_assert(!outcome.sent);
	finish_outcome(&outcome);
	stop();
}
END_TEST

START_TEST(stop_answers_everything)
{
	enum { MANY = 200 };
	static struct outcome outcomes[MANY];

	start(say_nothing);
	for (int i = 0; i < MANY; i++) {
		if (i % 10)
			begin_status(&outcomes[i], "/v2/requests/status/x");
		else
			begin_submit(&outcomes[i], "{}");
	}
	http_stop(http, 10);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(outcomes[i].fault, REMOTE_STOPPED);
		finish_outcome(&outcomes[i]);
	}
	stop();
}
END_TEST

START_TEST(what_never_started_is_answered_too)
{
	struct http_conf conf = http_conf_default();
	struct outcome outcome;

	conf.gateway = "https://gateway.example";
	conf.key = key = key_fixed(TEST_KEY);
	http = http_new(&conf);
	remote = http_remote(http);
	begin_submit(&outcome, "{}");
	client_stop();
	ck_assert_int_eq(outcome.fault, REMOTE_STOPPED);
	ck_assert(!outcome.sent);
	finish_outcome(&outcome);
}
END_TEST

struct ticks {
	sem_t called;
	atomic_int count;
	int64_t wait;
};

static int64_t count_tick(void *arg)
{
	struct ticks *ticks = arg;

	ticks->count++;
	sem_post(&ticks->called);
	return ticks->wait;
}

START_TEST(ticks)
{
	struct http_conf conf = http_conf_default();
	struct ticks slow = { .wait = INT64_MAX };
	struct ticks quick = { .wait = 20 };

	conf.gateway = "https://gateway.example";
	conf.key = key = key_fixed(TEST_KEY);
	http = http_new(&conf);
	sem_init(&slow.called, 0, 0);
	ck_assert_int_eq(http_start(http, count_tick, &slow), 0);
	sem_wait(&slow.called);
	usleep(50000);
	while (sem_trywait(&slow.called) == 0)
		;
	http_remote(http)->wake(http_remote(http)->ctx);
	sem_wait(&slow.called);
	ck_assert_int_lt(slow.count, 6);
	client_stop();

	conf.key = key = key_fixed(TEST_KEY);
	http = http_new(&conf);
	sem_init(&quick.called, 0, 0);
	ck_assert_int_eq(http_start(http, count_tick, &quick), 0);
	for (int i = 0; i < 10; i++)
		sem_wait(&quick.called);
	client_stop();
}
END_TEST

static void add_thread_tests(TCase *tc)
{
	tcase_add_test(tc, polls_share_a_connection);
	tcase_add_test(tc, callbacks_may_ask_again);
	tcase_add_test(tc, any_thread_may_ask);
	tcase_add_test(tc, stop_waits_for_a_submission_and_for_nothing_else);
	tcase_add_test(tc, stop_takes_an_answer_that_comes_in_time);
	tcase_add_test(tc, stop_does_not_begin_a_submission);
	tcase_add_test(tc, stop_answers_everything);
	tcase_add_test(tc, what_never_started_is_answered_too);
	tcase_add_test(tc, ticks);
}

int main(void)
{
	Suite *suite = suite_create("http thread");
	TCase *tc = tcase_create("thread");
	add_thread_tests(tc);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
