/* crew.h - the pool's processes: starting workers and the keeper, and main's part in their end. */
#ifndef SH_POOL_CREW_H
#define SH_POOL_CREW_H

#include "os/process.h"
#include "os/signals.h"
#include "pool/binding.h"
#include "pool/pool.h"

#include <pthread.h>
#include <sys/types.h>

/* A worker's process as its starter holds it. pidfd -1: none is held. */
struct sh_hand {
    uint32_t generation;
    uint32_t server; /* the starter's forkserver that it is a child of; 0: it is a child of the starter, or of others */
    pid_t pid;
    int pidfd;
};

/* Main's, and by fork the keeper's. mutex protects all that changes after the pool was opened, in main; the keeper has
 * a copy of its own, and one thread. */
struct sh_crew {
    pthread_mutex_t mutex;
    shoal_pool *pool;
    struct sh_pool_shared *shared;
    uint32_t workers;          /* the pool's, which cannot be read any more where main has died and was buried */
    struct sh_binding binding; /* all NULL: the core's own way */
    int bell;                  /* main rings it where the keeper is to look at the pool's phase */
    int set;                   /* keeper: what it waits for; -1 in main */
    int keeper_pidfd;          /* main: -1 where there is none */
    pid_t keeper_pid;
    struct sh_signals signals;       /* as they were blocked in main when it started the keeper */
    char name[SH_PROCESS_NAME_SIZE]; /* main's, for workers that the keeper starts */
    struct sh_hand hand[];           /* for each place */
};

/* Main: start all workers and the keeper; binding may be NULL. On failure none is left. */
int sh_crew_open(shoal_pool *pool, const struct sh_binding *binding);

/* Main: where the keeper has died, start another. Called by every thread that has waited; costs a load. */
void sh_crew_attend(shoal_pool *pool);

/* Main: have the keeper look at the phase. */
void sh_crew_ring(shoal_pool *pool);

/* Main: reap those of its children among the workers that have ended and were buried; all, where the pool has ended. */
void sh_crew_reap(shoal_pool *pool);

/* Main, when the pool has ended: nothing of the crew is left after this. */
void sh_crew_close(shoal_pool *pool);

/* Start a worker's process in a place: main while it opens the pool, then the keeper. ticket makes what it follows by.
 */
int sh_crew_start(struct sh_crew *crew, uint32_t index, int (*ticket)(int *ret_ticket));

#endif
