/* self.h - what this process is to the layer: how it may start others, and the mutex of the layer's private state. */
#ifndef SH_PROCESS_SELF_H
#define SH_PROCESS_SELF_H

#include "base/atomic.h"

#include <shoal/process.h>
#include <stdint.h>

#define SH_NAME_SIZE 64 /* of processes and functions, with the 0 at the end */

/* Private memory, copied by fork. is_daemon is written before the process's function runs, start by
 * shoal_process_set_start. */
struct sh_self {
    _Atomic uint32_t start; /* enum shoal_start; what SHOAL_START_DEFAULT means, where 0 means fork */
    uint32_t is_daemon;
};

extern struct sh_self sh_self;

/* Held around all use of the layer's lists and of the connection to the forkserver, and across fork. Within it no call
 * into the arena or os/life.h, which are locked across fork too, and no fork. */
void sh_self_lock(void);
void sh_self_unlock(void);

#endif
