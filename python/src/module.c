/* module.c - the extension module shoal._core. */
#include "module.h"

#include "block.h"

struct shpy_state *shpy_state_of(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030b0000
    PyObject *module = PyType_GetModuleByDef(type, &shpy_module);
    return module ? PyModule_GetState(module) : NULL;
#else
    for (PyTypeObject *base = type; base; base = base->tp_base) {
        PyObject *module = base->tp_flags & Py_TPFLAGS_HEAPTYPE ? ((PyHeapTypeObject *)base)->ht_module : NULL;
        if (module && PyModule_GetDef(module) == &shpy_module)
            return PyModule_GetState(module);
    }
    PyErr_Format(PyExc_TypeError, "%s is not a type of shoal's", type->tp_name);
    return NULL;
#endif
}

PyTypeObject *shpy_type_add(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);

    if (type && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}

static PyObject *import_from(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module ? PyObject_GetAttrString(module, name) : NULL;

    Py_XDECREF(module);
    return found;
}

static int module_exec(PyObject *module)
{
    struct shpy_state *state = PyModule_GetState(module);

    state->empty = import_from("queue", "Empty");
    state->full = import_from("queue", "Full");
    state->broken_barrier = import_from("threading", "BrokenBarrierError");
    if (!state->empty || !state->full || !state->broken_barrier)
        return -1;
    if (shpy_pickler_add(module, state) < 0 || shpy_block_add(module, state) < 0 || shpy_queue_add(module, state) < 0)
        return -1;
    if (shpy_connection_add(module, state) < 0 || shpy_lock_add(module, state) < 0 ||
        shpy_event_add(module, state) < 0 || shpy_semaphore_add(module, state) < 0 ||
        shpy_condition_add(module, state) < 0 || shpy_barrier_add(module, state) < 0 ||
        shpy_memory_add(module, state) < 0 || shpy_synchronized_add(module, state) < 0 ||
        shpy_pool_add(module, state) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "version", shoal_version());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct shpy_state *state = PyModule_GetState(module);

    Py_VISIT(state->queue_type);
    Py_VISIT(state->connection_type);
    Py_VISIT(state->lock_type);
    Py_VISIT(state->event_type);
    Py_VISIT(state->barrier_type);
    Py_VISIT(state->condition_type);
    Py_VISIT(state->semaphore_type);
    Py_VISIT(state->memory_type);
    Py_VISIT(state->synchronized_type);
    Py_VISIT(state->attribute_type);
    Py_VISIT(state->sink_type);
    Py_VISIT(state->registry_type);
    Py_VISIT(state->block_type);
    Py_VISIT(state->part_type);
    Py_VISIT(state->pool_type);
    Py_VISIT(state->result_type);
    Py_VISIT(state->iterator_type);
    Py_VISIT(state->timeout_error);
    Py_VISIT(state->empty);
    Py_VISIT(state->full);
    Py_VISIT(state->broken_barrier);
    Py_VISIT(state->pickler_type);
    Py_VISIT(state->loads);
    Py_VISIT(state->registry);
    return 0;
}

static int module_clear(PyObject *module)
{
    struct shpy_state *state = PyModule_GetState(module);

    shpy_pickler_clear(state);
    Py_CLEAR(state->queue_type);
    Py_CLEAR(state->connection_type);
    Py_CLEAR(state->lock_type);
    Py_CLEAR(state->event_type);
    Py_CLEAR(state->barrier_type);
    Py_CLEAR(state->condition_type);
    Py_CLEAR(state->semaphore_type);
    Py_CLEAR(state->memory_type);
    Py_CLEAR(state->synchronized_type);
    Py_CLEAR(state->attribute_type);
    Py_CLEAR(state->sink_type);
    Py_CLEAR(state->registry_type);
    Py_CLEAR(state->block_type);
    Py_CLEAR(state->part_type);
    Py_CLEAR(state->pool_type);
    Py_CLEAR(state->result_type);
    Py_CLEAR(state->iterator_type);
    Py_CLEAR(state->timeout_error);
    Py_CLEAR(state->empty);
    Py_CLEAR(state->full);
    Py_CLEAR(state->broken_barrier);
    Py_CLEAR(state->pickler_type);
    Py_CLEAR(state->loads);
    Py_CLEAR(state->registry);
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
    shpy_block_clear(PyModule_GetState(module));
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

struct PyModuleDef shpy_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "shoal._core",
    .m_doc = "The C core of shoal.",
    .m_size = sizeof(struct shpy_state),
    .m_methods = shpy_family_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void); /* Python's headers do not declare it */

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&shpy_module);
}
