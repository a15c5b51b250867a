/* run.h - the worker's side of an item: running the task function and committing what came of it. */
#ifndef SH_POOL_RUN_H
#define SH_POOL_RUN_H

#include "pool/binding.h"
#include "pool/turn.h"

/* The item that runs now, as its function sees it, and the worker that runs it. Private memory of the worker.
 *
 * result_size, block and told are what the function has said so far; the blocks are this process's until the item ends.
 */
struct shoal_task {
    struct sh_pool_shared *pool;
    struct sh_worker *place;
    const struct sh_worker_calls *calls; /* a binding's; NULL: tasks are C functions */
    uint32_t epoch;                      /* of the worker's process: a child that the function forks is no worker */
    int32_t pid;

    struct sh_job *job;
    uint64_t item;
    const void *data;
    uint64_t size;
    struct sh_item *record;
    uint64_t word;             /* of the job's function */
    struct shoal_bytes common; /* what the job's items have in common; NULL where there is nothing */
    uint32_t room;             /* for a result in the record */
    uint64_t result_size;
    uint64_t block;   /* with the result; 0: it is in the record */
    uint64_t told;    /* with struct sh_failure; 0: nothing was said */
    int is_abandoned; /* the worker is to end while the item runs */
};

/* Run a claim's items, from the first that has not begun, or until one is abandoned. posted: the claim is of this
 * post's job; NULL: look at the slot. */
void sh_run_claim(struct shoal_task *task, struct sh_claim *claim, const struct sh_posted *posted);

/* In a task function: where a result of size bytes is to be written. -ENOMEM. */
int sh_task_reserve(struct shoal_task *task, size_t size, void **ret_data);

/* The room for a result in the item's record. Who writes there sets result_size. */
static inline void *sh_task_record(struct shoal_task *task)
{
    return (char *)task->record + offsetof(struct sh_item, data);
}

/* In a binding's: do not say how the item ended; let the worker end. */
static inline int sh_task_abandon(struct shoal_task *task)
{
    task->is_abandoned = 1;
    return 0;
}

#endif
