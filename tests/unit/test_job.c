/* job: every event in every state, and what the record promises afterwards. */
#include "job.h"
#include "run.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW   1779456000123
#define TOKEN "0123456789abcdef0123456789abcdef"

/* What each event does in each state, written down apart from job_moves.c: the state after it and
 * what is to be done, or the error. */
struct outcome {
	int result; /* a mask of job_action, or -errno */
	enum job_state after;
};

#define INVAL                                                                                      \
	{                                                                                          \
		-EINVAL, JOB_STATES                                                                \
	}
#define ROFS                                                                                       \
	{                                                                                          \
		-EROFS, JOB_STATES                                                                 \
	}
#define ALREADY                                                                                    \
	{                                                                                          \
		-EALREADY, JOB_STATES                                                              \
	}
#define NONE(s)                                                                                    \
	{                                                                                          \
		JOB_DO_NOTHING, s                                                                  \
	}
#define SEND                                                                                       \
	{                                                                                          \
		JOB_DO_SEND, JOB_WAITING                                                           \
	}
#define POLL(s)                                                                                    \
	{                                                                                          \
		JOB_DO_POLL, s                                                                     \
	}
#define STOP(s)                                                                                    \
	{                                                                                          \
		JOB_DO_STOP, s                                                                     \
	}

/* clang-format off */
static const struct outcome table[JOB_STATES][JOB_EVENTS] = {
	[JOB_DRAFT] = {
		[JOB_EVENT_SUBMIT] = SEND, [JOB_EVENT_SENDING] = INVAL,
		[JOB_EVENT_NOT_SENT] = INVAL, [JOB_EVENT_ACCEPTED] = INVAL,
		[JOB_EVENT_REFUSED] = INVAL, [JOB_EVENT_LOST] = INVAL,
		[JOB_EVENT_RESTART] = NONE(JOB_DRAFT), [JOB_EVENT_ATTACH] = POLL(JOB_QUEUED),
		[JOB_EVENT_STATUS] = INVAL, [JOB_EVENT_UNKNOWN] = INVAL,
		[JOB_EVENT_CALLED] = INVAL,
	},
	[JOB_WAITING] = {
		[JOB_EVENT_SUBMIT] = ALREADY, [JOB_EVENT_SENDING] = NONE(JOB_SUBMITTING),
		[JOB_EVENT_NOT_SENT] = SEND, [JOB_EVENT_ACCEPTED] = POLL(JOB_QUEUED),
		[JOB_EVENT_REFUSED] = STOP(JOB_REFUSED), [JOB_EVENT_LOST] = STOP(JOB_UNCERTAIN),
		[JOB_EVENT_RESTART] = SEND, [JOB_EVENT_ATTACH] = ALREADY,
		[JOB_EVENT_STATUS] = INVAL, [JOB_EVENT_UNKNOWN] = INVAL,
		[JOB_EVENT_CALLED] = INVAL,
	},
	[JOB_SUBMITTING] = {
		[JOB_EVENT_SUBMIT] = ALREADY, [JOB_EVENT_SENDING] = ALREADY,
		[JOB_EVENT_NOT_SENT] = SEND, [JOB_EVENT_ACCEPTED] = POLL(JOB_QUEUED),
		[JOB_EVENT_REFUSED] = STOP(JOB_REFUSED), [JOB_EVENT_LOST] = STOP(JOB_UNCERTAIN),
		[JOB_EVENT_RESTART] = STOP(JOB_UNCERTAIN), [JOB_EVENT_ATTACH] = ALREADY,
		[JOB_EVENT_STATUS] = INVAL, [JOB_EVENT_UNKNOWN] = INVAL,
		[JOB_EVENT_CALLED] = NONE(JOB_SUBMITTING),
	},
	[JOB_UNCERTAIN] = {
		[JOB_EVENT_SUBMIT] = SEND, [JOB_EVENT_SENDING] = INVAL,
		[JOB_EVENT_NOT_SENT] = INVAL, [JOB_EVENT_ACCEPTED] = POLL(JOB_QUEUED),
		[JOB_EVENT_REFUSED] = INVAL, [JOB_EVENT_LOST] = NONE(JOB_UNCERTAIN),
		[JOB_EVENT_RESTART] = NONE(JOB_UNCERTAIN), [JOB_EVENT_ATTACH] = POLL(JOB_QUEUED),
		[JOB_EVENT_STATUS] = INVAL, [JOB_EVENT_UNKNOWN] = INVAL,
		[JOB_EVENT_CALLED] = POLL(JOB_UNCERTAIN),
	},
	[JOB_REFUSED] = {
		[JOB_EVENT_SUBMIT] = SEND, [JOB_EVENT_SENDING] = INVAL,
		[JOB_EVENT_NOT_SENT] = INVAL, [JOB_EVENT_ACCEPTED] = POLL(JOB_QUEUED),
		[JOB_EVENT_REFUSED] = NONE(JOB_REFUSED), [JOB_EVENT_LOST] = INVAL,
		[JOB_EVENT_RESTART] = NONE(JOB_REFUSED), [JOB_EVENT_ATTACH] = ROFS,
		[JOB_EVENT_STATUS] = INVAL, [JOB_EVENT_UNKNOWN] = INVAL,
		[JOB_EVENT_CALLED] = POLL(JOB_REFUSED),
	},
#define RUNNING(s) { \
		[JOB_EVENT_SUBMIT] = ROFS, [JOB_EVENT_SENDING] = INVAL, \
		[JOB_EVENT_NOT_SENT] = INVAL, [JOB_EVENT_ACCEPTED] = POLL(s), \
		[JOB_EVENT_REFUSED] = INVAL, [JOB_EVENT_LOST] = INVAL, \
		[JOB_EVENT_RESTART] = POLL(s), [JOB_EVENT_ATTACH] = POLL(s), \
		[JOB_EVENT_STATUS] = POLL(JOB_PROCESSING), [JOB_EVENT_UNKNOWN] = STOP(JOB_UNCERTAIN), \
		[JOB_EVENT_CALLED] = NONE(s), \
	}
	[JOB_QUEUED] = RUNNING(JOB_QUEUED),
	[JOB_PROCESSING] = RUNNING(JOB_PROCESSING),
	[JOB_OTHER] = RUNNING(JOB_OTHER),
	[JOB_COMPLETED] = {
		[JOB_EVENT_SUBMIT] = ROFS, [JOB_EVENT_SENDING] = INVAL,
		[JOB_EVENT_NOT_SENT] = INVAL, [JOB_EVENT_ACCEPTED] = STOP(JOB_COMPLETED),
		[JOB_EVENT_REFUSED] = INVAL, [JOB_EVENT_LOST] = INVAL,
		[JOB_EVENT_RESTART] = STOP(JOB_COMPLETED), [JOB_EVENT_ATTACH] = STOP(JOB_COMPLETED),
		[JOB_EVENT_STATUS] = STOP(JOB_COMPLETED), [JOB_EVENT_UNKNOWN] = STOP(JOB_COMPLETED),
		[JOB_EVENT_CALLED] = NONE(JOB_COMPLETED),
	},
