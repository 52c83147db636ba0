// SPDX-License-Identifier: GPL-2.0-only
/* A buffer of two pages, the caches of a Cortex-A9 with PL310. */

#include <string.h>

#include "../incoherent.h"
#include "../model.h"
#include "../pl310.h"
#include "test.h"

#define RAM	0x100000ull
#define START	(RAM + 0x1000)
#define SIZE	0x400ull
#define LINE	32u
#define CACHED	(CACHED_INNER | CACHED_OUTER)

static struct model *model;
static u64 lines[NR_RULES];
static struct finding last;
static struct buffer last_buffer;

static const struct range whole = { START, START + SIZE };

static void found(const struct finding *finding, void *opaque)
{
	(void)opaque;
	lines[finding->rule] += finding->lines;
	last = *finding;
	if (finding->buffer)
		last_buffer = *finding->buffer;
}

static void begin_lines(bool outer, unsigned int line)
{
	struct model_config config = {
		.ram = { RAM, RAM + 0x10000 }, .line = line, .levels = 1,
		.found = found,
	};

	if (model)
		model_free(model);
	model = model_new(&config);
	model_enable_outer(model, outer);
	memset(lines, 0, sizeof(lines));
}

static void begin(bool outer)
{
	begin_lines(outer, LINE);
}

static u64 total(void)
{
	u64 sum = 0;

	for (int i = 0; i < NR_RULES; i++)
		sum += lines[i];
	return sum;
}

static void write_buffer(void)
{
	for (u64 at = START; at < START + SIZE; at += 8)
		model_store(model, at, 8, CACHED);
}

static void inner(enum cache_op op, u64 from, u64 to)
{
	for (u64 at = from & ~31ull; at < to; at += LINE)
		model_inner(model, 0, op, at, &whole);
	model_barrier(model, 0);
}

static void outer(enum cache_op op, u64 from, u64 to)
{
	for (u64 at = from & ~31ull; at < to; at += LINE)
		model_outer(model, op, at, &whole);
	model_outer_sync(model);
}

static void give(enum direction direction)
{
	struct buffer buffer = {
		.range = whole, .direction = direction, .device = "dev",
	};

	model_give_end(model, &buffer, false);
}

static void take(enum direction direction)
{
	struct buffer buffer = { .range = whole, .direction = direction };

	model_take_end(model, &buffer);
}

/* As arch_sync_dma_for_device() does it. */
static void give_correctly(enum direction direction)
{
	enum cache_op op = direction == FROM_DEVICE ? INVALIDATE : CLEAN;

	model_give_begin(model, &whole);
	inner(op, whole.start, whole.end);
	if (model_has_outer(model))
		outer(op, whole.start, whole.end);
	give(direction);
}

static void take_correctly(enum direction direction)
{
	model_take_begin(model, &whole, direction);
	if (direction != TO_DEVICE) {
		if (model_has_outer(model))
			outer(INVALIDATE, whole.start, whole.end);
		inner(INVALIDATE, whole.start, whole.end);
	}
	take(direction);
}

static void correct_transfers_break_no_rule(void)
{
	for (int has_outer = 0; has_outer < 2; has_outer++) {
		for (int direction = 0; direction < 3; direction++) {
			begin(has_outer);
			for (int i = 0; i < 3; i++) {
				write_buffer();
				give_correctly(direction);
				take_correctly(direction);
				model_load(model, START, 8, CACHED);
			}
			EXPECT_EQ(0, total());
		}
	}
}

static void nothing_is_cleaned(void)
{
	begin(true);
	write_buffer();
	model_give_begin(model, &whole);
	give(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_DIRTY_INNER]);
	EXPECT_EQ(SIZE / LINE, total());
	EXPECT_EQ(START, last.first);
	EXPECT_EQ(START, last_buffer.range.start);
	EXPECT_EQ(0, strcmp("dev", last_buffer.device));
}

static void outer_cache_is_not_cleaned(void)
{
	begin(true);
	write_buffer();
	model_give_begin(model, &whole);
	inner(CLEAN, whole.start, whole.end);
	give(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_DIRTY_OUTER]);
	EXPECT_EQ(SIZE / LINE, total());
}

static void outer_cache_is_cleaned_first(void)
{
	begin(true);
	write_buffer();
	model_give_begin(model, &whole);
	outer(CLEAN, whole.start, whole.end);
	inner(CLEAN, whole.start, whole.end);
	give(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_ORDER]);
	EXPECT_EQ(SIZE / LINE, total());
}

static void order_is_that_of_this_transfer(void)
{
	begin(true);
	write_buffer();
	/* somebody else's, before */
	outer(CLEAN, whole.start, whole.end);
	model_give_begin(model, &whole);
	inner(CLEAN, whole.start, whole.end);
	give(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_DIRTY_OUTER]);
	EXPECT_EQ(SIZE / LINE, total());
}

static void order_is_that_of_the_last_store(void)
{
	begin(true);
	write_buffer();
	outer(CLEAN, whole.start, whole.end);
	write_buffer();
	inner(CLEAN, whole.start, whole.end);
	EXPECT_EQ(1u << RULE_DIRTY_OUTER,
		  model_judge(model, &whole, TO_DEVICE, false));
}

