/* barrier.c - death at a barrier: of a party that waits, of the last that comes, of one that breaks or resets it. */
#include "whole.h"

#include <errno.h>
#include <shoal/barrier.h>
#include <sys/wait.h>
#include <unistd.h>

struct ledger {
    _Atomic int victim;                      /* what its wait returned, and 1 more */
    _Atomic int sleeper[CRASH_SLEEPERS_MAX]; /* the same */
};

static shoal_barrier *barrier;
static struct ledger *ledger;
static int parties;
static int agent; /* what the agent's wait returned, and 1 more */

static void open_barrier(int count)
{
    whole_open();
    whole_note();
    ledger = crash_ledger();
    parties = count;
    CRASH_EQ(CRASH_BROKEN, shoal_barrier_open((uint32_t)count, &barrier), 0);
}

static void setup_two(void)
{
    open_barrier(2);
}

static void setup_three(void)
{
    open_barrier(3);
}

static void setup_four(void)
{
    open_barrier(4);
}

static int is_broken(void)
{
    int r = shoal_barrier_is_broken(barrier);

    CRASH_UNLESS(CRASH_TORN, r >= 0);
    return r;
}

static uint32_t waiting(void)
{
    uint32_t count;

    CRASH_EQ(CRASH_TORN, shoal_barrier_waiting(barrier, &count), 0);
    return count;
}

static void prepare(void)
{
    waiting();
}

static void wait_for(void)
{
    ledger->victim = shoal_barrier_wait(barrier, SHOAL_FOREVER) + 1;
}

static void wait_in_time(void)
{
    shoal_barrier_wait(barrier, SHOAL_MILLISECONDS(1));
}

static void try(void)
{
    shoal_barrier_wait(barrier, 0);
}

static void break_it(void)
{
    shoal_barrier_abort(barrier);
}

static void reset(void)
{
    shoal_barrier_reset(barrier);
}

/* The agent is the last party to come. */
static void feed_last(unsigned nth)
{
    if (nth != 1)
        return;
    int r = shoal_barrier_wait(barrier, WHOLE_LIMIT);
    if (r != -EPIPE)
        CRASH_UNLESS(r == -ETIMEDOUT ? CRASH_STUCK : CRASH_TORN, r >= 0 && r < parties);
    agent = r + 1;
}

static void feed_nothing(unsigned nth)
{
    (void)nth;
}

static void sleep_for(unsigned index)
{
    int r = shoal_barrier_wait(barrier, SHOAL_FOREVER);

    if (r != -EPIPE && r != -ECANCELED && (r < 0 || r >= parties))
        crash_fail(CRASH_TORN, "a party's wait returned %d", r);
    ledger->sleeper[index] = r + 1;
}

/* The barrier let its parties go, or is broken; or one of those that it waits with is the dead victim. */
static int due(unsigned index)
{
    (void)index;
    return is_broken() || waiting() == 0 || waiting() > crash_sleepers_left();
}

static void rouse(void)
{
    CRASH_RETURNS(shoal_barrier_abort(barrier), 0);
}

/* Of those that were let through each has a number of its own. */
static void check_numbers(void)
{
    unsigned seen = 0;
    int results[CRASH_SLEEPERS_MAX + 2] = {ledger->victim, agent};

    for (int i = 0; i < CRASH_SLEEPERS_MAX; i++)
        results[i + 2] = ledger->sleeper[i];
    for (int i = 0; i < CRASH_SLEEPERS_MAX + 2; i++) {
        if (results[i] <= 0)
            continue;
        if (seen & 1u << results[i])
            crash_fail(CRASH_TORN, "two parties have number %d", results[i] - 1);
        seen |= 1u << results[i];
    }
}

static void use(void)
{
    pid_t children[4];
    int status;

    for (int i = 0; i < parties - 1; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(shoal_barrier_wait(barrier, WHOLE_LIMIT) < 0);
        if (children[i] < 0)
            crash_fail(CRASH_BROKEN, "fork");
    }
    int r = shoal_barrier_wait(barrier, WHOLE_LIMIT);
    if (r < 0)
        crash_fail(r == -ETIMEDOUT ? CRASH_STUCK : CRASH_TORN, "the agent's wait returned %d", r);
    for (int i = 0; i < parties - 1; i++) {
        if (waitpid(children[i], &status, 0) != children[i] || status)
            crash_fail(CRASH_TORN, "a party's wait failed: status 0x%x", (unsigned)status);
    }
}

static void check(void)
{
    check_numbers();
    CRASH_RETURNS(shoal_barrier_reset(barrier), 0);
    CRASH_EQ(CRASH_TORN, is_broken(), 0);
    CRASH_EQ(CRASH_LEAKED, waiting(), 0);
    for (int round = 0; round < 2; round++)
        use();
    shoal_barrier_free(barrier);
    whole_check();
}

#define WAITS .sleep = sleep_for, .due = due, .rouse = rouse

static const struct crash_case cases[] = {
    {"wait, alone", .setup = setup_two, .prepare = prepare, .operation = wait_for, .feed = feed_last, .check = check},
    {"wait, the last of two", .sleepers = 1, WAITS, .setup = setup_two, .prepare = prepare, .operation = wait_for,
     .check = check},
    {"wait, the last of four", .sleepers = 3, WAITS, .setup = setup_four, .prepare = prepare, .operation = wait_for,
     .check = check},
    {"wait, the second of three", .sleepers = 1, WAITS, .setup = setup_three, .prepare = prepare, .operation = wait_for,
     .feed = feed_last, .check = check},
    {"wait, the first of three", .sleepers = 1, .sleepers_last = 1, WAITS, .setup = setup_three, .prepare = prepare,
     .operation = wait_for, .feed = feed_last, .check = check},
    {"wait, in time, another waits", .sleepers = 1, WAITS, .setup = setup_three, .prepare = prepare,
     .operation = wait_in_time, .feed = feed_nothing, .check = check},
    {"wait, no time, another waits", .sleepers = 1, WAITS, .setup = setup_three, .prepare = prepare, .operation = try,
     .check = check},
    {"abort, two wait", .sleepers = 2, WAITS, .setup = setup_three, .prepare = prepare, .operation = break_it,
     .check = check},
    {"reset, two wait", .sleepers = 2, WAITS, .setup = setup_three, .prepare = prepare, .operation = reset,
     .check = check},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
