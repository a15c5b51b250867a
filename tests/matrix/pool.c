/* pool.c - the C column of the kill matrix: workers and keepers of a pool die. */
#include "matrix.h"

#include <pthread.h>
#include <sys/resource.h>

/* --- tasks that end badly for one item of eight --- */

typedef void bad_end(void);

static void be_killed(void)
{
    raise(SIGKILL);
}

static void segfault(void)
{
    signal(SIGSEGV, SIG_DFL); /* a sanitizer would write a report */
    raise(SIGSEGV);
}

static void call__exit(void)
{
    _exit(7);
}

static void call_exit(void)
{
    exit(7);
}

static int unless_bad(shoal_task *task, bad_end *end)
{
    int x;
    int r = shoal_task_arg(task, &x, sizeof x);

    if (r == 0 && x == BAD)
        end();
    return r < 0 ? r : shoal_task_return(task, &(int){x * x}, sizeof(int));
}

static int killed(shoal_task *task)
{
    return unless_bad(task, be_killed);
}
SHOAL_REGISTER(killed)
SHOAL_REGISTER(nap)
SHOAL_REGISTER(square)

static int segfaulted(shoal_task *task)
{
    return unless_bad(task, segfault);
}

static int exited(shoal_task *task)
{
    return unless_bad(task, call__exit);
}

static int sys_exited(shoal_task *task)
{
    return unless_bad(task, call_exit);
}

/* Memory runs out, for this process alone, inside of the task. */
static int out_of_memory(shoal_task *task)
{
    struct rlimit before;
    void *large;
    int x;
    int r = shoal_task_arg(task, &x, sizeof x);

    if (r < 0 || x != BAD)
        return r < 0 ? r : shoal_task_return(task, &(int){x * x}, sizeof(int));
    getrlimit(RLIMIT_AS, &before);
    setrlimit(RLIMIT_AS, &(struct rlimit){1 << 20, before.rlim_max});
    large = malloc(1 << 30);
    setrlimit(RLIMIT_AS, &before);
    free(large);
    return large ? 0 : shoal_task_fail(task, -ENOMEM, "no memory for item %d", x);
}

/* --- the three ways to run them --- */

struct numbers {
    int next, value;
};

static int produce(void *context, struct shoal_bytes *ret_item)
{
    struct numbers *numbers = context;

    if (numbers->next == ITEMS)
        return 0;
    numbers->value = numbers->next++;
    *ret_item = (struct shoal_bytes){&numbers->value, sizeof numbers->value};
    return 1;
}

static void check_error(const struct shoal_task_error *error, uint64_t item, int code, int signal, int exit_code)
{
    CHECK_EQ(error->error, code);
    CHECK_EQ(error->item, item);
    if (code == -ECHILD) {
        CHECK_EQ(error->signal, signal);
        CHECK_EQ(error->exit_code, exit_code);
    }
    CHECK_GT(error->pid, 0);
    CHECK_GT(strlen(error->message), 0);
}

static void by_submit(shoal_pool *pool, shoal_task_function *function, int code, int signal, int exit_code)
{
    shoal_future *futures[ITEMS];
    struct shoal_task_error error;

    for (int i = 0; i < ITEMS; i++)
        futures[i] = submit(pool, function, i);
    for (int i = 0; i < ITEMS; i++) {
        int x = -1;
        CHECK_RETURN(shoal_future_get(futures[i], 0, &x, sizeof x, SHOAL_FOREVER), i == BAD ? code : (ssize_t)sizeof x);
        CHECK_EQ(x, i == BAD ? -1 : i * i);
        CHECK_RETURN(shoal_future_error(futures[i], 0, &error), i == BAD ? 0 : -ENOENT);
        if (i == BAD)
            check_error(&error, 0, code, signal, exit_code);
        shoal_future_free(futures[i]);
    }
}

static void by_map(shoal_pool *pool, shoal_task_function *function, int code, int signal, int exit_code)
{
    int in[ITEMS], out[ITEMS];

    (void)signal, (void)exit_code; /* a map returns the code alone */
    for (int i = 0; i < ITEMS; i++) {
        in[i] = i;
        out[i] = -1;
    }
    CHECK_RETURN(shoal_pool_map(pool, function, in, sizeof *in, ITEMS, out, sizeof *out), code);
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(out[i], i == BAD ? -1 : i * i);
}

