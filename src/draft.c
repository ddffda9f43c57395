#include "draft.h"
#include "draft_batch.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * State of a draft, all under box->lock:
 *   asked    the content that was last found complete, in canonical form; NULL: none since it was
 * empty job      the job ASKED went to; 0 while nobody knows, or it went to none refusal  what
 * there is to say of ASKED, or of content that can never be right A draft lives while it is linked
 * or held. It is in the box's list as long as it lives.
 */
struct draft {
	struct draft_box *box;
	struct draft *next, *prev;
	unsigned refs;
	struct draft_info info;
	char *data;
	size_t capacity;
	char *asked;
	char *refusal;
	int error;
	enum draft_use judged;
};

struct draft_box {
	pthread_mutex_t lock;
	struct draft list; /* a ring, in order of number */
	uint64_t last_number;
	size_t total;
};

struct draft_box *draft_box_new(void)
{
	struct draft_box *box = calloc(1, sizeof(*box));
	if (!box)
		return NULL;
	pthread_mutex_init(&box->lock, NULL);
	box->list.next = box->list.prev = &box->list;
	return box;
}

static void destroy(struct draft *draft)
{
	draft->prev->next = draft->next;
	draft->next->prev = draft->prev;
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

static void unlink_locked(struct draft *draft)
{
	if (!draft->info.linked)
		return;
	draft->info.linked = false;
	unref_locked(draft);
}

void draft_box_free(struct draft_box *box)
{
	if (!box)
		return;
	for (struct draft *d = box->list.next, *next; d != &box->list; d = next) {
		next = d->next;
		destroy(d);
	}
	pthread_mutex_destroy(&box->lock);
	free(box);
}

static struct draft *find_locked(struct draft_box *box, uint64_t parent, const char *name)
{
	for (struct draft *d = box->list.next; d != &box->list; d = d->next)
		if (d->info.linked && d->info.parent == parent && strcmp(d->info.name, name) == 0)
			return d;
	return NULL;
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
	size_t capacity = draft->capacity ? draft->capacity : 4096;
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

static void link_locked(struct draft_box *box, struct draft *draft)
{
	draft->info.number = ++box->last_number;
	draft->info.linked = true;
	draft->prev = box->list.prev;
	draft->next = &box->list;
	draft->prev->next = draft->next->prev = draft;
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
		link_locked(box, draft);
	pthread_mutex_unlock(&box->lock);
	if (r)
		free(draft);
	else
		*out = draft;
	return r;
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
	pthread_mutex_lock(&box->lock);
	struct draft *d = box->list.next;
	while (d != &box->list && d->info.number != number)
		d = d->next;
	struct draft *draft = ref_locked(d == &box->list ? NULL : d);
	pthread_mutex_unlock(&box->lock);
	return draft;
}

struct draft *draft_next(struct draft_box *box, uint64_t parent, uint64_t after)
{
	pthread_mutex_lock(&box->lock);
	struct draft *d = box->list.next;
	while (d != &box->list &&
	       !(d->info.linked && d->info.parent == parent && d->info.number > after))
		d = d->next;
	struct draft *draft = ref_locked(d == &box->list ? NULL : d);
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
	free(draft->refusal);
	draft->refusal = text ? strdup(text) : NULL;
	draft->error = error;
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
	if (r == 0 && size == 0) {
		free(draft->asked);
		draft->asked = NULL;
		draft->info.job = 0;
		refuse_locked(draft, NULL, 0);
	}
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
		draft->info.job = other->info.job;
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
		draft->info.parent = parent;
		strcpy(draft->info.name, name);
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
	pthread_mutex_lock(&box->lock);
	for (struct draft *d = box->list.next, *next; d != &box->list; d = next) {
		next = d->next;
		if (d->info.parent == parent)
			unlink_locked(d);
	}
	pthread_mutex_unlock(&box->lock);
}

static enum draft_verdict judge_request(const struct draft *draft, struct draft_content *out,
					char **canonical, char error[PARAMS_ERROR_MAX])
{
	switch (params_parse(draft->data, draft->info.size, &out->params, error)) {
	case PARAMS_INCOMPLETE: return DRAFT_PARTIAL;
	case PARAMS_INVALID: return DRAFT_INVALID;
	case PARAMS_OK: break;
	}
	*canonical = params_format(out->params);
	return DRAFT_READY;
}

/* One word on one line: a URL or an id. */
static enum draft_verdict judge_word(const struct draft *draft, bool closing, char **canonical,
				     char error[PARAMS_ERROR_MAX])
{
	const char *start = draft->data, *end = draft->data + draft->info.size;
	while (start < end && isspace((unsigned char)*start))
		start++;
	const char *stop = start;
	while (stop < end && !isspace((unsigned char)*stop))
		stop++;
	if (start == end)
		return DRAFT_NOTHING;
	if (stop == end && !closing)
		return DRAFT_PARTIAL;
	for (const char *rest = stop; rest < end; rest++)
		if (!isspace((unsigned char)*rest)) {
			strcpy(error, "more than one word: one line with one word is needed");
			return DRAFT_INVALID;
		}
	if (memchr(start, '\0', (size_t)(stop - start))) {
		strcpy(error, "a NUL byte in the text");
		return DRAFT_INVALID;
	}
	*canonical = strndup(start, (size_t)(stop - start));
	return DRAFT_READY;
}

static enum draft_verdict judge_image_url(const struct draft *draft, bool closing,
					  struct draft_content *out, char **canonical,
					  char error[PARAMS_ERROR_MAX])
{
	enum draft_verdict verdict = judge_word(draft, closing, canonical, error);
	if (verdict != DRAFT_READY || !*canonical)
		return verdict;
	if (params_check_url(*canonical, strlen(*canonical), error))
		return DRAFT_INVALID;
	out->params = params_new();
	if (out->params && params_set_image_url(out->params, *canonical) == 0)
		return DRAFT_READY;
	strcpy(error, strerror(ENOMEM));
	return DRAFT_INVALID;
}

static enum draft_verdict judge_request_id(const struct draft *draft, bool closing,
					   struct draft_content *out, char **canonical,
					   char error[PARAMS_ERROR_MAX])
{
	enum draft_verdict verdict = judge_word(draft, closing, canonical, error);
	if (verdict != DRAFT_READY || !*canonical)
		return verdict;
	if (strlen(*canonical) >= sizeof(out->request_id)) {
		strcpy(error, "too long for a request id");
		return DRAFT_INVALID;
	}
	strcpy(out->request_id, *canonical);
	return DRAFT_READY;
}

static enum draft_verdict judge_list(const struct draft *draft, enum draft_use use, bool closing,
				     struct draft_content *out, char **canonical,
				     char error[PARAMS_ERROR_MAX])
{
	if (use == DRAFT_URLS && !draft_is_list(draft->data, draft->info.size))
		return judge_image_url(draft, closing, out, canonical, error);
	if (!closing)
		return DRAFT_PARTIAL;
	return draft_judge_lines(draft->data, draft->info.size, use, out, canonical, error);
}

static enum draft_verdict judge_locked(const struct draft *draft, enum draft_use use, bool closing,
				       struct draft_content *out, char **canonical,
				       char error[PARAMS_ERROR_MAX])
{
	if (use == DRAFT_SCRATCH || draft->judged == use || draft->info.size == 0)
		return DRAFT_NOTHING;
	switch (use) {
	case DRAFT_REQUEST: return judge_request(draft, out, canonical, error);
	case DRAFT_IMAGE_URL: return judge_image_url(draft, closing, out, canonical, error);
	case DRAFT_BATCH:
	case DRAFT_URLS: return judge_list(draft, use, closing, out, canonical, error);
	default: return judge_request_id(draft, closing, out, canonical, error);
	}
}

static bool claim_locked(struct draft *draft, char *canonical)
{
	if (draft->asked && strcmp(draft->asked, canonical) == 0) {
		free(canonical);
		return false;
	}
	free(draft->asked);
	draft->asked = canonical;
	draft->info.job = 0;
	refuse_locked(draft, NULL, 0);
	return true;
}

enum draft_verdict draft_judge(struct draft *draft, enum draft_use use, bool closing,
			       struct draft_content *out)
{
	*out = (struct draft_content){ 0 };
	char *canonical = NULL, error[PARAMS_ERROR_MAX] = "";
	pthread_mutex_lock(&draft->box->lock);
	enum draft_verdict verdict = judge_locked(draft, use, closing, out, &canonical, error);
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
	if (verdict == DRAFT_INVALID)
		refuse_locked(draft, error, EINVAL);
	pthread_mutex_unlock(&draft->box->lock);
	if (verdict != DRAFT_READY)
		draft_content_release(out);
	return verdict;
}

void draft_set_job(struct draft *draft, uint64_t job)
{
	pthread_mutex_lock(&draft->box->lock);
	draft->info.job = job;
	pthread_mutex_unlock(&draft->box->lock);
}

void draft_refuse(struct draft *draft, const char *text, int error)
{
	pthread_mutex_lock(&draft->box->lock);
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
