// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a virtual address to a physical one and its cacheability: short
 * descriptors with supersections, and long descriptors (LPAE). ARM Architecture
 * Reference Manual, ARMv7-A and ARMv7-R edition, B3.5, B3.6 and B3.8.
 */

#include "walk.h"

#define SCTLR_M			0x1
#define SCTLR_C			0x4
#define SCTLR_TRE		0x10000000
#define TTBCR_EAE		0x80000000

/* Cacheability as NMRR and TEX have it. */
enum cacheability {
	NOT_CACHED,
	WRITE_BACK_ALLOCATE,
	WRITE_THROUGH,
	WRITE_BACK,
};

/**
 * mmu_is_on() - whether addresses are translated
 * @mmu: its registers
 *
 * Return: SCTLR.M
 */
bool mmu_is_on(const struct mmu *mmu)
{
	return mmu->registers[MMU_SCTLR] & SCTLR_M;
}

/**
 * mmu_has_long_descriptors() - whether LPAE is in use
 * @mmu: its registers
 *
 * Return: TTBCR.EAE
 */
bool mmu_has_long_descriptors(const struct mmu *mmu)
{
	return mmu->registers[MMU_TTBCR] & TTBCR_EAE;
}

static unsigned int flags_of(unsigned int inner, unsigned int outer)
{
	unsigned int flags = 0;

	if (inner == WRITE_BACK || inner == WRITE_BACK_ALLOCATE)
		flags |= CACHED_INNER;
	else if (inner == WRITE_THROUGH)
		flags |= CACHED_READ;
	if (outer == WRITE_BACK || outer == WRITE_BACK_ALLOCATE)
		flags |= CACHED_OUTER;
	/* in the outer cache only */
	if (!(flags & CACHED_INNER) && flags & CACHED_OUTER)
		flags |= CACHED_READ;

	return flags;
}

/* TEX, C and B of a short descriptor as a number of five bits. */
static unsigned int short_flags(const struct mmu *mmu, unsigned int tex_cb)
{
	u32 prrr = mmu->registers[MMU_PRRR], nmrr = mmu->registers[MMU_NMRR];
	unsigned int tex = tex_cb >> 2, n;

	if (!(mmu->registers[MMU_SCTLR] & SCTLR_C))
		return 0;
	if (mmu->registers[MMU_SCTLR] & SCTLR_TRE) {
		n = tex_cb & 7;
		if ((prrr >> 2 * n & 3) != 2)
			return 0;
		return flags_of(nmrr >> 2 * n & 3, nmrr >> (2 * n + 16) & 3);
	}
	if (tex >= 4)
		return flags_of(tex_cb & 3, tex & 3);
	if (tex_cb == 2)
		return flags_of(WRITE_THROUGH, WRITE_THROUGH);
	if (tex_cb == 3 || tex_cb == 7)
		return flags_of(WRITE_BACK, WRITE_BACK);
	return 0;
}

static bool walk_short(const struct mmu *mmu, u32 address,
		       struct translation *translation)
{
	unsigned int n = mmu->registers[MMU_TTBCR] & 7;
	u32 table, descriptor;
	u64 base;

	if (n && address >> (32 - n)) {
		table = mmu->registers[MMU_TTBR1];
		n = 0;
	} else {
		table = mmu->registers[MMU_TTBR0];
	}
	table &= ~((1u << (14 - n)) - 1);
	table += (address << n >> n >> 20) * 4;
	if (!mmu->read(table, &descriptor, sizeof(descriptor)))
		return false;

	if (descriptor & 2) {
		translation->global = !(descriptor & 1 << 17);
		translation->cached = short_flags(mmu,
						  (descriptor >> 12 & 7) << 2 |
						  (descriptor >> 2 & 3));
		if (descriptor & 1 << 18) {
			base = (descriptor & 0xff000000) |
			       (u64)(descriptor >> 20 & 0xf) << 32 |
			       (u64)(descriptor >> 5 & 0xf) << 36;
			translation->address = base | (address & 0xffffff);
		} else {
			base = descriptor & 0xfff00000;
			translation->address = base | (address & 0xfffff);
		}
		return true;
	}
	if (!(descriptor & 1))
		return false;

