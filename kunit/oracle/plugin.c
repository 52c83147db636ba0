// SPDX-License-Identifier: GPL-2.0-only
/*
 * Between QEMU and the model: a TCG plugin for 32-bit ARM machines.
 *
 *	-plugin oracle.so,ram=START:SIZE,symbols=System.map,report=FILE
 *		[,line=BYTES][,levels=N][,pl310=ADDRESS][,limit=N]
 *		[,allow=RULE@DEVICE]…[,incoherent=on]
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

#include "decode.h"
#include "incoherent.h"
#include "model.h"
#include "observe.h"
#include "pl310.h"
#include "report.h"
#include "symbols.h"
#include "walk.h"

#if QEMU_PLUGIN_VERSION < 4 || QEMU_PLUGIN_VERSION > 6
#error "the plugin API of QEMU 10.0 (version 4) to version 6 is needed"
#endif

#define PROCESSORS	8
#define LEVELS		7u	/* that CP15 can name */
#define NR_REGISTERS	16
#define PAGES		4096	/* translations kept for each processor */
#define KNOWN		4096	/* buckets of instructions */
#define LIMIT		3
#define FIRST_WIDE_THUMB	0xe800
#define OPTIONS		"ram=START:SIZE, symbols=FILE, report=FILE, " \
			"line=BYTES, levels=N, pl310=ADDRESS, limit=N, " \
			"allow=RULE@DEVICE, incoherent=on"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* A page as a processor sees it. */
struct seen_page {
	u32 page;		/* virtual address of the page | 1 */
	u32 tlb_generation;
	u32 context_generation;	/* if it is not global */
	bool global;
	unsigned int cached;
	u64 address;
};

struct processor {
	struct qemu_plugin_register *registers[NR_REGISTERS];
	struct qemu_plugin_register *cpsr;
	struct mmu mmu;
	struct seen_page pages[PAGES];
	u32 context_generation;
};

/* What QEMU hands back when an instruction is executed. */
struct known {
	u32 pc;
	struct instruction arm;
	struct instruction thumb;
	bool needs_cpsr;	/* to know which of them, and its condition */
	struct known *next;
};

static struct {
	struct range ram;
	char *host_ram;		/* where QEMU has it */
	u64 pl310;
	unsigned int line;
	const char *report_path;
	struct model *model;
	struct report *report;
	struct symbols *symbols;
	struct observer *observer;
	struct incoherent *incoherent;	/* NULL: don't be */
	struct processor processors[PROCESSORS];
	unsigned int nr_processors;
	unsigned int current;
	u32 tlb_generation;
	u32 pc;			/* of the instruction that is looked at */
	u64 start;		/* where the kernel begins */
	bool started;
	bool several;		/* processors, which need the lock */
	pthread_mutex_t mutex;
	GByteArray *bytes;
	qemu_plugin_u64 waits;
	struct qemu_plugin_scoreboard *scoreboard;
	struct known *known[KNOWN];
} oracle = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
};

/* Looking into the guest */

static char *host_of(u64 address, u64 size)
{
	if (!oracle.host_ram || address < oracle.ram.start ||
	    address + size > oracle.ram.end)
		return NULL;
	return oracle.host_ram + (address - oracle.ram.start);
}

static bool read_physical(u64 address, void *data, unsigned int size)
{
	char *host = host_of(address, size);

	if (host)
		memcpy(data, host, size);
	return host;
}

static u32 read_register(struct qemu_plugin_register *handle)
{
	u32 value = 0;

	if (!handle)
		return 0;
	g_byte_array_set_size(oracle.bytes, 0);
	/* The type of what it returns depends on the version. */
	(void)qemu_plugin_read_register(handle, oracle.bytes);
	if (oracle.bytes->len >= sizeof(value))
		memcpy(&value, oracle.bytes->data, sizeof(value));
	return value;
}

static struct processor *processor(void)
{
	return &oracle.processors[oracle.current];
}

static u32 guest_get(unsigned int number)
{
	return read_register(processor()->registers[number]);
}

