/* contention.c - a lock that many processes and threads want at once, some of which are killed. */
#include "board.h"
#include "harness.h"

#include <pthread.h>
#include <shoal/lock.h>
#include <sys/wait.h>
#include <unistd.h>

static shoal_lock *open_lock(unsigned flags)
{
    struct shoal_lock_options options = {SHOAL_OPTIONS(shoal_lock), .flags = flags};
    shoal_lock *lock;

    CHECK_OK(shoal_lock_open(&options, &lock));
    return lock;
}

static void close_lock(shoal_lock *lock)
{
    struct shoal_lock_owner owner;

    CHECK_OK(shoal_lock_owner(lock, &owner));
    CHECK_EQ(owner.pid, 0);
    check_object(lock);
    shoal_lock_free(lock);
}

static void count_up(shoal_lock *lock, struct board *board, int times)
{
    for (int i = 0; i < times; i++) {
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        int64_t was = sh_load_relaxed(&board->numbers[0]); /* not atomic as a whole */
        sh_store_relaxed(&board->numbers[0], was + 1);
        CHECK_OK(shoal_lock_release(lock));
    }
}

TEST(four_processes_count_together)
{
    enum { TIMES = 30000 };
    unsigned kinds[] = {0, SHOAL_LOCK_RECURSIVE, SHOAL_LOCK_ANY_RELEASE};
    struct board *board = board_map();

    for (int kind = 0; kind < 3; kind++) {
        shoal_lock *lock = open_lock(kinds[kind]);
        pid_t pids[4];
        board->numbers[0] = 0;
        for (int i = 0; i < 4; i++) {
            CHILD(pids[i]) {
                count_up(lock, board, TIMES);
            }
        }
        for (int i = 0; i < 4; i++)
            CHECK_EXITS(pids[i], 0);
        CHECK_EQ(board->numbers[0], 4 * TIMES);
        close_lock(lock);
    }
    board_unmap(board);
}

struct counting {
    shoal_lock *lock;
    struct board *board;
};

static void *count_up_in_thread(void *argument)
{
    struct counting *counting = argument;
    count_up(counting->lock, counting->board, 10000);
    return NULL;
}

TEST(threads_of_two_processes_count_together)
{
    enum { THREADS = 3 };
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);
    struct counting counting = {lock, board};
    pid_t pids[2];

    for (int i = 0; i < 2; i++) {
        CHILD(pids[i]) {
            pthread_t threads[THREADS];
            for (int k = 0; k < THREADS; k++)
                CHECK_EQ(pthread_create(&threads[k], NULL, count_up_in_thread, &counting), 0);
            for (int k = 0; k < THREADS; k++)
                CHECK_EQ(pthread_join(threads[k], NULL), 0);
        }
    }
    for (int i = 0; i < 2; i++)
        CHECK_EXITS(pids[i], 0);
    CHECK_EQ(board->numbers[0], 2 * THREADS * 10000);
    close_lock(lock);
    board_unmap(board);
}

/* Children that are killed wherever they are; who finds the counter half changed was told so. */
TEST_WITHIN(60, killing_at_random_moments_never_leaves_the_lock_stuck)
{
    enum { ROUNDS = 150 };
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);
    uint64_t seed = test_seed();
    pid_t pids[3] = {0};

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 3; i++) {
            if (pids[i])
                continue;
            CHILD(pids[i]) {
                for (;;) {
                    int r = shoal_lock_acquire(lock, SHOAL_FOREVER);
                    int64_t first = board->numbers[0], second = board->numbers[1];
                    CHECK(r == SHOAL_OWNER_DIED || (r == 0 && first == second));
                    board->numbers[0] = first + 1;
                    board->numbers[1] = first + 1;
                    CHECK_OK(shoal_lock_release(lock));
                }
            }
        }
        int64_t until = test_now() + (int64_t)test_random_below(&seed, 3000000);
        while (test_now() < until)
            ;
        int victim = (int)test_random_below(&seed, 3);
        kill_child(pids[victim]);
        pids[victim] = 0;
        int64_t count = board->numbers[0], begin = test_now();
        AWAIT(board->numbers[0] != count);
        CHECK_LT(test_now() - begin, SH_WORD_BACKSTOP * 3);
    }
    for (int i = 0; i < 3; i++)
        if (pids[i])
            kill_child(pids[i]);
    int r = shoal_lock_acquire(lock, 0);
    CHECK(r == 0 || r == SHOAL_OWNER_DIED);
    CHECK_OK(shoal_lock_release(lock));
    close_lock(lock);
    board_unmap(board);
}
