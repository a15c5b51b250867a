/* slab.h - making slabs, and the pages under their blocks. */
#ifndef SH_ARENA_SLAB_H
#define SH_ARENA_SLAB_H

#include "arena/block.h"
#include "arena/span.h"

/* Whether a slab's header, which a process that went wrong may have written over, leads nobody out of its span. */
static inline int sh_slab_fits(const struct sh_slab *slab, uint64_t bytes)
{
    uint64_t blocks = slab->blocks, size = slab->block_size, first = slab->first;
    uint64_t header = sizeof *slab + blocks * (sizeof(uint32_t) + slab->paged);
    uint64_t room = bytes - first;

    /* One branch: all of it is in one line. */
    return sh_likely((slab->paged <= 1) & (header <= first) & (first <= bytes) & (size - 1 < room) &
                     (blocks * size <= room) & ((first | size) % SH_CACHE_LINE == 0));
}

/* The slab of a span; NULL where it is none. */
static inline struct sh_slab *sh_slab_of(const struct sh_span *span)
{
    struct sh_slab *slab = sh_at(sh_span_offset(span->head));

    return span->kind == SH_SPAN_SLAB && sh_slab_fits(slab, span->length * SH_GRANULE) ? slab : NULL;
}

/* The slab of this class at an offset that a list names; NULL where none is there. */
struct sh_slab *sh_slab_at(uint64_t offset, uint32_t class);

/* The next older slab of its class; NULL behind the last. */
struct sh_slab *sh_slab_older(const struct sh_slab *slab);

/* Make one more slab of a class and take its first block. */
int sh_slab_add(uint32_t class, struct sh_block *ret_block);

/* Take a block of its own for size bytes, one that is kept warm where there is one that fits. */
int sh_slab_take_direct(uint64_t size, struct sh_block *ret_block);

/* Have the pages of a block that this process has just taken. On failure the block is given back. */
int sh_slab_warm_up(const struct sh_block *block);

/* Give the pages of a large block, which this process owns and is about to free, back to the kernel where enough are
 * kept warm. Returns 1 where it has freed the block itself. */
int sh_slab_cool_down(const struct sh_block *block);

/* Free a block that this process owns, as it is; and one of a dead member, whatever it was doing with it. */
void sh_slab_share(const struct sh_block *block);
void sh_slab_reclaim(const struct sh_block *block);

/* Count anew what is kept warm: after a death the counter may be off by what the dead one was about to take. */
void sh_slab_recount_warm(void);

/* What `committed` must be: the sum of all that is charged. Exact while nobody changes it. */
uint64_t sh_slab_all_charged(void);

/* Whether a block's pages are reserved. */
int sh_slab_is_committed(const struct sh_slab *slab, uint32_t index);

#endif
