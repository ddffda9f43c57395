#include "fs_internal.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a file asks for when it is complete, by where it is and what it is called. */
enum draft_use fs_use_of(uint64_t parent, const char *name)
{
	if (fs_is_drop(parent)) {
		const char *dot = draft_is_temporary(name) ? NULL : strrchr(name, '.');
		return !dot                         ? DRAFT_SCRATCH
		       : strcmp(dot, ".json") == 0  ? DRAFT_REQUEST
		       : strcmp(dot, ".jsonl") == 0 ? DRAFT_BATCH
		       : strcmp(dot, ".url") == 0   ? DRAFT_URLS
		       : image_is_name(name)        ? DRAFT_IMAGE
						    : DRAFT_SCRATCH;
	}
	const struct node *node = node_kind(parent) == NODE_JOB ? node_find(NODE_JOB, name) : NULL;
	switch (node ? node->kind : NODE_NONE) {
	case NODE_PARAMS: return DRAFT_REQUEST;
	case NODE_IMAGE_URL: return DRAFT_IMAGE_URL;
	case NODE_REQUEST_ID: return DRAFT_REQUEST_ID;
	case NODE_NONE:
		return node_kind(parent) == NODE_JOB && !draft_is_temporary(name) &&
				       image_is_name(name)
			       ? DRAFT_IMAGE
			       : DRAFT_SCRATCH;
	default: return DRAFT_SCRATCH;
	}
}

/* Saying no */

void fs_set_error_file(struct fs *fs, uint64_t parent, const char *name, const char *text)
{
	char error_name[256], path[FS_DROP_PATH_MAX];
	struct draft *draft;
	snprintf(error_name, sizeof(error_name), "%.*s.error",
		 (int)(sizeof(error_name) - sizeof(".error")), name);
	draft = draft_find(fs->drafts, parent, error_name);
	if (draft) {
		draft_unlink(draft);
		draft_put(draft);
	}
	char *line = NULL;
	if (text && asprintf(&line, "%s\n", text) >= 0 &&
	    draft_create(fs->drafts, parent, error_name, 0644, fs->new_uid, fs->new_gid, line,
			 strlen(line), fs_now(fs), &draft) == 0)
		draft_put(draft);
	if (parent == FUSE_ROOT_ID)
		fs_names_changed(fs);
	if (line)
		fs_event(fs, TOUCH_FILE, parent,
			 parent == FUSE_ROOT_ID ? NULL : fs_drop_path(fs, parent, path),
			 error_name);
	free(line);
}

int fs_refuse(struct fs *fs, const struct fs_ask *ask, const char *text, int error)
{
	char *drop = NULL;
	draft_refuse(ask->draft, ask->claim, text, error);
	log_info("%s: refused: %s", ask->name, text);
	if (fs_is_drop(ask->parent)) {
		if (asprintf(&drop, "%s: %s\nNothing was sent, nothing was charged.", ask->name,
			     text) > 0)
			fs_set_error_file(fs, ask->parent, ask->name, drop);
		free(drop);
	} else if (ask->moment == FS_ASK_RENAME || image_is_name(ask->name)) {
		/* The renamed file keeps its old name and may vanish with its editor, and an image
		 * stands for the URL that it was to have: the job's `error` keeps the reason. */
		struct draft *overlay;
		const struct node *node = node_find(
			NODE_JOB,
			image_is_name(ask->name) ? node_of(NODE_IMAGE_URL)->name : ask->name);
		if (node && fs_draft_of(fs, node_ino(node_number(ask->parent), node->kind), false,
					&overlay) == 0) {
			draft_refuse(overlay, 0, text, error);
			draft_put(overlay);
		}
	}
	return error;
}

/* WAITING is a success: it will be sent. */
int fs_outcome(const struct job *job)
{
	if (job_is(job, JOB_IN(JOB_REFUSED) | JOB_IN(JOB_UNCERTAIN)))
		return job->error_errno ? job->error_errno : EIO;
	return job_is(job, JOB_IN(JOB_DRAFT)) ? job->error_errno : 0;
}

