/* semaphore.c - semaphores: counting, bounds, ownership of permits, and deaths of those who hold them or wait. */
#include "sync/semaphore.h"

#include "arena/reclaim.h"
#include "board.h"
#include "harness.h"

#include <pthread.h>
#include <shoal/event.h>
#include <shoal/semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static shoal_semaphore *open_semaphore(unsigned flags, uint32_t value, uint32_t maximum)
{
    struct shoal_semaphore_options options = {SHOAL_OPTIONS(shoal_semaphore), .flags = flags, .value = value,
                                              .maximum = maximum};
    shoal_semaphore *semaphore;

    CHECK_OK(shoal_semaphore_open(&options, &semaphore));
    check_object(semaphore);
    return semaphore;
}

static shoal_semaphore *open_owned(uint32_t permits)
{
    return open_semaphore(SHOAL_SEMAPHORE_OWNED, permits, 0);
}

static void close_semaphore(shoal_semaphore *semaphore)
{
    check_object(semaphore);
    shoal_semaphore_free(semaphore);
}

static uint32_t value_of(const shoal_semaphore *semaphore)
{
    uint32_t value;
    CHECK_OK(shoal_semaphore_value(semaphore, &value));
    return value;
}

TEST(permits_are_taken_and_given)
{
    shoal_semaphore *semaphore = open_semaphore(0, 2, 0);

    CHECK_EQ(value_of(semaphore), 2);
    CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
    CHECK_OK(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER));
    CHECK_EQ(value_of(semaphore), 0);
    CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
    CHECK_RETURN(shoal_semaphore_acquire(semaphore, INT64_MIN), -EAGAIN);
    CHECK_RETURN(shoal_semaphore_acquire(semaphore, SHOAL_MILLISECONDS(5)), -ETIMEDOUT);
    CHECK_OK(shoal_semaphore_release(semaphore, 5));
    CHECK_EQ(value_of(semaphore), 5);
    close_semaphore(semaphore);
}

TEST(without_options_there_are_no_permits_and_no_bound)
{
    shoal_semaphore *semaphore;

    CHECK_OK(shoal_semaphore_open(NULL, &semaphore));
    CHECK_EQ(value_of(semaphore), 0);
    CHECK_OK(shoal_semaphore_release(semaphore, INT32_MAX));
    CHECK_RETURN(shoal_semaphore_release(semaphore, 1), -EOVERFLOW);
    CHECK_RETURN(shoal_semaphore_release(semaphore, UINT32_MAX), -EOVERFLOW);
    CHECK_EQ(value_of(semaphore), INT32_MAX);
    close_semaphore(semaphore);
}

TEST(a_bound_is_not_passed)
{
    shoal_semaphore *semaphore = open_semaphore(0, 3, 3);

    CHECK_RETURN(shoal_semaphore_release(semaphore, 1), -EOVERFLOW);
    CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
    CHECK_RETURN(shoal_semaphore_release(semaphore, 2), -EOVERFLOW);
    CHECK_EQ(value_of(semaphore), 2);
    CHECK_OK(shoal_semaphore_release(semaphore, 1));
    CHECK_EQ(value_of(semaphore), 3);
    close_semaphore(semaphore);
}

TEST(options_that_mean_nothing_are_refused)
{
    struct shoal_semaphore_options good = {SHOAL_OPTIONS(shoal_semaphore), .value = 1}, bad;
    shoal_semaphore *none = NULL;

    CHECK_RETURN(shoal_semaphore_open(&good, NULL), -EINVAL);
    bad = good, bad.size = 4;
    CHECK_RETURN(shoal_semaphore_open(&bad, &none), -EINVAL);
    bad = good, bad.flags = 2;
    CHECK_RETURN(shoal_semaphore_open(&bad, &none), -EINVAL);
    bad = good, bad.value = 3, bad.maximum = 2;
    CHECK_RETURN(shoal_semaphore_open(&bad, &none), -EINVAL);
    bad = good, bad.maximum = (uint32_t)INT32_MAX + 1;
    CHECK_RETURN(shoal_semaphore_open(&bad, &none), -EINVAL);
    bad = good, bad.value = UINT32_MAX;
    CHECK_RETURN(shoal_semaphore_open(&bad, &none), -EINVAL);
    bad = good, bad.flags = SHOAL_SEMAPHORE_OWNED, bad.value = 0;
    CHECK_RETURN(shoal_semaphore_open(&bad, &none), -EINVAL);
    bad = good, bad.flags = SHOAL_SEMAPHORE_OWNED, bad.value = 65536;
    CHECK_RETURN(shoal_semaphore_open(&bad, &none), -EINVAL);
    bad = good, bad.flags = SHOAL_SEMAPHORE_OWNED, bad.maximum = 65536;
    CHECK_RETURN(shoal_semaphore_open(&bad, &none), -EINVAL);
    CHECK(none == NULL);
}