static void outer_cache_is_invalidated_first(void)
{
	begin(true);
	write_buffer();
	model_give_begin(model, &whole);
	outer(INVALIDATE, whole.start, whole.end);
	inner(INVALIDATE, whole.start, whole.end);
	give(FROM_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_ORDER]);
}

static void last_line_is_not_cleaned(void)
{
	begin(true);
	write_buffer();
	model_give_begin(model, &whole);
	inner(CLEAN, whole.start, whole.end - LINE);
	outer(CLEAN, whole.start, whole.end - LINE);
	give(TO_DEVICE);
	EXPECT_EQ(1, lines[RULE_DIRTY_INNER]);
	EXPECT_EQ(1, total());
	EXPECT_EQ(START + SIZE - LINE, last.first);
}

static void nobody_waits_for_inner_cache(void)
{
	begin(false);
	write_buffer();
	model_give_begin(model, &whole);
	for (u64 at = whole.start; at < whole.end; at += LINE)
		model_inner(model, 0, CLEAN, at, &whole);
	/* another processor waits for its own */
	model_barrier(model, 1);
	give(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_BARRIER]);
	EXPECT_EQ(SIZE / LINE, total());
}

static void nobody_waits_between_the_caches(void)
{
	begin(true);
	write_buffer();
	model_give_begin(model, &whole);
	for (u64 at = whole.start; at < whole.end; at += LINE)
		model_inner(model, 0, CLEAN, at, &whole);
	outer(CLEAN, whole.start, whole.end);
	model_barrier(model, 0);
	give(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_BARRIER]);
	EXPECT_EQ(SIZE / LINE, total());
}

static void nobody_waits_for_outer_cache(void)
{
	begin(true);
	write_buffer();
	model_give_begin(model, &whole);
	inner(CLEAN, whole.start, whole.end);
	for (u64 at = whole.start; at < whole.end; at += LINE)
		model_outer(model, CLEAN, at, &whole);
	give(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_BARRIER]);
}

static void stale_lines_of_inner_cache(void)
{
	begin(true);
	give_correctly(FROM_DEVICE);
	model_take_begin(model, &whole, FROM_DEVICE);
	outer(INVALIDATE, whole.start, whole.end);
	take(FROM_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_STALE_INNER]);
	EXPECT_EQ(SIZE / LINE, total());
}

static void stale_lines_of_outer_cache(void)
{
	begin(true);
	give_correctly(FROM_DEVICE);
	model_take_begin(model, &whole, FROM_DEVICE);
	inner(INVALIDATE, whole.start, whole.end);
	take(FROM_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_STALE_OUTER]);
	EXPECT_EQ(SIZE / LINE, total());
}

static void inner_cache_is_invalidated_first(void)
{
	begin(true);
	give_correctly(BIDIRECTIONAL);
	model_take_begin(model, &whole, BIDIRECTIONAL);
	inner(INVALIDATE, whole.start, whole.end);
	outer(INVALIDATE, whole.start, whole.end);
	take(BIDIRECTIONAL);
	EXPECT_EQ(SIZE / LINE, lines[RULE_ORDER]);
	EXPECT_EQ(SIZE / LINE, total());
}

static void inner_cache_does_not_wait_for_outer(void)
{
	begin(true);
	give_correctly(FROM_DEVICE);
	model_take_begin(model, &whole, FROM_DEVICE);
	for (u64 at = whole.start; at < whole.end; at += LINE)
		model_outer(model, INVALIDATE, at, &whole);
	inner(INVALIDATE, whole.start, whole.end);
	model_outer_sync(model);
	take(FROM_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_BARRIER]);
}

static void invalidated_too_early_is_stale(void)
{
	begin(false);
	give_correctly(FROM_DEVICE);
	/* before the device is done: lines may be fetched again */
	inner(INVALIDATE, whole.start, whole.end);
	model_take_begin(model, &whole, FROM_DEVICE);
	take(FROM_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_STALE_INNER]);
}

static void neighbours_in_the_line_are_lost(void)
{
	struct range part = { START + 4, START + SIZE };

	begin(true);
	model_store(model, START, 4, CACHED);
	model_inner(model, 0, INVALIDATE, START, &part);
	EXPECT_EQ(1, lines[RULE_LOST_DATA]);
	EXPECT_EQ(START, last.first);
	/* cleaned as well: all is kept */
	begin(true);
	model_store(model, START, 4, CACHED);
	model_inner(model, 0, CLEAN_INVALIDATE, START, &part);
	EXPECT_EQ(0, total());
	/* in the outer cache, too, if it was not written back */
	model_outer(model, INVALIDATE, START, &part);
	EXPECT_EQ(1, lines[RULE_LOST_DATA]);
	/* nobody asked for it */
	begin(true);
	model_store(model, START, 4, CACHED);
	model_inner(model, 0, INVALIDATE, START, NULL);
	EXPECT_EQ(1, lines[RULE_LOST_DATA]);
}

