/* slab.h - making slabs, and the pages under their blocks. */
#ifndef SH_ARENA_SLAB_H
#define SH_ARENA_SLAB_H

#include "arena/block.h"
#include "arena/span.h"

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
