/* wait.h - waiting for a message or for room: spin where the other side runs on another CPU, else sleep. */
#ifndef SH_QUEUE_WAIT_H
#define SH_QUEUE_WAIT_H

#include "queue/shared.h"

/* One wait of one call. Begin with {.timeout = t}. */
struct sh_queue_wait {
    int64_t timeout;
    int64_t deadline; /* once started */
    int started;
    int slept; /* it was among the sleepers: what it leaves over it has to pass on */
};

/* Wait until there may be a message: 0 (try again), -EAGAIN, -ETIMEDOUT, -EINTR; -EPIPE where the queue is closed and
 * empty. */
int sh_queue_wait_message(struct sh_queue_shared *queue, struct sh_queue_wait *wait);

/* Wait until there may be room for a message of this size: as above; -EPIPE where the queue is closed. */
int sh_queue_wait_room(struct sh_queue_shared *queue, struct sh_queue_wait *wait, uint64_t size);

/* Whether no more may be put; finishes what a dead closer had begun. Nothing is held. */
int sh_queue_refuses(struct sh_queue_shared *queue);

/* After taking, or putting: where this call was among the sleepers, and there is more for others, or the end to be
 * told, wake one. */
void sh_queue_pass_message(struct sh_queue_shared *queue, const struct sh_queue_wait *wait);
void sh_queue_pass_room(struct sh_queue_shared *queue, const struct sh_queue_wait *wait);

#endif
