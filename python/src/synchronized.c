/* synchronized.c - the base of the wrappers that give a ctypes object a lock: each access holds it. */
#include "acquire.h"

#include <stddef.h>

/* All set once. own: whether lock is one of ours, acquired and released in ours' way; then no method is looked up. */
struct synchronized {
    PyObject_HEAD;
    struct shpy_state *state;
    PyObject *object;
    PyObject *lock;
    int is_own;
};

/* An attribute of the wrapped object, as one of the wrapper: a descriptor. */
struct attribute {
    PyObject_HEAD;
    struct shpy_state *state;
    PyObject *name;
};

static struct synchronized *synchronized_in(PyObject *object)
{
    return (struct synchronized *)object;
}

static int call_acquire(void *context, int64_t timeout)
{
    return shoal_lock_acquire(context, timeout);
}

/* Call one of the lock's methods: 0, or -1 with an exception. */
static int call_method(struct synchronized *self, const char *name)
{
    PyObject *result = PyObject_CallMethod(self->lock, name, NULL);

    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Take the lock for one access: 0, or -1 with an exception. Inside of a `with` it is held already, and what that found
 * of a dead owner stays noted. */
static int lock_it(struct synchronized *self)
{
    struct shpy_acquirable *lock = (struct shpy_acquirable *)self->lock;
    int had_died;

    if (!self->lock) {
        PyErr_SetString(PyExc_ValueError, "this wrapper was not initialized");
        return -1;
    }
    if (!self->is_own)
        return call_method(self, "acquire");
    had_died = lock->owner_died;
    if (!shpy_acquire_now(lock, call_acquire) && shpy_acquire(lock, call_acquire, SHOAL_FOREVER) < 0)
        return -1;
    lock->owner_died |= had_died;
    return 0;
}

/* Give it back: 0, or -1 with an exception. One that is set already, by the access, stays: it says more. */
static int unlock_it(struct synchronized *self)
{
    PyObject *type, *value, *traceback;

    if (self->is_own && shoal_lock_release(((struct shpy_acquirable *)self->lock)->handle) == 0)
        return 0;
    PyErr_Fetch(&type, &value, &traceback);
    int r = call_method(self, "release");
    if (type) {
        PyErr_Clear();
        PyErr_Restore(type, value, traceback);
    }
    return r;
}

/* What an access gave, after giving the lock back; a read or a write. */
static PyObject *unlock_after_get(struct synchronized *self, PyObject *result)
{
    if (unlock_it(self) < 0)
        Py_CLEAR(result);
    return result;
}

static int unlock_after_set(struct synchronized *self, int r)
{
    return unlock_it(self) < 0 ? -1 : r;
}

/* Whether the lock's class has the method that our locks have, and no other. */
static int has_our(struct shpy_state *state, PyObject *lock, const char *name)
{
    PyObject *theirs = PyObject_GetAttrString((PyObject *)Py_TYPE(lock), name);
    PyObject *ours = PyObject_GetAttrString((PyObject *)state->lock_type, name);
    int is_same = theirs && theirs == ours;

    Py_XDECREF(theirs);
    Py_XDECREF(ours);
    PyErr_Clear();
    return is_same;
}

static PyObject *synchronized_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    struct synchronized *self = (struct synchronized *)type->tp_alloc(type, 0);

    if (self && !(self->state = shpy_state_of(type)))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int synchronized_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(synchronized_in(object)->object);
    Py_VISIT(synchronized_in(object)->lock);
    return 0;
}

static int synchronized_clear(PyObject *object)
{
    Py_CLEAR(synchronized_in(object)->object);
    Py_CLEAR(synchronized_in(object)->lock);
    return 0;
}

static void synchronized_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    synchronized_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *synchronized_open(PyObject *object, PyObject *args)
{
    struct synchronized *self = synchronized_in(object);
    PyObject *wrapped, *lock;

    if (!PyArg_ParseTuple(args, "OO:_open", &wrapped, &lock))
        return NULL;
    if (self->object)
        return shpy_ref_refuse("a synchronized object");
    self->is_own = PyObject_TypeCheck(lock, self->state->lock_type) && has_our(self->state, lock, "acquire") &&
                   has_our(self->state, lock, "release");
    self->object = Py_NewRef(wrapped);
    self->lock = Py_NewRef(lock);
    Py_RETURN_NONE;
}

