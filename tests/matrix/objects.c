/* objects.c - the C column of the kill matrix: users of queues, locks and other objects are killed. */
#include "matrix.h"

#include <sys/mman.h>

enum { ROUNDS = 40 };

/* What children tell this process without the library's help. */
static struct board {
    _Atomic int did[4];
} * board;

static void make_board(void)
{
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(board != MAP_FAILED);
}

static void drop_board(void)
{
    CHECK_SYS(munmap(board, sizeof *board));
}

static void kill_child(pid_t pid)
{
    CHECK_SYS(kill(pid, SIGKILL));
    CHECK_KILLED(pid, SIGKILL);
}

/* --- queues --- */

static void check_message(const unsigned char *message, ssize_t size, size_t expected)
{
    CHECK_EQ(size, expected);
    for (size_t i = 1; i < expected; i++)
        if (message[i] != message[0])
            FAIL("a message is torn at byte %zu of %zu", i, expected);
}

/* For ever: each message has the same byte all over. */
static void put_on_and_on(shoal_queue *queue, unsigned char *message, size_t size)
{
    for (unsigned turn = 0;; turn++) {
        memset(message, (int)(turn % 256), size);
        CHECK_OK(shoal_queue_put(queue, message, size, SHOAL_FOREVER));
        board->did[0]++;
    }
}

static void get_on_and_on(shoal_queue *queue, unsigned char *message, size_t size)
{
    for (;;) {
        check_message(message, shoal_queue_get(queue, message, size, SHOAL_FOREVER), size);
        board->did[0]++;
    }
}

/* What the main process does meanwhile, and goes on with when the victim is dead. */
static void take_part(shoal_queue *queue, unsigned char *message, size_t size, bool puts)
{
    if (puts)
        CHECK_OK(shoal_queue_put(queue, message, size, SHOAL_SECONDS(10)));
    else
        check_message(message, shoal_queue_get(queue, message, size, SHOAL_SECONDS(10)), size);
}

static void kill_user(size_t size, bool is_putter)
{
    struct shoal_queue_options options = {SHOAL_OPTIONS(shoal_queue), .max_items = 20};
    unsigned char *message = calloc(1, size);
    uint64_t seed = test_seed(), items;
    shoal_queue *queue;

    make_board();
    CHECK_OK(shoal_queue_open(&options, &queue));
    for (int round = 0; round < ROUNDS; round++) {
        pid_t victim;
        board->did[0] = 0;
        CHILD(victim) {
            is_putter ? put_on_and_on(queue, message, size) : get_on_and_on(queue, message, size);
        }
        for (uint64_t n = 2 + test_random_below(&seed, 50); n > 0; n--)
            take_part(queue, message, size, !is_putter);
        kill_child(victim);
        CHECK_OK(shoal_queue_size(queue, &items, NULL));
        for (; items > 0; items--)
            take_part(queue, message, size, false);
        take_part(queue, message, size, true);
        take_part(queue, message, size, false);
        CHECK_OK(shoal_queue_size(queue, &items, NULL));
        CHECK_EQ(items, 0);
    }
    shoal_queue_free(queue);
    free(message);
    drop_board();
}

TEST(putter_killed_64)
{
    kill_user(64, true);
}

TEST(getter_killed_64)
{
    kill_user(64, false);
}

TEST(putter_killed_4096)
{
    kill_user(4096, true);
}

TEST(getter_killed_4096)
{
    kill_user(4096, false);
}

TEST(putter_killed_307200)
{
    kill_user(307200, true);
}

TEST(getter_killed_307200)
{
    kill_user(307200, false);
}

/* --- locks and semaphores --- */

/* Somebody waits already when the holder dies, or comes later: gets it, and is told. */
static void lose_holder(unsigned flags, int depth)
{
    shoal_lock *lock;
    pid_t holder, waiter = getpid();

    make_board();
    CHECK_OK(shoal_lock_open(&(struct shoal_lock_options){SHOAL_OPTIONS(shoal_lock), .flags = flags}, &lock));
    for (int waits = 0; waits < 2; waits++) {
        board->did[0] = 0;
        CHILD(holder) {
            for (int i = 0; i < depth; i++)
                CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
            board->did[0] = 1;
            if (waits)
                test_await_asleep(waiter);
            raise(SIGKILL);
        }
        AWAIT(board->did[0]);
        if (!waits)
            CHECK_KILLED(holder, SIGKILL);
        CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_SECONDS(10)), SHOAL_OWNER_DIED);
        CHECK_OK(shoal_lock_release(lock));
        if (waits)
            CHECK_KILLED(holder, SIGKILL);
        CHECK_OK(shoal_lock_acquire(lock, 0));
        CHECK_OK(shoal_lock_release(lock));
    }
    shoal_lock_free(lock);
    drop_board();
}

