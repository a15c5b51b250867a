/* semaphore.c - death at a semaphore: a plain one keeps its count, an owned one gets back what the dead held. */
#include "arena/reclaim.h"
#include "whole.h"

#include <errno.h>
#include <shoal/semaphore.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the victim has for certain: counted after the acquire, and taken off before the release. */
struct ledger {
    _Atomic int taken;
    _Atomic int released;
    _Atomic int taken_by_sleepers;
};

static shoal_semaphore *semaphore;
static struct ledger *ledger;
static int permits; /* at the beginning */
static int owned;
static int agent_has;

static void open_semaphore(unsigned flags, uint32_t value, uint32_t maximum)
{
    struct shoal_semaphore_options options = {SHOAL_OPTIONS(shoal_semaphore), .flags = flags, .value = value,
                                              .maximum = maximum};

    whole_open();
    whole_note();
    ledger = crash_ledger();
    permits = (int)value;
    owned = (flags & SHOAL_SEMAPHORE_OWNED) != 0;
    CRASH_EQ(CRASH_BROKEN, shoal_semaphore_open(&options, &semaphore), 0);
}

static void setup(void)
{
    open_semaphore(0, 2, 0);
}

static void setup_none(void)
{
    open_semaphore(0, 0, 0);
}

static void setup_bounded(void)
{
    open_semaphore(0, 1, 3);
}

static void setup_owned(void)
{
    open_semaphore(SHOAL_SEMAPHORE_OWNED, 3, 0);
}

static void agent_take(int count)
{
    for (; agent_has < count; agent_has++)
        CRASH_EQ(CRASH_BROKEN, shoal_semaphore_acquire(semaphore, 0), 0);
}

/* The agent has all of them; or all but one, which the victim takes. */
static void setup_owned_taken(void)
{
    setup_owned();
    agent_take(3);
}

static void setup_owned_but_one(void)
{
    setup_owned();
    agent_take(2);
}

