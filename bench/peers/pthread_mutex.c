/* pthread_mutex.c - the C library's mutexes: for threads, for processes, and robust for processes. */
#include "harness/lock.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

static int open_mutex(int shared, int robust, void **ret_lock)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t *mutex = mmap(NULL, BENCH_LINE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mutex == MAP_FAILED)
        return -errno;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
    pthread_mutexattr_setrobust(&attributes, robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
    int r = -pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    *ret_lock = mutex;
    return r;
}

static int open_private(void **ret_lock)
{
    return open_mutex(0, 0, ret_lock);
}

static int open_shared(void **ret_lock)
{
    return open_mutex(1, 0, ret_lock);
}

static int open_robust(void **ret_lock)
{
    return open_mutex(1, 1, ret_lock);
}

static void close_mutex(void *lock)
{
    munmap(lock, BENCH_LINE);
}

static int acquire(void *lock)
{
    return -pthread_mutex_lock(lock);
}

static int release(void *lock)
{
    return -pthread_mutex_unlock(lock);
}

static int work(void *lock, struct bench_guarded *guarded, struct bench_run *run, unsigned seat)
{
    return bench_lock_loop(acquire, release, lock, guarded, run, seat);
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* In a process that never had a second thread the C library leaves the atomic instructions out. */
static int work_among_threads(void *lock, struct bench_guarded *guarded, struct bench_run *run, unsigned seat)
{
    pthread_t thread;
    int r = pthread_create(&thread, NULL, do_nothing, NULL);
    if (r == 0)
        r = pthread_join(thread, NULL);
    if (r != 0)
        return bench_seat_fail(&run->seats[seat], -r, "no thread");
    return work(lock, guarded, run, seat);
}

const struct bench_lock bench_mutex_private = {
    .name = "pthread mutex, private",
    .open = open_private,
    .close = close_mutex,
    .work = work_among_threads,
    .alone = 1,
};

const struct bench_lock bench_mutex_shared = {
    .name = "pthread mutex, shared",
    .open = open_shared,
    .close = close_mutex,
    .work = work,
};

const struct bench_lock bench_mutex_robust = {
    .name = "pthread mutex, robust",
    .open = open_robust,
    .close = close_mutex,
    .work = work,
};
