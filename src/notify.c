#include "notify.h"

#include "log.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct item {
	struct item *next;
	enum item_kind {
		ITEM_ATTR,
		ITEM_ENTRY,
		ITEM_EVENT,
		ITEM_POLL,
		ITEM_CALL,
	} kind;
	enum touch_what what; /* ITEM_EVENT */
	uint64_t ino;         /* of the inode, or of the parent where there is a name */
	union {
		struct fuse_pollhandle *poll; /* ITEM_POLL */
		struct notify_call *call;     /* ITEM_CALL */
	};
	char name[]; /* ITEM_ENTRY; ITEM_EVENT: the path */
};

struct queue {
	struct notify *notify;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct item *first;
	struct item **last;
	bool busy; /* an item is under way */
	bool ending;
	bool ended;
};

struct notify {
	struct fuse_session *session;
	struct touch *touch;
	struct queue prompt;  /* never blocks */
	struct queue patient; /* waits for who uses a directory */
};

/* An offset below zero drops attributes only, and never waits for a reader (failures.md, trap 4).
 */
static int invalidate(struct notify *notify, uint64_t ino)
{
	return fuse_lowlevel_notify_inval_inode(notify->session, ino, -1, 0);
}

static int tell(struct notify *notify, const struct item *item)
{
	switch (item->kind) {
	case ITEM_ATTR: return invalidate(notify, item->ino);
	case ITEM_ENTRY:
		return fuse_lowlevel_notify_inval_entry(notify->session, item->ino, item->name,
							strlen(item->name));
	case ITEM_EVENT:
		if (invalidate(notify, item->ino) == 0)
			touch_send(notify->touch, item->what, item->ino, item->name);
		return 0;
	case ITEM_POLL: return fuse_lowlevel_notify_poll(item->poll);
	default: item->call->fire(item->call); return 0;
	}
}

static void destroy(struct item *item)
{
	if (item->kind == ITEM_POLL)
		fuse_pollhandle_destroy(item->poll);
	free(item);
}

static void send_item(struct notify *notify, struct item *item)
{
	int r = tell(notify, item);
	/* ENOSYS: the kernel's INIT has not been seen yet, so it remembers nothing. */
	if (r != 0 && r != -ENOENT && r != -ENOSYS && r != -ENODEV && r != -ENOTCONN && r != -EBADF)
		log_warn("the kernel refused a notice about inode %llu: %s",
			 (unsigned long long)item->ino, strerror(-r));
	destroy(item);
}

static struct item *next_locked(struct queue *queue)
{
	queue->busy = false;
	while (!queue->first && !queue->ending)
		pthread_cond_wait(&queue->changed, &queue->lock);
	struct item *item = queue->first;
	if (item)
		queue->first = item->next;
	if (!queue->first)
		queue->last = &queue->first;
	queue->busy = item != NULL;
	return item;
}

static void *run(void *arg)
{
	struct queue *queue = arg;
	struct item *item;
	pthread_mutex_lock(&queue->lock);
	while ((item = next_locked(queue)) != NULL) {
		pthread_mutex_unlock(&queue->lock);
		send_item(queue->notify, item);
		pthread_mutex_lock(&queue->lock);
	}
	queue->ended = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

static int queue_start(struct queue *queue, struct notify *notify)
{
	queue->notify = notify;
	queue->last = &queue->first;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->changed, NULL);
	return pthread_create(&queue->thread, NULL, run, queue);
}

static void queue_release(struct queue *queue)
{
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->lock);
}

/* What it would still have said is dropped; who waits for it goes on. */
static void queue_stop(struct queue *queue)
{
	struct timespec until;
	struct item *left;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_mutex_lock(&queue->lock);
	queue->ending = true;
	left = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	pthread_cond_broadcast(&queue->changed);
	while (!queue->ended && pthread_cond_clockwait(&queue->changed, &queue->lock,
						       CLOCK_MONOTONIC, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&queue->lock);
	for (struct item *next; left; left = next) {
		next = left->next;
		if (left->kind == ITEM_CALL)
			left->call->fire(left->call);
		destroy(left);
	}
}

static void queue_join(struct queue *queue)
{
	pthread_join(queue->thread, NULL);
	queue_release(queue);
}

struct notify *notify_new(struct fuse_session *session, struct touch *touch)
{
	struct notify *notify = calloc(1, sizeof(*notify));
	if (!notify)
		return NULL;
	notify->session = session;
	notify->touch = touch;
	int r = queue_start(&notify->prompt, notify);
	if (r == 0) {
		r = queue_start(&notify->patient, notify);
		if (r == 0)
			return notify;
		queue_release(&notify->patient);
		queue_stop(&notify->prompt);
		queue_join(&notify->prompt);
	} else {
		queue_release(&notify->prompt);
	}
	free(notify);
	errno = r;
	return NULL;
}

static struct item *item_new(enum item_kind kind, uint64_t ino, const char *name)
{
	size_t len = strlen(name);
	struct item *item = calloc(1, sizeof(*item) + len + 1);
	if (!item) {
		log_error("no memory to tell the kernel of a change");
		return NULL;
	}
	item->kind = kind;
	item->ino = ino;
	memcpy(item->name, name, len + 1);
	return item;
}

/* Takes ITEM over; NULL is nothing. false: it was too late. */
static bool add(struct queue *queue, struct item *item)
{
	if (!item)
		return false;
	pthread_mutex_lock(&queue->lock);
	bool late = queue->ending;
	if (!late) {
		*queue->last = item;
		queue->last = &item->next;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->lock);
	if (late)
		destroy(item);
	return !late;
}

void notify_attr(struct notify *notify, uint64_t ino)
{
	add(&notify->prompt, item_new(ITEM_ATTR, ino, ""));
}

void notify_poll(struct notify *notify, struct fuse_pollhandle *handle)
{
	struct item *item = item_new(ITEM_POLL, 0, "");
	if (item)
		item->poll = handle;
	else
		fuse_pollhandle_destroy(handle);
	add(&notify->prompt, item);
}

void notify_entry(struct notify *notify, uint64_t parent, const char *name)
{
	add(&notify->patient, item_new(ITEM_ENTRY, parent, name));
}

void notify_event(struct notify *notify, enum touch_what what, uint64_t parent, const char *path)
{
	struct item *item = notify->touch ? item_new(ITEM_EVENT, parent, path) : NULL;
	if (item)
		item->what = what;
	add(&notify->patient, item);
}

static bool is_idle(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	bool idle = !queue->first && !queue->busy;
	pthread_mutex_unlock(&queue->lock);
	return idle;
}

bool notify_after(struct notify *notify, struct notify_call *call)
{
	struct item *item = is_idle(&notify->prompt) ? NULL : item_new(ITEM_CALL, 0, "");
	if (item)
		item->call = call;
	return add(&notify->prompt, item);
}

void notify_stop(struct notify *notify)
{
	if (!notify)
		return;
	queue_stop(&notify->prompt);
	queue_stop(&notify->patient);
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	notify_stop(notify);
	queue_join(&notify->prompt);
	queue_join(&notify->patient);
	free(notify);
}
