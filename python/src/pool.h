/* pool.h - what the files of the pool share: a pool of the core, its results, and how a task is written.
 *
 * A task's word (pool/job.h) says how its item is to be read, in the lowest three bits, and which function is called:
 * the rest is the name of one that the pool keeps, a pickle that is a reference to something global; 0 where the
 * function goes with the task. The result is a message, or begins with a byte that no message begins with. */
#ifndef SHPY_POOL_H
#define SHPY_POOL_H

#include "message.h"
#include "pool/pool.h"

#include <pthread.h>

enum shpy_call {
    SHPY_CALL_ARGS,  /* the item is args, the function is named */
    SHPY_CALL_PAIR,  /* (args, kwds), the function is named */
    SHPY_CALL_WHOLE, /* (function, args, kwds) */
    SHPY_CALL_ITEM,  /* the only argument; the function is named, or what the items have in common */
    SHPY_CALL_STAR,  /* the same, all arguments */
    SHPY_CALL_MASK = 7,
};

#define SHPY_RESULT_HERE 'X'  /* one byte, as an item and as its result: main has an exception for it */
#define SHPY_RESULT_ERROR 'E' /* then what Pool._describe wrote */

/* Functions that main has found names for: a few, the oldest is replaced. */
enum { SHPY_KNOWN = 16 };
struct shpy_known {
    PyObject *function;
    uint64_t word;
};

/* pool: main's, NULL in workers that were started afresh. shared: the pool's body. ended: results whose callbacks are
 * due, under mutex, linked by their next; outstanding: those that are not yet ended too, under the interpreter's lock.
 */
struct shpy_pool {
    PyObject_HEAD;
    struct shpy_state *state;
    shoal_pool *pool;
    struct sh_pool_shared *shared;
    struct shpy_known known[SHPY_KNOWN];
    unsigned known_next;
    PyObject *named; /* dict: pickle of a function -> word */
    pthread_mutex_t mutex;
    struct shpy_result *ended_first, *ended_last;
    Py_ssize_t outstanding;
    int is_handled; /* a thread waits for them */
    int is_closed;  /* to new tasks */
    int is_keeper;  /* this process is the pool's keeper */
    int is_worker;  /* attached to another process's pool */
};

/* A task, or a map. future: NULL when value is known. errors: dict of exceptions by item, for items that could not be
 * written; NULL: none. value: the result or the exception, when it was asked for. is_called: callbacks, if any, were.
 */
struct shpy_result {
    PyObject_HEAD;
    struct shpy_pool *pool;
    shoal_future *future;
    PyObject *errors;
    PyObject *value;
    PyObject *list; /* of a map that is being read: `collected` of it, and */
    PyObject *failure;
    uint64_t collected;
    PyObject *callback;
    PyObject *error_callback;
    struct shpy_result *next;
    uint64_t count;
    uint64_t chunk;
    int waiters; /* threads that look at the future without the interpreter's lock */
    int is_map;
    int success;
    int has_callback;
    _Atomic int is_called;
    _Atomic int is_settling;
};

/* Items on their way: where each lies, and their bytes. Few are in private memory; many in the block that will be the
 * job's, behind head bytes of it, which is the place of parts, and of one more. */
struct shpy_batch {
    struct sh_part *parts;
    size_t count, room;
    char *data;
    size_t size, capacity;
    uint64_t block; /* 0: private memory */
    size_t head;
    PyObject *errors;
};

/* encode.c: the word for a function, 0 where it must go with its task: 0, or -1 with an exception. */
int shpy_encode_function(struct shpy_pool *pool, PyObject *function, uint64_t *ret_word);
/* Before the first of so many items, at most. And more room for their bytes. */
int shpy_encode_begin(struct shpy_batch *batch, size_t most);
int shpy_encode_grow(struct shpy_batch *batch, size_t size);
/* Items of an iterator, until it ends or there are most of them. */
int shpy_encode_items(struct shpy_pool *pool, struct shpy_batch *batch, PyObject *iterator, size_t most);
void shpy_encode_clear(struct shpy_batch *batch);
/* Unpickling raised what is set: where the pool has an _unread(error), what that returns is raised instead. */
void shpy_encode_unread(struct shpy_pool *pool);

/* submit.c: -1 with an exception. callback may be NULL. */
int shpy_submit_call(struct shpy_pool *pool, PyObject *function, PyObject *args, PyObject *kwds,
                     shoal_future_callback *callback, void *context, PyObject **ret_errors, shoal_future **ret_future);
int shpy_submit_batch(struct shpy_pool *pool, PyObject *function, struct shpy_batch *batch, enum shpy_call call,
                      size_t chunk, shoal_future_callback *callback, void *context, shoal_future **ret_future);
/* Raise for a negative code of submitting: -1. */
int shpy_submit_raise(struct shpy_pool *pool, int code);

/* outcome.c */
/* The value of an item that has ended: NULL with the exception that it ended with. */
PyObject *shpy_outcome_item(struct shpy_pool *pool, shoal_future *future, uint64_t item, PyObject *errors);
/* Find out what came of a task, waiting for it; wait for it (with callbacks, until they were called). 0, -EAGAIN,
 * -ETIMEDOUT; another code with an exception. Whether that would wait. */
int shpy_outcome_settle(struct shpy_result *result, int64_t timeout);
int shpy_outcome_await(struct shpy_result *result, int64_t timeout);
int shpy_outcome_is_ready(struct shpy_result *result);
/* Wait for it and say what came of it: a new reference. */
PyObject *shpy_outcome_get(struct shpy_result *result, int64_t timeout);

/* callback.c */
/* Before the result's task is submitted; where that fails; when it is. */
shoal_future_callback *shpy_callback_expect(struct shpy_result *result);
void shpy_callback_cancel(struct shpy_result *result);
int shpy_callback_begin(struct shpy_result *result, shoal_future *future, uint64_t count, PyObject *errors);
/* Methods of the pool, and of results. */
PyObject *shpy_callback_await_ended(PyObject *pool, PyObject *unused);
PyObject *shpy_callback_watch(PyObject *result, PyObject *callback);
PyObject *shpy_callback_call(PyObject *result, PyObject *unused);

/* result.c */
PyObject *shpy_result_new(struct shpy_pool *pool, PyObject *callback, PyObject *error_callback);
int shpy_result_add(PyObject *module, struct shpy_state *state);

/* imap.c */
int shpy_imap_add(PyObject *module, struct shpy_state *state);

/* launch.c: how its processes are started; worker.c: what they do. Methods of the pool. */
PyObject *shpy_launch_open(PyObject *pool, PyObject *args);
PyObject *shpy_worker_serve(PyObject *pool, PyObject *args);

/* family.c: what the next fork of this thread takes. */
void shpy_family_next_fork(uint32_t tag, int ticket);

#endif
