/* head.c - the consumers' side: what happens under head_word. */
#include "arena/block.h"
#include "base/crash.h"
#include "os/cpu.h"
#include "queue/side.h"

#include <errno.h>
#include <string.h>

static uint64_t first_ring(struct sh_queue_shared *queue)
{
    return sh_offset(&queue->first);
}

/* The ring that consumers left is nobody's: free it. The one inside the queue stays. */
static void free_left_ring(struct sh_queue_shared *queue)
{
    uint64_t ring = sh_load_relaxed(&queue->get.ring);

    if (!ring)
        return;
    int is_free = ring != sh_load_relaxed(&queue->head_ring) && ring != first_ring(queue) &&
                  sh_block_owner(ring) == SH_OWNER_PART;
    if (is_free)
        sh_block_give(ring, sh_member_tag());
    sh_store_step(&queue->get.ring, 0);
    if (is_free)
        sh_block_share(ring);
}

/* Count this getter's message, or take back what a dead getter had counted of one that stayed. */
static void recover_count(struct sh_queue_shared *queue, int committed)
{
    if (!sh_queue_is_joinable(queue))
        return;
    struct sh_queue_join *join = queue->join;
    uint32_t slot = sh_load_relaxed(&join->got_slot);
    if (slot && slot <= SH_MEMBERS_MAX) {
        _Atomic uint32_t *value = committed ? &join->got_after : &join->got_before;
        sh_store_step(&join->got[slot - 1], sh_load_relaxed(value));
    }
    sh_store_step(&join->got_slot, 0);
}

/* Finish or undo what a dead consumer was taking. May be repeated. */
static void recover_head(struct sh_queue_shared *queue)
{
    uint64_t block = sh_load_relaxed(&queue->get.block);
    int committed = sh_load_relaxed(&queue->head) != sh_load_relaxed(&queue->get.before);

    recover_count(queue, committed);
    int is_lost = block && committed && sh_block_owner(block) == SH_OWNER_PART;
    if (is_lost)
        sh_block_give(block, sh_member_tag());
    sh_store_step(&queue->get.block, 0);
    if (is_lost)
        sh_block_share(block);
    free_left_ring(queue);
}

void sh_queue_lock_head(struct sh_queue_shared *queue)
{
    if (sh_unlikely(sh_word_lock(&queue->head_word) == SHOAL_OWNER_DIED))
        recover_head(queue);
}

/* Whether there is a message behind head; looks at tail itself where its copy says no. */
static int is_filled(struct sh_queue_shared *queue, sh_position head)
{
    if (sh_queue_between(head, sh_load_relaxed(&queue->seen_tail)))
        return 1;
    sh_store_relaxed(&queue->seen_tail, sh_load_acquire(&queue->tail)); /* pairs with the commit in tail.c */
    return sh_queue_between(head, sh_load_relaxed(&queue->seen_tail)) != 0;
}

/* Go on to the ring that a lead names, whose records follow the lead: from here on the other is not reachable. */
static struct sh_ring *follow(struct sh_queue_shared *queue, struct sh_record *lead, uint32_t *unit)
{
    uint64_t next;

    memcpy(&next, lead + 1, sizeof next);
    struct sh_ring *ring = sh_ring_at(next);
    *unit += sh_record_units(sizeof next);
    if (!ring || ring->base != *unit)
        return NULL;
    sh_store_step(&queue->get.ring, sh_load_relaxed(&queue->head_ring));
    SH_CRASH_POINT(queue_get_leaving);
    sh_store_step(&queue->head_ring, next);
    SH_CRASH_POINT(queue_get_left);
    return ring;
}

/* The oldest message's record, behind padding and leads; *unit is moved to it. There is one: NULL where there is not,
 * because the queue is damaged. (Each step goes on towards seen_tail, so there is an end to them.) */
static inline struct sh_record *find_record(struct sh_queue_shared *queue, uint32_t *unit, struct sh_ring **ret_ring)
{
    struct sh_ring *ring = sh_ring_at(sh_load_relaxed(&queue->head_ring));
    uint32_t tail = sh_position_unit(sh_load_relaxed(&queue->seen_tail));

    while (ring) {
        if ((int32_t)(*unit - ring->base) < 0)
            *unit = ring->base; /* the last consumer had followed the lead, and not yet taken a message */
        struct sh_record *record = sh_ring_record(ring, *unit);
        if (record->kind <= SH_RECORD_BLOCK) {
            *ret_ring = ring;
            return record;
        }
        if (record->kind == SH_RECORD_PAD)
            *unit += sh_ring_left(ring, *unit);
        else
            ring = record->kind == SH_RECORD_LEAD ? follow(queue, record, unit) : NULL;
        if ((int32_t)(tail - *unit) <= 0)
            return NULL;
    }
    return NULL;
}

_Static_assert(SH_RECORD_INLINE == 0 && SH_RECORD_BLOCK == 1, "the kinds of records that are messages");

/* A message that was found: where it is, and how many units it takes. */
struct found {
    const struct sh_record *record;
    uint64_t size;
    struct sh_record_block body; /* of one in a block */
    struct sh_block block;
    uint32_t units;
};

/* Whether it lies in a block of its own. */
static int is_block(const struct found *found)
{
    return found->record->kind == SH_RECORD_BLOCK;
}

