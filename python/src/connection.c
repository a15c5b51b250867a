/* connection.c - the base of Connection: messages through a descriptor, large ones through shared memory. */
#include "os/clock.h"
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static struct shpy_connection *connection_in(PyObject *object)
{
    return (struct shpy_connection *)object;
}

static int check_readable(const struct shpy_connection *connection)
{
    if (shpy_wire_check_open(connection) < 0)
        return -1;
    if (connection->is_readable)
        return 0;
    shpy_wire_raise("connection is write-only");
    return -1;
}

static int check_writable(const struct shpy_connection *connection)
{
    if (shpy_wire_check_open(connection) < 0)
        return -1;
    if (connection->is_writable)
        return 0;
    shpy_wire_raise("connection is read-only");
    return -1;
}

static void close_sides(struct shpy_connection *connection)
{
    shoal_queue_free(connection->out);
    shoal_queue_free(connection->in);
    connection->out = connection->in = NULL;
}

/* 0, or the error that closing met. */
static int close_all(struct shpy_connection *connection)
{
    int fd = connection->fd;
    int r;

    connection->fd = -1;
    close_sides(connection);
    if (fd < 0)
        return 0;
    Py_BEGIN_ALLOW_THREADS;
    r = close(fd) < 0 && errno != EINTR ? errno : 0;
    Py_END_ALLOW_THREADS;
    return r;
}

static PyObject *connection_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    struct shpy_connection *connection = (struct shpy_connection *)type->tp_alloc(type, 0);

    if (!connection)
        return NULL;
    connection->fd = -1;
    connection->state = shpy_state_of(type);
    if (!connection->state)
        Py_CLEAR(connection);
    return (PyObject *)connection;
}

static int connection_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {(char *)"handle", (char *)"readable", (char *)"writable", NULL};
    struct shpy_connection *connection = connection_in(object);
    PyObject *handle;
    int is_readable = 1, is_writable = 1;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|pp:Connection", names, &handle, &is_readable, &is_writable))
        return -1;
    Py_ssize_t fd = PyNumber_AsSsize_t(handle, PyExc_OverflowError);
    if (fd == -1 && PyErr_Occurred())
        return -1;
    if (fd < 0 || fd > INT_MAX) {
        PyErr_SetString(PyExc_ValueError, "invalid handle");
        return -1;
    }
    if (!is_readable && !is_writable) {
        PyErr_SetString(PyExc_ValueError, "at least one of `readable` and `writable` must be True");
        return -1;
    }
    connection->fd = (int)fd;
    connection->is_readable = is_readable;
    connection->is_writable = is_writable;
    return 0;
}

static void connection_finalize(PyObject *object)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    close_all(connection_in(object));
    PyErr_Restore(type, value, traceback);
}

static void connection_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    close_all(connection_in(object));
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *connection_send(PyObject *object, PyObject *item)
{
    struct shpy_connection *connection = connection_in(object);
    struct shpy_message message;

    if (check_writable(connection) < 0)
        return NULL;
    unsigned ways = SHPY_CLOUDPICKLE | (connection->out ? SHPY_BUFFERS : 0);
    if (shpy_message_encode(connection->state, item, ways, &message) < 0)
        return NULL;
    int r = check_writable(connection);
    if (r == 0)
        r = shpy_wire_send(connection, message.parts, message.count, message.size);
    shpy_message_clear(&message);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Which bytes of a buffer send_bytes is to send: 0, or -1 with an exception. */
static int choose_range(Py_ssize_t n, PyObject *offset_object, PyObject *size_object, Py_ssize_t *ret_offset,
                        Py_ssize_t *ret_size)
{
    Py_ssize_t offset = offset_object ? PyNumber_AsSsize_t(offset_object, PyExc_OverflowError) : 0;
    Py_ssize_t size = 0;

    if (offset == -1 && PyErr_Occurred())
        return -1;
    int is_given = size_object && size_object != Py_None;
    if (is_given)
        size = PyNumber_AsSsize_t(size_object, PyExc_OverflowError);
    if (size == -1 && PyErr_Occurred())
        return -1;
    const char *wrong = offset < 0                      ? "offset is negative"
                        : n < offset                    ? "buffer length < offset"
                        : is_given && size < 0          ? "size is negative"
                        : is_given && size > n - offset ? "buffer length < offset + size"
                                                        : NULL;
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
        return -1;
    }
    *ret_offset = offset;
    *ret_size = is_given ? size : n - offset;
    return 0;
}

