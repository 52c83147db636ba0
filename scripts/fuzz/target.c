// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target for the parsers of cma= and cma_map=.
 *
 * An input is a kernel command line. The kernel's own next_arg() splits it, and
 * each value goes to the parser of its parameter; that of any other parameter
 * goes to both. Beside what the sanitizers see, an input is a finding if
 *
 *  - what was accepted is not what an exact reading of the text gives, or what
 *    such a reading finds valid is refused (struct reading, struct rule),
 *  - the tables do not hold what the rest of the kernel relies on
 *    (check_cmdline(), check_map()),
 *  - a refused text changes anything, or is not reported with one line,
 *  - the same text gives another result the second time, or if it is spread
 *    over several parameters.
 */

#include "kernel.h"
#include "parsers.h"

#define PHYS_MAX	((phys_addr_t)-1)
#define LABEL_MAX	63
#define DEVICE_MAX	127

static const char *current = "";

/* What is wrong, and with which text; the laboratory looks for this line. */
static void violated(const char *what)
{
	fprintf(stderr, "cma fuzz: violated: %s: %s\n", what, current);
	abort();
}

#define MUST(condition, what)			\
	do {					\
		if (!(condition))		\
			violated(what);		\
	} while (0)

/* ---- the log ---------------------------------------------------------- */

static int refusals;
static int other_lines;
static bool said_taken;

void fuzz_log(const char *format, ...)
{
	char line[4096];
	const char *reason;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);

	MUST(length > 1 && length < (int)sizeof(line), "a line without text");
	MUST(line[length - 1] == '\n', "a line without an end");
	line[length - 1] = '\0';

	/* The last one: the text before it may say that, too. */
	reason = strstr(line, " refused: ");
	if (!reason) {
		other_lines++;
		return;
	}
	for (const char *next = reason; next; next = strstr(next + 1, " refused: "))
		reason = next;
	MUST(reason[strlen(" refused: ")], "a refusal without a reason");
	refusals++;
	said_taken = strstr(reason, "the kernel uses this name");
}

/* ---- an exact reading of a region ----------------------------------------- */

/* Saturates at all ones, and knows that it did. */
struct number {
	u64 value;
	bool huge;
};

struct reading {
	char label[LABEL_MAX + 1];
	bool labelled;
	bool at;
	bool window;
	struct number size, start, end;
};

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool read_number(const char **text, struct number *number)
{
	const char *digits = "0123456789abcdef", *p = *text, *suffix;
	unsigned int base = 10, bits = 0;
	const char *found;

	if (*p < '0' || *p > '9')
		return false;
	if (p[0] == '0' && is_one_of(p[1], "xX") &&
	    is_one_of(p[2], "0123456789abcdefABCDEF")) {
		base = 16;
		p += 2;
	} else if (p[0] == '0') {
		base = 8;
	}

	number->value = 0;
	number->huge = false;
	for (; *p; p++) {
		char lower = *p >= 'A' && *p <= 'F' ? *p + 32 : *p;

		found = strchr(digits, lower);
		if (!found || found - digits >= (int)base)
			break;
		if (__builtin_mul_overflow(number->value, (u64)base,
					   &number->value) ||
		    __builtin_add_overflow(number->value, (u64)(found - digits),
					   &number->value))
			number->huge = true;
	}

	suffix = *p ? strchr("KkMmGgTtPpEe", *p) : NULL;
	if (suffix) {
		bits = 10 * (1 + (suffix - "KkMmGgTtPpEe") / 2);
		p++;
	}
	/* a hexadecimal digit passes for a suffix here, in the kernel as well */
	if ((p[-1] | 32) >= 'a' && (p[-1] | 32) <= 'z') {
		if (p[0] == 'i' && p[1] == 'B')
			p += 2;
		else if (*p == 'B')
			p++;
	}
	if (bits && number->value >> (64 - bits))
		number->huge = true;
	number->value <<= bits;
	if (number->huge)
		number->value = UINT64_MAX;

	*text = p;
	return true;
}

static bool is_numbered(const char *label, const char *prefix)
{
	size_t length = strlen(prefix);

	return !strncmp(label, prefix, length) && label[length] &&
	       !label[length + strspn(label + length, "0123456789")];
}

