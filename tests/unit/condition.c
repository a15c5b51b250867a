/* condition.c - conditions: notifying, order, the lock around it, and deaths of those who wait or notify. */
#include "sync/condition.h"

#include "arena/block.h"
#include "arena/reclaim.h"
#include "board.h"
#include "harness.h"
#include "sync/lock.h"

#include <pthread.h>
#include <shoal/arena.h>
#include <shoal/condition.h>
#include <shoal/event.h>
#include <shoal/lock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static shoal_lock *lock;
static shoal_condition *condition;

static void open_both(unsigned flags)
{
    struct shoal_lock_options options = {SHOAL_OPTIONS(shoal_lock), .flags = flags};

    CHECK_OK(shoal_lock_open(&options, &lock));
    CHECK_OK(shoal_condition_open(&condition));
    check_object(condition);
}

static void close_both(void)
{
    check_object(lock);
    check_object(condition);
    shoal_condition_free(condition);
    shoal_lock_free(lock);
}

static uint32_t waiters(void)
{
    uint32_t count;
    CHECK_OK(shoal_condition_waiters(condition, &count));
    return count;
}

static struct shoal_lock_owner owner(void)
{
    struct shoal_lock_owner ret_owner;
    CHECK_OK(shoal_lock_owner(lock, &ret_owner));
    return ret_owner;
}

/* A child that waits, and notes what came of it, when, and as which it came back. */
static pid_t start_waiter(struct board *board, int index)
{
    uint32_t before = waiters();
    pid_t pid;

    board->numbers[32 + index] = INT64_MIN;
    CHILD(pid) {
        CHECK(shoal_lock_acquire(lock, SHOAL_FOREVER) >= 0);
        int r = shoal_condition_wait(condition, lock, SHOAL_FOREVER);
        CHECK_EQ(owner().pid, getpid());
        CHECK(*sh_thread_state.pending == NULL);
        board->numbers[index] = test_now();
        board->numbers[16 + index] = board->step++;
        board->numbers[32 + index] = r;
        CHECK_OK(shoal_lock_release(lock));
    }
    AWAIT(waiters() == before + 1);
    test_await_asleep(pid);
    return pid;
}

TEST(a_notified_waiter_comes_back_with_the_lock)
{
    struct board *board = board_map();

    open_both(0);
    CHECK_EQ(waiters(), 0);
    CHECK_RETURN(shoal_condition_notify(condition, 1), 0);
    pid_t pid = start_waiter(board, 0);
    CHECK_EQ(waiters(), 1);
    CHECK_OK(shoal_lock_acquire(lock, 0)); /* the waiter has released it */
    CHECK_RETURN(shoal_condition_notify(condition, 1), 1);
    CHECK_EQ(waiters(), 0);
    CHECK_EQ(board->numbers[32], INT64_MIN);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_EXITS(pid, 0);
    CHECK_EQ(board->numbers[32], 0);
    close_both();
    board_unmap(board);
}

TEST(who_waits_longest_is_notified_first)
{
    enum { COUNT = 20 }; /* more than there is room for without a chunk */
    struct board *board = board_map();
    pid_t pids[COUNT];

    open_both(0);
    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiter(board, i % 16);
    check_object(condition);
    CHECK_EQ(waiters(), COUNT);
    for (int i = 0; i < COUNT; i++) {
        CHECK_RETURN(shoal_condition_notify(condition, 1), 1);
        CHECK_EXITS(pids[i], 0);
        CHECK_EQ(waiters(), COUNT - 1 - i);
    }
    CHECK_RETURN(shoal_condition_notify(condition, 1), 0);
    close_both();
    board_unmap(board);
}

TEST(as_many_are_woken_as_is_asked_for)
{
    enum { COUNT = 6 };
    struct board *board = board_map();
    pid_t pids[COUNT];

    open_both(0);
    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiter(board, i);
    CHECK_RETURN(shoal_condition_notify(condition, 0), 0);
    int64_t notified = test_now();
    CHECK_RETURN(shoal_condition_notify(condition, 2), 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EXITS(pids[i], 0);
        CHECK_LT(board->numbers[i] - notified, AT_ONCE);
    }
    CHECK_EQ(waiters(), COUNT - 2);
    notified = test_now();
    CHECK_RETURN(shoal_condition_notify_all(condition), COUNT - 2);
    for (int i = 2; i < COUNT; i++) {
        CHECK_EXITS(pids[i], 0);
        CHECK_LT(board->numbers[i] - notified, AT_ONCE);
        CHECK_EQ(board->numbers[32 + i], 0);
    }
    CHECK_RETURN(shoal_condition_notify_all(condition), 0);
    CHECK_RETURN(shoal_condition_notify(condition, UINT32_MAX), 0);
    close_both();
    board_unmap(board);
}

