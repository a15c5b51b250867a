/* poll.h - queues that somebody polls by a descriptor. */
#ifndef SH_QUEUE_POLL_H
#define SH_QUEUE_POLL_H

#include "queue/queue.h"

int sh_queue_ring_pollers(struct sh_queue_shared *queue);
void sh_queue_silence_pollers(struct sh_queue_shared *queue);

/* Under tail_word, before messages are committed, or the end: pollers' descriptors become readable. An error, as
 * sh_bell_ring, where one could not be reached that is there still. */
static inline int sh_queue_signal(struct sh_queue_shared *queue)
{
    return sh_unlikely(sh_load_relaxed(&queue->pollers) != 0) ? sh_queue_ring_pollers(queue) : 0;
}

/* After a get, also one that found nothing: where the queue is empty they are no longer. Nothing is held. */
static inline void sh_queue_unsignal(struct sh_queue_shared *queue)
{
    if (sh_unlikely(sh_load_relaxed(&queue->pollers) != 0))
        sh_queue_silence_pollers(queue);
}

/* This handle polls no more. */
void sh_queue_stop_polling(shoal_queue *queue);

/* A member died: it polls no more. */
void sh_queue_bury_poller(struct sh_queue_shared *queue, uint32_t tag);

#endif
