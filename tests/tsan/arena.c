/* arena.c - blocks taken, handed over and given back by several threads. */
#include "arena/arena.h"

#include "arena/block.h"
#include "base/check.h"
#include "harness.h"

#include <pthread.h>
#include <shoal/arena.h>

enum { THREADS = 4, ROUNDS = 2000, SIZES = 6 };

static const uint64_t sizes[SIZES] = {1, 64, 200, 3000, 70000, 2000000};

static void fill(uint64_t offset, uint64_t size, int value)
{
    memset(sh_at(offset), value, size < 4096 ? size : 4096);
}

/* Plain writes to blocks: where two threads were given the same one, or one that another still writes, that is a
 * race. */
static void *take_and_give_back(void *argument)
{
    uint64_t state = test_random_below(&(uint64_t){(uintptr_t)argument}, UINT64_MAX);

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t offsets[4];
        for (int j = 0; j < 4; j++) {
            uint64_t size = sizes[test_random_below(&state, SIZES)];
            CHECK_OK(sh_block_alloc(size, &offsets[j]));
            fill(offsets[j], size, i);
        }
        for (int j = 0; j < 4; j++)
            sh_block_free(offsets[j]);
    }
    sh_block_flush();
    return NULL;
}

static void open_small_arena(void)
{
    CHECK_OK(shoal_arena_open(
        &(struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .limit = 64 << 20, .reserve = 1 << 30}));
}

TEST(a_block_has_one_owner_at_a_time)
{
    pthread_t threads[THREADS];

    open_small_arena();
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, take_and_give_back, (void *)(uintptr_t)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    if (sh_arena_check() != 0)
        FAIL("%s", sh_check_note);
}
