#include "params.h"
#include "run.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

/* "Example Request" of the documentation. */
static const char example[] = "{\n"
			      "\"image_url\": \"https://example.com/example_inputs/dog.png\",\n"
			      "\"resolution\": 1024,\n"
			      "\"ss_guidance_strength\": 7.5,\n"
			      "\"ss_guidance_rescale\": 0.7,\n"
			      "\"ss_sampling_steps\": 12,\n"
			      "\"ss_rescale_t\": 5,\n"
			      "\"shape_slat_guidance_strength\": 7.5,\n"
			      "\"shape_slat_guidance_rescale\": 0.5,\n"
			      "\"shape_slat_sampling_steps\": 12,\n"
			      "\"shape_slat_rescale_t\": 3,\n"
			      "\"tex_slat_guidance_strength\": 1,\n"
			      "\"tex_slat_sampling_steps\": 12,\n"
			      "\"tex_slat_rescale_t\": 3,\n"
			      "\"mesh_scale\": 1,\n"
			      "\"max_num_tokens\": 49152,\n"
			      "\"decimation_target\": 200000,\n"
			      "\"texture_size\": 2048,\n"
			      "\"remesh\": true\n"
			      "}";

static struct params *parse(const char *text)
{
	struct params *params;
	char error[PARAMS_ERROR_MAX];
	if (params_parse(text, strlen(text), &params, error) != PARAMS_OK)
		ck_abort_msg("%s: %s", text, error);
	return params;
}

static void expect_format(const struct params *params, const char *expected)
{
	char *text = params_format(params);
	ck_assert_str_eq(text, expected);
	free(text);
}

static const struct {
	const char *text;
	const char *canonical;
} good[] = {
	{ "{}", "{}\n" },
	{ " \r\n\t{ } \n", "{}\n" },
	{ "{\"seed\":7}", "{\n  \"seed\": 7\n}\n" },
	{ "{\"seed\":-7}", "{\n  \"seed\": -7\n}\n" },
	{ "{\"remesh\":false,\"seed\":1}", "{\n  \"seed\": 1,\n  \"remesh\": false\n}\n" },
	{ "{\"mesh_scale\":0.7}", "{\n  \"mesh_scale\": 0.7\n}\n" },
	{ "{\"mesh_scale\":2}", "{\n  \"mesh_scale\": 2\n}\n" },
	{ "{\"mesh_scale\":200000}", "{\n  \"mesh_scale\": 200000\n}\n" },
	{ "{\"mesh_scale\":2.0}", "{\n  \"mesh_scale\": 2\n}\n" },
	{ "{\"mesh_scale\":1e-3}", "{\n  \"mesh_scale\": 0.001\n}\n" },
	{ "{\"mesh_scale\":0.1234567890123456}", "{\n  \"mesh_scale\": 0.1234567890123456\n}\n" },
	{ "{\"texture_size\":4096}", "{\n  \"texture_size\": 4096\n}\n" },
	{ "{\"image_url\":\"HTTP://h/\\u00e4/b\"}", "{\n  \"image_url\": \"HTTP://h/ä/b\"\n}\n" },
};

START_TEST(good_texts_become_canonical)
{
	struct params *params = parse(good[_i].text);
	expect_format(params, good[_i].canonical);
	struct params *again = parse(good[_i].canonical);
	expect_format(again, good[_i].canonical);
	params_free(params);
	params_free(again);
}
END_TEST

