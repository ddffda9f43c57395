/*
 * gallery - all jobs as one page for a browser
 *
 * Role:    index.html: self-contained, opened from the mount without a server. Its data are one row
 * of ASCII a job; a script in it makes cards of those that are looked at, newest first, so that ten
 * thousand jobs open as fast as ten. Nothing is loaded but the jobs' own images, from where their
 * URLs say, when their cards are seen. Pure. Threads: no state.
 */
#ifndef GALLERY_H
#define GALLERY_H

#include "job.h"

#include <stdio.h>

/* The page up to its first row; SOURCE is the mount's. */
void gallery_begin(const char *source, FILE *out);
/* JOB's row; as long as it was for the same JOB. */
void gallery_row(const struct job *job, FILE *out);
void gallery_end(FILE *out);

#endif
