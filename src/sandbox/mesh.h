/*
 * mesh - a deformed sphere, and the colour field on it
 *
 * Role:    r(theta, phi) as a sum of waves, with analytic normals; closed, with a seam and
 *          poles whose vertices coincide.  Pure.
 */
#ifndef SANDBOX_MESH_H
#define SANDBOX_MESH_H

#include <stdbool.h>
#include <stdint.h>

enum { MESH_WAVES = 16 };

/* A next pseudo-random number. */
uint64_t mesh_random(uint64_t *state);
/* The same in [0, 1). */
double mesh_uniform(uint64_t *state);

struct mesh_wave {
	double amp, theta, offset,
		phase; /* amp sin^m(theta) cos(theta * t - offset) cos(m phi + phase) */
	int m;         /* 0 or at least 2, so that poles are smooth */
};

struct mesh {
	int rows, cols; /* bands from pole to pole; sectors around */
	int waves;
	struct mesh_wave wave[MESH_WAVES];
	double scale;
	bool irregular; /* rows are turned against each other */
	uint64_t twist;
	uint32_t vertices, indices;
};

/* About `vertices` vertices. */
void mesh_init(struct mesh *m, int32_t vertices, double scale, int waves, uint64_t seed);

/* position and normal have 3 floats a vertex, uv 2; lo and hi bound the positions. */
void mesh_write(const struct mesh *m, float *position, float *normal, float *uv, uint32_t *index,
		float lo[3], float hi[3]);

/* The sum of the waves at a point, about -1..1. */
double mesh_field(const struct mesh *m, double theta, double phi);

#endif
