/* targets.c - what shoal set out to reach, held against what was measured. The figures to reach are stated here; those
 * reached come from the results alone. */
#include "harness/results.h"

#include <math.h>
#include <stddef.h>

const char *const bench_verdict_names[] = {
    [BENCH_UNKNOWN] = "not measured",
    [BENCH_MISSED] = "missed",
    [BENCH_MET] = "met",
    [BENCH_STRETCHED] = "met, stretch too",
};

enum kind {
    FASTER,   /* so many times as fast as the other: at least */
    SLOWER,   /* so many times as slow as the other: at most */
    TIME,     /* nanoseconds: at most */
    OVERHEAD, /* nanoseconds over the other, by operation, two of which are in a value: at most */
    RATE,     /* millions a second: at least */
};

struct pick {
    const char *group, *column, *contestant;
};

struct target {
    const char *row, *what;
    enum kind kind;
    struct pick of, other;
    double must, stretch; /* stretch 0: none */
};

/* With all pinned alike, and left to the scheduler. */
#define FASTER_IN(title, sub, in, size, peer, least, best)                                                             \
    {                                                                                                                  \
        title, sub, FASTER, {in, size, "shoal"}, {in, size, peer}, least, best                                         \
    }
#define FASTER_THAN(title, shape, size, peer, least, best)                                                             \
    FASTER_IN(title, shape ", " size ", " peer, "throughput " shape " apart", size, peer, least, best),                \
        FASTER_IN(title, shape ", " size ", " peer ", not pinned", "throughput " shape, size, peer, least, best)

static const char cheap[] = "put + get, 64 B, one process";
static const char locks[] = "lock + unlock, robust, uncontended";
static const char one[] = "queue 1:1, 8 and 64 B";
static const char several[] = "queue 2:2 and 4:4, 8 and 64 B";
static const char large[] = "1 KiB / 64 KiB / 1 MiB copied, 1:1";
static const char loan[] = "loan, any size";
static const char many[] = "16 messages a call, 8 B";
static const char trip[] = "round trip, two cores, spinning / asleep";
static const char task[] = "pool: one task, spinning / asleep";
static const char tasks[] = "pool: tasks/s, no chunk / chunk 16";
static const char death[] = "worker's death to its report";

#define BOOST "Boost message_queue"
#define LOAN "shoal, by loan"
#define POOL "shoal pool, a task"

