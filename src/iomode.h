/*
 * iomode - which way the open files of each inode are read
 *
 * Role:    the kernel reads an inode's files either through its page cache, asking the driver, or
 *          by itself from a backing file, never both at a time: an open of the other kind, or with
 *          another backing file, fails with EIO. So the first open decides for all that overlap it.
 *          Pure: to it, backing ids (the kernel's, > 0) are numbers.
 * Threads: any. Locks: its own, a leaf. Owns: a count of opens per inode.
 */
#ifndef IOMODE_H
#define IOMODE_H

#include <pthread.h>
#include <stdint.h>

struct iomode {
	pthread_mutex_t lock;
	void *open; /* a search tree of the inodes that are open */
};

void iomode_init(struct iomode *iomode);
void iomode_release(struct iomode *iomode);

/* INO is opened once more. OFFER is an id that was made for this open; 0: there is none. Gives the
 * id to open with, 0: through the page cache; or -ENOMEM, and INO counts as before. When it gives
 * not OFFER, OFFER is not kept. */
int32_t iomode_open(struct iomode *iomode, uint64_t ino, int32_t offer);

/* An open of INO has ended. Gives the id that nobody opens with any more, or 0. */
int32_t iomode_close(struct iomode *iomode, uint64_t ino);

#endif
