/* queue.h - messages of any size between the processes of a family, first in, first out, many to many. */
#ifndef SHOAL_QUEUE_H
#define SHOAL_QUEUE_H

#include <shoal/base.h>
#include <shoal/ref.h>
#include <sys/types.h>

typedef struct shoal_queue shoal_queue;

enum {
    SHOAL_QUEUE_JOINABLE = 1 << 0, /* counts unfinished messages: shoal_queue_task_done, shoal_queue_join */
};

struct shoal_queue_options {
    size_t size;        /* SHOAL_OPTIONS(shoal_queue) */
    unsigned flags;     /* SHOAL_QUEUE_... */
    unsigned reserved;  /* zero */
    uint64_t max_items; /* messages in it at most; 0: no bound */
    uint64_t max_bytes; /* bytes in them at most; 0: no bound. One message larger than that is -EMSGSIZE. */
};

/* A message in the arena: filled in place before shoal_queue_send, read in place after shoal_queue_receive. */
struct shoal_message {
    void *data;
    size_t size;
    uint64_t block; /* the library's own */
};

SHOAL_BEGIN

/* Make a queue; options may be NULL. */
SHOAL_API int shoal_queue_open(const struct shoal_queue_options *options, shoal_queue **ret_queue);
SHOAL_API int shoal_queue_attach(const shoal_ref *ref, shoal_queue **ret_queue);
SHOAL_API int shoal_queue_ref(const shoal_queue *queue, shoal_ref *ret_ref);

/* End of input, for all processes: put is -EPIPE from now on, get takes what is left and is -EPIPE then; all waiters
 * wake. Closing twice is fine. */
SHOAL_API int shoal_queue_close(shoal_queue *queue);

/* Drop this process's handle; NULL is fine. The queue and what is left in it go with its last handle. */
SHOAL_API void shoal_queue_free(shoal_queue *queue);

/* Append a copy of size bytes (0 is a message too). When it returns 0 the message can be got. Waits for room in a
 * bounded queue. -EAGAIN, -ETIMEDOUT, -EPIPE; -EMSGSIZE where it can never fit; -ENOMEM where the arena is full. */
SHOAL_API int shoal_queue_put(shoal_queue *queue, const void *data, size_t size, int64_t timeout);

/* The same for one message gathered from count parts (at most 1024). */
SHOAL_API int shoal_queue_put_parts(shoal_queue *queue, const struct shoal_bytes *parts, size_t count, int64_t timeout);

/* Append many messages, in order, others' messages never between those that went in at one time. Returns how many
 * went in: all of them unless the time ran out or the queue was closed with some in; an error only where none did. */
SHOAL_API ssize_t shoal_queue_put_many(shoal_queue *queue, const struct shoal_bytes *messages, size_t count,
                                       int64_t timeout);

/* Take the oldest message into buffer and return its size. -EMSGSIZE where it is larger than capacity: it stays in
 * the queue (shoal_queue_receive takes messages of any size). -EAGAIN, -ETIMEDOUT; -EPIPE where the queue is closed
 * and empty. */
SHOAL_API ssize_t shoal_queue_get(shoal_queue *queue, void *buffer, size_t capacity, int64_t timeout);

/* Wait for one message, then take up to count that are there and fit into buffer together. ret_messages[i] says
 * where in buffer the i-th lies (each starts at a multiple of 8). Returns how many; errors as shoal_queue_get. */
SHOAL_API ssize_t shoal_queue_get_many(shoal_queue *queue, void *buffer, size_t capacity,
                                       struct shoal_bytes *ret_messages, size_t count, int64_t timeout);

/* Borrow size bytes of the arena to fill in place. Then send or release it. -ENOMEM. */
SHOAL_API int shoal_queue_loan(shoal_queue *queue, size_t size, struct shoal_message *ret_message);

/* Append a borrowed message without copying. On success it is no longer the caller's, and *message is zeroed; on
 * failure (as shoal_queue_put) it still is. */
SHOAL_API int shoal_queue_send(shoal_queue *queue, struct shoal_message *message, int64_t timeout);

/* Take the oldest message, of any size, without copying. It is the caller's, to read and write, until released. */
SHOAL_API int shoal_queue_receive(shoal_queue *queue, struct shoal_message *ret_message, int64_t timeout);

/* Give a message's memory back, and zero *message. NULL and zeroed ones are fine. Any process of the family may
 * release or send a message that it owns; one that dies gives back all it owned. */
SHOAL_API void shoal_message_release(struct shoal_message *message);

/* How many messages, and how many bytes in them: exact. Either may be NULL. */
SHOAL_API int shoal_queue_size(const shoal_queue *queue, uint64_t *ret_items, uint64_t *ret_bytes);
/* 1 where it is closed, else 0. */
SHOAL_API int shoal_queue_is_closed(const shoal_queue *queue);

/* Joinable queues: say that a message taken earlier is dealt with; -EINVAL where all of them are. What a dead
 * process had taken and not said done counts as done. -ENOTSUP on a queue that is not joinable. */
SHOAL_API int shoal_queue_task_done(shoal_queue *queue);
/* Wait until every message put so far is taken and done. */
SHOAL_API int shoal_queue_join(shoal_queue *queue, int64_t timeout);
/* Messages put and not yet done. */
SHOAL_API int shoal_queue_unfinished(const shoal_queue *queue, uint64_t *ret_unfinished);

/* A descriptor for poll, select and epoll: readable while the queue has messages or is closed. It belongs to the
 * queue: never read, write or close it. Each process asks for its own. At most 16 processes at a time: -ENOSPC. */
SHOAL_API int shoal_queue_fd(shoal_queue *queue);

SHOAL_END

#endif
