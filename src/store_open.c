/*
 * store_open - finding, checking and making the books
 *
 * In the state directory:
 *   lock      held with flock while a driver runs; "PID MOUNTPOINT\n" for the next one's message
 *   jobs.db   the books; jobs.db-wal and -shm beside it while they are open
 *
 * A file that we do not know is left exactly as it is: nothing is written, not even a checkpoint,
 * before it was recognised. A write-ahead log that is still there says that the last driver did not
 * close the books; only then is the whole file checked, which takes time with many jobs.
 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A person's sqlite3 shell may hold the file for a moment. */
#define BUSY_MS 5000

/* What each format has over the one before it. A new store is made by all of them, an older one is
 * brought up to date by those that it lacks; so what stands here is never changed, only added to.
 */
static const char *const formats[STORE_FORMAT] = {
	"CREATE TABLE job ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" name TEXT, label TEXT, state TEXT NOT NULL, word TEXT, request_id TEXT, polling_url TEXT,"
	" error TEXT, error_errno INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	" failures INTEGER NOT NULL, created_ms INTEGER NOT NULL, submitted_ms INTEGER NOT NULL,"
	" changed_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, retry_at_ms INTEGER NOT NULL,"
	" hidden INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,"
	" mode INTEGER NOT NULL, output_unreachable INTEGER NOT NULL) STRICT;"
	"CREATE TABLE output ("
	" number INTEGER, position INTEGER, url TEXT, name TEXT, media_type TEXT, etag TEXT,"
	" size INTEGER NOT NULL, mtime_ms INTEGER NOT NULL,"
	" PRIMARY KEY (number, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE text ("
	" number INTEGER, which INTEGER, body BLOB NOT NULL,"
	" PRIMARY KEY (number, which)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE log ("
	" number INTEGER, position INTEGER, line BLOB NOT NULL,"
	" PRIMARY KEY (number, position)) STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = " STORE_TEXT(STORE_APPLICATION) ";",

	"ALTER TABLE job ADD COLUMN origin TEXT;"
	"ALTER TABLE job ADD COLUMN warning TEXT;"
	"CREATE UNIQUE INDEX job_origin ON job (origin) WHERE origin IS NOT NULL;"
	"CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;",

	/* The formats before recorded no prices: they are estimated by the price list of its time.
	 */
	"ALTER TABLE job ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN price INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN earlier INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE charge ("
	" number INTEGER, attempt INTEGER, at_ms INTEGER NOT NULL, state TEXT NOT NULL,"
	" micros INTEGER NOT NULL, PRIMARY KEY (number, attempt)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX charge_time ON charge (at_ms, state, micros);"
	"UPDATE job SET price = 420000 WHERE attempts > 0;"
	"UPDATE job SET price = 300000 WHERE attempts > 0 AND number IN ("
	" SELECT number FROM text WHERE which = 0"
	" AND CAST(body AS TEXT) LIKE '%\"texture_size\": 1024%');"
	"INSERT INTO charge SELECT number, attempts,"
	" CASE submitted_ms WHEN 0 THEN created_ms ELSE submitted_ms END, state,"
	" CASE WHEN state IN ('REFUSED', 'ERROR') THEN 0 ELSE price END"
	" FROM job WHERE attempts > 0;",

	"ALTER TABLE job ADD COLUMN token TEXT;"
	"ALTER TABLE job ADD COLUMN claim TEXT;",

	"ALTER TABLE job ADD COLUMN params_len INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN status_len INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN log_len INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN image_url TEXT;"
	"ALTER TABLE job ADD COLUMN texture_size INTEGER NOT NULL DEFAULT 0;"
	"UPDATE job SET"
	" params_len = ifnull((SELECT length(body) FROM text"
	"  WHERE text.number = job.number AND which = 0), 0),"
	" status_len = ifnull((SELECT length(body) FROM text"
	"  WHERE text.number = job.number AND which = 2), 0),"
	" log_len = ifnull((SELECT sum(length(line)) FROM log"
	"  WHERE log.number = job.number), 0);"
	"UPDATE job SET (image_url, texture_size) ="
	" (SELECT json_extract(CAST(body AS TEXT), '$.image_url'),"
	"  ifnull(CAST(json_extract(CAST(body AS TEXT), '$.texture_size') AS INTEGER), 0)"
	"  FROM text WHERE text.number = job.number AND which = 0)"
	" WHERE number IN (SELECT number FROM text WHERE which = 0"
	"  AND json_valid(CAST(body AS TEXT)));",

	"ALTER TABLE output ADD COLUMN sha256 TEXT;",

	"ALTER TABLE job ADD COLUMN image TEXT;"
	"CREATE TABLE image (name TEXT, place TEXT, url TEXT NOT NULL, expires_ms INTEGER NOT NULL,"
	" receipt TEXT, PRIMARY KEY (name, place)) STRICT, WITHOUT ROWID;",
};

