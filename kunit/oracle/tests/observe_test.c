// SPDX-License-Identifier: GPL-2.0-only
/* A guest of a few registers and a page of memory plays the kernel. */

#include <stdlib.h>
#include <string.h>

#include "../observe.h"
#include "../protocol.h"
#include "test.h"

#define RAM		0x100000u
#define STACK		0xc0802000u
#define DATA		0xc0900000u
#define DEVICE		(DATA + 0x100)
#define NAME		(DATA + 0x200)
#define HANDLE		(DATA + 0x300)
#define CALL		(DATA + 0x400)
#define DRIVER		0xc0300123u
#define CACHED		(CACHED_INNER | CACHED_OUTER)
#define CODE		0xc0300400u
#define OTHER		(DATA + 0x140)
#define OTHER_NAME	(DATA + 0x240)

enum { LR = 14, SP = 13 };

static const char map[] =
	"c0000100 T start_kernel\n"
	"c0000200 T dma_map_sg_attrs\n"
	"c0000300 T dma_map_sgtable\n"
	"c0000400 T __dma_sync_single_for_device\n"
	"c0000500 T __dma_sync_sg_for_device\n"
	"c0000600 t v7_dma_map_area\n"
	"c0000700 t v7_dma_unmap_area\n"
	"c0100000 T dma_map_page_attrs\n"
	"c0100100 T dma_map_phys\n"
	"c0100200 T arch_sync_dma_for_device\n"
	"c0100300 T arch_sync_dma_for_cpu\n"
	"c0100400 T arch_dma_alloc\n"
	"c0100500 T arch_dma_free\n"
	"c0100600 t v7_dma_inv_range.constprop.0\n"
	"c0100700 t l2c210_inv_range\n"
	"c0100800 T dma_unmap_phys\n"
	"c0100900 d not_a_function\n"
	"c0100a00 t dma_map_single_attrs.constprop.0\n"
	"c0100b00 t dma_map_single_attrs.constprop.0\n"
	"c0200000 T __memset\n"
	"c0200000 W memset\n"
	"c0300000 t my_driver\n"
	"c0400000 T _etext\n";

static u32 registers[16];
static unsigned char memory[0x1000], stack[0x1000], code[0x100];
static bool long_addresses;
static struct symbols *symbols;
static struct report *report;
static struct model *model;
static struct observer *observer;
static struct finding last;
static char last_device[64];
static u64 last_caller;

static unsigned char *place(u32 address, unsigned int size)
{
	if (address >= DATA && address + size <= DATA + sizeof(memory))
		return memory + address - DATA;
	if (address >= STACK && address + size <= STACK + sizeof(stack))
		return stack + address - STACK;
	if (address >= CODE && address + size <= CODE + sizeof(code))
		return code + address - CODE;
	return NULL;
}

static u32 get(unsigned int number)
{
	return registers[number];
}

static bool read_guest(u32 address, void *data, unsigned int size)
{
	if (!place(address, size))
		return false;
	memcpy(data, place(address, size), size);
	return true;
}

static bool write_guest(u32 address, const void *data, unsigned int size)
{
	if (!place(address, size))
		return false;
	memcpy(place(address, size), data, size);
	return true;
}

static bool has_long(void)
{
	return long_addresses;
}

static void found(const struct finding *finding, void *opaque)
{
	(void)opaque;
	last = *finding;
	if (finding->buffer) {
		memcpy(last_device, finding->buffer->device,
		       sizeof(last_device));
		last_caller = finding->buffer->caller;
	}
	observer_found(observer, finding, 0xc0300010);
}

static void map_of(const char *text)
{
	char path[] = "/tmp/oracle-test-XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");

	fputs(text, file);
	fclose(file);
	symbols = symbols_read(path);
	remove(path);
}

static void put(u32 address, u32 value)
{
	write_guest(address, &value, sizeof(value));
}

