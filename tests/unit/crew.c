/* crew.c - the workers of a pool, and its end. */
#include "os/cpu.h"
#include "pools.h"

#include <pthread.h>
#include <signal.h>

/* --- the workers --- */

TEST(workers_are_reused)
{
    shoal_pool *pool = open_pool(3);
    pid_t pids[3] = {0};
    int known = 0;

    for (int i = 0; i < 60; i++) {
        pid_t pid;
        CHECK_EQ(shoal_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid), sizeof pid);
        int j = 0;
        while (j < known && pids[j] != pid)
            j++;
        if (j == known) {
            CHECK_LT(known, 3);
            pids[known++] = pid;
        }
    }
    end_pool(pool);
}

static int own_parent(shoal_task *task)
{
    pid_t pid = getppid();
    return shoal_task_return(task, &pid, sizeof pid);
}

TEST(the_first_workers_are_children_of_the_program)
{
    shoal_pool *pool = open_pool(2);
    pid_t parents[20];

    CHECK_OK(shoal_pool_map(pool, own_parent, NULL, 0, 20, parents, sizeof *parents));
    for (int i = 0; i < 20; i++)
        CHECK_EQ(parents[i], getpid());
    end_pool(pool);
}

TEST(a_pool_has_a_worker_for_each_cpu_unless_told_otherwise)
{
    shoal_pool *pool;
    struct shoal_pool_stats stats;

    CHECK_OK(shoal_pool_open(NULL, &pool));
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.workers, sh_cpu_count());
    end_pool(pool);
}

TEST(a_worker_is_replaced_after_so_many_tasks)
{
    shoal_pool *pool;
    pid_t pids[30];
    int distinct = 0;
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = 1};
    struct shoal_pool_stats stats;
    shoal_future *future;

    CHECK_OK(shoal_pool_open(
        &(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 2, .tasks_per_worker = 3}, &pool));
    CHECK_OK(shoal_pool_submit(pool, &options, own_pid, NULL, 0, 30, &future));
    for (uint64_t i = 0; i < 30; i++)
        CHECK_EQ(shoal_future_get(future, i, &pids[i], sizeof *pids, SHOAL_FOREVER), sizeof *pids);
    for (int i = 0; i < 30; i++) {
        int same = 0, is_first = 1;
        for (int j = 0; j < 30; j++) {
            same += pids[j] == pids[i];
            is_first &= pids[j] != pids[i] || j >= i;
        }
        CHECK_LE(same, 3);
        distinct += is_first;
    }
    CHECK_GE(distinct, 10);
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.deaths, 0);
    CHECK_EQ(stats.lost, 0);
    shoal_future_free(future);
    end_pool(pool);
}

static int initialized;

static int initialize(void *argument, size_t size)
{
    CHECK_EQ(size, 6);
    CHECK_STR_EQ(argument, "hello");
    initialized = 5;
    return 0;
}

static int tell_initialized(shoal_task *task)
{
    return shoal_task_return(task, &initialized, sizeof initialized);
}

static shoal_queue *finalized;

static int finalize(void *argument, size_t size)
{
    return shoal_queue_put(finalized, argument, size, SHOAL_FOREVER);
}

TEST(each_worker_is_initialized_before_and_finalized_after_its_tasks)
{
    shoal_pool *pool;
    int out[20];
    char text[6];

    CHECK_OK(shoal_queue_open(NULL, &finalized));
    CHECK_OK(
        shoal_pool_open(&(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 3, .initializer = initialize,
                                                     .finalizer = finalize, .argument = "hello", .argument_size = 6},
                        &pool));
    CHECK_OK(shoal_pool_map(pool, tell_initialized, NULL, 0, 20, out, sizeof *out));
    for (int i = 0; i < 20; i++)
        CHECK_EQ(out[i], 5);
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    shoal_pool_free(pool);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(shoal_queue_get(finalized, text, sizeof text, 0), 6);
        CHECK_STR_EQ(text, "hello");
    }
    CHECK_RETURN(shoal_queue_get(finalized, text, sizeof text, 0), -EAGAIN);
    shoal_queue_free(finalized);
    CHECK_EQ(blocks_in_use(), 0);
}

static int refuse(void *argument, size_t size)
{
    (void)argument, (void)size;
    return -ENODEV;
}

