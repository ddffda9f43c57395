/*
 * engine_money - what attempts cost, the budget, and attempts that are made again for nothing
 *
 * Budget:  every SUBMIT passes engine_afford() under `write`, and is committed with its charge
 *          before `write` is let go: what is asked for at the same time is counted. What several
 *          changes of one commit ask for is added up in `spent`.
 * Retries: a job that ended in ERROR, which the documentation calls not charged, may be submitted
 *          again by the driver, where it was never in doubt. That is decided when the ERROR is
 * heard of, and recorded with it (job_will_retry()); the new attempt and its count are one commit.
 * So a crash in between neither loses a retry nor makes one too many.
 */
#include "engine_internal.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static int spent_since(struct engine *engine, int64_t since_ms, int64_t *sum, int64_t *uncertain)
{
	int64_t spent[JOB_STATES];
	int r = store_spent(engine->store, since_ms, spent);

	*sum = 0;
	for (int state = 0; r == 0 && state < JOB_STATES; state++)
		*sum += spent[state];
	if (uncertain)
		*uncertain = spent[JOB_UNCERTAIN];
	return r;
}

int engine_afford(struct engine *engine, const struct job_event *event)
{
	const struct price_budget *budget = &engine->conf.budget;
	int r = 0;

	if (!budget->set)
		return 0;
	/* Once for a commit: a batch may be long, and the books longer. */
	if (engine->spent < 0)
		r = spent_since(engine, price_period_start(budget->period, event->now_ms),
				&engine->spent, NULL);
	if (r < 0) {
		engine->spent = -1;
		return r;
	}
	if (engine->spent + event->price > budget->micros)
		return -EDQUOT;
	engine->spent += event->price;
	return 0;
}

/* Looking */

const struct price_list *engine_prices(const struct engine *engine)
{
	return &engine->conf.prices;
}

int engine_account(struct engine *engine, struct price_account *out)
{
	int64_t now = engine_wall(engine);
	int r;

	*out = (struct price_account){ .list = engine->conf.prices, .budget = engine->conf.budget };
	r = spent_since(engine, price_period_start(PRICE_DAY, now), &out->today, NULL);
	if (r == 0)
		r = spent_since(engine, price_period_start(PRICE_MONTH, now), &out->month, NULL);
	if (r == 0)
		r = spent_since(engine, price_period_start(PRICE_EVER, now), &out->ever,
				&out->uncertain);
	return r;
}

char *engine_over_budget(struct engine *engine, const struct params *params)
{
	static const char *const ways_out[] = {
		[PRICE_EVER] = "Mount with a larger budget=",
		[PRICE_DAY] = "Wait for the next day (UTC), or mount with a larger budget=",
		[PRICE_MONTH] = "Wait for the next month (UTC), or mount with a larger budget=",
	};
	int64_t price = price_of(&engine->conf.prices, params_texture_size(params));
	char budget[PRICE_BUDGET_TEXT_MAX], cost[PRICE_TEXT_MAX], spent[PRICE_TEXT_MAX];
	struct price_account account;

	if (!engine->conf.budget.set || engine_account(engine, &account) < 0)
		return NULL;
	return text_format("it would pass the budget: this costs %s USD, and %s of %s are spent "
			   "(all by estimate). %s.",
			   price_text(price, cost), price_text(price_spent(&account), spent),
			   price_budget_text(&account.budget, budget),
			   ways_out[account.budget.period]);
}

/* Retries */

int64_t engine_retry_at(struct engine *engine, const struct job *job)
{
	/* Where the request id is not from the POST's own answer, that POST may have bought another
	 * one, or was none of ours. */
	if (job->retries >= engine->conf.retry_errors || !engine_was_answered(engine, job))
		return 0;
	return engine_wall(engine) +
	       sched_retry_delay(&engine->conf.sched, job->retries + 1, -1, engine_random(engine));
}

/* ARG is the reason. */
static int edit_no_retry(struct engine *engine, struct job *job, void *arg)
{
	(void)engine;
	job->retry_at_ms = 0;
	return job_set(&job->error, arg);
}

static int give_up(struct engine *engine, const struct job *job, const char *why)
{
	char *error = text_format("%s It is not submitted again by itself: %s. Write params.json "
				  "again to try once more.",
				  "The service had an error of its own, which is not charged.",
				  why);
	struct change change = {
		.number = job->number,
		.attempt = job->attempts,
		.edit = edit_no_retry,
		.arg = error,
		.note = error,
	};
	int r = error ? engine_change(engine, &change) : -ENOMEM;

	free(error);
	return r;
}

static int submit_again(struct engine *engine, const struct job *job)
{
	char *reason = text_format("submitted again by itself, %u of %u times", job->retries + 1,
				   engine->conf.retry_errors);
	struct job_event event = {
		.kind = JOB_EVENT_SUBMIT,
		.now_ms = engine_wall(engine),
		.reason = reason,
		.price = job->price,
		.again = true,
	};
	struct change change = {
		.number = job->number,
		.attempt = job->attempts,
		.event = &event,
		.texts = { .answer = "", .status = "" },
	};
	int r = engine_change(engine, &change);

	free(reason);
	return r;
}

void engine_retry(struct engine *engine, const struct job *job)
{
	int r;

	if (job->retries >= engine->conf.retry_errors)
		r = give_up(engine, job, "retry_errors= does not ask for it any more");
	else if ((r = submit_again(engine, job)) == -EDQUOT)
		r = give_up(engine, job, "it would pass the budget");
	/* The disk, or memory: they may recover. */
	if (r < 0 && r != -ESTALE && r != -ENOENT && r != -EINVAL)
		engine_arm(engine, QUEUE_SEND, job->number, engine->conf.sched.retry_max_ms);
}
