/* wait.c - waiting with Python's manners: without the interpreter's lock, and running signal handlers. */
#include "module.h"
#include "os/clock.h"
#include "sync/watch.h"

#include <errno.h>
#include <math.h>

/* The longest wait without a look at pending signals: a handler may have run just before the wait began. */
#define SLICE SHOAL_MILLISECONDS(500)

int shpy_wait_parse(PyObject *block, PyObject *timeout, int64_t *ret_timeout)
{
    if (block && block != Py_True) {
        int is_true = PyObject_IsTrue(block);
        if (is_true < 0)
            return -1;
        if (!is_true) {
            *ret_timeout = 0;
            return 0;
        }
    }
    if (!timeout || timeout == Py_None) {
        *ret_timeout = SHOAL_FOREVER;
        return 0;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred())
        return -1;
    if (isnan(seconds)) {
        PyErr_SetString(PyExc_ValueError, "timeout is not a number");
        return -1;
    }
    if (seconds <= 0)
        *ret_timeout = 0;
    else if (seconds >= (double)(INT64_MAX / 1000000000))
        *ret_timeout = SHOAL_FOREVER;
    else
        *ret_timeout = (int64_t)ceil(seconds * 1e9);
    return 0;
}

int shpy_wait(shpy_wait_call *call, void *context, int64_t timeout)
{
    int r = call(context, 0);

    if (r != -EAGAIN || timeout <= 0)
        return r;
    int64_t deadline = timeout == SHOAL_FOREVER ? SH_DEADLINE_NEVER : sh_clock_deadline(timeout);
    int64_t left = timeout;
    for (;;) {
        int64_t slice = left < SLICE ? left : SLICE;
        Py_BEGIN_ALLOW_THREADS;
        r = call(context, slice);
        Py_END_ALLOW_THREADS;
        if (r != -EINTR && r != -ETIMEDOUT && r != -EAGAIN)
            return r;
        if (PyErr_CheckSignals() < 0)
            return -EINTR;
        if (deadline != SH_DEADLINE_NEVER) {
            left = deadline - sh_clock_now();
            if (left <= 0)
                return -ETIMEDOUT;
        }
    }
}

/* A wait that goes on while handlers run. */
struct whole_wait {
    PyThreadState *thread;
    int has_raised;
};

static int run_handlers(void *argument)
{
    struct whole_wait *wait = argument;

    if (!wait->has_raised) {
        PyEval_RestoreThread(wait->thread);
        wait->has_raised = PyErr_CheckSignals() < 0;
        wait->thread = PyEval_SaveThread();
    }
    return wait->has_raised;
}

int shpy_wait_whole(shpy_wait_call *call, void *context, int64_t timeout)
{
    struct whole_wait wait = {0};
    struct sh_watch_guard guard = {run_handlers, &wait};

    wait.thread = PyEval_SaveThread();
    const struct sh_watch_guard *before = sh_watch_set_guard(&guard);
    int r = call(context, timeout);
    sh_watch_set_guard(before);
    PyEval_RestoreThread(wait.thread);
    return wait.has_raised ? -EINTR : r;
}

int shpy_arguments(const char *function, const char *const *names, Py_ssize_t count, PyObject *const *args,
                   Py_ssize_t nargs, PyObject *kwnames, PyObject **ret_values)
{
    if (nargs > count) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments (%zd given)", function, count, nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        ret_values[i] = i < nargs ? args[i] : NULL;
    for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k);
        Py_ssize_t i = 0;
        while (i < count && PyUnicode_CompareWithASCIIString(name, names[i]) != 0)
            i++;
        if (i == count || ret_values[i]) {
            PyErr_Format(PyExc_TypeError,
                         i == count ? "%s() got an unexpected keyword argument '%U'"
                                    : "%s() got multiple values for argument '%U'",
                         function, name);
            return -1;
        }
        ret_values[i] = args[nargs + k];
    }
    return 0;
}
