/*
 * image - what kind of image some bytes are, and whether all of it is there
 *
 * Role:    the service takes PNG, JPEG and WebP. What a file is, its content says, not its name.
 *          Pure: bytes are given as they come, in pieces of any length, and none are kept but a
 *          few of a header: so that a photo need not be in memory.
 * Threads: a struct image_check belongs to one thread at a time.
 *
 * The formats: PNG (ISO/IEC 15948) is chunks up to IEND; JPEG (ITU-T T.81) is segments up to EOI;
 * WebP (RFC 9649) is one RIFF chunk, whose length comes first. What follows after that is taken as
 * it is: cameras append things. Whether the pixels can be decoded, the service finds out.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest image taken, in bytes. The documentation names no limit; this is more than cameras and
 * renderers make, and little enough to be uploaded before anybody gives up. */
#define IMAGE_SIZE_MAX (32 * 1024 * 1024)

enum image_type { IMAGE_UNKNOWN, IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP, IMAGE_TYPES };

/* "image/png". Not of IMAGE_UNKNOWN. */
const char *image_media_type(enum image_type type);
/* "png", "jpg", "webp": what a file of it is called. Not of IMAGE_UNKNOWN. */
const char *image_extension(enum image_type type);
/* The type whose files are called so by image_extension(). */
enum image_type image_of_extension(const char *extension);

/* Is this the name of an image, by its ending, in any letter case? Also of those kinds that are not
 * taken: who drops a HEIC is to be told. */
bool image_is_name(const char *name);

#define IMAGE_HEAD_MAX 32

/* A reading under way; zeroed at its start. */
struct image_check {
	/* Out, once known. */
	enum image_type type;
	uint32_t width, height; /* pixels; 0: not said so far */
	bool complete;          /* its end was seen */
	/* Where its encoded pixels are, once complete: what comes before and after describes them.
	 * Both 0: not known, as of WebP. */
	uint64_t pixels, pixels_end;
	const char *wrong; /* never will be an image that is taken: what it is instead, "a GIF
			      image", or what is broken, "a broken PNG"; NULL: nothing */
	/* Its own. */
	void (*next)(struct image_check *check); /* when `need` bytes are in `head` */
	uint64_t skip;                           /* bytes to pass over before that */
	uint64_t seen;                           /* bytes so far */
	size_t have, need;
	unsigned char head[IMAGE_HEAD_MAX];
};

/* LEN more bytes. After `wrong` or `complete` they mean nothing. */
void image_feed(struct image_check *check, const void *data, size_t len);
/* No more bytes: what is too short to be told from its beginning is `wrong` then, too. */
void image_end(struct image_check *check);

#endif
