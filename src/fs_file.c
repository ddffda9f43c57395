#include "fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct fs_handle *fs_handle_new(struct fs *fs, uint64_t ino)
{
	struct fs_handle *handle = calloc(1, sizeof(*handle));
	if (!handle)
		return NULL;
	handle->ino = ino;
	pthread_mutex_init(&handle->lock, NULL);
	pthread_mutex_lock(&fs->handle_lock);
	handle->next = fs->handles;
	if (fs->handles)
		fs->handles->prev = handle;
	fs->handles = handle;
	pthread_mutex_unlock(&fs->handle_lock);
	return handle;
}

void fs_handle_free(struct fs *fs, struct fs_handle *handle)
{
	if (!handle)
		return;
	pthread_mutex_lock(&fs->handle_lock);
	if (handle->prev)
		handle->prev->next = handle->next;
	else
		fs->handles = handle->next;
	if (handle->next)
		handle->next->prev = handle->prev;
	pthread_mutex_unlock(&fs->handle_lock);
	fs_poll_forget(fs, handle);
	draft_put(handle->draft);
	if (handle->output)
		output_put(handle->output);
	pthread_mutex_destroy(&handle->lock);
	free(handle->text);
	free(handle);
}

static bool is_output(uint64_t ino)
{
	return node_kind(ino) >= NODE_OUTPUT;
}

static bool is_rendered(uint64_t ino)
{
	return !is_output(ino) && node_kind(ino) != NODE_DRAFT;
}

static int open_output(struct fs *fs, uint64_t ino, struct fs_handle *handle)
{
	double timeout;
	struct stat st;
	int r = fs_attr(fs, ino, &st, &timeout);
	if (r)
		return r;
	pthread_mutex_lock(&fs->handle_lock);
	handle->attr = st;
	pthread_mutex_unlock(&fs->handle_lock);
	return engine_output(fs->engine, node_number(ino), node_kind(ino) - NODE_OUTPUT,
			     node_version(ino), &handle->output);
}

int fs_open_attr(struct fs *fs, uint64_t ino, struct stat *st)
{
	pthread_mutex_lock(&fs->handle_lock);
	const struct fs_handle *handle = fs->handles;
	while (handle && handle->attr.st_ino != ino)
		handle = handle->next;
	if (handle)
		*st = handle->attr;
	pthread_mutex_unlock(&fs->handle_lock);
	st->st_nlink = 0;
	return handle ? 0 : -ESTALE;
}

static int open_for_reading(struct fs *fs, uint64_t ino, struct fs_handle *handle)
{
	if (is_output(ino))
		return open_output(fs, ino, handle);
	if (is_rendered(ino))
		return 0; /* the first read takes the text */
	handle->draft = draft_by_number(fs->drafts, node_number(ino));
	return handle->draft ? 0 : -ESTALE;
}

void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct fs_handle *handle = fs_handle_new(fs, ino);
	int r = !handle ? -ENOMEM
		: (fi->flags & O_ACCMODE) == O_RDONLY
			? open_for_reading(fs, ino, handle)
			: fs_open_draft(fs, ino, fi->flags & O_TRUNC, handle);
	if (r) {
		fs_handle_free(fs, handle);
		fuse_reply_err(req, -r);
		return;
	}
	fs_handle_publish(handle, fi);
	fi->direct_io = !handle->output; /* read anew every time; but mmap wants pages */
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
	r = handle->output ? fs_reply_open_output(req, handle, fi) : fuse_reply_open(req, fi);
	if (r == -ENOENT)
		fs_handle_free(fs, handle); /* the opener was interrupted: no release follows */
}

static int text_size(struct fs *fs, uint64_t ino, size_t *size)
{
	char *text = NULL;
	int r = fs_text(fs, ino, &text, size);
	free(text);
	return r;
}

int fs_text_size(struct fs *fs, uint64_t ino, size_t *size)
{
	const struct node *node = node_of(node_kind(ino));
	if (!node || !(node->flags & NODE_ROWS))
		return text_size(fs, ino, size);
	*size = fs->sizes[node->kind];
	return 0;
}

