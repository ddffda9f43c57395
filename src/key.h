/*
 * key - the subscription key
 *
 * Role:    finds it, checks who else could read it, reads it again when its file changes. The key
 * is never logged. Threads: any thread may call key_read(). Sources, the first that exists (DESIGN
 * section 8): the file of `key_file=`; PIXAZO_API_KEY; $CREDENTIALS_DIRECTORY/pixal3d-key;
 *          ~/.config/pixal3dfs/key; ~/.pixazo/api-key.
 */
#ifndef KEY_H
#define KEY_H

#include <stddef.h>

#define KEY_MAX       512
#define KEY_ERROR_MAX 512

struct key;

/* Finds the key. KEY_FILE: the option's value or NULL. HOME: the user's home (mount(8) removes
 * HOME, so the caller asks the password database) or NULL. Takes PIXAZO_API_KEY out of the
 * process's environment, so that children and /proc do not show it. 0; -ENOENT: there is none (*OUT
 * is made all the same, and key_read gives -ENOKEY until KEY_FILE, else ~/.config/pixal3dfs/key,
 * appears; KEY_FILE missing is -ENOENT even when other sources exist: they may be of another
 * account); -EACCES: its group or others may use it; -EINVAL: not one line of 1 to 511 visible
 * ASCII characters; -ENOMEM. ERROR is a sentence for the person. */
int key_find(const char *key_file, const char *home, struct key **out, char error[KEY_ERROR_MAX]);

/* Takes PIXAZO_API_KEY out of the environment, where it is not wanted: as key_find() does. */
void key_clear_environment(void);

/* A key that needs no source: the sandbox's. NULL: no memory, or no key (as -EINVAL above). */
struct key *key_fixed(const char *value);
void key_free(struct key *key); /* wipes it */

/* The key now: read again when its file has changed; while the file cannot be used, the last good
 * one. 0, or -ENOKEY. */
int key_read(struct key *key, char out[KEY_MAX]);

#endif
