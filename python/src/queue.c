/* queue.c - the base of all queues: an object's way into and out of the core's queue. */
#include "queue/queue.h"

#include "block.h"
#include "message.h"

#include <errno.h>

/* queue is set once by open or attach. closed: this process's user has closed it; others go on. */
struct queue {
    PyObject_HEAD;
    struct shpy_state *state;
    shoal_queue *queue;
    uint64_t max_items;
    int closed;
};

static PyObject *queue_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    struct queue *queue = (struct queue *)type->tp_alloc(type, 0);

    if (!queue)
        return NULL;
    queue->state = shpy_state_of(type);
    if (!queue->state)
        Py_CLEAR(queue);
    return (PyObject *)queue;
}

static void queue_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    shoal_queue_free(((struct queue *)object)->queue);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *raise_closed(PyObject *object)
{
    struct queue *queue = (struct queue *)object;

    if (!queue->queue)
        PyErr_Format(PyExc_ValueError, "%s was not initialized: call its class's __init__", Py_TYPE(object)->tp_name);
    else
        PyErr_Format(PyExc_ValueError, "Queue %R is closed", object);
    return NULL;
}

static inline int is_open(const struct queue *queue)
{
    return queue->queue && !queue->closed;
}

static PyObject *raise_error(struct queue *queue, int r, const char *doing)
{
    (void)queue;
    if (r == -EINTR && PyErr_Occurred())
        return NULL;
    return shpy_error_raise(r, doing);
}

static PyObject *queue_open(PyObject *object, PyObject *args)
{
    struct queue *queue = (struct queue *)object;
    unsigned long long max_items;
    int is_joinable;

    if (!PyArg_ParseTuple(args, "Kp:_open", &max_items, &is_joinable))
        return NULL;
    if (queue->queue) {
        PyErr_SetString(PyExc_RuntimeError, "this queue is initialized already");
        return NULL;
    }
    int r = shoal_queue_open(&(struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .max_items = max_items,
                                                           .flags = is_joinable ? SHOAL_QUEUE_JOINABLE : 0},
                             &queue->queue);
    if (r < 0)
        return shpy_error_raise(r, "a queue cannot be made");
    queue->max_items = max_items;
    Py_RETURN_NONE;
}

static PyObject *queue_attach(PyObject *object, PyObject *args)
{
    struct queue *queue = (struct queue *)object;
    PyObject *name;
    unsigned long long max_items;
    shoal_ref ref;

    if (!PyArg_ParseTuple(args, "OK:_attach", &name, &max_items))
        return NULL;
    if (queue->queue || shpy_ref_read(name, &ref) < 0)
        return shpy_ref_refuse("a queue");
    int r = shoal_queue_attach(&ref, &queue->queue);
    if (r < 0)
        return shpy_ref_raise(r, "Queue");
    queue->max_items = max_items;
    Py_RETURN_NONE;
}

static PyObject *queue_ref(PyObject *object, PyObject *unused)
{
    (void)unused;
    shoal_ref ref;
    struct queue *queue = (struct queue *)object;

    if (!queue->queue)
        return raise_closed(object);
    int r = shoal_queue_ref(queue->queue, &ref);
    return r < 0 ? shpy_error_raise(r, "this queue has no name") : shpy_ref_write(&ref);
}

struct put_call {
    shoal_queue *queue;
    struct shpy_message *message;
};

static int call_put(void *context, int64_t timeout)
{
    struct put_call *put = context;
    return shoal_queue_put_parts(put->queue, put->message->parts, put->message->count, timeout);
}

/* An object that cannot be written: reported by the queue's method, as multiprocessing's feeder does, not raised; but
 * for want of memory, which is the caller's to know. */
static PyObject *report(PyObject *object, PyObject *item)
{
    PyObject *type, *value, *traceback;

    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
        return NULL;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    PyObject *nothing = PyObject_CallMethod(object, "_on_queue_feeder_error", "OO", value, item);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    if (!nothing)
        return NULL;
    Py_DECREF(nothing);
    Py_RETURN_NONE;
}

