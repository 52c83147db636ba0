/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_REPORT_H
#define ORACLE_REPORT_H

#include "model.h"
#include "symbols.h"

/* Where in the guest something was found; addresses, 0: not known. */
struct site {
	u64 pc;
	u64 caller;
};

enum counter {
	COUNT_GIVEN,		/* buffers given to devices */
	COUNT_TAKEN,
	COUNT_COHERENT,		/* coherent buffers allocated */
	COUNT_ANNOUNCED,	/* calls of the guest itself */
	COUNT_INNER,		/* lines maintained */
	COUNT_OUTER,
	COUNT_BARRIERS,
	COUNT_SURPLUS,		/* lines maintained outside of what was asked for */
	COUNT_LOST_TRACK,	/* calls whose return was not seen */
	COUNT_EXPECTED,		/* findings that the guest had announced */
	COUNT_ALLOWED,		/* findings that the user does not want to have */
	NR_COUNTERS,
};

struct report;

struct report *report_new(void);
void report_set(struct report *report, const struct symbols *symbols,
		unsigned int limit);
bool report_allow(struct report *report, const char *text);
bool report_allows(struct report *report, const struct finding *finding);
void report_free(struct report *report);
void report_add(struct report *report, const struct finding *finding,
		const struct site *site);
void report_count(struct report *report, enum counter counter, u64 number);
u64 report_counted(const struct report *report, enum counter counter);
u64 report_total(const struct report *report);
u64 report_caller(const struct report *report);
bool report_write(const struct report *report, const char *path, bool complete);

#endif
