/* launch.c - pools whose workers are made by fork, by the forkserver, by spawn. */
#include "os/process.h"
#include "pool/crew.h"
#include "pools.h"
#include "process/server.h"

#include <signal.h>

static const enum shoal_start starts[] = {SHOAL_START_FORK, SHOAL_START_FORKSERVER, SHOAL_START_SPAWN};

#define EACH_START(how) for (unsigned each_i = 0; each_i < 3 && ((how) = starts[each_i], 1); each_i++)

SHOAL_REGISTER(square)
SHOAL_REGISTER(own_pid)

static int changed_by_main = 1;

static int tell_changed(shoal_task *task)
{
    return shoal_task_return(task, &changed_by_main, sizeof changed_by_main);
}
SHOAL_REGISTER(tell_changed)

static int change(void *argument, size_t size)
{
    memcpy(&changed_by_main, argument, size);
    return 0;
}
SHOAL_REGISTER(change)

static int die_of(shoal_task *task)
{
    int signal;
    shoal_task_arg(task, &signal, sizeof signal);
    if (signal)
        raise(signal);
    return shoal_task_return(task, &signal, sizeof signal);
}
SHOAL_REGISTER(die_of)

static int unnamed(shoal_task *task)
{
    return shoal_task_return(task, "unnamed", 8);
}

static shoal_pool *open_by(enum shoal_start how, unsigned workers)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .start = how, .workers = workers};
    shoal_pool *pool;
    CHECK_OK(shoal_pool_open(&options, &pool));
    return pool;
}

TEST(a_map_runs_in_workers_of_every_kind)
{
    enum shoal_start how;

    EACH_START(how) {
        shoal_pool *pool = open_by(how, 2);
        int in[100], out[100];
        for (int i = 0; i < 100; i++)
            in[i] = i;
        CHECK_OK(shoal_pool_map(pool, square, in, sizeof *in, 100, out, sizeof *out));
        for (int i = 0; i < 100; i++)
            CHECK_EQ(out[i], i * i);
        end_pool(pool);
    }
}

TEST(forked_workers_see_mains_memory_others_the_programs)
{
    enum shoal_start how;
    int x;

    changed_by_main = 2;
    EACH_START(how) {
        shoal_pool *pool = open_by(how, 1);
        CHECK_EQ(shoal_pool_apply(pool, tell_changed, NULL, 0, &x, sizeof x), sizeof x);
        CHECK_EQ(x, how == SHOAL_START_FORK ? 2 : 1);
        end_pool(pool);
    }
}

TEST(initializers_are_found_by_name)
{
    enum shoal_start how;
    int value = 77, x;

    EACH_START(how) {
        struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .start = how, .workers = 2};
        shoal_pool *pool;
        options.initializer = options.finalizer = change;
        options.argument = &value;
        options.argument_size = sizeof value;
        CHECK_OK(shoal_pool_open(&options, &pool));
        CHECK_EQ(shoal_pool_apply(pool, tell_changed, NULL, 0, &x, sizeof x), sizeof x);
        CHECK_EQ(x, 77);
        end_pool(pool);
    }
}

static int unnamed_initializer(void *argument, size_t size)
{
    (void)argument, (void)size;
    return 0;
}

TEST(functions_without_a_name_are_refused_where_they_need_one)
{
    enum shoal_start how;
    shoal_future *future;
    char text[8];

    EACH_START(how) {
        struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .start = how, .workers = 1};
        shoal_pool *pool = open_by(how, 1), *other;
        CHECK_RETURN(shoal_pool_apply(pool, unnamed, NULL, 0, text, sizeof text),
                     how == SHOAL_START_FORK ? 8 : -ENOENT);
        if (how != SHOAL_START_FORK) {
            CHECK_RETURN(shoal_pool_submit(pool, NULL, unnamed, NULL, 0, 5, &future), -ENOENT);
            options.initializer = unnamed_initializer;
            CHECK_RETURN(shoal_pool_open(&options, &other), -ENOENT);
            options.initializer = NULL;
            options.finalizer = unnamed_initializer;
            CHECK_RETURN(shoal_pool_open(&options, &other), -ENOENT);
        }
        end_pool(pool);
    }
}

TEST(a_worker_of_any_kind_that_dies_is_replaced_and_says_how)
{
    enum shoal_start how;

    EACH_START(how) {
        shoal_pool *pool = open_by(how, 2);
        struct shoal_pool_stats stats;
        for (int i = 0; i < 4; i++) {
            struct shoal_task_error error;
            shoal_future *future = submit(pool, die_of, i % 2 ? SIGKILL : SIGTERM);
            CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
            CHECK_OK(shoal_future_error(future, 0, &error));
            CHECK_EQ(error.error, -ECHILD);
            CHECK_EQ(error.signal, i % 2 ? SIGKILL : SIGTERM);
            shoal_future_free(future);
        }
        AWAIT(shoal_pool_stats(pool, &stats) == 0 && stats.alive == 2);
        CHECK_EQ(stats.deaths, 4);
        end_pool(pool);
    }
}

TEST(a_keeper_that_dies_is_replaced_whatever_the_workers_are)
{
    enum shoal_start how;
    int x;

    EACH_START(how) {
        shoal_pool *pool = open_by(how, 1);
        CHECK_RETURN(shoal_pool_apply(pool, die_of, &(int){SIGKILL}, sizeof x, &x, sizeof x), -ECHILD);
        CHECK_SYS(kill(pool->crew->keeper_pid, SIGKILL));
        CHECK_RETURN(shoal_pool_apply(pool, die_of, &(int){SIGKILL}, sizeof x, &x, sizeof x), -ECHILD);
        CHECK_EQ(shoal_pool_apply(pool, square, &(int){5}, sizeof x, &x, sizeof x), sizeof x);
        CHECK_EQ(x, 25);
        end_pool(pool);
    }
}

TEST(a_pool_uses_what_the_program_chose_as_its_way_to_start)
{
    int x;

    CHECK_OK(shoal_process_set_start(SHOAL_START_SPAWN));
    changed_by_main = 2;
    shoal_pool *pool = open_by(SHOAL_START_DEFAULT, 1);
    CHECK_EQ(shoal_pool_apply(pool, tell_changed, NULL, 0, &x, sizeof x), sizeof x);
    CHECK_EQ(x, 1);
    end_pool(pool);
}

TEST(a_terminated_pool_leaves_no_worker_of_any_kind)
{
    enum shoal_start how;

    EACH_START(how) {
        shoal_pool *pool = open_by(how, 3);
        struct shoal_worker_info info[3];
        AWAIT(shoal_pool_workers(pool, info, 3) == 3 && info[0].pid && info[1].pid && info[2].pid);
        shoal_pool_free(pool);
        for (int i = 0; i < 3; i++)
            CHECK(!test_is_alive(info[i].pid));
        CHECK_EQ(blocks_in_use(), 0);
    }
}

static int open_in_daemon(void *argument, size_t size)
{
    shoal_pool *pool;

    (void)argument, (void)size;
    return shoal_pool_open(NULL, &pool) == -EPERM ? 0 : 1;
}

TEST(a_daemon_may_have_no_pool)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process), .flags = SHOAL_PROCESS_DAEMON};
    shoal_process *process;
    struct shoal_exit end;

    CHECK_OK(shoal_process_start(&options, open_in_daemon, NULL, 0, &process));
    CHECK_OK(shoal_process_join(process, SHOAL_FOREVER));
    CHECK_OK(shoal_process_exit(process, &end));
    CHECK_EQ(end.code, 0);
    shoal_process_free(process);
}
