/* poll.c - descriptors for poll, select and epoll.
 *
 * Each process that polls has a bell of its own (os/bell.h), named in one of the queue's slots. Whoever puts rings the
 * bells that are silent; whoever empties the queue silences them, and then looks once more, since a message may have
 * come between. The byte goes in before `signalled` says so, so a death in between leaves a bell that rings once too
 * often. A death after silencing and before the second look is mended when the dead process is buried. */
#include "queue/poll.h"

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

static void ring(struct sh_queue_poller *poller)
{
    int fd;
    pid_t pid = poller_of(poller, &fd);

    if (pid && !sh_load_ordered(&poller->signalled) && sh_bell_ring(pid, fd) == 0)
        sh_store_ordered(&poller->signalled, 1);
}

void sh_queue_ring_pollers(struct sh_queue_shared *queue)
{
    uint32_t count = sh_min(sh_load_acquire(&queue->pollers), (uint32_t)SH_QUEUE_POLLERS);

    for (uint32_t i = 0; i < count; i++)
        ring(&queue->poller[i]);
}

void sh_queue_silence_pollers(struct sh_queue_shared *queue)
{
    uint32_t count = sh_min(sh_load_acquire(&queue->pollers), (uint32_t)SH_QUEUE_POLLERS);

    if (is_readable(queue))
        return;
    for (uint32_t i = 0; i < count; i++) {
        int fd;
        pid_t pid = poller_of(&queue->poller[i], &fd);
        if (!pid)
            continue;
        sh_store_ordered(&queue->poller[i].signalled, 0);
        sh_bell_silence(pid, fd);
    }
    if (is_readable(queue))
        sh_queue_ring_pollers(queue);
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

    if (!queue)
        return -EINVAL;
    int r = sh_arena_enter();
    if (r < 0)
        return r;
    close_inherited(queue);
    if (sh_load_relaxed(&queue->fd) >= 0)
        return sh_load_relaxed(&queue->fd);
    int fd = sh_bell_open();
    if (fd < 0)
        return fd;
    r = take_slot(queue->shared, &poller);
    if (r < 0) {
        sh_bell_close(fd);
        return r;
    }
    sh_store_ordered(&poller->signalled, 0);
    sh_store_ordered(&poller->fd, fd);
    queue->fd_epoch = sh_thread_process_epoch();
    sh_store_relaxed(&queue->fd, fd);
    if (is_readable(queue->shared))
        ring(poller);
    return fd;
}

void sh_queue_stop_polling(shoal_queue *queue)
{
    int fd = sh_load_relaxed(&queue->fd);

    if (fd < 0)
        return;
    if (sh_member_is_attached() && queue->fd_epoch == sh_thread_process_epoch()) {
        for (uint32_t i = 0; i < SH_QUEUE_POLLERS; i++) {
            struct sh_queue_poller *poller = &queue->shared->poller[i];
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
    uint32_t count = sh_min(sh_load_acquire(&queue->pollers), (uint32_t)SH_QUEUE_POLLERS);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t owner = tag;
        if (sh_cas_ordered(&queue->poller[i].owner, &owner, 0))
            continue;
        sh_store_ordered(&queue->poller[i].signalled, 0);
        if (is_readable(queue))
            ring(&queue->poller[i]);
    }
}