void fs_measure(struct fs *fs)
{
	for (const struct node *node = node_next(NODE_ROOT, 0); node;
	     node = node_next(NODE_ROOT, node->kind)) {
		size_t size = 0;
		if (node->flags & NODE_ROWS && text_size(fs, node_ino(0, node->kind), &size) == 0)
			fs->sizes[node->kind] = size;
	}
}

/* Up to SIZE bytes of TEXT from OFF; *OUT is where they are. */
static size_t slice(const char *text, size_t len, off_t off, size_t size, const char **out)
{
	size_t start = (size_t)off < len ? (size_t)off : len;
	*out = text + start;
	return len - start < size ? len - start : size;
}

static int refresh_locked(struct fs *fs, struct fs_handle *handle)
{
	char *text;
	size_t len;
	int r = fs_text(fs, handle->ino, &text, &len);
	if (r)
		return r;
	free(handle->text);
	handle->text = text;
	handle->len = len;
	return 0;
}

static int read_text_locked(struct fs *fs, struct fs_handle *handle, size_t size, off_t off,
			    char **out, size_t *len)
{
	const struct node *node = node_of(node_kind(handle->ino));
	bool grows = node && node->flags & NODE_GROWS;
	if (off == 0 || !handle->text || (grows && (size_t)off >= handle->len)) {
		int r = refresh_locked(fs, handle);
		if (r)
			return r;
	}
	const char *there;
	*len = slice(handle->text, handle->len, off, size, &there);
	*out = malloc(*len + 1);
	if (!*out)
		return -ENOMEM;
	memcpy(*out, there, *len);
	return 0;
}

/* A reader sees one text from its offset 0 to the end, and a log goes on growing under it. The
 * reply is made of a copy, with no lock: once the reader has it, it may close, and the handle is
 * gone. */
static void read_text(fuse_req_t req, struct fs_handle *handle, size_t size, off_t off)
{
	char *text = NULL;
	size_t len = 0;
	pthread_mutex_lock(&handle->lock);
	int r = read_text_locked(fs_of(req), handle, size, off, &text, &len);
	pthread_mutex_unlock(&handle->lock);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, text, len);
	free(text);
}

static void read_draft(fuse_req_t req, struct draft *draft, size_t size, off_t off)
{
	char *buf = malloc(size ? size : 1);
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	ssize_t n = draft_read(draft, (uint64_t)off, buf, size);
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
	free(buf);
}

/* `wait`: parked until the job has ended. */

struct wait_park {
	struct fs_park park;
	struct engine_watch watch;
	off_t off;
	size_t size;
};

static void answer_ended(fuse_req_t req, uint64_t number, size_t size, off_t off)
{
	const struct job *job = engine_get(fs_of(req)->engine, number);
	if (!job) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	char text[JOB_NAME_MAX];
	const char *there;
	snprintf(text, sizeof(text), "%s\n", job_word(job));
	job_put(job);
	size_t len = slice(text, strlen(text), off, size, &there);
	fuse_reply_buf(req, there, len);
}

static void wait_answer(struct fs_park *park, enum fs_why why)
{
	struct wait_park *wait = (struct wait_park *)park;
	if (why == FS_READY)
		answer_ended(park->req, wait->watch.number, wait->size, wait->off);
	else
		fuse_reply_err(park->req, why == FS_INTERRUPTED ? EINTR : EIO);
}

static bool wait_cancel(struct fs_park *park)
{
	return engine_unwatch(park->fs->engine, &((struct wait_park *)park)->watch);
}

static void wait_fire(struct engine_watch *watch)
{
	fs_park_fire_told(
		&((struct wait_park *)(void *)((char *)watch - offsetof(struct wait_park, watch)))
			 ->park);
}

static void park_free(struct fs_park *park)
{
	free(park);
}

static void read_wait(fuse_req_t req, uint64_t number, size_t size, off_t off)
{
	struct fs *fs = fs_of(req);
	struct wait_park *wait = calloc(1, sizeof(*wait));
	if (!wait) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	wait->off = off;
	wait->size = size;
	wait->watch = (struct engine_watch){ .number = number,
					     .until = engine_job_ended,
					     .fire = wait_fire };
	wait->park.cancel = wait_cancel;
	wait->park.answer = wait_answer;
	wait->park.destroy = park_free;
	fs_park_init(&wait->park, fs, req, INT64_MAX);
	if (!engine_watch(fs->engine, &wait->watch))
		fs_park_fire(&wait->park);
	fs_park_done(&wait->park);
}