TEST(a_pool_whose_initializer_always_fails_gives_up)
{
    shoal_pool *pool;
    struct shoal_task_error error;
    shoal_future *future;
    int x = 1;

    CHECK_OK(shoal_pool_open(
        &(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 2, .initializer = refuse}, &pool));
    int r = shoal_pool_submit(pool, NULL, square, &x, sizeof x, 1, &future);
    if (r == 0) {
        CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
        CHECK_RETURN(shoal_future_get(future, 0, &x, sizeof x, 0), -ENOEXEC);
        CHECK_OK(shoal_future_error(future, 0, &error));
        CHECK_EQ(error.error, -ENOEXEC);
        CHECK(strstr(error.message, "initializer") && strstr(error.message, "-19"));
        shoal_future_free(future);
    }
    AWAIT((r = shoal_pool_submit(pool, NULL, square, &x, sizeof x, 1, &future)) < 0 || (shoal_future_free(future), 0));
    CHECK_EQ(r, -ENOEXEC);
    CHECK_RETURN(shoal_pool_imap(pool, NULL, square, count_up, NULL, &(shoal_iterator *){0}), -ENOEXEC);
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}

static int crash_at_start(void *argument, size_t size)
{
    (void)argument, (void)size;
    raise(SIGKILL);
    return 0;
}

TEST(a_pool_whose_workers_die_at_start_gives_up)
{
    shoal_pool *pool;
    int x = 1;

    CHECK_OK(shoal_pool_open(
        &(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 2, .initializer = crash_at_start}, &pool));
    CHECK_RETURN(shoal_pool_apply(pool, square, &x, sizeof x, &x, sizeof x), -ENOEXEC);
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}

TEST(workers_can_be_looked_at)
{
    shoal_pool *pool = open_pool(2);
    struct shoal_worker_info info[2];
    struct shoal_pool_stats stats;
    shoal_future *future = submit(pool, nap, 300);

    AWAIT(shoal_pool_workers(pool, info, 2) == 2 && info[0].busy + info[1].busy == 1);
    struct shoal_worker_info *busy = info[0].busy ? &info[0] : &info[1];
    CHECK_EQ(busy->task, 1);
    CHECK_EQ(busy->item, 0);
    CHECK(busy->since >= 0 && busy->since < test_time(10));
    CHECK(test_is_alive(busy->pid));
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.alive, 2);
    CHECK_EQ(stats.submitted, 1);
    CHECK_EQ(stats.pending, 0);
    CHECK_EQ(stats.completed, 0);
    CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.completed, 1);
    CHECK_EQ(shoal_pool_workers(pool, info, 1), 2);
    CHECK_EQ(shoal_pool_workers(pool, NULL, 0), 2);
    AWAIT(shoal_pool_workers(pool, info, 2) == 2 && info[0].items_done + info[1].items_done == 1);
    shoal_future_free(future);
    end_pool(pool);
}

TEST(a_pool_of_two_hundred_workers_works)
{
    shoal_pool *pool = open_pool(200);
    int in[2000], out[2000];

    for (int i = 0; i < 2000; i++)
        in[i] = i;
    CHECK_OK(shoal_pool_map(pool, square, in, sizeof *in, 2000, out, sizeof *out));
    for (int i = 0; i < 2000; i++)
        CHECK_EQ(out[i], i * i);
    end_pool(pool);
}

/* --- ending --- */

TEST(a_closed_pool_runs_what_it_has_and_takes_no_more)
{
    shoal_pool *pool = open_pool(2);
    shoal_future *futures[50], *more;
    int x = 1;

    CHECK_RETURN(shoal_pool_join(pool, SHOAL_FOREVER), -EINVAL);
    for (int i = 0; i < 50; i++)
        futures[i] = submit(pool, nap, 2);
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_close(pool));
    CHECK_RETURN(shoal_pool_submit(pool, NULL, square, &x, sizeof x, 1, &more), -EPIPE);
    CHECK_RETURN(shoal_pool_map(pool, square, &x, sizeof x, 1, &x, sizeof x), -EPIPE);
    CHECK_RETURN(shoal_pool_apply(pool, square, &x, sizeof x, &x, sizeof x), -EPIPE);
    CHECK_RETURN(shoal_pool_imap(pool, NULL, square, count_up, NULL, &(shoal_iterator *){0}), -EPIPE);
    CHECK_RETURN(shoal_pool_join(pool, 0), -EAGAIN);
    CHECK_RETURN(shoal_pool_join(pool, SHOAL_MILLISECONDS(1)), -ETIMEDOUT);
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    CHECK_OK(shoal_pool_join(pool, 0));
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(shoal_future_successful(futures[i]), 1);
        shoal_future_free(futures[i]);
    }
    struct shoal_pool_stats stats;
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.alive, 0);
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}

