#include "fs_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names to inodes */

static int resolve_draft(struct fs *fs, uint64_t parent, const char *name, uint64_t *ino)
{
	struct draft *draft = draft_find(fs->drafts, parent, name);
	if (!draft)
		return -ENOENT;
	struct draft_info info;
	draft_info(draft, &info);
	draft_put(draft);
	*ino = node_ino(info.number, NODE_DRAFT);
	return 0;
}

/* The job of JOB-NUMBER, the name that a job has until it is given a request id: who was just told
 * it by a link, by-name/ or latest, is still on the way there. */
static const struct job *find_numbered(struct fs *fs, const char *name)
{
	unsigned long long number;
	int end = 0;
	bool numbered = sscanf(name, "job-%llu%n", &number, &end) == 1 && !name[end] &&
			name[4] >= '1' && name[4] <= '9';
	return numbered ? engine_get(fs->engine, number) : NULL;
}

static int resolve_in_root(struct fs *fs, const char *name, uint64_t *ino)
{
	const struct node *node = node_find(NODE_ROOT, name);
	if (node && (node->kind != NODE_DEFAULTS || !fs->defaults_unlinked)) {
		*ino = node_ino(0, node->kind);
		return 0;
	}
	unsigned kind = NODE_JOB;
	const struct job *job = engine_find(fs->engine, name);
	if (!job) {
		kind = NODE_REQUEST_LINK;
		job = engine_find_request(fs->engine, name);
	}
	if (!job)
		job = find_numbered(fs, name);
	if (!job)
		return resolve_draft(fs, FUSE_ROOT_ID, name, ino);
	*ino = node_ino(job->number, kind);
	job_put(job);
	return 0;
}

static int resolve_in_job(struct fs *fs, uint64_t number, const char *name, uint64_t *ino)
{
	const struct job *job = engine_get(fs->engine, number);
	if (!job)
		return -ESTALE;
	int r = -ENOENT;
	const struct node *node = node_find(NODE_JOB, name);
	if (node) {
		*ino = node_ino(number, node->kind);
		r = fs_visible(fs, node, job) ? 0 : -ENOENT;
	} else {
		for (unsigned i = 0; i < job->output_count && r; i++)
			if (node_output_visible(job, i) &&
			    strcmp(job->outputs[i].name, name) == 0) {
				*ino = node_output_ino(job, i);
				r = 0;
			}
		if (r)
			r = resolve_draft(fs, node_ino(number, NODE_JOB), name, ino);
	}
	job_put(job);
	return r;
}

static int resolve_label(struct fs *fs, const char *name, uint64_t *ino)
{
	const struct job *job = engine_find_label(fs->engine, name);
	if (!job)
		return -ENOENT;
	*ino = node_ino(job->number, NODE_LABEL_LINK);
	job_put(job);
	return 0;
}

int fs_resolve(struct fs *fs, uint64_t parent, const char *name, uint64_t *ino)
{
	switch (node_kind(parent)) {
	case NODE_ROOT: return resolve_in_root(fs, name, ino);
	case NODE_NEW:
	case NODE_DRAFT: return resolve_draft(fs, parent, name, ino);
	case NODE_BY_NAME: return resolve_label(fs, name, ino);
	case NODE_JOB: return resolve_in_job(fs, node_number(parent), name, ino);
	default: return -ENOTDIR;
	}
}

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	uint64_t ino;
	int r = fs_touch_hides(req, parent, name) ? -ENOENT
						  : fs_resolve(fs_of(req), parent, name, &ino);
	if (r)
		fuse_reply_err(req, -r);
	else
		fs_reply_entry(req, ino);
}

/* Links */

int fs_link_target(struct fs *fs, uint64_t ino, char *buf, size_t size)
{
	char name[JOB_NAME_MAX];
	unsigned kind = node_kind(ino);
	const struct job *job = kind == NODE_LATEST ? engine_latest(fs->engine)
						    : engine_get(fs->engine, node_number(ino));
	if (job && kind == NODE_LABEL_LINK) {
		/* The kernel may not have heard yet that another job has the label now. */
		const struct job *newest = job->label ? engine_find_label(fs->engine, job->label)
						      : NULL;
		job_put(job);
		job = newest;
	}
	if (!job)
		return -ENOENT;
	int len = snprintf(buf, size, "%s%s", kind == NODE_LABEL_LINK ? "../" : "",
			   job_name(job, name));
	job_put(job);
	return len;
}

