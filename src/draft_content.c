/*
 * draft_content - what a draft holds, and whether that asks for something; a part of draft
 */
#include "draft_internal.h"
#include "draft_judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve_locked(struct draft *draft, uint64_t size)
{
	struct draft_box *box = draft->box;
	if (draft->file)
		return 0;
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
	if (size > draft->info.size && !draft->file)
		memset(draft->data + draft->info.size, 0, (size_t)size - draft->info.size);
	draft->info.size = (size_t)size;
	return 0;
}

int draft_fill_locked(struct draft *draft, const void *data, size_t size)
{
	int r = resize_locked(draft, size);
	if (r == 0 && size)
		memcpy(draft->data, data, size);
	return r;
}

ssize_t draft_read(struct draft *draft, uint64_t offset, void *buf, size_t size)
{
	pthread_mutex_lock(&draft->box->lock);
	size_t there = offset < draft->info.size ? draft->info.size - (size_t)offset : 0;
	struct spool_file *file = draft->file ? spool_ref(draft->file) : NULL;
	if (size > there)
		size = there;
	if (size && !file)
		memcpy(buf, draft->data + offset, size);
	pthread_mutex_unlock(&draft->box->lock);
	ssize_t n = file && size ? spool_read(file, offset, buf, size) : (ssize_t)size;
	spool_put(file);
	return n;
}

/* DRAFT's bytes are in FILE, whose reference it takes over, and nowhere else. NULL: it has none. */
static void set_file(struct draft *draft, struct spool_file *file)
{
	pthread_mutex_lock(&draft->box->lock);
	struct spool_file *before = draft->file;
	char *data = draft->data;
	draft->box->total -= draft->capacity;
	draft->file = file;
	draft->data = NULL;
	draft->capacity = 0;
	if (!file)
		draft->info.size = 0;
	pthread_mutex_unlock(&draft->box->lock);
	spool_put(before);
	free(data);
}

/* With `content` held: to a file. */
static int move_to_file(struct draft *draft)
{
	struct spool_file *file;
	int r = spool_create(draft->box->spool, &file);
	if (r)
		return r;
	r = spool_write(file, 0, draft->data, draft->info.size);
	if (r)
		spool_put(file);
	else
		set_file(draft, file);
	return r;
}

/* With `content` held: to where SIZE bytes can be, and may be changed. */
static int make_room(struct draft *draft, uint64_t size)
{
	if (size > (draft->box->spool ? IMAGE_SIZE_MAX : DRAFT_SIZE_MAX))
		return -EFBIG;
	if (!draft->file)
		return draft->box->spool && size > DRAFT_MEMORY_MAX ? move_to_file(draft) : 0;
	if (!spool_name(draft->file))
		return 0;
	struct spool_file *own;
	int r = spool_copy(draft->file, &own);
	if (r == 0)
		set_file(draft, own);
	return r;
}

static void changed_locked(struct draft *draft, struct timespec now)
{
	draft->info.mtime = now;
	draft->info.written = true;
	draft->judged = DRAFT_SCRATCH;
}

static int write_locked(struct draft *draft, uint64_t offset, const void *data, size_t size)
{
	int r = offset + size > draft->info.size ? resize_locked(draft, offset + size) : 0;
	if (r == 0 && draft->data)
		memcpy(draft->data + offset, data, size);
	return r;
}

int draft_write(struct draft *draft, uint64_t offset, const void *data, size_t size,
		struct timespec now)
{
	pthread_mutex_lock(&draft->content);
	int r = offset > IMAGE_SIZE_MAX ? -EFBIG : make_room(draft, offset + size);
	if (r == 0 && draft->file)
		r = spool_write(draft->file, offset, data, size);
	pthread_mutex_lock(&draft->box->lock);
	if (r == 0)
		r = write_locked(draft, offset, data, size);
	if (r == 0)
		changed_locked(draft, now);
	else
		draft->unwritten = -r;
	pthread_mutex_unlock(&draft->box->lock);
	pthread_mutex_unlock(&draft->content);
	return r;
}

/* With `content` held. A file that becomes empty is none any more. */
static int cut_file(struct draft *draft, uint64_t size)
{
	if (size == 0) {
		set_file(draft, NULL);
		return 0;
	}
	return spool_truncate(draft->file, size);
}

int draft_truncate(struct draft *draft, uint64_t size, struct timespec now)
{
	pthread_mutex_lock(&draft->content);
	int r = size ? make_room(draft, size) : 0;
	pthread_mutex_lock(&draft->box->lock);
	draft->info.emptied |= size == 0 && draft->info.size > 0;
	pthread_mutex_unlock(&draft->box->lock);
	if (r == 0 && draft->file)
		r = cut_file(draft, size);
	pthread_mutex_lock(&draft->box->lock);
	if (r == 0)
		r = resize_locked(draft, size);
	if (r == 0)
		changed_locked(draft, now);
	if (r == 0 && size == 0) {
		draft->unwritten = 0;
		draft_forget_locked(draft);
	}
	pthread_mutex_unlock(&draft->box->lock);
	pthread_mutex_unlock(&draft->content);
	return r;
}

#define COMPARED (64 * 1024)