/* The design's rules for a label, from its own list of names. */
static bool label_is_valid(const char *label)
{
	static const char * const taken[] = {
		".", "..", "reserved", "system", "system_cc_shared",
		"default_cma_region",
	};
	size_t length = strlen(label);

	if (!length || length > LABEL_MAX ||
	    label[strspn(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "abcdefghijklmnopqrstuvwxyz0123456789_.-")])
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (!strcmp(label, taken[i]))
			return false;

	return !is_numbered(label, "cma") && !is_numbered(label, "numa") &&
	       !is_numbered(label, "hugetlb");
}

/* Returns false if @text is not a region at all. */
static bool read_region(const char *text, struct reading *reading)
{
	const char *equals = strchr(text, '=');

	memset(reading, 0, sizeof(*reading));
	if (equals) {
		if (equals - text > LABEL_MAX)
			return false;
		memcpy(reading->label, text, equals - text);
		reading->labelled = true;
		if (!label_is_valid(reading->label))
			return false;
		text = equals + 1;
	}

	if (!read_number(&text, &reading->size))
		return false;
	if (*text == '@') {
		reading->at = true;
		text++;
		if (!read_number(&text, &reading->start))
			return false;
		if (*text == '-') {
			reading->window = true;
			text++;
			if (!read_number(&text, &reading->end))
				return false;
		}
	}

	return !*text;
}

/* Whether a reading must be accepted if there is room for it in the table. */
static bool reading_is_good(const struct reading *reading)
{
	u64 size = reading->size.value, start = reading->start.value;

	if (!size)
		return !reading->labelled && !reading->at;
	if (reading->size.huge || reading->start.huge || reading->end.huge ||
	    size >= PHYS_MAX || start >= PHYS_MAX)
		return false;
	if (reading->window)
		return start < reading->end.value &&
		       size <= reading->end.value - start;
	if (reading->at)
		return start && size <= PHYS_MAX - start;

	return true;
}

/* ---- cma= ------------------------------------------------------------------ */

static void check_region(const struct cma_region *region)
{
	MUST(strnlen(region->label, sizeof(region->label)) <
	     sizeof(region->label), "label is not terminated");
	if (!region->size)
		return;
	MUST(!region->limit || region->limit > region->base,
	     "limit is not above base");
	if (!region->fixed)
		return;
	MUST(region->base, "fixed at 0, which means anywhere");
	MUST(region->size - 1 <= PHYS_MAX - region->base, "fixed region wraps");
}

static void check_cmdline(const struct cma_cmdline *cmdline)
{
	MUST(cmdline->nr_labelled <= ARRAY_SIZE(cmdline->labelled),
	     "more regions than the table has");
	for (unsigned int i = 0; i < cmdline->nr_labelled; i++) {
		const struct cma_region *region = &cmdline->labelled[i];

		check_region(region);
		MUST(label_is_valid(region->label), "label is not valid");
		MUST(region->size, "labelled region of size 0");
		for (unsigned int j = 0; j < i; j++)
			MUST(strcmp(region->label, cmdline->labelled[j].label),
			     "label is not unique");
	}
	check_region(&cmdline->default_region);
	MUST(!cmdline->default_region.label[0], "default region has a label");
	MUST(cmdline->has_default || (!cmdline->default_region.size &&
				      !cmdline->default_region.base),
	     "default region that nobody wrote");
}

static bool same_region(const struct cma_region *a, const struct cma_region *b)
{
	return !strcmp(a->label, b->label) && a->size == b->size &&
	       a->base == b->base && a->limit == b->limit &&
	       a->fixed == b->fixed;
}

static bool same_cmdline(const struct cma_cmdline *a,
			 const struct cma_cmdline *b)
{
	if (a->nr_labelled != b->nr_labelled ||
	    a->has_default != b->has_default ||
	    !same_region(&a->default_region, &b->default_region))
		return false;
	for (unsigned int i = 0; i < a->nr_labelled; i++)
		if (!same_region(&a->labelled[i], &b->labelled[i]))
			return false;

	return true;
}

/* Parse with the kernel's parser a copy that is as long as the text. */
static int parse_cmdline(const char *text, struct cma_cmdline *cmdline)
{
	char *copy = strdup(text);
	int refused;

	refusals = 0;
	other_lines = 0;
	refused = cma_parse_cmdline(copy, cmdline);
	MUST(refused >= 0, "negative number of refusals");
	MUST(refused == refusals, "not one line per refusal");
	MUST(!strcmp(copy, text), "the text was changed");
	free(copy);
	check_cmdline(cmdline);

	return refused;
}

