/* table.h - the slots that jobs lie in, as main uses and reuses them. */
#ifndef SH_POOL_TABLE_H
#define SH_POOL_TABLE_H

#include "pool/pool.h"

/* Make the first slots ready, while the pool is opened. */
void sh_table_begin(shoal_pool *pool);

/* Under put: a free slot, PRIVATE, with the next generation; -ENOBUFS where there is none (then grow). */
int sh_table_take(shoal_pool *pool, uint32_t *ret_index);

/* Under put: the slot that sh_table_take will probably give next; 0: not known. */
uint32_t sh_table_next(shoal_pool *pool);

/* With nothing held: make more slots. -ENOMEM, -ENOSPC; -EAGAIN where there are as many as there may be. */
int sh_table_grow(shoal_pool *pool);

/* Under put: put a future at the end of a list. */
void sh_table_append(shoal_pool *pool, struct sh_future_list *list, struct shoal_future *future);

/* A job that is DONE, and main's alone: whether it has blocks; free them, with nothing held; give its slot, which has
 * none, back, under put. */
int sh_table_has_parts(const struct sh_job *job);
void sh_table_free_parts(struct shoal_future *future);
void sh_table_give_back(shoal_pool *pool, struct shoal_future *future);

/* Whether a job's records lie in its block, whatever has been written over it. */
int sh_table_is_whole(const struct sh_job *job);

/* Free all blocks of all jobs: the pool is being destroyed. And what is main's own when it has died (a tag): forget
 * blocks that were not handed over. */
void sh_table_destroy(struct sh_pool_shared *shared);
void sh_table_bury(struct sh_pool_shared *shared, uint32_t tag);

#endif
