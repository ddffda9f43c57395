/*
 * output's files: what survives a restart, a damaged file and a power cut.
 *
 * fdatasync, fsync and renameat of this program keep a model of the disk: the data file as of its
 * last sync, and the map as of its last rename. A power cut leaves exactly that.
 */
#include "output.h"
#include "output_fixture.h"
#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

/* The model; written by the cache's thread, read when that has ended. */
static unsigned char disk[SIZE];
static char durable_map[4096];
static int sync_error;
static sem_t *sync_begun, *sync_may_go_on; /* not NULL: a sync of data waits */
static atomic_int renames_left = -1;       /* 0: power is off, the model does not change any more */

/* The map's ranges must be on the disk already. */
static void check_durable(const char *map)
{
	unsigned long long start, end;
	const char *line = strstr(map, "mtime");

	while ((line = strchr(line, '\n')) && sscanf(++line, "%llu-%llu", &start, &end) == 2)
		ck_assert(memcmp(disk + start, object + start, end - start) == 0);
}

static int model_sync(int fd, long number)
{
	struct stat st;

	if (sync_error) {
		errno = sync_error;
		return -1;
	}
	if (renames_left && fstat(fd, &st) == 0 && st.st_size == (off_t)SIZE) {
		ck_assert_int_eq(pread(fd, disk, SIZE, 0), (ssize_t)SIZE);
		if (sync_begun) {
			sem_post(sync_begun);
			while (sem_wait(sync_may_go_on) < 0)
				;
		}
	}
	return (int)syscall(number, fd);
}

int fdatasync(int fd)
{
	return model_sync(fd, SYS_fdatasync);
}

int fsync(int fd)
{
	return model_sync(fd, SYS_fsync);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	char map[sizeof(durable_map)] = "";
	int fd = openat(from_dir, from, O_RDONLY);

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
	ck_assert_int_eq(atomic_load(&whole), 1);
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
	ck_assert_int_eq(atomic_load(&whole), 1);
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
	renames_left = -1;
	open_cache();
	open_output();
	ck_assert_uint_gt(output_cached(out), 0);
	ck_assert_uint_lt(output_cached(out), 2 * WINDOW);
	read_all();
}
END_TEST

START_TEST(failed_sync_names_nothing_new)
{
	char before[4096], after[4096];

	read_a_part();
	close_cache();
	open_cache();
	read_file(path("map"), before, sizeof(before));
	sync_error = EIO;
	open_output();
	check_read(8 * MIB, 100);
	close_cache();
	sync_error = 0;
	read_file(path("map"), after, sizeof(after));
	ck_assert_str_eq(before, after);
	open_cache();
	open_output();
	ck_assert_uint_eq(output_cached(out), 2 * WINDOW);
}
END_TEST

START_TEST(damaged_map)
{
	char map[4096];

	read_a_part();
	close_cache();
	size_t len = read_file(path("map"), map, sizeof(map));
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
		open_cache();
		open_output();
		ck_assert_msg(output_cached(out) == 0, "damage %zu was not seen", i);
		close_cache();
	}
	open_cache();
}
END_TEST

/* What anybody can write who knows the format. */
static void forge_map(const char *body)
{
	uint64_t sum = 0xcbf29ce484222325;
	char text[512];

	for (const char *p = body; *p; p++)
		sum = (sum ^ (unsigned char)*p) * 0x100000001b3;
	int len = snprintf(text, sizeof(text), "pixal3dfs-map 1 %016llx\n%s",
			   (unsigned long long)sum, body);
	write_file(path("map"), text, (size_t)len);
}

START_TEST(map_that_lies)
{
	static const struct {
		const char *body;
		uint64_t cached;
	} forged[] = {
		{ "size 25178169\netag \"one\"\nmtime \n100-200\n", 100 },
		{ "size 25178169\netag \"one\"\nmtime \n", 0 },
		{ "size 25178169\netag \"one\"\nmtime \n0-25178170\n", 0 },
		{ "size 25178169\netag \"one\"\nmtime \n200-100\n", 0 },
		{ "size 25178169\netag \"one\"\nmtime \n-1-5\n", 0 },
		{ "size 25178169\netag \"one\"\nmtime 1.000000000\n100-200\n", 0 },
		{ "size 25178169\netag \"two\"\nmtime \n100-200\n", 0 },
		{ "size 25178168\netag \"one\"\nmtime \n100-200\n", 0 },
		{ "size 25178169\netag \nmtime \n100-200\n", 0 },
		{ "size 25178169\netag \"one\"\n100-200\n", 0 },
		/* The data file is all holes: no GLB header. */
		{ "size 25178169\netag \"one\"\nmtime \n0-200\n", 0 },
		{ "", 0 },
	};

	ck_assert_uint_eq(SIZE, 25178169);
	open_output();
	close_cache();
	forge_map(forged[_i].body);
	open_cache();
	open_output();
	ck_assert_uint_eq(output_cached(out), forged[_i].cached);
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
		if (e->d_name[0] != '.') {
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

	ck_assert_ptr_null(output_cache_new("/proc/no/such", &far.remote, &events));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_null(output_cache_new("/dev/null", &far.remote, &events));
	ck_assert_int_eq(errno, ENOTDIR);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("files");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, part_survives_restart);
	tcase_add_test(tc, cut_off_stream_survives_restart);
	tcase_add_test(tc, whole_is_served_offline);
	tcase_add_test(tc, saved_while_held);
	tcase_add_test(tc, saved_as_it_goes);
	tcase_add_test(tc, power_cut_leaves_only_synced_bytes);
	tcase_add_test(tc, failed_sync_names_nothing_new);
	tcase_add_test(tc, damaged_map);
	tcase_add_loop_test(tc, map_that_lies, 0, 12);
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
