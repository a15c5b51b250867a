/* child.c - who dies with whom, and what is left of a process that has ended. */
#include "harness.h"
#include "starts.h"

#include <dirent.h>
#include <pthread.h>
#include <shoal/arena.h>
#include <signal.h>
#include <sys/wait.h>

SHOAL_REGISTER(report_and_wait)

static int return_byte(void *argument, size_t size)
{
    return size == 1 ? *(unsigned char *)argument : -1;
}
SHOAL_REGISTER(return_byte)

static int wait_for_ever(void *argument, size_t size)
{
    (void)argument, (void)size;
    while (pause() < 0)
        ;
    return 0;
}
SHOAL_REGISTER(wait_for_ever)

/* Main processes that end stand in children of the test. They share its family, and report through its queue. */

/* Reports its pid and what it is told next, and has a child of its own. */
static int have_child_and_wait(void *argument, size_t size)
{
    shoal_process *process;
    shoal_ref ref = *(shoal_ref *)argument;

    report(&ref, getpid());
    must(shoal_process_start(NULL, report_and_wait, &ref, size, &process));
    while (pause() < 0)
        ;
    return 0;
}
SHOAL_REGISTER(have_child_and_wait)

static void await_deaths(const long *pids, int count)
{
    int64_t begin = test_now();

    for (int i = 0; i < count; i++)
        AWAIT(!test_is_alive((pid_t)pids[i]));
    CHECK_LT(test_now() - begin, test_time(1));
}

TEST(children_and_grandchildren_die_at_once_when_the_main_process_is_killed)
{
    enum shoal_start how, inner;
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    long pids[4];
    pid_t main_process;

    EACH_START(how)
        for (inner = SHOAL_START_FORK; inner <= SHOAL_START_SPAWN; inner++) {
            CHILD(main_process) {
                CHECK_OK(shoal_process_set_start(inner));
                start(how, 0, have_child_and_wait, &ref, sizeof ref);
                start(how, SHOAL_PROCESS_DAEMON, report_and_wait, &ref, sizeof ref);
                report(&ref, getpid());
                pause();
            }
            for (int i = 0; i < 4; i++)
                pids[i] = next_report(reports);
            for (int i = 0; i < 4; i++)
                CHECK(test_is_alive((pid_t)pids[i]));
            CHECK_SYS(kill(main_process, SIGKILL));
            await_deaths(pids, 4);
            CHECK_KILLED(main_process, SIGKILL);
        }
    shoal_queue_free(reports);
}

/* How many processes of this group live (zombies do not). */
static int count_group(pid_t group)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int count = 0;

    CHECK(proc != NULL);
    while ((entry = readdir(proc))) {
        pid_t pid = atoi(entry->d_name);
        if (pid > 0 && getpgid(pid) == group && test_is_alive(pid))
            count++;
    }
    closedir(proc);
    return count;
}

/* Starts one process after another, all ways in turn, each with a child of its own. */
static void start_for_ever(const shoal_ref *ref)
{
    for (unsigned i = 0;; i++) {
        CHECK_OK(shoal_process_set_start(all_starts[i / 3 % 3]));
        start(all_starts[i % 3], 0, have_child_and_wait, ref, sizeof *ref);
    }
}

TEST_WITHIN(60, at_whatever_moment_the_main_process_is_killed_none_of_its_processes_is_left)
{
    enum { ROUNDS = 40, LONGEST = 40000000 };
    uint64_t state = test_seed();
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    pid_t main_process;

    for (int i = 0; i < ROUNDS; i++) {
        CHILD(main_process) {
            setpgid(0, 0);
            start_for_ever(&ref);
        }
        setpgid(main_process, main_process);
        nanosleep(&(struct timespec){.tv_nsec = (long)test_random_below(&state, LONGEST)}, NULL);
        CHECK_SYS(kill(main_process, SIGKILL));
        CHECK_KILLED(main_process, SIGKILL);
        int64_t begin = test_now();
        AWAIT(count_group(main_process) == 0);
        CHECK_LT(test_now() - begin, test_time(1));
    }
    shoal_queue_free(reports);
}

TEST(children_die_too_when_the_main_process_ends_in_order)
{
    enum shoal_start how;
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    pid_t main_process;

    EACH_START(how) {
        CHILD(main_process) {
            start(how, 0, report_and_wait, &ref, sizeof ref);
            long pid = next_report(reports);
            report(&ref, pid);
            exit(0);
        }
        CHECK_EXITS(main_process, 0);
        long pid = next_report(reports);
        await_deaths(&pid, 1);
    }
    shoal_queue_free(reports);
}

struct thread_plan {
    enum shoal_start how;
    const shoal_ref *ref;
    shoal_process *process;
};

static void *start_in_thread(void *argument)
{
    struct thread_plan *plan = argument;

    plan->process = start(plan->how, 0, report_and_wait, plan->ref, sizeof *plan->ref);
    return NULL;
}

