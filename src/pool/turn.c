/* turn.c - handing out chunks and retiring them. */
#include "pool/turn.h"

#include "arena/block.h"
#include "base/crash.h"
#include "os/cpu.h"

#include <errno.h>

/* --- carrying out what a place has committed: stores of values written down before, in this order, repeatable --- */

static void list_finished(struct sh_pool_shared *pool, struct sh_job *job, uint32_t index, uint32_t before)
{
    sh_store_step(&job->next_finished, before);
    sh_store_step(&pool->finished, index);
}

/* All items of a job have ended. DONE is the last of what is stored: main may free the slot from then on, so a job that
 * has it (or a slot that has gone on) was finished before. */
static void finish(struct sh_pool_shared *pool, struct sh_job *job, uint32_t index, uint32_t before)
{
    uint64_t life = sh_load_acquire(&job->life);

    for (;;) {
        if (life & SH_JOB_LISTED) { /* from now on only we change it */
            list_finished(pool, job, index, before);
            SH_CRASH_POINT(pool_job_listed);
            sh_store_release(&job->life, life | SH_JOB_DONE);
            return;
        }
        if (sh_cas_ordered(&job->life, &life, life | SH_JOB_DONE)) /* pairs with the swap in future.c */
            return;
    }
}

static int is_open(struct sh_job *job, uint32_t generation)
{
    return sh_job_is_open(sh_load_acquire(&job->life), generation);
}

static void carry_out_retirement(struct sh_pool_shared *pool, struct sh_worker *place, const struct sh_claim *old)
{
    if (!(place->plan & ~(uint32_t)SH_TURN_EXHAUST))
        return;
    struct sh_job *job = sh_pool_job(pool, old->job);
    if ((place->plan & SH_TURN_COUNT) && is_open(job, old->generation)) {
        sh_store_step(&job->done, place->done);
        SH_CRASH_POINT(pool_turn_counted);
        if (place->plan & SH_TURN_FINISH)
            finish(pool, job, old->job, place->finished);
    }
    if (place->plan & SH_TURN_LIST)
        list_finished(pool, job, old->job, place->finished);
    sh_store_step(&pool->completed, place->completed);
}

/* All items of the list's first job are taken: it is the head now. */
static void advance(struct sh_pool_shared *pool, uint32_t index, uint64_t number)
{
    sh_store_step(&pool->head, index);
    SH_CRASH_POINT(pool_head_moved);
    sh_store_release(&pool->exhausted, number); /* pairs with the load in table.c: the old head is free */
}

static void carry_out_claim(struct sh_pool_shared *pool, struct sh_worker *place, const struct sh_claim *claim)
{
    uint32_t count = sh_load_relaxed(&claim->count);

    if (count == 0)
        return;
    if (claim->from) {
        struct sh_worker *other = &pool->worker[claim->from - 1];
        if (other != place)
            sh_store_step(&sh_turn_claim(other)->count, 0);
        return;
    }
    if (!(claim->flags & SH_CLAIM_SINGLE))
        sh_store_step(&sh_pool_job(pool, claim->job)->next_item, claim->first + count);
    SH_CRASH_POINT(pool_turn_taken);
    sh_store_step(&pool->begun, place->number);
    if (place->plan & SH_TURN_EXHAUST)
        advance(pool, claim->job, place->number);
}

static void carry_out(struct sh_pool_shared *pool, struct sh_worker *place)
{
    uint32_t turn = sh_load_relaxed(&place->turn);

    carry_out_retirement(pool, place, &place->claims[(turn + 1) & 1]);
    SH_CRASH_POINT(pool_turn_retired);
    carry_out_claim(pool, place, &place->claims[turn & 1]);
    sh_store_step(&place->applied, turn);
}

/* Whether what a dead process had committed leads nowhere but into the pool: it may have gone wrong before it died. */
static int can_carry_out(struct sh_pool_shared *pool, const struct sh_worker *place)
{
    return sh_pool_look(pool, place->claims[0].job) && sh_pool_look(pool, place->claims[1].job) &&
           place->claims[0].from <= pool->workers && place->claims[1].from <= pool->workers;
}

