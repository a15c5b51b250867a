/* turn.c - handing out chunks, retiring them, and standing in for the dead. */
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
    if (!place->retires)
        return;
    struct sh_job *job = sh_pool_job(pool, old->job);
    if ((place->retires & SH_RETIRE_COUNT) && is_open(job, old->generation)) {
        sh_store_step(&job->done, place->done);
        SH_CRASH_POINT(pool_turn_counted);
        if (place->retires & SH_RETIRE_FINISH)
            finish(pool, job, old->job, place->finished);
    }
    if (place->retires & SH_RETIRE_LIST)
        list_finished(pool, job, old->job, place->finished);
    sh_store_step(&pool->completed, place->completed);
}

/* All items of the list's first job are taken: it is the head now. */
static void advance(struct sh_pool_shared *pool, struct sh_job *job, uint32_t index)
{
    sh_store_step(&pool->head, index);
    SH_CRASH_POINT(pool_head_moved);
    sh_store_release(&pool->exhausted, job->number); /* pairs with the load in table.c: the old head is free */
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
    struct sh_job *job = sh_pool_job(pool, claim->job);
    sh_store_step(&job->next_item, claim->first + count);
    SH_CRASH_POINT(pool_turn_taken);
    sh_store_step(&pool->begun, job->number);
    if (claim->first + count == sh_load_relaxed(&job->limit))
        advance(pool, job, claim->job);
}

static void carry_out(struct sh_pool_shared *pool, struct sh_worker *place)
{
    uint32_t turn = sh_load_relaxed(&place->turn);

    carry_out_retirement(pool, place, &place->claims[(turn + 1) & 1]);
    SH_CRASH_POINT(pool_turn_retired);
    carry_out_claim(pool, place, &place->claims[turn & 1]);
    sh_store_step(&place->applied, turn);
}

static void recover(struct sh_pool_shared *pool)
{
    for (uint32_t i = 0; i < pool->workers; i++)
        if (sh_load_relaxed(&pool->worker[i].turn) != sh_load_relaxed(&pool->worker[i].applied))
            carry_out(pool, &pool->worker[i]);

    uint64_t number = sh_pool_job(pool, sh_load_relaxed(&pool->head))->number;
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
        advance(pool, job, index);
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
        sh_store_relaxed(&claim->count, count);
        return 1;
    }
    sh_store_relaxed(&pool->orphans, 0);
    return 0;
}

static void clear_claim(struct sh_claim *claim)
{
    sh_store_relaxed(&claim->count, 0);
    sh_store_relaxed(&claim->begun, 0);
    claim->from = 0;
    claim->listed = 0;
}

static int pick(struct sh_pool_shared *pool, struct sh_claim *claim)
{
    clear_claim(claim);
    if (sh_unlikely(sh_load_relaxed(&pool->phase) >= SH_POOL_TERMINATED))
        return 0;
    if (sh_unlikely(sh_load_relaxed(&pool->orphans)) && pick_orphan(pool, claim))
        return 1;
    uint32_t index = first_job(pool);
    if (index == 0)
        return 0;
    struct sh_job *job = sh_pool_job(pool, index);
    uint64_t first = sh_load_relaxed(&job->next_item);
    claim->job = index;
    claim->generation = sh_job_generation(sh_load_relaxed(&job->life));
    claim->first = first;
    sh_store_relaxed(&claim->count, (uint32_t)sh_min((uint64_t)job->chunk, sh_load_relaxed(&job->limit) - first));
    return 1;
}

/* Write down what retiring the first `items` items of a claim amounts to. */
static void plan_retirement(struct sh_pool_shared *pool, struct sh_worker *place, const struct sh_claim *old,
                            uint32_t items)
{
    place->retires = 0;
    if (items == 0)
        return;
    struct sh_job *job = sh_pool_job(pool, old->job);
    uint64_t completed = sh_load_relaxed(&pool->completed);
    place->finished = sh_load_relaxed(&pool->finished);
    if (!is_open(job, old->generation)) { /* only a single task can have ended before it is retired */
        place->completed = completed + 1;
        place->retires = SH_RETIRE_SINGLE | (old->listed ? SH_RETIRE_LIST : 0);
        return;
    }
    place->done = sh_load_relaxed(&job->done) + items;
    int is_last = place->done == sh_load_relaxed(&job->limit);
    place->completed = completed + (uint64_t)is_last;
    place->retires = SH_RETIRE_COUNT | (is_last ? SH_RETIRE_FINISH : 0);
}

