// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which instructions maintain caches, wait for that, or change how addresses are
 * translated. Encodings: ARM Architecture Reference Manual, ARMv7-A and ARMv7-R
 * edition, A8.8 (MCR, MCRR, DSB, DBG, IT) and B3.17 (CP15 registers).
 */

#include "decode.h"

#define DBG_OPTION	5

/* MCR p15, opc1, Rt, CRn, CRm, opc2 without condition and Rt */
#define MCR_MASK	0x0f100f10
#define MCR_CP15	0x0e000f10
#define MCR_REGISTER(word)	((word) & 0x00ef00ef)
#define CP15(opc1, crn, crm, opc2) \
	((opc1) << 21 | (crn) << 16 | (opc2) << 5 | (crm))

/* MCRR p15, opc1, Rt, Rt2, CRm */
#define MCRR_MASK	0x0ff00f00
#define MCRR_CP15	0x0c400f00
#define MCRR_REGISTER(word)	((word) & 0xff)

static const struct {
	u32 code;
	enum instruction_kind kind;
	enum cache_op op;
} operations[] = {
	{ CP15(0, 7, 6, 1), INSTRUCTION_CACHE_LINE, INVALIDATE },
	{ CP15(0, 7, 10, 1), INSTRUCTION_CACHE_LINE, CLEAN },
	{ CP15(0, 7, 14, 1), INSTRUCTION_CACHE_LINE, CLEAN_INVALIDATE },
	{ CP15(0, 7, 6, 2), INSTRUCTION_CACHE_SET_WAY, INVALIDATE },
	{ CP15(0, 7, 10, 2), INSTRUCTION_CACHE_SET_WAY, CLEAN },
	{ CP15(0, 7, 14, 2), INSTRUCTION_CACHE_SET_WAY, CLEAN_INVALIDATE },
	/* the DSB of ARMv6 */
	{ CP15(0, 7, 10, 4), INSTRUCTION_BARRIER, 0 },
};

static const struct {
	u32 code;
	enum mmu_register mmu_register;
} registers[] = {
	{ CP15(0, 1, 0, 0), MMU_SCTLR },
	{ CP15(0, 2, 0, 0), MMU_TTBR0 },
	{ CP15(0, 2, 0, 1), MMU_TTBR1 },
	{ CP15(0, 2, 0, 2), MMU_TTBCR },
	{ CP15(0, 10, 2, 0), MMU_PRRR },
	{ CP15(0, 10, 2, 1), MMU_NMRR },
	{ CP15(0, 13, 0, 1), MMU_CONTEXTIDR },
};

static void decode_mcr(u32 word, struct instruction *instruction)
{
	u32 code = MCR_REGISTER(word);

	instruction->rt = word >> 12 & 0xf;
	if ((word >> 16 & 0xf) == 8) {
		instruction->kind = INSTRUCTION_TLB;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		if (operations[i].code == code) {
			instruction->kind = operations[i].kind;
			instruction->op = operations[i].op;
			return;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++) {
		if (registers[i].code == code) {
			instruction->kind = INSTRUCTION_REGISTER;
			instruction->mmu_register = registers[i].mmu_register;
			return;
		}
	}
}

static void decode_mcrr(u32 word, struct instruction *instruction)
{
	/* opc1 in bits 7 to 4, CRm below */
	if (MCRR_REGISTER(word) == 0x02)
		instruction->mmu_register = MMU_TTBR0;
	else if (MCRR_REGISTER(word) == 0x12)
		instruction->mmu_register = MMU_TTBR1;
	else
		return;
	instruction->kind = INSTRUCTION_REGISTER;
	instruction->rt = word >> 12 & 0xf;
	instruction->rt2 = word >> 16 & 0xf;
	instruction->wide = true;
}

/*
 * Devices are not in the inner shareable domain, and what only waits for loads
 * waits for no maintenance: SY, ST, OSH and OSHST are left.
 */
static bool waits_for_system(unsigned int option)
{
	return option == 15 || option == 14 || option == 3 || option == 2;
}

/**
 * decode_arm() - decode an A32 instruction
 * @word: the instruction
 *
 * Return: What it is, with its condition.
 */
struct instruction decode_arm(u32 word)
{
	struct instruction instruction = { .condition = word >> 28 };

	if (instruction.condition == 0xf) {
		instruction.condition = CONDITION_ALWAYS;
		if ((word & 0xfffffff0) == 0xf57ff040 &&
		    waits_for_system(word & 0xf))
			instruction.kind = INSTRUCTION_BARRIER;
	} else if ((word & MCR_MASK) == MCR_CP15) {
		decode_mcr(word, &instruction);
	} else if ((word & MCRR_MASK) == MCRR_CP15) {
		decode_mcrr(word, &instruction);
	} else if ((word & 0x0fffffff) == (0x0320f0f0 | DBG_OPTION)) {
		instruction.kind = INSTRUCTION_HINT;
	}

	return instruction;
}

/**
 * decode_thumb() - decode a T32 instruction of 32 bits
 * @first: its first half
 * @second: its second half
 *
 * Return: What it is. Its condition is that of an IT block, if any.
 */
struct instruction decode_thumb(u16 first, u16 second)
{
	struct instruction instruction = { .condition = CONDITION_ALWAYS };
	u32 word = (u32)first << 16 | second;

	if (first >> 12 == 0xe && (word & MCR_MASK) == MCR_CP15)
		decode_mcr(word, &instruction);
	else if (first >> 12 == 0xe && (word & MCRR_MASK) == MCRR_CP15)
		decode_mcrr(word, &instruction);
	else if ((word & 0xfffffff0) == 0xf3bf8f40 &&
		 waits_for_system(word & 0xf))
		instruction.kind = INSTRUCTION_BARRIER;
	else if (word == (0xf3af80f0 | DBG_OPTION))
		instruction.kind = INSTRUCTION_HINT;

	return instruction;
}

/**
 * it_begins() - see whether a T32 instruction of 16 bits is an IT
 * @it: what it says about those behind it
 * @instruction: the instruction
 *
 * Return: true if it is one.
 */
bool it_begins(struct it_block *it, u16 instruction)
{
	if ((instruction & 0xff00) != 0xbf00 || !(instruction & 0xf))
		return false;
	it->state = instruction & 0xff;
	return true;
}

/**
 * it_condition() - the condition of the next instruction
 * @it: the block
 *
 * Return: A condition, always outside of a block.
 */
u8 it_condition(const struct it_block *it)
{
	return it->state & 0xf ? it->state >> 4 : CONDITION_ALWAYS;
}

/**
 * it_advance() - one instruction of the block was passed
 * @it: the block
 */
void it_advance(struct it_block *it)
{
	if (it->state & 0x7)
		it->state = (it->state & 0xe0) | (it->state << 1 & 0x1f);
	else
		it->state = 0;
}

/**
 * condition_holds() - whether an instruction is executed
 * @condition: its condition
 * @cpsr: the flags
 *
 * Return: true if it is.
 */
bool condition_holds(u8 condition, u32 cpsr)
{
	bool n = cpsr >> 31 & 1, z = cpsr >> 30 & 1;
	bool c = cpsr >> 29 & 1, v = cpsr >> 28 & 1;
	bool holds;

	switch (condition >> 1) {
	case 0:
		holds = z;
		break;
	case 1:
		holds = c;
		break;
	case 2:
		holds = n;
		break;
	case 3:
		holds = v;
		break;
	case 4:
		holds = c && !z;
		break;
	case 5:
		holds = n == v;
		break;
	case 6:
		holds = !z && n == v;
		break;
	default:
		return true;
	}

	return condition & 1 ? !holds : holds;
}
