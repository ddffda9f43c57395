#include "mountpoint.h"

#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define TYPE      "fuse.pixal3dfs"
#define DEAD_MAX  16 /* stacked on one directory */
#define ENTRY_MAX 8192

/* What is mounted on a directory; topmost when there are several. */
struct mounted {
	char type[64]; /* "": nothing */
	char source[256];
	bool own; /* by our user */
};

static int say(int r, char error[MOUNTPOINT_ERROR_MAX], const char *path, const char *what)
{
	snprintf(error, MOUNTPOINT_ERROR_MAX, "%.300s: %s", path, what);
	return r;
}

static bool is_own(const struct mntent *entry)
{
	const char *option = hasmntopt(entry, "user_id");
	const char *value = option ? strchr(option, '=') : NULL;
	return value && strtoul(value + 1, NULL, 10) == geteuid();
}

static struct mounted look(const char *path)
{
	struct mounted mounted = { 0 };
	struct mntent entry;
	char text[ENTRY_MAX];
	FILE *table = setmntent("/proc/self/mounts", "re");
	while (table && getmntent_r(table, &entry, text, sizeof(text))) {
		if (strcmp(entry.mnt_dir, path) != 0)
			continue;
		mounted.own = is_own(&entry);
		snprintf(mounted.type, sizeof(mounted.type), "%s", entry.mnt_type);
		snprintf(mounted.source, sizeof(mounted.source), "%s", entry.mnt_fsname);
	}
	if (table)
		endmntent(table);
	return mounted;
}

bool mountpoint_is_mounted(const char *path)
{
	return strcmp(look(path).type, TYPE) == 0;
}

/* Without root only fusermount3 may. */
static int detach(const char *path)
{
	const char *const argv[] = { "fusermount3", "-u", "-z", "-q", path, NULL };
	pid_t child;
	int status;
	if (geteuid() == 0)
		return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) ? -errno : 0;
	int r = posix_spawnp(&child, argv[0], NULL, NULL, (char **)argv, environ);
	if (r)
		return -r;
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -EPERM;
}

/* The kernel says ENOTCONN when nobody has the device of the mount open any more: it is dead for
 * good. A driver that only hangs does not give it. */
static bool is_dead(const char *path)
{
	struct statfs st; /* stat would be answered from the kernel's cache */
	return statfs(path, &st) && errno == ENOTCONN;
}

static int take_away(const char *path, char error[MOUNTPOINT_ERROR_MAX])
{
	struct mounted mounted = look(path);
	if (strcmp(mounted.type, TYPE) != 0 || !mounted.own)
		return say(-ENOTCONN, error, path,
			   "a mount whose server has died is there, and it is not ours to take "
			   "away; umount it first");
	int r = detach(path);
	if (r)
		return say(r, error, path,
			   "a dead mount of an earlier pixal3dfs is there, and could not be taken "
			   "away: umount -l it");
	log_warn("%s: took away the mount of %s, whose driver had died", path, mounted.source);
	return 0;
}

static int check_empty(const char *path, char error[MOUNTPOINT_ERROR_MAX])
{
	DIR *dir = opendir(path);
	int entries = 0;
	if (!dir)
		return say(-errno, error, path, strerror(errno));
	while (entries < 3 && readdir(dir))
		entries++;
	closedir(dir);
	return entries < 3 ? 0
			   : say(-ENOTEMPTY, error, path, "not empty, its files would be hidden");
}

/* A slash at the end makes the kernel look into the directory, which a dead mount refuses. */
static void cut_slashes(char *path)
{
	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = '\0';
}

int mountpoint_prepare(char **path, char error[MOUNTPOINT_ERROR_MAX])
{
	cut_slashes(*path);
	char *real = realpath(*path, NULL);
	if (!real)
		return say(-errno, error, *path, strerror(errno));
	free(*path);
	*path = real;
	for (int i = 0; i < DEAD_MAX && is_dead(real); i++) {
		int r = take_away(real, error);
		if (r)
			return r;
	}
	if (mountpoint_is_mounted(real))
		return say(-EBUSY, error, real, "pixal3dfs is mounted there already");
	return check_empty(real, error);
}
