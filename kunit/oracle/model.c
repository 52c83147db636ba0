// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model: what may be in the caches, and the rules.
 *
 * It does not simulate caches. Which lines are evicted or fetched, and when, is
 * up to the processor; a line may be written back, and any line of cacheable
 * memory may be fetched, at any time. So the model only keeps what is possible:
 * of each byte, whether the inner and the outer cache may have newer data than
 * the memory, and of each line, whether they may have older data. What may
 * be in the inner cache may have moved on to the outer one.
 *
 * Only maintenance makes these possibilities go away. When a buffer changes
 * hands, there must be none left that harms it.
 */

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define STALE_INNER	0x001
#define STALE_OUTER	0x002
#define PENDING_OUTER	0x004	/* an operation was begun, and not waited for */
#define TOO_EARLY	0x008	/* before the other cache had been dealt with */
#define NOT_WAITED	0x010	/* before the other cache was surely done */
#define COHERENT_MEMORY	0x020

struct unit {
	u32 dirty_inner;	/* a bit per byte */
	u32 dirty_outer;
	u8 flags;
	u8 owners;		/* mappings by which devices have it */
	u8 writers;		/* those of them that devices write to */
	u8 pending_inner;	/* 1 + processor that has begun an operation */
	u32 buffer;		/* index of the last one that it was part of */
};

struct page {
	struct unit units[UNITS_PER_PAGE];
	unsigned int watched;	/* units that loads matter for */
};

/* A buffer that units refer to. */
struct known_buffer {
	struct buffer buffer;
	unsigned int given;	/* how often a device has it */
};

struct pending {
	struct unit **units;
	size_t count;
	size_t room;
};

struct model {
	struct model_config config;
	bool outer;
	struct page **pages;
	size_t nr_pages;
	struct pending inner;
	struct pending outer_pending;
	struct known_buffer *buffers;
	size_t nr_buffers;
	size_t room;
	unsigned int next_level;	/* of operations by set and way */
};

static const struct {
	const char *name;
	const char *text;
} rules[NR_RULES] = {
	[RULE_DIRTY_INNER] = { "dirty-inner",
		"data that the inner cache has not written back" },
	[RULE_DIRTY_OUTER] = { "dirty-outer",
		"data that the outer cache has not written back" },
	[RULE_STALE_INNER] = { "stale-inner",
		"the inner cache may have what was there before the device wrote" },
	[RULE_STALE_OUTER] = { "stale-outer",
		"the outer cache may have what was there before the device wrote" },
	[RULE_ORDER] = { "order",
		"the two caches were dealt with in the wrong order" },
	[RULE_BARRIER] = { "barrier",
		"nothing waits for the operations to complete" },
	[RULE_LOST_DATA] = { "lost-data",
		"data was invalidated that is not written back" },
	[RULE_STORE_OWNED] = { "store-owned",
		"the processor writes to a buffer that the device has" },
	[RULE_LOAD_OWNED] = { "load-owned",
		"the processor reads from a buffer that the device writes to" },
	[RULE_SHARED_LINE] = { "shared-line",
		"the processor writes to a line that it shares with a buffer of the device" },
	[RULE_CACHED_COHERENT] = { "cached-coherent",
		"coherent memory is used through a cached mapping" },
	[RULE_ALIAS_DIRTY] = { "alias-dirty",
		"memory is used around the cache, which has newer data" },
};

/**
 * rule_name() - short name of a rule
 * @rule: the rule
 *
 * Return: A word.
 */
const char *rule_name(enum rule rule)
{
	return rules[rule].name;
}

/**
 * rule_text() - what is wrong when a rule is broken
 * @rule: the rule
 *
 * Return: Part of a sentence.
 */
const char *rule_text(enum rule rule)
{
	return rules[rule].text;
}

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/**
 * model_new() - a model of memory that is in no cache
 * @config: copied
 *
 * Return: The model; memory for it that cannot be had ends the program.
 */
struct model *model_new(const struct model_config *config)
{
	struct model *model = must(calloc(1, sizeof(*model)));

