/* toys.c - the harness tested on small objects: broken ones must be caught, each for what is wrong with it, and right
 * ones must pass. */
#include "step.h"
#include "sweep.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BACKSTOP 100000000

/* The toys, in one shared page. */
struct toys {
    _Atomic uint32_t lock;
    _Atomic uint32_t left, right;     /* to be equal whenever nobody holds the lock */
    _Atomic uint32_t slot[2], chosen; /* a value, and which of the slots has it */
    _Atomic uint32_t event;           /* sleepers' word, apart from what they wait for */
    _Atomic uint32_t items;           /* what they wait for */
    _Atomic uint32_t waiting;
    _Atomic uint32_t taken, owner; /* a block: whether it is taken, and by whom */
    _Atomic uint32_t sequence;     /* odd: somebody writes */
    _Atomic uint32_t fill;
};

static struct toys *toys;

/* What the victim knows of itself: set while it holds the lock for certain. */
static _Atomic int *holds;

static void make_toys(void)
{
    int fd = memfd_create("toys", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 4096) < 0)
        crash_fail(CRASH_BROKEN, "memfd: %s", strerror(errno));
    toys = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (toys == MAP_FAILED)
        crash_fail(CRASH_BROKEN, "mmap: %s", strerror(errno));
    close(fd);
    holds = crash_ledger();
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    struct timespec limit = {0, BACKSTOP};
    syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

/* A lock on a futex; robust where it is announced in the thread's robust list. */

static struct robust_list_head *robust;

static void announce(_Atomic uint32_t *word)
{
    size_t size;

    if (!robust)
        syscall(SYS_get_robust_list, 0, &robust, &size);
    *(void *volatile *)&robust->list_op_pending =
        word ? (void *)((uintptr_t)word - (uintptr_t)robust->futex_offset) : NULL;
}

/* Returns whether the last owner died holding it. */
static bool lock_take(_Atomic uint32_t *word)
{
    uint32_t self = (uint32_t)gettid();

    for (;;) {
        uint32_t seen = atomic_load(word);
        if (!(seen & FUTEX_TID_MASK)) {
            if (atomic_compare_exchange_strong(word, &seen, self | (seen & FUTEX_WAITERS)))
                return seen & FUTEX_OWNER_DIED;
        } else if (seen & FUTEX_WAITERS || atomic_compare_exchange_strong(word, &seen, seen | FUTEX_WAITERS)) {
            futex_wait(word, seen | FUTEX_WAITERS);
        }
    }
}

static void lock_give(_Atomic uint32_t *word)
{
    if (atomic_exchange(word, 0) & FUTEX_WAITERS)
        futex_wake(word, INT_MAX);
}

static bool robust_take(void)
{
    announce(&toys->lock);
    return lock_take(&toys->lock);
}

static void robust_give(void)
{
    lock_give(&toys->lock);
    announce(NULL);
}

static void robust_round(void)
{
    robust_take();
    *holds = 1;
    *holds = 0;
    robust_give();
}

static void plain_take(void)
{
    lock_take(&toys->lock);
}

static void plain_give(void)
{
    lock_give(&toys->lock);
}

static void plain_round(void)
{
    lock_take(&toys->lock);
    lock_give(&toys->lock);
}

/* Wakes, and only then gives the lock up; who is woken finds it held and sleeps again. */
static void early_give(void)
{
    if (atomic_load(&toys->lock) & FUTEX_WAITERS)
        futex_wake(&toys->lock, INT_MAX);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    atomic_store(&toys->lock, 0);
    announce(NULL);
}

static void robust_prepare(void)
{
    robust_take();
}

static void robust_sleep(unsigned index)
{
    (void)index;
    robust_round();
}

static void plain_sleep(unsigned index)
{
    (void)index;
    plain_round();
}

static void robust_check(void)
{
    bool told = robust_take();

    CRASH_UNLESS(CRASH_TORN, told || !*holds);
    robust_give();
    robust_round();
    CRASH_UNLESS(CRASH_TORN, toys->lock == 0);
}

/* One that forgets to tell the next owner. */
static void untold_take_check(void)
{
    bool told = robust_take() && false;

    CRASH_UNLESS(CRASH_TORN, told || !*holds);
}

static void plain_check(void)
{
    plain_round();
}

/* A pair of values under the robust lock. */

static void two_stores(void)
{
    robust_take();
    atomic_fetch_add(&toys->left, 1);
    atomic_fetch_add(&toys->right, 1);
    robust_give();
}

