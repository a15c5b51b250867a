/* pair_sync.c - two processes at a semaphore, an event, a condition or a barrier at the same time. */
#include "pair.h"
#include "whole.h"

#include <errno.h>
#include <shoal/barrier.h>
#include <shoal/condition.h>
#include <shoal/event.h>
#include <shoal/lock.h>
#include <shoal/semaphore.h>
#include <stdatomic.h>

struct ledger {
    _Atomic int taken[2], released[2]; /* permits: after the acquire, before the release */
    _Atomic int result[2];             /* of a wait, and whether there is one */
    _Atomic int returned[2];
};

static struct ledger *ledger;
static shoal_semaphore *semaphore;
static shoal_event *event;
static shoal_lock *lock;
static shoal_condition *condition;
static shoal_barrier *barrier;
static int permits, is_owned, is_fed;

static void open_arena(void)
{
    whole_open();
    whole_note();
    ledger = crash_ledger();
}

static int anybody_died(void)
{
    return pair_died(0) || pair_died(1);
}

static void note_return(int r)
{
    ledger->result[pair_self()] = r;
    ledger->returned[pair_self()] = 1;
}

/* --- semaphore --- */

static void open_semaphore(unsigned flags, uint32_t value)
{
    struct shoal_semaphore_options options = {SHOAL_OPTIONS(shoal_semaphore), .flags = flags, .value = value};

    open_arena();
    permits = (int)value;
    is_owned = (flags & SHOAL_SEMAPHORE_OWNED) != 0;
    CRASH_EQ(CRASH_BROKEN, shoal_semaphore_open(&options, &semaphore), 0);
}

static void setup_no_permit(void)
{
    open_semaphore(0, 0);
}

static void setup_permit(void)
{
    open_semaphore(0, 1);
}

static void setup_owned_permit(void)
{
    open_semaphore(SHOAL_SEMAPHORE_OWNED, 1);
}

static void prepare_semaphore(void)
{
    uint32_t value;
    CRASH_EQ(CRASH_BROKEN, shoal_semaphore_value(semaphore, &value), 0);
}

static void acquire(void)
{
    if (shoal_semaphore_acquire(semaphore, SHOAL_FOREVER) >= 0)
        ledger->taken[pair_self()]++;
}

static void post(void)
{
    ledger->released[pair_self()]++;
    shoal_semaphore_release(semaphore, 1);
}

static void prepare_having(void)
{
    acquire();
}

static void acquire_and_post(void)
{
    acquire();
    post();
}

static int value(void)
{
    uint32_t now;

    CRASH_EQ(CRASH_TORN, shoal_semaphore_value(semaphore, &now), 0);
    return (int)now;
}

static int due_permit(unsigned who)
{
    (void)who;
    return value() > 0;
}

static void feed_permits(void)
{
    CRASH_RETURNS(shoal_semaphore_release(semaphore, 2), 0);
    permits += 2;
}

