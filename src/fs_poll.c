/*
 * fs_poll - poll(2), select and epoll on the files of a job
 *
 * As sysfs has it: a file can always be read, and says POLLPRI when what there is to read is not
 * what this handle has read last, from its beginning. So `select` tells of changes as exceptional
 * conditions, and what polls before it reads an ordinary file (less does) reads as ever. `wait`
 * alone can be read only once that does not block.
 *
 * A handle that was polled is woken by every change of its job, and is then asked again.
 */
#include "fs_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define ALWAYS (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM)

static bool is_news_locked(struct fs *fs, struct fs_handle *handle)
{
	char *text = NULL;
	size_t len;
	if (!handle->text || fs_text(fs, handle->ino, &text, &len))
		return true;
	bool news = len != handle->len || memcmp(text, handle->text, len) != 0;
	free(text);
	return news;
}

static unsigned poll_wait(struct fs *fs, uint64_t number)
{
	const struct job *job = engine_get(fs->engine, number);
	bool ended = !job || engine_job_ended(job);
	job_put(job);
	return ended ? ALWAYS | POLLPRI : POLLOUT | POLLWRNORM;
}

static unsigned poll_file(struct fs *fs, struct fs_handle *handle)
{
	unsigned kind = node_kind(handle->ino);
	if (handle->draft || handle->output || kind < NODE_JOB)
		return ALWAYS;
	if (kind == NODE_WAIT)
		return poll_wait(fs, node_number(handle->ino));
	pthread_mutex_lock(&handle->lock);
	bool news = is_news_locked(fs, handle);
	pthread_mutex_unlock(&handle->lock);
	return news ? ALWAYS | POLLPRI : ALWAYS;
}

/* The kernel's wish to hear of changes, exchanged for POLL (NULL: none). The old one is the
 * caller's. */
static struct fuse_pollhandle *exchange_locked(struct fs *fs, struct fs_handle *handle,
					       struct fuse_pollhandle *poll)
{
	struct fuse_pollhandle *old = handle->poll;
	fs->polled += (poll != NULL) - (old != NULL);
	handle->poll = poll;
	return old;
}

void fs_poll_forget(struct fs *fs, struct fs_handle *handle)
{
	pthread_mutex_lock(&fs->handle_lock);
	struct fuse_pollhandle *poll = exchange_locked(fs, handle, NULL);
	pthread_mutex_unlock(&fs->handle_lock);
	if (poll)
		fuse_pollhandle_destroy(poll);
}

void fs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	     struct fuse_pollhandle *poll)
{
	struct fs *fs = fs_of(req);
	struct fs_handle *handle = fs_handle_of(fi);
	(void)ino;
	/* Before the look: a change between the two wakes. */
	if (poll) {
		pthread_mutex_lock(&fs->handle_lock);
		struct fuse_pollhandle *old = exchange_locked(fs, handle, poll);
		pthread_mutex_unlock(&fs->handle_lock);
		if (old)
			fuse_pollhandle_destroy(old);
	}
	fuse_reply_poll(req, poll_file(fs, handle));
}

void fs_poll_wake(struct fs *fs, uint64_t job)
{
	if (!fs->polled)
		return;
	pthread_mutex_lock(&fs->handle_lock);
	for (struct fs_handle *handle = fs->handles; handle; handle = handle->next) {
		if (!handle->poll || node_number(handle->ino) != job)
			continue;
		notify_poll(fs->notify, exchange_locked(fs, handle, NULL));
	}
	pthread_mutex_unlock(&fs->handle_lock);
}
