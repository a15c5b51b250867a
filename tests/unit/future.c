/* future.c - futures: waiting, progress, cancelling, callbacks. */
#include "pools.h"

#include <pthread.h>

/* --- futures --- */

TEST(a_future_tells_how_far_it_is)
{
    shoal_pool *pool = open_pool(1);
    int naps[3] = {0, 300, 0};
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = 3};
    struct shoal_task_error error;
    shoal_future *future;
    uint64_t done, count;
    int x;

    CHECK_OK(shoal_pool_submit(pool, &options, nap, naps, sizeof *naps, 3, &future));
    CHECK_OK(shoal_future_wait_item(future, 0, SHOAL_FOREVER));
    CHECK_EQ(shoal_future_ready(future), 0);
    CHECK_RETURN(shoal_future_successful(future), -EAGAIN);
    CHECK_OK(shoal_future_progress(future, &done, &count));
    CHECK_EQ(done, 1);
    CHECK_EQ(count, 3);
    CHECK_RETURN(shoal_future_wait(future, 0), -EAGAIN);
    CHECK_RETURN(shoal_future_wait(future, -1), -EAGAIN);
    CHECK_RETURN(shoal_future_wait_item(future, 1, SHOAL_MILLISECONDS(1)), -ETIMEDOUT);
    CHECK_RETURN(shoal_future_get(future, 2, &x, sizeof x, SHOAL_MILLISECONDS(1)), -ETIMEDOUT);
    CHECK_RETURN(shoal_future_error(future, 1, &error), -EAGAIN);
    CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
    CHECK_EQ(shoal_future_ready(future), 1);
    CHECK_EQ(shoal_future_successful(future), 1);
    CHECK_OK(shoal_future_progress(future, &done, NULL));
    CHECK_EQ(done, 3);
    CHECK_RETURN(shoal_future_get(future, 1, &x, 2, 0), -EMSGSIZE);
    CHECK_EQ(shoal_future_get(future, 1, &x, sizeof x, 0), sizeof x);
    CHECK_EQ(x, 300);
    shoal_future_free(future);
    end_pool(pool);
}

TEST(an_item_can_be_had_while_the_rest_of_its_chunk_runs)
{
    shoal_pool *pool = open_pool(1);
    int naps[2] = {100, 3000};
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = 2};
    shoal_future *future;
    int64_t begin = test_now();
    int x;

    CHECK_OK(shoal_pool_submit(pool, &options, nap, naps, sizeof *naps, 2, &future));
    CHECK_EQ(shoal_future_get(future, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
    CHECK_LT(test_now() - begin, test_time(2));
    shoal_future_free(future);
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}

TEST(a_map_of_nothing_is_ready_at_once)
{
    shoal_pool *pool = open_pool(1);
    shoal_future *future;
    uint64_t done = 9, count = 9;

    CHECK_OK(shoal_pool_map(pool, square, NULL, 4, 0, NULL, 4));
    CHECK_OK(shoal_pool_submit(pool, NULL, square, NULL, 4, 0, &future));
    CHECK_EQ(shoal_future_ready(future), 1);
    CHECK_EQ(shoal_future_successful(future), 1);
    CHECK_OK(shoal_future_wait(future, 0));
    CHECK_OK(shoal_future_progress(future, &done, &count));
    CHECK_EQ(done, 0);
    CHECK_EQ(count, 0);
    CHECK_EQ(shoal_future_cancel(future), 0);
    CHECK_RETURN(shoal_future_wait_item(future, 0, 0), -EINVAL);
    shoal_future_free(future);
    end_pool(pool);
}

TEST(a_future_that_is_freed_early_is_run_all_the_same)
{
    shoal_pool *pool = open_pool(2);
    struct shoal_pool_stats stats;
    char large[2000] = "";

    for (int i = 0; i < 500; i++) {
        shoal_future *future;
        CHECK_OK(shoal_pool_submit(pool, NULL, echo, large, sizeof large / 2, 1 + (size_t)i % 2, &future));
        shoal_future_free(future);
    }
    AWAIT(shoal_pool_stats(pool, &stats) == 0 && stats.completed == 500);
    CHECK_OK(shoal_pool_poll(pool));
    end_pool(pool);
}

TEST(what_nobody_will_ask_for_is_run_all_the_same)
{
    shoal_pool *pool = open_pool(2);
    struct shoal_pool_stats stats;
    struct shoal_bytes item = {"text", 4};

    for (int i = 0; i < 500; i++) {
        CHECK_OK(shoal_pool_submit(pool, NULL, square, &i, sizeof i, 1, NULL));
        CHECK_OK(shoal_pool_submit_items(pool, NULL, echo, &item, 1, NULL));
    }
    AWAIT(shoal_pool_stats(pool, &stats) == 0 && stats.completed == 1000);
    CHECK_OK(shoal_pool_poll(pool));
    end_pool(pool);
}

TEST(slots_are_used_again)
{
    shoal_pool *pool = open_pool(2);

    for (int i = 0; i < 2000; i++)
        CHECK_EQ(shoal_pool_apply(pool, nothing, NULL, 0, NULL, 0), 0);
    CHECK_LE(pool->shared->top, SH_POOL_SEGMENT_FIRST);
    end_pool(pool);
}

TEST_WITHIN(120, a_million_tasks_can_be_submitted)
{
    enum { COUNT = 1000000 };
    shoal_pool *pool = open_pool(2);
    shoal_future **futures = calloc(COUNT, sizeof *futures);
    struct shoal_pool_stats stats;

    for (int i = 0; i < COUNT; i++)
        CHECK_OK(shoal_pool_submit(pool, NULL, number_of_item, &i, sizeof i, 1, &futures[i]));
    for (int i = 0; i < COUNT; i++) {
        CHECK_OK(shoal_future_wait(futures[i], SHOAL_FOREVER));
        CHECK_EQ(shoal_future_successful(futures[i]), 1);
        shoal_future_free(futures[i]);
    }
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.completed, COUNT);
    free(futures);
    end_pool(pool);
}

