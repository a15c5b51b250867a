/* memory.c - the base of what values and arrays lie in: bytes of the family's memory, as an object with a buffer. */
#include "arena/handle.h"
#include "module.h"

/* The shared body. Whoever is attached reads and writes data as it likes; size never changes. */
struct memory_shared {
    struct sh_object object;
    uint64_t size;
    _Alignas(64) char data[];
};

/* handle is set once. */
struct memory {
    PyObject_HEAD;
    struct sh_handle *handle;
};

static struct memory *memory_in(PyObject *object)
{
    return (struct memory *)object;
}

static struct memory_shared *shared_of(PyObject *object)
{
    struct sh_handle *handle = memory_in(object)->handle;

    if (!handle) {
        PyErr_SetString(PyExc_ValueError, "this memory was not made yet");
        return NULL;
    }
    return sh_container(handle->object, struct memory_shared, object);
}

static void memory_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    sh_handle_free(memory_in(object)->handle);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *memory_open(PyObject *object, PyObject *argument)
{
    struct sh_handle *handle;
    Py_ssize_t size = PyNumber_AsSsize_t(argument, PyExc_OverflowError);

    if (size == -1 && PyErr_Occurred())
        return NULL;
    if (size < 0)
        return PyErr_Format(PyExc_ValueError, "memory of %zd bytes", size);
    if (size > PY_SSIZE_T_MAX - (Py_ssize_t)sizeof(struct memory_shared))
        return PyErr_NoMemory();
    if (memory_in(object)->handle)
        return shpy_ref_refuse("memory");
    int r = sh_handle_create(SH_KIND_MEMORY, sizeof(struct memory_shared) + (size_t)size, sizeof *handle, &handle);
    if (r < 0)
        return shpy_error_raise(r, "no shared memory");
    sh_container(handle->object, struct memory_shared, object)->size = (uint64_t)size;
    sh_handle_publish(handle);
    memory_in(object)->handle = handle;
    Py_RETURN_NONE;
}

static PyObject *memory_attach(PyObject *object, PyObject *argument)
{
    shoal_ref ref;

    if (memory_in(object)->handle || shpy_ref_read(argument, &ref) < 0)
        return shpy_ref_refuse("memory");
    int r = sh_handle_attach(&ref, SH_KIND_MEMORY, sizeof(struct sh_handle), &memory_in(object)->handle);
    if (r < 0)
        return shpy_ref_raise(r, "Value and Array");
    Py_RETURN_NONE;
}

static PyObject *memory_ref(PyObject *object, PyObject *unused)
{
    (void)unused;
    shoal_ref ref;

    if (!shared_of(object))
        return NULL;
    int r = sh_handle_ref(memory_in(object)->handle, &ref);
    return r < 0 ? shpy_error_raise(r, "this memory has no name") : shpy_ref_write(&ref);
}

static int memory_get_buffer(PyObject *object, Py_buffer *view, int flags)
{
    struct memory_shared *shared = shared_of(object);

    return shared ? PyBuffer_FillInfo(view, object, shared->data, (Py_ssize_t)shared->size, 0, flags) : -1;
}

static PyMethodDef memory_methods[] = {
    {"_open", memory_open, METH_O, "Make it: (size), filled with zeros."},
    {"_attach", memory_attach, METH_O, "Attach to the memory of a ref."},
    {"_ref", memory_ref, METH_NOARGS, "The memory's name in its family, as bytes."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot memory_slots[] = {
    {Py_tp_dealloc, memory_dealloc},
    {Py_tp_methods, memory_methods},
    {Py_bf_getbuffer, memory_get_buffer},
    {Py_tp_doc, (char *)"The base of what values and arrays lie in."},
    {0, NULL},
};

static PyType_Spec memory_spec = {
    .name = "shoal._core.Memory",
    .basicsize = sizeof(struct memory),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = memory_slots,
};

int shpy_memory_add(PyObject *module, struct shpy_state *state)
{
    state->memory_type = shpy_type_add(module, &memory_spec);
    return state->memory_type ? 0 : -1;
}
