/*
 * A slot is empty (fd -1, not busy), being made (busy) or filled (fd >= 0).  Making happens
 * without the lock; who wants the same file waits on `changed`.
 */
#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 16, MAKING = 4, MAX_BYTES = 192 << 20 };

static struct slot {
	struct glb_spec spec;
	int fd;
	bool busy;
	uint64_t size, used; /* used: when, as a count */
} slots[SLOTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t ticks;

static bool is_empty(const struct slot *s)
{
	return !s->busy && s->size == 0;
}

static bool same(const struct glb_spec *a, const struct glb_spec *b)
{
	return a->image == b->image && a->seed == b->seed &&
	       !(a->mesh_scale < b->mesh_scale || a->mesh_scale > b->mesh_scale) &&
	       a->bytes == b->bytes && a->vertices == b->vertices && a->texture == b->texture &&
	       a->resolution == b->resolution && a->remesh == b->remesh &&
	       a->variant == b->variant && a->version == b->version;
}

static struct slot *find_locked(const struct glb_spec *spec)
{
	for (int i = 0; i < SLOTS; i++)
		if (!is_empty(&slots[i]) && same(&slots[i].spec, spec))
			return &slots[i];
	return NULL;
}

static void drop_locked(struct slot *s)
{
	close(s->fd);
	*s = (struct slot){ .fd = -1 };
}

static struct slot *oldest_locked(void)
{
	struct slot *oldest = NULL;

	for (int i = 0; i < SLOTS; i++)
		if (!slots[i].busy && slots[i].size && (!oldest || slots[i].used < oldest->used))
			oldest = &slots[i];
	return oldest;
}

/* An empty slot for `size` more bytes; NULL while enough others are being made. */
static struct slot *room_locked(uint64_t size)
{
	struct slot *s, *free = NULL;
	uint64_t total = size;
	int making = 0;

	for (int i = 0; i < SLOTS; i++) {
		total += slots[i].size;
		making += slots[i].busy;
	}
	if (making >= MAKING)
		return NULL;
	while (total > MAX_BYTES && (s = oldest_locked())) {
		total -= s->size;
		drop_locked(s);
	}
	for (int i = 0; i < SLOTS && !free; i++)
		if (is_empty(&slots[i]))
			free = &slots[i];
	if (!free && (s = oldest_locked())) {
		drop_locked(s);
		free = s;
	}
	return free;
}

static int make(const struct glb_spec *spec, uint64_t size)
{
	int fd = memfd_create("output.glb", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	void *map = ftruncate(fd, (off_t)size) == 0
			    ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
			    : MAP_FAILED;
	if (map == MAP_FAILED) {
		int error = errno;
		close(fd);
		return -error;
	}
	glb_write(spec, map);
	munmap(map, size);
	return fd;
}

static int duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

/* Make the file in an empty slot; leaves and takes the lock. */
static int fill_locked(struct slot *s, const struct glb_spec *spec, uint64_t size)
{
	s->spec = *spec;
	s->busy = true;
	s->size = size;
	pthread_mutex_unlock(&lock);
	int fd = make(spec, size);
	pthread_mutex_lock(&lock);
	*s = (struct slot){ .fd = fd };
	if (fd >= 0) {
		s->spec = *spec;
		s->size = size;
		s->used = ++ticks;
		fd = duplicate(fd);
	}
	pthread_cond_broadcast(&changed);
	return fd;
}

int objects_open(const struct glb_spec *spec)
{
	uint64_t size = glb_size(spec);
	struct slot *s;
	int fd = -1;

	pthread_mutex_lock(&lock);
	for (;;) {
		s = find_locked(spec);
		if (s && !s->busy) {
			s->used = ++ticks;
			fd = duplicate(s->fd);
			break;
		}
		if (!s && (s = room_locked(size))) {
			fd = fill_locked(s, spec, size);
			break;
		}
		pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

void objects_release(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < SLOTS; i++)
		if (!slots[i].busy && slots[i].size)
			drop_locked(&slots[i]);
	pthread_mutex_unlock(&lock);
}