void fs_tell_drop(struct fs *fs, uint64_t parent, const char *name, const struct job *job)
{
	fs_set_error_file(fs, parent, name, fs_outcome(job) ? job->error : NULL);
}

/* Answering */

static int finish_rename(const struct fs_ask *ask)
{
	if (fs_is_defaults(ask->parent, ask->name))
		return draft_unlink(ask->draft);
	bool consumed = node_kind(ask->parent) == NODE_JOB && node_find(NODE_JOB, ask->name);
	struct draft_info info;
	draft_info(ask->draft, &info);
	/* What a job's own file asked for is in the books now, and shown from there. */
	if (consumed && info.written)
		return draft_unlink(ask->draft);
	return draft_rename(ask->draft, ask->parent, ask->name, ask->noreplace);
}

void fs_answer(const struct fs_ask *ask, int error)
{
	if (!ask->req)
		return;
	if (ask->moment == FS_ASK_RENAME && error == 0)
		error = -finish_rename(ask);
	if (ask->moment == FS_ASK_WRITE && error == 0)
		fuse_reply_write(ask->req, ask->written);
	else /* EINVAL from rename makes mv speak of subdirectories. */
		fuse_reply_err(ask->req,
			       ask->moment == FS_ASK_RENAME && error == EINVAL ? EBADMSG : error);
}

struct ask_park {
	struct fs_park park;
	struct engine_watch watch;
	struct fs_ask ask;
};

static bool ask_cancel(struct fs_park *park)
{
	return engine_unwatch(park->fs->engine, &((struct ask_park *)park)->watch);
}

/* Interrupted or expired, the writer is told of success: the submission is durable and goes on, and
 * a writer that were told EINTR would write, and so pay, again. */
static void ask_park_answer(struct fs_park *park, enum fs_why why)
{
	struct ask_park *wait = (struct ask_park *)park;
	const struct job *job = why == FS_READY ? engine_get(park->fs->engine, wait->watch.number)
						: NULL;
	int error = job ? fs_outcome(job) : 0;
	struct draft_info info;
	if (error)
		draft_refuse(wait->ask.draft, wait->ask.claim, job->error ? job->error : "", error);
	draft_info(wait->ask.draft, &info);
	if (job && fs_is_drop(wait->ask.parent) && info.job == job->number)
		fs_tell_drop(park->fs, wait->ask.parent, wait->ask.name, job);
	job_put(job);
	fs_answer(&wait->ask, error);
}

static void ask_fire(struct engine_watch *watch)
{
	fs_park_fire_told(
		&((struct ask_park *)(void *)((char *)watch - offsetof(struct ask_park, watch)))
			 ->park);
}

static void ask_destroy(struct fs_park *park)
{
	struct ask_park *wait = (struct ask_park *)park;
	draft_put(wait->ask.draft);
	free(wait);
}

/* The kernel has locked the directory of a rename: whoever lists it, or makes a file there, waits
 * with it, and cannot be killed. */
#define RENAME_WAIT_MS 5000

int64_t fs_ask_deadline(struct fs *fs, const struct fs_ask *ask)
{
	int64_t wait = fs->conf.submit_wait_ms;
	if (ask->moment == FS_ASK_RENAME && wait > RENAME_WAIT_MS)
		wait = RENAME_WAIT_MS;
	return fs->conf.world.mono_ms(fs->conf.world.ctx) + wait;
}

static void ask_wait(struct fs *fs, const struct fs_ask *ask, uint64_t job,
		     bool (*until)(const struct job *))
{
	struct ask_park *wait = ask->req ? calloc(1, sizeof(*wait)) : NULL;
	if (!wait) {
		fs_answer(ask, 0); /* it is submitted whether or not anybody can wait */
		return;
	}
	wait->ask = *ask;
	wait->ask.draft = draft_ref(ask->draft);
	wait->watch = (struct engine_watch){ .number = job, .until = until, .fire = ask_fire };
	wait->park.cancel = ask_cancel;
	wait->park.answer = ask_park_answer;
	wait->park.destroy = ask_destroy;
	fs_park_init(&wait->park, fs, ask->req, fs_ask_deadline(fs, ask));
	if (!engine_watch(fs->engine, &wait->watch))
		fs_park_fire(&wait->park);
	fs_park_done(&wait->park);
}

