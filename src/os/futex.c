/* futex.c - the futex system calls. */
#include "os/futex.h"

#include "base/atomic.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How long a sleep on two words lasts where the kernel can only watch one of them. */
#define FALLBACK_NAP 5000000

int sh_futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t mask, int64_t deadline)
{
    struct timespec until = {0};
    struct timespec *limit = NULL;

    if (deadline != SH_DEADLINE_NEVER) {
        if (deadline > 0)
            until = sh_clock_timespec(deadline);
        limit = &until;
    }
    long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, limit, NULL, mask);
    return r < 0 ? -errno : 0;
}

int sh_futex_wait_two(_Atomic uint32_t *word, uint32_t value, _Atomic uint32_t *other, uint32_t other_value,
                      int64_t deadline)
{
#ifdef SYS_futex_waitv
    struct futex_waitv words[2] = {
        {.val = value, .uaddr = (uintptr_t)word, .flags = FUTEX_32},
        {.val = other_value, .uaddr = (uintptr_t)other, .flags = FUTEX_32},
    };
    struct timespec until = {0};
    struct timespec *limit = NULL;

    if (deadline != SH_DEADLINE_NEVER) {
        if (deadline > 0)
            until = sh_clock_timespec(deadline);
        limit = &until;
    }
    if (syscall(SYS_futex_waitv, words, 2, 0, limit, CLOCK_MONOTONIC) >= 0)
        return 0;
    if (errno != ENOSYS)
        return -errno;
#endif
    if (sh_load_acquire(other) != other_value)
        return -EAGAIN;
    int64_t nap = sh_clock_now() + FALLBACK_NAP;
    int r = sh_futex_wait(word, value, SH_FUTEX_ALL, nap < deadline ? nap : deadline);
    return r == -ETIMEDOUT && nap < deadline ? 0 : r;
}

int sh_futex_wake(_Atomic uint32_t *word, uint32_t mask, int count)
{
    long r = syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count, NULL, NULL, mask);
    return r < 0 ? -errno : (int)r;
}