static void check_accepted(const struct reading *reading,
			   const struct cma_region *region)
{
	u64 end = reading->window ? reading->end.value :
		  reading->at ? reading->start.value + reading->size.value : 0;

	MUST(!strcmp(region->label, reading->label), "not the label as written");
	MUST(!reading->size.huge && region->size == reading->size.value,
	     "not the size as written");
	MUST(!reading->start.huge && region->base == reading->start.value,
	     "not the start as written");
	MUST(region->limit == (end > PHYS_MAX ? 0 : end),
	     "not the end as written");
	if (region->size)
		MUST(region->fixed == (region->base && end - region->base ==
				       region->size),
		     "fixed or not, but not as written");
}

/* One region without a comma, added to what @cmdline has. */
static int parse_one_region(const char *text, struct cma_cmdline *cmdline)
{
	const struct cma_cmdline before = *cmdline;
	struct cma_region *added;
	struct reading reading;
	bool is_region, room;
	int refused;

	refused = parse_cmdline(text, cmdline);
	MUST(refused <= 1, "refused more often than written");
	is_region = read_region(text, &reading);

	if (refused) {
		MUST(!other_lines, "a refusal with another line");
		MUST(same_cmdline(cmdline, &before),
		     "a refused region changed the table");
		room = !reading.labelled ||
		       before.nr_labelled < ARRAY_SIZE(before.labelled);
		for (unsigned int i = 0; i < before.nr_labelled; i++)
			if (!strcmp(before.labelled[i].label, reading.label))
				room = false;
		MUST(!is_region || !room || said_taken ||
		     !reading_is_good(&reading), "a valid region was refused");
		return refused;
	}

	MUST(is_region, "accepted what is not a region");
	if (reading.labelled) {
		MUST(cmdline->nr_labelled == before.nr_labelled + 1,
		     "not one region more");
		added = &cmdline->labelled[before.nr_labelled];
		cmdline->nr_labelled--;
		MUST(same_cmdline(cmdline, &before),
		     "a region changed other regions");
		cmdline->nr_labelled++;
	} else {
		MUST(cmdline->has_default, "default region was dropped");
		MUST(other_lines == before.has_default,
		     "replaced, and did not say so");
		added = &cmdline->default_region;
		MUST(cmdline->nr_labelled == before.nr_labelled,
		     "the default region became another");
	}
	check_accepted(&reading, added);

	return 0;
}

static void try_cma(const char *text, struct cma_cmdline *cmdline)
{
	struct cma_cmdline again = *cmdline, apart = *cmdline;
	char *copy = strdup(text), *rest = copy, *piece;
	int refused, refused_apart = 0;

	current = text;
	refused = parse_cmdline(text, cmdline);
	MUST(parse_cmdline(text, &again) == refused &&
	     same_cmdline(&again, cmdline), "another result the second time");

	while ((piece = strsep(&rest, ",")))
		refused_apart += parse_one_region(piece, &apart);
	MUST(refused_apart == refused && same_cmdline(&apart, cmdline),
	     "another result in parameters of their own");
	free(copy);
}

/* ---- cma_map= -------------------------------------------------------------- */

/* The device and the area of a rule as written; may be anything. */
struct rule {
	const char *device;
	size_t device_length;
	const char *area;
};

static bool read_rule(const char *text, struct rule *rule)
{
	const char *equals = strrchr(text, '=');

	if (!equals)
		return false;
	rule->device = text;
	rule->device_length = equals - text;
	rule->area = equals + 1;

	return true;
}

/* [bus/]name[*], where * alone needs a bus, or /path */
static bool device_is_valid(const char *device, size_t length)
{
	const char *slash = memchr(device, '/', length);
	const char *star = memchr(device, '*', length);

	if (!length || length > DEVICE_MAX)
		return false;
	if (slash == device)
		return true;
	if (slash && (slash == device + length - 1 ||
		      memchr(slash + 1, '/', device + length - slash - 1)))
		return false;

	return !star || (star == device + length - 1 && star != device);
}