TEST(what_is_no_semaphore_is_refused)
{
    shoal_semaphore *semaphore = open_semaphore(0, 1, 0), *none = NULL;
    shoal_event *event;
    shoal_ref ref, bad;
    uint32_t value = 77;

    CHECK_RETURN(shoal_semaphore_acquire(NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_semaphore_release(NULL, 1), -EINVAL);
    CHECK_RETURN(shoal_semaphore_release(semaphore, 0), -EINVAL);
    CHECK_RETURN(shoal_semaphore_value(NULL, &value), -EINVAL);
    CHECK_RETURN(shoal_semaphore_value(semaphore, NULL), -EINVAL);
    CHECK_EQ(value, 77);
    CHECK_RETURN(shoal_semaphore_ref(NULL, &ref), -EINVAL);
    CHECK_RETURN(shoal_semaphore_ref(semaphore, NULL), -EINVAL);
    CHECK_OK(shoal_semaphore_ref(semaphore, &ref));
    CHECK_RETURN(shoal_semaphore_attach(NULL, &none), -EINVAL);
    CHECK_RETURN(shoal_semaphore_attach(&ref, NULL), -EINVAL);
    bad = ref, bad.family ^= 1;
    CHECK_RETURN(shoal_semaphore_attach(&bad, &none), -EXDEV);
    CHECK_OK(shoal_event_open(&event));
    CHECK_OK(shoal_event_ref(event, &bad));
    CHECK_RETURN(shoal_semaphore_attach(&bad, &none), -EINVAL);
    shoal_event_free(event);
    shoal_semaphore_free(semaphore);
    CHECK_RETURN(shoal_semaphore_attach(&ref, &none), -ESTALE);
    CHECK(none == NULL);
    shoal_semaphore_free(NULL);
}

/* A child that takes a permit, notes what came of it and when, and ends, or stays until it is killed. */
static pid_t start_taker(shoal_semaphore *semaphore, struct board *board, int index, bool stays)
{
    pid_t pid;

    CHILD(pid) {
        int r = shoal_semaphore_acquire(semaphore, SHOAL_FOREVER);
        board->numbers[index] = test_now();
        board->numbers[32 + index] = r + 1;
        while (stays)
            pause();
    }
    return pid;
}

static pid_t start_waiter(shoal_semaphore *semaphore, struct board *board, int index)
{
    pid_t pid = start_taker(semaphore, board, index, false);

    test_await_asleep(pid);
    return pid;
}

TEST(a_release_of_many_wakes_as_many)
{
    enum { COUNT = 6 };
    struct board *board = board_map();
    shoal_semaphore *semaphore = open_semaphore(0, 0, 0);
    pid_t pids[COUNT];

    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiter(semaphore, board, i);
    int64_t released = test_now();
    CHECK_OK(shoal_semaphore_release(semaphore, COUNT - 2));
    CHECK_OK(shoal_semaphore_release(semaphore, 1));
    CHECK_OK(shoal_semaphore_release(semaphore, 1));
    for (int i = 0; i < COUNT; i++) {
        CHECK_EXITS(pids[i], 0);
        CHECK_LT(board->numbers[i] - released, AT_ONCE);
        CHECK_EQ(board->numbers[32 + i], 1);
    }
    CHECK_EQ(value_of(semaphore), 0);
    close_semaphore(semaphore);
    board_unmap(board);
}

TEST(a_plain_permit_stays_taken_when_its_taker_dies)
{
    struct board *board = board_map();
    shoal_semaphore *semaphore = open_semaphore(0, 1, 0);
    pid_t pid = start_taker(semaphore, board, 0, false);

    CHECK_EXITS(pid, 0);
    sh_reclaim_wait();
    CHECK_EQ(value_of(semaphore), 0);
    CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
    CHECK_OK(shoal_semaphore_release(semaphore, 1)); /* anybody may */
    close_semaphore(semaphore);
    board_unmap(board);
}

TEST(waiters_that_die_do_not_keep_permits_from_others)
{
    enum { COUNT = 5 };
    struct board *board = board_map();

    for (int owned = 0; owned < 2; owned++) {
        shoal_semaphore *semaphore = owned ? open_owned(1) : open_semaphore(0, 1, 0);
        pid_t pids[COUNT];
        CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
        for (int i = 0; i < COUNT; i++)
            pids[i] = start_waiter(semaphore, board, i);
        for (int i = 0; i < COUNT - 1; i++)
            kill_child(pids[i]);
        int64_t released = test_now();
        CHECK_OK(shoal_semaphore_release(semaphore, 1));
        CHECK_EXITS(pids[COUNT - 1], 0);
        CHECK_LT(board->numbers[COUNT - 1] - released, AT_ONCE);
        close_semaphore(semaphore);
    }
    board_unmap(board);
}

/* It dies after the permits are there and before anybody was woken: the kernel wakes one, and the waiters each other.
 */
TEST(a_releaser_that_dies_before_it_wakes_anybody_has_woken_all)
{
    enum { COUNT = 5 };
    struct board *board = board_map();
    shoal_semaphore *semaphore = open_semaphore(0, 0, 0);
    struct sh_semaphore_shared *shared = sh_container(semaphore->handle.object, struct sh_semaphore_shared, object);
    pid_t pids[COUNT], releaser;

    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiter(semaphore, board, i);
    CHILD(releaser) {
        CHECK_OK(sh_handle_enter(&semaphore->handle));
        sh_word_announce(&sh_thread_state, &shared->bell); /* as shoal_semaphore_release does */
        sh_add_ordered(&shared->value, COUNT);
        board->numbers[COUNT] = test_now();
        raise(SIGKILL);
    }
    CHECK_KILLED(releaser, SIGKILL);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EXITS(pids[i], 0);
        CHECK_LT(board->numbers[i] - board->numbers[COUNT], AT_ONCE);
    }
    CHECK_EQ(value_of(semaphore), 0);
    close_semaphore(semaphore);
    board_unmap(board);
}

