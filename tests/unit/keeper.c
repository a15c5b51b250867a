/* keeper.c - pools whose processes die: workers, the keeper, both, and the program itself. */
#include "pool/crew.h"
#include "pools.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* --- ways to die in a task --- */

static int die(shoal_task *task)
{
    int how;
    shoal_task_arg(task, &how, sizeof how);
    switch (how) {
    case 1:
        raise(SIGKILL);
        break;
    case 2:
        signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would exit */
        raise(SIGSEGV);
        break;
    case 3:
        exit(3);
    case 4:
        _exit(4);
    case 5:
        exit(0);
    case 6:
        signal(SIGABRT, SIG_DFL);
        abort();
    case 7:
        pthread_exit(NULL);
    case 8:
        execlp("sh", "sh", "-c", "exit 5", (char *)NULL);
        break;
    default:
        break;
    }
    return shoal_task_return(task, &how, sizeof how);
}

static const struct {
    int signal, code;
    const char *words;
} ends[9] = {
    [1] = {SIGKILL, 0, "was killed by SIGKILL (signal 9)"},
    [2] = {SIGSEGV, 0, "was killed by SIGSEGV (signal 11)"},
    [3] = {0, 3, "exited with code 3"},
    [4] = {0, 4, "exited with code 4"},
    [5] = {0, 0, "exited with code 0"},
    [6] = {SIGABRT, 0, "was killed by SIGABRT (signal 6)"},
    [7] = {0, 0, "exited with code 0"},
    [8] = {0, 5, "exited with code 5"},
};

static void check_error(const struct shoal_task_error *error, int how, uint64_t item)
{
    CHECK_EQ(error->error, -ECHILD);
    CHECK_EQ(error->signal, ends[how].signal);
    CHECK_EQ(error->exit_code, ends[how].code);
    CHECK_EQ(error->item, item);
    CHECK(error->pid > 0);
    if (!strstr(error->message, ends[how].words))
        FAIL("\"%s\" does not say \"%s\"", error->message, ends[how].words);
}

/* Pools come back to full size, all of them idle. */
static void await_full(shoal_pool *pool)
{
    struct shoal_pool_stats stats;
    AWAIT(shoal_pool_stats(pool, &stats) == 0 && stats.alive == stats.workers);
}

TEST(a_worker_that_dies_in_apply_costs_that_task_and_says_how)
{
    shoal_pool *pool = open_pool(2);
    struct shoal_pool_stats stats;

    for (int how = 1; how <= 8; how++) {
        struct shoal_task_error error;
        shoal_future *future = submit(pool, die, how);
        int x;
        CHECK_RETURN(shoal_future_get(future, 0, &x, sizeof x, SHOAL_FOREVER), -ECHILD);
        CHECK_OK(shoal_future_error(future, 0, &error));
        check_error(&error, how, 0);
        shoal_future_free(future);
    }
    await_full(pool);
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.deaths, 8);
    CHECK_EQ(stats.lost, 8);
    CHECK_EQ(stats.completed, 8);
    end_pool(pool);
}

TEST(a_worker_that_dies_in_a_map_costs_one_item)
{
    shoal_pool *pool = open_pool(2);

    for (size_t chunk = 1; chunk <= 40; chunk = chunk * 3 + 1) {
        struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = chunk};
        int items[40] = {[3] = 1, [4] = 2, [17] = 3, [20] = 4, [39] = 5, [0] = 6, [25] = 7};
        shoal_future *future;
        CHECK_OK(shoal_pool_submit(pool, &options, die, items, sizeof *items, 40, &future));
        CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
        CHECK_EQ(shoal_future_successful(future), 0);
        for (uint64_t i = 0; i < 40; i++) {
            struct shoal_task_error error;
            int x = -1;
            CHECK_RETURN(shoal_future_get(future, i, &x, sizeof x, 0), items[i] ? -ECHILD : (ssize_t)sizeof x);
            CHECK_EQ(x, items[i] ? -1 : 0);
            CHECK_RETURN(shoal_future_error(future, i, &error), items[i] ? 0 : -ENOENT);
            if (items[i])
                check_error(&error, items[i], i);
        }
        shoal_future_free(future);
    }
    await_full(pool);
    end_pool(pool);
}

