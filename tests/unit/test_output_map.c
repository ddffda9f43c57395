/*
 * output's files: what survives a restart, a damaged file and a power cut.
 *
 * fdatasync, fsync and renameat of this program keep a model of the disk: the data file as of its
 * last sync, and the map as of its last rename, before which it must have been synced, and after
 * which its directory. A power cut leaves exactly that.
 */
#include "output.h"
#include "output_fixture.h"
#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

/* The model; written by the cache's thread, read when that has ended. */
static unsigned char disk[SIZE];
static char durable_map[4096];
static struct stat synced;   /* the file that was synced last, as it was then */
static bool rename_is_loose; /* the directory was not synced since */
static int sync_error;
static sem_t *sync_begun, *sync_may_go_on; /* not NULL: a sync of data waits */
static atomic_int renames_left = -1;       /* 0: power is off, the model does not change any more */

/* The map's ranges must be on the disk already. */
static void check_durable(const char *map)
{
	unsigned long long start, end;
	const char *line = strstr(map, "sha256");

	while ((line = strchr(line, '\n')) && sscanf(++line, "%llu-%llu", &start, &end) == 2)
		ck_assert(memcmp(disk + start, object + start, end - start) == 0);
}

static int model_sync(int fd)
{
	struct stat st;

	if (sync_error) {
		errno = sync_error;
		return -1;
	}
	if (fstat(fd, &st) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		rename_is_loose = false;
	else
		synced = st;
	if (renames_left && st.st_size == (off_t)SIZE) {
		ck_assert_int_eq(pread(fd, disk, SIZE, 0), (ssize_t)SIZE);
		if (sync_begun) {
			sem_post(sync_begun);
			while (sem_wait(sync_may_go_on) < 0)
				;
		}
	}
	return 0; /* the model is the disk */
}

int fdatasync(int fd)
{
	return model_sync(fd);
}

int fsync(int fd)
{
	return model_sync(fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	char map[sizeof(durable_map)] = "";
	int fd = openat(from_dir, from, O_RDONLY);
	struct stat st;

	ck_assert(!rename_is_loose);
	rename_is_loose = true;
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(st.st_ino == synced.st_ino && st.st_size == synced.st_size);
	ck_assert_int_gt(read(fd, map, sizeof(map) - 1), 0);
	close(fd);
	if (renames_left) {
		check_durable(map);
		strcpy(durable_map, map);
		atomic_fetch_sub(&renames_left, 1);
	}
	return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

static const char *path(const char *suffix)
{
	static char text[300];

	snprintf(text, sizeof(text), "%.250s/7-0.%s", dir, suffix);
	return text;
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static size_t read_file(const char *name, char *text, size_t size)
{
	int fd = open(name, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	ssize_t n = read(fd, text, size - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	close(fd);
	return (size_t)n;
}

/* As a driver that was killed leaves the directory. */
static void unclean(void)
{
	char name[300];

	snprintf(name, sizeof(name), "%.250s/clean", dir);
	ck_assert_int_eq(unlink(name), 0);
}

static bool is_clean(void)
{
	char name[300];

	snprintf(name, sizeof(name), "%.250s/clean", dir);
	return access(name, F_OK) == 0;
}

static void restart(void)
{
	close_cache();
	open_cache();
	open_output();
}

static void read_all(void)
{
	for (uint64_t at = 0; at < SIZE; at += MIB)
		check_read(at, MIB);
	scripted_idle(&far);
}

/* Two windows, and the rest later. */
static void read_a_part(void)
{
	open_output();
	check_read(5 * MIB, 100);
	check_read(15 * MIB, 100);
	scripted_idle(&far);
	ck_assert_uint_eq(output_cached(out), 2 * WINDOW);
}

START_TEST(part_survives_restart)
{
	read_a_part();
	restart();
	ck_assert_uint_eq(output_cached(out), 2 * WINDOW);
	check_read(5 * MIB, WINDOW);
	ck_assert_uint_eq(far.count, 0);
	read_all();
	ck_assert_uint_eq(far.bytes, SIZE - 2 * WINDOW);
	expect_whole(1);
}
END_TEST

/* One that is killed, whenever that is, leaves no mark of a clean end. */
START_TEST(clean_is_marked_at_the_end_alone)
{
	ck_assert(!is_clean());
	close_cache();
	ck_assert(is_clean());
	open_cache();
	ck_assert(!is_clean());
}
END_TEST

START_TEST(cut_off_stream_survives_restart)
{
	open_output();
	SCRIPT(hold = 7 * MIB);
	check_read(0, MIB);
	restart();
	uint64_t had = output_cached(out);
	ck_assert_uint_ge(had, MIB);
	ck_assert_uint_lt(had, SIZE);
	read_all();
	ck_assert_uint_eq(far.bytes, SIZE - had);
}
END_TEST

START_TEST(whole_is_served_offline)
{
	open_output();
	read_all();
	restart();
	SCRIPT(refuse = -ESHUTDOWN);
	read_all();
	ck_assert_uint_eq(far.count, 0);
}
END_TEST

START_TEST(saved_while_held)
{
	open_output();
	read_all();
	for (;;) {
		/* Put in place by the cache's thread, without a close. */
		if (access(path("map"), F_OK) == 0)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}
END_TEST

START_TEST(saved_as_it_goes)
{
	open_output();
	SCRIPT(chunk = 1024);
	SCRIPT(hold = 0);
	for (uint64_t at = 0; access(path("map"), F_OK) < 0; at += 1024) {
		SCRIPT(hold += 1024);
		check_read(at, 1024);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	ck_assert_uint_lt(output_cached(out), SIZE / 2);
}
END_TEST

/* So much of what was cached is served: all else is fetched. */
static void expect_cached(uint64_t cached)
{
	uint64_t before = far.bytes;

	read_all();
	ck_assert_uint_eq(far.bytes - before, SIZE - cached);
}

/* A slow stream is saved as it goes, and broken off in the middle. */
START_TEST(power_cut_leaves_only_synced_bytes)
{
	char map[sizeof(durable_map)];

	open_output();
	check_read(15 * MIB, 100);
	SCRIPT(hold = 0);
	renames_left = 2;
	for (uint64_t at = 0; renames_left; at += 1024) {
		SCRIPT(hold += 1024);
		check_read(at, 1024);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	close_cache();
	strcpy(map, durable_map);
	write_file(path("data"), disk, SIZE);
	write_file(path("map"), map, strlen(map));
	unclean();
	renames_left = -1;
	open_cache();
	open_output();
	uint64_t cached = output_stored(cache, &source);
	ck_assert_uint_gt(cached, 0);
	ck_assert_uint_lt(cached, 2 * WINDOW);
	expect_cached(cached);
}
END_TEST

/* What a failed sync has lost cannot be told: nothing is kept, and the readers go on past the disk.
 */
START_TEST(failed_sync_keeps_nothing)
{
	read_a_part();
	restart();
	ck_assert_uint_eq(output_cached(out), 2 * WINDOW);
	sync_error = EIO;
	check_read(8 * MIB, 100);
	/* What nobody holds, the download's end included, is saved, which fails. */
	while (output_cached(out)) {
		output_put(out);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		open_output();
	}
	for (uint64_t at = 0; at < SIZE; at += MIB)
		check_read(at, MIB);
	ck_assert_int_eq(access(path("map"), F_OK), -1);
	close_cache();
	sync_error = 0;
	open_cache();
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
	read_all();
}
END_TEST

START_TEST(damaged_map)
{
	char map[4096];

	read_a_part();
	close_cache();
	size_t len = read_file(path("map"), map, sizeof(map));
	open_cache();
	/* Cut at every length; then a flipped bit in every byte. */
	for (size_t i = 0; i < 2 * len; i++) {
		if (i < len) {
			write_file(path("map"), map, i);
		} else {
			map[i - len] ^= 4;
			write_file(path("map"), map, len);
			map[i - len] ^= 4;
		}
		/* The data file is made anew with it; its bytes do not matter here. */
		open_output();
		ck_assert_msg(output_cached(out) == 0, "damage %zu was not seen", i);
		output_put(out);
	}
	out = NULL;
}
END_TEST

/* What anybody can write who knows the format. */
static void forge_map(const char *magic, const char *body)
{
	uint64_t sum = 0xcbf29ce484222325;
	char text[1024];

	for (const char *p = body; *p; p++)
		sum = (sum ^ (unsigned char)*p) * 0x100000001b3;
	int len = snprintf(text, sizeof(text), "%s %016llx\n%s", magic, (unsigned long long)sum,
			   body);
	write_file(path("map"), text, (size_t)len);
}

/* The lines of a map, in order; NULL: as they were. */
enum line { BOOKS, LENGTH, ETAG, FILE_ID, TIMES, ERA, SHA256, RANGES, LINES };

static void change_map(const char *const lines[LINES])
{
	static const char *const keys[] = { "books", "size", "etag",  "file",
					    "times", "era",  "sha256" };
	char map[4096], body[2048] = "";

	read_file(path("map"), map, sizeof(map));
	char *rest = strchr(map, '\n') + 1;
	for (int i = 0; i < RANGES; i++) {
		char *line = strsep(&rest, "\n");
		if (lines[i])
			sprintf(body + strlen(body), "%s %s\n", keys[i], lines[i]);
		else
			sprintf(body + strlen(body), "%s\n", line);
	}
	strcat(body, lines[RANGES] ? lines[RANGES] : rest);
	forge_map("pixal3dfs-map 3", body);
}

static char *line_of(const char *file, const char *key)
{
	static char text[4096];

	read_file(file, text, sizeof(text));
	char *line = strstr(text, key);
	ck_assert_ptr_nonnull(line);
	*strchr(line, '\n') = '\0';
	return line;
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define OTHER "1.000000000 1.000000000"

START_TEST(map_that_lies)
{
	static const struct {
		const char *lines[LINES];
		uint64_t cached;
	} forged[] = {
		{ { [RANGES] = "5242880-5242980 0\n" }, 100 },
		{ { [RANGES] = "" }, 0 },
		{ { [RANGES] = "5242880-5242980\n" }, 0 },
		{ { [RANGES] = "0-25178170 0\n" }, 0 },
		{ { [RANGES] = "200-100 0\n" }, 0 },
		{ { [RANGES] = "-1-5 0\n" }, 0 },
		{ { [RANGES] = "5242880-5242980 0\n5242970-5242990 0\n" }, 0 },
		{ { [BOOKS] = "other" }, 0 },
		{ { [LENGTH] = "25178168" }, 0 },
		{ { [ETAG] = "\"two\"" }, 0 },
		{ { [ETAG] = "" }, 0 },
		{ { [SHA256] = "ab12" }, 0 },
		/* Somebody touched the file, or another one stands there, or the driver was killed:
		 * the sums are right. */
		{ { [TIMES] = OTHER }, 2 * WINDOW },
		{ { [FILE_ID] = "1 1.000000000" }, 2 * WINDOW },
		{ { [ERA] = "0123456789abcdef", [TIMES] = OTHER }, 2 * WINDOW },
		{ { [TIMES] = OTHER, [RANGES] = "5242880-5242980 0\n" }, 0 },
		/* All holes there: no GLB header. */
		{ { [RANGES] = "0-200 0\n" }, 0 },
		/* Whole, it says. */
		{ { [RANGES] = "0-25178169 0\n" }, 0 },
		{ { [RANGES] = "0-25178169 0\n", [SHA256] = ZEROS }, 0 },
	};

	ck_assert_uint_eq(SIZE, 25178169);
	read_a_part();
	close_cache();
	change_map(forged[_i].lines);
	open_cache();
	open_output();
	expect_cached(forged[_i].cached);
}
END_TEST

/* A bit of a part, by nobody who would say so, while no driver looked. */
START_TEST(damaged_part)
{
	read_a_part();
	close_cache();
	if (_i)
		unclean();
	int fd = open(path("data"), O_RDWR);
	ck_assert_int_eq(pwrite(fd, "x", 1, 5 * MIB), 1);
	close(fd);
	open_cache();
	open_output();
	expect_cached(WINDOW);
	expect_whole(1);
}
END_TEST

/* A second driver begins an era, and does not look at the part: it is not trusted for that. */
START_TEST(part_is_checked_however_late)
{
	read_a_part();
	close_cache();
	unclean();
	open_cache();
	close_cache();
	int fd = open(path("data"), O_RDWR);
	ck_assert_int_eq(pwrite(fd, "x", 1, 15 * MIB), 1);
	close(fd);
	open_cache();
	open_output();
	expect_cached(WINDOW);
}
END_TEST

/* A range that the data has not: only the map's sum can tell. */
START_TEST(one_wrong_letter_in_a_map)
{
	char map[4096];

	read_a_part();
	close_cache();
	size_t len = read_file(path("map"), map, sizeof(map));
	map[len - 2] ^= 1;
	write_file(path("map"), map, len);
	open_cache();
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
	read_all();
}
END_TEST

/* The only thing that it has in common with ours is its name. */
START_TEST(map_of_an_older_version)
{
	read_a_part();
	close_cache();
	forge_map("pixal3dfs-map 1", "size 25178169\netag \"one\"\nmtime \n5242880-6291456\n");
	open_cache();
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
	read_all();
}
END_TEST

static void await_whole(void)
{
	while (!atomic_load(&whole))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Leaves a whole copy, with its digest, on the disk. */
static void leave_whole(void)
{
	open_output();
	read_all();
	await_whole();
	close_cache();
}

/* Waits until the copy, which is there, is trusted; it is not fetched. */
static void expect_kept(void)
{
	SCRIPT(refuse = -ESHUTDOWN);
	open_output();
	read_all();
	ck_assert_uint_eq(output_cached(out), SIZE);
	ck_assert_uint_eq(far.count, 0);
}

START_TEST(whole_is_hashed_once)
{
	unsigned char sum[32];
	char text[65];

	leave_whole();
	ck_assert(EVP_Digest(object, SIZE, sum, NULL, EVP_sha256(), NULL));
	for (int i = 0; i < 32; i++)
		sprintf(text + 2 * i, "%02x", sum[i]);
	ck_assert_str_eq(digest, text);
	ck_assert_str_eq(line_of(path("map"), "sha256 ") + 7, text);
	/* Nobody reads it again: an unreadable byte would be noticed. */
	char before[4096];
	strcpy(before, line_of(path("map"), "era "));
	open_cache();
	expect_kept();
	close_cache();
	ck_assert_str_eq(line_of(path("map"), "era "), before);
	open_cache();
}
END_TEST

/* Touched by somebody, moved by a backup, or left by a driver that was killed: it is what its
 * digest says it is, and then that is written down. */
START_TEST(whole_of_uncertain_fate_is_hashed_again)
{
	char before[4096];

	leave_whole();
	strcpy(before, line_of(path("map"), "times "));
	char *era = before + 2048;
	strcpy(era, line_of(path("map"), "era "));
	switch (_i) {
	case 0: ck_assert_int_eq(utimensat(AT_FDCWD, path("data"), NULL, 0), 0); break;
	case 1: {
		char copy[1200];
		snprintf(copy, sizeof(copy), "cp %s/7-0.data %s/x && mv %s/x %s/7-0.data", dir, dir,
			 dir, dir);
		ck_assert_int_eq(system(copy), 0);
		break;
	}
	default: unclean(); break;
	}
	open_cache();
	expect_kept();
	close_cache();
	if (_i < 2)
		ck_assert_str_ne(line_of(path("map"), "times "), before);
	else
		ck_assert_str_ne(line_of(path("map"), "era "), era);
	open_cache();
	expect_kept();
}
END_TEST

/* With what became of it written back in time, but for the change time, which nobody can. */
START_TEST(damage_is_seen_while_it_is_held)
{
	static const struct timespec epoch[2];
	struct output *held;

	open_output();
	read_all();
	await_whole();
	while (access(path("map"), F_OK) < 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	int fd = open(path("data"), O_RDWR);
	ck_assert_int_eq(pwrite(fd, "x", 1, 5 * MIB), 1);
	ck_assert_int_eq(futimens(fd, epoch), 0);
	close(fd);
	held = out;
	open_output();
	ck_assert_ptr_eq(out, held);
	read_all();
	output_put(held);
	ck_assert_uint_gt(far.bytes, SIZE);
}
END_TEST

START_TEST(damage_without_a_network)
{
	leave_whole();
	int fd = open(path("data"), O_RDWR);
	ck_assert_int_eq(pwrite(fd, "x", 1, 5 * MIB), 1);
	close(fd);
	open_cache();
	SCRIPT(refuse = -ESHUTDOWN);
	open_output();
	fail_read(5 * MIB, 100, -EIO);
	fail_read(0, 100, -EIO);
	ck_assert_uint_eq(output_cached(out), 0);
	SCRIPT(refuse = 0);
	read_all();
}
END_TEST

/* The same size, the same ETag or none, and other bytes than those that the books know. */
START_TEST(another_digest_is_another_object)
{
	source.sha256 = ZEROS;
	open_output();
	read_all();
	while (!atomic_load(&failures))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert_int_eq(failure, OUTPUT_CHANGED);
	ck_assert_int_eq(atomic_load(&whole), 0);
	source.sha256 = NULL;
	output_put(out);
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
	read_all();
	expect_whole(1);
	source.sha256 = digest;
	restart();
	ck_assert_uint_eq(output_cached(out), SIZE);
	source.sha256 = ZEROS;
	restart();
	ck_assert_uint_eq(output_cached(out), 0);
	source.sha256 = NULL;
}
END_TEST

START_TEST(damaged_data)
{
	open_output();
	read_all();
	close_cache();
	int fd = open(path("data"), O_RDWR);
	switch (_i) {
	case 0: /* cut */ ck_assert_int_eq(ftruncate(fd, SIZE - 1), 0); break;
	case 1: /* a bit */ ck_assert_int_eq(pwrite(fd, "x", 1, 5 * MIB), 1); break;
	case 2: /* zeroed */
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		ck_assert_int_eq(ftruncate(fd, SIZE), 0);
		break;
	case 3: /* lost */ unlink(path("data")); break;
	default: break;
	}
	close(fd);
	open_cache();
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
	read_all();
}
END_TEST

START_TEST(another_object)
{
	static unsigned char other[SIZE];

	open_output();
	read_all();
	close_cache();
	fill(other, SIZE, 77);
	object = other;
	open_cache();
	SCRIPT(etag = "\"two\"");
	source.etag = "\"two\"";
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
	check_read(0, 100);
	restart();
	SCRIPT(etag = "\"two\"");
	read_all();
}
END_TEST

START_TEST(another_object_while_open)
{
	struct output *old;

	open_output();
	read_all();
	old = out;
	source.size = SIZE - 1;
	open_output();
	ck_assert_ptr_ne(out, old);
	ck_assert_uint_eq(output_cached(out), 0);
	ck_assert_uint_eq(output_cached(old), SIZE);
	output_put(old);
	source.size = SIZE;
}
END_TEST

START_TEST(unknown_etag_keeps_what_is_there)
{
	read_a_part();
	close_cache();
	open_cache();
	source.etag = NULL;
	open_output();
	ck_assert_uint_eq(output_cached(out), 2 * WINDOW);
	/* And what was known is still asked for. */
	SCRIPT(etag = "\"two\"");
	fail_read(0, 100, -EIO);
}
END_TEST

START_TEST(dropped_copy_is_not_named)
{
	open_output();
	check_read(10 * MIB, 100);
	restart();
	SCRIPT(bad_headers = 2);
	fail_read(0, 100, -EIO);
	restart();
	ck_assert_uint_eq(output_cached(out), 0);
}
END_TEST

START_TEST(forget_deletes_all_of_a_job)
{
	struct output *second;
	struct dirent *e;
	int files = 0;

	read_a_part();
	source.index = 1;
	ck_assert_int_eq(output_open(cache, &source, &second), 0);
	output_put(second);
	source.index = 0;
	source.job = 77;
	ck_assert_int_eq(output_open(cache, &source, &second), 0);
	output_put(second);
	source.job = 7;
	restart();
	output_put(out);
	output_forget(cache, 7);
	output_forget(cache, 12345);
	DIR *d = opendir(dir);
	while ((e = readdir(d)))
		if (strchr(e->d_name, '-')) {
			ck_assert_int_eq(strncmp(e->d_name, "77-0.", 5), 0);
			files++;
		}
	closedir(d);
	ck_assert_int_ge(files, 1);
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
}
END_TEST

START_TEST(forgotten_while_saved)
{
	sem_t begun, go_on;

	sem_init(&begun, 0, 0);
	sem_init(&go_on, 0, 0);
	sync_begun = &begun;
	sync_may_go_on = &go_on;
	open_output();
	read_all();
	while (sem_wait(&begun) < 0)
		;
	output_forget(cache, source.job);
	struct output *old = out;
	if (_i)
		open_output();
	sem_post(&go_on);
	sem_post(&go_on);
	if (_i)
		output_put(old);
	close_cache();
	ck_assert_int_eq(access(path("map"), F_OK), -1);
	ck_assert_int_eq(access(path("map.tmp"), F_OK), -1);
	sync_begun = NULL;
	open_cache();
	open_output();
	ck_assert_uint_eq(output_cached(out), 0);
}
END_TEST

static int open_descriptors(void)
{
	int count = 0;
	DIR *d = opendir("/proc/self/fd");

	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

START_TEST(descriptors_and_modes)
{
	struct output *outputs[50];
	struct stat st;
	int before = open_descriptors();

	for (unsigned i = 0; i < 50; i++) {
		source.index = i;
		ck_assert_int_eq(output_open(cache, &source, &outputs[i]), 0);
	}
	ck_assert_int_eq(open_descriptors(), before + 50);
	for (int i = 0; i < 50; i++)
		output_put(outputs[i]);
	ck_assert_int_eq(open_descriptors(), before);
	source.index = 0;
	open_output();
	ck_assert_int_eq(stat(dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	read_all();
	restart();
	ck_assert_int_eq(stat(path("data"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(stat(path("map"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(one_output_for_all_who_open)
{
	struct output *again;
	struct statvfs vfs;

	open_output();
	source.url = "https://cdn.example/a.glb?signed=again";
	ck_assert_int_eq(output_open(cache, &source, &again), 0);
	ck_assert_ptr_eq(again, out);
	output_put(again);
	check_read(0, 100);
	ck_assert_int_eq(output_statfs(cache, &vfs), 0);
	ck_assert_uint_gt(vfs.f_blocks, 0);
}
END_TEST

/* Whoever asks how much is there makes no files. */
START_TEST(stored_is_what_opening_would_find)
{
	struct output_source other = source;

	ck_assert_uint_eq(output_stored(cache, &source), 0);
	ck_assert_int_ne(access(path("data"), F_OK), 0);
	read_a_part();
	ck_assert_uint_eq(output_stored(cache, &source), 2 * WINDOW);
	other.etag = "\"two\"";
	ck_assert_uint_eq(output_stored(cache, &other), 0);
	close_cache();
	open_cache();
	ck_assert_uint_eq(output_stored(cache, &source), 2 * WINDOW);
	ck_assert_uint_eq(output_stored(cache, &other), 0);
	open_output();
	ck_assert_uint_eq(output_cached(out), 2 * WINDOW);
	close_cache();
	write_file(path("map"), "pixal3dfs-map 1 0123456789abcdef\nsize 1\n", 40);
	open_cache();
	ck_assert_uint_eq(output_stored(cache, &source), 0);
	ck_assert_int_eq(access(path("map"), F_OK), 0);
}
END_TEST

START_TEST(no_directory)
{
	struct output_events events = { 0 };
	struct output_conf conf = { .dir = "/proc/no/such", .books = "" };

	ck_assert_ptr_null(output_cache_new(&conf, &far.remote, &events));
	ck_assert_int_eq(errno, ENOENT);
	conf.dir = "/dev/null";
	ck_assert_ptr_null(output_cache_new(&conf, &far.remote, &events));
	ck_assert_int_eq(errno, ENOTDIR);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("files");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, part_survives_restart);
	tcase_add_test(tc, clean_is_marked_at_the_end_alone);
	tcase_add_test(tc, cut_off_stream_survives_restart);
	tcase_add_test(tc, whole_is_served_offline);
	tcase_add_test(tc, saved_while_held);
	tcase_add_test(tc, saved_as_it_goes);
	tcase_add_test(tc, power_cut_leaves_only_synced_bytes);
	tcase_add_test(tc, failed_sync_keeps_nothing);
	tcase_add_test(tc, damaged_map);
	tcase_add_loop_test(tc, map_that_lies, 0, 19);
	tcase_add_loop_test(tc, damaged_part, 0, 2);
	tcase_add_test(tc, part_is_checked_however_late);
	tcase_add_test(tc, one_wrong_letter_in_a_map);
	tcase_add_test(tc, map_of_an_older_version);
	tcase_add_test(tc, whole_is_hashed_once);
	tcase_add_loop_test(tc, whole_of_uncertain_fate_is_hashed_again, 0, 3);
	tcase_add_test(tc, damage_is_seen_while_it_is_held);
	tcase_add_test(tc, damage_without_a_network);
	tcase_add_test(tc, another_digest_is_another_object);
	tcase_add_loop_test(tc, damaged_data, 0, 4);
	tcase_add_test(tc, another_object);
	tcase_add_test(tc, another_object_while_open);
	tcase_add_test(tc, unknown_etag_keeps_what_is_there);
	tcase_add_test(tc, dropped_copy_is_not_named);
	tcase_add_test(tc, forget_deletes_all_of_a_job);
	tcase_add_loop_test(tc, forgotten_while_saved, 0, 2);
	tcase_add_test(tc, descriptors_and_modes);
	tcase_add_test(tc, one_output_for_all_who_open);
	tcase_add_test(tc, stored_is_what_opening_would_find);
	tcase_add_test(tc, no_directory);
	Suite *suite = suite_create("output_map");
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
