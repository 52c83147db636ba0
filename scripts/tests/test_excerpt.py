# SPDX-License-Identifier: GPL-2.0-only
"""Cutting functions out of C files."""

import unittest
from pathlib import Path

from lab import excerpt

HEADER = '''\
#ifndef _GUARD_H
#define _GUARD_H
/* struct comment { int x; }; */
#define LIMIT	4
#define TWICE(x) \\
	((x) + (x))
struct table {
	int entries[LIMIT];
};
enum colour { RED, GREEN = 3 };
extern int elsewhere[];
int wanted(struct table *t);
#ifdef FAST
#define STEP 2
#elif defined(SLOW)
#define STEP 3
#else
static inline int step1(int x)
{
	return x;
}
#endif
#endif
'''
CODE = '''\
#include "header.h"
static const char * const words[] __initconst = {
	"one { two", "}",
};

static noinline
int helper(const char *text)
{
#define inner(x) ({ \
	if (x) { \
		x++; \
	} \
})
#ifdef UNUSED
	if (text) {
#else
	if (!text) {
#endif
		return LIMIT;
	}
	return TWICE(words[0] == text);
}
EXPORT_SYMBOL(helper);

static int unused(void)
{
	return 1;
}

int wanted(struct table *t)
{
	/* unused() */
	return helper("unused()") + step(1) + RED;
}
'''
OTHER = '''\
static int helper(const char *text)
{
	return 0;
}
'''


def definitions():
    return excerpt.scan("header.h", HEADER) + excerpt.scan("code.c", CODE) \
        + excerpt.scan("other.c", OTHER)


def cut(*roots, known=()):
    return excerpt.closure(definitions(), roots, known)


def names(found):
    return [one.names[0] for one in found]


class Scan(unittest.TestCase):
    def test_finds_what_is_defined_and_nothing_else(self):
        self.assertEqual(names(excerpt.scan("header.h", HEADER)),
                         ["LIMIT", "TWICE", "table", "RED", "STEP", "STEP",
                          "step1"])
        self.assertEqual(names(excerpt.scan("code.c", CODE)),
                         ["words", "helper", "unused", "wanted"])

    def test_knows_lines_and_the_whole_text(self):
        words, helper, *_ = excerpt.scan("code.c", CODE)
        self.assertEqual((words.first, helper.first), (2, 6))
        self.assertTrue(words.text.endswith('"one { two", "}",\n};'))
        self.assertTrue(helper.text.startswith("static noinline\nint helper"))
        self.assertTrue(helper.text.endswith("text);\n}"))

    def test_conditions_without_the_include_guard(self):
        found = {(one.names[0], one.conditions)
                 for one in excerpt.scan("header.h", HEADER)}
        self.assertIn(("LIMIT", ()), found)
        self.assertIn(("STEP", ("defined(FAST)",)), found)
        self.assertIn(("STEP", ("!(defined(FAST)) && (defined(SLOW))",)),
                      found)
        self.assertIn(("step1", ("!(defined(FAST)) && !(defined(SLOW))",)),
                      found)

    def test_static_is_local_but_inline_is_not(self):
        local = {one.names[0]: one.local for one in definitions()
                 if one.path != "other.c"}
        self.assertTrue(local["helper"] and local["words"])
        self.assertFalse(local["step1"] or local["wanted"])


class Closure(unittest.TestCase):
    def test_takes_what_is_used_before_its_user(self):
        found = cut("wanted")
        self.assertEqual(set(names(found)), {"LIMIT", "TWICE", "table", "RED",
                                             "words", "helper", "wanted"})
        for first, then in (("LIMIT", "table"), ("words", "helper"),
                            ("helper", "wanted"), ("table", "wanted")):
            self.assertLess(names(found).index(first),
                            names(found).index(then))

    def test_comments_and_strings_use_nothing(self):
        self.assertNotIn("unused", names(cut("wanted")))

    def test_another_file_s_static_function_is_not_meant(self):
        self.assertEqual({one.path for one in cut("wanted")
                          if one.names[0] == "helper"}, {"code.c"})

    def test_known_names_are_not_followed(self):
        self.assertEqual(names(cut("wanted", known=["helper", "RED"])),
                         ["LIMIT", "table", "wanted"])

    def test_a_pasted_name_is_followed(self):
        code = "#define step(x) CONCATENATE(step, 1)(x)\nint f(void)\n" \
               "{\n\treturn step(2);\n}\n"
        found = excerpt.closure(excerpt.scan("a.h", code + "#define step1(x) "
                                             "(x)\n"), ["f"])
        self.assertEqual(names(found), ["step1", "step", "f"])

    def test_a_missing_root_is_named(self):
        with self.assertRaises(LookupError) as caught:
            cut("cma_parse")
        self.assertEqual(str(caught.exception), "cma_parse")

    def test_text_keeps_lines_and_conditions(self):
        one, = (one for one in definitions() if one.names == ("step1",))
        self.assertEqual(
            excerpt.text([one], Path("/tree")).splitlines(),
            ["#if !(defined(FAST)) && !(defined(SLOW))",
             '#line 18 "/tree/header.h"', "static inline int step1(int x)",
             "{", "\treturn x;", "}", "#endif"])


if __name__ == "__main__":
    unittest.main()