static const struct seen_page *see_page(u32 address)
{
	struct processor *cpu = processor();
	u32 page = address & ~(GUEST_PAGE - 1);
	struct seen_page *seen = &cpu->pages[page >> GUEST_PAGE_SHIFT &
					     (PAGES - 1)];
	struct translation translation;

	if (seen->page == (page | 1) &&
	    seen->tlb_generation == oracle.tlb_generation &&
	    (seen->global ||
	     seen->context_generation == cpu->context_generation))
		return seen;
	if (!walk(&cpu->mmu, page, &translation))
		return NULL;
	*seen = (struct seen_page){
		.page = page | 1, .tlb_generation = oracle.tlb_generation,
		.context_generation = cpu->context_generation,
		.global = translation.global, .cached = translation.cached,
		.address = translation.address,
	};

	return seen;
}

static char *host_of_virtual(u32 address, unsigned int size)
{
	const struct seen_page *seen = see_page(address);

	if (!seen || address % GUEST_PAGE + size > GUEST_PAGE)
		return NULL;
	return host_of(seen->address + address % GUEST_PAGE, size);
}

static bool guest_read(u32 address, void *data, unsigned int size)
{
	char *host;

	while (size) {
		unsigned int part = GUEST_PAGE - address % GUEST_PAGE;

		if (part > size)
			part = size;
		host = host_of_virtual(address, part);
		if (!host)
			return false;
		memcpy(data, host, part);
		data = (char *)data + part;
		address += part;
		size -= part;
	}

	return true;
}

static bool guest_write(u32 address, const void *data, unsigned int size)
{
	char *host = host_of_virtual(address, size);

	if (host)
		memcpy(host, data, size);
	return host;
}

static bool guest_has_long_addresses(void)
{
	return mmu_has_long_descriptors(&processor()->mmu);
}

static void found(const struct finding *finding, void *opaque)
{
	(void)opaque;
	observer_found(oracle.observer, finding, oracle.pc);
}

/* Being incoherent, if the user wants it */

static void written_back(u64 address, u32 mask)
{
	incoherent_written_back(oracle.incoherent, address, mask);
}

static void dropped(u64 address, u32 mask)
{
	incoherent_dropped(oracle.incoherent, address, mask);
}

static void giving(const struct buffer *buffer)
{
	incoherent_give(oracle.incoherent, oracle.model, buffer);
}

static void taking(const struct buffer *buffer)
{
	incoherent_take(oracle.incoherent, oracle.model, buffer);
}

/* What instructions do */

/* Of a line that nobody has asked for at least one byte. */
static void count_surplus(u64 address, unsigned int line,
			  const struct range *range)
{
	address &= ~(u64)(line - 1);
	if (address + line <= range->start || address >= range->end)
		report_count(oracle.report, COUNT_SURPLUS, 1);
}

static void cache_line(const struct instruction *instruction, u32 address)
{
	const struct seen_page *seen = see_page(address);
	struct request request = {};
	u64 physical;

	if (!seen)
		return;
	physical = seen->address + address % GUEST_PAGE;
	report_count(oracle.report, COUNT_INNER, 1);
	if (observer_asked_for(oracle.observer, address, physical, &request))
		count_surplus(physical, oracle.line, &request.range);
	model_inner(oracle.model, oracle.current, instruction->op, physical,
		    request.may_lose_data ? &request.range : NULL);
}

/*
 * It takes one instruction for each line. Linux counts sets and ways down, so
 * that the last one of a level has the numbers 0. A processor that starts only
 * invalidates, and only its own cache.
 */
static void set_way(enum cache_op op, u32 value)
{
	if (op != INVALIDATE && !(value & ~0xfu))
		model_set_way(oracle.model, op, value >> 1 & 7);
}