static void begin(void)
{
	static const struct guest guest = {
		.get = get,
		.read = read_guest,
		.write = write_guest,
		.has_long_addresses = has_long,
	};
	struct model_config config = {
		.ram = { RAM, RAM + 0x10000 }, .line = 64, .found = found,
	};

	memset(memory, 0, sizeof(memory));
	memset(registers, 0, sizeof(registers));
	memset(&last, 0xff, sizeof(last));
	long_addresses = false;
	map_of(map);
	report = report_new();
	report_set(report, symbols, 3);
	model = model_new(&config);
	observer = observer_new(model, report, symbols, &guest);
	put(DEVICE, NAME);
	write_guest(NAME, "0000:00:02.0", 13);
	put(OTHER, OTHER_NAME);
	write_guest(OTHER_NAME, "other", 6);
	registers[SP] = STACK + 0x800;
	registers[LR] = DRIVER;
}

static void finish(void)
{
	observer_free(observer);
	model_free(model);
	report_free(report);
	symbols_free(symbols);
}

static void enter(u32 address)
{
	int hook = observer_find(observer, address);

	EXPECT_TRUE(hook >= 0);
	observer_enter(observer, hook);
}

static void names_of_addresses(void)
{
	u64 offset = 0;

	begin();
	EXPECT_EQ(0xc0100600, symbols_address(symbols, "v7_dma_inv_range"));
	EXPECT_EQ(0, symbols_address(symbols, "v7_dma"));
	EXPECT_EQ(0, symbols_address(symbols, "not_a_function"));
	EXPECT_EQ(0, strcmp("my_driver",
			    symbols_name(symbols, 0xc0300010, &offset)));
	EXPECT_EQ(0x10, offset);
	EXPECT_FALSE(symbols_name(symbols, 0xc0000000, &offset));
	EXPECT_FALSE(symbols_name(symbols, 0xc0500000, &offset));
	EXPECT_EQ(-1, observer_find(observer, 0xc0100604));
	EXPECT_EQ(-1, observer_find(observer, 0));
	finish();
}

/* dma_map_page_attrs() -> dma_map_phys() -> arch_sync_dma_for_device() */
static void map_page(u32 start, u32 size, enum direction direction)
{
	registers[0] = DEVICE;
	registers[LR] = DRIVER;
	enter(0xc0100000);
	registers[SP] -= 0x20;
	registers[LR] = 0xc0100010;
	enter(0xc0100100);
	registers[SP] -= 0x20;
	registers[LR] = 0xc0100110;
	registers[0] = start;
	registers[1] = size;
	registers[2] = direction;
	enter(0xc0100200);
	/* the stack is as it was, the registers are not */
	registers[0] = 0;
	registers[1] = 0;
	observer_return(observer, 0xc0100110);
	registers[SP] += 0x20;
	observer_return(observer, 0xc0100010);
	registers[SP] += 0x20;
	observer_return(observer, DRIVER & ~1u);
}

static void finding_names_device_and_driver(void)
{
	begin();
	model_store(model, RAM + 4, 4, CACHED);
	map_page(RAM, 128, TO_DEVICE);
	EXPECT_EQ(RULE_DIRTY_INNER, last.rule);
	EXPECT_EQ(1, last.lines);
	EXPECT_EQ(0, strcmp("0000:00:02.0", last_device));
	EXPECT_EQ(DRIVER & ~1u, last_caller);
	EXPECT_EQ(1, report_total(report));
	EXPECT_FALSE(observer_waits(observer));
	finish();
}

/* An inline function of a header that was not inlined, in two files */
static void wrapper_is_not_the_caller(void)
{
	for (u32 wrapper = 0xc0100a00; wrapper <= 0xc0100b00; wrapper += 0x100) {
		begin();
		model_store(model, RAM + 4, 4, CACHED);
		registers[LR] = 0xc0300200;
		/* may not be the device, as arguments are left out */
		registers[0] = 0x1234;
		enter(wrapper);
		registers[SP] -= 0x20;
		map_page(RAM, 128, TO_DEVICE);
		EXPECT_EQ(0xc0300200, last_caller);
		EXPECT_EQ(0, strcmp("0000:00:02.0", last_device));
		finish();
	}
}

