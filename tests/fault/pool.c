/* pool.c - pools where the system refuses: to main, to workers, to the keeper, and to a keeper's successor. */
#include "../unit/pools.h"
#include "fault.h"
#include "pool/crew.h"

#include <signal.h>

enum { ITEMS = 20, LARGE = 200000 };

static enum shoal_start how;

SHOAL_REGISTER(square)
SHOAL_REGISTER(echo)

static int open_here(shoal_pool **ret_pool)
{
    return shoal_pool_open(
        &(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 2, .start = how, .initializer = NULL},
        ret_pool);
}

static void no_undo(void)
{
}

/* A pool's whole life. */
static int live(void)
{
    int in[ITEMS], out[ITEMS];
    shoal_pool *pool;
    int r = open_here(&pool);

    if (r < 0)
        return r;
    for (int i = 0; i < ITEMS; i++)
        in[i] = i;
    r = shoal_pool_map(pool, square, in, sizeof *in, ITEMS, out, sizeof *out);
    for (int i = 0; r == 0 && i < ITEMS; i++)
        CHECK_EQ(out[i], i * i);
    int closed = shoal_pool_close(pool);
    if (closed == 0)
        closed = shoal_pool_join(pool, SHOAL_FOREVER);
    shoal_pool_free(pool);
    return r < 0 ? r : closed;
}

TEST_WITHIN(300, a_pool_of_forks_that_is_refused_something_leaves_nothing)
{
    how = SHOAL_START_FORK;
    test_each_fault(live, no_undo);
}

TEST_WITHIN(600, a_pool_by_forkserver_that_is_refused_something_leaves_nothing)
{
    how = SHOAL_START_FORKSERVER;
    test_each_fault(live, no_undo);
}

TEST_WITHIN(600, a_pool_of_spawned_workers_that_is_refused_something_leaves_nothing)
{
    how = SHOAL_START_SPAWN;
    test_each_fault(live, no_undo);
}

TEST_WITHIN(600, a_pool_whose_processes_are_refused_something_leaves_nothing)
{
    how = SHOAL_START_FORK;
    test_each_fault_in(TEST_FAULT_IN_CHILDREN, live, no_undo);
}

/* --- in a pool that is open --- */

/* Only what work does is refused something. */
static int with_pool(int (*work)(shoal_pool *pool))
{
    shoal_pool *pool;

    test_fault_hold();
    how = SHOAL_START_FORK;
    CHECK_OK(open_here(&pool));
    test_fault_release();
    int r = work(pool);
    test_fault_hold();
    shoal_pool_free(pool);
    test_fault_release();
    return r;
}

static int submit_large(shoal_pool *pool)
{
    static char item[LARGE], result[LARGE];
    shoal_future *future;
    int r = shoal_pool_submit(pool, NULL, echo, item, LARGE, 1, &future);

    if (r < 0)
        return r;
    r = shoal_future_wait(future, SHOAL_FOREVER);
    ssize_t size = r < 0 ? r : shoal_future_get(future, 0, result, LARGE, 0);
    shoal_future_free(future);
    return size < 0 ? (int)size : 0;
}

static int use_submit(void)
{
    return with_pool(submit_large);
}

TEST_WITHIN(120, a_task_that_cannot_be_submitted_leaves_nothing)
{
    test_each_fault(use_submit, no_undo);
}

TEST_WITHIN(120, a_task_whose_worker_is_refused_something_ends)
{
    test_each_fault_in(TEST_FAULT_IN_CHILDREN, use_submit, no_undo);
}

static int take_all(shoal_pool *pool)
{
    struct counting numbers = {.next = 0, .end = ITEMS};
    shoal_iterator *iterator;
    int r = shoal_pool_imap(pool, NULL, square, count_up, &numbers, &iterator);

    if (r < 0)
        return r;
    for (;;) {
        struct shoal_bytes result;
        struct shoal_task_error error;
        uint64_t item;
        r = shoal_iterator_next(iterator, &item, &result, &error, SHOAL_FOREVER);
        if (r <= 0)
            break;
    }
    shoal_iterator_free(iterator);
    return r;
}

static int use_imap(void)
{
    return with_pool(take_all);
}

TEST_WITHIN(120, an_iterator_that_is_refused_something_leaves_nothing)
{
    test_each_fault(use_imap, no_undo);
}

/* --- the keeper --- */

/* The pool ends only by a keeper's hand. */
static int lose_keeper(shoal_pool *pool)
{
    struct shoal_pool_stats stats;
    int x = 7, ended;

    test_fault_hold();
    pid_t keeper = pool->crew->keeper_pid;
    CHECK_SYS(kill(keeper, SIGKILL));
    AWAIT(!test_is_alive(keeper));
    test_fault_release();
    ssize_t r = shoal_pool_apply(pool, square, &x, sizeof x, &x, sizeof x);
    CHECK_OK(shoal_pool_close(pool));
    do
        ended = shoal_pool_join(pool, SHOAL_FOREVER);
    while (ended == -EINTR);
    test_fault_hold();
    CHECK_OK(ended);
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_GE(stats.keeper_restarts, 1);
    test_fault_release();
    return r < 0 ? (int)r : 0;
}

static int use_lost_keeper(void)
{
    return with_pool(lose_keeper);
}

TEST_WITHIN(300, a_keeper_that_cannot_be_replaced_at_once_is_later)
{
    test_each_fault(use_lost_keeper, no_undo);
}

TEST_WITHIN(600, a_new_keeper_that_is_refused_something_is_replaced_too)
{
    test_each_fault_in(TEST_FAULT_IN_CHILDREN, use_lost_keeper, no_undo);
}
