/* sync.c - plain memory that locks, semaphores, events, barriers and conditions order between threads. */
#include "harness.h"

#include <pthread.h>
#include <shoal/arena.h>
#include <shoal/barrier.h>
#include <shoal/condition.h>
#include <shoal/event.h>
#include <shoal/lock.h>
#include <shoal/semaphore.h>

enum { THREADS = 4, ROUNDS = 1500 };

static int plain, slots[THREADS]; /* what is ordered: not atomic */

static void open_small_arena(void)
{
    CHECK_OK(shoal_arena_open(
        &(struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .limit = 64 << 20, .reserve = 1 << 30}));
}

static void in_threads(void *(*function)(void *))
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, function, &slots[i]), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static shoal_lock *lock;

static void *count_under_lock(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        plain++;
        CHECK_OK(shoal_lock_release(lock));
    }
    return unused;
}

TEST(what_a_lock_protects_is_ordered)
{
    unsigned kinds[] = {0, SHOAL_LOCK_RECURSIVE, SHOAL_LOCK_ANY_RELEASE};

    open_small_arena();
    for (int i = 0; i < 3; i++) {
        plain = 0;
        CHECK_OK(shoal_lock_open(&(struct shoal_lock_options){SHOAL_OPTIONS(shoal_lock), .flags = kinds[i]}, &lock));
        in_threads(count_under_lock);
        CHECK_EQ(plain, THREADS * ROUNDS);
        shoal_lock_free(lock);
    }
}

static shoal_semaphore *semaphore;

static void *count_under_permit(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER));
        plain++;
        CHECK_OK(shoal_semaphore_release(semaphore, 1));
    }
    return unused;
}

TEST(what_the_only_permit_protects_is_ordered)
{
    open_small_arena();
    for (unsigned flags = 0; flags <= SHOAL_SEMAPHORE_OWNED; flags++) {
        plain = 0;
        CHECK_OK(shoal_semaphore_open(
            &(struct shoal_semaphore_options){SHOAL_OPTIONS(shoal_semaphore), .flags = flags, .value = 1}, &semaphore));
        in_threads(count_under_permit);
        CHECK_EQ(plain, THREADS * ROUNDS);
        shoal_semaphore_free(semaphore);
    }
}

static shoal_event *event;

static void *read_after_event(void *unused)
{
    CHECK_OK(shoal_event_wait(event, SHOAL_FOREVER));
    CHECK_EQ(plain, 77);
    return unused;
}

static void *write_before_event(void *unused)
{
    plain = 77;
    CHECK_OK(shoal_event_set(event));
    return unused;
}

TEST(who_waited_for_an_event_sees_what_was_written_before_it)
{
    open_small_arena();
    for (int round = 0; round < 50; round++) {
        pthread_t writer;
        plain = 0;
        CHECK_OK(shoal_event_open(&event));
        CHECK_EQ(pthread_create(&writer, NULL, write_before_event, NULL), 0);
        in_threads(read_after_event);
        CHECK_EQ(pthread_join(writer, NULL), 0);
        shoal_event_free(event);
    }
}

static shoal_barrier *barrier;

static void *read_after_barrier(void *slot)
{
    for (int round = 1; round <= ROUNDS / 5; round++) {
        *(int *)slot = round;
        CHECK_COUNT(shoal_barrier_wait(barrier, SHOAL_FOREVER));
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(slots[i], round);
        CHECK_COUNT(shoal_barrier_wait(barrier, SHOAL_FOREVER));
    }
    return NULL;
}

TEST(who_comes_from_a_barrier_sees_what_all_wrote_before_it)
{
    open_small_arena();
    CHECK_OK(shoal_barrier_open(THREADS, &barrier));
    in_threads(read_after_barrier);
    shoal_barrier_free(barrier);
}

static shoal_condition *condition;

/* Each adds one when it is its turn. */
static void *take_turns(void *slot)
{
    int mine = (int)((int *)slot - slots);

    CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
    for (int i = 0; i < ROUNDS / 5; i++) {
        while (plain % THREADS != mine)
            CHECK_OK(shoal_condition_wait(condition, lock, SHOAL_FOREVER));
        plain++;
        CHECK_COUNT(shoal_condition_notify_all(condition));
    }
    CHECK_OK(shoal_lock_release(lock));
    return NULL;
}

TEST(who_was_notified_sees_what_was_written_under_the_lock)
{
    open_small_arena();
    plain = 0;
    CHECK_OK(shoal_lock_open(NULL, &lock));
    CHECK_OK(shoal_condition_open(&condition));
    in_threads(take_turns);
    CHECK_EQ(plain, THREADS * (ROUNDS / 5));
    shoal_condition_free(condition);
    shoal_lock_free(lock);
}
