/* condition.h - what a condition is. */
#ifndef SH_SYNC_CONDITION_H
#define SH_SYNC_CONDITION_H

#include "arena/handle.h"
#include "os/word.h"

#include <shoal/condition.h>

/* What a waiter's record says, in the lower half of its state; the upper half is the tag of the member it belongs to:
 * the waiter's, but for PASSING. A record is FREE where state is 0. */
enum sh_waiter_phase {
    SH_WAITER_FREE,
    SH_WAITER_CLAIMED,  /* being filled; waits for nothing yet */
    SH_WAITER_WAITING,  /* to be notified */
    SH_WAITER_NOTIFIED, /* by a call that notifies some: passed on should the waiter die before it has the lock again */
    SH_WAITER_CALLED,   /* by a call that notifies all, and not yet woken, or the caller died at it */
    SH_WAITER_TOLD,     /* the same, and woken */
    SH_WAITER_PASSING,  /* its waiter died notified, and this member gives the notification to another */
};

/* state is changed by compare-and-swap, or by the member whose tag is in it. tid and ticket are written by the waiter
 * while it is CLAIMED. Lower tickets have waited longer. */
struct sh_waiter {
    _Atomic uint64_t state;
    _Atomic uint64_t ticket;
    _Atomic int32_t tid;
    uint32_t reserved;
};

#define SH_WAITERS_FIRST 8u
#define SH_WAITER_CHUNKS 16u /* chunk n has SH_WAITERS_FIRST << n records */

/* The shared body. Every change is one compare-and-swap, made with the bell announced.
 *
 * tickets: how many have been drawn.
 * told: all waiters with tickets below this have been notified. Goes up by compare-and-swap: that one swap notifies
 * all. Who finds one that still waits, because the notifier died, tells it. bell: where waiters sleep, each on its
 * record's state too; never locked. Notifiers wake by the record. The bell is for the kernel, which wakes one there
 * where a waiter or notifier died; that one looks at all records. chunks: offsets of blocks with more records; they
 * only grow, and are the condition's (SH_OWNER_PART), or still the maker's, until it has handed them over or somebody
 * buries it. */
struct sh_condition_shared {
    struct sh_object object;
    _Atomic uint64_t tickets;
    _Atomic uint64_t told;
    struct sh_word bell;
    _Atomic uint64_t chunks[SH_WAITER_CHUNKS];
    struct sh_waiter first[SH_WAITERS_FIRST];
};

struct shoal_condition {
    struct sh_handle handle;
};

/* waiter.c: the table of records. */

/* Record number index; NULL behind the last. */
struct sh_waiter *sh_waiter_at(struct sh_condition_shared *shared, uint32_t index);

/* Take a record, CLAIMED: -ENOMEM. */
int sh_waiter_claim(struct sh_condition_shared *shared, struct sh_waiter **ret_waiter);

/* Finish what a dead member left half done of the chunks; free them. */
void sh_waiter_bury(struct sh_condition_shared *shared, uint32_t tag);
void sh_waiter_destroy(struct sh_condition_shared *shared);

static inline uint64_t sh_waiter_state(enum sh_waiter_phase phase, uint32_t tag)
{
    return (uint64_t)tag << 32 | (uint32_t)phase;
}

static inline enum sh_waiter_phase sh_waiter_phase_in(uint64_t state)
{
    return (enum sh_waiter_phase)(uint32_t)state;
}

static inline uint32_t sh_waiter_tag_in(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

extern const struct sh_object_kind sh_condition_kind;

#endif
