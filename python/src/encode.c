/* encode.c - functions and items on their way to workers. */
#include "arena/block.h"
#include "base/parts.h"
#include "pool.h"
#include "pool/names.h"

#include <string.h>

#define MOST_NAMED 1000       /* functions that a pool has names for */
#define MOST_NAMED_BYTES 1000 /* of a name */
#define DATA_ALIGNMENT 64
#define LEAST_IN_BLOCK 64 /* items */
#define LIKELY_SIZE 8     /* bytes of an item, where nothing is known */

/* --- functions --- */

/* Whether a pickle is a reference to something global, and nothing else: PROTO, perhaps FRAME, two short strings that
 * are memoized, STACK_GLOBAL. */
static int is_global_reference(const unsigned char *at, size_t size)
{
    const unsigned char *end = at + size;

    if (size < 2 || at[0] != 0x80)
        return 0;
    at += 2;
    if (at < end && *at == 0x95) /* FRAME */
        at += 9;
    for (int i = 0; i < 2; i++) {
        if (end - at < 2 || at[0] != 0x8c) /* SHORT_BINUNICODE */
            return 0;
        at += 2 + at[1];
        if (at < end && *at == 0x94) /* MEMOIZE */
            at++;
    }
    if (at < end && *at == 0x93) /* STACK_GLOBAL */
        at++;
    else
        return 0;
    if (at < end && *at == 0x94)
        at++;
    return end - at == 1 && *at == '.';
}

static PyObject *join_message(const struct shpy_message *message)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)message->size);

    if (bytes)
        sh_parts_copy(PyBytes_AS_STRING(bytes), message->parts, message->count);
    return bytes;
}

/* The word of a pickle; 0 in *ret_word where the pool has no room for more. */
static int name_pickle(struct shpy_pool *pool, PyObject *pickle, uint64_t *ret_word)
{
    PyObject *known = PyDict_GetItemWithError(pool->named, pickle);

    *ret_word = known ? PyLong_AsUnsignedLongLong(known) : 0;
    if (known || PyErr_Occurred())
        return PyErr_Occurred() ? -1 : 0;
    if (PyDict_GET_SIZE(pool->named) >= MOST_NAMED)
        return 0;
    int r = sh_names_keep(pool->pool, PyBytes_AS_STRING(pickle), (size_t)PyBytes_GET_SIZE(pickle), ret_word);
    if (r < 0) {
        shpy_error_raise(r, "a function cannot be named");
        return -1;
    }
    PyObject *word = PyLong_FromUnsignedLongLong(*ret_word);
    r = word ? PyDict_SetItem(pool->named, pickle, word) : -1;
    Py_XDECREF(word);
    return r;
}

/* Functions whose pickle is the same each time. */
static void remember(struct shpy_pool *pool, PyObject *function, uint64_t word)
{
    if (!PyFunction_Check(function) && !PyCFunction_Check(function) && !PyType_Check(function))
        return;
    struct shpy_known *known = &pool->known[pool->known_next++ % SHPY_KNOWN];
    PyObject *before = known->function;
    known->function = Py_NewRef(function);
    known->word = word;
    Py_XDECREF(before);
}

int shpy_encode_function(struct shpy_pool *pool, PyObject *function, uint64_t *ret_word)
{
    struct shpy_message message;
    int r = 0;

    for (int i = 0; i < SHPY_KNOWN; i++) {
        if (pool->known[i].function == function) {
            *ret_word = pool->known[i].word;
            return 0;
        }
    }
    *ret_word = 0;
    if (shpy_message_encode(pool->state, function, SHPY_BUFFERS | SHPY_CLOUDPICKLE, &message) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_Exception))
            return -1;
        PyErr_Clear(); /* said again, of the task that it goes with */
        return 0;
    }
    if (message.size <= MOST_NAMED_BYTES) {
        PyObject *pickle = join_message(&message);
        r = pickle ? 0 : -1;
        if (pickle &&
            is_global_reference((unsigned char *)PyBytes_AS_STRING(pickle), (size_t)PyBytes_GET_SIZE(pickle))) {
            r = name_pickle(pool, pickle, ret_word);
            if (r == 0 && *ret_word)
                remember(pool, function, *ret_word);
        }
        Py_XDECREF(pickle);
    }
    shpy_message_clear(&message);
    return r;
}

/* --- items --- */

static int no_memory(void)
{
    PyErr_NoMemory();
    return -1;
}

static int grow_private(struct shpy_batch *batch, size_t size)
{
    size_t capacity = 2 * batch->capacity + size + 1024;
    char *data = PyMem_RawRealloc(batch->data, capacity);

    if (!data)
        return no_memory();
    batch->data = data;
    batch->capacity = capacity;
    return 0;
}

static void use_block(struct shpy_batch *batch, uint64_t block)
{
    batch->block = block;
    batch->parts = sh_at(block);
    batch->data = (char *)sh_at(block) + batch->head;
    batch->capacity = sh_block_capacity(block) - batch->head;
}

