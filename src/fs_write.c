#include "fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static bool is_overlay(const struct draft_info *info)
{
	return fs_is_defaults(info->parent, info->name) ||
	       (node_kind(info->parent) == NODE_JOB && node_find(NODE_JOB, info->name));
}

/* Getting at drafts */

static int make_overlay(struct fs *fs, uint64_t ino, const struct job *job, bool truncate,
			struct draft **out)
{
	const struct node *node = node_of(node_kind(ino));
	if (!node || !node_is_writable(node, job))
		return -EROFS;
	*out = fs_overlay(fs, job->number, node->kind);
	if (*out)
		return truncate ? draft_truncate(*out, 0, fs_now(fs)) : 0;
	char *text = NULL;
	size_t len = 0;
	int r = truncate ? 0 : fs_text(fs, ino, &text, &len);
	if (r == 0 || r == -ENOENT)
		r = draft_create(fs->drafts, node_ino(job->number, NODE_JOB), node->name, 0644,
				 job->uid, job->gid, text, len, fs_now(fs), out);
	free(text);
	return r;
}

static int make_defaults_overlay(struct fs *fs, bool truncate, struct draft **out)
{
	const char *name = node_of(NODE_DEFAULTS)->name;
	char *text = NULL;
	size_t len = 0;
	*out = draft_find(fs->drafts, FUSE_ROOT_ID, name);
	if (*out)
		return truncate ? draft_truncate(*out, 0, fs_now(fs)) : 0;
	int r = truncate ? 0 : fs_text(fs, node_ino(0, NODE_DEFAULTS), &text, &len);
	if (r == 0)
		r = draft_create(fs->drafts, FUSE_ROOT_ID, name, 0644, fs->conf.uid, fs->conf.gid,
				 text, len, fs_now(fs), out);
	free(text);
	return r;
}

int fs_draft_of(struct fs *fs, uint64_t ino, bool truncate, struct draft **out)
{
	unsigned kind = node_kind(ino);
	if (kind == NODE_DRAFT) {
		*out = draft_by_number(fs->drafts, node_number(ino));
		if (!*out)
			return -ESTALE;
		return truncate ? draft_truncate(*out, 0, fs_now(fs)) : 0;
	}
	if (kind == NODE_DEFAULTS)
		return make_defaults_overlay(fs, truncate, out);
	if (kind < NODE_JOB)
		return -EROFS;
	const struct job *job = engine_get(fs->engine, node_number(ino));
	if (!job)
		return -ESTALE;
	int r = make_overlay(fs, ino, job, truncate, out);
	job_put(job);
	return r;
}

int fs_open_draft(struct fs *fs, uint64_t ino, bool truncate, struct fs_handle *handle)
{
	handle->written = truncate;
	return fs_draft_of(fs, ino, truncate, &handle->draft);
}

/* Only a job that can still be written to takes editors' files beside its own. */
static int scratch_allowed(struct fs *fs, uint64_t parent, const char *name)
{
	if (fs_is_drop(parent))
		return 0;
	if (node_kind(parent) == NODE_ROOT)
		return fs_root_scratch(name) ? 0 : -EPERM;
	if (node_kind(parent) != NODE_JOB)
		return -EPERM;
	const struct job *job = engine_get(fs->engine, node_number(parent));
	if (!job)
		return -ESTALE;
	int r = node_is_writable(node_of(NODE_PARAMS), job) ? 0 : -EROFS;
	job_put(job);
	return r;
}

/* A file of a job, or the defaults, that is not there: it was unlinked before. */
static int make_anew(struct fs *fs, uint64_t ino, struct draft **out)
{
	unsigned kind = node_kind(ino);
	const struct job *job = kind > NODE_JOB ? engine_get(fs->engine, node_number(ino)) : NULL;
	bool hidden = job && job->hidden & node_hidden_bit(kind);
	int r = fs_draft_of(fs, ino, true, out);
	if (r == 0 && hidden)
		r = engine_show(fs->engine, job->number, node_hidden_bit(kind));
	job_put(job);
	return r;
}

static int create_draft(fuse_req_t req, uint64_t parent, const char *name, mode_t mode,
			uint64_t *ino, struct draft **out)
{
	struct fs *fs = fs_of(req);
	const struct node *node = fs_is_defaults(parent, name)    ? node_of(NODE_DEFAULTS)
				  : node_kind(parent) == NODE_JOB ? node_find(NODE_JOB, name)
								  : NULL;
	if (node) {
		*ino = node_ino(node_number(parent), node->kind);
		return make_anew(fs, *ino, out);
	}
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	int r = scratch_allowed(fs, parent, name);
	if (fs_is_drop(parent))
		engine_stir(fs->engine);
	if (r == 0)
		r = draft_create(fs->drafts, parent, name, mode, ctx->uid, ctx->gid, NULL, 0,
				 fs_now(fs), out);
	if (r)
		return r;
	struct draft_info info;
	draft_info(*out, &info);
	*ino = node_ino(info.number, NODE_DRAFT);
	return 0;
}