static PyObject *connection_send_bytes(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"buf", "offset", "size"};
    struct shpy_connection *connection = connection_in(object);
    PyObject *values[3];
    Py_buffer view;
    Py_ssize_t offset, size;

    if (shpy_arguments("send_bytes", names, 3, args, nargs, kwnames, values) < 0 || check_writable(connection) < 0)
        return NULL;
    if (!values[0])
        return PyErr_Format(PyExc_TypeError, "send_bytes() missing 1 required positional argument: 'buf'");
    if (PyObject_GetBuffer(values[0], &view, PyBUF_SIMPLE) < 0)
        return NULL;
    int r = choose_range(view.len, values[1], values[2], &offset, &size);
    if (r == 0) {
        struct shoal_bytes part = {(const char *)view.buf + offset, (size_t)size};
        r = shpy_wire_send(connection, &part, 1, part.size);
    }
    PyBuffer_Release(&view);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *connection_recv(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_connection *connection = connection_in(object);
    struct shpy_coming coming;
    char buffer[SHPY_SMALL];

    if (check_readable(connection) < 0 || shpy_wire_receive_head(connection, &coming) < 0)
        return NULL;
    if (coming.side.block)
        return shpy_message_decode_block(connection->state, &coming.side, SHPY_SIDE_HEAD);
    if (coming.size <= sizeof buffer) {
        if (shpy_wire_read(connection, buffer, (size_t)coming.size) < 0)
            return NULL;
        return shpy_message_decode(connection->state, buffer, (size_t)coming.size);
    }
    PyObject *block = shpy_block_alloc(connection->state, (size_t)coming.size);
    PyObject *item = NULL;
    if (!block)
        return shpy_wire_skip(connection, &coming);
    if (shpy_wire_read(connection, shpy_block_data(block), (size_t)coming.size) == 0)
        item = shpy_message_decode_owned(connection->state, block, 0, (size_t)coming.size);
    Py_XDECREF(block);
    return item;
}

static PyObject *connection_recv_bytes(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"maxlength"};
    struct shpy_connection *connection = connection_in(object);
    struct shpy_coming coming;
    PyObject *value;
    Py_ssize_t most = PY_SSIZE_T_MAX;

    if (shpy_arguments("recv_bytes", names, 1, args, nargs, kwnames, &value) < 0 || check_readable(connection) < 0)
        return NULL;
    if (value && value != Py_None) {
        most = PyNumber_AsSsize_t(value, NULL);
        if (most == -1 && PyErr_Occurred())
            return NULL;
        if (most < 0) {
            PyErr_SetString(PyExc_ValueError, "negative maxlength");
            return NULL;
        }
    }
    if (shpy_wire_receive_head(connection, &coming) < 0)
        return NULL;
    if (coming.size <= (uint64_t)most)
        return shpy_wire_receive_bytes(connection, &coming);
    /* What is left of it stands in the way of all that follows. */
    shoal_message_release(&coming.side);
    if (connection->is_writable)
        connection->is_readable = 0;
    else
        close_all(connection);
    return shpy_wire_raise("bad message length");
}

static PyObject *raise_too_short(PyObject *bytes)
{
    PyObject *module = PyImport_ImportModule("multiprocessing.context");
    PyObject *exception = module ? PyObject_GetAttrString(module, "BufferTooShort") : NULL;
    PyObject *value = exception ? PyObject_CallFunctionObjArgs(exception, bytes, NULL) : NULL;

    if (value)
        PyErr_SetObject(exception, value);
    Py_XDECREF(value);
    Py_XDECREF(exception);
    Py_XDECREF(module);
    return NULL;
}

