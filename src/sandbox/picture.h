/*
 * picture - what else the CDN serves: small images, and files that are compressed
 *
 * Threads: any; no state.
 */
#ifndef SANDBOX_PICTURE_H
#define SANDBOX_PICTURE_H

#include <stddef.h>
#include <stdint.h>

/* A 64 x 64 PNG that depends on the name; the caller frees it.  NULL without memory. */
void *picture_png(const char *name, size_t *size);

/* The file (closed) gzipped: a new descriptor, its size in *size; or -errno. */
int picture_gzip(int file, uint64_t *size);

#endif
