/* The page of all jobs: what stands in a row, and that nothing in it can be taken for script or
 * HTML. */
#include "gallery.h"
#include "run.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *row_of(const struct job *job)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	gallery_row(job, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

START_TEST(a_row_has_what_a_card_shows)
{
	struct job *job = job_new();
	job->number = 3;
	job->state = JOB_COMPLETED;
	job->price = 420000;
	job->attempts = 1;
	job->created_ms = 1795686532045;
	job_set(&job->word, "COMPLETED");
	job_set(&job->request_id, "pixal3d_019d");
	job_set(&job->label, "dog");
	job_set(&job->image_url, "https://example.com/a%20dog.png?x=1&y=2");
	struct job_output *output = job_add_output(job);
	job_set(&output->name, "output.glb");
	char *row = row_of(job);
	ck_assert_str_eq(row, "['pixal3d_019d','dog','COMPLETED',1795686532045,'0.42',"
			      "'https://example.com/a%20dog.png?x=1&y=2','',0],\n");
	free(row);
	job->outputs[0].size = 12345;
	row = row_of(job);
	ck_assert_ptr_nonnull(strstr(row, ",'output.glb',12345],\n"));
	free(row);
	job_put(job);
}
END_TEST

START_TEST(nothing_leaves_its_string)
{
	static const char *const names[] = {
		"'];alert(1)//", "</script><script>", "a\\",  "line\nline\r", "\xe2\x80\xa8",
		"\xff\xfe",      "\"&<>'`",           "100%", "..",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct job *job = job_new();
		job_set(&job->name, names[i]);
		job_set(&job->word, names[i]);
		job_set(&job->label, names[i]);
		job_set(&job->image_url, names[i]);
		char *row = row_of(job);
		unsigned quotes = 0, lines = 0;
		for (const char *c = row; *c; c++) {
			quotes += *c == '\'';
			lines += *c == '\n';
			ck_assert(*c == '\n' || (*c >= ' ' && *c <= '~'));
			ck_assert(!strchr("<>\\\"`", *c));
		}
		ck_assert_uint_eq(quotes, 12);
		ck_assert_uint_eq(lines, 1);
		free(row);
		job_put(job);
	}
}
END_TEST

START_TEST(the_page_names_its_source)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	gallery_begin("https://gate.example/'x", out);
	gallery_end(out);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_ptr_nonnull(strstr(text, "const source = 'https://gate.example/%27x';\n"));
	ck_assert_ptr_nonnull(strstr(text, "const rows = [\n];\n"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gallery");
	TCase *tests = tcase_create("gallery");
	suite_add_tcase(suite, tests);
	tcase_add_test(tests, a_row_has_what_a_card_shows);
	tcase_add_test(tests, nothing_leaves_its_string);
	tcase_add_test(tests, the_page_names_its_source);
	return run_suite(suite);
}
