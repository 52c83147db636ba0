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
		.ram = { RAM, RAM + 0x10000 }, .line = line, .found = found,
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

	model_give_end(model, &buffer);
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
	model_give_end(model, &buffer);
	model_store(model, START + 40, 4, CACHED);
	model_store(model, START + 60, 4, CACHED);
	EXPECT_EQ(2, lines[RULE_SHARED_LINE]);
	model_store(model, START + 64, 4, CACHED);
	EXPECT_EQ(2, total());
	/* what is only read by the device does not change */
	buffer.direction = TO_DEVICE;
	begin_lines(false, 64);
	model_give_end(model, &buffer);
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
}

static void write_through_is_never_dirty(void)
{
	begin(true);
	model_store(model, START, 4, CACHED_READ);
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
	/* by way */
	write_buffer();
	inner(CLEAN, whole.start, whole.end);
	pl310_write(model, 0x7fc, 0xff, NULL);
	EXPECT_EQ(0, model_judge(model, &whole, TO_DEVICE, false) &
		     1u << RULE_DIRTY_OUTER);
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
	model_give_end(model, &buffer);
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
	{ "model: coherent_memory", coherent_memory },
	{ "model: around_the_cache", around_the_cache },
	{ "model: write_through_is_never_dirty", write_through_is_never_dirty },
	{ "model: accesses_cross_lines", accesses_cross_lines },
	{ "model: set_and_way", set_and_way },
	{ "model: lines_of_64_bytes", lines_of_64_bytes },
	{ "model: registers_of_pl310", registers_of_pl310 },
	{ "model: memory_that_is_not_ram", memory_that_is_not_ram },
	{ "incoherent: device_reads_what_was_written_back",
	  device_reads_what_was_written_back },
	{ "incoherent: processor_reads_what_was_not_invalidated",
	  processor_reads_what_was_not_invalidated },
	{ "incoherent: invalidated_data_is_gone", invalidated_data_is_gone },
	{}
};
