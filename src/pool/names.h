/* names.h - task functions by name, for workers that are not copies of main: the pool keeps each name once, in a block
 * of its own, and jobs name the block. */
#ifndef SH_POOL_NAMES_H
#define SH_POOL_NAMES_H

#include "pool/pool.h"

/* Main: what a job says of its function. -ENOENT where workers need a name and it has none; -ENOMEM. */
int sh_names_tell(shoal_pool *pool, shoal_task_function *function, uint64_t *ret_word);

/* Worker: the function of a job; NULL where this program has none of that name. */
shoal_task_function *sh_names_find(const struct sh_pool_shared *shared, uint64_t word);

/* The same for a binding, which names functions in its own way: keep these bytes for as long as the pool, once for each
 * function. The word's lowest three bits are 0. And what they were, in main and in workers. */
int sh_names_keep(shoal_pool *pool, const void *text, size_t size, uint64_t *ret_word);
struct shoal_bytes sh_names_text(uint64_t word);

/* Main: a name to stand in the pool's body, "" for NULL. -ENOENT. Worker: what it stands for. */
int sh_names_write(const struct sh_pool_shared *shared, shoal_pool_initializer *function,
                   struct sh_pool_hook *ret_hook);
shoal_pool_initializer *sh_names_read(const struct sh_pool_shared *shared, const struct sh_pool_hook *hook);

/* Main: free what is private memory of all this. */
void sh_names_forget(shoal_pool *pool);

/* Free all names: the pool is being destroyed. Main has died: forget one that was not handed over. */
void sh_names_destroy(struct sh_pool_shared *shared);
void sh_names_bury(struct sh_pool_shared *shared, uint32_t tag);

#endif