static void caller_of_memset_is_on_the_stack(void)
{
	struct finding finding = { .rule = RULE_STORE_OWNED };
	u64 offset = 0;

	begin();
	EXPECT_EQ(0, strcmp("memset",
			    symbols_name(symbols, 0xc0200010, &offset)));
	/* what looks like a link, but nothing is called there */
	put(registers[SP], DATA + 0x10);
	put(registers[SP] + 4, 0xc0200010);
	put(registers[SP] + 8, 0xc0300021);
	registers[LR] = 0x01010101;
	observer_found(observer, &finding, 0xc0200020);
	EXPECT_EQ(1, report_total(report));
	EXPECT_EQ(0xc0300020, report_caller(report));
	finish();
}

static void call_ends_where_its_stack_is(void)
{
	begin();
	model_store(model, RAM + 4, 4, CACHED);
	registers[0] = RAM;
	registers[1] = 64;
	registers[2] = TO_DEVICE;
	enter(0xc0100200);
	EXPECT_TRUE(observer_waits(observer));
	/* the same code in another call */
	registers[SP] -= 8;
	observer_return(observer, DRIVER & ~1u);
	EXPECT_EQ(0, report_total(report));
	registers[SP] += 8;
	observer_return(observer, 0xc0300124);
	EXPECT_EQ(0, report_total(report));
	observer_return(observer, DRIVER & ~1u);
	EXPECT_EQ(1, report_total(report));
	EXPECT_FALSE(observer_waits(observer));
	finish();
}

static void long_physical_addresses(void)
{
	begin();
	long_addresses = true;
	model_store(model, RAM + 4, 4, CACHED);
	registers[0] = RAM;
	registers[1] = 0;
	registers[2] = 64;
	registers[3] = TO_DEVICE;
	enter(0xc0100200);
	observer_return(observer, DRIVER & ~1u);
	EXPECT_EQ(1, report_total(report));
	/* beyond 4 GiB is something else */
	registers[1] = 1;
	enter(0xc0100200);
	observer_return(observer, DRIVER & ~1u);
	EXPECT_EQ(1, report_total(report));
	finish();
}

static void outermost_range_was_asked_for(void)
{
	struct request request = {};

	begin();
	EXPECT_FALSE(observer_asked_for(observer, 0xc1000040, RAM + 0x40,
					&request));
	/* virtual 0xc1000000 is RAM */
	registers[0] = 0xc1000004;
	registers[1] = 0xc1000080;
	enter(0xc0100600);
	EXPECT_TRUE(observer_asked_for(observer, 0xc1000040, RAM + 0x40,
				       &request));
	EXPECT_EQ(RAM + 4, request.range.start);
	EXPECT_EQ(RAM + 0x80, request.range.end);
	EXPECT_TRUE(request.may_lose_data);
	EXPECT_FALSE(observer_asked_for_outer(observer, &request));
	observer_return(observer, DRIVER & ~1u);

	registers[0] = RAM + 8;
	registers[1] = 16;
	registers[2] = FROM_DEVICE;
	enter(0xc0100300);
	registers[SP] -= 16;
	registers[0] = 0xc1000000;
	registers[1] = 0xc1000080;
	enter(0xc0100600);
	EXPECT_TRUE(observer_asked_for(observer, 0xc1000040, RAM + 0x40,
				       &request));
	EXPECT_EQ(RAM + 8, request.range.start);
	EXPECT_EQ(RAM + 24, request.range.end);
	/* nothing may get lost of what a device shall read */
	observer_return(observer, DRIVER & ~1u);
	registers[SP] += 16;
	observer_return(observer, DRIVER & ~1u);
	EXPECT_FALSE(observer_waits(observer));
	registers[0] = RAM + 8;
	registers[1] = 16;
	registers[2] = TO_DEVICE;
	enter(0xc0100200);
	registers[SP] -= 16;
	registers[0] = 0xc1000000;
	registers[1] = 0xc1000080;
	enter(0xc0100600);
	EXPECT_TRUE(observer_asked_for(observer, 0xc1000040, RAM + 0x40,
				       &request));
	EXPECT_FALSE(request.may_lose_data);
	/* on another stack nothing is known, also if it is the next one */
	registers[SP] = STACK - 0x200;
	EXPECT_FALSE(observer_asked_for(observer, 0xc1000040, RAM + 0x40,
					&request));
	finish();
}

