/*
 * faulty_disk - a disk below the store that fails when a test wants it to
 *
 * It stands between SQLite's log and the system: full, failing to sync, or copied as it is in the
 * middle of a write, with or without what was not synced. And copies of directories, for drivers
 * that start from what a crash left.
 */
#ifndef FAULTY_DISK_H
#define FAULTY_DISK_H

#include "faulty_vfs.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_DIR_MAX 80

static const char *disk_at = "/tmp"; /* where the directory is made */
static char disk_dir[DISK_DIR_MAX];

static _Atomic int disk_full, disk_broken;
static sqlite3_int64 log_synced;     /* so much of the log has reached the disk for certain */
static int power_cut_in;             /* writes of the log until it is copied in one; 0: never */
static bool power_cut_loses;         /* then, and in crash(): what was not synced is lost */
static char power_cut[DISK_DIR_MAX]; /* the copy; empty: it has not happened */

static inline void copy_file(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	ck_assert(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		ck_assert_int_eq(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
}

/* The files of directory FROM in TO, which is made. */
static inline void copy_dir(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	struct dirent *entry;
	char a[400], b[400];

	ck_assert_ptr_nonnull(dir);
	ck_assert_int_eq(mkdir(to, 0700), 0);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(a, sizeof(a), "%s/%s", from, entry->d_name);
		snprintf(b, sizeof(b), "%s/%s", to, entry->d_name);
		copy_file(a, b);
	}
	closedir(dir);
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static inline void remove_dir(const char *path)
{
	ck_assert_int_eq(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The name of a copy of the disk, which is free: of two, one is in use. */
static inline void other_dir(char name[DISK_DIR_MAX])
{
	size_t len = strlen(disk_dir);
	bool copy = disk_dir[len - 1] == '+';

	snprintf(name, DISK_DIR_MAX, "%.*s%s", (int)(len - copy), disk_dir, copy ? "" : "+");
}

static inline sqlite3_int64 log_size(const char *dir)
{
	char path[400];
	struct stat st;

	snprintf(path, sizeof(path), "%s/jobs.db-wal", dir);
	return stat(path, &st) == 0 ? st.st_size : 0;
}

/* What was written and not synced is lost where the power fails; it is not where a driver is
 * killed. */
static inline void lose_unsynced(const char *dir)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/jobs.db-wal", dir);
	if (log_size(dir) > log_synced)
		ck_assert_int_eq(truncate(path, log_synced), 0);
}

static int faulty_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
	if (disk_full)
		return SQLITE_FULL;
	if (power_cut_in && --power_cut_in == 0) {
		real_methods->xWrite(file, data, len / 2, offset);
		other_dir(power_cut);
		copy_dir(disk_dir, power_cut);
		if (power_cut_loses)
			lose_unsynced(power_cut);
	}
	return real_methods->xWrite(file, data, len, offset);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
	if (disk_broken)
		return SQLITE_IOERR_FSYNC;
	real_methods->xFileSize(file, &log_synced);
	return real_methods->xSync(file, flags);
}

static inline void make_disk(void)
{
	faulty_register();
}

#endif
