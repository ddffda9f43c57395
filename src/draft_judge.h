/* draft_judge - does a text ask for something, and for what; a part of draft. Lists are
 * draft_batch's. */
#ifndef DRAFT_JUDGE_H
#define DRAFT_JUDGE_H

#include "draft.h"

/* As draft_judge(), but whether it was asked for before. DRAFT_READY: OUT, and *CANONICAL, the same
 * for all texts that ask for the same (heap; NULL: no memory). DRAFT_INVALID: ERROR. */
enum draft_verdict draft_judge_text(const char *text, size_t len, enum draft_use use, bool closing,
				    struct draft_content *out, char **canonical,
				    char error[PARAMS_ERROR_MAX]);

/* The SIZE bytes of *FILE, as an image. DRAFT_READY: *FILE is sealed, and another one if these
 * bytes were known before. DRAFT_PARTIAL, DRAFT_INVALID: ERROR. Reads the disk. */
enum draft_verdict draft_judge_image(struct spool_file **file, uint64_t size,
				     char error[PARAMS_ERROR_MAX]);

#endif
