/* identity.c - pids, start times, namespaces. */
#include "os/identity.h"

#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
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

/* Whether the process has this very file open by the same number, as it does where both have it from an ancestor. */
static int has_open(pid_t pid, int fd, const struct stat *file)
{
    char path[64];
    struct stat status;

    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    return stat(path, &status) == 0 && status.st_dev == file->st_dev && status.st_ino == file->st_ino;
}

/* Whether a text is found in a file of any size: 1, 0, or negative where the file cannot be read. */
static int find_in_file(const char *path, const char *text)
{
    char buffer[4096];
    size_t length = strlen(text), kept = 0;
    int found = 0;
    ssize_t r = 1;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (r > 0 && !found) {
        do
            r = read(fd, buffer + kept, sizeof buffer - kept);
        while (r < 0 && errno == EINTR);
        size_t end = kept + (r > 0 ? (size_t)r : 0);
        found = memmem(buffer, end, text, length) != NULL;
        kept = end < length ? end : length - 1; /* what may be the text's beginning */
        memmove(buffer, buffer + end - kept, kept);
    }
    close(fd);
    return r < 0 ? -EIO : found;
}

int sh_identity_maps(pid_t pid, int fd)
{
    char path[64], text[64];
    struct stat file;

    if (fstat(fd, &file) < 0)
        return 1;
    if (has_open(pid, fd, &file))
        return 1;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    snprintf(text, sizeof text, " %02x:%02x %ju ", major(file.st_dev), minor(file.st_dev), (uintmax_t)file.st_ino);
    return find_in_file(path, text) != 0;
}

int sh_identity_namespace(uint64_t *ret_namespace)
{
    struct stat status;

    if (stat("/proc/self/ns/pid", &status) == 0)
        *ret_namespace = (uint64_t)status.st_ino;
    else if (errno == ENOMEM)
        return -ENOMEM;
    else
        *ret_namespace = 0;
    return 0;
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
