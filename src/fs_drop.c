/*
 * fs_drop - directories in new/
 *
 * `cp -r photos new/` makes one: what is dropped into it is a drop like any other, and its name is
 * a part of the job's ("photos-dog"). It is a draft that has drafts in it, and is gone, as they
 * are, when it is removed or the mount ends.
 */
#include "fs_internal.h"

#include <errno.h>
#include <string.h>

bool fs_is_drop(uint64_t parent)
{
	return node_kind(parent) == NODE_NEW || node_kind(parent) == NODE_DRAFT;
}

bool fs_is_drop_dir(struct draft *draft)
{
	struct draft_info info;
	draft_info(draft, &info);
	return info.is_dir;
}

/* Writes the names that lead to PARENT, with BETWEEN each two of them and before NAME, to the end
 * of BUF, from its end to its beginning. Gives where they begin; what has no room is left out. */
static char *lead_to(struct fs *fs, uint64_t parent, const char *between, const char *name,
		     char *buf, size_t size)
{
	char *at = buf + size - 1 - strlen(name);
	struct draft *dir;
	strcpy(at, name);
	while (node_kind(parent) == NODE_DRAFT &&
	       (dir = draft_by_number(fs->drafts, node_number(parent))) != NULL) {
		struct draft_info info;
		draft_info(dir, &info);
		draft_put(dir);
		parent = info.parent;
		size_t len = strlen(info.name);
		if ((size_t)(at - buf) < len + 1)
			break;
		*--at = *between;
		at -= len;
		memcpy(at, info.name, len);
	}
	return at;
}

const char *fs_drop_path(struct fs *fs, uint64_t parent, char buf[FS_DROP_PATH_MAX])
{
	char names[FS_DROP_PATH_MAX - 8];
	const char *at = lead_to(fs, parent, "/", "", names, sizeof(names));
	int len = snprintf(buf, FS_DROP_PATH_MAX, "%s/%s", node_of(NODE_NEW)->name, at);
	buf[len - 1] = '\0'; /* each is followed by a slash */
	return buf;
}

void fs_drop_label(struct fs *fs, uint64_t parent, const char *name, char label[JOB_NAME_MAX])
{
	char buf[JOB_NAME_MAX], stem[JOB_NAME_MAX];
	snprintf(stem, sizeof(stem), "%s", name);
	*strrchr(stem, '.') = '\0';
	snprintf(label, JOB_NAME_MAX, "%s", lead_to(fs, parent, "-", stem, buf, sizeof(buf)));
}

/* Trash and lock directories of desktops are none. */
void fs_mkdir_drop(fuse_req_t req, uint64_t parent, const char *name, mode_t mode)
{
	struct fs *fs = fs_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct draft *dir;
	struct draft_info info;
	int r = name[0] == '.' ? -EPERM
			       : draft_mkdir(fs->drafts, parent, name, mode, ctx->uid, ctx->gid,
					     fs_now(fs), &dir);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	engine_stir(fs->engine);
	draft_info(dir, &info);
	draft_put(dir);
	fs_reply_entry(req, node_ino(info.number, NODE_DRAFT));
}

static bool is_empty(struct fs *fs, uint64_t ino)
{
	struct draft *draft = draft_next(fs->drafts, ino, 0);
	draft_put(draft);
	return !draft;
}

int fs_rmdir_drop(struct fs *fs, uint64_t ino)
{
	struct draft *dir = draft_by_number(fs->drafts, node_number(ino));
	int r = !dir ? -ENOENT : is_empty(fs, ino) ? draft_unlink(dir) : -ENOTEMPTY;
	draft_put(dir);
	return r;
}

int fs_rename_drop_dir(struct fs *fs, struct draft *dir, uint64_t parent, const char *name,
		       unsigned flags)
{
	uint64_t there;
	if (!fs_is_drop(parent) || name[0] == '.')
		return -EPERM;
	if (fs_resolve(fs, parent, name, &there) == 0 && !is_empty(fs, there))
		return -ENOTEMPTY;
	return draft_rename(dir, parent, name, flags != 0);
}
