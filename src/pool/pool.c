/* pool.c - pools: opening, closing, ending them. */
#include "pool/pool.h"

#include "os/clock.h"
#include "os/cpu.h"
#include "pool/binding.h"
#include "pool/bury.h"
#include "pool/crew.h"
#include "pool/keeper.h"
#include "pool/launch.h"
#include "pool/names.h"
#include "pool/table.h"
#include "pool/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- as a shared object --- */

static struct sh_pool_shared *body_of(struct sh_object *object)
{
    return sh_container(object, struct sh_pool_shared, object);
}

static void destroy(struct sh_object *object)
{
    if (!sh_pool_fits(body_of(object)))
        return;
    sh_table_destroy(body_of(object));
    sh_names_destroy(body_of(object));
}

static void bury(struct sh_object *object, uint32_t tag)
{
    struct sh_pool_shared *shared = body_of(object);

    if (!sh_pool_fits(shared))
        return;
    if (tag == shared->main_tag) {
        sh_table_bury(shared, tag);
        sh_names_bury(shared, tag);
    }
    for (uint32_t i = 0; i < shared->workers; i++) {
        struct sh_worker *place = &shared->worker[i];
        if (sh_load_acquire(&place->tag) != tag || !sh_load_acquire(&place->block))
            continue;
        sh_turn_lock(shared);
        if (sh_load_relaxed(&place->tag) == tag)
            sh_bury_keep_block(shared, place);
        sh_word_unlock(&shared->take);
    }
}

const struct sh_object_kind sh_pool_kind = {
    .name = "pool",
    .size = sizeof(struct sh_pool_shared),
    .destroy = destroy,
    .bury = bury,
    .check = sh_pool_check,
};

/* --- opening --- */

static uint64_t segment_offset(uint32_t workers)
{
    return sizeof(struct sh_pool_shared) + workers * sizeof(struct sh_worker);
}

static uint64_t argument_offset(uint32_t workers)
{
    return segment_offset(workers) + SH_POOL_SEGMENT_FIRST * sizeof(struct sh_job);
}

static int fill(struct sh_pool_shared *shared, const struct shoal_pool_options *options, uint32_t workers)
{
    shared->workers = workers;
    shared->tasks_per_worker = options->tasks_per_worker;
    shared->start = options->start == SHOAL_START_DEFAULT ? SHOAL_START_FORK : options->start;
    shared->main_tag = sh_member_tag();
    shared->max_pending = options->max_pending;
    shared->argument_offset = argument_offset(workers);
    shared->argument_size = options->argument_size;
    if (options->argument_size)
        memcpy((char *)shared + shared->argument_offset, options->argument, options->argument_size);
    sh_store_relaxed(&shared->segments[0], sh_offset(shared) + segment_offset(workers));
    sh_store_relaxed(&shared->top, 1); /* slot 0 is the head that stands before all jobs */
    sh_store_relaxed(&sh_pool_job(shared, 0)->life, SH_JOB_FREE);
    int r = sh_names_write(shared, options->initializer, &shared->initializer);
    return r < 0 ? r : sh_names_write(shared, options->finalizer, &shared->finalizer);
}

static void free_handle(shoal_pool *pool)
{
    for (unsigned i = 0; i < SH_POOL_SEGMENTS; i++)
        free(pool->futures[i]);
    sh_names_forget(pool);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->crew);
    free(pool);
}

static int make_handle(struct sh_pool_shared *shared, shoal_pool **ret_pool)
{
    shoal_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return -ENOMEM;
    pool->futures[0] = calloc(SH_POOL_SEGMENT_FIRST, sizeof(struct shoal_future));
    if (!pool->futures[0]) {
        free(pool);
        return -ENOMEM;
    }
    pool->shared = shared;
    pool->epoch = sh_thread_process_epoch();
    sh_store_relaxed(&pool->finisher_cpu, SH_JOB_BITS);
    pool->references = 1;
    pthread_mutex_init(&pool->mutex, NULL);
    *ret_pool = pool;
    return 0;
}

static int verify(const struct shoal_pool_options *options)
{
    if (options->size != sizeof *options || options->flags || options->start > SHOAL_START_SPAWN)
        return -EINVAL;
    if (options->workers > SH_POOL_WORKERS_MAX)
        return -EAGAIN;
    return !options->argument && options->argument_size ? -EINVAL : 0;
}

int sh_pool_create(const struct shoal_pool_options *options, shoal_pool **ret_pool)
{
    uint32_t workers = options->workers ? options->workers : (uint32_t)sh_cpu_count();
    shoal_pool *pool;
    void *body;
    int r = sh_object_create(SH_KIND_POOL, argument_offset(workers) + options->argument_size, &body);

    if (r < 0)
        return r;
    r = fill(body, options, workers);
    if (r < 0)
        goto discard_body;
    r = make_handle(body, &pool);
    if (r < 0)
        goto discard_body;
    sh_table_begin(pool);
    sh_object_publish(body);
    *ret_pool = pool;
    return 0;

discard_body:
    sh_object_discard(body);
    return r;
}

