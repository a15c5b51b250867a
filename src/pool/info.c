/* info.c - what a pool is doing, for people. */
#include "os/clock.h"
#include "pool/crew.h"
#include "pool/turn.h"

#include <errno.h>

/* Single tasks that have ended and that their workers have not yet retired. Under take. */
static uint64_t count_unretired(struct sh_pool_shared *shared)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < shared->workers; i++) {
        struct sh_claim *claim = sh_turn_claim(&shared->worker[i]);
        if (sh_load_relaxed(&claim->count) == 0)
            continue;
        struct sh_job *job = sh_pool_job(shared, claim->job);
        uint64_t life = sh_load_acquire(&job->life);
        count += !sh_job_is_open(life, claim->generation);
    }
    return count;
}

static int is_alive(struct sh_worker *place)
{
    uint32_t state = sh_load_acquire(&place->state);
    return state != SH_WORKER_NONE && !sh_member_is_dead(sh_load_relaxed(&place->tag));
}

static void count_jobs(shoal_pool *pool, struct shoal_pool_stats *stats)
{
    struct sh_pool_shared *shared = pool->shared;

    sh_word_lock(&shared->put);
    uint64_t linked = sh_load_relaxed(&shared->submitted), empty = pool->empty;
    sh_word_unlock(&shared->put);
    sh_turn_lock(shared);
    uint64_t begun = sh_load_relaxed(&shared->begun);
    uint64_t completed = sh_load_relaxed(&shared->completed) + count_unretired(shared);
    sh_word_unlock(&shared->take);
    stats->submitted = linked + empty;
    stats->completed = completed + empty;
    stats->pending = linked > begun ? linked - begun : 0;
}

int shoal_pool_stats(shoal_pool *pool, struct shoal_pool_stats *ret_stats)
{
    struct shoal_pool_stats stats = {0};
    int r = ret_stats ? sh_pool_enter(pool) : -EINVAL;

    if (r < 0)
        return r;
    sh_crew_reap(pool);
    count_jobs(pool, &stats);
    stats.workers = pool->shared->workers;
    stats.keeper_restarts = sh_load_relaxed(&pool->shared->keeper_restarts);
    for (uint32_t i = 0; i < pool->shared->workers; i++) {
        struct sh_worker *place = &pool->shared->worker[i];
        stats.alive += (unsigned)is_alive(place);
        stats.lost += (uint32_t)sh_load_relaxed(&place->lost);
        stats.deaths += (uint32_t)sh_load_relaxed(&place->deaths);
    }
    *ret_stats = stats;
    return 0;
}

/* Under take: what runs in a place. */
static void describe(struct sh_pool_shared *shared, struct sh_worker *place, struct shoal_worker_info *info)
{
    struct sh_claim *claim = sh_turn_claim(place);
    uint32_t begun = sh_load_relaxed(&claim->begun);
    struct sh_job *job = sh_pool_job(shared, claim->job);
    uint64_t life = sh_load_acquire(&job->life);

    *info = (struct shoal_worker_info){
        .pid = sh_load_relaxed(&place->pid),
        .items_done = sh_load_relaxed(&place->items_done),
    };
    if (!sh_load_relaxed(&claim->count) || !begun || !sh_job_is_open(life, claim->generation))
        return;
    info->busy = 1;
    info->task = job->number;
    info->item = claim->first + begun - 1;
    info->since = sh_max(sh_clock_now() - sh_load_relaxed(&place->since), INT64_C(0));
}

int shoal_pool_workers(shoal_pool *pool, struct shoal_worker_info *ret_workers, unsigned count)
{
    unsigned found = 0;
    int r = ret_workers || !count ? sh_pool_enter(pool) : -EINVAL;

    if (r < 0)
        return r;
    sh_turn_lock(pool->shared);
    for (uint32_t i = 0; i < pool->shared->workers; i++) {
        struct sh_worker *place = &pool->shared->worker[i];
        if (sh_load_relaxed(&place->state) == SH_WORKER_NONE)
            continue;
        if (found < count)
            describe(pool->shared, place, &ret_workers[found]);
        found++;
    }
    sh_word_unlock(&pool->shared->take);
    return (int)found;
}
