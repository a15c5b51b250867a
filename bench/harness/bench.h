/* bench.h - the words of the benchmark: groups of cases, what a case is, what came out of it. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BENCH_REPETITIONS_MAX = 64,
    BENCH_CASES_MAX = 512,
};

/* Where the processes of a case run. */
enum bench_placement {
    BENCH_FREE,     /* wherever the scheduler likes: what a program gets that does nothing about it */
    BENCH_APART,    /* the two sides pinned to the two CPUs of the run */
    BENCH_TOGETHER, /* all pinned to the first of them */
};

struct bench_settings {
    const char *program; /* path of the running program; its variants lie beside it */
    unsigned repetitions;
    int64_t warm;     /* nanoseconds before a measurement counts */
    int64_t window;   /* nanoseconds it lasts */
    int64_t patience; /* nanoseconds after which it is given up */
    int cpus[2];      /* for BENCH_APART and BENCH_TOGETHER */
    int quick;        /* fewer cases */
    const char *only; /* only groups and contestants whose name has this in it; NULL: all */
};

/* What one run of a case brought. It lies in memory shared with the harness. */
struct bench_outcome {
    int error;      /* 0, or -errno: then note says why there is no value */
    double value;   /* in the group's unit */
    char note[160]; /* beside a value: how the contestant was set up, where it matters */
};

/* Cases that stand in one table. */
struct bench_group {
    const char *name;  /* short and unique: the key in the results */
    const char *title; /* above the table */
    const char *unit;  /* of the values: "ns", "bytes" */
};

struct bench_case;
typedef void bench_measure(const struct bench_case *what, const struct bench_settings *settings,
                           struct bench_outcome *ret_outcome);

/* One number to be had: a contestant in a column of a group. */
struct bench_case {
    const struct bench_group *group;
    const char *column;
    const char *contestant;
    const char *variant; /* run by this sibling of the program ("plain"); NULL: by the program itself */
    bench_measure *measure;
    const void *subject; /* what is measured: the peer, the lock ... as measure knows it */
    size_t size;         /* of a message */
    unsigned producers, consumers;
    enum bench_placement placement;
    int64_t think;   /* nanoseconds each side computes before it answers, so that the other goes to sleep */
    uint64_t number; /* measure's own */
};

/* All cases, in the order of a repetition. */
struct bench_plan {
    unsigned count;
    struct bench_case cases[BENCH_CASES_MAX];
};

void bench_plan_add(struct bench_plan *plan, const struct bench_settings *settings, struct bench_case what);
const struct bench_case *bench_plan_find(const struct bench_plan *plan, const char *group, const char *column,
                                         const char *contestant);

/* The parts of the plan, one a file of measures/. */
void bench_throughput_plan(struct bench_plan *plan, const struct bench_settings *settings);
void bench_round_trip_plan(struct bench_plan *plan, const struct bench_settings *settings);
void bench_put_get_plan(struct bench_plan *plan, const struct bench_settings *settings);
void bench_lock_plan(struct bench_plan *plan, const struct bench_settings *settings);
void bench_pool_plan(struct bench_plan *plan, const struct bench_settings *settings);

/* Say in an outcome why there is no value (error is negative). */
void bench_outcome_fail(struct bench_outcome *outcome, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif
