/* future.c - futures: waiting for a job or one of its items, and what came of it. */
#include "arena/block.h"
#include "base/crash.h"
#include "pool/reason.h"
#include "pool/table.h"
#include "pool/turn.h"
#include "pool/wait.h"

#include <errno.h>
#include <string.h>

/* What a wait waits for: one item, or all. */
struct goal {
    struct sh_job *job;
    uint64_t item;
};

static int is_job_done(shoal_pool *pool, const void *context)
{
    const struct goal *goal = context;
    uint64_t life = sh_load_acquire(&goal->job->life); /* pairs with finish in turn.c */

    if (sh_likely(life & SH_JOB_DONE)) {
        sh_store_relaxed(&pool->finisher_cpu, (uint32_t)(life >> 16) & SH_JOB_BITS);
        return 1;
    }
    return sh_load_acquire(&pool->shared->ended) != 0;
}

static int is_item_done(shoal_pool *pool, const void *context)
{
    const struct goal *goal = context;
    struct sh_job *job = goal->job;

    if (sh_job_is_single(job))
        return is_job_done(pool, context);
    return sh_item_state(sh_load_acquire(&sh_pool_item(job, goal->item)->head)) != SH_ITEM_OPEN ||
           goal->item >= sh_load_acquire(&job->limit) || is_job_done(pool, context);
}

static int enter(const shoal_future *future)
{
    return future ? sh_pool_enter(future->pool) : -EINVAL;
}

static int enter_item(const shoal_future *future, uint64_t item)
{
    int r = enter(future);

    return r == 0 && item >= future->job->count ? -EINVAL : r;
}

static int wait_job(shoal_future *future, int64_t timeout)
{
    struct goal goal = {.job = future->job};
    struct sh_wait wait = {.timeout = timeout};

    return sh_wait_until(future->pool, &goal.job->word, is_job_done, &goal, &wait);
}

static int wait_item(shoal_future *future, uint64_t item, int64_t timeout)
{
    struct goal goal = {.job = future->job, .item = item};
    struct sh_wait wait = {.timeout = timeout};

    if (!sh_job_is_single(goal.job) && !is_item_done(future->pool, &goal))
        sh_or_ordered(&goal.job->life, SH_JOB_WATCHED); /* pairs with the load in run.c */
    return sh_wait_until(future->pool, &goal.job->word, is_item_done, &goal, &wait);
}

int shoal_future_wait(shoal_future *future, int64_t timeout)
{
    int r = enter(future);
    return r < 0 ? r : wait_job(future, timeout);
}

int shoal_future_wait_item(shoal_future *future, uint64_t item, int64_t timeout)
{
    int r = enter_item(future, item);
    return r < 0 ? r : wait_item(future, item, timeout);
}

int shoal_future_ready(const shoal_future *future)
{
    int r = enter(future);
    return r < 0 ? r : is_job_done(future->pool, &(struct goal){.job = future->job});
}

/* The error of an item that has ended; 0 where it has a result. */
static int error_of(const shoal_future *future, uint64_t number)
{
    struct sh_item *item = sh_pool_item(future->job, number);
    uint64_t head = sh_load_acquire(&item->head); /* pairs with the store in run.c */

    if (sh_item_state(head) != SH_ITEM_OPEN)
        return sh_reason_code(item, head);
    return number >= sh_load_relaxed(&future->job->limit) ? -ECANCELED : sh_reason_of_pool(future->pool->shared);
}

int shoal_future_successful(const shoal_future *future)
{
    int r = shoal_future_ready(future);

    if (r <= 0)
        return r < 0 ? r : -EAGAIN;
    for (uint64_t i = 0; i < future->job->count; i++)
        if (error_of(future, i) < 0)
            return 0;
    return 1;
}