void fs_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[JOB_NAME_MAX + 4];
	int r = fs_link_target(fs_of(req), ino, target, sizeof(target));
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, target);
}

/*
 * Listings. A cookie is the place of an entry: 1 and 2 for "." and "..", FIXED + kind for a file of
 * the table or an output, and NUMBERED + number for a job or a draft; in the root, which has both,
 * SCRATCH + number for a draft. So a listing goes on rightly whatever came or went meanwhile.
 */
#define FIXED    16
#define NUMBERED 1024
#define SCRATCH  (UINT64_C(1) << 62)

struct entry {
	char name[JOB_NAME_MAX];
	uint64_t ino;
	uint64_t cookie;
};

static bool entry_set(struct entry *entry, const char *name, uint64_t ino, uint64_t cookie)
{
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->ino = ino;
	entry->cookie = cookie;
	return true;
}

static bool next_dot(uint64_t dir, uint64_t cookie, struct entry *out)
{
	if (cookie == 0)
		return entry_set(out, ".", dir, 1);
	if (cookie == 1)
		return entry_set(out, "..", FUSE_ROOT_ID, 2);
	return false;
}

static uint64_t after_number(uint64_t cookie, uint64_t base)
{
	return cookie < base ? 0 : cookie - base;
}

static unsigned after_kind(uint64_t cookie)
{
	return cookie < FIXED ? 0 : (unsigned)(cookie - FIXED);
}

static bool next_draft(struct fs *fs, uint64_t dir, uint64_t cookie, struct entry *out)
{
	struct draft *draft;
	bool found = false;
	for (uint64_t after =
		     after_number(cookie, node_kind(dir) == NODE_ROOT ? SCRATCH : NUMBERED);
	     !found && (draft = draft_next(fs->drafts, dir, after)) != NULL; draft_put(draft)) {
		struct draft_info info;
		draft_info(draft, &info);
		after = info.number;
		/* A draft that stands for a file of the table is listed as that file. */
		if (node_find(node_kind(dir), info.name))
			continue;
		found = entry_set(out, info.name, node_ino(info.number, NODE_DRAFT),
				  (node_kind(dir) == NODE_ROOT ? SCRATCH : NUMBERED) + info.number);
	}
	return found;
}

static bool next_in_root(struct fs *fs, uint64_t cookie, struct entry *out)
{
	const struct node *node = cookie < NUMBERED ? node_next(NODE_ROOT, after_kind(cookie))
						    : NULL;
	for (; node; node = node_next(NODE_ROOT, node->kind)) {
		char target[JOB_NAME_MAX + 4];
		uint64_t ino = node_ino(0, node->kind);
		if (S_ISLNK(node->mode) && fs_link_target(fs, ino, target, sizeof(target)) < 0)
			continue;
		if (node->kind == NODE_DEFAULTS && fs->defaults_unlinked)
			continue;
		return entry_set(out, node->name, ino, FIXED + node->kind);
	}
	const struct job *job = cookie < SCRATCH
					? engine_next(fs->engine, after_number(cookie, NUMBERED))
					: NULL;
	if (!job)
		return next_draft(fs, FUSE_ROOT_ID, cookie, out);
	char name[JOB_NAME_MAX];
	entry_set(out, job_name(job, name), node_ino(job->number, NODE_JOB),
		  NUMBERED + job->number);
	job_put(job);
	return true;
}

static bool next_label(struct fs *fs, uint64_t cookie, struct entry *out)
{
	const struct job *job;
	bool found = false;
	for (uint64_t after = after_number(cookie, NUMBERED);
	     !found && (job = engine_next(fs->engine, after)) != NULL; job_put(job)) {
		after = job->number;
		const struct job *newest = job->label ? engine_find_label(fs->engine, job->label)
						      : NULL;
		if (newest && newest->number == job->number)
			found = entry_set(out, job->label, node_ino(job->number, NODE_LABEL_LINK),
					  NUMBERED + job->number);
		job_put(newest);
	}
	return found;
}

