/* samples.h - many short measurements of the same thing: their median is what it takes, whatever preempted a few. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include "harness/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_SAMPLES_MAX = 1 << 17 };

struct bench_samples {
    int64_t *values;
    unsigned count;
};

/* -ENOMEM. */
int bench_samples_open(struct bench_samples *ret_samples);
/* Sets run->value and run->mean to the samples' median and mean, each sample being of so many operations. */
void bench_samples_close(struct bench_samples *samples, unsigned operations, struct bench_run *run);
/* Take over a run's figures. */
void bench_samples_report(const struct bench_run *run, struct bench_outcome *ret_outcome);

/* 0 where there is no room for another. */
static inline int bench_samples_add(struct bench_samples *samples, int64_t value)
{
    samples->values[samples->count++] = value;
    return samples->count < BENCH_SAMPLES_MAX;
}

#ifdef __cplusplus
}
#endif

#endif
