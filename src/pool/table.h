/* table.h - the slots that jobs lie in, as main uses and reuses them. */
#ifndef SH_POOL_TABLE_H
#define SH_POOL_TABLE_H

#include "pool/pool.h"

/* Under put: a free slot, PRIVATE, with the next generation; -ENOBUFS where there is none (then grow). */
int sh_table_take(shoal_pool *pool, uint32_t *ret_index);

/* With nothing held: make more slots. -ENOMEM, -ENOSPC; -EAGAIN where there are as many as there may be. */
int sh_table_grow(shoal_pool *pool);

/* Under put: put a future at the end of a list. */
void sh_table_append(shoal_pool *pool, struct sh_future_list *list, struct shoal_future *future);

/* With nothing held: take a job apart that is DONE and main's alone, and give its slot back. */
void sh_table_release(shoal_pool *pool, struct shoal_future *future);

/* Free all blocks of all jobs: the pool is being destroyed. And what is main's own when it has died (a tag): forget
 * blocks that were not handed over. */
void sh_table_destroy(struct sh_pool_shared *shared);
void sh_table_bury(struct sh_pool_shared *shared, uint32_t tag);

#endif
