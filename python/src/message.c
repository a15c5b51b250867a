/* message.c - Python objects as messages: which way each is written and read. */
#include "message.h"

#include "arena/arena.h"
#include "block.h"

#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 64
#define LEAST_HUGE (4 << 20) /* bytes of a copy that goes into huge pages */

static const char zeros[ALIGNMENT];

static void add_part(struct shpy_message *message, const void *data, size_t size)
{
    message->parts[message->count++] = (struct shoal_bytes){.data = data, .size = size};
    message->size += size;
}

static int make_parts(struct shpy_message *message, size_t most)
{
    message->heap = PyMem_Malloc(most * sizeof *message->parts);
    if (!message->heap) {
        PyErr_NoMemory();
        return -1;
    }
    message->parts = message->heap;
    return 0;
}

/* A large run of bytes: its opcode and size, itself, and the end. */
static void encode_run(struct shpy_message *message, int op4, int op8, const char *data, size_t size)
{
    unsigned char *head = (unsigned char *)message->small;
    int bytes = size > UINT32_MAX ? 8 : 4;

    head[0] = 0x80; /* PROTO */
    head[1] = 5;
    head[2] = (unsigned char)(bytes == 8 ? op8 : op4);
    for (int i = 0; i < bytes; i++)
        head[3 + i] = (unsigned char)((uint64_t)size >> (8 * i));
    add_part(message, head, 3 + (size_t)bytes);
    add_part(message, data, size);
    add_part(message, ".", 1);
}

/* A large bytes or str object: 1; 0 where it is neither. */
static int encode_large(PyObject *object, struct shpy_message *message)
{
    if (PyBytes_CheckExact(object)) {
        encode_run(message, 'B', 0x8e, PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object));
    } else if (PyUnicode_CheckExact(object) && PyUnicode_IS_COMPACT_ASCII(object)) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(object, &size);
        encode_run(message, 'X', 0x8d, text, (size_t)size);
    } else {
        return 0;
    }
    message->keep = Py_NewRef(object);
    return 1;
}

/* The pickle's pieces, one after the other. */
static void add_pieces(struct shpy_message *message, PyObject *pieces)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces); i++) {
        PyObject *piece = PyList_GET_ITEM(pieces, i);
        add_part(message, PyBytes_AS_STRING(piece), (size_t)PyBytes_GET_SIZE(piece));
    }
}

static void add_padding(struct shpy_message *message)
{
    size_t over = message->size % ALIGNMENT;
    if (over)
        add_part(message, zeros, ALIGNMENT - over);
}

/* The frame's head, in small: sizes of what follows. */
static void add_frame(struct shpy_message *message, size_t pickle_size, PyObject *buffers)
{
    struct shpy_frame frame = {.magic = SHPY_FRAME, .count = 0, .pickle = pickle_size};
    Py_ssize_t count = PyList_GET_SIZE(buffers);
    char *at = message->small + sizeof frame;

    for (Py_ssize_t i = 0; i < count; i++) {
        const Py_buffer *view = PyPickleBuffer_GetBuffer(PyList_GET_ITEM(buffers, i));
        uint64_t size = (uint64_t)view->len << 1 | (view->readonly ? 1 : 0);
        memcpy(at, &size, sizeof size);
        at += sizeof size;
    }
    frame.count = (uint32_t)count;
    memcpy(message->small, &frame, sizeof frame);
    add_part(message, message->small, (size_t)(at - message->small));
}

/* Few pieces: what does not fit into so many parts is joined. */
static PyObject *join_pieces(PyObject *pieces)
{
    PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *joined = empty ? PyObject_CallMethod(empty, "join", "O", pieces) : NULL;
    PyObject *list = joined ? Py_BuildValue("[O]", joined) : NULL;

    Py_XDECREF(empty);
    Py_XDECREF(joined);
    Py_DECREF(pieces);
    return list;
}

