/*
 * params - the parameters of one generation
 *
 * Role:    the one table of the API's 20 documented parameters; JSON text to a canonical request.
 *          Pure. The numbers come from "Request Parameters - Pixal3D generate request" of the
 *          API's documentation.
 * Threads: a struct params belongs to one thread at a time.
 * Owns:    its values.
 */
#ifndef PARAMS_H
#define PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest text taken: the longest sensible request is a few KiB, image_url included. */
#define PARAMS_TEXT_MAX  (1024 * 1024)
#define PARAMS_ERROR_MAX 512

enum params_type {
	PARAMS_STRING,
	PARAMS_INTEGER,
	PARAMS_FLOAT,
	PARAMS_BOOLEAN,
};

struct params_spec {
	const char *name;
	enum params_type type;
	const char *fallback; /* the documented default as JSON text; NULL: none documented */
	const char *allowed;  /* "1024, 1536"; NULL: any value of the type */
	double usual_min, usual_max; /* known from elsewhere: outside them the service may refuse;
					both 0: unknown */
	const char *meaning;         /* one line for the README of the mount */
};

/* The table, in the documentation's order; *COUNT is 20. */
const struct params_spec *params_specs(size_t *count);

struct params;

enum params_verdict {
	PARAMS_OK,
	PARAMS_INCOMPLETE, /* a proper beginning of a JSON object (or nothing but white space): more
			      may come */
	PARAMS_INVALID,    /* no continuation can make it right */
};

/* Reads one JSON object. *OUT (params_free) is set for PARAMS_OK only; for PARAMS_INVALID, ERROR
 * says what is wrong and where ("line 3, column 7: ..."; "texture_size: 3000 is not one of 1024,
 * 2048, 4096"; "texture_siez: unknown parameter, did you mean texture_size?"). Unknown names, wrong
 * types, values that are not allowed, NaN, overflow, duplicate keys, trailing garbage and text over
 * PARAMS_TEXT_MAX are invalid. image_url may be missing; if it is there it must satisfy
 * params_check_url(). For PARAMS_INCOMPLETE, ERROR says where the text ends. */
enum params_verdict params_parse(const char *text, size_t len, struct params **out,
				 char error[PARAMS_ERROR_MAX]);

/* A set without any value, or NULL (no memory). */
struct params *params_new(void);
void params_free(struct params *params);

/* Values of OVER replace those of BASE; BASE is changed. 0 or -ENOMEM. */
int params_merge(struct params *base, const struct params *over);

/* Gives PARAMS those values of DEFAULTS for which it has none. 0 or -ENOMEM. */
int params_fill(struct params *params, const struct params *defaults);

/* Borrowed; NULL when it is not set. */
const char *params_image_url(const struct params *params);
/* 0, -ENOMEM, or -EINVAL for what params_check_url() refuses. */
int params_set_image_url(struct params *params, const char *url);

/* Takes image_url away. */
void params_clear_image_url(struct params *params);

bool params_has_seed(const struct params *params);
/* 0 when it is not set. */
long long params_seed(const struct params *params);
/* SEED is cut to 0 .. 2^31-1: the documentation gives no range, and every known model takes these.
 */
int params_set_seed(struct params *params, uint64_t seed);

/* The canonical text: a JSON object in table order, two spaces of indent, a newline at the end.
 * This is what is sent, and what params.json shows. Heap; NULL: no memory. */
char *params_format(const struct params *params);

/* What is outside the usual ranges, one line each, or NULL when nothing is. Heap. */
char *params_warnings(const struct params *params);

/* The value of texture_size, the default when it is not set, or PARAMS is NULL: the documentation's
 * price rows go by it. */
long params_texture_size(const struct params *params);
bool params_has_texture_size(const struct params *params);

/* Is this one http(s) URL with a host, without white space or control characters, UTF-8, at most 8
 * KiB? 0, or -EINVAL with ERROR saying why. */
int params_check_url(const char *url, size_t len, char error[PARAMS_ERROR_MAX]);

#endif
