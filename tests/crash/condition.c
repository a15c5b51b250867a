/* condition.c - death at a condition: notifying, waiting, and having been notified. */
#include "whole.h"

#include <errno.h>
#include <shoal/condition.h>
#include <shoal/lock.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOW (1u << CRASH_INSTRUCTION | 1u << CRASH_TRACE) /* nine processes at each point */

struct ledger {
    _Atomic int victim_woke;  /* its wait has returned */
    _Atomic int victim_holds; /* it has the lock for certain */
};

static shoal_lock *lock;
static shoal_condition *condition;
static struct ledger *ledger;
static int is_fed;

static void open_all(unsigned lock_flags)
{
    struct shoal_lock_options options = {SHOAL_OPTIONS(shoal_lock), .flags = lock_flags};

    whole_open();
    whole_note();
    ledger = crash_ledger();
    CRASH_EQ(CRASH_BROKEN, shoal_lock_open(&options, &lock), 0);
    CRASH_EQ(CRASH_BROKEN, shoal_condition_open(&condition), 0);
}

static void setup(void)
{
    open_all(0);
}

static void setup_recursive(void)
{
    open_all(SHOAL_LOCK_RECURSIVE);
}

/* The lock, whoever had it last. Returns whether that one died with it. */
static int acquire(void)
{
    int r = shoal_lock_acquire(lock, WHOLE_LIMIT);

    if (r != SHOAL_OWNER_DIED)
        CRASH_RETURNS(r, 0);
    if (atomic_exchange(&ledger->victim_holds, 0) && r != SHOAL_OWNER_DIED)
        crash_fail(CRASH_TORN, "the next owner is not told");
    return r;
}

static void release(void)
{
    CRASH_RETURNS(shoal_lock_release(lock), 0);
}

static uint32_t waiters(void)
{
    uint32_t count;

    CRASH_EQ(CRASH_TORN, shoal_condition_waiters(condition, &count), 0);
    return count;
}

/* The victim. */

static void prepare(void)
{
    waiters();
    if (shoal_lock_acquire(lock, SHOAL_FOREVER) < 0)
        crash_fail(CRASH_BROKEN, "the victim does not get the lock");
    ledger->victim_holds = 1;
}

static void prepare_twice(void)
{
    prepare();
    CRASH_EQ(CRASH_BROKEN, shoal_lock_acquire(lock, 0), 0);
}

static void let_go(void)
{
    ledger->victim_holds = 0;
    shoal_lock_release(lock);
}

static void notify(void)
{
    shoal_condition_notify(condition, 1);
    let_go();
}

static void notify_all(void)
{
    shoal_condition_notify_all(condition);
    let_go();
}

static void wait_until(int64_t timeout)
{
    ledger->victim_holds = 0;
    shoal_condition_wait(condition, lock, timeout);
    ledger->victim_woke = 1;
    let_go();
}

static void wait_for(void)
{
    wait_until(SHOAL_FOREVER);
}

static void wait_in_time(void)
{
    wait_until(SHOAL_MILLISECONDS(1));
}

/* The agent feeds it. */

static void feed_notify(unsigned nth)
{
    if (nth != 1)
        return;
    acquire();
    CRASH_RETURNS(shoal_condition_notify(condition, 1), 1);
    is_fed = 1;
    release();
}

static void feed_notify_all(unsigned nth)
{
    if (nth != 1)
        return;
    acquire();
    CRASH_UNLESS(CRASH_TORN, shoal_condition_notify_all(condition) >= 1);
    release();
}

static void feed_nothing(unsigned nth)
{
    (void)nth;
}

/* Sleepers. */

static void sleep_for(unsigned index)
{
    (void)index;
    if (shoal_lock_acquire(lock, SHOAL_FOREVER) < 0)
        crash_fail(CRASH_BROKEN, "a sleeper does not get the lock");
    int r = shoal_condition_wait(condition, lock, SHOAL_FOREVER);
    if (r != SHOAL_OWNER_DIED)
        CRASH_RETURNS(r, 0);
    if (atomic_exchange(&ledger->victim_holds, 0) && r != SHOAL_OWNER_DIED)
        crash_fail(CRASH_TORN, "the next owner is not told");
    release();
}

/* Whether the victim died with the lock, and with it with the notification that it had got. */
static int died_with_lock(void)
{
    struct shoal_lock_owner owner;

    CRASH_EQ(CRASH_TORN, shoal_lock_owner(lock, &owner), 0);
    return owner.pid == crash_victim_pid();
}

