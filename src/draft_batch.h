/* draft_batch - the judgement of lists; a part of draft. */
#ifndef DRAFT_BATCH_H
#define DRAFT_BATCH_H

#include "draft.h"

/* Is a text for DRAFT_URLS a list: several lines with something on them, or a comment? */
bool draft_is_list(const char *text, size_t len);

/* The lines of a batch for USE: DRAFT_READY with OUT->lines and *CANONICAL (heap; NULL: no memory),
 * DRAFT_NOTHING when there are none, DRAFT_INVALID with ERROR. */
enum draft_verdict draft_judge_lines(const char *text, size_t len, enum draft_use use,
				     struct draft_content *out, char **canonical,
				     char error[PARAMS_ERROR_MAX]);

#endif
