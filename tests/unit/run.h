/* run - the end of every unit test's main() */
#ifndef RUN_H
#define RUN_H

#include <check.h>

/* Runs SUITE; CK_VERBOSITY in the environment says how much is told. Gives main's status. */
static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
