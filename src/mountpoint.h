/*
 * mountpoint - is this directory free to be mounted on?
 *
 * Role:    looks before the mount, so that failures speak of the directory and not of FUSE; takes
 *          away the dead mounts that a killed driver of the same user has left there.
 * Threads: before any other thread. Blocks on the local filesystem.
 */
#ifndef MOUNTPOINT_H
#define MOUNTPOINT_H

#include <stdbool.h>

#define MOUNTPOINT_ERROR_MAX 512

/* Makes *PATH (heap, replaced) the directory's real name, free to be mounted on: an empty directory
 * on which nothing of ours is mounted. Only a dead mount is taken away, and only one of type
 * fuse.pixal3dfs by our own user; anything else, dead or alive, stays as it is. 0, or -errno with
 * ERROR for the person. */
int mountpoint_prepare(char **path, char error[MOUNTPOINT_ERROR_MAX]);

/* Is a pixal3dfs mounted on PATH, a real name, dead or alive? */
bool mountpoint_is_mounted(const char *path);

#endif