TEST(owned_permits_are_given_back_by_who_took_them)
{
    shoal_semaphore *semaphore = open_owned(3);
    pid_t pid;

    CHECK_EQ(value_of(semaphore), 3);
    CHECK_RETURN(shoal_semaphore_release(semaphore, 1), -EPERM);
    CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
    CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
    check_object(semaphore);
    CHECK_EQ(value_of(semaphore), 1);
    CHILD(pid) {
        CHECK_RETURN(shoal_semaphore_release(semaphore, 1), -EPERM);
        CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
        CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
        CHECK_RETURN(shoal_semaphore_acquire(semaphore, SHOAL_MILLISECONDS(5)), -ETIMEDOUT);
        CHECK_RETURN(shoal_semaphore_release(semaphore, 2), -EPERM);
        CHECK_EQ(value_of(semaphore), 0);
        CHECK_OK(shoal_semaphore_release(semaphore, 1));
    }
    CHECK_EXITS(pid, 0);
    CHECK_RETURN(shoal_semaphore_release(semaphore, 3), -EPERM);
    CHECK_RETURN(shoal_semaphore_release(semaphore, UINT32_MAX), -EPERM);
    CHECK_EQ(value_of(semaphore), 1);
    CHECK_OK(shoal_semaphore_release(semaphore, 2));
    CHECK_EQ(value_of(semaphore), 3);
    close_semaphore(semaphore);
}