	model->config = *config;
	model->nr_pages = (config->ram.end - config->ram.start) >>
			  GUEST_PAGE_SHIFT;
	model->pages = must(calloc(model->nr_pages, sizeof(*model->pages)));
	/* 0 means none */
	model->nr_buffers = 1;
	model->room = 256;
	model->buffers = must(calloc(model->room, sizeof(*model->buffers)));

	return model;
}

/**
 * model_free() - forget everything
 * @model: the model
 */
void model_free(struct model *model)
{
	for (size_t i = 0; i < model->nr_pages; i++)
		free(model->pages[i]);
	free(model->pages);
	free(model->inner.units);
	free(model->outer_pending.units);
	free(model->buffers);
	free(model);
}

/**
 * model_enable_outer() - switch the outer cache
 * @model: the model
 * @enable: on or off
 */
void model_enable_outer(struct model *model, bool enable)
{
	if (model->outer && !enable)
		model_outer_all(model, CLEAN_INVALIDATE);
	model->outer = enable;
}

/**
 * model_has_outer() - whether there is an outer cache in use
 * @model: the model
 *
 * Return: What was set last.
 */
bool model_has_outer(const struct model *model)
{
	return model->outer;
}

static struct page *find_page(const struct model *model, u64 address)
{
	if (address < model->config.ram.start ||
	    address >= model->config.ram.end)
		return NULL;
	return model->pages[(address - model->config.ram.start) >>
			    GUEST_PAGE_SHIFT];
}

static struct page *make_page(struct model *model, u64 address)
{
	struct page **page;

	if (address < model->config.ram.start ||
	    address >= model->config.ram.end)
		return NULL;
	page = &model->pages[(address - model->config.ram.start) >>
			     GUEST_PAGE_SHIFT];
	if (!*page)
		*page = must(calloc(1, sizeof(**page)));
	return *page;
}

static struct unit *make_unit(struct model *model, u64 address)
{
	struct page *page = make_page(model, address);

	return page ? &page->units[address % GUEST_PAGE / UNIT] : NULL;
}

/* The bytes of the unit at @start that are in the range. */
static u32 mask_of(u64 start, const struct range *range)
{
	u64 from = range->start > start ? range->start - start : 0;
	u64 to = range->end < start + UNIT ? range->end - start : UNIT;
	u32 mask;

	if (range->end <= start || from >= to)
		return 0;
	mask = to == 32 ? ~0u : (1u << to) - 1;
	return mask & ~((1u << from) - 1);
}

static bool is_watched(const struct unit *unit)
{
	return unit->writers || unit->flags & COHERENT_MEMORY;
}

static void update_watched(struct model *model, u64 address, bool before,
			   const struct unit *unit)
{
	struct page *page = find_page(model, address);

	page->watched += is_watched(unit);
	page->watched -= before;
}

/**
 * model_watches_loads() - whether a load could break a rule
 * @model: the model
 * @address: physical
 *
 * Return: false if model_load() has nothing to say about a cached load.
 */
bool model_watches_loads(const struct model *model, u64 address)
{
	const struct page *page = find_page(model, address);

	return page && page->watched;
}

static const struct buffer *buffer_of(const struct model *model,
				      const struct unit *unit)
{
	return unit->buffer ? &model->buffers[unit->buffer].buffer : NULL;
}

/*
 * The buffer that a device has of this unit, NULL: none that is known. Of several
 * buffers in one unit only the last one is.
 */
static const struct buffer *given_buffer(const struct model *model,
					 const struct unit *unit)
{
	if (!unit->owners || !model->buffers[unit->buffer].given)
		return NULL;
	return buffer_of(model, unit);
}

static void found(struct model *model, enum rule rule, u64 first, u64 lines,
		  u64 size, const struct buffer *buffer)
{
	struct finding finding = {
		.rule = rule, .first = first, .lines = lines, .size = size,
		.buffer = buffer,
	};

	model->config.found(&finding, model->config.opaque);
}