static void recover(struct sh_pool_shared *pool)
{
    for (uint32_t i = 0; i < pool->workers; i++) {
        const struct sh_worker *place = &pool->worker[i];
        if (sh_load_relaxed(&place->turn) != sh_load_relaxed(&place->applied) && can_carry_out(pool, place))
            carry_out(pool, &pool->worker[i]);
    }
    const struct sh_job *head = sh_pool_look(pool, sh_load_relaxed(&pool->head));
    if (!head)
        return;
    uint64_t number = head->number;
    if (sh_load_relaxed(&pool->begun) < number)
        sh_store_step(&pool->begun, number);
    sh_store_release(&pool->exhausted, number);
}

void sh_turn_lock(struct sh_pool_shared *pool)
{
    if (sh_unlikely(sh_word_lock(&pool->take) == SHOAL_OWNER_DIED))
        recover(pool);
}

/* --- planning a turn --- */

/* The first job with items that no worker has taken; 0: none. Passes over what was cancelled. */
static uint32_t first_job(struct sh_pool_shared *pool)
{
    for (;;) {
        uint32_t head = sh_load_relaxed(&pool->head);
        uint32_t index = sh_load_acquire(&sh_pool_job(pool, head)->next); /* pairs with the link in submit.c */
        if (index == 0)
            return 0;
        struct sh_job *job = sh_pool_job(pool, index);
        if (sh_load_relaxed(&job->next_item) < sh_load_relaxed(&job->limit))
            return index;
        sh_store_step(&pool->begun, job->number);
        advance(pool, index, job->number);
    }
}

/* Look for an orphan: the claim of a place without a living worker. */
static int pick_orphan(struct sh_pool_shared *pool, struct sh_claim *claim)
{
    for (uint32_t i = 0; i < pool->workers; i++) {
        struct sh_worker *other = &pool->worker[i];
        struct sh_claim *orphan = sh_turn_claim(other);
        uint32_t state = sh_load_relaxed(&other->state);
        uint32_t count = sh_load_relaxed(&orphan->count);
        if ((state != SH_WORKER_NONE && state != SH_WORKER_STARTING) || count == 0)
            continue;
        claim->job = orphan->job;
        claim->generation = orphan->generation;
        claim->first = orphan->first;
        claim->from = i + 1;
        claim->flags = orphan->flags & SH_CLAIM_SINGLE;
        sh_store_relaxed(&claim->count, count);
        return 1;
    }
    sh_store_relaxed(&pool->orphans, 0);
    return 0;
}

void sh_turn_clear(struct sh_claim *claim)
{
    sh_store_relaxed(&claim->count, 0);
    sh_store_relaxed(&claim->begun, 0);
    claim->from = 0;
    claim->flags = 0;
}

static void pick_chunk(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_claim *claim, uint32_t index)
{
    struct sh_job *job = sh_pool_job(pool, index);
    uint64_t first = sh_load_relaxed(&job->next_item), left = sh_load_relaxed(&job->limit) - first;
    uint32_t count = (uint32_t)sh_min((uint64_t)job->chunk, left);

    claim->job = index;
    claim->generation = sh_job_generation(sh_load_relaxed(&job->life));
    claim->first = first;
    claim->flags = sh_job_is_single(job) ? SH_CLAIM_SINGLE : 0;
    sh_store_relaxed(&claim->count, count);
    place->number = job->number;
    place->plan = count == left ? SH_TURN_EXHAUST : 0;
}

/* A job that was posted, and is the list's first. */
static void pick_posted(struct sh_worker *place, struct sh_claim *claim, const struct sh_posted *posted)
{
    claim->job = posted->index;
    claim->generation = posted->generation;
    claim->first = 0;
    claim->flags = SH_CLAIM_SINGLE;
    sh_store_relaxed(&claim->count, 1);
    place->number = posted->number;
    place->plan = SH_TURN_EXHAUST;
}

