/* pools.h - what the tests of pools share: opening and ending a pool, and small task functions. */
#ifndef TESTS_POOLS_H
#define TESTS_POOLS_H

#include "arena/block.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "harness.h"
#include "pool/pool.h"
#include "pool/turn.h"

#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline shoal_pool *open_pool(unsigned workers)
{
    shoal_pool *pool;
    CHECK_OK(shoal_pool_open(&(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = workers}, &pool));
    return pool;
}

static inline uint64_t blocks_in_use(void)
{
    struct shoal_arena_stats stats;
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&stats));
    return stats.blocks;
}

/* Close, join and free, and see that nothing is left in the arena. */
static inline void end_pool(shoal_pool *pool)
{
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    if (sh_pool_check(&pool->shared->object) != 0)
        FAIL("pool: %s", sh_check_note);
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}

/* --- task functions --- */

static inline int square(shoal_task *task)
{
    int x;
    int r = shoal_task_arg(task, &x, sizeof x);
    return r < 0 ? r : shoal_task_return(task, &(int){x * x}, sizeof(int));
}

static inline int echo(shoal_task *task)
{
    struct shoal_bytes item;
    int r = shoal_task_data(task, &item);
    return r < 0 ? r : shoal_task_return(task, item.data, item.size);
}

static inline int nothing(shoal_task *task)
{
    (void)task;
    return 0;
}

static inline int number_of_item(shoal_task *task)
{
    uint64_t item = shoal_task_item(task);
    return shoal_task_return(task, &item, sizeof item);
}

static inline int fail_odd(shoal_task *task)
{
    int x;
    shoal_task_arg(task, &x, sizeof x);
    if (x % 2)
        return x % 3 ? -ERANGE : shoal_task_fail(task, -ENOTTY, "%d is odd", x);
    return shoal_task_return(task, &x, sizeof x);
}

static inline int nap(shoal_task *task)
{
    int milliseconds;
    shoal_task_arg(task, &milliseconds, sizeof milliseconds);
    usleep((useconds_t)milliseconds * 1000);
    return shoal_task_return(task, &milliseconds, sizeof milliseconds);
}

static inline int own_pid(shoal_task *task)
{
    pid_t pid = getpid();
    return shoal_task_return(task, &pid, sizeof pid);
}

static inline shoal_future *submit(shoal_pool *pool, shoal_task_function *function, int argument)
{
    shoal_future *future;
    CHECK_OK(shoal_pool_submit(pool, NULL, function, &argument, sizeof argument, 1, &future));
    return future;
}

/* A producer for imap: numbers from next up to end, then error. */
struct counting {
    int next, end, error;
    int value;
};

static inline int count_up(void *context, struct shoal_bytes *ret_item)
{
    struct counting *counting = context;

    if (counting->next == counting->end)
        return counting->error;
    counting->value = counting->next++;
    *ret_item = (struct shoal_bytes){&counting->value, sizeof counting->value};
    return 1;
}

#endif
