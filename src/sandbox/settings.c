#include "settings.h"

#include "clock.h"

#include <pthread.h>
#include <string.h>

struct config config;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct settings initial, current;

static const char *const names[] = { "", "QUEUED", "PROCESSING", "COMPLETED", "FAILED", "ERROR" };

const char *state_name(enum state s)
{
	return names[s];
}

enum state state_parse(const char *word)
{
	for (int s = ST_QUEUED; word && s <= ST_ERROR; s++)
		if (!strcmp(names[s], word))
			return (enum state)s;
	return ST_NONE;
}

bool state_is_terminal(enum state s)
{
	return s >= ST_COMPLETED;
}

void settings_start(const struct settings *s)
{
	initial = *s;
	settings_set(s);
}

void settings_get(struct settings *out)
{
	pthread_mutex_lock(&lock);
	*out = current;
	pthread_mutex_unlock(&lock);
}

void settings_set(const struct settings *s)
{
	pthread_mutex_lock(&lock);
	current = *s;
	pthread_mutex_unlock(&lock);
}

void settings_reset(void)
{
	pthread_mutex_lock(&lock);
	int generation = current.generation, version = current.version;
	int64_t version_ms = current.version_ms;
	current = initial;
	current.generation = generation;
	current.version = version;
	current.version_ms = version_ms;
	pthread_mutex_unlock(&lock);
}

void settings_bump(void)
{
	pthread_mutex_lock(&lock);
	current.version++;
	current.version_ms = clock_ms();
	pthread_mutex_unlock(&lock);
}
