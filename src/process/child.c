/* child.c - the list of processes started, and their ends. */
#include "process/child.h"

#include "arena/member.h"
#include "arena/reclaim.h"
#include "os/clock.h"
#include "os/poll.h"
#include "os/process.h"
#include "process/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* How long daemons may take to end by SIGTERM. */
#define DAEMON_TIME INT64_C(500000000)

static struct shoal_process *first;
static uint32_t list_epoch; /* of the process whose list it is */
static int ends_daemons;    /* end_daemons_at_exit is registered */

/* This process's list: a forked child begins with an empty one. The lock is held. */
static struct shoal_process **own_list(void)
{
    uint32_t epoch = sh_thread_process_epoch();

    if (list_epoch != epoch) {
        first = NULL;
        list_epoch = epoch;
    }
    return &first;
}

static void end_daemons_at_exit(void)
{
    sh_child_end_daemons();
}

void sh_child_add(struct shoal_process *process)
{
    int is_daemon = (process->flags & SHOAL_PROCESS_DAEMON) != 0;

    sh_self_lock();
    struct shoal_process **list = own_list();
    process->next = *list;
    *list = process;
    int first_daemon = is_daemon && !ends_daemons;
    ends_daemons |= is_daemon;
    sh_self_unlock();
    if (first_daemon)
        atexit(end_daemons_at_exit);
}

int sh_child_is_own(const struct shoal_process *process)
{
    if (!process)
        return -EINVAL;
    return process->epoch == sh_thread_process_epoch() ? 0 : -ECHILD;
}

/* Take the exit status: of a child of the forkserver from it, or where it is gone from whoever knows. */
static int reap(const struct shoal_process *process, struct sh_process_end *ret_end)
{
    if (process->server) {
        if (sh_poll_readable(process->pidfd, SH_DEADLINE_PAST) < 0)
            return -EAGAIN;
        if (sh_server_reap(process->server, process->pid, ret_end) == 0)
            return 0;
    }
    return sh_process_reap(process->pidfd, process->pid, ret_end);
}

/* The same, noted in the handle: 1 where it has ended just now, 0 where that was known, -EAGAIN. The lock is held. */
static int note_end(struct shoal_process *process)
{
    struct sh_process_end end;

    if (process->state != SH_CHILD_RUNS)
        return 0;
    int r = reap(process, &end);
    if (r == -EAGAIN)
        return r;
    process->state = r == 0 ? SH_CHILD_ENDED : SH_CHILD_UNKNOWN;
    if (r == 0)
        process->exit = (struct shoal_exit){.code = end.code, .signal = end.signal};
    return 1;
}

int sh_child_settle(struct shoal_process *process)
{
    sh_self_lock();
    int r = note_end(process);
    sh_self_unlock();
    if (r <= 0)
        return r;
    sh_member_cancel(process->tag); /* where it never got so far as to take its place */
    sh_reclaim_dead();
    return 0;
}

static void unlink_from_list(struct shoal_process *process)
{
    struct shoal_process **link = own_list();

    while (*link && *link != process)
        link = &(*link)->next;
    if (*link)
        *link = process->next;
}

static void destroy(struct shoal_process *process)
{
    sh_process_close(process->pidfd);
    free(process);
}

void sh_child_free(struct shoal_process *process)
{
    if (sh_child_is_own(process) < 0) {
        destroy(process);
        return;
    }
    int runs = sh_child_settle(process) < 0;
    sh_self_lock();
    if (runs)
        process->is_freed = 1;
    else
        unlink_from_list(process);
    sh_self_unlock();
    if (!runs)
        destroy(process);
}

/* Take a process out of the list that was freed and has ended. The lock is held. */
static struct shoal_process *take_ended(void)
{
    for (struct shoal_process **link = own_list(); *link; link = &(*link)->next) {
        struct shoal_process *process = *link;
        if (process->is_freed && note_end(process) >= 0) {
            *link = process->next;
            return process;
        }
    }
    return NULL;
}

void sh_child_collect(void)
{
    for (;;) {
        sh_self_lock();
        sh_server_collect();
        struct shoal_process *process = take_ended();
        sh_self_unlock();
        if (!process)
            return;
        sh_member_cancel(process->tag);
        sh_reclaim_dead();
        destroy(process);
    }
}

void sh_child_close_inherited(void)
{
    for (struct shoal_process *process = first; process; process = process->next) {
        sh_process_close(process->pidfd);
        process->pidfd = -1;
    }
    first = NULL;
    list_epoch = sh_thread_process_epoch();
}

/* The next daemon in the list that runs still. The lock is held. */
static struct shoal_process *next_daemon(struct shoal_process *process)
{
    while (process && !((process->flags & SHOAL_PROCESS_DAEMON) && note_end(process) < 0))
        process = process->next;
    return process;
}

static void signal_daemons(int signal)
{
    for (struct shoal_process *at = next_daemon(*own_list()); at; at = next_daemon(at->next))
        sh_process_signal(at->pidfd, signal);
}

/* Wait until no daemon runs, or the deadline. The lock is held. */
static void await_daemons(int64_t deadline)
{
    struct shoal_process *at;

    while ((at = next_daemon(*own_list())))
        if (sh_poll_readable(at->pidfd, deadline) == -ETIMEDOUT)
            return;
}

void sh_child_end_daemons(void)
{
    sh_self_lock();
    signal_daemons(SIGTERM);
    await_daemons(sh_clock_now() + DAEMON_TIME);
    signal_daemons(SIGKILL);
    await_daemons(sh_clock_now() + DAEMON_TIME);
    sh_self_unlock();
}
