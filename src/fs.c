#include "fs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct fs *fs_new(const struct fs_conf *conf)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	if (!fs)
		return NULL;
	fs->conf = *conf;
	fs->conf.source = strdup(conf->source);
	fs->conf.mountpoint = strdup(conf->mountpoint);
	fs->drafts = draft_box_new();
	pthread_mutex_init(&fs->park_lock, NULL);
	pthread_mutex_init(&fs->jobs_lock, NULL);
	pthread_mutex_init(&fs->handle_lock, NULL);
	iomode_init(&fs->iomode);
	fs->passthrough.wanted = conf->passthrough && geteuid() == 0;
	fs->changes = 1;
	pthread_mutex_init(&fs->batch_lock, NULL);
	fs->started = fs_now(fs);
	fs->root_changed_ms = conf->world.wall_ms(conf->world.ctx);
	fs->defaults_changed_ms = fs->root_changed_ms;
	fs->new_mode = 0777 & ~conf->umask;
	fs->new_uid = conf->uid;
	fs->new_gid = conf->gid;
	if (fs->conf.source && fs->conf.mountpoint && fs->drafts)
		return fs;
	fs_free(fs);
	errno = ENOMEM;
	return NULL;
}

void fs_attach(struct fs *fs, struct engine *engine, struct output_cache *cache,
	       struct notify *notify)
{
	fs->engine = engine;
	fs->cache = cache;
	fs->notify = notify;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	while (fs->handles) /* an unmount with open files brings no release */
		fs_handle_free(fs, fs->handles);
	fs_batches_free(fs);
	draft_box_free(fs->drafts);
	pthread_mutex_destroy(&fs->park_lock);
	pthread_mutex_destroy(&fs->jobs_lock);
	pthread_mutex_destroy(&fs->handle_lock);
	iomode_release(&fs->iomode);
	pthread_mutex_destroy(&fs->batch_lock);
	free((char *)fs->conf.source);
	free((char *)fs->conf.mountpoint);
	free(fs);
}

