/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_TEST_H
#define ORACLE_TEST_H

#include <stdio.h>

#include "../types.h"

/* Each test prints one line, and a line for each expectation that fails. */
struct test {
	const char *name;
	void (*run)(void);
};

extern unsigned int failed_expectations;

#define EXPECT_EQ(want, got) expect_eq((want), (got), #got, __FILE__, __LINE__)
#define EXPECT_TRUE(got) EXPECT_EQ(1, !!(got))
#define EXPECT_FALSE(got) EXPECT_EQ(0, !!(got))

static inline void expect_eq(u64 want, u64 got, const char *text,
			     const char *file, int line)
{
	if (want == got)
		return;
	printf("# %s:%d: %s is 0x%llx, expected 0x%llx\n", file, line, text,
	       got, want);
	failed_expectations++;
}

extern const struct test decode_tests[];
extern const struct test walk_tests[];
extern const struct test model_tests[];
extern const struct test observe_tests[];
extern const struct test report_tests[];

#endif
