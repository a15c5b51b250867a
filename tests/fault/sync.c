/* sync.c - locks, semaphores, conditions, events and barriers where the system refuses: making them, and waiting. */
#include "helper.h"

#include <shoal/shoal.h>

static shoal_lock *lock;
static shoal_semaphore *semaphore;
static shoal_condition *condition;
static shoal_event *event;
static shoal_barrier *barrier;

/* --- making, attaching, freeing --- */

#define MAKE(noun, open)                                                                                               \
    static int make_##noun(void)                                                                                       \
    {                                                                                                                  \
        shoal_##noun *again;                                                                                           \
        shoal_ref ref;                                                                                                 \
        int r = open;                                                                                                  \
        if (r < 0)                                                                                                     \
            return r;                                                                                                  \
        CHECK_OK(shoal_##noun##_ref(noun, &ref));                                                                      \
        r = shoal_##noun##_attach(&ref, &again);                                                                       \
        if (r == 0)                                                                                                    \
            shoal_##noun##_free(again);                                                                                \
        shoal_##noun##_free(noun);                                                                                     \
        return r;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    TEST_WITHIN(120, a_##noun##_that_cannot_be_made_leaves_nothing)                                                    \
    {                                                                                                                  \
        test_each_fault(make_##noun, nothing);                                                                         \
    }

static const struct shoal_lock_options recursive = {SHOAL_OPTIONS(shoal_lock), .flags = SHOAL_LOCK_RECURSIVE};
static const struct shoal_semaphore_options none_free = {SHOAL_OPTIONS(shoal_semaphore)};

MAKE(lock, shoal_lock_open(NULL, &lock))
MAKE(semaphore, shoal_semaphore_open(&none_free, &semaphore))
MAKE(condition, shoal_condition_open(&condition))
MAKE(event, shoal_event_open(&event))
MAKE(barrier, shoal_barrier_open(2, &barrier))

/* --- waiting --- */

static void take_lock(void)
{
    CHECK_OK(shoal_lock_acquire(lock, 0));
}

static void give_lock(void)
{
    CHECK_OK(shoal_lock_release(lock));
}

static int await_lock(void)
{
    int r = shoal_lock_acquire(lock, SHOAL_FOREVER);

    return r < 0 ? r : shoal_lock_release(lock);
}

static int wait_for_lock(void)
{
    int r = shoal_lock_open(&recursive, &lock);

    if (r < 0)
        return r;
    r = wait_for_helper(take_lock, await_lock, give_lock);
    shoal_lock_free(lock);
    return r;
}

TEST_WITHIN(120, a_wait_for_a_lock_ends_with_it_or_with_an_error)
{
    test_each_fault(wait_for_lock, nothing);
}

/* The owner dies while this process waits. */
static int wait_for_lock_of_the_dead(void)
{
    int r = shoal_lock_open(NULL, &lock);

    if (r < 0)
        return r;
    r = wait_for_helper(take_lock, await_lock, nothing);
    shoal_lock_free(lock);
    return r;
}

TEST_WITHIN(120, a_wait_for_a_lock_whose_owner_dies_ends_with_it_or_with_an_error)
{
    test_each_fault(wait_for_lock_of_the_dead, nothing);
}

static void give_permit(void)
{
    CHECK_OK(shoal_semaphore_release(semaphore, 1));
}

static int await_permit(void)
{
    return shoal_semaphore_acquire(semaphore, SHOAL_FOREVER);
}

static int wait_for_permit(void)
{
    int r = shoal_semaphore_open(&none_free, &semaphore);

    if (r < 0)
        return r;
    r = wait_for_helper(nothing, await_permit, give_permit);
    shoal_semaphore_free(semaphore);
    return r;
}

TEST_WITHIN(120, a_wait_for_a_permit_ends_with_it_or_with_an_error)
{
    test_each_fault(wait_for_permit, nothing);
}

static void notify(void)
{
    CHECK_COUNT(shoal_lock_acquire(lock, SHOAL_FOREVER));
    CHECK_COUNT(shoal_condition_notify(condition, 1));
    CHECK_OK(shoal_lock_release(lock));
}

static int await_notice(void)
{
    int r = shoal_condition_wait(condition, lock, SHOAL_FOREVER);

    CHECK_OK(shoal_lock_release(lock)); /* however the wait ended */
    return r;
}

static int wait_for_notice(void)
{
    int r = shoal_lock_open(NULL, &lock);

    if (r < 0)
        return r;
    r = shoal_condition_open(&condition);
    if (r == 0) {
        r = shoal_lock_acquire(lock, 0);
        if (r == 0)
            r = wait_for_helper(nothing, await_notice, notify);
        shoal_condition_free(condition);
    }
    shoal_lock_free(lock);
    return r;
}

TEST_WITHIN(120, a_wait_for_a_notice_ends_with_it_or_with_an_error_and_has_the_lock)
{
    test_each_fault(wait_for_notice, nothing);
}

static void set(void)
{
    CHECK_OK(shoal_event_set(event));
}

static int await_event(void)
{
    return shoal_event_wait(event, SHOAL_FOREVER);
}

static int wait_for_event(void)
{
    int r = shoal_event_open(&event);

    if (r < 0)
        return r;
    r = wait_for_helper(nothing, await_event, set);
    shoal_event_free(event);
    return r;
}

TEST_WITHIN(120, a_wait_for_an_event_ends_with_it_or_with_an_error)
{
    test_each_fault(wait_for_event, nothing);
}

/* The waiter may have left with an error: then the other's time runs out. */
static void meet(void)
{
    shoal_barrier_wait(barrier, SHOAL_MILLISECONDS(200));
}

static int await_meeting(void)
{
    return shoal_barrier_wait(barrier, SHOAL_FOREVER);
}

static int wait_at_barrier(void)
{
    int r = shoal_barrier_open(2, &barrier);

    if (r < 0)
        return r;
    r = wait_for_helper(nothing, await_meeting, meet);
    shoal_barrier_free(barrier);
    return r;
}

TEST_WITHIN(120, a_wait_at_a_barrier_ends_with_the_meeting_or_with_an_error)
{
    test_each_fault(wait_at_barrier, nothing);
}
