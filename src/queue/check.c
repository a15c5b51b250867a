/* check.c - the invariants of a queue that nobody is using. */
#include "base/check.h"

#include "arena/block.h"
#include "queue/queue.h"

/* Follow the records from head: they end at tail, and count as many messages as the positions say. */
static int check_records(struct sh_queue_shared *queue, uint64_t *ret_bytes)
{
    sh_position head = sh_load_acquire(&queue->head), tail = sh_load_acquire(&queue->tail);
    uint64_t offset = sh_load_acquire(&queue->head_ring);
    struct sh_ring *ring = sh_ring_at(offset);
    uint32_t unit = sh_position_unit(head);
    uint32_t count = 0;

    SH_HOLDS(ring != NULL);
    if ((int32_t)(unit - ring->base) < 0)
        unit = ring->base;
    uint32_t entered = unit;
    *ret_bytes = 0;
    while (count < sh_queue_between(head, tail)) {
        struct sh_record *record = sh_ring_record(ring, unit);
        if (record->kind == SH_RECORD_PAD) {
            unit += sh_ring_left(ring, unit);
        } else if (record->kind == SH_RECORD_LEAD) {
            offset = *(uint64_t *)(void *)(record + 1);
            SH_HOLDS(sh_block_owner(offset) == SH_OWNER_PART);
            SH_HOLDS(offset != sh_offset(ring));
            unit += sh_record_units(sizeof offset);
            ring = sh_ring_at(offset);
            SH_HOLDS(ring != NULL && ring->base == unit);
            entered = unit;
        } else if (record->kind == SH_RECORD_BLOCK) {
            struct sh_record_block *body = (void *)(record + 1);
            SH_HOLDS(sh_block_owner(body->offset) == SH_OWNER_PART);
            SH_HOLDS(sh_block_capacity(body->offset) >= body->size);
            SH_HOLDS(sh_record_units(sizeof *body) <= sh_ring_left(ring, unit));
            unit += sh_record_units(sizeof *body);
            *ret_bytes += body->size;
            count++;
        } else {
            SH_HOLDS(record->kind == SH_RECORD_INLINE);
            SH_HOLDS(record->size <= SH_RING_INLINE);
            SH_HOLDS(sh_record_units(record->size) <= sh_ring_left(ring, unit));
            unit += sh_record_units(record->size);
            *ret_bytes += record->size;
            count++;
        }
        SH_HOLDS((int32_t)(sh_position_unit(tail) - unit) >= 0);
        SH_HOLDS(unit - entered <= ring->units);
    }
    SH_HOLDS(count == 0 || unit == sh_position_unit(tail));
    SH_HOLDS(offset == sh_load_acquire(&queue->tail_ring) || count == 0);
    return 0;
}

int sh_queue_check(struct sh_object *object)
{
    struct sh_queue_shared *queue = sh_container(object, struct sh_queue_shared, object);
    sh_position head = sh_load_acquire(&queue->head), tail = sh_load_acquire(&queue->tail);
    uint64_t bytes;

    SH_HOLDS(!(sh_load_relaxed(&queue->tail_word.value) & SH_WORD_ID));
    SH_HOLDS(!(sh_load_relaxed(&queue->head_word.value) & SH_WORD_ID));
    SH_HOLDS(queue->first.units == SH_QUEUE_FIRST_UNITS);
    SH_HOLDS(queue->max_items == 0 || sh_queue_between(head, tail) <= queue->max_items);
    if (!sh_word_is_orphan(&queue->tail_word)) {
        SH_HOLDS(sh_load_relaxed(&queue->put.block) == 0);
        SH_HOLDS(sh_load_relaxed(&queue->put.ring) == 0);
    }
    if (!sh_word_is_orphan(&queue->head_word))
        SH_HOLDS(sh_load_relaxed(&queue->get.block) == 0);
    if (sh_word_is_orphan(&queue->tail_word) || sh_word_is_orphan(&queue->head_word))
        return 0; /* the rest holds after the next one has taken it */
    int r = check_records(queue, &bytes);
    if (r < 0)
        return r;
    SH_HOLDS(bytes == sh_load_relaxed(&queue->bytes_put[sh_position_count(tail) & 1]) -
                          sh_load_relaxed(&queue->bytes_got[sh_position_count(head) & 1]));
    return 0;
}
