/* spin.h - looking again and again for a short while, before going to sleep.
 *
 *     struct sh_spin spin = {0};
 *
 *     while (sh_spin_goes_on(&spin, other_cpu))
 *         for (int i = 0; i < SH_SPIN_LOOKS; i++) {
 *             if (it is there)
 *                 return 1;
 *             sh_pause();
 *         }
 *
 * other_cpu is where the other side, whose work is waited for, was last seen: on the same CPU spinning would only keep
 * it from running. On another, spinning lasts a little longer than it takes the kernel to put this thread to sleep and
 * to wake it again, so it costs at most twice what sleeping would. */
#ifndef SH_OS_SPIN_H
#define SH_OS_SPIN_H

#include "base/atomic.h"
#include "os/clock.h"
#include "os/cpu.h"

#define SH_SPIN_TIME 15000 /* nanoseconds */
#define SH_SPIN_LOOKS 32   /* between two looks at the clock */

struct sh_spin {
    uint32_t rounds;
    int64_t end;
};

/* Whether to look SH_SPIN_LOOKS times more. The first round comes before any look at the clock. */
static inline int sh_spin_goes_on(struct sh_spin *spin, uint32_t other_cpu)
{
    if (other_cpu == sh_cpu_current())
        return 0;
    if (spin->rounds++ == 0)
        return 1;
    int64_t now = sh_clock_now();
    if (spin->end == 0)
        spin->end = now + SH_SPIN_TIME;
    return now < spin->end;
}

#endif