TEST(map_gives_the_other_results_where_a_worker_dies)
{
    shoal_pool *pool = open_pool(2);
    int in[100] = {[50] = 1}, out[100];

    memset(out, 1, sizeof out);
    CHECK_RETURN(shoal_pool_map(pool, die, in, sizeof *in, 100, out, sizeof *out), -ECHILD);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(out[i], i == 50 ? 0x01010101 : 0);
    end_pool(pool);
}

static int produce_deaths(void *context, struct shoal_bytes *ret_item)
{
    static int how;
    int *next = context;

    if (*next == 30)
        return 0;
    how = *next % 3 == 1 ? *next % 7 + 1 : 0;
    ++*next;
    *ret_item = (struct shoal_bytes){&how, sizeof how};
    return 1;
}

TEST(an_iteration_goes_on_after_workers_died)
{
    for (unsigned flags = 0; flags <= SHOAL_IMAP_UNORDERED; flags++) {
        shoal_pool *pool = open_pool(2);
        struct shoal_imap_options options = {SHOAL_OPTIONS(shoal_imap), .flags = flags};
        shoal_iterator *iterator;
        int next = 0, lost = 0;

        CHECK_OK(shoal_pool_imap(pool, &options, die, produce_deaths, &next, &iterator));
        for (int i = 0; i < 30; i++) {
            struct shoal_task_error error;
            struct shoal_bytes result;
            uint64_t item;
            int r = shoal_iterator_next(iterator, &item, &result, &error, SHOAL_FOREVER);
            CHECK_EQ(r, item % 3 == 1 ? -ECHILD : 1);
            lost += r < 0;
            if (r < 0)
                check_error(&error, (int)(item % 7) + 1, item);
        }
        CHECK_EQ(lost, 10);
        CHECK_EQ(shoal_iterator_next(iterator, NULL, &(struct shoal_bytes){0}, NULL, SHOAL_FOREVER), 0);
        shoal_iterator_free(iterator);
        end_pool(pool);
    }
}

/* --- killed from outside --- */

static unsigned worker_pids(shoal_pool *pool, pid_t *pids, unsigned most)
{
    struct shoal_worker_info info[32];
    int count = (int)CHECK_COUNT(shoal_pool_workers(pool, info, 32));
    unsigned n = 0;

    for (int i = 0; i < count && i < 32 && n < most; i++)
        if (info[i].pid > 0)
            pids[n++] = info[i].pid;
    return n;
}

static pid_t keeper_pid(shoal_pool *pool)
{
    return pool->crew->keeper_pid;
}

TEST(idle_workers_that_are_killed_are_replaced_and_cost_nothing)
{
    shoal_pool *pool = open_pool(3);
    struct shoal_pool_stats stats;
    pid_t pids[3];
    int x = 4;

    await_full(pool);
    AWAIT(worker_pids(pool, pids, 3) == 3);
    for (int i = 0; i < 3; i++)
        CHECK_SYS(kill(pids[i], i == 1 ? SIGTERM : SIGKILL));
    CHECK_EQ(shoal_pool_apply(pool, square, &x, sizeof x, &x, sizeof x), sizeof x);
    CHECK_EQ(x, 16);
    AWAIT(shoal_pool_stats(pool, &stats) == 0 && stats.deaths == 3 && stats.alive == 3);
    CHECK_EQ(stats.lost, 0);
    end_pool(pool);
}

