/* step.h - runs a function up to a chosen instruction, and there kills or pauses the process.
 *
 * First the function is recorded: with the trap flag set, the processor raises SIGTRAP after each instruction, and the
 * handler notes where the next one stands, and whether anything changed that others can see. That needs no rights and
 * no second process, but x86-64; elsewhere STEP_SUPPORTED is 0 and only stepping by ptrace (trace.c) is left.
 *
 * To come to one of the points again, a breakpoint is planted there, and lets the function pass until it has come by
 * as often as it had in the record: so all but one run at full speed. step_run counts the function's steps once more
 * instead, where a point is not found by its breakpoint.
 *
 * Points are numbered from 1: the first is the moment before the function's first instruction, the last the one after
 * its return. A system call is one step, and so is a string instruction with a repeat prefix. */
#ifndef CRASH_STEP_H
#define CRASH_STEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define STEP_SUPPORTED 1
#else
#define STEP_SUPPORTED 0
#endif

#define STEP_PAGES_MAX 128
#define STEP_POINTS_MAX 65536

/* Which pages of shared memory a function writes: found by step_learn, compared after each instruction by step_record.
 * Addresses, valid in all processes that inherited the mapping. */
struct step_pages {
    size_t count;
    uintptr_t page[STEP_PAGES_MAX];
};

/* A point of a function: pc is the instruction that comes next. changed: shared memory or the thread's robust list
 * are not what they were at the point before, or a system call comes next or came before. turn: how often the function
 * has come by this instruction then, from 1. */
struct step_point {
    uintptr_t pc;
    uint32_t turn;
    bool changed;
};

/* Lies in memory shared with the process that reads it. count may pass STEP_POINTS_MAX: those beyond are not noted. */
struct step_record {
    size_t count;
    struct step_point point[STEP_POINTS_MAX];
};

enum step_action {
    STEP_KILL,  /* SIGKILL */
    STEP_PAUSE, /* set report->paused and stand still until report->resume is set */
};

/* What others see of a run: lies in memory shared with them. The process that runs writes all but resume. */
struct step_report {
    _Atomic uint64_t steps;    /* so far; not with a breakpoint */
    _Atomic uintptr_t pc;      /* where it was killed or paused */
    _Atomic int64_t killed_at; /* CLOCK_MONOTONIC; 0: not */
    _Atomic uint32_t paused;
    _Atomic uint32_t resume;
};

/* Call function and note the pages of shared memory files (memfd) that it writes. -E2BIG where they are too many. */
int step_learn(struct step_pages *pages, void (*function)(void));

/* Call function and note its points. */
void step_record(const struct step_pages *pages, struct step_record *record, void (*function)(void));

/* Call function and act at point number at, found by counting steps. */
void step_run(uint64_t at, enum step_action action, struct step_report *report, void (*function)(void));

/* Call function and act at a point of its record, found by a breakpoint. False where none can be planted: function has
 * not been called then. */
bool step_break(const struct step_point *point, enum step_action action, struct step_report *report,
                void (*function)(void));

/* What a visitor is told of the instruction before this point: it wrote what others can see; it was a system call. And
 * of the next: it is one. */
enum { STEP_WROTE = 1, STEP_RETURNED = 2, STEP_CALLS = 4 };
typedef void step_visitor(uintptr_t pc, unsigned what);

/* Call function and visit each of its points. Without pages STEP_WROTE is never said, and it takes less time. */
void step_visit(const struct step_pages *pages, step_visitor *visit, void (*function)(void));

/* The same with the points before and after chosen instructions alone (0 is none). STEP_WROTE is said of all but system
 * calls. A visitor may have an instruction forgotten, which is not come by any more. */
#define STEP_PLACES_MAX 1024
void step_visit_places(const uintptr_t *places, size_t count, step_visitor *visit, void (*function)(void));
void step_forget_place(uintptr_t pc);

/* For a visitor that waited for others: what they have changed was not this process. */
void step_forget_changes(void);

/* Call function with flags set in the processor's flag register, or without any: for a tracer. It has begun where the
 * next instruction is at function's address, and has ended at step_return. */
void step_call(void (*function)(void), uintptr_t flags);
extern const char step_return[];

/* How far the program was moved when it was loaded: what tools know it by is so much less. */
uintptr_t step_base(void);

/* CLOCK_MONOTONIC in nanoseconds, by a system call and nothing of libc. */
int64_t step_now(void);

/* step.c: whether a system call stands at pc. For handlers of SIGTRAP, with their context's machine state: carry out
 * the repeated string instruction that comes next, false where there is none. */
bool step_is_syscall(uintptr_t pc);
bool step_carry_out_string(void *machine);

/* step.c, break.c: kill or pause this process, as report will say. Calls nothing of libc. */
void step_act(enum step_action action, struct step_report *report, uintptr_t pc);

#endif
