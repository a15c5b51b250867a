/* error.c - codes of the core as exceptions; raising exceptions, and taking what was raised. */
#include "base/error.h"

#include "module.h"

#include <errno.h>
#include <string.h>

/* The exception that the core's table names: a builtin, or module.name. A new reference. */
static PyObject *find_exception(const char *name)
{
    const char *dot = strrchr(name, '.');

    if (!dot) {
        PyObject *builtins = PyEval_GetBuiltins();
        PyObject *found = builtins ? PyDict_GetItemString(builtins, name) : NULL;
        Py_XINCREF(found);
        return found;
    }
    PyObject *module_name = PyUnicode_FromStringAndSize(name, dot - name);
    PyObject *module = module_name ? PyImport_Import(module_name) : NULL;
    PyObject *found = module ? PyObject_GetAttrString(module, dot + 1) : NULL;
    Py_XDECREF(module_name);
    Py_XDECREF(module);
    return found;
}

PyObject *shpy_error_set(PyObject *exception)
{
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    return NULL;
}

PyObject *shpy_error_take(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

PyObject *shpy_error_take_exception(void)
{
    return PyErr_ExceptionMatches(PyExc_Exception) ? shpy_error_take() : NULL;
}

PyObject *shpy_error_raise(int code, const char *doing)
{
    const struct sh_error *error = sh_error_find(code);
    PyObject *exception = find_exception(error->exception);

    if (!exception) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_SystemError, "no exception is called %s", error->exception);
        return NULL;
    }
    PyObject *text = PyUnicode_FromFormat("%s: %s", doing, error->text);
    PyObject *value = NULL;
    if (text && PyType_Check(exception) && PyType_IsSubtype((PyTypeObject *)exception, (PyTypeObject *)PyExc_OSError))
        value = Py_BuildValue("iO", -code, text);
    else if (text)
        value = Py_NewRef(text);
    if (value)
        PyErr_SetObject(exception, value);
    Py_XDECREF(value);
    Py_XDECREF(text);
    Py_DECREF(exception);
    return NULL;
}
