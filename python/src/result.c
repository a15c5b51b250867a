/* result.c - what came of a task or a map: AsyncResult and MapResult. */
#include "os/clock.h"
#include "pool.h"
#include "pool/turn.h"
#include "pool/wait.h"

#include <errno.h>

/* --- one item --- */

/* What the core knows of an item without a result, as an exception. */
static PyObject *raise_failure(struct shpy_pool *pool, shoal_future *future, uint64_t item, int code)
{
    struct shoal_task_error error;

    if (shoal_future_error(future, item, &error) < 0)
        return shpy_error_raise(code, "a result cannot be had");
    PyObject *exception = PyObject_CallMethod((PyObject *)pool, "_failure", "iiiiKKs", error.error, error.signal,
                                              error.exit_code, (int)error.pid, (unsigned long long)future->job->number,
                                              (unsigned long long)item, error.message);
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    return NULL;
}

/* What the worker said that the function, or writing its result, raised. */
static PyObject *raise_error(struct shpy_pool *pool, const char *data, size_t size)
{
    PyObject *exception = PyObject_CallMethod((PyObject *)pool, "_rebuild", "y#", data, (Py_ssize_t)size);

    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    return NULL;
}

static PyObject *raise_here(uint64_t item, PyObject *errors)
{
    PyObject *number = PyLong_FromUnsignedLongLong(item);
    PyObject *exception = number && errors ? PyDict_GetItemWithError(errors, number) : NULL;

    Py_XDECREF(number);
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    else if (!PyErr_Occurred())
        PyErr_SetString(PyExc_SystemError, "an item that could not be written, and no exception for it");
    return NULL;
}

PyObject *shpy_result_item(struct shpy_pool *pool, shoal_future *future, uint64_t item, PyObject *errors)
{
    struct shoal_message message;
    struct shoal_bytes result;
    const struct sh_item *record = sh_pool_item(future->job, item);
    uint64_t head = sh_load_acquire(&record->head); /* pairs with the store in pool/run.c */

    if (sh_likely(sh_item_state(head) == SH_ITEM_DONE)) {
        size_t size = head >> SH_ITEM_STATE_BITS;
        const char *data = (const char *)&record->data;
        if (sh_likely(size > 1 && *data != SHPY_RESULT_ERROR && size <= sh_job_room(future->job->stride)))
            return shpy_message_decode(pool->state, data, size);
    }
    int r = sh_future_result(future, item, &result);
    if (sh_unlikely(r < 0))
        return raise_failure(pool, future, item, r);
    const char *data = result.data;
    if (sh_unlikely(result.size == 1 && *data == SHPY_RESULT_HERE))
        return raise_here(item, errors);
    if (sh_unlikely(result.size && *data == SHPY_RESULT_ERROR))
        return raise_error(pool, data + 1, result.size - 1);
    r = sh_future_take(future, item, &message);
    if (r < 0)
        return shpy_error_raise(r, "a result cannot be had");
    PyObject *value =
        r ? shpy_message_decode_block(pool->state, &message, 0) : shpy_message_decode(pool->state, data, result.size);
    if (sh_unlikely(!value))
        shpy_encode_unread(pool);
    return value;
}

/* --- all of them --- */

/* With the interpreter's lock: nobody looks at the future any more. */
static void drop_future(struct shpy_result *result)
{
    if (result->waiters == 0 && result->value) {
        shoal_future_free(result->future);
        result->future = NULL;
    }
}

static int64_t left_until(int64_t deadline, int64_t timeout)
{
    return timeout == SHOAL_FOREVER || timeout <= 0 ? timeout : sh_max(deadline - sh_clock_now(), INT64_C(0));
}

/* What came of waiting: 0, -EAGAIN, -ETIMEDOUT; another code with an exception. */
static int check_wait(int r)
{
    if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT && !(r == -EINTR && PyErr_Occurred()))
        shpy_error_raise(r, "cannot wait for a result");
    return r;
}

