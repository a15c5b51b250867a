/* join.c - joinable queues. */
#include "queue/join.h"

#include "base/crash.h"
#include "os/clock.h"
#include "queue/queue.h"

#include <errno.h>

/* A process died while it counted: done is the commit; done_by goes with it. */
static void recover(struct sh_queue_join *join)
{
    uint32_t slot = sh_load_relaxed(&join->done_slot);

    if (slot && slot <= SH_MEMBERS_MAX) {
        int committed = sh_load_relaxed(&join->done) != sh_load_relaxed(&join->done_before);
        _Atomic uint32_t *value = committed ? &join->done_by_after : &join->done_by_before;
        sh_store_step(&join->done_by[slot - 1], sh_load_relaxed(value));
    }
    sh_store_step(&join->done_slot, 0);
}

static void lock(struct sh_queue_join *join)
{
    if (sh_word_lock(&join->word) == SHOAL_OWNER_DIED)
        recover(join);
}

static uint32_t unfinished(struct sh_queue_shared *queue)
{
    uint32_t done = sh_load_acquire(&queue->join->done);
    return sh_position_count(sh_load_acquire(&queue->tail)) - done;
}

/* Count `all` messages done, `own` of them as the member's in this slot. The word is held. */
static void count_done(struct sh_queue_join *join, uint32_t slot, uint32_t all, uint32_t own)
{
    uint32_t done = sh_load_relaxed(&join->done);
    uint32_t done_by = sh_load_relaxed(&join->done_by[slot]);

    sh_store_step(&join->done_before, done);
    sh_store_step(&join->done_by_before, done_by);
    sh_store_step(&join->done_by_after, done_by + own);
    sh_store_step(&join->done_slot, slot + 1);
    SH_CRASH_POINT(queue_done_intended);
    sh_store_step(&join->done_by[slot], done_by + own);
    SH_CRASH_POINT(queue_done_counted);
    sh_store_release(&join->done, done + all); /* pairs with the load in unfinished */
    SH_CRASH_POINT(queue_done_committed);
    sh_store_step(&join->done_slot, 0);
}

static void unlock(struct sh_queue_shared *queue)
{
    if (unfinished(queue) == 0)
        sh_word_unlock_all(&queue->join->word, SH_WORD_DATA);
    else
        sh_word_unlock(&queue->join->word);
}

/* Messages that the process in this slot has taken and not said done. */
static uint32_t taken_by(struct sh_queue_join *join, uint32_t slot)
{
    return sh_load_acquire(&join->got[slot]) - sh_load_relaxed(&join->done_by[slot]);
}

/* Whose message is said done: this process's where it has taken one, else anybody's, else nobody's. The word is held.
 */
static int find_taker(struct sh_queue_join *join, uint32_t *ret_slot)
{
    uint32_t top = sh_member_top();

    *ret_slot = sh_member_slot(sh_member_tag());
    if (taken_by(join, *ret_slot))
        return 1;
    for (uint32_t slot = 0; slot < top; slot++) {
        if (taken_by(join, slot)) {
            *ret_slot = slot;
            return 1;
        }
    }
    return 0;
}

/* Begin a call on a queue that has to be joinable. */
static int enter(const shoal_queue *queue)
{
    int r = queue ? sh_handle_enter(&queue->handle) : -EINVAL;

    if (r < 0)
        return r;
    return sh_queue_is_joinable(sh_queue_body(queue)) ? 0 : -ENOTSUP;
}

int shoal_queue_task_done(shoal_queue *queue)
{
    int r = enter(queue);
    if (r < 0)
        return r;
    struct sh_queue_shared *shared = sh_queue_body(queue);
    struct sh_queue_join *join = shared->join;
    lock(join);
    if (unfinished(shared) == 0) {
        r = -EINVAL;
    } else {
        uint32_t slot, own = (uint32_t)find_taker(join, &slot);
        count_done(join, slot, 1, own);
    }
    unlock(shared);
    return r;
}

int shoal_queue_join(shoal_queue *queue, int64_t timeout)
{
    int r = enter(queue);
    if (r < 0)
        return r;
    int64_t deadline = timeout == SHOAL_FOREVER ? SH_DEADLINE_NEVER : sh_clock_deadline(timeout);
    struct sh_queue_shared *shared = sh_queue_body(queue);
    struct sh_queue_join *join = shared->join;
    while (r == 0 && unfinished(shared)) {
        if (timeout <= 0)
            return -EAGAIN;
        uint32_t seen = sh_word_prepare(&join->word, SH_WORD_DATA);
        if (unfinished(shared))
            r = sh_word_sleep(&join->word, seen, SH_WORD_DATA, deadline);
        sh_word_forget();
        if (seen & SH_WORD_DIED) {
            lock(join);
            unlock(shared);
        }
    }
    if (r == 0)
        sh_word_pass(&join->word, SH_WORD_DATA); /* all may go: each wakes the next, should the waker have died */
    return r;
}

int shoal_queue_unfinished(const shoal_queue *queue, uint64_t *ret_unfinished)
{
    int r = ret_unfinished ? enter(queue) : -EINVAL;
    if (r == 0)
        *ret_unfinished = unfinished(sh_queue_body(queue));
    return r;
}

void sh_queue_bury_getter(struct sh_queue_shared *queue, uint32_t tag)
{
    uint32_t slot = sh_member_slot(tag);

    if (!sh_queue_is_joinable(queue) || slot >= SH_MEMBERS_MAX)
        return;
    lock(queue->join);
    uint32_t taken = taken_by(queue->join, slot);
    if (taken) /* others may have said done more than they took, and so for it */
        count_done(queue->join, slot, sh_min(taken, unfinished(queue)), taken);
    unlock(queue);
}
