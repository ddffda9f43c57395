/* fs_internal - what the parts of fs share: fs.c (texts), fs_attr.c (attributes), fs_dir.c (names),
 * fs_file.c (reading), fs_passthrough.c (whole outputs), fs_write.c (writing), fs_submit.c
 * (submitting), fs_drop.c (directories in new/), fs_image.c (images), fs_batch.c (lists),
 * fs_defaults.c (defaults.json), fs_xattr.c (extended attributes), fs_tell.c (changes), fs_park.c
 * (waiting). */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "draft.h"
#include "fs.h"
#include "iomode.h"
#include "node.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* The kernel may believe us so long, for we tell it what changes. */
#define FS_TIMEOUT 86400.0

struct fs_park;
struct fs_batch;

/* May and does the kernel read whole outputs by itself? */
struct fs_passthrough {
	bool wanted;           /* constant */
	int fd;                /* constant: the session's */
	_Atomic bool settled;  /* INIT was answered, or its kernel cannot */
	_Atomic uint64_t init; /* the request INIT of a kernel that can; 0: not seen */
	_Atomic bool works;
};

struct fs {
	struct fs_conf conf;
	struct engine *engine;
	struct output_cache *cache;
	struct notify *notify;
	struct touch *touch;
	struct draft_box *drafts;
	struct timespec started;
	_Atomic int64_t names_changed_ms; /* an entry of the root or of by-name/ came or went */
	_Atomic uint64_t names_changes;   /* so often */
	_Atomic int64_t new_changed_ms;   /* new/ was seen to have changed, */
	_Atomic uint64_t new_changes;     /* after so many draft_changes() */
	bool opendir_unneeded;            /* the kernel can list without it */
	_Atomic int64_t defaults_changed_ms;
	_Atomic bool defaults_unlinked; /* there are none, and defaults.json is not shown */
	_Atomic mode_t new_mode;        /* permission bits of new/: who may spend */
	_Atomic uid_t new_uid;
	_Atomic gid_t new_gid;

	pthread_mutex_t park_lock; /* guards what follows, and the same fields of every fs_park */
	struct fs_park *parked;
	bool stopping;

	/* Of the root's files with a row for each job, which every listing asks for: what they are
	 * at the start, and every change of a job adds to. */
	_Atomic size_t sizes[NODE_DRAFT];

	struct fs_passthrough passthrough;
	struct iomode iomode; /* of outputs */

	pthread_mutex_t handle_lock; /* guards the list of open files */
	struct fs_handle *handles;
	_Atomic size_t polled; /* of them, so many have a poll */

	pthread_mutex_t batch_lock; /* guards the list of batches, and what they count */
	struct fs_batch *batches;
};

/* An open file: one of draft, output, or a text. */
struct fs_handle {
	struct fs_handle *next, *prev;
	uint64_t ino;
	struct draft *draft;
	_Atomic bool written; /* through this handle: only a writer's close means anything */
	_Atomic bool open;    /* everything above that is constant is set */
	struct output *output;
	struct stat attr;             /* the output's, as it was opened */
	struct fuse_pollhandle *poll; /* to be woken by a change; under the lock of the list */
	pthread_mutex_t lock;         /* guards the text */
	char *text;                   /* what a reader that began at offset 0 sees */
	size_t len;
};

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Gives HANDLE to the kernel, which hands it to other threads with the requests that follow. */
static inline void fs_handle_publish(struct fs_handle *handle, struct fuse_file_info *fi)
{
	atomic_store_explicit(&handle->open, true, memory_order_release);
	fi->fh = (uintptr_t)handle;
}

static inline struct fs_handle *fs_handle_of(const struct fuse_file_info *fi)
{
	struct fs_handle *handle = (struct fs_handle *)(uintptr_t)fi->fh;
	(void)atomic_load_explicit(&handle->open, memory_order_acquire);
	return handle;
}

/* fs.c */

struct timespec fs_now(struct fs *fs);
/* All of a draft; heap. 0 or -errno. */
int fs_draft_text(struct draft *draft, char **text, size_t *len);
/* The draft that stands for a writable file of a job while it is being written; NULL: none.
 * draft_put(). */