static void device_has_the_buffer(void)
{
	begin(true);
	give_correctly(TO_DEVICE);
	model_load(model, START, 4, CACHED);
	EXPECT_EQ(0, total());
	model_store(model, START + SIZE - 1, 1, CACHED);
	EXPECT_EQ(1, lines[RULE_STORE_OWNED]);
	EXPECT_EQ(1, last.size);
	model_store(model, START + SIZE, 1, CACHED);
	EXPECT_EQ(1, total());
	take_correctly(TO_DEVICE);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(1, total());

	begin(true);
	give_correctly(FROM_DEVICE);
	EXPECT_TRUE(model_watches_loads(model, START));
	model_load(model, START + 5, 1, CACHED);
	EXPECT_EQ(1, lines[RULE_LOAD_OWNED]);
	take_correctly(FROM_DEVICE);
	EXPECT_FALSE(model_watches_loads(model, START));
	model_load(model, START + 5, 1, CACHED);
	EXPECT_EQ(1, total());
}

static void line_is_shared_with_device(void)
{
	struct buffer buffer = {
		.range = { START, START + 40 }, .direction = FROM_DEVICE,
	};

	/* lines of 64 bytes: a neighbour in the next unit counts */
	begin_lines(false, 64);
	model_give_end(model, &buffer, false);
	model_store(model, START + 40, 4, CACHED);
	model_store(model, START + 60, 4, CACHED);
	EXPECT_EQ(2, lines[RULE_SHARED_LINE]);
	model_store(model, START + 64, 4, CACHED);
	EXPECT_EQ(2, total());
	/* what is only read by the device does not change */
	buffer.direction = TO_DEVICE;
	begin_lines(false, 64);
	model_give_end(model, &buffer, false);
	model_store(model, START + 40, 4, CACHED);
	EXPECT_EQ(0, total());
}

static void two_devices_have_it(void)
{
	begin(true);
	give_correctly(TO_DEVICE);
	give(TO_DEVICE);
	take_correctly(TO_DEVICE);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(1, lines[RULE_STORE_OWNED]);
}

static void give_part(u64 start, u64 end, enum direction direction, bool again)
{
	struct buffer buffer = {
		.range = { start, end }, .direction = direction, .device = "dev",
	};

	model_give_begin(model, &buffer.range);
	model_give_end(model, &buffer, again);
}

static void take_part(u64 start, u64 end, enum direction direction)
{
	struct buffer buffer = {
		.range = { start, end }, .direction = direction,
	};

	model_take_begin(model, &buffer.range, direction);
	model_take_end(model, &buffer);
}

static void synchronised_is_not_mapped_again(void)
{
	begin(true);
	give_part(START, START + 64, TO_DEVICE, false);
	/* the driver never takes it back */
	give_part(START, START + 64, TO_DEVICE, true);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(1, lines[RULE_STORE_OWNED]);
	take_part(START, START + 64, TO_DEVICE);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(1, total());

	begin(true);
	give_correctly(FROM_DEVICE);
	give_part(START, START + SIZE, FROM_DEVICE, true);
	take_correctly(FROM_DEVICE);
	EXPECT_FALSE(model_watches_loads(model, START));
	model_load(model, START, 4, CACHED);
	EXPECT_EQ(0, total());
	/* synchronised for the processor and the device, then unmapped */
	give_part(START, START + 64, FROM_DEVICE, true);
	EXPECT_TRUE(model_watches_loads(model, START));
	model_load(model, START, 4, CACHED);
	EXPECT_EQ(1, lines[RULE_LOAD_OWNED]);
}

static void wrong_direction_leaves_stale_lines(void)
{
	begin(true);
	give_correctly(FROM_DEVICE);
	take_correctly(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, lines[RULE_STALE_OUTER]);
	EXPECT_EQ(SIZE / LINE, total());
	EXPECT_FALSE(model_watches_loads(model, START));
	/* told once */
	EXPECT_FALSE(model_stale(model, START));
	give_correctly(TO_DEVICE);
	take_correctly(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, total());
	/* the other way round nothing is stale */
	give_correctly(TO_DEVICE);
	take_correctly(FROM_DEVICE);
	EXPECT_EQ(SIZE / LINE, total());
	/* nor is what somebody else never took back */
	give_correctly(FROM_DEVICE);
	model_take_begin(model, &whole, FROM_DEVICE);
	give_correctly(TO_DEVICE);
	take_correctly(TO_DEVICE);
	EXPECT_EQ(SIZE / LINE, total());
	/* all of a line of 64 bytes */
	begin_lines(false, 64);
	give_part(START + 4, START + 8, FROM_DEVICE, false);
	take_part(START + 4, START + 8, TO_DEVICE);
	EXPECT_EQ(1, lines[RULE_STALE_INNER]);
	model_store(model, START + 60, 4, CACHED);
	EXPECT_EQ(1, total());
}

