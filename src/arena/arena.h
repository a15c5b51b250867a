/* arena.h - the family's memory: one sparse file without a name, mapped once by each process, named by offsets.
 *
 *     offset 0        struct sh_arena_shared: constants, counters, the member table
 *     map_offset      one 64-bit entry for each granule of the reserve (arena/span.h)
 *     heap_offset     granules of 64 KiB: spans of them are slabs of blocks (arena/block.h)
 *
 * Offsets are from the base of the mapping, so they mean the same in every process; 0 is the header and stands for
 * "none". Pages are reserved with the kernel before they are touched for the first time, so memory that runs out is an
 * error from the call that asked and never a fault later. */
#ifndef SH_ARENA_ARENA_H
#define SH_ARENA_ARENA_H

#include "arena/member.h"
#include "arena/transit.h"
#include "base/bits.h"
#include "os/mutex.h"
#include "os/word.h"

#include <shoal/arena.h>
#include <stdint.h>

#define SH_ARENA_MAGIC 0x616c616f68730000u /* "\0\0shoala" */
#define SH_ARENA_LAYOUT 2                  /* counts up with every change of what lies in the arena */
#define SH_GRANULE 65536u
#define SH_CLASS_COUNT 64

/* The head of the arena.
 *
 * The first group is written once, before any other process can map the arena. `word` protects the span map, `top`,
 * `committed` and the slab lists' heads; each of them changes by single stores that leave the heap walkable (see
 * arena/span.h). `reclaim` is held by whoever takes back what a dead member held: it is a libc mutex because words are
 * taken under it. The counters are written with relaxed adds and are exact while nobody dies inside an add. */
struct sh_arena_shared {
    uint64_t magic;
    uint32_t layout;
    uint32_t page_size;
    uint64_t family;
    uint64_t reserve;
    uint64_t limit;
    uint64_t pid_namespace; /* thread ids mean something only within one */

    _Alignas(SH_CACHE_LINE) struct sh_word word;
    _Atomic uint64_t top;                   /* first granule, from the heap's begin, that no span has */
    _Atomic uint64_t map_committed;         /* bytes of the span map that are reserved */
    _Atomic uint64_t committed;             /* bytes reserved in all */
    _Atomic uint64_t committing;            /* of them: bytes of a slab that is being made */
    _Atomic int64_t warm;                   /* of them: bytes of large blocks that are free and kept warm, about */
    _Atomic uint64_t slabs[SH_CLASS_COUNT]; /* newest slab of each class: its offset, or 0 */

    _Alignas(SH_CACHE_LINE) struct sh_mutex reclaim;
    _Atomic uint64_t burying; /* the object that the holder of reclaim mends; written under word */
    _Atomic uint64_t deaths;
    _Atomic uint64_t reclaimed;
    _Atomic uint32_t next_generation; /* of objects */
    _Atomic uint32_t member_top;      /* slots at and above this were never used */
    _Atomic uint64_t roots[8];        /* offsets that upper layers find their objects by */

    _Alignas(SH_CACHE_LINE) struct sh_transit transit;
    _Alignas(SH_CACHE_LINE) struct sh_member members[SH_MEMBERS_MAX];
};

/* This process's view of its family's arena. Written once when it is made or mapped; fork copies it. What follows from
 * the reserve is not asked of shared memory, so that whoever writes over that leads nobody out of the mapping. */
struct sh_arena {
    char *base; /* NULL: no family yet */
    struct sh_arena_shared *shared;
    uint64_t reserve;
    uint64_t map_offset;
    uint64_t heap_offset;
    uint64_t direct_minimum; /* blocks of more bytes than this have a span of their own */
    uint64_t granules;       /* of the heap */
    int fd;
};

extern struct sh_arena sh_arena;

/* Make or find this process's family; attach to it where this process (a forked child) has not. Every entry of the
 * library that needs the arena begins with this. */
int sh_arena_enter_slowly(void);

static inline int sh_arena_enter(void)
{
    return sh_likely(sh_member_is_attached()) ? 0 : sh_arena_enter_slowly();
}

/* The same in a child that its parent expected (arena/member.h): it becomes that member. */
int sh_arena_enter_as(uint32_t expected);

/* Map the family's arena in a process that was started afresh and handed the descriptor. The descriptor is the
 * library's on success. -EINVAL where it is no arena, -EPROTO where a library of another layout made it, -EXDEV from
 * another pid namespace, -EBUSY where this process has another family. */
int sh_arena_join(int fd);

/* Address and offset. The offset must be one that the arena gave out: see sh_block_find for what comes from others. */
static inline void *sh_at(uint64_t offset)
{
    return sh_arena.base + offset;
}

static inline uint64_t sh_offset(const void *address)
{
    return (uint64_t)((const char *)address - sh_arena.base);
}

/* Whether size bytes at offset lie inside the reserve, behind the head. */
static inline int sh_arena_contains(uint64_t offset, uint64_t size)
{
    uint64_t reserve = sh_arena.reserve;
    return offset >= sh_arena.heap_offset && offset <= reserve && size <= reserve - offset;
}

/* Count bytes that are about to be reserved, -ENOMEM beyond the limit; and bytes that were given back. Called with
 * the word held, together with the store that says which pages are meant: who takes the word after a death in
 * between counts anew what those stores say (sh_block_recover). */
int sh_arena_charge(uint64_t size);
void sh_arena_refund(uint64_t size);

/* Have the pages of a range that is charged; give them back before it is refunded. */
int sh_arena_reserve(uint64_t offset, uint64_t size);
void sh_arena_release(uint64_t offset, uint64_t size);

/* The equations between the head's fields, and all spans and blocks. Nobody else may be allocating. */
int sh_arena_check(void);

#endif
