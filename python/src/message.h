/* message.h - Python objects as messages.
 *
 * Every message is a pickle. Common small objects are written and read here, without the pickle module; all others go
 * through its C pickler, with the reducers that are registered with ForkingPickler, protocol 5. Where the pickle leaves
 * buffers outside (numpy arrays), the message begins with struct shpy_frame instead: all of it is one block. */
#ifndef SHPY_MESSAGE_H
#define SHPY_MESSAGE_H

#include "module.h"

#define SHPY_SMALL 1024 /* bytes of a message that is written without a pickler: what lies in a queue's ring */
#define SHPY_LEAST_UNLOCKED 65536 /* bytes of a message that is copied without the interpreter's lock */
#define SHPY_MOST_BUFFERS 100
#define SHPY_FEW_PARTS 4

/* An object on its way out. parts point into small, and into what keep holds. */
struct shpy_message {
    struct shoal_bytes *parts; /* few, or of the heap */
    size_t count;
    size_t size; /* of all parts */
    PyObject *keep;
    struct shoal_bytes few[SHPY_FEW_PARTS];
    void *heap;
    char small[SHPY_SMALL];
};

/* Begin of a message with buffers: then for each its size times two, plus one where it is read-only (uint64_t), the
 * pickle, and each buffer at a multiple of 64. */
struct shpy_frame {
    uint32_t magic; /* SHPY_FRAME: no pickle begins so */
    uint32_t count;
    uint64_t pickle; /* its size */
};
#define SHPY_FRAME 0xf5fb5eedu

/* How an object may be written. */
enum shpy_ways {
    SHPY_BUFFERS = 1 << 0,     /* buffers may be left outside of the pickle */
    SHPY_CLOUDPICKLE = 1 << 1, /* what plain pickle refuses goes through cloudpickle, where that is installed */
};

/* Write an object: 0, or -1 with an exception. Then clear, when it has been sent. */
int shpy_message_encode(struct shpy_state *state, PyObject *object, unsigned ways, struct shpy_message *ret_message);
void shpy_message_clear(struct shpy_message *message);

/* Read an object from bytes that stay as they are until this returns. */
PyObject *shpy_message_decode(struct shpy_state *state, const char *data, size_t size);

/* Whether these bytes are a message with buffers, which wants a block. */
int shpy_message_is_frame(const char *data, size_t size);

/* The same for a message that was received in a block, after its first `skip` bytes (a multiple of 64). The block
 * belongs to the call. Its buffers stay in the block, and keep it until they are gone. */
PyObject *shpy_message_decode_block(struct shpy_state *state, struct shoal_message *message, size_t skip);

/* The same for size bytes of a block of block.h. */
PyObject *shpy_message_decode_owned(struct shpy_state *state, PyObject *block, size_t skip, size_t size);

/* A new bytes object. Many bytes are copied without the interpreter's lock, into huge pages where the kernel has them:
 * first touch of small ones takes longer than the copy. */
PyObject *shpy_message_copy_bytes(const char *from, size_t size);

/* fast.c: without the pickle module. Write at most capacity bytes: how many, 0 where it cannot be written here. */
size_t shpy_fast_write(PyObject *object, char *to, size_t capacity);
/* A new reference; NULL without an exception where it cannot be read here; NULL with one. */
PyObject *shpy_fast_read(const char *data, size_t size);

/* pickler.c: pickle an object: a list of bytes objects that follow each other, and where there are buffers
 * outside a list of PickleBuffers (else ret_buffers is not touched). */
int shpy_pickler_dump(struct shpy_state *state, PyObject *object, unsigned ways, PyObject **ret_pieces,
                      PyObject **ret_buffers);

#endif