/* Asking */

int fs_complete_params(struct fs *fs, uint64_t job, enum draft_use use, struct params **params)
{
	char *text, error[PARAMS_ERROR_MAX];
	size_t len;
	struct params *stored;
	int r = engine_text(fs->engine, job, JOB_TEXT_PARAMS, &text, &len);
	if (r)
		return r;
	if (params_parse(text, len, &stored, error) == PARAMS_OK) {
		if (use == DRAFT_IMAGE_URL) {
			struct params *url = *params;
			*params = stored;
			stored = url;
			r = params_merge(*params, stored);
		} else if (!params_image_url(*params) && params_image_url(stored)) {
			r = params_set_image_url(*params, params_image_url(stored));
		}
		params_free(stored);
	}
	free(text);
	return r;
}

/* The one URL of a list that may yet grow: it is then the first line, which is bought already.
 * Dropped once more it is another job, but where it is the beginning of a list that was dropped
 * before: programs write line by line. */
static int submit_url(struct fs *fs, const char *name, const char *label,
		      const struct engine_owner *owner, struct params *params, uint64_t *job)
{
	char *origin = fs_origin(name, params, 1);
	struct engine_order order = {
		.label = label, .owner = owner, .origin = origin, .params = params
	};
	if (!origin)
		return -ENOMEM;
	engine_submit_all(fs->engine, &order, 1);
	free(origin);
	*job = order.number;
	if (order.error != -EEXIST)
		return order.error;
	if (fs_is_list(fs, name, order.number))
		return 0;
	*job = 0;
	return engine_submit(fs->engine, job, label, owner, params);
}

/* Submits a drop. *JOB is its job, 0: it belongs to an image that is to come. 0 or -errno, with
 * *WHY where that says more (heap). */
static int ask_new(struct fs *fs, const struct fs_ask *ask, enum draft_use use,
		   struct params *params, uint64_t *job, char **why)
{
	char label[JOB_NAME_MAX];
	struct draft_info info;
	*job = 0;
	if (!params_image_url(params))
		return fs_join_image(fs, ask, params, job, why);
	draft_info(ask->draft, &info);
	fs_drop_label(fs, ask->parent, ask->name, label);
	struct engine_owner owner = { .uid = info.uid,
				      .gid = info.gid,
				      .mode = 0777 & ~fs->conf.umask };
	return use == DRAFT_URLS ? submit_url(fs, ask->name, label, &owner, params, job)
				 : engine_submit(fs->engine, job, label, &owner, params);
}

/* It may be sent without a URL: it gets one. */
static bool has_image(struct fs *fs, uint64_t number)
{
	const struct job *job = engine_get(fs->engine, number);
	bool image = job && job->image;
	job_put(job);
	return image;
}

/* Submits, or keeps for later, what was written to a file of a job. *JOB is 0 when nothing was
 * submitted. */
static int ask_job(struct fs *fs, const struct fs_ask *ask, enum draft_use use,
		   struct draft_content *content, uint64_t *job)
{
	uint64_t number = node_number(ask->parent);
	if (use == DRAFT_REQUEST_ID) {
		*job = number;
		return engine_attach(fs->engine, number, content->request_id);
	}
	*job = 0;
	int r = fs_complete_params(fs, number, use, &content->params);
	if (r)
		return r;
	if (!params_image_url(content->params) && !has_image(fs, number))
		return engine_keep_params(fs->engine, number, content->params);
	*job = number;
	return engine_submit(fs->engine, job, NULL, NULL, content->params);
}