static int encode_pickled(struct shpy_state *state, PyObject *object, unsigned ways, struct shpy_message *message)
{
    enum { MOST_PIECES = 500 };
    PyObject *pieces, *buffers = NULL;

    if (shpy_pickler_dump(state, object, ways, &pieces, &buffers) < 0)
        return -1;
    if (PyList_GET_SIZE(pieces) > MOST_PIECES)
        pieces = join_pieces(pieces);
    if (!pieces) {
        Py_XDECREF(buffers);
        return -1;
    }
    size_t most = (size_t)PyList_GET_SIZE(pieces) + 1;
    if (buffers)
        most += 2 * (size_t)PyList_GET_SIZE(buffers);
    message->keep = Py_BuildValue("NN", pieces, buffers ? buffers : Py_NewRef(Py_None));
    if (!message->keep && !pieces)
        Py_XDECREF(buffers);
    if (!message->keep)
        return -1;
    if (most > SHPY_FEW_PARTS && make_parts(message, most) < 0)
        return -1;
    if (!buffers) {
        add_pieces(message, pieces);
        return 0;
    }
    size_t pickle_size = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces); i++)
        pickle_size += (size_t)PyBytes_GET_SIZE(PyList_GET_ITEM(pieces, i));
    add_frame(message, pickle_size, buffers);
    add_pieces(message, pieces);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(buffers); i++) {
        const Py_buffer *view = PyPickleBuffer_GetBuffer(PyList_GET_ITEM(buffers, i));
        add_padding(message);
        add_part(message, view->buf, (size_t)view->len);
    }
    return 0;
}

_Static_assert(sizeof(struct shpy_frame) + SHPY_MOST_BUFFERS * sizeof(uint64_t) + 8 < SHPY_SMALL,
               "a frame's head is small");

int shpy_message_encode(struct shpy_state *state, PyObject *object, unsigned ways, struct shpy_message *message)
{
    message->parts = message->few;
    message->count = message->size = 0;
    message->keep = NULL;
    message->heap = NULL;
    message->size = shpy_fast_write(object, message->small, sizeof message->small);
    if (message->size) {
        message->few[0] = (struct shoal_bytes){.data = message->small, .size = message->size};
        message->count = 1;
        return 0;
    }
    if (encode_large(object, message))
        return 0;
    if (encode_pickled(state, object, ways, message) == 0)
        return 0;
    shpy_message_clear(message);
    return -1;
}

void shpy_message_clear(struct shpy_message *message)
{
    if (message->heap)
        PyMem_Free(message->heap);
    Py_CLEAR(message->keep);
}

PyObject *shpy_message_copy_bytes(const char *from, size_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);

    if (!bytes || size < SHPY_LEAST_UNLOCKED) {
        if (bytes)
            memcpy(PyBytes_AS_STRING(bytes), from, size);
        return bytes;
    }
    char *to = PyBytes_AS_STRING(bytes);
    if (size >= LEAST_HUGE) {
        uintptr_t page = (uintptr_t)sh_arena.shared->page_size;
        uintptr_t first = sh_round_up((uintptr_t)to, page);
        madvise((void *)first, ((uintptr_t)to + size - first) / page * page, MADV_HUGEPAGE);
    }
    Py_BEGIN_ALLOW_THREADS;
    memcpy(to, from, size);
    Py_END_ALLOW_THREADS;
    return bytes;
}

/* The runs that encode_run writes: read without another copy. */
static PyObject *decode_run(const unsigned char *data, size_t size)
{
    int bytes = size < 12 || data[0] != 0x80         ? 0
                : data[2] == 'B' || data[2] == 'X'   ? 4
                : data[2] == 0x8e || data[2] == 0x8d ? 8
                                                     : 0;
    uint64_t run = 0;

    if (!bytes)
        return NULL;
    for (int i = 0; i < bytes; i++)
        run |= (uint64_t)data[3 + i] << (8 * i);
    const char *at = (const char *)data + 3 + bytes;
    if (run != size - 4 - (size_t)bytes || data[size - 1] != '.')
        return NULL;
    if (data[2] == 'B' || data[2] == 0x8e)
        return shpy_message_copy_bytes(at, (size_t)run);
    return PyUnicode_DecodeUTF8(at, (Py_ssize_t)run, "surrogatepass");
}

