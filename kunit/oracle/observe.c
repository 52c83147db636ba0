// SPDX-License-Identifier: GPL-2.0-only
/*
 * When memory changes hands: what the DMA API of the guest is called with, and
 * what the guest says itself.
 *
 * Functions of the kernel are known by their addresses. A call lasts until the
 * instruction behind it is reached with the stack as it was; so nested
 * calls, interrupts and other tasks don't matter.
 *
 * Buffers change hands in arch_sync_dma_for_device() and _for_cpu(), which are
 * called for devices that are not coherent, and only if memory shall be made
 * consistent. The calls around them, up to the first of the DMA API, say for
 * which device, and who wants it.
 */

#include <stdlib.h>
#include <string.h>

#include "observe.h"
#include "protocol.h"

/*
 * Calls are nested on one stack, which begins at a multiple of this. Where
 * stacks are larger, calls in different halves don't know of each other.
 */
#define STACK_SIZE	8192u
#define CALLS		64
#define FUNCTIONS	256
/* Entries of scatterlists that are being mapped. */
#define ENTRIES		1024
/* How far behind the stack pointer a function may have saved its caller. */
#define STACK_WORDS	48
#define FUNCTION_MAX	0x10000

#define R_STACK		13
#define R_LINK		14

/* include/linux/dma-mapping.h */
#define DMA_ATTR_NO_KERNEL_MAPPING	0x10
#define DMA_ATTR_SKIP_CPU_SYNC	0x20
#define DMA_ATTR_MMIO		0x400

enum hook_kind {
	WRAPPER,		/* inline in the kernel's headers, but not always */
	WRAPPER_AGAIN,		/* gives what is mapped already */
	API,			/* of the DMA API, the device comes first */
	API_AGAIN,
	API_UNMAP,
	API_MAP_SG,		/* returns 0 if it fails */
	API_MAP_SGTABLE,	/* returns an error if it fails */
	GIVE,
	TAKE,
	ALLOCATE,
	FREE,
	INNER_RANGE,		/* invalidates from start to end */
	INNER_MAP,		/* start, size, direction */
	INNER_UNMAP,
	OUTER_RANGE,		/* start and end are physical */
};

static const struct {
	const char *symbol;
	enum hook_kind kind;
} hooks[] = {
	{ "dma_map_single_attrs", WRAPPER },
	{ "dma_unmap_single_attrs", WRAPPER },
	{ "dma_alloc_coherent", WRAPPER },
	{ "dma_free_coherent", WRAPPER },
	{ "dma_alloc_noncoherent", WRAPPER },
	{ "dma_sync_single_for_cpu", WRAPPER },
	{ "dma_sync_single_for_device", WRAPPER_AGAIN },
	{ "dma_sync_sg_for_cpu", WRAPPER },
	{ "dma_sync_sg_for_device", WRAPPER_AGAIN },
	{ "dma_map_phys", API },
	{ "dma_map_page_attrs", API },
	{ "dma_map_sg_attrs", API_MAP_SG },
	{ "dma_map_sgtable", API_MAP_SGTABLE },
	{ "dma_unmap_phys", API_UNMAP },
	{ "dma_unmap_page_attrs", API },
	{ "dma_unmap_sg_attrs", API },
	{ "__dma_sync_single_for_cpu", API },
	{ "__dma_sync_single_for_device", API_AGAIN },
	{ "__dma_sync_sg_for_cpu", API },
	{ "__dma_sync_sg_for_device", API_AGAIN },
	{ "dma_alloc_attrs", API },
	{ "dma_free_attrs", API },
	{ "dma_alloc_pages", API },
	{ "dma_free_pages", API },
	{ "arch_sync_dma_for_device", GIVE },
	{ "arch_sync_dma_for_cpu", TAKE },
	{ "arch_dma_alloc", ALLOCATE },
	{ "arch_dma_free", FREE },
	{ "v7_dma_inv_range", INNER_RANGE },
	{ "v7_dma_map_area", INNER_MAP },
	{ "v7_dma_unmap_area", INNER_UNMAP },
	{ "l2c210_inv_range", OUTER_RANGE },
	{ "l2c220_inv_range", OUTER_RANGE },
	{ "l2c310_inv_range_erratum", OUTER_RANGE },
};

