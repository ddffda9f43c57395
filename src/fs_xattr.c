/*
 * fs_xattr - what a job's files say about themselves: where a model came from, and how to make it
 * again
 *
 * A new attribute is one row and one renderer. Nothing can be set: those operations are missing, so
 * that the kernel answers "not supported" by itself. What others ask of every file (security.*,
 * system.posix_acl_*) is answered "not supported" too, before anything is looked up: of ENODATA, ls
 * would think that the next file may have it.
 */
#include "fs_internal.h"

#include "params.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Flags of a row. */
#define XATTR_OF_OUTPUT 1 /* else of every file of a job, and of its directory */
#define XATTR_SENT      2 /* from the parameters that were sent: there once it was submitted */
#define XATTR_UNLISTED  4 /* changes by itself: cp -a and rsync -X shall not carry it along */

/* What a renderer works from. */
struct xattr_input {
	struct fs *fs;
	const struct job *job;
	const struct job_output *output; /* of an output */
	unsigned index;
	const struct params *params; /* what was sent; for XATTR_SENT */
};

struct xattr {
	const char *name;
	unsigned flags;
	bool (*present)(const struct xattr_input *in); /* NULL: always */
	void (*render)(const struct xattr_input *in, FILE *out);
};

static bool has_request_id(const struct xattr_input *in)
{
	return in->job->request_id != NULL;
}

static void render_request_id(const struct xattr_input *in, FILE *out)
{
	fputs(in->job->request_id, out);
}

static void render_status(const struct xattr_input *in, FILE *out)
{
	fputs(job_word(in->job), out);
}

static void render_image_url(const struct xattr_input *in, FILE *out)
{
	fputs(in->job->image_url ? in->job->image_url : "", out);
}

static void render_seed(const struct xattr_input *in, FILE *out)
{
	fprintf(out, "%lld", params_seed(in->params));
}

static void render_origin(const struct xattr_input *in, FILE *out)
{
	fputs(in->output->url, out);
}

/* The service calls a GLB "model/glb"; this is the type that is registered, and that desktops
 * know. */
static const char *type_of(const struct job_output *output)
{
	const char *dot = strrchr(output->name, '.');
	return dot && strcmp(dot, ".glb") == 0 ? "model/gltf-binary" : output->media_type;
}

static bool has_type(const struct xattr_input *in)
{
	return type_of(in->output) != NULL;
}

static void render_type(const struct xattr_input *in, FILE *out)
{
	fputs(type_of(in->output), out);
}

static bool has_digest(const struct xattr_input *in)
{
	return in->output->sha256 != NULL;
}

static void render_digest(const struct xattr_input *in, FILE *out)
{
	fputs(in->output->sha256, out);
}

static void render_cached(const struct xattr_input *in, FILE *out)
{
	fprintf(out, "%" PRIu64, engine_stored(in->fs->engine, in->job, in->index));
}

static const struct xattr table[] = {
	{ "user.pixal3d.request_id", 0, has_request_id, render_request_id },
	{ "user.pixal3d.status", 0, NULL, render_status },
	{ "user.pixal3d.image_url", XATTR_SENT, NULL, render_image_url },
	{ "user.pixal3d.seed", XATTR_SENT, NULL, render_seed },
	{ "user.pixal3d.cached", XATTR_OF_OUTPUT | XATTR_UNLISTED, NULL, render_cached },
	{ "user.pixal3d.sha256", XATTR_OF_OUTPUT, has_digest, render_digest },
	{ "user.xdg.origin.url", XATTR_OF_OUTPUT, NULL, render_origin },
	{ "user.mime_type", XATTR_OF_OUTPUT, has_type, render_type },
};
#define ROWS (sizeof(table) / sizeof(table[0]))