static void coherent_memory_is_watched_until_freed(void)
{
	begin();
	registers[0] = DEVICE;
	registers[1] = 100;
	registers[2] = HANDLE;
	enter(0xc0100400);
	put(HANDLE, RAM + 0x2000);
	registers[0] = 0xd0000000;
	observer_return(observer, DRIVER & ~1u);
	EXPECT_EQ(0, report_total(report));
	/* all of the page */
	model_store(model, RAM + 0x2ffc, 4, CACHED);
	EXPECT_EQ(RULE_CACHED_COHERENT, last.rule);
	EXPECT_EQ(0, strcmp("0000:00:02.0", last_device));
	registers[0] = DEVICE;
	registers[1] = 100;
	registers[3] = RAM + 0x2000;
	enter(0xc0100500);
	observer_return(observer, DRIVER & ~1u);
	model_store(model, RAM + 0x2000, 4, CACHED);
	EXPECT_EQ(1, report_total(report));
	/* one that fails */
	registers[0] = DEVICE;
	enter(0xc0100400);
	registers[0] = 0;
	observer_return(observer, DRIVER & ~1u);
	model_store(model, RAM + 0x2000, 4, CACHED);
	EXPECT_EQ(1, report_total(report));
	finish();
}

static u32 announce(enum oracle_event event, u64 start, u64 size,
		    enum direction direction)
{
	struct oracle_call call = {
		.magic = ORACLE_MAGIC, .event = event, .direction = direction,
		.start = start, .size = size,
	};

	write_guest(CALL, &call, sizeof(call));
	observer_announce(observer, CALL, 0xc0300010);
	read_guest(CALL, &call, sizeof(call));
	return call.answer;
}

/* arch_sync_dma_for_device() or _for_cpu(), called by the DMA API */
static void sync_in(u32 api, u32 function, u32 start, u32 size,
		    enum direction direction)
{
	registers[0] = DEVICE;
	registers[LR] = DRIVER;
	enter(api);
	registers[SP] -= 0x20;
	registers[LR] = 0xc0100010;
	registers[0] = start;
	registers[1] = size;
	registers[2] = direction;
	enter(function);
	observer_return(observer, 0xc0100010);
	registers[SP] += 0x20;
}

static void leave(u32 result)
{
	registers[0] = result;
	observer_return(observer, DRIVER & ~1u);
}

static void synchronised_is_not_mapped(void)
{
	static const u32 functions[] = { 0xc0000400, 0xc0000500 };

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		begin();
		map_page(RAM, 64, TO_DEVICE);
		sync_in(functions[i], 0xc0100200, RAM, 64, TO_DEVICE);
		leave(0);
		/* unmapped */
		sync_in(0xc0100000, 0xc0100300, RAM, 64, TO_DEVICE);
		leave(0);
		model_store(model, RAM, 4, CACHED);
		EXPECT_EQ(0, report_total(report));
		finish();
	}
}

