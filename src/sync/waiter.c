/* waiter.c - the records of a condition's waiters: a table that grows by chunks, each twice as large as the last. */
#include "arena/block.h"
#include "base/crash.h"
#include "sync/condition.h"

#include <errno.h>
#include <string.h>

static uint32_t chunk_records(uint32_t chunk)
{
    return SH_WAITERS_FIRST << chunk;
}

struct sh_waiter *sh_waiter_at(struct sh_condition_shared *shared, uint32_t index)
{
    if (index < SH_WAITERS_FIRST)
        return &shared->first[index];
    index -= SH_WAITERS_FIRST;
    for (uint32_t chunk = 0; chunk < SH_WAITER_CHUNKS; chunk++) {
        uint64_t offset = sh_load_acquire(&shared->chunks[chunk]); /* pairs with the swap in grow */
        if (!offset || sh_block_capacity(offset) < chunk_records(chunk) * sizeof(struct sh_waiter))
            return NULL;
        if (index < chunk_records(chunk))
            return (struct sh_waiter *)sh_at(offset) + index;
        index -= chunk_records(chunk);
    }
    return NULL;
}

/* Add a chunk of records, unless another has meanwhile. Where this process dies between swap and move, the block is
 * still its own and already in use: bury moves it before all that the dead one owns is freed. */
static int grow(struct sh_condition_shared *shared)
{
    uint32_t chunk = 0;

    while (chunk < SH_WAITER_CHUNKS && sh_load_acquire(&shared->chunks[chunk]))
        chunk++;
    if (chunk == SH_WAITER_CHUNKS)
        return -ENOMEM;
    uint64_t size = chunk_records(chunk) * sizeof(struct sh_waiter), offset, none = 0;
    int r = sh_block_alloc(size, &offset);
    if (r < 0)
        return r == -ENOSPC ? -ENOMEM : r;
    memset(sh_at(offset), 0, size);
    if (!sh_cas_ordered(&shared->chunks[chunk], &none, offset)) {
        sh_block_free(offset);
        return 0;
    }
    SH_CRASH_POINT(waiter_chunk_linked);
    sh_block_move(offset, sh_member_tag(), SH_OWNER_PART);
    return 0;
}

int sh_waiter_claim(struct sh_condition_shared *shared, struct sh_waiter **ret_waiter)
{
    uint64_t claimed = sh_waiter_state(SH_WAITER_CLAIMED, sh_member_tag());
    struct sh_waiter *waiter;

    for (uint32_t index = 0;;) {
        waiter = sh_waiter_at(shared, index);
        uint64_t free = 0;
        if (!waiter) {
            int r = grow(shared);
            if (r < 0)
                return r;
        } else if (sh_load_relaxed(&waiter->state) == 0 && sh_cas_ordered(&waiter->state, &free, claimed)) {
            *ret_waiter = waiter;
            return 0;
        } else {
            index++;
        }
    }
}

void sh_waiter_bury(struct sh_condition_shared *shared, uint32_t tag)
{
    for (uint32_t chunk = 0; chunk < SH_WAITER_CHUNKS; chunk++) {
        uint64_t offset = sh_load_acquire(&shared->chunks[chunk]);
        if (offset)
            sh_block_move(offset, tag, SH_OWNER_PART);
    }
}

/* A block is this process's before it leaves the table, and is freed after: in between it goes with this process, or is
 * found in the table by whoever destroys the condition in its stead. */
void sh_waiter_destroy(struct sh_condition_shared *shared)
{
    for (uint32_t chunk = 0; chunk < SH_WAITER_CHUNKS; chunk++) {
        uint64_t offset = sh_load_acquire(&shared->chunks[chunk]);
        if (!offset)
            continue;
        sh_block_give(offset, sh_member_tag());
        SH_CRASH_POINT(waiter_chunk_taken);
        sh_store_step(&shared->chunks[chunk], 0);
        sh_block_free(offset);
    }
}