struct call {
	int hook;
	u32 stack;
	u32 link;
	u32 device;		/* of the API: its address in the guest */
	u32 handle;		/* where it goes to */
	struct range range;
	enum direction direction;
	bool skips;		/* leaves consistency to others */
};

struct observer {
	struct model *model;
	struct report *report;
	const struct symbols *symbols;
	struct guest guest;
	struct {
		u64 address;
		int hook;
	} functions[FUNCTIONS];
	size_t nr_functions;
	struct call calls[CALLS];
	unsigned int nr_calls;
	struct {
		struct range range;
		enum direction direction;
		u32 stack;	/* of the call that maps the scatterlist */
	} entries[ENTRIES];
	size_t nr_entries;
	/* of the call that ends now */
	const struct call *ending;
	bool expecting;
	struct range expected_in;	/* empty: anywhere */
	unsigned int expected;
};

static void find_functions(struct observer *observer, int hook)
{
	size_t position = 0;
	u64 address;

	while (observer->nr_functions < FUNCTIONS) {
		address = symbols_next(observer->symbols, hooks[hook].symbol,
				       &position);
		if (!address)
			break;
		observer->functions[observer->nr_functions].address = address;
		observer->functions[observer->nr_functions++].hook = hook;
	}
}

/**
 * observer_misses() - whether the functions are there that all depends on
 * @symbols: of the guest's kernel
 *
 * Return: The name of one that is missing, NULL if none is.
 */
const char *observer_misses(const struct symbols *symbols)
{
	static const char * const needed[] = {
		"start_kernel", "arch_sync_dma_for_device",
		"arch_sync_dma_for_cpu",
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!symbols_address(symbols, needed[i]))
			return needed[i];
	}

	return NULL;
}

/**
 * observer_new() - begin to watch a guest
 * @model: what hears of it
 * @report: what counts it
 * @symbols: of its kernel, may be NULL
 * @guest: how to look into it, copied
 *
 * Return: The observer, NULL without memory.
 */
struct observer *observer_new(struct model *model, struct report *report,
			      const struct symbols *symbols,
			      const struct guest *guest)
{
	struct observer *observer = calloc(1, sizeof(*observer));

	if (!observer)
		return NULL;
	observer->model = model;
	observer->report = report;
	observer->symbols = symbols;
	observer->guest = *guest;
	for (size_t i = 0; symbols && i < ARRAY_SIZE(hooks); i++)
		find_functions(observer, i);

	return observer;
}

/**
 * observer_free() - end it
 * @observer: the observer
 */
void observer_free(struct observer *observer)
{
	free(observer);
}

/**
 * observer_find() - whether a function begins at an address
 * @observer: the observer
 * @address: of an instruction
 *
 * Return: A number for observer_enter(), -1 if it is of no interest.
 */
int observer_find(const struct observer *observer, u64 address)
{
	for (size_t i = 0; i < observer->nr_functions; i++) {
		if (observer->functions[i].address == address)
			return observer->functions[i].hook;
	}

	return -1;
}

static u32 get(const struct observer *observer, unsigned int number)
{
	return observer->guest.get(number);
}

/* Argument @word of those that are passed on the stack. */
static u32 stacked(const struct observer *observer, unsigned int word)
{
	u32 value = 0;

	observer->guest.read(get(observer, R_STACK) + 4 * word, &value,
			     sizeof(value));
	return value;
}

/* A physical address in r0, or in r0 and r1; @next is the register behind. */
static u64 first_address(const struct observer *observer, unsigned int *next)
{
	u64 address = get(observer, 0);

	*next = 1;
	if (observer->guest.has_long_addresses()) {
		address |= (u64)get(observer, 1) << 32;
		*next = 2;
	}

	return address;
}