struct draft *fs_overlay(struct fs *fs, uint64_t job, unsigned kind);
/* What was wrong with what was written to a job's files; heap or NULL. */
char *fs_job_refusal(struct fs *fs, uint64_t job);
/* Is this file of JOB there? As node_visible, and `error` also when there is a refusal. */
bool fs_visible(struct fs *fs, const struct node *node, const struct job *job);
/* The text of a rendered file or of a draft; heap. 0 or -errno. */
int fs_text(struct fs *fs, uint64_t ino, char **text, size_t *len);
/* The same for the file NODE of JOB. */
int fs_job_text(struct fs *fs, const struct node *node, const struct job *job, char **text,
		size_t *len);
/* What is being written in place of a file of a job; NULL: nothing. draft_put(). */
struct draft *fs_overlay_of(struct fs *fs, const struct node *node, const struct job *job);

/* fs_attr.c */

/* MS, and STEP nanoseconds, of which there are a million in one: unlike after every step. */
struct timespec fs_time(int64_t ms, uint64_t step);
/* Attributes of INO and how long they hold, in seconds. 0 or -errno. */
int fs_attr(struct fs *fs, uint64_t ino, struct stat *st, double *timeout);
/* A directory entry for INO. 0 or -errno. */
int fs_entry(struct fs *fs, uint64_t ino, struct fuse_entry_param *entry);
/* Answers with it, or with the error. */
void fs_reply_entry(fuse_req_t req, uint64_t ino);
void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);

/* fs_dir.c */
int fs_link_target(struct fs *fs, uint64_t ino, char *buf, size_t size);
void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_readlink(fuse_req_t req, fuse_ino_t ino);
void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fs_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
/* May a job's directory be called NAME in PARENT? 0 or -errno. */
int fs_job_name_allowed(uint64_t parent, const char *name);
/* What PARENT/NAME is now; *INO. 0 or -errno. */
int fs_resolve(struct fs *fs, uint64_t parent, const char *name, uint64_t *ino);

/* fs_file.c */
/* The length of the text of a file of the root. 0 or -errno. */
int fs_text_size(struct fs *fs, uint64_t ino, size_t *size);
/* Takes the lengths of those that have a row for each job; before any job changes. */
void fs_measure(struct fs *fs);
struct fs_handle *fs_handle_new(struct fs *fs, uint64_t ino);
void fs_handle_free(struct fs *fs, struct fs_handle *handle);
/* Attributes of output INO, which has no name any more, if it is still open. 0 or -ESTALE. */
int fs_open_attr(struct fs *fs, uint64_t ino, struct stat *st);
void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* fs_passthrough.c */

/* In the operation `init`. */
void fs_passthrough_init(struct fs *fs, struct fuse_conn_info *conn);
/* Answers the opening of HANDLE's output. As fuse_reply_open(); -ENOENT: it is not open. */
int fs_reply_open_output(fuse_req_t req, struct fs_handle *handle, struct fuse_file_info *fi);
/* HANDLE's output is not open any more. */
void fs_close_output(fuse_req_t req, struct fs_handle *handle);

/* fs_xattr.c */
void fs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void fs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);

/* fs_write.c */
void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
/* Opens INO for writing into HANDLE. 0 or -errno. */
int fs_open_draft(struct fs *fs, uint64_t ino, bool truncate, struct fs_handle *handle);
/* The draft of INO: a draft, or the overlay of a writable file of a job, made from its present text
 * when there is none. draft_put(). 0 or -errno; -EROFS: nothing that can be written. */
int fs_draft_of(struct fs *fs, uint64_t ino, bool truncate, struct draft **out);
void fs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi);
void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void fs_release_draft(struct fs *fs, struct fs_handle *handle);
void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned flags);

/* fs_submit.c */

/* What a file asks for when it is complete, by where it is and what it is called. */
enum draft_use fs_use_of(uint64_t parent, const char *name);

/* One request that may submit: which draft, as which name, and what its caller is to be told. */
struct fs_ask {
	fuse_req_t req; /* NULL: nobody waits (release) */
	struct draft *draft;
	uint64_t parent;
	char name[256];
	enum fs_ask_moment {
		FS_ASK_WRITE,
		FS_ASK_SYNC,  /* fsync: more may come */
		FS_ASK_CLOSE, /* flush */
		FS_ASK_RENAME,
		FS_ASK_RELEASE,
	} moment;
	size_t written; /* FS_ASK_WRITE: bytes */
	unsigned claim; /* set by the judgement: which content of the draft it is about */
	bool noreplace; /* FS_ASK_RENAME */
};

