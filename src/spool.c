/*
 * spool - see spool.h
 *
 * State: sealed files are in a tree by their names, so that equal ones are found. Files are opened
 *        for each access: hundreds may be known, and few are used at a time.
 * Invariant: a name of the tree is on disk; both change under the lock, and files are opened under
 *        it, so that no one finds what is being renamed or removed.
 */
#include "spool.h"

#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (128 * 1024)

struct spool {
	char *path;
	int dir; /* -1: it is not there yet; set under the lock */
	pthread_mutex_t lock;
	void *sealed; /* of tsearch(3) */
	uint64_t created;
};

struct spool_file {
	struct spool *spool;
	unsigned refs; /* under the lock */
	bool sealed;   /* under the lock; it is in the tree */
	bool durable;  /* and its name is on disk; under the lock */
	char name[SPOOL_NAME_MAX];
};

static int by_name(const void *a, const void *b)
{
	const struct spool_file *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int open_dir(struct spool *spool)
{
	spool->dir = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return spool->dir < 0 ? -errno : 0;
}

static int make_dir_locked(struct spool *spool)
{
	if (spool->dir >= 0)
		return 0;
	return mkdir(spool->path, 0700) && errno != EEXIST ? -errno : open_dir(spool);
}

int spool_open(const char *dir, struct spool **out)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	int r = 0;

	if (!spool)
		return -ENOMEM;
	pthread_mutex_init(&spool->lock, NULL);
	spool->dir = -1;
	spool->path = strdup(dir);
	if (!spool->path)
		r = -ENOMEM;
	else
		r = open_dir(spool);
	if (r == -ENOENT)
		r = 0;
	if (r == 0)
		*out = spool;
	else
		spool_close(spool);
	return r;
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	tdestroy(spool->sealed, free);
	if (spool->dir >= 0)
		close(spool->dir);
	pthread_mutex_destroy(&spool->lock);
	free(spool->path);
	free(spool);
}

static struct spool_file *file_new(struct spool *spool)
{
	struct spool_file *file = calloc(1, sizeof(*file));

	if (file) {
		file->spool = spool;
		file->refs = 1;
	}
	return file;
}

