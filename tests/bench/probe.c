/*
 * probe - timed questions to files, on any filesystem
 *
 * Usage:  probe cold FILE             open, 20 bytes (ttfb_ms), then the rest in order (total_ms)
 *         probe seq[-] FILE           all of it in pieces of 1 MiB (mib_s)
 *         probe rand[-] FILE          all of it in 4 KiB blocks, in random order (iops)
 *         probe mmapseq[-] FILE       mapped, every page touched in order (mib_s)
 *         probe stat DIR LIST COUNT   stat COUNT random lines of LIST, paths below DIR (stat_s)
 * Output: lines "NAME VALUE". A '-' first drops the file's pages from the page cache, which on FUSE
 *         leaves those of the file behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE (1 << 20)
#define BLOCK 4096

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

static double read_rest(int fd)
{
	static char piece[PIECE];
	double total = 0;
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		total += (double)n;
	if (n < 0)
		fail("read");
	return total;
}

static void cold(const char *path)
{
	char head[20];
	double start = now_s();
	int fd = open_file(path);

	if (read(fd, head, sizeof(head)) != (ssize_t)sizeof(head))
		fail("read");
	printf("ttfb_ms %.3f\n", (now_s() - start) * 1e3);
	read_rest(fd);
	printf("total_ms %.2f\n", (now_s() - start) * 1e3);
}

static void drop(const char *path)
{
	int fd = open_file(path);

	errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (errno)
		fail("fadvise");
	close(fd);
}

static void sequential(const char *path)
{
	int fd = open_file(path);
	double start = now_s();
	double total = read_rest(fd);

	printf("mib_s %.1f\n", total / PIECE / (now_s() - start));
}

/* Touches every page, in order. */
static void mapped(const char *path)
{
	struct stat st;
	int fd = open_file(path);

	if (fstat(fd, &st))
		fail("stat");
	double start = now_s();
	const char *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		fail("mmap");
	volatile char sum = 0;
	for (off_t at = 0; at < st.st_size; at += BLOCK)
		sum = (char)(sum + bytes[at]);
	printf("mib_s %.1f\n", (double)st.st_size / PIECE / (now_s() - start));
}

static size_t *shuffled(size_t count)
{
	size_t *order = calloc(count + 1, sizeof(*order));

	if (!order)
		fail("memory");
	for (size_t i = 0; i < count; i++) {
		size_t j = (size_t)random() % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	return order;
}

static void at_random(const char *path)
{
	char block[BLOCK];
	struct stat st;
	int fd = open_file(path);

	if (fstat(fd, &st))
		fail("stat");
	size_t count = (size_t)st.st_size / BLOCK;
	size_t *order = shuffled(count);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	double start = now_s();
	for (size_t i = 0; i < count; i++)
		if (pread(fd, block, BLOCK, (off_t)(order[i] * BLOCK)) != BLOCK)
			fail("pread");
	printf("iops %.0f\n", (double)count / (now_s() - start));
	free(order);
}

static size_t read_lines(const char *path, char ***lines)
{
	char *line = NULL;
	size_t room = 0, count = 0, cap = 0;
	FILE *file = fopen(path, "r");

	if (!file)
		fail(path);
	*lines = NULL;
	while (getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (count == cap)
			*lines = realloc(*lines, (cap = cap * 2 + 64) * sizeof(**lines));
		if (!*lines || !((*lines)[count++] = strdup(line)))
			fail("memory");
	}
	free(line);
	fclose(file);
	return count;
}

static void stats(const char *dir, const char *list, long count)
{
	struct stat st;
	char **paths;
	size_t known = read_lines(list, &paths);
	int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || !known || count < 1)
		fail(dir);
	double start = now_s();
	for (long i = 0; i < count; i++) {
		const char *path = paths[(size_t)random() % known];

		if (fstatat(root, path, &st, 0))
			fail(path);
	}
	printf("stat_s %.0f\n", (double)count / (now_s() - start));
	while (known)
		free(paths[--known]);
	free(paths);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";

	srandom(42);
	if (mode[0] && mode[strlen(mode) - 1] == '-')
		drop(argv[2]);
	if (strcmp(mode, "cold") == 0)
		cold(argv[2]);
	else if (strncmp(mode, "seq", 3) == 0)
		sequential(argv[2]);
	else if (strncmp(mode, "rand", 4) == 0)
		at_random(argv[2]);
	else if (strncmp(mode, "mmapseq", 7) == 0)
		mapped(argv[2]);
	else if (strcmp(mode, "stat") == 0 && argc > 4)
		stats(argv[2], argv[3], atol(argv[4]));
	else
		return fputs("usage: probe cold|seq[-]|rand[-]|mmapseq[-] FILE | stat DIR LIST COUNT\n",
			     stderr),
		       2;
	return 0;
}