static int open_pool(const struct shoal_pool_options *options, const struct sh_binding *binding, shoal_pool **ret_pool)
{
    shoal_pool *pool;
    int r = sh_pool_create(options, &pool);

    if (r < 0)
        return r;
    r = sh_crew_open(pool, binding);
    if (r < 0) {
        sh_pool_release(pool);
        return r;
    }
    *ret_pool = pool;
    return 0;
}

int shoal_pool_open(const struct shoal_pool_options *options, shoal_pool **ret_pool)
{
    struct shoal_pool_options resolved = {SHOAL_OPTIONS(shoal_pool)};
    int r = ret_pool ? verify(options ? options : &resolved) : -EINVAL;

    if (r < 0)
        return r;
    if (options)
        resolved = *options;
    r = sh_launch_verify(&resolved.start);
    return r < 0 ? r : open_pool(&resolved, NULL, ret_pool);
}

int sh_binding_open(const struct shoal_pool_options *options, const struct sh_binding *binding, shoal_pool **ret_pool)
{
    int r = verify(options);
    return r < 0 ? r : open_pool(options, binding, ret_pool);
}

/* --- closing --- */

int sh_pool_enter(const shoal_pool *pool)
{
    if (!pool)
        return -EINVAL;
    return sh_likely(pool->epoch == sh_thread_process_epoch()) ? 0 : -EPERM;
}

void sh_pool_drop(shoal_pool *pool)
{
    struct sh_pool_shared *shared = pool->shared;

    free_handle(pool);
    sh_object_drop(&shared->object);
}

void sh_pool_hold(shoal_pool *pool)
{
    sh_word_lock(&pool->shared->put);
    pool->references++;
    sh_word_unlock(&pool->shared->put);
}

void sh_pool_release(shoal_pool *pool)
{
    sh_word_lock(&pool->shared->put);
    int is_last = --pool->references == 0;
    sh_word_unlock(&pool->shared->put);
    if (is_last)
        sh_pool_drop(pool);
}

/* Raise the phase and wake all whom it concerns: submitters that wait for room, idle workers, the keeper. */
static void go_to(shoal_pool *pool, uint32_t phase)
{
    struct sh_pool_shared *shared = pool->shared;

    sh_word_lock(&shared->put);
    sh_keeper_raise_phase(shared, phase);
    sh_word_unlock(&shared->put);
    sh_turn_wake_all(shared);
    sh_turn_lock(shared);
    sh_word_unlock_all(&shared->take, SH_WORD_DATA);
    sh_crew_ring(pool);
}

int shoal_pool_close(shoal_pool *pool)
{
    int r = sh_pool_enter(pool);

    if (r == 0)
        go_to(pool, SH_POOL_CLOSED);
    return r;
}

int shoal_pool_terminate(shoal_pool *pool)
{
    int r = sh_pool_enter(pool);

    if (r == 0)
        go_to(pool, SH_POOL_TERMINATED);
    return r;
}

static int has_ended(shoal_pool *pool, const void *unused)
{
    (void)unused;
    return sh_load_acquire(&pool->shared->ended) != 0;
}

int shoal_pool_join(shoal_pool *pool, int64_t timeout)
{
    struct sh_wait wait = {.timeout = timeout};
    int r = sh_pool_enter(pool);

    if (r < 0)
        return r;
    if (sh_load_acquire(&pool->shared->phase) == SH_POOL_OPEN)
        return -EINVAL;
    r = sh_wait_until(pool, NULL, has_ended, NULL, &wait);
    if (r < 0)
        return r;
    sh_crew_close(pool);
    sh_wait_collect(pool);
    sh_wait_call(pool);
    return 0;
}

void shoal_pool_free(shoal_pool *pool)
{
    if (!pool)
        return;
    if (sh_pool_enter(pool) < 0) { /* a copy that a child inherited: its memory goes with the child */
        return;
    }
    if (sh_load_acquire(&pool->shared->phase) == SH_POOL_OPEN)
        shoal_pool_terminate(pool);
    while (shoal_pool_join(pool, SHOAL_FOREVER) == -EINTR)
        ;
    sh_pool_release(pool);
}

int shoal_pool_poll(shoal_pool *pool)
{
    int r = sh_pool_enter(pool);

    if (r < 0)
        return r;
    sh_crew_attend(pool);
    sh_crew_reap(pool);
    sh_wait_collect(pool);
    return sh_wait_call(pool);
}