static void check_map(const struct cma_map *map)
{
	MUST(map->nr_entries <= ARRAY_SIZE(map->entries),
	     "more rules than the table has");
	for (unsigned int i = 0; i < map->nr_entries; i++) {
		const struct cma_map_entry *entry = &map->entries[i];

		MUST(strnlen(entry->device, sizeof(entry->device)) <
		     sizeof(entry->device), "device is not terminated");
		MUST(strnlen(entry->area, sizeof(entry->area)) <
		     sizeof(entry->area), "name of an area is not terminated");
		MUST(device_is_valid(entry->device, strlen(entry->device)),
		     "device is not valid");
		/* A node's name is allowed, so this is not a label's rule. */
		MUST(entry->area[0] && !strpbrk(entry->area, ",="),
		     "name of an area is not valid");
	}
}

static bool same_map(const struct cma_map *a, const struct cma_map *b)
{
	if (a->nr_entries != b->nr_entries)
		return false;
	for (unsigned int i = 0; i < a->nr_entries; i++)
		if (strcmp(a->entries[i].device, b->entries[i].device) ||
		    strcmp(a->entries[i].area, b->entries[i].area))
			return false;

	return true;
}

static int parse_map(const char *text, struct cma_map *map)
{
	char *copy = strdup(text);
	int refused;

	refusals = 0;
	other_lines = 0;
	refused = cma_map_parse(copy, map);
	MUST(refused >= 0, "negative number of refusals");
	MUST(refused == refusals && !other_lines, "not one line per refusal");
	MUST(!strcmp(copy, text), "the text was changed");
	free(copy);
	check_map(map);

	return refused;
}

/* One rule, added to what @map has. */
static int parse_one_rule(const char *text, struct cma_map *map)
{
	const struct cma_map before = *map;
	const struct cma_map_entry *entry;
	struct rule rule;
	bool good;
	int refused;

	refused = parse_map(text, map);
	MUST(refused <= 1, "refused more often than written");
	good = read_rule(text, &rule) &&
	       device_is_valid(rule.device, rule.device_length) &&
	       *rule.area && strlen(rule.area) <= LABEL_MAX;

	if (refused) {
		MUST(same_map(map, &before), "a refused rule changed the table");
		MUST(!good || before.nr_entries == ARRAY_SIZE(before.entries),
		     "a valid rule was refused");
		return refused;
	}

	MUST(good, "accepted what is not a rule");
	MUST(map->nr_entries == before.nr_entries + 1, "not one rule more");
	map->nr_entries--;
	MUST(same_map(map, &before), "a rule changed other rules");
	entry = &map->entries[map->nr_entries++];
	MUST(strlen(entry->device) == rule.device_length &&
	     !memcmp(entry->device, rule.device, rule.device_length),
	     "not the device as written");
	MUST(!strcmp(entry->area, rule.area), "not the area as written");

	return 0;
}

static void try_map(const char *text, struct cma_map *map)
{
	struct cma_map again = *map, apart = *map;
	char *copy = strdup(text), *piece = copy, *comma = copy;
	int refused, refused_apart = 0;

	current = text;
	refused = parse_map(text, map);
	MUST(parse_map(text, &again) == refused && same_map(&again, map),
	     "another result the second time");

	/* A rule ends at the first comma after a '='. */
	while ((comma = strchr(comma, ','))) {
		*comma = '\0';
		if (!strchr(piece, '=')) {
			*comma++ = ',';
			continue;
		}
		refused_apart += parse_one_rule(piece, &apart);
		piece = ++comma;
	}
	refused_apart += parse_one_rule(piece, &apart);
	MUST(refused_apart == refused && same_map(&apart, map),
	     "another result in parameters of their own");
	free(copy);
}

/* ---- the command line -------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of their own, so that the sanitizers see where they end. */
	struct cma_cmdline *cmdline = calloc(1, sizeof(*cmdline));
	struct cma_map *map = calloc(1, sizeof(*map));
	char *line = malloc(size + 1), *args, *name, *value;

	memcpy(line, data, size);
	line[size] = '\0';

	args = skip_spaces(line);
	while (*args) {
		args = next_arg(args, &name, &value);
		if (!strcmp(name, "cma")) {
			try_cma(value ? value : "", cmdline);
		} else if (!strcmp(name, "cma_map")) {
			try_map(value ? value : "", map);
		} else {
			try_cma(value ? value : name, cmdline);
			try_map(value ? value : name, map);
		}
	}

	free(line);
	free(map);
	free(cmdline);

	return 0;
}
