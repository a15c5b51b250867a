/* lock.c - locks: kinds, owners, bad input, and deaths of those who hold them or wait. */
#include "sync/lock.h"

#include "arena/reclaim.h"
#include "board.h"
#include "harness.h"

#include <pthread.h>
#include <shoal/event.h>
#include <shoal/lock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static shoal_lock *open_lock(unsigned flags)
{
    struct shoal_lock_options options = {SHOAL_OPTIONS(shoal_lock), .flags = flags};
    shoal_lock *lock;

    CHECK_OK(shoal_lock_open(&options, &lock));
    check_object(lock);
    return lock;
}

static void close_lock(shoal_lock *lock)
{
    check_object(lock);
    shoal_lock_free(lock);
}

static struct shoal_lock_owner owner_of(const shoal_lock *lock)
{
    struct shoal_lock_owner owner;
    CHECK_OK(shoal_lock_owner(lock, &owner));
    return owner;
}

TEST(a_lock_is_taken_and_released)
{
    shoal_lock *lock;

    CHECK_OK(shoal_lock_open(NULL, &lock));
    CHECK_EQ(owner_of(lock).pid, 0);
    CHECK_OK(shoal_lock_acquire(lock, 0));
    check_object(lock);
    CHECK_EQ(owner_of(lock).pid, getpid());
    CHECK_EQ(owner_of(lock).tid, gettid());
    CHECK_EQ(owner_of(lock).depth, 1);
    CHECK_EQ(owner_of(lock).alive, 1);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_EQ(owner_of(lock).pid, 0);
    CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
    CHECK_OK(shoal_lock_release(lock));
    close_lock(lock);
}

TEST(another_process_does_not_get_a_lock_that_is_held)
{
    shoal_lock *lock = open_lock(0);
    pid_t pid;

    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHILD(pid) {
        CHECK_RETURN(shoal_lock_acquire(lock, 0), -EAGAIN);
        CHECK_RETURN(shoal_lock_acquire(lock, -1), -EAGAIN);
        CHECK_RETURN(shoal_lock_acquire(lock, INT64_MIN), -EAGAIN);
        int64_t begin = test_now();
        CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_MILLISECONDS(20)), -ETIMEDOUT);
        CHECK_GE(test_now() - begin, SHOAL_MILLISECONDS(20));
        CHECK_RETURN(shoal_lock_acquire(lock, 1), -ETIMEDOUT);
        CHECK_RETURN(shoal_lock_release(lock), -EPERM);
        CHECK_EQ(owner_of(lock).pid, getppid());
        CHECK_EQ(owner_of(lock).alive, 1);
    }
    CHECK_EXITS(pid, 0);
    check_object(lock);
    CHECK_OK(shoal_lock_release(lock));
    close_lock(lock);
}

TEST(a_timeout_beyond_a_backstop_passes_in_time)
{
    shoal_lock *lock = open_lock(0);
    pid_t pid;

    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHILD(pid) {
        int64_t begin = test_now(), timeout = SH_WORD_BACKSTOP * 5 / 2;
        CHECK_RETURN(shoal_lock_acquire(lock, timeout), -ETIMEDOUT);
        CHECK_GE(test_now() - begin, timeout);
        CHECK_LT(test_now() - begin, timeout * 2);
    }
    CHECK_EXITS(pid, 0);
    close_lock(lock);
}

static void *fail_to_release(void *lock)
{
    CHECK_RETURN(shoal_lock_release(lock), -EPERM);
    CHECK_RETURN(shoal_lock_acquire(lock, 0), -EAGAIN);
    return NULL;
}

static void in_a_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, function, argument), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(a_lock_belongs_to_the_thread_that_took_it)
{
    shoal_lock *lock = open_lock(0);

    CHECK_RETURN(shoal_lock_release(lock), -EPERM);
    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHECK_RETURN(shoal_lock_acquire(lock, 0), -EDEADLK);
    CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_FOREVER), -EDEADLK);
    in_a_thread(fail_to_release, lock);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_RETURN(shoal_lock_release(lock), -EPERM);
    close_lock(lock);
}

