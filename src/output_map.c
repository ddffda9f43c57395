/*
 * output_map - an output's files
 *
 *   JOB-INDEX.data     the object, sparse, of its full size from the start
 *   JOB-INDEX.map      text: what the object is and which ranges of it are in the data file; its
 *                      own mtime says when the output was last used
 *   JOB-INDEX.map.tmp  a map that is being written
 *   JOB-INDEX.prefetch empty: it was to be fetched before it is read, and is not yet
 *
 *   pixal3dfs-map 3 SUM      SUM: 64-bit FNV-1a of all that follows, in hexadecimal
 *   books WORD               whose job numbers these are
 *   size BYTES
 *   etag "..."               empty: unknown
 *   file INODE BIRTH         which data file, and
 *   times WRITTEN CHANGED    how it was when this was written; seconds.nanoseconds
 *   era WORD                 changes when a driver does not leave the cache in order
 *   sha256 HEX               empty while the object is not whole
 *   START-END SUM            pieces (output_pieces.c)
 *
 * Invariant: the map names only bytes that were synced before it was renamed into place.  A map
 * that is damaged, of another version, or does not fit the data file or the object, is dropped with
 * all that it names, before anything is written; the data file is then made anew.  Where the data
 * file is not as it was when the map was written, or an unclean end may have left it so, what the
 * map names is compared with its sums or its digest first.
 */
#include "log.h"
#include "output_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC   "pixal3dfs-map 3"
#define MAP_MAX (16L << 20)

struct name {
	char text[64];
};

static struct name file_name(uint64_t job, unsigned index, const char *suffix)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "%" PRIu64 "-%u.%s", job, index, suffix);
	return name;
}

static uint64_t checksum(const char *text)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 0x100000001b3;
	return sum;
}

