/* shoal_lock.c - shoal's locks, by their public calls. */
#include "harness/lock.h"

#include <shoal/shoal.h>

static int open_kind(unsigned flags, void **ret_lock)
{
    struct shoal_lock_options options = {SHOAL_OPTIONS(shoal_lock), .flags = flags};
    shoal_lock *lock;
    int r = shoal_lock_open(&options, &lock);
    if (r >= 0)
        *ret_lock = lock;
    return r;
}

static int open_plain(void **ret_lock)
{
    return open_kind(0, ret_lock);
}

static int open_any_release(void **ret_lock)
{
    return open_kind(SHOAL_LOCK_ANY_RELEASE, ret_lock);
}

static void close_lock(void *lock)
{
    shoal_lock_free(lock);
}

static int acquire(void *lock)
{
    return shoal_lock_acquire(lock, SHOAL_FOREVER);
}

static int release(void *lock)
{
    return shoal_lock_release(lock);
}

static int work(void *lock, struct bench_guarded *guarded, struct bench_run *run, unsigned seat)
{
    return bench_lock_loop(acquire, release, lock, guarded, run, seat);
}

const struct bench_lock bench_shoal_lock = {
    .name = "shoal lock",
    .open = open_plain,
    .close = close_lock,
    .work = work,
};

const struct bench_lock bench_shoal_lock_any_release = {
    .name = "shoal lock, any release",
    .open = open_any_release,
    .close = close_lock,
    .work = work,
};