TEST(a_child_started_by_a_thread_that_has_ended_lives_on_and_dies_with_the_process)
{
    enum shoal_start how;
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    pid_t main_process;

    EACH_START(how) {
        CHILD(main_process) {
            struct thread_plan plan = {how, &ref, NULL};
            pthread_t thread;
            CHECK_EQ(pthread_create(&thread, NULL, start_in_thread, &plan), 0);
            CHECK_EQ(pthread_join(thread, NULL), 0);
            test_await_asleep(shoal_process_pid(plan.process));
            CHECK_EQ(shoal_process_is_alive(plan.process), 1);
            report(&ref, getpid());
            pause();
        }
        long pids[2] = {next_report(reports), next_report(reports)};
        CHECK(test_is_alive((pid_t)pids[0]) && test_is_alive((pid_t)pids[1]));
        CHECK_SYS(kill(main_process, SIGKILL));
        await_deaths(pids, 2);
        CHECK_KILLED(main_process, SIGKILL);
    }
    shoal_queue_free(reports);
}

TEST(a_detached_process_goes_on_when_its_parent_dies)
{
    enum shoal_start how;
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    pid_t main_process;

    EACH_START(how) {
        CHILD(main_process) {
            start(how, SHOAL_PROCESS_DETACHED, report_and_wait, &ref, sizeof ref);
            start(how, 0, report_and_wait, &ref, sizeof ref);
            pause();
        }
        pid_t pids[2] = {(pid_t)next_report(reports), (pid_t)next_report(reports)};
        CHECK_SYS(kill(main_process, SIGKILL));
        CHECK_KILLED(main_process, SIGKILL);
        AWAIT(!test_is_alive(pids[0]) || !test_is_alive(pids[1]));
        pid_t detached = test_is_alive(pids[0]) ? pids[0] : pids[1];
        test_await_asleep(detached);
        CHECK(test_is_alive(detached));
        CHECK_SYS(kill(detached, SIGKILL));
        AWAIT(!test_is_alive(detached));
    }
    shoal_queue_free(reports);
}

static int wait_for_sigterm(void *argument, size_t size)
{
    sigset_t set;
    int signal = 0;

    (void)size;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    report(argument, getpid());
    sigwait(&set, &signal);
    report(argument, signal);
    return 0;
}
SHOAL_REGISTER(wait_for_sigterm)

static int ignore_sigterm(void *argument, size_t size)
{
    signal(SIGTERM, SIG_IGN);
    return report_and_wait(argument, size);
}
SHOAL_REGISTER(ignore_sigterm)

TEST(daemons_are_terminated_at_the_end_of_the_program_and_killed_where_they_stay)
{
    enum shoal_start how;
    shoal_ref ref, stubborn_ref;
    shoal_queue *reports = open_reports(&ref), *stubborn_reports = open_reports(&stubborn_ref);
    pid_t main_process;

    EACH_START(how) {
        CHILD(main_process) {
            start(how, SHOAL_PROCESS_DAEMON, ignore_sigterm, &stubborn_ref, sizeof ref);
            start(how, SHOAL_PROCESS_DAEMON, wait_for_sigterm, &ref, sizeof ref);
            CHECK_GT(next_report(reports), 0);
            report(&stubborn_ref, next_report(stubborn_reports));
            exit(5);
        }
        CHECK_EXITS(main_process, 5);
        CHECK_EQ(next_report(reports), SIGTERM);
        CHECK(!test_is_alive((pid_t)next_report(stubborn_reports)));
    }
    shoal_queue_free(reports);
    shoal_queue_free(stubborn_reports);
}

TEST(other_peoples_children_are_left_alone)
{
    enum shoal_start how;
    unsigned char code = 3;
    pid_t other;

    CHILD(other)
        test_exit(77);
    siginfo_t info;
    CHECK_SYS(waitid(P_PID, (id_t)other, &info, WEXITED | WNOWAIT));
    EACH_START(how) {
        CHECK_ENDS(start(how, 0, return_byte, &code, 1), 3, 0);
        shoal_process *process = start(how, 0, return_byte, &code, 1);
        AWAIT(!shoal_process_is_alive(process));
        shoal_process_free(process);
    }
    CHECK_EXITS(other, 77);
}

TEST(a_process_freed_while_it_runs_is_reaped_by_a_later_call)
{
    enum shoal_start how;
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);

    EACH_START(how) {
        pid_t pids[3];
        for (int i = 0; i < 3; i++)
            shoal_process_free(start(how, 0, report_and_wait, &ref, sizeof ref));
        for (int i = 0; i < 3; i++)
            pids[i] = (pid_t)next_report(reports);
        for (int i = 0; i < 3; i++)
            CHECK_SYS(kill(pids[i], SIGKILL));
        for (int i = 0; i < 3; i++)
            AWAIT((shoal_process_free(NULL), kill(pids[i], 0) < 0));
    }
    shoal_queue_free(reports);
}