static void stamp_of(int fd, struct output_stamp *stamp)
{
	struct statx st;

	*stamp = (struct output_stamp){ 0 };
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return;
	snprintf(stamp->file, sizeof(stamp->file), "%" PRIu64 " %" PRId64 ".%09" PRIu32,
		 (uint64_t)st.stx_ino, (int64_t)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
	snprintf(stamp->times, sizeof(stamp->times),
		 "%" PRId64 ".%09" PRIu32 " %" PRId64 ".%09" PRIu32, (int64_t)st.stx_mtime.tv_sec,
		 st.stx_mtime.tv_nsec, (int64_t)st.stx_ctime.tv_sec, st.stx_ctime.tv_nsec);
}

/* The whole text of the map; NULL: none that can be read. */
static char *read_map(const struct output *output)
{
	struct name name = file_name(output->job, output->index, "map");
	int fd = openat(output->cache->dirfd, name.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return NULL;
	struct stat st;
	char *text = NULL;
	if (fstat(fd, &st) == 0 && st.st_size <= MAP_MAX)
		text = malloc((size_t)st.st_size + 1);
	ssize_t n = text ? pread(fd, text, (size_t)st.st_size, 0) : -1;
	close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* Cuts the next line off *TEXT and gives what follows KEY and a space in it; NULL: another line. */
static char *take_line(char **text, const char *key)
{
	size_t len = strlen(key);
	char *line = strsep(text, "\n");

	if (!line || !*text || strncmp(line, key, len) != 0 || line[len] != ' ')
		return NULL;
	return line + len + 1;
}

static bool same_etag(struct output *output, const char *etag)
{
	if (output->etag)
		return *etag && remote_same_object(output->etag, etag);
	output->etag = *etag ? strdup(etag) : NULL;
	return output->etag || !*etag;
}

/* Is the data file as it was when this was written? NULL: its ranges are there, or, with
 * OUTPUT->checking set, may be. */
static const char *judge(struct output *output, const char *file, const char *times,
			 const char *era)
{
	bool whole = range_set_covers(&output->have, 0, output->size);
	bool trusted = strcmp(era, output->cache->era) == 0 &&
		       strcmp(file, output->stamp.file) == 0 &&
		       strcmp(times, output->stamp.times) == 0;

	output->claimed = range_set_total(&output->have);
	output->checking = output->claimed && !trusted;
	if (output->checking)
		return whole && !*output->sha256 ? "it cannot be told whether it is as it was"
						 : NULL;
	output->dirty = whole && !*output->sha256;
	output->tell = whole && !*output->known;
	return NULL;
}

static bool take_sha256(struct output *output, const char *sha256)
{
	size_t len = strlen(sha256);

	if (len != 0 && len != SHA256_TEXT - 1)
		return false;
	memcpy(output->sha256, sha256, len + 1);
	return true;
}

/* Fills OUTPUT's ranges from TEXT.  NULL, or what is wrong with it. */
static const char *parse_map(struct output *output, char *text)
{
	static const char damaged[] = "the map is damaged";

	if (strncmp(text, MAGIC " ", sizeof(MAGIC)) != 0)
		return "the map is of another version, or damaged";
	char *sum = take_line(&text, MAGIC);
	if (!sum || strlen(sum) != 16 || strtoull(sum, NULL, 16) != checksum(text))
		return damaged;
	char *books = take_line(&text, "books");
	char *size = take_line(&text, "size");
	char *etag = take_line(&text, "etag");
	char *file = take_line(&text, "file");
	char *times = take_line(&text, "times");
	char *era = take_line(&text, "era");
	char *sha256 = take_line(&text, "sha256");
	if (!books || !size || !etag || !file || !times || !era || !sha256 ||
	    !take_sha256(output, sha256))
		return damaged;
	if (strcmp(books, output->cache->books) != 0)
		return "it is of other books";
	if (strtoull(size, NULL, 10) != output->size || !same_etag(output, etag) ||
	    (*sha256 && *output->known && strcmp(sha256, output->known) != 0))
		return "it is of another object";
	if (output_pieces_parse(&output->pieces, &output->have, text, output->size) < 0)
		return "the map's ranges are wrong";
	return judge(output, file, times, era);
}

/* NULL: what the map names is in the data file. */
static const char *load(struct output *output, off_t data_size, char *text)
{
	static const char damaged[] = "the file is damaged";
	char why[160];

	if (data_size < 0 || (uint64_t)data_size != output->size)
		return damaged;
	stamp_of(output->fd, &output->stamp);
	const char *wrong = parse_map(output, text);
	if (wrong)
		return wrong;
	if (output->glb && range_set_covers(&output->have, 0, GLB_HEADER) &&
	    !output_check_glb_file(output, why, sizeof(why)))
		return damaged;
	if (output->checking)
		range_set_clear(&output->have);
	return NULL;
}

/* An empty data file that no map was ever written for. */
static int start_empty(struct output *output, const char *name)
{
	int dirfd = output->cache->dirfd;

	output_unlink_map_named(output);
	if (output->fd >= 0) {
		close(output->fd);
		unlinkat(dirfd, name, 0);
	}
	output->fd = openat(dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (output->fd < 0)
		return -errno;
	return ftruncate(output->fd, (off_t)output->size) < 0 ? -errno : 0;
}

int output_files_open_named(struct output *output)
{
	struct name name = file_name(output->job, output->index, "data");
	bool etag_known = output->etag;
	struct stat st;

	output->fd = openat(output->cache->dirfd, name.text, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	char *text = output->fd >= 0 && fstat(output->fd, &st) == 0 ? read_map(output) : NULL;
	const char *wrong = text ? load(output, st.st_size, text) : "";
	free(text);
	if (!wrong) {
		output_touch_map_named(output);
		return 0;
	}
	if (*wrong)
		log_warn("%s: what is cached is dropped: %s", name.text, wrong);
	range_set_clear(&output->have);
	output_pieces_clear(&output->pieces);
	output->checking = output->dirty = output->tell = false;
	*output->sha256 = '\0';
	if (!etag_known) {
		free(output->etag);
		output->etag = NULL;
	}
	return start_empty(output, name.text);
}

void output_files_look_named(struct output *output)
{
	struct output_cache *cache = output->cache;
	struct output_stamp now;

	pthread_mutex_lock(&cache->lock);
	bool whole = !output->stale && *output->stamp.file && *output->sha256 &&
		     range_set_covers(&output->have, 0, output->size);
	pthread_mutex_unlock(&cache->lock);
	if (!whole)
		return;
	stamp_of(output->fd, &now);
	pthread_mutex_lock(&cache->lock);
	if (memcmp(&now, &output->stamp, sizeof(now)) != 0) {
		output->stamp = now;
		output->checking = true;
		output->claimed = output->size;
		range_set_clear(&output->have);
		output_queue_save_locked(output);
	}
	pthread_mutex_unlock(&cache->lock);
}

void output_touch_map_named(const struct output *output)
{
	utimensat(output->cache->dirfd, file_name(output->job, output->index, "map").text, NULL,
		  AT_SYMLINK_NOFOLLOW);
}

const char *output_parse_name(const char *name, uint64_t *job, unsigned *index)
{
	static const char *const suffixes[] = { "data", "map", "map.tmp", "prefetch" };

	const char *dot = strchr(name, '.');
	if (!dot || sscanf(name, "%" SCNu64 "-%u", job, index) != 2)
		return NULL;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (strcmp(file_name(*job, *index, suffixes[i]).text, name) == 0)
			return suffixes[i];
	return NULL;
}

uint64_t output_stored_named(struct output_cache *cache, const struct output_source *source)
{
	struct output peek = { .cache = cache,
			       .job = source->job,
			       .index = source->index,
			       .size = source->size,
			       .glb = source->glb };
	struct name name = file_name(peek.job, peek.index, "data");
	uint64_t total = 0;
	struct stat st;

	char *text = read_map(&peek);
	if (!text)
		return 0;
	range_set_init(&peek.have);
	peek.etag = source->etag ? strdup(source->etag) : NULL;
	peek.fd = openat(cache->dirfd, name.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (peek.fd >= 0 && fstat(peek.fd, &st) == 0 && !load(&peek, st.st_size, text))
		total = peek.claimed;
	if (peek.fd >= 0)
		close(peek.fd);
	range_set_release(&peek.have);
	output_pieces_clear(&peek.pieces);
	free(peek.etag);
	free(text);
	return total;
}

static void unlink_file(struct output_cache *cache, const char *name)
{
	if (unlinkat(cache->dirfd, name, 0) < 0 && errno != ENOENT)
		log_errno(-errno, "cannot delete %s from the cache", name);
}

void output_unlink_map_named(struct output *output)
{
	unlink_file(output->cache, file_name(output->job, output->index, "map").text);
}

void output_unlink_named(struct output_cache *cache, uint64_t job, unsigned index)
{
	unlink_file(cache, file_name(job, index, "map").text);
	unlink_file(cache, file_name(job, index, "map.tmp").text);
	unlink_file(cache, file_name(job, index, "data").text);
	unlink_file(cache, file_name(job, index, "prefetch").text);
}

void output_mark_prefetch(struct output_cache *cache, uint64_t job, unsigned index)
{
	int fd = openat(cache->dirfd, file_name(job, index, "prefetch").text,
			O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		close(fd);
}

void output_unmark_prefetch(struct output_cache *cache, uint64_t job, unsigned index)
{
	unlink_file(cache, file_name(job, index, "prefetch").text);
}

DIR *output_list(struct output_cache *cache)
{
	int fd = openat(cache->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		log_errno(-errno, "cannot list the cache");
	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

void output_unlink_job_named(struct output_cache *cache, uint64_t job)
{
	char prefix[24];
	int len = snprintf(prefix, sizeof(prefix), "%" PRIu64 "-", job);
	DIR *dir = output_list(cache);

	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));)
		if (strncmp(e->d_name, prefix, (size_t)len) == 0)
			unlink_file(cache, e->d_name);
	closedir(dir);
}

/* What a save writes down of an output. */
struct snapshot {
	unsigned epoch;
	bool whole;
	struct range_set have;
	struct output_pieces old, pieces;
	char sha256[SHA256_TEXT];
	char *etag;
	char *body;
};

static int copy_state_locked(struct output *output, struct snapshot *snap)
{
	const struct range_set *have = &output->have;
	int r = 0;

	if (output->stale)
		return -ESTALE;
	output->dirty = false;
	snap->epoch = output->epoch;
	snap->whole = range_set_covers(have, 0, output->size);
	memcpy(snap->sha256, output->sha256, SHA256_TEXT);
	snap->old = output_pieces_take_locked(output);
	for (size_t i = 0; i < have->count && !r; i++)
		r = range_set_add(&snap->have, have->v[i].start, have->v[i].end);
	snap->etag = strdup(output->etag ? output->etag : "");
	return snap->etag ? r : -ENOMEM;
}

static void free_snapshot(struct snapshot *snap)
{
	range_set_release(&snap->have);
	output_pieces_clear(&snap->old);
	output_pieces_clear(&snap->pieces);
	free(snap->etag);
	free(snap->body);
}

/* Composes the map.  The data was synced before up to SNAP's ranges. */
static int compose(struct output *output, struct snapshot *snap)
{
	struct output_stamp stamp;
	size_t len = 0;
	FILE *out = open_memstream(&snap->body, &len);

	if (!out)
		return -ENOMEM;
	stamp_of(output->fd, &stamp);
	if (snap->whole) {
		pthread_mutex_lock(&output->cache->lock);
		output->stamp = stamp;
		pthread_mutex_unlock(&output->cache->lock);
	}
	fprintf(out, "books %s\nsize %" PRIu64 "\netag %s\nfile %s\ntimes %s\nera %s\nsha256 %s\n",
		output->cache->books, output->size, snap->etag, stamp.file, stamp.times,
		output->cache->era, snap->sha256);
	output_pieces_format(&snap->pieces, out);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

static int write_map(int dirfd, const char *name, const char *body)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = 0;
	if (dprintf(fd, MAGIC " %016" PRIx64 "\n%s", checksum(body), body) < 0 || fsync(fd) < 0)
		r = errno ? -errno : -EIO;
	if (close(fd) < 0 && !r)
		r = -errno;
	return r;
}

/* A drop or a detaching in the meantime makes the map a lie: then it is not put in place. */
static int replace_map(struct output *output, const struct snapshot *snap, const char *tmp)
{
	struct output_cache *cache = output->cache;
	struct name map = file_name(output->job, output->index, "map");
	int r = 0;

	pthread_mutex_lock(&cache->names);
	pthread_mutex_lock(&cache->lock);
	bool current = !output->stale && output->epoch == snap->epoch;
	pthread_mutex_unlock(&cache->lock);
	if (!current)
		unlink_file(cache, tmp);
	else if (renameat(cache->dirfd, tmp, cache->dirfd, map.text) < 0)
		r = -errno;
	pthread_mutex_unlock(&cache->names);
	return r;
}

/* After a failed sync the next one would succeed, with what this one lost still lost: so nothing
 * of it is kept. */
static int sync_data(struct output *output)
{
	if (fsync(output->fd) == 0)
		return 0;
	int r = -errno;
	output_drop(output);
	output_go_direct(output->cache, r);
	return r;
}

/* Writes down what is there now, which is synced first. */
static int take_snapshot(struct output *output, struct snapshot *snap)
{
	struct output_cache *cache = output->cache;

	pthread_mutex_lock(&cache->lock);
	int r = copy_state_locked(output, snap);
	pthread_mutex_unlock(&cache->lock);
	if (!r)
		r = sync_data(output);
	if (!r)
		r = output_pieces_make(output, &snap->have, &snap->old, &snap->pieces);
	if (!r)
		r = compose(output, snap);
	pthread_mutex_lock(&cache->lock);
	output_pieces_give_locked(output, r ? &snap->old : &snap->pieces, snap->epoch);
	pthread_mutex_unlock(&cache->lock);
	return r;
}

void output_save(struct output *output)
{
	struct name tmp = file_name(output->job, output->index, "map.tmp");
	struct snapshot snap = { 0 };
	int r = take_snapshot(output, &snap);

	if (!r)
		r = write_map(output->cache->dirfd, tmp.text, snap.body);
	if (r < 0)
		unlinkat(output->cache->dirfd, tmp.text, 0);
	if (!r)
		r = replace_map(output, &snap, tmp.text);
	if (!r && fsync(output->cache->dirfd) < 0)
		r = -errno;
	if (r < 0 && r != -ESTALE)
		log_errno(r, "cannot save which bytes of output %" PRIu64 "-%u are there",
			  output->job, output->index);
	free_snapshot(&snap);
}
