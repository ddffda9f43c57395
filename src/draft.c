/*
 * draft - the drafts by number, place, name and job; what they hold is draft_content.c
 */
#include "draft_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_number(const void *a, const void *b)
{
	const struct draft *left = a, *right = b;
	return compare(left->info.number, right->info.number);
}

/* In a directory, by number. */
static int by_place(const void *a, const void *b)
{
	const struct draft *left = a, *right = b;
	int order = compare(left->info.parent, right->info.parent);
	return order ? order : by_number(a, b);
}

static int by_name(const void *a, const void *b)
{
	const struct draft *left = a, *right = b;
	int order = compare(left->info.parent, right->info.parent);
	return order ? order : strcmp(left->info.name, right->info.name);
}

static int by_job(const void *a, const void *b)
{
	const struct draft *left = a, *right = b;
	int order = compare(left->info.job, right->info.job);
	return order ? order : by_number(a, b);
}

struct draft_box *draft_box_new(struct spool *spool)
{
	struct draft_box *box = calloc(1, sizeof(*box));
	if (!box)
		return NULL;
	box->spool = spool;
	pthread_mutex_init(&box->lock, NULL);
	box->shelves[NUMBERS].order = by_number;
	box->shelves[PLACES].order = by_place;
	box->shelves[NAMES].order = by_name;
	box->shelves[SHELF_JOBS].order = by_job;
	return box;
}

static void destroy(struct draft *draft)
{
	draft_shelf_take(&draft->box->shelves[NUMBERS], draft);
	draft->box->total -= draft->capacity;
	spool_put(draft->file);
	pthread_mutex_destroy(&draft->content);
	free(draft->data);
	free(draft->asked);
	free(draft->refusal);
	free(draft);
}

static void unref_locked(struct draft *draft)
{
	if (--draft->refs == 0)
		destroy(draft);
}

/* To the shelves where it is found by what it is now, or away from them before that changes. */
static void shelve_locked(struct draft *draft)
{
	struct draft_shelf *shelves = draft->box->shelves;
	draft->box->changes++;
	draft_shelf_put(&shelves[PLACES], draft);
	draft_shelf_put(&shelves[NAMES], draft);
	if (draft->info.job)
		draft_shelf_put(&shelves[SHELF_JOBS], draft);
}

static void unshelve_locked(struct draft *draft)
{
	draft->box->changes++;
	for (enum shelf shelf = PLACES; shelf < SHELVES; shelf++)
		draft_shelf_take(&draft->box->shelves[shelf], draft);
}

void draft_set_job_locked(struct draft *draft, uint64_t job)
{
	struct draft_shelf *shelf = &draft->box->shelves[SHELF_JOBS];
	draft_shelf_take(shelf, draft);
	if (draft->info.job)
		draft->info.before = draft->info.job;
	draft->info.job = job;
	if (draft->info.linked && job)
		draft_shelf_put(shelf, draft);
}

static void unlink_locked(struct draft *draft)
{
	if (!draft->info.linked)
		return;
	unshelve_locked(draft);
	draft->info.linked = false;
	unref_locked(draft);
}