TEST_WITHIN(60, a_hundred_processes_run_at_once)
{
    enum { COUNT = 100 };
    shoal_process *processes[COUNT];
    enum shoal_start how;
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    struct shoal_arena_stats before, stats;

    EACH_START(how) {
        CHECK_OK(shoal_arena_stats(&before));
        for (int i = 0; i < COUNT; i++)
            processes[i] = start(how, 0, report_and_wait, &ref, sizeof ref);
        for (int i = 0; i < COUNT; i++)
            CHECK_GT(next_report(reports), 0);
        CHECK_OK(shoal_arena_stats(&stats));
        CHECK_EQ(stats.processes, COUNT + 1);
        for (int i = 0; i < COUNT; i++)
            CHECK_OK(shoal_process_kill(processes[i]));
        for (int i = 0; i < COUNT; i++)
            CHECK_ENDS(processes[i], 0, SIGKILL);
        CHECK_OK(shoal_arena_stats(&stats));
        CHECK_EQ(stats.processes, 1);
        CHECK_EQ(stats.blocks, before.blocks);
    }
    shoal_queue_free(reports);
}

static void *join_too(void *argument)
{
    CHECK_OK(shoal_process_join(argument, test_time(20)));
    return NULL;
}

TEST(several_threads_may_join_one_process)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    enum shoal_start how;

    EACH_START(how) {
        shoal_process *process = start(how, 0, wait_for_ever, NULL, 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, join_too, process), 0);
        CHECK_OK(shoal_process_terminate(process));
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_ENDS(process, 0, SIGTERM);
    }
}

/* What every call says of a handle that another process made. */
static int use_foreign_handle(shoal_process *process)
{
    struct shoal_exit end;

    return shoal_process_join(process, 0) == -ECHILD && shoal_process_is_alive(process) == -ECHILD &&
           shoal_process_exit(process, &end) == -ECHILD && shoal_process_terminate(process) == -ECHILD &&
           shoal_process_kill(process) == -ECHILD;
}

struct inherited {
    shoal_process *process;
};

static int use_parents_handle(void *argument, size_t size)
{
    shoal_process *process = ((struct inherited *)argument)->process;

    (void)size;
    if (!use_foreign_handle(process) || shoal_process_sentinel(process) != -ECHILD)
        return 1;
    shoal_process_free(process);
    return 0;
}

TEST(a_handle_is_of_no_use_in_another_process)
{
    shoal_process *process = start(SHOAL_START_FORK, 0, wait_for_ever, NULL, 0);
    pid_t pid;

    CHILD(pid) {
        CHECK(use_foreign_handle(process));
        shoal_process_free(process);
        unsigned char code = 4;
        CHECK_ENDS(start(SHOAL_START_FORK, 0, return_byte, &code, 1), 4, 0);
    }
    CHECK_EXITS(pid, 0);
    struct inherited inherited = {process};
    CHECK_ENDS(start(SHOAL_START_FORK, 0, use_parents_handle, &inherited, sizeof inherited), 0, 0);
    CHECK_EQ(shoal_process_is_alive(process), 1);
    CHECK_OK(shoal_process_kill(process));
    CHECK_ENDS(process, 0, SIGKILL);
}

TEST(a_program_that_waits_for_any_child_may_take_the_exit_status)
{
    unsigned char code = 6;
    enum shoal_start how;
    struct shoal_exit end = {0};

    EACH_START(how) {
        if (how == SHOAL_START_FORKSERVER)
            continue; /* its children are not the program's */
        shoal_process *process = start(how, 0, return_byte, &code, 1);
        CHECK_EXITS(shoal_process_pid(process), 6);
        CHECK_OK(shoal_process_join(process, 0));
        CHECK_EQ(shoal_process_is_alive(process), 0);
        int r = shoal_process_exit(process, &end);
        CHECK(r == -ECHILD || (r == 0 && end.code == 6 && end.signal == 0));
        CHECK_OK(shoal_process_terminate(process));
        shoal_process_free(process);
    }
}

TEST(what_the_dead_child_held_is_back_when_join_returns)
{
    enum shoal_start how;
    struct shoal_arena_stats before, after;
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);

    EACH_START(how) {
        CHECK_OK(shoal_arena_stats(&before));
        shoal_process *process = start(how, 0, report_and_wait, &ref, sizeof ref);
        next_report(reports);
        CHECK_OK(shoal_process_kill(process));
        CHECK_OK(shoal_process_join(process, SHOAL_FOREVER));
        CHECK_OK(shoal_arena_stats(&after));
        CHECK_EQ(after.processes, 1);
        CHECK_EQ(after.deaths, before.deaths + 1);
        CHECK_EQ(after.blocks, before.blocks);
        shoal_process_free(process);
    }
    shoal_queue_free(reports);
}
