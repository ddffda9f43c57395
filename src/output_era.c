/*
 * output_era - was the cache left in order
 *
 *   DIR/clean   there while no driver runs that has the cache open, and the last one ended as it
 *               should: its era, a word
 *   DIR/lock    held with flock while a driver runs
 *
 * The file is taken away at the start, durably and before anything else is written, and put there
 * at the end.  A driver that does not find it begins an era of its own, in which the copies of
 * earlier ones are not trusted.
 */
#include "log.h"
#include "output_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

static bool read_era(int dirfd, char era[ERA_TEXT])
{
	char text[ERA_TEXT + 1] = "";
	int fd = openat(dirfd, "clean", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	bool right = read(fd, text, sizeof(text)) == ERA_TEXT && text[ERA_TEXT - 1] == '\n' &&
		     strspn(text, "0123456789abcdef") == ERA_TEXT - 1;
	close(fd);
	if (right)
		snprintf(era, ERA_TEXT, "%.*s", ERA_TEXT - 1, text);
	return right;
}

/* Locking is a courtesy of the filesystem: where it has none, the books' lock has to do. */
static int lock(struct output_cache *cache)
{
	cache->lockfd = openat(cache->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			       0600);
	if (cache->lockfd >= 0 && flock(cache->lockfd, LOCK_EX | LOCK_NB) < 0 &&
	    errno == EWOULDBLOCK)
		return -EBUSY;
	return 0;
}

int output_era_begin(struct output_cache *cache)
{
	uint64_t random;
	int r = lock(cache);

	if (r)
		return r;
	if (!read_era(cache->dirfd, cache->era)) {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -errno;
		snprintf(cache->era, sizeof(cache->era), "%016llx", (unsigned long long)random);
		return 0;
	}
	if (unlinkat(cache->dirfd, "clean", 0) < 0 || fsync(cache->dirfd) < 0)
		return -errno;
	return 0;
}

void output_era_end(struct output_cache *cache)
{
	int fd = openat(cache->dirfd, "clean",
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && dprintf(fd, "%s\n", cache->era) == ERA_TEXT && fsync(fd) == 0)
		fsync(cache->dirfd);
	else
		log_errno(-errno, "the cache is checked when it is used next");
	if (fd >= 0)
		close(fd);
}
