// SPDX-License-Identifier: GPL-2.0-only
/* Page tables are in @memory, which begins at 0. */

#include <string.h>

#include "../walk.h"
#include "test.h"

#define SCTLR_ON	0x10000005	/* M, C, TRE */
/* What Linux uses: arch/arm/mm/proc-v7-2level.S and proc-v7-3level.S */
#define PRRR		0xff0a81a8
#define NMRR		0x40e040e0
#define MAIR0		0xeeaa4400
#define MAIR1		0xff000004

static unsigned char memory[1 << 18];

static bool read_memory(u64 address, void *data, unsigned int size)
{
	if (address + size > sizeof(memory))
		return false;
	memcpy(data, memory + address, size);
	return true;
}

#define HIGH		0x200000000ull

/* The same memory beyond 4 GiB, and only there */
static bool read_high(u64 address, void *data, unsigned int size)
{
	return address >= HIGH && read_memory(address - HIGH, data, size);
}

static struct mmu short_mmu(void)
{
	struct mmu mmu = { .read = read_memory };

	memset(memory, 0, sizeof(memory));
	mmu.registers[MMU_SCTLR] = SCTLR_ON;
	mmu.registers[MMU_TTBR0] = 0x4000 | 0x4a;
	mmu.registers[MMU_PRRR] = PRRR;
	mmu.registers[MMU_NMRR] = NMRR;
	return mmu;
}

static void put32(u32 address, u32 value)
{
	memcpy(memory + address, &value, sizeof(value));
}

static void put64(u32 address, u64 value)
{
	memcpy(memory + address, &value, sizeof(value));
}

static void mmu_off_is_identity(void)
{
	struct mmu mmu = { .read = read_memory };
	struct translation got = {};

	EXPECT_TRUE(walk(&mmu, 0x12345678, &got));
	EXPECT_EQ(0x12345678, got.address);
	EXPECT_EQ(0, got.cached);
}

static void sections(void)
{
	struct mmu mmu = short_mmu();
	struct translation got = {};

	EXPECT_FALSE(walk(&mmu, 0xc0112345, &got));
	/* TEX 1, C, B: write-back, write-allocate */
	put32(0x4000 + 0xc01 * 4, 0x30000000 | 1 << 12 | 0xc | 2);
	EXPECT_TRUE(walk(&mmu, 0xc0112345, &got));
	EXPECT_EQ(0x30012345, got.address);
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, got.cached);
	EXPECT_TRUE(got.global);
	/* nG, uncached */
	put32(0x4000 + 0xc01 * 4, 0x30000000 | 1 << 17 | 2);
	EXPECT_TRUE(walk(&mmu, 0xc0112345, &got));
	EXPECT_EQ(0, got.cached);
	EXPECT_FALSE(got.global);
}

static void supersections(void)
{
	struct mmu mmu = short_mmu();
	struct translation got = {};

	/* bits 39 to 36 in 8 to 5, bits 35 to 32 in 23 to 20 */
	put32(0x4000 + 0xc05 * 4,
	      0x81000000 | 2 << 20 | 1 << 18 | 3 << 5 | 1 << 12 | 0xc | 2);
	EXPECT_TRUE(walk(&mmu, 0xc0512345, &got));
	EXPECT_EQ(0x3281512345, got.address);
	put32(0x4000 + 0xc05 * 4, 0x81000000 | 1 << 18 | 0xf << 5 | 2);
	EXPECT_TRUE(walk(&mmu, 0xc0512345, &got));
	EXPECT_EQ(0xf081512345, got.address);
	put32(0x4000 + 0xc05 * 4,
	      0x81000000 | 2 << 20 | 1 << 18 | 3 << 5 | 1 << 12 | 0xc | 2);
	EXPECT_TRUE(walk(&mmu, 0xc0512345, &got));
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, got.cached);
}

