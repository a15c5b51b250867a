/* wait.h - main's threads waiting: for a job, an item, room, or anything, and what they do meanwhile.
 *
 * A thread that waits runs the callbacks that are due, and sees to it that there is a keeper. Where jobs are out whose
 * end main wants to see by itself (callbacks, jobs whose futures were dropped) it sleeps on the pool's event, else on
 * the word of the job that it waits for. */
#ifndef SH_POOL_WAIT_H
#define SH_POOL_WAIT_H

#include "pool/pool.h"

/* One wait of one call. Begin with {.timeout = t}. */
struct sh_wait {
    int64_t timeout;
    int64_t deadline; /* once started */
    int is_started;
};

typedef int sh_wait_condition(shoal_pool *pool, const void *context);

/* Wait until the condition holds, sleeping on this word, or the pool's event where word is NULL. 0, -EAGAIN,
 * -ETIMEDOUT, -EINTR. */
int sh_wait_until(shoal_pool *pool, struct sh_word *word, sh_wait_condition *holds, const void *context,
                  struct sh_wait *wait);

/* Wait until there may be room for one more job: as above. */
int sh_wait_room(shoal_pool *pool, struct sh_wait *wait, int (*has_room)(struct sh_pool_shared *shared));

/* See which listed jobs have ended: free those whose futures were dropped, and note the callbacks that are due. Returns
 * how many jobs it saw. */
unsigned sh_wait_collect(shoal_pool *pool);

/* Under put: the callback of this future is due. */
void sh_wait_note(shoal_pool *pool, struct shoal_future *future);

/* Run the callbacks that are due, with nothing held: returns how many. */
int sh_wait_call(shoal_pool *pool);

#endif
