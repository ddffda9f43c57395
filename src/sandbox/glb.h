/*
 * glb - the binary glTF file that a request results in
 *
 * Role:    a closed, textured mesh that is a function of the specification and nothing else;
 *          its size is known without making it.  Pure.
 * Threads: any.
 */
#ifndef SANDBOX_GLB_H
#define SANDBOX_GLB_H

#include <stdbool.h>
#include <stdint.h>

/* No padding bytes and no pointers: hashed as bytes. */
struct glb_spec {
	uint64_t image; /* hash of the image URL */
	int64_t seed;
	double mesh_scale;
	int64_t bytes; /* exact size of the file (a multiple of 4); 0 = natural */
	int32_t vertices;
	int32_t texture; /* width and height */
	int32_t resolution;
	int32_t remesh;
	int32_t variant; /* 0 for output.glb, 1 for output-2.glb, ... */
	int32_t version;
};

enum { GLB_MIN_BYTES = 8192 };

/* 64-bit FNV-1a of n bytes. */
uint64_t glb_hash(const void *data, uint64_t n);

/* Size of the file in bytes. */
uint64_t glb_size(const struct glb_spec *spec);

/* Write the glb_size() bytes, 4-byte aligned. */
void glb_write(const struct glb_spec *spec, uint8_t *out);

#endif
