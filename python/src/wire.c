/* wire.c - how messages go through a connection's descriptor and its sides. */
#include "wire.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define LEAST_LARGE 32768 /* bytes of a message that goes by a side */
#define MOST_IN_SIDE 8    /* messages */
#define LEAST_AWAITED                                                                                                  \
    (8 << 20) /* bytes of a message whose sender waits until it is taken, as a full pipe would make it */
#define LOOK SHOAL_MILLISECONDS(50) /* how long to wait for that without a look whether anybody is there to take it */
#define LENGTH_LONG (-1)
#define LENGTH_SIDE (-2)
#define MOST_HEAD 12
#define MOST_VECTORS 64

PyObject *shpy_wire_raise(const char *text)
{
    PyErr_SetString(PyExc_OSError, text);
    return NULL;
}

int shpy_wire_check_open(const struct shpy_connection *connection)
{
    if (connection->fd >= 0)
        return 0;
    shpy_wire_raise("handle is closed");
    return -1;
}

/* What a system call on the descriptor returned below zero: -1 with an exception; 0 where it is to be tried again. */
static int try_again(int error)
{
    if (error != EINTR) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return PyErr_CheckSignals();
}

static int write_vectors(struct shpy_connection *connection, struct iovec *vectors, int count)
{
    while (count > 0) {
        if (shpy_wire_check_open(connection) < 0)
            return -1;
        int fd = connection->fd, error = 0;
        ssize_t n;
        Py_BEGIN_ALLOW_THREADS;
        n = writev(fd, vectors, count);
        error = errno;
        Py_END_ALLOW_THREADS;
        if (n < 0 && try_again(error) < 0)
            return -1;
        size_t done = n < 0 ? 0 : (size_t)n;
        while (count > 0 && done >= vectors->iov_len) {
            done -= vectors->iov_len;
            vectors++;
            count--;
        }
        if (count > 0) {
            vectors->iov_base = (char *)vectors->iov_base + done;
            vectors->iov_len -= done;
        }
    }
    return 0;
}

/* Send a length and the parts. */
static int send_parts(struct shpy_connection *connection, const struct shoal_bytes *parts, size_t count, uint64_t size)
{
    struct iovec vectors[MOST_VECTORS];
    char head[MOST_HEAD];
    int32_t length = (int32_t)htonl(size > INT32_MAX ? (uint32_t)LENGTH_LONG : (uint32_t)size);
    uint64_t long_length = htobe64(size);
    size_t at = 0;

    memcpy(head, &length, sizeof length);
    memcpy(head + sizeof length, &long_length, sizeof long_length);
    vectors[0] = (struct iovec){.iov_base = head, .iov_len = size > INT32_MAX ? MOST_HEAD : sizeof length};
    int used = 1;
    do {
        for (; at < count && used < MOST_VECTORS; at++)
            if (parts[at].size)
                vectors[used++] =
                    (struct iovec){.iov_base = (void *)(uintptr_t)parts[at].data, .iov_len = parts[at].size};
        if (write_vectors(connection, vectors, used) < 0)
            return -1;
        used = 0;
    } while (at < count);
    return 0;
}

static uint64_t next_id(void)
{
    static _Thread_local uint32_t count;
    return (uint64_t)(uint32_t)PyThread_get_thread_native_id() << 32 | ++count;
}

static int is_hung_up(int fd)
{
    struct pollfd end = {.fd = fd};
    return poll(&end, 1, 0) > 0;
}

/* Wait until the other end has taken all that is in the side. */
static int call_taken(void *context, int64_t timeout)
{
    struct shpy_connection *connection = context;
    int r = shoal_queue_join(connection->out, timeout < LOOK ? timeout : LOOK);

    return (r == -EAGAIN || r == -ETIMEDOUT) && is_hung_up(connection->fd) ? -EPIPE : r;
}

