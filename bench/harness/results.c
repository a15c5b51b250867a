/* results.c - figures made from what the repetitions brought. */
#include "harness/results.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

double bench_median(const double *values, unsigned count)
{
    double sorted[BENCH_REPETITIONS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++)
        if (!isnan(values[i]))
            sorted[n++] = values[i];
    if (n == 0)
        return NAN;
    qsort(sorted, n, sizeof *sorted, compare);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double bench_least(const double *values, unsigned count)
{
    double least = NAN;
    for (unsigned i = 0; i < count; i++)
        least = fmin(least, values[i]); /* which takes the number where one of the two is none */
    return least;
}

static const double *values_of(const struct bench_results *results, const struct bench_case *what)
{
    return results->series[what - results->plan->cases].values;
}

double bench_results_median(const struct bench_results *results, const struct bench_case *what)
{
    return bench_median(values_of(results, what), results->repetitions);
}

double bench_results_least(const struct bench_results *results, const struct bench_case *what)
{
    return bench_least(values_of(results, what), results->repetitions);
}

double bench_results_ratio(const struct bench_results *results, const struct bench_case *of,
                           const struct bench_case *by)
{
    double ratios[BENCH_REPETITIONS_MAX];
    for (unsigned i = 0; i < results->repetitions; i++)
        ratios[i] = values_of(results, of)[i] / values_of(results, by)[i];
    return bench_median(ratios, results->repetitions);
}

double bench_results_difference(const struct bench_results *results, const struct bench_case *of,
                                const struct bench_case *less)
{
    double differences[BENCH_REPETITIONS_MAX];
    for (unsigned i = 0; i < results->repetitions; i++)
        differences[i] = values_of(results, of)[i] - values_of(results, less)[i];
    return bench_median(differences, results->repetitions);
}
