/* futex.h - sleep on a 32-bit word that several processes map, and wake who sleeps there.
 *
 * A sleeper gives a mask of one or more bits, a waker wakes only those whose masks share a bit with its own. */
#ifndef SH_OS_FUTEX_H
#define SH_OS_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

#define SH_FUTEX_ALL 0xffffffffu

/* Sleep while *word is value, until the deadline (os/clock.h). 0 when woken, -EAGAIN where *word is something else,
 * -ETIMEDOUT, -EINTR after a signal handler that does not restart. */
int sh_futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t mask, int64_t deadline);

/* One of several words to sleep on, while it has this value. */
struct sh_futex_place {
    _Atomic uint32_t *word;
    uint32_t value;
};

#define SH_FUTEX_PLACES_MAX 10

/* Sleep while all of these words have their values, with all mask bits: the index of the one that it was woken by, or
 * an error as above. Kernels before 5.16 cannot: there it sleeps on the first alone, for a few milliseconds at most,
 * and returns 0. */
int sh_futex_wait_any(const struct sh_futex_place *places, unsigned count, int64_t deadline);

/* Wake up to count sleepers; returns how many. */
int sh_futex_wake(_Atomic uint32_t *word, uint32_t mask, int count);

#endif
