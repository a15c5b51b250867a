/* arena.c - death in the arena: attaching, allocating and freeing by every path, and burying another dead process. */
#include "arena/arena.h"

#include "arena/block.h"
#include "arena/reclaim.h"
#include "os/word.h"
#include "whole.h"

#include <sys/wait.h>
#include <unistd.h>

#define CACHED 8      /* blocks of a class that a thread keeps */
#define PACKED 3000   /* blocks of this size have their pages with the slab */
#define PAGED 100000  /* blocks of this size have their pages reserved one by one */
#define DIRECT 400000 /* blocks of this size have a slab of their own */
#define MOST 3000000  /* nearly all that the family may hold */

static uint64_t block;

static void setup(void)
{
    whole_open();
    whole_note();
}

static uint64_t take(uint64_t size)
{
    uint64_t offset = 0;

    CRASH_EQ(CRASH_BROKEN, sh_block_alloc(size, &offset), 0);
    return offset;
}

static void enter(void)
{
    CRASH_EQ(CRASH_BROKEN, sh_arena_enter(), 0);
}

/* Every kind of block can be had twice, and given back. */
static void check(void)
{
    static const uint64_t sizes[] = {64, PACKED, PAGED, DIRECT};
    uint64_t offset;

    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            CRASH_EQ(CRASH_TORN, sh_block_alloc(sizes[i], &offset), 0);
            sh_block_free(offset);
        }
    }
    whole_check();
}

static void attach(void)
{
    sh_arena_enter();
}

static void alloc_small(void)
{
    sh_block_alloc(64, &block);
}

static void alloc_packed(void)
{
    sh_block_alloc(PACKED, &block);
}

static void alloc_paged(void)
{
    sh_block_alloc(PAGED, &block);
}

static void alloc_direct(void)
{
    sh_block_alloc(DIRECT, &block);
}

static void alloc_most(void)
{
    sh_block_alloc(MOST, &block);
}

static void free_block(void)
{
    sh_block_free(block);
}

static void flush(void)
{
    sh_block_flush();
}

/* Its cache holds a block. */
static void prepare_cached(void)
{
    enter();
    sh_block_free(take(64));
}

/* There is a slab with free blocks, and nothing in the cache. */
static void prepare_slab(void)
{
    enter();
    take(64);
}

/* The newest slab is full. */
static void prepare_full_slab(void)
{
    struct sh_block found;

    enter();
    block = take(PACKED);
    CRASH_EQ(CRASH_BROKEN, sh_block_find(block, &found), 0);
    for (uint32_t i = 1; i < found.slab->blocks; i++)
        take(PACKED);
}

static void prepare_small(void)
{
    enter();
    block = take(64);
}

/* The cache is full: the next block that is freed goes back to its slab. */
static void prepare_full_cache(void)
{
    uint64_t blocks[CACHED];

    enter();
    for (int i = 0; i < CACHED; i++)
        blocks[i] = take(64);
    block = take(64);
    for (int i = 0; i < CACHED; i++)
        sh_block_free(blocks[i]);
}

static void prepare_paged(void)
{
    enter();
    block = take(PAGED);
}

static void prepare_direct(void)
{
    enter();
    block = take(DIRECT);
}

/* A block of the size is free, and its pages are still reserved. */
static void prepare_warm_paged(void)
{
    enter();
    sh_block_free(take(PAGED));
}

static void prepare_warm_direct(void)
{
    enter();
    sh_block_free(take(DIRECT));
}

/* Nearly all memory that the family may hold is reserved, by free blocks: others have to give theirs back first. */
static void prepare_all_warm(void)
{
    uint64_t blocks[40];
    int count = 0;

    enter();
    while (count < 40 && sh_block_alloc(DIRECT, &blocks[count]) == 0)
        count++;
    while (count > 0)
        sh_block_free(blocks[--count]);
}

/* More is warm than may be: what is freed next goes back to the kernel at once. */
static void prepare_nothing_warm(void)
{
    enter();
    block = take(DIRECT);
    sh_add_ordered(&sh_arena.shared->warm, INT64_C(1) << 40);
}

static void check_nothing_warm(void)
{
    sh_sub_ordered(&sh_arena.shared->warm, INT64_C(1) << 40);
    check();
}

/* Somebody has died with blocks of every kind of slab. */
static void setup_corpse(void)
{
    setup();
    pid_t pid = fork();
    if (pid == 0) {
        enter();
        take(PACKED);
        take(PAGED);
        take(DIRECT);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        crash_fail(CRASH_BROKEN, "fork");
}

static void bury(void)
{
    sh_reclaim_dead();
}

/* Somebody has died holding the arena's word. */
static void setup_orphan(void)
{
    setup();
    pid_t pid = fork();
    if (pid == 0) {
        enter();
        take(PACKED);
        sh_word_lock(&sh_arena.shared->word);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        crash_fail(CRASH_BROKEN, "fork");
}

#define PLAIN .setup = setup, .check = check

static const struct crash_case cases[] = {
    {"attach", PLAIN, .operation = attach},
    {"alloc, from the cache", PLAIN, .prepare = prepare_cached, .operation = alloc_small},
    {"alloc, from a slab", PLAIN, .prepare = prepare_slab, .operation = alloc_small},
    {"alloc, first slab", PLAIN, .prepare = enter, .operation = alloc_small},
    {"alloc, one more slab", PLAIN, .prepare = prepare_full_slab, .operation = alloc_packed},
    {"alloc, packed slab", PLAIN, .prepare = enter, .operation = alloc_packed},
    {"alloc, paged slab", PLAIN, .prepare = enter, .operation = alloc_paged},
    {"alloc, paged, warm", PLAIN, .prepare = prepare_warm_paged, .operation = alloc_paged},
    {"alloc, paged, cold", PLAIN, .prepare = prepare_paged, .operation = alloc_paged},
    {"alloc, direct", PLAIN, .prepare = enter, .operation = alloc_direct},
    {"alloc, direct, warm", PLAIN, .prepare = prepare_warm_direct, .operation = alloc_direct},
    {"alloc, others give back", PLAIN, .prepare = prepare_all_warm, .operation = alloc_most},
    {"free, to the cache", PLAIN, .prepare = prepare_small, .operation = free_block},
    {"free, to the slab", PLAIN, .prepare = prepare_full_cache, .operation = free_block},
    {"free, paged", PLAIN, .prepare = prepare_paged, .operation = free_block},
    {"free, direct", PLAIN, .prepare = prepare_direct, .operation = free_block},
    {"free, direct, to the kernel", .setup = setup, .prepare = prepare_nothing_warm, .operation = free_block,
     .check = check_nothing_warm},
    {"flush the cache", PLAIN, .prepare = prepare_full_cache, .operation = flush},
    {"bury the dead", .setup = setup_corpse, .prepare = enter, .operation = bury, .check = check},
    {"mend the heap", .setup = setup_orphan, .prepare = enter, .operation = alloc_packed, .check = check},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
