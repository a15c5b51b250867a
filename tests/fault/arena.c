/* arena.c - the arena where memory, descriptors and address space run out. */
#include "arena/arena.h"

#include "arena/block.h"
#include "fault.h"
#include "harness.h"

#include <shoal/arena.h>

static uint64_t block;

static int enter(void)
{
    return sh_arena_enter();
}

static void nothing(void)
{
}

static int take_small(void)
{
    int r = sh_arena_enter();

    return r < 0 ? r : sh_block_alloc(100, &block);
}

static int take_large(void)
{
    int r = sh_arena_enter();

    return r < 0 ? r : sh_block_alloc(8 << 20, &block);
}

static void give_back(void)
{
    struct shoal_arena_stats before, after;

    CHECK_OK(shoal_arena_stats(&before));
    sh_block_free(block);
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&after));
    CHECK_EQ(before.blocks, after.blocks + 1);
}

TEST(an_arena_that_cannot_be_made_leaves_nothing)
{
    test_each_fault(enter, nothing);
}

TEST(a_small_block_that_cannot_be_had_leaves_nothing)
{
    test_each_fault(take_small, give_back);
}

TEST(a_large_block_that_cannot_be_had_leaves_nothing)
{
    test_each_fault(take_large, give_back);
}
