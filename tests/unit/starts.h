/* starts.h - what the tests of processes share: every way to start, and children that report through a queue. */
#ifndef TESTS_UNIT_STARTS_H
#define TESTS_UNIT_STARTS_H

#include "harness.h"

#include <shoal/process.h>
#include <shoal/queue.h>
#include <stdlib.h>
#include <unistd.h>

static const enum shoal_start all_starts[] = {SHOAL_START_FORK, SHOAL_START_FORKSERVER, SHOAL_START_SPAWN};

#define EACH_START(how) for (unsigned each_i = 0; each_i < 3 && ((how) = all_starts[each_i], 1); each_i++)

/* Start function(argument) in this way. */
static inline shoal_process *start(enum shoal_start how, unsigned flags, shoal_process_function *function,
                                   const void *argument, size_t size)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process), .start = how, .flags = flags};
    shoal_process *process = NULL;
    int r = shoal_process_start(&options, function, argument, size, &process);

    if (r < 0)
        FAIL("start in way %d returned %d (%s)", how, r, shoal_strerror(r));
    return process;
}

/* Wait for a process's end, check how it ended, free it. */
#define CHECK_ENDS(process, code, signal) check_ends(__LINE__, process, code, signal)
static inline void check_ends(int line, shoal_process *process, int code, int signal)
{
    struct shoal_exit end = {0};

    CHECK_OK(shoal_process_join(process, test_time(20)));
    CHECK_OK(shoal_process_exit(process, &end));
    if (end.code != code || end.signal != signal)
        FAIL("process started in line %d ended by code %d signal %d", line, end.code, end.signal);
    shoal_process_free(process);
}

/* A queue for reports, and its ref. */
static inline shoal_queue *open_reports(shoal_ref *ret_ref)
{
    shoal_queue *queue;

    CHECK_OK(shoal_queue_open(NULL, &queue));
    CHECK_OK(shoal_queue_ref(queue, ret_ref));
    return queue;
}

/* In a child, where checks have nobody to tell: end with 99 where a call fails. */
static inline void must(long r)
{
    if (r < 0)
        _exit(99);
}

static inline void report(const shoal_ref *ref, long number)
{
    shoal_queue *queue;

    must(shoal_queue_attach(ref, &queue));
    must(shoal_queue_put(queue, &number, sizeof number, SHOAL_FOREVER));
    shoal_queue_free(queue);
}

static inline long next_report(shoal_queue *queue)
{
    long number = 0;

    CHECK_EQ(CHECK_COUNT(shoal_queue_get(queue, &number, sizeof number, test_time(20))), sizeof number);
    return number;
}

/* A process's functions: report the pid and wait for ever. */
static inline int report_and_wait(void *argument, size_t size)
{
    (void)size;
    report(argument, getpid());
    while (pause() < 0)
        ;
    return 0;
}

#endif