/* What the system said about the disk, where it is one of the errors that SQLite can have met. */
static int disk_errno(sqlite3 *db)
{
	switch (sqlite3_system_errno(db)) {
	case ENOSPC:
	case EDQUOT: return -ENOSPC; /* -EDQUOT is about money */
	case EFBIG: return -EFBIG;
	case EROFS: return -EROFS;
	case EACCES: return -EACCES;
	case EMFILE: return -EMFILE;
	case ENFILE: return -ENFILE;
	case ENOMEM: return -ENOMEM;
	default: return -EIO;
	}
}

int store_errno(sqlite3 *db, int rc)
{
	if (rc == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	switch (rc & 0xff) {
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_TOOBIG: return -EFBIG;
	case SQLITE_CONSTRAINT: return -EEXIST;
	case SQLITE_PERM: return -EACCES;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN: return db ? disk_errno(db) : -EIO;
	default: return -EIO;
	}
}

struct opening {
	struct store *store;
	char path[PATH_MAX]; /* of jobs.db */
	bool clean;          /* the last driver closed the books */
	int format;          /* of jobs.db; 0: an empty file */
	char *error;
};

__attribute__((format(printf, 3, 4))) static int fail(struct opening *opening, int r,
						      const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(opening->error, STORE_ERROR_MAX, fmt, args);
	va_end(args);
	return r;
}

static int fail_sqlite(struct opening *opening, int rc)
{
	sqlite3 *db = opening->store->writer.handle;
	int r = store_errno(db, rc);

	if (r == -EUCLEAN)
		return fail(opening, r, "%s is damaged, or is no store of pixal3dfs (%s)",
			    opening->path, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	return fail(opening, r, "%s: %s: %s", opening->path,
		    db ? sqlite3_errmsg(db) : sqlite3_errstr(rc), strerror(-r));
}

/* As mkdir -p: ~/.local/state need not be there on a new account. */
static int make_dir(struct opening *opening, const char *dir)
{
	char path[PATH_MAX];

	int len = snprintf(path, sizeof(path), "%s", dir);

	if (len <= 0 || (size_t)len + sizeof("/jobs.db-wal") > sizeof(path))
		return fail(opening, -EINVAL, "\"%s\" cannot be a state directory", dir);
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return fail(opening, -errno, "cannot make the state directory %s: %s", path,
				    strerror(errno));
		*p = c;
		if (c == '\0')
			return 0;
	}
}

struct holder {
	int pid;
	char mountpoint[PATH_MAX];
};

static bool read_holder(int fd, struct holder *holder)
{
	char text[PATH_MAX + 32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	return n > 0 && sscanf(text, "%d %4095[^\n]", &holder->pid, holder->mountpoint) == 2;
}

static int fail_locked(struct opening *opening, const char *dir, int fd)
{
	struct holder holder;
	if (read_holder(fd, &holder))
		return fail(opening, -EBUSY, "%s is in use by process %d, mounted on %s", dir,
			    holder.pid, holder.mountpoint);
	return fail(opening, -EBUSY, "%s is in use by another process", dir);
}

char *store_mountpoint(const char *dir)
{
	char path[PATH_MAX + sizeof("/lock")];
	struct holder holder;
	snprintf(path, sizeof(path), "%s/lock", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool known = fd >= 0 && read_holder(fd, &holder);
	if (fd >= 0)
		close(fd);
	return known ? strdup(holder.mountpoint) : NULL;
}

static int lock_dir(struct opening *opening, const char *dir, const char *mountpoint)
{
	char path[PATH_MAX + sizeof("/lock")];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(opening, -errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		int r = errno == EWOULDBLOCK
				? fail_locked(opening, dir, fd)
				: fail(opening, -errno, "%s: %s", path, strerror(errno));
		close(fd);
		return r;
	}
	opening->store->lock_fd = fd;
	/* Only words for a message: a full disk must not forbid reading the books. */
	if (ftruncate(fd, 0) == 0)
		dprintf(fd, "%d %s\n", (int)getpid(), mountpoint ? mountpoint : "nowhere");
	return 0;
}

/* SQLite would take an empty file beside a log for a new store and delete the log. */
static int check_files(struct opening *opening, const char *dir)
{
	char log[PATH_MAX + sizeof("-wal")];
	struct stat main = { .st_size = 0 }, wal = { .st_size = 0 };
	int fd;

	snprintf(opening->path, sizeof(opening->path), "%s/jobs.db", dir);
	snprintf(log, sizeof(log), "%s-wal", opening->path);
	if (stat(opening->path, &main) && errno != ENOENT)
		return fail(opening, -errno, "%s: %s", opening->path, strerror(errno));
	if (stat(log, &wal) && errno != ENOENT)
		return fail(opening, -errno, "%s: %s", log, strerror(errno));
	opening->clean = wal.st_size == 0;
	if (main.st_size == 0 && wal.st_size > 0)
		return fail(opening, -EUCLEAN, "%s is gone, but its log %s is there", opening->path,
			    log);
	/* Made here for its permissions: it holds signed URLs. */
	fd = open(opening->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(opening, -errno, "%s: %s", opening->path, strerror(errno));
	close(fd);
	return 0;
}

static int open_db(struct opening *opening, struct store_db *db)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(opening->path, &db->handle, flags, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(db->handle, BUSY_MS);
	return rc == SQLITE_OK ? 0 : fail_sqlite(opening, rc);
}

static int exec(struct opening *opening, struct store_db *db, const char *sql)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail_sqlite(opening, rc);
}

/* The one value that SQL gives, as text. */
static int ask(struct opening *opening, const char *sql, char out[64])
{
	sqlite3 *db = opening->store->writer.handle;
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	int r = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(stmt, 0);

		snprintf(out, 64, "%s", text ? (const char *)text : "");
	} else {
		r = fail_sqlite(opening, rc);
	}
	sqlite3_finalize(stmt);
	return r;
}

static int recognise(struct opening *opening)
{
	char id[64], version[64], tables[64];
	int r = ask(opening, "PRAGMA application_id", id);

	if (!r)
		r = ask(opening, "PRAGMA user_version", version);
	if (!r)
		r = ask(opening, "SELECT count(*) FROM sqlite_schema", tables);
	if (r)
		return r;
	if (!strcmp(id, "0") && !strcmp(version, "0") && !strcmp(tables, "0"))
		return 0;
	if (atoi(id) != STORE_APPLICATION || atoi(version) < 1)
		return fail(opening, -EUCLEAN, "%s is another program's database", opening->path);
	if (atoi(version) > STORE_FORMAT)
		return fail(opening, -EPROTONOSUPPORT,
			    "%s was written by a newer pixal3dfs (format %s, this one knows %d)",
			    opening->path, version, STORE_FORMAT);
	opening->format = atoi(version);
	return 0;
}

static int check_whole(struct opening *opening)
{
	char answer[64];
	int r;

	if (opening->clean)
		return 0;
	r = ask(opening, "PRAGMA quick_check(1)", answer);
	if (!r && strcmp(answer, "ok"))
		r = fail(opening, -EUCLEAN, "%s is damaged (%s); restore it from a copy",
			 opening->path, answer);
	return r;
}

static int set_up(struct opening *opening)
{
	char mode[64];
	int r = ask(opening, "PRAGMA journal_mode = WAL", mode);

	if (!r && strcmp(mode, "wal"))
		r = fail(opening, -EOPNOTSUPP, "%s: a local filesystem is needed", opening->path);
	if (!r)
		r = exec(opening, &opening->store->writer,
			 "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;");
	return r;
}

/* Each step is one transaction: a crash between two leaves a format that is known. */
static int bring_up_to_date(struct opening *opening)
{
	int r = 0;

	for (int format = opening->format; !r && format < STORE_FORMAT; format++) {
		char version[64];

		snprintf(version, sizeof(version), "PRAGMA user_version = %d; COMMIT", format + 1);
		r = exec(opening, &opening->store->writer, "BEGIN IMMEDIATE");
		if (!r)
			r = exec(opening, &opening->store->writer, formats[format]);
		if (!r)
			r = exec(opening, &opening->store->writer, version);
	}
	return r;
}

static int open_writer(struct opening *opening)
{
	struct store_db *writer = &opening->store->writer;
	int r = open_db(opening, writer);

	if (r)
		return r;
	sqlite3_db_config(writer->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	r = recognise(opening);
	if (!r)
		r = check_whole(opening);
	if (!r && sqlite3_db_readonly(writer->handle, "main"))
		r = fail(opening, -EROFS, "%s: %s", opening->path, strerror(EROFS));
	if (!r)
		r = set_up(opening);
	if (!r)
		r = bring_up_to_date(opening);
	if (!r)
		sqlite3_db_config(writer->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return r;
}

static int open_reader(struct opening *opening)
{
	int r = open_db(opening, &opening->store->reader);

	return r ? r : exec(opening, &opening->store->reader, "PRAGMA query_only = 1;");
}

int store_open(const char *dir, const char *mountpoint, struct store **out,
	       char error[STORE_ERROR_MAX])
{
	struct store *store = calloc(1, sizeof(*store));
	struct opening opening = { .store = store, .error = error };
	int r;

	*out = NULL;
	if (!store)
		return fail(&opening, -ENOMEM, "%s", strerror(ENOMEM));
	store->lock_fd = -1;
	pthread_mutex_init(&store->writer.lock, NULL);
	pthread_mutex_init(&store->reader.lock, NULL);
	r = make_dir(&opening, dir);
	if (!r)
		r = lock_dir(&opening, dir, mountpoint);
	if (!r)
		r = check_files(&opening, dir);
	if (!r)
		r = open_writer(&opening);
	if (!r)
		r = open_reader(&opening);
	if (r) {
		store_close(store);
		return r;
	}
	*out = store;
	return 0;
}

void store_db_release(struct store_db *db)
{
	for (int i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_finalize(db->cache[i]);
	sqlite3_close(db->handle);
	pthread_mutex_destroy(&db->lock);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	/* The writer last: it is the one that takes the log into the file. */
	store_db_release(&store->reader);
	store_db_release(&store->writer);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store);
}
