#include "picture.h"

#include "glb.h"
#include "texture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

void *picture_png(const char *name, size_t *size)
{
	struct mesh field;
	struct texture t = { .size = 64, .field = &field };

	t.seed = glb_hash(name, strlen(name));
	mesh_init(&field, 64, 1, 10, t.seed);
	texture_colours(t.palette, t.seed);
	*size = texture_bytes(t.size);
	void *png = malloc(*size);
	if (png)
		texture_write(&t, png);
	return png;
}

static int copy_compressed(int file, int out)
{
	char block[65536];
	ssize_t n;
	off_t at = 0;
	gzFile gz = gzdopen(dup(out), "wb1");

	if (!gz)
		return -ENOMEM;
	while ((n = pread(file, block, sizeof(block), at)) > 0) {
		if (gzwrite(gz, block, (unsigned)n) != n)
			break;
		at += n;
	}
	return gzclose(gz) == Z_OK && n == 0 ? 0 : -EIO;
}

int picture_gzip(int file, uint64_t *size)
{
	int out = memfd_create("output.glb.gz", MFD_CLOEXEC);
	int r = out < 0 ? -errno : copy_compressed(file, out);
	struct stat st = { 0 };

	close(file);
	if (r == 0 && fstat(out, &st) < 0)
		r = -errno;
	if (r < 0 && out >= 0)
		close(out);
	if (r < 0)
		return r;
	*size = (uint64_t)st.st_size;
	return out;
}