static void failed_scatterlist_is_not_owned(void)
{
	static const struct {
		u32 function;
		u32 result;
		bool failed;
	} table[] = {
		{ 0xc0000200, 2, false },
		{ 0xc0000200, 0, true },
		{ 0xc0000300, 0, false },
		{ 0xc0000300, -12, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		begin();
		sync_in(table[i].function, 0xc0100200, RAM, 64, FROM_DEVICE);
		leave(table[i].result);
		EXPECT_EQ(!table[i].failed, model_watches_loads(model, RAM));
		/* one of another call */
		map_page(RAM + 0x1000, 64, FROM_DEVICE);
		sync_in(0xc0000200, 0xc0100200, RAM, 64, FROM_DEVICE);
		registers[SP] -= 0x100;
		registers[0] = DEVICE;
		registers[LR] = DRIVER;
		enter(0xc0000200);
		leave(0);
		registers[SP] += 0x100;
		EXPECT_TRUE(model_watches_loads(model, RAM));
		leave(1);
		EXPECT_TRUE(model_watches_loads(model, RAM));
		EXPECT_TRUE(model_watches_loads(model, RAM + 0x1000));
		finish();
	}
}

static void interrupt_maps_for_its_own_device(void)
{
	begin();
	/* of the task that was interrupted, on the same stack */
	registers[0] = OTHER;
	registers[LR] = 0xc0300300;
	enter(0xc0100000);
	registers[SP] -= 0x80;
	model_store(model, RAM + 4, 4, CACHED);
	map_page(RAM, 128, TO_DEVICE);
	EXPECT_EQ(0, strcmp("0000:00:02.0", last_device));
	EXPECT_EQ(DRIVER & ~1u, last_caller);
	/* one on another stack has nothing to do with it */
	registers[SP] = STACK - 0x200;
	registers[0] = RAM;
	registers[1] = 128;
	registers[2] = TO_DEVICE;
	registers[LR] = 0xc0300400;
	enter(0xc0100200);
	observer_return(observer, 0xc0300400);
	EXPECT_EQ(0, strcmp("", last_device));
	EXPECT_EQ(0xc0300400, last_caller);
	finish();
}

static bool may_be_lost(u32 function, enum direction direction)
{
	struct request request = {};
	bool known;

	registers[0] = RAM;
	registers[1] = 64;
	registers[2] = direction;
	registers[LR] = DRIVER;
	enter(function);
	known = observer_asked_for(observer, RAM, RAM, &request);
	EXPECT_TRUE(known);
	EXPECT_EQ(RAM, request.range.start);
	EXPECT_EQ(RAM + 64, request.range.end);
	observer_return(observer, DRIVER & ~1u);
	return request.may_lose_data;
}

static void what_may_be_lost(void)
{
	begin();
	EXPECT_TRUE(may_be_lost(0xc0100200, FROM_DEVICE));
	EXPECT_FALSE(may_be_lost(0xc0100200, BIDIRECTIONAL));
	EXPECT_FALSE(may_be_lost(0xc0100200, TO_DEVICE));
	EXPECT_TRUE(may_be_lost(0xc0000600, FROM_DEVICE));
	EXPECT_FALSE(may_be_lost(0xc0000600, BIDIRECTIONAL));
	EXPECT_FALSE(may_be_lost(0xc0100300, FROM_DEVICE));
	EXPECT_FALSE(may_be_lost(0xc0100300, BIDIRECTIONAL));
	EXPECT_TRUE(may_be_lost(0xc0000700, FROM_DEVICE));
	EXPECT_FALSE(may_be_lost(0xc0000700, TO_DEVICE));
	finish();
}

/* Between dma_sync_single_for_cpu() and dma_unmap_page() */
static void store_before_unmap_is_lost(void)
{
	begin();
	map_page(RAM, 64, FROM_DEVICE);
	for (int i = 0; i < 2; i++) {
		struct request request = {};

		registers[0] = RAM;
		registers[1] = 64;
		registers[2] = FROM_DEVICE;
		registers[LR] = DRIVER;
		enter(0xc0100300);
		observer_asked_for(observer, 0xc1000000, RAM, &request);
		model_inner(model, 0, INVALIDATE, RAM,
			    request.may_lose_data ? &request.range : NULL);
		model_barrier(model, 0);
		observer_return(observer, DRIVER & ~1u);
		EXPECT_EQ(i, report_total(report));
		model_store(model, RAM + 8, 4, CACHED);
	}
	EXPECT_EQ(RULE_LOST_DATA, last.rule);
	finish();
}

static void functions_that_are_needed(void)
{
	begin();
	EXPECT_FALSE(observer_misses(symbols));
	finish();
	map_of("c0000100 T start_kernel\n"
	       "c0100200 T arch_sync_dma_for_device\n");
	EXPECT_EQ(0, strcmp("arch_sync_dma_for_cpu",
			    observer_misses(symbols)));
	symbols_free(symbols);
	map_of("c0100300 T arch_sync_dma_for_cpu\n"
	       "c0100200 T arch_sync_dma_for_device\n");
	EXPECT_EQ(0, strcmp("start_kernel", observer_misses(symbols)));
	symbols_free(symbols);
}

static void more_calls_than_can_be_kept(void)
{
	begin();
	model_store(model, RAM + 4, 4, CACHED);
	/* that never return */
	for (int i = 0; i < 64; i++) {
		registers[0] = DEVICE;
		registers[LR] = 0xc0300300 + 4 * i;
		enter(0xc0100000);
		registers[SP] -= 8;
	}
	EXPECT_EQ(0, report_counted(report, COUNT_LOST_TRACK));
	/* the oldest one is given up, not the one that is inside */
	registers[LR] = 0xc0300300 + 4 * 64;
	enter(0xc0100000);
	EXPECT_EQ(1, report_counted(report, COUNT_LOST_TRACK));
	map_page(RAM, 128, TO_DEVICE);
	EXPECT_EQ(0xc0300300 + 4 * 4, last_caller);
	EXPECT_EQ(1, report_total(report));
	EXPECT_EQ(4, report_counted(report, COUNT_LOST_TRACK));
	finish();
}

static void registers_of_long_addresses(void)
{
	begin();
	long_addresses = true;
	/* dma_unmap_phys(dev, -, addr, size, dir, attrs) */
	announce(ORACLE_GIVE, RAM, 64, FROM_DEVICE);
	registers[0] = DEVICE;
	registers[1] = 0;
	registers[2] = RAM;
	registers[3] = 0;
	registers[LR] = DRIVER;
	put(registers[SP], 64);
	put(registers[SP] + 4, FROM_DEVICE);
	put(registers[SP] + 8, 0x20);
	enter(0xc0100800);
	observer_return(observer, DRIVER & ~1u);
	EXPECT_FALSE(model_watches_loads(model, RAM));
	/* beyond 4 GiB is something else, and with a direction only, nothing */
	announce(ORACLE_GIVE, RAM, 64, FROM_DEVICE);
	registers[3] = 1;
	enter(0xc0100800);
	observer_return(observer, DRIVER & ~1u);
	EXPECT_TRUE(model_watches_loads(model, RAM));
	registers[3] = 0;
	put(registers[SP] + 4, 0x20);
	put(registers[SP] + 8, 0);
	enter(0xc0100800);
	observer_return(observer, DRIVER & ~1u);
	EXPECT_TRUE(model_watches_loads(model, RAM));
	/* of what is no memory, nothing is unmapped */
	put(registers[SP] + 8, 0x420);
	enter(0xc0100800);
	observer_return(observer, DRIVER & ~1u);
	EXPECT_TRUE(model_watches_loads(model, RAM));
	/* arch_dma_alloc() and arch_dma_free(): a handle of 64 bits */
	registers[0] = DEVICE;
	registers[1] = 100;
	registers[2] = HANDLE;
	enter(0xc0100400);
	put(HANDLE, RAM + 0x2000);
	put(HANDLE + 4, 1);
	registers[0] = 0xd0000000;
	observer_return(observer, DRIVER & ~1u);
	model_load(model, RAM + 0x2000, 4, CACHED);
	EXPECT_EQ(0, report_total(report));
	put(HANDLE + 4, 0);
	registers[0] = DEVICE;
	registers[2] = HANDLE;
	enter(0xc0100400);
	registers[0] = 0xd0000000;
	observer_return(observer, DRIVER & ~1u);
	model_load(model, RAM + 0x2000, 4, CACHED);
	EXPECT_EQ(1, report_total(report));
	registers[0] = DEVICE;
	registers[1] = 100;
	registers[3] = 0;
	put(registers[SP], RAM + 0x2000);
	put(registers[SP] + 4, 0);
	enter(0xc0100500);
	observer_return(observer, DRIVER & ~1u);
	model_load(model, RAM + 0x2000, 4, CACHED);
	EXPECT_EQ(1, report_total(report));
	finish();
}

static void what_is_a_return_address(void)
{
	static const struct {
		u32 word;
		u32 address;
		bool is;
	} table[] = {
		{ 0xeb000000, CODE + 4, true },		/* bl */
		{ 0x1b000000, CODE + 4, true },		/* blne */
		{ 0xe12fff33, CODE + 4, true },		/* blx r3 */
		{ 0xea000000, CODE + 4, false },	/* b */
		{ 0xe12fff13, CODE + 4, false },	/* bx r3 */
		{ 0xeb000000, CODE + 6, false },
	};
	struct finding finding = { .rule = RULE_STORE_OWNED };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		begin();
		put(CODE, table[i].word);
		put(registers[SP], table[i].address);
		registers[LR] = 0;
		observer_found(observer, &finding, 0xc0200020);
		EXPECT_EQ(table[i].is ? table[i].address : 0,
			  report_caller(report));
		finish();
	}
}

