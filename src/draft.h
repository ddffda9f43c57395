/*
 * draft - files that are being written
 *
 * Role:    the contents of new/ and of whatever editors and copiers leave beside params.json; and
 * the judgement whether what was written is complete, i.e. asks for something (DESIGN section 3).
 * Threads: any thread may call.
 * Locks:   one of its own, a leaf but for the spool's; and before it one for each draft, held while
 * its content changes or is judged. Owns:    the drafts. Small ones are in memory: a request is a
 * few KiB, and what buys lives in the store. Large ones, which are images, are files of the spool.
 */
#ifndef DRAFT_H
#define DRAFT_H

#include "image.h"
#include "params.h"
#include "spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* A text's limit, and that of all that is in memory: more is -EFBIG, -ENOSPC. With a spool, what is
 * longer than DRAFT_MEMORY_MAX is a file there, of up to IMAGE_SIZE_MAX bytes. */
#define DRAFT_SIZE_MAX   (4 * 1024 * 1024)
#define DRAFT_TOTAL_MAX  (64 * 1024 * 1024)
#define DRAFT_MEMORY_MAX (64 * 1024)

/* What a file asks for when it is complete, by its place and name. */
enum draft_use {
	DRAFT_SCRATCH,    /* nothing: editors' temporary files */
	DRAFT_REQUEST,    /* parameters as a JSON object */
	DRAFT_IMAGE_URL,  /* one URL */
	DRAFT_REQUEST_ID, /* the id of a request made before */
	DRAFT_BATCH,      /* parameters as JSON objects, one a line */
	DRAFT_URLS,       /* one URL, as DRAFT_IMAGE_URL, or a batch of them, one a line */
	DRAFT_IMAGE,      /* an image: its bytes */
};

/* Immutable but by draft_set_times, draft_set_owner and draft_rename, which change it under the
 * box's lock: take draft_info for a consistent picture. */
struct draft;

struct draft_info {
	uint64_t number;
	uint64_t parent; /* inode of its directory */
	char name[256];
	size_t size;
	mode_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
	struct timespec atime;
	uint64_t job;    /* the job that its last submitted content made or belongs to; 0: none */
	uint64_t before; /* that of what its name held before this content; 0: none */
	bool emptied;    /* it was truncated when there was something in it */
	bool written;    /* anything was written to it, or cut off it */
	bool refused;    /* draft_error() has something to say */
	bool linked;     /* false: unlinked, or replaced by a rename */
	bool is_dir;     /* a directory: has no content, and drafts whose parent it is */
};

struct draft_box;
/* SPOOL is borrowed; NULL: everything is in memory, and images are not taken. */
struct draft_box *draft_box_new(struct spool *spool);
/* Counts what changes listings: drafts that come, go and are renamed, refusals that come and go. */
uint64_t draft_changes(struct draft_box *box);
void draft_box_free(struct draft_box *box);

/* Makes a file that holds SIZE bytes of DATA, or gives -EEXIST, -EFBIG, -ENOSPC. The reference is
 * the caller's. NOW is its time. */
int draft_create(struct draft_box *box, uint64_t parent, const char *name, mode_t mode, uid_t uid,
		 gid_t gid, const void *data, size_t size, struct timespec now, struct draft **out);
/* The same for an empty directory. */
int draft_mkdir(struct draft_box *box, uint64_t parent, const char *name, mode_t mode, uid_t uid,
		gid_t gid, struct timespec now, struct draft **out);
/* With a reference; NULL: none. draft_by_number finds unlinked ones that are still held, too. */
struct draft *draft_find(struct draft_box *box, uint64_t parent, const char *name);
struct draft *draft_by_number(struct draft_box *box, uint64_t number);
/* The first of PARENT with a number above AFTER. */
struct draft *draft_next(struct draft_box *box, uint64_t parent, uint64_t after);
/* The first that is linked and whose content went to JOB, with a number above AFTER. */
struct draft *draft_of_job(struct draft_box *box, uint64_t job, uint64_t after);
struct draft *draft_ref(struct draft *draft);
void draft_put(struct draft *draft); /* NULL is nothing */

