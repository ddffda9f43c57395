/*
 * spool - images on this disk, from their first byte until nobody needs them
 *
 * Role:    files in a directory of the state: one that is being written has a name of no meaning;
 *          once its content is whole it is sealed: durable, named by that content ("SHA256.png"),
 *          and changed no more. Equal contents are one file.
 * Threads: any thread may call. A file that is not sealed belongs to one thread at a time, but for
 *          reading it.
 * Locks:   one of its own, a leaf.
 * Owns:    the directory. A file is there as long as somebody has a reference to it in this
 *          process, or nobody has looked (spool_sweep) since the process before.
 * Errors:  0 or -errno, as the disk gave it; -ENOMEM. May block on the local disk.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct spool;
struct spool_file; /* counted */

/* 64 hexadecimal digits, a dot, an extension. */
#define SPOOL_SHA256   64
#define SPOOL_NAME_MAX 80

/* DIR is made with mode 0700 with the first file; one process at a time uses it (the store's lock
 * sees to that). */
int spool_open(const char *dir, struct spool **out);
/* Leaves the files that are sealed and have references to the next process. NULL is nothing. */
void spool_close(struct spool *spool);

/* An empty file, with a reference. */
int spool_create(struct spool *spool, struct spool_file **out);
/* The sealed file called NAME, with a reference. -ENOENT. */
int spool_find(struct spool *spool, const char *name, struct spool_file **out);
struct spool_file *spool_ref(struct spool_file *file);
/* The last reference removes the file. NULL is nothing. */
void spool_put(struct spool_file *file);

/* Bytes read, fewer only at the end. */
ssize_t spool_read(const struct spool_file *file, uint64_t offset, void *buf, size_t size);
/* All of it, or an error; not of a sealed one. Beyond the end, zeroes fill the gap. */
int spool_write(struct spool_file *file, uint64_t offset, const void *data, size_t size);
int spool_truncate(struct spool_file *file, uint64_t size);
/* A new file with the same content. */
int spool_copy(const struct spool_file *file, struct spool_file **out);

/* Makes *FILE, whose content is an EXTENSION, durable and known by its content. *FILE is another
 * one afterwards where that content was known before. Nothing for a sealed one. */
int spool_seal(struct spool_file **file, const char *extension);

/* Of a sealed one: its name. NULL: it is not. Borrowed. */
const char *spool_name(const struct spool_file *file);
/* Where a sealed one is. */
void spool_path(const struct spool_file *file, char path[PATH_MAX]);
int spool_size(const struct spool_file *file, uint64_t *size);

/* Removes every file without a reference. Before drafts are written. */
int spool_sweep(struct spool *spool);

#endif