TEST(lock_holder_killed)
{
    lose_holder(0, 1);
    lose_holder(SHOAL_LOCK_ANY_RELEASE, 1);
}

TEST(recursive_lock_holder_killed)
{
    lose_holder(SHOAL_LOCK_RECURSIVE, 3);
}

static shoal_semaphore *lose_permits(unsigned flags)
{
    struct shoal_semaphore_options options = {SHOAL_OPTIONS(shoal_semaphore), .flags = flags, .value = 2};
    shoal_semaphore *semaphore;
    pid_t holder;

    CHECK_OK(shoal_semaphore_open(&options, &semaphore));
    CHILD(holder) {
        CHECK_OK(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER));
        CHECK_OK(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER));
        raise(SIGKILL);
    }
    CHECK_KILLED(holder, SIGKILL);
    return semaphore;
}

TEST(owned_semaphore_holder_killed)
{
    shoal_semaphore *semaphore = lose_permits(SHOAL_SEMAPHORE_OWNED);

    CHECK_RETURN(shoal_semaphore_acquire(semaphore, SHOAL_SECONDS(10)), SHOAL_OWNER_DIED);
    CHECK_GE(shoal_semaphore_acquire(semaphore, SHOAL_SECONDS(10)), 0);
    CHECK_OK(shoal_semaphore_release(semaphore, 2));
    shoal_semaphore_free(semaphore);
}

TEST(plain_semaphore_holder_killed)
{
    shoal_semaphore *semaphore = lose_permits(0);
    uint32_t value;

    CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
    CHECK_OK(shoal_semaphore_value(semaphore, &value));
    CHECK_EQ(value, 0);
    CHECK_OK(shoal_semaphore_release(semaphore, 1));
    CHECK_OK(shoal_semaphore_acquire(semaphore, SHOAL_SECONDS(10)));
    shoal_semaphore_free(semaphore);
}

/* --- conditions and barriers --- */

static pid_t start_waiting(shoal_condition *condition, shoal_lock *lock, int number)
{
    uint32_t waiters;
    pid_t pid;

    CHILD(pid) {
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        CHECK_GE(shoal_condition_wait(condition, lock, SHOAL_FOREVER), 0);
        board->did[number] = 1;
        CHECK_OK(shoal_lock_release(lock));
    }
    AWAIT(shoal_condition_waiters(condition, &waiters) == 0 && waiters == (uint32_t)number);
    return pid;
}

TEST(condition_waiter_killed)
{
    shoal_condition *condition;
    shoal_lock *lock;

    make_board();
    CHECK_OK(shoal_lock_open(NULL, &lock));
    CHECK_OK(shoal_condition_open(&condition));
    pid_t victim = start_waiting(condition, lock, 1), survivor = start_waiting(condition, lock, 2);
    kill_child(victim);
    CHECK_OK(shoal_lock_acquire(lock, SHOAL_SECONDS(10)));
    CHECK_EQ(shoal_condition_notify(condition, 1), 1);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_EXITS(survivor, 0);
    CHECK_EQ(board->did[2], 1);
    shoal_condition_free(condition);
    shoal_lock_free(lock);
    drop_board();
}

TEST(condition_notifier_killed)
{
    shoal_condition *condition;
    shoal_lock *lock;
    pid_t notifier;

    make_board();
    CHECK_OK(shoal_lock_open(NULL, &lock));
    CHECK_OK(shoal_condition_open(&condition));
    pid_t survivor = start_waiting(condition, lock, 1);
    CHILD(notifier) {
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        CHECK_EQ(shoal_condition_notify(condition, 1), 1);
        raise(SIGKILL);
    }
    CHECK_KILLED(notifier, SIGKILL);
    CHECK_EXITS(survivor, 0);
    CHECK_EQ(board->did[1], 1);
    shoal_condition_free(condition);
    shoal_lock_free(lock);
    drop_board();
}

TEST(barrier_party_killed)
{
    shoal_barrier *barrier;
    pid_t victim, survivor;
    uint32_t waiting;

    CHECK_OK(shoal_barrier_open(3, &barrier));
    CHILD(victim) {
        shoal_barrier_wait(barrier, SHOAL_FOREVER);
    }
    CHILD(survivor) {
        CHECK_RETURN(shoal_barrier_wait(barrier, SHOAL_FOREVER), -EPIPE);
    }
    AWAIT(shoal_barrier_waiting(barrier, &waiting) == 0 && waiting == 2);
    kill_child(victim);
    CHECK_EXITS(survivor, 0);
    CHECK_EQ(shoal_barrier_is_broken(barrier), 1);
    CHECK_RETURN(shoal_barrier_wait(barrier, SHOAL_SECONDS(10)), -EPIPE);
    shoal_barrier_free(barrier);
}