/* The number of the job that INO belongs to, or that came of it; 0: none. */
static uint64_t job_of(struct fs *fs, uint64_t ino)
{
	unsigned kind = node_kind(ino);
	if (kind == NODE_JOB || kind >= NODE_FILES)
		return node_number(ino);
	struct draft *draft = kind == NODE_DRAFT ? draft_by_number(fs->drafts, node_number(ino))
						 : NULL;
	if (!draft)
		return 0;
	struct draft_info info;
	draft_info(draft, &info);
	draft_put(draft);
	return info.job;
}

/* Fills IN with what INO belongs to; its job is to be put. false: to no job. */
static bool take_input(struct fs *fs, uint64_t ino, struct xattr_input *in)
{
	unsigned kind = node_kind(ino);
	uint64_t number = job_of(fs, ino);
	*in = (struct xattr_input){ .fs = fs };
	in->job = number ? engine_get(fs->engine, number) : NULL;
	if (!in->job || kind < NODE_OUTPUT)
		return in->job != NULL;
	in->index = kind - NODE_OUTPUT;
	if (node_output_visible(in->job, in->index) &&
	    node_version(ino) == in->job->outputs[in->index].version)
		in->output = &in->job->outputs[in->index];
	return true;
}

static bool is_there(const struct xattr *xattr, const struct xattr_input *in)
{
	if (xattr->flags & XATTR_OF_OUTPUT && !in->output)
		return false;
	if (xattr->flags & XATTR_SENT && !in->job->attempts)
		return false;
	return !xattr->present || xattr->present(in);
}

static const struct xattr *find(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

/* The parameters that were sent. 0 or -errno. */
static int take_params(const struct xattr_input *in, struct params **params)
{
	char error[PARAMS_ERROR_MAX];
	char *text = NULL;
	size_t len = 0;
	int r = engine_text(in->fs->engine, in->job->number, JOB_TEXT_PARAMS, &text, &len);
	if (r == 0 && params_parse(text, len, params, error) != PARAMS_OK)
		r = -ENODATA;
	free(text);
	return r;
}

static int render(const struct xattr *xattr, struct xattr_input *in, FILE *out)
{
	struct params *params = NULL;
	int r = xattr->flags & XATTR_SENT ? take_params(in, &params) : 0;
	if (r)
		return r;
	in->params = params;
	xattr->render(in, out);
	params_free(params);
	return 0;
}

/* The value of NAME for INO. 0 or -errno. */
static int get(struct fs *fs, uint64_t ino, const char *name, FILE *out)
{
	const struct xattr *xattr = find(name);
	struct xattr_input in;
	if (!xattr || !take_input(fs, ino, &in))
		return -ENODATA;
	int r = is_there(xattr, &in) ? render(xattr, &in, out) : -ENODATA;
	job_put(in.job);
	return r;
}

/* The names, each with its NUL. */
static int list(struct fs *fs, uint64_t ino, const char *unused, FILE *out)
{
	struct xattr_input in;
	(void)unused;
	if (!take_input(fs, ino, &in))
		return 0;
	for (size_t i = 0; i < ROWS; i++)
		if (!(table[i].flags & XATTR_UNLISTED) && is_there(&table[i], &in))
			fwrite(table[i].name, 1, strlen(table[i].name) + 1, out);
	job_put(in.job);
	return 0;
}

/* Answers with what MAKE writes, or, when SIZE is 0, with its length. */
static void reply(fuse_req_t req, uint64_t ino, const char *name, size_t size,
		  int (*make)(struct fs *, uint64_t, const char *, FILE *))
{
	char *value = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&value, &len);
	int r = out ? make(fs_of(req), ino, name, out) : -ENOMEM;
	if (out && fclose(out) != 0)
		r = -ENOMEM;
	if (r)
		fuse_reply_err(req, -r);
	else if (!size)
		fuse_reply_xattr(req, len);
	else if (len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, value, len);
	free(value);
}

void fs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	if (strncmp(name, "user.", 5) != 0)
		fuse_reply_err(req, EOPNOTSUPP);
	else
		reply(req, ino, name, size, get);
}

void fs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	reply(req, ino, NULL, size, list);
}
