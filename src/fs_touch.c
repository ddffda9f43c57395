/*
 * fs_touch - requests of our own process, which only make the kernel tell its watchers (touch.h)
 *
 * It creates what is there already: it does not find the name, and its creation is answered with
 * the inode that has the name. It sets times: it is told the present attributes. Whatever else it
 * asks for is refused, so that nothing of its doing can make, change or submit anything.
 */
#include "fs_internal.h"

#include <errno.h>

bool fs_touch_made(fuse_req_t req)
{
	return touch_is_ours(fs_of(req)->touch, fuse_req_ctx(req)->pid);
}

bool fs_touch_hides(fuse_req_t req, uint64_t parent, const char *name)
{
	return fs_touch_made(req) && touch_expects(fs_of(req)->touch, parent, name);
}

/* What is called NAME in PARENT, which the process was asked to create. 0 or -errno. */
static int present(fuse_req_t req, uint64_t parent, const char *name,
		   struct fuse_entry_param *entry)
{
	struct fs *fs = fs_of(req);
	uint64_t ino;
	int r = touch_take(fs->touch, parent, name) ? fs_resolve(fs, parent, name, &ino) : -EPERM;
	return r ? r : fs_entry(fs, ino, entry);
}

void fs_touch_make(fuse_req_t req, uint64_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int r = present(req, parent, name, &entry);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &entry);
}

/* Its handle is of nothing: it reads, writes and asks for nothing. */
void fs_touch_create(fuse_req_t req, uint64_t parent, const char *name, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	int r = present(req, parent, name, &entry);
	struct fs_handle *handle = r ? NULL : fs_handle_new(fs, entry.ino);
	if (!handle) {
		fuse_reply_err(req, r ? -r : ENOMEM);
		return;
	}
	fs_handle_publish(handle, fi);
	fi->direct_io = 1; /* never in the way of a reader through the page cache, or past it */
	if (fuse_reply_create(req, &entry, fi) == -ENOENT)
		fs_handle_free(fs, handle);
}
