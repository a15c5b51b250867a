/* lock.c - death at a lock: taking it, holding it, releasing it, waiting for it, in each kind of lock. */
#include "arena/reclaim.h"
#include "whole.h"

#include <errno.h>
#include <shoal/lock.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

/* Who holds the lock for certain: set after the acquire that took it, cleared before the release that gives it back. */
struct ledger {
    _Atomic int victim_holds;
    _Atomic int agent_holds;
};

static shoal_lock *lock;
static struct ledger *ledger;
static unsigned flags;
static int someone_died; /* holding it, before the victim came */
static shoal_ref ref;

/* Setups. */

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

static void agent_acquire(void)
{
    CRASH_RETURNS(shoal_lock_acquire(lock, 0), 0);
    ledger->agent_holds = 1;
}

/* Where the agent holds it still: the victim may have released it. */
static void agent_release(void)
{
    struct shoal_lock_owner owner;

    CRASH_EQ(CRASH_TORN, shoal_lock_owner(lock, &owner), 0);
    ledger->agent_holds = 0;
    if (owner.pid == getpid())
        CRASH_RETURNS(shoal_lock_release(lock), 0);
}

static void setup_held(void)
{
    setup();
    agent_acquire();
}

static void setup_any_held(void)
{
    setup_any();
    agent_acquire();
}

