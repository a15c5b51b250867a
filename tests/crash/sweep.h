/* sweep.h - kills a process at every instruction of an operation and has an agent outside look at what is left.
 *
 * For each kill point there is a fresh family of processes:
 *
 *     runner              forks the agent, watches it with a time limit, keeps the tally
 *       agent             setup; later sees the victim die, the sleepers wake, and checks the object
 *         victim          prepare, then operation: dies in it
 *         sleepers        blocked on the object when the victim dies
 *
 * An agent that does not come back, crashes, or waits where it should not, is a verdict too: nothing that a torn
 * object does can hang or end the test. */
#ifndef CRASH_SWEEP_H
#define CRASH_SWEEP_H

#include <stddef.h>
#include <stdint.h>

#define CRASH_SLEEPERS_MAX 8

/* How a victim comes to the point where it dies. */
enum crash_mode {
    CRASH_INSTRUCTION, /* steps itself; every instruction */
    CRASH_STATE,       /* steps itself; where shared memory or the robust list changed, and around system calls */
    CRASH_ASLEEP,      /* inside each of the futex waits in which the operation blocks */
    CRASH_TRACE,       /* stepped by its parent with ptrace; every instruction */
    CRASH_POINT,       /* at each hit of a crash point that is compiled in */
    CRASH_MODE_COUNT,
};

enum crash_verdict {
    CRASH_HOLDS,
    CRASH_STUCK, /* somebody waits for ever */
    CRASH_TORN, /* an invariant is broken, more than the message in flight is lost, somebody was not told, or crashed */
    CRASH_LEAKED, /* memory or a slot that nobody will give back */
    CRASH_BROKEN, /* the case itself did not work: no verdict about the operation */
    CRASH_VERDICT_COUNT,
};

/* One operation under test. All but name, operation and check may be left out. */
struct crash_case {
    const char *name;
    unsigned sleepers;  /* how many processes are blocked on the object when the victim dies */
    int sleepers_first; /* they block before the victim's prepare; else after it, */
    int sleepers_last;  /* or when it is blocked in its operation, before it is fed; if it comes to that */
    const char
        *late_because; /* why the backstop is needed here, where it is known and accepted: being late is no failure */
    unsigned modes_left_out; /* bits 1 << enum crash_mode */

    void (*setup)(void);   /* agent: make the object. What it leaves in static variables all the others see. */
    void (*prepare)(void); /* victim: what precedes the operation and is not under test */
    void (*operation)(void);

    /* Agent: what lets the victim go on that is blocked in its operation for the nth time (from 1) and is not to die
     * there. Without it, a blocked victim ends the sweep. */
    void (*feed)(unsigned nth);

    void (*sleep)(unsigned index); /* sleeper: block on the object; returns when woken as it should be */
    /* Agent, after the victim's death: whether, as things stand in shared memory, this sleeper must wake by itself.
     * Without it, it must. */
    int (*due)(unsigned index);
    void (*rouse)(void); /* agent: lets all the others wake */

    void (*check)(void); /* agent: is the object whole and usable, is all accounted for? */
};

/* In setup, feed, sleep, due, rouse, check (and prepare): end this kill point with a verdict. The first one counts. */
_Noreturn void crash_fail(enum crash_verdict verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define CRASH_UNLESS(verdict, condition)                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            crash_fail(verdict, "line %d: %s", __LINE__, #condition);                                                  \
    } while (0)

/* 4,096 bytes that the victim, the sleepers and the agent of one kill point share, zero at setup: what they did,
 * independent of the object under test. */
void *crash_ledger(void);

/* The victim's process id, and whether it came to the end of its operation. */
int crash_victim_pid(void);
int crash_victim_finished(void);

/* How many sleepers have not come back yet. */
unsigned crash_sleepers_left(void);

/* The hook that counts crash points: set as the library's in prepare or setup. */
void crash_point_hook(const char *name);

struct crash_result {
    uint64_t instructions; /* in the operation, of a victim that lived to its end */
    uint64_t points;       /* kill points */
    uint64_t missed;       /* points that a victim did not come to: it took another way than the record */
    uint64_t verdicts[CRASH_VERDICT_COUNT];
    uint64_t late;            /* points after which somebody was woken by nothing but the backstop */
    int64_t worst_wake;       /* longest time from the death (or the rousing) to a sleeper's return, nanoseconds */
    int64_t time;             /* that the sweep took */
    uint64_t failed;          /* points with another verdict than CRASH_HOLDS, or late */
    enum crash_verdict first; /* of the first point that failed; CRASH_HOLDS where it was only late */
    uint64_t first_at;        /* its number; 0: already without a kill */
    uintptr_t first_pc;       /* the instruction before which the victim died, or the crash point's name */
    char first_why[500];
};

/* How long things may take: generous, since the machine may be busy. The harness's own test makes them short. */
struct crash_limits {
    unsigned failures; /* after so many a sweep is given up: each may cost seconds */
    uint64_t turns;    /* CRASH_INSTRUCTION: of the points that loops come by for the third time and more, where nothing
                          changes, leave out all but about so many, evenly; 0: leave out none */
    uint64_t steps;    /* CRASH_TRACE: leave out so many points, evenly, that it takes so many steps; 0: none */
    int64_t stuck;     /* nanoseconds until a process that should go on counts as stuck */
    int64_t phase;     /* until an agent that does not end its setup, operation, waking or check counts as stuck */
};
extern struct crash_limits crash_limits;

/* Sweep one operation in one mode. Only point number only, where that is not 0. */
void crash_sweep(const struct crash_case *test, enum crash_mode mode, uint64_t only, struct crash_result *ret_result);

const char *crash_mode_name(enum crash_mode mode);
const char *crash_verdict_name(enum crash_verdict verdict);

/* The body of main: sweeps cases in the modes that the command line names, prints the table. 0 where all held. */
int crash_main(int argc, char **argv, const struct crash_case *cases, size_t count);

#endif