static int wait_until_taken(struct shpy_connection *connection)
{
    int r = shpy_wait(call_taken, connection, SHOAL_FOREVER);

    if (r == 0)
        return 0;
    if (r == -EINTR && PyErr_Occurred())
        return -1;
    errno = -r;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

/* Send by the side: 1; 0 where it is to go through the descriptor; -1 with an exception. */
static int send_by_side(struct shpy_connection *connection, const struct shoal_bytes *parts, size_t count,
                        uint64_t size)
{
    char head[SHPY_SIDE_HEAD] = {0};
    char marker[MOST_HEAD];
    struct shoal_bytes few[16], *all = few;
    int32_t length = (int32_t)htonl((uint32_t)LENGTH_SIDE);
    uint64_t id = next_id(), items;
    int r;

    if (shoal_queue_size(connection->out, &items, NULL) < 0 || items >= MOST_IN_SIDE || count > 1000)
        return 0;
    if (count + 1 > sizeof few / sizeof few[0] && !(all = PyMem_Malloc((count + 1) * sizeof *all))) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(head, &id, sizeof id);
    all[0] = (struct shoal_bytes){head, sizeof head};
    memcpy(all + 1, parts, count * sizeof *parts);
    Py_BEGIN_ALLOW_THREADS;
    r = shoal_queue_put_parts(connection->out, all, count + 1, 0);
    Py_END_ALLOW_THREADS;
    if (all != few)
        PyMem_Free(all);
    if (r < 0) /* no memory: the descriptor needs none */
        return 0;
    memcpy(marker, &length, sizeof length);
    memcpy(marker + sizeof length, &id, sizeof id);
    struct iovec vector = {.iov_base = marker, .iov_len = sizeof marker};
    if (write_vectors(connection, &vector, 1) < 0)
        return -1;
    return size >= LEAST_AWAITED && wait_until_taken(connection) < 0 ? -1 : 1;
}

int shpy_wire_send(struct shpy_connection *connection, const struct shoal_bytes *parts, size_t count, uint64_t size)
{
    if (size >= LEAST_LARGE && connection->out) {
        int r = send_by_side(connection, parts, count, size);
        if (r)
            return r;
    }
    return send_parts(connection, parts, count, size);
}

/* EOFError where the file ends before the first byte. */
int shpy_wire_read(struct shpy_connection *connection, char *to, size_t size)
{
    size_t done = 0;

    while (done < size) {
        if (shpy_wire_check_open(connection) < 0)
            return -1;
        int fd = connection->fd, error;
        ssize_t n;
        Py_BEGIN_ALLOW_THREADS;
        n = read(fd, to + done, size - done);
        error = errno;
        Py_END_ALLOW_THREADS;
        if (n < 0 && try_again(error) < 0)
            return -1;
        if (n == 0) {
            if (done == 0)
                PyErr_SetNone(PyExc_EOFError);
            else
                shpy_wire_raise("got end of file during message");
            return -1;
        }
        done += n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

/* Take the message with this id out of the side. */
static int receive_by_side(struct shpy_connection *connection, uint64_t id, struct shoal_message *ret_message)
{
    int r = -ESTALE;

    while (connection->in && (r = shoal_queue_receive(connection->in, ret_message, 0)) == 0) {
        shoal_queue_task_done(connection->in);
        if (ret_message->size >= SHPY_SIDE_HEAD && memcmp(ret_message->data, &id, sizeof id) == 0)
            return 0;
        shoal_message_release(ret_message);
    }
    shpy_error_raise(r, "the sender of a large message is gone, and the message with it");
    return -1;
}

int shpy_wire_receive_head(struct shpy_connection *connection, struct shpy_coming *coming)
{
    int32_t length;
    uint64_t long_length;

    *coming = (struct shpy_coming){0};
    if (shpy_wire_read(connection, (char *)&length, sizeof length) < 0)
        return -1;
    length = (int32_t)ntohl((uint32_t)length);
    coming->size = (uint64_t)length;
    if (length >= 0)
        return 0;
    if (length < LENGTH_SIDE) {
        shpy_wire_raise("bad message length");
        return -1;
    }
    if (shpy_wire_read(connection, (char *)&long_length, sizeof long_length) < 0)
        return -1;
    if (length == LENGTH_LONG) {
        coming->size = be64toh(long_length);
        return 0;
    }
    if (receive_by_side(connection, long_length, &coming->side) < 0)
        return -1;
    coming->size = coming->side.size - SHPY_SIDE_HEAD;
    return 0;
}

/* There is no memory for a message that is coming: it must not stand in the way of the next. Keeps the exception. */
PyObject *shpy_wire_skip(struct shpy_connection *connection, struct shpy_coming *coming)
{
    PyObject *type, *value, *traceback;
    char buffer[SHPY_SMALL];

    PyErr_Fetch(&type, &value, &traceback);
    for (uint64_t left = coming->size; left > 0;) {
        size_t part = left < sizeof buffer ? (size_t)left : sizeof buffer;
        if (shpy_wire_read(connection, buffer, part) < 0) {
            PyErr_Clear(); /* the next call will say it again */
            break;
        }
        left -= part;
    }
    PyErr_Restore(type, value, traceback);
    return NULL;
}

/* The bytes of a message that is coming. */
PyObject *shpy_wire_receive_bytes(struct shpy_connection *connection, struct shpy_coming *coming)
{
    PyObject *bytes;

    if (coming->side.block) {
        bytes = shpy_message_copy_bytes((char *)coming->side.data + SHPY_SIDE_HEAD, (size_t)coming->size);
        shoal_message_release(&coming->side);
        return bytes;
    }
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)coming->size);
    if (!bytes)
        return shpy_wire_skip(connection, coming);
    if (shpy_wire_read(connection, PyBytes_AS_STRING(bytes), (size_t)coming->size) < 0)
        Py_CLEAR(bytes);
    return bytes;
}