static void buffers_in_one_unit(void)
{
	begin(true);
	give_part(START, START + 16, TO_DEVICE, false);
	give_part(START + 16, START + 32, TO_DEVICE, false);
	model_store(model, START + 16, 4, CACHED);
	EXPECT_EQ(1, lines[RULE_STORE_OWNED]);
	take_part(START + 16, START + 32, TO_DEVICE);
	/* the first one is no longer known */
	model_store(model, START + 16, 4, CACHED);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(1, total());
	take_part(START, START + 16, TO_DEVICE);
	/* one of them is written to, and first taken back */
	begin(true);
	give_part(START, START + 16, FROM_DEVICE, false);
	give_part(START + 16, START + 32, TO_DEVICE, false);
	model_load(model, START + 16, 4, CACHED);
	model_take_begin(model, &(struct range){ START, START + 16 },
			 FROM_DEVICE);
	outer(INVALIDATE, START, START + 16);
	inner(INVALIDATE, START, START + 16);
	take_part(START + 16, START + 32, TO_DEVICE);
	EXPECT_EQ(0, total());
	/* or last */
	give_part(START, START + 16, FROM_DEVICE, false);
	give_part(START + 16, START + 32, TO_DEVICE, false);
	take_part(START + 16, START + 32, TO_DEVICE);
	EXPECT_EQ(0, total());
	take_part(START, START + 16, FROM_DEVICE);
	EXPECT_EQ(1, lines[RULE_STALE_OUTER]);
	/* in one line of 64 bytes each keeps its own */
	begin_lines(false, 64);
	give_part(START + 32, START + 64, TO_DEVICE, false);
	give_part(START, START + 32, TO_DEVICE, false);
	model_store(model, START + 32, 4, CACHED);
	EXPECT_EQ(1, lines[RULE_STORE_OWNED]);
}

static void buffer_is_mapped_several_times(void)
{
	begin(true);
	give_part(START, START + 16, TO_DEVICE, false);
	give_part(START, START + 16, TO_DEVICE, false);
	/* a part of it is synchronised */
	take_part(START, START + 4, TO_DEVICE);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(1, lines[RULE_STORE_OWNED]);
	/* hidden by a part of it when it was unmapped */
	begin(true);
	give_part(START, START + 16, TO_DEVICE, false);
	give_part(START, START + 4, TO_DEVICE, true);
	take_part(START, START + 16, TO_DEVICE);
	give_part(START, START + 16, TO_DEVICE, false);
	give_part(START + 24, START + 32, TO_DEVICE, false);
	give_part(START, START + 16, TO_DEVICE, true);
	take_part(START, START + 16, TO_DEVICE);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(0, total());
	/* more often than can be counted */
	begin(true);
	for (int i = 0; i < 256; i++)
		give_part(START, START + 16, FROM_DEVICE, false);
	EXPECT_TRUE(model_watches_loads(model, START));
	for (int i = 0; i < 255; i++) {
		model_take_begin(model, &(struct range){ START, START + 16 },
				 FROM_DEVICE);
		outer(INVALIDATE, START, START + 16);
		inner(INVALIDATE, START, START + 16);
	}
	EXPECT_FALSE(model_watches_loads(model, START));
}

static void given_up_without_maintenance(void)
{
	struct range range = { START, START + 20 };

	for (int writers = 0; writers < 2; writers++) {
		begin_lines(false, 64);
		give_part(range.start, range.end,
			  writers ? FROM_DEVICE : TO_DEVICE, false);
		model_release(model, &range, writers ? FROM_DEVICE : TO_DEVICE);
		EXPECT_FALSE(model_watches_loads(model, START));
		model_store(model, START + 40, 4, CACHED);
		model_store(model, START + 4, 4, CACHED);
		EXPECT_EQ(0, total());
		EXPECT_FALSE(model_stale(model, START));
	}
}

static void buffer_is_named(void)
{
	struct buffer buffer = {
		.range = whole, .direction = TO_DEVICE, .device = "first",
	};

	begin(true);
	model_give_end(model, &buffer, false);
	memcpy(buffer.device, "second", sizeof("second"));
	model_give_end(model, &buffer, false);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(0, strcmp("second", last_buffer.device));
	buffer.direction = BIDIRECTIONAL;
	model_give_end(model, &buffer, false);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(BIDIRECTIONAL, last_buffer.direction);
	buffer.caller = 4;
	model_give_end(model, &buffer, false);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(4, last_buffer.caller);
	/* so many that there is no room for them at first */
	for (unsigned int i = 0; i < 600; i++) {
		buffer.caller = i;
		model_give_end(model, &buffer, false);
	}
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(599, last_buffer.caller);
}

static void coherent_memory(void)
{
	struct buffer buffer = { .range = whole, .coherent = true };

	begin(true);
	model_store(model, START, 4, CACHED);
	model_coherent(model, &buffer);
	EXPECT_EQ(1, lines[RULE_DIRTY_INNER]);
	/* uncached accesses are what it is for */
	model_store(model, START, 4, 0);
	model_load(model, START, 4, 0);
	EXPECT_EQ(1, total());
	model_load(model, START, 4, CACHED);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(2, lines[RULE_CACHED_COHERENT]);
	model_forget(model, &whole);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(3, total());
	/* it is told once that there was something */
	begin(true);
	model_store(model, START, 4, CACHED);
	model_coherent(model, &buffer);
	EXPECT_EQ(0, model_dirty(model, START));
}

static void forgotten_memory(void)
{
	begin(true);
	give_correctly(FROM_DEVICE);
	model_outer(model, CLEAN, START, NULL);
	model_forget(model, &whole);
	EXPECT_FALSE(model_watches_loads(model, START));
	/* what was begun is not complete */
	EXPECT_EQ(1u << RULE_BARRIER,
		  model_judge(model, &(struct range){ START, START + 32 },
			      TO_DEVICE, false));
	model_store(model, START + 4, 4, CACHED);
	model_load(model, START + 4, 4, CACHED);
	EXPECT_EQ(0, total());
	inner(CLEAN, START, START + 1);
	model_outer(model, CLEAN, START, NULL);
	EXPECT_EQ(1u << RULE_BARRIER,
		  model_judge(model, &(struct range){ START, START + 32 },
			      TO_DEVICE, false));
	model_outer_sync(model);
	EXPECT_EQ(0, model_judge(model, &(struct range){ START, START + 32 },
				 TO_DEVICE, false));
	/* nobody else has it now */
	give_part(START, START + 32, FROM_DEVICE, false);
	take_part(START, START + 32, TO_DEVICE);
	EXPECT_EQ(1, lines[RULE_STALE_OUTER]);
}

