/* keeper.h - the keeper: a process with one thread that watches the workers, buries the dead, and starts others.
 *
 * It allocates nothing, and takes no lock but the pool's words, which survive whoever holds them. It watches by pidfds.
 * What it knows it can find again in shared memory, so where it dies itself, main starts another, which begins by
 * looking at every place (sh_crew_attend). */
#ifndef SH_POOL_KEEPER_H
#define SH_POOL_KEEPER_H

#include "pool/crew.h"

/* Be the keeper, until the pool has ended. Ends the process. */
void sh_keeper_run(struct sh_crew *crew) __attribute__((noreturn));

/* Raise the phase, and never lower it. Returns what it was. */
uint32_t sh_keeper_raise_phase(struct sh_pool_shared *pool, uint32_t phase);

#endif