/* --- cancelling --- */

TEST(what_has_not_begun_can_be_cancelled)
{
    shoal_pool *pool = open_pool(1);
    shoal_future *first = submit(pool, nap, 200), *second = submit(pool, nap, 0), *third = submit(pool, nap, 0);
    struct shoal_task_error error;
    int x;

    AWAIT(shoal_pool_workers(pool, &(struct shoal_worker_info){0}, 1) == 1 && pool->shared->begun == 1);
    CHECK_EQ(shoal_future_cancel(first), 0);
    CHECK_EQ(shoal_future_cancel(second), 1);
    CHECK_EQ(shoal_future_cancel(second), 0);
    CHECK_EQ(shoal_future_ready(second), 1);
    CHECK_RETURN(shoal_future_get(second, 0, &x, sizeof x, SHOAL_FOREVER), -ECANCELED);
    CHECK_OK(shoal_future_error(second, 0, &error));
    CHECK_EQ(error.error, -ECANCELED);
    CHECK_EQ(error.pid, 0);
    CHECK_STR_EQ(error.message, "cancelled before it had begun");
    shoal_future_free(second);
    CHECK_EQ(shoal_future_get(third, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
    CHECK_EQ(shoal_future_get(first, 0, &x, sizeof x, 0), sizeof x);
    shoal_future_free(first);
    shoal_future_free(third);
    end_pool(pool);
}

TEST(a_map_that_is_cancelled_keeps_what_had_begun)
{
    shoal_pool *pool = open_pool(1);
    int naps[50];
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = 1};
    shoal_future *future;

    for (int i = 0; i < 50; i++)
        naps[i] = 10;
    CHECK_OK(shoal_pool_submit(pool, &options, nap, naps, sizeof *naps, 50, &future));
    CHECK_OK(shoal_future_wait_item(future, 2, SHOAL_FOREVER));
    ssize_t cancelled = shoal_future_cancel(future);
    CHECK_GT(cancelled, 30);
    CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
    for (uint64_t i = 0; i < 50; i++) {
        int x, is_cancelled = i >= 50 - (uint64_t)cancelled;
        CHECK_RETURN(shoal_future_get(future, i, &x, sizeof x, 0), is_cancelled ? -ECANCELED : (ssize_t)sizeof x);
    }
    shoal_future_free(future);
    end_pool(pool);
}

/* --- callbacks --- */

static int called;
static pthread_t called_by;

static void count_call(shoal_future *future, void *context)
{
    CHECK_EQ(shoal_future_ready(future), 1);
    called += *(int *)context;
    called_by = pthread_self();
    shoal_future_free(future);
}

static shoal_future *submit_with_callback(shoal_pool *pool, shoal_task_function *function, int argument, int *context)
{
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .callback = count_call, .context = context};
    shoal_future *future;
    CHECK_OK(shoal_pool_submit(pool, &options, function, &argument, sizeof argument, 1, &future));
    return future;
}