/* The same buffer is often mapped again and again: keep one of them. */
static u32 remember(struct model *model, const struct buffer *buffer)
{
	size_t index;

	for (index = model->nr_buffers; index-- > 1;) {
		const struct buffer *old = &model->buffers[index].buffer;

		if (old->range.start == buffer->range.start &&
		    old->range.end == buffer->range.end &&
		    old->direction == buffer->direction &&
		    old->caller == buffer->caller &&
		    old->coherent == buffer->coherent &&
		    !strcmp(old->device, buffer->device))
			return index;
		if (model->nr_buffers - index > 64)
			break;
	}
	if (model->nr_buffers >= model->room) {
		model->room *= 2;
		model->buffers = must(realloc(model->buffers, model->room *
					      sizeof(*model->buffers)));
	}
	model->buffers[model->nr_buffers] = (struct known_buffer){
		.buffer = *buffer,
	};
	return model->nr_buffers++;
}

static void add_pending(struct pending *pending, struct unit *unit)
{
	if (pending->count == pending->room) {
		pending->room = pending->room ? 2 * pending->room : 1024;
		pending->units = must(realloc(pending->units, pending->room *
					      sizeof(*pending->units)));
	}
	pending->units[pending->count++] = unit;
}

static void judge_store(struct model *model, struct unit *unit, u64 address,
			unsigned int size, bool cached)
{
	const struct buffer *buffer = given_buffer(model, unit);

	if (cached && unit->flags & COHERENT_MEMORY) {
		found(model, RULE_CACHED_COHERENT, address, 1, size,
		      buffer_of(model, unit));
		return;
	}
	if (!buffer)
		return;
	if (address < buffer->range.end &&
	    address + size > buffer->range.start)
		found(model, RULE_STORE_OWNED, address, 1, size, buffer);
	else if (cached && unit->writers)
		found(model, RULE_SHARED_LINE, address, 1, size, buffer);
}

/* Whether a line around this byte may be written back, which writes all of it. */
static bool is_line_dirty(const struct model *model, const struct page *page,
			  u64 address)
{
	unsigned int first = address % GUEST_PAGE & ~(model->config.line - 1);

	for (unsigned int at = first; at < first + model->config.line;
	     at += UNIT) {
		if (page->units[at / UNIT].dirty_inner)
			return true;
	}

	return page->units[address % GUEST_PAGE / UNIT].dirty_outer;
}

/* Part of an access that is inside of one unit. */
static void store_unit(struct model *model, u64 address, unsigned int size,
		       unsigned int cached)
{
	struct page *page = cached ? make_page(model, address) :
				     find_page(model, address);
	struct range range = { address, address + size };
	struct unit *unit;
	u32 mask;

	if (!page)
		return;
	unit = &page->units[address % GUEST_PAGE / UNIT];
	mask = mask_of(address & ~(u64)(UNIT - 1), &range);
	if (unit->owners || unit->flags & COHERENT_MEMORY)
		judge_store(model, unit, address, size, cached);
	if (cached & CACHED_INNER) {
		/* what was done before has nothing to do with this data */
		unit->flags &= ~(TOO_EARLY | NOT_WAITED);
		unit->dirty_inner |= mask;
	}
	/* also of what the inner cache has written through */
	if (model->outer && cached & CACHED_OUTER)
		unit->dirty_outer |= mask;
	if (!cached && is_line_dirty(model, page, address)) {
		found(model, RULE_ALIAS_DIRTY, address, 1, size,
		      buffer_of(model, unit));
	}
}

/**
 * model_store() - the processor writes
 * @model: the model
 * @address: physical
 * @size: bytes, inside of one page
 * @cached: CACHED_ flags
 */
void model_store(struct model *model, u64 address, unsigned int size,
		 unsigned int cached)
{
	while (size) {
		unsigned int part = UNIT - address % UNIT;

		if (part > size)
			part = size;
		store_unit(model, address, part, cached);
		address += part;
		size -= part;
	}
}