/* Each is invalid, and the error has these words in it. */
static const struct {
	const char *text;
	const char *words;
} bad[] = {
	{ "[", "JSON object" },
	{ "7", "JSON object" },
	{ "\"", "JSON object" },
	{ "x", "JSON object" },
	{ "{}x", "line 1, column 3" },
	{ "{}{", "line 1, column 3" },
	{ "{} tru", "line 1" },
	{ "{\n \"seed\": 1\n \"remesh\"", "line 3" },
	{ "{,", "line 1, column 2" },
	{ "{\"seed\": 1,}", "line 1" },
	{ "{\"seed\": trx", "line 1" },
	{ "{\"seed\": T", "line 1" },
	{ "{\"seed\": 01", "line 1" },
	{ "{\"seed\": 1..", "line 1" },
	{ "{\"seed\": +", "line 1" },
	{ "{\"seed\": NaN", "line 1" },
	{ "{\"seed\": Inf", "line 1" },
	{ "{\"mesh_scale\": 1e999}", "overflow" },
	{ "{\"seed\": 99999999999999999999}", "too big" },
	{ "{\"seed\": 1, \"seed\": 1}", "duplicate" },
	{ "{\"image_url\": \"\\q", "line 1" },
	{ "{\"image_url\": \"\\u12g", "line 1" },
	{ "{\"image_url\": \"\\udc00\"", "line 1" },
	{ "{\"image_url\": \"a\nb", "line 1" },
	{ "{\"image_url\": \"a\xff", "line 1" },
	{ "{\"image_url\": \"a\xc3(", "line 1" },
	{ "{\"image_url\": \"a\\u0000b\"}", "line 1" },
	{ "{\"resolution\": 1024.0}", "resolution: 1024.0 is a float, an integer is needed" },
	{ "{\"resolution\": \"1024\"}", "resolution: \"1024\" is a string, an integer is needed" },
	{ "{\"resolution\": 2048}", "resolution: 2048 is not one of 1024, 1536" },
	{ "{\"resolution\": 102}", "resolution: 102 is not one of 1024, 1536" },
	{ "{\"resolution\": 0}", "resolution: 0 is not one of" },
	{ "{\"texture_size\": 3000}", "texture_size: 3000 is not one of 1024, 2048, 4096" },
	{ "{\"seed\": null}", "seed: null is no value, an integer is needed" },
	{ "{\"seed\": {}}", "seed: {} is an object" },
	{ "{\"mesh_scale\": [1]}", "mesh_scale: [1] is an array, a number is needed" },
	{ "{\"mesh_scale\": \"big\"}", "a number is needed" },
	{ "{\"remesh\": 1}", "remesh: 1 is an integer, true or false is needed" },
	{ "{\"remesh\": \"true\"}", "true or false is needed" },
	{ "{\"image_url\": 5}", "image_url: 5 is an integer, a string is needed" },
	{ "{\"image_url\": \"\"}", "image_url: an http:// or https:// URL" },
	{ "{\"image_url\": \"dog.png\"}", "image_url: an http:// or https:// URL" },
	{ "{\"texture_siez\": 1024}",
	  "texture_siez: unknown parameter, did you mean texture_size?" },
	{ "{\"textureSize\": 1024}", "did you mean texture_size?" },
	{ "{\"url\": 1}", "url: unknown parameter" },
	{ "{\"\": 1}", ": unknown parameter" },
	{ "{\"a_name_that_is_longer_than_any_parameter_there_is\": 1}", "unknown parameter" },
};

START_TEST(bad_texts_are_refused_with_a_reason)
{
	struct params *params;
	char error[PARAMS_ERROR_MAX];
	int verdict = params_parse(bad[_i].text, strlen(bad[_i].text), &params, error);
	if (verdict != PARAMS_INVALID)
		ck_abort_msg("%s: verdict %d: %s", bad[_i].text, verdict, error);
	if (!strstr(error, bad[_i].words))
		ck_abort_msg("%s: %s", bad[_i].text, error);
	ck_assert_ptr_null(params);
}
END_TEST

static const char *const whole[] = {
	example,
	"",
	" \n",
	"{\"remesh\": true, \"remesh2\": false, \"seed\": null}",
	"{\"mesh_scale\": -12.25e+10, \"seed\": 0, \"a\": 1E-2}",
	"{\"image_url\": \"https://h/\\\"\\\\\\/\\b\\u00e4\\ud83d\\ude00\"}",
	"{\"image_url\": \"https://h/\xc3\xa4\xe2\x82\xac\xe0\xa4\xb9\xed\x9f\xbf\"}",
	"{\"image_url\": \"\xf0\x9f\x98\x80\xf3\x80\x80\x80\xf4\x8f\xbf\xbf\"}",
	"{\"\xc3\xa4\": {\"b\": [1, {}, [\"\", tru",
};

START_TEST(every_beginning_is_incomplete)
{
	struct params *params;
	char error[PARAMS_ERROR_MAX];
	for (size_t len = 0; len == 0 || len < strlen(whole[_i]); len++) {
		if (params_parse(whole[_i], len, &params, error) != PARAMS_INCOMPLETE)
			ck_abort_msg("%.*s: %s", (int)len, whole[_i], error);
		ck_assert_ptr_null(params);
		ck_assert_str_ne(error, "");
	}
}
END_TEST

START_TEST(length_is_limited)
{
	struct params *params;
	char error[PARAMS_ERROR_MAX];
	char *text = malloc(PARAMS_TEXT_MAX + 1);
	memset(text, ' ', PARAMS_TEXT_MAX + 1);
	ck_assert_int_eq(params_parse(text, PARAMS_TEXT_MAX, &params, error), PARAMS_INCOMPLETE);
	ck_assert_int_eq(params_parse(text, PARAMS_TEXT_MAX + 1, &params, error), PARAMS_INVALID);
	memcpy(text, "{}", 2);
	ck_assert_int_eq(params_parse(text, PARAMS_TEXT_MAX, &params, error), PARAMS_OK);
	params_free(params);
	memset(text, '[', PARAMS_TEXT_MAX);
	memcpy(text, "{\"a\":", 5);
	ck_assert_int_eq(params_parse(text, PARAMS_TEXT_MAX, &params, error), PARAMS_INVALID);
	free(text);
}
END_TEST

START_TEST(a_nul_byte_is_invalid)
{
	struct params *params;
	char error[PARAMS_ERROR_MAX];
	ck_assert_int_eq(params_parse("\0{}", 3, &params, error), PARAMS_INVALID);
	ck_assert_int_eq(params_parse("{}\0", 3, &params, error), PARAMS_INVALID);
	ck_assert_int_eq(params_parse("{\"a\0", 4, &params, error), PARAMS_INVALID);
}
END_TEST