/* Fill in the new claim, and what taking it amounts to. */
static int pick(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_claim *claim, struct sh_posted *posted)
{
    uint64_t number = posted->number;

    sh_turn_clear(claim);
    place->plan = 0;
    posted->number = 0;
    if (sh_unlikely(sh_load_relaxed(&pool->phase) >= SH_POOL_TERMINATED))
        return 0;
    if (sh_unlikely(sh_load_relaxed(&pool->orphans)) && pick_orphan(pool, claim))
        return 1;
    if (number && number == sh_load_relaxed(&pool->exhausted) + 1 &&
        posted->cancellations == sh_load_relaxed(&pool->cancellations)) {
        posted->number = number;
        pick_posted(place, claim, posted);
        return 1;
    }
    if (posted->is_followed && sh_post_is_missing(pool, sh_load_relaxed(&pool->exhausted) + 1))
        return 0;
    uint32_t index = first_job(pool);
    if (index)
        pick_chunk(pool, place, claim, index);
    return index != 0;
}

void sh_turn_plan(struct sh_pool_shared *pool, struct sh_worker *place, const struct sh_claim *old, uint32_t items)
{
    uint64_t completed = sh_load_relaxed(&pool->completed);

    if (items == 0)
        return;
    place->finished = sh_load_relaxed(&pool->finished);
    if (old->flags & SH_CLAIM_SINGLE) {
        place->completed = completed + 1;
        place->plan |= SH_TURN_SINGLE | (old->flags & SH_CLAIM_LISTED ? SH_TURN_LIST : 0);
        return;
    }
    struct sh_job *job = sh_pool_job(pool, old->job);
    place->done = sh_load_relaxed(&job->done) + items;
    int is_last = place->done == sh_load_relaxed(&job->limit);
    place->completed = completed + (uint64_t)is_last;
    place->plan |= SH_TURN_COUNT | (is_last ? SH_TURN_FINISH : 0);
}

void sh_turn_commit(struct sh_pool_shared *pool, struct sh_worker *place)
{
    SH_CRASH_POINT(pool_turn_planned);
    sh_store_step(&place->turn, sh_load_relaxed(&place->turn) + 1);
    SH_CRASH_POINT(pool_turn_committed);
    carry_out(pool, place);
}

/* --- after a turn, with nothing held --- */

void sh_turn_ring(struct sh_word *word)
{
    if (sh_load_ordered(&word->value) & SH_WORD_WAITERS) /* ordered: behind what the waiter looks at */
        sh_word_ring(word);
}

/* A job has ended: wake those who wait for it. Its slot may stand for another by now, whose waiters look once more. A
 * single task's were told when it ended. */
static void ring_finished(struct sh_pool_shared *pool, const struct sh_worker *place, uint32_t index)
{
    if (place->plan & SH_TURN_FINISH)
        sh_turn_ring(&sh_pool_job(pool, index)->word);
    if (place->plan & (SH_TURN_FINISH | SH_TURN_SINGLE))
        sh_turn_ring(&pool->event);
}

void sh_turn_wake_one(struct sh_pool_shared *pool)
{
    sh_word_ring_some(&pool->idle, 1);
}

void sh_turn_wake_all(struct sh_pool_shared *pool)
{
    sh_word_ring(&pool->idle);
}

/* --- the worker --- */

int sh_turn_arrive(struct sh_pool_shared *pool, struct sh_worker *place, uint32_t generation,
                   struct sh_claim **ret_claim)
{
    sh_turn_lock(pool);
    if (sh_load_relaxed(&place->generation) != generation || sh_load_relaxed(&place->state) != SH_WORKER_STARTING) {
        sh_word_unlock(&pool->take);
        return -ESTALE;
    }
    sh_store_step(&place->state, SH_WORKER_LIVE);
    sh_store_relaxed(&pool->failures, 0);
    struct sh_claim *claim = sh_turn_claim(place);
    *ret_claim = sh_load_relaxed(&claim->count) ? claim : NULL;
    sh_word_unlock(&pool->take);
    return 0;
}

