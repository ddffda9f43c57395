#include "notify.h"

#include "log.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct item {
	struct item *next;
	uint64_t ino; /* of the inode, or of the parent when there is a name */
	size_t name_len;
	char name[];
};

struct notify {
	struct fuse_session *session;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct item *first;
	struct item **last;
	bool ending;
};

static void tell(struct notify *notify, const struct item *item)
{
	/* An offset below zero drops attributes only, and never waits for a reader (failures.md,
	 * trap 4). */
	int r = item->name_len
			? fuse_lowlevel_notify_inval_entry(notify->session, item->ino, item->name,
							   item->name_len)
			: fuse_lowlevel_notify_inval_inode(notify->session, item->ino, -1, 0);
	if (r != 0 && r != -ENOENT && r != -ENODEV && r != -ENOTCONN && r != -EBADF)
		log_warn("the kernel refused an invalidation of inode %llu: %s",
			 (unsigned long long)item->ino, strerror(-r));
}

static void *run(void *arg)
{
	struct notify *notify = arg;
	pthread_mutex_lock(&notify->lock);
	for (;;) {
		while (!notify->first && !notify->ending)
			pthread_cond_wait(&notify->more, &notify->lock);
		struct item *item = notify->first;
		if (!item)
			break;
		notify->first = item->next;
		if (!notify->first)
			notify->last = &notify->first;
		pthread_mutex_unlock(&notify->lock);
		tell(notify, item);
		free(item);
		pthread_mutex_lock(&notify->lock);
	}
	pthread_mutex_unlock(&notify->lock);
	return NULL;
}

struct notify *notify_new(struct fuse_session *session)
{
	struct notify *notify = calloc(1, sizeof(*notify));
	if (!notify)
		return NULL;
	notify->session = session;
	notify->last = &notify->first;
	pthread_mutex_init(&notify->lock, NULL);
	pthread_cond_init(&notify->more, NULL);
	int r = pthread_create(&notify->thread, NULL, run, notify);
	if (r == 0)
		return notify;
	pthread_cond_destroy(&notify->more);
	pthread_mutex_destroy(&notify->lock);
	free(notify);
	errno = r;
	return NULL;
}

static void add(struct notify *notify, uint64_t ino, const char *name)
{
	size_t len = strlen(name);
	struct item *item = malloc(sizeof(*item) + len + 1);
	if (!item) {
		log_error("no memory to tell the kernel of a change");
		return;
	}
	item->next = NULL;
	item->ino = ino;
	item->name_len = len;
	memcpy(item->name, name, len + 1);
	pthread_mutex_lock(&notify->lock);
	*notify->last = item;
	notify->last = &item->next;
	pthread_cond_signal(&notify->more);
	pthread_mutex_unlock(&notify->lock);
}

void notify_attr(struct notify *notify, uint64_t ino)
{
	add(notify, ino, "");
}

void notify_entry(struct notify *notify, uint64_t parent, const char *name)
{
	add(notify, parent, name);
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	pthread_mutex_lock(&notify->lock);
	notify->ending = true;
	pthread_cond_signal(&notify->more);
	pthread_mutex_unlock(&notify->lock);
	pthread_join(notify->thread, NULL);
	pthread_cond_destroy(&notify->more);
	pthread_mutex_destroy(&notify->lock);
	free(notify);
}