static void enter_sync(struct observer *observer, struct call *call)
{
	unsigned int next;

	call->range.start = first_address(observer, &next);
	call->range.end = call->range.start + get(observer, next);
	call->direction = get(observer, next + 1) & 3;
	if (hooks[call->hook].kind == GIVE)
		model_give_begin(observer->model, &call->range);
	else
		model_take_begin(observer->model, &call->range,
				 call->direction);
}

/* dma_unmap_phys(dev, addr, size, dir, attrs) */
static void enter_unmap(struct observer *observer, struct call *call)
{
	u32 attributes;
	u64 start;
	u32 size;

	if (observer->guest.has_long_addresses()) {
		start = get(observer, 2) | (u64)get(observer, 3) << 32;
		size = stacked(observer, 0);
		call->direction = stacked(observer, 1) & 3;
		attributes = stacked(observer, 2);
	} else {
		start = get(observer, 1);
		size = get(observer, 2);
		call->direction = get(observer, 3) & 3;
		attributes = stacked(observer, 0);
	}
	call->range = (struct range){ start, start + size };
	call->skips = (attributes & DMA_ATTR_SKIP_CPU_SYNC) &&
		      !(attributes & DMA_ATTR_MMIO);
}

/* arch_dma_free(dev, size, cpu_addr, dma_handle, attrs) */
static void enter_free(struct observer *observer, struct call *call)
{
	u32 size = get(observer, 1);
	u64 start = get(observer, 3);

	if (observer->guest.has_long_addresses())
		start = stacked(observer, 0) | (u64)stacked(observer, 1) << 32;
	size = (size + GUEST_PAGE - 1) & ~(GUEST_PAGE - 1);
	call->range = (struct range){ start, start + size };
	model_forget(observer->model, &call->range);
}

static bool is_inside(const struct call *call, u32 stack)
{
	return stack <= call->stack &&
	       call->stack / STACK_SIZE == stack / STACK_SIZE;
}

/**
 * observer_enter() - a function is called
 * @observer: the observer
 * @hook: what observer_find() said
 */
void observer_enter(struct observer *observer, int hook)
{
	struct call *call;

	if (observer->nr_calls == CALLS) {
		report_count(observer->report, COUNT_LOST_TRACK, 1);
		memmove(observer->calls, observer->calls + 1,
			sizeof(*call) * --observer->nr_calls);
	}
	call = &observer->calls[observer->nr_calls++];
	*call = (struct call){
		.hook = hook, .stack = get(observer, R_STACK),
		.link = get(observer, R_LINK) & ~1u,
	};
	switch (hooks[hook].kind) {
	case WRAPPER:
	case WRAPPER_AGAIN:
		break;
	case API:
	case API_AGAIN:
	case API_MAP_SG:
	case API_MAP_SGTABLE:
		call->device = get(observer, 0);
		break;
	case API_UNMAP:
		call->device = get(observer, 0);
		enter_unmap(observer, call);
		break;
	case GIVE:
	case TAKE:
		enter_sync(observer, call);
		break;
	case ALLOCATE:
		call->device = get(observer, 0);
		call->range.end = get(observer, 1);
		call->handle = get(observer, 2);
		break;
	case FREE:
		call->device = get(observer, 0);
		enter_free(observer, call);
		break;
	case INNER_RANGE:
	case OUTER_RANGE:
		call->range.start = get(observer, 0);
		call->range.end = get(observer, 1);
		break;
	case INNER_MAP:
	case INNER_UNMAP:
		call->range.start = get(observer, 0);
		call->range.end = call->range.start + get(observer, 1);
		call->direction = get(observer, 2) & 3;
		break;
	}
}

/* The name is what a struct device begins with: kobj.name. */
static void name_device(const struct observer *observer, u32 device, char *name,
			size_t size)
{
	u32 text;

	name[0] = '\0';
	if (!device || !observer->guest.read(device, &text, sizeof(text)) ||
	    !text)
		return;
	for (size_t i = 0; i + 1 < size; i++) {
		if (!observer->guest.read(text + i, &name[i], 1))
			name[i] = '\0';
		name[i + 1] = '\0';
		if (!name[i])
			break;
	}
}

