#include "notify.h"

#include "log.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
	pthread_cond_t changed;
	struct item *first;
	struct item **last;
	bool ending;
	bool ended;
};

static void tell(struct notify *notify, const struct item *item)
{
	/* An offset below zero drops attributes only, and never waits for a reader (failures.md,
	 * trap 4). */
	int r = item->name_len
			? fuse_lowlevel_notify_inval_entry(notify->session, item->ino, item->name,
							   item->name_len)
			: fuse_lowlevel_notify_inval_inode(notify->session, item->ino, -1, 0);
	/* ENOSYS: the kernel's INIT has not been seen yet, so it remembers nothing. */
	if (r != 0 && r != -ENOENT && r != -ENOSYS && r != -ENODEV && r != -ENOTCONN && r != -EBADF)
		log_warn("the kernel refused an invalidation of inode %llu: %s",
			 (unsigned long long)item->ino, strerror(-r));
}

static struct item *next_locked(struct notify *notify)
{
	while (!notify->first && !notify->ending)
		pthread_cond_wait(&notify->changed, &notify->lock);
	struct item *item = notify->first;
	if (item)
		notify->first = item->next;
	if (!notify->first)
		notify->last = &notify->first;
	return item;
}

static void *run(void *arg)
{
	struct notify *notify = arg;
	struct item *item;
	pthread_mutex_lock(&notify->lock);
	while ((item = next_locked(notify)) != NULL) {
		pthread_mutex_unlock(&notify->lock);
		tell(notify, item);
		free(item);
		pthread_mutex_lock(&notify->lock);
	}
	notify->ended = true;
	pthread_cond_broadcast(&notify->changed);
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
	pthread_cond_init(&notify->changed, NULL);
	int r = pthread_create(&notify->thread, NULL, run, notify);
	if (r == 0)
		return notify;
	pthread_cond_destroy(&notify->changed);
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
	bool drop = notify->ending;
	if (!drop) {
		*notify->last = item;
		notify->last = &item->next;
		pthread_cond_broadcast(&notify->changed);
	}
	pthread_mutex_unlock(&notify->lock);
	if (drop)
		free(item);
}

void notify_attr(struct notify *notify, uint64_t ino)
{
	add(notify, ino, "");
}

void notify_entry(struct notify *notify, uint64_t parent, const char *name)
{
	add(notify, parent, name);
}

void notify_stop(struct notify *notify)
{
	struct timespec until;
	if (!notify)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&notify->lock);
	notify->ending = true;
	for (struct item *item; (item = notify->first) != NULL; free(item))
		notify->first = item->next;
	notify->last = &notify->first;
	pthread_cond_broadcast(&notify->changed);
	while (!notify->ended &&
	       pthread_cond_timedwait(&notify->changed, &notify->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&notify->lock);
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	notify_stop(notify);
	pthread_join(notify->thread, NULL);
	pthread_cond_destroy(&notify->changed);
	pthread_mutex_destroy(&notify->lock);
	free(notify);
}