static void one_store(void)
{
    robust_take();
    uint32_t chosen = toys->chosen;
    toys->slot[!chosen] = toys->slot[chosen] + 1;
    atomic_store(&toys->chosen, !chosen);
    robust_give();
}

static void pair_check(void)
{
    robust_check();
    CRASH_UNLESS(CRASH_TORN, toys->left == toys->right);
    CRASH_UNLESS(CRASH_TORN, toys->slot[toys->chosen] <= 1);
}

/* A counter of items; sleepers wait on a word of its own, which is changed after the items: a victim that dies between
 * leaves them to the backstop. */

static void item_put(void)
{
    atomic_fetch_add(&toys->items, 1);
    atomic_fetch_add(&toys->event, 1);
    futex_wake(&toys->event, 1);
}

static void item_sleep(unsigned index)
{
    (void)index;
    for (;;) {
        uint32_t event = toys->event, items = toys->items;
        if (items && atomic_compare_exchange_strong(&toys->items, &items, items - 1))
            return;
        futex_wait(&toys->event, event);
    }
}

static int item_due(unsigned index)
{
    (void)index;
    return toys->items > 0;
}

static void item_check(void)
{
    CRASH_UNLESS(CRASH_TORN, toys->items <= 1);
}

/* A waiter that counts itself: one that dies stays counted. */

static void counted_wait(void)
{
    atomic_fetch_add(&toys->waiting, 1);
    while (!toys->items)
        futex_wait(&toys->items, 0);
    atomic_fetch_sub(&toys->waiting, 1);
}

static void uncounted_wait(void)
{
    while (!toys->items)
        futex_wait(&toys->items, 0);
}

static void items_feed(unsigned nth)
{
    (void)nth;
    toys->items = 1;
    futex_wake(&toys->items, INT_MAX);
}

/* Feeds, and tells nobody. */
static void silent_feed(unsigned nth)
{
    (void)nth;
    toys->items = 1;
}

static void waiting_check(void)
{
    CRASH_UNLESS(CRASH_TORN, toys->waiting == 0);
}

/* A block whose owner is written after it was taken, and one where a single store does both. */

static void block_take_then_own(void)
{
    atomic_store(&toys->taken, 1);
    atomic_store(&toys->owner, (uint32_t)getpid());
}

static void block_take_and_own(void)
{
    uint32_t none = 0;
    atomic_compare_exchange_strong(&toys->owner, &none, (uint32_t)getpid());
}

static void block_check(void)
{
    if (toys->owner == (uint32_t)crash_victim_pid())
        toys->owner = toys->taken = 0;
    CRASH_UNLESS(CRASH_LEAKED, !toys->taken && !toys->owner);
}

/* A sequence lock: readers wait for a writer that will not come back. */

static void sequence_write(void)
{
    atomic_fetch_add(&toys->sequence, 1);
    toys->left = 1;
    atomic_fetch_add(&toys->sequence, 1);
}

static void sequence_check(void)
{
    while (toys->sequence & 1)
        ;
}

/* Copies with a repeated string instruction, which is one step. */
static void long_copy(void)
{
#if STEP_SUPPORTED
    static char from[2000] = "a message";
    void *to = (char *)toys + 2048, *source = from;
    size_t count = sizeof from;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(count) : : "memory");
#endif
}

static void nothing(void)
{
}

static void crashing_check(void)
{
    abort();
}

static void broken_operation(void)
{
    atomic_fetch_add(&toys->fill, 1);
    abort();
}

enum {
    ROBUST_GIVE,
    ROBUST_ROUND,
    ONE_STORE,
    UNCOUNTED,
    OWNED_BLOCK,
    COPY,
    UNTOLD,
    PLAIN_ROUND,
    PLAIN_GIVE,
    EARLY_GIVE,
    TWO_STORES,
    SEPARATE_WORD,
    COUNTED,
    SILENT,
    LEAKING,
    SEQUENCE,
    CRASHING,
    BROKEN
};

