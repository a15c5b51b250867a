/* run.h - the page that the processes of one measurement share, and how they start, stop and answer for what they
 * sent and received. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "harness/bench.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BENCH_PROCESSES_MAX = 16,
    BENCH_LINE = 128, /* two cache lines: the prefetcher fetches pairs */
};

/* One process's part of the page. Written by that process alone; the coordinator reads. */
struct bench_seat {
    uint64_t count;  /* messages received, pairs of lock and unlock, ...: grows while it works */
    uint64_t sent;   /* messages sent: set at the end */
    uint64_t sum;    /* of all words sent or received, modulo 2^64: set at the end */
    int64_t thought; /* nanoseconds spent in bench_think */
    int64_t error;   /* 0, or -errno: why it gave up */
    char note[88];
} __attribute__((aligned(BENCH_LINE)));

struct bench_run {
    /* Set before the processes start. */
    size_t size;
    unsigned producers, consumers;
    int64_t warm, window, think;
    /* Set by the coordinator, once. */
    uint32_t stop __attribute__((aligned(BENCH_LINE)));
    /* Counted up by the processes. */
    uint32_t ready __attribute__((aligned(BENCH_LINE))); /* have their ends open */
    uint32_t finished;                                   /* producers that sent their last message */
    uint32_t ended;                                      /* processes that are through; they linger until all are */
    /* What a process measured by its own clock: see samples.h. */
    double value __attribute__((aligned(BENCH_LINE)));
    double mean;
    struct bench_seat seats[BENCH_PROCESSES_MAX];
};

static inline int bench_run_stopped(const struct bench_run *run)
{
    return __atomic_load_n(&run->stop, __ATOMIC_RELAXED) != 0;
}

static inline void bench_seat_count(struct bench_seat *seat, uint64_t count)
{
    __atomic_store_n(&seat->count, count, __ATOMIC_RELAXED);
}

/* Give up in a process: the reason stands in its seat, and the coordinator reports it. */
int bench_seat_fail(struct bench_seat *seat, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Map a page for a measurement of what. NULL where there is no memory. */
struct bench_run *bench_run_open(const struct bench_case *what, const struct bench_settings *settings);
void bench_run_close(struct bench_run *run);

/* Start a process of the measurement in a seat, on a side (0, 1) of the placement. It ends when work returns. */
typedef int bench_run_work(struct bench_run *run, unsigned seat, void *context);
pid_t bench_run_start(struct bench_run *run, unsigned seat, bench_run_work *work, void *context,
                      const struct bench_settings *settings, enum bench_placement placement, unsigned side);

/* In a process: say that its ends are open, and wait until those of all count processes are. */
void bench_run_enter(struct bench_run *run, unsigned count);
/* In a process: say that it is through, and wait until all count are, so that nobody's end closes under another. */
void bench_run_leave(struct bench_run *run, unsigned count);

/* Coordinator: wait until *counter reaches count. Returns -ECHILD where a process died meanwhile. */
int bench_run_await(const uint32_t *counter, uint32_t count);
/* Coordinator: sum of the counts in seats [first, first + count), with the moment it was read. */
uint64_t bench_run_sample(const struct bench_run *run, unsigned first, unsigned count, int64_t *ret_moment);
/* Coordinator: report the error that stands in a seat, or the death of a child; 0 where there is neither. */
int bench_run_blame(const struct bench_run *run, struct bench_outcome *ret_outcome);
/* Coordinator: wait for all children. Where one failed, reports why and does not wait for the rest. */
int bench_run_reap(struct bench_run *run, unsigned count, struct bench_outcome *ret_outcome);

/* Pin the calling process to its side's CPU; BENCH_FREE leaves it alone. */
int bench_place(const struct bench_settings *settings, enum bench_placement placement, unsigned side);

#ifdef __cplusplus
}
#endif

#endif
