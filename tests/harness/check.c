/* check.c - checks that fail, and how they say so. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct test_report *test_report;
pid_t test_main_pid;

/* One write a line, so that lines of several processes do not mix. */
__attribute__((format(printf, 2, 0))) static void print_line(const char *prefix, const char *format, va_list arguments)
{
    char line[1024];
    int n = snprintf(line, sizeof line, "%s", prefix);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, arguments);
    size_t length = (size_t)n + (size_t)m;

    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length] = '\n';
    if (write(STDOUT_FILENO, line, length + 1) < 0)
        abort();
}

void test_note(const char *format, ...)
{
    va_list arguments;

    test_report->failed = 1;
    va_start(arguments, format);
    print_line("# ", format, arguments);
    va_end(arguments);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    char prefix[300], process[40] = "";
    va_list arguments;

    test_report->failed = 1;
    if (getpid() != test_main_pid)
        snprintf(process, sizeof process, "in child %d: ", (int)getpid());
    const char *base = strrchr(file, '/');
    snprintf(prefix, sizeof prefix, "# %s:%d: %s", base ? base + 1 : file, line, process);
    va_start(arguments, format);
    print_line(prefix, format, arguments);
    va_end(arguments);
    _exit(1);
}

void test_skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(test_report->reason, sizeof test_report->reason, format, arguments);
    va_end(arguments);
    test_report->skipped = 1;
    _exit(0);
}

void test_check_string(const char *file, int line, const char *text, const char *is, const char *expected)
{
    if (!is || !expected ? is != expected : strcmp(is, expected) != 0)
        test_fail(file, line, "%s is \"%s\", not \"%s\"", text, is ? is : "(null)", expected ? expected : "(null)");
}

void test_check_memory(const char *file, int line, const char *text, const void *is, const void *expected, size_t size)
{
    const unsigned char *a = is, *b = expected;

    for (size_t i = 0; i < size; i++)
        if (a[i] != b[i])
            test_fail(file, line, "%s differs at byte %zu of %zu: 0x%02x, not 0x%02x", text, i, size, a[i], b[i]);
}

static const char *error_name(int error)
{
#ifdef __GLIBC__
    return strerrorname_np(error);
#else
    return strerror(error);
#endif
}

/* "-EPIPE (closed or broken ...)" for errors, else the number. */
static const char *show_return(char *buffer, size_t capacity, ssize_t value)
{
    const char *name = value < 0 && value > -4096 ? error_name((int)-value) : NULL;

    if (name)
        snprintf(buffer, capacity, "-%s (%s)", name, shoal_strerror((int)value));
    else
        snprintf(buffer, capacity, "%zd", value);
    return buffer;
}

void test_check_return(const char *file, int line, const char *call, ssize_t is, ssize_t expected)
{
    char a[200], b[200];

    if (is != expected)
        test_fail(file, line, "%s returned %s, not %s", call, show_return(a, sizeof a, is),
                  show_return(b, sizeof b, expected));
}

ssize_t test_check_count(const char *file, int line, const char *call, ssize_t is)
{
    char text[200];

    if (is < 0)
        test_fail(file, line, "%s returned %s, not 0 or more", call, show_return(text, sizeof text, is));
    return is;
}

long test_check_system(const char *file, int line, const char *call, long is)
{
    if (is == -1)
        test_fail(file, line, "%s: %s", call, strerror(errno));
    return is;
}

static int wait_for(const char *file, int line, pid_t pid)
{
    int status;
    pid_t r;

    do
        r = waitpid(pid, &status, 0);
    while (r < 0 && errno == EINTR);
    if (r != pid)
        test_fail(file, line, "waitpid(%d): %s", (int)pid, strerror(errno));
    return status;
}

void test_check_exits(const char *file, int line, pid_t pid, int code)
{
    int status = wait_for(file, line, pid);

    if (WIFSIGNALED(status))
        test_fail(file, line, "child %d was killed by signal %d (%s)", (int)pid, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != code)
        test_fail(file, line, "child %d exited with %d, not %d", (int)pid, WEXITSTATUS(status), code);
}

void test_check_killed(const char *file, int line, pid_t pid, int signal)
{
    int status = wait_for(file, line, pid);

    if (!WIFSIGNALED(status))
        test_fail(file, line, "child %d exited with %d, not by signal %d", (int)pid, WEXITSTATUS(status), signal);
    if (WTERMSIG(status) != signal)
        test_fail(file, line, "child %d was killed by signal %d, not %d", (int)pid, WTERMSIG(status), signal);
}