TEST(an_owned_semaphore_may_have_very_many_permits)
{
    enum { MOST = 65535 };
    shoal_semaphore *semaphore = open_owned(MOST);

    for (int i = 0; i < MOST; i++)
        CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
    CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
    CHECK_EQ(value_of(semaphore), 0);
    check_object(semaphore);
    CHECK_RETURN(shoal_semaphore_release(semaphore, MOST + 1), -EPERM);
    CHECK_OK(shoal_semaphore_release(semaphore, MOST));
    CHECK_EQ(value_of(semaphore), MOST);
    close_semaphore(semaphore);
}

TEST(owned_permits_come_back_from_the_dead)
{
    struct board *board = board_map();

    for (int buried = 0; buried < 2; buried++) {
        shoal_semaphore *semaphore = open_owned(2);
        pid_t pid;
        board->step = 0;
        CHILD(pid) {
            CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
            CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
            board->step = 1;
            for (;;)
                pause();
        }
        AWAIT(board->step == 1);
        CHECK_EQ(value_of(semaphore), 0);
        kill_child(pid);
        if (buried)
            CHECK_EQ(sh_reclaim_wait(), 1);
        check_object(semaphore);
        CHECK_EQ(value_of(semaphore), 2);
        CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), SHOAL_OWNER_DIED);
        CHECK_RETURN(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER), SHOAL_OWNER_DIED);
        CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
        CHECK_OK(shoal_semaphore_release(semaphore, 2));
        CHECK_OK(shoal_semaphore_acquire(semaphore, 0)); /* told once */
        CHECK_OK(shoal_semaphore_release(semaphore, 1));
        close_semaphore(semaphore);
        if (!buried)
            CHECK_EQ(sh_reclaim_wait(), 1);
    }
    board_unmap(board);
}

/* Somebody watches the present holders at every time: each death wakes the next at once. */
TEST(waiters_that_die_holding_permits_hand_them_on_one_after_another)
{
    enum { COUNT = 6 };
    struct board *board = board_map();
    shoal_semaphore *semaphore = open_owned(2);
    pid_t pids[COUNT];
    int64_t killed = INT64_MAX;
    bool dead[COUNT] = {false};

    for (int i = 0; i < COUNT; i++) {
        pids[i] = start_taker(semaphore, board, i, true);
        if (i < 2)
            AWAIT(board->numbers[32 + i]);
        else
            test_await_asleep(pids[i]);
    }
    for (int left = COUNT; left > 0; left--) {
        int holder = -1, holders = 0;
        AWAIT(({
            holders = 0;
            for (int i = 0; i < COUNT; i++)
                if (!dead[i] && board->numbers[32 + i])
                    holder = i, holders++;
            holders == sh_min(left, 2);
        }));
        for (int i = 0; i < COUNT; i++) {
            if (!dead[i] && board->numbers[32 + i] == 1 + SHOAL_OWNER_DIED)
                CHECK_LT(board->numbers[i] - killed, AT_ONCE);
            if (!dead[i] && !board->numbers[32 + i])
                test_await_asleep(pids[i]);
        }
        killed = kill_child(pids[holder]);
        dead[holder] = true;
    }
    CHECK_EQ(value_of(semaphore), 2);
    close_semaphore(semaphore);
    board_unmap(board);
}

TEST(a_fork_does_not_copy_the_holding_of_permits)
{
    shoal_semaphore *semaphore = open_owned(1);
    pid_t pid;

    CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
    CHILD(pid) {
        CHECK_RETURN(shoal_semaphore_release(semaphore, 1), -EPERM);
        CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
    }
    CHECK_EXITS(pid, 0);
    CHECK_OK(shoal_semaphore_release(semaphore, 1));
    close_semaphore(semaphore);
}

static void on_signal(int number)
{
    (void)number;
}

TEST(a_signal_ends_the_wait)
{
    struct board *board = board_map();

    for (int owned = 0; owned < 2; owned++) {
        shoal_semaphore *semaphore = owned ? open_owned(1) : open_semaphore(0, 1, 0);
        pid_t pid;
        CHECK_OK(shoal_semaphore_acquire(semaphore, 0));
        board->step = 0;
        CHILD(pid) {
            struct sigaction action = {.sa_handler = on_signal};
            CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
            board->step = 1;
            CHECK_RETURN(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER), -EINTR);
            CHECK(*sh_thread_state.pending == NULL);
        }
        AWAIT(board->step == 1);
        test_await_asleep(pid);
        CHECK_SYS(kill(pid, SIGUSR1));
        CHECK_EXITS(pid, 0);
        CHECK_OK(shoal_semaphore_release(semaphore, 1));
        CHECK_EQ(value_of(semaphore), 1);
        close_semaphore(semaphore);
    }
    board_unmap(board);
}

