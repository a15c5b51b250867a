/* lock.h - a lock, as the benchmark sees it, and the loop that takes and gives it back. */
#ifndef BENCH_LOCK_H
#define BENCH_LOCK_H

#include "harness/bench.h"
#include "harness/run.h"

/* What several processes do under the lock: count, not atomically. The counts must come out right. */
struct bench_guarded {
    uint64_t count __attribute__((aligned(BENCH_LINE)));
};

struct bench_lock {
    const char *name;
    const char *variant; /* see struct bench_case */
    int (*open)(void **ret_lock);
    void (*close)(void *lock);
    int (*work)(void *lock, struct bench_guarded *guarded, struct bench_run *run, unsigned seat);
    int alone; /* not for several processes */
};

/* Those that were built, in the order of the table; NULL at the end. */
extern const struct bench_lock *const bench_locks[];

extern const struct bench_lock bench_shoal_lock, bench_shoal_lock_any_release, bench_shoal_word, bench_plain_word;
extern const struct bench_lock bench_mutex_private, bench_mutex_shared, bench_mutex_robust;

enum { BENCH_LOCK_BLOCK = 64 }; /* pairs between two looks at the clock, or two counts that are shown */

/* Take and give back until told to stop; inlined into each lock's file with its own calls. */
static inline __attribute__((always_inline)) int bench_lock_loop(int (*acquire)(void *), int (*release)(void *),
                                                                 void *lock, struct bench_guarded *guarded,
                                                                 struct bench_run *run, unsigned index)
{
    struct bench_seat *seat = &run->seats[index];
    uint64_t count = 0;
    while (!bench_run_stopped(run)) {
        for (unsigned i = 0; i < BENCH_LOCK_BLOCK; i++) {
            int r = acquire(lock);
            if (r != 0)
                return bench_seat_fail(seat, r < 0 ? r : -r, "acquire returned %d", r);
            guarded->count++;
            r = release(lock);
            if (r != 0)
                return bench_seat_fail(seat, r < 0 ? r : -r, "release returned %d", r);
        }
        bench_seat_count(seat, count += BENCH_LOCK_BLOCK);
    }
    return 0;
}

#endif
