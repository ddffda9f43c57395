/*
 * Layout of a file, all of it known beforehand but the text of the JSON chunk:
 *   header 12 | JSON chunk 8 + JSON_ROOM | BIN chunk 8 + positions, normals, uv, indices,
 *   colour PNG, surface PNG (each padded to 4), padding up to an exact size
 */
#include "glb.h"

#include "mesh.h"
#include "texture.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { JSON_ROOM = 3072, HEADER = 12, CHUNK = 8, BASE = HEADER + CHUNK + JSON_ROOM + CHUNK };

enum part { POSITION, NORMAL, UV, INDEX, COLOUR, SURFACE, PARTS };

struct layout {
	struct mesh mesh;
	int texture;
	uint64_t offset[PARTS], size[PARTS]; /* within the BIN chunk */
	uint64_t bin;                        /* its size */
};

uint64_t glb_hash(const void *data, uint64_t n)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (uint64_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* Everything that makes one shape differ from another, but not its resolution. */
static uint64_t shape_seed(const struct glb_spec *s)
{
	uint64_t state = s->image ^ (uint64_t)s->seed * 0x9e3779b97f4a7c15u;

	state += (uint64_t)s->variant << 32 | (uint32_t)s->version;
	return mesh_random(&state);
}

static double usable_scale(double scale)
{
	double size = fabs(scale);

	return size < 1e-3 || !isfinite(size) ? 1e-3 : size > 1e6 ? 1e6 : size;
}

static void lay_out(struct layout *l, const struct glb_spec *s, int32_t vertices, int texture)
{
	uint64_t at = 0;

	mesh_init(&l->mesh, vertices, usable_scale(s->mesh_scale), s->resolution > 1024 ? 16 : 11,
		  shape_seed(s));
	l->mesh.irregular = !s->remesh;
	l->texture = texture;
	l->size[POSITION] = l->size[NORMAL] = (uint64_t)l->mesh.vertices * 12;
	l->size[UV] = (uint64_t)l->mesh.vertices * 8;
	l->size[INDEX] = (uint64_t)l->mesh.indices * 4;
	l->size[COLOUR] = l->size[SURFACE] = texture_bytes(texture);
	for (int p = 0; p < PARTS; p++) {
		l->offset[p] = at;
		at += (l->size[p] + 3) / 4 * 4;
	}
	l->bin = at;
}

/* The natural layout, or one shrunk and padded to the exact size asked for. */
static void plan(struct layout *l, const struct glb_spec *s)
{
	int32_t vertices = s->vertices < 64 ? 64 : s->vertices > 2000000 ? 2000000 : s->vertices;
	int texture = s->texture;
	uint64_t exact = (uint64_t)s->bytes;

	lay_out(l, s, vertices, texture);
	while (exact && BASE + l->bin > exact && (texture > 16 || vertices > 32)) {
		texture = texture > 16 ? texture / 2 : texture;
		vertices = vertices > 32 ? vertices / 2 : vertices;
		lay_out(l, s, vertices, texture);
	}
	if (exact > BASE + l->bin)
		l->bin = exact - BASE;
}

uint64_t glb_size(const struct glb_spec *spec)
{
	struct layout l;

	plan(&l, spec);
	return BASE + l.bin;
}

static json_t *triple(const float v[3])
{
	return json_pack("[f,f,f]", (double)v[0], (double)v[1], (double)v[2]);
}

static json_t *views(const struct layout *l)
{
	json_t *array = json_array();

	for (int p = 0; p < PARTS; p++) {
		json_t *v = json_pack("{s:i,s:I,s:I}", "buffer", 0, "byteOffset",
				      (json_int_t)l->offset[p], "byteLength",
				      (json_int_t)l->size[p]);

		if (p <= INDEX)
			json_object_set_new(v, "target", json_integer(p == INDEX ? 34963 : 34962));
		json_array_append_new(array, v);
	}
	return array;
}

static json_t *accessor(enum part view, uint32_t count, int component, const char *type)
{
	return json_pack("{s:i,s:i,s:I,s:s}", "bufferView", (int)view, "componentType", component,
			 "count", (json_int_t)count, "type", type);
}

static json_t *accessors(const struct layout *l, const float lo[3], const float hi[3])
{
	uint32_t n = l->mesh.vertices;
	json_t *position = accessor(POSITION, n, 5126, "VEC3");

	json_object_set_new(position, "min", triple(lo));
	json_object_set_new(position, "max", triple(hi));
	return json_pack("[o,o,o,o]", position, accessor(NORMAL, n, 5126, "VEC3"),
			 accessor(UV, n, 5126, "VEC2"),
			 accessor(INDEX, l->mesh.indices, 5125, "SCALAR"));
}

static json_t *materials(void)
{
	return json_pack("[{s:s,s:{s:{s:i},s:{s:i}}}]", "name", "model", "pbrMetallicRoughness",
			 "baseColorTexture", "index", 0, "metallicRoughnessTexture", "index", 1);
}

static json_t *document(const struct glb_spec *s, const struct layout *l, const float lo[3],
			const float hi[3])
{
	json_t *root = json_pack("{s:{s:s,s:s,s:{s:I}},s:i,s:[{s:[i]}],s:[{s:i,s:s}]}", "asset",
				 "version", "2.0", "generator", "pixal3d-sandbox", "extras", "seed",
				 (json_int_t)s->seed, "scene", 0, "scenes", "nodes", 0, "nodes",
				 "mesh", 0, "name", "model");
	json_t *primitive = json_pack("{s:{s:i,s:i,s:i},s:i,s:i}", "attributes", "POSITION",
				      POSITION, "NORMAL", NORMAL, "TEXCOORD_0", UV, "indices",
				      INDEX, "material", 0);

	json_object_set_new(root, "meshes", json_pack("[{s:[o]}]", "primitives", primitive));
	json_object_set_new(root, "materials", materials());
	json_object_set_new(root, "textures",
			    json_pack("[{s:i,s:i},{s:i,s:i}]", "source", 0, "sampler", 0, "source",
				      1, "sampler", 0));
	json_object_set_new(root, "samplers",
			    json_pack("[{s:i,s:i,s:i,s:i}]", "magFilter", 9729, "minFilter", 9987,
				      "wrapS", 10497, "wrapT", 33071));
	json_object_set_new(root, "images",
			    json_pack("[{s:i,s:s},{s:i,s:s}]", "bufferView", COLOUR, "mimeType",
				      "image/png", "bufferView", SURFACE, "mimeType", "image/png"));
	json_object_set_new(root, "accessors", accessors(l, lo, hi));
	json_object_set_new(root, "bufferViews", views(l));
	json_object_set_new(root, "buffers",
			    json_pack("[{s:I}]", "byteLength", (json_int_t)l->bin));
	return root;
}

static uint8_t *put_le32(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 4; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

static void put_textures(const struct layout *l, uint64_t seed, uint8_t *bin)
{
	struct mesh field;
	struct texture t = { .size = l->texture, .seed = mesh_random(&seed), .field = &field };

	mesh_init(&field, 64, 1, 14, mesh_random(&seed));
	uint64_t colours = mesh_random(&seed);
	texture_colours(t.palette, colours);
	texture_write(&t, bin + l->offset[COLOUR]);
	texture_surface(t.palette, colours);
	texture_write(&t, bin + l->offset[SURFACE]);
}

/* What the parts leave of the BIN chunk: bytes that do not compress. */
static void put_padding(const struct layout *l, uint64_t seed, uint8_t *bin)
{
	uint64_t at = l->offset[SURFACE] + l->size[SURFACE];

	while (at < l->bin) {
		uint64_t r = mesh_random(&seed), n = l->bin - at < 8 ? l->bin - at : 8;

		memcpy(bin + at, &r, n);
		at += n;
	}
}

void glb_write(const struct glb_spec *spec, uint8_t *out)
{
	struct layout l;
	uint8_t *p = out, *bin = out + BASE;
	float lo[3], hi[3];

	plan(&l, spec);
	mesh_write(&l.mesh, (void *)(bin + l.offset[POSITION]), (void *)(bin + l.offset[NORMAL]),
		   (void *)(bin + l.offset[UV]), (void *)(bin + l.offset[INDEX]), lo, hi);
	put_padding(&l, shape_seed(spec), bin);
	put_textures(&l, shape_seed(spec), bin);
	p = put_le32(put_le32(p, 0x46546c67), 2);
	p = put_le32(p, BASE + l.bin);
	p = put_le32(put_le32(p, JSON_ROOM), 0x4e4f534a);
	memset(p, ' ', JSON_ROOM);
	json_t *json = document(spec, &l, lo, hi);
	json_dumpb(json, (char *)p, JSON_ROOM, JSON_COMPACT);
	json_decref(json);
	put_le32(put_le32(p + JSON_ROOM, l.bin), 0x004e4942);
}