TEST(a_recursive_lock_is_released_as_often_as_it_was_taken)
{
    shoal_lock *lock = open_lock(SHOAL_LOCK_RECURSIVE);

    for (uint32_t i = 1; i <= 5; i++) {
        CHECK_OK(shoal_lock_acquire(lock, i % 2 ? 0 : SHOAL_FOREVER));
        CHECK_EQ(owner_of(lock).depth, i);
        check_object(lock);
    }
    in_a_thread(fail_to_release, lock);
    for (uint32_t i = 5; i > 0; i--) {
        CHECK_EQ(owner_of(lock).depth, i);
        CHECK_OK(shoal_lock_release(lock));
    }
    CHECK_EQ(owner_of(lock).pid, 0);
    CHECK_RETURN(shoal_lock_release(lock), -EPERM);
    close_lock(lock);
}

TEST(a_recursive_lock_is_held_a_bounded_number_of_times)
{
    shoal_lock *lock = open_lock(SHOAL_LOCK_RECURSIVE);
    struct sh_lock_shared *shared = sh_container(lock->handle.object, struct sh_lock_shared, object);

    CHECK_OK(shoal_lock_acquire(lock, 0));
    shared->again = UINT32_MAX - 2; /* as if it had been taken so often */
    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHECK_EQ(owner_of(lock).depth, UINT32_MAX);
    CHECK_RETURN(shoal_lock_acquire(lock, 0), -EOVERFLOW);
    CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_FOREVER), -EOVERFLOW);
    CHECK_EQ(owner_of(lock).depth, UINT32_MAX);
    shared->again = 0;
    CHECK_OK(shoal_lock_release(lock));
    close_lock(lock);
}

TEST(anybody_may_release_a_lock_of_that_kind)
{
    shoal_lock *lock = open_lock(SHOAL_LOCK_ANY_RELEASE);
    pid_t pid;

    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHECK_RETURN(shoal_lock_acquire(lock, 0), -EAGAIN); /* not -EDEADLK: another might release it meanwhile */
    CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_MILLISECONDS(5)), -ETIMEDOUT);
    CHILD(pid) {
        test_await_asleep(getppid());
        CHECK_OK(shoal_lock_release(lock));
    }
    CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
    CHECK_EXITS(pid, 0);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_RETURN(shoal_lock_release(lock), -EPERM);
    close_lock(lock);
}

TEST(anybody_may_release_a_lock_of_that_kind_for_an_owner_that_died)
{
    shoal_lock *lock = open_lock(SHOAL_LOCK_ANY_RELEASE);

    for (int buried = 0; buried < 2; buried++) {
        pid_t pid;
        CHILD(pid) {
            CHECK_OK(shoal_lock_acquire(lock, 0));
        }
        CHECK_EXITS(pid, 0);
        if (buried)
            sh_reclaim_wait();
        CHECK_OK(shoal_lock_release(lock));
        CHECK_RETURN(shoal_lock_release(lock), -EPERM);
        CHECK_OK(shoal_lock_acquire(lock, 0));
        CHECK_OK(shoal_lock_release(lock));
    }
    close_lock(lock);
}

TEST(options_that_mean_nothing_are_refused)
{
    struct shoal_lock_options good = {SHOAL_OPTIONS(shoal_lock)}, bad;
    shoal_lock *lock = NULL;

    CHECK_RETURN(shoal_lock_open(&good, NULL), -EINVAL);
    bad = good, bad.size = 0;
    CHECK_RETURN(shoal_lock_open(&bad, &lock), -EINVAL);
    bad = good, bad.size += 8;
    CHECK_RETURN(shoal_lock_open(&bad, &lock), -EINVAL);
    bad = good, bad.flags = 1 << 2;
    CHECK_RETURN(shoal_lock_open(&bad, &lock), -EINVAL);
    bad = good, bad.flags = SHOAL_LOCK_RECURSIVE | SHOAL_LOCK_ANY_RELEASE;
    CHECK_RETURN(shoal_lock_open(&bad, &lock), -EINVAL);
    bad = good, bad.reserved = 1;
    CHECK_RETURN(shoal_lock_open(&bad, &lock), -EINVAL);
    CHECK(lock == NULL);
}