	table = (descriptor & 0xfffffc00) + (address >> 12 & 0xff) * 4;
	if (!mmu->read(table, &descriptor, sizeof(descriptor)))
		return false;
	translation->global = !(descriptor & 1 << 11);
	if (descriptor & 2) {
		translation->cached = short_flags(mmu,
						  (descriptor >> 6 & 7) << 2 |
						  (descriptor >> 2 & 3));
		translation->address = (descriptor & 0xfffff000) |
				       (address & 0xfff);
		return true;
	}
	if (!(descriptor & 1))
		return false;
	translation->cached = short_flags(mmu, (descriptor >> 12 & 7) << 2 |
					       (descriptor >> 2 & 3));
	translation->address = (descriptor & 0xffff0000) | (address & 0xffff);
	return true;
}

/* Four bits of an attribute in MAIR. */
static unsigned int mair_cacheability(unsigned int bits)
{
	if (bits >= 12)
		return WRITE_BACK;
	if (bits >= 8)
		return WRITE_THROUGH;
	if (bits == 4 || !bits)
		return NOT_CACHED;
	/* transient */
	return bits > 4 ? WRITE_BACK : WRITE_THROUGH;
}

static unsigned int long_flags(const struct mmu *mmu, unsigned int index)
{
	u32 mair = mmu->registers[index & 4 ? MMU_NMRR : MMU_PRRR];
	unsigned int attribute = mair >> 8 * (index & 3) & 0xff;

	if (!(mmu->registers[MMU_SCTLR] & SCTLR_C) || attribute < 0x10)
		return 0;
	return flags_of(mair_cacheability(attribute & 0xf),
			mair_cacheability(attribute >> 4));
}

static bool walk_long(const struct mmu *mmu, u32 address,
		      struct translation *translation)
{
	u32 ttbcr = mmu->registers[MMU_TTBCR];
	unsigned int t0sz = ttbcr & 7, t1sz = ttbcr >> 16 & 7;
	unsigned int size, level, shift;
	u64 table, descriptor, offset;

	/* Without T0SZ the first table has all that is not in the second. */
	if ((t1sz && address >= (u32)-(1u << (32 - t1sz))) ||
	    (!t1sz && t0sz && address >> (32 - t0sz))) {
		table = mmu->registers[MMU_TTBR1];
		size = 32 - t1sz;
	} else {
		if (t0sz && address >> (32 - t0sz))
			return false;
		table = mmu->registers[MMU_TTBR0];
		size = 32 - t0sz;
	}
	table &= 0xfffffffff8;
	level = size > 30 ? 1 : 2;
	offset = size == 32 ? address : address & ((1u << size) - 1);

	for (;; level++) {
		shift = 39 - 9 * level;
		if (!mmu->read(table + (offset >> shift) * 8, &descriptor,
			       sizeof(descriptor)))
			return false;
		if (!(descriptor & 1) || (level == 3 && !(descriptor & 2)))
			return false;
		offset = address & ((1u << shift) - 1);
		if (level == 3 || !(descriptor & 2))
			break;
		table = descriptor & 0xfffffff000;
	}
	translation->address = (descriptor & 0xfffffff000 &
				~((1ull << shift) - 1)) | offset;
	translation->global = !(descriptor & 1 << 11);
	translation->cached = long_flags(mmu, descriptor >> 2 & 7);
	return true;
}

/**
 * walk() - translate an address
 * @mmu: its registers, and how to read memory
 * @address: virtual
 * @translation: what came of it
 *
 * Return: false if nothing is mapped there. Permissions are not looked at.
 */
bool walk(const struct mmu *mmu, u32 address, struct translation *translation)
{
	if (!mmu_is_on(mmu)) {
		*translation = (struct translation){
			.address = address, .global = true,
		};
		return true;
	}
	if (mmu_has_long_descriptors(mmu))
		return walk_long(mmu, address, translation);
	return walk_short(mmu, address, translation);
}
