/*
 * fs_attr - attributes, and how long the kernel may believe them
 *
 * For a day, where we tell of every change (fs_tell.c). Not at all, where a change could be looked
 * for before the kernel has heard of it: drafts, which editors move about; the directory of a job
 * that is not at rest; what follows other jobs.
 *
 * The kernel keeps listings as well, and forgets one when the directory's mtime is another: so the
 * time of a directory is another whenever its listing is, also within a millisecond.
 */
#include "fs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000

struct timespec fs_time(int64_t ms, uint64_t step)
{
	return (struct timespec){ .tv_sec = ms / 1000,
				  .tv_nsec = (long)(ms % 1000 * NS_PER_MS +
						    (int64_t)(step % NS_PER_MS)) };
}

static void set_times(struct stat *st, struct timespec t)
{
	st->st_mtim = st->st_ctim = st->st_atim = t;
}

static void attr_owned(struct fs *fs, struct stat *st, mode_t mode)
{
	st->st_mode = mode & ~fs->conf.umask;
	st->st_uid = fs->conf.uid;
	st->st_gid = fs->conf.gid;
	st->st_nlink = S_ISDIR(mode) ? 2 : 1;
}

/* When new/ was seen to be another than it was. */
static struct timespec new_changed(struct fs *fs)
{
	uint64_t changes = draft_changes(fs->drafts);
	if (atomic_exchange(&fs->new_changes, changes) != changes)
		fs->new_changed_ms = fs->conf.world.wall_ms(fs->conf.world.ctx);
	return fs_time(fs->new_changed_ms, changes);
}

static int attr_root_file(struct fs *fs, const struct node *node, struct stat *st, double *timeout)
{
	*timeout = node->flags & NODE_VOLATILE ? 0 : FS_TIMEOUT;
	attr_owned(fs, st, node->mode);
	if (S_ISLNK(node->mode))
		st->st_mode = node->mode;
	set_times(st, node->flags & NODE_VOLATILE ? fs_now(fs) : fs->started);
	if (node->kind == NODE_DEFAULTS) {
		*timeout = 0;
		set_times(st, fs_time(fs->defaults_changed_ms, 0));
	}
	if (node->kind == NODE_BY_NAME)
		set_times(st, fs_time(fs->names_changed_ms, fs->names_changes));
	if (node->kind == NODE_NEW) {
		*timeout = 0;
		set_times(st, new_changed(fs));
		st->st_mode = S_IFDIR | fs->new_mode;
		st->st_uid = fs->new_uid;
		st->st_gid = fs->new_gid;
	}
	if (S_ISLNK(node->mode)) {
		char target[JOB_NAME_MAX + 4];
		int r = fs_link_target(fs, st->st_ino, target, sizeof(target));
		st->st_size = r < 0 ? 0 : r;
		return r < 0 ? r : 0;
	}
	if (!S_ISREG(node->mode))
		return 0;
	size_t size = 0;
	int r = fs_text_size(fs, st->st_ino, &size);
	st->st_size = (off_t)size;
	return r;
}

static int attr_draft(struct fs *fs, struct stat *st, double *timeout)
{
	struct draft *draft = draft_by_number(fs->drafts, node_number(st->st_ino));
	if (!draft)
		return -ESTALE;
	struct draft_info info;
	draft_info(draft, &info);
	draft_put(draft);
	*timeout = 0; /* editors move drafts over rendered files and back */
	st->st_mode = (info.is_dir ? S_IFDIR : S_IFREG) | info.mode;
	st->st_uid = info.uid;
	st->st_gid = info.gid;
	st->st_nlink = info.linked ? 1 : 0;
	st->st_size = (off_t)info.size;
	set_times(st, info.is_dir ? new_changed(fs) : info.mtime);
	if (info.is_dir)
		st->st_nlink = 2;
	else
		st->st_atim = info.atime;
	return 0;
}

/* As long as fs_job_text() would be. Nothing is read from the books where the job itself knows. */
static int job_text_size(struct fs *fs, const struct node *node, const struct job *job, off_t *size)
{
	if (!fs_visible(fs, node, job))
		return -ENOENT;
	struct draft *overlay = fs_overlay_of(fs, node, job);
	if (overlay) {
		struct draft_info info;
		draft_info(overlay, &info);
		draft_put(overlay);
		*size = (off_t)info.size;
		return 0;
	}
	if (node->size) {
		*size = (off_t)node->size(job);
		return 0;
	}
	char *text = NULL;
	size_t len = 0;
	int r = fs_job_text(fs, node, job, &text, &len);
	free(text);
	*size = (off_t)len;
	return r;
}