TEST(what_is_no_lock_is_refused)
{
    shoal_lock *lock = open_lock(0), *none = NULL;
    struct shoal_lock_owner owner;
    shoal_event *event;
    shoal_ref ref, bad;

    CHECK_RETURN(shoal_lock_acquire(NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_lock_release(NULL), -EINVAL);
    CHECK_RETURN(shoal_lock_owner(NULL, &owner), -EINVAL);
    CHECK_RETURN(shoal_lock_owner(lock, NULL), -EINVAL);
    CHECK_RETURN(shoal_lock_ref(NULL, &ref), -EINVAL);
    CHECK_RETURN(shoal_lock_ref(lock, NULL), -EINVAL);
    CHECK_OK(shoal_lock_ref(lock, &ref));
    CHECK_RETURN(shoal_lock_attach(NULL, &none), -EINVAL);
    CHECK_RETURN(shoal_lock_attach(&ref, NULL), -EINVAL);
    bad = ref, bad.family ^= 1;
    CHECK_RETURN(shoal_lock_attach(&bad, &none), -EXDEV);
    CHECK_OK(shoal_event_open(&event));
    CHECK_OK(shoal_event_ref(event, &bad));
    CHECK_RETURN(shoal_lock_attach(&bad, &none), -EINVAL);
    shoal_event_free(event);
    shoal_lock_free(lock);
    CHECK_RETURN(shoal_lock_attach(&ref, &none), -ESTALE);
    CHECK(none == NULL);
    shoal_lock_free(NULL);
}

TEST(freeing_a_handle_does_not_release)
{
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0), *second;
    pid_t pid;

    CHECK_OK(shoal_lock_ref(lock, &board->ref));
    CHECK_OK(shoal_lock_attach(&board->ref, &second));
    CHECK_OK(shoal_lock_acquire(lock, 0));
    shoal_lock_free(lock);
    CHILD(pid) {
        shoal_lock *attached;
        CHECK_OK(shoal_lock_attach(&board->ref, &attached));
        CHECK_RETURN(shoal_lock_acquire(attached, 0), -EAGAIN);
        shoal_lock_free(attached);
    }
    CHECK_EXITS(pid, 0);
    CHECK_OK(shoal_lock_release(second));
    close_lock(second);
    board_unmap(board);
}

/* A child that takes the lock, says so, and stays until it is killed. */
static pid_t start_holder(shoal_lock *lock, struct board *board)
{
    pid_t pid;

    board->step = 0;
    CHILD(pid) {
        CHECK_OK(shoal_lock_acquire(lock, 0));
        board->step = 1;
        for (;;)
            pause();
    }
    AWAIT(board->step == 1);
    return pid;
}

TEST(the_next_owner_is_told_that_the_last_one_died)
{
    unsigned kinds[] = {0, SHOAL_LOCK_RECURSIVE, SHOAL_LOCK_ANY_RELEASE};
    struct board *board = board_map();

    for (int i = 0; i < 3; i++) {
        shoal_lock *lock = open_lock(kinds[i]);
        pid_t pid = start_holder(lock, board);
        kill_child(pid);
        CHECK_EQ(owner_of(lock).pid, pid);
        CHECK_EQ(owner_of(lock).alive, 0);
        CHECK_RETURN(shoal_lock_acquire(lock, 0), SHOAL_OWNER_DIED);
        CHECK_EQ(owner_of(lock).pid, getpid());
        CHECK_EQ(owner_of(lock).depth, 1);
        CHECK_OK(shoal_lock_release(lock));
        CHECK_OK(shoal_lock_acquire(lock, 0));
        CHECK_OK(shoal_lock_release(lock));
        close_lock(lock);
    }
    board_unmap(board);
}

