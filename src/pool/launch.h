/* launch.h - making a worker's process in the way that the pool was opened with: by fork, forkserver or spawn. */
#ifndef SH_POOL_LAUNCH_H
#define SH_POOL_LAUNCH_H

#include "pool/crew.h"

/* Whether workers can be made so: 0; -EPERM, as shoal_process_start. how becomes what it stands for. */
int sh_launch_verify(enum shoal_start *how);

/* Make the process of a place, which is expected as the member tag. It comes to sh_work_run. The hand is filled in. */
int sh_launch_worker(struct sh_crew *crew, uint32_t index, uint32_t tag, int ticket, struct sh_hand *ret_hand);

/* How the worker of a place has ended, which this process holds; frees its entry in the process table where that is
 * this process's, or its forkserver's, to do. As sh_process_reap. */
int sh_launch_reap(struct sh_crew *crew, uint32_t index, struct sh_process_end *ret_end);

/* In a child of main, or of the keeper: close what was theirs. */
void sh_launch_close_inherited(struct sh_crew *crew);

#endif