static uint64_t count_ended(const shoal_future *future)
{
    uint64_t ended = 0;

    for (uint64_t i = 0; i < future->job->count; i++)
        ended += sh_item_state(sh_load_relaxed(&sh_pool_item(future->job, i)->head)) != SH_ITEM_OPEN;
    return ended + future->job->count - sh_load_relaxed(&future->job->limit);
}

int shoal_future_progress(const shoal_future *future, uint64_t *ret_done, uint64_t *ret_count)
{
    int r = shoal_future_ready(future);

    if (r < 0)
        return r;
    if (ret_done)
        *ret_done = r ? future->job->count : count_ended(future);
    if (ret_count)
        *ret_count = future->job->count;
    return 0;
}

int sh_future_result(const struct shoal_future *future, uint64_t number, struct shoal_bytes *ret_result)
{
    int r = error_of(future, number);

    if (r < 0)
        return r;
    struct sh_item *item = sh_pool_item(future->job, number);
    uint64_t head = sh_load_acquire(&item->head);
    uint64_t size = head >> SH_ITEM_STATE_BITS;
    const void *data = &item->data;
    if (sh_item_state(head) == SH_ITEM_LARGE) {
        uint64_t offset = sh_load_relaxed(&item->data);
        if (sh_block_capacity(offset) < size) /* a worker that went wrong wrote it */
            return -EIO;
        data = sh_at(offset);
    } else if (size > sh_job_room(future->job->stride)) {
        return -EIO;
    }
    *ret_result = (struct shoal_bytes){.data = data, .size = size};
    return 0;
}

/* The steps are those of table.c: where main dies between the two, its burial lets the record forget the block. */
int sh_future_take(struct shoal_future *future, uint64_t number, struct shoal_message *ret_message)
{
    struct sh_item *item = sh_pool_item(future->job, number);
    struct shoal_bytes result;

    if (sh_item_state(sh_load_acquire(&item->head)) != SH_ITEM_LARGE)
        return 0;
    int r = sh_future_result(future, number, &result);
    if (r < 0)
        return r;
    uint64_t block = sh_load_relaxed(&item->data);
    sh_block_give(block, sh_member_tag());
    SH_CRASH_POINT(pool_result_taken);
    sh_store_step(&item->head, SH_ITEM_DONE);
    *ret_message = (struct shoal_message){.data = sh_at(block), .size = result.size, .block = block};
    return 1;
}

/* Wait for an item: 0 and where its result lies, or its error. */
static int result_of(shoal_future *future, uint64_t number, int64_t timeout, struct shoal_bytes *ret_result)
{
    int r = enter_item(future, number);

    if (r == 0)
        r = wait_item(future, number, timeout);
    return r < 0 ? r : sh_future_result(future, number, ret_result);
}

ssize_t shoal_future_get(shoal_future *future, uint64_t item, void *buffer, size_t capacity, int64_t timeout)
{
    struct shoal_bytes result;

    if (!buffer && capacity)
        return -EINVAL;
    int r = result_of(future, item, timeout, &result);
    if (r < 0)
        return r;
    if (result.size > capacity)
        return -EMSGSIZE;
    if (result.size)
        memcpy(buffer, result.data, result.size);
    return (ssize_t)result.size;
}

int shoal_future_result(shoal_future *future, uint64_t item, struct shoal_bytes *ret_result, int64_t timeout)
{
    return ret_result ? result_of(future, item, timeout, ret_result) : -EINVAL;
}

int shoal_future_error(const shoal_future *future, uint64_t item, struct shoal_task_error *ret_error)
{
    int r = ret_error ? enter_item(future, item) : -EINVAL;

    if (r < 0)
        return r;
    if (!is_item_done(future->pool, &(struct goal){.job = future->job, .item = item}))
        return -EAGAIN;
    if (error_of(future, item) == 0)
        return -ENOENT;
    struct sh_item *record = sh_pool_item(future->job, item);
    uint64_t head = sh_load_acquire(&record->head);
    if (sh_item_state(head) != SH_ITEM_OPEN)
        sh_reason_tell(record, head, item, ret_error);
    else
        sh_reason_tell_of_pool(future->pool->shared, item >= sh_load_relaxed(&future->job->limit), item, ret_error);
    return 0;
}

