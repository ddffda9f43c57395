/* faulty_vfs - a place between SQLite's log and the system, for the tests whose disk has faults */
#ifndef FAULTY_VFS_H
#define FAULTY_VFS_H

#include <check.h>
#include <sqlite3.h>

/* What the test does to a write and a sync of the log; the real ones are real_methods'. */
static int faulty_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at);
static int faulty_sync(sqlite3_file *file, int flags);

static sqlite3_vfs faulty, *real;
static sqlite3_io_methods methods;
static const sqlite3_io_methods *real_methods;

static inline int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
			      int *out)
{
	int rc = real->xOpen(real, name, file, flags, out);

	(void)vfs;
	if (rc != SQLITE_OK || !(flags & SQLITE_OPEN_WAL))
		return rc;
	if (!real_methods) {
		real_methods = file->pMethods;
		methods = *real_methods;
		methods.xWrite = faulty_write;
		methods.xSync = faulty_sync;
	}
	file->pMethods = &methods;
	return rc;
}

/* Every store that is opened from now on is on the faulty disk. Once is enough. */
static inline void faulty_register(void)
{
	if (real)
		return;
	real = sqlite3_vfs_find(NULL);
	faulty = *real;
	faulty.zName = "faulty";
	faulty.xOpen = faulty_open;
	ck_assert_int_eq(sqlite3_vfs_register(&faulty, 1), SQLITE_OK);
}

#endif
