#include "texture.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

#define PI 3.14159265358979323846

/* The field is computed at this many points and interpolated between them. */
enum { GRID = 128, CHUNK = 12, SIGNATURE = 8, IHDR = 13, PALETTE = 768 };

static int rows_per_block(int size)
{
	return 65535 / (size + 1);
}

static uint64_t idat_bytes(int size)
{
	uint64_t blocks = (uint64_t)((size + rows_per_block(size) - 1) / rows_per_block(size));

	return 2 + blocks * 5 + (uint64_t)size * (uint64_t)(size + 1) + 4;
}

uint64_t texture_bytes(int size)
{
	return SIGNATURE + CHUNK + IHDR + CHUNK + PALETTE + CHUNK + idat_bytes(size) + CHUNK;
}

static uint8_t *put_be32(uint8_t *p, uint32_t v)
{
	*p++ = (uint8_t)(v >> 24);
	*p++ = (uint8_t)(v >> 16);
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static uint8_t *put_bytes(uint8_t *p, const void *data, size_t n)
{
	memcpy(p, data, n);
	return p + n;
}

/* Finish a chunk whose type starts at `type`. */
static uint8_t *put_crc(uint8_t *p, const uint8_t *type)
{
	return put_be32(p, (uint32_t)crc32_z(0, type, (size_t)(p - type)));
}

struct grid {
	float at[GRID + 1][GRID + 1]; /* palette positions; the last column is the first */
};

static void grid_init(struct grid *g, const struct mesh *field)
{
	for (int y = 0; y <= GRID; y++)
		for (int x = 0; x <= GRID; x++)
			g->at[y][x] = (float)(128 + 640 * mesh_field(field, PI * y / GRID,
								     2 * PI * (x % GRID) / GRID));
}

/* One row of pixels: the field, 16.16 fixed point, with some grain. */
static void put_pixels(const struct texture *t, const struct grid *g, int y, uint8_t *out)
{
	float v = ((float)y + 0.5f) * GRID / (float)t->size, fy = v - floorf(v);
	const float *up = g->at[(int)v], *down = g->at[(int)v + 1];
	int step = t->size / GRID > 0 ? t->size / GRID : 1;
	uint64_t state = t->seed + (uint64_t)y * 0x9e37u;

	for (int x = 0; x < t->size;) {
		int cell = (int)((int64_t)x * GRID / t->size);
		float a = up[cell] + (down[cell] - up[cell]) * fy;
		float b = up[cell + 1] + (down[cell + 1] - up[cell + 1]) * fy;
		int32_t value = (int32_t)(a * 65536), delta = (int32_t)((b - a) * 65536) / step;
		uint64_t grain = 0;

		for (int i = 0; i < step && x < t->size; i++, x++, value += delta) {
			if (i % 8 == 0)
				grain = mesh_random(&state);
			int32_t g4 = (int32_t)((grain >> (i % 8 * 8)) & 15) - 8;
			*out++ = (uint8_t)((value >> 16) + (g4 * 3) / 4);
		}
	}
}

static uint8_t *put_idat(const struct texture *t, const struct grid *g, uint8_t *p)
{
	int per_block = rows_per_block(t->size);
	uLong adler = adler32(0, NULL, 0);

	*p++ = 0x78; /* zlib, stored */
	*p++ = 0x01;
	for (int y = 0; y < t->size; y++) {
		if (y % per_block == 0) {
			int rows = t->size - y < per_block ? t->size - y : per_block;
			unsigned n = (unsigned)(rows * (t->size + 1));

			*p++ = y + rows == t->size;
			*p++ = (uint8_t)n;
			*p++ = (uint8_t)(n >> 8);
			*p++ = (uint8_t)~n;
			*p++ = (uint8_t)(~n >> 8);
		}
		*p = 0; /* no filter */
		put_pixels(t, g, y, p + 1);
		adler = adler32(adler, p, (uInt)t->size + 1);
		p += t->size + 1;
	}
	return put_be32(p, (uint32_t)adler);
}

void texture_write(const struct texture *t, uint8_t *out)
{
	static const uint8_t kind[] = { 8, 3, 0, 0, 0 }; /* 8 bits, palette */
	struct grid g;
	uint8_t *p = put_bytes(out, "\x89PNG\r\n\x1a\n", SIGNATURE), *type;

	grid_init(&g, t->field);
	p = put_be32(p, IHDR);
	type = p;
	p = put_bytes(p, "IHDR", 4);
	p = put_be32(p, (uint32_t)t->size);
	p = put_be32(p, (uint32_t)t->size);
	p = put_crc(put_bytes(p, kind, sizeof(kind)), type);
	p = put_be32(p, PALETTE);
	type = p;
	p = put_crc(put_bytes(put_bytes(p, "PLTE", 4), t->palette, PALETTE), type);
	p = put_be32(p, (uint32_t)idat_bytes(t->size));
	type = p;
	p = put_crc(put_idat(t, &g, put_bytes(p, "IDAT", 4)), type);
	p = put_be32(p, 0);
	type = p;
	put_crc(put_bytes(p, "IEND", 4), type);
}

static uint8_t channel(double v)
{
	return (uint8_t)lround(255 * fmin(fmax(v, 0), 1));
}

void texture_colours(uint8_t palette[768], uint64_t seed)
{
	double hue = mesh_uniform(&seed), spread = 0.1 + 0.4 * mesh_uniform(&seed);
	int bands = 1 + (int)(mesh_random(&seed) % 3);

	for (int i = 0; i < 256; i++) {
		double t = 2 * PI * i / 256, wave = 0.5 + 0.5 * sin(bands * t);
		double h = 2 * PI * (hue + spread * wave),
		       light = 0.62 + 0.2 * cos(t) + 0.06 * cos(7 * t);

		for (int c = 0; c < 3; c++)
			palette[3 * i + c] = channel(light + 0.3 * cos(h + 2 * PI * c / 3));
	}
}

void texture_surface(uint8_t palette[768], uint64_t seed)
{
	double metal = 0.15 * mesh_uniform(&seed), rough = 0.35 + 0.3 * mesh_uniform(&seed);

	for (size_t i = 0; i < 256; i++) {
		double wave = sin(2 * PI * (double)i / 256);

		palette[3 * i] = 255;
		palette[3 * i + 1] = channel(rough + 0.25 * wave);
		palette[3 * i + 2] = channel(metal + 0.05 * wave);
	}
}
