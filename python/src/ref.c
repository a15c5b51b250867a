/* ref.c - the names of shared objects as bytes. */
#include "module.h"

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
