/* harness.h - how tests are written.
 *
 *     #include "harness.h"
 *
 *     TEST(a_message_put_is_the_message_got)
 *     {
 *         shoal_queue *queue;
 *         CHECK_OK(shoal_queue_open(NULL, &queue));
 *         ...
 *     }
 *
 * A test's name is a sentence, the program is the file, main is the harness's. Each test runs in a child process of its
 * own, which is killed, with all its descendants, when its time is up. A test fails when a check fails in any of its
 * threads or descendants, when it crashes, hangs, or exits by itself, and when it leaves something behind: a
 * descriptor, a shared mapping, a child process that was not reaped, a process that outlives the test's own by more
 * than a second, a name with "shoal" in it in /dev/shm, /dev/mqueue or /tmp.
 *
 * What the library keeps for the life of a process is no leak: the family arena (a memfd whose name begins with
 * "shoal", and its mapping), a process named "shoal-server" and the connection to it, the pipe by which processes die
 * with this one (os/life.h), and descriptors told to test_allow_fd.
 *
 *     unit-queue                  runs all tests of the file, and prints TAP
 *     unit-queue closed empty     those whose name has one of these words in it
 *     unit-queue --list           prints their names
 *     unit-queue --no-fork NAME   runs one in this process, for a debugger: no time limit, no leak check
 *     unit-queue --repeat 100     runs all that often, or up to the first failure
 *
 * TEST_SEED in the environment repeats a random run. TEST_TIME_SCALE stretches all times (sanitizers do so by
 * themselves). The exit code is 0, 1 for a failure, or 77 where every test was skipped. */
#ifndef HARNESS_H
#define HARNESS_H

#include <errno.h>
#include <shoal/base.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* Define a test. It may take 30 seconds, or as many as TEST_WITHIN says. */
#define TEST(name) TEST_WITHIN(30, name)
#define TEST_WITHIN(max_seconds, test_name)                                                                            \
    static void test_name(void);                                                                                       \
    static struct test test_of_##test_name = {                                                                         \
        .name = #test_name, .function = test_name, .file = __FILE__, .seconds = (max_seconds)};                        \
    __attribute__((constructor)) static void register_##test_name(void)                                                \
    {                                                                                                                  \
        test_register(&test_of_##test_name);                                                                           \
    }                                                                                                                  \
    static void test_name(void)

/* Checks end the process in which they fail, and with it fail the test. They print both values. */
#define CHECK(expression)                                                                                              \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            test_fail(__FILE__, __LINE__, "%s does not hold", #expression);                                            \
    } while (0)
#define CHECK_EQ(a, b) CHECK_COMPARE(#a, a, ==, #b, b)
#define CHECK_NE(a, b) CHECK_COMPARE(#a, a, !=, #b, b)
#define CHECK_LT(a, b) CHECK_COMPARE(#a, a, <, #b, b)
#define CHECK_LE(a, b) CHECK_COMPARE(#a, a, <=, #b, b)
#define CHECK_GT(a, b) CHECK_COMPARE(#a, a, >, #b, b)
#define CHECK_GE(a, b) CHECK_COMPARE(#a, a, >=, #b, b)
#define CHECK_COMPARE(text_a, a, operator, text_b, b)                                                                  \
    do {                                                                                                               \
        long long check_a = (long long)(a), check_b = (long long)(b);                                                  \
        if (!(check_a operator check_b))                                                                               \
            test_fail(__FILE__, __LINE__, "%s is %lld, %s is %lld: not %s", text_a, check_a, text_b, check_b,          \
                      #operator);                                                                                      \
    } while (0)
#define CHECK_STR_EQ(a, b) test_check_string(__FILE__, __LINE__, #a, (a), (b))
#define CHECK_MEM_EQ(a, b, size) test_check_memory(__FILE__, __LINE__, #a, (a), (b), (size))

/* A call of the library returns exactly 0; 0 or a count, which is the value of the expression; this error. */
#define CHECK_OK(call) test_check_return(__FILE__, __LINE__, #call, (call), 0)
#define CHECK_COUNT(call) test_check_count(__FILE__, __LINE__, #call, (call))
#define CHECK_RETURN(call, expected) test_check_return(__FILE__, __LINE__, #call, (call), (expected))

/* A system call or library call that sets errno does not return -1; its value is the expression's. */
#define CHECK_SYS(call) test_check_system(__FILE__, __LINE__, #call, (call))

/* Fail, or leave the test out, for a reason (printf-like). */
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) test_skip(__VA_ARGS__)

/* Wait until something holds that another process or thread brings about; fail where that takes over ten seconds. */
#define AWAIT(expression)                                                                                              \
    do {                                                                                                               \
        int64_t await_end = test_now() + test_time(10);                                                                \
        while (!(expression)) {                                                                                        \
            if (test_now() > await_end)                                                                                \
                test_fail(__FILE__, __LINE__, "%s did not come to hold in time", #expression);                         \
            test_nap();                                                                                                \
        }                                                                                                              \
    } while (0)

/* fork, with a check: returns the child's process id, and 0 in the child, which ends with test_exit or a check that
 * fails. */
#define FORK() test_fork(__FILE__, __LINE__)
/* Run a block in a child: CHILD(pid) { ... } - the child exits with 0 at the block's end. */
#define CHILD(pid) for ((pid) = FORK(); (pid) == 0; (pid) = -1, test_exit(0))
/* Wait for a child, and check how it ended. */
#define CHECK_EXITS(pid, code) test_check_exits(__FILE__, __LINE__, (pid), (code))
#define CHECK_KILLED(pid, signal) test_check_killed(__FILE__, __LINE__, (pid), (signal))

struct test {
    const char *name;
    void (*function)(void);
    const char *file;
    int seconds;
    struct test *next;
};

void test_register(struct test *test);

void test_fail(const char *file, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));
void test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void test_check_string(const char *file, int line, const char *text, const char *is, const char *expected);
void test_check_memory(const char *file, int line, const char *text, const void *is, const void *expected, size_t size);
void test_check_return(const char *file, int line, const char *call, ssize_t is, ssize_t expected);
ssize_t test_check_count(const char *file, int line, const char *call, ssize_t is);
long test_check_system(const char *file, int line, const char *call, long is);
void test_check_exits(const char *file, int line, pid_t pid, int code);
void test_check_killed(const char *file, int line, pid_t pid, int signal);
pid_t test_fork(const char *file, int line);

/* End a child: without running what its parent registered with atexit. */
void test_exit(int code) __attribute__((noreturn));

/* Whether AddressSanitizer, or ThreadSanitizer, is in this program. */
bool test_under_asan(void);
bool test_under_tsan(void);

/* Monotonic nanoseconds; this many seconds in nanoseconds, stretched where a sanitizer slows everything down. */
int64_t test_now(void);
int64_t test_time(double seconds);
/* A millisecond, for loops that look again. */
void test_nap(void);

/* Wait until a process or thread sleeps in the kernel. */
void test_await_asleep(pid_t tid);
/* Whether a process is there (and no zombie). */
bool test_is_alive(pid_t pid);

/* A seed for this run, printed where the test fails, and numbers from it. */
uint64_t test_seed(void);
uint64_t test_random(uint64_t *state);
uint64_t test_random_below(uint64_t *state, uint64_t bound);

/* The library keeps this descriptor for the life of the process: no leak. */
void test_allow_fd(int fd);

#endif
