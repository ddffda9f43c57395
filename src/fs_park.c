#include "fs_internal.h"

static void park_unref(struct fs_park *park)
{
	struct fs *fs = park->fs;
	pthread_mutex_lock(&fs->park_lock);
	bool last = --park->refs == 0;
	pthread_mutex_unlock(&fs->park_lock);
	if (last)
		park->destroy(park);
}

static void unlist_locked(struct fs_park *park)
{
	if (!park->listed)
		return;
	if (park->prev)
		park->prev->next = park->next;
	else
		park->fs->parked = park->next;
	if (park->next)
		park->next->prev = park->prev;
	park->listed = false;
}

static bool claim_locked(struct fs_park *park)
{
	if (park->claimed)
		return false;
	park->claimed = true;
	unlist_locked(park);
	return true;
}

/* Unregistering waits for a running interrupt callback: after it, nobody else knows the park. */
static void finish(struct fs_park *park, enum fs_why why)
{
	fuse_req_interrupt_func(park->req, NULL, NULL);
	park->answer(park, why);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct fs_park *park = data;
	struct fs *fs = park->fs;
	(void)req;
	pthread_mutex_lock(&fs->park_lock);
	park->interrupted = true;
	pthread_mutex_unlock(&fs->park_lock);
	fs->conf.wake(fs->conf.ctx);
}

void fs_park_init(struct fs_park *park, struct fs *fs, fuse_req_t req, int64_t deadline_ms)
{
	park->fs = fs;
	park->req = req;
	park->deadline_ms = deadline_ms;
	park->refs = 2;
	fuse_req_interrupt_func(req, on_interrupt, park);
}

void fs_park_fire(struct fs_park *park)
{
	pthread_mutex_lock(&park->fs->park_lock);
	bool mine = claim_locked(park);
	pthread_mutex_unlock(&park->fs->park_lock);
	if (mine)
		finish(park, FS_READY);
	park_unref(park);
}

static void told(struct notify_call *call)
{
	fs_park_fire((struct fs_park *)(void *)call);
}

void fs_park_fire_told(struct fs_park *park)
{
	park->told.fire = told;
	if (!notify_after(park->fs->notify, &park->told))
		fs_park_fire(park);
}

void fs_park_done(struct fs_park *park)
{
	struct fs *fs = park->fs;
	pthread_mutex_lock(&fs->park_lock);
	bool listed = !park->claimed;
	if (listed) {
		park->listed = true;
		park->prev = NULL;
		park->next = fs->parked;
		if (fs->parked)
			fs->parked->prev = park;
		fs->parked = park;
	}
	bool hurry = listed &&
		     (park->interrupted || fs->stopping || park->deadline_ms != INT64_MAX);
	pthread_mutex_unlock(&fs->park_lock);
	park_unref(park);
	if (hurry)
		fs->conf.wake(fs->conf.ctx);
}

static bool is_due_locked(struct fs_park *park, int64_t now)
{
	park->why = park->interrupted    ? FS_INTERRUPTED
		    : park->fs->stopping ? FS_STOPPED
					 : FS_EXPIRED;
	return park->why != FS_EXPIRED || park->deadline_ms <= now;
}

/* Claims all that are due, into a list of their own; *NEXT is the earliest deadline of the others.
 */
static struct fs_park *claim_due(struct fs *fs, int64_t now, int64_t *next)
{
	struct fs_park *due = NULL;
	*next = INT64_MAX;
	pthread_mutex_lock(&fs->park_lock);
	for (struct fs_park *park = fs->parked, *after; park; park = after) {
		after = park->next;
		if (is_due_locked(park, now)) {
			claim_locked(park);
			park->refs++;
			park->next = due;
			due = park;
		} else if (park->deadline_ms < *next) {
			*next = park->deadline_ms;
		}
	}
	pthread_mutex_unlock(&fs->park_lock);
	return due;
}

int64_t fs_tick(struct fs *fs)
{
	int64_t next, now = fs->conf.world.mono_ms(fs->conf.world.ctx);
	struct fs_park *after;
	for (struct fs_park *park = claim_due(fs, now, &next); park; park = after) {
		after = park->next;
		if (park->cancel(park))
			park_unref(park);
		finish(park, park->why);
		park_unref(park);
	}
	return next == INT64_MAX ? INT64_MAX : next > now ? next - now : 0;
}

void fs_stop(struct fs *fs)
{
	pthread_mutex_lock(&fs->park_lock);
	fs->stopping = true;
	pthread_mutex_unlock(&fs->park_lock);
	fs_tick(fs);
}
