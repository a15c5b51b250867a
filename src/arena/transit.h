/* transit.h - the objects that are under way: a table of those whose names were sent, and not yet received.
 *
 * A name alone keeps nothing alive. Who sends one, and may let go of the object before the receiver has it, enters the
 * object here (sh_object_send); who has received it takes the entry out (sh_object_receive). While an entry stands, the
 * object is not destroyed, whoever dies. Messages get lost, and names are received twice or never, so this is a ring:
 * the entry that is SH_TRANSIT_MAX sends old is pushed out. */
#ifndef SH_ARENA_TRANSIT_H
#define SH_ARENA_TRANSIT_H

#include "base/atomic.h"

#include <stdint.h>

#define SH_TRANSIT_MAX 4096u

/* next: how many entries there ever were. entries[n % SH_TRANSIT_MAX] is the n-th, or 0 where it was received: the
 * object's offset / 64 in the lower 34 bits, the lower bits of n + 1 above. Both are written under the arena's word,
 * but for an entry's removal, a compare-and-swap by who is attached to the object. An entry may be left over of an
 * object that is gone, where who pushed it out died: it keeps what then begins at that offset, until it is pushed out
 * again. */
struct sh_transit {
    _Atomic uint64_t next;
    _Atomic uint64_t entries[SH_TRANSIT_MAX];
};

/* The object that the next entry pushes out: its offset, 0 where there is none. */
uint64_t sh_transit_oldest(const struct sh_transit *transit);

/* Enter an object: a ticket to take it out by; 0 where its offset is too large for the table. */
uint64_t sh_transit_put(struct sh_transit *transit, uint64_t offset);

/* Take an entry out, where it is there still. Any number may be given. */
void sh_transit_take(struct sh_transit *transit, uint64_t ticket);

/* Whether there is an entry for the object: any, or any but the one that the next entry pushes out. */
int sh_transit_has(const struct sh_transit *transit, uint64_t offset, int but_oldest);

#endif
