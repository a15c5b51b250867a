/* bell.c - pipes opened through /proc. */
#include "os/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0 where it is a pipe: else the owner closed it, and the number is another's. */
static int verify(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    return S_ISFIFO(status.st_mode) ? 0 : -ESRCH;
}

static int open_in(pid_t owner, int fd)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)owner, fd);
    int opened = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (opened < 0)
        return -errno;
    int r = verify(opened);
    if (r < 0)
        close(opened);
    return r < 0 ? r : opened;
}

int sh_bell_open(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    int fd = open_in(getpid(), ends[0]);
    close(ends[0]);
    close(ends[1]);
    return fd == -ENOENT ? -ENOSYS : fd;
}

void sh_bell_close(int fd)
{
    close(fd);
}

/* Do something with the bell: through its own descriptor where it is this process's. */
static int with_bell(pid_t owner, int fd, ssize_t (*act)(int fd))
{
    int opened = owner == getpid() ? verify(fd) : open_in(owner, fd);

    if (opened >= 0 && owner == getpid())
        opened = fd;
    if (opened < 0) /* it is gone, or of another user */
        return opened == -ENOENT || opened == -EACCES || opened == -EBADF ? -ESRCH : opened;
    ssize_t r = act(opened);
    int error = errno;
    if (opened != fd || owner != getpid())
        close(opened);
    return r < 0 && error != EAGAIN ? -error : 0;
}

static ssize_t put_byte(int fd)
{
    ssize_t r;

    do
        r = write(fd, "", 1);
    while (r < 0 && errno == EINTR);
    return r;
}

static ssize_t take_bytes(int fd)
{
    char bytes[256];
    ssize_t r;

    do {
        r = read(fd, bytes, sizeof bytes);
    } while (r == (ssize_t)sizeof bytes);
    return r;
}

int sh_bell_ring(pid_t owner, int fd)
{
    return with_bell(owner, fd, put_byte);
}

int sh_bell_silence(pid_t owner, int fd)
{
    return with_bell(owner, fd, take_bytes);
}