static void write_mmu(const struct instruction *instruction)
{
	struct processor *cpu = processor();
	u64 *reg = &cpu->mmu.registers[instruction->mmu_register];
	u64 value = guest_get(instruction->rt);

	if (instruction->wide)
		value |= (u64)guest_get(instruction->rt2) << 32;
	*reg = value;
	switch (instruction->mmu_register) {
	case MMU_TTBR0:
	case MMU_CONTEXTIDR:
		cpu->context_generation++;
		break;
	default:
		oracle.tlb_generation++;
		break;
	}
}

static void execute(const struct known *known)
{
	const struct instruction *instruction = &known->arm;
	u32 cpsr = 0;

	oracle.pc = known->pc;
	if (known->needs_cpsr) {
		cpsr = read_register(processor()->cpsr);
		if (cpsr & CPSR_THUMB)
			instruction = &known->thumb;
	}
	/* QEMU asks before the condition is looked at. */
	if (!condition_holds(instruction->condition, cpsr))
		return;

	switch (instruction->kind) {
	case INSTRUCTION_REGISTER:
		write_mmu(instruction);
		return;
	case INSTRUCTION_TLB:
		oracle.tlb_generation++;
		return;
	default:
		break;
	}
	if (!oracle.started)
		return;
	switch (instruction->kind) {
	case INSTRUCTION_CACHE_LINE:
		cache_line(instruction, guest_get(instruction->rt));
		break;
	case INSTRUCTION_CACHE_SET_WAY:
		set_way(instruction->op, guest_get(instruction->rt));
		break;
	case INSTRUCTION_BARRIER:
		report_count(oracle.report, COUNT_BARRIERS, 1);
		model_barrier(oracle.model, oracle.current);
		break;
	case INSTRUCTION_HINT:
		observer_announce(oracle.observer, guest_get(0), oracle.pc);
		break;
	default:
		break;
	}
}

/*
 * Processors run in threads of their own, so all of the above is done with the
 * lock held. What one processor did before another could know of it is
 * told before, as QEMU asks in the order of each program.
 */
static bool lock(unsigned int cpu)
{
	if (cpu >= PROCESSORS)
		return false;
	if (oracle.several)
		pthread_mutex_lock(&oracle.mutex);
	oracle.current = cpu;
	return true;
}

static void unlock(void)
{
	if (oracle.several)
		pthread_mutex_unlock(&oracle.mutex);
}

static void on_instruction(unsigned int cpu, void *opaque)
{
	if (!lock(cpu))
		return;
	execute(opaque);
	unlock();
}

static void update_waits(void)
{
	static bool before;
	bool waits = observer_waits(oracle.observer);

	if (waits == before)
		return;
	before = waits;
	for (unsigned int i = 0; i < oracle.nr_processors; i++)
		qemu_plugin_u64_set(oracle.waits, i, waits);
}

static void on_call(unsigned int cpu, void *opaque)
{
	if (!oracle.started || !lock(cpu))
		return;
	observer_enter(oracle.observer, (uintptr_t)opaque);
	update_waits();
	unlock();
}

static void on_block(unsigned int cpu, void *opaque)
{
	if (!lock(cpu))
		return;
	oracle.pc = (uintptr_t)opaque;
	observer_return(oracle.observer, oracle.pc);
	update_waits();
	unlock();
}

static void on_start(unsigned int cpu, void *opaque)
{
	(void)cpu;
	(void)opaque;
	oracle.started = true;
}

static void device_access(qemu_plugin_meminfo_t info, u64 address)
{
	struct request request = {};
	u32 value;

	if (!oracle.pl310 || address < oracle.pl310 ||
	    address >= oracle.pl310 + PL310_SIZE)
		return;
	value = qemu_plugin_mem_get_value(info).data.u32;
	if (pl310_is_line(address - oracle.pl310)) {
		report_count(oracle.report, COUNT_OUTER, 1);
		if (observer_asked_for_outer(oracle.observer, &request))
			count_surplus(value, UNIT, &request.range);
	}
	pl310_write(oracle.model, address - oracle.pl310, value,
		    request.may_lose_data ? &request.range : NULL);
}

