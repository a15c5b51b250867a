/* turn.h - what happens under the pool's `take`: handing out chunks and retiring them, and standing in for the dead. */
#ifndef SH_POOL_TURN_H
#define SH_POOL_TURN_H

#include "pool/shared.h"

/* Take `take`; where its last owner died, carry out what it had committed. */
void sh_turn_lock(struct sh_pool_shared *pool);

/* Worker: a process has come to its place. 0 and *ret_claim, what a dead one left there to be run, or NULL; -ESTALE
 * where the place is another's by now. */
int sh_turn_arrive(struct sh_pool_shared *pool, struct sh_worker *place, uint32_t generation,
                   struct sh_claim **ret_claim);

/* Worker: retire the claim that was run, if there was one, and take the next; NULL where there is none. */
struct sh_claim *sh_turn_take(struct sh_pool_shared *pool, struct sh_worker *place);

/* Worker: retire the claim that was run, and leave the place in order. */
void sh_turn_leave(struct sh_pool_shared *pool, struct sh_worker *place);

/* An item of a single task has ended: its job is DONE. Returns whether the job is to be listed. May be repeated. */
int sh_turn_end_single(struct sh_job *job, uint32_t generation);

/* Stand in for the dead process of a place: the item that it ran is lost, the rest of its claim an orphan, the place
 * free. May be repeated. */
void sh_turn_bury(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_item_loss loss);

/* Wake whom a keeper that died may have left asleep: all who wait for a job that a worker had last, and an idle worker
 * where there is work. */
void sh_turn_alarm(struct sh_pool_shared *pool);

/* A result that the dead member of this place had committed, and not yet handed over, is the job's. Under take. */
void sh_turn_keep_block(struct sh_pool_shared *pool, struct sh_worker *place);

/* Main: let no worker take what it has not taken of the job. Returns how many items. */
uint64_t sh_turn_cancel(struct sh_pool_shared *pool, uint32_t index);

/* Main: take the list of finished jobs: its newest, or 0. */
uint32_t sh_turn_collect(struct sh_pool_shared *pool);

/* Wake idle workers: one, or all. */
void sh_turn_wake_one(struct sh_pool_shared *pool);
void sh_turn_wake_all(struct sh_pool_shared *pool);

/* Wake main's threads that wait for anything to happen in the pool. */
void sh_turn_ring_event(struct sh_pool_shared *pool);

static inline struct sh_claim *sh_turn_claim(struct sh_worker *place)
{
    return &place->claims[sh_load_relaxed(&place->turn) & 1];
}

#endif
