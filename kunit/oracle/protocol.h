/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_PROTOCOL_H
#define ORACLE_PROTOCOL_H

#include "types.h"

/*
 * What the guest may say itself: DBG #5 with the address of this in r0. That
 * instruction does nothing on a processor and in an emulator without the
 * plugin, and leaves @answer as it was.
 */
struct oracle_call {
	u32 magic;
	u32 event;
	u32 direction;
	u32 answer;
	u64 start;		/* physical */
	u64 size;
};

#define ORACLE_MAGIC	0x6f726163
/* Set in each answer. With QUERY and EXPECT_END, a bit for each rule follows. */
#define ORACLE_ANSWERED	0x80000000

enum oracle_event {
	ORACLE_PRESENT = 1,	/* is anybody there? */
	ORACLE_GIVE,		/* a device has this from now on */
	ORACLE_DONE,		/* the device has done its work */
	ORACLE_TAKE,		/* the processor has it from now on */
	ORACLE_QUERY_GIVE,	/* what would be broken if it was given now */
	ORACLE_QUERY_TAKE,
	/* What is found from now on is meant to be; with a size, only in there. */
	ORACLE_EXPECT_BEGIN,
	ORACLE_EXPECT_END,	/* which rules were broken since then? */
};

#endif