static int grow_block(struct shpy_batch *batch, size_t size)
{
    uint64_t block, before = batch->block;
    int r = sh_block_alloc(batch->head + 2 * batch->capacity + size, &block);

    if (r < 0) {
        shpy_error_raise(r, "no room for a task's items");
        return -1;
    }
    memcpy(sh_at(block), sh_at(before), batch->count * sizeof(struct sh_part));
    memcpy((char *)sh_at(block) + batch->head, batch->data, batch->size);
    use_block(batch, block);
    sh_block_free(before);
    return 0;
}

int shpy_encode_grow(struct shpy_batch *batch, size_t size)
{
    if (sh_likely(batch->capacity - batch->size >= size))
        return 0;
    return batch->block ? grow_block(batch, size) : grow_private(batch, size);
}

int shpy_encode_begin(struct shpy_batch *batch, size_t most)
{
    uint64_t block;

    *batch = (struct shpy_batch){.room = most};
    if (most < LEAST_IN_BLOCK) {
        batch->parts = PyMem_RawMalloc((most + 1) * sizeof *batch->parts);
        return batch->parts ? 0 : no_memory();
    }
    batch->head = sh_round_up((most + 1) * sizeof(struct sh_part), (size_t)DATA_ALIGNMENT);
    int r = sh_block_alloc(batch->head + most * LIKELY_SIZE + SHPY_SMALL, &block);
    if (r < 0) {
        shpy_error_raise(r, "no room for a task's items");
        return -1;
    }
    use_block(batch, block);
    return 0;
}

static void add_part(struct shpy_batch *batch, size_t offset, size_t size)
{
    batch->parts[batch->count++] = (struct sh_part){.offset = batch->head + offset, .size = size};
    batch->size = sh_round_up(offset + size, (size_t)8);
}

static int is_frame(const struct shpy_message *message)
{
    const uint32_t magic = SHPY_FRAME;
    return message->size >= sizeof magic && memcmp(message->parts[0].data, &magic, sizeof magic) == 0;
}

static int add_message(struct shpy_batch *batch, const struct shpy_message *message)
{
    if (shpy_encode_grow(batch, message->size + 2 * DATA_ALIGNMENT) < 0)
        return -1;
    size_t offset = is_frame(message) ? sh_round_up(batch->size, (size_t)DATA_ALIGNMENT) : batch->size;
    sh_parts_copy(batch->data + offset, message->parts, message->count);
    add_part(batch, offset, message->size);
    return 0;
}

void shpy_encode_unread(struct shpy_pool *pool)
{
    PyObject *error = shpy_error_take();
    int has_hook = PyObject_HasAttrString((PyObject *)pool, "_unread");
    PyObject *raised = has_hook ? PyObject_CallMethod((PyObject *)pool, "_unread", "O", error) : Py_NewRef(error);

    shpy_error_set(raised);
    Py_DECREF(error);
}

/* An item that cannot be written costs that item: its exception stays here. */
static int note_error(struct shpy_batch *batch)
{
    PyObject *error = shpy_error_take_exception();

    if (!error)
        return -1;
    if (!batch->errors)
        batch->errors = PyDict_New();
    PyObject *number = batch->errors ? PyLong_FromSize_t(batch->count) : NULL;
    int r = number ? PyDict_SetItem(batch->errors, number, error) : -1;
    Py_XDECREF(number);
    Py_DECREF(error);
    if (r < 0 || shpy_encode_grow(batch, 8) < 0)
        return -1;
    batch->data[batch->size] = SHPY_RESULT_HERE;
    add_part(batch, batch->size, 1);
    return 0;
}

static int encode_item(struct shpy_pool *pool, struct shpy_batch *batch, PyObject *item)
{
    struct shpy_message message;

    if (shpy_encode_grow(batch, SHPY_SMALL + 8) < 0)
        return -1;
    size_t size = shpy_fast_write(item, batch->data + batch->size, SHPY_SMALL);
    if (sh_likely(size)) {
        add_part(batch, batch->size, size);
        return 0;
    }
    if (shpy_message_encode(pool->state, item, SHPY_BUFFERS | SHPY_CLOUDPICKLE, &message) < 0)
        return note_error(batch);
    int r = add_message(batch, &message);
    shpy_message_clear(&message);
    return r;
}

int shpy_encode_items(struct shpy_pool *pool, struct shpy_batch *batch, PyObject *iterator, size_t most)
{
    iternextfunc next = Py_TYPE(iterator)->tp_iternext;
    int r = 0;

    if (most > batch->room - batch->count)
        most = batch->room - batch->count;
    while (r == 0 && most-- > 0) {
        PyObject *item = next(iterator);
        if (!item) {
            if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_StopIteration))
                PyErr_Clear();
            return PyErr_Occurred() ? -1 : 0;
        }
        r = encode_item(pool, batch, item);
        Py_DECREF(item);
    }
    return r;
}

void shpy_encode_clear(struct shpy_batch *batch)
{
    if (batch->block) {
        sh_block_free(batch->block);
    } else {
        PyMem_RawFree(batch->parts);
        PyMem_RawFree(batch->data);
    }
    *batch = (struct shpy_batch){.errors = batch->errors};
    Py_CLEAR(batch->errors);
}
