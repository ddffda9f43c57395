/*
 * output_map - an output's two files
 *
 *   JOB-INDEX.data     the object, sparse, of its full size from the start
 *   JOB-INDEX.map      text: what the object is and which ranges of it are in the data file
 *   JOB-INDEX.map.tmp  a map that is being written
 *
 *   pixal3dfs-map 1 SUM      SUM: 64-bit FNV-1a of all that follows, in hexadecimal
 *   size BYTES
 *   etag "..."               empty: unknown
 *   mtime SECONDS.NANOS      of the data file; empty while the object is not whole
 *   START-END                ranges
 *
 * Invariant: the map names only bytes that were synced before it was renamed into place.  A map
 * that is damaged, or does not fit the data file or the object, is dropped with all that it names.
 * A whole data file is not written any more, so a changed mtime shows that somebody else wrote it.
 */
#include "log.h"
#include "output_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC   "pixal3dfs-map 1"
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

static void format_mtime(int fd, char *out, size_t size)
{
	struct stat st;

	out[0] = '\0';
	if (fstat(fd, &st) == 0)
		snprintf(out, size, "%lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static uint32_t little_endian(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool output_check_glb(const struct output *output, char *why, size_t size)
{
	unsigned char h[12];

	if (output->size < sizeof(h) || pread(output->fd, h, sizeof(h), 0) != sizeof(h)) {
		snprintf(why, size, "too short for a GLB file");
		return false;
	}
	if (memcmp(h, "glTF", 4) != 0) {
		snprintf(why, size, "it does not begin like a GLB file");
		return false;
	}
	if (little_endian(h + 4) != 2) {
		snprintf(why, size, "it is glTF version %" PRIu32 ", not 2", little_endian(h + 4));
		return false;
	}
	if (little_endian(h + 8) != output->size) {
		snprintf(why, size, "its header says %" PRIu32 " bytes, the server %" PRIu64,
			 little_endian(h + 8), output->size);
		return false;
	}
	return true;
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
		return strcmp(output->etag, etag) == 0;
	output->etag = *etag ? strdup(etag) : NULL;
	return output->etag || !*etag;
}

/* Fills OUTPUT's ranges from TEXT.  NULL, or what is wrong with it. */
static const char *parse_map(struct output *output, char *text)
{
	char *sum = take_line(&text, MAGIC);
	if (!sum || strlen(sum) != 16 || strtoull(sum, NULL, 16) != checksum(text))
		return "the map is damaged";
	char *size = take_line(&text, "size");
	char *etag = take_line(&text, "etag");
	char *mtime = take_line(&text, "mtime");
	if (!size || !etag || !mtime)
		return "the map is damaged";
	if (strtoull(size, NULL, 10) != output->size || !same_etag(output, etag))
		return "it is of another object";
	char now[48];
	format_mtime(output->fd, now, sizeof(now));
	if (*mtime && strcmp(mtime, now) != 0)
		return "the file was written by somebody else";
	if (range_set_parse(&output->have, text, output->size) < 0)
		return "the map's ranges are wrong";
	return NULL;
}

/* NULL: what the map names is in the data file. */
static const char *load(struct output *output, off_t data_size, char *text)
{
	static const char damaged[] = "the file is damaged";
	char why[160];

	if (data_size < 0 || (uint64_t)data_size != output->size)
		return damaged;
	const char *wrong = parse_map(output, text);
	if (wrong)
		return wrong;
	if (output->glb && range_set_covers(&output->have, 0, output->size < 12 ? 0 : 12) &&
	    !output_check_glb(output, why, sizeof(why)))
		return damaged;
	return NULL;
}

int output_files_open_named(struct output *output)
{
	struct name name = file_name(output->job, output->index, "data");
	int dirfd = output->cache->dirfd;
	struct stat st;

	output->fd = openat(dirfd, name.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (output->fd < 0 || fstat(output->fd, &st) < 0)
		return -errno;
	bool etag_known = output->etag;
	char *text = read_map(output);
	const char *wrong = text ? load(output, st.st_size, text) : "";
	free(text);
	if (!wrong)
		return 0;
	if (*wrong)
		log_warn("%s: what is cached is dropped: %s", name.text, wrong);
	range_set_clear(&output->have);
	if (!etag_known) {
		free(output->etag);
		output->etag = NULL;
	}
	output_unlink_map_named(output);
	if (st.st_size && ftruncate(output->fd, 0) < 0)
		return -errno;
	return ftruncate(output->fd, (off_t)output->size) < 0 ? -errno : 0;
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
		total = range_set_total(&peek.have);
	if (peek.fd >= 0)
		close(peek.fd);
	range_set_release(&peek.have);
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
}

void output_unlink_job_named(struct output_cache *cache, uint64_t job)
{
	char prefix[24];
	int len = snprintf(prefix, sizeof(prefix), "%" PRIu64 "-", job);
	int fd = openat(cache->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		log_errno(-errno, "cannot list the cache");
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));)
		if (strncmp(e->d_name, prefix, (size_t)len) == 0)
			unlink_file(cache, e->d_name);
	closedir(dir);
}

/* What a save writes down of an output. */
struct snapshot {
	char *body;
	size_t len;
	unsigned epoch;
	bool whole;
};

/* Composes the map.  The data is synced after this and before it is put in place. */
static int take_snapshot(struct output *output, struct snapshot *snap)
{
	char *ranges = NULL;
	size_t len = 0;
	char etag[256] = "";
	char mtime[48] = "";
	FILE *out = open_memstream(&ranges, &len);

	if (!out)
		return -ENOMEM;
	pthread_mutex_lock(&output->cache->lock);
	int r = output->stale || output->unsafe ? -ESTALE : 0;
	snap->epoch = output->epoch;
	snap->whole = range_set_covers(&output->have, 0, output->size);
	range_set_format(&output->have, out);
	if (output->etag && strlen(output->etag) < sizeof(etag))
		snprintf(etag, sizeof(etag), "%s", output->etag);
	else if (output->etag)
		r = -ENAMETOOLONG;
	output->dirty = false;
	pthread_mutex_unlock(&output->cache->lock);
	if (fclose(out) != 0)
		r = -ENOMEM;
	if (snap->whole)
		format_mtime(output->fd, mtime, sizeof(mtime));
	if (!r && asprintf(&snap->body, "size %" PRIu64 "\netag %s\nmtime %s\n%s", output->size,
			   etag, mtime, ranges) < 0)
		r = -ENOMEM;
	free(ranges);
	return r;
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

static int sync_data(struct output *output, bool whole)
{
	/* The mtime, which a whole file's map names, is no data. */
	if ((whole ? fsync(output->fd) : fdatasync(output->fd)) == 0)
		return 0;
	int r = -errno;
	/* The next sync would succeed, with these bytes lost. */
	pthread_mutex_lock(&output->cache->lock);
	output->unsafe = true;
	pthread_mutex_unlock(&output->cache->lock);
	return r;
}

void output_save(struct output *output)
{
	struct name tmp = file_name(output->job, output->index, "map.tmp");
	struct snapshot snap = { 0 };
	int r = take_snapshot(output, &snap);

	if (!r)
		r = sync_data(output, snap.whole);
	if (!r)
		r = write_map(output->cache->dirfd, tmp.text, snap.body);
	if (!r)
		r = replace_map(output, &snap, tmp.text);
	if (!r && fsync(output->cache->dirfd) < 0)
		r = -errno;
	if (r < 0 && r != -ESTALE)
		log_errno(r, "cannot save which bytes of output %" PRIu64 "-%u are there",
			  output->job, output->index);
	free(snap.body);
}