static void around_the_cache(void)
{
	begin(true);
	model_store(model, START + 4, 4, CACHED);
	model_load(model, START, 4, 0);
	EXPECT_EQ(0, total());
	model_load(model, START + 6, 1, 0);
	EXPECT_EQ(1, lines[RULE_ALIAS_DIRTY]);
	/* the line is written back as a whole */
	model_store(model, START, 1, 0);
	EXPECT_EQ(2, lines[RULE_ALIAS_DIRTY]);
	/* clean in the inner, not in the outer cache */
	inner(CLEAN, START, START + 1);
	model_load(model, START + 6, 1, 0);
	EXPECT_EQ(3, lines[RULE_ALIAS_DIRTY]);
	outer(CLEAN, START, START + 1);
	model_load(model, START + 6, 1, 0);
	EXPECT_EQ(3, total());
	/* a line of 64 bytes */
	begin_lines(false, 64);
	model_store(model, START + 40, 1, CACHED);
	model_load(model, START, 1, 0);
	EXPECT_EQ(0, total());
	model_store(model, START, 1, 0);
	EXPECT_EQ(1, lines[RULE_ALIAS_DIRTY]);
	model_store(model, START + 64, 1, 0);
	EXPECT_EQ(1, total());
}

static void write_through_is_not_dirty(void)
{
	begin(true);
	model_store(model, START, 4, CACHED_READ);
	give(TO_DEVICE);
	EXPECT_EQ(0, total());
	/* but in an outer cache that does not write through */
	begin(true);
	model_store(model, START, 4, CACHED_READ | CACHED_OUTER);
	give(TO_DEVICE);
	EXPECT_EQ(1, lines[RULE_DIRTY_OUTER]);
	EXPECT_EQ(1, total());
	/* if there is one */
	begin(false);
	model_store(model, START, 4, CACHED_READ | CACHED_OUTER);
	give(TO_DEVICE);
	EXPECT_EQ(0, total());
	/* and the other way round */
	begin(true);
	model_store(model, START, 4, CACHED_INNER);
	inner(CLEAN, START, START + 4);
	give(TO_DEVICE);
	EXPECT_EQ(0, total());
}

static void accesses_cross_lines(void)
{
	begin(true);
	model_store(model, START + 28, 8, CACHED);
	EXPECT_EQ(1u << RULE_DIRTY_INNER,
		  model_judge(model, &(struct range){ START, START + 32 },
			      TO_DEVICE, false));
	EXPECT_EQ(1u << RULE_DIRTY_INNER,
		  model_judge(model, &(struct range){ START + 32, START + 36 },
			      TO_DEVICE, false));
	EXPECT_EQ(0, model_judge(model,
				 &(struct range){ START + 36, START + 64 },
				 TO_DEVICE, false));
	/* the rest of the line is written back over what the device wrote */
	EXPECT_EQ(1u << RULE_DIRTY_INNER,
		  model_judge(model, &(struct range){ START + 36, START + 64 },
			      FROM_DEVICE, false));
	EXPECT_EQ(0, total());
}

static void set_and_way(void)
{
	begin(true);
	write_buffer();
	model_inner_all(model, CLEAN);
	EXPECT_EQ(1u << RULE_DIRTY_OUTER,
		  model_judge(model, &whole, TO_DEVICE, false));
	model_outer_all(model, CLEAN_INVALIDATE);
	EXPECT_EQ(0, model_judge(model, &whole, TO_DEVICE, false));
}

static void all_lines_are_invalidated(void)
{
	begin(true);
	give_correctly(FROM_DEVICE);
	model_take_begin(model, &whole, FROM_DEVICE);
	model_inner_all(model, CLEAN);
	model_outer_all(model, CLEAN);
	EXPECT_EQ(1u << RULE_STALE_OUTER,
		  model_judge(model, &whole, FROM_DEVICE, true));
	/* it is filled from the outer one again */
	model_inner_all(model, INVALIDATE);
	model_outer_all(model, INVALIDATE);
	EXPECT_EQ(1u << RULE_STALE_INNER,
		  model_judge(model, &whole, FROM_DEVICE, true));
	model_inner_all(model, CLEAN_INVALIDATE);
	EXPECT_EQ(0, model_judge(model, &whole, FROM_DEVICE, true));
	take(FROM_DEVICE);
	EXPECT_EQ(0, total());
}

static void outer_cache_is_switched_off(void)
{
	begin(true);
	write_buffer();
	inner(CLEAN, whole.start, whole.end);
	model_enable_outer(model, false);
	EXPECT_EQ(0, model_judge(model, &whole, TO_DEVICE, false));
	/* nothing is stale in it either */
	give_correctly(FROM_DEVICE);
	model_take_begin(model, &whole, FROM_DEVICE);
	EXPECT_EQ(1u << RULE_STALE_INNER,
		  model_judge(model, &whole, FROM_DEVICE, true));
	EXPECT_EQ(0, total());
}

