/*
 * fs_image - the person's own images, and what is dropped beside them
 *
 * new/dog.png is submitted when it is whole, with the parameters that new/dog.json has, where that
 * has no image_url of its own. Copiers copy in any order: parameters that come first are kept for
 * their image, those that come within a moment after it become its job's before it is sent.
 * Parameters that are wrong must not let an image be bought with others: it is called off.
 */
#include "fs_internal.h"

#include "image.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TWO_WAYS                                                                                   \
	"this mount has no place to publish images at, and the service takes URLs only. Mount "    \
	"with upload=s3://BUCKET/PREFIX or upload=exec:COMMAND, or put the image on the net "      \
	"yourself and submit {\"image_url\": \"https://...\"}"

char *fs_not_here(struct fs *fs, uint64_t parent, enum draft_use use, const struct draft_info *info,
		  int *error)
{
	bool list = use == DRAFT_BATCH || use == DRAFT_URLS;
	*error = use == DRAFT_IMAGE ? EOPNOTSUPP : EINVAL;
	if (info->size == 0)
		return NULL;
	if (use == DRAFT_IMAGE && !engine_publishes(fs->engine))
		return strdup(TWO_WAYS);
	return list && node_kind(parent) == NODE_DRAFT
		       ? strdup("lists are taken in new/ itself, not in a directory there")
		       : NULL;
}

/* Parameters before their image */

/* *PARAMS are those of the file beside ASK's image, or none. 0 or -errno, with *WHY. */
static int params_beside(struct fs *fs, const struct fs_ask *ask, struct params **params,
			 char **why)
{
	char name[264], error[PARAMS_ERROR_MAX], *text = NULL;
	size_t len = 0;
	snprintf(name, sizeof(name), "%.*s.json", (int)(strrchr(ask->name, '.') - ask->name),
		 ask->name);
	struct draft *beside = draft_find(fs->drafts, ask->parent, name);
	int r = beside ? fs_draft_text(beside, &text, &len) : 0;
	enum params_verdict verdict = PARAMS_INCOMPLETE;
	*params = NULL;
	if (r == 0 && beside)
		verdict = params_parse(text, len, params, error);
	if (verdict == PARAMS_INVALID) {
		r = asprintf(why, "%s, its parameters, is wrong: %s", name, error) < 0 ? -ENOMEM
										       : -EINVAL;
	} else if (*params && params_image_url(*params)) { /* a job of its own */
		params_free(*params);
		*params = NULL;
	}
	draft_put(beside);
	free(text);
	if (r == 0 && !*params)
		*params = params_new();
	return r == 0 && !*params ? -ENOMEM : r;
}

static int submit_drop(struct fs *fs, const struct fs_ask *ask, struct params *params,
		       const char *image, uint64_t *job)
{
	char label[JOB_NAME_MAX];
	struct draft_info info;
	draft_info(ask->draft, &info);
	fs_drop_label(fs, ask->parent, ask->name, label);
	struct engine_owner owner = { .uid = info.uid,
				      .gid = info.gid,
				      .mode = 0777 & ~fs->conf.umask };
	struct engine_order order = {
		.label = label, .owner = &owner, .params = params, .image = image
	};
	engine_submit_all(fs->engine, &order, 1);
	*job = order.number;
	return order.error;
}

/* *PARAMS are those that the job has so far. */
static int params_of_job(struct fs *fs, uint64_t number, struct params **params)
{
	*params = params_new();
	int r = *params ? fs_complete_params(fs, number, DRAFT_IMAGE_URL, params) : -ENOMEM;
	if (r == 0)
		params_clear_image_url(*params);
	return r;
}

/* An image in a job's own directory: the one of that job. */
static int submit_job(struct fs *fs, uint64_t number, struct params *params, const char *image)
{
	struct engine_order order = { .number = number, .params = params, .image = image };
	engine_submit_all(fs->engine, &order, 1);
	return order.error;
}

/* Programs that export an image write it, close it, and write it once more with what describes it
 * (EXIF, XMP): that is one image, the last one, and one purchase. The same bytes again, or another
 * picture, are a drop of their own, and so is what comes once it is sent. */
