/* fault.c - the calls that can be made to fail. */
#include "fault.h"

#include "internal.h"

#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static unsigned countdown; /* calls until the one that fails; 0: none will */
static const char *failed; /* the one that did */

void test_fault_arm(unsigned n)
{
    countdown = n;
    failed = NULL;
}

const char *test_fault_disarm(void)
{
    countdown = 0;
    return failed;
}

/* Whether this call is to fail, with this error. */
static bool fails(const char *name, int error)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = name;
    errno = error;
    return true;
}

/* The linker sends calls of f to __wrap_f, and those of __real_f to f. */
#define WRAP(type, name, parameters, arguments, failure, error)                                                        \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return fails(#name, error) ? (failure) : __real_##name arguments;                                              \
    }

WRAP(void *, malloc, (size_t size), (size), NULL, ENOMEM)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
WRAP(void *, realloc, (void *old, size_t size), (old, size), NULL, ENOMEM)
WRAP(char *, strdup, (const char *string), (string), NULL, ENOMEM)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1, EMFILE)
WRAP(pid_t, fork, (void), (), -1, EAGAIN)
WRAP(int, posix_spawn,
     (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
      char *const *arguments, char *const *environment),
     (pid, path, actions, attributes, arguments, environment), EAGAIN, EAGAIN)
WRAP(int, pipe2, (int *ends, int flags), (ends, flags), -1, EMFILE)
WRAP(int, socketpair, (int family, int type, int protocol, int *ends), (family, type, protocol, ends), -1, EMFILE)
WRAP(int, eventfd, (unsigned value, int flags), (value, flags), -1, EMFILE)
WRAP(int, epoll_create1, (int flags), (flags), -1, EMFILE)
WRAP(int, dup, (int fd), (fd), -1, EMFILE)

/* In glibc, what takes an off_t goes by another name (_FILE_OFFSET_BITS). */
#ifdef __GLIBC__
#define WRAP_SIZED(type, name, ...) WRAP(type, name##64, __VA_ARGS__)
#else
#define WRAP_SIZED WRAP
#endif
WRAP_SIZED(void *, mmap, (void *at, size_t size, int prot, int flags, int fd, off_t offset),
           (at, size, prot, flags, fd, offset), MAP_FAILED, ENOMEM)
WRAP_SIZED(int, ftruncate, (int fd, off_t size), (fd, size), -1, ENOMEM)
WRAP_SIZED(int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size), -1, ENOSPC)

/* Of the system calls without a wrapper in libc, those that make a descriptor or a process. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list arguments;

    if (number == SYS_pidfd_open && fails("pidfd_open", EMFILE))
        return -1;
    if (number == SYS_clone3 && fails("clone3", EAGAIN))
        return -1;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* In a child: the exit code is 1 where the n-th call failed, 0 where there are not that many. */
static int run_with_fault(int (*operation)(void), void (*undo)(void), bool warm, unsigned n)
{
    if (warm) {
        CHECK_COUNT(operation());
        undo();
    }
    struct test_holdings *before = test_holdings_new();
    test_fault_arm(n);
    int r = operation();
    const char *name = test_fault_disarm();
    if (name && getenv("TEST_VERBOSE"))
        printf("# %s: call %u, %s, fails: %d\n", warm ? "warm" : "cold", n, name, r);
    if (!name && r < 0)
        FAIL("the operation returned %d (%s) where nothing failed", r, shoal_strerror(r));
    if (r < 0) {
        test_holdings_compare(before);
        test_check_children();
        if (test_report->failed)
            FAIL("left by the operation, whose call %u, %s, failed: it returned %d", n, name, r);
        r = operation();
        if (r < 0)
            FAIL("returned %d (%s) when it was tried again after a failure of %s", r, shoal_strerror(r), name);
    }
    undo();
    test_holdings_free(before);
    return name != NULL;
}

void test_each_fault(int (*operation)(void), void (*undo)(void))
{
    unsigned faults = 0;

    for (int warm = 0; warm <= 1; warm++) {
        for (unsigned n = 1;; n++) {
            int status;
            pid_t pid = FORK();
            if (pid == 0)
                test_exit(run_with_fault(operation, undo, warm, n) ? 100 : 101);
            CHECK_EQ(waitpid(pid, &status, 0), pid);
            if (status == 101 << 8)
                break;
            if (status != 100 << 8)
                FAIL("call %u of the operation failed in a %s process: wait status %#x", n, warm ? "warm" : "cold",
                     (unsigned)status);
            faults++;
        }
    }
    if (faults == 0)
        FAIL("the operation makes no call that can fail");
}