static bool next_file(struct fs *fs, const struct job *job, uint64_t cookie, struct entry *out)
{
	unsigned kind = after_kind(cookie);
	const struct node *node = kind < NODE_OUTPUT ? node_next(NODE_JOB, kind) : NULL;
	for (; node; node = node_next(NODE_JOB, node->kind))
		if (!(node->flags & NODE_UNLISTED) && fs_visible(fs, node, job))
			return entry_set(out, node->name, node_ino(job->number, node->kind),
					 FIXED + node->kind);
	for (unsigned i = kind < NODE_OUTPUT ? 0 : kind - NODE_OUTPUT + 1; i < job->output_count;
	     i++)
		if (node_output_visible(job, i))
			return entry_set(out, job->outputs[i].name, node_output_ino(job, i),
					 FIXED + NODE_OUTPUT + i);
	return false;
}

static bool next_in_job(struct fs *fs, uint64_t dir, uint64_t cookie, struct entry *out)
{
	const struct job *job = engine_get(fs->engine, node_number(dir));
	bool found = job && cookie < NUMBERED && next_file(fs, job, cookie, out);
	job_put(job);
	return found || next_draft(fs, dir, cookie, out);
}

/* The entry after COOKIE; false at the end. */
static bool next_entry(struct fs *fs, uint64_t dir, uint64_t cookie, struct entry *out)
{
	if (next_dot(dir, cookie, out))
		return true;
	switch (node_kind(dir)) {
	case NODE_ROOT: return next_in_root(fs, cookie, out);
	case NODE_BY_NAME: return next_label(fs, cookie, out);
	case NODE_NEW:
	case NODE_DRAFT: return next_draft(fs, dir, cookie, out);
	case NODE_JOB: return next_in_job(fs, dir, cookie, out);
	default: return false;
	}
}

static size_t add_entry(fuse_req_t req, char *buf, size_t room, const struct entry *entry,
			bool plus)
{
	struct fuse_entry_param param = { .attr.st_ino = entry->ino };
	if (!plus) {
		param.attr.st_mode = node_kind(entry->ino) == NODE_JOB ? S_IFDIR : 0;
		return fuse_add_direntry(req, buf, room, entry->name, &param.attr,
					 (off_t)entry->cookie);
	}
	/* "." and ".." must not be looked up: the kernel would count references that it never
	 * drops. Ino 0 says so. */
	bool dot = entry->cookie <= 2;
	if (!dot && fs_entry(fs_of(req), entry->ino, &param))
		param.ino = 0;
	return fuse_add_direntry_plus(req, buf, room, entry->name, &param, (off_t)entry->cookie);
}

static void list(fuse_req_t req, uint64_t dir, size_t size, uint64_t cookie, bool plus)
{
	char *buf = malloc(size);
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	size_t used = 0;
	struct entry entry = { 0 };
	while (next_entry(fs_of(req), dir, cookie, &entry)) {
		size_t need = add_entry(req, buf + used, size - used, &entry, plus);
		if (need > size - used)
			break;
		used += need;
		cookie = entry.cookie;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

/* The kernel keeps listings, see fs_attr.c. Told ENOSYS once, it does so without asking. */
void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (fs_of(req)->opendir_unneeded) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->cache_readdir = fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, (uint64_t)off, false);
}

void fs_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, (uint64_t)off, true);
}

/* Making and removing */

/* "job-17" is what a job without a name of its own is called; trash and lock directories of
 * desktops are no jobs. */
static bool name_reserved(const char *name)
{
	if (name[0] == '.')
		return true;
	if (strncmp(name, "job-", 4) != 0 || !name[4])
		return false;
	for (name += 4; isdigit((unsigned char)*name); name++)
		;
	return !*name;
}

int fs_job_name_allowed(uint64_t parent, const char *name)
{
	if (parent != FUSE_ROOT_ID || name_reserved(name))
		return -EPERM;
	return strlen(name) >= JOB_NAME_MAX ? -ENAMETOOLONG : 0;
}