/* Put an object; `reports`: where it cannot be written, say so by the queue's method. */
static PyObject *put(PyObject *object, PyObject *item, int64_t timeout, int reports)
{
    struct queue *queue = (struct queue *)object;
    struct shpy_message message;
    int r;

    if (shpy_message_encode(queue->state, item, SHPY_BUFFERS | SHPY_CLOUDPICKLE, &message) < 0)
        return reports ? report(object, item) : NULL;
    if (!is_open(queue)) { /* it may have been closed by what was called for pickling */
        shpy_message_clear(&message);
        return raise_closed(object);
    }
    struct put_call call = {queue->queue, &message};
    if (message.size >= SHPY_LEAST_UNLOCKED) {
        Py_BEGIN_ALLOW_THREADS;
        r = call_put(&call, 0);
        Py_END_ALLOW_THREADS;
        if (r == -EAGAIN)
            r = shpy_wait(call_put, &call, timeout);
    } else {
        r = shpy_wait(call_put, &call, timeout);
    }
    shpy_message_clear(&message);
    if (r == 0)
        Py_RETURN_NONE;
    if (r == -EAGAIN || r == -ETIMEDOUT) {
        PyErr_SetNone(queue->state->full);
        return NULL;
    }
    return raise_error(queue, r, "cannot put");
}

static PyObject *queue_put(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"obj", "block", "timeout"};
    PyObject *values[3] = {NULL};
    int64_t timeout = SHOAL_FOREVER;

    if (nargs == 1 && !kwnames)
        values[0] = args[0];
    else if (shpy_arguments("put", names, 3, args, nargs, kwnames, values) < 0 ||
             shpy_wait_parse(values[1], values[2], &timeout) < 0)
        return NULL;
    if (!values[0]) {
        PyErr_SetString(PyExc_TypeError, "put() missing 1 required positional argument: 'obj'");
        return NULL;
    }
    if (!is_open((struct queue *)object))
        return raise_closed(object);
    return put(object, values[0], timeout, 1);
}

static PyObject *queue_put_nowait(PyObject *object, PyObject *item)
{
    if (!is_open((struct queue *)object))
        return raise_closed(object);
    return put(object, item, 0, 1);
}

/* SimpleQueue's, and _writer's: raises what pickling raises. */
static PyObject *queue_send(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"obj"};
    PyObject *item = nargs > 0 ? args[0] : NULL;

    if ((nargs != 1 || kwnames) && shpy_arguments("put", names, 1, args, nargs, kwnames, &item) < 0)
        return NULL;
    if (!item) {
        PyErr_SetString(PyExc_TypeError, "put() missing 1 required positional argument: 'obj'");
        return NULL;
    }
    if (!is_open((struct queue *)object)) {
        PyErr_SetString(PyExc_OSError, "handle is closed");
        return NULL;
    }
    return put(object, item, SHOAL_FOREVER, 0);
}

struct get_call {
    shoal_queue *queue;
    char *buffer; /* of SHPY_SMALL bytes */
    size_t size;  /* of what is in it, where message.block is 0 */
    struct shoal_message message;
};

static int call_get(void *context, int64_t timeout)
{
    struct get_call *get = context;
    ssize_t r = shoal_queue_get(get->queue, get->buffer, SHPY_SMALL, timeout);

    if (r >= 0) {
        get->size = (size_t)r;
        return 0;
    }
    /* It is larger, or was: another may take it first. */
    return r == -EMSGSIZE ? shoal_queue_receive(get->queue, &get->message, 0) : (int)r;
}