/*
 * For which device, and for whom: said by the calls around this one. Those for
 * another device were interrupted. Return: whether it was mapped before.
 */
static bool describe(const struct observer *observer, const struct call *call,
		     struct buffer *buffer)
{
	u32 device = call->device;
	bool again = false;

	buffer->range = call->range;
	buffer->direction = call->direction;
	buffer->caller = call->link;
	for (unsigned int i = observer->nr_calls; i--;) {
		const struct call *outer = &observer->calls[i];
		enum hook_kind kind = hooks[outer->hook].kind;

		if (!is_inside(outer, call->stack))
			continue;
		if (outer->device && device && outer->device != device)
			break;
		if (outer->device)
			device = outer->device;
		if (outer->device || kind == WRAPPER ||
		    kind == WRAPPER_AGAIN)
			buffer->caller = outer->link;
		again |= kind == API_AGAIN || kind == WRAPPER_AGAIN;
	}
	name_device(observer, device, buffer->device, sizeof(buffer->device));

	return again;
}

static void return_allocated(struct observer *observer, struct call *call)
{
	struct buffer buffer = { .coherent = true };
	u64 start = 0;

	if (!get(observer, 0) ||
	    !observer->guest.read(call->handle, &start,
				  observer->guest.has_long_addresses() ? 8 : 4))
		return;
	call->range.end = start + ((call->range.end + GUEST_PAGE - 1) &
				   ~(u64)(GUEST_PAGE - 1));
	call->range.start = start;
	call->direction = BIDIRECTIONAL;
	describe(observer, call, &buffer);
	report_count(observer->report, COUNT_COHERENT, 1);
	model_coherent(observer->model, &buffer);
}

static void give(struct observer *observer, const struct buffer *buffer,
		 bool again)
{
	if (observer->guest.giving)
		observer->guest.giving(buffer);
	model_give_end(observer->model, buffer, again);
}

static void take(struct observer *observer, const struct buffer *buffer)
{
	if (observer->guest.taking)
		observer->guest.taking(buffer);
	model_take_end(observer->model, buffer);
}

static bool maps_scatterlist(enum hook_kind kind)
{
	return kind == API_MAP_SG || kind == API_MAP_SGTABLE;
}

/* Without room nothing is known if that mapping fails. */
static void remember_entry(struct observer *observer, const struct call *call)
{
	for (unsigned int i = observer->nr_calls; i--;) {
		const struct call *outer = &observer->calls[i];
		size_t last = observer->nr_entries;

		if (!maps_scatterlist(hooks[outer->hook].kind) ||
		    !is_inside(outer, call->stack))
			continue;
		if (last == ENTRIES)
			return;
		observer->entries[last].range = call->range;
		observer->entries[last].direction = call->direction;
		observer->entries[last].stack = outer->stack;
		observer->nr_entries++;
		return;
	}
}

/* What is mapped when an entry cannot be is given up without maintenance. */
static void end_scatterlist(struct observer *observer, const struct call *call)
{
	u32 result = get(observer, 0);
	bool failed = hooks[call->hook].kind == API_MAP_SG ? !result :
							     result >> 31;
	size_t kept = 0;

	for (size_t i = 0; i < observer->nr_entries; i++) {
		if (observer->entries[i].stack != call->stack)
			observer->entries[kept++] = observer->entries[i];
		else if (failed)
			model_release(observer->model,
				      &observer->entries[i].range,
				      observer->entries[i].direction);
	}
	observer->nr_entries = kept;
}

static void end(struct observer *observer, struct call *call)
{
	struct buffer buffer = {};
	bool again;

	observer->ending = call;
	switch (hooks[call->hook].kind) {
	case GIVE:
		again = describe(observer, call, &buffer);
		report_count(observer->report, COUNT_GIVEN, 1);
		give(observer, &buffer, again);
		remember_entry(observer, call);
		break;
	case API_MAP_SG:
	case API_MAP_SGTABLE:
		end_scatterlist(observer, call);
		break;
	case TAKE:
		describe(observer, call, &buffer);
		report_count(observer->report, COUNT_TAKEN, 1);
		take(observer, &buffer);
		break;
	case API_UNMAP:
		/* Nothing else says that the device no longer has it. */
		if (call->skips)
			model_release(observer->model, &call->range,
				      call->direction);
		break;
	case ALLOCATE:
		return_allocated(observer, call);
		break;
	default:
		break;
	}
	observer->ending = NULL;
}

