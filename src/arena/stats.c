/* stats.c - measuring the arena, and checking that its parts fit together. */
#include "arena/arena.h"
#include "arena/block.h"
#include "arena/slab.h"
#include "base/check.h"

#include <errno.h>

static int count_block(uint64_t offset, uint32_t owner, uint64_t size, void *context)
{
    struct shoal_arena_stats *stats = context;

    (void)offset;
    stats->in_use += size;
    stats->blocks++;
    stats->objects += owner == SH_OWNER_OBJECT;
    return 0;
}

int shoal_arena_stats(struct shoal_arena_stats *ret_stats)
{
    if (!ret_stats)
        return -EINVAL;
    int r = sh_arena_enter();
    if (r < 0)
        return r;
    struct sh_arena_shared *shared = sh_arena.shared;
    struct shoal_arena_stats stats = {
        .family = shared->family,
        .reserve = shared->reserve,
        .limit = shared->limit,
        .committed = sh_load_relaxed(&shared->committed),
        .processes = sh_member_count(),
        .processes_max = SH_MEMBERS_MAX,
        .reclaimed = sh_load_relaxed(&shared->reclaimed),
        .deaths = sh_load_relaxed(&shared->deaths),
    };
    sh_block_walk(count_block, &stats);
    *ret_stats = stats;
    return 0;
}

static int check_slab(const struct sh_span *span)
{
    struct sh_slab *slab = sh_slab_of(span);

    SH_HOLDS(slab != NULL);
    SH_HOLDS(slab->blocks > 0);
    SH_HOLDS(slab->class <= SH_CLASS_DIRECT);
    SH_HOLDS(slab->class == SH_CLASS_DIRECT || slab->block_size == sh_block_class_size(slab->class));
    for (uint32_t i = 0; i < slab->blocks; i++) {
        uint32_t owner = sh_load_acquire(&slab->owners[i]);
        SH_HOLDS(owner == SH_OWNER_FREE || owner == SH_OWNER_OBJECT || owner == SH_OWNER_PART ||
                 sh_member_slot(owner) < SH_MEMBERS_MAX);
        SH_HOLDS(owner == SH_OWNER_FREE || sh_slab_is_committed(slab, i));
    }
    return 0;
}

int sh_block_check(void)
{
    uint64_t head = 0;
    struct sh_span span;

    for (; sh_span_at(head, &span); head += span.length) {
        if (span.kind != SH_SPAN_SLAB)
            continue;
        int r = check_slab(&span);
        if (r < 0)
            return r;
    }
    SH_HOLDS(head == sh_load_relaxed(&sh_arena.shared->top));
    SH_HOLDS(sh_word_is_orphan(&sh_arena.shared->word) ||
             sh_slab_all_charged() == sh_load_relaxed(&sh_arena.shared->committed));
    for (uint32_t class = 0; class < SH_CLASS_COUNT; class ++) {
        uint64_t newest = sh_load_acquire(&sh_arena.shared->slabs[class]);
        SH_HOLDS(newest == 0 || sh_slab_at(newest, class) != NULL);
        for (const struct sh_slab *slab = sh_slab_at(newest, class); slab; slab = sh_slab_older(slab))
            SH_HOLDS(slab->next == 0 || sh_slab_older(slab) != NULL);
    }
    return 0;
}
