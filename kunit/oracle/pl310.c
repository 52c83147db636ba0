// SPDX-License-Identifier: GPL-2.0-only
/*
 * The outer cache of Cortex-A9 systems, as its registers see it. CoreLink Level 2
 * Cache Controller L2C-310 Technical Reference Manual, 3.3.10.
 */

#include "pl310.h"

#define CONTROL		0x100
#define CACHE_SYNC	0x730
#define CACHE_SYNC_753970	0x740	/* what Linux writes because of that erratum */
#define INVALIDATE_LINE	0x770
#define INVALIDATE_WAY	0x77c
#define CLEAN_LINE	0x7b0
#define CLEAN_INDEX	0x7b8
#define CLEAN_WAY	0x7bc
#define FLUSH_LINE	0x7f0
#define FLUSH_INDEX	0x7f8
#define FLUSH_WAY	0x7fc

/**
 * pl310_is_line() - whether a register maintains a line by its address
 * @offset: of the register
 *
 * Return: true if it does.
 */
bool pl310_is_line(unsigned int offset)
{
	return offset == INVALIDATE_LINE || offset == CLEAN_LINE ||
	       offset == FLUSH_LINE;
}

/**
 * pl310_write() - the processor writes a register
 * @model: the model
 * @offset: of the register
 * @value: what is written
 * @asked_for: as for model_outer()
 *
 * Operations by way run in the background, and Linux waits for them. Those by
 * index and way take one write for each line: whoever reaches the last one, which
 * has the number 0 in Linux, has written all of them.
 */
void pl310_write(struct model *model, unsigned int offset, u32 value,
		 const struct range *asked_for)
{
	switch (offset) {
	case CONTROL:
		model_enable_outer(model, value & 1);
		break;
	case CACHE_SYNC:
	case CACHE_SYNC_753970:
		model_outer_sync(model);
		break;
	case INVALIDATE_LINE:
		model_outer(model, INVALIDATE, value, asked_for);
		break;
	case CLEAN_LINE:
		model_outer(model, CLEAN, value, asked_for);
		break;
	case FLUSH_LINE:
		model_outer(model, CLEAN_INVALIDATE, value, asked_for);
		break;
	case INVALIDATE_WAY:
		model_outer_all(model, INVALIDATE);
		break;
	case CLEAN_INDEX:
		if (!value)
			model_outer_all(model, CLEAN);
		break;
	case FLUSH_INDEX:
		if (!value)
			model_outer_all(model, CLEAN_INVALIDATE);
		break;
	case CLEAN_WAY:
		model_outer_all(model, CLEAN);
		break;
	case FLUSH_WAY:
		model_outer_all(model, CLEAN_INVALIDATE);
		break;
	}
}
