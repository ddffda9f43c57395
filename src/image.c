/*
 * image - see image.h
 *
 * State: the reader passes over `skip` bytes, then collects `need` bytes into `head`, then calls
 *        `next`, which looks at them and sets the three anew. JPEG's entropy-coded data, whose
 *        length nobody tells, is looked through for its next marker byte by byte.
 */
#include "image.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *media_type, *extension;
} types[IMAGE_TYPES] = {
	[IMAGE_PNG] = { "image/png", "png" },
	[IMAGE_JPEG] = { "image/jpeg", "jpg" },
	[IMAGE_WEBP] = { "image/webp", "webp" },
};

const char *image_media_type(enum image_type type)
{
	return types[type].media_type;
}

const char *image_extension(enum image_type type)
{
	return types[type].extension;
}

enum image_type image_of_extension(const char *extension)
{
	for (enum image_type type = IMAGE_PNG; type < IMAGE_TYPES; type++)
		if (strcmp(types[type].extension, extension) == 0)
			return type;
	return IMAGE_UNKNOWN;
}

bool image_is_name(const char *name)
{
	static const char *const endings[] = {
		"png",  "jpg", "jpeg", "webp", "gif", "heic", "heif",
		"avif", "tif", "tiff", "bmp",  "jxl", "svg",  "psd"
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < sizeof(endings) / sizeof(endings[0]); i++)
		if (strcasecmp(dot + 1, endings[i]) == 0)
			return true;
	return false;
}

/* What else people drop, by bytes at OFFSET. */
static const struct kind {
	size_t offset;
	const char *bytes;
	size_t len;
	const char *what;
} kinds[] = {
#define KIND(offset, bytes, what)                                                                  \
	{                                                                                          \
		offset, bytes, sizeof(bytes) - 1, what                                             \
	}
	KIND(0, "GIF8", "a GIF image"),
	KIND(0, "BM", "a BMP image"),
	KIND(0, "II*\0", "a TIFF or camera raw image"),
	KIND(0, "MM\0*", "a TIFF or camera raw image"),
	KIND(0, "8BPS", "a Photoshop document"),
	KIND(0, "\xff\x0a", "a JPEG XL image"),
	KIND(0, "\0\0\0\x0cJXL ", "a JPEG XL image"),
	KIND(0, "\0\0\1\0", "an icon (ICO)"),
	KIND(0, "\x76\x2f\x31\x01", "an OpenEXR image"),
	KIND(0, "#?RADIANCE", "a Radiance HDR image"),
	KIND(0, "DDS ", "a DDS texture"),
	KIND(0, "gimp xcf", "a GIMP document"),
	KIND(4, "ftypavif", "an AVIF image"),
	KIND(4, "ftyphei", "a HEIC image"),
	KIND(4, "ftyphev", "a HEIC image"),
	KIND(4, "ftypmif1", "a HEIF image"),
	KIND(4, "ftyp", "a video (MP4, MOV)"),
	KIND(0, "glTF", "a GLB model"),
	KIND(0, "%PDF", "a PDF document"),
	KIND(0, "PK\3\4", "a ZIP archive"),
	KIND(0, "\x1f\x8b", "a gzip archive"),
	KIND(0, "RIFF", "a RIFF file, but no WebP"),
	KIND(0, "<svg", "an SVG drawing"),
	KIND(0, "<?xml", "an XML or SVG document"),
	KIND(0, "<!DOCTYPE", "an HTML page"),
	KIND(0, "<html", "an HTML page"),
#undef KIND
};

static bool is_text(const unsigned char *head, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isprint(head[i]) && !isspace(head[i]) && head[i] < 0x80)
			return false;
	return len > 0;
}

static const char *name_of(const unsigned char *head, size_t len)
{
	for (const struct kind *kind = kinds; kind < kinds + sizeof(kinds) / sizeof(kinds[0]);
	     kind++)
		if (len >= kind->offset + kind->len &&
		    memcmp(head + kind->offset, kind->bytes, kind->len) == 0)
			return kind->what;
	return is_text(head, len) ? "a text" : "of no kind that is known here";
}

/* After SKIP bytes, NEED more are for NEXT. */
static void then(struct image_check *check, uint64_t skip, size_t need,
		 void (*next)(struct image_check *check))
{
	check->skip = skip;
	check->have = 0;
	check->need = need;
	check->next = next;
}

