/* whole.c - whether the arena is as it was before somebody died in it. */
#include "whole.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "arena/reclaim.h"
#include "arena/slab.h"
#include "arena/span.h"
#include "base/check.h"

#include <errno.h>
#include <shoal/arena.h>

static struct shoal_arena_stats before;

void whole_compare(enum crash_verdict verdict, int line, const char *call, long is, long expected)
{
    if (is != expected)
        crash_fail(verdict, "line %d: %s is %ld, not %ld", line, call, is, expected);
}

void whole_return(int line, const char *call, long is, long expected)
{
    whole_compare(is == -ETIMEDOUT ? CRASH_STUCK : CRASH_TORN, line, call, is, expected);
}

void whole_open(void)
{
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = 4 << 20, .reserve = 256 << 20};

    CRASH_EQ(CRASH_BROKEN, shoal_arena_open(&options), 0);
}

void whole_note(void)
{
    CRASH_EQ(CRASH_BROKEN, shoal_arena_stats(&before), 0);
}

/* Bytes that are reserved, as the spans and slabs say. */
static uint64_t committed_by_walk(void)
{
    const struct sh_arena_shared *shared = sh_arena.shared;
    uint64_t bytes = sh_arena.map_offset + sh_load_relaxed(&shared->map_committed);
    struct sh_span span;

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        if (span.kind != SH_SPAN_SLAB)
            continue;
        struct sh_slab *slab = sh_at(sh_span_offset(span.head));
        bytes += slab->paged ? slab->first : span.length * SH_GRANULE;
        for (uint32_t i = 0; slab->paged && i < slab->blocks; i++)
            bytes += sh_slab_is_committed(slab, i) ? slab->block_size : 0;
    }
    return bytes;
}

void whole_check(void)
{
    struct shoal_arena_stats after;

    sh_reclaim_wait();
    sh_block_flush(); /* what the agent has freed and keeps counts as in use */
    if (sh_arena_check() < 0)
        crash_fail(CRASH_TORN, "%s", sh_check_note);
    CRASH_EQ(CRASH_BROKEN, shoal_arena_stats(&after), 0);
    if (after.in_use > before.in_use || after.blocks > before.blocks || after.objects > before.objects)
        crash_fail(CRASH_LEAKED, "%llu blocks of %llu bytes are in use, %llu of them objects; before: %llu, %llu, %llu",
                   (unsigned long long)after.blocks, (unsigned long long)after.in_use,
                   (unsigned long long)after.objects, (unsigned long long)before.blocks,
                   (unsigned long long)before.in_use, (unsigned long long)before.objects);
    if (after.committed != committed_by_walk())
        crash_fail(CRASH_LEAKED, "%lld bytes count as reserved, %lld are", (long long)after.committed,
                   (long long)committed_by_walk());
    if (after.processes != before.processes)
        crash_fail(CRASH_LEAKED, "%u processes are attached, %u were before", after.processes, before.processes);
}