ssize_t shoal_future_cancel(shoal_future *future)
{
    int r = enter(future);

    if (r < 0)
        return r;
    if (sh_load_acquire(&future->job->life) & SH_JOB_DONE || sh_load_acquire(&future->pool->shared->ended))
        return 0;
    return (ssize_t)sh_turn_cancel(future->pool->shared, future->index);
}

void sh_future_cancel_after(shoal_pool *pool, uint64_t number)
{
    uint32_t top = sh_load_acquire(&pool->shared->top);

    for (uint32_t i = 1; i < top; i++) {
        struct sh_job *job = sh_pool_job(pool->shared, i);
        uint64_t life = sh_load_acquire(&job->life);
        int is_spared = sh_job_is_single(job) && job->number <= number;
        if (!(life & (SH_JOB_DONE | SH_JOB_FREE | SH_JOB_PRIVATE)) && !is_spared)
            sh_turn_cancel(pool->shared, i);
    }
}

/* Under put: want the end of a job that runs in the list of finished jobs. Returns 0 where it has ended. */
static int list(struct shoal_future *future)
{
    uint64_t life = sh_load_acquire(&future->job->life);

    if (sh_load_acquire(&future->pool->shared->ended))
        return 0;
    while (!(life & (SH_JOB_DONE | SH_JOB_LISTED))) {
        if (sh_cas_ordered(&future->job->life, &life, life | SH_JOB_LISTED)) { /* pairs with finish in turn.c */
            future->is_listed = 1;
            sh_add_relaxed(&future->pool->listed, 1);
            return 1;
        }
    }
    return 0;
}

int sh_future_watch(struct shoal_future *future, shoal_future_callback *callback, void *context)
{
    int r = enter(future);
    if (r < 0)
        return r;
    sh_word_lock(&future->pool->shared->put);
    int is_listed = future->is_called && !future->is_listed && list(future);
    if (is_listed) {
        future->callback = callback;
        future->context = context;
        future->is_called = 0;
    }
    sh_word_unlock(&future->pool->shared->put);
    return is_listed ? 0 : -EALREADY;
}

/* Whether a future that was dropped may go now, under put. Where its callback is still to come, that comes first. */
static int is_over(struct shoal_future *future)
{
    if (!future->is_called || (future->is_listed && !future->is_collected))
        return 0;
    return !list(future);
}

/* Under put: a future that is over, and its job without blocks. Returns whether it was the last to hold the pool. */
static int end(struct shoal_future *future)
{
    shoal_pool *pool = future->pool;

    if (sh_load_relaxed(&future->job->life) & (SH_JOB_DONE | SH_JOB_FREE)) /* else the pool ended with it */
        sh_table_give_back(pool, future);
    return --pool->references == 0;
}

void sh_future_end(struct shoal_future *future)
{
    shoal_pool *pool = future->pool;
    int is_done = (sh_load_acquire(&future->job->life) & SH_JOB_DONE) != 0;

    if (is_done && sh_table_has_parts(future->job))
        sh_table_free_parts(future);
    sh_word_lock(&pool->shared->put);
    int is_last = end(future);
    sh_word_unlock(&pool->shared->put);
    if (is_last)
        sh_pool_drop(pool);
}

void shoal_future_free(shoal_future *future)
{
    if (!future || sh_pool_enter(future->pool) < 0)
        return;
    shoal_pool *pool = future->pool;
    int is_last = 0;
    sh_word_lock(&pool->shared->put);
    future->is_dropped = 1;
    int over = is_over(future), has_parts = sh_table_has_parts(future->job);
    if (over && !has_parts)
        is_last = end(future);
    sh_word_unlock(&pool->shared->put);
    if (over && has_parts)
        sh_future_end(future);
    if (is_last)
        sh_pool_drop(pool);
}
