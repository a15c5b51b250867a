/* wire.h - a connection, and how messages look on its descriptor.
 *
 * On the descriptor messages look as multiprocessing's do: a length of 4 bytes, or -1 and one of 8, then the bytes. So
 * either end may be multiprocessing's. Where both ends were made by Pipe they have a queue of the core for each
 * direction, their sides: a large message goes in there, and what goes through the descriptor is -2 and the message's
 * id. It is in the side before its id is sent; where a sender dies between the two, it is skipped by the id of the
 * next. A side that is not emptied is left alone: then large messages go through the descriptor too, which makes their
 * sender wait; and who sends a very large one waits until it is taken. */
#ifndef SHPY_WIRE_H
#define SHPY_WIRE_H

#include "block.h"
#include "message.h"

/* fd: -1 when closed. out and in: NULL where there is no side. */
struct shpy_connection {
    PyObject_HEAD;
    struct shpy_state *state;
    int fd;
    int is_readable;
    int is_writable;
    shoal_queue *out;
    shoal_queue *in;
};

/* A message that is coming: its size, or where it lies in the side, behind SHPY_SIDE_HEAD bytes. */
struct shpy_coming {
    uint64_t size;
    struct shoal_message side; /* block is 0 where it comes through the descriptor */
};
#define SHPY_SIDE_HEAD 64 /* a message's id, and room that keeps what follows aligned */

/* All of these: 0, or -1 with an exception. */
int shpy_wire_check_open(const struct shpy_connection *connection);
int shpy_wire_send(struct shpy_connection *connection, const struct shoal_bytes *parts, size_t count, uint64_t size);
/* The begin of a message. Then read it, or release its side. */
int shpy_wire_receive_head(struct shpy_connection *connection, struct shpy_coming *ret_coming);
int shpy_wire_read(struct shpy_connection *connection, char *to, size_t size);

/* Drop a message whose begin was received through the descriptor, for want of memory, as the exception that is set
 * says: NULL. */
PyObject *shpy_wire_skip(struct shpy_connection *connection, struct shpy_coming *coming);

/* The whole of a message whose begin was received, as bytes. */
PyObject *shpy_wire_receive_bytes(struct shpy_connection *connection, struct shpy_coming *coming);

PyObject *shpy_wire_raise(const char *text); /* OSError */

#endif