/* Wait for an item of a map by waiting for the chunk that it is in. */
static int call_wait_chunk(void *context, int64_t timeout)
{
    struct shpy_result *result = context;
    uint64_t last = result->collected / result->chunk * result->chunk + result->chunk - 1;

    return shoal_future_wait_item(result->future, sh_min(last, result->count - 1), timeout);
}

static int call_wait_all(void *context, int64_t timeout)
{
    return shoal_future_wait(((struct shpy_result *)context)->future, timeout);
}

/* The first that failed is what the map comes to, when all have ended. */
static int note_failure(struct shpy_result *result)
{
    result->failure = shpy_encode_error();
    result->collected = result->count;
    return result->failure ? 0 : -EINTR;
}

/* Read the results of a map in their order, while workers go on with what comes later: 0; -EAGAIN or -ETIMEDOUT, and it
 * can be gone on with; -EINTR with an exception. The list is nobody else's until it is complete. */
static int collect(struct shpy_result *result, int64_t timeout)
{
    int64_t deadline = sh_clock_deadline(timeout);
    int r = 0;

    if (!result->list) {
        result->list = PyList_New((Py_ssize_t)result->count);
        if (!result->list)
            return -EINTR;
        PyObject_GC_UnTrack(result->list);
    }
    while (r == 0 && result->collected < result->count) {
        uint64_t i = result->collected;
        if (sh_item_state(sh_load_acquire(&sh_pool_item(result->future->job, i)->head)) == SH_ITEM_OPEN) {
            r = shpy_wait(call_wait_chunk, result, left_until(deadline, timeout));
            if (r < 0)
                break;
        }
        PyObject *value = shpy_result_item(result->pool, result->future, i, result->errors);
        if (value) {
            PyList_SET_ITEM(result->list, (Py_ssize_t)i, value);
            result->collected++;
        } else {
            r = note_failure(result);
        }
    }
    return r < 0 ? r : shpy_wait(call_wait_all, result, left_until(deadline, timeout));
}

/* What came of a map that has ended, and was read. */
static PyObject *finish_list(struct shpy_result *result)
{
    PyObject *list = result->list;

    result->list = NULL;
    PyObject_GC_Track(list);
    if (!result->failure)
        return list;
    Py_DECREF(list);
    PyErr_SetObject((PyObject *)Py_TYPE(result->failure), result->failure);
    Py_CLEAR(result->failure);
    return NULL;
}

static int is_settled(shoal_pool *pool, const void *context)
{
    (void)pool;
    return !atomic_load(&((struct shpy_result *)(uintptr_t)context)->is_settling);
}

static int call_await_settled(void *context, int64_t timeout)
{
    struct shpy_result *result = context;
    struct sh_wait wait = {.timeout = timeout};

    return sh_wait_until(result->pool->pool, NULL, is_settled, result, &wait);
}

/* Reading the results may run Python code, and so other threads: they wait until it is done. */
static int begin_settling(struct shpy_result *result, int64_t timeout)
{
    while (atomic_load(&result->is_settling)) {
        int r = shpy_wait(call_await_settled, result, timeout);
        if (r < 0)
            return r;
    }
    atomic_store(&result->is_settling, 1);
    return 0;
}

static void end_settling(struct shpy_result *result)
{
    atomic_store(&result->is_settling, 0);
    sh_turn_ring(&result->pool->shared->event);
}

static int read_value(struct shpy_result *result, int64_t timeout)
{
    int r = result->is_map ? collect(result, timeout) : shpy_wait(call_wait_all, result, timeout);

    if (r < 0)
        return r;
    PyObject *value =
        result->is_map ? finish_list(result) : shpy_result_item(result->pool, result->future, 0, result->errors);
    result->success = value != NULL;
    result->value = value ? value : shpy_encode_error();
    return result->value ? 0 : -EINTR;
}

/* Find out what came of a task, waiting for it. 0, -EAGAIN, -ETIMEDOUT; another code with an exception. */
static int settle(struct shpy_result *result, int64_t timeout)
{
    int r = 0;

    if (result->value)
        return 0;
    result->waiters++;
    r = begin_settling(result, timeout);
    if (r == 0) {
        r = result->value ? 0 : read_value(result, timeout);
        end_settling(result);
    }
    result->waiters--;
    if (result->value) {
        Py_CLEAR(result->errors);
        drop_future(result);
    }
    return check_wait(r);
}

