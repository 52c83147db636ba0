// SPDX-License-Identifier: GPL-2.0-only
/*
 * System.map of the guest's kernel: an image for booting has no symbols.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

struct symbol {
	u64 address;
	char *name;
};

struct symbols {
	struct symbol *list;
	size_t count;
	u64 end;		/* of the text */
};

static int compare(const void *a, const void *b)
{
	const struct symbol *one = a, *other = b;

	if (one->address != other->address)
		return one->address < other->address ? -1 : 1;
	/* Of several names the last one is shown: memset, not __memset. */
	return strlen(other->name) < strlen(one->name) ? -1 :
	       strlen(other->name) > strlen(one->name) ? 1 :
	       strcmp(one->name, other->name);
}

/* Linker's marks such as $a and $t are no functions. */
static bool is_function(char type, const char *name)
{
	return (tolower(type) == 't' || tolower(type) == 'w') &&
	       name[0] != '$';
}

/**
 * symbols_read() - read the functions of a System.map
 * @path: the file, as nm prints it
 *
 * Return: NULL if it can't be read or has none.
 */
struct symbols *symbols_read(const char *path)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	FILE *file = fopen(path, "r");
	char line[512], name[400], type;
	u64 address;

	while (symbols && file && fgets(line, sizeof(line), file)) {
		struct symbol *list;

		if (sscanf(line, "%llx %c %399s", &address, &type, name) != 3 ||
		    !is_function(type, name))
			continue;
		list = realloc(symbols->list,
			       (symbols->count + 1) * sizeof(*list));
		if (!list)
			break;
		symbols->list = list;
		list[symbols->count].address = address & ~1ull;
		list[symbols->count].name = strdup(name);
		if (list[symbols->count].name)
			symbols->count++;
		if (!strcmp(name, "_etext"))
			symbols->end = address;
	}
	if (file)
		fclose(file);
	if (symbols && !symbols->count) {
		symbols_free(symbols);
		return NULL;
	}
	if (symbols)
		qsort(symbols->list, symbols->count, sizeof(*symbols->list),
		      compare);

	return symbols;
}

/**
 * symbols_free() - forget them
 * @symbols: may be NULL
 */
void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	for (size_t i = 0; i < symbols->count; i++)
		free(symbols->list[i].name);
	free(symbols->list);
	free(symbols);
}

static bool is_called(const char *found, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(found, name, length) &&
	       (!found[length] || !strncmp(found + length, ".constprop", 10) ||
		!strncmp(found + length, ".isra", 5));
}

/**
 * symbols_next() - where the functions of a name begin
 * @symbols: all of them
 * @name: the name, without the suffixes of the compiler
 * @position: 0 at first, is moved on
 *
 * Each file that uses an inline function may have one of its own.
 *
 * Return: The next address, 0 if there is no more.
 */
u64 symbols_next(const struct symbols *symbols, const char *name,
		 size_t *position)
{
	while (*position < symbols->count) {
		const struct symbol *symbol = &symbols->list[(*position)++];

		if (is_called(symbol->name, name))
			return symbol->address;
	}

	return 0;
}

/**
 * symbols_address() - where a function begins
 * @symbols: all of them
 * @name: its name, without the suffixes of the compiler
 *
 * Return: Its address, 0 if there is none.
 */
u64 symbols_address(const struct symbols *symbols, const char *name)
{
	size_t position = 0;

	return symbols_next(symbols, name, &position);
}

/**
 * symbols_name() - which function an address is in
 * @symbols: may be NULL
 * @address: the address
 * @offset: how far in it
 *
 * Return: Its name, NULL if it is in none.
 */
const char *symbols_name(const struct symbols *symbols, u64 address,
			 u64 *offset)
{
	size_t low = 0, high = symbols ? symbols->count : 0;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (symbols->list[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || (symbols->end && address >= symbols->end &&
		     symbols->list[low - 1].address <= symbols->end))
		return NULL;
	*offset = address - symbols->list[low - 1].address;
	return symbols->list[low - 1].name;
}
