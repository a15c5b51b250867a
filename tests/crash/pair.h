/* pair.h - two processes in their operations at the same time, one step of one, then one of the other, in chosen
 * orders.
 *
 * Both are stepped, and only the one that has the baton goes on. It may pass it at a point: before and after each
 * instruction that writes what others can see, and before each system call. A schedule names the points of an
 * execution, counted through both processes, at which the baton is passed although its holder could go on
 * (preemptions); where the holder sleeps or ends, it is passed anyway. At the last of its points a schedule may kill
 * instead: the holder, or the other, which then stands in the middle of its own operation, or sleeps there.
 *
 * An agent of its own, as in sweep.h, makes the object, runs both, and judges what they leave. */
#ifndef CRASH_PAIR_H
#define CRASH_PAIR_H

#include "sweep.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAIR_PREEMPTIONS_MAX 8

/* Two operations under test, of process 0 and of process 1. prepare, due, feed and late_because may be left out. */
struct pair_case {
    const char *name;
    void (*setup)(void);      /* agent */
    void (*prepare[2])(void); /* the processes: what precedes, one after the other */
    void (*operation[2])(void);
    int (*due)(unsigned who); /* agent: one that sleeps, while nobody else is at work, must wake by itself; without
                                 it, always */
    void (*feed)(void);       /* agent, once: now all are due */
    void (*check)(void);      /* agent, when both have ended or are dead */
    const char *late_because; /* as in struct crash_case, where a schedule kills */
};

/* In the case's functions: whether the process came to the end of its operation, or was killed; its process id. */
int pair_finished(unsigned who);
int pair_died(unsigned who);
int pair_pid(unsigned who);
/* In prepare and operation: which of the two this process is. */
unsigned pair_self(void);

struct pair_result {
    uint64_t points;   /* of the longest execution */
    uint64_t runs;     /* schedules */
    uint64_t possible; /* there are so many with up to two preemptions */
    uint64_t kills;
    uint64_t verdicts[CRASH_VERDICT_COUNT];
    uint64_t late, failed;
    enum crash_verdict first; /* of the first schedule that failed; CRASH_HOLDS where it was only late */
    char first_schedule[200]; /* as the command line has it */
    uintptr_t first_pc[PAIR_PREEMPTIONS_MAX]; /* what came next at its points; 0 where it did not come to one */
    char first_why[500];
    int64_t time;
};

/* Run one pair by the schedules that the command line, or the defaults, say. */
void pair_explore(const struct pair_case *test, struct pair_result *ret_result);

/* The body of main: runs all schedules with up to two preemptions, or as many as the command line says, and random ones
 * with more; prints the table. 0 where all held. */
int pair_main(int argc, char **argv, const struct pair_case *cases, size_t count);

#endif
