/* block.c - memory of a received message that Python objects keep.
 *
 * Small messages are copied. A large one stays where its sender wrote it: its pages are mapped a second time, for the
 * block alone, and the arena has them back when the block dies. But memory that Python objects have is private: after a
 * fork neither process may see what the other writes, or what the arena does with pages it has back. So before a fork
 * each block that lies in the arena is made private: its pages are mapped anew, as a private copy, at the same address;
 * all of them are touched, which makes the copy; and the arena has its own back.
 *
 * The arena hands out the same pages again and again where messages of a size follow each other. So a few mappings are
 * kept when their block dies: what they show is what the arena has there, whatever that is then. */
#include "block.h"

#include "arena/arena.h"

#include <string.h>
#include <sys/mman.h>

#define LEAST_MAPPED (256 << 10) /* bytes of a message that is not copied */

/* data and size: the message. mapping: what is mapped around it, pages being NULL where the data was copied. message is
 * what the arena is to have back, its block 0 where it has it. previous and next link those of which it has not: under
 * the state's lock. */
struct block {
    PyObject_HEAD;
    struct shpy_state *state;
    char *data;
    size_t size;
    struct shpy_mapping mapping;
    struct shoal_message message;
    struct block *previous, *next;
    int is_linked;
};

struct part {
    PyObject_HEAD;
    PyObject *block;
    char *data;
    size_t size;
    int is_read_only;
};

static struct block *new_block(struct shpy_state *state, size_t size)
{
    struct block *block = (struct block *)state->block_type->tp_alloc(state->block_type, 0);

    if (block) {
        block->state = state;
        block->size = size;
    }
    return block;
}

PyObject *shpy_block_alloc(struct shpy_state *state, size_t size)
{
    struct block *block = new_block(state, size);

    if (!block)
        return NULL;
    block->data = PyMem_RawMalloc(size ? size : 1);
    if (!block->data) {
        Py_DECREF(block);
        return PyErr_NoMemory();
    }
    return (PyObject *)block;
}

static void link_block(struct block *block)
{
    struct shpy_state *state = block->state;

    PyThread_acquire_lock(state->block_lock, WAIT_LOCK);
    block->next = state->blocks;
    if (block->next)
        block->next->previous = block;
    state->blocks = block;
    block->is_linked = 1;
    PyThread_release_lock(state->block_lock);
}

/* 1 where it was linked, so what is mapped is the arena's; 0 where it has a private copy. */
static int unlink_locked(struct block *block)
{
    struct shpy_state *state = block->state;

    if (!block->is_linked)
        return 0;
    if (block->previous)
        block->previous->next = block->next;
    else
        state->blocks = block->next;
    if (block->next)
        block->next->previous = block->previous;
    block->previous = block->next = NULL;
    block->is_linked = 0;
    return 1;
}

static int unlink_block(struct block *block)
{
    PyThread_acquire_lock(block->state->block_lock, WAIT_LOCK);
    int was_linked = unlink_locked(block);
    PyThread_release_lock(block->state->block_lock);
    return was_linked;
}

/* Take a spare mapping of just these pages: 1; 0 where there is none. */
static int take_spare(struct shpy_state *state, struct shpy_mapping *mapping)
{
    struct shpy_mapping *spare = state->spare_mappings;
    int found = 0;

    PyThread_acquire_lock(state->block_lock, WAIT_LOCK);
    for (int i = 0; i < SHPY_SPARE_MAPPINGS && !found; i++) {
        if (!spare[i].pages || spare[i].offset != mapping->offset || spare[i].bytes != mapping->bytes)
            continue;
        *mapping = spare[i];
        spare[i].pages = NULL;
        found = 1;
    }
    PyThread_release_lock(state->block_lock);
    return found;
}

/* Keep a mapping that is no longer needed; the oldest of the others gives way. */
static void keep_spare(struct shpy_state *state, const struct shpy_mapping *mapping)
{
    struct shpy_mapping *spare = state->spare_mappings;
    int place = 0; /* that goes: an empty one, else the oldest */

    PyThread_acquire_lock(state->block_lock, WAIT_LOCK);
    for (int i = 0; i < SHPY_SPARE_MAPPINGS; i++)
        if (!spare[i].pages)
            place = i;
    struct shpy_mapping gone = spare[place];
    for (int i = place; i < SHPY_SPARE_MAPPINGS - 1; i++)
        spare[i] = spare[i + 1];
    spare[SHPY_SPARE_MAPPINGS - 1] = *mapping;
    PyThread_release_lock(state->block_lock);
    if (gone.pages)
        munmap(gone.pages, gone.bytes);
}

