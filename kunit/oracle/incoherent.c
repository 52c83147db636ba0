// SPDX-License-Identifier: GPL-2.0-only
/*
 * Make QEMU behave as if there were caches: data that was not written back is not
 * what a device reads, and what was not invalidated is not what it wrote.
 *
 * QEMU's RAM is what the processor sees. Beside it there is what the memory of
 * the board would have, of pages that were written to through a cache. While a
 * device has a buffer, its dirty bytes are replaced by those of the memory. When
 * the processor takes it back, it gets its own bytes again where its caches are
 * dirty or stale.
 *
 * What a page had before the first store to it is not known, so the first time
 * may go well that should not.
 */

#include <stdlib.h>
#include <string.h>

#include "incoherent.h"

struct copy {
	char memory[GUEST_PAGE];	/* what the memory has */
	char cached[GUEST_PAGE];	/* what the caches had when given away */
	bool given[UNITS_PER_PAGE];
};

struct incoherent {
	struct range ram;
	char *(*host)(u64 address, u64 size);
	struct copy **copies;
	size_t count;
};

/**
 * incoherent_new() - begin to be incoherent
 * @ram: where RAM is
 * @host: where QEMU has it, NULL if that is not known
 *
 * Return: NULL without memory.
 */
struct incoherent *incoherent_new(const struct range *ram,
				  char *(*host)(u64 address, u64 size))
{
	struct incoherent *incoherent = calloc(1, sizeof(*incoherent));

	if (!incoherent)
		return NULL;
	incoherent->ram = *ram;
	incoherent->host = host;
	incoherent->count = (ram->end - ram->start) >> GUEST_PAGE_SHIFT;
	incoherent->copies = calloc(incoherent->count,
				    sizeof(*incoherent->copies));

	return incoherent;
}

/**
 * incoherent_free() - end it; RAM stays as it is
 * @incoherent: may be NULL
 */
void incoherent_free(struct incoherent *incoherent)
{
	if (!incoherent)
		return;
	for (size_t i = 0; i < incoherent->count; i++)
		free(incoherent->copies[i]);
	free(incoherent->copies);
	free(incoherent);
}

static struct copy **find(const struct incoherent *incoherent, u64 address)
{
	if (address < incoherent->ram.start || address >= incoherent->ram.end)
		return NULL;
	return &incoherent->copies[(address - incoherent->ram.start) >>
				   GUEST_PAGE_SHIFT];
}

/* The copy of a page, NULL if there is none yet. */
static struct copy *copy_of(const struct incoherent *incoherent, u64 address)
{
	struct copy **copy = find(incoherent, address);

	return copy ? *copy : NULL;
}

static void copy_bytes(char *to, const char *from, u32 mask)
{
	for (unsigned int i = 0; i < UNIT; i++) {
		if (mask >> i & 1)
			to[i] = from[i];
	}
}

static bool is_given(const struct copy *copy, u64 address)
{
	return copy->given[address % GUEST_PAGE / UNIT];
}

/**
 * incoherent_store() - the processor has written
 * @incoherent: the state
 * @address: physical
 * @size: bytes, inside of one page
 * @cached: CACHED_ flags of caches that are in use
 */
void incoherent_store(struct incoherent *incoherent, u64 address,
		      unsigned int size, unsigned int cached)
{
	struct copy **copy = find(incoherent, address);
	u64 page = address & ~(u64)(GUEST_PAGE - 1);
	bool written = !(cached & (CACHED_INNER | CACHED_OUTER));
	char *host;

	if (!copy || (!*copy && written))
		return;
	host = incoherent->host(page, GUEST_PAGE);
	if (!host)
		return;
	if (!*copy) {
		*copy = calloc(1, sizeof(**copy));
		if (*copy)
			memcpy((*copy)->memory, host, GUEST_PAGE);
		return;
	}
	for (u64 at = address; at < address + size; at++) {
		unsigned int offset = at % GUEST_PAGE;

		if (written)
			(*copy)->memory[offset] = host[offset];
		/* or it would be overwritten when the buffer is taken back */
		else if (is_given(*copy, at))
			(*copy)->cached[offset] = host[offset];
	}
}

/**
 * incoherent_written_back() - dirty bytes have reached the memory
 * @incoherent: the state
 * @address: physical, of a unit
 * @mask: which bytes of it
 */
void incoherent_written_back(struct incoherent *incoherent, u64 address,
			     u32 mask)
{
	struct copy *copy = copy_of(incoherent, address);
	char *host = incoherent->host(address, UNIT);
	unsigned int offset = address % GUEST_PAGE;

	if (!copy || !host)
		return;
	/* The device, which has the buffer, sees it from now on. */
	if (is_given(copy, address))
		copy_bytes(host, copy->cached + offset, mask);
	copy_bytes(copy->memory + offset, host, mask);
}

/**
 * incoherent_dropped() - dirty bytes are lost, so the memory is what is seen
 * @incoherent: the state
 * @address: physical, of a unit
 * @mask: which bytes of it
 */
void incoherent_dropped(struct incoherent *incoherent, u64 address, u32 mask)
{
	struct copy *copy = copy_of(incoherent, address);
	char *host = incoherent->host(address, UNIT);

	/* While a device has the buffer, RAM is the memory already. */
	if (copy && host && !is_given(copy, address))
		copy_bytes(host, copy->memory + address % GUEST_PAGE, mask);
}

/**
 * incoherent_give() - a device reads what the memory has
 * @incoherent: the state
 * @model: knows what is dirty
 * @buffer: what the device gets
 */
void incoherent_give(struct incoherent *incoherent, const struct model *model,
		     const struct buffer *buffer)
{
	u64 at = buffer->range.start & ~(u64)(UNIT - 1);

	for (; at < buffer->range.end; at += UNIT) {
		struct copy *copy = copy_of(incoherent, at);
		char *host = incoherent->host(at, UNIT);
		unsigned int offset = at % GUEST_PAGE;

		if (!copy || !host)
			continue;
		/* what a second buffer in the unit sees is not the caches' */
		if (!is_given(copy, at))
			memcpy(copy->cached + offset, host, UNIT);
		copy->given[offset / UNIT] = true;
		copy_bytes(host, copy->memory + offset,
			   model_dirty(model, at));
	}
}

/**
 * incoherent_take() - the processor sees what its caches have, if anything
 * @incoherent: the state
 * @model: knows what is dirty or stale; not told yet that it is taken
 * @buffer: what the processor gets
 */
void incoherent_take(struct incoherent *incoherent, const struct model *model,
		     const struct buffer *buffer)
{
	u64 at = buffer->range.start & ~(u64)(UNIT - 1);

	for (; at < buffer->range.end; at += UNIT) {
		struct copy *copy = copy_of(incoherent, at);
		char *host = incoherent->host(at, UNIT);
		unsigned int offset = at % GUEST_PAGE;
		u32 own;

		if (!copy || !host || !copy->given[offset / UNIT])
			continue;
		copy->given[offset / UNIT] = false;
		own = model_stale(model, at) ? ~0u : model_dirty(model, at);
		copy_bytes(copy->memory + offset, host, ~own);
		copy_bytes(host, copy->cached + offset, own);
	}
}