void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	uint64_t ino;
	struct draft *draft = NULL;
	struct fuse_entry_param entry = { 0 };
	if (fs_touch_made(req)) {
		fs_touch_create(req, parent, name, fi);
		return;
	}
	int r = create_draft(req, parent, name, mode, &ino, &draft);
	if (r == 0)
		r = fs_attr(fs, ino, &entry.attr, &entry.attr_timeout);
	struct fs_handle *handle = r ? NULL : fs_handle_new(fs, ino);
	if (!handle) {
		draft_put(draft);
		fuse_reply_err(req, r ? -r : ENOMEM);
		return;
	}
	handle->draft = draft;
	entry.ino = ino;
	fs_handle_publish(handle, fi);
	fi->direct_io = 1;
	if (fuse_reply_create(req, &entry, fi) == -ENOENT)
		fs_handle_free(fs, handle); /* the creator was interrupted: no release follows */
}

void fs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct fs_handle *handle = fs_handle_of(fi);
	(void)ino;
	int r = !handle->draft ? -EBADF
			       : draft_write(handle->draft, (uint64_t)off, buf, size, fs_now(fs));
	handle->written = true;
	if (r)
		fuse_reply_err(req, -r);
	else
		fs_ask_draft(req, fs, handle->draft, FS_ASK_WRITE, size);
}

void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs_handle *handle = fs_handle_of(fi);
	(void)ino;
	if (handle->draft && handle->written)
		fs_ask_draft(req, fs_of(req), handle->draft, FS_ASK_CLOSE, 0);
	else
		fuse_reply_err(req, 0);
}

void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fs_handle *handle = fs_handle_of(fi);
	(void)ino, (void)datasync;
	if (handle->draft && handle->written)
		fs_ask_draft(req, fs_of(req), handle->draft, FS_ASK_SYNC, 0);
	else
		fuse_reply_err(req, 0);
}

void fs_release_draft(struct fs *fs, struct fs_handle *handle)
{
	struct draft_info info;
	if (handle->written)
		fs_ask_draft(NULL, fs, handle->draft, FS_ASK_RELEASE, 0);
	draft_info(handle->draft, &info);
	if (is_overlay(&info) && (!info.written || node_kind(info.parent) == NODE_ROOT))
		draft_unlink(handle->draft);
}

/* Renaming */

static int rename_job(struct fs *fs, uint64_t ino, uint64_t newparent, const char *newname)
{
	uint64_t there;
	int r = fs_job_name_allowed(newparent, newname);
	if (r)
		return r;
	if (fs_resolve(fs, newparent, newname, &there) == 0 && there != ino)
		return -EEXIST;
	return engine_rename(fs->engine, node_number(ino), newname);
}

static int rename_allowed(struct fs *fs, uint64_t newparent, const char *newname, unsigned flags)
{
	uint64_t there;
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return -EINVAL;
	if (flags & RENAME_NOREPLACE && fs_resolve(fs, newparent, newname, &there) == 0)
		return -EEXIST;
	int r = scratch_allowed(fs, newparent, newname);
	const struct node *node = node_kind(newparent) == NODE_JOB ? node_find(NODE_JOB, newname)
								   : NULL;
	return r == 0 && node && !node->writable ? -EROFS : r;
}

static void rename_draft(fuse_req_t req, struct draft *draft, uint64_t newparent,
			 const char *newname, unsigned flags)
{
	struct fs *fs = fs_of(req);
	struct fs_ask ask = { .req = req,
			      .draft = draft,
			      .parent = newparent,
			      .moment = FS_ASK_RENAME,
			      .noreplace = flags & RENAME_NOREPLACE };
	if (strlen(newname) >= sizeof(ask.name)) {
		fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	strcpy(ask.name, newname);
	fs_forget_refusal(fs, draft);
	struct draft *target = draft_find(fs->drafts, newparent, newname);
	if (target && target != draft) {
		fs_forget_refusal(fs, target);
		draft_inherit(draft, target);
	}
	draft_put(target);
	fs_ask(fs, &ask);
}

void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned flags)
{
	struct fs *fs = fs_of(req);
	struct draft *draft = NULL;
	uint64_t ino;
	int r = fs_resolve(fs, parent, name, &ino);
	if (r == 0 && node_kind(ino) == NODE_JOB) {
		fuse_reply_err(req, -rename_job(fs, ino, newparent, newname));
		return;
	}
	if (r == 0)
		r = node_kind(ino) < NODE_DRAFT && node_kind(ino) != NODE_DEFAULTS
			    ? -EPERM
			    : rename_allowed(fs, newparent, newname, flags);
	if (r == 0)
		r = fs_draft_of(fs, ino, false, &draft);
	if (r)
		fuse_reply_err(req, -r);
	else if (fs_is_drop_dir(draft))
		fuse_reply_err(req, -fs_rename_drop_dir(fs, draft, newparent, newname, flags));
	else
		rename_draft(req, draft, newparent, newname, flags);
	draft_put(draft);
}