/* Map the message's pages once more: 0, or -1 where they cannot be. */
static int map_pages(struct block *block, const struct shoal_message *message)
{
    struct shpy_mapping *mapping = &block->mapping;
    uint64_t page_size = sh_arena.shared->page_size;
    uint64_t begin = sh_offset(message->data), end = begin + message->size;

    mapping->offset = begin / page_size * page_size;
    mapping->bytes = (size_t)(sh_round_up(end, page_size) - mapping->offset);
    if (!take_spare(block->state, mapping)) {
        void *pages = mmap(NULL, mapping->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, sh_arena.fd,
                           (off_t)mapping->offset);
        if (pages == MAP_FAILED)
            return -1;
        mapping->pages = pages;
    }
    block->data = mapping->pages + (begin - mapping->offset);
    return 0;
}

PyObject *shpy_block_new(struct shpy_state *state, struct shoal_message *message)
{
    if (message->size >= LEAST_MAPPED) {
        struct block *block = new_block(state, message->size);
        if (!block)
            return NULL;
        if (map_pages(block, message) == 0) {
            block->message = *message;
            *message = (struct shoal_message){0};
            link_block(block);
            return (PyObject *)block;
        }
        Py_DECREF(block);
    }
    PyObject *object = shpy_block_alloc(state, message->size);
    if (object) {
        memcpy(((struct block *)object)->data, message->data, message->size);
        shoal_message_release(message);
    }
    return object;
}

PyObject *shpy_block_borrow(struct shpy_state *state, const void *data, size_t size)
{
    struct shoal_message message = {.data = (void *)(uintptr_t)data, .size = size};

    return shpy_block_new(state, &message);
}

char *shpy_block_data(PyObject *block)
{
    return ((struct block *)block)->data;
}

/* Give the arena its pages back, and keep a private copy of them: 0, or -1 where there are no pages for that. */
static int make_private(struct block *block)
{
    const struct shpy_mapping *mapping = &block->mapping;
    size_t page_size = sh_arena.shared->page_size;
    void *pages = mmap(mapping->pages, mapping->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, sh_arena.fd,
                       (off_t)mapping->offset);

    if (pages == MAP_FAILED)
        return -1;
    for (size_t at = 0; at < mapping->bytes; at += page_size) /* a write that changes nothing copies the page */
        __atomic_fetch_or(mapping->pages + at, 0, __ATOMIC_RELAXED);
    shoal_message_release(&block->message);
    return 0;
}

/* Under the state's lock. */
static int keep_private(struct block *block)
{
    int r = make_private(block);

    if (r == 0)
        unlink_locked(block);
    return r;
}

int shpy_block_return(PyObject *object)
{
    struct block *block = (struct block *)object;
    int r = 0;

    if (Py_REFCNT(object) > 1 && block->mapping.pages) {
        PyThread_acquire_lock(block->state->block_lock, WAIT_LOCK);
        if (block->is_linked)
            r = keep_private(block);
        PyThread_release_lock(block->state->block_lock);
    }
    Py_DECREF(object);
    if (r < 0)
        PyErr_NoMemory();
    return r;
}

PyObject *shpy_block_before_fork(PyObject *module, PyObject *unused)
{
    (void)unused;
    struct shpy_state *state = PyModule_GetState(module);
    int r = 0;

    PyThread_acquire_lock(state->block_lock, WAIT_LOCK);
    while (r == 0 && state->blocks)
        r = keep_private(state->blocks);
    PyThread_release_lock(state->block_lock);
    if (r < 0)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static void block_dealloc(PyObject *object)
{
    struct block *block = (struct block *)object;
    PyTypeObject *type = Py_TYPE(object);

    if (block->mapping.pages) {
        if (unlink_block(block))
            keep_spare(block->state, &block->mapping);
        else
            munmap(block->mapping.pages, block->mapping.bytes);
        shoal_message_release(&block->message);
    } else {
        PyMem_RawFree(block->data);
    }
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
    state->block_lock = PyThread_allocate_lock();
    if (!state->block_lock)
        PyErr_NoMemory();
    return state->block_type && state->part_type && state->block_lock ? 0 : -1;
}

void shpy_block_clear(struct shpy_state *state)
{
    for (int i = 0; i < SHPY_SPARE_MAPPINGS; i++)
        if (state->spare_mappings[i].pages)
            munmap(state->spare_mappings[i].pages, state->spare_mappings[i].bytes);
    memset(state->spare_mappings, 0, sizeof state->spare_mappings);
    if (state->block_lock && !state->blocks) {
        PyThread_free_lock(state->block_lock);
        state->block_lock = NULL;
    }
}