static void access_part(qemu_plugin_meminfo_t info, u32 address,
			unsigned int size, bool store)
{
	const struct seen_page *seen = see_page(address);
	u64 physical;

	if (!seen)
		return;
	physical = seen->address + address % GUEST_PAGE;
	if (physical < oracle.ram.start || physical >= oracle.ram.end) {
		if (store)
			device_access(info, physical);
	} else if (store) {
		if (oracle.incoherent)
			incoherent_store(oracle.incoherent, physical, size,
					 model_has_outer(oracle.model) ?
					 seen->cached :
					 seen->cached & ~CACHED_OUTER);
		model_store(oracle.model, physical, size, seen->cached);
	} else if (!seen->cached ||
		   model_watches_loads(oracle.model, physical)) {
		model_load(oracle.model, physical, size, seen->cached);
	}
}

static void access_memory(unsigned int cpu, qemu_plugin_meminfo_t info,
			  u32 address, void *opaque, bool store)
{
	unsigned int size = 1u << qemu_plugin_mem_size_shift(info);
	unsigned int part = GUEST_PAGE - address % GUEST_PAGE;

	if (!oracle.started || !lock(cpu))
		return;
	oracle.pc = (uintptr_t)opaque;
	if (part > size)
		part = size;
	access_part(info, address, part, store);
	if (part < size)
		access_part(info, address + part, size - part, store);
	unlock();
}

static void on_load(unsigned int cpu, qemu_plugin_meminfo_t info,
		    uint64_t address, void *opaque)
{
	access_memory(cpu, info, address, opaque, false);
}

static void on_store(unsigned int cpu, qemu_plugin_meminfo_t info,
		     uint64_t address, void *opaque)
{
	access_memory(cpu, info, address, opaque, true);
}

/* Translation */

static struct known *know(u32 pc, const struct known *wanted)
{
	struct known **bucket = &oracle.known[pc >> 1 & (KNOWN - 1)];
	struct known *known;

	for (known = *bucket; known; known = known->next) {
		if (known->pc == pc &&
		    !memcmp(&known->arm, &wanted->arm, sizeof(wanted->arm)) &&
		    !memcmp(&known->thumb, &wanted->thumb,
			    sizeof(wanted->thumb)))
			return known;
	}
	known = malloc(sizeof(*known));
	if (!known)
		abort();
	*known = *wanted;
	known->next = *bucket;
	*bucket = known;

	return known;
}

static void translate_instruction(struct qemu_plugin_insn *insn,
				  struct it_block *it)
{
	u32 pc = qemu_plugin_insn_vaddr(insn);
	size_t size = qemu_plugin_insn_size(insn);
	struct known wanted;
	u16 half[2] = {};
	u32 word;
	int hook;

	hook = observer_find(oracle.observer, pc);
	if (hook >= 0)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_call,
						       QEMU_PLUGIN_CB_R_REGS,
						       (void *)(uintptr_t)hook);
	if (oracle.start && pc == oracle.start)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start,
						       QEMU_PLUGIN_CB_NO_REGS,
						       NULL);

	qemu_plugin_insn_data(insn, half, sizeof(half));
	if (size == sizeof(half[0])) {
		if (!it_begins(it, half[0]))
			it_advance(it);
		return;
	}
	memset(&wanted, 0, sizeof(wanted));
	wanted.pc = pc;
	word = half[0] | (u32)half[1] << 16;
	wanted.arm = decode_arm(word);
	wanted.thumb = decode_thumb(half[0], half[1]);
	wanted.thumb.condition = it_condition(it);
	it_advance(it);
	/* An instruction of 16 bits has another first half. */
	wanted.needs_cpsr = half[0] >= FIRST_WIDE_THUMB ||
			    wanted.arm.condition != CONDITION_ALWAYS;
	if (wanted.arm.kind != INSTRUCTION_OTHER ||
	    wanted.thumb.kind != INSTRUCTION_OTHER)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction,
						       QEMU_PLUGIN_CB_R_REGS,
						       know(pc, &wanted));
}

/*
 * The first instruction comes from RAM, with the MMU off: the host's address of
 * the one tells that of the other.
 */