static struct timespec time_of_ms(int64_t ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

struct timespec fs_now(struct fs *fs)
{
	return time_of_ms(fs->conf.world.wall_ms(fs->conf.world.ctx));
}

/* Texts */

struct draft *fs_overlay(struct fs *fs, uint64_t job, unsigned kind)
{
	const struct node *node = node_of(kind);
	return node && node->writable ? draft_find(fs->drafts, node_ino(job, NODE_JOB), node->name)
				      : NULL;
}

char *fs_job_refusal(struct fs *fs, uint64_t job)
{
	char *text = NULL;
	for (const struct node *node = node_next(NODE_JOB, 0); node && !text;
	     node = node_next(NODE_JOB, node->kind)) {
		struct draft *draft = fs_overlay(fs, job, node->kind);
		if (!draft)
			continue;
		char *refusal = draft_error(draft, NULL);
		if (refusal &&
		    asprintf(&text,
			     "%s: %s\nNothing was sent, nothing was charged. Write it again.",
			     node->name, refusal) < 0)
			text = NULL;
		free(refusal);
		draft_put(draft);
	}
	return text;
}

bool fs_visible(struct fs *fs, const struct node *node, const struct job *job)
{
	if (node_visible(node, job))
		return true;
	if (node->kind != NODE_ERROR)
		return false;
	char *refusal = fs_job_refusal(fs, job->number);
	free(refusal);
	return refusal != NULL;
}

int fs_draft_text(struct draft *draft, char **text, size_t *len)
{
	struct draft_info info;
	draft_info(draft, &info);
	*text = malloc(info.size + 1);
	if (!*text)
		return -ENOMEM;
	*len = (size_t)draft_read(draft, 0, *text, info.size);
	(*text)[*len] = '\0';
	return 0;
}

static const struct job *next_job(void *ctx, uint64_t after)
{
	return engine_next(((struct fs *)ctx)->engine, after);
}

static uint64_t stored(void *ctx, const struct job *job, unsigned index)
{
	return engine_stored(((struct fs *)ctx)->engine, job, index);
}

static int render(struct fs *fs, const struct node *node, const struct job *job, char **text,
		  size_t *len)
{
	struct node_input in = { .job = job,
				 .prices = engine_prices(fs->engine),
				 .source = fs->conf.source,
				 .mountpoint = fs->conf.mountpoint,
				 .next = next_job,
				 .stored = stored,
				 .ctx = fs };
	char *texts[JOB_TEXTS] = { 0 };
	struct price_account account = { 0 };
	char *defaults = NULL;
	int r = node->kind == NODE_SPEND      ? engine_account(fs->engine, &account)
		: node->kind == NODE_DEFAULTS ? engine_defaults(fs->engine, &defaults)
					      : 0;
	if (node->kind == NODE_COST)
		in.texture_size = engine_texture_size(fs->engine);
	in.account = &account;
	in.defaults = defaults;
	for (int i = 0; i < JOB_TEXTS && r == 0; i++) {
		size_t text_len;
		if (job && node->texts & 1u << i)
			r = engine_text(fs->engine, job->number, (enum job_text)i, &texts[i],
					&text_len);
		in.text[i] = texts[i] ? texts[i] : "";
	}
	FILE *out = r == 0 ? open_memstream(text, len) : NULL;
	if (out) {
		node->render(&in, out);
		r = fclose(out) == 0 ? 0 : -ENOMEM;
	} else if (r == 0) {
		r = -ENOMEM;
	}
	for (int i = 0; i < JOB_TEXTS; i++)
		free(texts[i]);
	free(defaults);
	return r;
}

static int error_text(struct fs *fs, const struct node *node, const struct job *job, char **text,
		      size_t *len)
{
	char *refusal = fs_job_refusal(fs, job->number);
	if (!refusal)
		return render(fs, node, job, text, len);
	int n = asprintf(text, "%s\n", refusal);
	free(refusal);
	*len = n > 0 ? (size_t)n : 0;
	return n < 0 ? -ENOMEM : 0;
}

/* What is being written in place of a file of a job; NULL: nothing. draft_put(). */
static struct draft *overlay_of(struct fs *fs, const struct node *node, const struct job *job)
{
	return node_is_writable(node, job) ? fs_overlay(fs, job->number, node->kind) : NULL;
}

static int job_text(struct fs *fs, const struct node *node, const struct job *job, char **text,
		    size_t *len)
{
	if (!fs_visible(fs, node, job))
		return -ENOENT;
	if (node->kind == NODE_ERROR)
		return error_text(fs, node, job, text, len);
	struct draft *overlay = overlay_of(fs, node, job);
	if (!overlay)
		return render(fs, node, job, text, len);
	int r = fs_draft_text(overlay, text, len);
	draft_put(overlay);
	return r;
}

static int root_text(struct fs *fs, const struct node *node, char **text, size_t *len)
{
	struct draft *overlay = node->kind == NODE_DEFAULTS
					? draft_find(fs->drafts, FUSE_ROOT_ID, node->name)
					: NULL;
	if (!overlay)
		return render(fs, node, NULL, text, len);
	int r = fs_draft_text(overlay, text, len);
	draft_put(overlay);
	return r;
}

int fs_text(struct fs *fs, uint64_t ino, char **text, size_t *len)
{
	unsigned kind = node_kind(ino);
	const struct node *node = node_of(kind);
	if (!node || !node->render)
		return -EISDIR;
	if (node->parent == NODE_ROOT)
		return root_text(fs, node, text, len);
	const struct job *job = engine_get(fs->engine, node_number(ino));
	if (!job)
		return -ESTALE;
	int r = job_text(fs, node, job, text, len);
	job_put(job);
	return r;
}

/* Attributes */

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

static int attr_root_file(struct fs *fs, const struct node *node, struct stat *st, double *timeout)
{
	*timeout = node->flags & NODE_VOLATILE ? 0 : FS_TIMEOUT;
	attr_owned(fs, st, node->mode);
	if (S_ISLNK(node->mode))
		st->st_mode = node->mode;
	set_times(st, node->flags & NODE_VOLATILE ? fs_now(fs) : fs->started);
	if (node->kind == NODE_DEFAULTS) {
		*timeout = 0;
		set_times(st, time_of_ms(fs->defaults_changed_ms));
	}
	if (node->kind == NODE_NEW) {
		*timeout = 0;
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
	st->st_mode = S_IFREG | info.mode;
	st->st_uid = info.uid;
	st->st_gid = info.gid;
	st->st_nlink = info.linked ? 1 : 0;
	st->st_size = (off_t)info.size;
	set_times(st, info.mtime);
	st->st_atim = info.atime;
	return 0;
}

/* As long as job_text() would be. Nothing is read from the books where the job itself knows. */
static int job_text_size(struct fs *fs, const struct node *node, const struct job *job, off_t *size)
{
	if (!fs_visible(fs, node, job))
		return -ENOENT;
	struct draft *overlay = overlay_of(fs, node, job);
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
	int r = job_text(fs, node, job, &text, &len);
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
	set_times(st, time_of_ms(output->mtime_ms));
	return 0;
}

static int attr_job(struct fs *fs, const struct job *job, struct stat *st, double *timeout)
{
	unsigned kind = node_kind(st->st_ino);
	*timeout = FS_TIMEOUT;
	st->st_uid = job->uid;
	st->st_gid = job->gid;
	st->st_nlink = 1;
	set_times(st, time_of_ms(job->changed_ms));
	if (kind == NODE_JOB) {
		st->st_mode = S_IFDIR | job->mode;
		st->st_nlink = 2;
		return 0;
	}
	if (kind == NODE_REQUEST_LINK || kind == NODE_LABEL_LINK) {
		char target[JOB_NAME_MAX + 4];
		int r = fs_link_target(fs, st->st_ino, target, sizeof(target));
		st->st_mode = S_IFLNK | 0777;
		st->st_size = r < 0 ? 0 : r;
		*timeout = 0; /* they follow other jobs' changes */
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
		set_times(st, time_of_ms(fs->root_changed_ms));
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

void fs_reply_entry(fuse_req_t req, uint64_t ino)
{
	struct fuse_entry_param entry = { .ino = ino };
	int r = fs_attr(fs_of(req), ino, &entry.attr, &entry.attr_timeout);
	entry.entry_timeout = entry.attr_timeout;
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

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
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

static void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	int r = set_attr(fs_of(req), ino, attr, to_set, fi);
	if (r)
		fuse_reply_err(req, -r);
	else
		reply_attr(req, ino);
}

static void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	(void)ino;
	int r = output_statfs(fs_of(req)->cache, &st);
	st.f_namemax = 255;
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_statfs(req, &st);
}

static void fs_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	(void)link, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	/* Replies go from the cache's descriptor to the kernel without a copy through us. */
	conn->want |= conn->capable & (FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
	fs_passthrough_init(fs, conn);
	fs->conf.serving(fs->conf.ctx);
}

static const struct fuse_lowlevel_ops operations = {
	.init = fs_init,
	.lookup = fs_lookup,
	.getattr = fs_getattr,
	.setattr = fs_setattr,
	.readlink = fs_readlink,
	.mkdir = fs_mkdir,
	.unlink = fs_unlink,
	.rmdir = fs_rmdir,
	.symlink = fs_symlink,
	.rename = fs_rename,
	.open = fs_open,
	.read = fs_read,
	.write = fs_write,
	.flush = fs_flush,
	.release = fs_release,
	.fsync = fs_fsync,
	.readdir = fs_readdir,
	.readdirplus = fs_readdirplus,
	.statfs = fs_statfs,
	.create = fs_create,
	.getxattr = fs_getxattr, /* and no setxattr: see fs_xattr.c */
	.listxattr = fs_listxattr,
};

const struct fuse_lowlevel_ops *fs_operations(void)
{
	return &operations;
}
