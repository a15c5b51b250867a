/* pipe.c - the kernel's pipe, with the largest buffer it gives. */
#include "peers/descriptor.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

enum { BUFFER = 1024 * 1024 };

/* Only messages of up to PIPE_BUF bytes stay whole among several writers or readers. */
static int fits(const struct bench_shape *shape)
{
    return shape->size <= PIPE_BUF || (shape->producers == 1 && shape->consumers == 1);
}

static int open_link(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    fcntl(fds[1], F_SETPIPE_SZ, BUFFER);
    snprintf(ret_note, 160, "buffer of %d bytes", fcntl(fds[1], F_GETPIPE_SZ));
    return descriptor_open(shape, fds[0], fds[1], ret_link);
}

static int commit(void *context, void *message, size_t size)
{
    struct descriptor_end *end = context;
    for (size_t sent = 0; sent < size;) {
        ssize_t n = write(end->fd, (char *)message + sent, size - sent);
        if (n < 0)
            return -errno;
        sent += (size_t)n;
    }
    return 0;
}

static ssize_t take(void *context, void **ret_message)
{
    struct descriptor_end *end = context;
    for (size_t got = 0; got < end->size;) {
        ssize_t n = read(end->fd, (char *)end->buffer + got, end->size - got);
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        got += (size_t)n;
    }
    *ret_message = end->buffer;
    return (ssize_t)end->size;
}

static const struct bench_ops ops = {.begin = descriptor_begin, .commit = commit, .take = take, .whole = 1};
BENCH_LOOPS(ops)

const struct bench_peer bench_pipe = {
    .name = "pipe",
    .fits = fits,
    .open = open_link,
    .close = descriptor_close,
    .enter = descriptor_enter,
    .leave = descriptor_leave,
    .produce = loop_produce,
    .consume = loop_consume,
    .ping = loop_ping,
    .pong = loop_pong,
    .put_get = loop_put_get,
    .send_last = loop_send_last,
};
