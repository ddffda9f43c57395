/*
 * node - the tree of files, as one table
 *
 * Role:    which files there are, what they are called, when they are seen, who may write them and
 * what they say. A new file of a job is one row and one renderer. Pure. Threads: no state.
 *
 * Inodes are computed: version << 48 | number << 8 | kind. The number is a job's, a draft's, or 0
 * for what the mount has once; the kind says which. The root is 0 << 8 | 1, the inode that FUSE
 * gives to a root (FUSE_ROOT_ID). The version is an output's, else 0: another object is another
 * inode, so that no page and no reader of the one is ever given to the other.
 */
#ifndef NODE_H
#define NODE_H

#include "job.h"
#include "price.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum node_kind {
	NODE_NONE,
	/* once per mount */
	NODE_ROOT,
	NODE_README,
	NODE_NEW,
	NODE_BY_NAME,
	NODE_LATEST,
	NODE_JOBS,
	NODE_DEFAULTS,
	NODE_SPEND,
	NODE_STATS,
	NODE_GALLERY,
	/* number is a draft's (draft.h) */
	NODE_DRAFT,
	/* number is a job's */
	NODE_JOB,
	NODE_REQUEST_LINK, /* REQUEST_ID or job-NUMBER in the root, of a job that has another name
			    */
	NODE_LABEL_LINK,   /* by-name/LABEL */
	/* From here on: files in a job's directory. What was wrong with a file goes when the file
	 * does, and `rm -r` wants everything it was shown: so the error comes first. */
	NODE_FILES,
	NODE_ERROR = NODE_FILES,
	NODE_PARAMS,
	NODE_IMAGE_URL,
	NODE_STATUS,
	NODE_STATUS_JSON,
	NODE_REQUEST_ID,
	NODE_LOG,
	NODE_WAIT,
	NODE_COST,
	NODE_PROGRESS,
	NODE_OUTPUT_JSON,
	NODE_KINDS,
	NODE_OUTPUT = 64, /* + index of the output */
};

static inline uint64_t node_ino(uint64_t number, unsigned kind)
{
	return number << 8 | kind;
}

static inline uint64_t node_number(uint64_t ino)
{
	return (ino & 0xffffffffffff) >> 8;
}

static inline uint16_t node_version(uint64_t ino)
{
	return (uint16_t)(ino >> 48);
}

static inline uint64_t node_output_ino(const struct job *job, unsigned index)
{
	return (uint64_t)job->outputs[index].version << 48 |
	       node_ino(job->number, NODE_OUTPUT + index);
}

static inline unsigned node_kind(uint64_t ino)
{
	return ino & 0xff;
}

/* A line of `stats`. */
struct node_stat {
	const char *name; /* one word */
	uint64_t value;
	const char *what;
};
#define NODE_STATS_MAX 16

/* What a renderer works from. */
struct node_input {
	const struct job *job;       /* files of a job */
	const char *text[JOB_TEXTS]; /* those the row asks for; "" when there is none */
	const char *defaults;        /* defaults.json; NULL: none. For itself alone */
	long texture_size;           /* of a submission that names none. For `cost` */
	const struct price_list *prices;
	const struct price_account *account; /* for `spend` alone */
	const struct node_stat *stats;       /* for `stats` alone */
	size_t stat_count;
	const char *source; /* the mount's SOURCE, as given */
	const char *mountpoint;
	/* The first job with a number above AFTER, with a reference; NULL at the end. For
	 * files with a row for each. */
	const struct job *(*next)(void *ctx, uint64_t after);
	/* Bytes of output INDEX of JOB on the local disk. For `progress`. */
	uint64_t (*stored)(void *ctx, const struct job *job, unsigned index);
	void *ctx;
};

#define NODE_UNLISTED                                                                              \
	1 /* found by name, not by readdir: a file that blocks must not be opened by `grep -r` */
#define NODE_VOLATILE 2 /* changes without anybody being told: its attributes are not cached */
#define NODE_GROWS    4 /* only ever appended to: a reader at its end may look for more */
#define NODE_ROWS     8 /* has a row for each job, and nothing else that changes */

struct node {
	unsigned kind;
	const char *name;
	unsigned parent; /* NODE_ROOT or NODE_JOB */
	mode_t mode;     /* type and permissions; of a job's file: while it cannot be written */
	unsigned flags;
	uint32_t states;   /* of a job: seen in these */
	uint32_t writable; /* of a job: written in these, which submits or attaches */
	uint32_t texts;    /* bits of enum job_text that RENDER reads */
	bool (*present)(const struct job *job); /* NULL: always */
	size_t (*size)(const struct job *job);  /* bytes that RENDER will write, where that is known
						   without TEXTS; NULL: render it to know */
	void (*render)(const struct node_input *in,
		       FILE *out); /* NULL: directories, links, outputs */
};

/* Bytes of JOB's row (NULL: none) in a file of NODE_ROWS. */
size_t node_row_size(const struct node *node, const struct job *job);

/* The row of KIND; NULL: not in the table (drafts, outputs, job directories and links have none).
 */
const struct node *node_of(unsigned kind);
/* The next row of PARENT after kind AFTER (0: the first); NULL at the end. */
const struct node *node_next(unsigned parent, unsigned after);
/* By name; NULL: none. */
const struct node *node_find(unsigned parent, const char *name);

/* Is this file of the job there, by its state and by what was unlinked? */
bool node_visible(const struct node *node, const struct job *job);
bool node_is_writable(const struct node *node, const struct job *job);

/* Output INDEX: is it there, i.e. complete, of known size and not unlinked? */
bool node_output_visible(const struct job *job, unsigned index);

/* The bit of job->hidden for a kind of file of a job. */
uint32_t node_hidden_bit(unsigned kind);

#endif
