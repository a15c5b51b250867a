/* ring.h - the ring of records under a queue, and the positions in it.
 *
 * A queue's records lie in a chain of rings. Producers go on to a new, larger ring where the last one is full;
 * consumers follow, and free the one they leave. A position is a 64-bit word: how many messages came before it (upper
 * 32 bits) and where it is, in units of 8 bytes from the queue's beginning (lower 32 bits), both modulo 2^32. One store
 * of the queue's tail, or head, moves count and place together.
 *
 * Ring r holds the units from r->base on, each at index (unit - base) modulo units. Records never wrap: what is left
 * at a ring's end is padded. The last three units of room are kept for the record that leads to the next ring. */
#ifndef SH_QUEUE_RING_H
#define SH_QUEUE_RING_H

#include "arena/arena.h"

#include <stdint.h>

#define SH_RING_UNIT 8u
#define SH_RING_INLINE 1024u /* bytes of the largest message that lies in the ring itself */
#define SH_RING_LEAST 512u   /* units of the smallest ring: 4 KiB */
#define SH_RING_MOST 131072u /* and of the largest: 1 MiB */
#define SH_RING_LEAD 3u      /* units kept for a record that leads on */

enum sh_record_kind {
    SH_RECORD_INLINE, /* size bytes follow */
    SH_RECORD_BLOCK,  /* struct sh_record_block follows */
    SH_RECORD_PAD,    /* nothing until the ring's end */
    SH_RECORD_LEAD,   /* the next ring's offset follows */
};

/* Begin of a record: one unit. */
struct sh_record {
    uint32_t size;
    uint32_t kind;
};

struct sh_record_block {
    uint64_t offset;
    uint64_t size;
};

/* units and base are written before the ring is part of a queue. data is written by producers, under the tail lock,
 * from tail on, and read by consumers, under the head lock, from head to tail. */
struct sh_ring {
    uint32_t units; /* a power of two */
    uint32_t base;
    char data[];
};

typedef uint64_t sh_position;

static inline sh_position sh_position_make(uint32_t count, uint32_t unit)
{
    return (uint64_t)count << 32 | unit;
}

static inline uint32_t sh_position_count(sh_position position)
{
    return (uint32_t)(position >> 32);
}

static inline uint32_t sh_position_unit(sh_position position)
{
    return (uint32_t)position;
}

/* Bytes of a ring with this many units. */
static inline uint64_t sh_ring_bytes(uint32_t units)
{
    return sizeof(struct sh_ring) + (uint64_t)units * SH_RING_UNIT;
}

/* The ring at an offset that shared memory names; NULL where a process that went wrong has written over the one or the
 * other, and it would lead out of the arena. */
static inline struct sh_ring *sh_ring_at(uint64_t offset)
{
    uint64_t room = sh_arena.reserve - offset; /* wraps to more than any arena has where it lies beyond */

    if (sh_unlikely((offset < sh_arena.heap_offset) | (room > sh_arena.reserve) | (room < sizeof(struct sh_ring)) |
                    (offset % SH_RING_UNIT != 0)))
        return NULL;
    struct sh_ring *ring = sh_at(offset);
    uint32_t units = ring->units;
    int is_ring = (units - SH_RING_LEAST <= SH_RING_MOST - SH_RING_LEAST) & (sh_ring_bytes(units) <= room) &
                  ((units & (units - 1)) == 0);
    return sh_likely(is_ring) ? ring : NULL;
}

static inline struct sh_record *sh_ring_record(struct sh_ring *ring, uint32_t unit)
{
    uint32_t index = (unit - ring->base) & (ring->units - 1);
    return (struct sh_record *)(void *)(ring->data + (size_t)index * SH_RING_UNIT);
}

static inline uint32_t sh_ring_left(const struct sh_ring *ring, uint32_t unit)
{
    return ring->units - ((unit - ring->base) & (ring->units - 1)); /* units before the ring's end */
}

/* Units that a record with this many bytes behind its begin takes. */
static inline uint32_t sh_record_units(uint64_t bytes)
{
    return 1 + (uint32_t)((bytes + SH_RING_UNIT - 1) / SH_RING_UNIT);
}

#endif
