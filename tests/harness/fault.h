/* fault.h - let the system refuse: each call that can fail for want of memory, descriptors or processes, in turn.
 *
 *     TEST(a_queue_that_cannot_be_made_leaves_nothing)
 *     {
 *         test_each_fault(make_queue, free_queue);
 *     }
 *
 * Programs that use it are linked with fault_dep, by which the library's calls of malloc, mmap, fork and so on (the
 * list is in fault.c) come here first. TEST_VERBOSE in the environment prints each of them, and what came of it. */
#ifndef HARNESS_FAULT_H
#define HARNESS_FAULT_H

#include "harness.h"

/* Let the n-th such call from now on fail in this process: 1 is the next, 0 none. Its children have it too. */
void test_fault_arm(unsigned n);

/* Let no more calls fail. The name of the function that did, or NULL where it did not come to that. */
const char *test_fault_disarm(void);

/* For each n, in a child of its own: let the n-th call fail that operation makes, up to its end. Where operation then
 * returns an error it must have left nothing, and succeed when it is tried again; undo follows on success. All of that
 * twice: in a process that has not used the library yet, and in one that has done and undone the operation before. */
void test_each_fault(int (*operation)(void), void (*undo)(void));

#endif