static const char *why_not(int error)
{
	switch (error) {
	case EROFS:
		return "this job was submitted already (or the mount is read-only): make a new one";
	case EALREADY:
		return "this job is being submitted right now, or the service was heard to have it";
	case EINVAL: return "this is no request id";
	case EEXIST: return "another job has this request id";
	case EDQUOT: return "it would pass the budget";
	case ENOSPC: return "no space is left to keep the job in the books, so it was not sent";
	case EIDRM:
		return "the books were removed or moved under the mount, so it was not sent: put "
		       "them back, or mount anew";
	default: return strerror(error);
	}
}

char *fs_why_not(struct fs *fs, const struct params *params, int error)
{
	char *text = error == EDQUOT && params ? engine_over_budget(fs->engine, params) : NULL;
	return text ? text : strdup(why_not(error));
}

/* What was written is in the books now. Once it is submitted, whatever was refused of the job's
 * other files is over, too. */
static void drop_overlays(struct fs *fs, const struct fs_ask *ask, bool submitted)
{
	for (const struct node *node = node_next(NODE_JOB, 0); node;
	     node = node_next(NODE_JOB, node->kind)) {
		struct draft *overlay = submitted || strcmp(node->name, ask->name) == 0
						? fs_overlay(fs, node_number(ask->parent),
							     node->kind)
						: NULL;
		if (overlay)
			draft_unlink(overlay);
		draft_put(overlay);
	}
}

/* The outcome of what is published first is seen in the error file: who copies hundreds of photos
 * must not wait for each of them to be on the net. */
static void ask_later(struct fs *fs, const struct fs_ask *ask, uint64_t number)
{
	const struct job *job = engine_get(fs->engine, number);
	if (job && fs_is_drop(ask->parent))
		fs_tell_drop(fs, ask->parent, ask->name, job);
	job_put(job);
	fs_answer(ask, 0);
}

static void taken(struct fs *fs, const struct fs_ask *ask, enum draft_use use, uint64_t job)
{
	draft_set_job(ask->draft, ask->claim, job);
	if (!fs_is_drop(ask->parent))
		drop_overlays(fs, ask, job != 0);
	else if (!job)
		fs_set_error_file(fs, ask->parent, ask->name, NULL);
	if (!job)
		fs_answer(ask, 0);
	else if (has_image(fs, job) && !engine_is_sync(fs->engine))
		ask_later(fs, ask, job);
	else
		ask_wait(fs, ask, job,
			 use == DRAFT_REQUEST_ID ? engine_attachment_settled
						 : engine_submission_settled);
}

static void ask_ready(struct fs *fs, const struct fs_ask *ask, enum draft_use use,
		      struct draft_content *content)
{
	uint64_t job = 0;
	char *why = NULL;
	int r = use == DRAFT_IMAGE
			? fs_submit_image(fs, ask, spool_name(content->image), &job, &why)
		: fs_is_drop(ask->parent) ? ask_new(fs, ask, use, content->params, &job, &why)
					  : ask_job(fs, ask, use, content, &job);
	if (r && !why)
		why = fs_why_not(fs, content->params, -r);
	if (r)
		fs_answer(ask, fs_refuse(fs, ask, why ? why : strerror(-r), -r));
	else
		taken(fs, ask, use, job);
	free(why);
	draft_content_release(content);
}

void fs_forget_refusal(struct fs *fs, struct draft *draft)
{
	struct draft_info info;
	draft_info(draft, &info);
	const struct job *job = info.refused && info.job ? engine_get(fs->engine, info.job) : NULL;
	if (info.refused && (!info.job || (job && job->state == JOB_REFUSED)))
		draft_ask_again(draft);
	job_put(job);
}

/* vim and emacs move the old file to NAME~ and write the same name anew: the same content is not
 * bought again. */
