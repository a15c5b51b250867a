/* bury.c - standing in for workers that died, and for a keeper that died while it did. */
#include "pool/bury.h"

#include "arena/block.h"
#include "base/crash.h"
#include "pool/table.h"

/* The item that the dead process was running, unless it has ended. */
static void lose_item(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_claim *claim, uint64_t number,
                      struct sh_item_loss loss)
{
    struct sh_job *job = sh_pool_job(pool, claim->job);
    uint32_t turn = sh_load_relaxed(&place->turn);
    uint64_t data;

    if (sh_job_is_open(sh_load_acquire(&job->life), claim->generation)) {
        struct sh_item *item = sh_pool_item(job, number);
        if (sh_item_state(sh_load_acquire(&item->head)) == SH_ITEM_OPEN) {
            uint64_t lost = sh_load_relaxed(&place->lost);
            if (lost >> 32 != turn)
                sh_store_step(&place->lost, (uint64_t)turn << 32 | (uint32_t)(lost + 1));
            __builtin_memcpy(&data, &loss, sizeof data);
            sh_store_step(&item->data, data);
            uint64_t pid = (uint32_t)sh_load_relaxed(&place->pid);
            sh_store_release(&item->head, pid << SH_ITEM_STATE_BITS | SH_ITEM_LOST);
            SH_CRASH_POINT(pool_item_lost);
        }
    }
    if (claim->flags & SH_CLAIM_SINGLE)
        claim->flags |= sh_turn_end_single(job, claim->generation) ? SH_CLAIM_LISTED : 0;
}

void sh_bury_keep_block(struct sh_pool_shared *pool, struct sh_worker *place)
{
    struct sh_claim *claim = sh_turn_claim(place);
    uint64_t block = sh_load_relaxed(&place->block);
    uint32_t begun = sh_load_relaxed(&claim->begun);

    struct sh_job *job = sh_pool_find_job(pool, claim->job);
    uint64_t number = claim->first + begun - 1;
    if (block && begun && sh_load_relaxed(&claim->count) && job && number < job->count && sh_table_is_whole(job)) {
        struct sh_item *item = sh_pool_item(job, number);
        enum sh_item_state state = sh_item_state(sh_load_acquire(&item->head));
        if ((state == SH_ITEM_LARGE || state == SH_ITEM_TOLD) && sh_load_relaxed(&item->data) == block)
            sh_block_move(block, sh_load_relaxed(&place->tag), SH_OWNER_PART);
    }
    sh_store_step(&place->block, 0);
}

/* Whether a claim that a dead process left is one: it may have gone wrong before it died. */
static int is_sound(struct sh_pool_shared *pool, const struct sh_claim *claim)
{
    struct sh_job *job = sh_pool_find_job(pool, claim->job);
    uint32_t count = sh_load_relaxed(&claim->count);

    if (!job || sh_load_relaxed(&claim->begun) > count)
        return 0;
    return !sh_job_is_open(sh_load_acquire(&job->life), claim->generation) ||
           (claim->first <= job->count && count <= job->count - claim->first);
}

/* Retire what had begun of the dead one's claim; the rest is an orphan. Returns whether there is one. */
static int settle(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_item_loss loss)
{
    struct sh_claim *old = sh_turn_claim(place);
    struct sh_claim *rest = &place->claims[(sh_load_relaxed(&place->turn) + 1) & 1];
    uint32_t begun = sh_load_relaxed(&old->begun), count = sh_load_relaxed(&old->count);

    if (begun) {
        lose_item(pool, place, old, old->first + begun - 1, loss);
        sh_bury_keep_block(pool, place);
        sh_turn_clear(rest);
        rest->job = old->job;
        rest->generation = old->generation;
        rest->first = old->first + begun;
        rest->from = (uint32_t)(place - pool->worker) + 1;
        rest->flags = old->flags & SH_CLAIM_SINGLE;
        sh_store_relaxed(&rest->count, count - begun);
        place->plan = 0;
        sh_turn_plan(pool, place, old, begun);
        sh_turn_commit(pool, place);
    }
    if (begun < count)
        sh_store_relaxed(&pool->orphans, 1);
    return begun < count;
}

/* A dead worker may have retired a job without waking anybody. */
static void ring_claims(struct sh_pool_shared *pool, struct sh_worker *place)
{
    for (int i = 0; i < 2; i++) {
        struct sh_job *job = sh_pool_find_job(pool, place->claims[i].job);
        if (job)
            sh_turn_ring(&job->word);
    }
}

void sh_bury_place(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_item_loss loss)
{
    int is_orphan = 0;

    sh_turn_lock(pool);
    struct sh_claim *claim = sh_turn_claim(place);
    place->plan = 0;
    int is_ending = sh_load_relaxed(&pool->phase) >= SH_POOL_TERMINATED; /* then what was running is cancelled */
    if (!is_ending && sh_load_relaxed(&claim->count) && is_sound(pool, claim))
        is_orphan = settle(pool, place, loss);
    sh_bury_keep_block(pool, place);
    sh_store_step(&place->state, SH_WORKER_NONE);
    sh_word_unlock(&pool->take);

    ring_claims(pool, place);
    sh_turn_ring(&pool->event);
    if (is_orphan)
        sh_turn_wake_one(pool);
}

void sh_bury_alarm(struct sh_pool_shared *pool)
{
    for (uint32_t i = 0; i < pool->workers; i++)
        ring_claims(pool, &pool->worker[i]);
    sh_turn_ring(&pool->event);
    if (sh_pool_has_work(pool))
        sh_turn_wake_one(pool);
}
