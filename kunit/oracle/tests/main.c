// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tests that need neither QEMU nor a guest. Output: a line for each test,
 * "ok NAME" or "not ok NAME".
 */

#include "test.h"

unsigned int failed_expectations;

static int run(const struct test *tests)
{
	int failed = 0;

	for (; tests->name; tests++) {
		failed_expectations = 0;
		tests->run();
		printf("%s %s\n", failed_expectations ? "not ok" : "ok",
		       tests->name);
		failed += !!failed_expectations;
	}

	return failed;
}

int main(void)
{
	int failed = run(decode_tests) + run(walk_tests) + run(model_tests) +
		     run(observe_tests) + run(report_tests);

	return !!failed;
}
