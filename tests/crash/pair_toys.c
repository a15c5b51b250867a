/* pair_toys.c - the harness of pairs tested on small objects: broken ones must be caught, each by the right number of
 * preemptions, and right ones must pass. */
#include "pair.h"
#include "step.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BACKSTOP 100000000

static struct toys {
    _Atomic uint32_t count;
    _Atomic uint32_t lock, inside, clashes;
    _Atomic uint32_t bell, items, asleep;
    _Atomic uint32_t flag, marks, saw_on, saw_change;
} * toys;

static void setup(void)
{
    int fd = memfd_create("toys", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 4096) < 0)
        crash_fail(CRASH_BROKEN, "memfd: %s", strerror(errno));
    toys = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (toys == MAP_FAILED)
        crash_fail(CRASH_BROKEN, "mmap: %s", strerror(errno));
    close(fd);
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, &(struct timespec){.tv_nsec = BACKSTOP}, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Counting. */

static void count_whole(void)
{
    atomic_fetch_add(&toys->count, 1);
}

static void count_in_two(void)
{
    uint32_t seen = atomic_load(&toys->count);
    atomic_store(&toys->count, seen + 1);
}

static void check_count(void)
{
    uint32_t least = (uint32_t)(pair_finished(0) + pair_finished(1));
    CRASH_UNLESS(CRASH_TORN, toys->count >= least && toys->count <= 2);
}

/* A lock: right, but not robust; or looked at first and taken then. */

static void be_inside(void)
{
    if (atomic_fetch_add(&toys->inside, 1) != 0)
        atomic_fetch_add(&toys->clashes, 1);
    atomic_fetch_sub(&toys->inside, 1);
}

static void unlock(void)
{
    if (atomic_exchange(&toys->lock, 0) == 2)
        futex_wake(&toys->lock);
}

static void lock_and_unlock(void)
{
    uint32_t free = 0;

    if (!atomic_compare_exchange_strong(&toys->lock, &free, 1))
        while (atomic_exchange(&toys->lock, 2) != 0)
            futex_wait(&toys->lock, 2);
    be_inside();
    unlock();
}

static void look_and_lock(void)
{
    if (atomic_load(&toys->lock) != 0)
        return;
    atomic_store(&toys->lock, 1);
    be_inside();
    atomic_store(&toys->lock, 0);
}

static void check_lock(void)
{
    CRASH_UNLESS(CRASH_TORN, toys->clashes == 0);
}

/* Waiting for an item: whoever is about to sleep says so, looks, and sleeps unless the bell has rung since; or looks
 * first. */

static void give(void)
{
    atomic_store(&toys->items, 1);
    if (atomic_load(&toys->asleep)) {
        atomic_fetch_add(&toys->bell, 1);
        futex_wake(&toys->bell);
    }
}

static void await_item(void)
{
    for (;;) {
        uint32_t seen = atomic_load(&toys->bell);
        atomic_store(&toys->asleep, 1);
        if (atomic_load(&toys->items))
            return;
        futex_wait(&toys->bell, seen);
    }
}

static void await_item_hastily(void)
{
    while (!atomic_load(&toys->items)) {
        atomic_store(&toys->asleep, 1);
        futex_wait(&toys->bell, atomic_load(&toys->bell));
    }
}

static int due_item(unsigned who)
{
    (void)who;
    return toys->items != 0;
}

static void check_items(void)
{
    CRASH_UNLESS(CRASH_TORN, toys->items == 1);
}

/* Only who looks while the flag is set, and again when it is not any more, sees it change: that takes two preemptions.
 */

static void set_for_a_while(void)
{
    atomic_store(&toys->flag, 1);
    atomic_store(&toys->flag, 0);
}

static void look_twice(void)
{
    toys->saw_on = atomic_load(&toys->flag);
    atomic_fetch_add(&toys->marks, 1);
    toys->saw_change = toys->saw_on && !atomic_load(&toys->flag);
}

static void check_change(void)
{
    CRASH_UNLESS(CRASH_TORN, !toys->saw_change);
}

#define BOTH(x)                                                                                                        \
    {                                                                                                                  \
        x, x                                                                                                           \
    }

static const struct expectation {
    struct pair_case test;
    enum crash_verdict verdict;
    bool late;         /* instead */
    bool is_killed;    /* only where one is killed: there is a kill in the first schedule that fails */
    unsigned switches; /* preemptions and kills in it */
} expectations[] = {
    {{"count", .setup = setup, .operation = BOTH(count_whole), .check = check_count}, .verdict = CRASH_HOLDS},
    {{"count in two steps", .setup = setup, .operation = BOTH(count_in_two), .check = check_count},
     .verdict = CRASH_TORN,
     .switches = 1},
    {{"lock that is not robust", .setup = setup, .operation = BOTH(lock_and_unlock), .check = check_lock},
     .verdict = CRASH_STUCK,
     .is_killed = true,
     .switches = 1},
    {{"lock looked at, then taken", .setup = setup, .operation = BOTH(look_and_lock), .check = check_lock},
     .verdict = CRASH_TORN,
     .switches = 2},
    {{"give | wait", .late_because = "a giver dies before it rings", .setup = setup, .operation = {give, await_item},
      .due = due_item, .feed = give, .check = check_items},
     .verdict = CRASH_HOLDS},
    {{"give | wait that looks first", .setup = setup, .operation = {give, await_item_hastily}, .due = due_item,
      .feed = give, .check = check_items},
     .late = true,
     .switches = 1},
    {{"set for a while | look twice", .setup = setup, .operation = {set_for_a_while, look_twice},
      .check = check_change},
     .verdict = CRASH_TORN,
     .switches = 2},
};

static unsigned count_switches(const char *schedule)
{
    unsigned count = 0;

    for (; *schedule; schedule++)
        count += schedule[0] == ':' && schedule[1] >= '0' && schedule[1] <= '9';
    return count;
}

static bool meets(const struct expectation *expected, const struct pair_result *result)
{
    if (result->verdicts[CRASH_BROKEN])
        return false;
    if (expected->late)
        return result->late > 0 && result->first == CRASH_HOLDS;
    if (expected->verdict == CRASH_HOLDS)
        return result->failed == 0;
    return result->first == expected->verdict && count_switches(result->first_schedule) == expected->switches &&
           (strstr(result->first_schedule, "kill") != NULL) == expected->is_killed;
}

int main(void)
{
    unsigned passed = 0, failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    crash_limits = (struct crash_limits){.failures = 2, .stuck = 400000000, .phase = 1000000000};
    if (!STEP_SUPPORTED) {
        puts("this processor cannot step itself");
        return 77;
    }
    for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
        struct pair_result result;
        pair_explore(&expectations[i].test, &result);
        bool right = meets(&expectations[i], &result);
        printf("%s: %s: %llu schedules; first to fail: %s %s\n", right ? "ok" : "FAILED", expectations[i].test.name,
               (unsigned long long)result.runs, result.failed ? result.first_schedule : "none", result.first_why);
        *(right ? &passed : &failed) += 1;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