TEST(never_more_than_the_permits_are_inside)
{
    enum { PROCESSES = 4, PERMITS = 2, TIMES = 15000 };
    struct board *board = board_map();

    for (int owned = 0; owned < 2; owned++) {
        shoal_semaphore *semaphore = owned ? open_owned(PERMITS) : open_semaphore(0, PERMITS, PERMITS);
        pid_t pids[PROCESSES];
        for (int i = 0; i < PROCESSES; i++) {
            CHILD(pids[i]) {
                for (int k = 0; k < TIMES; k++) {
                    CHECK_OK(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER));
                    CHECK_LE(++board->numbers[0], PERMITS);
                    board->numbers[0]--;
                    CHECK_OK(shoal_semaphore_release(semaphore, 1));
                }
            }
        }
        for (int i = 0; i < PROCESSES; i++)
            CHECK_EXITS(pids[i], 0);
        CHECK_EQ(value_of(semaphore), PERMITS);
        close_semaphore(semaphore);
    }
    board_unmap(board);
}

TEST(a_semaphore_hands_signals_from_one_process_to_another)
{
    enum { TIMES = 20000 };
    shoal_semaphore *there = open_semaphore(0, 0, 0), *back = open_semaphore(0, 0, 0);
    pid_t pid;

    CHILD(pid) {
        for (int i = 0; i < TIMES; i++) {
            CHECK_OK(shoal_semaphore_acquire(there, SHOAL_FOREVER));
            CHECK_OK(shoal_semaphore_release(back, 1));
        }
    }
    for (int i = 0; i < TIMES; i++) {
        CHECK_OK(shoal_semaphore_release(there, 1));
        CHECK_OK(shoal_semaphore_acquire(back, SHOAL_FOREVER));
    }
    CHECK_EXITS(pid, 0);
    CHECK_EQ(value_of(there), 0);
    CHECK_EQ(value_of(back), 0);
    close_semaphore(there);
    close_semaphore(back);
}

/* Children that are killed wherever they are: no permit of an owned semaphore is ever lost or doubled. */
TEST_WITHIN(60, killing_at_random_moments_loses_no_owned_permit)
{
    enum { CHILDREN = 3, PERMITS = 2, ROUNDS = 120 };
    struct board *board = board_map();
    shoal_semaphore *semaphore = open_owned(PERMITS);
    uint64_t seed = test_seed();
    pid_t pids[CHILDREN] = {0};

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CHILDREN; i++) {
            if (pids[i])
                continue;
            CHILD(pids[i]) {
                for (;;) {
                    CHECK(shoal_semaphore_acquire(semaphore, SHOAL_FOREVER) >= 0);
                    board->numbers[0]++;
                    CHECK_OK(shoal_semaphore_release(semaphore, 1));
                }
            }
        }
        int64_t until = test_now() + (int64_t)test_random_below(&seed, 3000000);
        while (test_now() < until)
            ;
        int victim = (int)test_random_below(&seed, CHILDREN);
        kill_child(pids[victim]);
        pids[victim] = 0;
        int64_t count = board->numbers[0], begin = test_now();
        AWAIT(board->numbers[0] != count);
        CHECK_LT(test_now() - begin, SH_WORD_BACKSTOP * 3);
    }
    for (int i = 0; i < CHILDREN; i++)
        if (pids[i])
            kill_child(pids[i]);
    CHECK_EQ(value_of(semaphore), PERMITS);
    for (int i = 0; i < PERMITS; i++)
        CHECK(shoal_semaphore_acquire(semaphore, 0) >= 0);
    CHECK_RETURN(shoal_semaphore_acquire(semaphore, 0), -EAGAIN);
    close_semaphore(semaphore);
    board_unmap(board);
}