TEST(a_wait_ends_when_its_time_is_up_and_the_lock_is_held)
{
    unsigned kinds[] = {0, SHOAL_LOCK_RECURSIVE, SHOAL_LOCK_ANY_RELEASE};

    for (int i = 0; i < 3; i++) {
        open_both(kinds[i]);
        CHECK_OK(shoal_lock_acquire(lock, 0));
        CHECK_RETURN(shoal_condition_wait(condition, lock, 0), -EAGAIN);
        CHECK_RETURN(shoal_condition_wait(condition, lock, INT64_MIN), -EAGAIN);
        CHECK_RETURN(shoal_condition_wait(condition, lock, 1), -ETIMEDOUT);
        int64_t begin = test_now();
        CHECK_RETURN(shoal_condition_wait(condition, lock, SHOAL_MILLISECONDS(15)), -ETIMEDOUT);
        CHECK_GE(test_now() - begin, SHOAL_MILLISECONDS(15));
        CHECK_EQ(owner().pid, getpid());
        CHECK_EQ(waiters(), 0);
        CHECK_OK(shoal_lock_release(lock));
        close_both();
    }
}

TEST(a_recursive_lock_is_released_fully_and_its_depth_comes_back)
{
    pid_t pid;

    open_both(SHOAL_LOCK_RECURSIVE);
    for (int i = 0; i < 4; i++)
        CHECK_OK(shoal_lock_acquire(lock, 0));
    CHILD(pid) {
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        CHECK_RETURN(shoal_condition_notify(condition, 1), 1);
        CHECK_OK(shoal_lock_release(lock));
    }
    CHECK_OK(shoal_condition_wait(condition, lock, SHOAL_FOREVER));
    CHECK_EQ(owner().depth, 4);
    CHECK_RETURN(shoal_condition_wait(condition, lock, SHOAL_MILLISECONDS(2)), -ETIMEDOUT);
    CHECK_EQ(owner().depth, 4);
    CHECK_EXITS(pid, 0);
    for (int i = 0; i < 4; i++)
        CHECK_OK(shoal_lock_release(lock));
    close_both();
}

static void *wait_without_lock(void *unused)
{
    CHECK_RETURN(shoal_condition_wait(condition, lock, SHOAL_FOREVER), -EPERM);
    return unused;
}

