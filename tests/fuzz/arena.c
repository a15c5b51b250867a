/* arena.c - an arena whose head, span map, slabs and members were written over. */
#include "arena/reclaim.h"
#include "fuzz.h"

enum { BLOCKS = 24 };

static const uint64_t sizes[] = {1, 64, 100, 1000, 2000, 5000, 20000, 70000, 300000};
static uint64_t blocks[BLOCKS];
static shoal_lock *lock;
static shoal_event *event;

static void make_scene(void)
{
    fuzz_arena();
    fuzz_must(shoal_lock_open(NULL, &lock));
    fuzz_must(shoal_event_open(&event));
    for (unsigned i = 0; i < BLOCKS; i++)
        fuzz_must(sh_block_alloc(sizes[i % (sizeof sizes / sizeof *sizes)], &blocks[i]));
    for (unsigned i = 0; i < BLOCKS; i += 4)
        sh_block_free(blocks[i]);
    fuzz_region_map();
    for (unsigned i = 0; i < 9; i++)
        fuzz_region_slab(blocks[i + 1 + (i + 1) / 4]);
    fuzz_keep();
}

static int visit(struct sh_object *object, void *context)
{
    (void)object;
    return ++*(int *)context > 100000;
}

static void use(uint64_t number)
{
    struct shoal_arena_stats stats;
    uint64_t got[BLOCKS];
    int count = 0, taken = 0;

    shoal_arena_stats(&stats);
    sh_arena_check();
    sh_object_walk(visit, &count);
    for (unsigned i = 0; i < BLOCKS; i++) {
        sh_block_owner(blocks[i] + number % 128);
        sh_block_capacity(number * (i + 1));
        if (sh_block_alloc(sizes[(i + number) % (sizeof sizes / sizeof *sizes)], &got[taken]) == 0)
            memset(sh_at(got[taken++]), 1, 16);
    }
    for (int i = 0; i < taken; i++)
        sh_block_free(got[i]);
    for (unsigned i = 1; i < BLOCKS; i += 4)
        sh_block_free(blocks[i]);
    sh_member_is_dead((uint32_t)number);
    sh_member_pid((uint32_t)(number >> 32));
    sh_member_count();
    sh_block_lock_arena();
    sh_block_recover();
    sh_word_unlock(&sh_arena.shared->word);
    if (number & 1)
        sh_block_reclaim((uint32_t)number);
    if (number & 2)
        sh_reclaim_dead();
    if (number & 4)
        sh_object_reclaim((uint32_t)number);
    sh_arena_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!lock)
        make_scene();
    fuzz_spoil(data, size);
    use(fuzz_number(data, size));
    fuzz_done();
    return 0;
}