/* --- waiting --- */

static int is_called(shoal_pool *pool, const void *context)
{
    (void)pool;
    return atomic_load(&((struct shpy_result *)(uintptr_t)context)->is_called);
}

static int call_wait(void *context, int64_t timeout)
{
    struct shpy_result *result = context;
    struct sh_wait wait = {.timeout = timeout};

    if (result->has_callback)
        return sh_wait_until(result->pool->pool, NULL, is_called, result, &wait);
    return shoal_future_wait(result->future, timeout);
}

/* Whether it has ended: with callbacks, whether they have been called. */
static int is_ready(struct shpy_result *result)
{
    if (result->has_callback)
        return atomic_load(&result->is_called);
    return result->value || shoal_future_ready(result->future) != 0;
}

/* 0, -EAGAIN, -ETIMEDOUT; another code with an exception. */
static int await(struct shpy_result *result, int64_t timeout)
{
    if (is_ready(result))
        return 0;
    result->waiters++;
    int r = shpy_wait(call_wait, result, timeout);
    result->waiters--;
    if (result->future)
        drop_future(result);
    return check_wait(r);
}

PyObject *shpy_result_get(struct shpy_result *result, int64_t timeout)
{
    int r = result->has_callback ? await(result, timeout) : 0;

    if (r == 0)
        r = settle(result, timeout);
    if (r == -EAGAIN || r == -ETIMEDOUT)
        PyErr_SetNone(result->pool->state->timeout_error);
    if (r < 0)
        return NULL;
    if (result->success)
        return Py_NewRef(result->value);
    PyErr_SetObject((PyObject *)Py_TYPE(result->value), result->value);
    return NULL;
}

/* --- callbacks --- */

/* The core says, in any thread and without the interpreter's lock, that a task has ended. */
static void note_end(shoal_future *future, void *context)
{
    struct shpy_result *result = context;
    struct shpy_pool *pool = result->pool;

    (void)future;
    pthread_mutex_lock(&pool->mutex);
    result->next = NULL;
    if (pool->ended_last)
        pool->ended_last->next = result;
    else
        pool->ended_first = result;
    pool->ended_last = result;
    pthread_mutex_unlock(&pool->mutex);
    sh_turn_ring(&pool->shared->event);
}

static struct shpy_result *take_ended(struct shpy_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    struct shpy_result *result = pool->ended_first;
    if (result) {
        pool->ended_first = result->next;
        if (!result->next)
            pool->ended_last = NULL;
    }
    pthread_mutex_unlock(&pool->mutex);
    return result;
}

static int has_ended(shoal_pool *core, const void *context)
{
    struct shpy_pool *pool = (struct shpy_pool *)(uintptr_t)context;

    (void)core;
    pthread_mutex_lock(&pool->mutex);
    int is_there = pool->ended_first != NULL;
    pthread_mutex_unlock(&pool->mutex);
    return is_there;
}

static int call_await_ended(void *context, int64_t timeout)
{
    struct shpy_pool *pool = context;
    struct sh_wait wait = {.timeout = timeout};

    return sh_wait_until(pool->pool, NULL, has_ended, pool, &wait);
}

/* The next result whose callbacks are due, or None when none will be: then the calling thread is to end. */
PyObject *shpy_result_await_ended(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;

    while (pool->outstanding) {
        struct shpy_result *result = take_ended(pool);
        if (result)
            return (PyObject *)result; /* with the reference that it was submitted with */
        int r = shpy_wait(call_await_ended, pool, SHOAL_FOREVER);
        if (r < 0)
            return r == -EINTR && PyErr_Occurred() ? NULL : shpy_error_raise(r, "cannot wait for results");
    }
    pool->is_handled = 0;
    Py_RETURN_NONE;
}

