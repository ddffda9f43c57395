#include "iomode.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

struct inode {
	uint64_t ino;
	unsigned opens; /* > 0 */
	int32_t backing;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct inode *)a)->ino, y = ((const struct inode *)b)->ino;
	return (x > y) - (x < y);
}

void iomode_init(struct iomode *iomode)
{
	pthread_mutex_init(&iomode->lock, NULL);
	iomode->open = NULL;
}

void iomode_release(struct iomode *iomode)
{
	tdestroy(iomode->open, free);
	pthread_mutex_destroy(&iomode->lock);
}

/* The first open of an inode. NULL: no memory. */
static struct inode *add_locked(struct iomode *iomode, const struct inode *new)
{
	struct inode *inode = malloc(sizeof(*inode));
	if (!inode)
		return NULL;
	*inode = *new;
	if (tsearch(inode, &iomode->open, compare))
		return inode;
	free(inode);
	return NULL;
}

int32_t iomode_open(struct iomode *iomode, uint64_t ino, int32_t offer)
{
	const struct inode new = { .ino = ino, .backing = offer };
	pthread_mutex_lock(&iomode->lock);
	struct inode **found = tfind(&new, &iomode->open, compare);
	struct inode *inode = found ? *found : add_locked(iomode, &new);
	int32_t backing = -ENOMEM;
	if (inode) {
		inode->opens++;
		backing = inode->backing;
	}
	pthread_mutex_unlock(&iomode->lock);
	return backing;
}

int32_t iomode_close(struct iomode *iomode, uint64_t ino)
{
	const struct inode key = { .ino = ino };
	int32_t unused = 0;
	pthread_mutex_lock(&iomode->lock);
	struct inode **found = tfind(&key, &iomode->open, compare);
	struct inode *inode = found ? *found : NULL;
	if (inode && --inode->opens == 0) {
		unused = inode->backing;
		tdelete(inode, &iomode->open, compare);
		free(inode);
	}
	pthread_mutex_unlock(&iomode->lock);
	return unused;
}