TEST(the_next_owner_is_told_that_the_last_one_became_another_program)
{
    shoal_lock *lock = open_lock(0);
    struct board *board = board_map();
    pid_t pid;

    CHILD(pid) {
        CHECK_OK(shoal_lock_acquire(lock, 0));
        board->step = 1;
        AWAIT(board->step == 2);
        execlp("sleep", "sleep", "1000", (char *)NULL);
    }
    AWAIT(board->step == 1);
    CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_MILLISECONDS(10)), -ETIMEDOUT);
    board->step = 2;
    CHECK_EQ(shoal_lock_acquire(lock, SHOAL_SECONDS(10)), SHOAL_OWNER_DIED);
    CHECK(test_is_alive(pid));
    CHECK_OK(shoal_lock_release(lock));
    kill_child(pid);
    close_lock(lock);
    board_unmap(board);
}

TEST(a_lock_of_a_dead_owner_that_was_buried_says_so_too)
{
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);
    pid_t pid = start_holder(lock, board), other;

    kill_child(pid);
    CHECK_EQ(sh_reclaim_wait(), 1);
    check_object(lock);
    CHILD(other) /* who may get the dead one's slot */
    {
        CHECK_EQ(owner_of(lock).pid, pid);
        CHECK_EQ(owner_of(lock).alive, 0);
        CHECK_RETURN(shoal_lock_release(lock), -EPERM);
        CHECK_RETURN(shoal_lock_acquire(lock, 0), SHOAL_OWNER_DIED);
        CHECK_OK(shoal_lock_release(lock));
    }
    CHECK_EXITS(other, 0);
    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHECK_OK(shoal_lock_release(lock));
    close_lock(lock);
    board_unmap(board);
}

TEST(the_depth_of_a_dead_owner_is_not_inherited)
{
    shoal_lock *lock = open_lock(SHOAL_LOCK_RECURSIVE);
    pid_t pid;

    CHILD(pid) {
        for (int i = 0; i < 3; i++)
            CHECK_OK(shoal_lock_acquire(lock, 0));
        raise(SIGKILL);
    }
    CHECK_KILLED(pid, SIGKILL);
    CHECK_EQ(owner_of(lock).depth, 3);
    CHECK_RETURN(shoal_lock_acquire(lock, 0), SHOAL_OWNER_DIED);
    CHECK_EQ(owner_of(lock).depth, 1);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_EQ(owner_of(lock).pid, 0);
    close_lock(lock);
}

/* Children that wait for the lock; each notes what it got and when, and then holds it, or gives it back. */
static pid_t start_waiter(shoal_lock *lock, struct board *board, int index, bool holds)
{
    pid_t pid;

    CHILD(pid) {
        int r = shoal_lock_acquire(lock, SHOAL_FOREVER);
        board->numbers[index] = test_now();
        board->numbers[32 + index] = r + 1;
        while (holds)
            pause();
        CHECK_OK(shoal_lock_release(lock));
    }
    test_await_asleep(pid);
    return pid;
}

TEST(five_waiters_get_it_one_after_another_when_the_holder_dies)
{
    enum { COUNT = 5 };
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);
    pid_t pids[COUNT], holder = start_holder(lock, board);
    int told = 0;

    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiter(lock, board, i, false);
    int64_t killed = kill_child(holder);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EXITS(pids[i], 0);
        CHECK_LT(board->numbers[i] - killed, AT_ONCE);
        told += board->numbers[32 + i] == 1 + SHOAL_OWNER_DIED;
    }
    CHECK_EQ(told, 1);
    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHECK_OK(shoal_lock_release(lock));
    close_lock(lock);
    board_unmap(board);
}