static void by_imap(shoal_pool *pool, shoal_task_function *function, int code, int signal, int exit_code)
{
    struct numbers numbers = {0};
    struct shoal_task_error error;
    struct shoal_bytes result;
    shoal_iterator *iterator;
    uint64_t item;

    CHECK_OK(shoal_pool_imap(pool, NULL, function, produce, &numbers, &iterator));
    for (int i = 0; i < ITEMS; i++) {
        CHECK_RETURN(shoal_iterator_next(iterator, &item, &result, &error, SHOAL_FOREVER), i == BAD ? code : 1);
        CHECK_EQ(item, i);
        if (i == BAD)
            check_error(&error, item, code, signal, exit_code);
        else
            CHECK_MEM_EQ(result.data, &(int){i * i}, sizeof(int));
    }
    CHECK_EQ(shoal_iterator_next(iterator, &item, &result, &error, SHOAL_FOREVER), 0);
    shoal_iterator_free(iterator);
}

typedef void way(shoal_pool *pool, shoal_task_function *function, int code, int signal, int exit_code);

static void lose_one(way *run, shoal_task_function *function, int code, int signal, int exit_code)
{
    shoal_pool *pool = open_pool(WORKERS);
    struct shoal_pool_stats stats;

    run(pool, function, code, signal, exit_code);
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.deaths, code == -ECHILD);
    CHECK_EQ(stats.lost, code == -ECHILD);
    check_lives(pool, WORKERS);
}

