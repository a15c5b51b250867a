/* span.c - finding, splitting and merging spans. */
#include "arena/span.h"

#include "base/crash.h"

#include <errno.h>

#define KIND_SHIFT 56
#define NUMBER_MASK ((UINT64_C(1) << KIND_SHIFT) - 1)
#define MAP_STEP 65536u /* bytes of the map reserved at a time */

static _Atomic uint64_t *entry(uint64_t granule)
{
    return (_Atomic uint64_t *)sh_at(sh_arena.map_offset) + granule;
}

static uint64_t pack(enum sh_span_kind kind, uint64_t number)
{
    return (uint64_t)kind << KIND_SHIFT | number;
}

/* Have the map's pages reserved up to and with this granule's entry. */
static int commit_map(uint64_t granule)
{
    struct sh_arena_shared *shared = sh_arena.shared;
    uint64_t have = sh_load_relaxed(&shared->map_committed);
    uint64_t need = sh_round_up((granule + 1) * sizeof(uint64_t), (uint64_t)MAP_STEP);
    uint64_t all = sh_arena.heap_offset - sh_arena.map_offset;

    need = sh_min(need, all);
    if (need <= have)
        return 0;
    int r = sh_arena_charge(need - have);
    if (r < 0)
        return r;
    r = sh_arena_reserve(sh_arena.map_offset + have, need - have);
    if (r < 0)
        sh_arena_refund(need - have);
    else
        sh_store_step(&shared->map_committed, need);
    return r;
}

int sh_span_at(uint64_t head, struct sh_span *ret_span)
{
    if (head >= sh_load_acquire(&sh_arena.shared->top) || head >= sh_arena.granules)
        return 0;
    uint64_t value = sh_load_acquire(entry(head));
    enum sh_span_kind kind = (enum sh_span_kind)(value >> KIND_SHIFT);
    uint64_t length = value & NUMBER_MASK;
    if ((kind != SH_SPAN_FREE && kind != SH_SPAN_SLAB) || length == 0 || length > sh_arena.granules - head)
        return 0; /* not a head: the arena's contents are damaged */
    *ret_span = (struct sh_span){.kind = kind, .head = head, .length = length};
    return 1;
}

/* Join the free spans that follow this one to it. */
static void merge_following(struct sh_span *span)
{
    struct sh_span next;

    while (sh_span_at(span->head + span->length, &next) && next.kind == SH_SPAN_FREE) {
        span->length += next.length;
        sh_store_release(entry(span->head), pack(SH_SPAN_FREE, span->length));
        SH_CRASH_POINT(span_merged);
    }
}

static int grow(uint64_t length, uint64_t *ret_head)
{
    struct sh_arena_shared *shared = sh_arena.shared;
    uint64_t head = sh_load_relaxed(&shared->top);

    if (head > sh_arena.granules || length > sh_arena.granules - head)
        return -ENOMEM;
    int r = commit_map(head + length - 1);
    if (r < 0)
        return r;
    sh_store_release(entry(head), pack(SH_SPAN_FREE, length));
    SH_CRASH_POINT(span_grown);
    sh_store_release(&shared->top, head + length);
    *ret_head = head;
    return 0;
}

int sh_span_find(uint64_t length, uint64_t *ret_head)
{
    struct sh_span span;
    struct sh_span best = {.length = UINT64_MAX};

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        if (span.kind != SH_SPAN_FREE)
            continue;
        merge_following(&span);
        if (span.length >= length && span.length < best.length)
            best = span;
        if (span.length == length)
            break;
    }
    if (best.length == UINT64_MAX)
        return grow(length, ret_head);
    if (best.length > length) {
        sh_store_release(entry(best.head + length), pack(SH_SPAN_FREE, best.length - length));
        SH_CRASH_POINT(span_split);
        sh_store_release(entry(best.head), pack(SH_SPAN_FREE, length));
    }
    *ret_head = best.head;
    return 0;
}

void sh_span_publish(uint64_t head, uint64_t length)
{
    for (uint64_t i = 1; i < length; i++)
        sh_store_relaxed(entry(head + i), pack(SH_SPAN_INSIDE, head));
    SH_CRASH_POINT(span_inside);
    sh_store_release(entry(head), pack(SH_SPAN_SLAB, length)); /* pairs with the loads in lookup and at */
}

void sh_span_release(uint64_t head)
{
    uint64_t length = sh_load_relaxed(entry(head)) & NUMBER_MASK;

    sh_store_release(entry(head), pack(SH_SPAN_FREE, length));
}

int sh_span_lookup(uint64_t offset, struct sh_span *ret_span)
{
    if (!sh_arena_contains(offset, 1))
        return -EINVAL;
    uint64_t granule = (offset - sh_arena.heap_offset) / SH_GRANULE;
    uint64_t top = sh_load_acquire(&sh_arena.shared->top);
    if (granule >= top)
        return -EINVAL;
    uint64_t value = sh_load_acquire(entry(granule));
    if (value >> KIND_SHIFT == SH_SPAN_INSIDE) {
        uint64_t head = value & NUMBER_MASK;
        if (head >= granule)
            return -EINVAL;
        if (!sh_span_at(head, ret_span) || granule - head >= ret_span->length)
            return -EINVAL;
        return 0;
    }
    return sh_span_at(granule, ret_span) ? 0 : -EINVAL;
}
