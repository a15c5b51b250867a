/* pair_lock.c - two processes at a lock at the same time. */
#include "pair.h"
#include "whole.h"

#include <errno.h>
#include <shoal/lock.h>
#include <stdatomic.h>

/* Who holds the lock for certain, and how often two did. */
struct ledger {
    _Atomic int holds[2];
    _Atomic int clashes;
    _Atomic int told; /* of a death */
};

static shoal_lock *lock;
static struct ledger *ledger;
static unsigned flags;

static void open_lock(unsigned lock_flags)
{
    struct shoal_lock_options options = {SHOAL_OPTIONS(shoal_lock), .flags = lock_flags};

    whole_open();
    whole_note();
    flags = lock_flags;
    ledger = crash_ledger();
    CRASH_EQ(CRASH_BROKEN, shoal_lock_open(&options, &lock), 0);
}

static void setup(void)
{
    open_lock(0);
}

static void setup_recursive(void)
{
    open_lock(SHOAL_LOCK_RECURSIVE);
}

static void setup_any(void)
{
    open_lock(SHOAL_LOCK_ANY_RELEASE);
}

static void note_owner(int told)
{
    unsigned self = pair_self();

    if (told)
        ledger->told++;
    if (ledger->holds[!self] && !told)
        ledger->clashes++;
    ledger->holds[!self] = 0;
}

static void take(void)
{
    int r = shoal_lock_acquire(lock, SHOAL_FOREVER);
    note_owner(r == SHOAL_OWNER_DIED);
    ledger->holds[pair_self()] = 1;
}

static void give(void)
{
    ledger->holds[pair_self()] = 0;
    shoal_lock_release(lock);
}

static void prepare(void)
{
    struct shoal_lock_owner owner;
    CRASH_EQ(CRASH_BROKEN, shoal_lock_owner(lock, &owner), 0);
}

static void prepare_holding(void)
{
    take();
}

static void take_and_give(void)
{
    take();
    give();
}

static void take_twice_and_give(void)
{
    take();
    shoal_lock_acquire(lock, SHOAL_FOREVER);
    shoal_lock_release(lock);
    give();
}

static void try(void)
{
    int r = shoal_lock_acquire(lock, 0);
    if (r < 0)
        return;
    note_owner(r == SHOAL_OWNER_DIED);
    ledger->holds[pair_self()] = 1;
    give();
}

static void hold(void)
{
}

/* What the other holds: where anybody may. */
static void give_anothers(void)
{
    ledger->holds[!pair_self()] = 0;
    shoal_lock_release(lock);
}

static void check(void)
{
    struct shoal_lock_owner owner;
    int held = ledger->holds[0] || ledger->holds[1];

    CRASH_EQ(CRASH_TORN, ledger->clashes, 0);
    int told = shoal_lock_acquire(lock, WHOLE_LIMIT);
    if (told != SHOAL_OWNER_DIED)
        CRASH_RETURNS(told, 0);
    if (held && !told)
        crash_fail(CRASH_TORN, "the next owner is not told");
    if ((told || ledger->told) && !pair_died(0) && !pair_died(1) && !held)
        crash_fail(CRASH_TORN, "somebody is told of a death that was none");
    CRASH_RETURNS(shoal_lock_release(lock), 0);
    for (int round = 0; round < 2; round++) {
        CRASH_RETURNS(shoal_lock_acquire(lock, WHOLE_LIMIT), 0);
        CRASH_RETURNS(shoal_lock_release(lock), 0);
        CRASH_RETURNS(shoal_lock_release(lock), -EPERM);
    }
    CRASH_EQ(CRASH_TORN, shoal_lock_owner(lock, &owner), 0);
    CRASH_EQ(CRASH_TORN, owner.pid, 0);
    shoal_lock_free(lock);
    whole_check();
}

#define BOTH(x)                                                                                                        \
    {                                                                                                                  \
        x, x                                                                                                           \
    }

static const struct pair_case cases[] = {
    {"acquire, release | the same", .setup = setup, .prepare = BOTH(prepare), .operation = BOTH(take_and_give),
     .check = check},
    {"acquire, release | the same, any release", .setup = setup_any, .prepare = BOTH(prepare),
     .operation = BOTH(take_and_give), .check = check},
    {"acquire twice, release | the same", .setup = setup_recursive, .prepare = BOTH(prepare),
     .operation = BOTH(take_twice_and_give), .check = check},
    {"release | acquire", .setup = setup, .prepare = {prepare_holding, prepare}, .operation = {give, take_and_give},
     .check = check},
    {"acquire, release | try", .setup = setup, .prepare = BOTH(prepare), .operation = {take_and_give, try},
     .check = check},
    {"release another's | acquire", .setup = setup_any, .prepare = {prepare, prepare_holding},
     .operation = {give_anothers, hold}, .check = check},
};

int main(int argc, char **argv)
{
    return pair_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
