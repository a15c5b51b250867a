/* pool.c - threads that stand for the workers of a pool, and others that submit to it, cancel and collect. */
#include "pool/pool.h"

#include "harness.h"
#include "pool/run.h"

#include <pthread.h>
#include <shoal/shoal.h>
#include <unistd.h>

enum { WORKERS = 3, SUBMITTERS = 2, ROUNDS = 150, ITEMS = 20, LARGE = 500 };

static shoal_pool *pool;
static _Atomic int is_over;

/* --- tasks --- */

static int square(shoal_task *task)
{
    int x;
    int r = shoal_task_arg(task, &x, sizeof x);
    return r < 0 ? r : shoal_task_return(task, &(int){x * x}, sizeof x);
}

/* A result that has a block of its own, or a reason why there is none. */
static int fill(shoal_task *task)
{
    int x, result[LARGE];

    CHECK_OK(shoal_task_arg(task, &x, sizeof x));
    if (x % 5 == 0)
        return shoal_task_fail(task, -EDOM, "%d", x);
    for (int i = 0; i < LARGE; i++)
        result[i] = x;
    return shoal_task_return(task, result, sizeof result);
}

/* --- workers --- */

static void sleep_once(struct sh_pool_shared *shared)
{
    uint32_t seen = sh_word_prepare(&shared->idle, SH_WORD_DATA);

    if (shared->submitted == sh_load_acquire(&shared->exhausted) && !is_over)
        sh_word_sleep(&shared->idle, seen, SH_WORD_DATA, test_now() + 10000000);
    sh_word_forget();
}

static void *work(void *argument)
{
    struct sh_pool_shared *shared = pool->shared;
    struct sh_worker *place = argument;
    struct sh_posted posted = {0};
    struct sh_claim *claim;

    CHECK_OK(sh_arena_enter());
    sh_thread_self();
    struct shoal_task task = {.pool = shared, .place = place, .pid = getpid(), .epoch = sh_thread_process_epoch()};
    CHECK_OK(sh_turn_arrive(shared, place, 0, &claim));
    CHECK(claim == NULL);
    while (!is_over) {
        uint32_t cancellations = sh_load_acquire(&shared->cancellations);
        sh_post_read(shared, sh_load_acquire(&shared->exhausted) + 1, cancellations, &posted);
        claim = sh_turn_take(shared, place, &posted);
        if (claim)
            sh_run_claim(&task, claim, posted.number ? &posted : NULL);
        else
            sleep_once(shared);
    }
    sh_turn_leave(shared, place);
    return NULL;
}

/* --- submitters --- */

static void single(int x)
{
    shoal_future *future;
    int result;

    CHECK_OK(shoal_pool_submit(pool, NULL, square, &x, sizeof x, 1, &future));
    CHECK_EQ(shoal_future_get(future, 0, &result, sizeof result, SHOAL_FOREVER), sizeof result);
    CHECK_EQ(result, x * x);
    shoal_future_free(future);
}

static void map(int first)
{
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = 3};
    struct shoal_task_error error;
    struct shoal_bytes result;
    shoal_future *future;
    int items[ITEMS];

    for (int i = 0; i < ITEMS; i++)
        items[i] = first + i;
    CHECK_OK(shoal_pool_submit(pool, &options, fill, items, sizeof *items, ITEMS, &future));
    for (int i = 0; i < ITEMS; i++) {
        int r = shoal_future_result(future, (uint64_t)i, &result, SHOAL_FOREVER);
        CHECK_EQ(r, items[i] % 5 ? 0 : -EDOM);
        if (r == 0)
            CHECK_EQ(((const int *)result.data)[LARGE - 1], items[i]);
        else
            CHECK_OK(shoal_future_error(future, (uint64_t)i, &error));
    }
    shoal_future_free(future);
}

/* Some that are cancelled at once, of which some are too late; some that nobody waits for. */
static void cancel(int x)
{
    shoal_future *future;
    int result;

    CHECK_OK(shoal_pool_submit(pool, NULL, square, &x, sizeof x, 1, &future));
    CHECK_OK(shoal_pool_submit(pool, NULL, square, &x, sizeof x, 1, NULL));
    int is_cancelled = CHECK_COUNT(shoal_future_cancel(future)) > 0;
    CHECK_RETURN(shoal_future_get(future, 0, &result, sizeof result, SHOAL_FOREVER),
                 is_cancelled ? -ECANCELED : (ssize_t)sizeof result);
    shoal_future_free(future);
}

static void *submit(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        single(i);
        map(i);
        cancel(i);
    }
    return argument;
}

TEST_WITHIN(60, tasks_pass_between_threads_without_a_race)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = WORKERS};
    pthread_t workers[WORKERS], submitters[SUBMITTERS];

    CHECK_OK(shoal_arena_open(
        &(struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .limit = 64 << 20, .reserve = 1 << 30}));
    CHECK_OK(sh_pool_create(&options, &pool));
    struct sh_pool_shared *shared = pool->shared;
    sh_store_release(&shared->keeper_tag, sh_member_tag()); /* nobody has to be kept: it is this process itself */
    sh_store_release(&shared->is_kept, 1);
    for (int i = 0; i < WORKERS; i++) {
        sh_store_relaxed(&shared->worker[i].tag, sh_member_tag());
        sh_store_relaxed(&shared->worker[i].state, SH_WORKER_STARTING);
        CHECK_EQ(pthread_create(&workers[i], NULL, work, &shared->worker[i]), 0);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK_EQ(pthread_create(&submitters[i], NULL, submit, NULL), 0);
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK_EQ(pthread_join(submitters[i], NULL), 0);
    AWAIT(sh_load_acquire(&shared->completed) == SUBMITTERS * ROUNDS * 4);
    is_over = 1;
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_join(workers[i], NULL), 0);
    if (sh_pool_check(&shared->object) < 0)
        FAIL("the pool is not whole");
    sh_pool_release(pool);
}
