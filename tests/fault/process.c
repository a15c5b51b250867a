/* process.c - starts where memory, descriptors or processes run out: nothing has run, nothing is left. */
#include "fault.h"
#include "harness.h"

#include <shoal/process.h>

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

TEST(a_fork_that_fails_leaves_nothing)
{
    how = SHOAL_START_FORK;
    test_each_fault(start, join);
}

TEST(a_start_by_the_forkserver_that_fails_leaves_nothing)
{
    how = SHOAL_START_FORKSERVER;
    test_each_fault(start, join);
}

TEST(a_spawn_that_fails_leaves_nothing)
{
    how = SHOAL_START_SPAWN;
    test_each_fault(start, join);
}
