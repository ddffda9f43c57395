/*
 * publish - where a person's own images become public
 *
 * Role:    the seam between the engine, which has an image that the service is to fetch, and what
 * makes a URL of it (`upload`: an S3 bucket, or a command). The service takes public URLs only (the
 * documentation's row of image_url), so an image is published before its job is sent.
 *
 * The contract is remote.h's: publish() may be called from any thread, never blocks, copies what it
 * needs, and after 0 calls back exactly once, on a thread of its own choice, with no lock held.
 */
#ifndef PUBLISH_H
#define PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

struct publish_image {
	const char *path;       /* a file that nobody changes, and that stays until done() */
	uint64_t size;          /* bytes */
	const char *sha256;     /* of its bytes, 64 hexadecimal digits: its name where it goes */
	const char *media_type; /* "image/png", "image/jpeg", "image/webp" */
	const char *extension;  /* "png", "jpg", "webp" */
	const char *receipt;    /* what the last publication of these bytes gave; NULL: none */
};

struct published {
	int error;           /* 0, or a positive errno for the person who waits */
	bool refused;        /* with an error: trying again by itself will not help */
	const char *url;     /* where the service can fetch it; NULL with an error */
	int64_t expires_ms;  /* wall clock until which it can; 0: no limit is known */
	const char *receipt; /* to be kept with the image's sha256, durably; NULL: nothing */
	const char *detail;  /* one line in words, never NULL; names no secret */
};

struct publisher {
	void *ctx;
	const char *where; /* for the person: "s3://bucket/prefix at store.example"; another place
			      has another one */

	/* Publishes IMAGE, or gives a new URL where it is public already: the same bytes are sent
	 * once. 0, or -errno when nothing was begun (-ENOKEY: nothing to sign with). */
	int (*publish)(void *ctx, const struct publish_image *image,
		       void (*done)(void *arg, const struct published *result), void *arg);
};

#endif
