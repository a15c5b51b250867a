/* wait.c - main's threads waiting. */
#include "pool/wait.h"

#include "os/clock.h"
#include "os/spin.h"
#include "pool/crew.h"
#include "pool/table.h"
#include "pool/turn.h"

#include <errno.h>

/* --- jobs that main wants to see --- */

void sh_wait_note(shoal_pool *pool, struct shoal_future *future)
{
    sh_table_append(pool, &pool->ready, future);
    sh_add_relaxed(&pool->due, 1);
}

/* A listed job has ended: it is main's alone now. */
static void see(shoal_pool *pool, struct shoal_future *future)
{
    sh_word_lock(&pool->shared->put);
    future->is_collected = 1;
    if (!future->is_called)
        sh_wait_note(pool, future);
    int is_over = future->is_dropped && future->is_called;
    sh_word_unlock(&pool->shared->put);
    sh_sub_ordered(&pool->listed, 1);
    if (is_over)
        sh_future_end(future);
}

/* The pool has ended with jobs that have not. */
static unsigned see_unfinished(shoal_pool *pool)
{
    uint32_t top = sh_load_acquire(&pool->shared->top);
    unsigned count = 0;

    for (uint32_t i = 1; i < top; i++) {
        struct shoal_future *future = sh_pool_future(pool, i);
        sh_word_lock(&pool->shared->put);
        uint64_t life = sh_load_relaxed(&future->job->life);
        int is_out = !(life & SH_JOB_FREE) && future->is_listed && !future->is_collected;
        sh_word_unlock(&pool->shared->put);
        if (is_out)
            see(pool, future);
        count += (unsigned)is_out;
    }
    return count;
}

unsigned sh_wait_collect(shoal_pool *pool)
{
    struct sh_pool_shared *shared = pool->shared;
    int has_ended = sh_load_acquire(&shared->ended) != 0; /* if so, nothing comes into the list behind the next look */
    uint32_t newest_first = sh_load_relaxed(&shared->finished) ? sh_turn_collect(shared) : 0;
    uint32_t oldest_first = 0;
    unsigned count = 0;

    while (newest_first) {
        struct sh_job *job = sh_pool_job(shared, newest_first);
        uint32_t next = sh_load_relaxed(&job->next_finished);
        sh_store_relaxed(&job->next_finished, oldest_first);
        oldest_first = newest_first;
        newest_first = next;
    }
    while (oldest_first) {
        struct shoal_future *future = sh_pool_future(pool, oldest_first);
        oldest_first = sh_load_relaxed(&future->job->next_finished);
        see(pool, future);
        count++;
    }
    if (sh_unlikely(has_ended && sh_load_relaxed(&pool->listed)))
        count += see_unfinished(pool);
    return count;
}

static struct shoal_future *next_ready(shoal_pool *pool)
{
    struct shoal_future *future = NULL;

    sh_word_lock(&pool->shared->put);
    if (pool->ready.first) {
        future = sh_pool_future(pool, pool->ready.first);
        pool->ready.first = future->next;
        if (!future->next)
            pool->ready.last = 0;
        sh_sub_ordered(&pool->due, 1);
    }
    sh_word_unlock(&pool->shared->put);
    return future;
}

/* A callback may do all that its thread may: nothing is held. */
int sh_wait_call(shoal_pool *pool)
{
    int count = 0;

    for (;;) {
        struct shoal_future *future = next_ready(pool);
        if (!future)
            return count;
        future->callback(future, future->context);
        count++;
        sh_word_lock(&pool->shared->put);
        future->is_called = 1;
        int is_over = future->is_dropped;
        sh_word_unlock(&pool->shared->put);
        if (is_over)
            sh_future_end(future);
    }
}

/* --- waiting --- */

static int start(struct sh_wait *wait)
{
    if (wait->timeout <= 0)
        return -EAGAIN;
    if (!wait->is_started) {
        wait->deadline = wait->timeout == SHOAL_FOREVER ? SH_DEADLINE_NEVER : sh_clock_deadline(wait->timeout);
        wait->is_started = 1;
    }
    return 0;
}

static int spin(shoal_pool *pool, sh_wait_condition *holds, const void *context)
{
    struct sh_spin spin = {0};

    while (sh_spin_goes_on(&spin, sh_load_relaxed(&pool->finisher_cpu))) {
        for (int i = 0; i < SH_SPIN_LOOKS; i++) {
            if (holds(pool, context))
                return 1;
            sh_pause();
        }
    }
    return 0;
}

static int is_anything_due(shoal_pool *pool)
{
    return sh_load_acquire(&pool->shared->finished) != 0;
}

/* Sleep once, unless the condition holds or there are jobs to see. */
static int sleep_once(shoal_pool *pool, struct sh_word *word, sh_wait_condition *holds, const void *context,
                      int64_t deadline)
{
    uint32_t seen = sh_word_prepare(word, SH_WORD_DATA);
    int r = 0;

    if (!holds(pool, context) && !is_anything_due(pool))
        r = sh_word_sleep(word, seen, SH_WORD_DATA, deadline);
    sh_word_forget();
    return r;
}

int sh_wait_until(shoal_pool *pool, struct sh_word *word, sh_wait_condition *holds, const void *context,
                  struct sh_wait *wait)
{
    int has_spun = 0;

    for (;;) {
        if (sh_unlikely(sh_load_relaxed(&pool->listed)))
            sh_wait_collect(pool);
        if (sh_unlikely(sh_load_relaxed(&pool->due)))
            sh_wait_call(pool);
        if (holds(pool, context))
            return 0;
        int r = start(wait);
        if (r < 0)
            return r;
        if (!has_spun && spin(pool, holds, context))
            continue;
        has_spun = 1;
        struct sh_word *place = !word || sh_load_relaxed(&pool->listed) ? &pool->shared->event : word;
        r = sleep_once(pool, place, holds, context, wait->deadline);
        sh_crew_attend(pool);
        if (r < 0)
            return holds(pool, context) ? 0 : r;
    }
}

int sh_wait_room(shoal_pool *pool, struct sh_wait *wait, int (*has_room)(struct sh_pool_shared *shared))
{
    struct sh_pool_shared *shared = pool->shared;
    int r = start(wait);

    if (r < 0)
        return r;
    if (sh_load_relaxed(&pool->listed))
        sh_wait_collect(pool);
    if (sh_load_relaxed(&pool->due))
        sh_wait_call(pool);
    uint32_t seen = sh_word_prepare(&shared->take, SH_WORD_DATA);
    if (!has_room(shared) && sh_load_acquire(&shared->phase) == SH_POOL_OPEN)
        r = sh_word_sleep(&shared->take, seen, SH_WORD_DATA, wait->deadline);
    sh_word_forget();
    if (seen & SH_WORD_DIED) {
        sh_turn_lock(shared);
        sh_word_unlock(&shared->take);
    }
    sh_crew_attend(pool);
    return r;
}
