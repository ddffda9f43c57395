#include "fs_internal.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a file asks for when it is complete, by where it is and what it is called. */
enum draft_use fs_use_of(uint64_t parent, const char *name)
{
	if (node_kind(parent) == NODE_NEW) {
		const char *dot = draft_is_temporary(name) ? NULL : strrchr(name, '.');
		return !dot                         ? DRAFT_SCRATCH
		       : strcmp(dot, ".json") == 0  ? DRAFT_REQUEST
		       : strcmp(dot, ".jsonl") == 0 ? DRAFT_BATCH
		       : strcmp(dot, ".url") == 0   ? DRAFT_URLS
						    : DRAFT_SCRATCH;
	}
	const struct node *node = node_kind(parent) == NODE_JOB ? node_find(NODE_JOB, name) : NULL;
	switch (node ? node->kind : NODE_NONE) {
	case NODE_PARAMS: return DRAFT_REQUEST;
	case NODE_IMAGE_URL: return DRAFT_IMAGE_URL;
	case NODE_REQUEST_ID: return DRAFT_REQUEST_ID;
	default: return DRAFT_SCRATCH;
	}
}

/* Saying no */

void fs_set_error_file(struct fs *fs, uint64_t parent, const char *name, const char *text)
{
	char error_name[256];
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
			 parent == FUSE_ROOT_ID ? NULL : node_of(NODE_NEW)->name, error_name);
	free(line);
}

int fs_refuse(struct fs *fs, const struct fs_ask *ask, const char *text, int error)
{
	char *drop = NULL;
	draft_refuse(ask->draft, ask->claim, text, error);
	log_info("%s: refused: %s", ask->name, text);
	if (node_kind(ask->parent) == NODE_NEW) {
		if (asprintf(&drop, "%s: %s\nNothing was sent, nothing was charged.", ask->name,
			     text) > 0)
			fs_set_error_file(fs, ask->parent, ask->name, drop);
		free(drop);
	} else if (ask->moment == FS_ASK_RENAME) {
		/* The renamed file keeps its old name and may vanish with its editor: the job's
		 * `error` keeps the reason. */
		struct draft *overlay;
		const struct node *node = node_find(NODE_JOB, ask->name);
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

void fs_tell_drop(struct fs *fs, const char *name, const struct job *job)
{
	fs_set_error_file(fs, node_ino(0, NODE_NEW), name, fs_outcome(job) ? job->error : NULL);
}

/* Answering */

static int finish_rename(const struct fs_ask *ask)
{
	if (fs_is_defaults(ask->parent, ask->name))
		return draft_unlink(ask->draft);
	bool consumed = node_kind(ask->parent) == NODE_JOB &&
			fs_use_of(ask->parent, ask->name) != DRAFT_SCRATCH;
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
	if (job && node_kind(wait->ask.parent) == NODE_NEW && info.job == job->number)
		fs_tell_drop(park->fs, wait->ask.name, job);
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

/* What a job's own file adds to what the job has: a URL to its parameters, parameters to its image.
 * 0 or -errno. */
static int complete_params(struct fs *fs, uint64_t job, enum draft_use use, struct params **params)
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

/* Submits a drop. *JOB is its job. 0 or -errno, with WHY. */
static int ask_new(struct fs *fs, const struct fs_ask *ask, enum draft_use use,
		   struct params *params, uint64_t *job, const char **why)
{
	char label[256];
	struct draft_info info;
	if (!params_image_url(params)) {
		*why = "image_url is missing";
		return -EINVAL;
	}
	draft_info(ask->draft, &info);
	strcpy(label, ask->name);
	*strrchr(label, '.') = '\0';
	struct engine_owner owner = { .uid = info.uid,
				      .gid = info.gid,
				      .mode = 0777 & ~fs->conf.umask };
	*job = 0;
	return use == DRAFT_URLS ? submit_url(fs, ask->name, label, &owner, params, job)
				 : engine_submit(fs->engine, job, label, &owner, params);
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
	int r = complete_params(fs, number, use, &content->params);
	if (r)
		return r;
	if (!params_image_url(content->params))
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

static void ask_ready(struct fs *fs, const struct fs_ask *ask, enum draft_use use,
		      struct draft_content *content)
{
	uint64_t job;
	const char *why = NULL;
	bool drop = node_kind(ask->parent) == NODE_NEW;
	int r = drop ? ask_new(fs, ask, use, content->params, &job, &why)
		     : ask_job(fs, ask, use, content, &job);
	char *text = r && !why ? fs_why_not(fs, content->params, -r) : NULL;
	params_free(content->params);
	if (r) {
		fs_answer(ask, fs_refuse(fs, ask, why ? why : text ? text : strerror(-r), -r));
		free(text);
		return;
	}
	draft_set_job(ask->draft, ask->claim, job);
	if (!drop)
		drop_overlays(fs, ask, job != 0);
	if (job)
		ask_wait(fs, ask, job,
			 use == DRAFT_REQUEST_ID ? engine_attachment_settled
						 : engine_submission_settled);
	else
		fs_answer(ask, 0);
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

/* Judges the draft and does what it asks for; answers the request, at once or later. */
void fs_ask(struct fs *fs, struct fs_ask *ask)
{
	if (fs_is_defaults(ask->parent, ask->name)) {
		fs_ask_defaults(fs, ask);
		return;
	}
	enum draft_use use = fs_use_of(ask->parent, ask->name);
	struct draft_content content;
	int error = 0;
	if (node_kind(ask->parent) == NODE_NEW)
		inherit_from_backup(fs, ask);
	enum draft_verdict verdict = draft_judge(ask->draft, use, ask->moment != FS_ASK_WRITE,
						 &content);
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
	case DRAFT_PARTIAL:
		if (ask->moment == FS_ASK_RENAME || ask->moment == FS_ASK_RELEASE)
			error = fs_refuse(fs, ask, "it ends before the JSON object does", EINVAL);
		break;
	case DRAFT_INVALID: {
		char *text = draft_error(ask->draft, NULL);
		error = fs_refuse(fs, ask, text ? text : strerror(EINVAL), EINVAL);
		free(text);
		break;
	}
	}
	fs_answer(ask, error);
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
	if (!info.linked && node_kind(info.parent) == NODE_NEW)
		fs_answer(&ask, 0);
	else
		fs_ask(fs, &ask);
}
