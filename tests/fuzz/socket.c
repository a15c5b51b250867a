/* socket.c - what comes through a pair of sockets: of any length, with any number of descriptors. */
#include "os/socket.h"

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXPECTED = 100 };

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    if (!folder)
        abort();
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* As many descriptors as the kernel lets through, more than the library asks for. */
static void send_raw(int socket, const uint8_t *data, size_t size, unsigned count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(16 * sizeof(int))];
    } control = {0};
    struct iovec bytes = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    int fds[16] = {0};

    if (count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (unsigned i = 0; i < count; i++)
            fds[i] = socket;
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0 && errno != EMSGSIZE)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int before;
    char buffer[EXPECTED];
    int ends[2], fds[SH_SOCKET_MOST_FDS];
    unsigned sent = size ? data[0] % 17 : 0, asked = size > 1 ? data[1] % (SH_SOCKET_MOST_FDS + 1) : 0;

    if (!before)
        before = count_descriptors();
    if (sh_socket_pair(ends) < 0)
        abort();
    send_raw(ends[0], data, size > 2 && data[2] % 2 ? sh_min(size, (size_t)EXPECTED) : size, sent);
    int r = sh_socket_receive(ends[1], buffer, EXPECTED, fds, asked);
    for (unsigned i = 0; r == 0 && i < asked; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    sh_socket_close(ends[0]);
    sh_socket_close(ends[1]);
    if (count_descriptors() != before)
        abort(); /* a descriptor was taken in and forgotten */
    return 0;
}
