/* turn.h - what happens under the pool's `take`: handing out chunks and retiring them. */
#ifndef SH_POOL_TURN_H
#define SH_POOL_TURN_H

#include "pool/post.h"

/* Take `take`; where its last owner died, carry out what it had committed. */
void sh_turn_lock(struct sh_pool_shared *pool);

/* Worker: a process has come to its place. 0 and *ret_claim, what a dead one left there to be run, or NULL; -ESTALE
 * where the place is another's by now. */
int sh_turn_arrive(struct sh_pool_shared *pool, struct sh_worker *place, uint32_t generation,
                   struct sh_claim **ret_claim);

/* Worker: retire the claim that was run, if there was one, and take the next; NULL where there is none. Where that is
 * the job in *posted, its slot is not looked at; else posted->number is 0 afterwards. */
struct sh_claim *sh_turn_take(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_posted *posted);

/* Worker: retire the claim that was run, and leave the place in order. */
void sh_turn_leave(struct sh_pool_shared *pool, struct sh_worker *place);

/* An item of a single task has ended: its job is DONE. Returns whether the job is to be listed. May be repeated. */
int sh_turn_end_single(struct sh_job *job, uint32_t generation);

/* Main: let no worker take what it has not taken of the job. Returns how many items. */
uint64_t sh_turn_cancel(struct sh_pool_shared *pool, uint32_t index);

/* Main: take the list of finished jobs: its newest, or 0. */
uint32_t sh_turn_collect(struct sh_pool_shared *pool);

/* Wake idle workers: one, or all. */
void sh_turn_wake_one(struct sh_pool_shared *pool);
void sh_turn_wake_all(struct sh_pool_shared *pool);

/* Wake who sleeps on a job's word, or the pool's event, if anybody does. */
void sh_turn_ring(struct sh_word *word);

/* The parts of a turn, for who stands in for a dead worker. Under take: make a claim nothing; write down what retiring
 * the first items of a claim amounts to (of a single task, that it has ended); commit by one store, and carry out. */
void sh_turn_clear(struct sh_claim *claim);
void sh_turn_plan(struct sh_pool_shared *pool, struct sh_worker *place, const struct sh_claim *old, uint32_t items);
void sh_turn_commit(struct sh_pool_shared *pool, struct sh_worker *place);

static inline struct sh_claim *sh_turn_claim(struct sh_worker *place)
{
    return &place->claims[sh_load_relaxed(&place->turn) & 1];
}

#endif