#define FAILED(s) { \
		[JOB_EVENT_SUBMIT] = SEND, [JOB_EVENT_SENDING] = INVAL, \
		[JOB_EVENT_NOT_SENT] = INVAL, [JOB_EVENT_ACCEPTED] = STOP(s), \
		[JOB_EVENT_REFUSED] = INVAL, [JOB_EVENT_LOST] = INVAL, \
		[JOB_EVENT_RESTART] = NONE(s), [JOB_EVENT_ATTACH] = STOP(s), \
		[JOB_EVENT_STATUS] = NONE(s), [JOB_EVENT_UNKNOWN] = NONE(s), \
		[JOB_EVENT_CALLED] = NONE(s), \
	}
	[JOB_FAILED] = FAILED(JOB_FAILED),
	[JOB_ERROR] = FAILED(JOB_ERROR),
	[JOB_CANCELLED] = FAILED(JOB_CANCELLED),
};
/* clang-format on */

static struct job *make(enum job_state state)
{
	struct job *job = job_new();

	ck_assert_ptr_nonnull(job);
	job->number = 7;
	job->state = state;
	job->attempts = state == JOB_DRAFT ? 0 : 1;
	ck_assert_int_eq(job_set(&job->name, "dog"), 0);
	if (job_is(job, JOB_REMOTE_STATES))
		job_set(&job->request_id, "pixal3d_1");
	if (!job_is(job, JOB_IN(JOB_DRAFT) | JOB_IN(JOB_WAITING)))
		job_set(&job->token, TOKEN);
	if (job_is(job, JOB_TERMINAL_STATES))
		job->ended_ms = NOW - 1000;
	if (state == JOB_COMPLETED) {
		ck_assert_ptr_nonnull(job_add_output(job));
		job_set(&job->outputs[0].url, "https://cdn.example/output.glb");
		job_set(&job->outputs[0].name, "output.glb");
		job->outputs[0].size = 12;
	}
	return job;
}

