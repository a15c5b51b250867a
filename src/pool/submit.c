/* submit.c - putting a job together and into the list. */
#include "pool/submit.h"

#include "arena/block.h"
#include "base/crash.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "pool/names.h"
#include "pool/post.h"
#include "pool/table.h"
#include "pool/turn.h"
#include "pool/wait.h"

#include <errno.h>
#include <string.h>

#define RESULT_ROOM 8u        /* for each item of a map, where nothing is known of its results */
#define RESULT_ROOM_MOST 256u /* larger ones lie in blocks of their own */
#define CHUNK_MOST (UINT32_C(1) << 30)

/* A job on its way: blocks that are this process's until it is linked. */
struct parts {
    uint64_t function;
    uint64_t argument, argument_size; /* 0: inline */
    uint64_t results;
    uint32_t stride;
    uint32_t flags;
};

static void free_parts(const struct sh_submission *submission, const struct parts *parts)
{
    if (parts->argument && parts->argument != submission->block)
        sh_block_free(parts->argument);
    if (parts->results)
        sh_block_free(parts->results);
}

/* Items of different sizes in one block: where each lies, then their bytes. */
static int pack_parts(const struct sh_submission *submission, struct parts *parts)
{
    uint64_t head = submission->count * sizeof(struct sh_part);
    uint64_t size = head;

    for (size_t i = 0; i < submission->count; i++) {
        uint64_t part = submission->parts[i].size;
        if (part > UINT64_MAX / 2 || __builtin_add_overflow(size, sh_round_up(part, UINT64_C(8)), &size))
            return -ENOMEM;
    }
    int r = sh_block_alloc(size, &parts->argument);
    if (r < 0)
        return r;
    sh_block_touch(parts->argument, size);
    char *base = sh_at(parts->argument);
    struct sh_part *index = sh_at(parts->argument);
    uint64_t at = head;
    for (size_t i = 0; i < submission->count; i++) {
        const struct shoal_bytes *part = &submission->parts[i];
        index[i] = (struct sh_part){.offset = at, .size = part->size};
        if (part->size)
            memcpy(base + at, part->data, part->size);
        at += sh_round_up((uint64_t)part->size, UINT64_C(8));
    }
    parts->argument_size = size;
    parts->flags |= SH_JOB_SIZES;
    return 0;
}

static int pack_items(const struct sh_submission *submission, struct parts *parts)
{
    uint64_t size;

    parts->argument_size = submission->size;
    if (__builtin_mul_overflow((uint64_t)submission->size, (uint64_t)submission->count, &size))
        return -ENOMEM;
    if (size <= SH_JOB_INLINE_ARGUMENT)
        return 0;
    int r = sh_block_alloc(size, &parts->argument);
    if (r == 0)
        memcpy(sh_at(parts->argument), submission->items, size);
    return r;
}

static void adopt_block(const struct sh_submission *submission, struct parts *parts)
{
    parts->argument = submission->block;
    parts->argument_size = submission->block_size;
    parts->flags = submission->block_flags;
}

static int make_results(const struct sh_submission *submission, struct parts *parts)
{
    uint64_t room = sh_max(sh_round_up((uint64_t)submission->result_size, UINT64_C(8)), (uint64_t)RESULT_ROOM);
    uint64_t size;

    if (submission->count <= 1) {
        parts->stride = offsetof(struct sh_item, data) + SH_JOB_INLINE_RESULT;
        return 0;
    }
    parts->stride =
        (uint32_t)offsetof(struct sh_item, data) + (uint32_t)(room <= RESULT_ROOM_MOST ? room : RESULT_ROOM);
    if (__builtin_mul_overflow((uint64_t)parts->stride, (uint64_t)submission->count, &size))
        return -ENOMEM;
    int r = sh_block_alloc(size, &parts->results);
    if (r == 0)
        memset(sh_at(parts->results), 0, size);
    return r;
}

static int make_parts(const struct sh_submission *submission, struct parts *parts)
{
    *parts = (struct parts){0};
    int is_single_part = submission->parts && submission->count == 1;
    if (is_single_part) {
        struct sh_submission alone = *submission;
        alone.items = submission->parts[0].data;
        alone.size = submission->parts[0].size;
        alone.parts = NULL;
        return make_parts(&alone, parts);
    }
    int r = 0;
    if (submission->block)
        adopt_block(submission, parts);
    else
        r = submission->parts ? pack_parts(submission, parts) : pack_items(submission, parts);
    if (r == 0)
        r = make_results(submission, parts);
    if (r < 0)
        free_parts(submission, parts);
    return r;
}

static uint32_t chunk_of(const struct sh_pool_shared *shared, const struct sh_submission *submission)
{
    if (submission->count <= 1)
        return 1;
    uint64_t chunk = submission->chunk ? submission->chunk : submission->count / (4 * (uint64_t)shared->workers);
    return (uint32_t)sh_min(sh_max(chunk, UINT64_C(1)), (uint64_t)CHUNK_MOST);
}

