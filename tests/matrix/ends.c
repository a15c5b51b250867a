/* ends.c - the C column of the kill matrix: the main process is killed, or Ctrl-C is pressed. */
#include "matrix.h"

#include <pthread.h>

/* A program of its own, with a family of its own, in a process group of its own. It writes a byte when it is ready. */
typedef void program(int ready);

static void say_ready(int ready)
{
    CHECK_EQ(write(ready, "r", 1), 1);
}

static void rest(void)
{
    for (;;)
        pause();
}

/* Run a program, end it by a signal a while after it is ready, and see that nothing of it is left a second later. */
static void end_by(program *run, int number, bool whole_group, useconds_t later)
{
    int ready[2], status;
    pid_t pid;
    char byte;

    CHECK_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1)); /* what is left of it comes to this process */
    CHECK_SYS(pipe(ready));
    CHILD(pid) {
        CHECK_SYS(setpgid(0, 0));
        run(ready[1]);
        FAIL("the program ended by itself");
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    usleep(later);
    CHECK_SYS(kill(whole_group ? -pid : pid, number));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    int64_t died = test_now();
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == number);
    while (waitpid(-1, NULL, 0) > 0) /* until there is none left */
        ;
    CHECK_LT(test_now() - died, test_time(1));
    CHECK_SYS(close(ready[0]));
    CHECK_SYS(close(ready[1]));
}

static shoal_pool *with_busy_workers(void)
{
    shoal_pool *pool = open_pool(WORKERS);
    struct shoal_worker_info info[WORKERS];

    check_squares(pool, ITEMS);
    for (int i = 0; i < ITEMS; i++)
        shoal_future_free(submit(pool, nap, 100000));
    AWAIT(shoal_pool_workers(pool, info, WORKERS) == WORKERS && info[0].busy + info[1].busy == WORKERS);
    return pool;
}

static void be_busy(int ready)
{
    with_busy_workers();
    say_ready(ready);
    rest();
}

static void be_idle(int ready)
{
    shoal_pool *pool = open_pool(WORKERS);

    check_squares(pool, ITEMS);
    AWAIT(is_full(pool, WORKERS));
    say_ready(ready);
    rest();
}

static void be_starting(int ready)
{
    say_ready(ready);
    for (;;)
        shoal_pool_free(open_pool(8));
}

TEST(main_killed_while_busy)
{
    end_by(be_busy, SIGKILL, false, 0);
}

TEST(main_killed_while_idle)
{
    end_by(be_idle, SIGKILL, false, 0);
}

TEST(main_killed_while_starting)
{
    for (useconds_t i = 0; i < 25; i++)
        end_by(be_starting, SIGKILL, false, i * 500);
}

TEST(main_gets_sigterm)
{
    end_by(be_busy, SIGTERM, false, 0);
}

static void map(int ready)
{
    shoal_pool *pool = open_pool(WORKERS);
    int items[ITEMS], results[ITEMS];

    for (int i = 0; i < ITEMS; i++)
        items[i] = 100000;
    say_ready(ready);
    shoal_pool_map(pool, nap, items, sizeof *items, ITEMS, results, sizeof *results);
}

static void get(int ready)
{
    shoal_future *future = submit(open_pool(WORKERS), nap, 100000);

    say_ready(ready);
    shoal_future_get(future, 0, &(int){0}, sizeof(int), SHOAL_FOREVER);
}

static void join(int ready)
{
    shoal_pool *pool = with_busy_workers();

    CHECK_OK(shoal_pool_close(pool));
    say_ready(ready);
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
}

static void close_then_join(int ready)
{
    shoal_pool *pool = with_busy_workers();

    say_ready(ready);
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
}

static void get_from_queue(int ready)
{
    shoal_queue *queue;

    with_busy_workers();
    CHECK_OK(shoal_queue_open(NULL, &queue));
    say_ready(ready);
    shoal_queue_get(queue, NULL, 0, SHOAL_FOREVER);
}

TEST(interrupted_in_map)
{
    end_by(map, SIGINT, true, 20000);
}

TEST(interrupted_in_get)
{
    end_by(get, SIGINT, true, 20000);
}

TEST(interrupted_in_join)
{
    end_by(join, SIGINT, true, 20000);
}

TEST(interrupted_in_close)
{
    for (useconds_t i = 0; i < 10; i++)
        end_by(close_then_join, SIGINT, true, i * 50);
}

TEST(interrupted_in_opening)
{
    for (useconds_t i = 0; i < 25; i++)
        end_by(be_starting, SIGINT, true, i * 500);
}

TEST(interrupted_in_queue_get)
{
    end_by(get_from_queue, SIGINT, true, 20000);
}
