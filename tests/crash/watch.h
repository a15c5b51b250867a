/* watch.h - looks at another process from outside: does it sleep, how often did it sleep, has it ended. */
#ifndef CRASH_WATCH_H
#define CRASH_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether the process sleeps in a futex wait, or a poll, now. One that was woken and waits for a processor does not. */
bool watch_asleep(pid_t pid);

/* Whether all children of the process sleep so, or have ended: none of them is at work. */
bool watch_children_asleep(pid_t pid);

/* How often it has gone to sleep so far (voluntary context switches). */
uint64_t watch_sleeps(pid_t pid);

/* Whether it stays asleep in one and the same wait for this long (nanoseconds): nobody has woken it. */
bool watch_sleeps_on(pid_t pid, int64_t time);

/* Wait until the child ends, but not longer than time. 1 and *ret_status where it has ended and is reaped, else 0. */
int watch_end(pid_t pid, int pidfd, int64_t time, int *ret_status);

int watch_open(pid_t pid);

/* Say on which words the process sleeps, what it expects there, and what is there now. The words are to be mapped here
 * at the same addresses. */
void watch_describe(pid_t pid, char *text, size_t size);

void watch_nap(int64_t time);

#endif
