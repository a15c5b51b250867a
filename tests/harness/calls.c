/* calls.c - the calls that can be made to fail, each with the errors that its manual allows.
 *
 * Left out are the errors that say that the caller is wrong (EBADF, EFAULT, and EINVAL where no kernel lacks the
 * thing), and the calls that cannot fail: tests/static/faults.py knows those, and that none is forgotten here. */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The linker sends calls of f to __wrap_f, and those of __real_f to f. failure is what the call returns; in it, error
 * is the error. */
#define WRAP(type, name, parameters, arguments, failure, ...)                                                          \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        int error = test_fault_strikes(#name, (const int[]){__VA_ARGS__, 0});                                          \
        return error ? (errno = error, (failure)) : __real_##name arguments;                                           \
    }

/* What does its work and says that it did not. */
#define WRAP_DONE(type, name, parameters, arguments, failure, ...)                                                     \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        int error = test_fault_strikes(#name, (const int[]){__VA_ARGS__, 0});                                          \
        type result = __real_##name arguments;                                                                         \
        return error ? (errno = error, (failure)) : result;                                                            \
    }

/* In glibc, what takes an off_t goes by another name (_FILE_OFFSET_BITS). */
#ifdef __GLIBC__
#define SIZED(wrap, type, name, ...) wrap(type, name##64, __VA_ARGS__)
#else
#define SIZED(wrap, type, name, ...) wrap(type, name, __VA_ARGS__)
#endif

/* --- memory --- */

WRAP(void *, malloc, (size_t size), (size), NULL, ENOMEM)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
WRAP(void *, realloc, (void *old, size_t size), (old, size), NULL, ENOMEM)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1, EMFILE, ENFILE, ENOMEM, EPERM)
SIZED(WRAP, void *, mmap, (void *at, size_t size, int prot, int flags, int fd, off_t offset),
      (at, size, prot, flags, fd, offset), MAP_FAILED, ENOMEM, ENFILE, EAGAIN, EPERM)
WRAP_DONE(int, munmap, (void *at, size_t size), (at, size), -1, ENOMEM)
WRAP(int, madvise, (void *at, size_t size, int advice), (at, size, advice), -1, EINVAL, ENOMEM, EAGAIN)
SIZED(WRAP, int, ftruncate, (int fd, off_t size), (fd, size), -1, EFBIG, EINTR, EPERM, EIO)
SIZED(WRAP, int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size), -1, ENOSPC, EINTR,
      ENOMEM, EFBIG, EIO, EOPNOTSUPP)

/* --- descriptors --- */

WRAP_DONE(int, close, (int fd), (fd), -1, EINTR, EIO)
WRAP(int, pipe2, (int *ends, int flags), (ends, flags), -1, EMFILE, ENFILE)
WRAP(int, socketpair, (int family, int type, int protocol, int *ends), (family, type, protocol, ends), -1, EMFILE,
     ENFILE, ENOMEM)
WRAP(int, eventfd, (unsigned value, int flags), (value, flags), -1, EMFILE, ENFILE, ENODEV, ENOMEM)
WRAP(int, epoll_create1, (int flags), (flags), -1, EMFILE, ENFILE, ENOMEM)
WRAP(int, epoll_ctl, (int set, int what, int fd, struct epoll_event *event), (set, what, fd, event), -1, ENOMEM, ENOSPC)
WRAP(int, epoll_wait, (int set, struct epoll_event *events, int count, int time), (set, events, count, time), -1, EINTR)
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int time), (fds, count, time), -1, EINTR, ENOMEM)
WRAP(int, ppoll, (struct pollfd * fds, nfds_t count, const struct timespec *time, const sigset_t *mask),
     (fds, count, time, mask), -1, EINTR, ENOMEM)
WRAP(ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size), -1, EINTR, EIO, EAGAIN)
/* Not EAGAIN: a pipe that is empty takes a byte. */
WRAP(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size), -1, EINTR)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), -1, ENOBUFS, EINTR,
     ENOMEM, ECONNRESET, EPIPE, ETOOMANYREFS)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), -1, EINTR, ENOMEM, ECONNRESET)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), -1, EPERM, EIO, EROFS)
SIZED(WRAP, int, fstat, (int fd, struct stat *status), (fd, status), -1, ENOMEM, EOVERFLOW)
SIZED(WRAP, int, stat, (const char *path, struct stat *status), (path, status), -1, ENOENT, EACCES, ENOMEM)

/* --- processes --- */

WRAP(pid_t, fork, (void), (), -1, EAGAIN, ENOMEM, ENOSYS)
WRAP(int, posix_spawn,
     (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
      char *const *arguments, char *const *environment),
     (pid, path, actions, attributes, arguments, environment), error, EAGAIN, ENOMEM, E2BIG, EACCES, ENOENT, EMFILE)
WRAP(int, posix_spawn_file_actions_init, (posix_spawn_file_actions_t * actions), (actions), error, ENOMEM)
WRAP(int, posix_spawn_file_actions_adddup2, (posix_spawn_file_actions_t * actions, int fd, int as), (actions, fd, as),
     error, ENOMEM)
