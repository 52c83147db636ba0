/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_SYMBOLS_H
#define ORACLE_SYMBOLS_H

#include "types.h"

struct symbols;

struct symbols *symbols_read(const char *path);
void symbols_free(struct symbols *symbols);
u64 symbols_address(const struct symbols *symbols, const char *name);
u64 symbols_next(const struct symbols *symbols, const char *name,
		 size_t *position);
const char *symbols_name(const struct symbols *symbols, u64 address,
			 u64 *offset);

#endif