/* Judges the draft and does what it asks for; answers the request, at once or when the outcome is
 * known. */
void fs_ask(struct fs *fs, struct fs_ask *ask);
/* The same for a draft under its own name. */
void fs_ask_draft(fuse_req_t req, struct fs *fs, struct draft *draft, enum fs_ask_moment moment,
		  size_t written);
/* Answers ASK with success or a positive errno, and finishes a rename. */
void fs_answer(const struct fs_ask *ask, int error);
/* Until when ASK's caller waits for the outcome, on the monotonic clock. */
int64_t fs_ask_deadline(struct fs *fs, const struct fs_ask *ask);
/* What is wrong with what ASK's draft holds: kept for whoever looks. Gives ERROR. */
int fs_refuse(struct fs *fs, const struct fs_ask *ask, const char *text, int error);
/* What was refused and cost nothing may be asked for once more. Nothing for what is uncertain. */
void fs_forget_refusal(struct fs *fs, struct draft *draft);
/* The outcome of a submission for the one who made it: 0 or a positive errno. */
int fs_outcome(const struct job *job);
/* Writes PARENT/NAME.error, or takes it away (NULL). */
void fs_set_error_file(struct fs *fs, uint64_t parent, const char *name, const char *text);
/* Why PARAMS (NULL: whatever was asked for) were refused, in words for the person. Heap; NULL: no
 * memory. */
char *fs_why_not(struct fs *fs, const struct params *params, int error);
/* Writes, or takes away, PARENT/NAME.error by how the submission of JOB went. */
void fs_tell_drop(struct fs *fs, uint64_t parent, const char *name, const struct job *job);
/* What a job's own file adds to what the job has: a URL to its parameters, parameters to its image.
 * 0 or -errno. */
int fs_complete_params(struct fs *fs, uint64_t job, enum draft_use use, struct params **params);

/* fs_drop.c */

/* Is this new/, or a directory in it? */
bool fs_is_drop(uint64_t parent);
bool fs_is_drop_dir(struct draft *draft);
/* "new", "new/photos": the path of such a directory. Gives BUF. */
#define FS_DROP_PATH_MAX 1024
const char *fs_drop_path(struct fs *fs, uint64_t parent, char buf[FS_DROP_PATH_MAX]);
/* What the job of the drop PARENT/NAME is called below by-name/: "dog", "photos-dog". */
void fs_drop_label(struct fs *fs, uint64_t parent, const char *name, char label[JOB_NAME_MAX]);
void fs_mkdir_drop(fuse_req_t req, uint64_t parent, const char *name, mode_t mode);
/* 0 or -errno. */
int fs_rmdir_drop(struct fs *fs, uint64_t ino);
int fs_rename_drop_dir(struct fs *fs, struct draft *dir, uint64_t parent, const char *name,
		       unsigned flags);

/* fs_image.c */

/* Why this mount, or PARENT, takes no such file, whatever is in it: heap, and its positive errno in
 * *ERROR. NULL: it does. */
char *fs_not_here(struct fs *fs, uint64_t parent, enum draft_use use, const struct draft_info *info,
		  int *error);
/* Submits the image that ASK's draft holds. *JOB is its job. 0 or -errno, with *WHY (heap). */
int fs_submit_image(struct fs *fs, const struct fs_ask *ask, const char *image, uint64_t *job,
		    char **why);
/* PARAMS without image_url were dropped: they belong to the image beside them, now or when it
 * comes. 0 or -errno, with *WHY. */
int fs_join_image(struct fs *fs, const struct fs_ask *ask, struct params *params, uint64_t *job,
		  char **why);
/* The drop of ASK asks for nothing that can be right, TEXT says why: nor does the image beside it,
 * if it was not sent yet. */
void fs_call_off_image(struct fs *fs, const struct fs_ask *ask, const char *text);

