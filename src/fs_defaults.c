/*
 * fs_defaults - defaults.json, the one file of the root that is written
 *
 * What is written takes effect as soon as it is a whole object of valid parameters, and is then
 * kept as it is. What is not valid is refused, told in defaults.json.error, and forgotten at the
 * last close: defaults.json always shows what is in force.
 */
#include "fs_internal.h"

#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *file_name(void)
{
	return node_of(NODE_DEFAULTS)->name;
}

bool fs_is_defaults(uint64_t parent, const char *name)
{
	return node_kind(parent) == NODE_ROOT && strcmp(name, file_name()) == 0;
}

/* PREFIX and six characters that mkstemp() drew. */
static bool is_drawn(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	if (strncmp(name, prefix, len) != 0 || strlen(name) != len + 6)
		return false;
	for (name += len; isalnum((unsigned char)*name) || *name == '_'; name++)
		;
	return !*name;
}

/* vim's probe; sed -i; perl -i; gio; and everybody's names with the file's own in them. */
bool fs_root_scratch(const char *name)
{
	return strcmp(name, "4913") == 0 || is_drawn(name, "sed") || is_drawn(name, "XX") ||
	       is_drawn(name, ".goutputstream-") || strstr(name, file_name()) != NULL;
}

/* The same content is looked at by write, flush and release: it is told of once. */
static void refuse(struct fs *fs, const struct fs_ask *ask, const char *text, int error)
{
	char *told = NULL, *before = draft_error(ask->draft, NULL);
	if (!before || strcmp(before, text) != 0) {
		log_info("%s: refused: %s", ask->name, text);
		draft_refuse(ask->draft, 0, text, error);
		if (asprintf(&told, "%s: %s\nThe defaults are as they were.", ask->name, text) > 0)
			fs_set_error_file(fs, FUSE_ROOT_ID, ask->name, told);
		free(told);
	}
	free(before);
	fs_answer(ask, error);
}

static bool in_force(struct fs *fs, const char *text)
{
	char *now = NULL;
	bool same = engine_defaults(fs->engine, &now) == 0 && now && strcmp(now, text) == 0;
	free(now);
	return same;
}

/* What belongs to one job alone. NULL: nothing. */
static const char *misplaced(const struct params *params)
{
	if (params_image_url(params))
		return "image_url: it belongs to a job, not to the defaults";
	if (params_has_seed(params))
		return "seed: every job would get the same one; without it each gets its own";
	return NULL;
}

static int set(struct fs *fs, const char *text, const struct params *params)
{
	if (in_force(fs, text))
		return 0;
	int r = engine_set_defaults(fs->engine, text, params);
	if (r)
		return r;
	char *warnings = params_warnings(params);
	if (warnings)
		log_warn("%s: %s", file_name(), warnings);
	free(warnings);
	fs->defaults_unlinked = false;
	fs->defaults_changed_ms = fs->conf.world.wall_ms(fs->conf.world.ctx);
	return 0;
}

static void take(struct fs *fs, const struct fs_ask *ask, const char *text,
		 const struct params *params)
{
	const char *why = misplaced(params);
	int r = why ? -EINVAL : set(fs, text, params);
	if (r) {
		char *told = why ? strdup(why) : fs_why_not(fs, NULL, -r);
		refuse(fs, ask, told ? told : strerror(-r), -r);
		free(told);
		return;
	}
	draft_refuse(ask->draft, 0, NULL, 0);
	fs_set_error_file(fs, FUSE_ROOT_ID, ask->name, NULL);
	fs_answer(ask, 0);
}

void fs_ask_defaults(struct fs *fs, const struct fs_ask *ask)
{
	char *text, error[PARAMS_ERROR_MAX];
	size_t len;
	struct params *params;
	int r = fs_draft_text(ask->draft, &text, &len);
	if (r) {
		fs_answer(ask, -r);
		return;
	}
	bool may_go_on = ask->moment == FS_ASK_WRITE || ask->moment == FS_ASK_CLOSE || len == 0;
	switch (params_parse(text, len, &params, error)) {
	case PARAMS_OK: take(fs, ask, text, params); break;
	case PARAMS_INVALID: refuse(fs, ask, error, EINVAL); break;
	case PARAMS_INCOMPLETE:
		if (may_go_on && ask->moment != FS_ASK_RENAME)
			fs_answer(ask, 0);
		else
			refuse(fs, ask, error, EINVAL);
		break;
	}
	params_free(params);
	free(text);
}

int fs_unlink_defaults(struct fs *fs)
{
	int r = engine_set_defaults(fs->engine, NULL, NULL);
	if (r)
		return r;
	fs->defaults_unlinked = true;
	fs->defaults_changed_ms = fs->conf.world.wall_ms(fs->conf.world.ctx);
	struct draft *draft = draft_find(fs->drafts, FUSE_ROOT_ID, file_name());
	if (draft)
		draft_unlink(draft);
	draft_put(draft);
	fs_set_error_file(fs, FUSE_ROOT_ID, file_name(), NULL);
	return 0;
}
