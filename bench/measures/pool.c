/* pool.c - the worker pool: one task there and back, many of them, what a million of them hold in memory, and how soon
 * a worker's death is known. */
#include "measures/pool.h"

#include "harness/clock.h"
#include "harness/run.h"
#include "harness/samples.h"

#include <errno.h>
#include <poll.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MAP_ITEMS = 200000,
    SINGLE_TASKS = 20000,
    HELD_TASKS = 1000000,
    DEATHS = 100,
    BLOCK = 16, /* round trips between two looks at the clock */
};

/* What the workers know, being forks of the process that measures. */
static struct bench_run *run;
static const struct bench_settings *settings_now;
static enum bench_placement placement_now;

static int place_worker(void *argument, size_t size)
{
    (void)argument;
    (void)size;
    return bench_place(settings_now, placement_now, 1);
}

static int open_pool(const struct bench_case *what, const struct bench_settings *settings, unsigned workers,
                     shoal_pool **ret_pool, struct bench_outcome *ret_outcome)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = workers, .initializer = place_worker};
    run = bench_run_open(what, settings);
    settings_now = settings;
    placement_now = what->placement;
    int r = run ? bench_place(settings, what->placement, 0) : -ENOMEM;
    if (r >= 0)
        r = shoal_pool_open(&options, ret_pool);
    if (r < 0)
        bench_outcome_fail(ret_outcome, r, "the pool cannot be opened");
    return r;
}

static void close_pool(shoal_pool *pool, struct bench_outcome *ret_outcome)
{
    int r = shoal_pool_close(pool);
    if (r >= 0)
        r = shoal_pool_join(pool, SHOAL_SECONDS(2));
    shoal_pool_free(pool);
    if (r < 0)
        bench_outcome_fail(ret_outcome, r, "the pool does not end");
}

/* Answer with another number, so that an answer made without the task is noticed. */
static uint64_t answer_to(uint64_t question)
{
    return question * 3 + 1;
}

static int answer(shoal_task *task)
{
    uint64_t question;
    int r = shoal_task_arg(task, &question, sizeof question);
    if (r < 0)
        return r;
    if (run->think > 0)
        __atomic_store_n(&run->seats[1].thought, run->seats[1].thought + bench_think(run->think), __ATOMIC_RELAXED);
    question = answer_to(question);
    return shoal_task_return(task, &question, sizeof question);
}

static int ask(shoal_pool *pool, uint64_t question)
{
    uint64_t reply = 0;
    ssize_t n = shoal_pool_apply(pool, answer, &question, sizeof question, &reply, sizeof reply);
    if (n == (ssize_t)sizeof reply && reply == answer_to(question))
        return 0;
    return n < 0 ? (int)n : -EBADMSG;
}

/* count tasks, one after the other, there and back. Returns the time taken without the thinking, or -errno. */
static int64_t ask_some(shoal_pool *pool, uint64_t *question, unsigned count)
{
    int r = 0;
    int64_t begin = bench_now();
    int64_t thought = -__atomic_load_n(&run->seats[1].thought, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < count && r >= 0; i++) {
        if (run->think > 0)
            thought += bench_think(run->think);
        r = ask(pool, ++*question);
    }
    thought += __atomic_load_n(&run->seats[1].thought, __ATOMIC_RELAXED);
    return r < 0 ? r : bench_now() - begin - thought;
}

static void measure_round_trip(const struct bench_case *what, const struct bench_settings *settings,
                               struct bench_outcome *ret_outcome)
{
    struct bench_samples samples;
    shoal_pool *pool;
    uint64_t question = 0;
    unsigned block = what->think > 0 ? 1 : BLOCK;
    if (open_pool(what, settings, 1, &pool, ret_outcome) < 0)
        return;
    int64_t took = bench_samples_open(&samples);
    int64_t begin = bench_now();
    while (took >= 0 && bench_now() - begin < run->warm)
        took = ask_some(pool, &question, block);
    begin = bench_now();
    while (took >= 0 && bench_now() - begin < run->window) {
        took = ask_some(pool, &question, block);
        if (took >= 0 && !bench_samples_add(&samples, took))
            break;
    }
    if (took < 0)
        bench_outcome_fail(ret_outcome, (int)took, "a task failed");
    bench_samples_close(&samples, block, run);
    close_pool(pool, ret_outcome);
    bench_samples_report(run, ret_outcome);
}

void bench_pool_round_trip(struct bench_plan *plan, const struct bench_settings *settings,
                           const struct bench_group *group, enum bench_placement placement, int64_t think)
{
    bench_plan_add(plan, settings,
                   (struct bench_case){
                       .group = group,
                       .column = "8 B",
                       .contestant = "shoal pool, a task",
                       .measure = measure_round_trip,
                       .size = sizeof(uint64_t),
                       .placement = placement,
                       .think = think,
                   });
}