static int attr_job_text(struct fs *fs, const struct node *node, const struct job *job,
			 struct stat *st, double *timeout)
{
	bool writable = node_is_writable(node, job);
	/* A draft's cost follows the defaults. */
	*timeout = writable || node->kind == NODE_ERROR || job_is(job, JOB_IN(JOB_DRAFT))
			   ? 0
			   : FS_TIMEOUT;
	st->st_mode = S_IFREG | ((writable ? 0666 : 0444) & ~fs->conf.umask & (job->mode | 0111));
	return node->flags & NODE_UNLISTED ? 0 : job_text_size(fs, node, job, &st->st_size);
}

static int attr_output(struct fs *fs, const struct job *job, unsigned index, struct stat *st)
{
	if (!node_output_visible(job, index))
		return -ENOENT;
	const struct job_output *output = &job->outputs[index];
	if (node_version(st->st_ino) != output->version)
		return -ESTALE;
	st->st_mode = S_IFREG | (0444 & ~fs->conf.umask & (job->mode | 0111));
	st->st_size = output->size;
	set_times(st, fs_time(output->mtime_ms, 0));
	return 0;
}

/* Nothing comes, goes or changes in its directory by itself, nor by writing to a file in it. */
static bool is_at_rest(const struct job *job)
{
	if (job->state != JOB_COMPLETED)
		return false;
	for (unsigned i = 0; i < job->output_count; i++)
		if (job->outputs[i].size < 0)
			return false;
	return true;
}

static void attr_job_dir(struct fs *fs, const struct job *job, struct stat *st, double *timeout)
{
	bool rests = is_at_rest(job);
	if (!rests)
		*timeout = 0;
	set_times(st, fs_time(job->changed_ms,
			      job->revision + (rests ? 0 : draft_changes(fs->drafts))));
	st->st_mode = S_IFDIR | job->mode;
	st->st_nlink = 2;
}

static int attr_job(struct fs *fs, const struct job *job, struct stat *st, double *timeout)
{
	unsigned kind = node_kind(st->st_ino);
	*timeout = FS_TIMEOUT;
	st->st_uid = job->uid;
	st->st_gid = job->gid;
	st->st_nlink = 1;
	set_times(st, fs_time(job->changed_ms, 0));
	if (kind == NODE_JOB) {
		attr_job_dir(fs, job, st, timeout);
		return 0;
	}
	if (kind == NODE_REQUEST_LINK || kind == NODE_LABEL_LINK) {
		char target[JOB_NAME_MAX + 4];
		int r = fs_link_target(fs, st->st_ino, target, sizeof(target));
		st->st_mode = S_IFLNK | 0777;
		st->st_size = r < 0 ? 0 : r;
		if (kind == NODE_REQUEST_LINK)
			*timeout = 0;
		return r < 0 ? r : 0;
	}
	if (kind >= NODE_OUTPUT)
		return attr_output(fs, job, kind - NODE_OUTPUT, st);
	const struct node *node = node_of(kind);
	return node ? attr_job_text(fs, node, job, st, timeout) : -ESTALE;
}

int fs_attr(struct fs *fs, uint64_t ino, struct stat *st, double *timeout)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_blksize = 4096;
	unsigned kind = node_kind(ino);
	int r;
	*timeout = 0;
	if (kind == NODE_ROOT) {
		*timeout = FS_TIMEOUT;
		attr_owned(fs, st, S_IFDIR | 0777);
		set_times(st, fs_time(fs->names_changed_ms, fs->names_changes));
		return 0;
	}
	if (kind == NODE_DRAFT) {
		r = attr_draft(fs, st, timeout);
	} else if (node_of(kind) && node_of(kind)->parent == NODE_ROOT) {
		r = attr_root_file(fs, node_of(kind), st, timeout);
	} else {
		const struct job *job = engine_get(fs->engine, node_number(ino));
		r = job ? attr_job(fs, job, st, timeout) : -ESTALE;
		job_put(job);
		if (r == -ESTALE && kind >= NODE_OUTPUT)
			r = fs_open_attr(fs, ino, st);
	}
	st->st_blocks = (st->st_size + 511) / 512;
	return r;
}

