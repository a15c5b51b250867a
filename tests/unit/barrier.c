/* barrier.c - barriers: rounds, numbers, breaking and resetting, and deaths of parties. */
#include "sync/barrier.h"

#include "arena/reclaim.h"
#include "board.h"
#include "harness.h"

#include <pthread.h>
#include <shoal/barrier.h>
#include <shoal/event.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static shoal_barrier *open_barrier(uint32_t parties)
{
    shoal_barrier *barrier;

    CHECK_OK(shoal_barrier_open(parties, &barrier));
    check_object(barrier);
    return barrier;
}

static void close_barrier(shoal_barrier *barrier)
{
    check_object(barrier);
    shoal_barrier_free(barrier);
}

static uint32_t waiting_at(const shoal_barrier *barrier)
{
    uint32_t waiting;
    CHECK_OK(shoal_barrier_waiting(barrier, &waiting));
    return waiting;
}

/* A child that waits, and notes what came of it and when. */
static pid_t start_party(shoal_barrier *barrier, struct board *board, int index)
{
    pid_t pid;

    board->numbers[32 + index] = INT64_MIN;
    CHILD(pid) {
        int r = shoal_barrier_wait(barrier, SHOAL_FOREVER);
        board->numbers[index] = test_now();
        board->numbers[32 + index] = r;
        CHECK(*sh_thread_state.pending == NULL);
    }
    return pid;
}

/* The same, and returns when it is counted and asleep. */
static pid_t start_waiting_party(shoal_barrier *barrier, struct board *board, int index)
{
    uint32_t before = waiting_at(barrier);
    pid_t pid = start_party(barrier, board, index);

    AWAIT(waiting_at(barrier) == before + 1);
    test_await_asleep(pid);
    return pid;
}

TEST(a_barrier_for_one_lets_everyone_through)
{
    shoal_barrier *barrier = open_barrier(1);

    for (int i = 0; i < 5; i++) {
        CHECK_RETURN(shoal_barrier_wait(barrier, i % 2 ? 0 : SHOAL_FOREVER), 0);
        check_object(barrier);
    }
    CHECK_EQ(waiting_at(barrier), 0);
    close_barrier(barrier);
}

TEST(all_go_when_the_last_one_comes_each_with_another_number)
{
    enum { PARTIES = 5 };
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(PARTIES);
    pid_t pids[PARTIES];
    uint32_t parties, numbers = 0;

    CHECK_OK(shoal_barrier_parties(barrier, &parties));
    CHECK_EQ(parties, PARTIES);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < PARTIES - 1; i++) {
            pids[i] = start_waiting_party(barrier, board, i);
            CHECK_EQ(waiting_at(barrier), i + 1);
            check_object(barrier);
        }
        int64_t last = test_now();
        numbers = 1u << CHECK_COUNT(shoal_barrier_wait(barrier, round % 2 ? SHOAL_FOREVER : 0));
        for (int i = 0; i < PARTIES - 1; i++) {
            CHECK_EXITS(pids[i], 0);
            CHECK_GE(board->numbers[32 + i], 0);
            numbers |= 1u << board->numbers[32 + i];
            CHECK_LT(board->numbers[i] - last, AT_ONCE);
        }
        CHECK_EQ(numbers, (1u << PARTIES) - 1);
        CHECK_EQ(waiting_at(barrier), 0);
        check_object(barrier);
    }
    close_barrier(barrier);
    board_unmap(board);
}

TEST(parties_that_are_wrong_are_refused)
{
    shoal_barrier *none = NULL, *large;

    CHECK_RETURN(shoal_barrier_open(0, &none), -EINVAL);
    CHECK_RETURN(shoal_barrier_open(65536, &none), -EINVAL);
    CHECK_RETURN(shoal_barrier_open(UINT32_MAX, &none), -EINVAL);
    CHECK_RETURN(shoal_barrier_open(2, NULL), -EINVAL);
    CHECK(none == NULL);
    CHECK_OK(shoal_barrier_open(65535, &large));
    CHECK_RETURN(shoal_barrier_wait(large, SHOAL_MILLISECONDS(1)), -ETIMEDOUT);
    close_barrier(large);
}

