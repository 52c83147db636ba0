/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_PL310_H
#define ORACLE_PL310_H

#include "model.h"

#define PL310_SIZE	0x1000u

bool pl310_is_line(unsigned int offset);
void pl310_write(struct model *model, unsigned int offset, u32 value,
		 const struct range *asked_for);

#endif