static struct job_event event_of(enum job_event_kind kind)
{
	return (struct job_event){
		.kind = kind,
		.now_ms = NOW,
		.request_id = "pixal3d_1",
		.polling_url = "https://gateway.example/v2/requests/status/pixal3d_1",
		.word = kind == JOB_EVENT_STATUS ? "processing" : "QUEUED",
		.reason = "because",
		.error = EBUSY,
		.retry_at_ms = NOW + 5000,
	};
}

static void check_invariants(const struct job *job)
{
	ck_assert_int_eq(job->request_id != NULL, job_is(job, JOB_REMOTE_STATES));
	ck_assert_int_eq(job->ended_ms != 0, job_is(job, JOB_TERMINAL_STATES));
	ck_assert(job->output_count == 0 || job->state == JOB_COMPLETED);
	ck_assert(!job->claim || (job->token && !job->request_id));
}

START_TEST(every_event_in_every_state)
{
	enum job_state state = (enum job_state)(_i / JOB_EVENTS);
	struct job_event event = event_of((enum job_event_kind)(_i % JOB_EVENTS));
	struct outcome expected = table[state][event.kind];
	struct job *job = make(state), *copy;
	int r = job_apply(job, &event);

	ck_assert_msg(r == expected.result, "%s, event %d: %d", job_state_name(state), event.kind,
		      r);
	if (r < 0) {
		ck_assert_int_eq(job->state, state);
		ck_assert_ptr_null(job->error);
		ck_assert_int_eq(job->changed_ms, 0);
	} else {
		ck_assert_str_eq(job_state_name(job->state), job_state_name(expected.after));
	}
	check_invariants(job);
	copy = job_copy(job);
	ck_assert_int_eq(copy->state, job->state);
	check_invariants(copy);
	job_put(copy);
	job_put(job);
}
END_TEST

/* What the service tells twice has no other effect than what it told once. */
START_TEST(what_is_heard_twice_is_harmless)
{
	static const enum job_event_kind heard[] = { JOB_EVENT_ACCEPTED, JOB_EVENT_REFUSED,
						     JOB_EVENT_LOST,     JOB_EVENT_ATTACH,
						     JOB_EVENT_STATUS,   JOB_EVENT_CALLED };
	enum job_state state = (enum job_state)(_i / 6);
	struct job_event event = event_of(heard[_i % 6]);
	struct job *job = make(state);

	if (job_apply(job, &event) >= 0) {
		enum job_state after = job->state;
		ck_assert_int_ge(job_apply(job, &event), 0);
		ck_assert_int_eq(job->state, after);
		check_invariants(job);
	}
	job_put(job);
}
END_TEST

START_TEST(a_second_send_is_refused)
{
	struct job *job = make(JOB_WAITING);
	struct job_event event = event_of(JOB_EVENT_SENDING);

	ck_assert_int_eq(job_apply(job, &event), JOB_DO_NOTHING);
	ck_assert_int_eq(job_apply(job, &event), -EALREADY);
	job_put(job);
}
END_TEST

START_TEST(another_id_is_not_taken)
{
	struct job *job = make(JOB_QUEUED);
	struct job_event event = event_of(JOB_EVENT_ACCEPTED);

	event.request_id = "pixal3d_2";
	ck_assert_int_eq(job_apply(job, &event), -EROFS);
	event.kind = JOB_EVENT_ATTACH;
	ck_assert_int_eq(job_apply(job, &event), -EROFS);
	ck_assert_str_eq(job->request_id, "pixal3d_1");
	job_put(job);
}
END_TEST

