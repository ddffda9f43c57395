#include "image.h"
#include "run.h"
#include "small_images.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static struct image_check check_in_pieces(const void *data, size_t len, size_t piece)
{
	struct image_check check = { 0 };
	const unsigned char *at = data;

	for (size_t n; len; at += n, len -= n) {
		/* A copy of its own length, so that a sanitizer sees a read beyond it. */
		n = piece < len ? piece : len;
		unsigned char *copy = malloc(n);
		memcpy(copy, at, n);
		image_feed(&check, copy, n);
		free(copy);
	}
	image_end(&check);
	return check;
}

START_TEST(real_files_are_complete)
{
	const struct small_image *image = &small_images[_i];

	for (size_t piece = 1; piece <= image->len; piece++) {
		struct image_check check = check_in_pieces(image->data, image->len, piece);
		ck_assert_ptr_null(check.wrong);
		ck_assert(check.complete);
		ck_assert_str_eq(image_extension(check.type), image->extension);
		ck_assert_uint_eq(check.width, 17);
		ck_assert_uint_eq(check.height, 9);
	}
}
END_TEST

START_TEST(every_truncation_is_a_beginning)
{
	const struct small_image *image = &small_images[_i];

	for (size_t len = 0; len < image->len; len++)
		for (size_t piece = 1; piece <= 7; piece += 3) {
			struct image_check check = check_in_pieces(image->data, len, piece);
			ck_assert_msg(!check.complete && !check.wrong, "%zu bytes: %s", len,
				      check.wrong ? check.wrong : "complete");
		}
}
END_TEST

START_TEST(what_follows_is_taken_as_it_is)
{
	const struct small_image *image = &small_images[_i];
	unsigned char *longer = malloc(image->len + 64);

	memcpy(longer, image->data, image->len);
	memset(longer + image->len, 0xff, 64);
	for (size_t piece = 1; piece < image->len + 64; piece += 13)
		ck_assert(check_in_pieces(longer, image->len + 64, piece).complete);
	free(longer);
}
END_TEST

/* Whatever is in it, nothing is read that is not there, and the answer is one of the three. */
START_TEST(damage_is_survived)
{
	const struct small_image *image = &small_images[_i];
	unsigned char *copy = malloc(image->len);

	for (size_t at = 0; at < image->len; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(copy, image->data, image->len);
			copy[at] ^= (unsigned char)(1 << bit);
			struct image_check one = check_in_pieces(copy, image->len, 1);
			struct image_check all = check_in_pieces(copy, image->len, image->len);
			ck_assert(!(one.complete && one.wrong));
			ck_assert_int_eq(one.complete, all.complete);
			ck_assert(one.wrong == all.wrong);
		}
	free(copy);
}
END_TEST

static const struct {
	const char *bytes;
	size_t len;
	const char *what;
} others[] = {
#define ROW(bytes, what)                                                                           \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, what                                                     \
	}
	ROW("GIF89a\1\0\1\0\0\0\0", "a GIF image"),
	ROW("BM\x36\0\0\0\0\0\0\0\x36\0", "a BMP image"),
	ROW("II*\0\x08\0\0\0\0\0\0\0", "a TIFF or camera raw image"),
	ROW("\0\0\0\x18"
	    "ftypheic\0\0\0\0",
	    "a HEIC image"),
	ROW("\0\0\0\x1c"
	    "ftypavif\0\0\0\0",
	    "an AVIF image"),
	ROW("\0\0\0\x1c"
	    "ftypisom\0\0\0\0",
	    "a video (MP4, MOV)"),
	ROW("glTF\2\0\0\0\x10\0\0\0", "a GLB model"),
	ROW("{\"image_url\": \"https://x\"}", "a text"),
	ROW("hi", "a text"),
	ROW("<!DOCTYPE html><html>", "an HTML page"),
	ROW("RIFF\x24\0\0\0WAVEfmt ", "a RIFF file, but no WebP"),
	ROW("\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c", "of no kind that is known here"),
	ROW("\0", "of no kind that is known here"),
	ROW("\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82\0\0\0\0", "a broken PNG"),
	ROW("\xff\xd8\xff\xd9\0\0\0\0\0\0\0\0", "a JPEG without an image"),
	ROW("\xff\xd8\xff\xe0\0\1\0\0\0\0\0\0", "a broken JPEG"),
	ROW("RIFF\4\0\0\0WEBPVP8 \0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a broken WebP"),
#undef ROW
};

START_TEST(what_is_not_taken_is_named)
{
	for (size_t piece = 1; piece <= others[_i].len; piece++) {
		struct image_check check = check_in_pieces(others[_i].bytes, others[_i].len, piece);
		ck_assert_ptr_nonnull(check.wrong);
		ck_assert_str_eq(check.wrong, others[_i].what);
		ck_assert(!check.complete);
	}
}
END_TEST

START_TEST(nothing_is_nothing)
{
	struct image_check check = check_in_pieces("", 0, 1);
	ck_assert(!check.complete && !check.wrong);
}
END_TEST

START_TEST(names)
{
	ck_assert(image_is_name("dog.png") && image_is_name("DSC_1.JPG") &&
		  image_is_name("a.b.WebP") && image_is_name("x.jpeg") && image_is_name("x.heic"));
	ck_assert(!image_is_name("png") && !image_is_name("dog.png.error") &&
		  !image_is_name("dog.json") && !image_is_name("dog."));
	for (enum image_type type = IMAGE_PNG; type < IMAGE_TYPES; type++)
		ck_assert_int_eq(image_of_extension(image_extension(type)), type);
	ck_assert_int_eq(image_of_extension("gif"), IMAGE_UNKNOWN);
	ck_assert_str_eq(image_media_type(IMAGE_JPEG), "image/jpeg");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image");
	TCase *tests = tcase_create("all");
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, real_files_are_complete, 0, SMALL_IMAGES);
	tcase_add_loop_test(tests, every_truncation_is_a_beginning, 0, SMALL_IMAGES);
	tcase_add_loop_test(tests, what_follows_is_taken_as_it_is, 0, SMALL_IMAGES);
	tcase_add_loop_test(tests, damage_is_survived, 0, SMALL_IMAGES);
	tcase_add_loop_test(tests, what_is_not_taken_is_named, 0, ROWS(others));
	tcase_add_test(tests, nothing_is_nothing);
	tcase_add_test(tests, names);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
