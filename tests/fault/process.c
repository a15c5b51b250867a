/* process.c - starts where memory, descriptors or processes run out: nothing has run, nothing is left. */
#include "fault.h"
#include "harness.h"

#include <shoal/process.h>
#include <signal.h>
#include <unistd.h>

static shoal_process *process;
static enum shoal_start how;

static int return_seven(void *argument, size_t size)
{
    (void)argument;
    return size == 9 ? 7 : 1;
}
SHOAL_REGISTER(return_seven)

static int start(void)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process), .start = how};

    return shoal_process_start(&options, return_seven, "argument", 9, &process);
}

static void join(void)
{
    struct shoal_exit end = {0};

    CHECK_OK(shoal_process_join(process, test_time(20)));
    CHECK_OK(shoal_process_exit(process, &end));
    CHECK_EQ(end.code, 7);
    CHECK_EQ(end.signal, 0);
    shoal_process_free(process);
}

TEST_WITHIN(300, a_fork_that_fails_leaves_nothing)
{
    how = SHOAL_START_FORK;
    test_each_fault(start, join);
}

TEST_WITHIN(300, a_start_by_the_forkserver_that_fails_leaves_nothing)
{
    how = SHOAL_START_FORKSERVER;
    test_each_fault(start, join);
}

TEST_WITHIN(300, a_spawn_that_fails_leaves_nothing)
{
    how = SHOAL_START_SPAWN;
    test_each_fault(start, join);
}

/* A child that is refused something while its function runs ends as it would have, or by what its start returned. */
static int start_and_join(void)
{
    int r = start();

    if (r == 0)
        join();
    return r;
}

static void nothing(void)
{
}

TEST_WITHIN(300, a_forked_child_that_is_refused_something_does_without)
{
    how = SHOAL_START_FORK;
    test_each_fault_in(TEST_FAULT_IN_CHILDREN, start_and_join, nothing);
}

TEST_WITHIN(300, a_forkserver_or_its_child_that_is_refused_something_says_so_or_does_without)
{
    how = SHOAL_START_FORKSERVER;
    test_each_fault_in(TEST_FAULT_IN_CHILDREN, start_and_join, nothing);
}

TEST_WITHIN(300, a_spawned_child_that_is_refused_something_says_so_or_does_without)
{
    how = SHOAL_START_SPAWN;
    test_each_fault_in(TEST_FAULT_IN_CHILDREN, start_and_join, nothing);
}

/* --- the rest of a process's life --- */

static int sleep_on(void *argument, size_t size)
{
    (void)argument, (void)size;
    while (pause() < 0)
        ;
    return 1;
}
SHOAL_REGISTER(sleep_on)

/* A daemon that is terminated. */
static int live(void)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process), .start = how, .flags = SHOAL_PROCESS_DAEMON,
                                            .name = "daemon"};
    struct shoal_exit end;
    int r = shoal_process_start(&options, sleep_on, NULL, 0, &process);

    if (r < 0)
        return r;
    int alive = shoal_process_is_alive(process);
    CHECK(alive == 1 || alive < 0);
    r = shoal_process_terminate(process);
    if (r == 0)
        r = shoal_process_join(process, SHOAL_FOREVER);
    if (r == 0)
        r = shoal_process_exit(process, &end);
    if (r == 0)
        CHECK_EQ(end.signal, SIGTERM);
    test_fault_hold();
    if (r < 0) {
        CHECK_OK(shoal_process_kill(process));
        CHECK_OK(shoal_process_join(process, test_time(20)));
    }
    test_fault_release();
    shoal_process_free(process);
    return r;
}

TEST_WITHIN(300, a_child_that_cannot_be_ended_can_be_later)
{
    how = SHOAL_START_FORK;
    test_each_fault(live, nothing);
    how = SHOAL_START_FORKSERVER;
    test_each_fault(live, nothing);
}

static int count_cpus(void)
{
    CHECK_GE(shoal_cpu_count(), 1);
    return 0;
}

TEST(cpus_can_be_counted_whatever_is_refused)
{
    test_each_fault(count_cpus, nothing);
}