static void small_and_large_pages(void)
{
	struct mmu mmu = short_mmu();
	struct translation got = {};

	put32(0x4000 + 0xc01 * 4, 0x8000 | 1);
	/* small: TEX in bits 8 to 6 */
	put32(0x8000 + 0x12 * 4, 0x20055000 | 1 << 6 | 0xc | 2);
	EXPECT_TRUE(walk(&mmu, 0xc0112345, &got));
	EXPECT_EQ(0x20055345, got.address);
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, got.cached);
	EXPECT_TRUE(got.global);
	/* Linux' L_PTE_MT_BUFFERABLE, which coherent memory has: B only */
	put32(0x8000 + 0x12 * 4, 0x20055000 | 1 << 11 | 4 | 2);
	EXPECT_TRUE(walk(&mmu, 0xc0112345, &got));
	EXPECT_EQ(0, got.cached);
	EXPECT_FALSE(got.global);
	/* large: TEX in bits 14 to 12 */
	put32(0x8000 + 0x12 * 4, 0x20050000 | 1 << 12 | 0xc | 1);
	EXPECT_TRUE(walk(&mmu, 0xc0112345, &got));
	EXPECT_EQ(0x20052345, got.address);
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, got.cached);
	EXPECT_FALSE(walk(&mmu, 0xc0113345, &got));
}

static void second_table_of_short_descriptors(void)
{
	struct mmu mmu = short_mmu();
	struct translation got = {};

	mmu.registers[MMU_TTBCR] = 1;
	mmu.registers[MMU_TTBR1] = 0x10000;
	put32(0x10000 + 0xc01 * 4, 0x30000000 | 2);
	put32(0x4000 + 0x401 * 4, 0x50000000 | 2);
	EXPECT_TRUE(walk(&mmu, 0xc0112345, &got));
	EXPECT_EQ(0x30012345, got.address);
	EXPECT_TRUE(walk(&mmu, 0x40112345, &got));
	EXPECT_EQ(0x50012345, got.address);
	/* the first one is smaller, and may begin at 8 KiB */
	mmu.registers[MMU_TTBR0] = 0x6000;
	put32(0x6000 + 0x401 * 4, 0x70000000 | 2);
	EXPECT_TRUE(walk(&mmu, 0x40112345, &got));
	EXPECT_EQ(0x70012345, got.address);
	mmu.registers[MMU_TTBCR] = 3;
	mmu.registers[MMU_TTBR0] = 0x6800;
	put32(0x6800 + 0x101 * 4, 0x60000000 | 2);
	EXPECT_TRUE(walk(&mmu, 0x10112345, &got));
	EXPECT_EQ(0x60012345, got.address);
	put32(0x10000 + 0x401 * 4, 0x20000000 | 2);
	EXPECT_TRUE(walk(&mmu, 0x40112345, &got));
	EXPECT_EQ(0x20012345, got.address);
}

static unsigned int cached_of(struct mmu *mmu, unsigned int tex, u32 cb)
{
	struct translation got = {};

	put32(0x4000 + 0xc01 * 4, 0x30000000 | tex << 12 | cb << 2 | 2);
	EXPECT_TRUE(walk(mmu, 0xc0112345, &got));
	return got.cached;
}

static void cacheability(void)
{
	struct mmu mmu = short_mmu();

	/* with remapping: write-through is index 2, device 4 */
	EXPECT_EQ(CACHED_READ, cached_of(&mmu, 0, 2));
	EXPECT_EQ(0, cached_of(&mmu, 1, 0));
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, cached_of(&mmu, 0, 3));
	/* what PRRR says is device memory is so, whatever NMRR has */
	mmu.registers[MMU_PRRR] = PRRR & ~(3 << 6);
	EXPECT_EQ(0, cached_of(&mmu, 0, 3));
	mmu.registers[MMU_PRRR] = PRRR;
	/* inner only, outer only */
	mmu.registers[MMU_NMRR] = 3 << 6;
	EXPECT_EQ(CACHED_INNER, cached_of(&mmu, 0, 3));
	mmu.registers[MMU_NMRR] = 3 << 22;
	EXPECT_EQ(CACHED_OUTER | CACHED_READ, cached_of(&mmu, 0, 3));
	/* without remapping */
	mmu.registers[MMU_SCTLR] &= ~0x10000000;
	EXPECT_EQ(0, cached_of(&mmu, 0, 1));
	EXPECT_EQ(CACHED_READ, cached_of(&mmu, 0, 2));
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, cached_of(&mmu, 0, 3));
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, cached_of(&mmu, 1, 3));
	EXPECT_EQ(0, cached_of(&mmu, 1, 0));
	/* reserved, and device memory that is not shared */
	EXPECT_EQ(0, cached_of(&mmu, 1, 2));
	EXPECT_EQ(0, cached_of(&mmu, 2, 2));
	EXPECT_EQ(CACHED_INNER, cached_of(&mmu, 4, 3));
	EXPECT_EQ(CACHED_OUTER | CACHED_READ, cached_of(&mmu, 7, 0));
	/* the caches are off */
	mmu.registers[MMU_SCTLR] &= ~4;
	EXPECT_EQ(0, cached_of(&mmu, 0, 3));
}

