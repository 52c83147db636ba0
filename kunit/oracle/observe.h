/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_OBSERVE_H
#define ORACLE_OBSERVE_H

#include "model.h"
#include "report.h"
#include "symbols.h"

/* How to look into the guest while one of its processors is stopped. */
struct guest {
	u32 (*get)(unsigned int number);	/* r0 to r15 */
	bool (*read)(u32 address, void *data, unsigned int size);
	bool (*write)(u32 address, const void *data, unsigned int size);
	/* may be NULL: a buffer is about to be a device's, or the processor's */
	void (*giving)(const struct buffer *buffer);
	void (*taking)(const struct buffer *buffer);
	/* Physical addresses take two registers. */
	bool (*has_long_addresses)(void);
};

struct observer;

const char *observer_misses(const struct symbols *symbols);
struct observer *observer_new(struct model *model, struct report *report,
			      const struct symbols *symbols,
			      const struct guest *guest);
void observer_free(struct observer *observer);
int observer_find(const struct observer *observer, u64 address);
void observer_enter(struct observer *observer, int hook);
void observer_return(struct observer *observer, u32 pc);
bool observer_waits(const struct observer *observer);
/* What a caller of the kernel's functions wants to have maintained. */
struct request {
	struct range range;	/* physical */
	bool may_lose_data;	/* what the processor wrote is of no use */
};

bool observer_asked_for(const struct observer *observer, u32 address,
			u64 physical, struct request *request);
bool observer_asked_for_outer(const struct observer *observer,
			      struct request *request);
bool observer_expects(const struct observer *observer);
void observer_announce(struct observer *observer, u32 address, u32 pc);
void observer_found(struct observer *observer, const struct finding *finding,
		    u32 pc);

#endif
