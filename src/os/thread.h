/* thread.h - what the library keeps for each thread, and how it notices that it runs in a forked child.
 *
 * The kernel keeps a robust list for each thread: locks that it marks, and whose sleepers it wakes, when the thread
 * dies. One of its fields, list_op_pending, names the one lock that the thread is just taking or releasing. libc
 * registers the list and uses that field only inside its own calls on robust mutexes, so between such calls it can be
 * borrowed: announcing a word there costs a store (see os/word.h).
 *
 * A page that the kernel wipes in forked children holds the process's epoch. Every entry to the library compares it
 * with the epoch that the thread remembers: one load and one branch, with no system call, even for children of a raw
 * clone. Epochs count the generations of forks from the family's first process, so no two that a thread can see are
 * equal. */
#ifndef SH_OS_THREAD_H
#define SH_OS_THREAD_H

#include "base/atomic.h"
#include "base/bits.h"

#include <stdint.h>

struct robust_list_head;

struct sh_thread {
    struct robust_list_head *robust; /* the kernel's list for this thread */
    void *volatile *pending;         /* its field list_op_pending */
    long node;                       /* distance from a word to the address that announces it */
    uint32_t tid;
    uint32_t epoch; /* of the process, when this was filled */
};

extern _Thread_local struct sh_thread sh_thread_state __attribute__((tls_model("initial-exec")));
extern _Atomic(_Atomic uint32_t *) sh_thread_epoch; /* where the process's epoch stands */

/* Fill in this thread's state: its first call into the library, or its first after a fork. */
void sh_thread_enter(void);

/* This thread's state. */
static inline struct sh_thread *sh_thread_self(void)
{
    _Atomic uint32_t *epoch = sh_load_acquire(&sh_thread_epoch); /* pairs with the release in make_page */

    if (sh_unlikely(sh_thread_state.epoch != sh_load_relaxed(epoch)))
        sh_thread_enter();
    return &sh_thread_state;
}

/* The process's epoch: different in a forked child from what it was in its parent, and never 0. */
static inline uint32_t sh_thread_process_epoch(void)
{
    return sh_thread_self()->epoch;
}

#endif
