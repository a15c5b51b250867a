/* crew.h - plays the processes of a pool: main, which submits, and workers, which take and run. Nobody else is there,
 * so a case decides who does what, and when. */
#ifndef CRASH_CREW_H
#define CRASH_CREW_H

#include "pool/pool.h"
#include "pool/run.h"
#include "pool/worker.h"
#include "sweep.h"

#define CREW_MAP 10  /* items of a map */
#define CREW_CHUNK 4 /* of it */
#define CREW_LARGE 300
#define CREW_AGENT 1 /* places: the agent's, */
#define CREW_OTHER 2 /* and that of a worker that is dead already */
#define CREW_FUTURES 4

struct crew_ledger {
    _Atomic int runs[CREW_FUTURES][CREW_MAP]; /* how often an item was begun */
    shoal_ref pool;                           /* where the victim is main */
};

/* This process's: after a fork each has its own. */
extern struct crew {
    shoal_pool *pool;
    struct sh_pool_shared *shared;
    struct crew_ledger *ledger;
    shoal_future *futures[CREW_FUTURES];
    int count;        /* of them */
    int is_cancelled; /* what of the first job nobody had taken */
    struct shoal_task worker;
    struct sh_claim *claim;
    struct sh_posted posted;
} crew;

/* Tasks: the first bytes of what they are given say which future they belong to. run_half dies in the second item of a
 * chunk, as the worker of CREW_OTHER. */
int crew_run_small(shoal_task *task);
int crew_run_large(shoal_task *task);
int crew_run_told(shoal_task *task);
int crew_run_half(shoal_task *task);

/* Main: make the arena and the pool; submit a job, which becomes the next future. */
void crew_setup(void);
void crew_open_pool(void);
int crew_submit(shoal_task_function *function, size_t items);
void crew_add(shoal_task_function *function, size_t items);

/* A worker: come to a place, take the next claim, run it, leave. */
void crew_come(uint32_t place);
void crew_take(void);
void crew_run(void);
void crew_leave(void);

/* The agent, when somebody died: bury all, run what is left. */
void crew_bury_all(void);
void crew_run_all(void);

/* Bury and run all; then each item has ended once: with its result, or lost, of which there is one for each of so many
 * dead workers at most. Nothing is left behind. */
void crew_check(int dead);
void crew_check_pool(void);

#endif