START_TEST(a_new_attempt_starts_afresh)
{
	static const enum job_state from[] = { JOB_UNCERTAIN, JOB_REFUSED, JOB_FAILED, JOB_ERROR,
					       JOB_CANCELLED };
	struct job *job = make(from[_i]);
	struct job_event event = event_of(JOB_EVENT_SUBMIT);

	job_set(&job->word, "FAILED");
	job_set(&job->error, "it failed");
	job->error_errno = EIO;
	job->failures = 3;
	job->hidden = 5;
	event.reason = NULL;
	ck_assert_int_eq(job_apply(job, &event), JOB_DO_SEND);
	ck_assert_int_eq(job->attempts, 2);
	ck_assert_int_eq(job->failures, 0);
	ck_assert_int_eq(job->error_errno, 0);
	ck_assert_int_eq(job->hidden, 0);
	ck_assert_ptr_null(job->error);
	ck_assert_ptr_null(job->word);
	ck_assert_ptr_null(job->request_id);
	ck_assert_ptr_null(job->polling_url);
	ck_assert_ptr_null(job->token);
	ck_assert_str_eq(job->name, "dog");
	job_put(job);
}
END_TEST

START_TEST(retries_are_counted_until_it_is_taken)
{
	struct job *job = make(JOB_WAITING);
	struct job_event not_sent = event_of(JOB_EVENT_NOT_SENT);
	struct job_event accepted = event_of(JOB_EVENT_ACCEPTED);

	job_apply(job, &not_sent);
	job_apply(job, &not_sent);
	ck_assert_int_eq(job->failures, 2);
	ck_assert_int_eq(job->retry_at_ms, NOW + 5000);
	ck_assert_int_eq(job->error_errno, EBUSY);
	accepted.reason = NULL;
	job_apply(job, &accepted);
	ck_assert_int_eq(job->failures, 0);
	ck_assert_int_eq(job->retry_at_ms, 0);
	ck_assert_int_eq(job->error_errno, 0);
	ck_assert_int_eq(job->submitted_ms, NOW);
	ck_assert_ptr_null(job->error);
	job_put(job);
}
END_TEST

/* The outputs come with a poll: an answer to the POST that says COMPLETED is not believed alone. */
START_TEST(an_early_end_is_left_to_the_poll)
{
	struct job *job = make(JOB_SUBMITTING);
	struct job_event event = event_of(JOB_EVENT_ACCEPTED);

	event.word = "COMPLETED";
	ck_assert_int_eq(job_apply(job, &event), JOB_DO_POLL);
	ck_assert_str_eq(job_word(job), "QUEUED");
	job_put(job);
}
END_TEST

START_TEST(words)
{
	struct job *job = make(JOB_QUEUED);
	struct job_event event = event_of(JOB_EVENT_STATUS);

	event.word = "Baking";
	ck_assert_int_eq(job_apply(job, &event), JOB_DO_POLL);
	ck_assert_int_eq(job->state, JOB_OTHER);
	ck_assert_str_eq(job_word(job), "Baking");
	event.word = "completed";
	ck_assert_int_eq(job_apply(job, &event), JOB_DO_STOP);
	ck_assert_str_eq(job_word(job), "COMPLETED");
	ck_assert_int_eq(job->ended_ms, NOW);
	job_put(job);
	ck_assert_int_eq(job_state_of_word("WAITING"), JOB_OTHER);
	ck_assert_int_eq(job_state_of_word("Canceled"), JOB_CANCELLED);
	ck_assert_int_eq(job_state_of_word(NULL), JOB_OTHER);
}
END_TEST

START_TEST(an_output_of_unknown_size_is_asked_for_again)
{
	struct job *job = make(JOB_PROCESSING);
	struct job_event event = event_of(JOB_EVENT_STATUS);

	event.word = "COMPLETED";
	job->output_unreachable = true;
	ck_assert_int_eq(job_apply(job, &event), JOB_DO_POLL);
	event.kind = JOB_EVENT_RESTART;
	ck_assert_int_eq(job_apply(job, &event), JOB_DO_POLL);
	event.kind = JOB_EVENT_STATUS;
	event.reason = NULL;
	job->output_unreachable = false;
	ck_assert_int_eq(job_apply(job, &event), JOB_DO_STOP);
	ck_assert_ptr_null(job->error);
	job_put(job);
}
END_TEST

