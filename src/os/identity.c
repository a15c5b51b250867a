/* identity.c - pids, start times, namespaces. */
#include "os/identity.h"

#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The state letter and the start time out of /proc/PID/stat, whose second field may hold spaces and brackets. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
    char path[64];
    char text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (sh_file_read(path, text, sizeof text) <= 0)
        return -ESRCH;
    char *at = strrchr(text, ')');
    if (!at || at[1] != ' ')
        return -ESRCH;
    *ret_state = at[2];
    at += 2;
    for (int field = 3; field < 22; field++) {
        at = strchr(at, ' ');
        if (!at)
            return -ESRCH;
        at++;
    }
    *ret_start = strtoull(at, NULL, 10);
    return 0;
}

uint64_t sh_identity_start(pid_t pid)
{
    char state;
    uint64_t start;

    return read_stat(pid, &state, &start) < 0 ? 0 : start;
}

/* Whether the process's threads have all ended, told by a pidfd: 1, 0, or negative where that cannot be told. */
static int has_ended(pid_t pid)
{
#ifdef SYS_pidfd_open
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0)
        return errno == ESRCH ? 1 : -errno;
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int r = poll(&poller, 1, 0);
    close(fd);
    return r > 0;
#else
    (void)pid;
    return -ENOSYS;
#endif
}

int sh_identity_is_alive(pid_t pid, uint64_t start)
{
    if (pid <= 0)
        return 0;
    int ended = has_ended(pid);
    if (ended == 1)
        return 0;

    char state = 0;
    uint64_t now = 0;
    if (read_stat(pid, &state, &now) < 0)
        return ended == 0 || kill(pid, 0) == 0 || errno == EPERM;
    if (ended < 0 && (state == 'Z' || state == 'X'))
        return 0;
    return start == 0 || now == start;
}

uint64_t sh_identity_namespace(void)
{
    struct stat status;

    return stat("/proc/self/ns/pid", &status) < 0 ? 0 : (uint64_t)status.st_ino;
}

pid_t sh_identity_pid(void)
{
    return getpid();
}

uint64_t sh_identity_random(void)
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = (uint64_t)sh_clock_now() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 40;
    return random ? random : 1;
}