static void load_unit(struct model *model, u64 address, unsigned int size,
		      unsigned int cached)
{
	const struct page *page = find_page(model, address);
	struct range range = { address, address + size };
	const struct buffer *buffer;
	const struct unit *unit;
	u32 mask;

	if (!page)
		return;
	unit = &page->units[address % GUEST_PAGE / UNIT];
	buffer = given_buffer(model, unit);
	mask = mask_of(address & ~(u64)(UNIT - 1), &range);
	if (!cached) {
		if ((unit->dirty_inner | unit->dirty_outer) & mask)
			found(model, RULE_ALIAS_DIRTY, address, 1, size,
			      buffer_of(model, unit));
		return;
	}
	if (unit->flags & COHERENT_MEMORY)
		found(model, RULE_CACHED_COHERENT, address, 1, size,
		      buffer_of(model, unit));
	else if (unit->writers && buffer && buffer->direction != TO_DEVICE &&
		 address < buffer->range.end &&
		 address + size > buffer->range.start)
		found(model, RULE_LOAD_OWNED, address, 1, size, buffer);
}

/**
 * model_load() - the processor reads
 * @model: the model
 * @address: physical
 * @size: bytes, inside of one page
 * @cached: CACHED_ flags
 */
void model_load(struct model *model, u64 address, unsigned int size,
		unsigned int cached)
{
	while (size) {
		unsigned int part = UNIT - address % UNIT;

		if (part > size)
			part = size;
		load_unit(model, address, part, cached);
		address += part;
		size -= part;
	}
}

static void check_lost(struct model *model, const struct unit *unit,
		       u64 address, u32 dirty, const struct range *asked_for)
{
	u32 lost = dirty;

	if (asked_for)
		lost &= ~mask_of(address, asked_for);
	if (lost)
		found(model, RULE_LOST_DATA, address + __builtin_ctz(lost), 1,
		      0, buffer_of(model, unit));
}

/* Of the bytes @before, those that are dirty in no cache any more have gone. */
static void tell_gone(struct model *model, const struct unit *unit, u64 address,
		      u32 before, enum cache_op op)
{
	u32 gone = before & ~(unit->dirty_inner | unit->dirty_outer);

	if (!gone)
		return;
	if (op & CLEAN && model->config.written_back)
		model->config.written_back(address, gone);
	if (op == INVALIDATE && model->config.dropped)
		model->config.dropped(address, gone);
}

static void inner_unit(struct model *model, unsigned int cpu, enum cache_op op,
		       u64 address, const struct range *asked_for)
{
	struct unit *unit = make_unit(model, address);
	u32 before;

	if (!unit)
		return;
	if (op == INVALIDATE)
		check_lost(model, unit, address, unit->dirty_inner, asked_for);
	before = unit->dirty_inner;
	unit->dirty_inner = 0;
	tell_gone(model, unit, address, before, op);
	if (op & INVALIDATE && unit->flags & STALE_INNER) {
		/* What is fetched next comes from the outer cache. */
		if (unit->flags & STALE_OUTER)
			unit->flags |= TOO_EARLY;
		else if (unit->flags & PENDING_OUTER)
			unit->flags |= NOT_WAITED;
		else
			unit->flags &= ~STALE_INNER;
	}
	if (!unit->pending_inner)
		add_pending(&model->inner, unit);
	unit->pending_inner = cpu + 1;
}

/**
 * model_inner() - maintenance of a line, by address to the point of coherency
 * @model: the model
 * @cpu: the processor, which has to wait for it
 * @op: what is done
 * @address: physical, anywhere in the line
 * @asked_for: what the caller of the kernel's function wants to have
 *	invalidated, so that data in there may be lost; NULL: nothing
 */
void model_inner(struct model *model, unsigned int cpu, enum cache_op op,
		 u64 address, const struct range *asked_for)
{
	u64 start = address & ~(u64)(model->config.line - 1);

	for (u64 at = start; at < start + model->config.line; at += UNIT)
		inner_unit(model, cpu, op, at, asked_for);
}

static void each_unit(struct model *model,
		      void (*function)(struct unit *unit, enum cache_op op),
		      enum cache_op op)
{
	u64 address = model->config.ram.start;

