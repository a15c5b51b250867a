/* matrix.h - what the programs of the kill matrix share. Each test is a cell of the C column; its name is the row's.
 *
 * They use the library as any program does: by its public headers. */
#ifndef TESTS_MATRIX_H
#define TESTS_MATRIX_H

#include "harness.h"

#include <shoal/shoal.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2, ITEMS = 8, BAD = 3, MOST_PROCESSES = 64 };

static inline shoal_pool *open_pool(unsigned workers)
{
    shoal_pool *pool;

    CHECK_OK(shoal_pool_open(&(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = workers}, &pool));
    return pool;
}

static inline int square(shoal_task *task)
{
    int x;
    int r = shoal_task_arg(task, &x, sizeof x);
    return r < 0 ? r : shoal_task_return(task, &(int){x * x}, sizeof(int));
}

static inline int nap(shoal_task *task)
{
    int milliseconds;
    int r = shoal_task_arg(task, &milliseconds, sizeof milliseconds);
    usleep((useconds_t)milliseconds * 1000);
    return r < 0 ? r : shoal_task_return(task, &milliseconds, sizeof milliseconds);
}

static inline shoal_future *submit(shoal_pool *pool, shoal_task_function *function, int argument)
{
    shoal_future *future;

    CHECK_OK(shoal_pool_submit(pool, NULL, function, &argument, sizeof argument, 1, &future));
    return future;
}

static inline bool is_full(shoal_pool *pool, unsigned size)
{
    struct shoal_pool_stats stats;

    CHECK_OK(shoal_pool_stats(pool, &stats));
    return stats.alive == size;
}

static inline unsigned worker_pids(shoal_pool *pool, pid_t pids[MOST_PROCESSES])
{
    struct shoal_worker_info info[MOST_PROCESSES];
    int count = (int)CHECK_COUNT(shoal_pool_workers(pool, info, MOST_PROCESSES));
    unsigned n = 0;

    for (int i = 0; i < count && i < MOST_PROCESSES; i++)
        if (info[i].pid > 0)
            pids[n++] = info[i].pid;
    return n;
}

static inline void check_squares(shoal_pool *pool, int count)
{
    for (int i = 0; i < count; i++) {
        int x = i;
        CHECK_EQ(shoal_pool_apply(pool, square, &x, sizeof x, &x, sizeof x), sizeof x);
        CHECK_EQ(x, i * i);
    }
}

/* The pool is as if nothing had been; it is ended. */
static inline void check_lives(shoal_pool *pool, unsigned size)
{
    check_squares(pool, ITEMS);
    AWAIT(is_full(pool, size));
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    shoal_pool_free(pool);
}

/* All processes below one, appended to what is in pids already; returns how many there are then. */
static inline size_t list_children(pid_t pid, pid_t *pids, size_t count)
{
    char path[64], *end, line[4096] = "";

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return count;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    for (char *rest = line; count < MOST_PROCESSES; rest = end) {
        long child = strtol(rest, &end, 10);
        if (end == rest)
            break;
        pids[count++] = (pid_t)child;
        count = list_children((pid_t)child, pids, count);
    }
    return count;
}

/* Whether it is a pool's keeper or a forkserver. */
static inline bool is_helper(pid_t pid)
{
    char path[64], name[64] = "";

    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    if (!fgets(name, sizeof name, file))
        name[0] = '\0';
    fclose(file);
    return strcmp(name, "shoal-keeper\n") == 0 || strcmp(name, "shoal-server\n") == 0;
}

/* How long the minute-long ones take. */
static inline double matrix_seconds(void)
{
    const char *text = getenv("MATRIX_SECONDS");
    return text ? atof(text) : 3;
}

#endif