static const struct crash_case cases[] = {
    [ROBUST_GIVE] = {"robust lock: release, one waits", .sleepers = 1, .setup = make_toys, .prepare = robust_prepare,
                     .operation = robust_give, .sleep = robust_sleep, .check = robust_check},
    [ROBUST_ROUND] = {"robust lock: acquire, release", .setup = make_toys, .operation = robust_round,
                      .check = robust_check},
    [ONE_STORE] = {"commit by one store", .setup = make_toys, .operation = one_store, .check = pair_check},
    [UNCOUNTED] = {"wait", .setup = make_toys, .operation = uncounted_wait, .feed = items_feed, .check = waiting_check},
    [OWNED_BLOCK] = {"block taken with its owner", .setup = make_toys, .operation = block_take_and_own,
                     .check = block_check},
    [COPY] = {"long copy", .setup = make_toys, .operation = long_copy, .check = nothing},
    [UNTOLD] = {"owner's death not told", .setup = make_toys, .operation = robust_round, .check = untold_take_check},
    [PLAIN_ROUND] = {"plain lock: acquire, release", .setup = make_toys, .operation = plain_round,
                     .check = plain_check},
    [PLAIN_GIVE] = {"plain lock: release, one waits", .sleepers = 1, .setup = make_toys, .prepare = plain_take,
                    .operation = plain_give, .sleep = plain_sleep, .check = plain_check},
    [EARLY_GIVE] = {"release that wakes first", .sleepers = 1, .setup = make_toys, .prepare = robust_prepare,
                    .operation = early_give, .sleep = robust_sleep, .check = robust_check},
    [TWO_STORES] = {"commit by two stores", .setup = make_toys, .operation = two_stores, .check = pair_check},
    [SEPARATE_WORD] = {"put with a word apart", .sleepers = 1, .setup = make_toys, .operation = item_put,
                       .sleep = item_sleep, .due = item_due, .rouse = item_put, .check = item_check},
    [COUNTED] = {"wait that counts itself", .setup = make_toys, .operation = counted_wait, .feed = items_feed,
                 .check = waiting_check},
    [SILENT] = {"wait, not woken", .setup = make_toys, .operation = uncounted_wait, .feed = silent_feed,
                .check = waiting_check},
    [LEAKING] = {"block taken, then owned", .setup = make_toys, .operation = block_take_then_own, .check = block_check},
    [SEQUENCE] = {"sequence lock", .setup = make_toys, .operation = sequence_write, .check = sequence_check},
    [CRASHING] = {"check that crashes", .setup = make_toys, .operation = one_store, .check = crashing_check},
    [BROKEN] = {"operation that crashes", .setup = make_toys, .operation = broken_operation, .check = nothing},
};

/* What a sweep must find: something of the named kind, or (CRASH_HOLDS) nothing at all; late alone is named apart. */
struct expectation {
    int which;
    enum crash_mode mode;
    enum crash_verdict verdict;
    bool late;
    uint64_t points_at_least, points_at_most; /* 0: any */
};

static const struct expectation expectations[] = {
    {ROBUST_GIVE, CRASH_INSTRUCTION, CRASH_HOLDS, false, 20, 200},
    {ROBUST_GIVE, CRASH_STATE, CRASH_HOLDS, false, 6, 12},
    {ROBUST_GIVE, CRASH_TRACE, CRASH_HOLDS, false, 20, 200},
    {ROBUST_ROUND, CRASH_INSTRUCTION, CRASH_HOLDS, false, 40, 300},
    {ROBUST_ROUND, CRASH_STATE, CRASH_HOLDS, false, 7, 20},
    {ONE_STORE, CRASH_INSTRUCTION, CRASH_HOLDS, false, 40, 300},
    {ONE_STORE, CRASH_STATE, CRASH_HOLDS, false, 8, 20},
    {ONE_STORE, CRASH_TRACE, CRASH_HOLDS, false, 40, 300},
    {UNCOUNTED, CRASH_INSTRUCTION, CRASH_HOLDS, false, 15, 100},
    {UNCOUNTED, CRASH_ASLEEP, CRASH_HOLDS, false, 1, 1},
    {UNCOUNTED, CRASH_TRACE, CRASH_HOLDS, false, 15, 100},
    {OWNED_BLOCK, CRASH_STATE, CRASH_HOLDS, false, 3, 8},
    {COPY, CRASH_INSTRUCTION, CRASH_HOLDS, false, 5, 40},
    {COPY, CRASH_STATE, CRASH_HOLDS, false, 3, 3},
    {UNTOLD, CRASH_INSTRUCTION, CRASH_TORN, false, 0, 0},
    {PLAIN_ROUND, CRASH_INSTRUCTION, CRASH_STUCK, false, 0, 0},
    {PLAIN_ROUND, CRASH_STATE, CRASH_STUCK, false, 0, 0},
    {PLAIN_GIVE, CRASH_STATE, CRASH_STUCK, false, 0, 0},
    {PLAIN_GIVE, CRASH_TRACE, CRASH_STUCK, false, 0, 0},
    {EARLY_GIVE, CRASH_STATE, CRASH_HOLDS, true, 0, 0},
    {TWO_STORES, CRASH_INSTRUCTION, CRASH_TORN, false, 0, 0},
    {TWO_STORES, CRASH_STATE, CRASH_TORN, false, 0, 0},
    {TWO_STORES, CRASH_TRACE, CRASH_TORN, false, 0, 0},
    {SEPARATE_WORD, CRASH_INSTRUCTION, CRASH_HOLDS, true, 0, 0},
    {SEPARATE_WORD, CRASH_STATE, CRASH_HOLDS, true, 0, 0},
    {COUNTED, CRASH_ASLEEP, CRASH_TORN, false, 1, 1},
    {COUNTED, CRASH_INSTRUCTION, CRASH_TORN, false, 0, 0},
    {SILENT, CRASH_STATE, CRASH_HOLDS, true, 0, 0},
    {LEAKING, CRASH_INSTRUCTION, CRASH_LEAKED, false, 0, 0},
    {LEAKING, CRASH_STATE, CRASH_LEAKED, false, 0, 0},
    {SEQUENCE, CRASH_STATE, CRASH_STUCK, false, 0, 0},
    {CRASHING, CRASH_STATE, CRASH_TORN, false, 0, 0},
    {BROKEN, CRASH_STATE, CRASH_TORN, false, 0, 0},
};

