/* post.c - writing and reading posts. */
#include "pool/post.h"

#include <string.h>

#define WORDS (SH_POST_SIZE / sizeof(uint64_t))

static struct sh_post *post_of(struct sh_pool_shared *pool, uint64_t number)
{
    return &pool->post[number % SH_POOL_POSTS];
}

void sh_post_write(struct sh_pool_shared *pool, const struct sh_job *job, uint32_t index, uint32_t generation)
{
    struct sh_post *post = post_of(pool, job->number);
    int is_small = sh_job_is_single(job) && !job->argument && job->size <= SH_POST_SIZE;
    uint64_t data[WORDS];

    memcpy(data, job->inline_argument, sizeof data);
    sh_store_relaxed(&post->number, 0);
    sh_fence_release(); /* pairs with the fence in sh_post_read */
    sh_store_relaxed(&post->function, job->function);
    sh_store_relaxed(&post->slot, (uint64_t)generation << 32 | index);
    sh_store_relaxed(&post->size, (uint64_t)job->submitter_cpu << 32 | (is_small ? job->size : SH_POST_NONE));
    for (unsigned i = 0; i < WORDS; i++)
        sh_store_relaxed(&post->data[i], data[i]);
    sh_store_release(&post->number, job->number); /* pairs with the load in sh_post_read */
}

void sh_post_clear(struct sh_pool_shared *pool, uint64_t number)
{
    sh_cas_ordered(&post_of(pool, number)->number, &number, 0); /* fails where another job's stands there by now */
}

int sh_post_read(struct sh_pool_shared *pool, uint64_t number, uint32_t cancellations, struct sh_posted *ret_posted)
{
    const struct sh_post *post = post_of(pool, number);

    if (sh_load_acquire(&post->number) != number)
        return 0;
    uint64_t slot = sh_load_relaxed(&post->slot), size = sh_load_relaxed(&post->size);
    struct sh_posted posted = {
        .number = number,
        .function = sh_load_relaxed(&post->function),
        .index = (uint32_t)slot,
        .generation = (uint32_t)(slot >> 32),
        .size = (uint32_t)size,
        .submitter_cpu = (uint32_t)(size >> 32),
        .cancellations = cancellations,
        .is_followed = 1,
    };
    for (unsigned i = 0; i < WORDS; i++)
        posted.data[i] = sh_load_relaxed(&post->data[i]);
    sh_fence_acquire(); /* what was read of a later job is found out by the number */
    if (sh_load_relaxed(&post->number) != number || posted.size == SH_POST_NONE)
        posted.number = 0;
    else
        sh_prefetch_write(&sh_pool_job(pool, posted.index)->life);
    *ret_posted = posted;
    return 1;
}

int sh_post_is_missing(struct sh_pool_shared *pool, uint64_t number)
{
    uint64_t there = sh_load_relaxed(&post_of(pool, number)->number);

    return there && there < number; /* 0: it is being changed, or there was none yet */
}