static void replace_unsent(struct fs *fs, const struct fs_ask *ask, const char *image)
{
	struct draft_info info;
	draft_info(ask->draft, &info);
	const struct job *job = info.before ? engine_get(fs->engine, info.before) : NULL;
	if (job && job->state == JOB_WAITING && job->image && strcmp(job->image, image) != 0 &&
	    draft_same_picture(fs->drafts, job->image, image) &&
	    engine_call_off(
		    fs->engine, info.before, ECANCELED,
		    "The image was written once more before it was sent: that is the job "
		    "to look at. Nothing was sent for this one, and nothing was charged.") == 0)
		engine_forget(fs->engine, info.before);
	job_put(job);
}

int fs_submit_image(struct fs *fs, const struct fs_ask *ask, const char *image, uint64_t *job,
		    char **why)
{
	struct params *params = NULL;
	bool drop = fs_is_drop(ask->parent);
	*job = drop ? 0 : node_number(ask->parent);
	int r = drop ? params_beside(fs, ask, &params, why) : params_of_job(fs, *job, &params);
	if (r == 0 && drop)
		replace_unsent(fs, ask, image);
	if (r == 0)
		r = drop ? submit_drop(fs, ask, params, image, job)
			 : submit_job(fs, *job, params, image);
	if (r && !*why && params)
		*why = fs_why_not(fs, params, -r);
	params_free(params);
	return r;
}

/* Parameters after their image */

/* The image beside ASK's drop, by all names that it may have. draft_put(); NULL: none. */
static struct draft *image_beside(struct fs *fs, const struct fs_ask *ask)
{
	static const char *const endings[] = { "png", "jpg", "jpeg", "webp",
					       "PNG", "JPG", "JPEG", "WEBP" };
	struct draft *image = NULL;
	for (size_t i = 0; !image && i < sizeof(endings) / sizeof(endings[0]); i++) {
		char name[264];
		snprintf(name, sizeof(name), "%.*s.%s", (int)(strrchr(ask->name, '.') - ask->name),
			 ask->name, endings[i]);
		image = draft_find(fs->drafts, ask->parent, name);
	}
	return image;
}

static uint64_t job_beside(struct fs *fs, const struct fs_ask *ask)
{
	struct draft *image = image_beside(fs, ask);
	struct draft_info info = { 0 };
	if (image)
		draft_info(image, &info);
	draft_put(image);
	return info.job;
}

static void call_off(struct fs *fs, const struct fs_ask *ask, uint64_t number, int error,
		     const char *text)
{
	char *reason = NULL;
	if (asprintf(&reason,
		     "%s, its parameters, was refused: %s. Nothing was sent, and nothing was "
		     "charged. Correct it, then copy the image again.",
		     ask->name, text) > 0)
		engine_call_off(fs->engine, number, error, reason);
	free(reason);
}

void fs_call_off_image(struct fs *fs, const struct fs_ask *ask, const char *text)
{
	uint64_t number = fs_use_of(ask->parent, ask->name) == DRAFT_REQUEST ? job_beside(fs, ask)
									     : 0;
	if (number)
		call_off(fs, ask, number, EINVAL, text);
}

int fs_join_image(struct fs *fs, const struct fs_ask *ask, struct params *params, uint64_t *job,
		  char **why)
{
	if (!engine_publishes(fs->engine)) {
		*why = strdup("image_url is missing");
		return -EINVAL;
	}
	*job = 0;
	uint64_t number = job_beside(fs, ask);
	int r = number ? engine_amend(fs->engine, number, params) : 0;
	if (r == 0)
		*job = number;
	if (r == -ENOENT)
		r = 0; /* it was forgotten: these are for the next one */
	if (r == -EROFS)
		*why = strdup("its image was submitted already, without these parameters. They "
			      "count for the next time that the image is copied here");
	else if (r) {
		*why = fs_why_not(fs, params, -r);
		call_off(fs, ask, number, -r, *why ? *why : strerror(-r));
	}
	return r;
}
