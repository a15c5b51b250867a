/* measure.h - run one case in a process of its own, with patience for so long, and leave nothing behind. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "harness/bench.h"

struct bench_outcome bench_measure_case(const struct bench_case *what, const struct bench_settings *settings);

/* The other side of a case with a variant: the sibling program was started with arguments that name a case. Returns
 * its exit code. */
int bench_measure_serve(const struct bench_plan *plan, const struct bench_settings *settings, char *const arguments[]);

/* Raise the priority of this process and its children over the machine's other load, in a session of its own, where
 * that is allowed. ret_how (80 bytes) says what came of it. */
void bench_measure_priority(char *ret_how);

#endif
