/* event.c - events: set, clear and wait, and deaths of those who set or wait. */
#include "sync/event.h"

#include "board.h"
#include "harness.h"

#include <pthread.h>
#include <shoal/event.h>
#include <shoal/lock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static shoal_event *open_event(void)
{
    shoal_event *event;

    CHECK_OK(shoal_event_open(&event));
    check_object(event);
    return event;
}

static void close_event(shoal_event *event)
{
    check_object(event);
    shoal_event_free(event);
}

TEST(an_event_is_set_and_cleared)
{
    shoal_event *event = open_event();

    CHECK_RETURN(shoal_event_is_set(event), 0);
    CHECK_RETURN(shoal_event_wait(event, 0), -EAGAIN);
    CHECK_OK(shoal_event_clear(event));
    CHECK_OK(shoal_event_set(event));
    CHECK_RETURN(shoal_event_is_set(event), 1);
    CHECK_OK(shoal_event_wait(event, 0));
    CHECK_OK(shoal_event_wait(event, -5));
    CHECK_OK(shoal_event_wait(event, SHOAL_FOREVER));
    CHECK_OK(shoal_event_set(event));
    check_object(event);
    CHECK_OK(shoal_event_clear(event));
    CHECK_OK(shoal_event_clear(event));
    CHECK_RETURN(shoal_event_is_set(event), 0);
    close_event(event);
}

TEST(a_wait_ends_when_its_time_is_up)
{
    shoal_event *event = open_event();
    int64_t begin = test_now();

    CHECK_RETURN(shoal_event_wait(event, -1), -EAGAIN);
    CHECK_RETURN(shoal_event_wait(event, INT64_MIN), -EAGAIN);
    CHECK_RETURN(shoal_event_wait(event, 1), -ETIMEDOUT);
    CHECK_RETURN(shoal_event_wait(event, SHOAL_MILLISECONDS(20)), -ETIMEDOUT);
    CHECK_GE(test_now() - begin, SHOAL_MILLISECONDS(20));
    begin = test_now();
    CHECK_RETURN(shoal_event_wait(event, SH_WORD_BACKSTOP * 3 / 2), -ETIMEDOUT);
    CHECK_GE(test_now() - begin, SH_WORD_BACKSTOP * 3 / 2);
    CHECK(*sh_thread_state.pending == NULL);
    close_event(event);
}