static void inherit_from_backup(struct fs *fs, const struct fs_ask *ask)
{
	char backup[258];
	struct draft_info info;
	draft_info(ask->draft, &info);
	snprintf(backup, sizeof(backup), "%s~", ask->name);
	struct draft *old = info.emptied ? NULL : draft_find(fs->drafts, ask->parent, backup);
	if (!old)
		return;
	fs_forget_refusal(fs, old);
	draft_inherit(ask->draft, old);
	draft_put(old);
}

/* What ends where it must not: that more would follow can only be told at the last moment, but for
 * an image, whose writer is done when it is closed. */
static int ask_partial(struct fs *fs, const struct fs_ask *ask, enum draft_use use)
{
	bool last = ask->moment == FS_ASK_RENAME || ask->moment == FS_ASK_RELEASE;
	if (use == DRAFT_IMAGE && (last || ask->moment == FS_ASK_CLOSE))
		return fs_refuse(fs, ask, "the image ends early: the rest of it is missing",
				 EINVAL);
	return last ? fs_refuse(fs, ask, "it ends before the JSON object does", EINVAL) : 0;
}

static int ask_invalid(struct fs *fs, const struct fs_ask *ask)
{
	char *text = draft_error(ask->draft, NULL);
	int error = fs_refuse(fs, ask, text ? text : strerror(EINVAL), EINVAL);
	if (fs_is_drop(ask->parent))
		fs_call_off_image(fs, ask, text ? text : strerror(EINVAL));
	free(text);
	return error;
}

static void judge(struct fs *fs, struct fs_ask *ask, enum draft_use use)
{
	struct draft_content content;
	int error = 0;
	/* After an image that is whole, more may follow that makes it another one: not before its
	 * writer is done it is bought. */
	bool closing = ask->moment > FS_ASK_SYNC ||
		       (ask->moment == FS_ASK_SYNC && use != DRAFT_IMAGE);
	if (fs_is_drop(ask->parent))
		inherit_from_backup(fs, ask);
	enum draft_verdict verdict = draft_judge(ask->draft, use, closing, &content);
	ask->claim = content.claim;
	switch (verdict) {
	case DRAFT_READY:
		if (content.lines)
			fs_ask_batch(fs, ask, &content);
		else
			ask_ready(fs, ask, use, &content);
		return;
	case DRAFT_NOTHING:
		/* A name that asks for nothing has nothing refused: editors move files out of the
		 * way. */
		if (use != DRAFT_SCRATCH)
			free(draft_error(ask->draft, &error));
		break;
	case DRAFT_PARTIAL: error = ask_partial(fs, ask, use); break;
	case DRAFT_INVALID: error = ask_invalid(fs, ask); break;
	}
	fs_answer(ask, error);
}

/* Judges the draft and does what it asks for; answers the request, at once or later. */
void fs_ask(struct fs *fs, struct fs_ask *ask)
{
	if (fs_is_defaults(ask->parent, ask->name)) {
		fs_ask_defaults(fs, ask);
		return;
	}
	enum draft_use use = fs_use_of(ask->parent, ask->name);
	struct draft_info info;
	draft_info(ask->draft, &info);
	if (fs_is_drop(ask->parent))
		engine_stir(fs->engine);
	int error = EINVAL;
	char *why = fs_not_here(fs, ask->parent, use, &info, &error);
	if (why)
		fs_answer(ask, fs_refuse(fs, ask, why, error));
	else
		judge(fs, ask, use);
	free(why);
}

void fs_ask_draft(fuse_req_t req, struct fs *fs, struct draft *draft, enum fs_ask_moment moment,
		  size_t written)
{
	struct draft_info info;
	draft_info(draft, &info);
	struct fs_ask ask = { .req = req,
			      .draft = draft,
			      .parent = info.parent,
			      .moment = moment,
			      .written = written };
	strcpy(ask.name, info.name);
	/* A drop that was removed, or replaced, before it was complete asks for nothing. */
	if (!info.linked && fs_is_drop(info.parent))
		fs_answer(&ask, 0);
	else
		fs_ask(fs, &ask);
}
