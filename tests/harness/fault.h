/* fault.h - let the system refuse: each call that can fail, each time it is made, with each error that its manual
 * allows.
 *
 *     TEST(a_queue_that_cannot_be_made_leaves_nothing)
 *     {
 *         test_each_fault(make_queue, free_queue);
 *     }
 *
 * Programs that use it are linked with fault_dep, by which the library's calls of malloc, mmap, fork and so on (calls.c
 * has the list) come here first. With AddressSanitizer, or TEST_FAULTS=turns in the environment, one of a call's errors
 * is tried each time, in turns; else all are. TEST_VERBOSE prints each call, and what came of it. */
#ifndef HARNESS_FAULT_H
#define HARNESS_FAULT_H

#include "harness.h"

/* Whose calls fail. */
enum test_fault_side {
    TEST_FAULT_HERE,        /* those of the process that operates */
    TEST_FAULT_IN_CHILDREN, /* those of the processes that come of it: the first to make its n-th call */
};

/* For each n, in a child of its own: let the n-th call fail that operation makes, up to its end. Where operation then
 * returns an error it must be one that the library has a text for, have left nothing - descriptors, mappings,
 * processes, blocks of the arena, members of the family -, and succeed when it is tried again; undo follows on success.
 * All of that twice: in a process that has not used the library yet, and in one that has done and undone it before. */
void test_each_fault(int (*operation)(void), void (*undo)(void));
void test_each_fault_in(enum test_fault_side side, int (*operation)(void), void (*undo)(void));

/* For operations between calls that are not to fail: with the faults held back, and let go again. */
void test_fault_hold(void);
void test_fault_release(void);

/* The error that a call of this run has failed with, in whichever process; 0 where none has. */
int test_fault_error(void);

/* For calls.c: whether this call is to fail, and with which of its errors; 0 where it is not. */
int test_fault_strikes(const char *name, const int *errors);

#endif
