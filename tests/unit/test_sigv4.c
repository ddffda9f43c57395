/* The examples of "Authenticating Requests (AWS Signature Version 4)", whose signatures Amazon has
 * published, and what they leave out. */
#include "run.h"
#include "sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sigv4 example = {
	.id = "AKIAIOSFODNN7EXAMPLE",
	.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	.token = "",
	.region = "us-east-1",
	.now_s = 1369353600, /* 2013-05-24T00:00:00Z */
};

#define HOST "examplebucket.s3.amazonaws.com"

START_TEST(a_presigned_url)
{
	char *query = sigv4_presign(&example, HOST, "/test.txt", 86400);
	ck_assert_str_eq(
		query,
		"X-Amz-Algorithm=AWS4-HMAC-SHA256"
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
		"&X-Amz-Signature="
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
	free(query);
}
END_TEST

static const struct {
	const char *query, *signature;
} published[] = {
	{ "lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
	{ "max-keys=2&prefix=J",
	  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
};

START_TEST(signed_headers)
{
	struct sigv4_request request = { .method = "GET",
					 .host = HOST,
					 .path = "/",
					 .query = published[_i].query,
					 .sha256 = SIGV4_EMPTY };
	char expected[1024], *lines = sigv4_headers(&example, &request);
	snprintf(expected, sizeof(expected),
		 "x-amz-date: 20130524T000000Z\nx-amz-content-sha256: " SIGV4_EMPTY "\n"
		 "Authorization: AWS4-HMAC-SHA256 "
		 "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
		 "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=%s\n",
		 published[_i].signature);
	ck_assert_str_eq(lines, expected);
	free(lines);
}
END_TEST

/* What the examples leave out: a session's token, odd characters, a port, a body. Signatures by
 * botocore 1.43. */

static struct sigv4 session(void)
{
	struct sigv4 sign = example;
	sign.token = "to/k+en==";
	sign.region = "auto";
	return sign;
}

#define ODD                                                                                        \
	"/b\xc3\xbc"                                                                               \
	"cket +&/x.png"
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

START_TEST(a_session_puts)
{
	struct sigv4 sign = session();
	char *path = sigv4_path(ODD);
	struct sigv4_request request = { .method = "PUT",
					 .host = "127.0.0.1:9000",
					 .path = path,
					 .query = "",
					 .content_type = "image/png",
					 .sha256 = A64 };
	char *lines = sigv4_headers(&sign, &request);
	ck_assert_str_eq(path, "/b%C3%BCcket%20%2B%26/x.png");
	ck_assert_str_eq(
		lines,
		"x-amz-date: 20130524T000000Z\nx-amz-content-sha256: " A64 "\n"
		"Content-Type: image/png\nx-amz-security-token: to/k+en==\n"
		"Authorization: AWS4-HMAC-SHA256 "
		"Credential=AKIAIOSFODNN7EXAMPLE/20130524/auto/s3/aws4_request, SignedHeaders="
		"content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="
		"553385a328aed3c8ab4ebf9a9cb30a7e57ce62717522a71115e26c9daf160ce2\n");
	free(lines);
	free(path);
}
END_TEST

START_TEST(a_session_presigns)
{
	struct sigv4 sign = session();
	char *path = sigv4_path(ODD);
	char *query = sigv4_presign(&sign, "127.0.0.1:9000", path, SIGV4_LIFETIME_MAX);
	ck_assert_str_eq(
		query,
		"X-Amz-Algorithm=AWS4-HMAC-SHA256"
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fauto%2Fs3%2Faws4_request"
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=604800"
		"&X-Amz-Security-Token=to%2Fk%2Ben%3D%3D&X-Amz-SignedHeaders=host&X-Amz-Signature="
		"bdffa48c8fe8ad208ffb331fa2e0934271d7d2fe503167799366115588308e10");
	ck_assert_ptr_null(strstr(query, sign.secret));
	free(query);
	free(path);
}
END_TEST

START_TEST(all_bytes_of_a_path)
{
	char all[256], *path;
	for (int i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	all[255] = '\0';
	path = sigv4_path(all);
	/* 66 unreserved characters and "/" as they are */
	ck_assert_uint_eq(strlen(path), 67 + 3 * (255 - 67));
	ck_assert_uint_eq(strspn(path, "%/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-._~"),
			  strlen(path));
	ck_assert_ptr_nonnull(strstr(path, "%0A"));
	ck_assert_ptr_nonnull(strstr(path, "%FF"));
	free(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sigv4");
	TCase *tcase = tcase_create("sigv4");
	tcase_add_test(tcase, a_presigned_url);
	tcase_add_loop_test(tcase, signed_headers, 0, 2);
	tcase_add_test(tcase, a_session_puts);
	tcase_add_test(tcase, a_session_presigns);
	tcase_add_test(tcase, all_bytes_of_a_path);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