static PyObject *connection_recv_bytes_into(PyObject *object, PyObject *const *args, Py_ssize_t nargs,
                                            PyObject *kwnames)
{
    static const char *const names[] = {"buf", "offset"};
    struct shpy_connection *connection = connection_in(object);
    PyObject *values[2], *result = NULL;
    struct shpy_coming coming;
    Py_buffer view;

    if (shpy_arguments("recv_bytes_into", names, 2, args, nargs, kwnames, values) < 0 || check_readable(connection) < 0)
        return NULL;
    if (!values[0])
        return PyErr_Format(PyExc_TypeError, "recv_bytes_into() missing 1 required positional argument: 'buf'");
    Py_ssize_t offset = values[1] ? PyNumber_AsSsize_t(values[1], PyExc_OverflowError) : 0;
    if ((offset == -1 && PyErr_Occurred()) || PyObject_GetBuffer(values[0], &view, PyBUF_WRITABLE) < 0)
        return NULL;
    if (offset < 0 || offset > view.len) {
        PyErr_SetString(PyExc_ValueError, offset < 0 ? "negative offset" : "offset too large");
        goto release;
    }
    if (shpy_wire_receive_head(connection, &coming) < 0)
        goto release;
    if (coming.size > (uint64_t)(view.len - offset)) {
        PyObject *bytes = shpy_wire_receive_bytes(connection, &coming);
        if (bytes)
            raise_too_short(bytes);
        Py_XDECREF(bytes);
        goto release;
    }
    if (coming.side.block)
        memcpy((char *)view.buf + offset, (char *)coming.side.data + SHPY_SIDE_HEAD, coming.size);
    else if (shpy_wire_read(connection, (char *)view.buf + offset, (size_t)coming.size) < 0)
        goto release;
    shoal_message_release(&coming.side);
    result = PyLong_FromUnsignedLongLong(coming.size);
release:
    PyBuffer_Release(&view);
    return result;
}

static int call_poll(void *context, int64_t timeout)
{
    struct pollfd wanted = {.fd = *(int *)context, .events = POLLIN};
    struct timespec limit = sh_clock_timespec(timeout);
    int r = ppoll(&wanted, 1, &limit, NULL);

    if (r < 0)
        return -errno;
    return r == 0 ? -EAGAIN : wanted.revents & POLLNVAL ? -EBADF : 0;
}

static PyObject *connection_poll(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"timeout"};
    struct shpy_connection *connection = connection_in(object);
    PyObject *value;
    int64_t timeout = 0;

    if (shpy_arguments("poll", names, 1, args, nargs, kwnames, &value) < 0 || check_readable(connection) < 0)
        return NULL;
    if (value && shpy_wait_parse(NULL, value, &timeout) < 0)
        return NULL;
    int r = shpy_wait(call_poll, &connection->fd, timeout);
    if (r == -EINTR && PyErr_Occurred())
        return NULL;
    if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT) {
        errno = -r;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyBool_FromLong(r == 0);
}

static PyObject *connection_fileno(PyObject *object, PyObject *unused)
{
    (void)unused;
    return shpy_wire_check_open(connection_in(object)) < 0 ? NULL : PyLong_FromLong(connection_in(object)->fd);
}

static PyObject *connection_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    int error = close_all(connection_in(object));

    if (error) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static PyObject *connection_enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(object);
}

static PyObject *connection_exit(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args, (void)nargs;
    return connection_close(object, NULL);
}

static int attach_side(PyObject *name, shoal_queue **side)
{
    shoal_ref ref;

    if (name == Py_None)
        return 0;
    if (*side || shpy_ref_read(name, &ref) < 0) {
        shpy_ref_refuse("a connection");
        return -1;
    }
    int r = shoal_queue_attach(&ref, side);
    if (r < 0)
        shpy_ref_raise(r, "Connection");
    return r;
}