TEST(a_keeper_that_is_killed_is_replaced_and_workers_live_on)
{
    shoal_pool *pool = open_pool(2);
    struct shoal_pool_stats stats;
    pid_t before[2], after[2], keeper;
    int x;

    for (unsigned round = 1; round <= 3; round++) {
        await_full(pool);
        AWAIT(worker_pids(pool, before, 2) == 2 && (keeper = keeper_pid(pool)) > 0);
        CHECK_SYS(kill(keeper, SIGKILL));
        shoal_future *future = submit(pool, nap, 300);
        CHECK_EQ(shoal_future_get(future, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
        shoal_future_free(future);
        CHECK_OK(shoal_pool_stats(pool, &stats));
        CHECK_EQ(stats.keeper_restarts, round);
        CHECK_EQ(worker_pids(pool, after, 2), 2);
        CHECK(before[0] == after[0] && before[1] == after[1]);
        CHECK_NE(keeper_pid(pool), keeper);
        CHECK_RETURN(shoal_pool_apply(pool, die, &(int){1}, sizeof x, &x, sizeof x), -ECHILD);
    }
    await_full(pool);
    end_pool(pool);
}

TEST(the_keeper_and_all_workers_may_die_at_once)
{
    shoal_pool *pool = open_pool(2);
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = 5};
    int items[40];
    struct shoal_pool_stats stats;

    for (int i = 0; i < 40; i++)
        items[i] = 10;
    for (int round = 0; round < 3; round++) {
        shoal_future *future;
        pid_t pids[2];
        int lost = 0;
        CHECK_OK(shoal_pool_submit(pool, &options, nap, items, sizeof *items, 40, &future));
        CHECK_OK(shoal_future_wait_item(future, 3, SHOAL_FOREVER));
        CHECK_EQ(worker_pids(pool, pids, 2), 2);
        CHECK_SYS(kill(keeper_pid(pool), SIGKILL));
        for (int i = 0; i < 2; i++)
            CHECK_SYS(kill(pids[i], SIGKILL));
        CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
        for (uint64_t i = 0; i < 40; i++) {
            struct shoal_task_error error;
            int r = shoal_future_error(future, i, &error);
            CHECK(r == -ENOENT || (r == 0 && error.error == -ECHILD));
            lost += r == 0;
        }
        CHECK_LE(lost, 2);
        shoal_future_free(future);
        await_full(pool);
    }
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.deaths, 6);
    end_pool(pool);
}

TEST(a_pool_that_loses_its_keeper_can_still_be_ended)
{
    for (int how = 0; how < 3; how++) {
        shoal_pool *pool = open_pool(2);
        shoal_future *future = submit(pool, nap, how ? 100000 : 100);
        await_full(pool);
        CHECK_SYS(kill(keeper_pid(pool), SIGKILL));
        if (how < 2)
            CHECK_OK(how == 0 ? shoal_pool_close(pool) : shoal_pool_terminate(pool));
        if (how < 2)
            CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
        shoal_pool_free(pool);
        CHECK_EQ(shoal_future_successful(future), how == 0);
        shoal_future_free(future);
        CHECK_EQ(blocks_in_use(), 0);
    }
}

TEST(a_worker_may_die_while_a_closed_pool_finishes)
{
    shoal_pool *pool = open_pool(2);
    int items[30] = {[5] = 1, [6] = 1, [29] = 2};
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = 6};
    shoal_future *future;

    CHECK_OK(shoal_pool_submit(pool, &options, die, items, sizeof *items, 30, &future));
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    for (uint64_t i = 0; i < 30; i++)
        CHECK_RETURN(shoal_future_get(future, i, &(int){0}, sizeof(int), 0), items[i] ? -ECHILD : (ssize_t)sizeof(int));
    shoal_future_free(future);
    shoal_pool_free(pool);
    CHECK_EQ(blocks_in_use(), 0);
}

static int count_processes_of_group(pid_t group)
{
    return kill(-group, 0) == 0;
}

TEST(nothing_is_left_a_second_after_the_program_was_killed)
{
    pid_t program;

    CHECK_OK(sh_arena_enter());       /* the program is of this family */
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* so that what is left of it can be seen, and reaped */
    CHILD(program) {
        CHECK_SYS(setpgid(0, 0));
        shoal_pool *pool = open_pool(3);
        CHECK_RETURN(shoal_pool_apply(pool, die, &(int){1}, sizeof(int), &(int){0}, sizeof(int)), -ECHILD);
        await_full(pool);
        for (int i = 0; i < 6; i++)
            submit(pool, nap, 100000);
        AWAIT(pool->shared->begun >= 3);
        raise(SIGKILL);
    }
    CHECK_KILLED(program, SIGKILL);
    int64_t died = test_now();
    while (waitpid(-program, NULL, 0) > 0)
        ;
    CHECK_LT(test_now() - died, test_time(1));
    CHECK_EQ(count_processes_of_group(program), 0);
    sh_reclaim_wait();
    CHECK_EQ(blocks_in_use(), 0);
}