static struct mmu long_mmu(void)
{
	struct mmu mmu = short_mmu();

	mmu.registers[MMU_TTBR0] = 0x4000;
	mmu.registers[MMU_TTBCR] = 0x80000000;
	mmu.registers[MMU_PRRR] = MAIR0;
	mmu.registers[MMU_NMRR] = MAIR1;
	return mmu;
}

static void long_descriptors(void)
{
	struct mmu mmu = long_mmu();
	struct translation got = {};

	EXPECT_FALSE(walk(&mmu, 0xc0212345, &got));
	put64(0x4000 + 3 * 8, 0x6000 | 3);
	/* a block of 2 MiB, attribute 7: write-back, beyond 4 GiB */
	put64(0x6000 + 1 * 8, 0x180000000ull | 7 << 2 | 1);
	EXPECT_TRUE(walk(&mmu, 0xc0212345, &got));
	EXPECT_EQ(0x180012345ull, got.address);
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, got.cached);
	EXPECT_TRUE(got.global);
	/* a page, attribute 1: not cached, nG */
	put64(0x6000 + 1 * 8, 0x8000 | 3);
	put64(0x8000 + 0x12 * 8, 0x1234567000ull | 1 << 11 | 1 << 2 | 3);
	EXPECT_TRUE(walk(&mmu, 0xc0212345, &got));
	EXPECT_EQ(0x1234567345ull, got.address);
	EXPECT_EQ(0, got.cached);
	EXPECT_FALSE(got.global);
	/* attribute 2 is write-through */
	put64(0x8000 + 0x12 * 8, 0x1234567000ull | 2 << 2 | 3);
	EXPECT_TRUE(walk(&mmu, 0xc0212345, &got));
	EXPECT_EQ(CACHED_READ, got.cached);
	/* there are no blocks at the last level */
	put64(0x8000 + 0x12 * 8, 0x1234567000ull | 1);
	EXPECT_FALSE(walk(&mmu, 0xc0212345, &got));
	/* a block of 1 GiB */
	put64(0x4000 + 3 * 8, 0x40000000ull | 7 << 2 | 1);
	EXPECT_TRUE(walk(&mmu, 0xc0212345, &got));
	EXPECT_EQ(0x40212345, got.address);
}

static void second_table_of_long_descriptors(void)
{
	struct mmu mmu = long_mmu();
	struct translation got = {};

	/* T1SZ 2: from 0xc0000000 on, which begins at the second level */
	mmu.registers[MMU_TTBCR] |= 2 << 16;
	mmu.registers[MMU_TTBR1] = 0x7000;
	put64(0x7000 + 1 * 8, 0x90000000ull | 7 << 2 | 1);
	EXPECT_TRUE(walk(&mmu, 0xc0212345, &got));
	EXPECT_EQ(0x90012345, got.address);
	put64(0x4000 + 2 * 8, 0x40000000ull | 7 << 2 | 1);
	EXPECT_TRUE(walk(&mmu, 0xbfe12345, &got));
	EXPECT_EQ(0x7fe12345, got.address);
}

