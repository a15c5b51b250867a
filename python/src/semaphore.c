/* semaphore.c - the base of Semaphore and BoundedSemaphore. */
#include "acquire.h"

#include <errno.h>

static shoal_semaphore *semaphore_in(PyObject *object)
{
    return ((struct shpy_acquirable *)object)->handle;
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
    struct shpy_acquirable *self = (struct shpy_acquirable *)object;
    shoal_semaphore *semaphore;
    unsigned value, maximum;
    int is_owned;

    if (!PyArg_ParseTuple(args, "IIp:_open", &value, &maximum, &is_owned))
        return NULL;
    struct shoal_semaphore_options options = {SHOAL_OPTIONS(shoal_semaphore), .value = value, .maximum = maximum,
                                              .flags = is_owned ? SHOAL_SEMAPHORE_OWNED : 0};
    int r = self->handle ? -EBUSY : shoal_semaphore_open(&options, &semaphore);
    if (r < 0)
        return shpy_error_raise(r, "a semaphore cannot be made");
    self->handle = semaphore;
    Py_RETURN_NONE;
}

static PyObject *semaphore_attach(PyObject *object, PyObject *argument)
{
    shoal_semaphore *semaphore;
    shoal_ref ref;

    if (semaphore_in(object) || shpy_ref_read(argument, &ref) < 0)
        return shpy_ref_refuse("a semaphore");
    int r = shoal_semaphore_attach(&ref, &semaphore);
    if (r < 0)
        return shpy_ref_raise(r, "Semaphore");
    ((struct shpy_acquirable *)object)->handle = semaphore;
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

static PyObject *semaphore_acquire(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return shpy_acquire_method(object, call_acquire, args, nargs, kwnames);
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
    return shpy_acquire_enter(object, call_acquire);
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

static PyMethodDef semaphore_methods[] = {
    {"acquire", SHPY_FASTCALL(semaphore_acquire), METH_FASTCALL | METH_KEYWORDS,
     SHPY_ACQUIRE_DOC "Take a permit, waiting for one: timeout seconds at most. Whether one was taken."},
    {"release", semaphore_release, METH_NOARGS, "release($self, /)\n--\n\nGive a permit."},
    {"get_value", semaphore_get_value, METH_NOARGS, "get_value($self, /)\n--\n\nHow many permits are free."},
    {"__enter__", semaphore_enter, METH_NOARGS, NULL},
    {"__exit__", SHPY_FASTCALL(semaphore_exit), METH_FASTCALL, NULL},
    {"_open", semaphore_open, METH_VARARGS, "Make the semaphore: (permits, most permits, whether they are owned)."},
    {"_attach", semaphore_attach, METH_O, "Attach to the semaphore of a ref."},
    {"_ref", semaphore_ref, METH_NOARGS, "The semaphore's name in its family, as bytes."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef semaphore_properties[] = {
    {"owner_died", shpy_acquire_get_owner_died, NULL, SHPY_OWNER_DIED_DOC, NULL},
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
    .basicsize = sizeof(struct shpy_acquirable),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = semaphore_slots,
};

int shpy_semaphore_add(PyObject *module, struct shpy_state *state)
{
    state->semaphore_type = shpy_type_add(module, &semaphore_spec);
    return state->semaphore_type ? 0 : -1;
}
