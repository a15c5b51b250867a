/* pair_arena.c - two processes that allocate, free and bury at the same time. */
#include "arena/arena.h"
#include "arena/block.h"
#include "arena/reclaim.h"
#include "os/word.h"
#include "pair.h"
#include "whole.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CACHED 8
#define PACKED 3000
#define PAGED 100000
#define DIRECT 400000

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

/* Mine is nobody else's: what is written there is still there when the other has gone on. */
static void use(uint64_t size)
{
    unsigned self = pair_self();
    _Atomic uint32_t *first;

    if (sh_block_alloc(size, &block) < 0)
        return;
    first = sh_at(block);
    sh_store_relaxed(first, self + 1);
    if (sh_exchange_ordered(first, self + 1) != self + 1)
        crash_fail(CRASH_TORN, "two have one block");
    sh_block_free(block);
}

static void use_small(void)
{
    use(64);
}

static void use_packed(void)
{
    use(PACKED);
}

static void use_paged(void)
{
    use(PAGED);
}

static void use_direct(void)
{
    use(DIRECT);
}

static void free_block(void)
{
    sh_block_free(block);
}

static void flush(void)
{
    sh_block_flush();
}

static void bury(void)
{
    sh_reclaim_dead();
}

static void prepare_slab(void)
{
    enter();
    take(64);
}

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

static void prepare_direct(void)
{
    enter();
    block = take(DIRECT);
}

/* Somebody has died with blocks of every kind of slab, and, in one case, with the arena's word. */
static void kill_owner(int with_word)
{
    setup();
    pid_t pid = fork();
    if (pid == 0) {
        enter();
        take(PACKED);
        take(PAGED);
        take(DIRECT);
        if (with_word)
            sh_word_lock(&sh_arena.shared->word);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        crash_fail(CRASH_BROKEN, "fork");
}

static void setup_corpse(void)
{
    kill_owner(0);
}

static void setup_orphan(void)
{
    kill_owner(1);
}

static void check(void)
{
    static const uint64_t sizes[] = {64, PACKED, PAGED, DIRECT};
    uint64_t offset;

    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CRASH_EQ(CRASH_TORN, sh_block_alloc(sizes[i], &offset), 0);
        sh_block_free(offset);
    }
    whole_check();
}

#define BOTH(x)                                                                                                        \
    {                                                                                                                  \
        x, x                                                                                                           \
    }
#define PLAIN .setup = setup, .check = check

static const struct pair_case cases[] = {
    {"attach | attach", PLAIN, .operation = BOTH(enter)},
    {"alloc, free | the same, first slab", PLAIN, .prepare = BOTH(enter), .operation = BOTH(use_small)},
    {"alloc, free | the same, one slab", PLAIN, .prepare = BOTH(prepare_slab), .operation = BOTH(use_small)},
    {"alloc, free | the same, packed", PLAIN, .prepare = BOTH(enter), .operation = BOTH(use_packed)},
    {"alloc, free | the same, paged", PLAIN, .prepare = BOTH(enter), .operation = BOTH(use_paged)},
    {"alloc, free | the same, direct", PLAIN, .prepare = BOTH(enter), .operation = BOTH(use_direct)},
    {"free | alloc, direct", PLAIN, .prepare = {prepare_direct, enter}, .operation = {free_block, use_direct}},
    {"free | alloc, small", PLAIN, .prepare = {prepare_full_cache, prepare_slab}, .operation = {free_block, use_small}},
    {"flush | alloc, small", PLAIN, .prepare = {prepare_full_cache, prepare_slab}, .operation = {flush, use_small}},
    {"bury | bury", .setup = setup_corpse, .check = check, .prepare = BOTH(enter), .operation = BOTH(bury)},
    {"bury | alloc, direct", .setup = setup_corpse, .check = check, .prepare = BOTH(enter),
     .operation = {bury, use_direct}},
    {"mend | mend", .setup = setup_orphan, .check = check, .prepare = BOTH(enter), .operation = BOTH(use_packed)},
};

int main(int argc, char **argv)
{
    return pair_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