/* Some have been notified and must wake. */
static int due_when_notified(unsigned index)
{
    (void)index;
    return waiters() < 1;
}

static int due_of_two(unsigned index)
{
    (void)index;
    return waiters() == 0;
}

/* The one notification is the sleeper's, unless the victim has got it. */
static int due_in_its_stead(unsigned index)
{
    (void)index;
    return waiters() == 0 || (is_fed && !ledger->victim_woke && !died_with_lock());
}

static void rouse(void)
{
    acquire();
    CRASH_UNLESS(CRASH_TORN, shoal_condition_notify_all(condition) >= 0);
    release();
}

/* Nobody waits, the dead do not count, and it works: one who waits is notified. */

static void use(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (shoal_lock_acquire(lock, WHOLE_LIMIT) != 0)
            _exit(1);
        int r = shoal_condition_wait(condition, lock, WHOLE_LIMIT);
        shoal_lock_release(lock);
        _exit(r == 0 ? 0 : 2);
    }
    for (int i = 0; pid > 0 && waiters() == 0; i++) {
        usleep(50);
        if (i == 20000)
            crash_fail(CRASH_STUCK, "nobody comes to wait");
    }
    acquire();
    CRASH_RETURNS(shoal_condition_notify(condition, 5), 1);
    release();
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        crash_fail(CRASH_BROKEN, "fork");
    if (status)
        crash_fail(CRASH_STUCK, "a waiter is not notified: status 0x%x", (unsigned)status);
}

static void check(void)
{
    CRASH_EQ(CRASH_LEAKED, waiters(), 0);
    acquire();
    CRASH_RETURNS(shoal_condition_notify(condition, 1), 0);
    CRASH_RETURNS(shoal_condition_notify_all(condition), 0);
    int r = shoal_condition_wait(condition, lock, 0);
    if (r != 0 || !is_fed || ledger->victim_woke) /* else it may be given what the victim was notified of */
        CRASH_RETURNS(r, -EAGAIN);
    release();
    for (int round = 0; round < 2; round++)
        use();
    CRASH_EQ(CRASH_LEAKED, waiters(), 0);
    shoal_condition_free(condition);
    shoal_lock_free(lock);
    whole_check();
}

static const struct crash_case cases[] = {
    {"notify, nobody waits", .setup = setup, .prepare = prepare, .operation = notify, .check = check},
    {"notify, one waits", .sleepers = 1, .sleepers_first = 1, .setup = setup, .prepare = prepare, .operation = notify,
     .sleep = sleep_for, .due = due_when_notified, .rouse = rouse, .check = check},
    {"notify, two wait", .sleepers = 2, .sleepers_first = 1, .setup = setup, .prepare = prepare, .operation = notify,
     .sleep = sleep_for, .due = due_of_two, .rouse = rouse, .check = check},
    {"notify all, three wait", .sleepers = 3, .sleepers_first = 1, .setup = setup, .prepare = prepare,
     .operation = notify_all, .sleep = sleep_for, .due = due_of_two, .rouse = rouse, .check = check},
    {"wait", .setup = setup, .prepare = prepare, .operation = wait_for, .feed = feed_notify, .check = check},
    {"wait, recursive lock", .setup = setup_recursive, .prepare = prepare_twice, .operation = wait_for,
     .feed = feed_notify, .check = check},
    {"wait, another comes", .sleepers = 1, .sleepers_last = 1, .setup = setup, .prepare = prepare,
     .operation = wait_for, .feed = feed_notify, .sleep = sleep_for, .due = due_in_its_stead, .rouse = rouse,
     .check = check},
    {"wait, all are notified", .sleepers = 1, .sleepers_first = 1, .setup = setup, .prepare = prepare,
     .operation = wait_for, .feed = feed_notify_all, .sleep = sleep_for, .due = due_of_two, .rouse = rouse,
     .check = check},
    {"wait, in time, another waits", .sleepers = 1, .sleepers_first = 1, .setup = setup, .prepare = prepare,
     .operation = wait_in_time, .feed = feed_nothing, .sleep = sleep_for, .due = due_of_two, .rouse = rouse,
     .check = check},
    {"wait, more records", .sleepers = 8, .sleepers_first = 1, .modes_left_out = SLOW, .setup = setup,
     .prepare = prepare, .operation = wait_for, .feed = feed_notify_all, .sleep = sleep_for, .due = due_of_two,
     .rouse = rouse, .check = check},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
