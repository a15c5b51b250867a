/* word.c - the robust word between threads, which take, sleep on and pass it as processes would. */
#include "os/word.h"

#include "harness.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 5000, TURNS = 2000 };

struct shared {
    struct sh_word word;
    uint64_t count; /* plain, under the word: ThreadSanitizer sees whether the word orders accesses to it */
    _Atomic uint32_t turn, started;
};

static void run_threads(void *(*function)(void *), struct shared *shared)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, function, shared), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void *count_up(void *argument)
{
    struct shared *shared = argument;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(sh_word_lock(&shared->word));
        shared->count++;
        sh_word_unlock(&shared->word);
    }
    return NULL;
}

TEST(what_a_word_protects_is_ordered)
{
    struct shared shared = {0};

    run_threads(count_up, &shared);
    CHECK_EQ(shared.count, (uint64_t)THREADS * ROUNDS);
}

/* Wait until turn says so: the pattern of every wait in the library. */
static void wait_for_turn(struct shared *shared, uint32_t turn)
{
    for (;;) {
        uint32_t seen = sh_word_prepare(&shared->word, SH_WORD_DATA);
        if (sh_load_acquire(&shared->turn) == turn) { /* pairs with the release in take_turns */
            sh_word_forget();
            return;
        }
        CHECK_OK(sh_word_sleep(&shared->word, seen, SH_WORD_DATA, INT64_MAX));
    }
}

static void *take_turns(void *argument)
{
    struct shared *shared = argument;
    uint32_t me = sh_add_relaxed(&shared->started, 1);

    for (uint32_t turn = me; turn < TURNS; turn += THREADS) {
        wait_for_turn(shared, turn);
        shared->count++;
        CHECK_OK(sh_word_lock(&shared->word));
        sh_store_release(&shared->turn, turn + 1);
        sh_word_unlock_all(&shared->word, SH_WORD_DATA);
    }
    return NULL;
}

TEST(who_wakes_sees_what_was_written_before)
{
    struct shared shared = {0};

    run_threads(take_turns, &shared);
    CHECK_EQ(shared.count, TURNS);
}