static void find_ram(struct qemu_plugin_insn *insn)
{
	u64 address = qemu_plugin_insn_vaddr(insn);
	char *host = qemu_plugin_insn_haddr(insn);

	if (host && address >= oracle.ram.start && address < oracle.ram.end)
		oracle.host_ram = host - (address - oracle.ram.start);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	struct it_block it = {};

	(void)id;
	if (oracle.several)
		pthread_mutex_lock(&oracle.mutex);
	if (!oracle.host_ram && count)
		find_ram(qemu_plugin_tb_get_insn(tb, 0));
	qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, on_block,
						  QEMU_PLUGIN_CB_R_REGS,
						  QEMU_PLUGIN_COND_NE,
						  oracle.waits, 0,
						  (void *)(uintptr_t)
						  qemu_plugin_tb_vaddr(tb));
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uintptr_t pc = qemu_plugin_insn_vaddr(insn);

		translate_instruction(insn, &it);
		qemu_plugin_register_vcpu_mem_cb(insn, on_load,
						 QEMU_PLUGIN_CB_R_REGS,
						 QEMU_PLUGIN_MEM_R, (void *)pc);
		qemu_plugin_register_vcpu_mem_cb(insn, on_store,
						 QEMU_PLUGIN_CB_R_REGS,
						 QEMU_PLUGIN_MEM_W, (void *)pc);
	}
	unlock();
}

/* Beginning and end */

static void find_register(struct processor *cpu,
			  const qemu_plugin_reg_descriptor *descriptor)
{
	static const char * const special[] = { "sp", "lr", "pc" };
	char name[8];

	if (!strcmp(descriptor->name, "cpsr"))
		cpu->cpsr = descriptor->handle;
	for (unsigned int i = 0; i < NR_REGISTERS; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		if (!strcmp(descriptor->name, name) ||
		    (i >= 13 && !strcmp(descriptor->name, special[i - 13])))
			cpu->registers[i] = descriptor->handle;
	}
}

static void begin_processor(qemu_plugin_id_t id, unsigned int index)
{
	struct processor *cpu = &oracle.processors[index];
	GArray *list;

	(void)id;
	if (index >= PROCESSORS)
		return;
	if (index >= oracle.nr_processors)
		oracle.nr_processors = index + 1;
	cpu->mmu.read = read_physical;
	list = qemu_plugin_get_registers();
	for (guint i = 0; i < list->len; i++)
		find_register(cpu, &g_array_index(list,
						  qemu_plugin_reg_descriptor, i));
	g_array_free(list, TRUE);
}

static void write_report(bool complete)
{
	if (oracle.report_path &&
	    !report_write(oracle.report, oracle.report_path, complete))
		fprintf(stderr, "oracle: %s cannot be written\n",
			oracle.report_path);
}

static void finish(qemu_plugin_id_t id, void *opaque)
{
	(void)id;
	(void)opaque;
	write_report(oracle.started && oracle.host_ram &&
		     !observer_expects(oracle.observer));
}

/* strtoull() takes a sign and blanks, too. */
static bool is_number(const char *text)
{
	return text[0] >= '0' && text[0] <= '9';
}

static bool parse_ram(const char *text)
{
	char *end;
	u64 size;

	oracle.ram.start = strtoull(text, &end, 0);
	if (!is_number(text) || *end != ':' || !is_number(end + 1))
		return false;
	size = strtoull(end + 1, &end, 0);
	oracle.ram.end = oracle.ram.start + size;
	return !*end && size && !(size % GUEST_PAGE) &&
	       !(oracle.ram.start % GUEST_PAGE);
}

struct settings {
	struct model_config *config;
	unsigned long limit;
	bool incoherent;
};

