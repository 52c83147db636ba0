/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_WALK_H
#define ORACLE_WALK_H

#include "decode.h"

struct mmu {
	u64 registers[NR_MMU_REGISTERS];
	/* Reads @size bytes at a physical address; false if that is no RAM. */
	bool (*read)(u64 address, void *data, unsigned int size);
};

struct translation {
	u64 address;		/* physical, of the byte that was asked for */
	unsigned int cached;	/* CACHED_ flags */
	bool global;		/* the same in all address spaces */
};

bool mmu_is_on(const struct mmu *mmu);
bool mmu_has_long_descriptors(const struct mmu *mmu);
bool walk(const struct mmu *mmu, u32 address, struct translation *translation);

#endif
