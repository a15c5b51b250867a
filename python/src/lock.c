/* lock.c - the base of Lock and RLock. */
#include "acquire.h"

#include <errno.h>
#include <unistd.h>

static shoal_lock *lock_in(PyObject *object)
{
    return ((struct shpy_acquirable *)object)->handle;
}

static void lock_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    shoal_lock_free(lock_in(object));
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *lock_open(PyObject *object, PyObject *argument)
{
    struct shpy_acquirable *self = (struct shpy_acquirable *)object;
    int is_recursive = PyObject_IsTrue(argument);
    shoal_lock *lock;

    if (is_recursive < 0)
        return NULL;
    if (self->handle) {
        PyErr_SetString(PyExc_RuntimeError, "this lock is initialized already");
        return NULL;
    }
    struct shoal_lock_options options = {SHOAL_OPTIONS(shoal_lock),
                                         .flags = is_recursive ? SHOAL_LOCK_RECURSIVE : SHOAL_LOCK_ANY_RELEASE};
    int r = shoal_lock_open(&options, &lock);
    if (r < 0)
        return shpy_error_raise(r, "a lock cannot be made");
    self->handle = lock;
    Py_RETURN_NONE;
}

static PyObject *lock_attach(PyObject *object, PyObject *argument)
{
    struct shpy_acquirable *self = (struct shpy_acquirable *)object;
    shoal_lock *lock;
    shoal_ref ref;

    if (self->handle || shpy_ref_read(argument, &ref) < 0)
        return shpy_ref_refuse("a lock");
    int r = shoal_lock_attach(&ref, &lock);
    if (r < 0)
        return shpy_ref_raise(r, "Lock");
    self->handle = lock;
    Py_RETURN_NONE;
}

static PyObject *lock_ref(PyObject *object, PyObject *unused)
{
    (void)unused;
    shoal_ref ref;
    int r = shoal_lock_ref(lock_in(object), &ref);

    return r < 0 ? shpy_error_raise(r, "this lock has no name") : shpy_ref_write(&ref);
}

static int call_acquire(void *context, int64_t timeout)
{
    return shoal_lock_acquire(context, timeout);
}

static PyObject *lock_acquire(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return shpy_acquire_method(object, call_acquire, args, nargs, kwnames);
}

/* Why a lock could not be released: _misuse is the exception that multiprocessing raises for this kind of lock. */
static PyObject *raise_release(PyObject *object, int r)
{
    struct shoal_lock_owner owner;

    if (r != -EPERM || shoal_lock_owner(lock_in(object), &owner) < 0)
        return shpy_error_raise(r, "cannot release");
    PyObject *misuse = PyObject_GetAttrString(object, "_misuse");
    if (!misuse)
        return NULL;
    if (owner.pid)
        PyErr_Format(misuse, "attempt to release a lock that is held by %s (pid %d)",
                     owner.pid == getpid() ? "another thread" : "another process", (int)owner.pid);
    else
        PyErr_SetString(misuse, "semaphore or lock released too many times");
    Py_DECREF(misuse);
    return NULL;
}

static PyObject *lock_release(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = shoal_lock_release(lock_in(object));

    if (r < 0)
        return raise_release(object, r);
    Py_RETURN_NONE;
}

static PyObject *lock_enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    return shpy_acquire_enter(object, call_acquire);
}

static PyObject *lock_exit(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args, (void)nargs;
    return lock_release(object, NULL);
}

static PyObject *lock_owner(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shoal_lock_owner owner;
    int r = shoal_lock_owner(lock_in(object), &owner);

    if (r < 0)
        return shpy_error_raise(r, "cannot tell the lock's owner");
    int is_mine = owner.pid == getpid() && owner.tid == (pid_t)PyThread_get_thread_native_id();
    return Py_BuildValue("iiIOO", (int)owner.pid, (int)owner.tid, (unsigned)owner.depth,
                         owner.alive ? Py_True : Py_False, is_mine ? Py_True : Py_False);
}

static PyMethodDef lock_methods[] = {
    {"acquire", SHPY_FASTCALL(lock_acquire), METH_FASTCALL | METH_KEYWORDS,
     SHPY_ACQUIRE_DOC "Take the lock, waiting for it: timeout seconds at most. Whether it was taken. It is taken from\n"
                      "a dead owner too: owner_died then says so."},
    {"release", lock_release, METH_NOARGS, "release($self, /)\n--\n\nGive the lock back."},
    {"__enter__", lock_enter, METH_NOARGS, NULL},
    {"__exit__", SHPY_FASTCALL(lock_exit), METH_FASTCALL, NULL},
    {"_open", lock_open, METH_O, "Make the lock: (whether its owner may take it again)."},
    {"_attach", lock_attach, METH_O, "Attach to the lock of a ref."},
    {"_ref", lock_ref, METH_NOARGS, "The lock's name in its family, as bytes."},
    {"_owner", lock_owner, METH_NOARGS,
     "Who holds it: pid or 0, thread, how often, whether alive, whether the caller."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef lock_properties[] = {
    {"owner_died", shpy_acquire_get_owner_died, NULL, SHPY_OWNER_DIED_DOC, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot lock_slots[] = {
    {Py_tp_dealloc, lock_dealloc},
    {Py_tp_methods, lock_methods},
    {Py_tp_getset, lock_properties},
    {Py_tp_doc, (char *)"The base of Lock and RLock."},
    {0, NULL},
};

static PyType_Spec lock_spec = {
    .name = "shoal._core.Lock",
    .basicsize = sizeof(struct shpy_acquirable),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = lock_slots,
};

shoal_lock *shpy_lock_in(struct shpy_state *state, PyObject *object)
{
    return PyObject_TypeCheck(object, state->lock_type) ? lock_in(object) : NULL;
}

int shpy_lock_add(PyObject *module, struct shpy_state *state)
{
    state->lock_type = shpy_type_add(module, &lock_spec);
    return state->lock_type ? 0 : -1;
}