static bool meets(const struct expectation *expected, const struct crash_result *result)
{
    bool right;

    if (expected->verdict == CRASH_HOLDS)
        right = expected->late ? result->late && result->failed == result->late : !result->failed;
    else
        right = result->verdicts[expected->verdict] > 0;
    if (expected->points_at_least && result->points < expected->points_at_least)
        right = false;
    if (expected->points_at_most && result->points > expected->points_at_most)
        right = false;
    return right && !result->verdicts[CRASH_BROKEN];
}

static void describe(const struct expectation *expected, const struct crash_result *result)
{
    printf("    expected %s, %llu to %llu points; found: points %llu, stuck %llu, torn %llu, leaked %llu, broken %llu, "
           "late %llu; first at %llu: %s\n",
           expected->late                     ? "late"
           : expected->verdict == CRASH_HOLDS ? "nothing"
                                              : crash_verdict_name(expected->verdict),
           (unsigned long long)expected->points_at_least, (unsigned long long)expected->points_at_most,
           (unsigned long long)result->points, (unsigned long long)result->verdicts[CRASH_STUCK],
           (unsigned long long)result->verdicts[CRASH_TORN], (unsigned long long)result->verdicts[CRASH_LEAKED],
           (unsigned long long)result->verdicts[CRASH_BROKEN], (unsigned long long)result->late,
           (unsigned long long)result->first_at, result->first_why);
}

/* Both ways of stepping must find the same instructions. */
static bool ways_agree(void)
{
    struct crash_result itself, traced;

    crash_sweep(&cases[ONE_STORE], CRASH_INSTRUCTION, 0, &itself);
    crash_sweep(&cases[ONE_STORE], CRASH_TRACE, 0, &traced);
    bool agree = itself.instructions == traced.instructions && traced.points == traced.instructions + 1 &&
                 itself.points == traced.points && !itself.missed;
    printf("%s: itself: %llu instructions, %llu points; traced: %llu, %llu\n", agree ? "ok" : "FAILED",
           (unsigned long long)itself.instructions, (unsigned long long)itself.points,
           (unsigned long long)traced.instructions, (unsigned long long)traced.points);
    return agree;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    crash_limits = (struct crash_limits){.failures = 2, .stuck = 400000000, .phase = 1000000000};
    if (argc > 1)
        return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
    if (!STEP_SUPPORTED) {
        puts("this processor cannot step itself");
        return 77;
    }
    for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
        const struct expectation *expected = &expectations[i];
        struct crash_result result;
        crash_sweep(&cases[expected->which], expected->mode, 0, &result);
        bool right = meets(expected, &result);
        printf("%s: %s, %s: %llu points, %.2f s\n", right ? "ok" : "FAILED", cases[expected->which].name,
               crash_mode_name(expected->mode), (unsigned long long)result.points, (double)result.time / 1e9);
        if (!right)
            describe(expected, &result);
        *(right ? &passed : &failed) += 1;
    }
    *(ways_agree() ? &passed : &failed) += 1;
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
