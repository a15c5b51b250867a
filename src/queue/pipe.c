/* pipe.c - pipes: two ends over one queue, or two.
 *
 * An end is a shared object of its own, so the family knows which processes hold it; it names its queues by refs. When
 * the last process lets go of an end, or dies, destroying the end closes both its queues: the other end's sends fail at
 * once, its receives when it has taken what was sent. */
#include "queue/pipe.h"

#include <errno.h>
#include <shoal/pipe.h>

struct sh_pipe_shared {
    struct sh_object object;
    /* Never change. A kind of 0: this end does not receive, or send. */
    shoal_ref in;
    shoal_ref out;
};

struct shoal_pipe {
    struct sh_handle handle;
    shoal_queue *in; /* NULL: this end does not receive */
    shoal_queue *out;
};

static void close_queue(const shoal_ref *ref)
{
    shoal_queue *queue;

    if (ref->kind && shoal_queue_attach(ref, &queue) == 0) {
        shoal_queue_close(queue);
        shoal_queue_free(queue);
    }
}

static void destroy(struct sh_object *object)
{
    struct sh_pipe_shared *shared = sh_container(object, struct sh_pipe_shared, object);

    close_queue(&shared->in);
    close_queue(&shared->out);
}

const struct sh_object_kind sh_pipe_kind = {
    .name = "pipe", .size = sizeof(struct sh_pipe_shared), .names_others = 1, .destroy = destroy};

static int attach_queue(const shoal_ref *ref, shoal_queue **ret_queue)
{
    if (!ref->kind) {
        *ret_queue = NULL;
        return 0;
    }
    return shoal_queue_attach(ref, ret_queue);
}

/* Attach a handle of an end to the end's queues. */
static int attach_queues(shoal_pipe *end)
{
    const struct sh_pipe_shared *shared = sh_container(end->handle.object, struct sh_pipe_shared, object);
    int r = attach_queue(&shared->in, &end->in);

    if (r < 0)
        return r;
    r = attach_queue(&shared->out, &end->out);
    if (r < 0)
        shoal_queue_free(end->in);
    return r;
}

/* Make an end over these queues; either may be NULL. */
static int open_end(const shoal_queue *in, const shoal_queue *out, shoal_pipe **ret_end)
{
    struct sh_handle *handle;
    int r = sh_handle_create(SH_KIND_PIPE, sizeof(struct sh_pipe_shared), sizeof(shoal_pipe), &handle);

    if (r < 0)
        return r;
    struct sh_pipe_shared *shared = sh_container(handle->object, struct sh_pipe_shared, object);
    if (in)
        shoal_queue_ref(in, &shared->in);
    if (out)
        shoal_queue_ref(out, &shared->out);
    r = attach_queues(sh_container(handle, shoal_pipe, handle));
    if (r < 0) {
        sh_handle_discard(handle);
        return r;
    }
    sh_handle_publish(handle);
    *ret_end = sh_container(handle, shoal_pipe, handle);
    return 0;
}

int shoal_pipe_open(unsigned flags, shoal_pipe **ret_first, shoal_pipe **ret_second)
{
    shoal_queue *there = NULL, *back = NULL;
    shoal_pipe *first = NULL, *second = NULL;

    if (flags & ~(unsigned)SHOAL_PIPE_DUPLEX || !ret_first || !ret_second)
        return -EINVAL;
    int r = shoal_queue_open(NULL, &there);
    if (r == 0 && flags & SHOAL_PIPE_DUPLEX)
        r = shoal_queue_open(NULL, &back);
    if (r == 0)
        r = open_end(there, back, &first);
    if (r == 0)
        r = open_end(back, there, &second);
    shoal_queue_free(there); /* the ends have handles of their own */
    shoal_queue_free(back);
    if (r < 0) {
        shoal_pipe_free(first);
        return r;
    }
    *ret_first = first;
    *ret_second = second;
    return 0;
}

int shoal_pipe_attach(const shoal_ref *ref, shoal_pipe **ret_end)
{
    struct sh_handle *handle;

    if (!ret_end)
        return -EINVAL;
    int r = sh_handle_attach(ref, SH_KIND_PIPE, sizeof(shoal_pipe), &handle);
    if (r < 0)
        return r;
    r = attach_queues(sh_container(handle, shoal_pipe, handle));
    if (r < 0) {
        sh_handle_free(handle);
        return r;
    }
    *ret_end = sh_container(handle, shoal_pipe, handle);
    return 0;
}

int shoal_pipe_ref(const shoal_pipe *end, shoal_ref *ret_ref)
{
    return end ? sh_handle_ref(&end->handle, ret_ref) : -EINVAL;
}

void shoal_pipe_free(shoal_pipe *end)
{
    if (!end)
        return;
    shoal_queue *in = end->in, *out = end->out;
    sh_handle_free(&end->handle); /* while its queues are held: their closing needs them */
    shoal_queue_free(in);
    shoal_queue_free(out);
}

int shoal_pipe_send(shoal_pipe *end, const void *data, size_t size, int64_t timeout)
{
    if (!end)
        return -EINVAL;
    return end->out ? shoal_queue_put(end->out, data, size, timeout) : -EBADF;
}

int shoal_pipe_send_parts(shoal_pipe *end, const struct shoal_bytes *parts, size_t count, int64_t timeout)
{
    if (!end)
        return -EINVAL;
    return end->out ? shoal_queue_put_parts(end->out, parts, count, timeout) : -EBADF;
}

ssize_t shoal_pipe_receive(shoal_pipe *end, void *buffer, size_t capacity, int64_t timeout)
{
    if (!end)
        return -EINVAL;
    return end->in ? shoal_queue_get(end->in, buffer, capacity, timeout) : -EBADF;
}

int shoal_pipe_receive_message(shoal_pipe *end, struct shoal_message *ret_message, int64_t timeout)
{
    if (!end)
        return -EINVAL;
    return end->in ? shoal_queue_receive(end->in, ret_message, timeout) : -EBADF;
}

int shoal_pipe_poll(shoal_pipe *end, int64_t timeout)
{
    if (!end)
        return -EINVAL;
    if (!end->in)
        return -EBADF;
    int r = sh_handle_enter(&end->in->handle);
    if (r == 0)
        r = sh_queue_await_message(sh_queue_body(end->in), timeout);
    return r == -EPIPE ? 0 : r; /* receive would not block: it says so */
}

int shoal_pipe_fd(shoal_pipe *end)
{
    if (!end)
        return -EINVAL;
    return end->in ? shoal_queue_fd(end->in) : -EBADF;
}