/* Fill the slot. PRIVATE until the blocks are handed over: main's burial then knows what it had not yet given. */
static void fill(struct sh_pool_shared *shared, struct sh_job *job, const struct sh_submission *submission,
                 const struct parts *parts)
{
    const void *items = submission->parts && submission->count == 1 ? submission->parts[0].data : submission->items;

    job->function = parts->function;
    job->size = parts->argument_size;
    job->count = submission->count;
    job->chunk = chunk_of(shared, submission);
    job->stride = parts->stride;
    job->flags = parts->flags;
    job->submitter_cpu = sh_cpu_current();
    sh_store_relaxed(&job->item.head, SH_ITEM_OPEN);
    sh_store_relaxed(&job->next_item, 0);
    sh_store_relaxed(&job->limit, submission->count);
    sh_store_relaxed(&job->done, 0);
    sh_store_relaxed(&job->next, 0);
    if (!parts->argument && submission->count && parts->argument_size)
        memcpy(job->inline_argument, items, submission->count * parts->argument_size);
    sh_compiler_barrier();
    job->argument = parts->argument;
    job->results = parts->results;
    sh_compiler_barrier();
    SH_CRASH_POINT(pool_job_filled);
    if (parts->argument)
        sh_block_give(parts->argument, SH_OWNER_PART);
    if (parts->results)
        sh_block_give(parts->results, SH_OWNER_PART);
}

static void fill_future(shoal_pool *pool, struct shoal_future *future, const struct sh_submission *submission)
{
    future->callback = submission->callback;
    future->context = submission->context;
    future->is_listed = submission->callback != NULL;
    future->is_collected = future->is_dropped = 0;
    future->is_called = submission->callback == NULL;
    pool->references++;
}

/* One store links the job behind the last one. */
static void link_job(shoal_pool *pool, struct shoal_future *future, struct sh_job *job)
{
    struct sh_pool_shared *shared = pool->shared;

    job->number = sh_load_relaxed(&shared->submitted) + 1;
    uint64_t listed = future->is_listed ? SH_JOB_LISTED : 0;
    if (listed)
        sh_add_relaxed(&pool->listed, 1);
    sh_store_release(&job->life, (uint64_t)future->generation << 32 | listed);
    SH_CRASH_POINT(pool_job_live);
    sh_post_write(shared, job, future->index, future->generation);
    sh_store_release(&sh_pool_job(shared, pool->tail)->next, future->index); /* pairs with first_job in turn.c */
    SH_CRASH_POINT(pool_job_linked);
    pool->tail = future->index;
    sh_store_release(&shared->submitted, job->number);
}

static int has_room(struct sh_pool_shared *shared)
{
    return shared->max_pending == 0 ||
           sh_load_relaxed(&shared->submitted) - sh_load_acquire(&shared->begun) < shared->max_pending;
}

/* Under put: why nothing may be submitted; -ENOBUFS: there is no slot, -EBUSY: no room. */
static int try_take(shoal_pool *pool, uint32_t *ret_index)
{
    uint32_t phase = sh_load_relaxed(&pool->shared->phase);

    if (phase != SH_POOL_OPEN)
        return phase == SH_POOL_BROKEN ? -ENOEXEC : -EPIPE;
    return has_room(pool->shared) ? sh_table_take(pool, ret_index) : -EBUSY;
}

/* Take put, and a slot. Nothing is held where it fails. */
static int take_slot(shoal_pool *pool, int64_t timeout, uint32_t *ret_index)
{
    struct sh_wait wait = {.timeout = timeout};

    for (;;) {
        sh_word_lock(&pool->shared->put);
        int r = try_take(pool, ret_index);
        if (r == 0)
            return 0;
        sh_word_unlock(&pool->shared->put);
        if (r == -ENOBUFS) {
            r = sh_wait_collect(pool) ? 0 : sh_table_grow(pool); /* what was dropped may be there to be used again */
        } else if (r == -EBUSY) {
            r = sh_wait_room(pool, &wait, has_room);
        }
        if (r < 0)
            return r;
    }
}

/* A job without items has ended when it begins, and is not in the list. */
static void end_empty(shoal_pool *pool, struct shoal_future *future, struct sh_job *job)
{
    job->number = 0;
    pool->empty++;
    sh_store_release(&job->life, (uint64_t)future->generation << 32 | SH_JOB_DONE);
    future->is_collected = future->is_listed;
    if (future->is_listed)
        sh_wait_note(pool, future);
}

/* Have the lines that the next submission writes, which workers wrote or read last, on their way. */
static void fetch_ahead(struct sh_pool_shared *shared, uint32_t index)
{
    struct sh_job *job = sh_pool_job(shared, index);

    sh_prefetch_write(job);
    sh_prefetch_write(&job->life);
    sh_prefetch_write(&job->next_item);
    sh_prefetch_write(&shared->post[(sh_load_relaxed(&shared->submitted) + 1) % SH_POOL_POSTS]);
}

int sh_submit(shoal_pool *pool, const struct sh_submission *submission, shoal_future **ret_future)
{
    struct sh_pool_shared *shared = pool->shared;
    struct parts parts;
    uint32_t index;
    uint64_t function = submission->word;
    int r = submission->function ? sh_names_tell(pool, submission->function, &function) : 0;

    if (r == 0)
        r = make_parts(submission, &parts);
    if (r < 0)
        return r;
    parts.function = function;
    r = take_slot(pool, submission->timeout, &index);
    if (r < 0) {
        free_parts(submission, &parts);
        return r;
    }
    struct shoal_future *future = sh_pool_future(pool, index);
    fill(shared, future->job, submission, &parts);
    fill_future(pool, future, submission);
    if (submission->count)
        link_job(pool, future, future->job);
    else
        end_empty(pool, future, future->job);
    uint32_t next = sh_table_next(pool);
    sh_word_unlock(&shared->put); /* before the look at who sleeps: its swap orders the two */
    if (submission->count)
        sh_turn_wake_one(shared);
    if (sh_likely(next))
        fetch_ahead(shared, next);
    *ret_future = future;
    return 0;
}
