/* shared.h - the queue in shared memory, and its protocol.
 *
 * Two robust words: producers take `tail_word`, consumers `head_word`. A producer writes its record into free room and
 * commits it by one store of `tail`; a consumer takes what it needs and commits by one store of `head`. So every prefix
 * of either critical section is a consistent queue, and the death of a process in it costs at most its own message.
 *
 * Who waits for a message sleeps on tail_word, who waits for room on head_word: the ordinary unlock wakes them, and so
 * does the kernel when the one inside dies (os/word.h).
 *
 * Large messages lie in blocks. While a block is handed over, its owner is SH_OWNER_PART and the side's `intent` names
 * it; `before` is the tail, or head, from which the operation started. Whoever next takes the word after a death
 * compares: where tail (head) is still `before`, nothing was committed, else all was. Then:
 *     tail side   not committed: the block, or new ring, is freed.  committed: it is the queue's; tail_ring follows.
 *     head side   not committed: the block stays in the queue.      committed: the message died with its taker: freed.
 * A ring that consumers leave is named by `left` in the same way: it is free as soon as head_ring is another.
 *
 * Equations, when neither word is held:
 *     count(head) <= count(tail), modulo 2^32, their difference is the number of messages
 *     head_ring holds head's unit; from there records and leads end exactly at tail, in tail_ring
 *     every block between head and tail is SH_OWNER_PART; intents and left are 0 */
#ifndef SH_QUEUE_SHARED_H
#define SH_QUEUE_SHARED_H

#include "arena/object.h"
#include "os/word.h"
#include "queue/ring.h"

#include <shoal/queue.h>
#include <stdint.h>

#define SH_QUEUE_FIRST_UNITS SH_RING_LEAST /* the ring inside the queue's body */
#define SH_QUEUE_POLLERS 16

/* One side's notes of what it is handing over: written under its word. */
struct sh_queue_intent {
    _Atomic uint64_t before; /* tail or head when the operation began; valid while block or ring is not 0 */
    _Atomic uint64_t block;  /* the block that goes in, or out */
    _Atomic uint64_t ring;   /* tail side: the new ring. head side: the ring that is left */
};

/* What a joinable queue counts, behind the first ring. got is written under head_word, by the getter, in its slot;
 * done_by and done under `word`. Messages that slot n's process has taken and not said done: got[n] - done_by[n]. */
struct sh_queue_join {
    struct sh_word word;   /* who joins sleeps here */
    _Atomic uint32_t done; /* messages said done, modulo 2^32 */
    /* head side: while a getter counts itself: its slot + 1, and what got was and will be. */
    _Atomic uint32_t got_slot, got_before, got_after;
    /* under word: while done is counted: a slot + 1, its done_by before and after, done before. */
    _Atomic uint32_t done_slot, done_by_before, done_by_after, done_before;
    _Atomic uint32_t got[SH_MEMBERS_MAX];
    _Atomic uint32_t done_by[SH_MEMBERS_MAX];
};

/* A process that polls this queue by a descriptor: the write end of a pipe of its own. Taken by compare-and-swap of
 * owner from 0; signalled is 1 while there is a byte in the pipe, or about to be. */
struct sh_queue_poller {
    _Atomic uint32_t owner; /* tag */
    _Atomic int32_t fd;     /* in the owner's process; -1 until it is there */
    _Atomic uint32_t signalled;
};

/* How far closing has come. Two words have sleepers to wake, and a death is noticed at one of them only: so CLOSING is
 * set under head_word, and CLOSED under tail_word, by the closer, or by whoever finds CLOSING when the closer has died.
 * From CLOSING on nothing goes in; from CLOSED on getters are told the end. Who is woken wakes the next. */
enum sh_queue_closed { SH_QUEUE_OPEN, SH_QUEUE_CLOSING, SH_QUEUE_CLOSED };

struct sh_queue_shared {
    struct sh_object object;
    /* Never change. */
    uint32_t flags;
    uint32_t max_items; /* 0: no bound */
    uint64_t max_bytes; /* 0: no bound */

    _Atomic uint32_t closed;  /* enum sh_queue_closed; only goes up */
    _Atomic uint32_t pollers; /* how many slots of poller were ever used */

    /* Producers, under tail_word. seen_head is a copy of head, so that head's line need not be read for every put. */
    _Alignas(SH_CACHE_LINE) struct sh_word tail_word;
    _Atomic uint64_t tail_ring;
    _Atomic uint64_t seen_head;
    _Atomic uint64_t bytes_put[2]; /* bytes of all messages before tail, at index count(tail) & 1 */
    struct sh_queue_intent put;
    _Atomic int32_t producer_lag; /* see wait.c; not under the word */

    _Alignas(SH_CACHE_LINE) _Atomic uint64_t tail;
    _Atomic uint32_t producer_cpu; /* where the last producer ran */

    /* Consumers, under head_word. */
    _Alignas(SH_CACHE_LINE) struct sh_word head_word;
    _Atomic uint64_t head_ring;
    _Atomic uint64_t seen_tail;
    _Atomic uint64_t bytes_got[2];
    struct sh_queue_intent get;
    _Atomic int32_t consumer_lag; /* as above */

    _Alignas(SH_CACHE_LINE) _Atomic uint64_t head;
    _Atomic uint32_t consumer_cpu;

    _Alignas(SH_CACHE_LINE) struct sh_queue_poller poller[SH_QUEUE_POLLERS];

    _Alignas(SH_CACHE_LINE) struct sh_ring first;
    char first_data[SH_QUEUE_FIRST_UNITS * SH_RING_UNIT];

    _Alignas(SH_CACHE_LINE) struct sh_queue_join join[]; /* one, where the queue is joinable */
};

static inline int sh_queue_is_joinable(const struct sh_queue_shared *queue)
{
    return (queue->flags & SHOAL_QUEUE_JOINABLE) != 0;
}

/* Messages between two positions. */
static inline uint32_t sh_queue_between(sh_position head, sh_position tail)
{
    return sh_position_count(tail) - sh_position_count(head);
}

#endif
