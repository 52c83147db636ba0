/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_MODEL_H
#define ORACLE_MODEL_H

#include "types.h"

/*
 * What is known of each UNIT bytes of memory. A line of the first level is one
 * or more units, one of the PL310 is exactly one.
 */
#define UNIT			32u
#define UNITS_PER_PAGE		(GUEST_PAGE / UNIT)

/* What the page tables say about an access. */
#define CACHED_INNER		0x1	/* kept and written to in the inner cache */
#define CACHED_OUTER		0x2	/* the same in the outer cache */
#define CACHED_READ		0x4	/* kept, but written through */

enum cache_op {
	CLEAN = 1,
	INVALIDATE = 2,
	CLEAN_INVALIDATE = CLEAN | INVALIDATE,
};

enum rule {
	RULE_DIRTY_INNER,	/* at hand-over: data is in the inner cache only */
	RULE_DIRTY_OUTER,	/* the same, in the outer cache */
	RULE_STALE_INNER,	/* taken back: old data is in the inner cache */
	RULE_STALE_OUTER,
	RULE_ORDER,		/* right operations, wrong order of the caches */
	RULE_BARRIER,		/* not complete: no DSB, or no sync of the outer */
	RULE_LOST_DATA,		/* invalidated what somebody has written */
	RULE_STORE_OWNED,	/* the processor writes to what the device has */
	RULE_LOAD_OWNED,	/* reads what the device writes to */
	RULE_SHARED_LINE,	/* writes beside it, in the same line */
	RULE_CACHED_COHERENT,	/* coherent memory through a cached mapping */
	RULE_ALIAS_DIRTY,	/* around the cache while there is newer data in it */
	NR_RULES,
};

/* Memory that a device has, or that was allocated for it. */
struct buffer {
	struct range range;
	enum direction direction;
	char device[64];
	u64 caller;		/* who gave it away; a guest address */
	bool coherent;
};

/* What a rule found in one go. */
struct finding {
	enum rule rule;
	u64 first;		/* physical address of the first line, or byte */
	u64 lines;
	u64 size;		/* of the access, 0: not an access */
	const struct buffer *buffer;	/* NULL: none */
};

struct model;

struct model_config {
	struct range ram;
	unsigned int line;	/* bytes in a line of the inner cache */
	unsigned int levels;	/* of the inner cache: what CP15 knows of */
	void (*found)(const struct finding *finding, void *opaque);
	/* may be NULL: dirty bytes have reached the memory, or are lost */
	void (*written_back)(u64 address, u32 mask);
	void (*dropped)(u64 address, u32 mask);
	void *opaque;
};

struct model *model_new(const struct model_config *config);
void model_free(struct model *model);
void model_enable_outer(struct model *model, bool enable);
bool model_has_outer(const struct model *model);

void model_store(struct model *model, u64 address, unsigned int size,
		 unsigned int cached);
void model_load(struct model *model, u64 address, unsigned int size,
		unsigned int cached);
bool model_watches_loads(const struct model *model, u64 address);

void model_inner(struct model *model, unsigned int cpu, enum cache_op op,
		 u64 address, const struct range *asked_for);
void model_inner_all(struct model *model, enum cache_op op);
void model_set_way(struct model *model, enum cache_op op, unsigned int level);
void model_barrier(struct model *model, unsigned int cpu);
void model_outer(struct model *model, enum cache_op op, u64 address,
		 const struct range *asked_for);
void model_outer_all(struct model *model, enum cache_op op);
void model_outer_sync(struct model *model);

void model_give_begin(struct model *model, const struct range *range);
void model_give_end(struct model *model, const struct buffer *buffer,
		    bool again);
void model_take_begin(struct model *model, const struct range *range,
		      enum direction direction);
void model_take_end(struct model *model, const struct buffer *buffer);
void model_release(struct model *model, const struct range *range,
		   enum direction direction);
void model_forget(struct model *model, const struct range *range);
void model_coherent(struct model *model, const struct buffer *buffer);
u32 model_dirty(const struct model *model, u64 address);
bool model_stale(const struct model *model, u64 address);
unsigned int model_judge(struct model *model, const struct range *range,
			 enum direction direction, bool taken);

const char *rule_name(enum rule rule);
const char *rule_text(enum rule rule);

#endif
