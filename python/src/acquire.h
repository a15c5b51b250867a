/* acquire.h - what locks and semaphores have in common: how they are acquired, and tell of a dead owner. */
#ifndef SHPY_ACQUIRE_H
#define SHPY_ACQUIRE_H

#include "module.h"

/* handle is the core's lock or semaphore, set once. owner_died: whoever held it before the last acquire by way of this
 * object died holding it; written by the one who has just acquired it. */
struct shpy_acquirable {
    PyObject_HEAD;
    void *handle;
    int owner_died;
};

/* Acquire it by `call`: 1, 0 where the time ran out, -1 with an exception. */
int shpy_acquire(struct shpy_acquirable *self, shpy_wait_call *call, int64_t timeout);

/* Methods of both. Each tries at once, inlined, before anything else: mostly that is all. */
PyObject *shpy_acquire_parse(struct shpy_acquirable *self, shpy_wait_call *call, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames);
PyObject *shpy_acquire_get_owner_died(PyObject *self, void *unused);

static inline int shpy_acquire_now(struct shpy_acquirable *self, shpy_wait_call *call)
{
    int r = call(self->handle, 0);

    if (r < 0)
        return 0;
    self->owner_died = r;
    return 1;
}

static inline PyObject *shpy_acquire_method(PyObject *self, shpy_wait_call *call, PyObject *const *args,
                                            Py_ssize_t nargs, PyObject *kwnames)
{
    struct shpy_acquirable *acquirable = (struct shpy_acquirable *)self;

    if (!nargs && !kwnames && shpy_acquire_now(acquirable, call))
        Py_RETURN_TRUE;
    return shpy_acquire_parse(acquirable, call, args, nargs, kwnames);
}

static inline PyObject *shpy_acquire_enter(PyObject *self, shpy_wait_call *call)
{
    struct shpy_acquirable *acquirable = (struct shpy_acquirable *)self;

    if (!shpy_acquire_now(acquirable, call) && shpy_acquire(acquirable, call, SHOAL_FOREVER) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

#define SHPY_ACQUIRE_DOC "acquire($self, /, block=True, timeout=None)\n--\n\n"
#define SHPY_OWNER_DIED_DOC                                                                                            \
    "Whether the owner before died holding it, as the last acquire by this object found: what it protects may be\n"    \
    "half changed."

#endif