/* Nothing but SKIP bytes is missing. */
static void end(struct image_check *check)
{
	check->complete = true;
}

static void end_after(struct image_check *check, uint64_t skip)
{
	if (skip)
		then(check, skip - 1, 1, end);
	else
		check->complete = true;
}

static uint32_t big(const unsigned char *at, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | *at++;
	return value;
}

static uint32_t little(const unsigned char *at, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

/* PNG: length, type, that many bytes, CRC. */

#define PNG_CHUNK 8
#define PNG_CRC   4

static void png_chunk(struct image_check *check);

/* From the palette, or the first of the chunks of pixels, to the last of them. */
static void png_pixels(struct image_check *check, uint32_t len)
{
	if (!check->pixels)
		check->pixels = check->seen - PNG_CHUNK;
	check->pixels_end = check->seen + len + PNG_CRC;
	then(check, (uint64_t)len + PNG_CRC, PNG_CHUNK, png_chunk);
}

static void png_chunk(struct image_check *check)
{
	uint32_t len = big(check->head, 4);
	const unsigned char *type = check->head + 4;

	for (int i = 0; i < 4; i++)
		if (!isalpha(type[i]))
			check->wrong = "a broken PNG";
	if (len > INT32_MAX || (!check->width && memcmp(type, "IHDR", 4) != 0))
		check->wrong = "a broken PNG";
	else if (memcmp(type, "IEND", 4) == 0)
		end_after(check, (uint64_t)len + PNG_CRC);
	else if (memcmp(type, "PLTE", 4) == 0 || memcmp(type, "IDAT", 4) == 0)
		png_pixels(check, len);
	else
		then(check, (uint64_t)len + PNG_CRC, PNG_CHUNK, png_chunk);
}

/* The signature and IHDR's beginning, which is 13 bytes long. */
static void png_start(struct image_check *check)
{
	if (memcmp(check->head, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16) != 0) {
		check->wrong = "a broken PNG";
		return;
	}
	check->width = big(check->head + 16, 4);
	check->height = big(check->head + 20, 4);
	if (!check->width || !check->height)
		check->wrong = "a broken PNG";
	else
		then(check, 13 - 8 + PNG_CRC, PNG_CHUNK, png_chunk);
}

/* JPEG: FF and a marker; most have a length, which counts itself, and content. */

#define JPEG_EOI 0xd9
#define JPEG_SOS 0xda
#define JPEG_DQT 0xdb

static void jpeg_marker(struct image_check *check);
static void jpeg_data(struct image_check *check);

static bool jpeg_has_size(unsigned marker)
{
	return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
	       marker != 0xcc;
}

/* Tables of quantization and of codes, frames, scans: what pixels are made of. */
static bool jpeg_decodes(unsigned marker)
{
	return (marker >= 0xc0 && marker <= 0xcf) || marker == JPEG_SOS || marker == JPEG_DQT;
}

/* FF, marker, length, and of a frame's header: precision, height, width. */
static void jpeg_segment(struct image_check *check)
{
	unsigned marker = check->head[1];
	uint32_t len = big(check->head + 2, 2), seen = (uint32_t)check->need - 2;

	if (len < seen) {
		check->wrong = "a broken JPEG";
		return;
	}
	if (jpeg_has_size(marker)) {
		check->height = big(check->head + 5, 2);
		check->width = big(check->head + 7, 2);
	}
	if (jpeg_decodes(marker) && !check->pixels)
		check->pixels = check->seen - check->need;
	if (marker == JPEG_SOS)
		then(check, len - seen, 1, jpeg_data);
	else
		then(check, len - seen, 2, jpeg_marker);
}

static void jpeg_marker(struct image_check *check)
{
	unsigned marker = check->head[1];

	if (check->head[0] != 0xff || marker == 0) {
		check->wrong = "a broken JPEG";
	} else if (marker == 0xff) { /* FF may be repeated */
		check->have = 1;
	} else if (marker == JPEG_EOI) {
		check->pixels_end = check->seen;
		if (check->width)
			check->complete = true;
		else
			check->wrong = "a JPEG without an image";
	} else if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
		then(check, 0, 2, jpeg_marker); /* stands alone */
	} else {
		check->need = jpeg_has_size(marker) ? 9 : 4;
		check->next = jpeg_segment;
	}
}

