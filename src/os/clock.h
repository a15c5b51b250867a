/* clock.h - deadlines: moments of the monotonic clock, in nanoseconds. */
#ifndef SH_OS_CLOCK_H
#define SH_OS_CLOCK_H

#include <shoal/base.h>
#include <time.h>

/* The deadline that never comes, and the one that is always past: do not wait at all. */
#define SH_DEADLINE_NEVER INT64_MAX
#define SH_DEADLINE_PAST INT64_MIN

static inline int64_t sh_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The same to a few milliseconds, at a quarter of the cost. */
static inline int64_t sh_clock_coarse(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The deadline that a timeout of the API means, counted from now. */
static inline int64_t sh_clock_deadline(int64_t timeout)
{
    if (timeout <= 0)
        return SH_DEADLINE_PAST;
    int64_t now = sh_clock_now();
    return timeout < SH_DEADLINE_NEVER - now ? now + timeout : SH_DEADLINE_NEVER;
}

static inline struct timespec sh_clock_timespec(int64_t moment)
{
    return (struct timespec){.tv_sec = moment / 1000000000, .tv_nsec = moment % 1000000000};
}

#endif