static PyObject *get(PyObject *object, int64_t timeout)
{
    struct queue *queue = (struct queue *)object;
    char buffer[SHPY_SMALL];
    struct get_call call = {.queue = queue->queue, .buffer = buffer};
    int r = shpy_wait(call_get, &call, timeout);

    if (r == 0)
        return call.message.block ? shpy_message_decode_block(queue->state, &call.message, 0)
                                  : shpy_message_decode(queue->state, buffer, call.size);
    if (r == -EAGAIN || r == -ETIMEDOUT) {
        PyErr_SetNone(queue->state->empty);
        return NULL;
    }
    if (r == -EPIPE) {
        PyErr_SetNone(PyExc_EOFError);
        return NULL;
    }
    return raise_error(queue, r, "cannot get");
}

static PyObject *queue_get(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"block", "timeout"};
    PyObject *values[2] = {NULL};
    int64_t timeout = SHOAL_FOREVER;

    if ((nargs || kwnames) && (shpy_arguments("get", names, 2, args, nargs, kwnames, values) < 0 ||
                               shpy_wait_parse(values[0], values[1], &timeout) < 0))
        return NULL;
    if (!is_open((struct queue *)object))
        return raise_closed(object);
    return get(object, timeout);
}

static PyObject *queue_get_nowait(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (!is_open((struct queue *)object))
        return raise_closed(object);
    return get(object, 0);
}

/* SimpleQueue's, and _reader's. */
static PyObject *queue_receive(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (!is_open((struct queue *)object)) {
        PyErr_SetString(PyExc_OSError, "handle is closed");
        return NULL;
    }
    return get(object, SHOAL_FOREVER);
}

static int count_items(struct queue *queue, uint64_t *ret_items)
{
    uint64_t bytes;
    int r = shoal_queue_size(queue->queue, ret_items, &bytes);

    if (r < 0)
        shpy_error_raise(r, "cannot count what is in the queue");
    return r;
}

static PyObject *queue_qsize(PyObject *object, PyObject *unused)
{
    (void)unused;
    uint64_t items;

    if (count_items((struct queue *)object, &items) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(items);
}

static PyObject *queue_empty(PyObject *object, PyObject *unused)
{
    (void)unused;
    uint64_t items;

    if (count_items((struct queue *)object, &items) < 0)
        return NULL;
    return PyBool_FromLong(items == 0);
}

static PyObject *queue_full(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct queue *queue = (struct queue *)object;
    uint64_t items;

    if (count_items(queue, &items) < 0)
        return NULL;
    return PyBool_FromLong(queue->max_items && items >= queue->max_items);
}

static PyObject *queue_task_done(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = shoal_queue_task_done(((struct queue *)object)->queue);

    if (r == -EINVAL) {
        PyErr_SetString(PyExc_ValueError, "task_done() called too many times");
        return NULL;
    }
    if (r < 0)
        return shpy_error_raise(r, "task_done");
    Py_RETURN_NONE;
}

static int call_join(void *context, int64_t timeout)
{
    return shoal_queue_join(context, timeout);
}

static PyObject *queue_join(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct queue *queue = (struct queue *)object;
    int r = shpy_wait(call_join, queue->queue, SHOAL_FOREVER);

    if (r < 0)
        return raise_error(queue, r, "cannot join the queue");
    Py_RETURN_NONE;
}

static PyObject *queue_unfinished(PyObject *object, PyObject *unused)
{
    (void)unused;
    uint64_t unfinished;
    int r = shoal_queue_unfinished(((struct queue *)object)->queue, &unfinished);

    if (r < 0)
        return shpy_error_raise(r, "cannot count what is unfinished");
    return PyLong_FromUnsignedLongLong(unfinished);
}

static PyObject *queue_fileno(PyObject *object, PyObject *unused)
{
    (void)unused;
    int fd = shoal_queue_fd(((struct queue *)object)->queue);

    if (fd < 0)
        return shpy_error_raise(fd, "the queue has no descriptor to poll");
    return PyLong_FromLong(fd);
}

static int call_poll(void *context, int64_t timeout)
{
    shoal_queue *queue = context;
    int r = sh_handle_enter(&queue->handle);

    return r < 0 ? r : sh_queue_await_message(sh_queue_body(queue), timeout);
}

static PyObject *queue_poll(PyObject *object, PyObject *timeout)
{
    struct queue *queue = (struct queue *)object;
    int64_t limit;

    if (shpy_wait_parse(NULL, timeout, &limit) < 0)
        return NULL;
    int r = shpy_wait(call_poll, queue->queue, limit);
    if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT)
        return raise_error(queue, r, "cannot poll");
    return PyBool_FromLong(r == 0);
}

