/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands in for the kernel's headers when its parsers are compiled for
 * the host. `scripts/cma fuzz` cuts everything else that they need out of the
 * kernel tree; a name that is defined here is not looked for there.
 */
#ifndef _FUZZ_KERNEL_H
#define _FUZZ_KERNEL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <limits.h>

/* The configuration of the laboratory's kernels, as far as parsers see it */
#define CONFIG_CMA_AREAS	8
#define CONFIG_KUNIT		1
#define CONFIG_DMA_CMA		1
#define IS_ENABLED(option)	1

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
/* 32 bits on ARM, 64 with LPAE */
#ifdef FUZZ_LPAE
typedef u64 phys_addr_t;
#else
typedef u32 phys_addr_t;
#endif

/* The host's headers have these two, too. */
#undef __always_inline
#undef __CONCAT

#define __init
#define __initconst
#define __initdata		__attribute__((unused))
#define __ro_after_init		__attribute__((unused))
#define __maybe_unused		__attribute__((unused))
#define __must_check		__attribute__((warn_unused_result))
#define __always_inline		inline __attribute__((always_inline))
#define noinline		__attribute__((noinline))
#define fallthrough		__attribute__((fallthrough))
#define likely(x)		(x)
#define unlikely(x)		(x)
#define VISIBLE_IF_KUNIT

#define U64_MAX			UINT64_MAX
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define min_t(type, a, b)	((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define max_t(type, a, b)	((type)(a) > (type)(b) ? (type)(a) : (type)(b))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define check_add_overflow(a, b, sum)	__builtin_add_overflow(a, b, sum)
#define check_sub_overflow(a, b, diff)	__builtin_sub_overflow(a, b, diff)
#define check_mul_overflow(a, b, prod)	__builtin_mul_overflow(a, b, prod)

__attribute__((format(printf, 1, 2))) void fuzz_log(const char *format, ...);
#define pr_err(...)		fuzz_log(__VA_ARGS__)
#define pr_warn(...)		fuzz_log(__VA_ARGS__)
#define pr_notice(...)		fuzz_log(__VA_ARGS__)
#define pr_info(...)		fuzz_log(__VA_ARGS__)
#define pr_debug(...)		fuzz_log(__VA_ARGS__)

#endif /* _FUZZ_KERNEL_H */
