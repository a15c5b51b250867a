/* report.h - what the soak's rounds have come to. */
#ifndef STRESS_REPORT_H
#define STRESS_REPORT_H

#include "soak.h"

/* A quantity that should stay flat: the most of the first three fifths of the rounds, of the last, and of all. */
struct level {
    uint64_t first, last, most;
};

enum { MOST_ROUNDS = 10000 };

struct report {
    uint64_t seed, rounds;
    int64_t seconds;
    uint64_t kills, stops, killed_in[OP_COUNT];
    uint64_t done[OP_COUNT];
    uint64_t sent, got, left, lost, may_be_lost, unknown, unsaid;
    uint64_t told, in_doubt;
    uint64_t tasks, tasks_lost, tasks_cancelled, tasks_left, keepers;
    uint64_t reclaimed, deaths;
    uint32_t in_use[MOST_ROUNDS], committed[MOST_ROUNDS], memory[MOST_ROUNDS], descriptors[MOST_ROUNDS];
};

const char *report_name(unsigned operation);

/* Add a round's ledger; what was measured after it, in kilobytes and pieces. */
void report_add(struct report *report);
void report_sample(struct report *report, const struct shoal_arena_stats *stats, uint64_t memory, int descriptors);

void report_line(const struct report *report);
void report_print(const struct report *report);

/* Fail where memory or descriptors are more at the end than they were in the beginning. */
void report_check_flat(const struct report *report);

#endif
