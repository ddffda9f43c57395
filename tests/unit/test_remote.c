#include "remote.h"
#include "run.h"

#include <check.h>
#include <errno.h>

static const struct {
	enum remote_fault fault;
	long http_status;
	int error;
} rows[] = {
	{ REMOTE_OK, 200, 0 },
	{ REMOTE_OK, 202, 0 },
	{ REMOTE_OK, 206, 0 },
	{ REMOTE_OK, 400, EINVAL },
	{ REMOTE_OK, 401, EKEYREJECTED },
	{ REMOTE_OK, 402, EDQUOT },
	{ REMOTE_OK, 403, EACCES },
	{ REMOTE_OK, 404, EREMOTEIO },
	{ REMOTE_OK, 408, ETIMEDOUT },
	{ REMOTE_OK, 422, EINVAL },
	{ REMOTE_OK, 429, EBUSY },
	{ REMOTE_OK, 500, EREMOTEIO },
	{ REMOTE_OK, 503, EREMOTEIO },
	{ REMOTE_OK, 302, EREMOTEIO },
	{ REMOTE_OK, 0, EREMOTEIO },
	{ REMOTE_OK, -1, EREMOTEIO },
	{ REMOTE_DNS, 0, EHOSTUNREACH },
	{ REMOTE_CONNECT, 0, ECONNREFUSED },
	{ REMOTE_TLS, 0, EREMOTEIO },
	{ REMOTE_TIMEOUT, 0, ETIMEDOUT },
	{ REMOTE_CUT, 200, EREMOTEIO },
	{ REMOTE_TOO_BIG, 200, EREMOTEIO },
	{ REMOTE_FORBIDDEN, 0, EACCES },
	{ REMOTE_REDIRECT, 302, EREMOTEIO },
	{ REMOTE_NO_KEY, 0, ENOKEY },
	{ REMOTE_ABORTED, 0, ECANCELED },
	{ REMOTE_STOPPED, 0, ESHUTDOWN },
	{ REMOTE_CHANGED, 200, ESTALE },
};

START_TEST(every_error_has_an_errno)
{
	ck_assert_int_eq(remote_errno(rows[_i].fault, rows[_i].http_status), rows[_i].error);
}
END_TEST

static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	{ "\"1\"", "\"1\"", true },
	{ "\"1\"", "\"2\"", false },
	{ "\"1\"", "W/\"1\"", true },
	{ "W/\"1\"", "W/\"1\"", true },
	{ "W/\"1\"", "W/\"2\"", false },
	{ "Wed, 20 May 2026 13:17:32 GMT", "Wed, 20 May 2026 13:17:32 GMT", true },
	{ "Wed, 20 May 2026 13:17:32 GMT", "Wed, 20 May 2026 13:17:33 GMT", false },
	{ "Wed, 20 May 2026 13:17:32 GMT", "W/\"1\"", true },
	{ "\"1\"", NULL, true },
	{ NULL, NULL, true },
};
#define PAIRS (int)(sizeof(pairs) / sizeof(pairs[0]))

START_TEST(objects_are_told_apart_by_what_both_have)
{
	ck_assert_int_eq(remote_same_object(pairs[_i].a, pairs[_i].b), pairs[_i].same);
	ck_assert_int_eq(remote_same_object(pairs[_i].b, pairs[_i].a), pairs[_i].same);
}
END_TEST

START_TEST(fault_names_are_there_and_differ)
{
	for (int i = REMOTE_OK; i <= REMOTE_CHANGED; i++) {
		ck_assert_ptr_nonnull(remote_fault_name((enum remote_fault)i));
		for (int j = REMOTE_OK; j < i; j++)
			ck_assert_str_ne(remote_fault_name((enum remote_fault)i),
					 remote_fault_name((enum remote_fault)j));
	}
	ck_assert_str_eq(remote_fault_name(REMOTE_TIMEOUT), "timeout");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("remote");
	TCase *tcase = tcase_create("remote");
	tcase_add_loop_test(tcase, every_error_has_an_errno, 0,
			    (int)(sizeof rows / sizeof rows[0]));
	tcase_add_loop_test(tcase, objects_are_told_apart_by_what_both_have, 0, PAIRS);
	tcase_add_test(tcase, fault_names_are_there_and_differ);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