	for (size_t i = 0; i < model->nr_pages; i++) {
		struct page *page = model->pages[i];

		for (unsigned int n = 0; page && n < UNITS_PER_PAGE; n++) {
			struct unit *unit = &page->units[n];
			u32 before = unit->dirty_inner | unit->dirty_outer;

			function(unit, op);
			tell_gone(model, unit, address + n * UNIT, before, op);
		}
		address += GUEST_PAGE;
	}
}

static void inner_all_unit(struct unit *unit, enum cache_op op)
{
	unit->dirty_inner = 0;
	if (op & INVALIDATE && !(unit->flags & STALE_OUTER))
		unit->flags &= ~STALE_INNER;
}

/**
 * model_inner_all() - all levels of the inner cache
 * @model: the model
 * @op: what is done; data that is lost is not told, as nobody uses that
 *	except before the cache is switched on
 */
void model_inner_all(struct model *model, enum cache_op op)
{
	each_unit(model, inner_all_unit, op);
}

/**
 * model_set_way() - one level of the inner cache, by set and way
 * @model: the model
 * @op: what is done
 * @level: from 0 on
 *
 * That is not to the point of coherency: only all levels, from the first to the
 * last one, leave nothing behind.
 */
void model_set_way(struct model *model, enum cache_op op, unsigned int level)
{
	if (level && level != model->next_level)
		return;
	model->next_level = level + 1;
	if (model->next_level != model->config.levels)
		return;
	model->next_level = 0;
	model_inner_all(model, op);
}

/**
 * model_barrier() - a DSB for the whole system
 * @model: the model
 * @cpu: the processor, which waited for its own operations
 */
void model_barrier(struct model *model, unsigned int cpu)
{
	struct pending *pending = &model->inner;
	size_t kept = 0;

	for (size_t i = 0; i < pending->count; i++) {
		struct unit *unit = pending->units[i];

		if (unit->pending_inner == cpu + 1)
			unit->pending_inner = 0;
		else
			pending->units[kept++] = unit;
	}
	pending->count = kept;
}

/**
 * model_outer() - maintenance of a line of the outer cache
 * @model: the model
 * @op: what is done
 * @address: physical, anywhere in the line
 * @asked_for: as for model_inner()
 */
void model_outer(struct model *model, enum cache_op op, u64 address,
		 const struct range *asked_for)
{
	u64 start = address & ~(u64)(UNIT - 1);
	struct unit *unit = make_unit(model, start);
	u32 before;

	if (!unit)
		return;
	if (op == INVALIDATE)
		check_lost(model, unit, start, unit->dirty_outer, asked_for);
	before = unit->dirty_outer;
	/* What the inner cache still has, or is writing back, comes later. */
	if (unit->pending_inner && unit->dirty_outer) {
		unit->flags |= NOT_WAITED;
	} else {
		if (unit->dirty_inner)
			unit->flags |= TOO_EARLY;
		unit->dirty_outer &= unit->dirty_inner;
	}
	tell_gone(model, unit, start, before, op);
	if (op & INVALIDATE)
		unit->flags &= ~STALE_OUTER;
	if (!(unit->flags & PENDING_OUTER))
		add_pending(&model->outer_pending, unit);
	unit->flags |= PENDING_OUTER;
}

static void outer_all_unit(struct unit *unit, enum cache_op op)
{
	unit->dirty_outer &= unit->dirty_inner;
	if (op & INVALIDATE)
		unit->flags &= ~STALE_OUTER;
}

/**
 * model_outer_all() - the whole outer cache, by way
 * @model: the model
 * @op: what is done
 */
void model_outer_all(struct model *model, enum cache_op op)
{
	each_unit(model, outer_all_unit, op);
}

/**
 * model_outer_sync() - all operations of the outer cache are complete
 * @model: the model
 */
void model_outer_sync(struct model *model)
{
	struct pending *pending = &model->outer_pending;

	for (size_t i = 0; i < pending->count; i++)
		pending->units[i]->flags &= ~PENDING_OUTER;
	pending->count = 0;
}