TEST(waiting_needs_the_lock)
{
    pthread_t thread;
    pid_t pid;

    open_both(0);
    CHECK_RETURN(shoal_condition_wait(condition, lock, SHOAL_FOREVER), -EPERM);
    CHECK_RETURN(shoal_condition_wait(condition, lock, 0), -EPERM);
    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHILD(pid) {
        CHECK_RETURN(shoal_condition_wait(condition, lock, SHOAL_FOREVER), -EPERM);
    }
    CHECK_EXITS(pid, 0);
    CHECK_EQ(pthread_create(&thread, NULL, wait_without_lock, NULL), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(waiters(), 0);
    CHECK_EQ(owner().pid, getpid());
    CHECK_OK(shoal_lock_release(lock));
    close_both();
}

TEST(what_is_no_condition_is_refused)
{
    shoal_condition *none = NULL;
    shoal_event *event;
    shoal_ref ref, bad;
    uint32_t count = 77;

    open_both(0);
    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHECK_RETURN(shoal_condition_open(NULL), -EINVAL);
    CHECK_RETURN(shoal_condition_wait(NULL, lock, 0), -EINVAL);
    CHECK_RETURN(shoal_condition_wait(condition, NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_condition_notify(NULL, 1), -EINVAL);
    CHECK_RETURN(shoal_condition_notify_all(NULL), -EINVAL);
    CHECK_RETURN(shoal_condition_waiters(NULL, &count), -EINVAL);
    CHECK_RETURN(shoal_condition_waiters(condition, NULL), -EINVAL);
    CHECK_EQ(count, 77);
    CHECK_RETURN(shoal_condition_ref(NULL, &ref), -EINVAL);
    CHECK_RETURN(shoal_condition_ref(condition, NULL), -EINVAL);
    CHECK_OK(shoal_condition_ref(condition, &ref));
    CHECK_RETURN(shoal_condition_attach(NULL, &none), -EINVAL);
    CHECK_RETURN(shoal_condition_attach(&ref, NULL), -EINVAL);
    bad = ref, bad.family ^= 1;
    CHECK_RETURN(shoal_condition_attach(&bad, &none), -EXDEV);
    CHECK_OK(shoal_event_open(&event));
    CHECK_OK(shoal_event_ref(event, &bad));
    CHECK_RETURN(shoal_condition_attach(&bad, &none), -EINVAL);
    shoal_event_free(event);
    shoal_condition_free(condition);
    CHECK_RETURN(shoal_condition_attach(&ref, &none), -ESTALE);
    CHECK(none == NULL);
    shoal_condition_free(NULL);
    CHECK_OK(shoal_lock_release(lock));
    shoal_lock_free(lock);
}

static void *wait_once(void *unused)
{
    CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
    CHECK_OK(shoal_condition_wait(condition, lock, SHOAL_FOREVER));
    CHECK_OK(shoal_lock_release(lock));
    return unused;
}

TEST(hundreds_of_threads_may_wait_and_leave_no_memory)
{
    enum { THREADS = 300 };
    pthread_t threads[THREADS];
    struct shoal_arena_stats stats;

    open_both(0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_once, NULL), 0);
    AWAIT(waiters() == THREADS);
    check_object(condition);
    CHECK_RETURN(shoal_condition_notify(condition, 100), 100);
    CHECK_RETURN(shoal_condition_notify_all(condition), THREADS - 100);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    close_both();
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&stats));
    CHECK_EQ(stats.blocks, 0);
}

TEST(a_full_arena_is_an_error_and_the_lock_stays_held)
{
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = 2 << 20};
    uint64_t offset;
    pthread_t threads[SH_WAITERS_FIRST];

    CHECK_OK(shoal_arena_open(&options));
    open_both(0);
    for (uint32_t i = 0; i < SH_WAITERS_FIRST; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_once, NULL), 0);
    AWAIT(waiters() == SH_WAITERS_FIRST);
    for (uint64_t size = 1 << 20; size >= 64; size = size > 1024 ? size / 2 : size - 64)
        while (sh_block_alloc(size, &offset) == 0)
            ;
    CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
    CHECK_RETURN(shoal_condition_wait(condition, lock, SHOAL_FOREVER), -ENOMEM);
    CHECK_EQ(owner().pid, getpid());
    check_object(condition);
    CHECK_RETURN(shoal_condition_notify_all(condition), SH_WAITERS_FIRST);
    CHECK_OK(shoal_lock_release(lock));
    for (uint32_t i = 0; i < SH_WAITERS_FIRST; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    close_both();
}

TEST(dead_waiters_do_not_count)
{
    struct board *board = board_map();
    pid_t pids[4];

    open_both(0);
    for (int i = 0; i < 4; i++)
        pids[i] = start_waiter(board, i);
    kill_child(pids[0]);
    kill_child(pids[2]);
    CHECK_EQ(waiters(), 2);
    int64_t notified = test_now();
    CHECK_RETURN(shoal_condition_notify(condition, 1), 1);
    CHECK_EXITS(pids[1], 0);
    CHECK_LT(board->numbers[1] - notified, AT_ONCE);
    CHECK_RETURN(shoal_condition_notify_all(condition), 1);
    CHECK_EXITS(pids[3], 0);
    sh_reclaim_wait();
    check_object(condition);
    close_both();
    board_unmap(board);
}

/* The waiter that is notified is stopped, so that it cannot take the notification, and killed: the next one gets it. */
TEST(the_notification_of_a_waiter_that_dies_goes_to_the_next)
{
    struct board *board = board_map();

    open_both(0);
    for (int round = 0; round < 10; round++) {
        pid_t first = start_waiter(board, 0), second = start_waiter(board, 1), third = start_waiter(board, 2);
        CHECK_SYS(kill(first, SIGSTOP));
        CHECK_RETURN(shoal_condition_notify(condition, 1), 1);
        CHECK_EQ(waiters(), 2);
        int64_t killed = kill_child(first);
        CHECK_EXITS(second, 0);
        CHECK_LT(board->numbers[1] - killed, AT_ONCE);
        CHECK_EQ(waiters(), 1);
        CHECK_RETURN(shoal_condition_notify(condition, 1), 1);
        CHECK_EXITS(third, 0);
        sh_reclaim_wait();
        check_object(condition);
    }
    close_both();
    board_unmap(board);
}