/* One map over all items, until all have ended; -errno or nanoseconds. The answers are checked outside of the time. */
static int64_t map_once(shoal_pool *pool, const uint64_t *items, size_t count, size_t chunk)
{
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = chunk};
    shoal_future *future;
    int64_t begin = bench_now();
    int r = shoal_pool_submit(pool, &options, answer, items, sizeof *items, count, &future);
    if (r >= 0)
        r = shoal_future_wait(future, SHOAL_FOREVER);
    int64_t took = bench_now() - begin;
    for (size_t i = 0; i < count && r >= 0; i++) {
        uint64_t reply;
        ssize_t n = shoal_future_get(future, i, &reply, sizeof reply, 0);
        if (n != (ssize_t)sizeof reply || reply != answer_to(items[i]))
            r = n < 0 ? (int)n : -EBADMSG;
    }
    shoal_future_free(future);
    return r < 0 ? r : took;
}

/* Each task submitted by itself, then each answer waited for and checked. */
static int64_t submit_each(shoal_pool *pool, const uint64_t *items, size_t count, shoal_future **futures)
{
    int r = 0;
    int64_t begin = bench_now();
    for (size_t i = 0; i < count && r >= 0; i++)
        r = shoal_pool_submit(pool, NULL, answer, &items[i], sizeof *items, 1, &futures[i]);
    for (size_t i = 0; i < count && r >= 0; i++) {
        uint64_t reply;
        ssize_t n = shoal_future_get(futures[i], 0, &reply, sizeof reply, SHOAL_FOREVER);
        if (n != (ssize_t)sizeof reply || reply != answer_to(items[i]))
            r = n < 0 ? (int)n : -EBADMSG;
        shoal_future_free(futures[i]);
    }
    return r < 0 ? r : bench_now() - begin;
}

static void measure_many(const struct bench_case *what, const struct bench_settings *settings,
                         struct bench_outcome *ret_outcome)
{
    shoal_pool *pool;
    size_t chunk = what->number;
    size_t count = chunk ? MAP_ITEMS : SINGLE_TASKS;
    uint64_t *items = malloc(count * sizeof *items);
    shoal_future **futures = calloc(count, sizeof *futures);
    int64_t took = 0, total = 0, rounds = -1; /* the first warms up */
    if (!items || !futures) {
        bench_outcome_fail(ret_outcome, -ENOMEM, "the items");
        return;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = i;
    if (open_pool(what, settings, what->consumers, &pool, ret_outcome) < 0)
        return;
    int64_t begin = bench_now();
    while (took >= 0 && (rounds < 1 || bench_now() - begin < run->window)) {
        took = chunk ? map_once(pool, items, count, chunk) : submit_each(pool, items, count, futures);
        total += ++rounds > 0 ? took : 0;
    }
    if (took < 0)
        bench_outcome_fail(ret_outcome, (int)took, "a task failed");
    close_pool(pool, ret_outcome);
    ret_outcome->value = rounds > 0 ? (double)total / (double)rounds / (double)count : 0;
}

/* A task that ends when the measuring process says so. */
static int hold(shoal_task *task)
{
    (void)task;
    __atomic_store_n(&run->ready, 1, __ATOMIC_RELEASE);
    while (!bench_run_stopped(run))
        bench_sleep_until(bench_now() + 1000000);
    return 0;
}

static int submit_held(shoal_pool *pool, int single, const uint64_t *items, shoal_future **futures)
{
    int r = 0;
    if (!single)
        return shoal_pool_submit(pool, NULL, answer, items, sizeof *items, HELD_TASKS, &futures[0]);
    for (size_t i = 0; i < HELD_TASKS && r >= 0; i++)
        r = shoal_pool_submit(pool, NULL, answer, &items[i], sizeof *items, 1, &futures[i]);
    return r;
}

/* Submit a million tasks while the only worker is busy, and see what the arena holds more than before. */
static void measure_memory(const struct bench_case *what, const struct bench_settings *settings,
                           struct bench_outcome *ret_outcome)
{
    struct shoal_arena_stats before = {0}, after = {0};
    uint64_t *items = calloc(HELD_TASKS, sizeof *items);
    shoal_future **futures = calloc(HELD_TASKS, sizeof *futures), *holding;
    shoal_pool *pool;
    int single = (int)what->number;
    if (!items || !futures || open_pool(what, settings, 1, &pool, ret_outcome) < 0)
        return;
    int r = shoal_pool_submit(pool, NULL, hold, NULL, 0, 1, &holding);
    while (r >= 0 && !__atomic_load_n(&run->ready, __ATOMIC_ACQUIRE))
        bench_sleep_until(bench_now() + 1000000);
    if (r >= 0)
        r = shoal_arena_stats(&before);
    if (r >= 0)
        r = submit_held(pool, single, items, futures);
    if (r >= 0)
        r = shoal_arena_stats(&after);
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELEASE);
    for (size_t i = 0; i < HELD_TASKS && r >= 0 && futures[i]; i++)
        r = shoal_future_wait(futures[i], SHOAL_FOREVER);
    for (size_t i = 0; i < HELD_TASKS; i++)
        shoal_future_free(futures[i]);
    shoal_future_free(holding);
    if (r < 0)
        bench_outcome_fail(ret_outcome, r, "the tasks cannot be submitted");
    close_pool(pool, ret_outcome);
    ret_outcome->value = (double)(after.in_use - before.in_use) / HELD_TASKS;
    snprintf(ret_outcome->note, sizeof ret_outcome->note, "the arena grew by %.1f bytes a task",
             (double)(after.committed - before.committed) / HELD_TASKS);
}