/* One store commits the turn. */
static void commit(struct sh_pool_shared *pool, struct sh_worker *place)
{
    SH_CRASH_POINT(pool_turn_planned);
    sh_store_step(&place->turn, sh_load_relaxed(&place->turn) + 1);
    SH_CRASH_POINT(pool_turn_committed);
    carry_out(pool, place);
}

/* --- after a turn, with nothing held --- */

static void ring(struct sh_word *word)
{
    if (sh_load_ordered(&word->value) & SH_WORD_WAITERS) /* ordered: behind what the waiter looks at */
        sh_word_ring(word);
}

void sh_turn_ring_event(struct sh_pool_shared *pool)
{
    ring(&pool->event);
}

/* A job has ended: wake those who wait for it. Its slot may stand for another by now, whose waiters look once more. */
static void ring_finished(struct sh_pool_shared *pool, const struct sh_worker *place, uint32_t index)
{
    if (!(place->retires & (SH_RETIRE_FINISH | SH_RETIRE_SINGLE)))
        return;
    ring(&sh_pool_job(pool, index)->word);
    ring(&pool->event);
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

struct sh_claim *sh_turn_take(struct sh_pool_shared *pool, struct sh_worker *place)
{
    sh_turn_lock(pool);
    uint32_t turn = sh_load_relaxed(&place->turn);
    struct sh_claim *old = &place->claims[turn & 1];
    struct sh_claim *next = &place->claims[(turn + 1) & 1];
    uint32_t items = sh_load_relaxed(&old->count);

    int is_found = pick(pool, next);
    if (!is_found && items == 0) {
        sh_word_unlock(&pool->take);
        return NULL;
    }
    uint32_t index = old->job;
    plan_retirement(pool, place, old, items);
    commit(pool, place);
    sh_word_unlock(&pool->take);
    ring_finished(pool, place, index);
    return is_found ? next : NULL;
}

void sh_turn_leave(struct sh_pool_shared *pool, struct sh_worker *place)
{
    sh_turn_lock(pool);
    struct sh_claim *old = sh_turn_claim(place);
    uint32_t items = sh_load_relaxed(&old->count), index = old->job;

    place->retires = 0;
    if (items) {
        clear_claim(&place->claims[(sh_load_relaxed(&place->turn) + 1) & 1]);
        plan_retirement(pool, place, old, items);
        commit(pool, place);
    }
    sh_store_step(&place->state, SH_WORKER_LEFT);
    sh_word_unlock(&pool->take);
    ring_finished(pool, place, index);
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

/* --- standing in for the dead --- */

/* The item that the dead process was running, unless it has ended. */
static void lose_item(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_claim *claim, uint64_t number,
                      struct sh_item_loss loss)
{
    struct sh_job *job = sh_pool_job(pool, claim->job);
    uint32_t turn = sh_load_relaxed(&place->turn);
    uint64_t data;

    if (is_open(job, claim->generation)) {
        struct sh_item *item = sh_pool_item(job, number);
        if (sh_item_state(sh_load_acquire(&item->head)) == SH_ITEM_OPEN) {
            uint64_t lost = sh_load_relaxed(&place->lost);
            if (lost >> 32 != turn)
                sh_store_step(&place->lost, (uint64_t)turn << 32 | (uint32_t)(lost + 1));
            __builtin_memcpy(&data, &loss, sizeof data);
            sh_store_step(&item->data, data);
            uint64_t pid = (uint32_t)sh_load_relaxed(&place->pid);
            sh_store_release(&item->head, pid << SH_ITEM_STATE_BITS | SH_ITEM_LOST);
            SH_CRASH_POINT(pool_item_lost);
        }
    }
    if (sh_job_is_single(job))
        claim->listed = (uint32_t)sh_turn_end_single(job, claim->generation);
}

void sh_turn_keep_block(struct sh_pool_shared *pool, struct sh_worker *place)
{
    struct sh_claim *claim = sh_turn_claim(place);
    uint64_t block = sh_load_relaxed(&place->block);
    uint32_t begun = sh_load_relaxed(&claim->begun);

    if (block && begun && sh_load_relaxed(&claim->count)) {
        struct sh_item *item = sh_pool_item(sh_pool_job(pool, claim->job), claim->first + begun - 1);
        enum sh_item_state state = sh_item_state(sh_load_acquire(&item->head));
        if ((state == SH_ITEM_LARGE || state == SH_ITEM_TOLD) && sh_load_relaxed(&item->data) == block)
            sh_block_move(block, sh_load_relaxed(&place->tag), SH_OWNER_PART);
    }
    sh_store_step(&place->block, 0);
}

/* Whether a claim that a dead process left is one: it may have gone wrong before it died. */
static int is_sound(struct sh_pool_shared *pool, const struct sh_claim *claim)
{
    struct sh_job *job = sh_pool_find_job(pool, claim->job);
    uint32_t count = sh_load_relaxed(&claim->count);

    if (!job || sh_load_relaxed(&claim->begun) > count)
        return 0;
    return !is_open(job, claim->generation) || (claim->first <= job->count && count <= job->count - claim->first);
}

/* Retire what had begun of the dead one's claim; the rest is an orphan. Returns whether there is one. */
static int settle(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_item_loss loss)
{
    struct sh_claim *old = sh_turn_claim(place);
    struct sh_claim *rest = &place->claims[(sh_load_relaxed(&place->turn) + 1) & 1];
    uint32_t begun = sh_load_relaxed(&old->begun), count = sh_load_relaxed(&old->count);

    if (begun) {
        lose_item(pool, place, old, old->first + begun - 1, loss);
        sh_turn_keep_block(pool, place);
        clear_claim(rest);
        rest->job = old->job;
        rest->generation = old->generation;
        rest->first = old->first + begun;
        rest->from = (uint32_t)(place - pool->worker) + 1;
        sh_store_relaxed(&rest->count, count - begun);
        plan_retirement(pool, place, old, begun);
        commit(pool, place);
    }
    if (begun < count)
        sh_store_relaxed(&pool->orphans, 1);
    return begun < count;
}

/* A dead worker may have retired a job without waking anybody. */
static void ring_claims(struct sh_pool_shared *pool, struct sh_worker *place)
{
    for (int i = 0; i < 2; i++) {
        struct sh_job *job = sh_pool_find_job(pool, place->claims[i].job);
        if (job)
            ring(&job->word);
    }
}

void sh_turn_bury(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_item_loss loss)
{
    int is_orphan = 0;

    sh_turn_lock(pool);
    struct sh_claim *claim = sh_turn_claim(place);
    place->retires = 0;
    int is_ending = sh_load_relaxed(&pool->phase) >= SH_POOL_TERMINATED; /* then what was running is cancelled */
    if (!is_ending && sh_load_relaxed(&claim->count) && is_sound(pool, claim))
        is_orphan = settle(pool, place, loss);
    sh_turn_keep_block(pool, place);
    sh_store_step(&place->state, SH_WORKER_NONE);
    sh_word_unlock(&pool->take);

    ring_claims(pool, place);
    ring(&pool->event);
    if (is_orphan)
        sh_turn_wake_one(pool);
}

void sh_turn_alarm(struct sh_pool_shared *pool)
{
    for (uint32_t i = 0; i < pool->workers; i++)
        ring_claims(pool, &pool->worker[i]);
    ring(&pool->event);
    if (sh_pool_has_work(pool))
        sh_turn_wake_one(pool);
}

/* --- main --- */

uint64_t sh_turn_cancel(struct sh_pool_shared *pool, uint32_t index)
{
    struct sh_job *job = sh_pool_job(pool, index);
    uint64_t cancelled = 0;
    int is_last = 0;

    sh_turn_lock(pool);
    uint64_t next = sh_load_relaxed(&job->next_item);
    uint64_t limit = sh_load_relaxed(&job->limit);
    if (next < limit) {
        cancelled = limit - next;
        sh_store_relaxed(&job->limit, next);
        is_last = sh_load_relaxed(&job->done) == next;
        if (is_last) {
            sh_store_relaxed(&pool->completed, sh_load_relaxed(&pool->completed) + 1);
            finish(pool, job, index, sh_load_relaxed(&pool->finished));
        }
        first_job(pool); /* passes it over where it was the first */
    }
    sh_word_unlock(&pool->take);
    if (is_last) {
        ring(&job->word);
        ring(&pool->event);
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