/* Which of the children has got the lock: waits until one has. */
static int find_holder(struct board *board, const pid_t *pids, int count)
{
    int holder = -1;

    AWAIT(({
        for (int i = 0; i < count; i++)
            if (pids[i] && board->numbers[32 + i])
                holder = i;
        holder >= 0;
    }));
    return holder;
}

/* Somebody watches the present holder at every time: each death wakes the next at once. The first holder dies too, or
 * has let go of the lock, so that the others sleep on as they were when the first waiter gets it. */
static void let_waiters_die_holding(bool first_dies)
{
    enum { COUNT = 5 };
    struct board *board = board_map();
    shoal_lock *lock = open_lock(SHOAL_LOCK_ANY_RELEASE);
    pid_t pids[COUNT], holder = start_holder(lock, board);

    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiter(lock, board, i, true);
    if (!first_dies)
        CHECK_OK(shoal_lock_release(lock));
    int64_t killed = kill_child(holder);
    for (int left = COUNT; left > 0; left--) {
        int next = find_holder(board, pids, COUNT);
        CHECK_LT(board->numbers[next] - killed, AT_ONCE);
        CHECK_EQ(board->numbers[32 + next], 1 + (first_dies || left < COUNT ? SHOAL_OWNER_DIED : 0));
        for (int i = 0; i < COUNT; i++)
            if (pids[i] && i != next)
                test_await_asleep(pids[i]); /* one of them is to watch the new holder, once it has got so far */
        killed = kill_child(pids[next]);
        pids[next] = 0;
    }
    CHECK_RETURN(shoal_lock_acquire(lock, 0), SHOAL_OWNER_DIED);
    CHECK_OK(shoal_lock_release(lock));
    close_lock(lock);
    board_unmap(board);
}

TEST(five_waiters_that_die_holding_it_hand_it_on_one_after_another)
{
    let_waiters_die_holding(true);
}

TEST(waiters_that_slept_while_others_got_it_are_woken_by_the_death_of_these)
{
    let_waiters_die_holding(false);
}

TEST(waiters_that_die_waiting_do_not_keep_the_others_from_it)
{
    enum { COUNT = 6 };
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);
    pid_t pids[COUNT];

    for (int dead = 0; dead < COUNT - 1; dead++) {
        CHECK_OK(shoal_lock_acquire(lock, 0));
        for (int i = 0; i < COUNT; i++)
            pids[i] = start_waiter(lock, board, i, false);
        for (int i = 0; i < dead; i++)
            kill_child(pids[i]);
        CHECK_OK(shoal_lock_release(lock));
        int64_t released = test_now();
        for (int i = dead; i < COUNT; i++) {
            CHECK_EXITS(pids[i], 0);
            CHECK_LT(board->numbers[i] - released, AT_ONCE);
        }
        check_object(lock);
    }
    close_lock(lock);
    board_unmap(board);
}

/* The waiter that is woken is killed at that moment, again and again: another must get the lock. */
TEST(a_waiter_that_dies_when_it_is_woken_passes_the_lock_on)
{
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);

    for (int round = 0; round < 50; round++) {
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER) >= 0 ? 0 : -1);
        pid_t first = start_waiter(lock, board, 0, false), second = start_waiter(lock, board, 1, false);
        CHECK_OK(shoal_lock_release(lock));
        int64_t killed = test_now();
        CHECK_SYS(kill(first, SIGKILL));
        CHECK_SYS(waitpid(first, NULL, 0));
        CHECK_EXITS(second, 0);
        CHECK_LT(board->numbers[1] - killed, AT_ONCE);
    }
    close_lock(lock);
    board_unmap(board);
}

static void *take(void *lock)
{
    CHECK_OK(shoal_lock_acquire(lock, 0));
    return NULL;
}