/* Outputs: parked until the bytes are there. */

struct read_park {
	struct fs_park park;
	struct output_waiter waiter;
	struct output *output; /* the handle's: it outlives its reads */
	uint64_t off;
	size_t size;
};

static void read_output(fuse_req_t req, struct output *output, uint64_t off, size_t size,
			struct output_waiter *before);

static void read_answer(struct fs_park *park, enum fs_why why)
{
	struct read_park *read = (struct read_park *)park;
	if (why == FS_READY)
		read_output(park->req, read->output, read->off, read->size, &read->waiter);
	else
		fuse_reply_err(park->req, why == FS_INTERRUPTED ? EINTR : EIO);
}

static bool read_cancel(struct fs_park *park)
{
	struct read_park *read = (struct read_park *)park;
	return output_cancel(read->output, &read->waiter);
}

static void read_wake(struct output_waiter *waiter)
{
	fs_park_fire(
		&((struct read_park *)(void *)((char *)waiter - offsetof(struct read_park, waiter)))
			 ->park);
}

static void reply_file(fuse_req_t req, struct output *output, uint64_t off, size_t size)
{
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(size);
	bytes.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	bytes.buf[0].fd = output_fd(output);
	bytes.buf[0].pos = (off_t)off;
	fuse_reply_data(req, &bytes, 0);
}

static void read_free(struct fs_park *park)
{
	struct read_park *read = (struct read_park *)park;
	output_waiter_release(&read->waiter);
	free(read);
}

/* N as output_read() gives it; BYTES: NULL when they are in the file. */
static void reply_read(fuse_req_t req, struct output *output, uint64_t off, ssize_t n,
		       const char *bytes)
{
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else if (n == 0 || bytes)
		fuse_reply_buf(req, bytes, (size_t)n);
	else
		reply_file(req, output, off, (size_t)n);
}

static void read_or_park(fuse_req_t req, struct output *output, uint64_t off, size_t size,
			 struct output_waiter *before)
{
	struct fs *fs = fs_of(req);
	struct read_park *read = calloc(1, sizeof(*read));
	if (!read) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	read->output = output;
	read->off = off;
	read->size = size;
	read->waiter.wake = read_wake;
	if (before)
		output_waiter_move(&read->waiter, before);
	read->park.cancel = read_cancel;
	read->park.answer = read_answer;
	read->park.destroy = read_free;
	fs_park_init(&read->park, fs, req, INT64_MAX);
	ssize_t n = output_read(output, off, size, &read->waiter);
	if (n == -EINPROGRESS) {
		fs_park_done(&read->park);
		return;
	}
	fuse_req_interrupt_func(req, NULL, NULL);
	reply_read(req, output, off, n, output_waiter_bytes(&read->waiter));
	read_free(&read->park);
}

/* BEFORE was woken for the same bytes; NULL: the first try. What is in the file needs nothing to
 * wait with. */
static void read_output(fuse_req_t req, struct output *output, uint64_t off, size_t size,
			struct output_waiter *before)
{
	ssize_t n = output_read_now(output, off, size);
	if (n == -EAGAIN)
		read_or_park(req, output, off, size, before);
	else
		reply_read(req, output, off, n, NULL);
}

void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fs_handle *handle = fs_handle_of(fi);
	if (handle->output)
		read_output(req, handle->output, (uint64_t)off, size, NULL);
	else if (handle->draft)
		read_draft(req, handle->draft, size, off);
	else if (node_kind(ino) == NODE_WAIT)
		read_wait(req, node_number(ino), size, off);
	else
		read_text(req, handle, size, off);
}

void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs_handle *handle = fs_handle_of(fi);
	(void)ino;
	if (handle->draft)
		fs_release_draft(fs_of(req), handle);
	if (handle->output)
		fs_close_output(req, handle);
	fs_handle_free(fs_of(req), handle);
	fuse_reply_err(req, 0);
}
