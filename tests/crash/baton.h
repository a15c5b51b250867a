/* baton.h - what the two processes of a pair and their agent tell each other: memory that they share. */
#ifndef CRASH_BATON_H
#define CRASH_BATON_H

#include "pair.h"
#include "step.h"

#include <sys/types.h>

#define BATON_WRITERS 4096 /* slots of the table of writing instructions: a power of two */

enum baton_holder { BATON_FIRST, BATON_SECOND, BATON_AGENT, BATON_END };

/* What happens at the last point of a schedule; at the others the baton is passed. */
enum baton_end { BATON_PASS, BATON_KILL_HOLDER, BATON_KILL_OTHER, BATON_END_COUNT };

struct baton_schedule {
    unsigned first; /* who begins */
    unsigned count; /* of points */
    uint64_t at[PAIR_PREEMPTIONS_MAX];
    enum baton_end end;
};

/* How the processes run. */
enum baton_run {
    BATON_FIND_PAGES,   /* unstepped: which pages do they write */
    BATON_FIND_WRITERS, /* stepped, with a look at those pages after each instruction: which instructions write */
    BATON_RUN,          /* stepped */
};

struct baton {
    /* Runner, before the fork. */
    const struct pair_case *test;
    struct baton_schedule schedule;
    enum baton_run run;
    int to_agent; /* event counter */
    struct step_pages pages;
    /* Instructions that write what others can see, by hash; found in the first runs and kept for the others. */
    uintptr_t writer[BATON_WRITERS];

    struct step_pages found[2]; /* each process its own */

    _Atomic uint32_t holder;            /* enum baton_holder: whoever it names writes it */
    _Atomic uint64_t points;            /* so far, of both; the holder */
    uintptr_t pc[PAIR_PREEMPTIONS_MAX]; /* which instruction came next at the schedule's points; the holder */
    _Atomic uint32_t passed;            /* how often it was passed at a point; the holder */
    _Atomic uint32_t killing;           /* 1 + whom the agent is to kill; the holder asks, the agent answers with 0 */
    struct baton_process {
        _Atomic pid_t pid;          /* agent */
        _Atomic uint32_t waits;     /* process: for the baton */
        _Atomic uint32_t is_asleep; /* agent: in its operation; the process, when it is back */
        _Atomic uint32_t finished;  /* process */
        _Atomic uint32_t died;      /* agent */
    } process[2];
};

extern struct baton *baton;

/* A process of the pair: wait for the baton, do the operation, wait for the end. */
void baton_run_operation(unsigned self);

/* Give the baton to somebody, and wake him. Only the holder may, and the agent where the holder sleeps or is dead. */
void baton_give(uint32_t holder);

/* Whether a process can go on when it is given the baton. */
bool baton_is_ready(unsigned who);

void baton_tell_agent(void);
void baton_hear(void); /* agent: has been told */

/* pair.c: run the schedule, and judge what it leaves. */
void pair_agent(void);

#endif
