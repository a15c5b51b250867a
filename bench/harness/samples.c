/* samples.c - median and mean of many short measurements. */
#include "harness/samples.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int bench_samples_open(struct bench_samples *ret_samples)
{
    size_t size = BENCH_SAMPLES_MAX * sizeof *ret_samples->values;
    ret_samples->count = 0;
    ret_samples->values = malloc(size);
    if (!ret_samples->values)
        return -ENOMEM;
    memset(ret_samples->values, 1, size); /* no first touch while it measures */
    return 0;
}

static int compare(const void *left, const void *right)
{
    int64_t l = *(const int64_t *)left, r = *(const int64_t *)right;
    return (l > r) - (l < r);
}

void bench_samples_close(struct bench_samples *samples, unsigned operations, struct bench_run *run)
{
    double sum = 0;
    if (samples->count > 0) {
        for (unsigned i = 0; i < samples->count; i++)
            sum += (double)samples->values[i];
        qsort(samples->values, samples->count, sizeof *samples->values, compare);
        run->value = (double)samples->values[samples->count / 2] / operations;
        run->mean = sum / samples->count / operations;
    }
    free(samples->values);
}

void bench_samples_report(const struct bench_run *run, struct bench_outcome *ret_outcome)
{
    size_t used = strlen(ret_outcome->note);
    ret_outcome->value = run->value;
    if (ret_outcome->error == 0)
        snprintf(ret_outcome->note + used, sizeof ret_outcome->note - used, "%smean %.0f ns", used ? ", " : "",
                 run->mean);
}