/* fs_poll.c */
void fs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	     struct fuse_pollhandle *poll);
/* JOB has changed. */
void fs_poll_wake(struct fs *fs, uint64_t job);
/* HANDLE ends. */
void fs_poll_forget(struct fs *fs, struct fs_handle *handle);

/* fs_touch.c */

/* Is REQ of the process that makes inotify's events? */
bool fs_touch_made(fuse_req_t req);
/* It must not find NAME in PARENT, for it is about to create it. */
bool fs_touch_hides(fuse_req_t req, uint64_t parent, const char *name);
/* Answer its mkdir or symlink, or its create. */
void fs_touch_make(fuse_req_t req, uint64_t parent, const char *name);
void fs_touch_create(fuse_req_t req, uint64_t parent, const char *name, struct fuse_file_info *fi);

/* fs_tell.c */

/* Tells who watches of NAME, in directory DIR with inode PARENT; NULL: in the root. */
void fs_event(struct fs *fs, enum touch_what what, uint64_t parent, const char *dir,
	      const char *name);
/* An entry of the root, or of by-name/, came, went or has another name: listings are made anew. */
void fs_names_changed(struct fs *fs);

/* fs_defaults.c */

/* Is this defaults.json? */
bool fs_is_defaults(uint64_t parent, const char *name);
/* May a file called NAME be made in the root? Editors and copiers make some beside what they save.
 */
bool fs_root_scratch(const char *name);
/* Takes what ASK's draft, written as defaults.json, holds; answers ASK. */
void fs_ask_defaults(struct fs *fs, const struct fs_ask *ask);
/* No defaults any more. 0 or -errno. */
int fs_unlink_defaults(struct fs *fs);

/* fs_batch.c */

/* What asks for line LINE of list NAME: the parameters, and which of the same lines it is (from 1).
 * Heap. */
char *fs_origin(const char *name, const struct params *params, unsigned occurrence);
/* Has list NAME made other jobs than NUMBER? Looks at all of them. */
bool fs_is_list(struct fs *fs, const char *name, uint64_t number);
/* Submits the lines of CONTENT, a batch, and answers ASK when their outcome is known. */
void fs_ask_batch(struct fs *fs, const struct fs_ask *ask, struct draft_content *content);
/* JOB, which a line of a batch asked for, has changed: new/NAME.error tells. */
void fs_tell_batch(struct fs *fs, const struct job *job);
/* The list NAME was removed: nothing is told of it any more. */
void fs_forget_batch(struct fs *fs, const char *name);
void fs_batches_free(struct fs *fs);

/* fs_park.c - waiting without a thread.
 *
 * A parked request is answered exactly once, by whoever claims it: the source that it waits for, or
 * the network thread when it was interrupted, has waited long enough, or the filesystem stops. The
 * interrupt callback of libfuse comes under the request's own lock, so it only sets a flag.
 * References: one of the source until it fired or was cancelled, and one of whoever works on it.
 *
 *     fs_park_init(&x->park, ...);             registers the interrupt callback: hold no lock
 *     if (!subscribe(source, x))               publish it to the source
 *             fs_park_fire(&x->park);          ... which has nothing to wait for
 *     fs_park_done(&x->park);                  let the interrupt and the deadline find it; X may be
 * gone now
 */
enum fs_why {
	FS_READY,
	FS_INTERRUPTED,
	FS_EXPIRED,
	FS_STOPPED,
};

struct fs_park {
	struct notify_call told;
	struct fs *fs;
	fuse_req_t req;
	struct fs_park *next, *prev;
	int64_t deadline_ms; /* monotonic; INT64_MAX: none */
	int refs;
	bool claimed;
	bool listed;
	bool interrupted;
	enum fs_why why;
	bool (*cancel)(struct fs_park *park); /* asks the source not to fire. true: it will not */
	void (*answer)(struct fs_park *park,
		       enum fs_why why); /* replies, or parks the request anew */
	void (*destroy)(struct fs_park *park);
};

void fs_park_init(struct fs_park *park, struct fs *fs, fuse_req_t req, int64_t deadline_ms);
void fs_park_fire(struct fs_park *park);
/* The same once the kernel knows what has changed so far: who is answered then looks, and must not
 * find it as it was. */
void fs_park_fire_told(struct fs_park *park);
void fs_park_done(struct fs_park *park);

#endif
