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

enum { LR = 14, SP = 13 };

static const char map[] =
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
static unsigned char memory[0x1000], stack[0x1000];
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

static struct symbols *read_map(void)
{
	char path[] = "/tmp/oracle-test-XXXXXX";
	struct symbols *made;
	FILE *file = fdopen(mkstemp(path), "w");

	fputs(map, file);
	fclose(file);
	made = symbols_read(path);
	remove(path);
	return made;
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
	symbols = read_map();
	report = report_new();
	report_set(report, symbols, 3);
	model = model_new(&config);
	observer = observer_new(model, report, symbols, &guest);
	put(DEVICE, NAME);
	write_guest(NAME, "0000:00:02.0", 13);
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
	/* on the stack of an interrupt nothing is known */
	registers[SP] -= 0x10000;
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
	{ "observe: guest_asks", guest_asks },
	{ "observe: guest_announces", guest_announces },
	{ "observe: expected_findings_do_not_count",
	  expected_findings_do_not_count },
	{ "observe: allowed_findings_do_not_count",
	  allowed_findings_do_not_count },
	{}
};
