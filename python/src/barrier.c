/* barrier.c - the base of Barrier. */
#include "module.h"

#include <errno.h>

/* barrier is set once. */
struct barrier {
    PyObject_HEAD;
    struct shpy_state *state;
    shoal_barrier *barrier;
};

static shoal_barrier *barrier_in(PyObject *object)
{
    return ((struct barrier *)object)->barrier;
}

static PyObject *barrier_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    struct barrier *barrier = (struct barrier *)type->tp_alloc(type, 0);

    if (barrier && !(barrier->state = shpy_state_of(type)))
        Py_CLEAR(barrier);
    return (PyObject *)barrier;
}

static void barrier_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    shoal_barrier_free(barrier_in(object));
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *barrier_open(PyObject *object, PyObject *argument)
{
    unsigned long parties = PyLong_AsUnsignedLong(argument);

    if (parties == (unsigned long)-1 && PyErr_Occurred())
        return NULL;
    int r = barrier_in(object)     ? -EBUSY
            : parties > UINT32_MAX ? -EINVAL
                                   : shoal_barrier_open((uint32_t)parties, &((struct barrier *)object)->barrier);
    if (r < 0)
        return shpy_error_raise(r, "a barrier cannot be made");
    Py_RETURN_NONE;
}

static PyObject *barrier_attach(PyObject *object, PyObject *argument)
{
    shoal_ref ref;

    if (barrier_in(object) || shpy_ref_read(argument, &ref) < 0)
        return shpy_ref_refuse("a barrier");
    int r = shoal_barrier_attach(&ref, &((struct barrier *)object)->barrier);
    if (r < 0)
        return shpy_ref_raise(r, "Barrier");
    Py_RETURN_NONE;
}

static PyObject *barrier_ref(PyObject *object, PyObject *unused)
{
    (void)unused;
    shoal_ref ref;
    int r = shoal_barrier_ref(barrier_in(object), &ref);

    return r < 0 ? shpy_error_raise(r, "this barrier has no name") : shpy_ref_write(&ref);
}

static int wait_call(void *barrier, int64_t timeout)
{
    return shoal_barrier_wait(barrier, timeout);
}

static PyObject *barrier_wait(PyObject *object, PyObject *timeout_object)
{
    struct barrier *barrier = (struct barrier *)object;
    int64_t timeout;

    if (shpy_wait_parse(NULL, timeout_object, &timeout) < 0)
        return NULL;
    int r = shpy_wait_whole(wait_call, barrier->barrier, timeout);
    if (r == -EINTR)
        return NULL;
    if (r == -EPIPE || r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED) {
        PyErr_SetNone(barrier->state->broken_barrier);
        return NULL;
    }
    return r < 0 ? shpy_error_raise(r, "cannot wait") : PyLong_FromLong(r);
}

static PyObject *barrier_abort(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = shoal_barrier_abort(barrier_in(object));

    if (r < 0)
        return shpy_error_raise(r, "cannot abort");
    Py_RETURN_NONE;
}

static PyObject *barrier_reset(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = shoal_barrier_reset(barrier_in(object));

    if (r < 0)
        return shpy_error_raise(r, "cannot reset");
    Py_RETURN_NONE;
}

static PyObject *barrier_get_waiting(PyObject *object, void *unused)
{
    (void)unused;
    uint32_t waiting;
    int r = shoal_barrier_waiting(barrier_in(object), &waiting);

    return r < 0 ? shpy_error_raise(r, "cannot tell") : PyLong_FromUnsignedLong(waiting);
}

static PyObject *barrier_get_broken(PyObject *object, void *unused)
{
    (void)unused;
    int r = shoal_barrier_is_broken(barrier_in(object));

    return r < 0 ? shpy_error_raise(r, "cannot tell") : PyBool_FromLong(r);
}

static PyMethodDef barrier_methods[] = {
    {"_wait", barrier_wait, METH_O, "Wait until all parties are here, for a time: this party's number."},
    {"_abort", barrier_abort, METH_NOARGS, NULL},
    {"_reset", barrier_reset, METH_NOARGS, NULL},
    {"_open", barrier_open, METH_O, "Make the barrier: (parties)."},
    {"_attach", barrier_attach, METH_O, "Attach to the barrier of a ref."},
    {"_ref", barrier_ref, METH_NOARGS, "The barrier's name in its family, as bytes."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef barrier_properties[] = {
    {"n_waiting", barrier_get_waiting, NULL, "How many parties wait now.", NULL},
    {"broken", barrier_get_broken, NULL, "Whether the barrier is broken.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot barrier_slots[] = {
    {Py_tp_new, barrier_new},
    {Py_tp_dealloc, barrier_dealloc},
    {Py_tp_methods, barrier_methods},
    {Py_tp_getset, barrier_properties},
    {Py_tp_doc, (char *)"The base of Barrier."},
    {0, NULL},
};

static PyType_Spec barrier_spec = {
    .name = "shoal._core.Barrier",
    .basicsize = sizeof(struct barrier),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = barrier_slots,
};

int shpy_barrier_add(PyObject *module, struct shpy_state *state)
{
    state->barrier_type = shpy_type_add(module, &barrier_spec);
    return state->barrier_type ? 0 : -1;
}
