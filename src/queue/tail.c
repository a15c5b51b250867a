/* tail.c - the producers' side: what happens under tail_word. */
#include "arena/block.h"
#include "base/crash.h"
#include "base/parts.h"
#include "os/cpu.h"
#include "queue/side.h"

#include <errno.h>

/* Finish or undo what a dead producer was handing over. May be repeated: an intent goes before what it names is freed,
 * and what it names is this process's by then. */
static void recover_tail(struct sh_queue_shared *queue)
{
    uint64_t block = sh_load_relaxed(&queue->put.block);
    uint64_t ring = sh_load_relaxed(&queue->put.ring);
    int committed = sh_load_relaxed(&queue->tail) != sh_load_relaxed(&queue->put.before);
    uint64_t garbage[2] = {0};

    if (ring && committed)
        sh_store_step(&queue->tail_ring, ring);
    else if (ring && sh_block_owner(ring) == SH_OWNER_PART)
        garbage[0] = ring;
    if (block && !committed && sh_block_owner(block) == SH_OWNER_PART)
        garbage[1] = block;
    for (int i = 0; i < 2; i++)
        if (garbage[i])
            sh_block_give(garbage[i], sh_member_tag());
    sh_store_step(&queue->put.ring, 0);
    sh_store_step(&queue->put.block, 0);
    for (int i = 0; i < 2; i++)
        if (garbage[i])
            sh_block_share(garbage[i]);
}

void sh_queue_lock_tail(struct sh_queue_shared *queue)
{
    if (sh_unlikely(sh_word_lock(&queue->tail_word) == SHOAL_OWNER_DIED))
        recover_tail(queue);
}

/* Units of the ring that records between head and tail take. */
static uint32_t used_units(const struct sh_ring *ring, sh_position head, sh_position tail)
{
    uint32_t from_head = sh_position_unit(tail) - sh_position_unit(head);
    uint32_t from_base = sh_position_unit(tail) - ring->base;

    return sh_min(from_head, from_base); /* the consumers may be in an earlier ring still */
}

/* Units that a record of so many takes at tail, with the padding before it where it would wrap. */
static uint32_t needed_units(const struct sh_ring *ring, sh_position tail, uint32_t units)
{
    uint32_t left = sh_ring_left(ring, sh_position_unit(tail));
    return units <= left ? units : left + units;
}

static int ring_fits(const struct sh_ring *ring, sh_position head, sh_position tail, uint32_t units)
{
    return used_units(ring, head, tail) + needed_units(ring, tail, units) + SH_RING_LEAD <= ring->units;
}

static int bounds_allow(const struct sh_queue_shared *queue, sh_position head, sh_position tail, uint64_t bytes,
                        uint64_t size)
{
    if (queue->max_items && sh_queue_between(head, tail) >= queue->max_items)
        return 0;
    return !queue->max_bytes || (bytes <= queue->max_bytes && size <= queue->max_bytes - bytes);
}

/* Bytes in the queue, where tail is known to stand still. */
static uint64_t bytes_in(struct sh_queue_shared *queue, sh_position tail)
{
    sh_position head, again = sh_load_acquire(&queue->head);
    uint64_t got;

    do {
        head = again;
        got = sh_load_acquire(&queue->bytes_got[sh_position_count(head) & 1]);
        again = sh_load_acquire(&queue->head);
    } while (head != again);
    return sh_load_relaxed(&queue->bytes_put[sh_position_count(tail) & 1]) - got;
}

/* Whether a message may follow what is written up to `at`, of which `ahead` bytes are not committed; looks at head
 * itself where its copy says no. */
static int may_append(struct sh_queue_shared *queue, sh_position at, uint64_t ahead, uint64_t size)
{
    if (!queue->max_items && !queue->max_bytes)
        return 1;
    uint64_t bytes = queue->max_bytes ? bytes_in(queue, sh_load_relaxed(&queue->tail)) + ahead : 0;
    if (bounds_allow(queue, sh_load_relaxed(&queue->seen_head), at, bytes, size))
        return 1;
    sh_store_relaxed(&queue->seen_head, sh_load_acquire(&queue->head)); /* pairs with the commit in head.c */
    return bounds_allow(queue, sh_load_relaxed(&queue->seen_head), at, bytes, size);
}

