/*
 * store - the books: every job, durable before anything is sent
 *
 * Role:    keeps jobs and their texts. No SQL and no database type is shown: another store can
 * stand here. Threads: any thread may call; each call is one transaction, durable when it returns
 * (synchronous commit). May block on the local disk, never on anything else. Readers do not wait
 * for writers. Locks:   its own, leaves of the order. Errors:  0 or -errno: -ENOSPC, -EIO, -EROFS
 * as the disk gave them; -EIDRM, and nothing is changed any more: the books were removed or moved
 * under us; -ENOMEM.
 */
#ifndef STORE_H
#define STORE_H

#include "job.h"

#include <stddef.h>
#include <stdint.h>

#define STORE_ERROR_MAX 1024

struct store;

/* Opens (makes) the store in directory DIR (made with mode 0700 when missing). One driver at a
 * time: -EBUSY while another one has it, ERROR naming its process. A store that is not one, is
 * corrupt, or was written by a newer version is refused with a clear ERROR and never overwritten
 * (-EUCLEAN, -EPROTONOSUPPORT). MOUNTPOINT is noted beside the lock for the next one's message.
 * Call it in the process that stays: a database does not survive a fork. */
int store_open(const char *dir, const char *mountpoint, struct store **out,
	       char error[STORE_ERROR_MAX]);
/* Where the driver that has the store in DIR, or had it last, is mounted by its own word. Heap;
 * NULL: not known. */
char *store_mountpoint(const char *dir);
void store_close(struct store *store); /* NULL is nothing */

/* Gives every job to EACH in order of number, with one reference that EACH takes over. Stops at the
 * first value that is not 0 and gives it. EACH may use the store. Call before other threads do. */
int store_load(struct store *store, int (*each)(void *arg, struct job *job), void *arg);

/* What a change adds to the texts: NULL leaves a text as it is. */
struct store_texts {
	const char *params;
	const char *answer; /* with its length: it may hold any byte */
	size_t answer_len;
	const char *status;
	size_t status_len;
	const char *log_line; /* appended, with the job's changed_ms as its time: "TIME LINE\n" */
};

/* Every job is written with the charge of its present attempt (job->attempts, job_cost()), dated by
 * the attempt's first record. Charges are never deleted, but for that of a WAITING job that is
 * forgotten: it was not sent. */

/* Makes a new job, whose number it is then given, above every number ever given. TEXTS may be NULL.
 * -EEXIST: another job has its origin. JOB->text_len follows TEXTS, here and in the calls below. */
int store_insert(struct store *store, struct job *job, const struct store_texts *texts);

/* Replaces the record of JOB->number. TEXTS may be NULL. -ENOENT: no such job. */
int store_update(struct store *store, struct job *job, const struct store_texts *texts);

/* What is to become of one job: made when its number is 0, which it is given then, else replaced.
 */
struct store_change {
	struct job *job;
	struct store_texts texts;
};

/* Makes all of CHANGES or none of them, in one transaction. Errors as store_insert and
 * store_update. */
int store_apply(struct store *store, struct store_change *changes, size_t count);

/* Deletes a job and its texts. Its number stays used, and its charges stay in the books. */
int store_forget(struct store *store, uint64_t number);

/* The charges of attempts made at SINCE_MS or later, in micro-dollars, summed by the state that
 * each attempt was last in. */
int store_spent(struct store *store, int64_t since_ms, int64_t spent[JOB_STATES]);

/* A text: heap, NUL-terminated, *LEN without the NUL. A text that was never set is "" (0). -ENOENT:
 * no such job. */
int store_text(struct store *store, uint64_t number, enum job_text which, char **out, size_t *len);

/* These are the books of GATEWAY's jobs from now on, in words. -EXDEV, and ERROR says whose they
 * are: they have another one's jobs, or what those have cost. What waits in them would be sent, and
 * paid for, where nobody wanted it. */
int store_belong(struct store *store, const char *gateway, char error[STORE_ERROR_MAX]);

/* What the mount keeps besides jobs: a text by its name. Heap; *TEXT is NULL when there is none. */
int store_setting(struct store *store, const char *name, char **text);
/* TEXT NULL: none any more. */
int store_set_setting(struct store *store, const char *name, const char *text);

/* Where an image, called NAME in the spool, was published at PLACE (publish.h's WHERE). */
struct store_image {
	char *url;          /* NULL: it was not */
	int64_t expires_ms; /* wall clock until which that can be fetched; 0: no limit is known */
	char *receipt;      /* what the publisher wants to be told next time; NULL: nothing */
};

/* OUT is to be released. 0 or -errno. */
int store_image(struct store *store, const char *name, const char *place, struct store_image *out);
void store_image_release(struct store_image *image);
int store_set_image(struct store *store, const char *name, const char *place,
		    const struct store_image *image);

/* A word that no other books are called by; drawn when it is asked for the first time. 0 or -errno.
 */
#define STORE_NAME_MAX 33
int store_name(struct store *store, char name[STORE_NAME_MAX]);

#endif