static PyObject *queue_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    ((struct queue *)object)->closed = 1;
    Py_RETURN_NONE;
}

static PyObject *queue_get_closed(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct queue *)object)->closed);
}

static PyMethodDef queue_methods[] = {
    {"put", SHPY_FASTCALL(queue_put), METH_FASTCALL | METH_KEYWORDS,
     "put($self, /, obj, block=True, timeout=None)\n--\n\n"
     "Append an object. Waits for room in a queue with a maximum: timeout seconds at most, then queue.Full is raised.\n"
     "When it returns the object can be got, by any process of the family."},
    {"put_nowait", queue_put_nowait, METH_O,
     "put_nowait($self, obj, /)\n--\n\nAppend an object, or raise queue.Full where there is no room now."},
    {"get", SHPY_FASTCALL(queue_get), METH_FASTCALL | METH_KEYWORDS,
     "get($self, /, block=True, timeout=None)\n--\n\n"
     "Take the oldest object, waiting for one: timeout seconds at most, then queue.Empty is raised."},
    {"get_nowait", queue_get_nowait, METH_NOARGS,
     "get_nowait($self, /)\n--\n\nTake the oldest object, or raise queue.Empty where there is none now."},
    {"qsize", queue_qsize, METH_NOARGS, "qsize($self, /)\n--\n\nHow many objects are in the queue: exact."},
    {"empty", queue_empty, METH_NOARGS, "empty($self, /)\n--\n\nWhether the queue is empty now."},
    {"full", queue_full, METH_NOARGS, "full($self, /)\n--\n\nWhether the queue holds as many objects as it may."},
    {"_open", queue_open, METH_VARARGS, "Make the queue: (most objects, whether joinable)."},
    {"_attach", queue_attach, METH_VARARGS, "Attach to a queue of the family: (its ref, most objects)."},
    {"_ref", queue_ref, METH_NOARGS, "The queue's name in its family, as bytes."},
    {"_send", SHPY_FASTCALL(queue_send), METH_FASTCALL | METH_KEYWORDS,
     "_send($self, obj)\n--\n\n"
     "Append an object. When it returns the object can be got, by any process of the family."},
    {"_receive", queue_receive, METH_NOARGS, "_receive($self)\n--\n\nTake the oldest object, waiting for one."},
    {"_task_done", queue_task_done, METH_NOARGS, NULL},
    {"_join", queue_join, METH_NOARGS, NULL},
    {"_unfinished", queue_unfinished, METH_NOARGS, NULL},
    {"_fileno", queue_fileno, METH_NOARGS, "A descriptor that is readable while there is something to get."},
    {"_poll", queue_poll, METH_O, "Whether there is something to get within a time."},
    {"_close", queue_close, METH_NOARGS, "This process uses it no more."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef queue_properties[] = {
    {"_closed", queue_get_closed, NULL, "Whether this process has closed it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot queue_slots[] = {
    {Py_tp_new, queue_new},
    {Py_tp_dealloc, queue_dealloc},
    {Py_tp_methods, queue_methods},
    {Py_tp_getset, queue_properties},
    {Py_tp_doc, (char *)"The base of all queues."},
    {0, NULL},
};

static PyType_Spec queue_spec = {
    .name = "shoal._core.Queue",
    .basicsize = sizeof(struct queue),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = queue_slots,
};

int shpy_queue_add(PyObject *module, struct shpy_state *state)
{
    state->queue_type = shpy_type_add(module, &queue_spec);
    return state->queue_type ? 0 : -1;
}
