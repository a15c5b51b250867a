/* task.h - what a task function can say and ask, beyond the public calls. */
#ifndef SH_POOL_TASK_H
#define SH_POOL_TASK_H

#include "pool/run.h"

/* The function of a job. */
shoal_task_function *sh_task_function(const struct sh_job *job);

#endif
