/* outcome.c - reading what came of tasks, and waiting for it. */
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
    return shpy_error_set(exception);
}

/* What the worker said that the function, or writing its result, raised. */
static PyObject *raise_error(struct shpy_pool *pool, const char *data, size_t size)
{
    PyObject *exception = PyObject_CallMethod((PyObject *)pool, "_rebuild", "y#", data, (Py_ssize_t)size);

    return shpy_error_set(exception);
}

static PyObject *raise_here(uint64_t item, PyObject *errors)
{
    PyObject *number = PyLong_FromUnsignedLongLong(item);
    PyObject *exception = number && errors ? PyDict_GetItemWithError(errors, number) : NULL;

    Py_XDECREF(number);
    if (exception)
        shpy_error_set(Py_NewRef(exception));
    else if (!PyErr_Occurred())
        PyErr_SetString(PyExc_SystemError, "an item that could not be written, and no exception for it");
    return NULL;
}

PyObject *shpy_outcome_item(struct shpy_pool *pool, shoal_future *future, uint64_t item, PyObject *errors)
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

/* The exception that is set, as what a task came to: it may be SystemExit. NULL leaves it set: Ctrl-C is ours. */
static PyObject *take_error(void)
{
    return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) ? NULL : shpy_error_take();
}

/* The first that failed is what the map comes to, when all have ended. */
static int note_failure(struct shpy_result *result)
{
    result->failure = take_error();
    if (!result->failure)
        return -EINTR;
    result->collected = result->count;
    return 0;
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
        PyObject *value = shpy_outcome_item(result->pool, result->future, i, result->errors);
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
    PyObject *failure = result->failure;
    result->failure = NULL;
    return shpy_error_set(failure);
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
        result->is_map ? finish_list(result) : shpy_outcome_item(result->pool, result->future, 0, result->errors);
    result->success = value != NULL;
    result->value = value ? value : take_error();
    return result->value ? 0 : -EINTR;
}

int shpy_outcome_settle(struct shpy_result *result, int64_t timeout)
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

int shpy_outcome_is_ready(struct shpy_result *result)
{
    if (result->has_callback)
        return atomic_load(&result->is_called);
    return result->value || shoal_future_ready(result->future) != 0;
}

int shpy_outcome_await(struct shpy_result *result, int64_t timeout)
{
    if (shpy_outcome_is_ready(result))
        return 0;
    result->waiters++;
    int r = shpy_wait(call_wait, result, timeout);
    result->waiters--;
    if (result->future)
        drop_future(result);
    return check_wait(r);
}

PyObject *shpy_outcome_get(struct shpy_result *result, int64_t timeout)
{
    int r = result->has_callback ? shpy_outcome_await(result, timeout) : 0;

    if (r == 0)
        r = shpy_outcome_settle(result, timeout);
    if (r == -EAGAIN || r == -ETIMEDOUT)
        PyErr_SetNone(result->pool->state->timeout_error);
    if (r < 0)
        return NULL;
    if (result->success)
        return Py_NewRef(result->value);
    return shpy_error_set(Py_NewRef(result->value));
}
