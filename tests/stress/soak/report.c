/* report.c - the soak's table. */
#include "report.h"

#include <stdio.h>

typedef unsigned long long number; /* to print */

static const char *const names[OP_COUNT] = {
    [OP_NONE] = "nothing",
    [OP_PUT] = "put",
    [OP_PUT_MANY] = "put many",
    [OP_SEND] = "loan and send",
    [OP_GET] = "get",
    [OP_GET_MANY] = "get many",
    [OP_RECEIVE] = "receive",
    [OP_LETTER] = "queue by ref",
    [OP_LOCK] = "lock",
    [OP_PERMIT] = "owned permit",
    [OP_SIGNAL] = "plain semaphore",
    [OP_CONDITION] = "condition",
    [OP_EVENT] = "event",
    [OP_BARRIER] = "barrier",
    [OP_PIPE] = "pipe",
    [OP_POOL] = "pool",
    [OP_PROCESS] = "process",
};

const char *report_name(unsigned operation)
{
    return operation < OP_COUNT ? names[operation] : "?";
}

void report_add(struct report *report)
{
    for (int d = 0; d < DESKS; d++) {
        const struct desk *desk = &ledger->desk[d];
        for (int i = 0; i < OP_COUNT; i++)
            report->done[i] += desk->done[i];
        report->tasks += desk->tasks;
        report->tasks_lost += desk->tasks_lost;
        report->tasks_cancelled += desk->tasks_cancelled;
        report->tasks_left += desk->tasks_left;
        report->keepers += desk->keepers;
    }
}

void report_sample(struct report *report, const struct shoal_arena_stats *stats, uint64_t memory, int descriptors)
{
    uint64_t i = report->rounds;

    if (i < MOST_ROUNDS) {
        report->in_use[i] = (uint32_t)(stats->in_use / 1024);
        report->committed[i] = (uint32_t)(stats->committed / 1024);
        report->memory[i] = (uint32_t)memory;
        report->descriptors[i] = (uint32_t)descriptors;
        report->rounds++;
    }
}

static uint64_t all_done(const struct report *report)
{
    uint64_t sum = 0;

    for (int i = 0; i < OP_COUNT; i++)
        sum += report->done[i];
    return sum;
}

void report_line(const struct report *report)
{
    printf(
        "# %lld s: %llu operations, %llu kills, %llu sent, %llu got, %llu lost (%llu might be); %u KiB arena, %u KiB "
        "own, %u descriptors\n",
        (long long)report->seconds, (number)all_done(report), (number)report->kills, (number)report->sent,
        (number)report->got, (number)report->lost, (number)report->may_be_lost, report->committed[report->rounds - 1],
        report->memory[report->rounds - 1], report->descriptors[report->rounds - 1]);
    fflush(stdout);
}

static struct level level_of(const struct report *report, const uint32_t *samples)
{
    struct level level = {0};
    uint64_t fifth = report->rounds / 5;

    for (uint64_t i = 0; i < report->rounds; i++) {
        if (samples[i] > level.most)
            level.most = samples[i];
        if (i < 3 * fifth && samples[i] > level.first)
            level.first = samples[i];
        if (i >= report->rounds - fifth && samples[i] > level.last)
            level.last = samples[i];
    }
    return level;
}

static void print_level(const char *name, struct level level)
{
    printf("# %-28s first three fifths %8llu   last %8llu   most %8llu\n", name, (number)level.first,
           (number)level.last, (number)level.most);
}

void report_print(const struct report *report)
{
    printf("# soak of %lld s in %llu rounds, TEST_SEED=0x%llx\n", (long long)report->seconds, (number)report->rounds,
           (number)report->seed);
    printf("# %-28s %12s %12s\n", "operation", "done", "killed in it");
    for (int i = 1; i < OP_COUNT; i++)
        printf("# %-28s %12llu %12llu\n", names[i], (number)report->done[i], (number)report->killed_in[i]);
    printf("# kills %llu, stops %llu; members that died %llu, blocks taken back %llu\n", (number)report->kills,
           (number)report->stops, (number)report->deaths, (number)report->reclaimed);
    printf(
        "# messages: sent %llu, got %llu (of them left at a round's end %llu), lost %llu of %llu that deaths explain\n",
        (number)report->sent, (number)report->got, (number)report->left, (number)report->lost,
        (number)report->may_be_lost);
    printf("# messages whose producer died in put: %llu, of which %llu came\n", (number)report->unknown,
           (number)report->unsaid);
    printf("# locks whose next owner was told of a death: %llu\n", (number)report->told);
    printf("# tasks: %llu, of them lost with a worker %llu, cancelled %llu, not waited for %llu; keepers killed %llu\n",
           (number)report->tasks, (number)report->tasks_lost, (number)report->tasks_cancelled,
           (number)report->tasks_left, (number)report->keepers);
    print_level("arena in use, KiB", level_of(report, report->in_use));
    print_level("arena, KiB", level_of(report, report->committed));
    print_level("controller's memory, KiB", level_of(report, report->memory));
    print_level("controller's descriptors", level_of(report, report->descriptors));
    fflush(stdout);
}

/* A short run has no beginning to compare its end with. What the arena holds from the kernel is as much as there ever
 * was in use at a time, of each size: that takes minutes to level off. */
void report_check_flat(const struct report *report)
{
    enum { ROUNDS_TO_TELL = 50 };

    if (report->rounds < ROUNDS_TO_TELL)
        return;
    struct level in_use = level_of(report, report->in_use), committed = level_of(report, report->committed),
                 memory = level_of(report, report->memory), descriptors = level_of(report, report->descriptors);
    CHECK_LE(in_use.last, in_use.first + in_use.first / 10);
    CHECK_LE(committed.last, committed.first + committed.first / 4);
    CHECK_LE(memory.last, memory.first + 1024);
    CHECK_EQ(descriptors.last, descriptors.first);
}
