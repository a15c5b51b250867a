/* unix_socket.c - a pair of connected unix sockets: one carries bytes, one carries messages. */
#include "peers/descriptor.h"

#include <stdio.h>
#include <sys/socket.h>

enum { BUFFER = 4 * 1024 * 1024 };

static int open_link(const struct bench_shape *shape, int type, void **ret_link, char *ret_note)
{
    int fds[2], buffer = BUFFER;
    socklen_t length = sizeof buffer;
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    getsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &buffer, &length);
    snprintf(ret_note, 160, "send buffer of %d bytes", buffer);
    return descriptor_open(shape, fds[0], fds[1], ret_link);
}

static int commit(void *context, void *message, size_t size)
{
    struct descriptor_end *end = context;
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(end->fd, (char *)message + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0)
            return -errno;
        sent += (size_t)n;
    }
    return 0;
}

/* A stream may give less than asked for even with MSG_WAITALL; messages come whole. */
static ssize_t take(void *context, void **ret_message)
{
    struct descriptor_end *end = context;
    for (size_t got = 0; got < end->size;) {
        ssize_t n = recv(end->fd, (char *)end->buffer + got, end->size - got, 0);
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        got += (size_t)n;
    }
    *ret_message = end->buffer;
    return (ssize_t)end->size;
}

static const struct bench_ops ops = {.begin = descriptor_begin, .commit = commit, .take = take, .whole = 1};
BENCH_LOOPS(ops)

/* A stream knows no messages, so several writers or readers would tear them. */
static int fits_stream(const struct bench_shape *shape)
{
    return shape->producers == 1 && shape->consumers == 1;
}

static int open_stream(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    return open_link(shape, SOCK_STREAM, ret_link, ret_note);
}

static int fits_seqpacket(const struct bench_shape *shape)
{
    return shape->size < BUFFER;
}

static int open_seqpacket(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    return open_link(shape, SOCK_SEQPACKET, ret_link, ret_note);
}

const struct bench_peer bench_unix_stream = {
    .name = "unix stream",
    .fits = fits_stream,
    .open = open_stream,
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

const struct bench_peer bench_unix_seqpacket = {
    .name = "unix seqpacket",
    .fits = fits_seqpacket,
    .open = open_seqpacket,
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
