// SPDX-License-Identifier: GPL-2.0-only
/* Words are what GNU as makes of the instructions in the comments. */

#include "../decode.h"
#include "test.h"

static void arm_cache_operations(void)
{
	static const struct {
		u32 word;
		enum instruction_kind kind;
		enum cache_op op;
		u8 rt;
	} table[] = {
		/* mcr p15, 0, r0, c7, c6, 1; c10, 1; c14, 1 */
		{ 0xee070f36, INSTRUCTION_CACHE_LINE, INVALIDATE, 0 },
		{ 0xee073f3a, INSTRUCTION_CACHE_LINE, CLEAN, 3 },
		{ 0xee07cf3e, INSTRUCTION_CACHE_LINE, CLEAN_INVALIDATE, 12 },
		/* the same by set and way */
		{ 0xee070f56, INSTRUCTION_CACHE_SET_WAY, INVALIDATE, 0 },
		{ 0xee070f5a, INSTRUCTION_CACHE_SET_WAY, CLEAN, 0 },
		{ 0xee07bf5e, INSTRUCTION_CACHE_SET_WAY, CLEAN_INVALIDATE, 11 },
		/* c7, c11, 1: to the point of unification */
		{ 0xee070f3b, INSTRUCTION_OTHER, 0, 0 },
		/* c7, c5, 1: of the instruction cache */
		{ 0xee070f35, INSTRUCTION_OTHER, 0, 0 },
		/* p14, and mrc */
		{ 0xee070e36, INSTRUCTION_OTHER, 0, 0 },
		{ 0xee170f36, INSTRUCTION_OTHER, 0, 0 },
		/* opc1 is 1 */
		{ 0xee270f36, INSTRUCTION_OTHER, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct instruction got = decode_arm(table[i].word);

		EXPECT_EQ(table[i].kind, got.kind);
		if (table[i].kind == INSTRUCTION_OTHER)
			continue;
		EXPECT_EQ(table[i].op, got.op);
		EXPECT_EQ(table[i].rt, got.rt);
		EXPECT_EQ(CONDITION_ALWAYS, got.condition);
	}
}

static void arm_conditions_are_kept(void)
{
	/* mcrne and mcrlo p15, 0, r0, c7, c6, 1 */
	EXPECT_EQ(1, decode_arm(0x1e070f36).condition);
	EXPECT_EQ(3, decode_arm(0x3e070f36).condition);
	EXPECT_EQ(INSTRUCTION_CACHE_LINE, decode_arm(0x3e070f36).kind);
}

static void barriers(void)
{
	/* dsb sy, st, osh, oshst; ish, ishst, nsh, ld; dmb sy; isb */
	EXPECT_EQ(INSTRUCTION_BARRIER, decode_arm(0xf57ff04f).kind);
	EXPECT_EQ(INSTRUCTION_BARRIER, decode_arm(0xf57ff04e).kind);
	EXPECT_EQ(INSTRUCTION_BARRIER, decode_arm(0xf57ff043).kind);
	EXPECT_EQ(INSTRUCTION_BARRIER, decode_arm(0xf57ff042).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xf57ff04b).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xf57ff04a).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xf57ff047).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xf57ff04d).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xf57ff05f).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xf57ff06f).kind);
	/* mcr p15, 0, r0, c7, c10, 4 */
	EXPECT_EQ(INSTRUCTION_BARRIER, decode_arm(0xee070f9a).kind);
	/* Thumb-2: dsb st, dsb ish, dmb sy */
	EXPECT_EQ(INSTRUCTION_BARRIER, decode_thumb(0xf3bf, 0x8f4e).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_thumb(0xf3bf, 0x8f4b).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_thumb(0xf3bf, 0x8f5f).kind);
}

static void registers_of_mmu(void)
{
	struct instruction got;

	/* mcr p15, 0, r1, c2, c0, 0 */
	got = decode_arm(0xee021f10);
	EXPECT_EQ(INSTRUCTION_REGISTER, got.kind);
	EXPECT_EQ(MMU_TTBR0, got.mmu_register);
	EXPECT_EQ(1, got.rt);
	EXPECT_FALSE(got.wide);
	/* mcr p15, 0, r0, c1, c0, 0; c10, c2, 1; c13, c0, 1 */
	EXPECT_EQ(MMU_SCTLR, decode_arm(0xee010f10).mmu_register);
	EXPECT_EQ(MMU_NMRR, decode_arm(0xee0a0f32).mmu_register);
	EXPECT_EQ(MMU_CONTEXTIDR, decode_arm(0xee0d0f30).mmu_register);
	/* c2, c0, 1 and 2; c10, c2, 0 */
	got = decode_arm(0xee020f30);
	EXPECT_EQ(INSTRUCTION_REGISTER, got.kind);
	EXPECT_EQ(MMU_TTBR1, got.mmu_register);
	got = decode_arm(0xee020f50);
	EXPECT_EQ(INSTRUCTION_REGISTER, got.kind);
	EXPECT_EQ(MMU_TTBCR, got.mmu_register);
	got = decode_arm(0xee0a0f12);
	EXPECT_EQ(INSTRUCTION_REGISTER, got.kind);
	EXPECT_EQ(MMU_PRRR, got.mmu_register);
	/* mcrr p15, 0, r2, r3, c2, and one of another register */
	got = decode_arm(0xec432f02);
	EXPECT_EQ(INSTRUCTION_REGISTER, got.kind);
	EXPECT_EQ(MMU_TTBR0, got.mmu_register);
	EXPECT_TRUE(got.wide);
	EXPECT_EQ(2, got.rt);
	EXPECT_EQ(3, got.rt2);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xec432f0e).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xec432e02).kind);
	/* mcrr p15, 1, r4, r5, c2 */
	got = decode_arm(0xec454f12);
	EXPECT_EQ(INSTRUCTION_REGISTER, got.kind);
	EXPECT_EQ(MMU_TTBR1, got.mmu_register);
	EXPECT_EQ(4, got.rt);
	EXPECT_EQ(5, got.rt2);
	EXPECT_TRUE(got.wide);
	/* mcr p15, 0, r0, c8, c7, 1 */
	EXPECT_EQ(INSTRUCTION_TLB, decode_arm(0xee080f37).kind);
}