START_TEST(the_table_is_the_documentation)
{
	size_t count;
	const struct params_spec *spec = params_specs(&count);
	struct params *params = parse(example);
	char *text = params_format(params), field[64];
	ck_assert_uint_eq(count, 20);
	ck_assert_str_eq(spec[0].name, "image_url");
	ck_assert_str_eq(spec[19].name, "remesh");
	/* the example gives every default */
	for (size_t i = 0; i < count; i++) {
		if (!spec[i].fallback)
			continue;
		snprintf(field, sizeof field, "\"%s\": %s", spec[i].name, spec[i].fallback);
		ck_assert_ptr_nonnull(strstr(text, field));
	}
	ck_assert_ptr_null(params_warnings(params));
	free(text);
	params_free(params);
}
END_TEST

START_TEST(sets_merge)
{
	struct params *base = parse("{\"seed\": 1, \"remesh\": true}");
	struct params *over = parse("{\"seed\": 2, \"mesh_scale\": 3}");
	ck_assert_int_eq(params_merge(base, over), 0);
	params_free(over);
	expect_format(base, "{\n  \"seed\": 2,\n  \"mesh_scale\": 3,\n  \"remesh\": true\n}\n");
	params_free(base);
}
END_TEST

START_TEST(single_values)
{
	struct params *params = params_new();
	expect_format(params, "{}\n");
	ck_assert_ptr_null(params_image_url(params));
	ck_assert(!params_has_seed(params));
	ck_assert_int_eq(params_texture_size(params), 2048);
	ck_assert_int_eq(params_set_image_url(params, "ftp://h/"), -EINVAL);
	ck_assert_int_eq(params_set_image_url(params, "https://h/"), 0);
	ck_assert_str_eq(params_image_url(params), "https://h/");
	ck_assert_int_eq(params_set_seed(params, UINT64_MAX), 0);
	ck_assert(params_has_seed(params));
	expect_format(params, "{\n  \"image_url\": \"https://h/\",\n  \"seed\": 2147483647\n}\n");
	params_free(params);
	params = parse("{\"texture_size\": 4096}");
	ck_assert_int_eq(params_texture_size(params), 4096);
	params_free(params);
	params_free(NULL);
}
END_TEST

START_TEST(unusual_values_warn)
{
	struct params *params = parse("{\"ss_guidance_strength\": 10.5, \"ss_sampling_steps\": 50,"
				      "\"decimation_target\": 100, \"mesh_scale\": 99}");
	char *text = params_warnings(params);
	ck_assert_str_eq(text, "ss_guidance_strength: 10.5 is outside the usual 0 to 10\n"
			       "decimation_target: 100 is outside the usual 5000 to 1500000\n");
	free(text);
	params_free(params);
}
END_TEST

static const struct {
	const char *url;
	int r;
} urls[] = {
	{ "https://example.com/dog.png", 0 },
	{ "http://h", 0 },
	{ "HTTPS://user:pass@h:8080?q#f", 0 },
	{ "https://h/\xc3\xa4", 0 },
	{ "", -EINVAL },
	{ "https://", -EINVAL },
	{ "https:///dog.png", -EINVAL },
	{ "https://?x", -EINVAL },
	{ "https://:80/", -EINVAL },
	{ "https://user@/", -EINVAL },
	{ "http:/h", -EINVAL },
	{ "file:///etc/passwd", -EINVAL },
	{ "data:image/png;base64,AAAA", -EINVAL },
	{ "https://h/a b", -EINVAL },
	{ "https://h/a\n", -EINVAL },
	{ "https://h/\x7f", -EINVAL },
	{ "https://h/\xff", -EINVAL },
};

START_TEST(urls_are_checked)
{
	char error[PARAMS_ERROR_MAX] = "";
	ck_assert_int_eq(params_check_url(urls[_i].url, strlen(urls[_i].url), error), urls[_i].r);
	ck_assert_int_eq(error[0] != '\0', urls[_i].r != 0);
}
END_TEST

START_TEST(long_urls_are_refused)
{
	char error[PARAMS_ERROR_MAX], url[8193];
	memset(url, 'a', sizeof url);
	memcpy(url, "https://", 8);
	ck_assert_int_eq(params_check_url(url, 8192, error), 0);
	ck_assert_int_eq(params_check_url(url, 8193, error), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("params");
	TCase *tcase = tcase_create("params");
	tcase_add_loop_test(tcase, good_texts_become_canonical, 0, ROWS(good));
	tcase_add_loop_test(tcase, bad_texts_are_refused_with_a_reason, 0, ROWS(bad));
	tcase_add_loop_test(tcase, every_beginning_is_incomplete, 0, ROWS(whole));
	tcase_add_test(tcase, length_is_limited);
	tcase_add_test(tcase, a_nul_byte_is_invalid);
	tcase_add_test(tcase, the_table_is_the_documentation);
	tcase_add_test(tcase, sets_merge);
	tcase_add_test(tcase, single_values);
	tcase_add_test(tcase, unusual_values_warn);
	tcase_add_loop_test(tcase, urls_are_checked, 0, ROWS(urls));
	tcase_add_test(tcase, long_urls_are_refused);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
