/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_INCOHERENT_H
#define ORACLE_INCOHERENT_H

#include "model.h"

struct incoherent;

struct incoherent *incoherent_new(const struct range *ram,
				  char *(*host)(u64 address, u64 size));
void incoherent_free(struct incoherent *incoherent);
void incoherent_store(struct incoherent *incoherent, u64 address,
		      unsigned int size, unsigned int cached);
void incoherent_written_back(struct incoherent *incoherent, u64 address,
			     u32 mask);
void incoherent_dropped(struct incoherent *incoherent, u64 address, u32 mask);
void incoherent_give(struct incoherent *incoherent, const struct model *model,
		     const struct buffer *buffer);
void incoherent_take(struct incoherent *incoherent, const struct model *model,
		     const struct buffer *buffer);

#endif
