/*
 * fs_tell - what a job's change means for whoever looks: the kernel's caches, and error files
 */
#include "fs_internal.h"

#include <string.h>

void fs_names_changed(struct fs *fs)
{
	fs->names_changed_ms = fs->conf.world.wall_ms(fs->conf.world.ctx);
	fs->names_changes++;
	notify_attr(fs->notify, FUSE_ROOT_ID);
	notify_attr(fs->notify, node_ino(0, NODE_BY_NAME));
}

void fs_event(struct fs *fs, enum touch_what what, uint64_t parent, const char *dir,
	      const char *name)
{
	char path[2 * JOB_NAME_MAX];
	snprintf(path, sizeof(path), "%s%s%s", dir ? dir : "", dir ? "/" : "", name);
	notify_event(fs->notify, what, parent, path);
}

/* A drop has become a directory, called by its request id. What users make or move themselves, the
 * kernel tells of by itself. */
static void announce(struct fs *fs, const struct job *before, const struct job *after)
{
	uint64_t labels = node_ino(0, NODE_BY_NAME);
	if (!after->request_id || after->name || (before && before->request_id))
		return;
	fs_event(fs, TOUCH_DIR, FUSE_ROOT_ID, NULL, after->request_id);
	if (after->label)
		fs_event(fs, TOUCH_LINK, labels, node_of(NODE_BY_NAME)->name, after->label);
	fs_event(fs, TOUCH_CHANGED, FUSE_ROOT_ID, NULL, node_of(NODE_LATEST)->name);
}

static void tell_label(struct fs *fs, const struct job *job)
{
	if (job && job->label)
		notify_entry(fs->notify, node_ino(0, NODE_BY_NAME), job->label);
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void tell_names(struct fs *fs, const struct job *before, const struct job *after)
{
	char old[JOB_NAME_MAX], new[JOB_NAME_MAX];
	bool there = before && after;
	bool renamed = there && strcmp(job_name(before, old), job_name(after, new)) != 0;
	bool relabelled = there && !same(before->label, after->label);
	if (there && !renamed && !relabelled)
		return;
	fs_names_changed(fs);
	if (before && (renamed || !after))
		notify_entry(fs->notify, FUSE_ROOT_ID, job_name(before, old));
	if (renamed)
		notify_attr(fs->notify, node_ino(after->number, NODE_LABEL_LINK));
	if (!there || relabelled) {
		tell_label(fs, before);
		tell_label(fs, after);
	}
}

static void tell_output(struct fs *fs, const struct job *before, const struct job *after,
			unsigned index)
{
	if (!node_output_visible(before, index))
		return;
	if (!node_output_visible(after, index) ||
	    node_output_ino(before, index) != node_output_ino(after, index))
		notify_entry(fs->notify, node_ino(after->number, NODE_JOB),
			     before->outputs[index].name);
	else
		notify_attr(fs->notify, node_output_ino(after, index));
}

static void tell_files(struct fs *fs, const struct job *before, const struct job *after)
{
	uint64_t dir = node_ino(after->number, NODE_JOB);
	notify_attr(fs->notify, dir);
	for (const struct node *node = node_next(NODE_JOB, 0); node;
	     node = node_next(NODE_JOB, node->kind)) {
		if (node_visible(node, after))
			notify_attr(fs->notify, node_ino(after->number, node->kind));
		else if (before && node_visible(node, before))
			notify_entry(fs->notify, dir, node->name);
	}
	for (unsigned i = 0; before && i < before->output_count; i++)
		tell_output(fs, before, after, i);
}

/* It has appeared, or is on this disk as a whole now: a file manager draws it, which fetches
 * nothing. */
static void tell_watchers_of_output(struct fs *fs, const struct job *before,
				    const struct job *after, unsigned index)
{
	char dir[JOB_NAME_MAX];
	uint64_t ino = node_ino(after->number, NODE_JOB);
	const struct job_output *output = &after->outputs[index];
	if (!node_output_visible(after, index))
		return;
	if (!node_output_visible(before, index))
		fs_event(fs, TOUCH_FILE, ino, job_name(after, dir), output->name);
	else if (output->sha256 && !before->outputs[index].sha256)
		fs_event(fs, TOUCH_ATTRIB, ino, job_name(after, dir), output->name);
}

/* Outputs first: who hears of a change of status looks for them. */
static void tell_watchers(struct fs *fs, const struct job *before, const struct job *after)
{
	char dir[JOB_NAME_MAX];
	uint64_t ino = node_ino(after->number, NODE_JOB);
	job_name(after, dir);
	for (unsigned i = 0; i < after->output_count; i++)
		tell_watchers_of_output(fs, before, after, i);
	for (const struct node *node = node_next(NODE_JOB, 0); node;
	     node = node_next(NODE_JOB, node->kind))
		if (node_visible(node, after) && !node_visible(node, before))
			fs_event(fs, TOUCH_FILE, ino, dir, node->name);
	if (strcmp(job_word(before), job_word(after)) != 0)
		fs_event(fs, TOUCH_CHANGED, ino, dir, node_of(NODE_STATUS)->name);
	if (before->text_len[JOB_TEXT_LOG] != after->text_len[JOB_TEXT_LOG])
		fs_event(fs, TOUCH_CHANGED, ino, dir, node_of(NODE_LOG)->name);
}

/* The writer of a drop may be gone when its job is refused: new/NAME.error tells whoever looks. */
static void tell_drop(struct fs *fs, const struct job *job)
{
	struct draft *draft;
	for (uint64_t after = 0; (draft = draft_of_job(fs->drafts, job->number, after)) != NULL;
	     draft_put(draft)) {
		struct draft_info info;
		draft_info(draft, &info);
		after = info.number;
		if (fs_is_drop(info.parent))
			fs_tell_drop(fs, info.parent, info.name, job);
	}
}

static void tell_rows(struct fs *fs, const struct job *before, const struct job *after)
{
	for (const struct node *node = node_next(NODE_ROOT, 0); node;
	     node = node_next(NODE_ROOT, node->kind))
		if (node->flags & NODE_ROWS)
			fs->sizes[node->kind] += node_row_size(node, after) -
						 node_row_size(node, before);
}

static void tell_forgotten(struct fs *fs, const struct job *job)
{
	draft_unlink_all(fs->drafts, node_ino(job->number, NODE_JOB));
	fs_poll_wake(fs, job->number);
}

static void tell_change(struct fs *fs, const struct job *before, const struct job *after)
{
	tell_watchers(fs, before, after);
	if (after->state == before->state)
		return;
	tell_drop(fs, after);
	fs_tell_batch(fs, after);
}

void fs_job_changed(void *ctx, const struct job *before, const struct job *after)
{
	struct fs *fs = ctx;
	if (!fs->notify)
		return;
	tell_rows(fs, before, after);
	tell_names(fs, before, after);
	if (!after) {
		tell_forgotten(fs, before);
		return;
	}
	tell_files(fs, before, after);
	fs_poll_wake(fs, after->number);
	announce(fs, before, after);
	if (before)
		tell_change(fs, before, after);
}
