/* module.h - what the files of the extension share: the module's state, waiting, messages, and the types they add.
 *
 * There is no static state: whatever lasts belongs to the module object. Objects of our types keep a pointer to their
 * module's state; their type keeps the module alive. The core's handles may be used by all threads. What pools note of
 * their results is written under the interpreter's lock, so the module does not say that it does without: CPython's
 * free-threaded build takes the lock back when it is imported. */
#ifndef SHPY_MODULE_H
#define SHPY_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <shoal/shoal.h>
#include <stdatomic.h>
#include <stdint.h>

#if PY_VERSION_HEX < 0x030a0000
static inline PyObject *Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
static inline PyObject *Py_XNewRef(PyObject *object)
{
    Py_XINCREF(object);
    return object;
}
#endif

struct block;
struct shpy_encoder;

/* Some of the arena's pages, mapped a second time: block.c. */
struct shpy_mapping {
    char *pages;
    size_t bytes;
    uint64_t offset;
};
#define SHPY_SPARE_MAPPINGS 4

struct shpy_state {
    PyTypeObject *queue_type;
    PyTypeObject *connection_type;
    PyTypeObject *lock_type;
    PyTypeObject *event_type;
    PyTypeObject *barrier_type;
    PyTypeObject *condition_type;
    PyTypeObject *semaphore_type;
    PyTypeObject *memory_type;
    PyTypeObject *synchronized_type;
    PyTypeObject *attribute_type;
    PyTypeObject *sink_type;
    PyTypeObject *registry_type;
    PyTypeObject *block_type;
    PyTypeObject *part_type;
    PyTypeObject *pool_type;
    PyTypeObject *result_type;
    PyTypeObject *iterator_type;
    PyObject *timeout_error;  /* multiprocessing.TimeoutError */
    PyObject *empty;          /* queue.Empty */
    PyObject *full;           /* queue.Full */
    PyObject *broken_barrier; /* threading.BrokenBarrierError */
    PyObject *pickler_type;
    PyObject *loads;
    PyObject *registry; /* the pickler's dispatch table (pickler.c) */
    _Atomic(struct shpy_encoder *) spare_encoder;
    struct block *blocks; /* block.c: those that lie in the arena; under block_lock, as what follows */
    struct shpy_mapping spare_mappings[SHPY_SPARE_MAPPINGS]; /* the newest last; pages is NULL where there is none */
    PyThread_type_lock block_lock;
};

extern struct PyModuleDef shpy_module;

/* The state of the module whose type this is, or is a subclass of. */
struct shpy_state *shpy_state_of(PyTypeObject *type);

/* error.c: the one place where a code of the core becomes an exception. Returns NULL. `doing` begins the text. */
PyObject *shpy_error_raise(int code, const char *doing);
/* Raise this exception, whose reference goes with it; NULL: nothing, or what could not make it has raised another. */
PyObject *shpy_error_set(PyObject *exception);
/* Take what was raised, whatever it is, or only an Exception, which costs a task and no more: a new reference; NULL
 * leaves it raised. */
PyObject *shpy_error_take(void);
PyObject *shpy_error_take_exception(void);

/* wait.c */

/* How long to wait, from Python's arguments: 0 where block is false, else timeout in seconds, None for ever. -1 with an
 * exception. NULL stands for the default: block, for ever. */
int shpy_wait_parse(PyObject *block, PyObject *timeout, int64_t *ret_timeout);

/* Call the core until it is done: at first without waiting, then in slices, without the interpreter's lock; signal
 * handlers run between them. The core's answer; -EINTR where a handler raised: the exception is set. */
typedef int shpy_wait_call(void *context, int64_t timeout);
int shpy_wait(shpy_wait_call *call, void *context, int64_t timeout);

/* The same for what cannot be cut into slices, since it has a place among others who wait. `call` is one of sync/. */
int shpy_wait_whole(shpy_wait_call *call, void *context, int64_t timeout);

/* Split the arguments of a method (names, in order) into values: NULL where one is not given. -1 with an exception. */
int shpy_arguments(const char *function, const char *const *names, Py_ssize_t count, PyObject *const *args,
                   Py_ssize_t nargs, PyObject *kwnames, PyObject **ret_values);

/* ref.c: a shared object's name as bytes, and back: -1 without an exception where it is none. */
PyObject *shpy_ref_write(const shoal_ref *ref);
int shpy_ref_read(PyObject *object, shoal_ref *ret_ref);
/* Raise for a state that is not one of these: NULL. */
PyObject *shpy_ref_refuse(const char *what);
/* Raise for a ref that cannot be attached to, saying what to do: NULL. noun is the class's name. */
PyObject *shpy_ref_raise(int code, const char *noun);
/* Functions of the module: see arena/transit.h. */
PyObject *shpy_ref_send(PyObject *module, PyObject *name);
PyObject *shpy_ref_receive(PyObject *module, PyObject *ticket);

/* For a table of methods: a function of another shape than PyCFunction. */
#define SHPY_FASTCALL(function) ((PyCFunction)(void (*)(void))(function))

/* Types that the files add; and functions of the module. */
int shpy_pickler_add(PyObject *module, struct shpy_state *state);
void shpy_pickler_clear(struct shpy_state *state);
int shpy_queue_add(PyObject *module, struct shpy_state *state);
int shpy_connection_add(PyObject *module, struct shpy_state *state);
int shpy_lock_add(PyObject *module, struct shpy_state *state);
int shpy_event_add(PyObject *module, struct shpy_state *state);
int shpy_condition_add(PyObject *module, struct shpy_state *state);
int shpy_barrier_add(PyObject *module, struct shpy_state *state);
int shpy_semaphore_add(PyObject *module, struct shpy_state *state);
int shpy_memory_add(PyObject *module, struct shpy_state *state);
int shpy_synchronized_add(PyObject *module, struct shpy_state *state);
int shpy_pool_add(PyObject *module, struct shpy_state *state);
/* The core's lock inside a Lock or RLock; NULL where the object is neither. */
shoal_lock *shpy_lock_in(struct shpy_state *state, PyObject *object);
extern PyMethodDef shpy_family_methods[];

/* Make a heap type of the module's and add it under its name. */
PyTypeObject *shpy_type_add(PyObject *module, PyType_Spec *spec);

#endif
