/* board.h - what the processes of one kill point tell each other: memory that they all share.
 *
 * The runner makes it and clears it before each point. Each field has one writer, named beside it; what is written by
 * one and read by another process is atomic, or written before the reader was forked. */
#ifndef CRASH_BOARD_H
#define CRASH_BOARD_H

#include "step.h"
#include "sweep.h"

#include <sys/types.h>

/* What the victim does with its operation, in the modes in which it steps itself. */
enum crash_run {
    RUN_LEARN,  /* finds out which pages it writes */
    RUN_RECORD, /* notes its points */
    RUN_BREAK,  /* runs to a point, found by a breakpoint */
    RUN_COUNT,  /* the same, found by counting steps */
};

enum crash_phase { PHASE_SETUP, PHASE_OPERATION, PHASE_WAKE, PHASE_CHECK, PHASE_COUNT };

struct crash_board {
    /* Runner, before the fork. */
    const struct crash_case *test;
    enum crash_mode mode;
    enum crash_run run;
    uint64_t at;             /* kill point; 0: the victim lives */
    int ready, go;           /* event counters: victim to agent, agent to victim */
    struct step_pages pages; /* by the victim that learns them; kept for those after it */

    struct step_report report; /* victim (and tracer) */

    _Atomic(enum crash_phase) phase;           /* agent */
    _Atomic pid_t victim;                      /* agent; 0 again when reaped */
    _Atomic pid_t victim_was;                  /* agent; stays */
    _Atomic int64_t died;                      /* agent: when it killed, where the victim did not */
    _Atomic int finished;                      /* victim: came back from its operation */
    _Atomic int blocked;                       /* agent: the victim slept and nothing would have fed it */
    _Atomic uint64_t sleeps_seen;              /* agent: how often the victim slept in its operation */
    _Atomic pid_t sleeper[CRASH_SLEEPERS_MAX]; /* agent; 0 again when reaped */
    _Atomic int64_t woke[CRASH_SLEEPERS_MAX];  /* sleeper: when it came back */
    _Atomic int64_t worst_wake;                /* agent */
    _Atomic int late;                          /* agent, runner */
    _Atomic int failed;                        /* whoever fails first */
    _Atomic(enum crash_verdict) verdict;       /* the one who failed first, then the runner */
    char why[200];
    char late_why[400]; /* agent */

    _Alignas(64) unsigned char ledger[4096];
};

extern struct crash_board *crash_board;
extern struct step_record *crash_record; /* by the victim that records; kept for those after it */

/* runner.c: memory that all processes see. */
void *crash_share(size_t size);
/* The board and its counters, once, and cleared before each agent but for pages. */
void crash_board_make(void);
void crash_board_clear(void);
/* Run an agent in a process of its own. What it does not bring to an end is a verdict, and is ended. */
void crash_run(void (*agent_body)(void));

/* agent.c: one kill point, from setup to check. */
void crash_agent(void);
/* Fork a child that is killed with this process, which fails where that cannot be. */
pid_t crash_fork(void);
/* Agent: look at a victim that seems to stand still; where it sleeps, let it die or feed it. */
void crash_attend_victim(void);
/* Note a verdict, unless there is one already. */
void crash_note(enum crash_verdict verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* trace.c: step the victim, which stopped itself, to the kill point and kill it there. */
void crash_trace(pid_t victim);
/* Victim: ask to be traced, stop, and call the function. */
void crash_trace_me(void (*function)(void));

#endif
