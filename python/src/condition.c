/* condition.c - the base of Condition. */
#include "module.h"

#include <errno.h>
#include <unistd.h>

/* All set once. lock_object keeps lock. */
struct condition {
    PyObject_HEAD;
    struct shpy_state *state;
    shoal_condition *condition;
    shoal_lock *lock;
    PyObject *lock_object;
};

static struct condition *condition_in(PyObject *object)
{
    return (struct condition *)object;
}

static PyObject *condition_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    struct condition *condition = (struct condition *)type->tp_alloc(type, 0);

    if (condition && !(condition->state = shpy_state_of(type)))
        Py_CLEAR(condition);
    return (PyObject *)condition;
}

static void condition_dealloc(PyObject *object)
{
    struct condition *condition = condition_in(object);
    PyTypeObject *type = Py_TYPE(object);

    shoal_condition_free(condition->condition);
    Py_XDECREF(condition->lock_object);
    type->tp_free(object);
    Py_DECREF(type);
}

static int set_lock(struct condition *condition, PyObject *object)
{
    condition->lock = shpy_lock_in(condition->state, object);
    if (!condition->lock) {
        PyErr_Format(PyExc_TypeError, "a condition needs shoal's Lock or RLock, not %s", Py_TYPE(object)->tp_name);
        return -1;
    }
    condition->lock_object = Py_NewRef(object);
    return 0;
}

static PyObject *condition_open(PyObject *object, PyObject *lock)
{
    struct condition *condition = condition_in(object);

    if (condition->lock)
        return shpy_ref_refuse("a condition");
    if (set_lock(condition, lock) < 0)
        return NULL;
    int r = shoal_condition_open(&condition->condition);
    if (r < 0)
        return shpy_error_raise(r, "a condition cannot be made");
    Py_RETURN_NONE;
}

static PyObject *condition_attach(PyObject *object, PyObject *args)
{
    struct condition *condition = condition_in(object);
    PyObject *name, *lock;
    shoal_ref ref;

    if (!PyArg_ParseTuple(args, "OO:_attach", &name, &lock))
        return NULL;
    if (condition->lock || shpy_ref_read(name, &ref) < 0)
        return shpy_ref_refuse("a condition");
    if (set_lock(condition, lock) < 0)
        return NULL;
    int r = shoal_condition_attach(&ref, &condition->condition);
    if (r < 0)
        return shpy_ref_raise(r, "Condition");
    Py_RETURN_NONE;
}

static PyObject *condition_ref(PyObject *object, PyObject *unused)
{
    (void)unused;
    shoal_ref ref;
    int r = shoal_condition_ref(condition_in(object)->condition, &ref);

    return r < 0 ? shpy_error_raise(r, "this condition has no name") : shpy_ref_write(&ref);
}

/* Whether the calling thread holds the lock: 0, or -1 with an exception, which is _misuse where it does not. */
static int check_held(struct condition *condition, const char *text)
{
    struct shoal_lock_owner owner;
    int r = shoal_lock_owner(condition->lock, &owner);

    if (r < 0) {
        shpy_error_raise(r, "cannot tell the lock's owner");
        return -1;
    }
    if (owner.alive && owner.pid == getpid() && owner.tid == (pid_t)PyThread_get_thread_native_id())
        return 0;
    PyObject *misuse = PyObject_GetAttrString((PyObject *)condition, "_misuse");
    if (misuse)
        PyErr_SetString(misuse, text);
    Py_XDECREF(misuse);
    return -1;
}

static int wait_call(void *context, int64_t timeout)
{
    struct condition *condition = context;

    return shoal_condition_wait(condition->condition, condition->lock, timeout);
}

static PyObject *condition_wait(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"timeout"};
    struct condition *condition = condition_in(object);
    PyObject *value;
    int64_t timeout;

    if (shpy_arguments("wait", names, 1, args, nargs, kwnames, &value) < 0 ||
        shpy_wait_parse(NULL, value, &timeout) < 0 ||
        check_held(condition, "must acquire() condition before using wait()") < 0)
        return NULL;
    int r = shpy_wait_whole(wait_call, condition, timeout);
    if (r == -EINTR)
        return NULL;
    if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT)
        return shpy_error_raise(r, "cannot wait");
    return PyBool_FromLong(r >= 0);
}

static PyObject *notify(PyObject *object, uint32_t count)
{
    struct condition *condition = condition_in(object);

    if (check_held(condition, "lock is not owned") < 0)
        return NULL;
    int r = shoal_condition_notify(condition->condition, count);
    if (r < 0)
        return shpy_error_raise(r, "cannot notify");
    Py_RETURN_NONE;
}

static PyObject *condition_notify(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"n"};
    PyObject *value;

    if (shpy_arguments("notify", names, 1, args, nargs, kwnames, &value) < 0)
        return NULL;
    Py_ssize_t count = value ? PyNumber_AsSsize_t(value, NULL) : 1;
    if (count == -1 && PyErr_Occurred())
        return NULL;
    if (count < 0)
        return PyErr_Format(PyExc_ValueError, "cannot notify %zd waiters", count);
    return notify(object, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX);
}

static PyObject *condition_notify_all(PyObject *object, PyObject *unused)
{
    (void)unused;
    return notify(object, UINT32_MAX);
}

static PyObject *condition_waiters(PyObject *object, PyObject *unused)
{
    (void)unused;
    uint32_t waiters;
    int r = shoal_condition_waiters(condition_in(object)->condition, &waiters);

    return r < 0 ? shpy_error_raise(r, "cannot tell") : PyLong_FromUnsignedLong(waiters);
}

static PyObject *condition_get_lock(PyObject *object, void *unused)
{
    (void)unused;
    PyObject *lock = condition_in(object)->lock_object;
    return Py_NewRef(lock ? lock : Py_None);
}

static PyMethodDef condition_methods[] = {
    {"wait", SHPY_FASTCALL(condition_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, /, timeout=None)\n--\n\n"
     "Release the lock, wait for a notification, take the lock again. False where the time, in seconds, ran out."},
    {"notify", SHPY_FASTCALL(condition_notify), METH_FASTCALL | METH_KEYWORDS,
     "notify($self, /, n=1)\n--\n\nWake n of those who wait, the longest first."},
    {"notify_all", condition_notify_all, METH_NOARGS, "notify_all($self, /)\n--\n\nWake all who wait."},
    {"_open", condition_open, METH_O, "Make the condition: (its lock)."},
    {"_attach", condition_attach, METH_VARARGS, "Attach to the condition of a ref: (ref, its lock)."},
    {"_ref", condition_ref, METH_NOARGS, "The condition's name in its family, as bytes."},
    {"_waiters", condition_waiters, METH_NOARGS, "How many wait."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef condition_properties[] = {
    {"_lock", condition_get_lock, NULL, "The condition's lock.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot condition_slots[] = {
    {Py_tp_new, condition_new},
    {Py_tp_dealloc, condition_dealloc},
    {Py_tp_methods, condition_methods},
    {Py_tp_getset, condition_properties},
    {Py_tp_doc, (char *)"The base of Condition."},
    {0, NULL},
};

static PyType_Spec condition_spec = {
    .name = "shoal._core.Condition",
    .basicsize = sizeof(struct condition),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = condition_slots,
};

int shpy_condition_add(PyObject *module, struct shpy_state *state)
{
    state->condition_type = shpy_type_add(module, &condition_spec);
    return state->condition_type ? 0 : -1;
}
