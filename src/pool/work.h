/* work.h - a worker's process, from its start to its end. */
#ifndef SH_POOL_WORK_H
#define SH_POOL_WORK_H

#include "pool/shared.h"

/* Be the worker of a place: initialize, run tasks, leave. Ends the process. */
void sh_work_run(struct sh_pool_shared *pool, struct sh_worker *place, uint32_t generation) __attribute__((noreturn));

#endif
