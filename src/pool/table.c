/* table.c - the slots that jobs lie in: segments, each twice as long as the one before. */
#include "pool/table.h"

#include "arena/block.h"
#include "base/crash.h"

#include <errno.h>
#include <stdlib.h>

#define STRIDE 37u /* has no divisor in common with the 63 slots that it steps through */

/* --- lists of futures, under put --- */

static void push_free(shoal_pool *pool, struct shoal_future *future)
{
    future->next = pool->free;
    pool->free = future->index;
}

void sh_table_append(shoal_pool *pool, struct sh_future_list *list, struct shoal_future *future)
{
    future->next = 0;
    if (list->last)
        sh_pool_future(pool, list->last)->next = future->index;
    else
        list->first = future->index;
    list->last = future->index;
}

/* A slot is free when the list of jobs has passed it: the head's is still read. */
static int is_passed(struct sh_pool_shared *shared, const struct sh_job *job)
{
    return job->number < sh_load_acquire(&shared->exhausted); /* pairs with advance in turn.c */
}

static void sift_limbo(shoal_pool *pool)
{
    uint32_t index = pool->limbo.first;

    pool->limbo = (struct sh_future_list){0};
    while (index) {
        struct shoal_future *future = sh_pool_future(pool, index);
        index = future->next;
        if (is_passed(pool->shared, future->job))
            push_free(pool, future);
        else
            sh_table_append(pool, &pool->limbo, future);
    }
}

/* --- taking and growing --- */

static uint32_t capacity(struct sh_pool_shared *shared)
{
    unsigned segment = 0;

    while (segment < SH_POOL_SEGMENTS && sh_load_relaxed(&shared->segments[segment]))
        segment++;
    return SH_POOL_SEGMENT_FIRST * ((1u << segment) - 1);
}

static void begin_slot(shoal_pool *pool, uint32_t index)
{
    struct sh_job *job = sh_pool_job(pool->shared, index);

    job->argument = job->results = 0;
    sh_store_relaxed(&job->life, SH_JOB_FREE);
    sh_store_relaxed(&job->word.value, 0);
    sh_store_relaxed(&job->word.sleepers, 0);
    sh_store_relaxed(&job->item.head, SH_ITEM_OPEN);
    *sh_pool_future(pool, index) = (struct shoal_future){.pool = pool, .job = job, .index = index};
}

/* The slots of the first segment, but for the one that stands before all jobs, are used in an order that processors do
 * not see a pattern in: else a worker's would fetch the line of the task after this one while main is writing it. */
void sh_table_begin(shoal_pool *pool)
{
    for (uint32_t i = 1; i < SH_POOL_SEGMENT_FIRST; i++) {
        uint32_t index = 1 + i * STRIDE % (SH_POOL_SEGMENT_FIRST - 1);
        begin_slot(pool, index);
        push_free(pool, sh_pool_future(pool, index));
    }
    sh_store_release(&pool->shared->top, SH_POOL_SEGMENT_FIRST);
}

/* A slot that was never used. */
static int take_fresh(shoal_pool *pool, uint32_t *ret_index)
{
    struct sh_pool_shared *shared = pool->shared;
    uint32_t top = sh_load_relaxed(&shared->top);

    if (top >= capacity(shared))
        return -ENOBUFS;
    begin_slot(pool, top);
    sh_store_release(&shared->top, top + 1); /* pairs with the load in sh_pool_find_job */
    *ret_index = top;
    return 0;
}

int sh_table_take(shoal_pool *pool, uint32_t *ret_index)
{
    if (!pool->free && pool->limbo.first)
        sift_limbo(pool);
    if (pool->free) {
        *ret_index = pool->free;
        pool->free = sh_pool_future(pool, pool->free)->next;
    } else {
        int r = take_fresh(pool, ret_index);
        if (r < 0)
            return r;
    }
    struct shoal_future *future = sh_pool_future(pool, *ret_index);
    future->generation = sh_job_generation(sh_load_relaxed(&future->job->life)) + 1;
    sh_store_release(&future->job->life, (uint64_t)future->generation << 32 | SH_JOB_PRIVATE);
    return 0;
}

uint32_t sh_table_next(shoal_pool *pool)
{
    return pool->free;
}

int sh_table_grow(shoal_pool *pool)
{
    struct sh_pool_shared *shared = pool->shared;
    unsigned segment = 0;
    uint64_t offset;

    while (segment < SH_POOL_SEGMENTS && sh_load_acquire(&shared->segments[segment]))
        segment++;
    if (segment == SH_POOL_SEGMENTS)
        return -EAGAIN;
    uint64_t slots = sh_pool_segment_size(segment);
    struct shoal_future *futures = calloc(slots, sizeof *futures);
    if (!futures)
        return -ENOMEM;
    int r = sh_block_alloc(slots * sizeof(struct sh_job), &offset);
    if (r < 0) {
        free(futures);
        return r;
    }
    sh_word_lock(&shared->put);
    int is_ours = !sh_load_relaxed(&shared->segments[segment]); /* another thread may have been faster */
    if (is_ours) {
        pool->futures[segment] = futures;
        sh_store_step(&shared->segments[segment], offset);
        SH_CRASH_POINT(pool_segment_named);
        sh_block_give(offset, SH_OWNER_PART);
    }
    sh_word_unlock(&shared->put);
    if (!is_ours) {
        sh_block_free(offset);
        free(futures);
    }
    return 0;
}

