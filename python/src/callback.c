/* callback.c - results whose callbacks are to come, and the thread that calls them. */
#include "pool.h"
#include "pool/turn.h"
#include "pool/wait.h"

#include <errno.h>

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
PyObject *shpy_callback_await_ended(PyObject *object, PyObject *unused)
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

shoal_future_callback *shpy_callback_expect(struct shpy_result *result)
{
    if (!result->has_callback)
        return NULL;
    Py_INCREF(result);
    result->pool->outstanding++;
    return note_end;
}

void shpy_callback_cancel(struct shpy_result *result)
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
    if (!nothing)
        pool->is_handled = 0; /* the next one tries again */
    return nothing ? 0 : -1;
}

int shpy_callback_begin(struct shpy_result *result, shoal_future *future, uint64_t count, PyObject *errors)
{
    struct shpy_pool *pool = result->pool;

    result->future = future;
    result->count = count;
    result->errors = errors;
    return result->has_callback ? have_handler(pool) : 0;
}

/* A callback that comes later: nobody waits for it, so the result is ready before. */
PyObject *shpy_callback_watch(PyObject *object, PyObject *callback)
{
    struct shpy_result *result = (struct shpy_result *)object;
    struct shpy_pool *pool = result->pool;

    if (!result->future || result->callback || shpy_outcome_is_ready(result))
        Py_RETURN_FALSE;
    result->callback = Py_NewRef(callback);
    result->error_callback = Py_NewRef(callback);
    result->has_callback = 1;
    shpy_callback_expect(result);
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

PyObject *shpy_callback_call(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_result *result = (struct shpy_result *)object;
    PyObject *nothing = Py_None;

    if (shpy_outcome_settle(result, SHOAL_FOREVER) < 0) /* no signal's handler runs in this thread: it is the task's */
        Py_XSETREF(result->value, shpy_error_take());
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
