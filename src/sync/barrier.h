/* barrier.h - what a barrier is. */
#ifndef SH_SYNC_BARRIER_H
#define SH_SYNC_BARRIER_H

#include "arena/handle.h"
#include "os/word.h"

#include <shoal/barrier.h>

#define SH_BARRIER_RESETS 64

/* The shared body. Every change is one compare-and-swap, made with the bell announced.
 *
 * state: two flags: SH_BARRIER_BROKEN, and SH_BARRIER_RESETTING while a reset is noted, which whoever finds it
 * finishes; then 30 bits of the number of the round that is going on, 16 bits of how many have arrived in it, and 16
 * more bits of its number. A round ends in one swap: with the last arrival, or with the end of a reset. Rounds count
 * from 1. rung: the last round, its number's lower half, whose end has been told to all; written by who told. A hint.
 * bell: where parties sleep; never locked.
 * resets: round r was ended by a reset where resets[r % 64] is r, as noted before it ended; numbers only go up.
 * places: one for each party: in the upper half the round, the lower half of its number, in the lower the tag of the
 *     member that waits in it. Free where it is 0 or of another round. Its index is the party's number.
 *
 * parties never changes. A party takes a place, then counts itself; it counts itself out, then leaves its place. So in
 * each round at least as many places are taken as have arrived, and exactly as many when nobody is in between. */
struct sh_barrier_shared {
    struct sh_object object;
    uint32_t parties;
    _Atomic uint32_t rung;
    _Atomic uint64_t state;
    struct sh_word bell;
    _Atomic uint64_t resets[SH_BARRIER_RESETS];
    _Atomic uint64_t places[];
};

#define SH_BARRIER_BROKEN 1u
#define SH_BARRIER_RESETTING 2u
#define SH_BARRIER_FLAGS 3u

/* A state without flags. */
static inline uint64_t sh_barrier_state(uint64_t round, uint32_t arrived)
{
    return (round & 0x3fffffff) << 2 | (uint64_t)arrived << 32 | round >> 30 << 48;
}

struct shoal_barrier {
    struct sh_handle handle;
};

extern const struct sh_object_kind sh_barrier_kind;

#endif