/* --- giving back ---
 *
 * A block changes hands in three steps: it becomes this process's, the job forgets it, it is freed. Where main dies
 * between the first two, its burial lets the job forget it (sh_table_bury). */

static void free_part(uint64_t *field)
{
    uint64_t offset = *field;

    if (!offset)
        return;
    sh_block_give(offset, sh_member_tag());
    SH_CRASH_POINT(pool_part_taken);
    sh_compiler_barrier();
    *(volatile uint64_t *)field = 0;
    sh_compiler_barrier();
    SH_CRASH_POINT(pool_part_forgotten);
    sh_block_free(offset);
}

static void free_record(struct sh_item *item)
{
    enum sh_item_state state = sh_item_state(sh_load_relaxed(&item->head));
    uint64_t offset = sh_load_relaxed(&item->data);

    if (state == SH_ITEM_LARGE || state == SH_ITEM_TOLD) {
        sh_block_give(offset, sh_member_tag());
        SH_CRASH_POINT(pool_record_taken);
        sh_store_step(&item->head, SH_ITEM_OPEN);
        sh_block_free(offset);
    }
}

int sh_table_is_whole(const struct sh_job *job)
{
    if (!job->results)
        return 1;
    return job->stride >= sizeof(struct sh_item) && job->stride % _Alignof(struct sh_item) == 0 &&
           job->count <= sh_block_capacity(job->results) / job->stride;
}

/* life: the job's, before it became PRIVATE. */
static void free_parts(struct sh_job *job, uint64_t life)
{
    int has_blocks = sh_job_is_single(job) || (job->results && life & (SH_JOB_LARGE | SH_JOB_PRIVATE));

    if (has_blocks && sh_table_is_whole(job))
        for (uint64_t i = 0; i < job->count; i++)
            free_record(sh_pool_item(job, i));
    free_part(&job->results);
    free_part(&job->argument);
}

int sh_table_has_parts(const struct sh_job *job)
{
    enum sh_item_state state = sh_item_state(sh_load_relaxed(&job->item.head));
    return job->argument || job->results || state == SH_ITEM_LARGE || state == SH_ITEM_TOLD;
}

void sh_table_free_parts(struct shoal_future *future)
{
    struct sh_job *job = future->job;

    uint64_t life = sh_load_relaxed(&job->life);
    sh_store_step(&job->life, (uint64_t)future->generation << 32 | SH_JOB_PRIVATE);
    free_parts(job, life);
    sh_store_release(&job->life, (uint64_t)future->generation << 32 | SH_JOB_FREE);
}

/* Where the list has got to is not looked at here: workers write that line. */
void sh_table_give_back(shoal_pool *pool, struct shoal_future *future)
{
    future->is_listed = 0;
    sh_table_append(pool, &pool->limbo, future);
}

/* --- when main, or everybody, has gone --- */

void sh_table_destroy(struct sh_pool_shared *shared)
{
    uint32_t top = sh_load_acquire(&shared->top);

    for (uint32_t i = 1; i < top; i++) {
        struct sh_job *job = sh_pool_find_job(shared, i);
        if (!job)
            break;
        uint64_t life = sh_load_acquire(&job->life);
        if (life & SH_JOB_FREE)
            continue;
        free_parts(job, life);
        sh_store_step(&job->life, SH_JOB_FREE);
    }
    for (unsigned segment = SH_POOL_SEGMENTS - 1; segment > 0; segment--) {
        uint64_t offset = sh_load_relaxed(&shared->segments[segment]);
        if (!offset)
            continue;
        sh_block_give(offset, sh_member_tag());
        sh_store_relaxed(&shared->top,
                         sh_min(sh_load_relaxed(&shared->top), SH_POOL_SEGMENT_FIRST * ((1u << segment) - 1)));
        sh_store_step(&shared->segments[segment], 0);
        sh_block_free(offset);
    }
}

/* Forget what the dead main has not handed over, or had taken back: its own blocks are reclaimed after this. */
static void forget_parts(struct sh_job *job, uint32_t tag)
{
    if (job->results && sh_block_owner(job->results) == tag)
        job->results = 0;
    if (job->argument && sh_block_owner(job->argument) == tag)
        job->argument = 0;
    if ((!job->results && !sh_job_is_single(job)) || !sh_table_is_whole(job))
        return;
    for (uint64_t i = 0; i < job->count; i++) {
        struct sh_item *item = sh_pool_item(job, i);
        enum sh_item_state state = sh_item_state(sh_load_relaxed(&item->head));
        if ((state == SH_ITEM_LARGE || state == SH_ITEM_TOLD) && sh_block_owner(sh_load_relaxed(&item->data)) == tag)
            sh_store_relaxed(&item->head, SH_ITEM_OPEN);
    }
}

void sh_table_bury(struct sh_pool_shared *shared, uint32_t tag)
{
    for (unsigned segment = 1; segment < SH_POOL_SEGMENTS; segment++) {
        uint64_t offset = sh_load_relaxed(&shared->segments[segment]);
        if (offset && sh_block_owner(offset) == tag)
            sh_store_relaxed(&shared->segments[segment], 0);
    }
    uint32_t top = sh_load_acquire(&shared->top);
    for (uint32_t i = 1; i < top; i++) {
        struct sh_job *job = sh_pool_find_job(shared, i);
        if (!job)
            break;
        if (!(sh_load_acquire(&job->life) & SH_JOB_FREE)) /* PRIVATE, or results were taken of it */
            forget_parts(job, tag);
    }
}
