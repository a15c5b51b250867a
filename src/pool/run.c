/* run.c - running items and committing what came of them. */
#include "pool/run.h"

#include "arena/block.h"
#include "base/crash.h"
#include "os/process.h"
#include "pool/names.h"
#include "pool/turn.h"

#include <errno.h>

/* Hand a block over to the job with the store that says how the item ended. Where we die between that store and the
 * next, whoever buries us finds the block by the place's note (sh_bury_keep_block). */
static void commit_block(struct shoal_task *task, uint64_t block, uint64_t head)
{
    if (!sh_job_is_single(task->job) && !(sh_load_relaxed(&task->job->life) & SH_JOB_LARGE))
        sh_or_ordered(&task->job->life, SH_JOB_LARGE);
    sh_store_step(&task->place->block, block);
    sh_store_step(&task->record->data, block);
    SH_CRASH_POINT(pool_block_named);
    sh_store_release(&task->record->head, head); /* pairs with the loads in future.c */
    SH_CRASH_POINT(pool_block_committed);
    sh_block_move(block, sh_member_tag(), SH_OWNER_PART); /* fails where main has taken it already */
    sh_store_step(&task->place->block, 0);
}

static void commit_failure(struct shoal_task *task, int error)
{
    uint64_t pid = (uint64_t)(uint32_t)task->pid << SH_ITEM_STATE_BITS;

    if (task->block)
        sh_block_free(task->block);
    if (task->told) {
        ((struct sh_failure *)sh_at(task->told))->error = error;
        commit_block(task, task->told, pid | SH_ITEM_TOLD);
        return;
    }
    sh_store_step(&task->record->data, (uint32_t)error);
    sh_store_release(&task->record->head, pid | SH_ITEM_FAILED);
}

static void commit_result(struct shoal_task *task)
{
    uint64_t size = task->result_size << SH_ITEM_STATE_BITS;

    if (sh_unlikely(task->told))
        sh_block_free(task->told);
    if (sh_unlikely(task->block))
        commit_block(task, task->block, size | SH_ITEM_LARGE);
    else
        sh_store_release(&task->record->head, size | SH_ITEM_DONE);
}

static void run_item(struct shoal_task *task, shoal_task_function *function)
{
    task->result_size = 0;
    task->block = task->told = 0;
    int r = function(task);
    if (sh_unlikely(sh_thread_process_epoch() != task->epoch))
        sh_process_exit(r < 0 ? 1 : 0); /* a child that the function forked has come back from it */
    SH_CRASH_POINT(pool_item_ran);
    if (sh_unlikely(task->is_abandoned))
        return;
    if (sh_likely(r >= 0))
        commit_result(task);
    else
        commit_failure(task, r);
}

/* The job of a single task ends with its item. The word is announced before that, so the kernel wakes the waiter should
 * we die before we do. */
static void end_single(struct sh_job *job, struct sh_claim *claim)
{
    sh_word_announce(sh_thread_self(), &job->word);
    if (sh_turn_end_single(job, claim->generation))
        claim->flags |= SH_CLAIM_LISTED;
    SH_CRASH_POINT(pool_single_ended);
    if (sh_load_ordered(&job->word.value) & SH_WORD_WAITERS)
        sh_word_ring(&job->word);
    sh_word_forget();
}

/* Somebody waits for single items of this map. */
static void ring_watcher(struct sh_job *job)
{
    if ((sh_load_relaxed(&job->life) & SH_JOB_WATCHED) && (sh_load_ordered(&job->word.value) & SH_WORD_WAITERS))
        sh_word_ring(&job->word);
}

/* Stands in for a function that this program does not have. */
static int say_unknown(shoal_task *task)
{
    return shoal_task_fail(task, -ENOENT, "the worker's program has no function of the name that the task asks for");
}

static shoal_task_function *find_function(struct shoal_task *task, uint64_t word)
{
    task->word = word;
    if (task->calls)
        return task->calls->run;
    shoal_task_function *function = sh_names_find(task->pool, word);

    return sh_likely(function != NULL) ? function : say_unknown;
}

static const char *items_of(const struct sh_job *job)
{
    return job->argument ? sh_at(job->argument) : job->inline_argument;
}

static void find_data(struct shoal_task *task, const char *base)
{
    struct sh_job *job = task->job;

    if (job->flags & SH_JOB_SIZES) {
        const struct sh_part *part = (const struct sh_part *)(const void *)base + task->item;
        task->data = base + part->offset;
        task->size = part->size;
    } else {
        task->data = base + task->item * job->size;
        task->size = job->size;
    }
}

static void find_common(struct shoal_task *task, const char *base)
{
    const struct sh_part *part = (const struct sh_part *)(const void *)base + task->job->count;

    task->common = task->job->flags & SH_JOB_COMMON ? (struct shoal_bytes){base + part->offset, part->size}
                                                    : (struct shoal_bytes){0};
}

static void run_single(struct shoal_task *task, struct sh_claim *claim, const struct sh_posted *posted)
{
    struct sh_job *job = task->job;

    sh_store_step(&claim->begun, 1);
    SH_CRASH_POINT(pool_item_begun);
    task->item = 0;
    task->common = (struct shoal_bytes){0};
    if (posted) {
        task->data = posted->data;
        task->size = posted->size;
    } else {
        find_data(task, items_of(job));
        find_common(task, items_of(job));
    }
    task->record = &job->item;
    task->room = SH_JOB_INLINE_RESULT;
    run_item(task, find_function(task, posted ? posted->function : job->function));
    if (sh_likely(!task->is_abandoned))
        end_single(job, claim);
}

static void run_many(struct shoal_task *task, struct sh_claim *claim)
{
    struct sh_job *job = task->job;
    shoal_task_function *function = find_function(task, job->function);
    const char *base = items_of(job);
    uint32_t count = sh_load_relaxed(&claim->count);

    find_common(task, base);
    task->room = sh_job_room(job->stride);
    for (uint32_t i = sh_load_relaxed(&claim->begun); i < count && !task->is_abandoned; i++) {
        sh_store_step(&claim->begun, i + 1);
        SH_CRASH_POINT(pool_item_begun);
        task->item = claim->first + i;
        task->record = sh_pool_item(job, task->item);
        find_data(task, base);
        run_item(task, function);
        ring_watcher(job);
    }
}

void sh_run_claim(struct shoal_task *task, struct sh_claim *claim, const struct sh_posted *posted)
{
    uint64_t items = sh_load_relaxed(&claim->count);

    task->job = sh_pool_job(task->pool, claim->job);
    if (claim->flags & SH_CLAIM_SINGLE)
        run_single(task, claim, posted);
    else
        run_many(task, claim);
    sh_store_relaxed(&task->place->items_done, sh_load_relaxed(&task->place->items_done) + items);
}