int fs_entry(struct fs *fs, uint64_t ino, struct fuse_entry_param *entry)
{
	*entry = (struct fuse_entry_param){ .ino = ino };
	int r = fs_attr(fs, ino, &entry->attr, &entry->attr_timeout);
	/* A job's directory is where it is, whatever happens in it. */
	entry->entry_timeout = node_kind(ino) == NODE_JOB ? FS_TIMEOUT : entry->attr_timeout;
	return r;
}

void fs_reply_entry(fuse_req_t req, uint64_t ino)
{
	struct fuse_entry_param entry;
	int r = fs_entry(fs_of(req), ino, &entry);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &entry);
}

static void reply_attr(fuse_req_t req, uint64_t ino)
{
	struct stat st;
	double timeout;
	int r = fs_attr(fs_of(req), ino, &st, &timeout);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, timeout);
}

void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	reply_attr(req, ino);
}

static int truncate_file(struct fs *fs, uint64_t ino, uint64_t size, struct fuse_file_info *fi)
{
	struct fs_handle *handle = fi ? fs_handle_of(fi) : NULL;
	if (handle && handle->draft) {
		handle->written = true;
		return draft_truncate(handle->draft, size, fs_now(fs));
	}
	struct draft *draft;
	int r = fs_draft_of(fs, ino, false, &draft);
	if (r)
		return r;
	r = draft_truncate(draft, size, fs_now(fs));
	draft_put(draft);
	return r;
}

static void set_draft_attr(struct fs *fs, struct draft *draft, const struct stat *attr, int to_set)
{
	struct draft_info info;
	draft_info(draft, &info);
	draft_set_owner(draft, to_set & FUSE_SET_ATTR_MODE ? attr->st_mode : info.mode,
			to_set & FUSE_SET_ATTR_UID ? attr->st_uid : info.uid,
			to_set & FUSE_SET_ATTR_GID ? attr->st_gid : info.gid);
	if (to_set & FUSE_SET_ATTR_ATIME)
		info.atime = to_set & FUSE_SET_ATTR_ATIME_NOW ? fs_now(fs) : attr->st_atim;
	if (to_set & FUSE_SET_ATTR_MTIME)
		info.mtime = to_set & FUSE_SET_ATTR_MTIME_NOW ? fs_now(fs) : attr->st_mtim;
	draft_set_times(draft, info.atime, info.mtime);
}

static int set_job_attr(struct fs *fs, uint64_t number, const struct stat *attr, int to_set)
{
	const struct job *job = engine_get(fs->engine, number);
	if (!job)
		return -ESTALE;
	struct engine_owner owner = {
		.uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : job->uid,
		.gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : job->gid,
		.mode = (to_set & FUSE_SET_ATTR_MODE ? attr->st_mode : job->mode) & 07777,
	};
	bool same = owner.uid == job->uid && owner.gid == job->gid && owner.mode == job->mode;
	job_put(job);
	return same ? 0 : engine_chown(fs->engine, number, &owner);
}

static void set_new_attr(struct fs *fs, const struct stat *attr, int to_set)
{
	if (to_set & FUSE_SET_ATTR_MODE)
		fs->new_mode = attr->st_mode & 07777;
	if (to_set & FUSE_SET_ATTR_UID)
		fs->new_uid = attr->st_uid;
	if (to_set & FUSE_SET_ATTR_GID)
		fs->new_gid = attr->st_gid;
}

/* Mode, owner and times of rendered files follow their job: setting them is taken and has no
 * effect, for refusing breaks install, rsync and cp -p. */
static int set_attr(struct fs *fs, uint64_t ino, const struct stat *attr, int to_set,
		    struct fuse_file_info *fi)
{
	if (to_set & FUSE_SET_ATTR_SIZE) {
		int r = truncate_file(fs, ino, (uint64_t)attr->st_size, fi);
		if (r)
			return r;
	}
	switch (node_kind(ino)) {
	case NODE_DRAFT: break;
	case NODE_NEW: set_new_attr(fs, attr, to_set); return 0;
	case NODE_JOB: return set_job_attr(fs, node_number(ino), attr, to_set);
	default: return 0;
	}
	struct draft *draft = draft_by_number(fs->drafts, node_number(ino));
	if (!draft)
		return -ESTALE;
	set_draft_attr(fs, draft, attr, to_set);
	draft_put(draft);
	return 0;
}

void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	int r = fs_touch_made(req) ? 0 : set_attr(fs_of(req), ino, attr, to_set, fi);
	if (r)
		fuse_reply_err(req, -r);
	else
		reply_attr(req, ino);
}
