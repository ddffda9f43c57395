#include "key.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct key {
	pthread_mutex_t lock; /* of all below; path never changes */
	char *path;           /* NULL: fixed */
	mode_t refused;       /* permission bits that the file must not have */
	struct stat seen;     /* the file when it was last read, well or not */
	char value[KEY_MAX];  /* "": none yet */
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

#define NOT_A_KEY "not one line of 1 to 511 visible ASCII characters"

/* Gives -errno and says why. */
static int read_open_file(int fd, struct key *key, char error[KEY_ERROR_MAX])
{
	char text[2 * KEY_MAX];
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(error, KEY_ERROR_MAX, "key file %.300s: not a regular file", key->path);
		return -EINVAL;
	}
	key->seen = st;
	if (st.st_mode & key->refused) {
		snprintf(error, KEY_ERROR_MAX,
			 "key file %.300s: others may use it (mode %04o), try chmod 600", key->path,
			 (unsigned)st.st_mode & 07777);
		return -EACCES;
	}
	ssize_t len = read(fd, text, sizeof text);
	bool good = len > 0 && take_value(text, (size_t)len, key->value);
	explicit_bzero(text, sizeof text);
	if (!good)
		snprintf(error, KEY_ERROR_MAX, "key file %.300s: " NOT_A_KEY, key->path);
	return good ? 0 : -EINVAL;
}

static int read_file(struct key *key, char error[KEY_ERROR_MAX])
{
	/* O_NONBLOCK: a FIFO must not hold the mount */
	int fd = open(key->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		int e = errno;
		char why[128];
		snprintf(error, KEY_ERROR_MAX, "key file %.300s: %s", key->path,
			 strerror_r(e, why, sizeof why));
		if (e == ENOENT || e == ENOTDIR)
			return -ENOENT;
		return e == EACCES || e == EPERM ? -EACCES : -EINVAL;
	}
	int r = read_open_file(fd, key, error);
	close(fd);
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
	key->path = path;
	key->refused = refused;
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
	free(key->path);
	explicit_bzero(key, sizeof *key);
	free(key);
}

void key_clear_environment(void)
{
	char *value = getenv("PIXAZO_API_KEY");
	if (value)
		explicit_bzero(value, strlen(value)); /* /proc shows the memory */
	unsetenv("PIXAZO_API_KEY");
}

static void take_environment(char out[2 * KEY_MAX])
{
	const char *value = getenv("PIXAZO_API_KEY");
	snprintf(out, 2 * KEY_MAX, "%s", value ? value : "");
	key_clear_environment();
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
	snprintf(error, KEY_ERROR_MAX, "PIXAZO_API_KEY: " NOT_A_KEY);
	return -EINVAL;
}

static char *join(const char *dir, const char *name)
{
	char *path;
	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
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
			r = find_in_file(join(places[i].dir, places[i].name), places[i].refused,
					 out, error);
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
	take_environment(value);
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
	char *path = key_file ? strdup(key_file) : home ? join(home, USUAL_PLACE) : NULL;
	*out = key_new(path, 077);
	return *out ? r : -ENOMEM;
}

static bool changed(const struct stat *a, const struct stat *b)
{
	return a->st_dev != b->st_dev || a->st_ino != b->st_ino || a->st_size != b->st_size ||
	       a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec ||
	       a->st_ctim.tv_sec != b->st_ctim.tv_sec || a->st_ctim.tv_nsec != b->st_ctim.tv_nsec;
}

int key_read(struct key *key, char out[KEY_MAX])
{
	char error[KEY_ERROR_MAX];
	struct stat st;
	pthread_mutex_lock(&key->lock);
	if (key->path && stat(key->path, &st) == 0 && changed(&st, &key->seen)) {
		key->seen = st;
		if (read_file(key, error))
			log_warn("%s", error);
		else
			log_info("the key was read again");
	}
	memcpy(out, key->value, KEY_MAX);
	pthread_mutex_unlock(&key->lock);
	return out[0] ? 0 : -ENOKEY;
}
