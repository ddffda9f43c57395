/* draft_internal - what draft.c and draft_content.c share */
#ifndef DRAFT_INTERNAL_H
#define DRAFT_INTERNAL_H

#include "draft.h"
#include "draft_shelf.h"

#include <pthread.h>

/*
 * State of a draft, all under box->lock:
 *
 *   asked     the content that was last found complete, in canonical form; NULL: none since it was
 *             empty
 *   claim     counts the contents that were asked for, found to be wrong, or cut away: what is
 *             learned of one must not be taken for another's
 *   info.job  the job ASKED went to; 0 while nobody knows, or it went to none
 *   refusal   what there is to say of ASKED, or of content that can never be right
 *
 * What a draft holds changes with both locks held, so one of them is enough to look at it; the
 * bytes of its file change under `content` alone, for the disk must not hold up all drafts.
 *
 * A draft lives while it is linked or held. As long as it lives it is on the shelf of numbers;
 * while it is linked it is on those of places and names, and, when it has a job, on that of jobs.
 */
struct draft {
	struct draft_box *box;
	unsigned refs;
	struct draft_info info;
	pthread_mutex_t content; /* before box->lock: who changes or judges what it holds */
	char *data;              /* what it holds, */
	size_t capacity;
	struct spool_file *file; /* or where that is; NULL: in DATA */
	char *asked;
	unsigned claim;
	char *refusal;
	int error;
	enum draft_use judged;
	int unwritten; /* a positive errno: something was to be written, and is not; 0: all is */
};

/* What drafts are looked for by. */
enum shelf { NUMBERS, PLACES, NAMES, SHELF_JOBS, SHELVES };

struct draft_box {
	struct spool *spool; /* NULL: none */
	pthread_mutex_t lock;
	struct draft_shelf shelves[SHELVES];
	uint64_t last_number;
	uint64_t changes;
	size_t total;
};

/* Of box->lock, held. */
void draft_set_job_locked(struct draft *draft, uint64_t job);
void draft_refuse_locked(struct draft *draft, const char *text, int error);
/* It has asked for nothing, and nothing is wrong with it. */
void draft_forget_locked(struct draft *draft);
/* What a new draft holds. As draft_create(). */
int draft_fill_locked(struct draft *draft, const void *data, size_t size);

#endif
