/*
 * texture - PNG images of a known size
 *
 * Role:    palette images in stored (uncompressed) deflate blocks, so that their size in
 *          bytes depends on nothing but their width.  Pure.
 */
#ifndef SANDBOX_TEXTURE_H
#define SANDBOX_TEXTURE_H

#include "mesh.h"

#include <stdint.h>

struct texture {
	int size;                 /* width and height in pixels */
	uint8_t palette[768];     /* 256 colours */
	uint64_t seed;            /* of the grain */
	const struct mesh *field; /* what colours which place; borrowed */
};

/* Bytes of a PNG of size x size pixels. */
uint64_t texture_bytes(int size);

/* Write the texture_bytes(). */
void texture_write(const struct texture *t, uint8_t *out);

/* A pleasing cycle of colours. */
void texture_colours(uint8_t palette[768], uint64_t seed);

/* Occlusion, roughness and metalness that go with it (glTF's channels). */
void texture_surface(uint8_t palette[768], uint64_t seed);

#endif
