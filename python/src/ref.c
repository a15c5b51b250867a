/* ref.c - the names of shared objects as bytes. */
#include "arena/object.h"
#include "module.h"

#include <errno.h>
#include <string.h>

PyObject *shpy_ref_write(const shoal_ref *ref)
{
    return PyBytes_FromStringAndSize((const char *)ref, sizeof *ref);
}

int shpy_ref_read(PyObject *object, shoal_ref *ret_ref)
{
    if (!PyBytes_Check(object) || PyBytes_GET_SIZE(object) != sizeof *ret_ref)
        return -1;
    memcpy(ret_ref, PyBytes_AS_STRING(object), sizeof *ret_ref);
    return 0;
}

PyObject *shpy_ref_refuse(const char *what)
{
    PyErr_Format(PyExc_ValueError, "not the state of %s, or one that is initialized already", what);
    return NULL;
}

PyObject *shpy_ref_raise(int code, const char *noun)
{
    if (code == -EXDEV)
        return PyErr_Format(
            PyExc_RuntimeError,
            "%s objects should only be shared between processes through inheritance, or by any message within one "
            "family: "
            "the program's main process and all that descend from it. This one belongs to another family. Make it in "
            "a common ancestor, or let both programs connect to one manager by its address "
            "(shoal.managers.SyncManager), which then keeps the object for them.",
            noun);
    if (code == -ESTALE)
        return PyErr_Format(PyExc_ReferenceError,
                            "this %s is gone: all processes that had it ended, or dropped it, before it was received "
                            "here. Keep it in a "
                            "variable of the sender, or of another process that goes on, until its receiver has it.",
                            noun);
    return shpy_error_raise(code, noun);
}

PyObject *shpy_ref_send(PyObject *module, PyObject *name)
{
    (void)module;
    shoal_ref ref;
    uint64_t ticket = 0;

    if (shpy_ref_read(name, &ref) < 0)
        return shpy_ref_refuse("a shared object");
    int r = sh_arena_enter();
    if (r < 0)
        return shpy_error_raise(r, "shared memory");
    if (ref.family == sh_arena.shared->family && sh_arena_contains(ref.offset, sizeof(struct sh_object)) &&
        sh_object_is(sh_at(ref.offset), ref.kind, ref.generation))
        ticket = sh_object_send(sh_at(ref.offset));
    return PyLong_FromUnsignedLongLong(ticket);
}

PyObject *shpy_ref_receive(PyObject *module, PyObject *argument)
{
    (void)module;
    unsigned long long ticket = PyLong_AsUnsignedLongLong(argument);

    if (ticket == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    if (sh_arena.base)
        sh_object_receive(ticket);
    Py_RETURN_NONE;
}
