/*
 * fs_passthrough - whole outputs, which the kernel reads from the cache's disk by itself
 *
 * The answer to an open may name a backing file that was announced to the kernel; reads, pages and
 * splices of that open then do not come to us (Linux 6.9, FUSE 7.40; announcing one takes
 * CAP_SYS_ADMIN). An output is opened so when its bytes are all there, and iomode agrees. Where the
 * kernel refuses, reads go on through the driver, and nobody is told but the debug log.
 *
 * libfuse offers this from 3.17 on. With an older one, which is Debian 12's, we speak that part of
 * the protocol ourselves: the session's own read and write see every message, and complete
 * libfuse's answer to INIT with what it does not know; an open is answered in raw form.
 */
#include "fs_internal.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifdef FUSE_CAP_PASSTHROUGH

int fs_mounted(struct fs *fs, struct fuse_session *session)
{
	(void)fs, (void)session;
	return 0;
}

void fs_passthrough_init(struct fs *fs, struct fuse_conn_info *conn)
{
	fs->passthrough.works = fs->passthrough.wanted && conn->capable & FUSE_CAP_PASSTHROUGH;
	if (fs->passthrough.works)
		conn->want |= FUSE_CAP_PASSTHROUGH;
}

static int32_t backing_open(fuse_req_t req, int fd)
{
	return fuse_passthrough_open(req, fd);
}

static void backing_close(fuse_req_t req, int32_t id)
{
	fuse_passthrough_close(req, id);
}

static int reply_backed(fuse_req_t req, struct fuse_file_info *fi, int32_t id)
{
	fi->backing_id = id;
	return fuse_reply_open(req, fi);
}

#else

#include <linux/fuse.h>
#include <sys/uio.h>

/* What is newer than Debian 12's <linux/fuse.h>. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

struct backed_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

#define BACKING_OPEN       _IOW(FUSE_DEV_IOC_MAGIC, 1, struct backing_map)
#define BACKING_CLOSE      _IOW(FUSE_DEV_IOC_MAGIC, 2, uint32_t)
#define FLAG_PASSTHROUGH   (1u << 7) /* of an open */

/* 32-bit words of struct fuse_init_out, and what they say. */
enum {
	INIT_FLAGS = 3,
	INIT_FLAGS2 = 8,
	INIT_STACK_DEPTH = 9,
	INIT_WORDS = 16,
};
#define FLAGS2_PASSTHROUGH (1u << 5)
#define STACK_DEPTH        1 /* backing files lie on no stacked filesystem, but one may lie on us */

/* The kernel's first request says whether it can; nothing else comes before that is answered. */
static void note_init(struct fs_passthrough *pass, const void *request, size_t len)
{
	const struct fuse_in_header *header = request;
	const struct fuse_init_in *init = (const void *)(header + 1);
	if (len < sizeof(*header) + sizeof(*init) || header->opcode != FUSE_INIT ||
	    !(init->flags & FUSE_INIT_EXT) || !(init->flags2 & FLAGS2_PASSTHROUGH))
		pass->settled = true;
	else
		pass->init = header->unique;
}

static void complete_init(struct fs_passthrough *pass, const struct iovec *iov, int count)
{
	const struct fuse_out_header *header = iov[0].iov_base;
	if (header->unique != pass->init || header->error || count != 2 ||
	    iov[1].iov_len < INIT_WORDS * sizeof(uint32_t))
		return;
	uint32_t *word = iov[1].iov_base;
	word[INIT_FLAGS] |= FUSE_INIT_EXT;
	word[INIT_FLAGS2] |= FLAGS2_PASSTHROUGH;
	word[INIT_STACK_DEPTH] = STACK_DEPTH;
	pass->works = true;
	pass->settled = true;
}

static ssize_t receive(int fd, void *buf, size_t len, void *userdata)
{
	struct fs_passthrough *pass = &((struct fs *)userdata)->passthrough;
	ssize_t n = read(fd, buf, len);
	if (!pass->settled && n > 0)
		note_init(pass, buf, (size_t)n);
	return n;
}

static ssize_t send(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fs_passthrough *pass = &((struct fs *)userdata)->passthrough;
	if (!pass->settled)
		complete_init(pass, iov, count);
	return writev(fd, iov, count);
}

/* Without it libfuse would not splice, which is what outputs are read fastest with. */
static ssize_t send_pipe(int pipe, off_t *pipe_off, int fd, off_t *off, size_t len, unsigned flags,
			 void *userdata)
{
	(void)userdata;
	return splice(pipe, pipe_off, fd, off, len, flags);
}

int fs_mounted(struct fs *fs, struct fuse_session *session)
{
	static const struct fuse_custom_io io = { .read = receive,
						  .writev = send,
						  .splice_send = send_pipe };
	if (!fs->passthrough.wanted)
		return 0;
	fs->passthrough.fd = fuse_session_fd(session);
	return fuse_session_custom_io(session, &io, fs->passthrough.fd);
}

void fs_passthrough_init(struct fs *fs, struct fuse_conn_info *conn)
{
	(void)fs, (void)conn;
}

static int32_t backing_open(fuse_req_t req, int fd)
{
	struct backing_map map = { .fd = fd };
	return ioctl(fs_of(req)->passthrough.fd, BACKING_OPEN, &map);
}

static void backing_close(fuse_req_t req, int32_t id)
{
	uint32_t arg = (uint32_t)id;
	if (ioctl(fs_of(req)->passthrough.fd, BACKING_CLOSE, &arg))
		log_warn("backing file %u cannot be closed: %s", arg, strerror(errno));
}

static int reply_backed(fuse_req_t req, struct fuse_file_info *fi, int32_t id)
{
	const struct backed_open_out out = { .fh = fi->fh,
					     .open_flags = FLAG_PASSTHROUGH | FOPEN_NOFLUSH,
					     .backing_id = id };
	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

#endif

/* An id for OUTPUT's copy, or 0. */
static int32_t offer(fuse_req_t req, struct output *output)
{
	struct fs_passthrough *pass = &fs_of(req)->passthrough;
	if (!pass->works || !output_is_whole(output))
		return 0;
	int32_t id = backing_open(req, output_fd(output));
	if (id > 0)
		return id;
	if (errno != ENOMEM && atomic_exchange(&pass->works, false))
		log_debug("the kernel does not read outputs by itself: %s", strerror(errno));
	return 0;
}

int fs_reply_open_output(fuse_req_t req, struct fs_handle *handle, struct fuse_file_info *fi)
{
	int32_t offered = offer(req, handle->output);
	int32_t id = iomode_open(&fs_of(req)->iomode, handle->ino, offered);
	if (offered && id != offered)
		backing_close(req, offered);
	if (id < 0) {
		fuse_reply_err(req, -id);
		return -ENOENT;
	}
	/* What the kernel keeps of this inode's pages is of no use where it reads the backing file,
	 * and may stay where it does not: this inode's output never changes. */
	fi->keep_cache = !id;
	int r = id ? reply_backed(req, fi, id) : fuse_reply_open(req, fi);
	if (r == -ENOENT)
		fs_close_output(req, handle);
	return r;
}

void fs_close_output(fuse_req_t req, struct fs_handle *handle)
{
	int32_t unused = iomode_close(&fs_of(req)->iomode, handle->ino);
	if (unused)
		backing_close(req, unused);
}
