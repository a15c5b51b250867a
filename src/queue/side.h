/* side.h - the two sides of a queue: what happens under tail_word and under head_word. */
#ifndef SH_QUEUE_SIDE_H
#define SH_QUEUE_SIDE_H

#include "queue/shared.h"

/* A message on its way in: either bytes in parts, or a block. */
struct sh_queue_in {
    const struct shoal_bytes *parts;
    size_t count;
    uint64_t size;  /* of all parts, or of what is in the block */
    uint64_t block; /* 0: the parts are copied into the ring */
};

/* A message on its way out. */
struct sh_queue_out {
    void *buffer; /* where a message in the ring is copied to */
    uint64_t capacity;
    uint64_t size;
    uint64_t block; /* 0: it was copied; else its block, this process's now */
};

/* Take a side's word, mending what a dead holder left. */
void sh_queue_lock_tail(struct sh_queue_shared *queue);
void sh_queue_lock_head(struct sh_queue_shared *queue);

/* Under tail_word: append a message. -EAGAIN where there is no room by the queue's bounds; -ENOBUFS where the ring
 * has none and *spare_ring is 0: allocate a ring of sh_queue_next_units and come again with it (it is 0 once it is
 * used). */
int sh_queue_append(struct sh_queue_shared *queue, const struct sh_queue_in *in, uint64_t *spare_ring);
uint32_t sh_queue_next_units(struct sh_queue_shared *queue);

/* Under tail_word: append as many messages, each small enough to lie in the ring, as go in at once. Returns how
 * many. */
size_t sh_queue_append_many(struct sh_queue_shared *queue, const struct shoal_bytes *messages, size_t count);

/* Under head_word: take the oldest message. -EAGAIN where there is none; -EMSGSIZE where it is larger than capacity
 * and, when `blocks_too` is 0, lies in a block or not. With blocks_too a message in a block is taken whatever its
 * size. */
int sh_queue_take(struct sh_queue_shared *queue, struct sh_queue_out *out, int blocks_too);

/* How many messages there are to take, or places, by the queue's bounds, where there is room for one more of this
 * size; a bound in bytes alone counts as one. No lock needed. */
int sh_queue_has_message(struct sh_queue_shared *queue);
int sh_queue_has_room(struct sh_queue_shared *queue, uint64_t size);

/* Make a ring for producers to go on to: this process's block until it is part of a queue. */
int sh_queue_make_ring(uint32_t units, uint64_t *ret_offset);

/* Free all messages and rings but the first: nobody is attached any more. */
void sh_queue_drain(struct sh_queue_shared *queue);

/* Bytes of all messages before a position that has been read from tail, or head. */
uint64_t sh_queue_bytes(struct sh_queue_shared *queue);

#endif