TEST(a_thread_that_ends_leaves_its_lock_held_until_the_process_dies)
{
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);
    pid_t pid;

    CHILD(pid) {
        CHECK_OK(sh_handle_enter(&lock->handle)); /* so that it is this thread that attaches the process */
        in_a_thread(take, lock);
        CHECK_RETURN(shoal_lock_release(lock), -EPERM);
        CHECK_RETURN(shoal_lock_acquire(lock, 0), -EAGAIN);
        board->step = 1;
        for (;;)
            pause();
    }
    AWAIT(board->step == 1);
    CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_MILLISECONDS(5)), -ETIMEDOUT);
    CHECK_EQ(owner_of(lock).pid, pid);
    CHECK_EQ(owner_of(lock).alive, 1);
    kill_child(pid);
    CHECK_RETURN(shoal_lock_acquire(lock, 0), SHOAL_OWNER_DIED);
    CHECK_OK(shoal_lock_release(lock));
    close_lock(lock);
    board_unmap(board);
}

static void *attach_process(void *lock)
{
    CHECK_OK(sh_handle_enter(&((shoal_lock *)lock)->handle));
    return NULL;
}

TEST(the_end_of_the_thread_that_attached_is_no_death)
{
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);
    pid_t pid;

    CHILD(pid) {
        in_a_thread(attach_process, lock);
        CHECK_OK(shoal_lock_acquire(lock, 0));
        board->step = 1;
        for (;;)
            pause();
    }
    AWAIT(board->step == 1);
    CHECK_RETURN(shoal_lock_acquire(lock, 0), -EAGAIN);
    pid_t waiter = start_waiter(lock, board, 0, false);
    CHECK_EQ(board->numbers[32], 0);
    int64_t killed = kill_child(pid);
    CHECK_EXITS(waiter, 0);
    CHECK_EQ(board->numbers[32], 1 + SHOAL_OWNER_DIED);
    CHECK_LT(board->numbers[0] - killed, AT_ONCE);
    close_lock(lock);
    board_unmap(board);
}

TEST(a_fork_does_not_copy_the_holding_of_a_lock)
{
    struct board *board = board_map();
    shoal_lock *lock = open_lock(SHOAL_LOCK_RECURSIVE);
    pid_t pid;

    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHILD(pid) {
        CHECK_RETURN(shoal_lock_release(lock), -EPERM);
        CHECK_RETURN(shoal_lock_acquire(lock, 0), -EAGAIN);
        board->step = 1;
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
        CHECK_EQ(owner_of(lock).pid, getpid());
        CHECK_OK(shoal_lock_release(lock));
    }
    AWAIT(board->step == 1);
    test_await_asleep(pid);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_EXITS(pid, 0);
    close_lock(lock);
    board_unmap(board);
}

static void on_signal(int number)
{
    (void)number;
}

TEST(a_signal_ends_the_wait_and_nothing_was_taken)
{
    struct board *board = board_map();
    shoal_lock *lock = open_lock(0);
    pid_t pid;

    CHECK_OK(shoal_lock_acquire(lock, 0));
    CHILD(pid) {
        struct sigaction action = {.sa_handler = on_signal};
        CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
        board->step = 1;
        CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_FOREVER), -EINTR);
        CHECK_EQ(owner_of(lock).pid, getppid());
        CHECK(*sh_thread_state.pending == NULL);
        board->step = 2;
        CHECK_OK(shoal_lock_acquire(lock, SHOAL_FOREVER));
    }
    AWAIT(board->step == 1);
    test_await_asleep(pid);
    CHECK_SYS(kill(pid, SIGUSR1));
    AWAIT(board->step == 2);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_EXITS(pid, 0);
    CHECK_RETURN(shoal_lock_acquire(lock, 0), SHOAL_OWNER_DIED); /* it ended without a release */
    close_lock(lock);
    board_unmap(board);
}