int spool_create(struct spool *spool, struct spool_file **out)
{
	struct spool_file *file = file_new(spool);
	int fd = -1, r;

	if (!file)
		return -ENOMEM;
	pthread_mutex_lock(&spool->lock);
	r = make_dir_locked(spool);
	snprintf(file->name, sizeof(file->name), "new-%llu", (unsigned long long)++spool->created);
	if (r == 0)
		fd = openat(spool->dir, file->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (r == 0 && fd < 0)
		r = -errno;
	pthread_mutex_unlock(&spool->lock);
	if (r < 0) {
		free(file);
		return r;
	}
	close(fd);
	*out = file;
	return 0;
}

static struct spool_file *find_locked(struct spool *spool, const struct spool_file *key)
{
	struct spool_file **found = tfind(key, &spool->sealed, by_name);

	if (!found)
		return NULL;
	(*found)->refs++;
	return *found;
}

/* Takes FILE into the tree. 0 or -ENOMEM. */
static int add_locked(struct spool *spool, struct spool_file *file)
{
	file->sealed = true;
	if (tsearch(file, &spool->sealed, by_name))
		return 0;
	file->sealed = false;
	return -ENOMEM;
}

int spool_find(struct spool *spool, const char *name, struct spool_file **out)
{
	struct spool_file *file = file_new(spool);
	int r = 0;

	if (!file)
		return -ENOMEM;
	snprintf(file->name, sizeof(file->name), "%s", name);
	pthread_mutex_lock(&spool->lock);
	*out = find_locked(spool, file);
	if (!*out && spool->dir < 0)
		r = -ENOENT;
	else if (!*out && faccessat(spool->dir, file->name, F_OK, 0))
		r = -errno;
	else if (!*out && (r = add_locked(spool, file)) == 0)
		*out = file;
	pthread_mutex_unlock(&spool->lock);
	if (*out != file)
		free(file);
	return r;
}

struct spool_file *spool_ref(struct spool_file *file)
{
	pthread_mutex_lock(&file->spool->lock);
	file->refs++;
	pthread_mutex_unlock(&file->spool->lock);
	return file;
}

void spool_put(struct spool_file *file)
{
	struct spool *spool = file ? file->spool : NULL;
	bool last;

	if (!file)
		return;
	pthread_mutex_lock(&spool->lock);
	last = --file->refs == 0;
	if (last && file->sealed)
		tdelete(file, &spool->sealed, by_name);
	if (last)
		unlinkat(spool->dir, file->name, 0);
	pthread_mutex_unlock(&spool->lock);
	if (last)
		free(file);
}

static int open_file(const struct spool_file *file, int flags)
{
	int fd, r;

	pthread_mutex_lock(&file->spool->lock);
	fd = openat(file->spool->dir, file->name, flags | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? -errno : fd;
	pthread_mutex_unlock(&file->spool->lock);
	return r;
}

static ssize_t read_fully(int fd, uint64_t offset, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)buf + done, size - done, (off_t)(offset + done));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

static int write_fully(int fd, uint64_t offset, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(fd, (const char *)data + done, size - done,
				   (off_t)(offset + done));
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

ssize_t spool_read(const struct spool_file *file, uint64_t offset, void *buf, size_t size)
{
	int fd = open_file(file, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read_fully(fd, offset, buf, size);
	close(fd);
	return n;
}

int spool_write(struct spool_file *file, uint64_t offset, const void *data, size_t size)
{
	int fd = spool_name(file) ? -EROFS : open_file(file, O_WRONLY), r;

	if (fd < 0)
		return fd;
	r = write_fully(fd, offset, data, size);
	close(fd);
	return r;
}

int spool_truncate(struct spool_file *file, uint64_t size)
{
	int fd = spool_name(file) ? -EROFS : open_file(file, O_WRONLY), r;

	if (fd < 0)
		return fd;
	r = ftruncate(fd, (off_t)size) ? -errno : 0;
	close(fd);
	return r;
}

/* Gives EACH every piece of FILE. 0 or -errno, also of EACH. */
static int each_piece(const struct spool_file *file,
		      int (*each)(void *arg, uint64_t offset, const void *data, size_t len),
		      void *arg)
{
	char *buf = malloc(PIECE);
	int fd = buf ? open_file(file, O_RDONLY) : -ENOMEM, r = fd < 0 ? fd : 0;
	ssize_t n = 1;

	for (uint64_t offset = 0; r == 0 && n > 0; offset += (uint64_t)n) {
		n = read_fully(fd, offset, buf, PIECE);
		r = n < 0 ? (int)n : n > 0 ? each(arg, offset, buf, (size_t)n) : 0;
	}
	if (fd >= 0)
		close(fd);
	free(buf);
	return r;
}

static int copy_piece(void *arg, uint64_t offset, const void *data, size_t len)
{
	return spool_write(arg, offset, data, len);
}

int spool_copy(const struct spool_file *file, struct spool_file **out)
{
	struct spool_file *copy;
	int r = spool_create(file->spool, &copy);

	if (r < 0)
		return r;
	r = each_piece(file, copy_piece, copy);
	if (r < 0)
		spool_put(copy);
	else
		*out = copy;
	return r;
}

static int digest_piece(void *arg, uint64_t offset, const void *data, size_t len)
{
	(void)offset;
	return EVP_DigestUpdate(arg, data, len) ? 0 : -EIO;
}

static int digest(const struct spool_file *file, char text[SPOOL_SHA256 + 1])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ? 0 : -ENOMEM;

	if (r == 0)
		r = each_piece(file, digest_piece, ctx);
	if (r == 0 && !EVP_DigestFinal_ex(ctx, sum, &len))
		r = -EIO;
	EVP_MD_CTX_free(ctx);
	for (unsigned i = 0; r == 0 && i < len; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", sum[i]);
	return r;
}

static int sync_file(const struct spool_file *file)
{
	int fd = open_file(file, O_WRONLY), r;

	if (fd < 0)
		return fd;
	r = fdatasync(fd) ? -errno : 0;
	close(fd);
	return r;
}

/* *FILE is called NAME from now on, unless there is one: *FILE is that one then. */
static int name_locked(struct spool *spool, struct spool_file **file, const char *name)
{
	struct spool_file key = { 0 }, *known;

	strcpy(key.name, name);
	known = find_locked(spool, &key);
	if (known) {
		*file = known;
		return 0;
	}
	if (renameat(spool->dir, (*file)->name, spool->dir, name))
		return -errno;
	strcpy((*file)->name, name);
	return add_locked(spool, *file);
}

static int make_durable(struct spool_file *file)
{
	struct spool *spool = file->spool;
	int r = fsync(spool->dir) ? -errno : 0;

	pthread_mutex_lock(&spool->lock);
	file->durable |= r == 0;
	pthread_mutex_unlock(&spool->lock);
	return r;
}

int spool_seal(struct spool_file **file, const char *extension)
{
	struct spool_file *mine = *file;
	struct spool *spool = mine->spool;
	char name[SPOOL_NAME_MAX];
	bool durable;
	bool sealed = spool_name(mine) != NULL;
	int r = sealed ? 0 : digest(mine, name);

	if (r == 0 && !sealed)
		r = sync_file(mine);
	if (r < 0)
		return r;
	pthread_mutex_lock(&spool->lock);
	if (!sealed) {
		snprintf(name + SPOOL_SHA256, sizeof(name) - SPOOL_SHA256, ".%s", extension);
		r = name_locked(spool, file, name);
	}
	durable = (*file)->durable;
	pthread_mutex_unlock(&spool->lock);
	if (*file != mine)
		spool_put(mine);
	return r < 0 || durable ? r : make_durable(*file);
}

const char *spool_name(const struct spool_file *file)
{
	pthread_mutex_lock(&file->spool->lock);
	const char *name = file->sealed ? file->name : NULL;
	pthread_mutex_unlock(&file->spool->lock);
	return name;
}

void spool_path(const struct spool_file *file, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", file->spool->path, file->name);
}

int spool_size(const struct spool_file *file, uint64_t *size)
{
	struct stat st;

	if (fstatat(file->spool->dir, file->name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

static void sweep_name(struct spool *spool, const char *name)
{
	struct spool_file key = { 0 };

	if (name[0] == '.' || strlen(name) >= sizeof(key.name))
		return;
	strcpy(key.name, name);
	pthread_mutex_lock(&spool->lock);
	if (!tfind(&key, &spool->sealed, by_name) && unlinkat(spool->dir, name, 0) == 0)
		log_info("%s/%s: removed, no job needs it", spool->path, name);
	pthread_mutex_unlock(&spool->lock);
}

int spool_sweep(struct spool *spool)
{
	DIR *dir = opendir(spool->path);
	const struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir)) != NULL)
		sweep_name(spool, entry->d_name);
	closedir(dir);
	return 0;
}
