/* broken.c - tests that fail, each in its own way: self.c checks that the harness notices. */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(good)
{
    pid_t pid;

    CHECK_EQ(1, 1);
    CHILD(pid)
        CHECK_NE(getpid(), getppid());
    CHECK_EXITS(pid, 0);
    CHILD(pid)
        raise(SIGTERM);
    CHECK_KILLED(pid, SIGTERM);
}

TEST(skipped)
{
    SKIP("for want of %s", "reason");
}

TEST(compares_two_numbers)
{
    CHECK_EQ(6 * 7, 41);
}

TEST(compares_two_strings)
{
    CHECK_STR_EQ(shoal_strerror(0), "failure");
}

TEST(compares_memory)
{
    CHECK_MEM_EQ("abcd", "abxd", 4);
}

TEST(calls_what_returns_an_error)
{
    CHECK_OK(-EPIPE);
}

TEST(calls_what_sets_errno)
{
    CHECK_SYS(open("/no/such/file", O_RDONLY | O_CLOEXEC));
}

TEST(waits_for_what_does_not_come)
{
    AWAIT(getpid() == 0);
}

TEST(fails_in_a_child_that_nobody_looks_at)
{
    pid_t pid;

    CHILD(pid)
        CHECK(getpid() == 0);
    CHECK_EXITS(pid, 1);
}

static void *failing_thread(void *argument)
{
    CHECK(argument != NULL);
    return NULL;
}

TEST(fails_in_a_thread)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, failing_thread, NULL), 0);
    pthread_join(thread, NULL);
}

TEST(expects_another_exit_code)
{
    pid_t pid;

    CHILD(pid)
        test_exit(3);
    CHECK_EXITS(pid, 4);
}

TEST(expects_another_signal)
{
    pid_t pid;

    CHILD(pid)
        raise(SIGKILL);
    CHECK_KILLED(pid, SIGTERM);
}

TEST(crashes)
{
    signal(SIGSEGV, SIG_DFL); /* sanitizers would exit instead */
    raise(SIGSEGV);
}

TEST(exits)
{
    exit(0);
}

static void exit_badly(void)
{
    _exit(5);
}

TEST(fails_at_exit)
{
    atexit(exit_badly);
}

TEST_WITHIN(1, hangs)
{
    for (;;)
        pause();
}

TEST_WITHIN(1, hangs_with_a_child)
{
    pid_t pid;

    CHILD(pid)
        pause();
    CHECK_EXITS(pid, 0);
}

TEST(leaks_a_descriptor)
{
    CHECK_SYS(dup(0));
}

TEST(closes_a_descriptor_that_it_found)
{
    close(0);
}

TEST(leaks_a_memfd)
{
    CHECK_SYS(memfd_create("other", MFD_CLOEXEC));
}

TEST(keeps_what_the_library_keeps)
{
    int ends[2];

    CHECK_SYS(memfd_create("shoal-arena", MFD_CLOEXEC));
    CHECK_SYS(pipe2(ends, O_CLOEXEC));
    test_allow_fd(ends[0]);
    test_allow_fd(ends[1]);
}

TEST(leaks_a_shared_mapping)
{
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

TEST(leaks_memory)
{
    static char *volatile kept;

    kept = malloc(1000);
    CHECK(kept != NULL);
    kept = NULL;
    if (!test_under_asan())
        SKIP("AddressSanitizer is not there");
}

TEST(leaves_a_zombie)
{
    pid_t pid;
    siginfo_t info;

    CHILD(pid)
        test_exit(7);
    CHECK_SYS(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
}

TEST(leaves_a_child)
{
    pid_t pid;

    CHILD(pid)
        pause();
}

/* A child of a child, whose own parent is gone before the test ends. */
TEST(leaves_an_orphan)
{
    pid_t pid, orphan;

    CHILD(pid)
        CHILD(orphan) {
            prctl(PR_SET_NAME, "orphan");
            pause();
        }
    CHECK_EXITS(pid, 0);
}

TEST(leaves_an_orphan_that_ends_at_once)
{
    pid_t pid, orphan;

    CHILD(pid)
        CHILD(orphan)
            test_nap();
    CHECK_EXITS(pid, 0);
}

TEST(leaves_a_name)
{
    char name[] = "/tmp/harness-broken-XXXXXX";

    close((int)CHECK_SYS(mkstemp(name)));
    printf("# name %s\n", name);
}

TEST(uses_a_seed)
{
    uint64_t state = test_seed();

    CHECK_GE(test_random_below(&state, 10), 10);
}
