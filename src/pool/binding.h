/* binding.h - pools of another language: its way of starting their processes, and of running their tasks.
 *
 * The core keeps jobs, turns, the keeper and burial; what it asks a binding for stands here. A binding links the
 * library statically: none of this is exported. */
#ifndef SH_POOL_BINDING_H
#define SH_POOL_BINDING_H

#include "os/process.h"
#include "pool/pool.h"

/* A worker that is to be started. */
struct sh_expected {
    shoal_pool *pool;
    uint32_t index;      /* of its place */
    uint32_t generation; /* it is to say this when it comes */
    uint32_t tag;        /* the member that it will be */
    int ticket;          /* what it follows by */
};

/* How the pool's processes are made, in main and in the keeper, which is a fork of main. */
struct sh_binding {
    /* Fork the keeper, as sh_process_fork does. The child follows by the ticket and is the member tag when it comes
     * back from here. */
    pid_t (*fork)(void *context, uint32_t tag, int ticket, int *ret_pidfd);
    /* Start the process of a place, which comes to sh_binding_serve. 0, or a negative code. *ret_pidfd is -1 where it
     * has ended and is reaped already. */
    int (*launch)(void *context, const struct sh_expected *expected, pid_t *ret_pid, int *ret_pidfd);
    /* How a process of a place has ended, as sh_process_reap. */
    int (*reap)(void *context, uint32_t index, int pidfd, pid_t pid, struct sh_process_end *ret_end);
    void *context;
};

/* As shoal_pool_open; start, initializer, finalizer and their argument are the binding's to see to. Workers that main
 * has started are the binding's to reap; before that, they may be asked for their end. */
int sh_binding_open(const struct shoal_pool_options *options, const struct sh_binding *binding, shoal_pool **ret_pool);

/* How a worker runs tasks. */
struct sh_worker_calls {
    /* Run an item; see pool/run.h. Where it says so by sh_task_abandon, the worker is to end with the item running. */
    shoal_task_function *run;
    /* Around a sleep. The second returns negative where the worker is to end. */
    void (*rest)(void *context);
    int (*resume)(void *context);
    void *context;
};

/* Worker: let go of what a fork has copied of main, or of the keeper. */
void sh_binding_close_inherited(shoal_pool *pool);
/* Worker: tell that it cannot begin, and why; then end. Whether it is the pool's first. */
int sh_binding_refuse(struct sh_pool_shared *pool, uint32_t index, const char *reason);
/* Worker: take turns until there is nothing to do any more: 0; -ECANCELED where it ended with an item running, or by
 * resume. */
int sh_binding_serve(struct sh_pool_shared *pool, uint32_t index, uint32_t generation,
                     const struct sh_worker_calls *calls);

#endif
