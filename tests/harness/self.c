/* self.c - tests of the harness itself: it notices each way in which the tests of broken.c fail. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run one test of the broken program, and keep what it prints. */
static char output[8192];

static int run_broken(const char *name)
{
    char command[600];
    size_t length = 0, n;

    snprintf(command, sizeof command, "exec %s %s 2>&1", getenv("BROKEN"), name);
    FILE *pipe = popen(command, "re");
    CHECK(pipe != NULL);
    while ((n = fread(output + length, 1, sizeof output - 1 - length, pipe)) > 0)
        length += n;
    output[length] = '\0';
    int status = pclose(pipe);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void check_fails(const char *name, const char *expected)
{
    int code = run_broken(name);

    if (code != 1 || !strstr(output, "\nnot ok 1 - ") || !strstr(output, expected))
        FAIL("%s ends with %d and prints, without \"%s\":\n%s", name, code, expected, output);
}

static void check_passes(const char *name, int expected)
{
    int code = run_broken(name);

    if (code != expected || !strstr(output, "\nok 1 - "))
        FAIL("%s ends with %d and prints:\n%s", name, code, output);
}

TEST(a_good_test_passes)
{
    check_passes("good", 0);
    check_passes("keeps_what_the_library_keeps", 0);
    check_passes("leaves_an_orphan_that_ends_at_once", 0);
}

TEST(a_skipped_test_says_why)
{
    check_passes("skipped", 77);
    CHECK(strstr(output, "# SKIP for want of reason"));
}

TEST(an_unknown_name_is_an_error)
{
    CHECK_EQ(run_broken("no_such_test"), 2);
}

TEST(a_failed_check_shows_both_values)
{
    check_fails("compares_two_numbers", "6 * 7 is 42, 41 is 41: not ==");
    check_fails("compares_two_strings", "shoal_strerror(0) is \"success\", not \"failure\"");
    check_fails("compares_memory", "differs at byte 2 of 4: 0x63, not 0x78");
    check_fails("calls_what_returns_an_error", "-EPIPE returned -EPIPE (");
    check_fails("calls_what_sets_errno", "No such file or directory");
    setenv("TEST_TIME_SCALE", "0.02", 1);
    check_fails("waits_for_what_does_not_come", "getpid() == 0 did not come to hold in time");
}

TEST(a_check_that_fails_in_a_descendant_fails_the_test)
{
    check_fails("fails_in_a_child_that_nobody_looks_at", "in child ");
    check_fails("fails_in_a_thread", "argument != NULL does not hold");
    check_fails("expects_another_exit_code", "exited with 3, not 4");
    check_fails("expects_another_signal", "was killed by signal 9, not 15");
}

TEST(a_test_that_crashes_or_exits_fails)
{
    check_fails("crashes", "crashed: signal 11");
    check_fails("exits", "exited with code 0 in the middle of the test");
    check_fails("fails_at_exit", "exited with code 5 after the test");
}

TEST(a_test_that_hangs_is_killed)
{
    setenv("TEST_TIME_SCALE", "0.2", 1);
    check_fails("hangs", "not done after 0.2 s: killed");
    CHECK(strstr(output, "waits in"));
    check_fails("hangs_with_a_child", "not done after 0.2 s: killed");
    CHECK(strstr(output, "system call"));
}

TEST(a_leaked_descriptor_is_seen)
{
    check_fails("leaks_a_descriptor", "left open: descriptor");
    check_fails("closes_a_descriptor_that_it_found", "closed or changed: descriptor 0");
    check_fails("leaks_a_memfd", "/memfd:other");
}

TEST(a_leaked_mapping_is_seen)
{
    check_fails("leaks_a_shared_mapping", "left mapped and shared:");
}

TEST(leaked_memory_is_seen)
{
    if (test_under_asan())
        check_fails("leaks_memory", "left unfreed: memory");
    else
        SKIP("AddressSanitizer is not there");
}

TEST(a_leaked_child_is_seen)
{
    setenv("TEST_TIME_SCALE", "0.2", 1);
    check_fails("leaves_a_zombie", "which ended by exit code 7");
    check_fails("leaves_a_child", "left running: child");
}

TEST(an_orphan_that_goes_on_is_seen_and_killed)
{
    setenv("TEST_TIME_SCALE", "0.2", 1);
    check_fails("leaves_an_orphan", "(orphan)");
    int pid = 0;
    CHECK_EQ(sscanf(strstr(output, "test's process: "), "test's process: %d", &pid), 1);
    CHECK(!test_is_alive(pid));
}

TEST(a_name_left_behind_is_seen)
{
    setenv("TEST_NAMES", "harness-broken", 1); /* not "shoal": others that run now would find it */
    check_fails("leaves_a_name", "left behind: /tmp/harness-broken-");
    char name[100] = "";
    CHECK_EQ(sscanf(strstr(output, "# name "), "# name %99s", name), 1);
    CHECK_SYS(unlink(name));
}

TEST(a_seed_is_told_where_a_test_fails)
{
    setenv("TEST_SEED", "0x1234", 1);
    check_fails("uses_a_seed", "repeat with TEST_SEED=0x1234");
}
