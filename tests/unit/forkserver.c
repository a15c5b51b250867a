/* forkserver.c - the process that forks on request: what it is, and what its death leaves. */
#include "harness.h"
#include "process/server.h"
#include "starts.h"

#include <pthread.h>
#include <shoal/arena.h>
#include <signal.h>
#include <stdio.h>

SHOAL_REGISTER(report_and_wait)

static int changed_by_the_program;

static int return_changed(void *argument, size_t size)
{
    (void)argument, (void)size;
    return changed_by_the_program;
}
SHOAL_REGISTER(return_changed)

static int report_parent(void *argument, size_t size)
{
    (void)size;
    report(argument, getppid());
    return 0;
}
SHOAL_REGISTER(report_parent)

static pid_t server_pid(void)
{
    int fds[2];

    return sh_server_descriptors(fds);
}

/* A line of a process's status, as "Threads:\t1". */
static bool has_status(pid_t pid, const char *line)
{
    char path[64], text[256];
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(text, sizeof text, file))
        found |= strncmp(text, line, strlen(line)) == 0;
    fclose(file);
    return found;
}

TEST(one_server_with_one_thread_forks_all_children)
{
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);

    CHECK_EQ(server_pid(), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, report_parent, &ref, sizeof ref), 0, 0);
        CHECK_EQ(next_report(reports), server_pid());
    }
    CHECK(has_status(server_pid(), "Threads:\t1\n"));
    CHECK(has_status(server_pid(), "Name:\tshoal-server\n"));
    shoal_queue_free(reports);
}

TEST(children_have_what_the_program_begins_with_not_what_it_has_become)
{
    changed_by_the_program = 1;
    CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, return_changed, NULL, 0), 0, 0);
    CHECK_ENDS(start(SHOAL_START_FORK, 0, return_changed, NULL, 0), 1, 0);
}

TEST(a_child_that_uses_a_server_has_one_of_its_own)
{
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    pid_t pid;

    CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, report_parent, &ref, sizeof ref), 0, 0);
    CHECK_EQ(next_report(reports), server_pid());
    CHILD(pid) {
        CHECK_EQ(server_pid(), 0);
        CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, report_parent, &ref, sizeof ref), 0, 0);
    }
    CHECK_EXITS(pid, 0);
    CHECK_NE(next_report(reports), server_pid());
    CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, report_parent, &ref, sizeof ref), 0, 0);
    CHECK_EQ(next_report(reports), server_pid());
    shoal_queue_free(reports);
}

TEST(a_killed_server_is_replaced_and_its_children_go_on)
{
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    shoal_process *older = start(SHOAL_START_FORKSERVER, 0, report_and_wait, &ref, sizeof ref);
    pid_t first = server_pid();

    CHECK_EQ(next_report(reports), shoal_process_pid(older));
    CHECK_SYS(kill(first, SIGKILL));
    AWAIT(!test_is_alive(first));
    CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, report_parent, &ref, sizeof ref), 0, 0);
    CHECK_EQ(next_report(reports), server_pid());
    CHECK_NE(server_pid(), first);

    CHECK_EQ(shoal_process_is_alive(older), 1);
    CHECK_OK(shoal_process_terminate(older));
    CHECK_ENDS(older, 0, SIGTERM); /* its status is in /proc until somebody reaps it, and with the kernel after */
    shoal_queue_free(reports);
}

TEST(a_child_that_ends_without_its_server_is_still_told_by_its_exit_code)
{
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    shoal_process *process = start(SHOAL_START_FORKSERVER, 0, report_and_wait, &ref, sizeof ref);
    struct shoal_exit end;

    next_report(reports);
    CHECK_SYS(kill(server_pid(), SIGSTOP));
    CHECK_SYS(kill(server_pid(), SIGKILL));
    CHECK_OK(shoal_process_kill(process));
    CHECK_OK(shoal_process_join(process, test_time(10)));
    CHECK_OK(shoal_process_exit(process, &end));
    CHECK_EQ(end.signal, SIGKILL);
    shoal_process_free(process);
    shoal_queue_free(reports);
}

TEST(a_killed_server_is_reaped_by_a_later_call)
{
    CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, return_changed, NULL, 0), 0, 0);
    pid_t server = server_pid();
    CHECK_SYS(kill(server, SIGKILL));
    AWAIT((shoal_process_free(NULL), kill(server, 0) < 0));
    CHECK_EQ(server_pid(), 0);
}

TEST_WITHIN(60, a_server_that_is_stopped_is_replaced)
{
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);

    CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, report_parent, &ref, sizeof ref), 0, 0);
    pid_t first = server_pid();
    CHECK_EQ(next_report(reports), first);
    CHECK_SYS(kill(first, SIGSTOP));
    CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, report_parent, &ref, sizeof ref), 0, 0);
    CHECK_EQ(next_report(reports), server_pid());
    CHECK(!test_is_alive(first));
    shoal_queue_free(reports);
}

