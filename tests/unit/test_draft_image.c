/* Files that are being written: images, which are files of the spool. */
#include "draft.h"
#include "run.h"
#include "small_images.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEW 7u

static char root[] = "/tmp/pixal3dfs-draft-XXXXXX", path[64];
static struct spool *spool;
static struct draft_box *box;
static const struct timespec now = { .tv_sec = 1000 };

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/images", root);
	ck_assert_int_eq(spool_open(path, &spool), 0);
	box = draft_box_new(spool);
	ck_assert_ptr_nonnull(box);
}

/* Nothing is left on the disk of what nobody needs. */
static void tear_down(void)
{
	draft_box_free(box);
	spool_close(spool);
	ck_assert(rmdir(path) == 0 || errno == ENOENT);
	ck_assert_int_eq(rmdir(root), 0);
}

static unsigned files(void)
{
	unsigned count = 0;
	DIR *dir = opendir(path);
	const struct dirent *entry;

	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static struct draft *make(const char *name, const void *data, size_t len, size_t piece)
{
	struct draft *draft;

	ck_assert_int_eq(draft_create(box, NEW, name, 0644, 1, 2, NULL, 0, now, &draft), 0);
	for (size_t at = 0; at < len; at += piece)
		ck_assert_int_eq(draft_write(draft, at, (const char *)data + at,
					     piece < len - at ? piece : len - at, now),
				 0);
	return draft;
}

static enum draft_verdict judge(struct draft *draft, bool closing, char name[SPOOL_NAME_MAX])
{
	struct draft_content content;
	enum draft_verdict verdict = draft_judge(draft, DRAFT_IMAGE, closing, &content);

	ck_assert_int_eq(content.image != NULL, verdict == DRAFT_READY);
	if (verdict == DRAFT_READY && name)
		strcpy(name, spool_name(content.image));
	draft_content_release(&content);
	return verdict;
}

static void expect(struct draft *draft, const void *data, size_t len)
{
	char *buf = malloc(len + 1);

	ck_assert_int_eq(draft_read(draft, 0, buf, len + 1), (ssize_t)len);
	ck_assert_mem_eq(buf, data, len);
	free(buf);
}

START_TEST(whole_images_are_ready_once)
{
	const struct small_image *image = &small_images[_i];
	char name[SPOOL_NAME_MAX] = "";
	struct draft *draft = make("dog.png", image->data, image->len, 50);

	ck_assert_int_eq(judge(draft, false, NULL), DRAFT_PARTIAL);
	ck_assert_int_eq(judge(draft, true, name), DRAFT_READY);
	ck_assert_str_eq(strrchr(name, '.') + 1, image->extension);
	ck_assert_int_eq(judge(draft, true, NULL), DRAFT_NOTHING);
	expect(draft, image->data, image->len);
	draft_unlink(draft);
	draft_put(draft);
}
END_TEST

START_TEST(a_beginning_is_told_and_may_go_on)
{
	struct draft *draft = make("dog.png", small_png, sizeof(small_png) - 1, 1000);
	char *error;

	ck_assert_int_eq(judge(draft, true, NULL), DRAFT_PARTIAL);
	ck_assert_int_eq(draft_write(draft, sizeof(small_png) - 1,
				     small_png + sizeof(small_png) - 1, 1, now),
			 0);
	ck_assert_int_eq(judge(draft, true, NULL), DRAFT_READY);
	draft_put(draft);
	draft = make("cat.png", "GIF89a\1\0\1\0\0\0\0", 13, 13);
	ck_assert_int_eq(judge(draft, true, NULL), DRAFT_INVALID);
	error = draft_error(draft, NULL);
	ck_assert_ptr_nonnull(strstr(error, "a GIF image"));
	free(error);
	draft_put(draft);
}
END_TEST

/* Two drafts of the same bytes are one file; writing to one of them leaves the other as it is. */
START_TEST(what_is_sealed_is_shared_and_copied_when_written_to)
{
	char first[SPOOL_NAME_MAX], second[SPOOL_NAME_MAX];
	struct draft *one = make("1.png", small_png, sizeof(small_png), 1000);
	struct draft *two = make("2.png", small_png, sizeof(small_png), 1000);

	ck_assert_int_eq(judge(one, true, first), DRAFT_READY);
	ck_assert_int_eq(judge(two, true, second), DRAFT_READY);
	ck_assert_str_eq(first, second);
	ck_assert_uint_eq(files(), 1);
	ck_assert_int_eq(draft_write(two, sizeof(small_png), "!", 1, now), 0);
	ck_assert_uint_eq(files(), 2);
	expect(one, small_png, sizeof(small_png));
	ck_assert_int_eq(judge(two, true, second), DRAFT_READY);
	ck_assert_str_ne(first, second);
	ck_assert_int_eq(draft_truncate(two, 0, now), 0);
	ck_assert_uint_eq(files(), 1);
	ck_assert_int_eq(judge(two, true, NULL), DRAFT_NOTHING);
	ck_assert_int_eq(draft_write(two, 0, small_png, sizeof(small_png), now), 0);
	ck_assert_int_eq(judge(two, true, second), DRAFT_READY);
	ck_assert_str_eq(first, second);
	draft_put(one);
	draft_put(two);
}
END_TEST

/* Memory is for small ones: many large images are there at the same time. */
START_TEST(large_ones_are_not_in_memory)
{
	const size_t size = 3 * 1024 * 1024;
	char *large = calloc(1, size);

	memcpy(large, small_jpeg, sizeof(small_jpeg));
	for (int i = 0; i < 40; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%d.jpg", i);
		memcpy(large + sizeof(small_jpeg), &i, sizeof(i));
		struct draft *draft = make(name, large, size, 100000);
		ck_assert_int_eq(judge(draft, true, NULL), DRAFT_READY);
		draft_put(draft);
	}
	ck_assert_uint_eq(files(), 40);
	struct draft *draft = draft_find(box, NEW, "39.jpg");
	expect(draft, large, size);
	ck_assert_int_eq(draft_write(draft, IMAGE_SIZE_MAX, "x", 1, now), -EFBIG);
	ck_assert_int_eq(draft_write(draft, UINT64_MAX, "x", 1, now), -EFBIG);
	ck_assert_int_eq(draft_truncate(draft, IMAGE_SIZE_MAX + 1, now), -EFBIG);
	/* What lacks something that was to be written is not asked for. */
	ck_assert_int_eq(judge(draft, true, NULL), DRAFT_NOTHING);
	ck_assert_int_eq(draft_write(draft, 0, large, 1, now), 0);
	ck_assert_int_eq(judge(draft, true, NULL), DRAFT_INVALID);
	ck_assert_int_eq(draft_truncate(draft, 10, now), 0);
	expect(draft, large, 10);
	draft_unlink_all(box, NEW);
	draft_put(draft);
	ck_assert_uint_eq(files(), 0);
	free(large);
}
END_TEST

/* rsync run again over an unchanged file buys nothing. */
START_TEST(the_same_in_its_place_is_not_asked_for_again)
{
	struct draft *old = make("dog.png", small_png, sizeof(small_png), 10);
	struct draft *tmp = make(".dog.png.x", small_png, sizeof(small_png), 10);

	ck_assert_int_eq(judge(old, true, NULL), DRAFT_READY);
	draft_inherit(tmp, old);
	ck_assert_int_eq(draft_rename(tmp, NEW, "dog.png", false), 0);
	ck_assert_int_eq(judge(tmp, true, NULL), DRAFT_NOTHING);
	draft_put(old);
	draft_put(tmp);
}
END_TEST

static void seal(const char *file, const void *data, size_t len, char name[SPOOL_NAME_MAX])
{
	struct draft *draft = make(file, data, len, len);

	ck_assert_int_eq(judge(draft, true, name), DRAFT_READY);
	draft_put(draft);
}

/* IMAGE with MORE bytes of metadata at AT. */
static void seal_with(const struct small_image *image, size_t at, const void *more, size_t len,
		      char name[SPOOL_NAME_MAX])
{
	unsigned char *data = malloc(image->len + len);

	memcpy(data, image->data, at);
	memcpy(data + at, more, len);
	memcpy(data + at + len, (const char *)image->data + at, image->len - at);
	seal("described", data, image->len + len, name);
	free(data);
}

/* All but what describes them must be equal: every byte of the pixels, and what they are made of.
 */
START_TEST(metadata_makes_no_other_picture)
{
	static const char text[] = "\0\0\0\3tEXta\0b\0\0\0\0", comment[] = "\xff\xfe\0\4ab";
	const struct small_image *image = &small_images[_i];
	bool png = strcmp(image->extension, "png") == 0;
	char plain[SPOOL_NAME_MAX], described[SPOOL_NAME_MAX], other[SPOOL_NAME_MAX];
	unsigned char *changed = malloc(image->len);
	unsigned differ = 0;

	if (strcmp(image->extension, "webp") == 0) { /* not known */
		seal("plain", image->data, image->len, plain);
		ck_assert(!draft_same_picture(box, plain, plain));
		free(changed);
		return;
	}
	seal("plain", image->data, image->len, plain);
	seal_with(image, png ? 33 : 2, png ? text : comment, png ? 15 : 6, described);
	ck_assert_str_ne(plain, described);
	ck_assert(draft_same_picture(box, plain, described));
	ck_assert(!draft_same_picture(box, plain, "none.png"));
	for (size_t i = image->len - 24; i < image->len - 14; i++) {
		memcpy(changed, image->data, image->len);
		changed[i] ^= 1;
		struct draft *draft = make("other", changed, image->len, image->len);
		if (judge(draft, true, other) == DRAFT_READY) {
			ck_assert(!draft_same_picture(box, plain, other));
			differ++;
		}
		draft_unlink(draft);
		draft_put(draft);
	}
	ck_assert_uint_gt(differ, 5);
	free(changed);
}
END_TEST

/* A text may pass through a file as well. */
START_TEST(long_texts_are_judged_too)
{
	size_t size = DRAFT_MEMORY_MAX + 1000;
	char *text = malloc(size);
	struct draft_content content;

	memset(text, ' ', size);
	memcpy(text, "{\"image_url\": \"https://e.example/dog.png\"", 41);
	text[size - 1] = '}';
	struct draft *draft = make("dog.json", text, size, 5000);
	ck_assert_uint_eq(files(), 1);
	ck_assert_int_eq(draft_judge(draft, DRAFT_REQUEST, false, &content), DRAFT_READY);
	draft_content_release(&content);
	ck_assert_int_eq(draft_truncate(draft, DRAFT_SIZE_MAX + 1, now), 0);
	ck_assert_int_eq(draft_judge(draft, DRAFT_REQUEST, true, &content), DRAFT_INVALID);
	draft_put(draft);
	free(text);
}
END_TEST

static void *read_it(void *arg)
{
	char buf[4096];

	for (int i = 0; i < 500; i++)
		ck_assert_int_ge(draft_read(arg, 0, buf, sizeof(buf)), 0);
	return NULL;
}

START_TEST(readers_beside_a_writer)
{
	pthread_t thread;
	struct draft *draft = make("dog.png", small_png, sizeof(small_png), 1000);
	struct draft *other = make("cat.png", small_png, sizeof(small_png), 1000);

	ck_assert_int_eq(judge(other, true, NULL), DRAFT_READY);
	pthread_create(&thread, NULL, read_it, draft);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(judge(draft, true, NULL), DRAFT_READY);
		ck_assert_int_eq(draft_write(draft, 200, "x", 1, now), 0);
		ck_assert_int_eq(draft_truncate(draft, 0, now), 0);
		ck_assert_int_eq(draft_write(draft, 0, small_png, sizeof(small_png), now), 0);
	}
	pthread_join(thread, NULL);
	draft_put(draft);
	draft_put(other);
}
END_TEST

