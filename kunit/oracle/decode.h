/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_DECODE_H
#define ORACLE_DECODE_H

#include "model.h"

#define CONDITION_ALWAYS	0xe
#define CPSR_THUMB		0x20

enum instruction_kind {
	INSTRUCTION_OTHER,
	INSTRUCTION_CACHE_LINE,		/* by address, to the point of coherency */
	INSTRUCTION_CACHE_SET_WAY,
	INSTRUCTION_BARRIER,		/* a DSB that devices can see the end of */
	INSTRUCTION_TLB,		/* invalidates entries */
	INSTRUCTION_REGISTER,		/* writes one of enum mmu_register */
	INSTRUCTION_HINT,		/* DBG #5, see protocol.h */
};

enum mmu_register {
	MMU_SCTLR,
	MMU_TTBR0,
	MMU_TTBR1,
	MMU_TTBCR,
	MMU_PRRR,			/* or MAIR0 */
	MMU_NMRR,			/* or MAIR1 */
	MMU_CONTEXTIDR,
	NR_MMU_REGISTERS,
};

struct instruction {
	enum instruction_kind kind;
	enum cache_op op;
	enum mmu_register mmu_register;
	u8 rt;
	u8 rt2;				/* upper half, if wide */
	bool wide;
	u8 condition;
};

/* Conditions that an IT instruction gives to what follows. */
struct it_block {
	u8 state;
};

struct instruction decode_arm(u32 word);
struct instruction decode_thumb(u16 first, u16 second);
bool it_begins(struct it_block *it, u16 instruction);
u8 it_condition(const struct it_block *it);
void it_advance(struct it_block *it);
bool condition_holds(u8 condition, u32 cpsr);

#endif
