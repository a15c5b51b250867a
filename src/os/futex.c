/* futex.c - the futex system calls. */
#include "os/futex.h"

#include "base/atomic.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(FUTEX_32) && !defined(SYS_futex_waitv) /* the kernel's headers know the call, those of libc do not */
#define SYS_futex_waitv 449
#endif

/* How long a sleep on two words lasts where the kernel can only watch one of them. */
#define FALLBACK_NAP 5000000

/* The deadline as the kernel wants it: NULL where it never comes. */
static struct timespec *limit_of(int64_t deadline, struct timespec *storage)
{
    if (deadline == SH_DEADLINE_NEVER)
        return NULL;
    *storage = deadline > 0 ? sh_clock_timespec(deadline) : (struct timespec){0};
    return storage;
}

int sh_futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t mask, int64_t deadline)
{
    struct timespec storage;
    long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, limit_of(deadline, &storage), NULL, mask);

    return r < 0 ? -errno : 0;
}

/* Sleep on the first alone, and look at the others now and then. */
static int nap(const struct sh_futex_place *places, unsigned count, int64_t deadline)
{
    for (unsigned i = 1; i < count; i++)
        if (sh_load_acquire(places[i].word) != places[i].value)
            return -EAGAIN;
    int64_t end = sh_clock_now() + FALLBACK_NAP;
    int r = sh_futex_wait(places[0].word, places[0].value, SH_FUTEX_ALL, end < deadline ? end : deadline);
    return r == -ETIMEDOUT && end < deadline ? 0 : r;
}

int sh_futex_wait_any(const struct sh_futex_place *places, unsigned count, int64_t deadline)
{
#ifdef FUTEX_32
    struct futex_waitv words[SH_FUTEX_PLACES_MAX] = {0};
    struct timespec storage;

    for (unsigned i = 0; i < count; i++)
        words[i] = (struct futex_waitv){.val = places[i].value, .uaddr = (uintptr_t)places[i].word, .flags = FUTEX_32};
    long r = syscall(SYS_futex_waitv, words, count, 0, limit_of(deadline, &storage), CLOCK_MONOTONIC);
    if (r >= 0)
        return (int)r;
    if (errno != ENOSYS && errno != EPERM) /* EPERM: a container's filter that does not know the call */
        return -errno;
#endif
    return nap(places, count, deadline);
}

int sh_futex_wake(_Atomic uint32_t *word, uint32_t mask, int count)
{
    long r = syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count, NULL, NULL, mask);
    return r < 0 ? -errno : (int)r;
}