struct sh_claim *sh_turn_take(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_posted *posted)
{
    sh_turn_lock(pool);
    uint32_t turn = sh_load_relaxed(&place->turn);
    struct sh_claim *old = &place->claims[turn & 1];
    struct sh_claim *next = &place->claims[(turn + 1) & 1];
    uint32_t items = sh_load_relaxed(&old->count);

    int is_found = pick(pool, place, next, posted);
    if (!is_found && items == 0) {
        sh_word_unlock(&pool->take);
        return NULL;
    }
    sh_turn_plan(pool, place, old, items);
    sh_turn_commit(pool, place);
    sh_word_unlock(&pool->take);
    ring_finished(pool, place, old->job);
    return is_found ? next : NULL;
}

void sh_turn_leave(struct sh_pool_shared *pool, struct sh_worker *place)
{
    sh_turn_lock(pool);
    struct sh_claim *old = sh_turn_claim(place);
    uint32_t items = sh_load_relaxed(&old->count);

    place->plan = 0;
    if (items) {
        sh_turn_clear(&place->claims[(sh_load_relaxed(&place->turn) + 1) & 1]);
        sh_turn_plan(pool, place, old, items);
        sh_turn_commit(pool, place);
    }
    sh_store_step(&place->state, SH_WORKER_LEFT);
    sh_word_unlock(&pool->take);
    ring_finished(pool, place, old->job);
}

int sh_turn_end_single(struct sh_job *job, uint32_t generation)
{
    uint64_t life = sh_load_acquire(&job->life);
    uint64_t done = SH_JOB_DONE | (uint64_t)(sh_cpu_current() & SH_JOB_BITS) << 16;

    while (sh_job_is_open(life, generation))
        if (sh_cas_ordered(&job->life, &life, life | done)) /* pairs with the swap in future.c */
            return (life & SH_JOB_LISTED) != 0;
    return sh_job_generation(life) == generation && (life & SH_JOB_LISTED);
}

/* --- main --- */

/* How many of a job's items no worker has taken. A single task was taken when the head came to it. */
static uint64_t untaken(struct sh_pool_shared *pool, struct sh_job *job)
{
    if (sh_job_is_single(job) && job->number <= sh_load_relaxed(&pool->exhausted))
        return 0;
    return sh_load_relaxed(&job->limit) - sh_load_relaxed(&job->next_item);
}

uint64_t sh_turn_cancel(struct sh_pool_shared *pool, uint32_t index)
{
    struct sh_job *job = sh_pool_job(pool, index);
    int is_last = 0;

    sh_turn_lock(pool);
    uint64_t cancelled = untaken(pool, job);
    if (cancelled) {
        uint64_t limit = sh_load_relaxed(&job->next_item);
        sh_store_relaxed(&job->limit, limit);
        sh_post_clear(pool, job->number); /* for who looks from now on; who has looked is told by the count */
        sh_store_release(&pool->cancellations, sh_load_relaxed(&pool->cancellations) + 1);
        is_last = sh_load_relaxed(&job->done) == limit;
        if (is_last) {
            sh_store_relaxed(&pool->completed, sh_load_relaxed(&pool->completed) + 1);
            finish(pool, job, index, sh_load_relaxed(&pool->finished));
        }
        first_job(pool); /* passes it over where it was the first */
    }
    sh_word_unlock(&pool->take);
    if (is_last) {
        sh_turn_ring(&job->word);
        sh_turn_ring(&pool->event);
    }
    return cancelled;
}

uint32_t sh_turn_collect(struct sh_pool_shared *pool)
{
    sh_turn_lock(pool);
    uint32_t newest = sh_load_relaxed(&pool->finished);
    sh_store_relaxed(&pool->finished, 0);
    sh_word_unlock(&pool->take);
    return newest;
}