static PyObject *loads(struct shpy_state *state, const char *data, size_t size, PyObject *buffers)
{
    PyObject *view = size <= SHPY_SMALL
                         ? PyBytes_FromStringAndSize(data, (Py_ssize_t)size)
                         : PyMemoryView_FromMemory((char *)(uintptr_t)data, (Py_ssize_t)size, PyBUF_READ);
    PyObject *object = NULL;

    if (!view)
        return NULL;
    if (buffers) {
        PyObject *names = Py_BuildValue("(s)", "buffers");
        if (names)
            object = PyObject_Vectorcall(state->loads, (PyObject *[]){view, buffers}, 1, names);
        Py_XDECREF(names);
    } else {
        object = PyObject_CallFunctionObjArgs(state->loads, view, NULL);
    }
    Py_DECREF(view);
    return object;
}

int shpy_message_is_frame(const char *data, size_t size)
{
    uint32_t magic;

    if (size < sizeof(struct shpy_frame))
        return 0;
    memcpy(&magic, data, sizeof magic);
    return magic == SHPY_FRAME;
}

PyObject *shpy_message_decode(struct shpy_state *state, const char *data, size_t size)
{
    PyObject *object;

    if (shpy_message_is_frame(data, size)) {
        PyErr_SetString(PyExc_ValueError, "a message with buffers outside of its block");
        return NULL;
    }
    object = size > SHPY_SMALL ? decode_run((const unsigned char *)data, size) : shpy_fast_read(data, size);
    if (object || PyErr_Occurred())
        return object;
    return loads(state, data, size, NULL);
}

/* Read a message whose buffers stay in its block. */
static PyObject *decode_frame(struct shpy_state *state, PyObject *block, size_t skip, size_t size)
{
    const char *data = shpy_block_data(block) + skip;
    struct shpy_frame frame;

    memcpy(&frame, data, sizeof frame);
    size_t at = sizeof frame + (size_t)frame.count * sizeof(uint64_t);
    if (frame.count > SHPY_MOST_BUFFERS || at > size || frame.pickle > size - at) {
        PyErr_SetString(PyExc_ValueError, "a message that is not whole");
        return NULL;
    }
    const char *pickle = data + at;
    PyObject *buffers = PyList_New((Py_ssize_t)frame.count);
    at += frame.pickle;
    for (uint32_t i = 0; buffers && i < frame.count; i++) {
        uint64_t length;
        memcpy(&length, data + sizeof frame + i * sizeof length, sizeof length);
        at = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        PyObject *part = NULL;
        if (at <= size && length >> 1 <= size - at)
            part = shpy_block_part(block, skip + at, length >> 1, length & 1);
        else
            PyErr_SetString(PyExc_ValueError, "a message that is not whole");
        if (!part)
            Py_CLEAR(buffers);
        else
            PyList_SET_ITEM(buffers, (Py_ssize_t)i, part);
        at += length >> 1;
    }
    PyObject *object = buffers ? loads(state, pickle, frame.pickle, buffers) : NULL;
    Py_XDECREF(buffers);
    return object;
}

PyObject *shpy_message_decode_owned(struct shpy_state *state, PyObject *block, size_t skip, size_t size)
{
    const char *data = shpy_block_data(block) + skip;

    return shpy_message_is_frame(data, size) ? decode_frame(state, block, skip, size)
                                             : shpy_message_decode(state, data, size);
}

PyObject *shpy_message_decode_block(struct shpy_state *state, struct shoal_message *message, size_t skip)
{
    const char *data = (const char *)message->data + skip;
    size_t size = message->size - skip;
    PyObject *object = NULL;

    if (!shpy_message_is_frame(data, size)) {
        object = shpy_message_decode(state, data, size);
        shoal_message_release(message);
        return object;
    }
    PyObject *block = shpy_block_new(state, message);
    if (block)
        object = decode_frame(state, block, skip, size);
    else
        shoal_message_release(message);
    Py_XDECREF(block);
    return object;
}