TEST(what_is_no_barrier_is_refused)
{
    shoal_barrier *barrier = open_barrier(2), *none = NULL;
    shoal_event *event;
    shoal_ref ref, bad;
    uint32_t number = 77;

    CHECK_RETURN(shoal_barrier_wait(NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_barrier_abort(NULL), -EINVAL);
    CHECK_RETURN(shoal_barrier_reset(NULL), -EINVAL);
    CHECK_RETURN(shoal_barrier_is_broken(NULL), -EINVAL);
    CHECK_RETURN(shoal_barrier_parties(NULL, &number), -EINVAL);
    CHECK_RETURN(shoal_barrier_parties(barrier, NULL), -EINVAL);
    CHECK_RETURN(shoal_barrier_waiting(NULL, &number), -EINVAL);
    CHECK_RETURN(shoal_barrier_waiting(barrier, NULL), -EINVAL);
    CHECK_EQ(number, 77);
    CHECK_RETURN(shoal_barrier_ref(NULL, &ref), -EINVAL);
    CHECK_RETURN(shoal_barrier_ref(barrier, NULL), -EINVAL);
    CHECK_OK(shoal_barrier_ref(barrier, &ref));
    CHECK_RETURN(shoal_barrier_attach(NULL, &none), -EINVAL);
    CHECK_RETURN(shoal_barrier_attach(&ref, NULL), -EINVAL);
    bad = ref, bad.family ^= 1;
    CHECK_RETURN(shoal_barrier_attach(&bad, &none), -EXDEV);
    CHECK_OK(shoal_event_open(&event));
    CHECK_OK(shoal_event_ref(event, &bad));
    CHECK_RETURN(shoal_barrier_attach(&bad, &none), -EINVAL);
    shoal_event_free(event);
    shoal_barrier_free(barrier);
    CHECK_RETURN(shoal_barrier_attach(&ref, &none), -ESTALE);
    CHECK(none == NULL);
    shoal_barrier_free(NULL);
}

TEST(a_party_whose_time_runs_out_breaks_it_for_all)
{
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(4);

    for (int timed = 0; timed < 2; timed++) {
        pid_t first = start_waiting_party(barrier, board, 0), second = start_waiting_party(barrier, board, 1);
        int64_t begin = test_now();
        if (timed)
            CHECK_RETURN(shoal_barrier_wait(barrier, SHOAL_MILLISECONDS(10)), -ETIMEDOUT);
        else
            CHECK_RETURN(shoal_barrier_wait(barrier, 0), -EAGAIN);
        CHECK_EXITS(first, 0);
        CHECK_EXITS(second, 0);
        CHECK_EQ(board->numbers[32], -EPIPE);
        CHECK_EQ(board->numbers[33], -EPIPE);
        CHECK_LT(board->numbers[0] - begin, AT_ONCE);
        CHECK_RETURN(shoal_barrier_is_broken(barrier), 1);
        CHECK_RETURN(shoal_barrier_wait(barrier, SHOAL_FOREVER), -EPIPE);
        CHECK_RETURN(shoal_barrier_wait(barrier, 0), -EPIPE);
        CHECK_EQ(waiting_at(barrier), 0);
        check_object(barrier);
        CHECK_OK(shoal_barrier_reset(barrier));
        CHECK_RETURN(shoal_barrier_is_broken(barrier), 0);
        check_object(barrier);
    }
    close_barrier(barrier);
    board_unmap(board);
}

TEST(an_abort_breaks_it_for_all_who_wait_and_all_who_come)
{
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(3);
    pid_t first = start_waiting_party(barrier, board, 0), second = start_waiting_party(barrier, board, 1);

    CHECK_OK(shoal_barrier_abort(barrier));
    CHECK_EXITS(first, 0);
    CHECK_EXITS(second, 0);
    CHECK_EQ(board->numbers[32], -EPIPE);
    CHECK_EQ(board->numbers[33], -EPIPE);
    CHECK_RETURN(shoal_barrier_wait(barrier, SHOAL_FOREVER), -EPIPE);
    CHECK_OK(shoal_barrier_abort(barrier));
    CHECK_RETURN(shoal_barrier_is_broken(barrier), 1);
    close_barrier(barrier);
    board_unmap(board);
}

TEST(a_reset_sends_away_who_waits_and_makes_it_whole)
{
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(3);

    CHECK_OK(shoal_barrier_reset(barrier)); /* of one that is whole and empty */
    for (int round = 0; round < 3; round++) {
        pid_t first = start_waiting_party(barrier, board, 0), second = start_waiting_party(barrier, board, 1);
        CHECK_OK(shoal_barrier_reset(barrier));
        CHECK_EXITS(first, 0);
        CHECK_EXITS(second, 0);
        CHECK_EQ(board->numbers[32], -ECANCELED);
        CHECK_EQ(board->numbers[33], -ECANCELED);
        CHECK_RETURN(shoal_barrier_is_broken(barrier), 0);
        CHECK_EQ(waiting_at(barrier), 0);
        check_object(barrier);
    }
    pid_t first = start_waiting_party(barrier, board, 0), second = start_waiting_party(barrier, board, 1);
    CHECK_COUNT(shoal_barrier_wait(barrier, 0));
    CHECK_EXITS(first, 0);
    CHECK_EXITS(second, 0);
    CHECK_GE(board->numbers[32], 0);
    close_barrier(barrier);
    board_unmap(board);
}

/* Parties that cannot look while the barrier goes on without them are told all the same what became of their round. */
TEST(slow_parties_are_told_of_their_own_round)
{
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(2);
    pid_t reset = start_waiting_party(barrier, board, 0);

    CHECK_SYS(kill(reset, SIGSTOP));
    CHECK_OK(shoal_barrier_reset(barrier));
    pid_t through = start_waiting_party(barrier, board, 1);
    CHECK_SYS(kill(through, SIGSTOP));
    CHECK_EQ(CHECK_COUNT(shoal_barrier_wait(barrier, 0)) >= 0, 1);
    for (int i = 0; i < SH_BARRIER_RESETS - 2; i++) {
        CHECK_RETURN(shoal_barrier_wait(barrier, 0), -EAGAIN);
        CHECK_OK(shoal_barrier_reset(barrier));
    }
    CHECK_SYS(kill(reset, SIGCONT));
    CHECK_SYS(kill(through, SIGCONT));
    CHECK_EXITS(reset, 0);
    CHECK_EXITS(through, 0);
    CHECK_EQ(board->numbers[32], -ECANCELED);
    CHECK_GE(board->numbers[33], 0);
    CHECK_RETURN(shoal_barrier_is_broken(barrier), 0);
    close_barrier(barrier);
    board_unmap(board);
}

TEST(a_party_that_dies_waiting_breaks_it_at_once)
{
    enum { OTHERS = 4 };
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(OTHERS + 2);
    pid_t pids[OTHERS];

    for (int dead = 0; dead <= OTHERS; dead++) { /* how many came before the one that dies */
        for (int i = 0; i < dead; i++)
            pids[i] = start_waiting_party(barrier, board, i);
        pid_t victim = start_waiting_party(barrier, board, OTHERS);
        for (int i = dead; i < OTHERS; i++)
            pids[i] = start_waiting_party(barrier, board, i);
        int64_t killed = kill_child(victim);
        for (int i = 0; i < OTHERS; i++) {
            CHECK_EXITS(pids[i], 0);
            CHECK_EQ(board->numbers[32 + i], -EPIPE);
            CHECK_LT(board->numbers[i] - killed, AT_ONCE);
        }
        sh_reclaim_wait();
        check_object(barrier);
        CHECK_RETURN(shoal_barrier_is_broken(barrier), 1);
        CHECK_OK(shoal_barrier_reset(barrier));
    }
    close_barrier(barrier);
    board_unmap(board);
}

static void *wait_in_thread(void *barrier)
{
    shoal_barrier_wait(barrier, SHOAL_FOREVER);
    return NULL;
}

TEST(the_death_of_a_process_whose_second_thread_waits_breaks_it_at_once)
{
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(4);

    for (int round = 0; round < 10; round++) {
        pid_t first = start_waiting_party(barrier, board, 0), second = start_waiting_party(barrier, board, 1), pid;
        CHILD(pid) {
            pthread_t thread;
            CHECK_OK(sh_handle_enter(&barrier->handle)); /* so that it is this thread that attaches the process */
            CHECK_EQ(pthread_create(&thread, NULL, wait_in_thread, barrier), 0);
            pthread_join(thread, NULL);
        }
        AWAIT(waiting_at(barrier) == 3);
        test_nap();
        int64_t killed = kill_child(pid);
        CHECK_EXITS(first, 0);
        CHECK_EXITS(second, 0);
        CHECK_EQ(board->numbers[32], -EPIPE);
        CHECK_EQ(board->numbers[33], -EPIPE);
        CHECK_LT(board->numbers[0] - killed, AT_ONCE);
        CHECK_LT(board->numbers[1] - killed, AT_ONCE);
        CHECK_OK(shoal_barrier_reset(barrier));
    }
    close_barrier(barrier);
    board_unmap(board);
}

TEST(a_party_that_died_alone_is_found_by_the_next_that_comes)
{
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(3);

    for (int buried = 0; buried < 2; buried++) {
        pid_t pid = start_waiting_party(barrier, board, 0);
        kill_child(pid);
        if (buried)
            sh_reclaim_wait();
        int64_t begin = test_now();
        CHECK_RETURN(shoal_barrier_wait(barrier, SHOAL_FOREVER), -EPIPE);
        CHECK_LT(test_now() - begin, AT_ONCE);
        CHECK_OK(shoal_barrier_reset(barrier));
        sh_reclaim_wait();
        check_object(barrier);
    }
    close_barrier(barrier);
    board_unmap(board);
}

/* It dies after the round is over, and before anybody was woken: the kernel wakes one, and the parties each other. */
TEST(a_last_party_that_dies_before_it_wakes_anybody_has_let_all_through)
{
    enum { COUNT = 4 };
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(COUNT + 1);
    struct sh_barrier_shared *shared = sh_container(barrier->handle.object, struct sh_barrier_shared, object);
    pid_t pids[COUNT], last;

    for (int i = 0; i < COUNT; i++)
        pids[i] = start_waiting_party(barrier, board, i);
    CHILD(last) {
        CHECK_OK(sh_handle_enter(&barrier->handle));
        sh_word_announce(&sh_thread_state, &shared->bell); /* as shoal_barrier_wait does */
        sh_store_ordered(&shared->state, sh_barrier_state(2, 0));
        board->numbers[COUNT] = test_now();
        raise(SIGKILL);
    }
    CHECK_KILLED(last, SIGKILL);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EXITS(pids[i], 0);
        CHECK_GE(board->numbers[32 + i], 0);
        CHECK_LT(board->numbers[i] - board->numbers[COUNT], AT_ONCE);
    }
    close_barrier(barrier);
    board_unmap(board);
}