void draft_box_free(struct draft_box *box)
{
	if (!box)
		return;
	while (box->shelves[NUMBERS].count)
		destroy(box->shelves[NUMBERS].things[box->shelves[NUMBERS].count - 1]);
	for (enum shelf shelf = 0; shelf < SHELVES; shelf++)
		draft_shelf_release(&box->shelves[shelf]);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

static struct draft *find_locked(struct draft_box *box, uint64_t parent, const char *name)
{
	struct draft key = { .info.parent = parent };
	struct draft *found;
	if (strlen(name) >= sizeof(key.info.name))
		return NULL;
	strcpy(key.info.name, name);
	found = draft_shelf_from(&box->shelves[NAMES], &key);
	return found && by_name(found, &key) == 0 ? found : NULL;
}

static struct draft *ref_locked(struct draft *draft)
{
	if (draft)
		draft->refs++;
	return draft;
}

static int link_locked(struct draft_box *box, struct draft *draft)
{
	for (enum shelf shelf = 0; shelf < SHELVES; shelf++)
		if (draft_shelf_reserve(&box->shelves[shelf], box->shelves[NUMBERS].count + 1))
			return -ENOMEM;
	draft->info.number = ++box->last_number;
	draft->info.linked = true;
	draft_shelf_put(&box->shelves[NUMBERS], draft);
	shelve_locked(draft);
	return 0;
}

static struct draft *draft_new(struct draft_box *box, const struct draft_info *info)
{
	struct draft *draft = calloc(1, sizeof(*draft));
	if (!draft)
		return NULL;
	draft->box = box;
	draft->refs = 2; /* the caller's, and that of being linked */
	draft->info = *info;
	pthread_mutex_init(&draft->content, NULL);
	return draft;
}

static int add(struct draft_box *box, const struct draft_info *info, const char *name,
	       const void *data, size_t size, struct draft **out)
{
	if (strlen(name) >= sizeof(info->name))
		return -ENAMETOOLONG;
	struct draft *draft = draft_new(box, info);
	if (!draft)
		return -ENOMEM;
	strcpy(draft->info.name, name);
	pthread_mutex_lock(&box->lock);
	int r = find_locked(box, info->parent, name) ? -EEXIST
						     : draft_fill_locked(draft, data, size);
	if (r == 0)
		r = link_locked(box, draft);
	if (r)
		box->total -= draft->capacity;
	pthread_mutex_unlock(&box->lock);
	if (r == 0) {
		*out = draft;
		return 0;
	}
	pthread_mutex_destroy(&draft->content);
	free(draft->data);
	free(draft);
	return r;
}

int draft_create(struct draft_box *box, uint64_t parent, const char *name, mode_t mode, uid_t uid,
		 gid_t gid, const void *data, size_t size, struct timespec now, struct draft **out)
{
	struct draft_info info = { .parent = parent,
				   .mode = mode & 07777,
				   .uid = uid,
				   .gid = gid,
				   .mtime = now,
				   .atime = now };
	return add(box, &info, name, data, size, out);
}

int draft_mkdir(struct draft_box *box, uint64_t parent, const char *name, mode_t mode, uid_t uid,
		gid_t gid, struct timespec now, struct draft **out)
{
	struct draft_info info = { .parent = parent,
				   .mode = mode & 07777,
				   .uid = uid,
				   .gid = gid,
				   .mtime = now,
				   .atime = now,
				   .is_dir = true };
	return add(box, &info, name, NULL, 0, out);
}

uint64_t draft_changes(struct draft_box *box)
{
	pthread_mutex_lock(&box->lock);
	uint64_t changes = box->changes;
	pthread_mutex_unlock(&box->lock);
	return changes;
}

struct draft *draft_find(struct draft_box *box, uint64_t parent, const char *name)
{
	pthread_mutex_lock(&box->lock);
	struct draft *draft = ref_locked(find_locked(box, parent, name));
	pthread_mutex_unlock(&box->lock);
	return draft;
}

struct draft *draft_by_number(struct draft_box *box, uint64_t number)
{
	struct draft key = { .info.number = number };
	pthread_mutex_lock(&box->lock);
	struct draft *found = draft_shelf_from(&box->shelves[NUMBERS], &key);
	struct draft *draft = ref_locked(found && found->info.number == number ? found : NULL);
	pthread_mutex_unlock(&box->lock);
	return draft;
}

struct draft *draft_next(struct draft_box *box, uint64_t parent, uint64_t after)
{
	struct draft key = { .info = { .parent = parent, .number = after + 1 } };
	pthread_mutex_lock(&box->lock);
	struct draft *found = draft_shelf_from(&box->shelves[PLACES], &key);
	struct draft *draft = ref_locked(found && found->info.parent == parent ? found : NULL);
	pthread_mutex_unlock(&box->lock);
	return draft;
}

struct draft *draft_of_job(struct draft_box *box, uint64_t job, uint64_t after)
{
	struct draft key = { .info = { .job = job, .number = after + 1 } };
	pthread_mutex_lock(&box->lock);
	struct draft *found = draft_shelf_from(&box->shelves[SHELF_JOBS], &key);
	struct draft *draft = ref_locked(found && found->info.job == job ? found : NULL);
	pthread_mutex_unlock(&box->lock);
	return draft;
}

struct draft *draft_ref(struct draft *draft)
{
	pthread_mutex_lock(&draft->box->lock);
	ref_locked(draft);
	pthread_mutex_unlock(&draft->box->lock);
	return draft;
}

void draft_put(struct draft *draft)
{
	if (!draft)
		return;
	struct draft_box *box = draft->box;
	pthread_mutex_lock(&box->lock);
	unref_locked(draft);
	pthread_mutex_unlock(&box->lock);
}

void draft_info(struct draft *draft, struct draft_info *out)
{
	pthread_mutex_lock(&draft->box->lock);
	*out = draft->info;
	out->refused = draft->refusal != NULL;
	pthread_mutex_unlock(&draft->box->lock);
}

void draft_refuse_locked(struct draft *draft, const char *text, int error)
{
	draft->box->changes++;
	free(draft->refusal);
	draft->refusal = text ? strdup(text) : NULL;
	draft->error = error;
}

void draft_forget_locked(struct draft *draft)
{
	free(draft->asked);
	draft->asked = NULL;
	draft->judged = DRAFT_SCRATCH;
	draft->claim++;
	draft_set_job_locked(draft, 0);
	draft_refuse_locked(draft, NULL, 0);
}

void draft_ask_again(struct draft *draft)
{
	pthread_mutex_lock(&draft->box->lock);
	draft_forget_locked(draft);
	pthread_mutex_unlock(&draft->box->lock);
}

void draft_set_owner(struct draft *draft, mode_t mode, uid_t uid, gid_t gid)
{
	pthread_mutex_lock(&draft->box->lock);
	draft->info.mode = mode & 07777;
	draft->info.uid = uid;
	draft->info.gid = gid;
	pthread_mutex_unlock(&draft->box->lock);
}

void draft_set_times(struct draft *draft, struct timespec atime, struct timespec mtime)
{
	pthread_mutex_lock(&draft->box->lock);
	draft->info.atime = atime;
	draft->info.mtime = mtime;
	pthread_mutex_unlock(&draft->box->lock);
}

int draft_rename(struct draft *draft, uint64_t parent, const char *name, bool noreplace)
{
	if (strlen(name) >= sizeof(draft->info.name))
		return -ENAMETOOLONG;
	int r = 0;
	pthread_mutex_lock(&draft->box->lock);
	struct draft *there = find_locked(draft->box, parent, name);
	if (!draft->info.linked)
		r = -ENOENT;
	else if (there && noreplace)
		r = -EEXIST;
	else if (there != draft) {
		if (there)
			unlink_locked(there);
		unshelve_locked(draft);
		draft->info.parent = parent;
		strcpy(draft->info.name, name);
		shelve_locked(draft);
	}
	pthread_mutex_unlock(&draft->box->lock);
	return r;
}

int draft_unlink(struct draft *draft)
{
	struct draft_box *box = draft->box;
	pthread_mutex_lock(&box->lock);
	int r = draft->info.linked ? 0 : -ENOENT;
	unlink_locked(draft);
	pthread_mutex_unlock(&box->lock);
	return r;
}

void draft_unlink_all(struct draft_box *box, uint64_t parent)
{
	struct draft key = { .info.parent = parent }, *draft;
	pthread_mutex_lock(&box->lock);
	while ((draft = draft_shelf_from(&box->shelves[PLACES], &key)) != NULL &&
	       draft->info.parent == parent)
		unlink_locked(draft);
	pthread_mutex_unlock(&box->lock);
}

void draft_set_job(struct draft *draft, unsigned claim, uint64_t job)
{
	pthread_mutex_lock(&draft->box->lock);
	if (draft->claim == claim)
		draft_set_job_locked(draft, job);
	pthread_mutex_unlock(&draft->box->lock);
}

void draft_refuse(struct draft *draft, unsigned claim, const char *text, int error)
{
	pthread_mutex_lock(&draft->box->lock);
	if (!claim || draft->claim == claim)
		draft_refuse_locked(draft, text, error);
	pthread_mutex_unlock(&draft->box->lock);
}

char *draft_error(struct draft *draft, int *error)
{
	pthread_mutex_lock(&draft->box->lock);
	char *text = draft->refusal ? strdup(draft->refusal) : NULL;
	if (error)
		*error = draft->refusal ? draft->error : 0;
	pthread_mutex_unlock(&draft->box->lock);
	return text;
}

bool draft_is_temporary(const char *name)
{
	size_t len = strlen(name);
	return name[0] == '.' || name[0] == '#' || (len && name[len - 1] == '~');
}