/**
 * observer_return() - an instruction is reached that a call may return to
 * @observer: the observer
 * @pc: its address
 */
void observer_return(struct observer *observer, u32 pc)
{
	for (unsigned int i = observer->nr_calls; i--;) {
		struct call call = observer->calls[i];

		if (call.link != pc || call.stack != get(observer, R_STACK))
			continue;
		observer->nr_calls--;
		memmove(&observer->calls[i], &observer->calls[i + 1],
			sizeof(call) * (observer->nr_calls - i));
		end(observer, &call);
	}
}

/**
 * observer_waits() - whether a call has not returned yet
 * @observer: the observer
 *
 * Return: false if observer_return() need not be called.
 */
bool observer_waits(const struct observer *observer)
{
	return observer->nr_calls;
}

static bool is_inner(enum hook_kind kind)
{
	return kind == INNER_RANGE || kind == INNER_MAP || kind == INNER_UNMAP;
}

/* Whether what the processor wrote is of no use any more. */
static bool may_lose_data(const struct call *call)
{
	switch (hooks[call->hook].kind) {
	case GIVE:
	case INNER_MAP:
		return call->direction == FROM_DEVICE;
	case TAKE:
		/* written since the device has it, or since it was synchronised */
		return false;
	case INNER_UNMAP:
		/* alone, without a device that had it: whoever calls it knows */
		return call->direction != TO_DEVICE;
	default:
		return true;
	}
}

/* The call that an operation is part of: the outermost that names a range. */
static const struct call *asking(const struct observer *observer)
{
	u32 stack = get(observer, R_STACK);
	const struct call *found = NULL;

	for (unsigned int i = observer->nr_calls; i--;) {
		const struct call *call = &observer->calls[i];
		enum hook_kind kind = hooks[call->hook].kind;

		if (!is_inside(call, stack))
			continue;
		if (is_inner(kind) || kind == OUTER_RANGE)
			found = call;
		if (kind == GIVE || kind == TAKE) {
			found = call;
			break;
		}
	}

	return found;
}

/**
 * observer_asked_for() - what shall be maintained in the inner cache
 * @observer: the observer
 * @address: virtual, of the operation
 * @physical: the same, physical
 * @request: what was asked for
 *
 * Return: false if nothing is known that asks for it. Data outside of that range
 * must not get lost.
 */
bool observer_asked_for(const struct observer *observer, u32 address,
			u64 physical, struct request *request)
{
	const struct call *call = asking(observer);

	if (!call || hooks[call->hook].kind == OUTER_RANGE)
		return false;
	request->range = call->range;
	request->may_lose_data = may_lose_data(call);
	if (is_inner(hooks[call->hook].kind)) {
		/* good for the page of the address, which is enough */
		request->range.start += physical - address;
		request->range.end += physical - address;
	}

	return true;
}

/**
 * observer_asked_for_outer() - what shall be maintained in the outer cache
 * @observer: the observer
 * @request: what was asked for
 *
 * Return: false if nothing is known that asks for it.
 */
bool observer_asked_for_outer(const struct observer *observer,
			      struct request *request)
{
	const struct call *call = asking(observer);

	if (!call || is_inner(hooks[call->hook].kind))
		return false;
	request->range = call->range;
	request->may_lose_data = may_lose_data(call);
	return true;
}

/**
 * observer_announce() - the guest says something
 * @observer: the observer
 * @address: of a struct oracle_call in the guest
 * @pc: of the instruction
 */
