/* results.h - what all repetitions brought, and figures made from it. */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "harness/bench.h"

#include <stdio.h>

/* One case through all repetitions. */
struct bench_series {
    double values[BENCH_REPETITIONS_MAX]; /* NAN where there is none */
    unsigned failures;
    char note[160];    /* the last one beside a value */
    char failure[160]; /* the last reason for having none */
};

struct bench_environment {
    char kernel[160], cpu[160], compiler[80], library[32], priority[80], when[40];
    unsigned cpus;
    double load_before, load_after; /* the kernel's average over a minute */
    double others;                  /* CPUs that were busy with something else, on average while it ran */
    double seconds;                 /* how long it ran */
};

struct bench_results {
    const struct bench_plan *plan;
    const struct bench_settings *settings;
    unsigned repetitions; /* that are complete */
    struct bench_series series[BENCH_CASES_MAX];
    struct bench_environment environment;
};

/* NAN where there is no value. */
double bench_median(const double *values, unsigned count);
double bench_least(const double *values, unsigned count);

double bench_results_median(const struct bench_results *results, const struct bench_case *what);
double bench_results_least(const struct bench_results *results, const struct bench_case *what);
/* Median of the ratios of the repetitions: of's value by by's. */
double bench_results_ratio(const struct bench_results *results, const struct bench_case *of,
                           const struct bench_case *by);
/* Median of the differences of the repetitions. */
double bench_results_difference(const struct bench_results *results, const struct bench_case *of,
                                const struct bench_case *less);

/* The machine and the moment; bench_environment_end fills in what is known only afterwards. */
void bench_environment_begin(struct bench_environment *environment);
void bench_environment_end(struct bench_environment *environment);

/* How a target fared. */
enum bench_verdict { BENCH_UNKNOWN, BENCH_MISSED, BENCH_MET, BENCH_STRETCHED };

struct bench_judgement {
    const char *row; /* the line of the list of targets it belongs to */
    const char *what;
    const char *unit; /* of the three figures */
    int at_least;     /* else at most */
    double must, stretch, measured;
    enum bench_verdict verdict;
};

enum { BENCH_TARGETS_MAX = 96 };

/* Hold the results against the targets; returns how many there are. */
unsigned bench_targets_judge(const struct bench_results *results, struct bench_judgement *ret_judgements);
extern const char *const bench_verdict_names[];

void bench_text_print(FILE *out, const struct bench_results *results);
void bench_json_print(FILE *out, const struct bench_results *results);

#endif
