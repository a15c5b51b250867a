/* shoal_word.c - the robust word that shoal's own structures are locked with: inside the library, so only the variant
 * of the benchmark that is linked with its inside can reach it. */
#include "harness/lock.h"

#ifdef BENCH_INSIDE

#include "os/word.h"

#include <errno.h>
#include <sys/mman.h>

static int open_word(void **ret_lock)
{
    void *word = mmap(NULL, BENCH_LINE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED)
        return -errno;
    *ret_lock = word; /* zero is a free one */
    return 0;
}

static void close_word(void *lock)
{
    munmap(lock, BENCH_LINE);
}

static int acquire(void *lock)
{
    return sh_word_lock(lock);
}

static int release(void *lock)
{
    sh_word_unlock(lock);
    return 0;
}

static int work(void *lock, struct bench_guarded *guarded, struct bench_run *run, unsigned seat)
{
    return bench_lock_loop(acquire, release, lock, guarded, run, seat);
}

const struct bench_lock bench_shoal_word = {
    .name = "shoal robust word",
    .variant = "inside",
    .open = open_word,
    .close = close_word,
    .work = work,
};

const struct bench_lock bench_plain_word = {
    .name = "the same, not robust",
    .variant = "plain",
    .open = open_word,
    .close = close_word,
    .work = work,
};

#else

const struct bench_lock bench_shoal_word = {.name = "shoal robust word", .variant = "inside"};
const struct bench_lock bench_plain_word = {.name = "the same, not robust", .variant = "plain"};

#endif