/* --- and all the time --- */

struct killer {
    shoal_pool *pool;
    _Atomic int stop;
    int kills;
    uint64_t seed;
};

static void *kill_now_and_then(void *argument)
{
    struct killer *killer = argument;

    while (!killer->stop) {
        pid_t pids[4];
        usleep(20000);
        unsigned count = worker_pids(killer->pool, pids, 4);
        if (count && kill(pids[test_random_below(&killer->seed, count)], SIGKILL) == 0)
            killer->kills++;
    }
    return NULL;
}

static int echo_number(shoal_task *task)
{
    uint64_t number;
    struct timespec pause = {.tv_nsec = 100000};
    shoal_task_arg(task, &number, sizeof number);
    nanosleep(&pause, NULL);
    if (number % 7)
        return shoal_task_return(task, &number, sizeof number);
    uint64_t many[100];
    for (int i = 0; i < 100; i++)
        many[i] = number;
    return shoal_task_return(task, many, sizeof many);
}

static int check_number(shoal_future *future, uint64_t item, uint64_t number)
{
    struct shoal_task_error error;
    struct shoal_bytes result;
    int r = shoal_future_result(future, item, &result, SHOAL_FOREVER);

    if (r == 0) {
        CHECK_EQ(result.size, number % 7 ? 8 : 800);
        for (size_t i = 0; i < result.size / 8; i++)
            CHECK_EQ(((const uint64_t *)result.data)[i], number);
        return 0;
    }
    CHECK_EQ(r, -ECHILD);
    CHECK_OK(shoal_future_error(future, item, &error));
    CHECK_EQ(error.signal, SIGKILL);
    return 1;
}

TEST_WITHIN(60, with_a_worker_killed_every_20_ms_each_item_ends_once)
{
    enum { COUNT = 5000 };
    shoal_pool *pool = open_pool(4);
    struct killer killer = {.pool = pool, .seed = test_seed()};
    shoal_future **futures = calloc(COUNT, sizeof *futures), *map;
    uint64_t *numbers = calloc(COUNT, sizeof *numbers);
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = 7};
    struct shoal_pool_stats stats;
    pthread_t thread;
    int lost = 0;

    CHECK_EQ(pthread_create(&thread, NULL, kill_now_and_then, &killer), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        numbers[i] = i;
        CHECK_OK(shoal_pool_submit(pool, NULL, echo_number, &i, sizeof i, 1, &futures[i]));
    }
    CHECK_OK(shoal_pool_submit(pool, &options, echo_number, numbers, sizeof *numbers, COUNT, &map));
    for (uint64_t i = 0; i < COUNT; i++) {
        lost += check_number(futures[i], 0, i);
        shoal_future_free(futures[i]);
    }
    for (uint64_t i = 0; i < COUNT; i++)
        lost += check_number(map, i, i);
    shoal_future_free(map);
    killer.stop = 1;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_GT(killer.kills, 5);
    CHECK_LE(lost, killer.kills);
    await_full(pool);
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.lost, lost);
    CHECK_EQ(stats.completed, COUNT + 1);
    free(futures);
    free(numbers);
    end_pool(pool);
}

/* --- tasks that do more than compute --- */