static void tables_beyond_4g(void)
{
	struct mmu mmu = long_mmu();
	struct translation got = {};

	mmu.read = read_high;
	mmu.registers[MMU_TTBR0] = HIGH | 0x4000;
	put64(0x4000 + 3 * 8, HIGH | 0x6000 | 3);
	put64(0x6000 + 1 * 8, HIGH | 0x8000 | 3);
	put64(0x8000 + 0x12 * 8, 0x1234567000ull | 7 << 2 | 3);
	EXPECT_TRUE(walk(&mmu, 0xc0212345, &got));
	EXPECT_EQ(0x1234567345ull, got.address);
}

static void first_table_is_the_smaller_one(void)
{
	struct mmu mmu = long_mmu();
	struct translation got = {};

	/* T0SZ 2 without T1SZ: up to 0x3fffffff, from the second level on */
	mmu.registers[MMU_TTBCR] |= 2;
	mmu.registers[MMU_TTBR1] = 0x7000;
	put64(0x4000 + 1 * 8, 0x50000000ull | 7 << 2 | 1);
	put64(0x7000 + 3 * 8, 0x80000000ull | 7 << 2 | 1);
	EXPECT_TRUE(walk(&mmu, 0x00212345, &got));
	EXPECT_EQ(0x50012345, got.address);
	EXPECT_TRUE(walk(&mmu, 0xc0212345, &got));
	EXPECT_EQ(0x80212345, got.address);
	/* with both there is a hole */
	mmu.registers[MMU_TTBCR] |= 2 << 16;
	put64(0x7000 + 1 * 8, 0x90000000ull | 7 << 2 | 1);
	EXPECT_TRUE(walk(&mmu, 0xc0212345, &got));
	EXPECT_EQ(0x90012345, got.address);
	EXPECT_FALSE(walk(&mmu, 0x80212345, &got));
	EXPECT_FALSE(walk(&mmu, 0x40212345, &got));
}

static unsigned int cached_by(struct mmu *mmu, unsigned int attribute)
{
	struct translation got = {};

	mmu->registers[MMU_PRRR] = attribute;
	put64(0x4000 + 3 * 8, 0x40000000ull | 1);
	EXPECT_TRUE(walk(mmu, 0xc0212345, &got));
	return got.cached;
}

static void attributes_of_long_descriptors(void)
{
	struct mmu mmu = long_mmu();

	/* strongly ordered, device, not cached */
	EXPECT_EQ(0, cached_by(&mmu, 0x00));
	EXPECT_EQ(0, cached_by(&mmu, 0x04));
	EXPECT_EQ(0, cached_by(&mmu, 0x0f));
	EXPECT_EQ(0, cached_by(&mmu, 0x44));
	/* write-through and write-back, transient and not */
	EXPECT_EQ(CACHED_READ, cached_by(&mmu, 0xaa));
	EXPECT_EQ(CACHED_READ, cached_by(&mmu, 0x11));
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, cached_by(&mmu, 0x55));
	EXPECT_EQ(CACHED_INNER | CACHED_OUTER, cached_by(&mmu, 0xff));
	/* each cache on its own */
	EXPECT_EQ(CACHED_INNER, cached_by(&mmu, 0x4f));
	EXPECT_EQ(CACHED_READ | CACHED_OUTER, cached_by(&mmu, 0xf4));
	EXPECT_EQ(CACHED_READ | CACHED_OUTER, cached_by(&mmu, 0xfa));
	/* the caches are off */
	mmu.registers[MMU_SCTLR] &= ~4;
	EXPECT_EQ(0, cached_by(&mmu, 0xff));
}

const struct test walk_tests[] = {
	{ "walk: mmu_off_is_identity", mmu_off_is_identity },
	{ "walk: sections", sections },
	{ "walk: supersections", supersections },
	{ "walk: small_and_large_pages", small_and_large_pages },
	{ "walk: second_table_of_short_descriptors",
	  second_table_of_short_descriptors },
	{ "walk: cacheability", cacheability },
	{ "walk: long_descriptors", long_descriptors },
	{ "walk: second_table_of_long_descriptors",
	  second_table_of_long_descriptors },
	{ "walk: tables_beyond_4g", tables_beyond_4g },
	{ "walk: first_table_is_the_smaller_one",
	  first_table_is_the_smaller_one },
	{ "walk: attributes_of_long_descriptors",
	  attributes_of_long_descriptors },
	{}
};