static void levels(void)
{
	struct model_config config = {
		.ram = { RAM, RAM + 0x10000 }, .line = LINE, .levels = 2,
		.found = found,
	};

	begin(false);
	model_free(model);
	model = model_new(&config);
	write_buffer();
	/* the data is in the second level, or was written there later */
	model_set_way(model, CLEAN, 0);
	EXPECT_EQ(1u << RULE_DIRTY_INNER,
		  model_judge(model, &whole, TO_DEVICE, false));
	model_set_way(model, CLEAN, 1);
	EXPECT_EQ(0, model_judge(model, &whole, TO_DEVICE, false));
	/* the second one alone */
	write_buffer();
	model_set_way(model, CLEAN, 1);
	EXPECT_EQ(1u << RULE_DIRTY_INNER,
		  model_judge(model, &whole, TO_DEVICE, false));
	/* there is one level only */
	begin(false);
	write_buffer();
	model_set_way(model, CLEAN, 0);
	EXPECT_EQ(0, model_judge(model, &whole, TO_DEVICE, false));
}

static void begun_by_this_transfer(void)
{
	begin(true);
	give_correctly(FROM_DEVICE);
	model_store(model, START, 4, CACHED);
	EXPECT_EQ(1, lines[RULE_STORE_OWNED]);
	/* too early for that store, which has nothing to do with the next one */
	outer(CLEAN, START, START + 4);
	inner(CLEAN, START, START + 4);
	outer(CLEAN, START, START + 4);
	model_take_begin(model, &whole, FROM_DEVICE);
	outer(INVALIDATE, whole.start, whole.end);
	take(FROM_DEVICE);
	EXPECT_EQ(0, lines[RULE_ORDER]);
	EXPECT_EQ(SIZE / LINE, lines[RULE_STALE_INNER]);
}

static void lines_of_64_bytes(void)
{
	begin_lines(false, 64);
	write_buffer();
	for (u64 at = whole.start; at < whole.end; at += 64)
		model_inner(model, 0, CLEAN, at + 63, &whole);
	model_barrier(model, 0);
	give(TO_DEVICE);
	EXPECT_EQ(0, total());
	begin_lines(false, 64);
	write_buffer();
	give(TO_DEVICE);
	EXPECT_EQ(SIZE / 64, lines[RULE_DIRTY_INNER]);
}

static void registers_of_pl310(void)
{
	static const struct {
		unsigned int offset;
		u32 value;
	} all[] = {
		{ 0x77c, 0xff }, { 0x7bc, 0xff }, { 0x7fc, 0xff },
		{ 0x7b8, 0 }, { 0x7f8, 0 },
	};

	begin(false);
	pl310_write(model, 0x100, 1, NULL);
	EXPECT_TRUE(model_has_outer(model));
	write_buffer();
	inner(CLEAN, whole.start, whole.end);
	for (u64 at = whole.start; at < whole.end; at += LINE)
		pl310_write(model, at & LINE ? 0x7b0 : 0x7f0, at | 3, NULL);
	EXPECT_EQ(1u << RULE_BARRIER,
		  model_judge(model, &whole, TO_DEVICE, false));
	pl310_write(model, 0x730, 0, NULL);
	EXPECT_EQ(0, model_judge(model, &whole, TO_DEVICE, false));
	/* 0x770 throws away */
	model_store(model, START, 4, CACHED);
	inner(CLEAN, START, START + 1);
	pl310_write(model, 0x770, START, NULL);
	EXPECT_EQ(1, lines[RULE_LOST_DATA]);
	/* by way, and by index and way */
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		write_buffer();
		inner(CLEAN, whole.start, whole.end);
		pl310_write(model, 0x740, 0, NULL);
		EXPECT_EQ(1u << RULE_DIRTY_OUTER,
			  model_judge(model, &whole, TO_DEVICE, false));
		if (!all[i].value)
			pl310_write(model, all[i].offset, 0x10000020, NULL);
		EXPECT_EQ(1u << RULE_DIRTY_OUTER,
			  model_judge(model, &whole, TO_DEVICE, false));
		pl310_write(model, all[i].offset, all[i].value, NULL);
		EXPECT_EQ(0, model_judge(model, &whole, TO_DEVICE, false));
	}
	EXPECT_TRUE(pl310_is_line(0x770));
	EXPECT_TRUE(pl310_is_line(0x7b0));
	EXPECT_TRUE(pl310_is_line(0x7f0));
	EXPECT_FALSE(pl310_is_line(0x7f8));
	EXPECT_FALSE(pl310_is_line(0x730));
	/* off */
	pl310_write(model, 0x100, 0, NULL);
	EXPECT_FALSE(model_has_outer(model));
}

static void memory_that_is_not_ram(void)
{
	struct buffer buffer = { .range = { 0x10, 0x20 } };

	begin(true);
	model_store(model, 0x10, 4, CACHED);
	model_inner(model, 0, INVALIDATE, 0x10, NULL);
	model_give_end(model, &buffer, false);
	EXPECT_FALSE(model_watches_loads(model, 0x10));
	EXPECT_EQ(0, total());
}