static bool parse(char *argument, struct settings *settings)
{
	char *value = strchr(argument, '=');
	char *end = NULL;

	if (!value)
		return false;
	*value++ = '\0';
	if (!*value)
		return false;
	if (!strcmp(argument, "ram"))
		return parse_ram(value);
	if (!strcmp(argument, "report")) {
		oracle.report_path = value;
		return true;
	}
	if (!strcmp(argument, "incoherent"))
		return qemu_plugin_bool_parse(argument, value,
					      &settings->incoherent);
	if (!strcmp(argument, "allow"))
		return report_allow(oracle.report, value);
	if (!strcmp(argument, "symbols")) {
		oracle.symbols = symbols_read(value);
		return oracle.symbols;
	}
	if (!is_number(value))
		return false;
	if (!strcmp(argument, "line"))
		settings->config->line = strtoul(value, &end, 0);
	else if (!strcmp(argument, "levels"))
		settings->config->levels = strtoul(value, &end, 0);
	else if (!strcmp(argument, "pl310"))
		oracle.pl310 = strtoull(value, &end, 0);
	else if (!strcmp(argument, "limit"))
		settings->limit = strtoul(value, &end, 0);
	return end && !*end;
}

static bool is_line(unsigned int line)
{
	return line >= UNIT && line <= GUEST_PAGE && !(line & (line - 1));
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
					   const qemu_info_t *info, int argc,
					   char **argv)
{
	struct guest guest = {
		.get = guest_get,
		.read = guest_read,
		.write = guest_write,
		.has_long_addresses = guest_has_long_addresses,
	};
	struct model_config config = { .line = 64, .found = found };
	struct settings settings = { .config = &config, .limit = LIMIT };
	const char *missing;

	if (!info->system_emulation || strcmp(info->target_name, "arm")) {
		fprintf(stderr, "oracle: it is for qemu-system-arm\n");
		return 1;
	}
	oracle.report = report_new();
	for (int i = 0; i < argc; i++) {
		if (!parse(argv[i], &settings)) {
			fprintf(stderr, "oracle: %s=: no good value, or no option; " OPTIONS "\n",
				argv[i]);
			return 1;
		}
	}
	if (oracle.ram.end <= oracle.ram.start) {
		fprintf(stderr, "oracle: ram= is missing; " OPTIONS "\n");
		return 1;
	}
	if (!is_line(config.line)) {
		fprintf(stderr, "oracle: line=%u: a power of 2 from %u to %u is expected\n",
			config.line, UNIT, GUEST_PAGE);
		return 1;
	}
	if (!config.levels)
		config.levels = config.line == UNIT ? 1 : 2;
	if (config.levels > LEVELS) {
		fprintf(stderr, "oracle: levels=%u: 1 to %u are possible\n",
			config.levels, LEVELS);
		return 1;
	}
	if (!oracle.symbols) {
		fprintf(stderr, "oracle: symbols= is missing; " OPTIONS "\n");
		return 1;
	}
	missing = observer_misses(oracle.symbols);
	if (missing) {
		fprintf(stderr, "oracle: symbols=: no %s() in the System.map of an ARM kernel\n",
			missing);
		return 1;
	}
	if (info->system.max_vcpus > PROCESSORS) {
		fprintf(stderr, "oracle: -smp %d: not more than %d processors are possible\n",
			info->system.max_vcpus, PROCESSORS);
		return 1;
	}
	oracle.several = info->system.max_vcpus > 1;
	config.ram = oracle.ram;
	oracle.line = config.line;
	if (settings.incoherent) {
		oracle.incoherent = incoherent_new(&config.ram, host_of);
		config.written_back = written_back;
		config.dropped = dropped;
		guest.giving = giving;
		guest.taking = taking;
	}
	oracle.model = model_new(&config);
	report_set(oracle.report, oracle.symbols, settings.limit);
	oracle.observer = observer_new(oracle.model, oracle.report,
				       oracle.symbols, &guest);
	oracle.bytes = g_byte_array_new();
	oracle.start = symbols_address(oracle.symbols, "start_kernel");
	oracle.scoreboard = qemu_plugin_scoreboard_new(sizeof(u64));
	oracle.waits = qemu_plugin_scoreboard_u64(oracle.scoreboard);
	write_report(false);

	qemu_plugin_register_vcpu_init_cb(id, begin_processor);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
