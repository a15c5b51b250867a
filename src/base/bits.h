/* bits.h - small arithmetic and hints to the compiler. */
#ifndef SH_BASE_BITS_H
#define SH_BASE_BITS_H

#include <stddef.h>
#include <stdint.h>

#define SH_CACHE_LINE 64

#define sh_likely(x) __builtin_expect(!!(x), 1)
#define sh_unlikely(x) __builtin_expect(!!(x), 0)

#define sh_min(a, b) ((a) < (b) ? (a) : (b))
#define sh_max(a, b) ((a) > (b) ? (a) : (b))

/* The smallest multiple of unit, a power of two, that is not below n. */
#define sh_round_up(n, unit) (((n) + (unit)-1) & ~((__typeof__(n))(unit)-1))

/* The struct that has this member at this address. */
#define sh_container(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Position of the highest bit that is set; n is not 0. */
static inline unsigned sh_log2(uint64_t n)
{
    return 63 - (unsigned)__builtin_clzll(n);
}

/* Fetch the line at this address, to be written: from another CPU's cache in one step instead of two. */
static inline void sh_prefetch_write(const void *address)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address)); /* does nothing where it is not known */
#else
    __builtin_prefetch(address, 1);
#endif
}

/* Tell the processor that this is a loop that waits. */
static inline void sh_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
