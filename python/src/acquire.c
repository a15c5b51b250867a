/* acquire.c - acquiring locks and semaphores. */
#include "acquire.h"

#include <errno.h>

int shpy_acquire(struct shpy_acquirable *self, shpy_wait_call *call, int64_t timeout)
{
    int r = shpy_wait(call, self->handle, timeout);

    if (r >= 0) {
        self->owner_died = r;
        return 1;
    }
    if (r == -EAGAIN || r == -ETIMEDOUT)
        return 0;
    if (r != -EINTR || !PyErr_Occurred())
        shpy_error_raise(r, "cannot acquire");
    return -1;
}

PyObject *shpy_acquire_parse(struct shpy_acquirable *self, shpy_wait_call *call, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames)
{
    /* multiprocessing's name for the first; and threading's, which its managers' locks have */
    static const char *const names[] = {"block", "timeout", "blocking"};
    PyObject *values[3] = {NULL};
    int64_t timeout;

    if (nargs > 2)
        return PyErr_Format(PyExc_TypeError, "acquire() takes at most 2 arguments (%zd given)", nargs);
    if (shpy_arguments("acquire", names, 3, args, nargs, kwnames, values) < 0 ||
        shpy_wait_parse(values[0] ? values[0] : values[2], values[1], &timeout) < 0)
        return NULL;
    int r = shpy_acquire(self, call, timeout);
    return r < 0 ? NULL : PyBool_FromLong(r);
}

PyObject *shpy_acquire_get_owner_died(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct shpy_acquirable *)self)->owner_died);
}