static void names_may_be_long_or_missing(void)
{
	begin();
	/* up to the end of what can be read, and longer than there is room */
	memset(memory + 0xf00, 'x', 0x100);
	put(DEVICE, DATA + 0xff0);
	model_store(model, RAM + 4, 4, CACHED);
	map_page(RAM, 64, TO_DEVICE);
	EXPECT_EQ(16, strlen(last_device));
	put(DEVICE, DATA + 0xf00);
	map_page(RAM, 64, TO_DEVICE);
	EXPECT_EQ(63, strlen(last_device));
	put(DEVICE, 0);
	map_page(RAM, 64, TO_DEVICE);
	EXPECT_EQ(0, strlen(last_device));
	finish();
}

static void unmapped_without_sync_is_not_owned(void)
{
	begin();
	map_page(RAM, 64, FROM_DEVICE);
	registers[0] = DEVICE;
	registers[1] = RAM;
	registers[2] = 64;
	registers[3] = FROM_DEVICE;
	registers[LR] = DRIVER;
	/* DMA_ATTR_SKIP_CPU_SYNC */
	put(registers[SP], 0x20);
	enter(0xc0100800);
	observer_return(observer, DRIVER & ~1u);
	model_store(model, RAM, 4, CACHED);
	EXPECT_EQ(0, report_total(report));
	finish();
}

