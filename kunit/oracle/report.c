// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was found, by rule and by place in the guest, as a JSON document.
 */

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define FORMAT_VERSION	1
#define ALLOWED		32
#define FUNCTION_MAX	0x10000

/* One finding that is shown. */
struct example {
	struct finding finding;
	struct buffer buffer;
	struct example *next;
};

/* All findings of one rule at one place. */
struct group {
	enum rule rule;
	u64 function;
	struct site site;
	u64 times;
	u64 lines;
	unsigned int nr_examples;
	struct example *examples;
	struct example **last;
	struct group *next;
};

struct report {
	struct {
		enum rule rule;
		const char *device;
	} allowed[ALLOWED];
	size_t nr_allowed;
	const struct symbols *symbols;
	unsigned int limit;
	struct group *groups;
	struct group **last;
	u64 totals[NR_RULES];
	u64 counters[NR_COUNTERS];
};

static const char * const counter_names[NR_COUNTERS] = {
	[COUNT_GIVEN] = "given",
	[COUNT_TAKEN] = "taken",
	[COUNT_COHERENT] = "coherent",
	[COUNT_ANNOUNCED] = "announced",
	[COUNT_INNER] = "inner_lines",
	[COUNT_OUTER] = "outer_lines",
	[COUNT_BARRIERS] = "barriers",
	[COUNT_SURPLUS] = "surplus_lines",
	[COUNT_LOST_TRACK] = "lost_track",
	[COUNT_EXPECTED] = "expected_findings",
	[COUNT_ALLOWED] = "allowed_findings",
};

static const char * const direction_names[] = {
	[BIDIRECTIONAL] = "bidirectional",
	[TO_DEVICE] = "to device",
	[FROM_DEVICE] = "from device",
	[NO_DIRECTION] = "none",
};

/**
 * report_new() - an empty report
 *
 * Return: The report, NULL without memory.
 */
struct report *report_new(void)
{
	struct report *report = calloc(1, sizeof(*report));

	if (report)
		report->last = &report->groups;
	return report;
}

/**
 * report_set() - what the report needs
 * @report: the report
 * @symbols: names for addresses, kept; may be NULL
 * @limit: how many findings are kept for each rule and place
 */
void report_set(struct report *report, const struct symbols *symbols,
		unsigned int limit)
{
	report->symbols = symbols;
	report->limit = limit;
}

/**
 * report_allow() - don't report some findings, only count them
 * @report: the report
 * @text: RULE@DEVICE, where DEVICE may have * and ?
 *
 * Return: false if that is not what the text is.
 */
bool report_allow(struct report *report, const char *text)
{
	const char *at = strchr(text, '@');

	if (!at || report->nr_allowed == ALLOWED)
		return false;
	for (size_t i = 0; i < NR_RULES; i++) {
		const char *name = rule_name(i);

		if (strlen(name) != (size_t)(at - text) ||
		    strncmp(name, text, at - text))
			continue;
		report->allowed[report->nr_allowed].rule = i;
		report->allowed[report->nr_allowed++].device = at + 1;
		return true;
	}

	return false;
}

/**
 * report_allows() - whether a finding is only to be counted, and count it
 * @report: the report
 * @finding: the finding
 *
 * Return: true if it is.
 */
bool report_allows(struct report *report, const struct finding *finding)
{
	for (size_t i = 0; i < report->nr_allowed; i++) {
		if (report->allowed[i].rule != finding->rule ||
		    !finding->buffer ||
		    fnmatch(report->allowed[i].device, finding->buffer->device,
			    0))
			continue;
		report_count(report, COUNT_ALLOWED, 1);
		return true;
	}

	return false;
}

/**
 * report_free() - forget it
 * @report: the report
 */
void report_free(struct report *report)
{
	struct group *group = report->groups;

	while (group) {
		struct group *next = group->next;
		struct example *example = group->examples;

		while (example) {
			struct example *after = example->next;

			free(example);
			example = after;
		}
		free(group);
		group = next;
	}
	free(report);
}

/* A function such as memcpy() has many instructions that write. */
static u64 function_of(const struct report *report, u64 pc)
{
	u64 offset;

	return symbols_name(report->symbols, pc, &offset) ? pc - offset : pc;
}