void observer_announce(struct observer *observer, u32 address, u32 pc)
{
	struct buffer buffer = { .device = "announced", .caller = pc };
	u32 answer = ORACLE_ANSWERED;
	struct oracle_call call;

	if (!observer->guest.read(address, &call, sizeof(call)) ||
	    call.magic != ORACLE_MAGIC)
		return;
	report_count(observer->report, COUNT_ANNOUNCED, 1);
	buffer.range = (struct range){ call.start, call.start + call.size };
	buffer.direction = call.direction & 3;
	switch (call.event) {
	case ORACLE_GIVE:
		give(observer, &buffer, false);
		break;
	case ORACLE_DONE:
		model_take_begin(observer->model, &buffer.range,
				 buffer.direction);
		break;
	case ORACLE_TAKE:
		take(observer, &buffer);
		break;
	case ORACLE_QUERY_GIVE:
	case ORACLE_QUERY_TAKE:
		answer |= model_judge(observer->model, &buffer.range,
				      buffer.direction,
				      call.event == ORACLE_QUERY_TAKE);
		break;
	case ORACLE_EXPECT_BEGIN:
		observer->expecting = true;
		observer->expected_in = buffer.range;
		observer->expected = 0;
		break;
	case ORACLE_EXPECT_END:
		answer |= observer->expected;
		observer->expecting = false;
		break;
	}
	observer->guest.write(address + offsetof(struct oracle_call, answer),
			      &answer, sizeof(answer));
}

/**
 * observer_expects() - whether findings are expected
 * @observer: the observer
 *
 * Return: true until the guest has said that this is over.
 */
bool observer_expects(const struct observer *observer)
{
	return observer->expecting;
}

/* Whether the guest has announced this one. */
static bool is_expected(const struct observer *observer,
			const struct finding *finding)
{
	const struct range *in = &observer->expected_in;
	u64 size = finding->size ? finding->size : UNIT;

	if (!observer->expecting)
		return false;
	if (in->start == in->end)
		return true;
	if (finding->first < in->end && finding->first + size > in->start)
		return true;
	/* a line may begin in front of it */
	return finding->buffer && finding->buffer->range.start < in->end &&
	       finding->buffer->range.end > in->start;
}

/* The function an address is in, 0: none. */
static u64 function_of(const struct observer *observer, u32 address)
{
	u64 offset;

	if (!symbols_name(observer->symbols, address, &offset) ||
	    offset >= FUNCTION_MAX)
		return 0;
	return address - offset;
}

/* Whether the kernel calls something in front of that address. */
static bool is_return_address(const struct observer *observer, u32 address)
{
	u32 word;

	if (!function_of(observer, address & ~1u))
		return false;
	if (address & 1)
		return true;
	/* bl, blx register */
	return !(address & 3) &&
	       observer->guest.read(address - 4, &word, sizeof(word)) &&
	       ((word & 0x0f000000) == 0x0b000000 ||
		(word & 0x0ffffff0) == 0x012fff30);
}

/* Memory functions need all registers, and keep the link on the stack. */
static u32 find_caller(const struct observer *observer, u32 pc)
{
	u32 own = function_of(observer, pc), link = get(observer, R_LINK);

	for (unsigned int i = 0; i <= STACK_WORDS; i++) {
		if (is_return_address(observer, link) &&
		    function_of(observer, link & ~1u) != own)
			return link & ~1u;
		link = stacked(observer, i);
	}

	return 0;
}

/**
 * observer_found() - the model has found something
 * @observer: the observer
 * @finding: what
 * @pc: where the guest is
 */
void observer_found(struct observer *observer, const struct finding *finding,
		    u32 pc)
{
	struct site site = { .pc = pc };

	if (is_expected(observer, finding)) {
		observer->expected |= 1u << finding->rule;
		report_count(observer->report, COUNT_EXPECTED, 1);
		return;
	}
	if (report_allows(observer->report, finding))
		return;
	if (observer->ending) {
		site.pc = symbols_address(observer->symbols,
					  hooks[observer->ending->hook].symbol);
		site.caller = finding->buffer->caller;
	} else {
		site.caller = find_caller(observer, pc);
	}
	report_add(observer->report, finding, &site);
}