static void guest_asks(void)
{
	struct oracle_call call = { .magic = 1, .event = ORACLE_PRESENT };

	begin();
	EXPECT_EQ(ORACLE_ANSWERED, announce(ORACLE_PRESENT, 0, 0, 0));
	write_guest(CALL, &call, sizeof(call));
	observer_announce(observer, CALL, 0);
	read_guest(CALL, &call, sizeof(call));
	EXPECT_EQ(0, call.answer);
	observer_announce(observer, 0x10, 0);

	model_store(model, RAM, 4, CACHED);
	EXPECT_EQ(ORACLE_ANSWERED | 1u << RULE_DIRTY_INNER,
		  announce(ORACLE_QUERY_GIVE, RAM, 64, TO_DEVICE));
	EXPECT_EQ(ORACLE_ANSWERED,
		  announce(ORACLE_QUERY_GIVE, RAM + 64, 64, TO_DEVICE));
	EXPECT_EQ(0, report_total(report));
	finish();
}

static void guest_announces(void)
{
	begin();
	announce(ORACLE_GIVE, RAM, 64, TO_DEVICE);
	EXPECT_FALSE(model_watches_loads(model, RAM));
	announce(ORACLE_DONE, RAM, 64, TO_DEVICE);
	announce(ORACLE_GIVE, RAM, 64, FROM_DEVICE);
	announce(ORACLE_DONE, RAM, 64, FROM_DEVICE);
	EXPECT_EQ(ORACLE_ANSWERED | 1u << RULE_STALE_INNER,
		  announce(ORACLE_QUERY_TAKE, RAM, 64, FROM_DEVICE));
	announce(ORACLE_TAKE, RAM, 64, FROM_DEVICE);
	EXPECT_EQ(RULE_STALE_INNER, last.rule);
	EXPECT_EQ(1, report_total(report));
	finish();
}

static void expected_findings_do_not_count(void)
{
	begin();
	model_store(model, RAM, 4, CACHED);
	announce(ORACLE_EXPECT_BEGIN, 0, 0, 0);
	announce(ORACLE_GIVE, RAM, 64, TO_DEVICE);
	EXPECT_EQ(ORACLE_ANSWERED | 1u << RULE_DIRTY_INNER,
		  announce(ORACLE_EXPECT_END, 0, 0, 0));
	EXPECT_EQ(0, report_total(report));
	announce(ORACLE_GIVE, RAM, 64, TO_DEVICE);
	EXPECT_EQ(1, report_total(report));
	finish();
}