/* In pieces, by BUFS of that size, and with no lock: a disk may be asked. */
static bool same_bytes(struct draft *a, struct draft *b, char bufs[2][COMPARED])
{
	ssize_t n;
	uint64_t offset = 0;
	do {
		n = draft_read(a, offset, bufs[0], COMPARED);
		if (n < 0 || draft_read(b, offset, bufs[1], COMPARED) != n ||
		    memcmp(bufs[0], bufs[1], (size_t)n) != 0)
			return false;
		offset += (uint64_t)n;
	} while (n > 0);
	return true;
}

static bool same_content(struct draft *a, struct draft *b)
{
	struct draft_info left, right;
	draft_info(a, &left);
	draft_info(b, &right);
	char(*bufs)[COMPARED] = left.size == right.size ? malloc(2 * COMPARED) : NULL;
	bool same = bufs && same_bytes(a, b, bufs);
	free(bufs);
	return same;
}

void draft_inherit(struct draft *draft, struct draft *other)
{
	bool same = same_content(draft, other);
	pthread_mutex_lock(&draft->box->lock);
	if (!draft->info.before)
		draft->info.before = other->info.job ? other->info.job : other->info.before;
	if (same && other->asked && !draft->asked) {
		draft->asked = strdup(other->asked);
		draft_set_job_locked(draft, other->info.job);
		draft_refuse_locked(draft, other->refusal, other->error);
	}
	pthread_mutex_unlock(&draft->box->lock);
}

static bool claim_locked(struct draft *draft, char *canonical)
{
	if (draft->asked && strcmp(draft->asked, canonical) == 0) {
		free(canonical);
		return false;
	}
	draft_forget_locked(draft);
	draft->asked = canonical;
	return true;
}

/* With `content` held: a text, wherever it is. */
static enum draft_verdict judge_text(struct draft *draft, enum draft_use use, bool closing,
				     struct draft_content *out, char **canonical,
				     char error[PARAMS_ERROR_MAX])
{
	size_t size = draft->info.size;
	if (size > DRAFT_SIZE_MAX) {
		strcpy(error, "too long for a text that asks for something");
		return DRAFT_INVALID;
	}
	if (!draft->file)
		return draft_judge_text(draft->data, size, use, closing, out, canonical, error);
	char *text = malloc(size ? size : 1);
	ssize_t n = text ? draft_read(draft, 0, text, size) : -ENOMEM;
	enum draft_verdict verdict = DRAFT_INVALID;
	if (n < 0)
		snprintf(error, PARAMS_ERROR_MAX, "%s", strerror((int)-n));
	else
		verdict = draft_judge_text(text, (size_t)n, use, closing, out, canonical, error);
	free(text);
	return verdict;
}

/* With `content` held: an image, which is a file afterwards. */
static enum draft_verdict judge_image(struct draft *draft, bool closing, struct draft_content *out,
				      char **canonical, char error[PARAMS_ERROR_MAX])
{
	if (!closing || draft->info.size == 0)
		return closing ? DRAFT_NOTHING : DRAFT_PARTIAL;
	int r = draft->file ? 0 : draft->box->spool ? move_to_file(draft) : -EOPNOTSUPP;
	if (r) {
		snprintf(error, PARAMS_ERROR_MAX, "%s", strerror(-r));
		return DRAFT_INVALID;
	}
	out->image = spool_ref(draft->file);
	enum draft_verdict verdict = draft_judge_image(&out->image, draft->info.size, error);
	if (verdict == DRAFT_READY && out->image != draft->file)
		set_file(draft, spool_ref(out->image));
	if (verdict == DRAFT_READY)
		*canonical = strdup(spool_name(out->image));
	return verdict;
}

static enum draft_verdict settle_locked(struct draft *draft, enum draft_use use,
					enum draft_verdict verdict, char *canonical,
					const char *error)
{
	if (verdict == DRAFT_READY && !canonical) {
		error = strerror(ENOMEM);
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
		draft_refuse_locked(draft, error, EINVAL);
	}
	return verdict;
}

enum draft_verdict draft_judge(struct draft *draft, enum draft_use use, bool closing,
			       struct draft_content *out)
{
	*out = (struct draft_content){ 0 };
	char *canonical = NULL, error[PARAMS_ERROR_MAX] = "";
	enum draft_verdict verdict = DRAFT_NOTHING;
	pthread_mutex_lock(&draft->content);
	if (draft->judged != use && draft->unwritten && use != DRAFT_SCRATCH) {
		verdict = DRAFT_INVALID;
		snprintf(error, sizeof(error), "it could not be written as a whole: %s",
			 strerror(draft->unwritten));
	} else if (draft->judged != use)
		verdict = use == DRAFT_IMAGE
				  ? judge_image(draft, closing, out, &canonical, error)
				  : judge_text(draft, use, closing, out, &canonical, error);
	pthread_mutex_lock(&draft->box->lock);
	verdict = settle_locked(draft, use, verdict, canonical, error);
	unsigned claim = draft->claim;
	pthread_mutex_unlock(&draft->box->lock);
	pthread_mutex_unlock(&draft->content);
	if (verdict != DRAFT_READY)
		draft_content_release(out);
	out->claim = claim;
	return verdict;
}
