/* work.c - a worker's process: initialize, take turns, sleep where there is nothing to do, leave. */
#include "pool/work.h"

#include "os/clock.h"
#include "os/identity.h"
#include "os/process.h"
#include "os/spin.h"
#include "pool/names.h"
#include "pool/run.h"
#include "pool/turn.h"
#include "process/child.h"

#include <errno.h>

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

static void sleep_once(struct sh_pool_shared *pool)
{
    sh_process_flush(); /* what tasks have printed is not to wait in a buffer for the next one */
    uint32_t seen = sh_word_prepare(&pool->idle, SH_WORD_DATA);
    if (!sh_pool_has_work(pool) && sh_load_acquire(&pool->phase) == SH_POOL_OPEN)
        sh_word_sleep(&pool->idle, seen, SH_WORD_DATA, SH_DEADLINE_NEVER);
    sh_word_forget();
}

/* Wait for something to do: NULL where there will be nothing. Who was among the sleepers has to wake the next where
 * there is more. */
static struct sh_claim *await_claim(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_posted *posted)
{
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
        sleep_once(pool);
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
            claim = await_claim(pool, task->place, &posted);
        if (!claim)
            return;
        if (!posted.number)
            look_at_slot(task, claim, &posted);
        sh_run_claim(task, claim, posted.number ? &posted : NULL);
        claim = NULL;
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

void sh_work_run(struct sh_pool_shared *pool, struct sh_worker *place, uint32_t generation)
{
    struct shoal_task task = {
        .pool = pool, .place = place, .pid = (int32_t)sh_identity_pid(), .epoch = sh_thread_process_epoch()};
    struct sh_claim *claim;

    sh_store_relaxed(&place->pid, task.pid);
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