static char ram[0x10000];
static struct incoherent *incoherent;

static char *host(u64 address, u64 size)
{
	return address + size > RAM + sizeof(ram) ? NULL : ram + address - RAM;
}

static void was_written_back(u64 address, u32 mask)
{
	incoherent_written_back(incoherent, address, mask);
}

static void was_dropped(u64 address, u32 mask)
{
	incoherent_dropped(incoherent, address, mask);
}

static void begin_incoherent(void)
{
	struct model_config config = {
		.ram = { RAM, RAM + sizeof(ram) }, .line = LINE, .found = found,
		.written_back = was_written_back, .dropped = was_dropped,
	};

	begin(false);
	model_free(model);
	incoherent_free(incoherent);
	memset(ram, 'a', sizeof(ram));
	model = model_new(&config);
	model_enable_outer(model, true);
	incoherent = incoherent_new(&config.ram, host);
}

static void store_byte(u64 address, char value)
{
	*host(address, 1) = value;
	incoherent_store(incoherent, address, 1, CACHED);
	model_store(model, address, 1, CACHED);
}

static void give_incoherent(enum direction direction)
{
	struct buffer buffer = { .range = whole, .direction = direction };

	incoherent_give(incoherent, model, &buffer);
	give(direction);
}

static void take_incoherent(enum direction direction)
{
	struct buffer buffer = { .range = whole, .direction = direction };

	incoherent_take(incoherent, model, &buffer);
	take(direction);
}

static void device_reads_what_was_written_back(void)
{
	begin_incoherent();
	/* the first store to a page makes the copy */
	store_byte(START + 0x800, 'x');
	store_byte(START, 'b');
	store_byte(START + 0x100, 'c');
	inner(CLEAN, START, START + 1);
	outer(CLEAN, START, START + 1);
	give_incoherent(TO_DEVICE);
	EXPECT_EQ('b', *host(START, 1));
	EXPECT_EQ('a', *host(START + 0x100, 1));
	take_incoherent(TO_DEVICE);
	EXPECT_EQ('c', *host(START + 0x100, 1));
	/* it is in the memory later */
	inner(CLEAN, START + 0x100, START + 0x101);
	outer(CLEAN, START + 0x100, START + 0x101);
	give_incoherent(TO_DEVICE);
	EXPECT_EQ('c', *host(START + 0x100, 1));
	incoherent_free(incoherent);
	incoherent = NULL;
}

static void processor_reads_what_was_not_invalidated(void)
{
	begin_incoherent();
	store_byte(START, 'b');
	inner(CLEAN, START, START + 1);
	outer(CLEAN, START, START + 1);
	give_incoherent(FROM_DEVICE);
	memset(host(START, SIZE), 'd', SIZE);
	model_take_begin(model, &whole, FROM_DEVICE);
	outer(INVALIDATE, whole.start, whole.end);
	inner(INVALIDATE, START + LINE, whole.end);
	take_incoherent(FROM_DEVICE);
	EXPECT_EQ('b', *host(START, 1));
	EXPECT_EQ('a', *host(START + 1, 1));
	EXPECT_EQ('d', *host(START + LINE, 1));
	incoherent_free(incoherent);
	incoherent = NULL;
}

static void invalidated_data_is_gone(void)
{
	begin_incoherent();
	store_byte(START + 0x800, 'x');
	store_byte(START, 'b');
	inner(INVALIDATE, START, START + 1);
	/* it may have been evicted before */
	EXPECT_EQ('b', *host(START, 1));
	outer(INVALIDATE, START, START + 1);
	EXPECT_EQ('a', *host(START, 1));
	incoherent_free(incoherent);
	incoherent = NULL;
}

static void neighbour_of_given_buffer_is_kept(void)
{
	struct buffer buffer = { .range = { START, START + 20 },
				 .direction = TO_DEVICE };

	begin_incoherent();
	store_byte(START + 0x800, 'x');
	store_byte(START, 'b');
	incoherent_give(incoherent, model, &buffer);
	model_give_end(model, &buffer, false);
	store_byte(START + 24, 'n');
	/* the device has it again, or a part of it */
	incoherent_give(incoherent, model, &buffer);
	EXPECT_EQ('a', *host(START, 1));
	model_take_begin(model, &buffer.range, TO_DEVICE);
	incoherent_take(incoherent, model, &buffer);
	EXPECT_EQ('n', *host(START + 24, 1));
	EXPECT_EQ('b', *host(START, 1));
	/* once only */
	store_byte(START, 'c');
	incoherent_take(incoherent, model, &buffer);
	EXPECT_EQ('c', *host(START, 1));
	incoherent_free(incoherent);
	incoherent = NULL;
}

