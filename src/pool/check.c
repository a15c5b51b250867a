/* check.c - the equations of a pool that nobody is using. */
#include "base/check.h"

#include "arena/block.h"
#include "pool/pool.h"
#include "pool/table.h"
#include "pool/turn.h"

int sh_pool_fits(const struct sh_pool_shared *shared)
{
    return shared->workers <= SH_POOL_WORKERS_MAX &&
           sh_block_capacity(sh_offset(shared)) >= sizeof *shared + shared->workers * sizeof shared->worker[0];
}

/* A block that is named lies where blocks do, and belongs to an object. */
static int is_part(uint64_t offset)
{
    return offset == 0 || sh_block_owner(offset) == SH_OWNER_PART;
}

static int check_records(struct sh_job *job)
{
    SH_HOLDS(sh_table_is_whole(job));
    for (uint64_t i = 0; i < job->count; i++) {
        struct sh_item *item = sh_pool_item(job, i);
        enum sh_item_state state = sh_item_state(sh_load_relaxed(&item->head));
        SH_HOLDS(state < SH_ITEM_STATE_COUNT);
        if (state == SH_ITEM_LARGE || state == SH_ITEM_TOLD)
            SH_HOLDS(is_part(sh_load_relaxed(&item->data)));
        if (i >= sh_load_relaxed(&job->limit))
            SH_HOLDS(state == SH_ITEM_OPEN);
    }
    return 0;
}

static int check_job(struct sh_job *job)
{
    uint64_t life = sh_load_relaxed(&job->life);
    uint64_t done = sh_load_relaxed(&job->done), next = sh_load_relaxed(&job->next_item);
    uint64_t limit = sh_load_relaxed(&job->limit);

    if (life & SH_JOB_FREE) {
        SH_HOLDS(job->argument == 0 && job->results == 0);
        return 0;
    }
    if (life & SH_JOB_PRIVATE)
        return 0;
    SH_HOLDS(is_part(job->argument) && is_part(job->results));
    SH_HOLDS(done <= next && next <= limit && limit <= job->count);
    SH_HOLDS(job->results || job->count <= 1);
    if (sh_job_is_single(job))
        SH_HOLDS(limit == 0 || !(life & SH_JOB_DONE) ||
                 sh_item_state(sh_load_relaxed(&job->item.head)) != SH_ITEM_OPEN);
    else
        SH_HOLDS(((life & SH_JOB_DONE) != 0) == (done == limit));
    return check_records(job);
}

static int check_place(struct sh_pool_shared *pool, struct sh_worker *place)
{
    struct sh_claim *claim = sh_turn_claim(place);
    uint32_t count = sh_load_relaxed(&claim->count);

    SH_HOLDS(sh_load_relaxed(&place->state) < SH_WORKER_STATE_COUNT);
    SH_HOLDS(sh_load_relaxed(&place->turn) == sh_load_relaxed(&place->applied));
    if (count) {
        SH_HOLDS(sh_load_relaxed(&claim->begun) <= count);
        SH_HOLDS(sh_pool_find_job(pool, claim->job) != NULL);
    }
    return 0;
}

static int check_list(struct sh_pool_shared *pool)
{
    uint64_t submitted = sh_load_relaxed(&pool->submitted);
    uint64_t begun = sh_load_relaxed(&pool->begun), exhausted = sh_load_relaxed(&pool->exhausted);
    uint32_t index = sh_load_relaxed(&pool->head);
    uint64_t number = exhausted;

    SH_HOLDS(exhausted <= begun && begun <= submitted);
    SH_HOLDS(index < sh_load_relaxed(&pool->top));
    struct sh_job *job = sh_pool_look(pool, index);
    SH_HOLDS(job != NULL && job->number == exhausted);
    while ((index = sh_load_relaxed(&job->next)) != 0) {
        job = sh_pool_find_job(pool, index);
        SH_HOLDS(job != NULL);
        SH_HOLDS(job->number == ++number);
        SH_HOLDS(!(sh_load_relaxed(&job->life) & (SH_JOB_FREE | SH_JOB_PRIVATE)) ||
                 sh_load_relaxed(&job->limit) < job->count);
    }
    SH_HOLDS(number == submitted);
    return 0;
}

/* Items that were taken of a map and not retired are in the claims on it, and in no more. */
static int check_taken(struct sh_pool_shared *pool, struct sh_job *job, uint32_t index)
{
    uint64_t claimed = 0;
    uint64_t life = sh_load_relaxed(&job->life);

    if (sh_job_is_single(job) || (life & (SH_JOB_FREE | SH_JOB_PRIVATE)))
        return 0;
    for (uint32_t i = 0; i < pool->workers; i++) {
        struct sh_claim *claim = sh_turn_claim(&pool->worker[i]);
        if (claim->job == index && claim->generation == sh_job_generation(life))
            claimed += sh_load_relaxed(&claim->count);
    }
    SH_HOLDS(sh_load_relaxed(&job->next_item) - sh_load_relaxed(&job->done) == claimed);
    return 0;
}

int sh_pool_check(struct sh_object *object)
{
    struct sh_pool_shared *pool = sh_container(object, struct sh_pool_shared, object);
    uint32_t top = sh_load_relaxed(&pool->top);
    SH_HOLDS(sh_pool_fits(pool));
    int r = check_list(pool);

    for (uint32_t i = 0; i < pool->workers && r == 0; i++)
        r = check_place(pool, &pool->worker[i]);
    for (uint32_t i = 1; i < top && r == 0; i++) {
        struct sh_job *job = sh_pool_find_job(pool, i);
        SH_HOLDS(job != NULL);
        r = check_job(job);
        if (r == 0)
            r = check_taken(pool, job, i);
    }
    return r;
}
