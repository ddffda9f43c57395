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
	fs->drafts = draft_box_new(conf->spool);
	pthread_mutex_init(&fs->park_lock, NULL);
	pthread_mutex_init(&fs->handle_lock, NULL);
	iomode_init(&fs->iomode);
	fs->passthrough.wanted = conf->passthrough && geteuid() == 0;
	pthread_mutex_init(&fs->batch_lock, NULL);
	fs->started = fs_now(fs);
	fs->defaults_changed_ms = conf->world.wall_ms(conf->world.ctx);
	fs->names_changed_ms = fs->new_changed_ms = fs->defaults_changed_ms;
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
	       struct notify *notify, struct touch *touch)
{
	fs->engine = engine;
	fs->cache = cache;
	fs->notify = notify;
	fs->touch = touch;
	fs_measure(fs);
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
	pthread_mutex_destroy(&fs->handle_lock);
	iomode_release(&fs->iomode);
	pthread_mutex_destroy(&fs->batch_lock);
	free((char *)fs->conf.source);
	free((char *)fs->conf.mountpoint);
	free(fs);
}

struct timespec fs_now(struct fs *fs)
{
	return fs_time(fs->conf.world.wall_ms(fs->conf.world.ctx), 0);
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
	ssize_t n = draft_read(draft, 0, *text, info.size);
	*len = n < 0 ? 0 : (size_t)n;
	(*text)[*len] = '\0';
	if (n < 0)
		free(*text);
	return n < 0 ? (int)n : 0;
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
	struct node_stat stats[NODE_STATS_MAX];
	char *defaults = NULL;
	int r = node->kind == NODE_SPEND      ? engine_account(fs->engine, &account)
		: node->kind == NODE_DEFAULTS ? engine_defaults(fs->engine, &defaults)
					      : 0;
	if (node->kind == NODE_COST)
		in.texture_size = engine_texture_size(fs->engine);
	if (node->kind == NODE_STATS)
		in.stat_count = fs->conf.stats(fs->conf.ctx, stats);
	in.stats = stats;
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

struct draft *fs_overlay_of(struct fs *fs, const struct node *node, const struct job *job)
{
	return node_is_writable(node, job) ? fs_overlay(fs, job->number, node->kind) : NULL;
}

int fs_job_text(struct fs *fs, const struct node *node, const struct job *job, char **text,
		size_t *len)
{
	if (!fs_visible(fs, node, job))
		return -ENOENT;
	if (node->kind == NODE_ERROR)
		return error_text(fs, node, job, text, len);
	struct draft *overlay = fs_overlay_of(fs, node, job);
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
	int r = fs_job_text(fs, node, job, text, len);
	job_put(job);
	return r;
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
	(void)link;
	if (fs_touch_made(req))
		fs_touch_make(req, parent, name);
	else
		fuse_reply_err(req, EPERM);
}

static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	/* Replies go from the cache's descriptor to the kernel without a copy through us. */
	conn->want |= conn->capable & FUSE_CAP_SPLICE_WRITE;
	conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
	/* The kernel asks us no more (12 by default) of what it does in the background, and reading
	 * is, while so much is unanswered: readers who wait for a slow server would hold up all
	 * others, and every release. */
	conn->max_background = UINT16_MAX;
	fs_passthrough_init(fs, conn);
	fs->opendir_unneeded = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
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
	.opendir = fs_opendir,
	.poll = fs_poll,
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
