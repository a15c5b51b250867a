/* block.c - memory of a received message that Python objects keep. */
#include "block.h"

#include <string.h>

/* data is this process's alone: after a fork each side goes on with its own. */
struct block {
    PyObject_HEAD;
    struct shpy_state *state;
    char *data;
    size_t size;
};

struct part {
    PyObject_HEAD;
    PyObject *block;
    char *data;
    size_t size;
    int is_read_only;
};

PyObject *shpy_block_alloc(struct shpy_state *state, size_t size)
{
    struct block *block = (struct block *)state->block_type->tp_alloc(state->block_type, 0);

    if (!block)
        return NULL;
    block->state = state;
    block->size = size;
    block->data = PyMem_RawMalloc(size ? size : 1);
    if (!block->data) {
        Py_DECREF(block);
        return PyErr_NoMemory();
    }
    return (PyObject *)block;
}

PyObject *shpy_block_new(struct shpy_state *state, struct shoal_message *message)
{
    PyObject *object = shpy_block_alloc(state, message->size);

    if (object) {
        Py_BEGIN_ALLOW_THREADS;
        memcpy(((struct block *)object)->data, message->data, message->size);
        shoal_message_release(message);
        Py_END_ALLOW_THREADS;
    }
    return object;
}

char *shpy_block_data(PyObject *block)
{
    return ((struct block *)block)->data;
}

static void block_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyMem_RawFree(((struct block *)object)->data);
    type->tp_free(object);
    Py_DECREF(type);
}

PyObject *shpy_block_part(PyObject *object, size_t offset, size_t size, int is_read_only)
{
    struct block *block = (struct block *)object;
    struct part *part = (struct part *)block->state->part_type->tp_alloc(block->state->part_type, 0);

    if (!part)
        return NULL;
    part->block = Py_NewRef(object);
    part->data = block->data + offset;
    part->size = size;
    part->is_read_only = is_read_only;
    return (PyObject *)part;
}

static int part_get_buffer(PyObject *object, Py_buffer *view, int flags)
{
    struct part *part = (struct part *)object;
    return PyBuffer_FillInfo(view, object, part->data, (Py_ssize_t)part->size, part->is_read_only, flags);
}

static void part_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    Py_XDECREF(((struct part *)object)->block);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyType_Slot block_slots[] = {
    {Py_tp_dealloc, block_dealloc},
    {0, NULL},
};

static PyType_Spec block_spec = {
    .name = "shoal._core.Block",
    .basicsize = sizeof(struct block),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = block_slots,
};

static PyType_Slot part_slots[] = {
    {Py_tp_dealloc, part_dealloc},
    {Py_bf_getbuffer, part_get_buffer},
    {0, NULL},
};

static PyType_Spec part_spec = {
    .name = "shoal._core.BlockPart",
    .basicsize = sizeof(struct part),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = part_slots,
};

int shpy_block_add(PyObject *module, struct shpy_state *state)
{
    state->block_type = shpy_type_add(module, &block_spec);
    state->part_type = shpy_type_add(module, &part_spec);
    return state->block_type && state->part_type ? 0 : -1;
}