static PyObject *value_or_none(PyObject *value)
{
    return Py_NewRef(value ? value : Py_None);
}

static PyObject *synchronized_get_obj(PyObject *object, PyObject *unused)
{
    (void)unused;
    return value_or_none(synchronized_in(object)->object);
}

static PyObject *synchronized_get_lock(PyObject *object, PyObject *unused)
{
    (void)unused;
    return value_or_none(synchronized_in(object)->lock);
}

static PyObject *synchronized_enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct synchronized *self = synchronized_in(object);

    if (self->is_own)
        return shpy_acquire_enter(self->lock, call_acquire);
    if (lock_it(self) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *synchronized_exit(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args, (void)nargs;
    if (!synchronized_in(object)->lock)
        return shpy_ref_refuse("a synchronized object");
    if (unlock_it(synchronized_in(object)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* acquire and release: the lock's own. */
static PyObject *synchronized_get_method(PyObject *object, void *name)
{
    PyObject *lock = synchronized_in(object)->lock;

    return PyObject_GetAttrString(lock ? lock : Py_None, name);
}

static PyObject *synchronized_get_member(PyObject *object, void *offset)
{
    return value_or_none(*(PyObject **)((char *)object + (size_t)offset));
}

static PyMethodDef synchronized_methods[] = {
    {"get_obj", synchronized_get_obj, METH_NOARGS, "get_obj($self, /)\n--\n\nThe wrapped object, which needs no lock."},
    {"get_lock", synchronized_get_lock, METH_NOARGS, "get_lock($self, /)\n--\n\nThe lock that each access holds."},
    {"__enter__", synchronized_enter, METH_NOARGS, NULL},
    {"__exit__", SHPY_FASTCALL(synchronized_exit), METH_FASTCALL, NULL},
    {"_open", synchronized_open, METH_VARARGS, "Wrap an object: (object, its lock)."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef synchronized_properties[] = {
    {"acquire", synchronized_get_method, NULL, "The lock's acquire.", (void *)"acquire"},
    {"release", synchronized_get_method, NULL, "The lock's release.", (void *)"release"},
    {"_obj", synchronized_get_member, NULL, "The wrapped object.", (void *)offsetof(struct synchronized, object)},
    {"_lock", synchronized_get_member, NULL, "Its lock.", (void *)offsetof(struct synchronized, lock)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot synchronized_slots[] = {
    {Py_tp_new, synchronized_new},
    {Py_tp_dealloc, synchronized_dealloc},
    {Py_tp_traverse, synchronized_traverse},
    {Py_tp_clear, synchronized_clear},
    {Py_tp_methods, synchronized_methods},
    {Py_tp_getset, synchronized_properties},
    {Py_tp_doc, (char *)"The base of what gives a ctypes object a lock."},
    {0, NULL},
};

static PyType_Spec synchronized_spec = {
    .name = "shoal._core.Synchronized",
    .basicsize = sizeof(struct synchronized),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = synchronized_slots,
};

/* Arrays. */

static Py_ssize_t array_length(PyObject *object)
{
    PyObject *wrapped = synchronized_in(object)->object;

    return wrapped ? PyObject_Size(wrapped) : 0;
}

static PyObject *array_get(PyObject *object, PyObject *key)
{
    struct synchronized *self = synchronized_in(object);

    return lock_it(self) < 0 ? NULL : unlock_after_get(self, PyObject_GetItem(self->object, key));
}

static PyObject *array_get_at(PyObject *object, Py_ssize_t index)
{
    struct synchronized *self = synchronized_in(object);

    return lock_it(self) < 0 ? NULL : unlock_after_get(self, PySequence_GetItem(self->object, index));
}

static int array_set(PyObject *object, PyObject *key, PyObject *value)
{
    struct synchronized *self = synchronized_in(object);

    if (!value) {
        PyErr_SetString(PyExc_TypeError, "a shared array keeps its length");
        return -1;
    }
    return lock_it(self) < 0 ? -1 : unlock_after_set(self, PyObject_SetItem(self->object, key, value));
}

static PyType_Slot array_slots[] = {
    {Py_mp_length, array_length},
    {Py_mp_subscript, array_get},
    {Py_mp_ass_subscript, array_set},
    {Py_sq_length, array_length},
    {Py_sq_item, array_get_at},
    {Py_tp_doc, (char *)"The base of what gives an array a lock."},
    {0, NULL},
};

static PyType_Spec array_spec = {
    .name = "shoal._core.SynchronizedArray",
    .basicsize = sizeof(struct synchronized),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = array_slots,
};

/* Attributes. */

static PyObject *attribute_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    PyObject *name;

    if (!PyArg_ParseTuple(args, "U:SynchronizedAttribute", &name))
        return NULL;
    struct attribute *attribute = (struct attribute *)type->tp_alloc(type, 0);
    if (!attribute)
        return NULL;
    attribute->name = Py_NewRef(name);
    PyUnicode_InternInPlace(&attribute->name);
    attribute->state = shpy_state_of(type);
    if (!attribute->state)
        Py_CLEAR(attribute);
    return (PyObject *)attribute;
}

static void attribute_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    Py_XDECREF(((struct attribute *)object)->name);
    type->tp_free(object);
    Py_DECREF(type);
}

/* The wrapper with its lock held; NULL with an exception. */
static struct synchronized *begin_access(struct attribute *attribute, PyObject *object)
{
    struct synchronized *self = synchronized_in(object);

    if (!PyObject_TypeCheck(object, attribute->state->synchronized_type)) {
        PyErr_Format(PyExc_TypeError, "not a synchronized object: %s", Py_TYPE(object)->tp_name);
        return NULL;
    }
    return lock_it(self) < 0 ? NULL : self;
}

static PyObject *attribute_get(PyObject *object, PyObject *instance, PyObject *owner)
{
    struct attribute *attribute = (struct attribute *)object;

    (void)owner;
    if (!instance || instance == Py_None)
        return Py_NewRef(object);
    struct synchronized *self = begin_access(attribute, instance);
    return self ? unlock_after_get(self, PyObject_GetAttr(self->object, attribute->name)) : NULL;
}

static int attribute_set(PyObject *object, PyObject *instance, PyObject *value)
{
    struct attribute *attribute = (struct attribute *)object;
    struct synchronized *self = begin_access(attribute, instance);

    return self ? unlock_after_set(self, PyObject_SetAttr(self->object, attribute->name, value)) : -1;
}

static PyType_Slot attribute_slots[] = {
    {Py_tp_new, attribute_new},
    {Py_tp_dealloc, attribute_dealloc},
    {Py_tp_descr_get, attribute_get},
    {Py_tp_descr_set, attribute_set},
    {Py_tp_doc, (char *)"An attribute of the wrapped object: each access holds the lock."},
    {0, NULL},
};

static PyType_Spec attribute_spec = {
    .name = "shoal._core.SynchronizedAttribute",
    .basicsize = sizeof(struct attribute),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = attribute_slots,
};

int shpy_synchronized_add(PyObject *module, struct shpy_state *state)
{
    state->synchronized_type = shpy_type_add(module, &synchronized_spec);
    state->attribute_type = shpy_type_add(module, &attribute_spec);
    if (!state->synchronized_type || !state->attribute_type)
        return -1;
    PyObject *bases = PyTuple_Pack(1, state->synchronized_type);
    PyObject *array = bases ? PyType_FromModuleAndSpec(module, &array_spec, bases) : NULL;
    int r = array ? PyModule_AddType(module, (PyTypeObject *)array) : -1;
    Py_XDECREF(array);
    Py_XDECREF(bases);
    return r;
}