/* The same where the waiter is on its way to the lock, which another holds. */
TEST(the_notification_of_a_waiter_that_dies_waiting_for_the_lock_goes_to_the_next)
{
    struct board *board = board_map();

    open_both(0);
    for (int round = 0; round < 10; round++) {
        pid_t first = start_waiter(board, 0), second = start_waiter(board, 1);
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        CHECK_RETURN(shoal_condition_notify(condition, 1), 1);
        struct sh_lock_shared *shared = sh_container(lock->handle.object, struct sh_lock_shared, object);
        AWAIT(sh_load_relaxed(&shared->state) & SH_WORD_WAITERS);
        test_await_asleep(first);
        test_await_asleep(second);
        CHECK_OK(kill(first, SIGKILL));
        CHECK_KILLED(first, SIGKILL);
        CHECK_OK(shoal_lock_release(lock));
        int64_t killed = test_now();
        CHECK_EXITS(second, 0);
        CHECK_LT(board->numbers[1] - killed, AT_ONCE);
        sh_reclaim_wait();
    }
    close_both();
    board_unmap(board);
}

TEST(a_notifier_that_dies_before_it_wakes_anybody_has_woken_all)
{
    enum { COUNT = 4 };
    struct board *board = board_map();
    pid_t pids[COUNT], notifier;

    for (int all = 0; all < 2; all++) {
        open_both(0);
        struct sh_condition_shared *shared = sh_container(condition->handle.object, struct sh_condition_shared, object);
        for (int i = 0; i < COUNT; i++)
            pids[i] = start_waiter(board, i);
        CHILD(notifier) {
            CHECK_OK(sh_handle_enter(&condition->handle));
            sh_word_announce(&sh_thread_state, &shared->bell); /* as the calls do */
            if (all) {
                sh_store_ordered(&shared->told, shared->tickets);
            } else {
                for (int i = 0; i < COUNT; i++)
                    sh_store_ordered(&shared->first[i].state,
                                     sh_waiter_state(SH_WAITER_NOTIFIED, sh_waiter_tag_in(shared->first[i].state)));
            }
            board->numbers[COUNT] = test_now();
            raise(SIGKILL);
        }
        CHECK_KILLED(notifier, SIGKILL);
        for (int i = 0; i < COUNT; i++) {
            CHECK_EXITS(pids[i], 0);
            CHECK_EQ(board->numbers[32 + i], 0);
            CHECK_LT(board->numbers[i] - board->numbers[COUNT], AT_ONCE);
        }
        close_both();
    }
    board_unmap(board);
}

TEST(who_is_notified_by_one_that_then_dies_with_the_lock_is_told)
{
    struct board *board = board_map();
    pid_t notifier;

    open_both(0);
    pid_t pid = start_waiter(board, 0);
    CHILD(notifier) {
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        CHECK_RETURN(shoal_condition_notify(condition, 1), 1);
        board->numbers[1] = test_now();
        raise(SIGKILL);
    }
    CHECK_KILLED(notifier, SIGKILL);
    CHECK_EXITS(pid, 0);
    CHECK_EQ(board->numbers[32], SHOAL_OWNER_DIED);
    CHECK_LT(board->numbers[0] - board->numbers[1], AT_ONCE);
    close_both();
    board_unmap(board);
}

static void on_signal(int number)
{
    (void)number;
}

TEST(a_signal_ends_the_wait_and_the_lock_is_held)
{
    struct board *board = board_map();
    pid_t pid;

    open_both(SHOAL_LOCK_RECURSIVE);
    CHILD(pid) {
        struct sigaction action = {.sa_handler = on_signal};
        CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        CHECK_RETURN(shoal_condition_wait(condition, lock, SHOAL_FOREVER), -EINTR);
        CHECK_EQ(owner().pid, getpid());
        CHECK_EQ(owner().depth, 2);
        CHECK_EQ(waiters(), 0);
        CHECK_OK(shoal_lock_release(lock));
        CHECK_OK(shoal_lock_release(lock));
    }
    AWAIT(waiters() == 1);
    test_await_asleep(pid);
    CHECK_SYS(kill(pid, SIGUSR1));
    CHECK_EXITS(pid, 0);
    close_both();
    board_unmap(board);
}

