/* pool.h - the pool's rows in the tables of round trips. */
#ifndef BENCH_POOL_H
#define BENCH_POOL_H

#include "harness/bench.h"

void bench_pool_round_trip(struct bench_plan *plan, const struct bench_settings *settings,
                           const struct bench_group *group, enum bench_placement placement, int64_t think);

#endif
