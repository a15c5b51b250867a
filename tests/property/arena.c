/* arena.c - random allocation by random processes, some of which are killed: no two blocks overlap, nothing is left. */
#include "arena/arena.h"

#include "arena/block.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "harness.h"

#include <shoal/arena.h>
#include <signal.h>
#include <unistd.h>

enum { MOST = 200 };

struct held {
    uint64_t offset, size;
    unsigned char mark;
};

static uint64_t random_size(uint64_t *seed)
{
    return test_random_below(seed, UINT64_C(1) << test_random_below(seed, 23));
}

/* Write at both ends and at page borders: what overlaps, or is given to two, shows. */
static void mark(const struct held *held)
{
    unsigned char *bytes = sh_at(held->offset);

    for (uint64_t i = 0; i < held->size; i += 4096)
        bytes[i] = held->mark;
    if (held->size)
        bytes[held->size - 1] = held->mark;
}

static void check_mark(const struct held *held)
{
    unsigned char *bytes = sh_at(held->offset);

    CHECK_EQ(sh_block_owner(held->offset), sh_member_tag());
    for (uint64_t i = 0; i < held->size; i += 4096)
        CHECK_EQ(bytes[i], held->mark);
    if (held->size)
        CHECK_EQ(bytes[held->size - 1], held->mark);
}

static void allocate_at_random(uint64_t seed, int steps, unsigned char own)
{
    struct held held[MOST];
    size_t count = 0;

    CHECK_OK(sh_arena_enter());
    for (int step = 0; step < steps; step++) {
        if (count < MOST && test_random_below(&seed, 5) > 1) {
            struct held *next = &held[count];
            *next = (struct held){.size = random_size(&seed), .mark = (unsigned char)(own ^ step)};
            int r = sh_block_alloc(next->size, &next->offset);
            if (r == -ENOMEM)
                continue;
            CHECK_OK(r);
            mark(next);
            count++;
        } else if (count) {
            size_t i = test_random_below(&seed, count);
            check_mark(&held[i]);
            sh_block_free(held[i].offset);
            held[i] = held[--count];
        }
    }
    while (count) {
        check_mark(&held[--count]);
        sh_block_free(held[count].offset);
    }
    sh_block_flush();
}

static void check_empty(uint64_t blocks)
{
    struct shoal_arena_stats stats;

    CHECK_OK(shoal_arena_stats(&stats));
    CHECK_EQ(stats.blocks, blocks);
    if (sh_arena_check() < 0)
        FAIL("%s", sh_check_note);
}

static void open_arena(uint64_t limit)
{
    CHECK_OK(shoal_arena_open(&(struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .limit = limit}));
}

TEST_WITHIN(60, blocks_of_one_process_keep_what_is_written)
{
    open_arena(UINT64_C(100) << 20);
    allocate_at_random(test_seed(), 20000, 1);
    check_empty(0);
}

TEST_WITHIN(60, blocks_of_several_processes_do_not_meet)
{
    pid_t pids[4];

    open_arena(UINT64_C(60) << 20);
    for (int i = 0; i < 4; i++)
        CHILD(pids[i])
            allocate_at_random(test_seed() + (uint64_t)i, 6000, (unsigned char)(i << 6));
    for (int i = 0; i < 4; i++)
        CHECK_EXITS(pids[i], 0);
    sh_reclaim_wait();
    check_empty(0);
}

TEST_WITHIN(90, killed_processes_leave_nothing_whenever_they_die)
{
    uint64_t seed = test_seed();

    open_arena(UINT64_C(60) << 20);
    for (int round = 0; round < 100; round++) {
        pid_t victim, bystander;
        CHILD(victim)
            allocate_at_random(test_random(&seed), 1000000, 0x55);
        CHILD(bystander)
            allocate_at_random(test_random(&seed) + 1, 300, 0xaa);
        usleep((useconds_t)test_random_below(&seed, 15000));
        CHECK_SYS(kill(victim, SIGKILL));
        CHECK_KILLED(victim, SIGKILL);
        CHECK_EXITS(bystander, 0);
        sh_reclaim_wait();
        check_empty(0);
    }
}