static void hints(void)
{
	/* dbg #5, dbg #4, nop */
	EXPECT_EQ(INSTRUCTION_HINT, decode_arm(0xe320f0f5).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xe320f0f4).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_arm(0xe320f000).kind);
	EXPECT_EQ(INSTRUCTION_HINT, decode_thumb(0xf3af, 0x80f5).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_thumb(0xf3af, 0x80f4).kind);
}

static void thumb_has_the_same_coprocessor_instructions(void)
{
	/* mcr p15, 0, r3, c7, c10, 1 */
	struct instruction got = decode_thumb(0xee07, 0x3f3a);

	EXPECT_EQ(INSTRUCTION_CACHE_LINE, got.kind);
	EXPECT_EQ(CLEAN, got.op);
	EXPECT_EQ(3, got.rt);
	got = decode_thumb(0xec45, 0x4f12);
	EXPECT_EQ(INSTRUCTION_REGISTER, got.kind);
	EXPECT_TRUE(got.wide);
	/* mcr2 has another first digit */
	EXPECT_EQ(INSTRUCTION_OTHER, decode_thumb(0xfe07, 0x3f3a).kind);
	EXPECT_EQ(INSTRUCTION_OTHER, decode_thumb(0xfc45, 0x4f12).kind);
}

static void blocks_of_it(void)
{
	struct it_block it = {};

	EXPECT_EQ(CONDITION_ALWAYS, it_condition(&it));
	/* itte ne */
	EXPECT_TRUE(it_begins(&it, 0xbf1a));
	EXPECT_EQ(1, it_condition(&it));
	it_advance(&it);
	EXPECT_EQ(1, it_condition(&it));
	it_advance(&it);
	EXPECT_EQ(0, it_condition(&it));
	it_advance(&it);
	EXPECT_EQ(CONDITION_ALWAYS, it_condition(&it));
	it_advance(&it);
	EXPECT_EQ(CONDITION_ALWAYS, it_condition(&it));
	/* it eq: one instruction, whose mask is all of the last bit */
	EXPECT_TRUE(it_begins(&it, 0xbf08));
	EXPECT_EQ(0, it_condition(&it));
	it_advance(&it);
	EXPECT_EQ(CONDITION_ALWAYS, it_condition(&it));
	EXPECT_EQ(0, it.state);
	/* nop.n looks similar */
	EXPECT_FALSE(it_begins(&it, 0xbf00));
}

static void conditions(void)
{
	const u32 n = 1u << 31, z = 1u << 30, c = 1u << 29, v = 1u << 28;

	/* eq, ne, lo (cc), hi, ls, ge, lt, gt, le, al */
	EXPECT_TRUE(condition_holds(0, z));
	EXPECT_FALSE(condition_holds(0, 0));
	EXPECT_TRUE(condition_holds(1, 0));
	EXPECT_FALSE(condition_holds(3, c));
	EXPECT_TRUE(condition_holds(3, 0));
	EXPECT_TRUE(condition_holds(8, c));
	EXPECT_FALSE(condition_holds(8, c | z));
	EXPECT_TRUE(condition_holds(9, c | z));
	EXPECT_TRUE(condition_holds(10, n | v));
	EXPECT_FALSE(condition_holds(10, n));
	EXPECT_TRUE(condition_holds(11, n));
	EXPECT_FALSE(condition_holds(12, z));
	EXPECT_TRUE(condition_holds(12, 0));
	EXPECT_TRUE(condition_holds(13, z));
	EXPECT_TRUE(condition_holds(14, n | z | c | v));
	/* hs, mi, pl, vs, vc, le, and what is none */
	EXPECT_TRUE(condition_holds(2, c));
	EXPECT_FALSE(condition_holds(2, n | z | v));
	EXPECT_TRUE(condition_holds(4, n));
	EXPECT_FALSE(condition_holds(4, z | c | v));
	EXPECT_FALSE(condition_holds(5, n));
	EXPECT_TRUE(condition_holds(6, v));
	EXPECT_FALSE(condition_holds(6, n | z | c));
	EXPECT_TRUE(condition_holds(7, n | z | c));
	EXPECT_FALSE(condition_holds(12, n));
	EXPECT_TRUE(condition_holds(13, v));
	EXPECT_TRUE(condition_holds(15, 0));
}

const struct test decode_tests[] = {
	{ "decode: arm_cache_operations", arm_cache_operations },
	{ "decode: arm_conditions_are_kept", arm_conditions_are_kept },
	{ "decode: barriers", barriers },
	{ "decode: registers_of_mmu", registers_of_mmu },
	{ "decode: hints", hints },
	{ "decode: thumb_has_the_same_coprocessor_instructions",
	  thumb_has_the_same_coprocessor_instructions },
	{ "decode: blocks_of_it", blocks_of_it },
	{ "decode: conditions", conditions },
	{}
};