/* Goes over the units that a range touches, also in part. */
struct cursor {
	u64 at;			/* start of the unit */
	u64 next;
	u64 end;
};

static struct cursor cursor_on(const struct range *range)
{
	return (struct cursor){
		.next = range->start & ~(u64)(UNIT - 1), .end = range->end,
	};
}

/* The next unit, NULL at the end of the range or of the memory. */
static struct unit *next_unit(struct model *model, struct cursor *cursor)
{
	if (cursor->next >= cursor->end)
		return NULL;
	cursor->at = cursor->next;
	cursor->next += UNIT;

	return make_unit(model, cursor->at);
}

/* Whole lines of the inner cache, which can only be dealt with as such. */
static struct range whole_lines(const struct model *model,
				const struct range *range)
{
	u64 mask = model->config.line - 1;

	return (struct range){
		range->start & ~mask, (range->end + mask) & ~mask,
	};
}

/**
 * model_give_begin() - a buffer is about to be given to a device
 * @model: the model
 * @range: the buffer
 */
void model_give_begin(struct model *model, const struct range *range)
{
	struct cursor cursor = cursor_on(range);
	struct unit *unit;

	while ((unit = next_unit(model, &cursor)))
		unit->flags &= ~(TOO_EARLY | NOT_WAITED);
}

/* Why a device must not have this unit yet, NR_RULES: it may. */
static enum rule judge_given(const struct unit *unit, u32 mask)
{
	if (unit->dirty_inner & mask)
		return RULE_DIRTY_INNER;
	if (unit->dirty_outer & mask) {
		if (unit->flags & TOO_EARLY)
			return RULE_ORDER;
		if (unit->flags & NOT_WAITED)
			return RULE_BARRIER;
		return RULE_DIRTY_OUTER;
	}
	if (unit->pending_inner || unit->flags & PENDING_OUTER)
		return RULE_BARRIER;
	return NR_RULES;
}

/* Why the processor must not read this unit yet. */
static enum rule judge_taken(const struct unit *unit)
{
	if (unit->flags & STALE_OUTER)
		return RULE_STALE_OUTER;
	if (unit->flags & STALE_INNER) {
		if (unit->flags & TOO_EARLY)
			return RULE_ORDER;
		if (unit->flags & NOT_WAITED)
			return RULE_BARRIER;
		return RULE_STALE_INNER;
	}
	if (unit->pending_inner || unit->flags & PENDING_OUTER)
		return RULE_BARRIER;
	return NR_RULES;
}

struct tally {
	u64 lines[NR_RULES];
	u64 first[NR_RULES];
	u64 last_line[NR_RULES];
};

static void count(const struct model *model, struct tally *tally,
		  enum rule rule, u64 address)
{
	u64 line = address / model->config.line + 1;

	if (rule == NR_RULES)
		return;
	if (!tally->lines[rule])
		tally->first[rule] = address;
	if (tally->last_line[rule] != line)
		tally->lines[rule]++;
	tally->last_line[rule] = line;
}

static void tell(struct model *model, const struct tally *tally,
		 const struct buffer *buffer)
{
	for (enum rule rule = 0; rule < NR_RULES; rule++) {
		if (tally->lines[rule])
			found(model, rule, tally->first[rule],
			      tally->lines[rule], 0, buffer);
	}
}

static struct range judged_range(const struct model *model,
				 const struct range *range,
				 enum direction direction)
{
	/* When a line is written back, all of it is. */
	return direction == TO_DEVICE ? *range : whole_lines(model, range);
}

/* Devices have it no longer as often as before. */
static void release_unit(struct unit *unit, enum direction direction)
{
	if (!unit->owners)
		return;
	/* Whoever says the wrong direction may be the only one that has it. */
	if (unit->writers &&
	    (direction != TO_DEVICE || unit->writers == unit->owners))
		unit->writers--;
	unit->owners--;
}

/*
 * Buffers inside of that range have changed hands. Those that other buffers have
 * hidden in all of their units are not found; model_give_end() sees to them.
 */
