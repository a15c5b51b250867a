/* socket.c - socketpair and SCM_RIGHTS. */
#include "os/socket.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for a control message with as many descriptors as go with a message. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(SH_SOCKET_MOST_FDS * sizeof(int))];
};

int sh_socket_pair(int ret_ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0 ? -errno : 0;
}

void sh_socket_close(int fd)
{
    close(fd);
}

int sh_socket_identity(int fd, uint64_t *ret_identity)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EBADF;
    *ret_identity = status.st_ino;
    return 0;
}

int sh_socket_send(int fd, const void *data, size_t size, const int *fds, unsigned count)
{
    union control control = {0};
    struct iovec bytes = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    ssize_t r;

    if (count > SH_SOCKET_MOST_FDS)
        return -EINVAL;
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    do
        r = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r >= 0 ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
}

/* The descriptors that came with a message: how many. */
static unsigned take_fds(struct msghdr *message, int *fds)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);

    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return 0;
    unsigned count = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    return count;
}

/* What is wrong with the message that came. */
static int judge(const struct msghdr *message, ssize_t received, size_t size, unsigned got, unsigned count)
{
    if (received == 0)
        return -EPIPE;
    if (received != (ssize_t)size || message->msg_flags & MSG_TRUNC)
        return -EPROTO;
    if (message->msg_flags & MSG_CTRUNC)
        return -EMFILE;
    return got == 0 || got == count ? 0 : -EPROTO;
}

int sh_socket_receive(int fd, void *data, size_t size, int *ret_fds, unsigned count)
{
    union control control = {0};
    struct iovec bytes = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control.bytes};
    int fds[SH_SOCKET_MOST_FDS];
    ssize_t received;

    message.msg_controllen = sizeof control.bytes;
    do
        received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    unsigned got = take_fds(&message, fds);
    int r = judge(&message, received, size, got, count);
    if (r < 0) {
        while (got > 0)
            close(fds[--got]);
        return r;
    }
    for (unsigned i = 0; i < count; i++)
        ret_fds[i] = got ? fds[i] : -1;
    return 0;
}
