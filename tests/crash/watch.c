/* watch.c - looks at another process from outside: does it sleep, how often did it sleep, has it ended. */
#include "watch.h"

#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define SYS_FUTEX_WAIT 455 /* the call that waits on one word with flags, Linux 6.7 */

/* System calls in which somebody sleeps until another process wakes him. */
static const long sleeping_calls[] = {
    SYS_futex, SYS_futex_waitv, SYS_FUTEX_WAIT, SYS_ppoll, SYS_epoll_pwait,
#if defined(__x86_64__)
    SYS_poll,  SYS_epoll_wait,
#endif
};

static bool read_proc(pid_t pid, const char *file, char *text, size_t size)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

bool watch_asleep(pid_t pid)
{
    char text[512];
    char *end;

    /* "running", or the number of the system call in which it is blocked, or was when a tracer stopped it. */
    if (!read_proc(pid, "syscall", text, sizeof text))
        return false;
    long number = strtol(text, &end, 10);
    size_t i = 0;
    while (i < sizeof sleeping_calls / sizeof *sleeping_calls && sleeping_calls[i] != number)
        i++;
    if (end == text || i == sizeof sleeping_calls / sizeof *sleeping_calls)
        return false;
    /* pid (name) state: S where it sleeps, t where a tracer stopped it. */
    if (!read_proc(pid, "stat", text, sizeof text))
        return false;
    const char *state = strrchr(text, ')');
    return state && strncmp(state, ") S", 3) == 0;
}

static bool has_ended(pid_t pid)
{
    char text[512];
    const char *state = read_proc(pid, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;

    return !state || strncmp(state, ") Z", 3) == 0;
}

bool watch_children_asleep(pid_t pid)
{
    char file[64], text[512];

    snprintf(file, sizeof file, "task/%d/children", (int)pid);
    if (!read_proc(pid, file, text, sizeof text))
        return true;
    char *at = text, *end;
    for (pid_t child; (child = (pid_t)strtol(at, &end, 10)) > 0 && end != at; at = end) {
        if (!watch_asleep(child) && !has_ended(child))
            return false;
    }
    return true;
}

uint64_t watch_sleeps(pid_t pid)
{
    static const char field[] = "\nvoluntary_ctxt_switches:";
    char text[4096];

    if (!read_proc(pid, "status", text, sizeof text))
        return 0;
    const char *at = strstr(text, field);
    return at ? strtoull(at + sizeof field - 1, NULL, 10) : 0;
}

bool watch_sleeps_on(pid_t pid, int64_t time)
{
    if (!watch_asleep(pid))
        return false;
    uint64_t sleeps = watch_sleeps(pid);
    for (int64_t end = step_now() + time; step_now() < end;) {
        watch_nap(time / 4);
        if (!watch_asleep(pid))
            return false;
    }
    return watch_sleeps(pid) == sleeps;
}

/* As struct futex_waitv, which older headers lack. */
struct place {
    uint64_t expected, word;
    uint32_t flags, reserved;
};

static bool read_memory(pid_t pid, uintptr_t from, void *to, size_t size)
{
    struct iovec local = {to, size}, remote = {(void *)from, size};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* One word, appended to the text. */
static void describe_word(uintptr_t word, uint32_t expected, char *text, size_t size)
{
    size_t length = strlen(text);
    uint32_t now = 0;

    read_memory(getpid(), word, &now, sizeof now);
    snprintf(text + length, size - length, " %lx: %x is %x,", (unsigned long)word, expected, now);
}

void watch_describe(pid_t pid, char *text, size_t size)
{
    unsigned long call, arguments[3];
    struct place places[16];
    char line[256];

    snprintf(text, size, "%d sleeps on (seen by %d)", (int)pid, (int)getpid());
    if (!read_proc(pid, "syscall", line, sizeof line) ||
        sscanf(line, "%lu %lx %lx %lx", &call, &arguments[0], &arguments[1], &arguments[2]) != 4)
        return;
    if (call == SYS_futex) {
        describe_word(arguments[0], (uint32_t)arguments[2], text, size);
    } else if (call == SYS_futex_waitv && arguments[1] <= 16 &&
               read_memory(pid, arguments[0], places, arguments[1] * sizeof *places)) {
        for (unsigned long i = 0; i < arguments[1]; i++)
            describe_word(places[i].word, (uint32_t)places[i].expected, text, size);
    }
}

int watch_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        perror("pidfd_open");
        abort();
    }
    return fd;
}

int watch_end(pid_t pid, int pidfd, int64_t time, int *ret_status)
{
    struct timespec limit = {time / 1000000000, time % 1000000000};
    struct pollfd entry = {.fd = pidfd, .events = POLLIN};

    if (ppoll(&entry, 1, &limit, NULL) <= 0)
        return 0;
    return waitpid(pid, ret_status, WNOHANG) == pid;
}

void watch_nap(int64_t time)
{
    nanosleep(&(struct timespec){time / 1000000000, time % 1000000000}, NULL);
}