void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fs *fs = fs_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct engine_owner owner = { .uid = ctx->uid,
				      .gid = ctx->gid,
				      .mode = mode & 07777 & ~ctx->umask };
	uint64_t number, ino;
	if (fs_touch_made(req)) {
		fs_touch_make(req, parent, name);
		return;
	}
	if (fs_is_drop(parent)) {
		fs_mkdir_drop(req, parent, name, owner.mode);
		return;
	}
	int r = fs_job_name_allowed(parent, name);
	if (r == 0 && fs_resolve(fs, parent, name, &ino) == 0)
		r = -EEXIST;
	if (r == 0)
		r = engine_create(fs->engine, name, &owner, &number);
	if (r)
		fuse_reply_err(req, -r);
	else
		fs_reply_entry(req, node_ino(number, NODE_JOB));
}

static int unlink_draft(struct fs *fs, uint64_t parent, const char *name)
{
	struct draft *draft = draft_find(fs->drafts, parent, name);
	if (!draft)
		return -ENOENT;
	int r = draft_unlink(draft);
	draft_put(draft);
	if (node_kind(parent) == NODE_NEW)
		fs_forget_batch(fs, name);
	return r;
}

/* What a draft has kept of a file goes with the file. */
static int forget_kept(struct fs *fs, const struct job *job, unsigned kind)
{
	if (kind != NODE_PARAMS || job->state != JOB_DRAFT || !job->text_len[JOB_TEXT_PARAMS])
		return 0;
	struct params *none = params_new();
	int r = none ? engine_keep_params(fs->engine, job->number, none) : -ENOMEM;
	params_free(none);
	return r;
}

/* A draft shows the rest of its files until it is removed itself, and rmdir does not mind them. */
static int hide_file(struct fs *fs, const struct job *job, unsigned kind)
{
	const struct node *node = node_of(kind);
	if (job->state == JOB_DRAFT && !(node && node_is_writable(node, job)))
		return 0;
	int r = forget_kept(fs, job, kind);
	return r ? r : engine_hide(fs->engine, job->number, node_hidden_bit(kind));
}

static int unlink_job_file(struct fs *fs, uint64_t number, const char *name)
{
	uint64_t ino, dir = node_ino(number, NODE_JOB);
	int r = resolve_in_job(fs, number, name, &ino);
	if (r)
		return r;
	int draft = unlink_draft(fs, dir, name);
	if (node_kind(ino) == NODE_DRAFT)
		return draft;
	const struct job *job = engine_get(fs->engine, number);
	if (!job)
		return -ESTALE;
	r = hide_file(fs, job, node_kind(ino));
	job_put(job);
	return r;
}

void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	int r = -EPERM;
	if (fs_is_defaults(parent, name))
		r = fs_unlink_defaults(fs);
	else if (fs_is_drop(parent) || (node_kind(parent) == NODE_ROOT && fs_root_scratch(name)))
		r = unlink_draft(fs, parent, name);
	else if (node_kind(parent) == NODE_JOB)
		r = unlink_job_file(fs, node_number(parent), name);
	fuse_reply_err(req, -r);
}

static bool is_empty(struct fs *fs, const struct job *job)
{
	struct entry entry = { 0 };
	uint64_t dir = node_ino(job->number, NODE_JOB);
	if (next_draft(fs, dir, NUMBERED, &entry))
		return false;
	return job_is(job, JOB_IN(JOB_DRAFT)) || !next_file(fs, job, 2, &entry);
}

void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	uint64_t ino;
	int r = fs_resolve(fs, parent, name, &ino);
	if (r == 0 && fs_is_drop(parent)) {
		fuse_reply_err(req, -fs_rmdir_drop(fs, ino));
		return;
	}
	if (r == 0 && (parent != FUSE_ROOT_ID || node_kind(ino) != NODE_JOB))
		r = node_kind(ino) == NODE_NEW || node_kind(ino) == NODE_BY_NAME ? -EPERM
										 : -ENOTDIR;
	const struct job *job = r == 0 ? engine_get(fs->engine, node_number(ino)) : NULL;
	if (r == 0)
		r = !job                ? -ENOENT
		    : is_empty(fs, job) ? engine_forget(fs->engine, job->number)
					: -ENOTEMPTY;
	job_put(job);
	fuse_reply_err(req, -r);
}