void draft_info(struct draft *draft, struct draft_info *out);
/* Bytes read, or -errno of the spool. */
ssize_t draft_read(struct draft *draft, uint64_t offset, void *buf, size_t size);

/* 0 or -EFBIG, -ENOSPC, -ENOMEM, or the spool's. Writing beyond the end fills with zeroes. */
int draft_write(struct draft *draft, uint64_t offset, const void *data, size_t size,
		struct timespec now);
/* A file truncated to nothing has forgotten what it asked for: the same content again is asked for
 * again. */
int draft_truncate(struct draft *draft, uint64_t size, struct timespec now);

void draft_set_owner(struct draft *draft, mode_t mode, uid_t uid, gid_t gid);
void draft_set_times(struct draft *draft, struct timespec atime, struct timespec mtime);

/* Moves it to PARENT/NAME, replacing what is there (-EEXIST with NOREPLACE). */
int draft_rename(struct draft *draft, uint64_t parent, const char *name, bool noreplace);
/* DRAFT will replace OTHER, whose job is the one before DRAFT's. If OTHER asked for the same
 * content, DRAFT has asked for it already: rsync run again over an unchanged file buys nothing. */
void draft_inherit(struct draft *draft, struct draft *other);
int draft_unlink(struct draft *draft);
/* Unlinks all of PARENT. */
void draft_unlink_all(struct draft_box *box, uint64_t parent);

/* The judgement. */

enum draft_verdict {
	DRAFT_NOTHING, /* empty, scratch, or asked for before: see draft_info.job */
	DRAFT_PARTIAL, /* a beginning; more may come */
	DRAFT_READY,   /* complete, and now claimed: asked for exactly once */
	DRAFT_INVALID, /* can never be right; draft_error() says why */
};

/* Lines of one batch that may ask for something; more are DRAFT_INVALID. */
#define DRAFT_LINES_MAX 10000

/* One job of a batch. */
struct draft_line {
	unsigned number;       /* of the line, from 1 */
	struct params *params; /* complete; NULL: ERROR says what is wrong with the line */
	char *error;
};

struct draft_content {
	struct params *params;    /* DRAFT_REQUEST: what was written; one URL: only image_url */
	char request_id[160];     /* DRAFT_REQUEST_ID, without white space around it */
	struct draft_line *lines; /* a batch; NULL: no batch */
	size_t line_count;
	struct spool_file *image; /* DRAFT_IMAGE: sealed, with a reference */
	unsigned claim; /* whatever the verdict: which content it was, for what is learned of it */
};

void draft_content_release(struct draft_content *content);

/* Judges the content for USE. At a WRITE, a URL or id needs its newline and a batch is never ready;
 * CLOSING (flush, fsync, rename, release) a last line needs none. In a batch, blank lines and those
 * that begin with # say nothing, and a wrong line spoils no other. Of two threads, one gets
 * DRAFT_READY, with OUT to release. */
enum draft_verdict draft_judge(struct draft *draft, enum draft_use use, bool closing,
			       struct draft_content *out);

/* Notes the job that the content of CLAIM went to. Nothing where the draft holds another one since:
 * somebody else wrote to it. */
void draft_set_job(struct draft *draft, unsigned claim, uint64_t job);
/* Notes what to say of the content of CLAIM, NULL: nothing. As draft_set_job; 0 is whatever it
 * holds. */
void draft_refuse(struct draft *draft, unsigned claim, const char *text, int error);
/* Do two images, by their names in the spool, show the same? What describes them (EXIF, XMP, texts)
 * may differ. false where it is not known. Reads the disk. */
bool draft_same_picture(struct draft_box *box, const char *a, const char *b);
/* Forgets what it asked for: the same content is asked for again. */
void draft_ask_again(struct draft *draft);
/* What was last refused: heap or NULL; *ERROR (may be NULL) is its positive errno. */
char *draft_error(struct draft *draft, int *error);

/* Names of temporary and hidden files, which never ask for anything: ".x", "x~", "#x#", "4913",
 * "sedXXXXXX"... have no use by their ending anyhow; this is for those that would. */
bool draft_is_temporary(const char *name);

#endif