static void release_buffers(struct model *model, const struct range *range)
{
	struct cursor cursor = cursor_on(range);
	struct unit *unit;
	u32 last = 0;

	while ((unit = next_unit(model, &cursor))) {
		struct known_buffer *known = &model->buffers[unit->buffer];

		if (unit->buffer == last)
			continue;
		last = unit->buffer;
		if (known->given && known->buffer.range.start >= range->start &&
		    known->buffer.range.end <= range->end)
			known->given--;
	}
}

static void give_unit(struct unit *unit, const struct buffer *buffer,
		      bool again)
{
	bool writes = buffer->direction != TO_DEVICE;

	if (!unit->owners)
		unit->flags &= ~(STALE_INNER | STALE_OUTER);
	if (again) {
		/* It was mapped before, and is unmapped once. */
		unit->owners |= !unit->owners;
		unit->writers |= writes && !unit->writers;
		return;
	}
	if (unit->owners < 255) {
		unit->owners++;
		unit->writers += writes;
	}
}

/**
 * model_give_end() - a device has a buffer from now on
 * @model: the model
 * @buffer: copied
 * @again: it is part of a mapping, and was synchronised; otherwise it is mapped
 */
void model_give_end(struct model *model, const struct buffer *buffer,
		    bool again)
{
	struct range judged = judged_range(model, &buffer->range,
					   buffer->direction);
	struct range lines = whole_lines(model, &buffer->range);
	struct tally tally = {};
	struct cursor cursor = cursor_on(&judged);
	struct known_buffer *known;
	bool owned = false;
	struct unit *unit;
	u32 index;

	while ((unit = next_unit(model, &cursor))) {
		count(model, &tally,
		      judge_given(unit, mask_of(cursor.at, &judged)),
		      cursor.at);
		owned |= unit->owners;
	}
	tell(model, &tally, buffer);

	index = remember(model, buffer);
	known = &model->buffers[index];
	if (!owned)
		known->given = 0;
	if (!again || !known->given)
		known->given++;
	cursor = cursor_on(&lines);
	while ((unit = next_unit(model, &cursor))) {
		bool before = is_watched(unit);

		/* The rest of the line may be part of another buffer. */
		if (mask_of(cursor.at, &buffer->range) ||
		    !given_buffer(model, unit))
			unit->buffer = index;
		give_unit(unit, buffer, again);
		update_watched(model, cursor.at, before, unit);
	}
}

/**
 * model_take_begin() - a device has done its work
 * @model: the model
 * @range: what is taken back from it
 * @direction: what its driver says that it did
 *
 * Whatever it wrote, the caches may have older data of. It may have written
 * although the driver says now that it did not: that it was given to be written
 * to is what counts.
 */
void model_take_begin(struct model *model, const struct range *range,
		      enum direction direction)
{
	struct range lines = whole_lines(model, range);
	struct cursor cursor = cursor_on(&lines);
	struct unit *unit;

	while ((unit = next_unit(model, &cursor))) {
		bool before = is_watched(unit);
		u8 writers = unit->writers;

		unit->flags &= ~(TOO_EARLY | NOT_WAITED);
		release_unit(unit, direction);
		if (unit->writers != writers) {
			unit->flags |= STALE_INNER;
			if (model->outer)
				unit->flags |= STALE_OUTER;
		}
		update_watched(model, cursor.at, before, unit);
	}
	release_buffers(model, range);
}

/**
 * model_take_end() - the processor has a buffer from now on
 * @model: the model
 * @buffer: what it gets back
 */
void model_take_end(struct model *model, const struct buffer *buffer)
{
	struct range lines = whole_lines(model, &buffer->range);
	struct cursor cursor = cursor_on(&lines);
	struct tally tally = {};
	struct unit *unit;

	while ((unit = next_unit(model, &cursor))) {
		/* Nothing has to be done about what the device only read. */
		if (buffer->direction != TO_DEVICE ||
		    unit->flags & (STALE_INNER | STALE_OUTER))
			count(model, &tally, judge_taken(unit), cursor.at);
		/* told once */
		unit->flags &= ~(STALE_INNER | STALE_OUTER);
	}
	tell(model, &tally, buffer);
}

