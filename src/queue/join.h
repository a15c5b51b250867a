/* join.h - joinable queues: messages taken and not yet said done. */
#ifndef SH_QUEUE_JOIN_H
#define SH_QUEUE_JOIN_H

#include "queue/shared.h"

/* A member died: what it had taken and not said done counts as done. Its heads' recovery has been made. */
void sh_queue_bury_getter(struct sh_queue_shared *queue, uint32_t tag);

#endif
