/* cpu.h - which CPU this thread runs on, and how many this process may use. */
#ifndef SH_OS_CPU_H
#define SH_OS_CPU_H

#include "base/bits.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __GLIBC__ /* the next line means nothing to other libcs */
#if __GLIBC_PREREQ(2, 35)
#define SH_CPU_RSEQ 1
#include <sys/rseq.h>
#pragma weak __rseq_offset /* a glibc that is older than the one compiled with does not have them */
#pragma weak __rseq_size
#endif
#endif

/* The same, asked of the kernel. */
uint32_t sh_cpu_current_slow(void);

/* The CPU that this thread runs on, or ran on a moment ago: a hint. With glibc's restartable sequences it is read from
 * the thread's own memory, which the kernel keeps up to date, in about a nanosecond. */
static inline uint32_t sh_cpu_current(void)
{
#ifdef SH_CPU_RSEQ
    if (sh_likely(&__rseq_size && __rseq_size)) {
        const char *area = (const char *)__builtin_thread_pointer() + __rseq_offset;
        uint32_t cpu = *(const volatile uint32_t *)(const void *)(area + offsetof(struct rseq, cpu_id));
        if (sh_likely((int32_t)cpu >= 0)) /* negative: not registered */
            return cpu;
    }
#endif
    return sh_cpu_current_slow();
}

/* How many CPUs this process may use: by its affinity, and by its control group's quota (a part of a CPU counts as
 * one). At least 1. */
int sh_cpu_count(void);

#endif
