/*
 * objects - the GLB files that were made lately
 *
 * Role:    files are made when first asked for and kept in anonymous memory up to a bound;
 *          the least recently used go first.  One making per file at a time.
 * Threads: any; takes its own lock, a leaf, and makes files outside it.
 */
#ifndef SANDBOX_OBJECTS_H
#define SANDBOX_OBJECTS_H

#include "glb.h"

/* A descriptor of the whole file, the caller's to close (its offset is shared: use pread or
 * sendfile); or -errno.  May take a second. */
int objects_open(const struct glb_spec *spec);

/* Drop everything. */
void objects_release(void);

#endif