/* Look at a message in a block: the block is the queue's, and as large as the message. */
static int look_at_block(struct found *found)
{
    memcpy(&found->body, found->record + 1, sizeof found->body);
    found->size = found->body.size;
    found->units = sh_record_units(sizeof found->body);
    int is_sound = sh_block_find(found->body.offset, &found->block) == 0 &&
                   sh_load_relaxed(sh_block_owner_word(&found->block)) == SH_OWNER_PART &&
                   found->block.slab->block_size >= found->size;
    return is_sound ? 0 : -EILSEQ;
}

static inline int find_message(struct sh_queue_shared *queue, uint32_t *unit, struct found *ret_found)
{
    uint32_t tail = sh_position_unit(sh_load_relaxed(&queue->seen_tail));
    struct sh_ring *ring;
    const struct sh_record *record = find_record(queue, unit, &ring);

    if (sh_unlikely(!record))
        return -EILSEQ;
    ret_found->record = record;
    ret_found->size = record->size;
    ret_found->units = sh_record_units(record->size);
    ret_found->body.offset = 0;
    if (is_block(ret_found) && look_at_block(ret_found) < 0)
        return -EILSEQ;
    return sh_likely((ret_found->units <= sh_ring_left(ring, *unit)) & (ret_found->units <= tail - *unit)) ? 0
                                                                                                           : -EILSEQ;
}

/* One store takes the message: head goes behind it. */
static void commit(struct sh_queue_shared *queue, sh_position head, uint32_t unit, uint32_t count, uint64_t bytes)
{
    uint32_t before = sh_position_count(head);
    uint64_t total = sh_load_relaxed(&queue->bytes_got[before & 1]) + bytes;

    sh_store_relaxed(&queue->bytes_got[(before + count) & 1], total); /* count is odd: not the one in force */
    SH_CRASH_POINT(queue_get_copied);
    sh_store_relaxed(&queue->consumer_cpu, sh_cpu_current());
    sh_store_release(&queue->head, sh_position_make(before + count, unit)); /* pairs with the loads of head */
    SH_CRASH_POINT(queue_get_committed);
}

/* In a joinable queue: note that this process takes one message with the next commit. */
static void count_getter(struct sh_queue_shared *queue)
{
    struct sh_queue_join *join = queue->join;
    uint32_t slot = sh_member_slot(sh_member_tag());
    uint32_t got = sh_load_relaxed(&join->got[slot]);

    sh_store_step(&join->got_before, got);
    sh_store_step(&join->got_after, got + 1);
    sh_store_step(&join->got_slot, slot + 1);
    sh_store_step(&join->got[slot], got + 1);
}

int sh_queue_take(struct sh_queue_shared *queue, struct sh_queue_out *out, int blocks_too)
{
    sh_position head = sh_load_relaxed(&queue->head);
    uint32_t unit = sh_position_unit(head);
    struct found found;

    if (!is_filled(queue, head))
        return -EAGAIN;
    int r = find_message(queue, &unit, &found);
    if (sh_unlikely(r < 0))
        return r;
    if (found.size > out->capacity && !(is_block(&found) && blocks_too))
        return -EMSGSIZE;

    sh_store_step(&queue->get.before, head);
    if (is_block(&found)) {
        sh_store_step(&queue->get.block, found.body.offset);
        SH_CRASH_POINT(queue_get_intended);
    } else if (found.size) {
        memcpy(out->buffer, found.record + 1, found.size);
    }
    if (sh_queue_is_joinable(queue))
        count_getter(queue);
    commit(queue, head, unit + found.units, 1, found.size);
    if (is_block(&found)) {
        sh_store_release(sh_block_owner_word(&found.block), sh_member_tag());
        sh_compiler_barrier();
        SH_CRASH_POINT(queue_get_given);
        sh_store_step(&queue->get.block, 0);
    }
    if (sh_queue_is_joinable(queue))
        sh_store_step(&queue->join->got_slot, 0);
    if (sh_unlikely(sh_load_relaxed(&queue->get.ring) != 0))
        free_left_ring(queue);
    out->size = found.size;
    out->block = found.body.offset;
    return 0;
}

int sh_queue_has_message(struct sh_queue_shared *queue)
{
    return (int)sh_queue_between(sh_load_acquire(&queue->head), sh_load_acquire(&queue->tail));
}

void sh_queue_drain(struct sh_queue_shared *queue)
{
    char buffer[SH_RING_INLINE];
    struct sh_queue_out out = {.buffer = buffer, .capacity = sizeof buffer};

    sh_queue_lock_tail(queue);
    sh_word_unlock(&queue->tail_word);
    uint64_t ring = 0;
    for (uint32_t messages = 0; messages <= SH_RING_MOST; messages++) { /* of one ring: more means that it is damaged */
        sh_queue_lock_head(queue);
        int r = sh_queue_take(queue, &out, 1);
        if (sh_load_relaxed(&queue->head_ring) != ring)
            messages = 0;
        ring = sh_load_relaxed(&queue->head_ring);
        sh_word_unlock(&queue->head_word);
        if (r < 0)
            break;
        if (out.block)
            sh_block_free(out.block);
    }
    sh_queue_lock_head(queue);
    sh_store_step(&queue->get.ring, sh_load_relaxed(&queue->head_ring));
    SH_CRASH_POINT(queue_drained);
    sh_store_step(&queue->head_ring, first_ring(queue));
    free_left_ring(queue);
    sh_word_unlock(&queue->head_word);
}