/* Entropy-coded: FF 00 is a byte of it, FF D0 to FF D7 are in it; any other marker ends it. */
static void jpeg_escape(struct image_check *check)
{
	unsigned code = check->head[1];

	if (code == 0 || (code >= 0xd0 && code <= 0xd7))
		then(check, 0, 1, jpeg_data);
	else
		jpeg_marker(check);
}

static void jpeg_data(struct image_check *check)
{
	if (check->head[0] != 0xff) {
		then(check, 0, 1, jpeg_data);
		return;
	}
	check->need = 2;
	check->next = jpeg_escape;
}

/* WebP: "RIFF", the length of what follows, "WEBP", a chunk that has the size. */

static void webp_size(struct image_check *check)
{
	const unsigned char *format = check->head + 12, *data = check->head + 20;

	if (memcmp(format, "VP8X", 4) == 0) {
		check->width = 1 + little(data + 4, 3);
		check->height = 1 + little(data + 7, 3);
	} else if (memcmp(format, "VP8L", 4) == 0) {
		uint32_t bits = little(data + 1, 4);
		check->width = 1 + (bits & 0x3fff);
		check->height = 1 + (bits >> 14 & 0x3fff);
	} else if (memcmp(format, "VP8 ", 4) == 0) {
		check->width = little(data + 6, 2) & 0x3fff;
		check->height = little(data + 8, 2) & 0x3fff;
	} else {
		check->wrong = "a broken WebP";
	}
}

static void webp_start(struct image_check *check)
{
	uint64_t size = (uint64_t)little(check->head + 4, 4) + 8;

	webp_size(check);
	if (size < check->need)
		check->wrong = "a broken WebP";
	if (!check->wrong)
		end_after(check, size - check->need);
}

/* The beginning, which tells what it is. */

#define START 12

static void start(struct image_check *check)
{
	const unsigned char *head = check->head;
	size_t len = check->have;

	if (len >= 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0) {
		check->type = IMAGE_PNG;
		check->need = 24;
		check->next = png_start;
	} else if (len >= 3 && memcmp(head, "\xff\xd8\xff", 3) == 0) {
		check->type = IMAGE_JPEG;
	} else if (len >= 12 && memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBP", 4) == 0) {
		check->type = IMAGE_WEBP;
		check->need = 30;
		check->next = webp_start;
	} else {
		check->wrong = name_of(head, len);
	}
}

static void feed(struct image_check *check, const unsigned char *data, size_t len);

/* Enough bytes for what comes next. */
static void step(struct image_check *check)
{
	unsigned char again[START];

	if (check->next) {
		check->next(check);
		return;
	}
	start(check);
	if (check->type != IMAGE_JPEG)
		return;
	/* Its segments begin within what is there already. */
	memcpy(again, check->head, START);
	then(check, 2, 2, jpeg_marker);
	check->seen = 0;
	feed(check, again, START);
}

/* JPEG's data is most of it, and all but FF means nothing. */
static size_t pass_over_data(const struct image_check *check, const unsigned char *data, size_t len)
{
	const unsigned char *found;

	if (check->next != jpeg_data || check->have)
		return 0;
	found = memchr(data, 0xff, len);
	return found ? (size_t)(found - data) : len;
}

static void feed(struct image_check *check, const unsigned char *data, size_t len)
{
	while (len && !check->complete && !check->wrong) {
		size_t n = check->skip < len ? (size_t)check->skip : len;

		check->skip -= n;
		if (!check->skip)
			n += pass_over_data(check, data + n, len - n);
		check->seen += n;
		data += n;
		len -= n;
		n = check->need - check->have < len ? check->need - check->have : len;
		memcpy(check->head + check->have, data, n);
		check->have += n;
		check->seen += n;
		data += n;
		len -= n;
		if (!check->skip && check->have == check->need)
			step(check);
	}
}

void image_feed(struct image_check *check, const void *data, size_t len)
{
	if (!check->need)
		check->need = START;
	feed(check, data, len);
}

void image_end(struct image_check *check)
{
	if (check->type == IMAGE_UNKNOWN && !check->wrong && check->have)
		start(check);
	/* A beginning of a signature is no other kind. */
	if (check->wrong && check->have < START &&
	    (memcmp(check->head, "\x89PNG\r\n\x1a\n", check->have < 8 ? check->have : 8) == 0 ||
	     memcmp(check->head, "\xff\xd8\xff", check->have < 3 ? check->have : 3) == 0 ||
	     memcmp(check->head, "RIFF", check->have < 4 ? check->have : 4) == 0))
		check->wrong = NULL;
}
