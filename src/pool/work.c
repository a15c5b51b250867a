/* work.c - a worker's process: initialize, take turns, sleep where there is nothing to do, leave. */
#include "pool/work.h"

#include "os/bell.h"
#include "os/clock.h"
#include "os/identity.h"
#include "os/process.h"
#include "os/spin.h"
#include "pool/launch.h"
#include "pool/names.h"
#include "pool/run.h"
#include "pool/turn.h"
#include "process/child.h"

#include <errno.h>
#include <string.h>

#define LOOK_UP INT64_C(1000000000)

static int is_over(struct sh_pool_shared *pool)
{
    uint32_t phase = sh_load_acquire(&pool->phase);

    return phase >= SH_POOL_TERMINATED || (phase == SH_POOL_CLOSED && !sh_pool_has_work(pool));
}

/* Look for a while whether main posts the next job, where it was last seen on another CPU. */
static void spin(struct sh_pool_shared *pool, struct sh_posted *posted)
{
    uint32_t cancellations = sh_load_acquire(&pool->cancellations), submitter_cpu = posted->submitter_cpu;
    uint64_t number = sh_load_acquire(&pool->exhausted) + 1;
    struct sh_spin spin = {0};

    while (sh_spin_goes_on(&spin, submitter_cpu)) {
        for (int i = 0; i < SH_SPIN_LOOKS; i++) {
            if (sh_post_read(pool, number, cancellations, posted))
                return;
            sh_pause();
        }
        if (sh_load_relaxed(&pool->exhausted) + 1 != number || sh_load_relaxed(&pool->orphans))
            return;
    }
}

static void sleep_once(struct sh_pool_shared *pool, int64_t deadline)
{
    sh_process_flush(); /* what tasks have printed is not to wait in a buffer for the next one */
    uint32_t seen = sh_word_prepare(&pool->idle, SH_WORD_DATA);
    if (!sh_pool_has_work(pool) && sh_load_acquire(&pool->phase) == SH_POOL_OPEN)
        sh_word_sleep(&pool->idle, seen, SH_WORD_DATA, deadline);
    sh_word_forget();
}

/* The same for a worker of a binding. It looks up now and then: a signal may have come just before it slept. */
static int rest_once(struct shoal_task *task)
{
    const struct sh_worker_calls *calls = task->calls;

    if (!calls) {
        sleep_once(task->pool, SH_DEADLINE_NEVER);
        return 0;
    }
    calls->rest(calls->context);
    sleep_once(task->pool, sh_clock_now() + LOOK_UP);
    return calls->resume(calls->context);
}

/* Wait for something to do: NULL where there will be nothing. Who was among the sleepers has to wake the next where
 * there is more. */
static struct sh_claim *await_claim(struct shoal_task *task, struct sh_posted *posted)
{
    struct sh_pool_shared *pool = task->pool;
    struct sh_worker *place = task->place;
    int is_sleeper = 0;

    for (;;) {
        if (is_over(pool))
            return NULL;
        sh_store_relaxed(&place->since, sh_clock_coarse());
        spin(pool, posted);
        struct sh_claim *claim = sh_turn_take(pool, place, posted);
        if (claim) {
            if (is_sleeper && sh_pool_has_work(pool))
                sh_word_pass(&pool->idle, SH_WORD_DATA);
            return claim;
        }
        if (is_over(pool))
            return NULL;
        if (rest_once(task) < 0) {
            sh_task_abandon(task);
            return NULL;
        }
        is_sleeper = 1;
    }
}

/* A claim that is of no post. (Of one that is, the time was taken when this worker began to look for it.) */
static void look_at_slot(struct shoal_task *task, const struct sh_claim *claim, struct sh_posted *posted)
{
    sh_store_relaxed(&task->place->since, sh_clock_coarse());
    posted->submitter_cpu = sh_pool_job(task->pool, claim->job)->submitter_cpu;
    posted->is_followed = 0;
}

/* Take turns until there is nothing left to do, or this worker has done its share. */
static void take_turns(struct shoal_task *task, struct sh_claim *claim)
{
    struct sh_pool_shared *pool = task->pool;
    struct sh_posted posted = {.submitter_cpu = UINT32_MAX};
    uint32_t turns = 0;

    for (;;) {
        posted.number = 0;
        if (!claim)
            claim = sh_turn_take(pool, task->place, &posted);
        if (!claim)
            claim = await_claim(task, &posted);
        if (!claim)
            return;
        if (!posted.number)
            look_at_slot(task, claim, &posted);
        sh_run_claim(task, claim, posted.number ? &posted : NULL);
        claim = NULL;
        if (task->is_abandoned)
            return;
        if (pool->tasks_per_worker && ++turns == pool->tasks_per_worker)
            return;
    }
}

static int call(struct sh_pool_shared *pool, const struct sh_pool_hook *hook)
{
    if (!hook->address)
        return 0;
    shoal_pool_initializer *function = sh_names_read(pool, hook);
    return function ? function((char *)pool + pool->argument_offset, pool->argument_size) : -ENOENT;
}

static void end(int code) __attribute__((noreturn));

static void end(int code)
{
    sh_child_end_daemons();
    sh_process_exit(code);
}

static struct shoal_task begin(struct sh_pool_shared *pool, struct sh_worker *place)
{
    struct shoal_task task = {
        .pool = pool, .place = place, .pid = (int32_t)sh_identity_pid(), .epoch = sh_thread_process_epoch()};

    sh_store_relaxed(&place->pid, task.pid);
    return task;
}

void sh_work_run(struct sh_pool_shared *pool, struct sh_worker *place, uint32_t generation)
{
    struct shoal_task task = begin(pool, place);
    struct sh_claim *claim;

    int r = call(pool, &pool->initializer);
    if (sh_thread_process_epoch() != task.epoch)
        sh_process_exit(r < 0);
    if (r < 0) {
        sh_store_relaxed(&place->refusal, r);
        sh_store_release(&place->state, SH_WORKER_REFUSED);
        end(1);
    }
    if (sh_turn_arrive(pool, place, generation, &claim) < 0)
        end(0);
    take_turns(&task, claim);
    sh_turn_leave(pool, place);
    if (sh_load_relaxed(&pool->phase) < SH_POOL_TERMINATED)
        call(pool, &pool->finalizer);
    end(0);
}

/* --- of a binding --- */

void sh_binding_close_inherited(shoal_pool *pool)
{
    sh_launch_close_inherited(pool->crew);
    sh_bell_close(pool->crew->bell);
}

int sh_binding_refuse(struct sh_pool_shared *pool, uint32_t index, const char *reason)
{
    struct sh_worker *place = &pool->worker[index];

    sh_turn_lock(pool);
    int is_first = !pool->reason[0];
    strncpy(pool->reason, reason, sizeof pool->reason - 1);
    sh_word_unlock(&pool->take);
    sh_store_relaxed(&place->refusal, -ENOEXEC);
    sh_store_release(&place->state, SH_WORKER_REFUSED);
    return is_first;
}

int sh_binding_serve(struct sh_pool_shared *pool, uint32_t index, uint32_t generation,
                     const struct sh_worker_calls *calls)
{
    struct sh_worker *place = &pool->worker[index];
    struct shoal_task task = begin(pool, place);
    struct sh_claim *claim;

    task.calls = calls;
    if (sh_turn_arrive(pool, place, generation, &claim) < 0)
        return 0;
    take_turns(&task, claim);
    if (task.is_abandoned)
        return -ECANCELED;
    sh_turn_leave(pool, place);
    return 0;
}
