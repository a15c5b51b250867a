/* step.h - runs a function one instruction at a time and kills or pauses the process at a chosen one.
 *
 * The process steps itself: with the trap flag set, the processor raises SIGTRAP after each instruction, and the
 * handler counts. No rights are needed for that and no second process, and a step costs about a microsecond. It needs
 * x86-64; elsewhere STEP_SUPPORTED is 0 and only stepping by ptrace (trace.h) is left.
 *
 * Steps are counted from 1: the first is the moment before the function's first instruction, the last the one after
 * its return. A string instruction with a repeat prefix is one step, and so is a system call with the one instruction
 * that follows it (a tracer sees the moment between them too). */
#ifndef CRASH_STEP_H
#define CRASH_STEP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define STEP_SUPPORTED 1
#else
#define STEP_SUPPORTED 0
#endif

#define STEP_PAGES_MAX 128

enum step_unit {
    STEP_INSTRUCTION, /* every instruction is a step */
    STEP_STATE, /* only those after which shared memory or the robust list differ, and those around system calls */
};

enum step_action {
    STEP_KILL,  /* SIGKILL */
    STEP_PAUSE, /* set report->paused and stand still until report->resume is set */
};

/* Which pages of shared memory a function writes: found by step_learn, compared after each instruction of a run that
 * counts states. Addresses, valid in all processes that inherited the mapping. */
struct step_pages {
    size_t count;
    uintptr_t page[STEP_PAGES_MAX];
};

struct step_plan {
    enum step_unit unit;
    enum step_action action;
    uint64_t at;                    /* the step to act at; 0: never */
    const struct step_pages *pages; /* for STEP_STATE */
};

/* What others see of a run: lies in memory shared with them. The stepped process writes all but resume. */
struct step_report {
    _Atomic uint64_t steps;        /* in the plan's unit */
    _Atomic uint64_t instructions; /* executed so far */
    _Atomic uintptr_t pc;          /* the instruction that comes next */
    _Atomic int64_t killed_at;     /* CLOCK_MONOTONIC; 0: not */
    _Atomic uint32_t paused;
    _Atomic uint32_t resume;
};

/* Call function, stepped as the plan says. */
void step_run(const struct step_plan *plan, struct step_report *report, void (*function)(void));

/* Call function and note the pages of shared memory files (memfd) that it writes. -E2BIG where they are too many. */
int step_learn(struct step_pages *pages, void (*function)(void));

/* Call function without stepping it, in the frame in which step_run calls it: for a tracer. It has begun where the
 * next instruction is at function's address, and has ended at step_return. */
void step_call(void (*function)(void), uintptr_t flags);
extern const char step_return[];

int64_t step_now(void);

#endif
