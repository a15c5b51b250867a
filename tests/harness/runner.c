/* runner.c - runs the tests of a program, each in a process of its own. */
#include "internal.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static struct test *first_test;
static struct test **last_test = &first_test;

/* A program that is started again for a child of its own (spawn) comes back here. Programs that do not link the
 * process layer do not have it. */
int shoal_main(int argc, char **argv);
#pragma weak shoal_main

/* With AddressSanitizer, memory that leaked is looked for when the test's function has returned, not when any process
 * exits: what a child inherits and a task holds that ends its worker is no leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "leak_check_at_exit=0";
}
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void check_memory(void)
{
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
        test_note("left unfreed: memory, told above");
}

void test_register(struct test *test)
{
    *last_test = test;
    last_test = &test->next;
}

static bool is_chosen(const struct test *test, char **words, int count)
{
    for (int i = 0; i < count; i++)
        if (strstr(test->name, words[i]))
            return true;
    return count == 0;
}

/* In the child: the test, then what it left in its process. */
static void run_in_child(const struct test *test)
{
    test_main_pid = getpid();
    prctl(PR_SET_CHILD_SUBREAPER, 0); /* orphans go to the harness, not to the test */
    struct test_holdings *before = test_holdings_new();
    test->function();
    test_holdings_compare(before);
    test_holdings_free(before);
    test_check_children();
    check_memory();
    test_report->finished = 1;
    exit(test_report->failed ? 1 : 0); /* not _exit: what the library does at exit is under test too */
}

/* Wait for the child: its status, or -1 when its time was up. */
static int wait_for_end(pid_t pid, int64_t time)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int64_t deadline = test_now() + time;
    int status = 0, r;

    if (end.fd < 0)
        abort();
    do {
        int64_t left = (deadline - test_now()) / 1000000;
        r = poll(&end, 1, left > 0 ? (int)left : 0);
    } while (r < 0 && errno == EINTR);
    close(end.fd);
    if (r == 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* What the status says that the test has not already said itself. */
static void judge(const struct test *test, int status)
{
    if (status == -1) {
        test_note("not done after %.1f s: killed", (double)test_time(test->seconds) / 1e9);
        test_describe_descendants();
        test_kill_descendants();
    } else if (WIFSIGNALED(status)) {
        test_note("crashed: signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (test_report->skipped) {
        return;
    } else if (!test_report->finished && !test_report->failed) {
        test_note("exited with code %d in the middle of the test", WEXITSTATUS(status));
    } else if (WEXITSTATUS(status) != 0 && !test_report->failed) {
        test_note("exited with code %d after the test", WEXITSTATUS(status));
    }
}

/* Run one test: 0, 1 for a failure, SKIPPED. */
static int run(const struct test *test)
{
    memset(test_report, 0, sizeof *test_report);
    struct test_names *names = test_names_new();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0)
        run_in_child(test);
    judge(test, wait_for_end(pid, test_time(test->seconds)));
    test_reap_orphans();
    test_names_compare(names);
    test_names_free(names);
    if (test_report->failed && test_report->seed)
        test_note("repeat with TEST_SEED=%#llx", (unsigned long long)test_report->seed);
    return test_report->failed ? 1 : test_report->skipped ? SKIPPED : 0;
}

/* Run all that are chosen; returns the exit code. */
static int run_all(char **words, int count, int repeat)
{
    int total = 0, skipped = 0, failed = 0, number = 0;

    for (const struct test *test = first_test; test; test = test->next)
        total += is_chosen(test, words, count);
    if (total == 0) {
        fprintf(stderr, "no test of that name\n");
        return 2;
    }
    printf("1..%d\n", total * repeat);
    for (int i = 0; i < repeat && (repeat == 1 || !failed); i++) {
        for (const struct test *test = first_test; test; test = test->next) {
            if (!is_chosen(test, words, count))
                continue;
            int result = run(test);
            failed += result == 1;
            skipped += result == SKIPPED;
            printf("%s %d - %s%s%s\n", result == 1 ? "not ok" : "ok", ++number, test->name,
                   result == SKIPPED ? " # SKIP " : "", result == SKIPPED ? test_report->reason : "");
            fflush(stdout);
        }
    }
    return failed ? 1 : skipped == number ? SKIPPED : 0;
}

int main(int argc, char **argv)
{
    int repeat = 1, first = 1;

    if (shoal_main)
        shoal_main(argc, argv);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, RLIM_INFINITY}); /* tests that crash on purpose, with a huge arena */
    test_report = mmap(NULL, sizeof *test_report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (test_report == MAP_FAILED)
        abort();
    test_main_pid = getpid();

    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        for (const struct test *test = first_test; test; test = test->next)
            puts(test->name);
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "--no-fork") == 0) {
        for (const struct test *test = first_test; test; test = test->next)
            if (strcmp(test->name, argv[2]) == 0)
                test->function();
        return test_report->failed;
    }
    if (argc > 2 && strcmp(argv[1], "--repeat") == 0) {
        repeat = atoi(argv[2]) > 0 ? atoi(argv[2]) : 1;
        first = 3;
    }
    return run_all(argv + first, argc - first, repeat);
}