START_TEST(what_is_missing_is_invalid)
{
	struct job *job = make(JOB_SUBMITTING);
	struct job_event event = event_of(JOB_EVENT_ACCEPTED);

	event.request_id = NULL;
	ck_assert_int_eq(job_apply(job, &event), -EINVAL);
	job->state = JOB_QUEUED;
	event = event_of(JOB_EVENT_STATUS);
	event.word = NULL;
	ck_assert_int_eq(job_apply(job, &event), -EINVAL);
	event.kind = JOB_EVENTS;
	ck_assert_int_eq(job_apply(job, &event), -EINVAL);
	job_put(job);
}
END_TEST

START_TEST(names)
{
	char buf[JOB_NAME_MAX];
	struct job *job = job_new();

	job->number = 12;
	ck_assert_str_eq(job_name(job, buf), "job-12");
	job_set(&job->request_id, "pixal3d_x");
	ck_assert_str_eq(job_name(job, buf), "pixal3d_x");
	job_set(&job->name, "dog");
	ck_assert_str_eq(job_name(job, buf), "dog");
	job_put(job);
}
END_TEST

static void expect_line(const struct job *before, const struct job *after,
			const struct job_event *event, const char *expected)
{
	char *line = job_describe(before, after, event);

	ck_assert_str_eq(line, expected);
	free(line);
}

START_TEST(lines_of_the_log)
{
	struct job *before = make(JOB_SUBMITTING), *after = job_copy(before);
	struct job_event event = event_of(JOB_EVENT_ACCEPTED);

	event.reason = NULL;
	job_apply(after, &event);
	expect_line(before, after, &event, "SUBMITTING -> QUEUED, request pixal3d_1");
	job_put(before);
	before = after;
	after = job_copy(before);
	event = event_of(JOB_EVENT_STATUS);
	event.word = "failed";
	event.reason = "two\nlines";
	job_apply(after, &event);
	expect_line(before, after, &event, "QUEUED -> FAILED: two lines");
	job_put(before);
	before = after;
	after = job_copy(before);
	event = event_of(JOB_EVENT_SUBMIT);
	event.reason = NULL;
	job_apply(after, &event);
	expect_line(before, after, &event, "FAILED -> WAITING, attempt 2");
	expect_line(NULL, after, &event, "WAITING, attempt 2");
	job_put(before);
	job_put(after);
}
END_TEST

START_TEST(times)
{
	char buf[JOB_TIME_MAX];

	ck_assert_str_eq(job_time(NOW, buf), "2026-05-22T13:20:00.123Z");
	ck_assert_str_eq(job_time(0, buf), "1970-01-01T00:00:00.000Z");
	ck_assert_str_eq(job_time(-1, buf), "1969-12-31T23:59:59.999Z");
	ck_assert_int_eq(strlen(job_time(INT64_MAX, buf)) < JOB_TIME_MAX, 1);
}
END_TEST

START_TEST(a_copy_shares_nothing)
{
	struct job *job = make(JOB_COMPLETED), *copy = job_copy(job);

	ck_assert_ptr_ne(copy->outputs[0].url, job->outputs[0].url);
	ck_assert_int_eq(copy->outputs[0].size, 12);
	job_get(job);
	job_put(job);
	job_clear_outputs(job);
	job_put(job);
	ck_assert_str_eq(copy->outputs[0].name, "output.glb");
	job_put(copy);
	job_put(NULL);
}
END_TEST

/* An id that only the user vouched for is taken back; one that the service gave or confirmed is
 * not. */
START_TEST(an_unknown_id_is_taken_back_unless_it_was_known)
{
	struct job *draft = make(JOB_QUEUED), *known = make(JOB_QUEUED);
	struct job_event event = event_of(JOB_EVENT_UNKNOWN);

	draft->attempts = 0;
	ck_assert_int_eq(job_apply(draft, &event), JOB_DO_STOP);
	ck_assert_int_eq(draft->state, JOB_DRAFT);
	ck_assert_ptr_null(draft->request_id);
	ck_assert_str_eq(draft->error, "because");
	ck_assert_int_eq(draft->error_errno, EBUSY);
	check_invariants(draft);
	job_set(&known->word, "QUEUED");
	ck_assert_int_eq(job_apply(known, &event), JOB_DO_POLL);
	ck_assert_int_eq(known->state, JOB_QUEUED);
	ck_assert_str_eq(known->request_id, "pixal3d_1");
	job_put(draft);
	job_put(known);
}
END_TEST