TEST(what_is_no_event_is_refused)
{
    shoal_event *event = open_event(), *none = NULL;
    shoal_lock *lock;
    shoal_ref ref, bad;

    CHECK_RETURN(shoal_event_open(NULL), -EINVAL);
    CHECK_RETURN(shoal_event_set(NULL), -EINVAL);
    CHECK_RETURN(shoal_event_clear(NULL), -EINVAL);
    CHECK_RETURN(shoal_event_is_set(NULL), -EINVAL);
    CHECK_RETURN(shoal_event_wait(NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_event_ref(NULL, &ref), -EINVAL);
    CHECK_RETURN(shoal_event_ref(event, NULL), -EINVAL);
    CHECK_OK(shoal_event_ref(event, &ref));
    CHECK_RETURN(shoal_event_attach(NULL, &none), -EINVAL);
    CHECK_RETURN(shoal_event_attach(&ref, NULL), -EINVAL);
    bad = ref, bad.family ^= 1;
    CHECK_RETURN(shoal_event_attach(&bad, &none), -EXDEV);
    CHECK_OK(shoal_lock_open(NULL, &lock));
    CHECK_OK(shoal_lock_ref(lock, &bad));
    CHECK_RETURN(shoal_event_attach(&bad, &none), -EINVAL);
    shoal_lock_free(lock);
    shoal_event_free(event);
    CHECK_RETURN(shoal_event_attach(&ref, &none), -ESTALE);
    CHECK(none == NULL);
    shoal_event_free(NULL);
}

/* A child that waits for the event, and notes what came of it and when. */
static pid_t start_waiter(shoal_event *event, struct board *board, int index)
{
    pid_t pid;

    CHILD(pid) {
        CHECK_OK(shoal_event_wait(event, SHOAL_FOREVER));
        board->numbers[index] = test_now();
    }
    test_await_asleep(pid);
    return pid;
}

TEST(setting_wakes_all_who_wait)
{
    enum { COUNT = 6 };
    struct board *board = board_map();
    shoal_event *event = open_event();
    pid_t pids[COUNT];

    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiter(event, board, i);
    int64_t set = test_now();
    CHECK_OK(shoal_event_set(event));
    for (int i = 0; i < COUNT; i++) {
        CHECK_EXITS(pids[i], 0);
        CHECK_LT(board->numbers[i] - set, AT_ONCE);
    }
    close_event(event);
    board_unmap(board);
}

TEST(who_slept_when_it_was_set_returns_though_it_was_cleared_at_once)
{
    enum { COUNT = 4 };
    struct board *board = board_map();
    shoal_event *event = open_event();
    pid_t pids[COUNT];

    for (int i = 0; i < COUNT; i++) {
        pids[i] = start_waiter(event, board, i);
        CHECK_SYS(kill(pids[i], SIGSTOP)); /* so that it cannot look before the event is cleared */
    }
    CHECK_OK(shoal_event_set(event));
    CHECK_OK(shoal_event_clear(event));
    CHECK_RETURN(shoal_event_is_set(event), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_SYS(kill(pids[i], SIGCONT));
        CHECK_EXITS(pids[i], 0);
    }
    CHECK_RETURN(shoal_event_wait(event, 0), -EAGAIN);
    close_event(event);
    board_unmap(board);
}

TEST(a_waiter_that_dies_leaves_nothing)
{
    struct board *board = board_map();
    shoal_event *event = open_event();

    for (int i = 0; i < 10; i++) {
        pid_t dead = start_waiter(event, board, 0), alive = start_waiter(event, board, 1);
        kill_child(dead);
        int64_t set = test_now();
        CHECK_OK(shoal_event_set(event));
        CHECK_EXITS(alive, 0);
        CHECK_LT(board->numbers[1] - set, AT_ONCE);
        CHECK_OK(shoal_event_clear(event));
        check_object(event);
    }
    close_event(event);
    board_unmap(board);
}

/* It dies after the flag is set and before anybody has been woken: the kernel wakes one, and the waiters each other. */
TEST(a_setter_that_dies_before_it_wakes_anybody_has_woken_all)
{
    enum { COUNT = 5 };
    struct board *board = board_map();
    shoal_event *event = open_event();
    struct sh_event_shared *shared = sh_container(event->handle.object, struct sh_event_shared, object);
    pid_t pids[COUNT], setter;

    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiter(event, board, i);
    CHILD(setter) {
        CHECK_OK(sh_handle_enter(&event->handle));
        sh_word_announce(&sh_thread_state, &shared->bell); /* as shoal_event_set does */
        sh_store_ordered(&shared->state, 3);
        board->numbers[COUNT] = test_now();
        raise(SIGKILL);
    }
    CHECK_KILLED(setter, SIGKILL);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EXITS(pids[i], 0);
        CHECK_LT(board->numbers[i] - board->numbers[COUNT], AT_ONCE);
    }
    close_event(event);
    board_unmap(board);
}

static void on_signal(int number)
{
    (void)number;
}

TEST(a_signal_ends_the_wait)
{
    struct board *board = board_map();
    shoal_event *event = open_event();
    pid_t pid;

    CHILD(pid) {
        struct sigaction action = {.sa_handler = on_signal};
        CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
        board->step = 1;
        CHECK_RETURN(shoal_event_wait(event, SHOAL_FOREVER), -EINTR);
        CHECK(*sh_thread_state.pending == NULL);
    }
    AWAIT(board->step == 1);
    test_await_asleep(pid);
    CHECK_SYS(kill(pid, SIGUSR1));
    CHECK_EXITS(pid, 0);
    close_event(event);
    board_unmap(board);
}

static void play(struct board *board, shoal_event *mine, shoal_event *other, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        CHECK_OK(shoal_event_wait(mine, SHOAL_FOREVER));
        CHECK_OK(shoal_event_clear(mine));
        board->numbers[0]++;
        CHECK_OK(shoal_event_set(other));
    }
}

TEST(two_processes_take_turns_by_two_events)
{
    enum { ROUNDS = 5000 };
    struct board *board = board_map();
    shoal_event *left = open_event(), *right = open_event();
    pid_t pid;

    CHILD(pid) {
        play(board, left, right, ROUNDS);
    }
    CHECK_OK(shoal_event_set(left));
    play(board, right, left, ROUNDS);
    CHECK_EXITS(pid, 0);
    CHECK_EQ(board->numbers[0], 2 * ROUNDS);
    close_event(left);
    close_event(right);
    board_unmap(board);
}

static void *wait_in_thread(void *event)
{
    CHECK_OK(shoal_event_wait(event, SHOAL_FOREVER));
    return NULL;
}

TEST(threads_of_a_forked_child_wait_too)
{
    enum { THREADS = 4 };
    shoal_event *event = open_event();
    pid_t pid;

    CHILD(pid) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, wait_in_thread, event), 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    test_await_asleep(pid);
    CHECK_OK(shoal_event_set(event));
    CHECK_EXITS(pid, 0);
    close_event(event);
}