static struct group *find_group(struct report *report, enum rule rule,
				const struct site *site)
{
	u64 function = function_of(report, site->pc);
	struct group *group;

	for (group = report->groups; group; group = group->next) {
		if (group->rule == rule && group->function == function &&
		    group->site.caller == site->caller)
			return group;
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		abort();
	group->rule = rule;
	group->function = function;
	group->site = *site;
	group->last = &group->examples;
	*report->last = group;
	report->last = &group->next;

	return group;
}

/* A buffer is often used again and again: one example for each is enough. */
static bool is_known(const struct group *group, const struct finding *finding)
{
	const struct example *example;

	if (!finding->buffer)
		return false;
	for (example = group->examples; example; example = example->next) {
		if (example->finding.buffer &&
		    example->buffer.range.start == finding->buffer->range.start)
			return true;
	}

	return false;
}

/**
 * report_add() - a rule was broken
 * @report: the report
 * @finding: copied
 * @site: where the guest was
 */
void report_add(struct report *report, const struct finding *finding,
		const struct site *site)
{
	struct group *group = find_group(report, finding->rule, site);
	struct example *example;

	report->totals[finding->rule]++;
	group->times++;
	group->lines += finding->lines;
	if (group->nr_examples >= report->limit || is_known(group, finding))
		return;
	example = calloc(1, sizeof(*example));
	if (!example)
		abort();
	example->finding = *finding;
	if (finding->buffer) {
		example->buffer = *finding->buffer;
		example->finding.buffer = &example->buffer;
	}
	*group->last = example;
	group->last = &example->next;
	group->nr_examples++;
}

/**
 * report_count() - count what is no finding
 * @report: the report
 * @counter: which one
 * @number: how many
 */
void report_count(struct report *report, enum counter counter, u64 number)
{
	report->counters[counter] += number;
}

/**
 * report_counted() - what was counted
 * @report: the report
 * @counter: which one
 *
 * Return: The number.
 */
u64 report_counted(const struct report *report, enum counter counter)
{
	return report->counters[counter];
}

/**
 * report_total() - how often a rule was broken
 * @report: the report
 *
 * Return: The sum over all rules.
 */
u64 report_total(const struct report *report)
{
	u64 total = 0;

	for (size_t i = 0; i < NR_RULES; i++)
		total += report->totals[i];

	return total;
}

/**
 * report_caller() - who is to blame for the last group of findings
 * @report: the report
 *
 * Return: An address, 0 if it is not known.
 */
u64 report_caller(const struct report *report)
{
	const struct group *group = report->groups;

	while (group && group->next)
		group = group->next;
	return group ? group->site.caller : 0;
}

/* Names come from the guest, so they may be anything, and end on a terminal. */
static void write_string(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fputc('?', file);
		else
			fputc(c, file);
	}
	fputc('"', file);
}

static void write_place(FILE *file, const struct report *report,
			const char *key, u64 address)
{
	char text[512];
	const char *name;
	u64 offset;

	if (!address)
		return;
	name = symbols_name(report->symbols, address, &offset);
	/* A link register may hold anything. */
	if (name && offset < FUNCTION_MAX)
		snprintf(text, sizeof(text), "%s+0x%llx", name, offset);
	else
		snprintf(text, sizeof(text), "0x%llx", address);
	fprintf(file, ", \"%s\": ", key);
	write_string(file, text);
}

static void write_example(FILE *file, const struct report *report,
			  const struct example *example)
{
	const struct finding *finding = &example->finding;
	const struct buffer *buffer = finding->buffer;

	fprintf(file, "{\"first\": \"0x%llx\", \"lines\": %llu",
		finding->first, finding->lines);
	if (finding->size)
		fprintf(file, ", \"bytes\": %llu", finding->size);
	if (buffer) {
		fprintf(file, ", \"buffer\": {\"start\": \"0x%llx\", \"size\": %llu",
			buffer->range.start,
			buffer->range.end - buffer->range.start);
		fprintf(file, ", \"kind\": \"%s\", \"direction\": \"%s\"",
			buffer->coherent ? "coherent" : "streaming",
			direction_names[buffer->direction & 3]);
		fputs(", \"device\": ", file);
		write_string(file, buffer->device);
		write_place(file, report, "caller", buffer->caller);
		fputc('}', file);
	}
	fputc('}', file);
}

static void write_group(FILE *file, const struct report *report,
			const struct group *group)
{
	const struct example *example;
	const char *separator = "";

	fprintf(file, "  {\"rule\": \"%s\", \"text\": \"%s\", \"times\": %llu, \"lines\": %llu",
		rule_name(group->rule), rule_text(group->rule), group->times,
		group->lines);
	write_place(file, report, "at", group->site.pc);
	write_place(file, report, "caller", group->site.caller);
	fputs(", \"examples\": [", file);
	for (example = group->examples; example; example = example->next) {
		fputs(separator, file);
		write_example(file, report, example);
		separator = ",\n   ";
	}
	fputs("]}", file);
}

/**
 * report_write() - write all of it
 * @report: the report
 * @path: the file
 * @complete: whether the guest ended, and nothing can follow
 *
 * Return: false if that failed.
 */
bool report_write(const struct report *report, const char *path, bool complete)
{
	const struct group *group;
	const char *separator = "";
	FILE *file = fopen(path, "w");
	bool failed;

	if (!file)
		return false;
	fprintf(file, "{\"version\": %d, \"complete\": %s, \"total\": %llu,\n",
		FORMAT_VERSION, complete ? "true" : "false",
		report_total(report));
	fputs(" \"counters\": {", file);
	for (size_t i = 0; i < NR_COUNTERS; i++)
		fprintf(file, "%s\"%s\": %llu", i ? ", " : "",
			counter_names[i], report->counters[i]);
	fputs("},\n \"rules\": {", file);
	for (size_t i = 0; i < NR_RULES; i++) {
		if (!report->totals[i])
			continue;
		fprintf(file, "%s\"%s\": %llu", separator, rule_name(i),
			report->totals[i]);
		separator = ", ";
	}
	fputs("},\n \"findings\": [\n", file);
	separator = "";
	for (group = report->groups; group; group = group->next) {
		fputs(separator, file);
		write_group(file, report, group);
		separator = ",\n";
	}
	fputs("\n]}\n", file);
	failed = ferror(file);

	return !fclose(file) && !failed;
}