/* Somebody has died holding it. */
static void setup_orphan(void)
{
    setup();
    pid_t pid = fork();
    if (pid == 0)
        _exit(shoal_lock_acquire(lock, 0) != 0);
    int status;
    CRASH_UNLESS(CRASH_BROKEN, pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    someone_died = 1;
}

/* Preparations of the victim. */

static void prepare(void)
{
    struct shoal_lock_owner owner;

    CRASH_EQ(CRASH_BROKEN, shoal_lock_ref(lock, &ref), 0);
    CRASH_EQ(CRASH_BROKEN, shoal_lock_owner(lock, &owner), 0); /* from here on the handle is this process's */
}

static void take(void)
{
    if (shoal_lock_acquire(lock, SHOAL_FOREVER) >= 0)
        ledger->victim_holds = 1;
}

static void give(void)
{
    ledger->victim_holds = 0;
    shoal_lock_release(lock);
}

/* From here on the lock may be the agent's no longer. */
static void prepare_to_give_anothers(void)
{
    prepare();
    ledger->agent_holds = 0;
}

static void prepare_holding(void)
{
    take();
}

static void prepare_holding_twice(void)
{
    take();
    CRASH_EQ(CRASH_BROKEN, shoal_lock_acquire(lock, 0), 0);
}

static void prepare_own(void)
{
    struct shoal_lock_options options = {SHOAL_OPTIONS(shoal_lock), .flags = flags};
    CRASH_EQ(CRASH_BROKEN, shoal_lock_open(&options, &lock), 0);
}

/* Operations. */

static void take_and_give(void)
{
    take();
    give();
}

static void take_again(void)
{
    shoal_lock_acquire(lock, SHOAL_FOREVER);
}

static void give_once(void)
{
    shoal_lock_release(lock);
}

/* Of a lock that the agent holds: it may. */
static void give_anothers(void)
{
    shoal_lock_release(lock);
}

static void try(void)
{
    shoal_lock_acquire(lock, 0);
}

static void take_in_time(void)
{
    shoal_lock_acquire(lock, SHOAL_MILLISECONDS(1));
}

static void hold(void)
{
    struct shoal_lock_owner owner;
    shoal_lock_owner(lock, &owner);
}

static void bury(void)
{
    sh_reclaim_dead();
}

static void open_another(void)
{
    shoal_lock *another;
    shoal_lock_open(NULL, &another);
}

static void attach(void)
{
    shoal_lock *another;
    shoal_lock_attach(&ref, &another);
}

static void free_handle(void)
{
    shoal_lock_free(lock);
}

/* What lets a waiting victim go on. */

static void feed_lock(unsigned nth)
{
    if (nth == 1)
        agent_release();
}

static void feed_nothing(unsigned nth)
{
    (void)nth;
}

/* Sleepers. */

/* Whoever gets a lock that its holder had for certain when he died is told. */
static void note_owner(int told)
{
    if (ledger->agent_holds)
        crash_fail(CRASH_TORN, "two hold the lock");
    if (atomic_exchange(&ledger->victim_holds, 0) && !told)
        crash_fail(CRASH_TORN, "the next owner is not told");
}

static void sleep_for_lock(unsigned index)
{
    int r = shoal_lock_acquire(lock, SHOAL_FOREVER);

    (void)index;
    if (r != SHOAL_OWNER_DIED)
        CRASH_RETURNS(r, 0);
    note_owner(r);
    CRASH_RETURNS(shoal_lock_release(lock), 0);
}

static int due_when_free(unsigned index)
{
    struct shoal_lock_owner owner;

    (void)index;
    CRASH_EQ(CRASH_TORN, shoal_lock_owner(lock, &owner), 0);
    return owner.pid == 0 || !owner.alive;
}

static void rouse(void)
{
    agent_release();
}

/* Checks. */

static void use(void)
{
    for (int round = 0; round < 2; round++) {
        CRASH_RETURNS(shoal_lock_acquire(lock, WHOLE_LIMIT), 0);
        if (flags & SHOAL_LOCK_RECURSIVE) {
            CRASH_RETURNS(shoal_lock_acquire(lock, 0), 0);
            CRASH_RETURNS(shoal_lock_release(lock), 0);
        } else {
            CRASH_RETURNS(shoal_lock_acquire(lock, 0), flags & SHOAL_LOCK_ANY_RELEASE ? -EAGAIN : -EDEADLK);
        }
        CRASH_RETURNS(shoal_lock_release(lock), 0);
        CRASH_RETURNS(shoal_lock_release(lock), -EPERM);
    }
}

static void check(void)
{
    struct shoal_lock_owner owner;
    int held = ledger->victim_holds;

    agent_release();
    int told = shoal_lock_acquire(lock, WHOLE_LIMIT);
    if (told != SHOAL_OWNER_DIED)
        CRASH_RETURNS(told, 0);
    note_owner(told);
    if (told && crash_victim_finished() && !held && !someone_died)
        crash_fail(CRASH_TORN, "the next owner is told of a death that was none");
    CRASH_EQ(CRASH_TORN, shoal_lock_owner(lock, &owner), 0);
    CRASH_EQ(CRASH_TORN, owner.pid, getpid());
    CRASH_EQ(CRASH_TORN, owner.depth, 1);
    CRASH_RETURNS(shoal_lock_release(lock), 0);
    use();
    CRASH_EQ(CRASH_TORN, shoal_lock_owner(lock, &owner), 0);
    CRASH_EQ(CRASH_TORN, owner.pid, 0);
    shoal_lock_free(lock);
    whole_check();
}

/* Where somebody else died holding it, the next owner is told, if the victim was not. */
static void check_orphan(void)
{
    int told = shoal_lock_acquire(lock, WHOLE_LIMIT);

    if (told != SHOAL_OWNER_DIED)
        CRASH_RETURNS(told, 0);
    if (!told && !crash_victim_finished())
        crash_fail(CRASH_TORN, "nobody was told of the death");
    ledger->victim_holds = 0;
    CRASH_RETURNS(shoal_lock_release(lock), 0);
    someone_died = 0;
    check();
}

#define WAITS .sleep = sleep_for_lock, .due = due_when_free, .rouse = rouse

static const struct crash_case cases[] = {
    {"acquire", .setup = setup, .prepare = prepare, .operation = take, .check = check},
    {"acquire, first call", .setup = setup, .operation = take, .check = check},
    {"acquire, release", .setup = setup, .prepare = prepare, .operation = take_and_give, .check = check},
    {"acquire, recursive", .setup = setup_recursive, .prepare = prepare, .operation = take, .check = check},
    {"acquire again", .setup = setup_recursive, .prepare = prepare_holding, .operation = take_again, .check = check},
    {"acquire, any release", .setup = setup_any, .prepare = prepare, .operation = take, .check = check},
    {"acquire, held", .setup = setup_held, .prepare = prepare, .operation = take, .feed = feed_lock, .check = check},
    {"acquire, held, release", .setup = setup_held, .prepare = prepare, .operation = take_and_give, .feed = feed_lock,
     .check = check},
    {"acquire, held, another waits", .sleepers = 1, WAITS, .setup = setup_held, .prepare = prepare,
     .operation = take_and_give, .feed = feed_lock, .check = check},
    {"acquire, held, two others wait", .sleepers = 2, WAITS, .setup = setup_any_held, .prepare = prepare,
     .operation = take_and_give, .feed = feed_lock, .check = check},
    {"acquire, held, others come", .sleepers = 2, .sleepers_last = 1, WAITS, .setup = setup_held, .prepare = prepare,
     .operation = take_and_give, .feed = feed_lock, .check = check},
    {"acquire, not to be had", .setup = setup_held, .prepare = prepare, .operation = try, .check = check},
    {"acquire, in time", .setup = setup_held, .prepare = prepare, .operation = take_in_time, .feed = feed_nothing,
     .check = check},
    {"acquire, in time, another waits", .sleepers = 1, WAITS, .setup = setup_held, .prepare = prepare,
     .operation = take_in_time, .feed = feed_nothing, .check = check},
    {"acquire, owner died", .setup = setup_orphan, .prepare = prepare, .operation = take, .check = check_orphan},
    {"hold, one waits", .sleepers = 1, WAITS, .setup = setup, .prepare = prepare_holding, .operation = hold,
     .check = check},
    {"hold, three wait", .sleepers = 3, WAITS, .setup = setup, .prepare = prepare_holding, .operation = hold,
     .check = check},
    {"hold, recursive, one waits", .sleepers = 1, WAITS, .setup = setup_recursive, .prepare = prepare_holding_twice,
     .operation = hold, .check = check},
    {"release", .setup = setup, .prepare = prepare_holding, .operation = give, .check = check},
    {"release, one waits", .sleepers = 1, WAITS, .setup = setup, .prepare = prepare_holding, .operation = give,
     .check = check},
    {"release, two wait", .sleepers = 2, WAITS, .setup = setup, .prepare = prepare_holding, .operation = give,
     .check = check},
    {"release, recursive", .setup = setup_recursive, .prepare = prepare_holding, .operation = give, .check = check},
    {"release once of twice", .setup = setup_recursive, .prepare = prepare_holding_twice, .operation = give_once,
     .check = check},
    {"release another's", .setup = setup_any_held, .prepare = prepare_to_give_anothers, .operation = give_anothers,
     .check = check},
    {"release another's, two wait", .sleepers = 2, WAITS, .setup = setup_any_held, .prepare = prepare_to_give_anothers,
     .operation = give_anothers, .check = check},
    {"bury a holder", .setup = setup_orphan, .prepare = prepare, .operation = bury, .check = check},
    {"open", .setup = setup, .prepare = prepare, .operation = open_another, .check = check},
    {"attach", .setup = setup, .prepare = prepare, .operation = attach, .check = check},
    {"free", .setup = setup, .prepare = prepare, .operation = free_handle, .check = check},
    {"free, the last", .setup = setup, .prepare = prepare_own, .operation = free_handle, .check = check},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
