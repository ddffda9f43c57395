#include "secret.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Gives -errno and says why. */
static int read_open_file(int fd, struct secret_file *file, char *text, size_t size,
			  char error[SECRET_ERROR_MAX])
{
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(error, SECRET_ERROR_MAX, "%s %.300s: not a regular file", file->what,
			 file->path);
		return -EINVAL;
	}
	file->seen = st;
	if (st.st_mode & file->refused) {
		snprintf(error, SECRET_ERROR_MAX,
			 "%s %.300s: others may use it (mode %04o), try chmod 600", file->what,
			 file->path, (unsigned)st.st_mode & 07777);
		return -EACCES;
	}
	ssize_t len = read(fd, text, size);
	if (len > 0 && (size_t)len < size && !memchr(text, '\0', (size_t)len)) {
		text[len] = '\0';
		return 0;
	}
	snprintf(error, SECRET_ERROR_MAX, "%s %.300s: not a text of 1 to %zu bytes", file->what,
		 file->path, size - 1);
	return -EINVAL;
}

int secret_file_read(struct secret_file *file, char *text, size_t size,
		     char error[SECRET_ERROR_MAX])
{
	/* O_NONBLOCK: a FIFO must not hold the mount */
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		int e = errno;
		char why[128];
		snprintf(error, SECRET_ERROR_MAX, "%s %.300s: %s", file->what, file->path,
			 strerror_r(e, why, sizeof why));
		if (e == ENOENT || e == ENOTDIR)
			return -ENOENT;
		return e == EACCES || e == EPERM ? -EACCES : -EINVAL;
	}
	int r = read_open_file(fd, file, text, size, error);
	close(fd);
	return r;
}

static bool differ(const struct stat *a, const struct stat *b)
{
	return a->st_dev != b->st_dev || a->st_ino != b->st_ino || a->st_size != b->st_size ||
	       a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec ||
	       a->st_ctim.tv_sec != b->st_ctim.tv_sec || a->st_ctim.tv_nsec != b->st_ctim.tv_nsec;
}

bool secret_file_changed(struct secret_file *file)
{
	struct stat st;
	if (!file->path || stat(file->path, &st) < 0 || !differ(&st, &file->seen))
		return false;
	file->seen = st;
	return true;
}

void secret_file_release(struct secret_file *file)
{
	free(file->path);
	file->path = NULL;
}

void secret_take_variable(const char *name, char *out, size_t size)
{
	char *value = getenv(name);
	snprintf(out, size, "%s", value ? value : "");
	if (value)
		explicit_bzero(value, strlen(value)); /* /proc shows the memory */
	unsetenv(name);
}

char *secret_path(const char *dir, const char *name)
{
	return dir ? text_format("%s/%s", dir, name) : NULL;
}