static int may_write(struct sh_queue_shared *queue, const struct sh_ring *ring, sh_position tail, uint32_t units)
{
    if (sh_likely(ring_fits(ring, sh_load_relaxed(&queue->seen_head), tail, units)))
        return 1;
    sh_store_relaxed(&queue->seen_head, sh_load_acquire(&queue->head));
    return ring_fits(ring, sh_load_relaxed(&queue->seen_head), tail, units);
}

/* Write a record's begin at a unit, behind padding where it would wrap. Returns where its bytes go; *unit is moved
 * behind it. */
static void *begin_record(struct sh_ring *ring, uint32_t *unit, uint32_t kind, uint32_t size, uint32_t units)
{
    uint32_t left = sh_ring_left(ring, *unit);

    if (units > left) {
        *sh_ring_record(ring, *unit) = (struct sh_record){.kind = SH_RECORD_PAD};
        *unit += left;
    }
    struct sh_record *record = sh_ring_record(ring, *unit);
    *record = (struct sh_record){.size = size, .kind = kind};
    *unit += units;
    return record + 1;
}

static void write_record(struct sh_ring *ring, uint32_t *unit, const struct sh_queue_in *in, uint32_t units)
{
    if (in->block) {
        struct sh_record_block *body = begin_record(ring, unit, SH_RECORD_BLOCK, sizeof *body, units);
        *body = (struct sh_record_block){.offset = in->block, .size = in->size};
    } else {
        sh_parts_copy(begin_record(ring, unit, SH_RECORD_INLINE, (uint32_t)in->size, units), in->parts, in->count);
    }
}

/* One store makes count messages of so many bytes the queue's. */
static void commit(struct sh_queue_shared *queue, sh_position tail, uint32_t unit, uint32_t count, uint64_t bytes)
{
    uint32_t before = sh_position_count(tail);
    uint64_t total = sh_load_relaxed(&queue->bytes_put[before & 1]) + bytes;

    sh_store_relaxed(&queue->bytes_put[(before + count) & 1], total); /* count is odd: not the one in force */
    SH_CRASH_POINT(queue_put_filled);
    sh_store_relaxed(&queue->producer_cpu, sh_cpu_current());
    sh_store_release(&queue->tail, sh_position_make(before + count, unit)); /* pairs with the loads of tail */
    SH_CRASH_POINT(queue_put_committed);
}

/* Note that a block becomes the queue's with the next commit. */
static void intend(struct sh_queue_shared *queue, _Atomic uint64_t *intent, sh_position tail, uint64_t offset)
{
    sh_store_step(&queue->put.before, tail);
    sh_store_step(intent, offset);
    SH_CRASH_POINT(queue_put_intended);
    sh_block_give(offset, SH_OWNER_PART);
    SH_CRASH_POINT(queue_put_given);
}

/* Lead on to a new ring, whose first unit follows the lead. */
static struct sh_ring *lead_on(struct sh_queue_shared *queue, struct sh_ring *ring, uint32_t *unit, sh_position tail,
                               uint64_t offset)
{
    struct sh_ring *next = sh_ring_at(offset);

    intend(queue, &queue->put.ring, tail, offset);
    uint64_t *body = begin_record(ring, unit, SH_RECORD_LEAD, sizeof *body, sh_record_units(sizeof *body));
    *body = offset;
    next->base = *unit;
    return next;
}

uint32_t sh_queue_next_units(struct sh_queue_shared *queue)
{
    const struct sh_ring *ring = sh_ring_at(sh_load_relaxed(&queue->tail_ring));
    uint32_t units = ring ? ring->units * 4 : SH_RING_LEAST;

    return sh_min(units, SH_RING_MOST);
}