/* A token comes with each POST, and goes with what it was for. */
START_TEST(a_token_is_of_one_post)
{
	struct job *job = make(JOB_WAITING);
	struct job_event event = event_of(JOB_EVENT_SENDING);

	event.token = TOKEN;
	job_apply(job, &event);
	ck_assert_str_eq(job->token, TOKEN);
	event = event_of(JOB_EVENT_NOT_SENT);
	job_apply(job, &event);
	ck_assert_ptr_null(job->token);
	event = event_of(JOB_EVENT_SENDING);
	job_apply(job, &event);
	ck_assert_ptr_null(job->token);
	event = event_of(JOB_EVENT_CALLED);
	ck_assert_int_eq(job_apply(job, &event), -EINVAL);
	job_put(job);
}
END_TEST

/* What a callback named is kept until it is settled: by the POST's own answer, by the service, or
 * by the person; and nothing is bought meanwhile. */
START_TEST(a_claim_is_kept_until_it_is_settled)
{
	static const struct {
		enum job_event_kind kind;
		int result;
		bool kept;
	} then[] = {
		{ JOB_EVENT_CALLED, -EBUSY, true },
		{ JOB_EVENT_SUBMIT, -EALREADY, true },
		{ JOB_EVENT_RESTART, JOB_DO_POLL, true },
		{ JOB_EVENT_LOST, JOB_DO_NOTHING, true },
		{ JOB_EVENT_ACCEPTED, JOB_DO_POLL, false },
		{ JOB_EVENT_ATTACH, JOB_DO_POLL, false },
		{ JOB_EVENT_UNKNOWN, JOB_DO_STOP, false },
	};
	struct job *job = make(JOB_SUBMITTING), *before = make(JOB_SUBMITTING);
	struct job_event called = event_of(JOB_EVENT_CALLED), lost = event_of(JOB_EVENT_LOST);
	struct job_event event = event_of(then[_i].kind);

	called.reason = NULL;
	ck_assert_int_eq(job_apply(job, &called), JOB_DO_NOTHING);
	expect_line(before, job, &called, "SUBMITTING, a callback names request pixal3d_1");
	ck_assert_int_eq(job_apply(job, &lost), JOB_DO_POLL);
	ck_assert_int_eq(job->state, JOB_UNCERTAIN);
	event.request_id = "pixal3d_2";
	ck_assert_int_eq(job_apply(job, &event), then[_i].result);
	ck_assert_int_eq(job->claim != NULL, then[_i].kept);
	check_invariants(job);
	if (event.kind == JOB_EVENT_UNKNOWN) {
		ck_assert_str_eq(job->error, "because");
		ck_assert_int_eq(job->state, JOB_UNCERTAIN);
		ck_assert_str_eq(job->token, TOKEN);
	}
	job_put(job);
	job_put(before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("job");
	TCase *tcase = tcase_create("job");
	tcase_add_loop_test(tcase, every_event_in_every_state, 0, JOB_STATES * JOB_EVENTS);
	tcase_add_test(tcase, an_unknown_id_is_taken_back_unless_it_was_known);
	tcase_add_loop_test(tcase, what_is_heard_twice_is_harmless, 0, JOB_STATES * 6);
	tcase_add_loop_test(tcase, a_new_attempt_starts_afresh, 0, 5);
	tcase_add_test(tcase, a_second_send_is_refused);
	tcase_add_test(tcase, another_id_is_not_taken);
	tcase_add_test(tcase, retries_are_counted_until_it_is_taken);
	tcase_add_test(tcase, an_early_end_is_left_to_the_poll);
	tcase_add_test(tcase, words);
	tcase_add_test(tcase, an_output_of_unknown_size_is_asked_for_again);
	tcase_add_test(tcase, what_is_missing_is_invalid);
	tcase_add_test(tcase, names);
	tcase_add_test(tcase, lines_of_the_log);
	tcase_add_test(tcase, times);
	tcase_add_test(tcase, a_copy_shares_nothing);
	tcase_add_test(tcase, a_token_is_of_one_post);
	tcase_add_loop_test(tcase, a_claim_is_kept_until_it_is_settled, 0, 7);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