/* Nothing is lost but what the dead may just have been taking, or giving; of an owned one nothing. */
static void check_semaphore(void)
{
    int rest = permits, now = value(), doubt = 0;

    for (unsigned who = 0; who < 2; who++) {
        rest += ledger->released[who] - ledger->taken[who];
        doubt += pair_died(who);
    }
    if (is_owned)
        CRASH_EQ(CRASH_LEAKED, now, permits);
    else if (now > rest + doubt || now < rest - doubt)
        crash_fail(CRASH_TORN, "%d permits are left, not %d", now, rest);
    for (int i = 0; i < now; i++)
        CRASH_UNLESS(CRASH_STUCK, shoal_semaphore_acquire(semaphore, WHOLE_LIMIT) >= 0);
    CRASH_RETURNS(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
    if (now)
        CRASH_RETURNS(shoal_semaphore_release(semaphore, (uint32_t)now), 0);
    shoal_semaphore_free(semaphore);
    whole_check();
}

/* --- event --- */

static void setup_event(void)
{
    open_arena();
    CRASH_EQ(CRASH_BROKEN, shoal_event_open(&event), 0);
}

static void prepare_event(void)
{
    CRASH_EQ(CRASH_BROKEN, shoal_event_is_set(event), 0);
}

static void set(void)
{
    shoal_event_set(event);
}

static void clear(void)
{
    shoal_event_clear(event);
}

static void wait_event(void)
{
    note_return(shoal_event_wait(event, SHOAL_FOREVER));
}

static int due_event(unsigned who)
{
    (void)who;
    return shoal_event_is_set(event) == 1;
}

static void feed_event(void)
{
    CRASH_RETURNS(shoal_event_set(event), 0);
}

static void check_event(void)
{
    for (unsigned who = 0; who < 2; who++)
        if (ledger->returned[who])
            CRASH_EQ(CRASH_TORN, ledger->result[who], 0);
    CRASH_RETURNS(shoal_event_set(event), 0);
    CRASH_RETURNS(shoal_event_wait(event, WHOLE_LIMIT), 0);
    CRASH_RETURNS(shoal_event_clear(event), 0);
    CRASH_RETURNS(shoal_event_wait(event, 0), -EAGAIN);
    shoal_event_free(event);
    whole_check();
}

/* --- condition --- */

static void setup_condition(void)
{
    open_arena();
    is_fed = 0;
    CRASH_EQ(CRASH_BROKEN, shoal_lock_open(NULL, &lock), 0);
    CRASH_EQ(CRASH_BROKEN, shoal_condition_open(&condition), 0);
}

static int waiters(void)
{
    uint32_t count;

    CRASH_EQ(CRASH_TORN, shoal_condition_waiters(condition, &count), 0);
    return (int)count;
}

static void prepare_condition(void)
{
    waiters();
}

static void await_notification(void)
{
    if (shoal_lock_acquire(lock, SHOAL_FOREVER) < 0)
        return;
    int r = shoal_condition_wait(condition, lock, SHOAL_FOREVER);
    note_return(r == SHOAL_OWNER_DIED ? 0 : r);
    shoal_lock_release(lock);
}

static void notify(void)
{
    if (shoal_lock_acquire(lock, SHOAL_FOREVER) < 0)
        return;
    shoal_condition_notify(condition, 1);
    shoal_lock_release(lock);
}

static int due_notified(unsigned who)
{
    (void)who;
    return waiters() == 0;
}

static void feed_notifications(void)
{
    int r = shoal_lock_acquire(lock, WHOLE_LIMIT);
    if (r != SHOAL_OWNER_DIED)
        CRASH_RETURNS(r, 0);
    CRASH_UNLESS(CRASH_TORN, shoal_condition_notify_all(condition) >= 0);
    CRASH_RETURNS(shoal_lock_release(lock), 0);
    is_fed = 1;
}

static void check_condition(void)
{
    CRASH_EQ(CRASH_LEAKED, waiters(), 0);
    for (unsigned who = 0; who < 2; who++)
        if (ledger->returned[who])
            CRASH_EQ(CRASH_TORN, ledger->result[who], 0);
    int r = shoal_lock_acquire(lock, WHOLE_LIMIT);
    if (r != SHOAL_OWNER_DIED || !anybody_died())
        CRASH_RETURNS(r, 0);
    CRASH_RETURNS(shoal_condition_notify(condition, 1), 0);
    r = shoal_condition_wait(condition, lock, 0);
    if (r != 0 || !anybody_died()) /* else it may be given what a dead one was notified of */
        CRASH_RETURNS(r, -EAGAIN);
    CRASH_RETURNS(shoal_lock_release(lock), 0);
    shoal_condition_free(condition);
    shoal_lock_free(lock);
    whole_check();
}

/* --- barrier --- */

static void setup_barrier(void)
{
    open_arena();
    CRASH_EQ(CRASH_BROKEN, shoal_barrier_open(2, &barrier), 0);
}

static void setup_barrier_for_three(void)
{
    open_arena();
    CRASH_EQ(CRASH_BROKEN, shoal_barrier_open(3, &barrier), 0);
}

static void prepare_barrier(void)
{
    CRASH_EQ(CRASH_BROKEN, shoal_barrier_is_broken(barrier), 0);
}

static void meet(void)
{
    note_return(shoal_barrier_wait(barrier, SHOAL_FOREVER));
}

static void meet_twice(void)
{
    meet();
    meet();
}

static void break_it(void)
{
    shoal_barrier_abort(barrier);
}

static void reset(void)
{
    shoal_barrier_reset(barrier);
}

/* Whoever waits with one that is dead is told; whoever waits alone waits on. */
static int due_together(unsigned who)
{
    uint32_t count;

    CRASH_EQ(CRASH_TORN, shoal_barrier_waiting(barrier, &count), 0);
    return shoal_barrier_is_broken(barrier) || count == 0 || (count > 1 && pair_died(!who));
}

static void feed_abort(void)
{
    CRASH_RETURNS(shoal_barrier_abort(barrier), 0);
}

static void check_barrier(void)
{
    uint32_t count;

    for (unsigned who = 0; who < 2; who++) {
        int r = ledger->result[who];
        if (ledger->returned[who] && r != -EPIPE && r != -ECANCELED && (r < 0 || r > 2))
            crash_fail(CRASH_TORN, "a party's wait returned %d", r);
    }
    if (pair_finished(0) && pair_finished(1) && ledger->returned[0] && ledger->returned[1] && ledger->result[0] >= 0)
        CRASH_UNLESS(CRASH_TORN, ledger->result[0] != ledger->result[1]);
    CRASH_RETURNS(shoal_barrier_reset(barrier), 0);
    CRASH_EQ(CRASH_TORN, shoal_barrier_is_broken(barrier), 0);
    CRASH_EQ(CRASH_TORN, shoal_barrier_waiting(barrier, &count), 0);
    CRASH_EQ(CRASH_LEAKED, count, 0);
    shoal_barrier_free(barrier);
    whole_check();
}

#define BOTH(x)                                                                                                        \
    {                                                                                                                  \
        x, x                                                                                                           \
    }
#define SEMAPHORE .prepare = BOTH(prepare_semaphore), .due = due_permit, .feed = feed_permits, .check = check_semaphore
#define EVENT                                                                                                          \
    .setup = setup_event, .prepare = BOTH(prepare_event), .due = due_event, .feed = feed_event, .check = check_event
#define CONDITION                                                                                                      \
    .setup = setup_condition, .prepare = BOTH(prepare_condition), .due = due_notified, .feed = feed_notifications,     \
    .check = check_condition
#define BARRIER .prepare = BOTH(prepare_barrier), .due = due_together, .feed = feed_abort, .check = check_barrier

static const struct pair_case cases[] = {
    {"semaphore: acquire | release", SEMAPHORE, .setup = setup_no_permit, .operation = {acquire, post}},
    {"semaphore: acquire, release | the same", SEMAPHORE, .setup = setup_permit, .operation = BOTH(acquire_and_post)},
    {"semaphore: acquire | acquire, one free", SEMAPHORE, .setup = setup_permit, .operation = BOTH(acquire)},
    {"owned: acquire, release | the same", .setup = setup_owned_permit, .prepare = BOTH(prepare_semaphore),
     .operation = BOTH(acquire_and_post), .check = check_semaphore},
    {"owned: release | acquire, release", .setup = setup_owned_permit, .prepare = {prepare_having, prepare_semaphore},
     .operation = {post, acquire_and_post}, .check = check_semaphore},
    {"event: set | wait", EVENT, .operation = {set, wait_event}},
    {"event: set | clear", EVENT, .operation = {set, clear}},
    {"event: clear | wait", EVENT, .operation = {clear, wait_event}},
    {"event: wait | wait", EVENT, .operation = BOTH(wait_event)},
    {"condition: wait | notify", CONDITION, .operation = {await_notification, notify}},
    {"condition: wait | wait", CONDITION, .operation = BOTH(await_notification)},
    {"condition: notify | notify", CONDITION, .operation = BOTH(notify)},
    {"barrier: wait | wait", BARRIER, .setup = setup_barrier, .operation = BOTH(meet)},
    {"barrier: wait twice | the same", BARRIER, .setup = setup_barrier, .operation = BOTH(meet_twice)},
    {"barrier: wait | wait, a third is missing", BARRIER, .setup = setup_barrier_for_three, .operation = BOTH(meet)},
    {"barrier: wait | abort", BARRIER, .setup = setup_barrier, .operation = {meet, break_it}},
    {"barrier: wait | reset", BARRIER, .setup = setup_barrier, .operation = {meet, reset}},
    {"barrier: reset | reset", BARRIER, .setup = setup_barrier, .operation = BOTH(reset)},
};

int main(int argc, char **argv)
{
    return pair_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