static const struct target targets[] = {
    {cheap, "the pair", TIME, {"put+get", "64 B", "shoal"}, {0}, 60, 45},
    {cheap,
     "robustness, an operation",
     OVERHEAD,
     {"put+get", "64 B", "shoal, static"},
     {"put+get", "64 B", "shoal, static, not robust"},
     3,
     1},
    {locks,
     "the library's own word, by a robust pthread mutex",
     SLOWER,
     {"lock", "alone", "shoal robust word"},
     {"lock", "alone", "pthread mutex, robust"},
     0.7,
     0.56},
    {locks,
     "shoal_lock, by a robust pthread mutex",
     SLOWER,
     {"lock", "alone", "shoal lock"},
     {"lock", "alone", "pthread mutex, robust"},
     0.7,
     0.56},
    FASTER_THAN(one, "1:1", "8 B", "pipe", 5, 9),
    FASTER_THAN(one, "1:1", "64 B", "pipe", 5, 9),
    FASTER_THAN(one, "1:1", "8 B", BOOST, 1.7, 0),
    FASTER_THAN(one, "1:1", "64 B", BOOST, 1.7, 0),
    FASTER_THAN(several, "2:2", "8 B", "pipe", 6, 10),
    FASTER_THAN(several, "2:2", "64 B", "pipe", 6, 10),
    FASTER_THAN(several, "4:4", "8 B", "pipe", 6, 10),
    FASTER_THAN(several, "4:4", "64 B", "pipe", 6, 10),
    FASTER_THAN(several, "2:2", "8 B", BOOST, 6, 9),
    FASTER_THAN(several, "2:2", "64 B", BOOST, 6, 9),
    FASTER_THAN(several, "4:4", "8 B", BOOST, 6, 9),
    FASTER_THAN(several, "4:4", "64 B", BOOST, 6, 9),
    FASTER_THAN(several, "2:2", "8 B", "POSIX mq", 12, 0),
    FASTER_THAN(several, "2:2", "64 B", "POSIX mq", 12, 0),
    FASTER_THAN(several, "4:4", "8 B", "POSIX mq", 12, 0),
    FASTER_THAN(several, "4:4", "64 B", "POSIX mq", 12, 0),
    FASTER_THAN(large, "1:1", "1 KiB", "pipe", 4, 5),
    FASTER_THAN(large, "1:1", "64 KiB", "pipe", 2.5, 4.8),
    FASTER_THAN(large, "1:1", "1 MiB", "pipe", 3.5, 4.1),
    FASTER_THAN(large, "1:1", "64 KiB", BOOST, 1.9, 0),
    FASTER_THAN(large, "1:1", "1 MiB", BOOST, 2, 0),
    {loan, "8 B", TIME, {"throughput 1:1 apart", "8 B", LOAN}, {0}, 500, 280},
    {loan, "64 B", TIME, {"throughput 1:1 apart", "64 B", LOAN}, {0}, 500, 280},
    {loan, "1 KiB", TIME, {"throughput 1:1 apart", "1 KiB", LOAN}, {0}, 500, 280},
    {loan, "64 KiB", TIME, {"throughput 1:1 apart", "64 KiB", LOAN}, {0}, 500, 280},
    {loan, "1 MiB", TIME, {"throughput 1:1 apart", "1 MiB", LOAN}, {0}, 500, 280},
    {loan, "64 KiB, round trip spinning", TIME, {"round trip apart", "64 KiB", LOAN}, {0}, 1000, 0},
    {loan, "1 MiB, round trip spinning", TIME, {"round trip apart", "1 MiB", LOAN}, {0}, 1000, 0},
    {many, "messages a second", RATE, {"throughput 1:1 apart", "8 B", "shoal, 16 a call"}, {0}, 35, 58},
    {trip,
     "spinning, by a cache line",
     SLOWER,
     {"round trip apart", "8 B", "shoal"},
     {"round trip apart", "8 B", "raw cache line"},
     2.7,
     2.2},
    {trip,
     "asleep on two CPUs, by a raw futex",
     SLOWER,
     {"round trip asleep", "8 B", "shoal"},
     {"round trip asleep", "8 B", "raw futex"},
     1.4,
     1.05},
    {trip,
     "asleep on one CPU, by a raw futex",
     SLOWER,
     {"round trip together", "8 B", "shoal"},
     {"round trip together", "8 B", "raw futex"},
     1.4,
     1.05},
    {task,
     "spinning, by a cache line",
     SLOWER,
     {"round trip apart", "8 B", POOL},
     {"round trip apart", "8 B", "raw cache line"},
     1.5,
     1.3},
    {task,
     "asleep on two CPUs, by a raw futex",
     SLOWER,
     {"round trip asleep", "8 B", POOL},
     {"round trip asleep", "8 B", "raw futex"},
     1.3,
     1.0},
    {task,
     "asleep on one CPU, by a raw futex",
     SLOWER,
     {"round trip together", "8 B", POOL},
     {"round trip together", "8 B", "raw futex"},
     1.3,
     1.0},
    {tasks, "no chunk", RATE, {"pool", "map, chunk 1", "shoal pool"}, {0}, 6, 10},
    {tasks, "chunk 16", RATE, {"pool", "chunk 16", "shoal pool"}, {0}, 60, 90},
    {death, "median", TIME, {"worker death", "median", "shoal pool"}, {0}, 500000, 100000},
};

_Static_assert(sizeof targets / sizeof *targets <= BENCH_TARGETS_MAX, "bench_targets_judge fills that many");

static const struct {
    const char *unit;
    int at_least;
} kinds[] = {
    [FASTER] = {"x as fast", 1}, [SLOWER] = {"x the time", 0}, [TIME] = {"ns", 0},
    [OVERHEAD] = {"ns", 0},      [RATE] = {"M/s", 1},
};

static double measured(const struct bench_results *results, const struct target *target)
{
    const struct bench_case *of, *other = NULL;
    of = bench_plan_find(results->plan, target->of.group, target->of.column, target->of.contestant);
    if (target->other.group)
        other = bench_plan_find(results->plan, target->other.group, target->other.column, target->other.contestant);
    if (!of || (target->other.group && !other))
        return NAN;
    switch (target->kind) {
    case FASTER:
        return bench_results_ratio(results, other, of);
    case SLOWER:
        return bench_results_ratio(results, of, other);
    case OVERHEAD:
        return bench_results_difference(results, of, other) / 2;
    case RATE:
        return 1e3 / bench_results_median(results, of);
    case TIME:
        return bench_results_median(results, of);
    }
    return NAN;
}

static enum bench_verdict judge(double value, double must, double stretch, int at_least)
{
    if (isnan(value))
        return BENCH_UNKNOWN;
    if (at_least ? value < must : value > must)
        return BENCH_MISSED;
    if (stretch > 0 && (at_least ? value >= stretch : value <= stretch))
        return BENCH_STRETCHED;
    return BENCH_MET;
}

unsigned bench_targets_judge(const struct bench_results *results, struct bench_judgement *ret_judgements)
{
    unsigned count = sizeof targets / sizeof *targets;
    for (unsigned i = 0; i < count; i++) {
        const struct target *target = &targets[i];
        double value = measured(results, target);
        ret_judgements[i] = (struct bench_judgement){
            .row = target->row,
            .what = target->what,
            .unit = kinds[target->kind].unit,
            .at_least = kinds[target->kind].at_least,
            .must = target->must,
            .stretch = target->stretch,
            .measured = value,
            .verdict = judge(value, target->must, target->stretch, kinds[target->kind].at_least),
        };
    }
    return count;
}