TEST(callbacks_run_in_a_thread_that_waits)
{
    shoal_pool *pool = open_pool(2);
    int one = 1;

    called = 0;
    for (int i = 0; i < 10; i++)
        submit_with_callback(pool, i % 2 ? square : fail_odd, i, &one);
    shoal_future *last = submit(pool, nap, 50);
    CHECK_EQ(called, 0);
    CHECK_OK(shoal_future_wait(last, SHOAL_FOREVER));
    AWAIT(shoal_pool_poll(pool) >= 0 && called == 10);
    CHECK(pthread_equal(called_by, pthread_self()));
    shoal_future_free(last);
    end_pool(pool);
}

TEST(a_callback_comes_while_a_thread_waits_for_something_else)
{
    shoal_pool *pool = open_pool(2);
    int one = 1;
    shoal_future *slow = submit(pool, nap, 300);

    called = 0;
    submit_with_callback(pool, nap, 20, &one);
    CHECK_RETURN(shoal_future_wait(slow, SHOAL_MILLISECONDS(150)), -ETIMEDOUT);
    CHECK_EQ(called, 1);
    shoal_future_free(slow);
    end_pool(pool);
}

static void free_nothing(shoal_future *future, void *context)
{
    (void)future;
    ++*(int *)context;
}

TEST(a_future_freed_before_its_callback_still_calls_it_once)
{
    shoal_pool *pool = open_pool(1);
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .callback = free_nothing};
    int calls = 0;
    shoal_future *future;

    options.context = &calls;
    CHECK_OK(shoal_pool_submit(pool, &options, nap, &(int){20}, sizeof(int), 1, &future));
    shoal_future_free(future);
    CHECK_OK(shoal_pool_submit(pool, &options, nap, NULL, 0, 0, &future));
    shoal_future_free(future);
    AWAIT(shoal_pool_poll(pool) >= 0 && calls == 2);
    end_pool(pool);
    CHECK_EQ(calls, 2);
}

TEST(join_runs_the_callbacks_that_are_left)
{
    shoal_pool *pool = open_pool(2);
    int one = 1;

    called = 0;
    for (int i = 0; i < 100; i++)
        submit_with_callback(pool, square, i, &one);
    end_pool(pool);
    CHECK_EQ(called, 100);
}

struct chain {
    shoal_pool *pool;
    int left;
};

static void submit_next(shoal_future *future, void *context)
{
    struct chain *chain = context;
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .callback = submit_next, .context = chain};

    shoal_future_free(future);
    if (--chain->left > 0)
        CHECK_OK(shoal_pool_submit(chain->pool, &options, nothing, NULL, 0, 1, &future));
}

TEST(a_callback_may_submit_and_wait)
{
    shoal_pool *pool = open_pool(1);
    struct chain chain = {pool, 20};
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .callback = submit_next, .context = &chain};
    shoal_future *future;

    CHECK_OK(shoal_pool_submit(pool, &options, nothing, NULL, 0, 1, &future));
    AWAIT(shoal_pool_poll(pool) >= 0 && chain.left == 0);
    end_pool(pool);
}

TEST(terminating_calls_the_callbacks_of_what_will_not_end)
{
    shoal_pool *pool = open_pool(1);
    int one = 1;

    called = 0;
    submit_with_callback(pool, nap, 100000, &one);
    submit_with_callback(pool, nap, 100000, &one);
    CHECK_OK(shoal_pool_terminate(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    CHECK_EQ(called, 2);
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}