START_TEST(directories)
{
	struct draft *dir, *file;
	struct draft_info info;

	ck_assert_int_eq(draft_mkdir(box, NEW, "photos", 0755, 1, 2, now, &dir), 0);
	ck_assert_int_eq(draft_mkdir(box, NEW, "photos", 0755, 1, 2, now, &file), -EEXIST);
	draft_info(dir, &info);
	ck_assert(info.is_dir && info.linked);
	ck_assert_int_eq(draft_create(box, info.number << 8, "a", 0644, 1, 2, "x", 1, now, &file),
			 0);
	draft_put(file);
	file = draft_find(box, info.number << 8, "a");
	ck_assert_ptr_nonnull(file);
	draft_put(file);
	draft_put(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("draft_image");
	TCase *tests = tcase_create("all");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, whole_images_are_ready_once, 0, SMALL_IMAGES);
	tcase_add_test(tests, a_beginning_is_told_and_may_go_on);
	tcase_add_test(tests, what_is_sealed_is_shared_and_copied_when_written_to);
	tcase_add_test(tests, large_ones_are_not_in_memory);
	tcase_add_test(tests, the_same_in_its_place_is_not_asked_for_again);
	tcase_add_loop_test(tests, metadata_makes_no_other_picture, 0, SMALL_IMAGES);
	tcase_add_test(tests, long_texts_are_judged_too);
	tcase_add_test(tests, readers_beside_a_writer);
	tcase_add_test(tests, directories);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
