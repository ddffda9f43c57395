/*
 * latency - how long do the small questions to a mount take?
 *
 * Usage:  latency ROUNDS DIRECTORY FILE
 * Output: "MEDIAN MAXIMUM" in microseconds of one round: list DIRECTORY with a stat of each entry,
 *         open and read FILE to its end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void list(const char *path)
{
	struct stat st;
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		fail(path);
	while ((entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			fail(entry->d_name);
	closedir(dir);
}

static void read_all(const char *path)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		;
	if (n < 0)
		fail(path);
	close(fd);
}

static int by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	size_t rounds = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
	long *took = calloc(rounds + 1, sizeof(*took));

	if (!rounds || !took) {
		fprintf(stderr, "usage: latency ROUNDS DIRECTORY FILE\n");
		free(took);
		return 2;
	}
	for (size_t i = 0; i < rounds; i++) {
		long start = now_us();

		list(argv[2]);
		read_all(argv[3]);
		took[i] = now_us() - start;
	}
	qsort(took, rounds, sizeof(*took), by_value);
	printf("%ld %ld\n", took[rounds / 2], took[rounds - 1]);
	free(took);
	return 0;
}
