#include "draft.h"
#include "draft_judge.h"
#include "draft_shelf.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * State of a draft, all under box->lock:
 *
 *   asked     the content that was last found complete, in canonical form; NULL: none since it was
 *             empty
 *   claim     counts the contents that were asked for, found to be wrong, or cut away: what is
 *             learned of one must not be taken for another's
 *   info.job  the job ASKED went to; 0 while nobody knows, or it went to none
 *   refusal   what there is to say of ASKED, or of content that can never be right
 *
 * A draft lives while it is linked or held. As long as it lives it is on the shelf of numbers;
 * while it is linked it is on those of places and names, and, when it has a job, on that of jobs.
 */
struct draft {
	struct draft_box *box;
	unsigned refs;
	struct draft_info info;
	char *data;
	size_t capacity;
	char *asked;
	unsigned claim;
	char *refusal;
	int error;
	enum draft_use judged;
};

/* What drafts are looked for by. */
enum shelf { NUMBERS, PLACES, NAMES, SHELF_JOBS, SHELVES };

struct draft_box {
	pthread_mutex_t lock;
	struct draft_shelf shelves[SHELVES];
	uint64_t last_number;
	uint64_t changes;
	size_t total;
};

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

struct draft_box *draft_box_new(void)
{
	struct draft_box *box = calloc(1, sizeof(*box));
	if (!box)
		return NULL;
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

static void set_job_locked(struct draft *draft, uint64_t job)
{
	struct draft_shelf *shelf = &draft->box->shelves[SHELF_JOBS];
	draft_shelf_take(shelf, draft);
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

static int reserve_locked(struct draft *draft, uint64_t size)
{
	struct draft_box *box = draft->box;
	if (size > DRAFT_SIZE_MAX)
		return -EFBIG;
	if (size <= draft->capacity)
		return 0;
	size_t capacity = draft->capacity ? draft->capacity : 512;
	while (capacity < size)
		capacity *= 2;
	if (box->total + capacity - draft->capacity > DRAFT_TOTAL_MAX)
		return -ENOSPC;
	char *data = realloc(draft->data, capacity);
	if (!data)
		return -ENOMEM;
	box->total += capacity - draft->capacity;
	draft->data = data;
	draft->capacity = capacity;
	return 0;
}

static int resize_locked(struct draft *draft, uint64_t size)
{
	int r = reserve_locked(draft, size);
	if (r)
		return r;
	if (size > draft->info.size)
		memset(draft->data + draft->info.size, 0, (size_t)size - draft->info.size);
	draft->info.size = (size_t)size;
	return 0;
}

static int fill_locked(struct draft *draft, const void *data, size_t size)
{
	int r = resize_locked(draft, size);
	if (r == 0 && size)
		memcpy(draft->data, data, size);
	return r;
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

int draft_create(struct draft_box *box, uint64_t parent, const char *name, mode_t mode, uid_t uid,
		 gid_t gid, const void *data, size_t size, struct timespec now, struct draft **out)
{
	if (strlen(name) >= sizeof(((struct draft_info *)0)->name))
		return -ENAMETOOLONG;
	struct draft *draft = calloc(1, sizeof(*draft));
	if (!draft)
		return -ENOMEM;
	draft->box = box;
	draft->refs = 2; /* the caller's, and that of being linked */
	draft->info = (struct draft_info){ .parent = parent,
					   .mode = mode & 07777,
					   .uid = uid,
					   .gid = gid,
					   .mtime = now,
					   .atime = now };
	strcpy(draft->info.name, name);
	pthread_mutex_lock(&box->lock);
	int r = find_locked(box, parent, name) ? -EEXIST : fill_locked(draft, data, size);
	if (r == 0)
		r = link_locked(box, draft);
	if (r)
		box->total -= draft->capacity;
	pthread_mutex_unlock(&box->lock);
	if (r == 0) {
		*out = draft;
		return 0;
	}
	free(draft->data);
	free(draft);
	return r;
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

ssize_t draft_read(struct draft *draft, uint64_t offset, void *buf, size_t size)
{
	pthread_mutex_lock(&draft->box->lock);
	size_t there = offset < draft->info.size ? draft->info.size - (size_t)offset : 0;
	if (size > there)
		size = there;
	if (size)
		memcpy(buf, draft->data + offset, size);
	pthread_mutex_unlock(&draft->box->lock);
	return (ssize_t)size;
}

int draft_write(struct draft *draft, uint64_t offset, const void *data, size_t size,
		struct timespec now)
{
	if (offset > DRAFT_SIZE_MAX)
		return -EFBIG;
	pthread_mutex_lock(&draft->box->lock);
	int r = offset + size > draft->info.size ? resize_locked(draft, offset + size) : 0;
	if (r == 0) {
		memcpy(draft->data + offset, data, size);
		draft->info.mtime = now;
		draft->info.written = true;
		draft->judged = DRAFT_SCRATCH;
	}
	pthread_mutex_unlock(&draft->box->lock);
	return r;
}

static void refuse_locked(struct draft *draft, const char *text, int error)
{
	draft->box->changes++;
	free(draft->refusal);
	draft->refusal = text ? strdup(text) : NULL;
	draft->error = error;
}

static void forget_locked(struct draft *draft)
{
	free(draft->asked);
	draft->asked = NULL;
	draft->judged = DRAFT_SCRATCH;
	draft->claim++;
	set_job_locked(draft, 0);
	refuse_locked(draft, NULL, 0);
}

void draft_ask_again(struct draft *draft)
{
	pthread_mutex_lock(&draft->box->lock);
	forget_locked(draft);
	pthread_mutex_unlock(&draft->box->lock);
}

int draft_truncate(struct draft *draft, uint64_t size, struct timespec now)
{
	pthread_mutex_lock(&draft->box->lock);
	draft->info.emptied |= size == 0 && draft->info.size > 0;
	int r = resize_locked(draft, size);
	if (r == 0) {
		draft->info.mtime = now;
		draft->info.written = true;
		draft->judged = DRAFT_SCRATCH;
	}
	if (r == 0 && size == 0)
		forget_locked(draft);
	pthread_mutex_unlock(&draft->box->lock);
	return r;
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

static bool same_content(const struct draft *a, const struct draft *b)
{
	return a->info.size == b->info.size &&
	       (a->info.size == 0 || memcmp(a->data, b->data, a->info.size) == 0);
}

void draft_inherit(struct draft *draft, struct draft *other)
{
	pthread_mutex_lock(&draft->box->lock);
	if (other->asked && !draft->asked && same_content(draft, other)) {
		draft->asked = strdup(other->asked);
		set_job_locked(draft, other->info.job);
		refuse_locked(draft, other->refusal, other->error);
	}
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

static bool claim_locked(struct draft *draft, char *canonical)
{
	if (draft->asked && strcmp(draft->asked, canonical) == 0) {
		free(canonical);
		return false;
	}
	forget_locked(draft);
	draft->asked = canonical;
	return true;
}

enum draft_verdict draft_judge(struct draft *draft, enum draft_use use, bool closing,
			       struct draft_content *out)
{
	*out = (struct draft_content){ 0 };
	char *canonical = NULL, error[PARAMS_ERROR_MAX] = "";
	pthread_mutex_lock(&draft->box->lock);
	enum draft_verdict verdict = DRAFT_NOTHING;
	if (draft->judged != use)
		verdict = draft_judge_text(draft->data, draft->info.size, use, closing, out,
					   &canonical, error);
	if (verdict == DRAFT_READY && !canonical) {
		strcpy(error, strerror(ENOMEM));
		verdict = DRAFT_INVALID;
	}
	if (verdict == DRAFT_READY && !claim_locked(draft, canonical))
		verdict = DRAFT_NOTHING;
	else if (verdict != DRAFT_READY)
		free(canonical);
	if (verdict == DRAFT_READY || verdict == DRAFT_INVALID)
		draft->judged = use;
	if (verdict == DRAFT_INVALID) {
		draft->claim++;
		refuse_locked(draft, error, EINVAL);
	}
	unsigned claim = draft->claim;
	pthread_mutex_unlock(&draft->box->lock);
	if (verdict != DRAFT_READY)
		draft_content_release(out);
	out->claim = claim;
	return verdict;
}

void draft_set_job(struct draft *draft, unsigned claim, uint64_t job)
{
	pthread_mutex_lock(&draft->box->lock);
	if (draft->claim == claim)
		set_job_locked(draft, job);
	pthread_mutex_unlock(&draft->box->lock);
}

void draft_refuse(struct draft *draft, unsigned claim, const char *text, int error)
{
	pthread_mutex_lock(&draft->box->lock);
	if (!claim || draft->claim == claim)
		refuse_locked(draft, text, error);
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