TEST(the_server_dies_with_the_process_that_it_is_for)
{
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    pid_t main_process;

    CHILD(main_process) {
        CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, return_changed, NULL, 0), 0, 0);
        report(&ref, server_pid());
        pause();
    }
    pid_t server = (pid_t)next_report(reports);
    CHECK(test_is_alive(server));
    int64_t begin = test_now();
    CHECK_SYS(kill(main_process, SIGKILL));
    AWAIT(!test_is_alive(server));
    CHECK_LT(test_now() - begin, test_time(1));
    CHECK_KILLED(main_process, SIGKILL);
    shoal_queue_free(reports);
}

TEST(an_interrupt_from_the_terminal_ends_the_children_and_not_the_server)
{
    shoal_ref ref;
    shoal_queue *reports = open_reports(&ref);
    shoal_process *process = start(SHOAL_START_FORKSERVER, 0, report_and_wait, &ref, sizeof ref);
    pid_t server = server_pid();

    next_report(reports);
    CHECK_SYS(kill(server, SIGINT));
    CHECK_SYS(kill(shoal_process_pid(process), SIGINT));
    CHECK_ENDS(process, 0, SIGINT);
    CHECK_ENDS(start(SHOAL_START_FORKSERVER, 0, return_changed, NULL, 0), 0, 0);
    CHECK_EQ(server_pid(), server);
    shoal_queue_free(reports);
}

/* Known by the program, but only since it runs: the server began without it. */
static int named_late(void *argument, size_t size)
{
    (void)argument, (void)size;
    return 0;
}

TEST(a_function_that_the_server_does_not_know_is_refused)
{
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process), .start = SHOAL_START_FORKSERVER};
    struct shoal_arena_stats before, after;
    shoal_process *process;

    CHECK_OK(shoal_arena_stats(&before));
    CHECK_OK(shoal_register("named_late", (void (*)(void))named_late));
    CHECK_RETURN(shoal_process_start(&options, named_late, "argument", 9, &process), -ENOENT);
    CHECK_OK(shoal_arena_stats(&after));
    CHECK_EQ(after.blocks, before.blocks);
}

static int report_number(void *argument, size_t size)
{
    struct numbered {
        shoal_ref ref;
        long number;
    } *numbered = argument;

    (void)size;
    report(&numbered->ref, numbered->number);
    return 11;
}
SHOAL_REGISTER(report_number)

static _Atomic int stop_killing;

static void *kill_servers(void *argument)
{
    uint64_t *state = argument;

    while (!stop_killing) {
        pid_t pid = server_pid();
        for (uint64_t i = test_random_below(state, 2000000); i > 0; i--)
            __asm__ volatile("");
        if (pid > 0 && pid == server_pid())
            kill(pid, SIGKILL);
        test_nap();
    }
    return NULL;
}

/* Whatever the moment at which the server is killed, a start that failed has run nothing, and one that succeeded has
 * run its function once at most: never twice, and not at all only where the process was killed. */
TEST_WITHIN(60, no_death_of_a_server_makes_a_function_run_twice)
{
    enum { COUNT = 300 };
    struct {
        shoal_ref ref;
        long number;
    } argument;
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process), .start = SHOAL_START_FORKSERVER};
    shoal_queue *reports = open_reports(&argument.ref);
    uint64_t state = test_seed();
    int started = 0;
    pthread_t killer;

    CHECK_EQ(pthread_create(&killer, NULL, kill_servers, &state), 0);
    for (argument.number = 0; argument.number < COUNT; argument.number++) {
        shoal_process *process;
        struct shoal_exit end;
        long number;
        int r = shoal_process_start(&options, report_number, &argument, sizeof argument, &process);
        if (r < 0) {
            CHECK_RETURN(r, -ECHILD);
        } else {
            CHECK_OK(shoal_process_join(process, test_time(10)));
            r = shoal_process_exit(process, &end);
            shoal_process_free(process);
            int ran = shoal_queue_get(reports, &number, sizeof number, 0) == sizeof number;
            if (ran) {
                CHECK_EQ(number, argument.number);
                CHECK(r == -ECHILD || end.code == 11);
                started++;
            } else {
                CHECK(r == -ECHILD || end.signal == SIGKILL);
            }
        }
        CHECK_RETURN(shoal_queue_get(reports, &number, sizeof number, 0), -EAGAIN);
    }
    stop_killing = 1;
    CHECK_EQ(pthread_join(killer, NULL), 0);
    CHECK_GT(started, COUNT / 4);
    if (server_pid() > 0)
        kill(server_pid(), SIGKILL); /* if that has not been done already */
    AWAIT((shoal_process_free(NULL), server_pid() == 0));
    shoal_queue_free(reports);
}
