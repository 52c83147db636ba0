// SPDX-License-Identifier: GPL-2.0-only
/* What is written is compared with what JSON has to be, as text. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../report.h"
#include "test.h"

static struct symbols *symbols;
static struct report *report;
static char written[0x10000];
static char path[32];

static void begin(void)
{
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/oracle-test-XXXXXX");
	file = fdopen(mkstemp(path), "w");
	fputs("c0100000 t first\n"
	      "c0100100 t second\n"
	      "c0100200 T third.isra.0\n"
	      "c0100300 t third_b\n"
	      "c0200000 T _etext\n", file);
	fclose(file);
	symbols = symbols_read(path);
	report = report_new();
	report_set(report, symbols, 2);
}

static void finish(void)
{
	report_free(report);
	symbols_free(symbols);
	remove(path);
}

/* A buffer of 4 KiB, 0: none */
static void add(enum rule rule, u64 pc, u64 caller, u64 start, const char *name)
{
	struct buffer buffer = {
		.range = { start, start + 0x1000 }, .direction = FROM_DEVICE,
		.caller = 0xc0100104,
	};
	struct finding finding = {
		.rule = rule, .first = start + 0x40, .lines = 3,
		.buffer = start ? &buffer : NULL,
	};
	struct site site = { .pc = pc, .caller = caller };

	snprintf(buffer.device, sizeof(buffer.device), "%s", name);
	report_add(report, &finding, &site);
}

static const char *text(bool complete)
{
	FILE *file;
	size_t size;

	EXPECT_TRUE(report_write(report, path, complete));
	file = fopen(path, "r");
	size = fread(written, 1, sizeof(written) - 1, file);
	fclose(file);
	written[size] = '\0';
	return written;
}

static unsigned int times(const char *wanted, const char *in)
{
	unsigned int number = 0;

	for (; (in = strstr(in, wanted)); in++)
		number++;
	return number;
}

static void has(const char *whole, const char *part)
{
	if (!strstr(whole, part))
		printf("# there is no %s\n", part);
	EXPECT_TRUE(strstr(whole, part));
}

static void empty_report(void)
{
	begin();
	report_count(report, COUNT_GIVEN, 7);
	report_count(report, COUNT_GIVEN, 1);
	has(text(true),
	    "\"complete\": true, \"total\": 0,");
	has(text(true),
	    "\"given\": 8, \"taken\": 0,");
	has(text(true),
	    "\"rules\": {},\n \"findings\": [\n\n]}");
	has(text(false),
	    "\"complete\": false");
	EXPECT_FALSE(report_write(report, "/nowhere/report.json", true));
	finish();
}

static void findings_are_grouped_by_place(void)
{
	begin();
	add(RULE_DIRTY_INNER, 0xc0100010, 0xc0100204, 0x1000, "dev");
	/* another instruction of that function */
	add(RULE_DIRTY_INNER, 0xc0100014, 0xc0100204, 0x1000, "dev");
	EXPECT_EQ(1, times("\"rule\"", text(true)));
	has(written,
	    "\"times\": 2, \"lines\": 6, \"at\": \"first+0x10\", \"caller\": \"third.isra.0+0x4\", \"examples\"");
	/* another function, caller, rule */
	add(RULE_DIRTY_INNER, 0xc0100110, 0xc0100204, 0x1000, "dev");
	EXPECT_EQ(2, times("\"rule\"", text(true)));
	add(RULE_DIRTY_INNER, 0xc0100010, 0xc0100208, 0x1000, "dev");
	EXPECT_EQ(3, times("\"rule\"", text(true)));
	add(RULE_DIRTY_OUTER, 0xc0100010, 0xc0100204, 0x1000, "dev");
	EXPECT_EQ(4, times("\"rule\"", text(true)));
	has(written,
	    "\"total\": 5,");
	has(written,
	    "\"rules\": {\"dirty-inner\": 4, \"dirty-outer\": 1}");
	EXPECT_EQ(0xc0100204, report_caller(report));
	finish();
}

static void examples_are_few_and_different(void)
{
	begin();
	add(RULE_ORDER, 0xc0100010, 0, 0x1000, "dev");
	add(RULE_ORDER, 0xc0100010, 0, 0x1000, "dev");
	EXPECT_EQ(1, times("\"first\"", text(true)));
	add(RULE_ORDER, 0xc0100010, 0, 0x2000, "dev");
	add(RULE_ORDER, 0xc0100010, 0, 0x3000, "dev");
	EXPECT_EQ(2, times("\"first\"", text(true)));
	has(written,
	    "\"times\": 4, \"lines\": 12");
	has(written,
	    "{\"first\": \"0x1040\", \"lines\": 3, \"buffer\": {\"start\": \"0x1000\", \"size\": 4096, \"kind\": \"streaming\", \"direction\": \"from device\", \"device\": \"dev\", \"caller\": \"second+0x4\"}}");
	finish();
}

static void accesses_without_a_buffer(void)
{
	struct finding finding = {
		.rule = RULE_ALIAS_DIRTY, .first = 0x44, .lines = 1, .size = 4,
	};
	struct site site = { .pc = 0xd0000000, .caller = 0xc0110300 };

	begin();
	report_add(report, &finding, &site);
	report_add(report, &finding, &site);
	report_add(report, &finding, &site);
	/* neither is in a function */
	has(text(true),
	    "\"at\": \"0xd0000000\", \"caller\": \"0xc0110300\", \"examples\": [{\"first\": \"0x44\", \"lines\": 1, \"bytes\": 4},");
	EXPECT_EQ(2, times("\"first\"", written));
	finish();
}

static void names_of_the_guest_are_harmless(void)
{
	begin();
	add(RULE_ORDER, 0xc0100010, 0, 0x1000, "a\"\\\x1b[31m\xc3\xa9\n\x7f~");
	has(text(true),
	    "\"device\": \"a\\\"\\\\?[31m????~\"");
	finish();
}

static void coherent_buffers(void)
{
	struct buffer buffer = { .range = { 0x1000, 0x2000 }, .coherent = true };
	struct finding finding = {
		.rule = RULE_CACHED_COHERENT, .first = 0x1000, .lines = 1,
		.buffer = &buffer,
	};
	struct site site = { .pc = 0xc0100010 };

	begin();
	report_add(report, &finding, &site);
	has(text(true),
	    "\"kind\": \"coherent\", \"direction\": \"bidirectional\", \"device\": \"\"}");
	finish();
}

static void names_with_suffixes(void)
{
	size_t position = 0;

	begin();
	EXPECT_EQ(0xc0100200, symbols_next(symbols, "third", &position));
	/* but nothing that only begins like it */
	EXPECT_EQ(0, symbols_next(symbols, "third", &position));
	EXPECT_EQ(0, symbols_address(symbols, "fir"));
	EXPECT_FALSE(symbols_read("/nowhere/System.map"));
	finish();
}

const struct test report_tests[] = {
	{ "report: empty_report", empty_report },
	{ "report: findings_are_grouped_by_place",
	  findings_are_grouped_by_place },
	{ "report: examples_are_few_and_different",
	  examples_are_few_and_different },
	{ "report: accesses_without_a_buffer", accesses_without_a_buffer },
	{ "report: names_of_the_guest_are_harmless",
	  names_of_the_guest_are_harmless },
	{ "report: coherent_buffers", coherent_buffers },
	{ "report: names_with_suffixes", names_with_suffixes },
	{}
};
