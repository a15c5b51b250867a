/* queue.h - this process's handle of a queue, and what other layers need of queues beyond the public calls. */
#ifndef SH_QUEUE_QUEUE_H
#define SH_QUEUE_QUEUE_H

#include "arena/handle.h"
#include "queue/shared.h"

struct shoal_queue {
    struct sh_handle handle;
    _Atomic int fd; /* for shoal_queue_fd: -1 until asked for */
    uint32_t fd_epoch;
};

extern const struct sh_object_kind sh_queue_kind;

static inline struct sh_queue_shared *sh_queue_body(const shoal_queue *queue)
{
    return sh_container(queue->handle.object, struct sh_queue_shared, object);
}

/* Wait until there is a message to take: 0; errors as shoal_queue_get. */
int sh_queue_await_message(struct sh_queue_shared *queue, int64_t timeout);

/* The invariants of a queue that nobody is using. */
int sh_queue_check(struct sh_object *object);

#endif
