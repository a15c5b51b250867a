/* posix_mq.c - POSIX message queues, with as many slots as they may have. */
#include "peers/descriptor.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>

/* The system's limits hold for an ipc namespace. In one of its own - where that is allowed - the peer gets as many
 * slots as the others; elsewhere what the system gives, by default ten. */
static void lift_limits(void)
{
    static const struct {
        const char *path;
        long value;
    } limits[] = {{"/proc/sys/fs/mqueue/msg_max", 65536}, {"/proc/sys/fs/mqueue/msgsize_max", 16 * 1024 * 1024}};
    if (unshare(CLONE_NEWIPC) < 0)
        return;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        FILE *file = fopen(limits[i].path, "we");
        if (!file)
            return;
        fprintf(file, "%ld\n", limits[i].value);
        fclose(file);
    }
}

/* RLIMIT_MSGQUEUE is what binds then: 800 KiB by default, in messages and their heads. */
static mqd_t create(const struct bench_shape *shape, unsigned *ret_slots)
{
    char name[64];
    mqd_t queue = -1;
    for (unsigned slots = shape->slots; slots > 0 && queue<0; slots -= slots> 10 ? (slots + 9) / 10 : 1) {
        struct mq_attr attributes = {.mq_maxmsg = slots, .mq_msgsize = (long)shape->size};
        snprintf(name, sizeof name, "/shoal-bench-%d", (int)getpid());
        queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
        *ret_slots = slots;
    }
    if (queue >= 0)
        mq_unlink(name);
    return queue;
}

static int open_link(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    static int lifted;
    unsigned slots;
    if (!lifted++)
        lift_limits();
    mqd_t queue = create(shape, &slots);
    if (queue < 0)
        return -errno;
    snprintf(ret_note, 160, "%u slots", slots);
    return descriptor_open(shape, queue, dup(queue), ret_link);
}

static int fits(const struct bench_shape *shape)
{
    return shape->size < 800 * 1000; /* what RLIMIT_MSGQUEUE leaves by default */
}

static int commit(void *context, void *message, size_t size)
{
    struct descriptor_end *end = context;
    return mq_send(end->fd, message, size, 0) < 0 ? -errno : 0;
}

static ssize_t take(void *context, void **ret_message)
{
    struct descriptor_end *end = context;
    ssize_t size = mq_receive(end->fd, end->buffer, end->size, NULL);
    *ret_message = end->buffer;
    return size < 0 ? -errno : size;
}

static const struct bench_ops ops = {.begin = descriptor_begin, .commit = commit, .take = take, .whole = 1};
BENCH_LOOPS(ops)

const struct bench_peer bench_posix_mq = {
    .name = "POSIX mq",
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
