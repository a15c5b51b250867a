/* result.c - what came of a task or a map: AsyncResult and MapResult. */
#include "pool.h"

#include <errno.h>

/* --- one item of a map, before the others --- */

struct item_wait {
    shoal_future *future;
    uint64_t item;
};

static int call_wait_item(void *context, int64_t timeout)
{
    struct item_wait *wait = context;

    return shoal_future_wait_item(wait->future, wait->item, timeout);
}

/* Items can be had one by one as long as nobody has asked for all of them. */
static int check_item(const struct shpy_result *result, unsigned long long item)
{
    if (result->future && item < result->count)
        return 0;
    PyErr_SetString(PyExc_IndexError, "no such item");
    return -1;
}

static PyObject *result_await_item(PyObject *object, PyObject *args)
{
    struct shpy_result *result = (struct shpy_result *)object;
    PyObject *timeout_object;
    unsigned long long item;
    int64_t timeout;

    if (!PyArg_ParseTuple(args, "KO:_await_item", &item, &timeout_object) ||
        shpy_wait_parse(NULL, timeout_object, &timeout) < 0 || check_item(result, item) < 0)
        return NULL;
    struct item_wait wait = {.future = result->future, .item = item};
    result->waiters++;
    int r = shpy_wait(call_wait_item, &wait, timeout);
    result->waiters--;
    if (r == 0)
        Py_RETURN_TRUE;
    if (r == -EAGAIN || r == -ETIMEDOUT)
        Py_RETURN_FALSE;
    return r == -EINTR && PyErr_Occurred() ? NULL : shpy_error_raise(r, "cannot wait for a result");
}

static PyObject *result_take_item(PyObject *object, PyObject *number)
{
    struct shpy_result *result = (struct shpy_result *)object;
    unsigned long long item = PyLong_AsUnsignedLongLong(number);

    if ((item == (unsigned long long)-1 && PyErr_Occurred()) || check_item(result, item) < 0)
        return NULL;
    return shpy_outcome_item(result->pool, result->future, item, result->errors);
}

/* --- the type --- */

PyObject *shpy_result_new(struct shpy_pool *pool, PyObject *callback, PyObject *error_callback)
{
    PyTypeObject *type = pool->state->result_type;
    struct shpy_result *result = (struct shpy_result *)type->tp_alloc(type, 0);

    if (!result)
        return NULL;
    result->pool = (struct shpy_pool *)Py_NewRef((PyObject *)pool);
    result->callback = callback && callback != Py_None ? Py_NewRef(callback) : NULL;
    result->error_callback = error_callback && error_callback != Py_None ? Py_NewRef(error_callback) : NULL;
    result->has_callback = result->callback || result->error_callback;
    result->chunk = 1;
    return (PyObject *)result;
}

static PyObject *result_get(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"timeout"};
    PyObject *values[1] = {NULL};
    int64_t timeout = SHOAL_FOREVER;

    if ((nargs || kwnames) && (shpy_arguments("get", names, 1, args, nargs, kwnames, values) < 0 ||
                               shpy_wait_parse(NULL, values[0], &timeout) < 0))
        return NULL;
    return shpy_outcome_get((struct shpy_result *)object, timeout);
}

static PyObject *result_wait(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"timeout"};
    PyObject *values[1] = {NULL};
    int64_t timeout = SHOAL_FOREVER;

    if ((nargs || kwnames) && (shpy_arguments("wait", names, 1, args, nargs, kwnames, values) < 0 ||
                               shpy_wait_parse(NULL, values[0], &timeout) < 0))
        return NULL;
    int r = shpy_outcome_await((struct shpy_result *)object, timeout);
    if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *result_ready(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(shpy_outcome_is_ready((struct shpy_result *)object));
}

static PyObject *result_successful(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_result *result = (struct shpy_result *)object;

    if (!shpy_outcome_is_ready(result))
        return PyErr_Format(PyExc_ValueError, "%R not ready", object);
    if (shpy_outcome_settle(result, SHOAL_FOREVER) < 0)
        return NULL;
    return PyBool_FromLong(result->success);
}

static PyObject *result_cancel(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_result *result = (struct shpy_result *)object;
    ssize_t count = result->future ? shoal_future_cancel(result->future) : 0;

    return count < 0 ? shpy_error_raise((int)count, "cannot cancel") : PyBool_FromLong(count > 0);
}

static PyObject *result_get_number_left(PyObject *object, void *unused)
{
    (void)unused;
    struct shpy_result *result = (struct shpy_result *)object;
    uint64_t done = result->count;

    if (result->future && shoal_future_progress(result->future, &done, NULL) < 0)
        done = result->count;
    return PyLong_FromUnsignedLongLong((result->count - done + result->chunk - 1) / result->chunk);
}

static PyObject *result_get_chunk(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(((struct shpy_result *)object)->chunk);
}

