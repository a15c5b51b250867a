/* zeromq.c - ZeroMQ over its ipc transport: PUSH sockets of producers, each connected to PULL sockets of consumers. */
#include "harness/loops.h"

#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

enum {
    IDLE = 20, /* milliseconds after which a consumer without messages looks whether all is over */
    NAME = 64,
    MARK = 64, /* messages: below that ZeroMQ stops and starts more than it carries */
};

struct link {
    char name[NAME];
    struct bench_shape shape;
};

struct end {
    void *socket;
    size_t size;
    void *buffer;
};

/* One context a process, whatever number of ends: a context does not survive fork. */
static void *context_here(void)
{
    static void *context;
    static pid_t owner;
    if (owner != getpid()) {
        context = zmq_ctx_new();
        owner = getpid();
    }
    return context;
}

static int fits(const struct bench_shape *shape)
{
    (void)shape;
    return 1;
}

static int high_water_mark(const struct bench_shape *shape)
{
    return shape->slots / 2 < MARK ? MARK : (int)shape->slots / 2;
}

static int open_link(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    static unsigned count;
    struct link *link = malloc(sizeof *link);
    if (!link)
        return -ENOMEM;
    snprintf(link->name, sizeof link->name, "ipc://@shoal-bench-%d-%u", (int)getpid(), count++);
    link->shape = *shape;
    snprintf(ret_note, 160, "high-water marks of %d messages on each side", high_water_mark(shape));
    *ret_link = link;
    return 0;
}

static int prepare(void *socket, const struct link *link)
{
    int mark = high_water_mark(&link->shape), linger = 0, idle = IDLE, soon = 1;
    if (zmq_setsockopt(socket, ZMQ_SNDHWM, &mark, sizeof mark) < 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &mark, sizeof mark) < 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) < 0 ||
        zmq_setsockopt(socket, ZMQ_RCVTIMEO, &idle, sizeof idle) < 0 ||
        zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &soon, sizeof soon) < 0)
        return -zmq_errno();
    return 0;
}

static int attach(void *socket, const struct link *link, enum bench_role role, unsigned index)
{
    char name[NAME + 16];
    unsigned first = role == BENCH_CONSUMER ? index : 0;
    unsigned last = role == BENCH_CONSUMER ? index : link->shape.consumers - 1;
    for (unsigned i = first; i <= last; i++) {
        snprintf(name, sizeof name, "%s-%u", link->name, i);
        if ((role == BENCH_CONSUMER ? zmq_bind(socket, name) : zmq_connect(socket, name)) < 0)
            return -zmq_errno();
    }
    return 0;
}

static int enter(void *context, enum bench_role role, unsigned index, void **ret_end)
{
    struct link *link = context;
    struct end *end = malloc(sizeof *end);
    if (!end)
        return -ENOMEM;
    *end = (struct end){
        .socket = zmq_socket(context_here(), role == BENCH_CONSUMER ? ZMQ_PULL : ZMQ_PUSH),
        .size = link->shape.size,
        .buffer = bench_buffer(link->shape.size),
    };
    *ret_end = end;
    if (!end->socket || !end->buffer)
        return -ENOMEM;
    int r = prepare(end->socket, link);
    return r < 0 ? r : attach(end->socket, link, role, index);
}

static void leave(void *context)
{
    struct end *end = context;
    zmq_close(end->socket);
    free(end->buffer);
    free(end);
}

static void *begin(void *context, size_t size)
{
    struct end *end = context;
    (void)size;
    return end->buffer;
}

static int commit(void *context, void *message, size_t size)
{
    struct end *end = context;
    return zmq_send(end->socket, message, size, 0) < 0 ? -zmq_errno() : 0;
}

static ssize_t take(void *context, void **ret_message)
{
    struct end *end = context;
    int size = zmq_recv(end->socket, end->buffer, end->size, 0);
    *ret_message = end->buffer;
    if (size < 0)
        return zmq_errno() == EAGAIN ? 0 : -zmq_errno();
    return size;
}

static const struct bench_ops ops = {.begin = begin, .commit = commit, .take = take, .whole = 1};
BENCH_LOOPS(ops)

const struct bench_peer bench_zeromq = {
    .name = "ZeroMQ ipc",
    .fits = fits,
    .open = open_link,
    .close = free,
    .enter = enter,
    .leave = leave,
    .mesh = 1,
    .produce = loop_produce,
    .consume = loop_consume,
    .ping = loop_ping,
    .pong = loop_pong,
    .put_get = loop_put_get,
    .send_last = loop_send_last,
};