static PyObject *connection_attach_sides(PyObject *object, PyObject *args)
{
    struct shpy_connection *connection = connection_in(object);
    PyObject *out, *in;

    if (!PyArg_ParseTuple(args, "OO:_attach_sides", &out, &in))
        return NULL;
    if (attach_side(out, &connection->out) < 0 || attach_side(in, &connection->in) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *name_of(shoal_queue *side)
{
    shoal_ref ref;

    if (!side || shoal_queue_ref(side, &ref) < 0)
        return Py_NewRef(Py_None);
    return shpy_ref_write(&ref);
}

static PyObject *connection_sides(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_connection *connection = connection_in(object);
    return Py_BuildValue("NN", name_of(connection->out), name_of(connection->in));
}

static PyObject *connection_make_side(PyObject *object, PyObject *other)
{
    struct shpy_connection *from = connection_in(object), *to = connection_in(other);
    shoal_ref ref;

    if (!PyObject_TypeCheck(other, from->state->connection_type) || from->out || to->in)
        return shpy_ref_refuse("the other end");
    struct shoal_queue_options options = {SHOAL_OPTIONS(shoal_queue), .flags = SHOAL_QUEUE_JOINABLE};
    int r = shoal_queue_open(&options, &from->out);
    if (r == 0)
        r = shoal_queue_ref(from->out, &ref);
    if (r == 0)
        r = shoal_queue_attach(&ref, &to->in);
    if (r < 0)
        return shpy_error_raise(r, "a pipe cannot be made");
    Py_RETURN_NONE;
}

static PyObject *connection_get_handle(PyObject *object, void *unused)
{
    (void)unused;
    int fd = connection_in(object)->fd;
    return fd < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(fd);
}

/* The descriptor is somebody else's from now on, or another. */
static int connection_set_handle(PyObject *object, PyObject *value, void *unused)
{
    (void)unused;
    int fd = -1;

    if (value && value != Py_None) {
        long number = PyLong_AsLong(value);
        if (number == -1 && PyErr_Occurred())
            return -1;
        fd = (int)number;
    }
    connection_in(object)->fd = fd;
    return 0;
}

static PyObject *connection_get_closed(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(connection_in(object)->fd < 0);
}

static PyObject *connection_get_readable(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(connection_in(object)->is_readable);
}

static PyObject *connection_get_writable(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(connection_in(object)->is_writable);
}

static PyMethodDef connection_methods[] = {
    {"send", connection_send, METH_O, "send($self, obj, /)\n--\n\nSend an object to the other end."},
    {"send_bytes", SHPY_FASTCALL(connection_send_bytes), METH_FASTCALL | METH_KEYWORDS,
     "send_bytes($self, /, buf, offset=0, size=None)\n--\n\nSend bytes, size of them from offset on, as one message."},
    {"recv", connection_recv, METH_NOARGS,
     "recv($self, /)\n--\n\nReceive an object, waiting for it. EOFError where the other end is closed and nothing is "
     "left."},
    {"recv_bytes", SHPY_FASTCALL(connection_recv_bytes), METH_FASTCALL | METH_KEYWORDS,
     "recv_bytes($self, /, maxlength=None)\n--\n\nReceive a message as bytes. OSError where it is longer than "
     "maxlength."},
    {"recv_bytes_into", SHPY_FASTCALL(connection_recv_bytes_into), METH_FASTCALL | METH_KEYWORDS,
     "recv_bytes_into($self, /, buf, offset=0)\n--\n\nReceive a message into a buffer, from offset on: how many "
     "bytes.\n"
     "BufferTooShort, with the message, where it does not fit."},
    {"poll", SHPY_FASTCALL(connection_poll), METH_FASTCALL | METH_KEYWORDS,
     "poll($self, /, timeout=0.0)\n--\n\nWhether there is something to receive, waiting timeout seconds at most (None: "
     "for "
     "ever)."},
    {"fileno", connection_fileno, METH_NOARGS, "fileno($self, /)\n--\n\nThe descriptor."},
    {"close", connection_close, METH_NOARGS, "close($self, /)\n--\n\nClose this end."},
    {"__enter__", connection_enter, METH_NOARGS, NULL},
    {"__exit__", SHPY_FASTCALL(connection_exit), METH_FASTCALL, NULL},
    {"_make_side", connection_make_side, METH_O, "Make the side by which this end sends to the other."},
    {"_attach_sides", connection_attach_sides, METH_VARARGS, "Attach to the sides of these names: (out, in)."},
    {"_sides", connection_sides, METH_NOARGS, "The names of the sides: (out, in), None where there is none."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef connection_properties[] = {
    {"_handle", connection_get_handle, connection_set_handle, "The descriptor; None when closed.", NULL},
    {"closed", connection_get_closed, NULL, "Whether this end is closed.", NULL},
    {"readable", connection_get_readable, NULL, "Whether this end receives.", NULL},
    {"writable", connection_get_writable, NULL, "Whether this end sends.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot connection_slots[] = {
    {Py_tp_new, connection_new},
    {Py_tp_init, connection_init},
    {Py_tp_finalize, connection_finalize},
    {Py_tp_dealloc, connection_dealloc},
    {Py_tp_methods, connection_methods},
    {Py_tp_getset, connection_properties},
    {Py_tp_doc, (char *)"The base of Connection."},
    {0, NULL},
};

static PyType_Spec connection_spec = {
    .name = "shoal._core.Connection",
    .basicsize = sizeof(struct shpy_connection),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = connection_slots,
};

int shpy_connection_add(PyObject *module, struct shpy_state *state)
{
    state->connection_type = shpy_type_add(module, &connection_spec);
    return state->connection_type ? 0 : -1;
}
