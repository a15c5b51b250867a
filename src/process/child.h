/* child.h - this process's side of the processes that it started: handles, and the list of them.
 *
 * The list is private memory. Fork copies it, with the handles: the copies are of processes that are not the child's,
 * which the epoch tells. A handle that is freed while its process runs stays in the list, and is reaped by a later call
 * of this layer. */
#ifndef SH_PROCESS_CHILD_H
#define SH_PROCESS_CHILD_H

#include "process/self.h"

#include <shoal/process.h>
#include <stdint.h>
#include <sys/types.h>

enum sh_child_state {
    SH_CHILD_RUNS,
    SH_CHILD_ENDED,   /* exit says how */
    SH_CHILD_UNKNOWN, /* it ended; how, somebody else was told */
};

/* epoch, pid, pidfd, tag, flags, server and name are written before the handle is given out; the rest, and next, is
 * protected by sh_self_lock. pidfd is -1 in a child that this layer forked. */
struct shoal_process {
    struct shoal_process *next;
    uint32_t epoch;  /* of the process that started it */
    uint32_t tag;    /* the member that it is to be */
    uint32_t server; /* which forkserver forked it; 0: none, it is a child of this process */
    uint32_t flags;
    pid_t pid;
    int pidfd;
    enum sh_child_state state;
    int is_freed;
    struct shoal_exit exit;
    char name[SH_NAME_SIZE];
};

/* Enter a process that has started; leave out of it what will be freed. */
void sh_child_add(struct shoal_process *process);

/* Whether this process started it: 0, -EINVAL, -ECHILD. */
int sh_child_is_own(const struct shoal_process *process);

/* See whether it has ended, and take back what it held: 0, or -EAGAIN while it runs. */
int sh_child_settle(struct shoal_process *process);

/* The handle is not used any more: free it, now or when its process has ended. */
void sh_child_free(struct shoal_process *process);

/* Reap the processes that ended after their handles were freed. */
void sh_child_collect(void);

/* In a child that this layer has just forked, before anything else uses the list: close its parent's pidfds. */
void sh_child_close_inherited(void);

/* Terminate this process's daemons, and wait for them for a moment; kill what has not gone then. */
void sh_child_end_daemons(void);

#endif
