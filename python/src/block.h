/* block.h - memory of a received message that Python objects keep: numpy arrays, and whatever takes a pickle's buffers.
 */
#ifndef SHPY_BLOCK_H
#define SHPY_BLOCK_H

#include "module.h"

/* The memory of a message, which is the object's on success. */
PyObject *shpy_block_new(struct shpy_state *state, struct shoal_message *message);
/* The same of memory in the arena that stays another's. Return it before that one may take it back: who keeps some of
 * it has a private copy then. -1 with an exception, where there is no memory for that. */
PyObject *shpy_block_borrow(struct shpy_state *state, const void *data, size_t size);
int shpy_block_return(PyObject *block);
/* The same of memory to be filled. */
PyObject *shpy_block_alloc(struct shpy_state *state, size_t size);
char *shpy_block_data(PyObject *block);

/* Some of it, as an object with a buffer. It keeps the block. */
PyObject *shpy_block_part(PyObject *block, size_t offset, size_t size, int is_read_only);

/* The function of the module that is called before a fork. */
PyObject *shpy_block_before_fork(PyObject *module, PyObject *unused);

void shpy_block_clear(struct shpy_state *state);
int shpy_block_add(PyObject *module, struct shpy_state *state);

#endif
