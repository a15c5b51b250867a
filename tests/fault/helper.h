/* helper.h - a process that brings about what another waits for, while only the waiter's calls fail. */
#ifndef TESTS_FAULT_HELPER_H
#define TESTS_FAULT_HELPER_H

#include "arena/reclaim.h"
#include "fault.h"
#include "harness.h"

#include <sys/wait.h>
#include <unistd.h>

/* Let a child do begin, then wait in this process, and when it sleeps let the child do end. Returns what wait did. */
static inline int wait_for_helper(void (*begin)(void), int (*wait)(void), void (*end)(void))
{
    pid_t waiter = getpid();
    int ready[2];
    char byte;

    test_fault_hold();
    CHECK_SYS(pipe(ready));
    pid_t pid = FORK();
    if (pid == 0) {
        begin();
        CHECK_SYS(write(ready[1], "", 1));
        test_await_asleep(waiter);
        end();
        test_exit(0);
    }
    CHECK_SYS(read(ready[0], &byte, 1));
    CHECK_SYS(close(ready[0]));
    CHECK_SYS(close(ready[1]));
    test_fault_release();
    int r = wait();
    test_fault_hold();
    CHECK_EXITS(pid, 0);
    sh_reclaim_wait();
    test_fault_release();
    return r;
}

static inline void nothing(void)
{
}

#endif
