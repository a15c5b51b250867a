/* clock.h - time in nanoseconds, and ways to spend it. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Compute for a while; returns how long it was in truth. */
static inline int64_t bench_think(int64_t nanoseconds)
{
    int64_t begin = bench_now();
    int64_t now = begin;
    while (now - begin < nanoseconds)
        now = bench_now();
    return now - begin;
}

static inline void bench_sleep_until(int64_t moment)
{
    struct timespec at;
    at.tv_sec = moment / 1000000000;
    at.tv_nsec = moment % 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, 0) != 0)
        ;
}

static inline void bench_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