TEST(a_place_in_a_ring_is_handed_around_by_conditions)
{
    enum { PROCESSES = 4, ROUNDS = 1500 };
    struct board *board = board_map();
    pid_t pids[PROCESSES];

    open_both(0);
    for (int i = 0; i < PROCESSES; i++) {
        CHILD(pids[i]) {
            CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
            for (int round = 0; round < ROUNDS; round++) {
                while (board->numbers[0] % PROCESSES != i)
                    CHECK_OK(shoal_condition_wait(condition, lock, SHOAL_FOREVER));
                board->numbers[0]++;
                CHECK_COUNT(shoal_condition_notify_all(condition));
            }
            CHECK_OK(shoal_lock_release(lock));
        }
    }
    for (int i = 0; i < PROCESSES; i++)
        CHECK_EXITS(pids[i], 0);
    CHECK_EQ(board->numbers[0], PROCESSES * ROUNDS);
    close_both();
    board_unmap(board);
}

/* Two makers and two takers around a bound of three, with one condition for each side. */
TEST(makers_and_takers_meet_at_a_bound)
{
    enum { ITEMS = 5000, BOUND = 3 };
    struct board *board = board_map();
    shoal_condition *room;
    pid_t pids[4];

    open_both(0);
    CHECK_OK(shoal_condition_open(&room));
    for (int i = 0; i < 4; i++) {
        CHILD(pids[i]) {
            bool makes = i % 2;
            for (int item = 0; item < ITEMS; item++) {
                CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
                while (board->numbers[0] == (makes ? BOUND : 0))
                    CHECK_OK(shoal_condition_wait(makes ? room : condition, lock, SHOAL_FOREVER));
                board->numbers[0] += makes ? 1 : -1;
                CHECK_COUNT(shoal_condition_notify(makes ? condition : room, 1));
                CHECK_OK(shoal_lock_release(lock));
            }
        }
    }
    for (int i = 0; i < 4; i++)
        CHECK_EXITS(pids[i], 0);
    CHECK_EQ(board->numbers[0], 0);
    shoal_condition_free(room);
    close_both();
    board_unmap(board);
}

/* Takers are killed wherever they are: an item is left lying with a taker waiting for no longer than a backstop or two.
 */
TEST_WITHIN(60, killing_waiters_at_random_moments_loses_no_notification)
{
    enum { CHILDREN = 4, ROUNDS = 120 };
    struct board *board = board_map();
    uint64_t seed = test_seed();
    pid_t pids[CHILDREN] = {0};

    open_both(0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CHILDREN; i++) {
            if (pids[i])
                continue;
            CHILD(pids[i]) {
                for (;;) {
                    CHECK(shoal_lock_acquire(lock, SHOAL_FOREVER) >= 0);
                    while (board->numbers[0] == 0)
                        CHECK(shoal_condition_wait(condition, lock, SHOAL_FOREVER) >= 0);
                    board->numbers[0]--;
                    CHECK_OK(shoal_lock_release(lock));
                }
            }
        }
        for (int i = 0; i < 20; i++) {
            CHECK(shoal_lock_acquire(lock, SHOAL_FOREVER) >= 0);
            board->numbers[0]++;
            CHECK_COUNT(shoal_condition_notify(condition, 1));
            CHECK_OK(shoal_lock_release(lock));
            if (i == 10) {
                int victim = (int)test_random_below(&seed, CHILDREN);
                int64_t until = test_now() + (int64_t)test_random_below(&seed, 200000);
                while (test_now() < until)
                    ;
                kill_child(pids[victim]);
                pids[victim] = 0;
            }
        }
        int64_t begin = test_now();
        AWAIT(board->numbers[0] <= 0);
        CHECK_LT(test_now() - begin, SH_WORD_BACKSTOP * 4);
    }
    for (int i = 0; i < CHILDREN; i++)
        if (pids[i])
            kill_child(pids[i]);
    sh_reclaim_wait();
    close_both();
    board_unmap(board);
}