static _Noreturn void die(void)
{
    __atomic_store_n(&run->seats[1].thought, bench_now(), __ATOMIC_RELEASE);
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int die_in_task(shoal_task *task)
{
    (void)task;
    die();
}

static int64_t since_death(void)
{
    return bench_now() - __atomic_load_n(&run->seats[1].thought, __ATOMIC_ACQUIRE);
}

/* Nanoseconds from the kill to the error in the submitter's hands; -errno. */
static int64_t worker_death(shoal_pool *pool)
{
    struct shoal_pool_stats stats;
    ssize_t n = shoal_pool_apply(pool, die_in_task, NULL, 0, NULL, 0);
    int64_t took = since_death();
    if (n != -ECHILD)
        return n < 0 ? n : -EBADMSG;
    do { /* back to full size before the next */
        bench_sleep_until(bench_now() + 200000);
        int r = shoal_pool_stats(pool, &stats);
        if (r < 0)
            return r;
    } while (stats.alive < stats.workers);
    return took;
}

/* The least that a report can cost: a child's end, seen by poll on its pidfd. */
static int64_t child_death(void)
{
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        die();
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int r = poll(&end, 1, -1);
    int64_t took = since_death();
    waitpid(pid, NULL, 0);
    close(end.fd);
    return r == 1 ? took : -EIO;
}

static int compare(const void *left, const void *right)
{
    int64_t l = *(const int64_t *)left, r = *(const int64_t *)right;
    return (l > r) - (l < r);
}

static void measure_death(const struct bench_case *what, const struct bench_settings *settings,
                          struct bench_outcome *ret_outcome)
{
    int64_t took[DEATHS], r = 0;
    shoal_pool *pool = NULL;
    if (what->consumers > 0 && open_pool(what, settings, what->consumers, &pool, ret_outcome) < 0)
        return;
    if (what->consumers == 0)
        run = bench_run_open(what, settings);
    for (unsigned i = 0; i < DEATHS && r >= 0; i++)
        took[i] = r = pool ? worker_death(pool) : child_death();
    if (r < 0)
        bench_outcome_fail(ret_outcome, (int)r, "a death was not reported as one");
    if (pool)
        close_pool(pool, ret_outcome);
    if (r < 0)
        return;
    qsort(took, DEATHS, sizeof *took, compare);
    ret_outcome->value = (double)took[what->number * (DEATHS - 1) / 100];
}

static const struct bench_group tasks = {
    .name = "pool",
    .title = "Worker pool, tasks with 8 bytes in and 8 out: time a task",
    .unit = "ns",
};
static const struct bench_group memory = {
    .name = "pool memory",
    .title = "Worker pool, a million tasks waiting: memory a task",
    .unit = "bytes",
};
static const struct bench_group death = {
    .name = "worker death",
    .title = "A worker is killed: time from SIGKILL to the error in the submitter's hands",
    .unit = "ns",
};

static void add_many(struct bench_plan *plan, const struct bench_settings *settings)
{
    static const struct {
        const char *column;
        size_t chunk;
    } columns[] = {{"single tasks", 0}, {"map, chunk 1", 1}, {"chunk 16", 16}, {"chunk 1000", 1000}};
    static const struct {
        const char *contestant;
        unsigned workers;
    } pools[] = {{"shoal pool", 0}, {"shoal pool, 1 worker", 1}, {"shoal pool, 4 workers", 4}};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        for (size_t k = 0; k < (settings->quick ? 1 : sizeof pools / sizeof *pools); k++)
            bench_plan_add(plan, settings,
                           (struct bench_case){
                               .group = &tasks,
                               .column = columns[i].column,
                               .contestant = pools[k].contestant,
                               .measure = measure_many,
                               .number = columns[i].chunk,
                               .consumers = pools[k].workers,
                           });
}

void bench_pool_plan(struct bench_plan *plan, const struct bench_settings *settings)
{
    static const struct {
        const char *column;
        unsigned percent;
    } percentiles[] = {{"median", 50}, {"99 %", 99}};
    add_many(plan, settings);
    for (int single = 1; single >= 0; single--)
        bench_plan_add(plan, settings,
                       (struct bench_case){
                           .group = &memory,
                           .column = single ? "single tasks" : "one map",
                           .contestant = "shoal pool",
                           .measure = measure_memory,
                           .number = (uint64_t)single,
                       });
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++) {
        struct bench_case what = {
            .group = &death,
            .column = percentiles[i].column,
            .contestant = "shoal pool",
            .measure = measure_death,
            .number = percentiles[i].percent,
            .consumers = 2,
        };
        bench_plan_add(plan, settings, what);
        what.contestant = "fork, poll on a pidfd";
        what.consumers = 0;
        bench_plan_add(plan, settings, what);
    }
}
