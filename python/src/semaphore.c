/* semaphore.c - the base of Semaphore and BoundedSemaphore. */
#include "module.h"

#include <errno.h>

/* semaphore is set once. owner_died: the last permit that this process got came back from the dead. */
struct semaphore {
    PyObject_HEAD;
    shoal_semaphore *semaphore;
    int owner_died;
};

static shoal_semaphore *semaphore_in(PyObject *object)
{
    return ((struct semaphore *)object)->semaphore;
}

static void semaphore_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    shoal_semaphore_free(semaphore_in(object));
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *semaphore_open(PyObject *object, PyObject *args)
{
    struct semaphore *semaphore = (struct semaphore *)object;
    unsigned value, maximum;
    int is_owned;

    if (!PyArg_ParseTuple(args, "IIp:_open", &value, &maximum, &is_owned))
        return NULL;
    struct shoal_semaphore_options options = {SHOAL_OPTIONS(shoal_semaphore), .value = value, .maximum = maximum,
                                              .flags = is_owned ? SHOAL_SEMAPHORE_OWNED : 0};
    int r = semaphore->semaphore ? -EBUSY : shoal_semaphore_open(&options, &semaphore->semaphore);
    if (r < 0)
        return shpy_error_raise(r, "a semaphore cannot be made");
    Py_RETURN_NONE;
}

static PyObject *semaphore_attach(PyObject *object, PyObject *argument)
{
    shoal_ref ref;

    if (semaphore_in(object) || shpy_ref_read(argument, &ref) < 0)
        return shpy_ref_refuse("a semaphore");
    int r = shoal_semaphore_attach(&ref, &((struct semaphore *)object)->semaphore);
    if (r < 0)
        return shpy_error_raise(r, "Semaphore objects should only be shared between processes of one family");
    Py_RETURN_NONE;
}

static PyObject *semaphore_ref(PyObject *object, PyObject *unused)
{
    (void)unused;
    shoal_ref ref;
    int r = shoal_semaphore_ref(semaphore_in(object), &ref);

    return r < 0 ? shpy_error_raise(r, "this semaphore has no name") : shpy_ref_write(&ref);
}

static int call_acquire(void *context, int64_t timeout)
{
    return shoal_semaphore_acquire(context, timeout);
}

/* Take a permit: 1, 0 where the time ran out, -1 with an exception. */
static int acquire(PyObject *object, int64_t timeout)
{
    struct semaphore *semaphore = (struct semaphore *)object;
    int r = shpy_wait(call_acquire, semaphore->semaphore, timeout);

    if (r >= 0) {
        semaphore->owner_died = r;
        return 1;
    }
    if (r == -EAGAIN || r == -ETIMEDOUT)
        return 0;
    if (r != -EINTR || !PyErr_Occurred())
        shpy_error_raise(r, "cannot acquire");
    return -1;
}

static PyObject *semaphore_acquire(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"block", "timeout"};
    PyObject *values[2] = {NULL};
    int64_t timeout = SHOAL_FOREVER;

    if ((nargs || kwnames) && (shpy_arguments("acquire", names, 2, args, nargs, kwnames, values) < 0 ||
                               shpy_wait_parse(values[0], values[1], &timeout) < 0))
        return NULL;
    int r = acquire(object, timeout);
    return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *semaphore_release(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = shoal_semaphore_release(semaphore_in(object), 1);

    if (r == -EOVERFLOW || r == -EPERM) {
        PyErr_SetString(PyExc_ValueError, "semaphore or lock released too many times");
        return NULL;
    }
    if (r < 0)
        return shpy_error_raise(r, "cannot release");
    Py_RETURN_NONE;
}

static PyObject *semaphore_enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    return acquire(object, SHOAL_FOREVER) < 0 ? NULL : Py_NewRef(Py_True);
}

static PyObject *semaphore_exit(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args, (void)nargs;
    return semaphore_release(object, NULL);
}

static PyObject *semaphore_get_value(PyObject *object, PyObject *unused)
{
    (void)unused;
    uint32_t value;
    int r = shoal_semaphore_value(semaphore_in(object), &value);

    return r < 0 ? shpy_error_raise(r, "cannot tell") : PyLong_FromUnsignedLong(value);
}

static PyObject *semaphore_get_owner_died(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct semaphore *)object)->owner_died);
}

static PyMethodDef semaphore_methods[] = {
    {"acquire", SHPY_FASTCALL(semaphore_acquire), METH_FASTCALL | METH_KEYWORDS,
     "acquire(block=True, timeout=None)\n--\n\n"
     "Take a permit, waiting for one: timeout seconds at most. Whether one was taken."},
    {"release", semaphore_release, METH_NOARGS, "release()\n--\n\nGive a permit."},
    {"get_value", semaphore_get_value, METH_NOARGS, "get_value()\n--\n\nHow many permits are free."},
    {"__enter__", semaphore_enter, METH_NOARGS, NULL},
    {"__exit__", SHPY_FASTCALL(semaphore_exit), METH_FASTCALL, NULL},
    {"_open", semaphore_open, METH_VARARGS, "Make the semaphore: (permits, most permits, whether they are owned)."},
    {"_attach", semaphore_attach, METH_O, "Attach to the semaphore of a ref."},
    {"_ref", semaphore_ref, METH_NOARGS, "The semaphore's name in its family, as bytes."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef semaphore_properties[] = {
    {"owner_died", semaphore_get_owner_died, NULL, "Whether this process's last permit came back from a dead owner.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot semaphore_slots[] = {
    {Py_tp_dealloc, semaphore_dealloc},
    {Py_tp_methods, semaphore_methods},
    {Py_tp_getset, semaphore_properties},
    {Py_tp_doc, (char *)"The base of Semaphore and BoundedSemaphore."},
    {0, NULL},
};

static PyType_Spec semaphore_spec = {
    .name = "shoal._core.Semaphore",
    .basicsize = sizeof(struct semaphore),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = semaphore_slots,
};

int shpy_semaphore_add(PyObject *module, struct shpy_state *state)
{
    state->semaphore_type = shpy_type_add(module, &semaphore_spec);
    return state->semaphore_type ? 0 : -1;
}
