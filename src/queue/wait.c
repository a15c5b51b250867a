/* wait.c - waiting for a message or for room. */
#include "queue/wait.h"

#include "base/crash.h"
#include "os/clock.h"
#include "os/spin.h"
#include "queue/poll.h"
#include "queue/side.h"

#include <errno.h>

typedef int condition(struct sh_queue_shared *queue, uint64_t size);

/* Who follows at the other side's heels takes a cache line from it with every message, and both become four times as
 * slow. So where the other side runs ahead - after a short wait there is more than one message, or place - this side
 * waits longer before it looks, and finds a batch. In a question and answer there is never more than one, so there it
 * looks at once, but for a rare trial. A queue's lag, a hint that all on one side share: how many pauses to wait; where
 * it is negative, how many waits are left before the next trial. */
#define LAG_LEAST 32
#define LAG_MOST 256
#define LAG_TRIAL (-256)

static int32_t next_lag(int32_t lag, int found)
{
    if (lag < 0)
        return lag < -1 ? lag + 1 : LAG_LEAST;
    if (found <= 1)
        return LAG_TRIAL;
    return sh_max(LAG_LEAST, sh_min(lag * 2, LAG_MOST));
}

static int spin(struct sh_queue_shared *queue, condition *holds, uint64_t size, _Atomic uint32_t *other_cpu,
                _Atomic int32_t *shared_lag)
{
    int32_t lag = sh_load_relaxed(shared_lag);
    struct sh_spin spin = {0};

    while (sh_spin_goes_on(&spin, sh_load_relaxed(other_cpu))) {
        for (int32_t i = 0; spin.rounds == 1 && i < lag; i++)
            sh_pause();
        for (int i = 0; i < SH_SPIN_LOOKS; i++) {
            int found = holds(queue, size);
            if (found) {
                sh_store_relaxed(shared_lag, next_lag(lag, found));
                return 1;
            }
            sh_pause();
        }
    }
    return 0;
}

static int start(struct sh_queue_wait *wait)
{
    if (wait->timeout <= 0)
        return -EAGAIN;
    if (!wait->started) {
        wait->deadline = wait->timeout == SHOAL_FOREVER ? SH_DEADLINE_NEVER : sh_clock_deadline(wait->timeout);
        wait->started = 1;
    }
    return 0;
}

/* Sleep once in a word's data class unless the condition holds. mend takes the word and mends what a dead holder left;
 * it is called with nothing announced. */
static int sleep_once(struct sh_queue_shared *queue, struct sh_word *word, condition *holds, uint64_t size,
                      void (*lock)(struct sh_queue_shared *), struct sh_queue_wait *wait)
{
    uint32_t seen = sh_word_prepare(word, SH_WORD_DATA);
    int r = 0;

    wait->slept = 1;
    if (!holds(queue, size) && !sh_load_acquire(&queue->closed))
        r = sh_word_sleep(word, seen, SH_WORD_DATA, wait->deadline);
    sh_word_forget();
    if (seen & SH_WORD_DIED) {
        lock(queue);
        sh_word_unlock(word);
    }
    return r;
}

static int message_is_there(struct sh_queue_shared *queue, uint64_t unused)
{
    (void)unused;
    return sh_queue_has_message(queue);
}

int sh_queue_refuses(struct sh_queue_shared *queue)
{
    uint32_t closed = sh_load_acquire(&queue->closed);

    if (sh_unlikely(closed == SH_QUEUE_CLOSING)) {
        sh_queue_lock_tail(queue);
        sh_queue_signal(queue);
        sh_store_release(&queue->closed, SH_QUEUE_CLOSED);
        SH_CRASH_POINT(queue_closed);
        sh_word_unlock_all(&queue->tail_word, SH_WORD_DATA);
    }
    return closed != SH_QUEUE_OPEN;
}

int sh_queue_wait_message(struct sh_queue_shared *queue, struct sh_queue_wait *wait)
{
    int is_closed = sh_queue_refuses(queue); /* before the look for a message: none comes after it */

    if (sh_queue_has_message(queue))
        return 0;
    if (is_closed)
        return -EPIPE;
    int r = start(wait);
    if (r < 0 || spin(queue, message_is_there, 0, &queue->producer_cpu, &queue->consumer_lag))
        return r;
    return sleep_once(queue, &queue->tail_word, message_is_there, 0, sh_queue_lock_tail, wait);
}

int sh_queue_wait_room(struct sh_queue_shared *queue, struct sh_queue_wait *wait, uint64_t size)
{
    if (sh_queue_refuses(queue))
        return -EPIPE;
    if (sh_queue_has_room(queue, size))
        return 0;
    int r = start(wait);
    if (r < 0 || spin(queue, sh_queue_has_room, size, &queue->consumer_cpu, &queue->producer_lag))
        return r;
    return sleep_once(queue, &queue->head_word, sh_queue_has_room, size, sh_queue_lock_head, wait);
}

void sh_queue_pass_message(struct sh_queue_shared *queue, const struct sh_queue_wait *wait)
{
    if (wait->slept && (sh_queue_has_message(queue) || sh_load_acquire(&queue->closed)))
        sh_word_pass(&queue->tail_word, SH_WORD_DATA);
}

void sh_queue_pass_room(struct sh_queue_shared *queue, const struct sh_queue_wait *wait)
{
    if (wait->slept && (sh_queue_has_room(queue, 1) || sh_load_acquire(&queue->closed)))
        sh_word_pass(&queue->head_word, SH_WORD_DATA);
}