shoal_future_callback *shpy_result_expect(struct shpy_result *result)
{
    if (!result->has_callback)
        return NULL;
    Py_INCREF(result);
    result->pool->outstanding++;
    return note_end;
}

void shpy_result_cancel(struct shpy_result *result)
{
    if (!result->has_callback)
        return;
    result->pool->outstanding--;
    Py_DECREF(result);
}

/* See to it that a thread calls what is due. */
static int have_handler(struct shpy_pool *pool)
{
    if (pool->is_handled)
        return 0;
    pool->is_handled = 1;
    PyObject *nothing = PyObject_CallMethod((PyObject *)pool, "_start_handler", NULL);
    Py_XDECREF(nothing);
    return nothing ? 0 : -1;
}

int shpy_result_begin(struct shpy_result *result, shoal_future *future, uint64_t count, PyObject *errors)
{
    struct shpy_pool *pool = result->pool;

    result->future = future;
    result->count = count;
    result->errors = errors;
    return result->has_callback ? have_handler(pool) : 0;
}

/* A callback that comes later: nobody waits for it, so the result is ready before. */
static PyObject *result_watch(PyObject *object, PyObject *callback)
{
    struct shpy_result *result = (struct shpy_result *)object;
    struct shpy_pool *pool = result->pool;

    if (!result->future || result->callback || is_ready(result))
        Py_RETURN_FALSE;
    result->callback = Py_NewRef(callback);
    result->error_callback = Py_NewRef(callback);
    result->has_callback = 1;
    shpy_result_expect(result);
    result->has_callback = 0;
    int r = sh_future_watch(result->future, note_end, result);
    if (r == 0)
        return have_handler(pool) < 0 ? NULL : Py_NewRef(Py_True);
    Py_CLEAR(result->callback);
    Py_CLEAR(result->error_callback);
    pool->outstanding--;
    Py_DECREF(result);
    return r == -EALREADY ? Py_NewRef(Py_False) : shpy_error_raise(r, "a result cannot be watched");
}

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
    return shpy_result_item(result->pool, result->future, item, result->errors);
}

static PyObject *result_call_back(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_result *result = (struct shpy_result *)object;
    PyObject *nothing = Py_None;

    if (settle(result, SHOAL_FOREVER) < 0)
        PyErr_WriteUnraisable(object);
    PyObject *callback = result->success ? result->callback : result->error_callback;
    if (callback && result->value) {
        nothing = PyObject_CallFunctionObjArgs(callback, result->value, NULL);
        if (!nothing)
            PyErr_WriteUnraisable(callback);
        Py_XDECREF(nothing);
    }
    Py_CLEAR(result->callback);
    Py_CLEAR(result->error_callback);
    result->pool->outstanding--;
    atomic_store(&result->is_called, 1);
    sh_turn_ring(&result->pool->shared->event);
    Py_RETURN_NONE;
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
    return shpy_result_get((struct shpy_result *)object, timeout);
}

static PyObject *result_wait(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"timeout"};
    PyObject *values[1] = {NULL};
    int64_t timeout = SHOAL_FOREVER;

    if ((nargs || kwnames) && (shpy_arguments("wait", names, 1, args, nargs, kwnames, values) < 0 ||
                               shpy_wait_parse(NULL, values[0], &timeout) < 0))
        return NULL;
    int r = await((struct shpy_result *)object, timeout);
    if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *result_ready(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(is_ready((struct shpy_result *)object));
}

static PyObject *result_successful(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_result *result = (struct shpy_result *)object;

    if (!is_ready(result))
        return PyErr_Format(PyExc_ValueError, "%R not ready", object);
    if (settle(result, SHOAL_FOREVER) < 0)
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
    {"_watch", result_watch, METH_O,
     "Have a thread call this when the task has ended. Whether it will: it will not where that has ended already."},
    {"_await_item", result_await_item, METH_VARARGS, "Wait for an item of a map: (number, timeout). Whether it ended."},
    {"_take_item", result_take_item, METH_O, "What came of an item of a map that has ended. To be asked for once."},
    {"_call_back", result_call_back, METH_NOARGS, "Call the callback that is due."},
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
