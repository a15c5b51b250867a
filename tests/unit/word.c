/* word.c - the robust word: lock, death of the holder, sleeping and waking. */
#include "os/word.h"

#include "harness.h"
#include "os/clock.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
    struct sh_word word;
    _Atomic uint64_t data;
    _Atomic uint32_t ready;
};

static struct shared *map_shared(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    return page;
}

static void unmap(struct shared *shared)
{
    CHECK_SYS(munmap(shared, 4096));
}

static pid_t start(void (*function)(struct shared *), struct shared *shared)
{
    pid_t pid = CHECK_SYS(fork());
    if (pid == 0) {
        function(shared);
        _exit(0);
    }
    return pid;
}

static int reap(pid_t pid)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

TEST(a_free_word_is_taken_and_given_back)
{
    struct sh_word word = {0};

    CHECK_EQ(sh_word_lock(&word), 0);
    CHECK_EQ(word.value & SH_WORD_ID, sh_thread_self()->tid);
    CHECK(*sh_thread_self()->pending != NULL);
    sh_word_unlock(&word);
    CHECK_EQ(word.value, 0);
    CHECK(*sh_thread_self()->pending == NULL);
    CHECK_EQ(sh_word_trylock(&word), 0);
    sh_word_unlock(&word);
}

static void die_holding(struct shared *shared)
{
    sh_word_lock(&shared->word);
    raise(SIGKILL);
}

TEST(the_next_owner_is_told_of_a_death)
{
    struct shared *shared = map_shared();

    reap(start(die_holding, shared));
    CHECK(sh_word_is_orphan(&shared->word));
    CHECK_EQ(sh_word_lock(&shared->word), SHOAL_OWNER_DIED);
    sh_word_unlock(&shared->word);
    CHECK_EQ(sh_word_lock(&shared->word), 0);
    sh_word_unlock(&shared->word);
    unmap(shared);
}

static void hold_long_and_die(struct shared *shared)
{
    sh_word_lock(&shared->word);
    sh_store_release(&shared->ready, 1);
    usleep(30000);
    raise(SIGKILL);
}

TEST(who_sleeps_for_the_lock_wakes_when_its_holder_dies)
{
    struct shared *shared = map_shared();
    pid_t holder = start(hold_long_and_die, shared);

    while (!sh_load_acquire(&shared->ready))
        usleep(100);
    int64_t begin = sh_clock_now();
    CHECK_EQ(sh_word_lock(&shared->word), SHOAL_OWNER_DIED);
    CHECK_LT(sh_clock_now() - begin, 90000000);
    sh_word_unlock(&shared->word);
    reap(holder);
    unmap(shared);
}

static void hold_for_ever(struct shared *shared)
{
    sh_word_lock(&shared->word);
    sh_store_release(&shared->ready, 1);
    for (;;)
        pause();
}

TEST(a_lock_with_a_deadline_gives_up_at_it)
{
    struct shared *shared = map_shared();
    pid_t holder = start(hold_for_ever, shared);

    while (!sh_load_acquire(&shared->ready))
        usleep(100);
    CHECK_EQ(sh_word_trylock(&shared->word), -EAGAIN);
    CHECK_EQ(sh_word_lock_until(&shared->word, sh_clock_now() + 2000000), -ETIMEDOUT);
    CHECK_SYS(kill(holder, SIGKILL));
    reap(holder);
    unmap(shared);
}

/* Wait on the word until data reaches a number. */
static int wait_for(struct shared *shared, uint64_t wanted, int64_t deadline)
{
    for (;;) {
        uint32_t seen = sh_word_prepare(&shared->word, SH_WORD_DATA);
        if (sh_load_acquire(&shared->data) >= wanted) {
            sh_word_forget();
            return 0;
        }
        if (seen & SH_WORD_DIED) {
            CHECK_EQ(sh_word_lock(&shared->word), SHOAL_OWNER_DIED);
            sh_word_unlock(&shared->word);
            continue;
        }
        int r = sh_word_sleep(&shared->word, seen, SH_WORD_DATA, deadline);
        if (r < 0) {
            sh_word_forget();
            return r;
        }
    }
}

#define TURNS 20000

static void answer(struct shared *shared)
{
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        CHECK_OK(wait_for(shared, turn * 2 + 1, SH_DEADLINE_NEVER));
        sh_word_lock(&shared->word);
        sh_add_relaxed(&shared->data, 1);
        sh_word_unlock(&shared->word);
    }
}

TEST(two_processes_take_turns_without_losing_a_wake_up)
{
    struct shared *shared = map_shared();
    pid_t other = start(answer, shared);
    int64_t begin = sh_clock_now();

    for (uint64_t turn = 0; turn < TURNS; turn++) {
        sh_word_lock(&shared->word);
        sh_add_relaxed(&shared->data, 1);
        sh_word_unlock(&shared->word);
        CHECK_OK(wait_for(shared, turn * 2 + 2, SH_DEADLINE_NEVER));
    }
    CHECK_EQ(reap(other), 0);
    CHECK_EQ(shared->data, 2 * TURNS);
    CHECK_LT(sh_clock_now() - begin, 20LL * TURNS * 50000); /* the backstop would take a thousand times longer */
    unmap(shared);
}

static void sleep_for_data(struct shared *shared)
{
    CHECK_OK(wait_for(shared, 1, SH_DEADLINE_NEVER));
}

static void commit_and_die_before_the_wake(struct shared *shared)
{
    sh_word_lock(&shared->word);
    sh_add_relaxed(&shared->data, 1);
    sh_exchange_ordered(&shared->word.value, 0); /* as unlock does, up to its wake */
    raise(SIGKILL);
}

TEST(a_wake_up_that_dies_with_its_waker_is_repeated_by_the_kernel)
{
    struct shared *shared = map_shared();
    pid_t sleeper = start(sleep_for_data, shared);

    while (!(sh_load_relaxed(&shared->word.value) & SH_WORD_WAITERS))
        usleep(100);
    usleep(2000);
    int64_t begin = sh_clock_now();
    pid_t waker = start(commit_and_die_before_the_wake, shared);
    CHECK_EQ(reap(sleeper), 0);
    CHECK_LT(sh_clock_now() - begin, 80000000);
    reap(waker);
    unmap(shared);
}

static void add_often(struct shared *shared)
{
    for (int i = 0; i < 200000; i++) {
        CHECK_EQ(sh_word_lock(&shared->word), 0);
        sh_store_relaxed(&shared->data, sh_load_relaxed(&shared->data) + 1);
        sh_word_unlock(&shared->word);
    }
}

TEST(four_processes_exclude_each_other)
{
    struct shared *shared = map_shared();
    pid_t pids[4];

    for (int i = 0; i < 4; i++)
        pids[i] = start(add_often, shared);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(reap(pids[i]), 0);
    CHECK_EQ(shared->data, 4 * 200000);
    unmap(shared);
}

TEST(a_forked_child_locks_under_its_own_name)
{
    struct shared *shared = map_shared();

    sh_word_lock(&shared->word);
    uint32_t parent = shared->word.value & SH_WORD_ID;
    sh_word_unlock(&shared->word);
    pid_t child = CHECK_SYS(fork());
    if (child == 0) {
        sh_word_lock(&shared->word);
        CHECK_NE(shared->word.value & SH_WORD_ID, parent);
        CHECK_EQ(shared->word.value & SH_WORD_ID, getpid());
        sh_word_unlock(&shared->word);
        _exit(0);
    }
    CHECK_EQ(reap(child), 0);
    unmap(shared);
}