static void on_signal(int number)
{
    (void)number;
}

TEST(a_signal_takes_a_party_out_and_breaks_nothing)
{
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(3);
    pid_t other = start_waiting_party(barrier, board, 0), pid;

    CHILD(pid) {
        struct sigaction action = {.sa_handler = on_signal};
        CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
        board->step = 1;
        CHECK_RETURN(shoal_barrier_wait(barrier, SHOAL_FOREVER), -EINTR);
        board->step = 2;
        CHECK_COUNT(shoal_barrier_wait(barrier, SHOAL_FOREVER));
    }
    AWAIT(board->step == 1 && waiting_at(barrier) == 2);
    test_await_asleep(pid);
    CHECK_SYS(kill(pid, SIGUSR1));
    AWAIT(board->step == 2 && waiting_at(barrier) == 2);
    CHECK_COUNT(shoal_barrier_wait(barrier, SHOAL_FOREVER));
    CHECK_EXITS(other, 0);
    CHECK_EXITS(pid, 0);
    CHECK_GE(board->numbers[32], 0);
    close_barrier(barrier);
    board_unmap(board);
}

TEST_WITHIN(60, processes_and_threads_go_in_step)
{
    enum { PARTIES = 4, ROUNDS = 3000 };
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(PARTIES);
    pid_t pids[PARTIES];

    for (int i = 0; i < PARTIES; i++) {
        CHILD(pids[i]) {
            for (int64_t round = 0; round < ROUNDS; round++) {
                board->numbers[i] = round;
                int number = (int)CHECK_COUNT(shoal_barrier_wait(barrier, SHOAL_FOREVER));
                CHECK_LT(number, PARTIES);
                for (int k = 0; k < PARTIES; k++) {
                    CHECK_GE(board->numbers[k], round);
                    CHECK_LE(board->numbers[k], round + 1);
                }
            }
        }
    }
    for (int i = 0; i < PARTIES; i++)
        CHECK_EXITS(pids[i], 0);
    close_barrier(barrier);
    board_unmap(board);
}

