#include "mesh.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

uint64_t mesh_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

double mesh_uniform(uint64_t *state)
{
	return (double)(mesh_random(state) >> 11) * 0x1p-53;
}

void mesh_init(struct mesh *m, int32_t vertices, double scale, int waves, uint64_t seed)
{
	double total = 0;

	memset(m, 0, sizeof(*m));
	/* vertices = (rows - 1)(cols + 1) + 2 cols with cols = 2 rows */
	m->rows = (int)lround((sqrt(9 + 8.0 * (vertices + 1)) - 3) / 4);
	m->rows = m->rows < 3 ? 3 : m->rows;
	m->cols = 2 * m->rows;
	m->vertices = (uint32_t)((m->rows - 1) * (m->cols + 1) + 2 * m->cols);
	m->indices = (uint32_t)(6 * m->cols * (m->rows - 1));
	m->scale = scale;
	m->twist = seed;
	m->waves = waves < MESH_WAVES ? waves : MESH_WAVES;
	for (int k = 0; k < m->waves; k++) {
		struct mesh_wave *w = &m->wave[k];

		w->m = k % 4 == 0 ? 0 : 2 + (int)(mesh_random(&seed) % (uint64_t)(2 + k / 2));
		w->theta = w->m ? mesh_uniform(&seed) * 3 : 1 + (int)(mesh_random(&seed) % 5);
		w->offset = w->m ? mesh_uniform(&seed) * 2 * PI : 0;
		w->phase = mesh_uniform(&seed) * 2 * PI;
		w->amp = (0.4 + mesh_uniform(&seed)) / (1 + 0.35 * k);
		total += w->amp;
	}
	for (int k = 0; k < m->waves; k++)
		m->wave[k].amp /= total;
}

/* A wave's value and theta derivative along one row, without the factor of phi. */
static void wave_row(const struct mesh_wave *w, double theta, double *value, double *slope)
{
	double s = sin(theta), c = cos(theta);
	double arg = w->theta * theta - w->offset;
	double power = w->m ? pow(s, w->m - 1) : 0;

	if (!w->m) {
		*value = w->amp * cos(arg);
		*slope = -w->amp * w->theta * sin(arg);
		return;
	}
	*value = w->amp * power * s * cos(arg);
	*slope = w->amp * (w->m * power * c * cos(arg) - w->theta * power * s * sin(arg));
}

double mesh_field(const struct mesh *m, double theta, double phi)
{
	double sum = 0, value, slope;

	for (int k = 0; k < m->waves; k++) {
		const struct mesh_wave *w = &m->wave[k];

		wave_row(w, theta, &value, &slope);
		sum += value * (w->m ? cos(w->m * phi + w->phase) : 1);
	}
	return sum;
}

struct row {
	double theta, shift; /* shift: how far this row is turned, in sectors */
	double value[MESH_WAVES], slope[MESH_WAVES];
};

static void row_init(const struct mesh *m, struct row *r, int i)
{
	uint64_t state = m->twist + (uint64_t)i;

	r->theta = PI * i / m->rows;
	r->shift = i % m->rows == 0 ? 0.5 : m->irregular ? mesh_uniform(&state) - 0.5 : 0;
	for (int k = 0; k < m->waves; k++)
		wave_row(&m->wave[k], r->theta, &r->value[k], &r->slope[k]);
}

struct point3 {
	double x, y, z;
};

/* Unit normal of the surface: d/dphi x d/dtheta, which points outwards. */
static struct point3 normal_of(double radius, double by_theta, double by_phi, double theta,
			       double phi)
{
	double st = sin(theta), ct = cos(theta), sp = sin(phi), cp = cos(phi);
	struct point3 u = { by_phi * st * cp - radius * st * sp, by_phi * ct,
			    by_phi * st * sp + radius * st * cp };
	struct point3 v = { by_theta * st * cp + radius * ct * cp, by_theta * ct - radius * st,
			    by_theta * st * sp + radius * ct * sp };
	struct point3 n = { u.y * v.z - u.z * v.y, u.z * v.x - u.x * v.z, u.x * v.y - u.y * v.x };
	double length = sqrt(n.x * n.x + n.y * n.y + n.z * n.z);

	if (st < 1e-9 || length < 1e-12)
		return (struct point3){ 0, ct < 0 ? -1 : 1, 0 };
	return (struct point3){ n.x / length, n.y / length, n.z / length };
}

struct sink {
	float *position, *normal, *uv;
	float *lo, *hi;
};

static void put3(float *out, double x, double y, double z)
{
	out[0] = (float)x;
	out[1] = (float)y;
	out[2] = (float)z;
}

static void put_vertex(const struct mesh *m, const struct row *r, int column, struct sink *s)
{
	/* The last column is the first one again, to the bit. */
	double phi = 2 * PI * ((column < m->cols ? column : 0) + r->shift) / m->cols;
	double st = sin(r->theta), radius = 1, by_theta = 0, by_phi = 0;

	for (int k = 0; k < m->waves; k++) {
		const struct mesh_wave *w = &m->wave[k];
		double arg = w->m * phi + w->phase, around = w->m ? cos(arg) : 1;

		radius += 0.75 * r->value[k] * around;
		by_theta += 0.75 * r->slope[k] * around;
		by_phi -= w->m ? 0.75 * r->value[k] * w->m * sin(arg) : 0;
	}
	double size = 0.5 * m->scale * radius;
	put3(s->position, size * st * cos(phi), size * cos(r->theta), size * st * sin(phi));
	struct point3 n = normal_of(radius, by_theta, by_phi, r->theta, phi);
	put3(s->normal, n.x, n.y, n.z);
	s->uv[0] = (float)((column + r->shift) / m->cols);
	s->uv[1] = (float)(r->theta / PI);
	for (int a = 0; a < 3; a++) {
		s->lo[a] = fminf(s->lo[a], s->position[a]);
		s->hi[a] = fmaxf(s->hi[a], s->position[a]);
	}
	s->position += 3;
	s->normal += 3;
	s->uv += 2;
}

/* The first vertex of row i: a pole has one vertex a sector, other rows one more (the seam). */
static uint32_t row_start(const struct mesh *m, int i)
{
	return i == 0 ? 0 : (uint32_t)(m->cols + (i - 1) * (m->cols + 1));
}

static void put_indices(const struct mesh *m, uint32_t *out)
{
	for (int i = 0; i < m->rows; i++) {
		uint32_t a = row_start(m, i), b = row_start(m, i + 1);

		for (uint32_t j = 0; j < (uint32_t)m->cols; j++) {
			if (i > 0) { /* upper triangle; none at the north pole */
				*out++ = a + j;
				*out++ = a + j + 1;
				*out++ = b + j + (i < m->rows - 1);
			}
			if (i < m->rows - 1) {
				*out++ = a + j;
				*out++ = b + j + 1;
				*out++ = b + j;
			}
		}
	}
}

void mesh_write(const struct mesh *m, float *position, float *normal, float *uv, uint32_t *index,
		float lo[3], float hi[3])
{
	struct sink s = { position, normal, uv, lo, hi };
	struct row r;

	for (int a = 0; a < 3; a++) {
		lo[a] = INFINITY;
		hi[a] = -INFINITY;
	}
	for (int i = 0; i <= m->rows; i++) {
		bool pole = i % m->rows == 0;

		row_init(m, &r, i);
		for (int j = 0; j < m->cols + !pole; j++)
			put_vertex(m, &r, j, &s);
	}
	put_indices(m, index);
}