/**
 * model_release() - a device no longer has a buffer, and nobody reads it
 * @model: the model
 * @range: the buffer
 * @direction: of the transfer
 *
 * The driver has said that it looks after the caches, if that is needed.
 */
void model_release(struct model *model, const struct range *range,
		   enum direction direction)
{
	struct range lines = whole_lines(model, range);
	struct cursor cursor = cursor_on(&lines);
	struct unit *unit;

	while ((unit = next_unit(model, &cursor))) {
		bool before = is_watched(unit);

		release_unit(unit, direction);
		update_watched(model, cursor.at, before, unit);
	}
	release_buffers(model, range);
}

/**
 * model_forget() - a buffer is gone, and nobody will read what is in there
 * @model: the model
 * @range: the buffer
 */
void model_forget(struct model *model, const struct range *range)
{
	struct cursor cursor = cursor_on(range);
	struct unit *unit;

	while ((unit = next_unit(model, &cursor))) {
		bool before = is_watched(unit);

		unit->owners = 0;
		unit->writers = 0;
		unit->flags &= PENDING_OUTER;
		unit->buffer = 0;
		update_watched(model, cursor.at, before, unit);
	}
}

/**
 * model_coherent() - memory was allocated that is used around the caches
 * @model: the model
 * @buffer: copied
 */
void model_coherent(struct model *model, const struct buffer *buffer)
{
	struct range lines = whole_lines(model, &buffer->range);
	struct tally tally = {};
	struct cursor cursor = cursor_on(&lines);
	struct unit *unit;
	u32 index;

	while ((unit = next_unit(model, &cursor)))
		count(model, &tally, judge_given(unit, ~0u), cursor.at);
	tell(model, &tally, buffer);

	index = remember(model, buffer);
	cursor = cursor_on(&buffer->range);
	while ((unit = next_unit(model, &cursor))) {
		bool before = is_watched(unit);

		unit->dirty_inner = 0;
		unit->dirty_outer = 0;
		unit->flags |= COHERENT_MEMORY;
		unit->buffer = index;
		update_watched(model, cursor.at, before, unit);
	}
}

/**
 * model_dirty() - which bytes the memory may not have yet
 * @model: the model
 * @address: physical, of a unit
 *
 * Return: A bit for each byte of the unit.
 */
u32 model_dirty(const struct model *model, u64 address)
{
	const struct page *page = find_page(model, address);
	const struct unit *unit;

	if (!page)
		return 0;
	unit = &page->units[address % GUEST_PAGE / UNIT];
	return unit->dirty_inner | unit->dirty_outer;
}

/**
 * model_stale() - whether a cache may have older data than the memory
 * @model: the model
 * @address: physical, of a unit
 *
 * Return: true if it may.
 */
bool model_stale(const struct model *model, u64 address)
{
	const struct page *page = find_page(model, address);

	return page && page->units[address % GUEST_PAGE / UNIT].flags &
	       (STALE_INNER | STALE_OUTER);
}

/**
 * model_judge() - which rules a range would break if it changed hands now
 * @model: the model
 * @range: the range
 * @direction: of the transfer
 * @taken: whether the processor takes it, or the device gets it
 *
 * Return: A bit for each rule, 0: none. Nothing is changed or told.
 */
unsigned int model_judge(struct model *model, const struct range *range,
			 enum direction direction, bool taken)
{
	struct range lines = taken ? whole_lines(model, range) :
				     judged_range(model, range, direction);
	unsigned int broken = 0;
	struct cursor cursor = cursor_on(&lines);
	struct unit *unit;

	while ((unit = next_unit(model, &cursor))) {
		enum rule rule = taken ? judge_taken(unit) :
				 judge_given(unit, mask_of(cursor.at, &lines));

		if (rule != NR_RULES)
			broken |= 1u << rule;
	}

	return broken;
}
