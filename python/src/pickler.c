/* pickler.c - pickling by the pickle module's C pickler, kept between calls, with ForkingPickler's reducers. */
#include "message.h"

/* The file that a pickler writes to: keeps the pieces as they come, uncopied; and takes the buffers it offers. */
struct sink {
    PyObject_HEAD;
    PyObject *pieces;  /* list of bytes */
    PyObject *buffers; /* list of PickleBuffer, or NULL */
    unsigned ways;
};

/* Smaller buffers are copied into the pickle. */
#define LEAST_BUFFER 4096

static PyObject *sink_write(PyObject *object, PyObject *piece)
{
    struct sink *sink = (struct sink *)object;
    PyObject *bytes = PyBytes_CheckExact(piece) ? Py_NewRef(piece) : PyBytes_FromObject(piece);

    int r = bytes ? PyList_Append(sink->pieces, bytes) : -1;
    Py_XDECREF(bytes);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* False: the buffer stays outside. True: it goes into the pickle. */
static PyObject *sink_take(PyObject *object, PyObject *buffer)
{
    struct sink *sink = (struct sink *)object;
    const Py_buffer *view = PyPickleBuffer_GetBuffer(buffer);

    if (!view)
        return NULL;
    if (!(sink->ways & SHPY_BUFFERS) || view->len < LEAST_BUFFER || !PyBuffer_IsContiguous(view, 'A'))
        Py_RETURN_TRUE;
    if (!sink->buffers && !(sink->buffers = PyList_New(0)))
        return NULL;
    if (PyList_GET_SIZE(sink->buffers) >= SHPY_MOST_BUFFERS)
        Py_RETURN_TRUE;
    if (PyList_Append(sink->buffers, buffer) < 0)
        return NULL;
    Py_RETURN_FALSE;
}

static void sink_dealloc(PyObject *object)
{
    struct sink *sink = (struct sink *)object;
    PyTypeObject *type = Py_TYPE(object);

    Py_XDECREF(sink->pieces);
    Py_XDECREF(sink->buffers);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef sink_methods[] = {
    {"write", sink_write, METH_O, "Keep a piece of the pickle."},
    {"take", sink_take, METH_O, "Keep a buffer outside of the pickle, or refuse it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot sink_slots[] = {
    {Py_tp_dealloc, sink_dealloc},
    {Py_tp_methods, sink_methods},
    {0, NULL},
};

static PyType_Spec sink_spec = {
    .name = "shoal._core.Sink",
    .basicsize = sizeof(struct sink),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = sink_slots,
};

/* The dispatch table of our picklers: what is registered now with ForkingPickler, else with copyreg. */
struct registry {
    PyObject_HEAD;
    PyObject *forking; /* ForkingPickler._extra_reducers */
    PyObject *copyreg; /* copyreg.dispatch_table */
};

static PyObject *registry_find(PyObject *object, PyObject *type)
{
    struct registry *registry = (struct registry *)object;
    PyObject *reducer = PyDict_GetItemWithError(registry->forking, type);

    if (!reducer && !PyErr_Occurred())
        reducer = PyDict_GetItemWithError(registry->copyreg, type);
    if (!reducer && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, type);
    Py_XINCREF(reducer);
    return reducer;
}

static void registry_dealloc(PyObject *object)
{
    struct registry *registry = (struct registry *)object;
    PyTypeObject *type = Py_TYPE(object);

    Py_XDECREF(registry->forking);
    Py_XDECREF(registry->copyreg);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyType_Slot registry_slots[] = {
    {Py_tp_dealloc, registry_dealloc},
    {Py_mp_subscript, registry_find},
    {0, NULL},
};

static PyType_Spec registry_spec = {
    .name = "shoal._core.Registry",
    .basicsize = sizeof(struct registry),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = registry_slots,
};

/* A pickler and its sink. One is kept in the state for the next call; who finds none there makes another. */
struct shpy_encoder {
    PyObject *sink;
    PyObject *pickler;
    PyObject *dump;
    PyObject *clear_memo;
};

static void free_encoder(struct shpy_encoder *encoder)
{
    if (!encoder)
        return;
    Py_XDECREF(encoder->clear_memo);
    Py_XDECREF(encoder->dump);
    Py_XDECREF(encoder->pickler);
    Py_XDECREF(encoder->sink);
    PyMem_Free(encoder);
}

static PyObject *make_pickler(struct shpy_state *state, PyObject *sink)
{
    PyObject *take = PyObject_GetAttrString(sink, "take");
    PyObject *args = take ? Py_BuildValue("(Oi)", sink, 5) : NULL;
    PyObject *options = args ? Py_BuildValue("{sO}", "buffer_callback", take) : NULL;
    PyObject *pickler = options ? PyObject_Call(state->pickler_type, args, options) : NULL;

    Py_XDECREF(take);
    Py_XDECREF(args);
    Py_XDECREF(options);
    if (pickler && PyObject_SetAttrString(pickler, "dispatch_table", state->registry) < 0)
        Py_CLEAR(pickler);
    return pickler;
}

static struct shpy_encoder *make_encoder(struct shpy_state *state)
{
    struct shpy_encoder *encoder = PyMem_Calloc(1, sizeof *encoder);

    if (!encoder) {
        PyErr_NoMemory();
        return NULL;
    }
    encoder->sink = state->sink_type->tp_alloc(state->sink_type, 0);
    encoder->pickler = encoder->sink ? make_pickler(state, encoder->sink) : NULL;
    encoder->dump = encoder->pickler ? PyObject_GetAttrString(encoder->pickler, "dump") : NULL;
    encoder->clear_memo = encoder->dump ? PyObject_GetAttrString(encoder->pickler, "clear_memo") : NULL;
    if (!encoder->clear_memo) {
        free_encoder(encoder);
        return NULL;
    }
    return encoder;
}

/* Pickle into the sink. 0, or -1: the encoder is good for nothing more. */
static int dump(struct shpy_encoder *encoder, PyObject *object, unsigned ways)
{
    struct sink *sink = (struct sink *)encoder->sink;

    sink->ways = ways;
    sink->pieces = PyList_New(0);
    if (!sink->pieces)
        return -1;
    PyObject *nothing = PyObject_CallFunctionObjArgs(encoder->dump, object, NULL);
    if (!nothing)
        return -1;
    Py_DECREF(nothing);
    nothing = PyObject_CallFunctionObjArgs(encoder->clear_memo, NULL);
    Py_XDECREF(nothing);
    return nothing ? 0 : -1;
}

/* What plain pickle refuses goes through cloudpickle, where that is installed: the pickle, or NULL with the exception
 * that plain pickle raised. */
static PyObject *dump_by_cloudpickle(PyObject *object)
{
    PyObject *type, *value, *traceback;

    if (!PyErr_ExceptionMatches(PyExc_AttributeError) && !PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyObject *pickle = NULL, *error = NULL;
        PyErr_Fetch(&type, &value, &traceback);
        pickle = PyImport_ImportModule("pickle");
        error = pickle ? PyObject_GetAttrString(pickle, "PicklingError") : NULL;
        int is_refusal = error && PyErr_GivenExceptionMatches(type, error);
        PyErr_Clear();
        PyErr_Restore(type, value, traceback);
        Py_XDECREF(pickle);
        Py_XDECREF(error);
        if (!is_refusal)
            return NULL;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *cloudpickle = PyImport_ImportModule("cloudpickle");
    PyObject *bytes = cloudpickle ? PyObject_CallMethod(cloudpickle, "dumps", "Oi", object, 5) : NULL;
    Py_XDECREF(cloudpickle);
    if (bytes && PyBytes_CheckExact(bytes)) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return bytes;
    }
    Py_XDECREF(bytes);
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return NULL;
}

int shpy_pickler_dump(struct shpy_state *state, PyObject *object, unsigned ways, PyObject **ret_pieces,
                      PyObject **ret_buffers)
{
    struct shpy_encoder *encoder = atomic_exchange(&state->spare_encoder, NULL);

    if (!encoder)
        encoder = make_encoder(state);
    if (!encoder)
        return -1;
    if (dump(encoder, object, ways) < 0) {
        free_encoder(encoder);
        PyObject *bytes = ways & SHPY_CLOUDPICKLE ? dump_by_cloudpickle(object) : NULL;
        *ret_pieces = bytes ? Py_BuildValue("[N]", bytes) : NULL;
        return *ret_pieces ? 0 : -1;
    }
    struct sink *sink = (struct sink *)encoder->sink;
    *ret_pieces = sink->pieces;
    if (sink->buffers)
        *ret_buffers = sink->buffers;
    sink->pieces = sink->buffers = NULL;
    free_encoder(atomic_exchange(&state->spare_encoder, encoder));
    return 0;
}

static PyObject *attribute(const char *module_name, const char *first, const char *second)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module ? PyObject_GetAttrString(module, first) : NULL;

    Py_XDECREF(module);
    if (found && second)
        Py_SETREF(found, PyObject_GetAttrString(found, second));
    return found;
}

int shpy_pickler_add(PyObject *module, struct shpy_state *state)
{
    state->sink_type = shpy_type_add(module, &sink_spec);
    state->registry_type = shpy_type_add(module, &registry_spec);
    state->pickler_type = attribute("pickle", "Pickler", NULL);
    state->loads = attribute("pickle", "loads", NULL);
    if (!state->sink_type || !state->registry_type || !state->pickler_type || !state->loads)
        return -1;
    struct registry *registry = (struct registry *)state->registry_type->tp_alloc(state->registry_type, 0);
    if (!registry)
        return -1;
    state->registry = (PyObject *)registry;
    registry->forking = attribute("multiprocessing.reduction", "ForkingPickler", "_extra_reducers");
    registry->copyreg = attribute("copyreg", "dispatch_table", NULL);
    if (!registry->forking || !registry->copyreg)
        return -1;
    if (!PyDict_Check(registry->forking) || !PyDict_Check(registry->copyreg)) {
        PyErr_SetString(PyExc_TypeError, "the tables of registered reducers are not dicts");
        return -1;
    }
    return 0;
}

void shpy_pickler_clear(struct shpy_state *state)
{
    free_encoder(atomic_exchange(&state->spare_encoder, NULL));
}
