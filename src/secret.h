/*
 * secret - files and variables that hold secrets
 *
 * Role:    reads them, checks who else could, sees when a file has changed, and leaves nothing
 * behind. Nothing of what they hold is in an error or a log. Threads: the caller locks.
 */
#ifndef SECRET_H
#define SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define SECRET_ERROR_MAX 512

struct secret_file {
	const char *what; /* for the person: "key file" */
	char *path;       /* heap; NULL: there is none */
	mode_t refused;   /* permission bits that it must not have */
	struct stat seen; /* as it was when it was last looked at */
};

/* Up to SIZE - 1 bytes of it as a string. 0; -ENOENT; -EACCES: not readable, or readable by others;
 * -EINVAL: no regular file, empty, or longer. ERROR is a sentence for the person. */
int secret_file_read(struct secret_file *file, char *text, size_t size,
		     char error[SECRET_ERROR_MAX]);
/* Is it another one than when it was last looked at? It was, now. */
bool secret_file_changed(struct secret_file *file);
void secret_file_release(struct secret_file *file);

/* Copies the value of an environment variable, cut to SIZE - 1 bytes ("": it is not there), and
 * takes it out of the environment and of the memory that /proc shows. */
void secret_take_variable(const char *name, char *out, size_t size);

/* DIR/NAME. Heap; NULL: no memory, or DIR is NULL. */
char *secret_path(const char *dir, const char *name);

#endif
