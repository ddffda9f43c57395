/*
 * engine_defaults - what every submission starts from
 *
 * The text is in the store, as it was written; what it means is kept here for the next submission.
 */
#include "engine_internal.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETTING "defaults.json"

/* Takes PARAMS over. */
static void show(struct engine *engine, struct params *params)
{
	struct params *before;

	pthread_mutex_lock(&engine->table_lock);
	before = engine->defaults;
	engine->defaults = params;
	pthread_mutex_unlock(&engine->table_lock);
	params_free(before);
}

int engine_load_defaults(struct engine *engine)
{
	char error[PARAMS_ERROR_MAX];
	struct params *params = NULL;
	char *text;
	int r = store_setting(engine->store, SETTING, &text);

	if (r < 0 || !text)
		return r;
	/* It was valid when it was taken: only another version of this program can find fault. */
	if (params_parse(text, strlen(text), &params, error) != PARAMS_OK)
		log_error("the defaults in the books are not used: %s", error);
	show(engine, params);
	free(text);
	return 0;
}

int engine_set_defaults(struct engine *engine, const char *text, const struct params *params)
{
	struct params *copy = params ? params_new() : NULL;
	int r = 0;

	if (engine->conf.read_only)
		r = -EROFS;
	else if (params && (!copy || params_merge(copy, params) < 0))
		r = -ENOMEM;
	pthread_mutex_lock(&engine->write);
	if (r == 0)
		r = store_set_setting(engine->store, SETTING, text);
	if (r == 0)
		show(engine, copy);
	pthread_mutex_unlock(&engine->write);
	if (r < 0)
		params_free(copy);
	return r;
}

int engine_defaults(struct engine *engine, char **text)
{
	return store_setting(engine->store, SETTING, text);
}

long engine_texture_size(struct engine *engine)
{
	long size;

	pthread_mutex_lock(&engine->table_lock);
	size = params_texture_size(engine->defaults);
	pthread_mutex_unlock(&engine->table_lock);
	return size;
}

int engine_apply_defaults(struct engine *engine, struct params *params)
{
	int r;

	pthread_mutex_lock(&engine->table_lock);
	r = engine->defaults ? params_fill(params, engine->defaults) : 0;
	pthread_mutex_unlock(&engine->table_lock);
	return r;
}
