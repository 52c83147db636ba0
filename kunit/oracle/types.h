/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_TYPES_H
#define ORACLE_TYPES_H

#include <stdbool.h>
#include <stddef.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define GUEST_PAGE		4096u
#define GUEST_PAGE_SHIFT	12

/* As enum dma_data_direction of the kernel, which the guest passes. */
enum direction {
	BIDIRECTIONAL,
	TO_DEVICE,
	FROM_DEVICE,
	NO_DIRECTION,
};

/* Physical addresses from @start to before @end. */
struct range {
	u64 start;
	u64 end;
};

#endif