static void device_keeps_what_it_wrote(void)
{
	begin_incoherent();
	store_byte(START + 0x800, 'x');
	store_byte(START, 'b');
	give_incoherent(FROM_DEVICE);
	EXPECT_EQ('a', *host(START, 1));
	*host(START, 1) = 'd';
	/* what the caches had is dropped */
	model_take_begin(model, &whole, FROM_DEVICE);
	outer(INVALIDATE, whole.start, whole.end);
	inner(INVALIDATE, whole.start, whole.end);
	outer(INVALIDATE, whole.start, whole.end);
	inner(INVALIDATE, whole.start, whole.end);
	take_incoherent(FROM_DEVICE);
	EXPECT_EQ('d', *host(START, 1));
	/* it is what a device reads later, too */
	store_byte(START, 'f');
	store_byte(START + 1, 'e');
	give_incoherent(TO_DEVICE);
	EXPECT_EQ('d', *host(START, 1));
	EXPECT_EQ('a', *host(START + 1, 1));
	/* written back while the device has it */
	inner(CLEAN, whole.start, whole.end);
	outer(CLEAN, whole.start, whole.end);
	EXPECT_EQ('e', *host(START + 1, 1));
	take_incoherent(TO_DEVICE);
	/* what is stale then is what was there when it was given again */
	*host(START + 1, 1) = 'g';
	give_incoherent(FROM_DEVICE);
	*host(START + 1, 1) = 'h';
	model_take_begin(model, &whole, FROM_DEVICE);
	take_incoherent(FROM_DEVICE);
	EXPECT_EQ('g', *host(START + 1, 1));
	incoherent_free(incoherent);
	incoherent = NULL;
}

static void uncached_stores_reach_the_memory(void)
{
	begin_incoherent();
	store_byte(START + 0x800, 'x');
	*host(START, 1) = 'u';
	incoherent_store(incoherent, START, 1, CACHED_READ);
	store_byte(START, 'b');
	give_incoherent(TO_DEVICE);
	EXPECT_EQ('u', *host(START, 1));
	incoherent_free(incoherent);
	incoherent = NULL;
}

const struct test model_tests[] = {
	{ "model: correct_transfers_break_no_rule",
	  correct_transfers_break_no_rule },
	{ "model: nothing_is_cleaned", nothing_is_cleaned },
	{ "model: outer_cache_is_not_cleaned", outer_cache_is_not_cleaned },
	{ "model: outer_cache_is_cleaned_first", outer_cache_is_cleaned_first },
	{ "model: order_is_that_of_this_transfer",
	  order_is_that_of_this_transfer },
	{ "model: order_is_that_of_the_last_store",
	  order_is_that_of_the_last_store },
	{ "model: outer_cache_is_invalidated_first",
	  outer_cache_is_invalidated_first },
	{ "model: last_line_is_not_cleaned", last_line_is_not_cleaned },
	{ "model: nobody_waits_for_inner_cache", nobody_waits_for_inner_cache },
	{ "model: nobody_waits_between_the_caches",
	  nobody_waits_between_the_caches },
	{ "model: nobody_waits_for_outer_cache", nobody_waits_for_outer_cache },
	{ "model: stale_lines_of_inner_cache", stale_lines_of_inner_cache },
	{ "model: stale_lines_of_outer_cache", stale_lines_of_outer_cache },
	{ "model: inner_cache_is_invalidated_first",
	  inner_cache_is_invalidated_first },
	{ "model: inner_cache_does_not_wait_for_outer",
	  inner_cache_does_not_wait_for_outer },
	{ "model: invalidated_too_early_is_stale",
	  invalidated_too_early_is_stale },
	{ "model: neighbours_in_the_line_are_lost",
	  neighbours_in_the_line_are_lost },
	{ "model: device_has_the_buffer", device_has_the_buffer },
	{ "model: line_is_shared_with_device", line_is_shared_with_device },
	{ "model: two_devices_have_it", two_devices_have_it },
	{ "model: synchronised_is_not_mapped_again",
	  synchronised_is_not_mapped_again },
	{ "model: wrong_direction_leaves_stale_lines",
	  wrong_direction_leaves_stale_lines },
	{ "model: buffers_in_one_unit", buffers_in_one_unit },
	{ "model: buffer_is_mapped_several_times",
	  buffer_is_mapped_several_times },
	{ "model: given_up_without_maintenance", given_up_without_maintenance },
	{ "model: buffer_is_named", buffer_is_named },
	{ "model: coherent_memory", coherent_memory },
	{ "model: forgotten_memory", forgotten_memory },
	{ "model: around_the_cache", around_the_cache },
	{ "model: write_through_is_not_dirty", write_through_is_not_dirty },
	{ "model: accesses_cross_lines", accesses_cross_lines },
	{ "model: set_and_way", set_and_way },
	{ "model: all_lines_are_invalidated", all_lines_are_invalidated },
	{ "model: outer_cache_is_switched_off", outer_cache_is_switched_off },
	{ "model: levels", levels },
	{ "model: begun_by_this_transfer", begun_by_this_transfer },
	{ "model: lines_of_64_bytes", lines_of_64_bytes },
	{ "model: registers_of_pl310", registers_of_pl310 },
	{ "model: memory_that_is_not_ram", memory_that_is_not_ram },
	{ "incoherent: device_reads_what_was_written_back",
	  device_reads_what_was_written_back },
	{ "incoherent: processor_reads_what_was_not_invalidated",
	  processor_reads_what_was_not_invalidated },
	{ "incoherent: invalidated_data_is_gone", invalidated_data_is_gone },
	{ "incoherent: neighbour_of_given_buffer_is_kept",
	  neighbour_of_given_buffer_is_kept },
	{ "incoherent: device_keeps_what_it_wrote",
	  device_keeps_what_it_wrote },
	{ "incoherent: uncached_stores_reach_the_memory",
	  uncached_stores_reach_the_memory },
	{}
};