static PyObject *result_get_count(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(((struct shpy_result *)object)->count);
}

static PyObject *result_get_begun(PyObject *object, void *unused)
{
    (void)unused;
    struct shpy_result *result = (struct shpy_result *)object;

    return PyBool_FromLong(!result->future ||
                           result->future->job->number <= sh_load_acquire(&result->pool->shared->exhausted));
}

static PyObject *result_get_pool(PyObject *object, void *unused)
{
    (void)unused;
    return Py_NewRef((PyObject *)((struct shpy_result *)object)->pool);
}

static PyObject *result_get_success(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct shpy_result *)object)->success);
}

static PyObject *result_get_value(PyObject *object, void *unused)
{
    (void)unused;
    PyObject *value = ((struct shpy_result *)object)->value;
    return Py_NewRef(value ? value : Py_None);
}

static int result_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct shpy_result *result = (struct shpy_result *)object;

#if PY_VERSION_HEX >= 0x03090000
    Py_VISIT(Py_TYPE(object));
#endif
    Py_VISIT(result->pool);
    Py_VISIT(result->errors);
    Py_VISIT(result->value);
    Py_VISIT(result->failure);
    Py_VISIT(result->callback);
    Py_VISIT(result->error_callback);
    return 0;
}

/* Not the pool: as long as the result is there it may be needed. */
static int result_clear(PyObject *object)
{
    struct shpy_result *result = (struct shpy_result *)object;

    Py_CLEAR(result->errors);
    Py_CLEAR(result->value);
    Py_CLEAR(result->failure);
    Py_CLEAR(result->callback);
    Py_CLEAR(result->error_callback);
    return 0;
}

static void result_dealloc(PyObject *object)
{
    struct shpy_result *result = (struct shpy_result *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    shoal_future_free(result->future);
    result_clear(object);
    if (result->list)
        PyObject_GC_Track(result->list);
    Py_XDECREF(result->list);
    Py_XDECREF((PyObject *)result->pool);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef result_methods[] = {
    {"get", SHPY_FASTCALL(result_get), METH_FASTCALL | METH_KEYWORDS,
     "get($self, /, timeout=None)\n--\n\n"
     "Wait for the result and return it, or raise what the task raised. After timeout seconds without one:\n"
     "multiprocessing.TimeoutError. WorkerLostError where the worker died that ran it."},
    {"wait", SHPY_FASTCALL(result_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, /, timeout=None)\n--\n\nWait until there is a result, or timeout seconds."},
    {"ready", result_ready, METH_NOARGS, "ready($self, /)\n--\n\nWhether the task has ended."},
    {"successful", result_successful, METH_NOARGS,
     "successful($self, /)\n--\n\nWhether it ended without raising; ValueError before it ended."},
    {"cancel", result_cancel, METH_NOARGS,
     "cancel($self, /)\n--\n\nLet no worker begin what has not begun. Whether there was any: get then raises "
     "CancelledError."},
    {"_watch", shpy_callback_watch, METH_O,
     "Have a thread call this when the task has ended. Whether it will: it will not where that has ended already."},
    {"_await_item", result_await_item, METH_VARARGS, "Wait for an item of a map: (number, timeout). Whether it ended."},
    {"_take_item", result_take_item, METH_O, "What came of an item of a map that has ended. To be asked for once."},
    {"_call_back", shpy_callback_call, METH_NOARGS, "Call the callback that is due."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef result_properties[] = {
    {"_number_left", result_get_number_left, NULL, "Chunks that have not ended.", NULL},
    {"_count", result_get_count, NULL, "How many items it has.", NULL},
    {"_has_begun", result_get_begun, NULL, "Whether a worker has taken it: of a single task.", NULL},
    {"_chunksize", result_get_chunk, NULL, "Items that a worker takes at a time.", NULL},
    {"_pool", result_get_pool, NULL, NULL, NULL},
    {"_success", result_get_success, NULL, NULL, NULL},
    {"_value", result_get_value, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot result_slots[] = {
    {Py_tp_dealloc, result_dealloc},
    {Py_tp_traverse, result_traverse},
    {Py_tp_clear, result_clear},
    {Py_tp_methods, result_methods},
    {Py_tp_getset, result_properties},
    {Py_tp_doc, (char *)"What came of a task, or of a map, once it has."},
    {0, NULL},
};

static PyType_Spec result_spec = {
    .name = "shoal.pool.AsyncResult",
    .basicsize = sizeof(struct shpy_result),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = result_slots,
};

int shpy_result_add(PyObject *module, struct shpy_state *state)
{
    PyObject *context = PyImport_ImportModule("multiprocessing.context");

    state->timeout_error = context ? PyObject_GetAttrString(context, "TimeoutError") : NULL;
    Py_XDECREF(context);
    state->result_type = shpy_type_add(module, &result_spec);
    return state->timeout_error && state->result_type ? 0 : -1;
}
