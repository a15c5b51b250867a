/* poll.c - descriptors for poll, select and epoll.
 *
 * Each process that polls has a bell of its own (os/bell.h), named in one of the queue's slots. All bells are rung and
 * silenced under tail_word: rung before a message is committed, silenced where there is none. So whoever dies, and
 * wherever, a bell that should ring does: one that rings for a message that never came, or was just taken, is silenced
 * by the next get that finds nothing. The byte goes in before `signalled` says so, and comes out after it. */
#include "queue/poll.h"

#include "base/crash.h"
#include "os/bell.h"
#include "queue/side.h"

#include <errno.h>

static int is_readable(struct sh_queue_shared *queue)
{
    return sh_queue_has_message(queue) || sh_load_acquire(&queue->closed);
}

/* The slot's process and descriptor; 0 where nobody polls here (any more). */
static pid_t poller_of(struct sh_queue_poller *poller, int *ret_fd)
{
    uint32_t owner = sh_load_acquire(&poller->owner);

    *ret_fd = owner ? sh_load_acquire(&poller->fd) : -1;
    return *ret_fd < 0 ? 0 : sh_member_pid(owner);
}

/* The tail word is held. */
static int ring(struct sh_queue_poller *poller)
{
    int fd;
    pid_t pid = poller_of(poller, &fd);
    int r = pid && !sh_load_relaxed(&poller->signalled) ? sh_bell_ring(pid, fd) : -ESRCH;

    if (r == 0) {
        SH_CRASH_POINT(queue_rung);
        sh_store_step(&poller->signalled, 1);
    }
    return r == -ESRCH ? 0 : r;
}

static uint32_t poller_count(struct sh_queue_shared *queue)
{
    return sh_min(sh_load_acquire(&queue->pollers), (uint32_t)SH_QUEUE_POLLERS);
}

int sh_queue_ring_pollers(struct sh_queue_shared *queue)
{
    uint32_t count = poller_count(queue);
    int result = 0;

    for (uint32_t i = 0; i < count; i++) {
        int r = ring(&queue->poller[i]);
        if (r < 0)
            result = r;
    }
    return result;
}

/* Whether there may be a byte in the bell. In its own a process looks each time: who rang it may have died before he
 * said so. */
static int may_ring(struct sh_queue_poller *poller)
{
    return sh_load_relaxed(&poller->signalled) || sh_load_relaxed(&poller->owner) == sh_member_tag();
}

static void silence(struct sh_queue_poller *poller)
{
    int fd;
    pid_t pid = poller_of(poller, &fd);

    if (pid && may_ring(poller)) {
        sh_store_step(&poller->signalled, 0);
        SH_CRASH_POINT(queue_silencing);
        sh_bell_silence(pid, fd);
    }
}

void sh_queue_silence_pollers(struct sh_queue_shared *queue)
{
    uint32_t count = poller_count(queue);
    int any = 0;

    for (uint32_t i = 0; i < count; i++)
        any |= may_ring(&queue->poller[i]);
    if (!any || is_readable(queue))
        return;
    sh_queue_lock_tail(queue);
    for (uint32_t i = 0; i < count && !is_readable(queue); i++)
        silence(&queue->poller[i]);
    sh_word_unlock_all(&queue->tail_word, 0);
}

static int take_slot(struct sh_queue_shared *queue, struct sh_queue_poller **ret_poller)
{
    for (uint32_t i = 0; i < SH_QUEUE_POLLERS; i++) {
        struct sh_queue_poller *poller = &queue->poller[i];
        uint32_t owner = sh_load_acquire(&poller->owner);
        if ((owner == 0 || sh_member_is_dead(owner)) && sh_cas_ordered(&poller->owner, &owner, sh_member_tag())) {
            uint32_t count = sh_load_relaxed(&queue->pollers);
            while (count <= i && !sh_cas_ordered(&queue->pollers, &count, i + 1))
                continue;
            *ret_poller = poller;
            return 0;
        }
    }
    return -ENOSPC;
}

/* A forked child has its parent's bell: its own is another. */
static void close_inherited(shoal_queue *queue)
{
    int fd = sh_load_relaxed(&queue->fd);

    if (fd >= 0 && queue->fd_epoch != sh_thread_process_epoch()) {
        sh_bell_close(fd);
        sh_store_relaxed(&queue->fd, -1);
    }
}

int shoal_queue_fd(shoal_queue *queue)
{
    struct sh_queue_poller *poller;

    int r = queue ? sh_handle_enter(&queue->handle) : -EINVAL;
    if (r < 0)
        return r;
    close_inherited(queue);
    if (sh_load_relaxed(&queue->fd) >= 0)
        return sh_load_relaxed(&queue->fd);
    int fd = sh_bell_open();
    if (fd < 0)
        return fd;
    struct sh_queue_shared *shared = sh_queue_body(queue);
    r = take_slot(shared, &poller);
    if (r < 0) {
        sh_bell_close(fd);
        return r;
    }
    sh_store_ordered(&poller->signalled, 0);
    sh_store_ordered(&poller->fd, fd);
    queue->fd_epoch = sh_thread_process_epoch();
    sh_store_relaxed(&queue->fd, fd);
    sh_queue_lock_tail(shared);
    if (is_readable(shared))
        ring(poller);
    sh_word_unlock_all(&shared->tail_word, 0);
    return fd;
}

void sh_queue_stop_polling(shoal_queue *queue)
{
    int fd = sh_load_relaxed(&queue->fd);

    if (fd < 0)
        return;
    if (sh_member_is_attached() && queue->fd_epoch == sh_thread_process_epoch()) {
        for (uint32_t i = 0; i < SH_QUEUE_POLLERS; i++) {
            struct sh_queue_poller *poller = &sh_queue_body(queue)->poller[i];
            if (sh_load_acquire(&poller->owner) == sh_member_tag() && sh_load_relaxed(&poller->fd) == fd) {
                sh_store_ordered(&poller->fd, -1);
                sh_store_ordered(&poller->owner, 0);
            }
        }
    }
    sh_bell_close(fd);
}

void sh_queue_bury_poller(struct sh_queue_shared *queue, uint32_t tag)
{
    uint32_t count = poller_count(queue);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t owner = tag;
        sh_cas_ordered(&queue->poller[i].owner, &owner, 0);
    }
}
