/*
 * engine_order - asking to buy
 *
 * An order becomes a change: its parameters over the defaults, a seed, and the event SUBMIT. What
 * has an origin is bought once: the origin is kept with the job, in one commit with it.
 */
#include "engine_internal.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* An order on its way: the change that carries it out, and what the change borrows. */
struct purchase {
	struct engine_order *order;
	struct job_event event;
	char *body, *warnings;
};

/* A job keeps what it was first asked for by. */
static int edit_origin(struct engine *engine, struct job *job, const char *origin)
{
	const struct job *other = engine_find_origin(engine, origin);
	bool taken = other && other->number != job->number;

	job_put(other);
	return taken ? -EEXIST : job_set(&job->origin, origin);
}

/* Another URL than the one that its image got is another image. */
static bool leaves_image(const struct job *job, const struct params *params)
{
	const char *url = params_image_url(params);

	return job->image && url && (!job->image_url || strcmp(url, job->image_url) != 0);
}

/* ARG is the order. */
static int edit_order(struct engine *engine, struct job *job, void *arg)
{
	const struct engine_order *order = arg;
	int r = order->origin ? edit_origin(engine, job, order->origin) : 0;

	if (r == 0 && (order->image || leaves_image(job, order->params)))
		r = job_set(&job->image, order->image);
	return r;
}

int engine_complete(struct engine *engine, struct params *params)
{
	int r = engine_apply_defaults(engine, params);

	return r == 0 && !params_has_seed(params) ? params_set_seed(params, engine_random(engine))
						  : r;
}

static int prepare_purchase(struct engine *engine, struct purchase *purchase, struct change *change)
{
	struct engine_order *order = purchase->order;
	int r = engine_complete(engine, order->params);

	if (r < 0)
		return r;
	purchase->body = params_format(order->params);
	purchase->warnings = params_warnings(order->params);
	purchase->event = (struct job_event){
		.kind = JOB_EVENT_SUBMIT,
		.now_ms = engine_wall(engine),
		.reason = purchase->warnings,
		.price = price_of(&engine->conf.prices, params_texture_size(order->params)),
	};
	*change = (struct change){
		.number = order->number,
		.fresh = order->number ? NULL : engine_fresh(engine, order->label, order->owner),
		.edit = edit_order,
		.arg = order,
		.event = &purchase->event,
		/* An answer to an earlier attempt must never be taken for one to this. */
		.texts = { .params = purchase->body, .answer = "", .status = "" },
		.params = order->params,
	};
	if (purchase->body && (order->number || change->fresh))
		return 0;
	job_put(change->fresh);
	return -ENOMEM;
}

/* What ORDER's origin has made before, so that ORDER is the next attempt of it, or nothing. */
static int settle_origin(struct engine *engine, struct engine_order *order)
{
	const struct job *job = order->origin ? engine_find_origin(engine, order->origin) : NULL;
	int r = job && job->state != JOB_REFUSED ? -EEXIST : 0;

	if (job)
		order->number = job->number;
	job_put(job);
	return r;
}

static void end_purchase(struct engine *engine, struct purchase *purchase,
			 const struct change *change)
{
	struct engine_order *order = purchase->order;

	order->error = change->result < 0 ? change->result : 0;
	if (order->error == 0)
		order->number = change->number;
	if (order->error == 0 && purchase->warnings)
		log_warn("job %" PRIu64 ": %s", order->number, purchase->warnings);
	/* Somebody else was faster. */
	if (order->origin && order->error < 0 && settle_origin(engine, order) == -EEXIST)
		order->error = -EEXIST;
	free(purchase->body);
	free(purchase->warnings);
}

/* So many in one commit: others wait for their turn meanwhile. */
#define ORDERS_MAX 128

static void submit_some(struct engine *engine, struct engine_order *orders, size_t count)
{
	struct purchase purchases[ORDERS_MAX] = { 0 };
	struct change changes[ORDERS_MAX];
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct purchase *purchase = &purchases[kept];

		purchase->order = &orders[i];
		orders[i].error = engine->conf.read_only ? -EROFS
							 : settle_origin(engine, &orders[i]);
		if (orders[i].error == 0)
			orders[i].error = prepare_purchase(engine, purchase, &changes[kept]);
		if (orders[i].error == 0) {
			kept++;
			continue;
		}
		free(purchase->body);
		free(purchase->warnings);
		*purchase = (struct purchase){ 0 };
	}
	if (kept)
		engine_change_all(engine, changes, kept);
	for (size_t i = 0; i < kept; i++)
		end_purchase(engine, &purchases[i], &changes[i]);
}

void engine_submit_all(struct engine *engine, struct engine_order *orders, size_t count)
{
	for (size_t some; count; orders += some, count -= some) {
		some = count < ORDERS_MAX ? count : ORDERS_MAX;
		submit_some(engine, orders, some);
	}
}

int engine_submit(struct engine *engine, uint64_t *number, const char *label,
		  const struct engine_owner *owner, struct params *params)
{
	struct engine_order order = {
		.number = *number, .label = label, .owner = owner, .params = params
	};

	submit_some(engine, &order, 1);
	if (order.error == 0)
		*number = order.number;
	return order.error;
}
