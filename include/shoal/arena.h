/* arena.h - the memory that a family of processes shares. It makes itself at first use; these calls tune and
 * inspect it. */
#ifndef SHOAL_ARENA_H
#define SHOAL_ARENA_H

#include <shoal/base.h>

struct shoal_arena_options {
    size_t size;      /* SHOAL_OPTIONS(shoal_arena) */
    uint64_t limit;   /* bytes of memory the family may hold at most; 0: four fifths of what the machine, or the
                         control group, has. Rounded up to 64 KiB, at least 1 MiB. */
    uint64_t reserve; /* bytes of address space to map; 0: 1 TiB, or as much as RLIMIT_AS leaves. */
};

struct shoal_arena_stats {
    uint64_t family;    /* the family's id */
    uint64_t reserve;   /* bytes of address space mapped */
    uint64_t limit;     /* bytes of memory it may hold */
    uint64_t committed; /* bytes of memory it holds now: reserved with the kernel, whether in use or warm */
    uint64_t in_use;    /* bytes in blocks that somebody owns (with rounding to size classes) */
    uint64_t blocks;    /* how many such blocks */
    uint64_t objects;   /* how many of them are shared objects (queues, locks, ...) */
    uint32_t processes; /* processes attached now */
    uint32_t processes_max;
    uint64_t reclaimed; /* blocks taken back from processes that died, since the family began */
    uint64_t deaths;    /* processes that died attached, since the family began */
};

SHOAL_BEGIN

/* Make the family's arena with these options. Only needed to change the defaults, and then before anything else:
 * -EBUSY where this process already has a family; -EINVAL for a limit or reserve under 1 MiB; -ENOMEM where not
 * even 1 MiB of address space is left. The environment's SHOAL_ARENA_LIMIT (bytes, with K, M or G) sets the
 * default limit. */
SHOAL_API int shoal_arena_open(const struct shoal_arena_options *options);

/* Measure the arena: a walk over all of it, exact when nobody allocates meanwhile. */
SHOAL_API int shoal_arena_stats(struct shoal_arena_stats *ret_stats);

SHOAL_END

#endif