static void expected_findings_are_in_a_range(void)
{
	begin();
	EXPECT_FALSE(observer_expects(observer));
	announce(ORACLE_EXPECT_BEGIN, RAM + 0x1000, 0x100, 0);
	EXPECT_TRUE(observer_expects(observer));
	model_store(model, RAM, 4, CACHED);
	model_store(model, RAM + 0x1080, 4, CACHED);
	announce(ORACLE_GIVE, RAM + 0x1080, 64, TO_DEVICE);
	EXPECT_EQ(0, report_total(report));
	/* somebody else's, at the same time */
	announce(ORACLE_GIVE, RAM, 64, TO_DEVICE);
	EXPECT_EQ(1, report_total(report));
	model_store(model, RAM, 4, CACHED);
	EXPECT_EQ(2, report_total(report));
	model_store(model, RAM + 0x1080, 4, CACHED);
	EXPECT_EQ(ORACLE_ANSWERED | 1u << RULE_DIRTY_INNER |
		  1u << RULE_STORE_OWNED,
		  announce(ORACLE_EXPECT_END, 0, 0, 0));
	EXPECT_FALSE(observer_expects(observer));
	EXPECT_EQ(2, report_total(report));
	finish();
}

static void allowed_findings_do_not_count(void)
{
	begin();
	EXPECT_FALSE(report_allow(report, "store-owned"));
	EXPECT_FALSE(report_allow(report, "store@*"));
	EXPECT_TRUE(report_allow(report, "store-owned@0000:*"));
	map_page(RAM, 64, FROM_DEVICE);
	model_store(model, RAM, 4, CACHED);
	EXPECT_EQ(RULE_STORE_OWNED, last.rule);
	EXPECT_EQ(0, report_total(report));
	/* another rule, another device */
	model_load(model, RAM, 4, CACHED);
	EXPECT_EQ(1, report_total(report));
	write_guest(NAME, "0001", 4);
	map_page(RAM, 64, FROM_DEVICE);
	model_store(model, RAM, 4, CACHED);
	EXPECT_EQ(3, report_total(report));
	finish();
}

const struct test observe_tests[] = {
	{ "observe: names_of_addresses", names_of_addresses },
	{ "observe: finding_names_device_and_driver",
	  finding_names_device_and_driver },
	{ "observe: wrapper_is_not_the_caller", wrapper_is_not_the_caller },
	{ "observe: caller_of_memset_is_on_the_stack",
	  caller_of_memset_is_on_the_stack },
	{ "observe: call_ends_where_its_stack_is",
	  call_ends_where_its_stack_is },
	{ "observe: long_physical_addresses", long_physical_addresses },
	{ "observe: outermost_range_was_asked_for",
	  outermost_range_was_asked_for },
	{ "observe: coherent_memory_is_watched_until_freed",
	  coherent_memory_is_watched_until_freed },
	{ "observe: unmapped_without_sync_is_not_owned",
	  unmapped_without_sync_is_not_owned },
	{ "observe: synchronised_is_not_mapped", synchronised_is_not_mapped },
	{ "observe: failed_scatterlist_is_not_owned",
	  failed_scatterlist_is_not_owned },
	{ "observe: interrupt_maps_for_its_own_device",
	  interrupt_maps_for_its_own_device },
	{ "observe: what_may_be_lost", what_may_be_lost },
	{ "observe: store_before_unmap_is_lost", store_before_unmap_is_lost },
	{ "observe: functions_that_are_needed", functions_that_are_needed },
	{ "observe: more_calls_than_can_be_kept", more_calls_than_can_be_kept },
	{ "observe: registers_of_long_addresses", registers_of_long_addresses },
	{ "observe: what_is_a_return_address", what_is_a_return_address },
	{ "observe: names_may_be_long_or_missing",
	  names_may_be_long_or_missing },
	{ "observe: expected_findings_are_in_a_range",
	  expected_findings_are_in_a_range },
	{ "observe: guest_asks", guest_asks },
	{ "observe: guest_announces", guest_announces },
	{ "observe: expected_findings_do_not_count",
	  expected_findings_do_not_count },
	{ "observe: allowed_findings_do_not_count",
	  allowed_findings_do_not_count },
	{}
};