static int use_a_pool(shoal_task *task)
{
    int in[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, out[10], sum = 0;
    shoal_pool *pool;
    int r = shoal_pool_open(&(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 2}, &pool);

    if (r < 0)
        return shoal_task_fail(task, r, "open");
    r = shoal_pool_map(pool, square, in, sizeof *in, 10, out, sizeof *out);
    int how;
    if (shoal_task_arg(task, &how, sizeof how) == 0 && how)
        raise(SIGKILL);
    shoal_pool_free(pool);
    for (int i = 0; i < 10; i++)
        sum += out[i];
    return r < 0 ? r : shoal_task_return(task, &sum, sizeof sum);
}

static bool is_reclaimed(void)
{
    sh_reclaim_wait();
    return blocks_in_use() == 0;
}

TEST(a_task_may_open_a_pool_of_its_own)
{
    shoal_pool *pool = open_pool(2);
    int how = 0, sum;

    CHECK_EQ(shoal_pool_apply(pool, use_a_pool, &how, sizeof how, &sum, sizeof sum), sizeof sum);
    CHECK_EQ(sum, 285);
    how = 1; /* and dies with it: the inner workers go too */
    CHECK_RETURN(shoal_pool_apply(pool, use_a_pool, &how, sizeof how, &sum, sizeof sum), -ECHILD);
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    shoal_pool_free(pool);
    AWAIT(is_reclaimed()); /* they die a moment after the worker whose they were */
}

static int fork_and_return(shoal_task *task)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (shoal_task_return(task, &(int){666}, sizeof(int)) != -EPERM ||
            shoal_task_fail(task, -EIO, "child") != -EPERM)
            abort();
        return 0; /* into the library, which is not this process's */
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return -ECHILD;
    return shoal_task_return(task, &(int){42}, sizeof(int));
}

TEST(a_child_that_a_task_forks_is_no_worker)
{
    shoal_pool *pool = open_pool(1);
    struct shoal_pool_stats stats;
    int x = 0;

    for (int i = 0; i < 3; i++) {
        CHECK_EQ(shoal_pool_apply(pool, fork_and_return, NULL, 0, &x, sizeof x), sizeof x);
        CHECK_EQ(x, 42);
    }
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.completed, 3);
    CHECK_EQ(stats.deaths, 0);
    end_pool(pool);
}

TEST(a_keeper_that_is_stopped_does_not_hold_up_the_end)
{
    int x;

    for (int i = 0; i < 2; i++) {
        shoal_pool *pool = open_pool(2);
        await_full(pool);
        CHECK_SYS(kill(pool->crew->keeper_pid, SIGSTOP));
        shoal_future *future = submit(pool, square, 7);
        CHECK_EQ(shoal_future_get(future, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
        shoal_future_free(future);
        if (i)
            CHECK_OK(shoal_pool_close(pool));
        shoal_pool_free(pool);
    }
    CHECK_EQ(blocks_in_use(), 0);
}

TEST(a_worker_that_is_stopped_holds_up_nobody_else)
{
    shoal_pool *pool = open_pool(2);
    int in[100], out[100], x;
    pid_t pid;

    await_full(pool);
    shoal_future *future = submit(pool, nap, 200);
    AWAIT(pool->shared->begun == 1);
    struct shoal_worker_info info[2];
    AWAIT(shoal_pool_workers(pool, info, 2) == 2 && info[0].busy + info[1].busy == 1);
    pid = info[0].busy ? info[0].pid : info[1].pid;
    CHECK_SYS(kill(pid, SIGSTOP));
    for (int i = 0; i < 100; i++)
        in[i] = i;
    CHECK_OK(shoal_pool_map(pool, square, in, sizeof *in, 100, out, sizeof *out));
    CHECK_RETURN(shoal_future_wait(future, SHOAL_MILLISECONDS(300)), -ETIMEDOUT);
    CHECK_SYS(kill(pid, SIGCONT));
    CHECK_EQ(shoal_future_get(future, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
    shoal_future_free(future);

    future = submit(pool, nap, 200);
    AWAIT(shoal_pool_workers(pool, info, 2) == 2 && info[0].busy + info[1].busy == 1);
    CHECK_SYS(kill(info[0].busy ? info[0].pid : info[1].pid, SIGSTOP));
    shoal_pool_free(pool); /* does not wait for it */
    shoal_future_free(future);
    CHECK_EQ(blocks_in_use(), 0);
}