WRAP(int, posix_spawn_file_actions_addclosefrom_np, (posix_spawn_file_actions_t * actions, int fd), (actions, fd),
     error, ENOMEM)
WRAP(int, posix_spawnattr_init, (posix_spawnattr_t * attributes), (attributes), error, ENOMEM)
WRAP(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options), -1, EINTR)
WRAP(int, waitid, (idtype_t what, id_t id, siginfo_t *info, int options), (what, id, info, options), -1, EINTR)
WRAP(int, kill, (pid_t pid, int signal), (pid, signal), -1, EPERM, ESRCH)
WRAP(int, sched_getaffinity, (pid_t pid, size_t size, cpu_set_t *mask), (pid, size, mask), -1, ENOSYS, EPERM)
WRAP(int, sched_getcpu, (void), (), -1, ENOSYS)
WRAP(ssize_t, getrandom, (void *buffer, size_t size, unsigned flags), (buffer, size, flags), -1, EAGAIN, EINTR, ENOSYS)
WRAP(int, fflush, (FILE * stream), (stream), EOF, ENOSPC, EIO, EPIPE)

/* --- what libc makes of them --- */

WRAP(int, atexit, (void (*function)(void)), (function), -1, ENOMEM)
WRAP(int, pthread_atfork, (void (*before)(void), void (*after)(void), void (*child)(void)), (before, after, child),
     error, ENOMEM)
WRAP(int, pthread_key_create, (pthread_key_t * key, void (*destroy)(void *)), (key, destroy), error, EAGAIN, ENOMEM)
WRAP(int, pthread_setspecific, (pthread_key_t key, const void *value), (key, value), error, ENOMEM)
WRAP(int, pthread_mutex_init, (pthread_mutex_t * mutex, const pthread_mutexattr_t *attributes), (mutex, attributes),
     error, EAGAIN, ENOMEM)
WRAP(int, pthread_mutexattr_init, (pthread_mutexattr_t * attributes), (attributes), error, ENOMEM)

/* --- with arguments that depend on what is asked --- */

#ifdef __GLIBC__
#define SIZED_NAME(prefix, name) prefix##name##64
#else
#define SIZED_NAME(prefix, name) prefix##name
#endif

int SIZED_NAME(__real_, open)(const char *path, int flags, ...);
int SIZED_NAME(__wrap_, open)(const char *path, int flags, ...);
int SIZED_NAME(__wrap_, open)(const char *path, int flags, ...)
{
    int error = test_fault_strikes("open", (const int[]){EMFILE, EINTR, ENFILE, ENOMEM, ENOENT, EACCES, 0});

    return error ? (errno = error, -1) : SIZED_NAME(__real_, open)(path, flags); /* nothing is created */
}

int SIZED_NAME(__real_, fcntl)(int fd, int what, ...);
int SIZED_NAME(__wrap_, fcntl)(int fd, int what, ...);
int SIZED_NAME(__wrap_, fcntl)(int fd, int what, ...)
{
    int error = test_fault_strikes("fcntl", (const int[]){EPERM, EINVAL, ENOMEM, 0});
    va_list arguments;

    va_start(arguments, what);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    return error ? (errno = error, -1) : SIZED_NAME(__real_, fcntl)(fd, what, argument);
}

int __real_ioctl(int fd, unsigned long what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...)
{
    int error = test_fault_strikes("ioctl", (const int[]){ENOTTY, ESRCH, 0});
    va_list arguments;

    va_start(arguments, what);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return error ? (errno = error, -1) : __real_ioctl(fd, what, argument);
}

/* The system calls without a wrapper in libc. */
static int strike_number(long number, const long *a)
{
    switch (number) {
    case SYS_pidfd_open:
        return test_fault_strikes("pidfd_open", (const int[]){EMFILE, ENFILE, ENODEV, ENOMEM, 0});
    case SYS_pidfd_send_signal:
        return test_fault_strikes("pidfd_send_signal", (const int[]){EPERM, 0});
    case SYS_futex:
        if ((a[1] & 0x7f) == 9) /* FUTEX_WAIT_BITSET; waking cannot fail */
            return test_fault_strikes("futex", (const int[]){EAGAIN, EINTR, ETIMEDOUT, 0});
        return 0;
    case SYS_futex_waitv:
        return test_fault_strikes("futex_waitv", (const int[]){EAGAIN, EINTR, ETIMEDOUT, ENOSYS, EPERM, 0});
    default:
        return 0;
    }
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list arguments;

    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    int error = strike_number(number, a);
    return error ? (errno = error, -1) : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- the arena's allocator, and its limit --- */

WRAP(int, sh_block_alloc, (uint64_t size, uint64_t *ret_offset), (size, ret_offset), -error, ENOMEM)
WRAP(int, sh_arena_charge, (uint64_t size), (size), -error, ENOMEM)