static _Atomic int passes_left;

static void *pass_often(void *barrier)
{
    while (passes_left-- > 0)
        CHECK_COUNT(shoal_barrier_wait(barrier, SHOAL_FOREVER));
    return NULL;
}

/* Who comes while all places are taken waits for the next round. */
TEST_WITHIN(60, more_come_than_there_are_parties)
{
    enum { THREADS = 6 };
    shoal_barrier *barrier = open_barrier(2);
    pthread_t threads[THREADS];

    passes_left = 6000; /* an even number, so that nobody is left over */
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, pass_often, barrier), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    close_barrier(barrier);
}

static bool is_a_party(shoal_barrier *barrier, uint32_t tag)
{
    struct sh_barrier_shared *shared = sh_container(barrier->handle.object, struct sh_barrier_shared, object);

    for (uint32_t i = 0; i < shared->parties; i++)
        if (shared->places[i] == ((shared->state & 0xffffffff) >> 2 << 32 | tag))
            return true;
    return false;
}

/* Children that are killed wherever they are: nobody waits for one that died waiting. */
TEST_WITHIN(60, killing_at_random_moments_leaves_nobody_waiting_for_the_dead)
{
    enum { PARTIES = 3, ROUNDS = 100 };
    struct board *board = board_map();
    shoal_barrier *barrier = open_barrier(PARTIES);
    uint64_t seed = test_seed();
    pid_t pids[PARTIES] = {0};

    for (int round = 0; round < ROUNDS; round++) {
        CHECK_OK(shoal_barrier_reset(barrier));
        for (int i = 0; i < PARTIES; i++) {
            CHILD(pids[i]) {
                CHECK_OK(sh_handle_enter(&barrier->handle));
                board->numbers[1 + i] = sh_member_tag();
                while (shoal_barrier_wait(barrier, SHOAL_FOREVER) >= 0)
                    board->numbers[0]++;
            }
        }
        int64_t until = test_now() + (int64_t)test_random_below(&seed, 6000000);
        while (test_now() < until)
            ;
        int victim = (int)test_random_below(&seed, PARTIES);
        int64_t killed = kill_child(pids[victim]);
        while (!shoal_barrier_is_broken(barrier) && test_now() - killed < SH_WORD_BACKSTOP * 3)
            test_nap();
        CHECK(shoal_barrier_is_broken(barrier) || !is_a_party(barrier, (uint32_t)board->numbers[1 + victim]));
        CHECK_OK(shoal_barrier_abort(barrier)); /* it may have died elsewhere */
        for (int i = 0; i < PARTIES; i++)
            if (i != victim)
                CHECK_EXITS(pids[i], 0);
    }
    sh_reclaim_wait();
    CHECK_OK(shoal_barrier_reset(barrier));
    close_barrier(barrier);
    board_unmap(board);
}
