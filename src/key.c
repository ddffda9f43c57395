#include "key.h"

#include "log.h"
#include "secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(KEY_ERROR_MAX == SECRET_ERROR_MAX, "errors are passed on");

struct key {
	pthread_mutex_t lock; /* of all below */
	struct secret_file file;
	char value[KEY_MAX]; /* "": none yet */
};

/* Checks TEXT, with an end of line or without, and copies it to OUT. */
static bool take_value(const char *text, size_t len, char out[KEY_MAX])
{
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	if (len < 1 || len >= KEY_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

#define VARIABLE  "PIXAZO_API_KEY"
#define NOT_A_KEY "not one line of 1 to 511 visible ASCII characters"

static int read_file(struct key *key, char error[KEY_ERROR_MAX])
{
	char text[2 * KEY_MAX];
	int r = secret_file_read(&key->file, text, sizeof text, error);
	if (r == 0 && !take_value(text, strlen(text), key->value)) {
		snprintf(error, KEY_ERROR_MAX, "key file %.300s: " NOT_A_KEY, key->file.path);
		r = -EINVAL;
	}
	explicit_bzero(text, sizeof text);
	return r;
}

static struct key *key_new(char *path, mode_t refused)
{
	struct key *key = calloc(1, sizeof *key);
	if (!key) {
		free(path);
		return NULL;
	}
	pthread_mutex_init(&key->lock, NULL);
	key->file = (struct secret_file){ .what = "key file", .path = path, .refused = refused };
	return key;
}

struct key *key_fixed(const char *value)
{
	struct key *key = key_new(NULL, 0);
	if (key && !take_value(value, strlen(value), key->value)) {
		key_free(key);
		return NULL;
	}
	return key;
}

void key_free(struct key *key)
{
	if (!key)
		return;
	pthread_mutex_destroy(&key->lock);
	secret_file_release(&key->file);
	explicit_bzero(key, sizeof *key);
	free(key);
}

void key_clear_environment(void)
{
	char nothing[1];
	secret_take_variable(VARIABLE, nothing, sizeof nothing);
}

/* Reads the key file PATH (heap, taken over). As key_find(), but *OUT stays NULL unless 0. */
static int find_in_file(char *path, mode_t refused, struct key **out, char error[KEY_ERROR_MAX])
{
	struct key *key = path ? key_new(path, refused) : NULL;
	if (!key) {
		snprintf(error, KEY_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	int r = read_file(key, error);
	if (r)
		key_free(key);
	else
		*out = key;
	return r;
}

static int find_in_environment(const char *value, struct key **out, char error[KEY_ERROR_MAX])
{
	*out = key_fixed(value);
	if (*out)
		return 0;
	snprintf(error, KEY_ERROR_MAX, VARIABLE ": " NOT_A_KEY);
	return -EINVAL;
}

#define USUAL_PLACE ".config/pixal3dfs/key"

static int find_in_places(const char *home, struct key **out, char error[KEY_ERROR_MAX])
{
	const struct {
		const char *dir;
		const char *name;
		mode_t refused;
	} places[] = {
		/* systemd lets its user read by an ACL, whose mask shows as group bits */
		{ getenv("CREDENTIALS_DIRECTORY"), "pixal3d-key", 07 },
		{ home, USUAL_PLACE, 077 },
		{ home, ".pixazo/api-key", 077 },
	};
	int r = -ENOENT;
	for (size_t i = 0; r == -ENOENT && i < sizeof places / sizeof places[0]; i++)
		if (places[i].dir)
			r = find_in_file(secret_path(places[i].dir, places[i].name),
					 places[i].refused, out, error);
	if (r == -ENOENT)
		snprintf(error, KEY_ERROR_MAX,
			 "no key: set PIXAZO_API_KEY or key_file=, or write it to %.300s/%s",
			 home ? home : "~", USUAL_PLACE);
	return r;
}

int key_find(const char *key_file, const char *home, struct key **out, char error[KEY_ERROR_MAX])
{
	char value[2 * KEY_MAX];
	int r;
	*out = NULL;
	secret_take_variable(VARIABLE, value, sizeof value);
	if (key_file)
		r = find_in_file(strdup(key_file), 077, out, error);
	else if (value[0])
		r = find_in_environment(value, out, error);
	else
		r = find_in_places(home, out, error);
	explicit_bzero(value, sizeof value);
	if (r != -ENOENT)
		return r;
	/* a key that is put there later is found by key_read() */
	char *path = key_file ? strdup(key_file) : secret_path(home, USUAL_PLACE);
	*out = key_new(path, 077);
	return *out ? r : -ENOMEM;
}

int key_read(struct key *key, char out[KEY_MAX])
{
	char error[KEY_ERROR_MAX];
	pthread_mutex_lock(&key->lock);
	if (secret_file_changed(&key->file)) {
		if (read_file(key, error))
			log_warn("%s", error);
		else
			log_info("the key was read again");
	}
	memcpy(out, key->value, KEY_MAX);
	pthread_mutex_unlock(&key->lock);
	return out[0] ? 0 : -ENOKEY;
}