int sh_queue_append(struct sh_queue_shared *queue, const struct sh_queue_in *in, uint64_t *spare_ring)
{
    sh_position tail = sh_load_relaxed(&queue->tail);
    struct sh_ring *ring = sh_ring_at(sh_load_relaxed(&queue->tail_ring));
    uint32_t unit = sh_position_unit(tail);
    uint32_t units = sh_record_units(in->block ? sizeof(struct sh_record_block) : in->size);
    uint64_t new_ring = 0;

    if (sh_unlikely(!ring))
        return -EILSEQ;
    if (!may_append(queue, tail, 0, in->size))
        return -EAGAIN;
    if (!may_write(queue, ring, tail, units)) {
        if (!*spare_ring)
            return -ENOBUFS;
        new_ring = *spare_ring;
        ring = lead_on(queue, ring, &unit, tail, new_ring);
    }
    if (in->block)
        intend(queue, &queue->put.block, tail, in->block);
    write_record(ring, &unit, in, units);
    commit(queue, tail, unit, 1, in->size);
    if (new_ring) {
        sh_store_step(&queue->tail_ring, new_ring);
        SH_CRASH_POINT(queue_put_moved);
        sh_store_step(&queue->put.ring, 0);
        *spare_ring = 0;
    }
    if (in->block)
        sh_store_step(&queue->put.block, 0);
    return 0;
}

size_t sh_queue_append_many(struct sh_queue_shared *queue, const struct shoal_bytes *messages, size_t count)
{
    struct sh_ring *ring = sh_ring_at(sh_load_relaxed(&queue->tail_ring));
    size_t done = 0;

    while (ring) {
        sh_position tail = sh_load_relaxed(&queue->tail), at;
        uint32_t unit = sh_position_unit(tail), odd_unit = unit;
        uint64_t bytes = 0, odd_bytes = 0;
        uint32_t n = 0, odd = 0;
        for (; done + n < count && messages[done + n].size <= SH_RING_INLINE; n++) {
            struct sh_queue_in in = {.parts = &messages[done + n], .count = 1, .size = messages[done + n].size};
            uint32_t units = sh_record_units(in.size);
            at = sh_position_make(sh_position_count(tail) + n, unit);
            if (!may_append(queue, at, bytes, in.size) || !may_write(queue, ring, at, units))
                break;
            write_record(ring, &unit, &in, units);
            bytes += in.size;
            if (n % 2 == 0) { /* with this one an odd number: what one commit can take */
                odd = n + 1;
                odd_unit = unit;
                odd_bytes = bytes;
            }
        }
        if (odd == 0)
            return done;
        commit(queue, tail, odd_unit, odd, odd_bytes);
        done += odd;
    }
    return done;
}

int sh_queue_has_room(struct sh_queue_shared *queue, uint64_t size)
{
    sh_position tail = sh_load_acquire(&queue->tail);
    uint64_t bytes = queue->max_bytes ? sh_queue_bytes(queue) : 0;
    sh_position head = sh_load_acquire(&queue->head);

    if (!bounds_allow(queue, head, tail, bytes, size))
        return 0;
    return queue->max_items ? (int)(queue->max_items - sh_queue_between(head, tail)) : 1;
}

uint64_t sh_queue_bytes(struct sh_queue_shared *queue)
{
    sh_position tail, again = sh_load_acquire(&queue->tail);
    uint64_t bytes;

    do {
        tail = again;
        bytes = bytes_in(queue, tail);
        again = sh_load_acquire(&queue->tail);
    } while (tail != again);
    return bytes;
}

int sh_queue_make_ring(uint32_t units, uint64_t *ret_offset)
{
    uint64_t offset;
    int r = sh_block_alloc(sh_ring_bytes(units), &offset);

    if (r < 0)
        return r;
    struct sh_ring *ring = sh_at(offset);
    ring->units = units;
    *ret_offset = offset;
    return 0;
}