#define CELLS(function, code, signal, exit_code)                                                                       \
    TEST(task_##function##_in_apply_async)                                                                             \
    {                                                                                                                  \
        lose_one(by_submit, function, code, signal, exit_code);                                                        \
    }                                                                                                                  \
    TEST(task_##function##_in_map)                                                                                     \
    {                                                                                                                  \
        lose_one(by_map, function, code, signal, exit_code);                                                           \
    }                                                                                                                  \
    TEST(task_##function##_in_imap)                                                                                    \
    {                                                                                                                  \
        lose_one(by_imap, function, code, signal, exit_code);                                                          \
    }

CELLS(killed, -ECHILD, SIGKILL, 0)
CELLS(segfaulted, -ECHILD, SIGSEGV, 0)
CELLS(exited, -ECHILD, 0, 7)
CELLS(sys_exited, -ECHILD, 0, 7)
CELLS(out_of_memory, -ENOMEM, 0, 0)

/* --- killed from outside --- */

TEST(idle_workers_killed)
{
    shoal_pool *pool = open_pool(WORKERS);
    pid_t pids[MOST_PROCESSES];
    struct shoal_pool_stats stats;

    check_squares(pool, 4);
    AWAIT(worker_pids(pool, pids) == WORKERS);
    for (int i = 0; i < WORKERS; i++)
        CHECK_SYS(kill(pids[i], SIGKILL));
    check_squares(pool, ITEMS);
    AWAIT(shoal_pool_stats(pool, &stats) == 0 && stats.deaths == WORKERS);
    CHECK_EQ(stats.lost, 0);
    check_lives(pool, WORKERS);
}

struct killer {
    shoal_pool *pool;
    _Atomic int stop, kills;
    uint64_t seed;
};

static void *kill_now_and_then(void *argument)
{
    struct killer *killer = argument;

    while (!killer->stop) {
        pid_t pids[MOST_PROCESSES];
        usleep(50000);
        unsigned count = worker_pids(killer->pool, pids);
        if (count && kill(pids[test_random_below(&killer->seed, count)], SIGKILL) == 0)
            killer->kills++;
    }
    return NULL;
}

static int pause_and_square(shoal_task *task)
{
    usleep(1000);
    return square(task);
}

/* Each ends with its value or one error; returns how many with an error. */
static int run_many(shoal_pool *pool, int count)
{
    shoal_future **futures = calloc((size_t)count, sizeof(shoal_future *));
    int lost = 0;

    for (int i = 0; i < count; i++)
        futures[i] = submit(pool, pause_and_square, i % 10000);
    for (int i = 0; i < count; i++) {
        int x = -1, square_of = i % 10000 * (i % 10000);
        ssize_t r = shoal_future_get(futures[i], 0, &x, sizeof x, SHOAL_SECONDS(20));
        CHECK(r == sizeof x || r == -ECHILD);
        CHECK_EQ(x, r < 0 ? -1 : square_of);
        lost += r < 0;
        shoal_future_free(futures[i]);
    }
    free(futures);
    return lost;
}

TEST_WITHIN(180, random_workers_killed)
{
    enum { MANY = 4, TASKS = 10000 };
    shoal_pool *pool = open_pool(MANY);
    struct killer killer = {.pool = pool, .seed = test_seed()};
    int64_t end = test_now() + (int64_t)(matrix_seconds() * 1e9);
    pthread_t thread;
    int lost = 0;

    CHECK_EQ(pthread_create(&thread, NULL, kill_now_and_then, &killer), 0);
    do
        lost += run_many(pool, TASKS);
    while (test_now() < end);
    killer.stop = 1;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_GT(killer.kills, 5);
    CHECK_LE(lost, killer.kills);
    check_lives(pool, MANY);
}

enum who { KEEPER_ALONE, ALL_HELPERS, ALL };

static int count_helpers(void)
{
    pid_t pids[MOST_PROCESSES];
    size_t count = list_children(getpid(), pids, 0);
    int helpers = 0;

    for (size_t i = 0; i < count; i++)
        helpers += is_helper(pids[i]);
    return helpers;
}

/* Kill some of the processes below this one while tasks run, then a worker by its own task; returns how many items
 * were lost to the first. */
static int lose_processes(shoal_pool *pool, enum who who)
{
    pid_t pids[MOST_PROCESSES];
    shoal_future *futures[ITEMS];
    int killed_now = 0, lost = 0, x;

    check_squares(pool, ITEMS);
    AWAIT(is_full(pool, WORKERS) && count_helpers() == (who == ALL_HELPERS ? 2 : 1));
    for (int i = 0; i < ITEMS; i++)
        futures[i] = submit(pool, nap, 200);
    size_t count = list_children(getpid(), pids, 0);
    for (size_t i = 0; i < count; i++)
        if (who == ALL || is_helper(pids[i]))
            killed_now += kill(pids[i], SIGKILL) == 0;
    CHECK_GE(killed_now, who == ALL ? WORKERS + 1 : who == ALL_HELPERS ? 2 : 1);
    for (int i = 0; i < ITEMS; i++) {
        ssize_t r = shoal_future_get(futures[i], 0, &x, sizeof x, SHOAL_SECONDS(20));
        CHECK(r == sizeof x || r == -ECHILD);
        lost += r < 0;
        shoal_future_free(futures[i]);
    }
    by_submit(pool, killed, -ECHILD, SIGKILL, 0);
    return lost;
}

TEST(keeper_killed)
{
    shoal_pool *pool = open_pool(WORKERS);

    CHECK_EQ(lose_processes(pool, KEEPER_ALONE), 0);
    check_lives(pool, WORKERS);
}

TEST(helpers_killed)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = WORKERS,
                                         .start = SHOAL_START_FORKSERVER};
    shoal_pool *pool;

    CHECK_OK(shoal_pool_open(&options, &pool));
    CHECK_EQ(lose_processes(pool, ALL_HELPERS), 0);
    check_lives(pool, WORKERS);
}

TEST(all_children_killed)
{
    shoal_pool *pool = open_pool(WORKERS);

    CHECK_LE(lose_processes(pool, ALL), WORKERS);
    check_lives(pool, WORKERS);
}

TEST(worker_stopped)
{
    shoal_pool *pool = open_pool(WORKERS);
    shoal_future *futures[100];
    pid_t pids[MOST_PROCESSES];
    int x;

    check_squares(pool, ITEMS);
    AWAIT(worker_pids(pool, pids) == WORKERS);
    for (int i = 0; i < 100; i++)
        futures[i] = submit(pool, pause_and_square, i);
    CHECK_SYS(kill(pids[0], SIGSTOP));
    shoal_future *begun = submit(pool, nap, 500);
    CHECK_EQ(shoal_future_get(begun, 0, &x, sizeof x, SHOAL_SECONDS(20)), sizeof x); /* by the other */
    CHECK_SYS(kill(pids[0], SIGCONT));
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(shoal_future_get(futures[i], 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
        CHECK_EQ(x, i * i);
        shoal_future_free(futures[i]);
    }
    shoal_future_free(begun);
    check_lives(pool, WORKERS);
}