TEST(a_terminated_pool_ends_at_once)
{
    shoal_pool *pool = open_pool(2);
    shoal_future *running = submit(pool, nap, 100000), *waiting;
    shoal_future **futures = calloc(10000, sizeof *futures);
    struct shoal_task_error error;
    int64_t begin;
    int x;

    AWAIT(pool->shared->begun == 1);
    for (int i = 0; i < 10000; i++)
        futures[i] = submit(pool, nap, 100000);
    waiting = submit(pool, nap, 100000);
    begin = test_now();
    CHECK_OK(shoal_pool_terminate(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    CHECK_LT(test_now() - begin, test_time(1));
    CHECK_EQ(shoal_future_ready(running), 1);
    CHECK_RETURN(shoal_future_get(running, 0, &x, sizeof x, SHOAL_FOREVER), -ECANCELED);
    CHECK_RETURN(shoal_future_get(waiting, 0, &x, sizeof x, SHOAL_FOREVER), -ECANCELED);
    CHECK_OK(shoal_future_error(waiting, 0, &error));
    CHECK_STR_EQ(error.message, "the pool was terminated before it had ended");
    CHECK_EQ(shoal_future_cancel(waiting), 0);
    CHECK_RETURN(shoal_pool_submit(pool, NULL, nap, &x, sizeof x, 1, &running), -EPIPE);
    shoal_pool_free(pool);
    shoal_future_free(running);
    shoal_future_free(waiting);
    for (int i = 0; i < 10000; i++)
        shoal_future_free(futures[i]);
    free(futures);
    CHECK_EQ(blocks_in_use(), 0);
}

static void *wait_for_future(void *future)
{
    return (void *)(intptr_t)shoal_future_wait(future, SHOAL_FOREVER);
}

TEST(terminating_wakes_who_waits)
{
    shoal_pool *pool = open_pool(1);
    shoal_future *future = submit(pool, nap, 100000);
    pthread_t thread;
    void *result;

    CHECK_EQ(pthread_create(&thread, NULL, wait_for_future, future), 0);
    usleep(20000);
    CHECK_OK(shoal_pool_terminate(pool));
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ((intptr_t)result, 0);
    shoal_future_free(future);
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}

TEST(freeing_an_open_pool_ends_it)
{
    shoal_pool *pool = open_pool(2);
    shoal_future *done = submit(pool, square, 12), *never = submit(pool, nap, 100000);
    int x;

    CHECK_OK(shoal_future_wait(done, SHOAL_FOREVER));
    shoal_pool_free(pool);
    CHECK_EQ(shoal_future_get(done, 0, &x, sizeof x, 0), sizeof x);
    CHECK_EQ(x, 144);
    CHECK_RETURN(shoal_future_get(never, 0, &x, sizeof x, 0), -ECANCELED);
    shoal_future_free(done);
    shoal_future_free(never);
    CHECK_EQ(blocks_in_use(), 0);
}

TEST(an_iteration_ends_with_its_pool)
{
    for (unsigned flags = 0; flags <= SHOAL_IMAP_UNORDERED; flags++) {
        shoal_pool *pool = open_pool(1);
        struct shoal_imap_options options = {SHOAL_OPTIONS(shoal_imap), .flags = flags, .lookahead = 3};
        struct counting counting = {.next = 100000, .end = 100100};
        struct shoal_bytes result;
        shoal_iterator *iterator;

        CHECK_OK(shoal_pool_imap(pool, &options, nap, count_up, &counting, &iterator));
        CHECK_RETURN(shoal_iterator_next(iterator, NULL, &result, NULL, 0), -EAGAIN);
        CHECK_OK(shoal_pool_terminate(pool));
        for (int i = 0; i < 3; i++)
            CHECK_RETURN(shoal_iterator_next(iterator, NULL, &result, NULL, SHOAL_FOREVER), -ECANCELED);
        CHECK_RETURN(shoal_iterator_next(iterator, NULL, &result, NULL, SHOAL_FOREVER), -EPIPE);
        shoal_pool_free(pool);
        shoal_iterator_free(iterator);
        CHECK_EQ(blocks_in_use(), 0);
    }
}