/* Somebody has died with the last one. */
static void setup_owned_orphan(void)
{
    setup_owned_but_one();
    pid_t pid = fork();
    if (pid == 0)
        _exit(shoal_semaphore_acquire(semaphore, 0) != 0);
    int status;
    CRASH_UNLESS(CRASH_BROKEN, pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void prepare(void)
{
    uint32_t value;
    CRASH_EQ(CRASH_BROKEN, shoal_semaphore_value(semaphore, &value), 0);
}

static void take(void)
{
    if (shoal_semaphore_acquire(semaphore, SHOAL_FOREVER) >= 0)
        ledger->taken++;
}

static void take_in_time(void)
{
    shoal_semaphore_acquire(semaphore, SHOAL_MILLISECONDS(1));
}

static void give(void)
{
    ledger->released++;
    shoal_semaphore_release(semaphore, 1);
}

static void give_two(void)
{
    ledger->released += 2;
    shoal_semaphore_release(semaphore, 2);
}

static void take_and_give(void)
{
    take();
    give();
}

static void hold(void)
{
    uint32_t value;
    shoal_semaphore_value(semaphore, &value);
}

static void bury(void)
{
    sh_reclaim_dead();
}

static void prepare_holding(void)
{
    take();
}

static void prepare_holding_two(void)
{
    take();
    take();
}

static void feed_permit(unsigned nth)
{
    if (nth != 1)
        return;
    CRASH_RETURNS(shoal_semaphore_release(semaphore, 1), 0);
    if (owned)
        agent_has--;
    else
        permits++;
}

static void feed_nothing(unsigned nth)
{
    (void)nth;
}

static int value(void)
{
    uint32_t free_now;

    CRASH_EQ(CRASH_TORN, shoal_semaphore_value(semaphore, &free_now), 0);
    return (int)free_now;
}

static void sleep_for_permit(unsigned index)
{
    int r = shoal_semaphore_acquire(semaphore, SHOAL_FOREVER);

    (void)index;
    if (r != SHOAL_OWNER_DIED || !owned)
        CRASH_RETURNS(r, 0);
    ledger->taken_by_sleepers++;
}

static int due(unsigned index)
{
    (void)index;
    return value() > 0;
}

static void rouse(void)
{
    int count = owned ? agent_has : 3;

    for (int i = 0; i < count; i++)
        CRASH_RETURNS(shoal_semaphore_release(semaphore, 1), 0);
    if (owned)
        agent_has = 0;
    else
        permits += 3;
}

/* Of a plain one nothing is lost but what the victim may just have been taking, or giving. */
static void check_plain(void)
{
    int rest = permits - ledger->taken_by_sleepers, now = value();

    if (!(now >= rest - 1 && now <= rest + 2))
        crash_fail(CRASH_TORN, "%d permits are left of %d", now, rest);
    if (crash_victim_finished() && now != rest - ledger->taken + ledger->released)
        crash_fail(CRASH_TORN, "%d permits are left: %d less %d taken, %d released", now, rest, ledger->taken,
                   ledger->released);
    for (int i = 0; i < now; i++)
        CRASH_RETURNS(shoal_semaphore_acquire(semaphore, WHOLE_LIMIT), 0);
    for (int round = 0; round < 2; round++) {
        CRASH_RETURNS(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
        for (int i = 0; i < 3; i++)
            CRASH_RETURNS(shoal_semaphore_release(semaphore, 1), 0);
        for (int i = 0; i < 3; i++)
            CRASH_RETURNS(shoal_semaphore_acquire(semaphore, WHOLE_LIMIT), 0);
    }
    shoal_semaphore_free(semaphore);
    whole_check();
}

/* Of an owned one all are there but the agent's: those of the dead have come back, and whoever gets them is told. */
static void check_owned(void)
{
    int told = 0;

    CRASH_EQ(CRASH_LEAKED, value(), permits - agent_has);
    for (; agent_has < permits; agent_has++) {
        int r = shoal_semaphore_acquire(semaphore, WHOLE_LIMIT);
        if (r != SHOAL_OWNER_DIED)
            CRASH_RETURNS(r, 0);
        told += r;
    }
    if (told < ledger->taken - ledger->released - ledger->taken_by_sleepers)
        crash_fail(CRASH_TORN, "the next owner is told of %d permits, %d were held", told, ledger->taken);
    for (int round = 0; round < 2; round++) {
        CRASH_RETURNS(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
        CRASH_RETURNS(shoal_semaphore_release(semaphore, (uint32_t)permits), 0);
        CRASH_RETURNS(shoal_semaphore_release(semaphore, 1), -EPERM);
        for (int i = 0; i < permits; i++)
            CRASH_RETURNS(shoal_semaphore_acquire(semaphore, WHOLE_LIMIT), 0);
    }
    CRASH_RETURNS(shoal_semaphore_release(semaphore, (uint32_t)permits), 0);
    shoal_semaphore_free(semaphore);
    whole_check();
}

#define WAITS .sleep = sleep_for_permit, .due = due, .rouse = rouse

static const struct crash_case cases[] = {
    {"acquire", .setup = setup, .prepare = prepare, .operation = take, .check = check_plain},
    {"acquire, release", .setup = setup, .prepare = prepare, .operation = take_and_give, .check = check_plain},
    {"acquire, none free", .setup = setup_none, .prepare = prepare, .operation = take, .feed = feed_permit,
     .check = check_plain},
    {"acquire, none free, another waits", .sleepers = 1, .sleepers_last = 1, WAITS, .setup = setup_none,
     .prepare = prepare, .operation = take, .feed = feed_permit, .check = check_plain},
    {"acquire, in time, another waits", .sleepers = 1, WAITS, .setup = setup_none, .prepare = prepare,
     .operation = take_in_time, .feed = feed_nothing, .check = check_plain},
    {"release", .setup = setup, .prepare = prepare, .operation = give, .check = check_plain},
    {"release, bounded", .setup = setup_bounded, .prepare = prepare, .operation = give_two, .check = check_plain},
    {"release, one waits", .sleepers = 1, WAITS, .setup = setup_none, .prepare = prepare, .operation = give,
     .check = check_plain},
    {"release two, three wait", .sleepers = 3, WAITS, .setup = setup_none, .prepare = prepare, .operation = give_two,
     .check = check_plain},
    {"acquire, owned", .setup = setup_owned, .prepare = prepare, .operation = take, .check = check_owned},
    {"acquire, release, owned", .setup = setup_owned, .prepare = prepare, .operation = take_and_give,
     .check = check_owned},
    {"acquire, owned, none free", .setup = setup_owned_taken, .prepare = prepare, .operation = take,
     .feed = feed_permit, .check = check_owned},
    {"acquire, owned, another waits", .sleepers = 1, .sleepers_last = 1, WAITS, .setup = setup_owned_taken,
     .prepare = prepare, .operation = take, .feed = feed_permit, .check = check_owned},
    {"acquire, owned, owner died", .setup = setup_owned_orphan, .prepare = prepare, .operation = take,
     .check = check_owned},
    {"hold, owned, one waits", .sleepers = 1, WAITS, .setup = setup_owned_but_one, .prepare = prepare_holding,
     .operation = hold, .check = check_owned},
    {"release, owned", .setup = setup_owned, .prepare = prepare_holding, .operation = give, .check = check_owned},
    {"release two, owned", .setup = setup_owned, .prepare = prepare_holding_two, .operation = give_two,
     .check = check_owned},
    {"release, owned, two wait", .sleepers = 2, WAITS, .setup = setup_owned_but_one, .prepare = prepare_holding,
     .operation = give, .check = check_owned},
    {"bury, owned", .setup = setup_owned_orphan, .prepare = prepare, .operation = bury, .check = check_owned},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
