/* worker.c - what a worker does: reads an item, calls, writes what came of it. */
#include "base/parts.h"
#include "block.h"
#include "pool.h"
#include "pool/names.h"
#include "pool/run.h"

#include <errno.h>
#include <string.h>

#define FOUND 64 /* functions that a worker has read, by their words */
#define LEAST_UNLOCKED 65536

struct worker {
    struct shpy_pool *pool;
    PyThreadState *thread; /* while it sleeps */
    PyObject *flush;       /* of sys.stdout and sys.stderr */
    int passes_all;        /* whatever a function raises costs its task: it may be SystemExit */
    PyObject *common;      /* the function of a map that has no name: read once for each chunk */
    const void *common_at;
    uint64_t words[FOUND];
    PyObject *functions[FOUND];
};

/* --- what is called --- */

static PyObject *read_named(struct worker *worker, uint64_t word)
{
    unsigned at = (unsigned)(word >> 4) % FOUND;

    if (sh_likely(worker->words[at] == word))
        return Py_NewRef(worker->functions[at]);
    struct shoal_bytes text = sh_names_text(word);
    PyObject *function = shpy_message_decode(worker->pool->state, text.data, text.size);
    if (!function)
        return NULL;
    worker->words[at] = word;
    Py_XSETREF(worker->functions[at], Py_NewRef(function));
    return function;
}

/* An object written in memory of the arena that is main's. *ret_block: what it may lie in, to be returned. */
static PyObject *read_object(struct worker *worker, const char *data, size_t size, PyObject **ret_block)
{
    struct shpy_state *state = worker->pool->state;

    if (sh_likely(!shpy_message_is_frame(data, size)))
        return shpy_message_decode(state, data, size);
    *ret_block = shpy_block_borrow(state, data, size);
    return *ret_block ? shpy_message_decode_owned(state, *ret_block, 0, size) : NULL;
}

/* What a call is made of. blocks: what its parts lie in. */
struct call {
    PyObject *function, *args, *kwds;
    int is_read;
    PyObject *blocks[2];
};

static void clear_call(struct call *call)
{
    Py_CLEAR(call->function);
    Py_CLEAR(call->args);
    Py_CLEAR(call->kwds);
}

/* When nothing of the call is used any more: what is kept of its blocks becomes private. */
static int return_blocks(struct call *call)
{
    int r = 0;

    for (int i = 0; i < 2; i++) {
        PyObject *block = call->blocks[i];
        call->blocks[i] = NULL;
        if (block && shpy_block_return(block) < 0)
            r = -1;
    }
    return r;
}

static int take_tuple(struct call *call, PyObject *args)
{
    call->args = PyTuple_CheckExact(args) ? Py_NewRef(args) : PySequence_Tuple(args);
    return call->args ? 0 : -1;
}

static int take_keywords(struct call *call, PyObject *kwds)
{
    if (kwds == Py_None)
        return 0;
    call->kwds = PyDict_Check(kwds) ? Py_NewRef(kwds) : NULL;
    if (!call->kwds && (call->kwds = PyDict_New()) && PyDict_Update(call->kwds, kwds) < 0)
        Py_CLEAR(call->kwds);
    return call->kwds ? 0 : -1;
}

/* The function of a map: named, or what the items have in common. */
static int take_function(struct worker *worker, const struct shoal_task *task, uint64_t name, struct call *call)
{
    if (name)
        call->function = read_named(worker, name);
    else if (task->common.data)
        call->function = read_object(worker, task->common.data, task->common.size, &call->blocks[1]);
    else
        PyErr_SetString(PyExc_SystemError, "a task without a function");
    return call->function ? 0 : -1;
}

static int take_parts(struct worker *worker, const struct shoal_task *task, PyObject *item, struct call *call)
{
    enum shpy_call shape = (enum shpy_call)(task->word & SHPY_CALL_MASK);
    uint64_t name = task->word & ~(uint64_t)SHPY_CALL_MASK;
    Py_ssize_t expected = shape == SHPY_CALL_PAIR ? 2 : 3;

    if (shape == SHPY_CALL_PAIR || shape == SHPY_CALL_WHOLE) {
        if (!PyTuple_CheckExact(item) || PyTuple_GET_SIZE(item) != expected) {
            PyErr_SetString(PyExc_SystemError, "a task that is not whole");
            return -1;
        }
        if (shape == SHPY_CALL_WHOLE)
            call->function = Py_NewRef(PyTuple_GET_ITEM(item, 0));
        else if (take_function(worker, task, name, call) < 0)
            return -1;
        if (take_tuple(call, PyTuple_GET_ITEM(item, expected - 2)) < 0)
            return -1;
        return take_keywords(call, PyTuple_GET_ITEM(item, expected - 1));
    }
    if (take_function(worker, task, name, call) < 0)
        return -1;
    if (shape == SHPY_CALL_ITEM) {
        call->args = Py_NewRef(item);
        return 0;
    }
    return take_tuple(call, item);
}

static PyObject *make_call(struct worker *worker, const struct shoal_task *task, struct call *call)
{
    PyObject *item = read_object(worker, task->data, task->size, &call->blocks[0]);
    PyObject *value = NULL;

    if (!item)
        return NULL;
    int r = take_parts(worker, task, item, call);
    Py_DECREF(item);
    call->is_read = r == 0;
    if (r == 0 && (task->word & SHPY_CALL_MASK) == SHPY_CALL_ITEM)
        value = PyObject_CallOneArg(call->function, call->args);
    else if (r == 0)
        value = PyObject_Call(call->function, call->args, call->kwds);
    clear_call(call);
    return value;
}

/* --- what came of it --- */

static int give_message(struct shoal_task *task, const struct shpy_message *message)
{
    void *to;
    int r = sh_task_reserve(task, message->size, &to);

    if (r < 0) {
        shpy_error_raise(r, "no room for a result");
        return -1;
    }
    if (message->size < LEAST_UNLOCKED) {
        sh_parts_copy(to, message->parts, message->count);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        sh_parts_copy(to, message->parts, message->count);
        Py_END_ALLOW_THREADS;
    }
    return 0;
}

static int give_bytes(struct shoal_task *task, char first, const char *data, size_t size)
{
    char *to;
    int r = sh_task_reserve(task, size + 1, (void **)&to);

    if (r < 0)
        return r;
    to[0] = first;
    if (size)
        memcpy(to + 1, data, size);
    return 0;
}

/* The exception that is set is the item's result; or, if it is none that a task may end with, the worker's end. value:
 * what could not be written, or NULL. */
static int give_error(struct worker *worker, struct shoal_task *task, PyObject *value)
{
    PyObject *error = worker->passes_all ? shpy_error_take() : shpy_error_take_exception();

    if (!error)
        return sh_task_abandon(task);
    PyObject *told = PyObject_CallMethod((PyObject *)worker->pool, "_describe", value ? "OO" : "O", error, value, NULL);
    Py_DECREF(error);
    if (!told || !PyBytes_Check(told)) {
        Py_XDECREF(told);
        return sh_task_abandon(task);
    }
    int r = give_bytes(task, SHPY_RESULT_ERROR, PyBytes_AS_STRING(told), (size_t)PyBytes_GET_SIZE(told));
    Py_DECREF(told);
    return r;
}

static int give_value(struct worker *worker, struct shoal_task *task, PyObject *value)
{
    struct shpy_message message;

    task->result_size = shpy_fast_write(value, sh_task_record(task), task->room);
    if (sh_likely(task->result_size))
        return 0;
    if (shpy_message_encode(worker->pool->state, value, SHPY_BUFFERS, &message) < 0)
        return give_error(worker, task, value);
    int r = give_message(task, &message);
    shpy_message_clear(&message);
    return r < 0 ? give_error(worker, task, NULL) : 0;
}

static int run(struct shoal_task *task)
{
    struct worker *worker = task->calls->context;
    struct call call = {0};
    int r;

    if (sh_unlikely(task->size == 1 && *(const char *)task->data == SHPY_RESULT_HERE))
        return give_bytes(task, SHPY_RESULT_HERE, NULL, 0);
    PyObject *value = make_call(worker, task, &call);
    if (sh_likely(value)) {
        r = give_value(worker, task, value);
        Py_DECREF(value);
    } else {
        clear_call(&call);
        if (!call.is_read)
            shpy_encode_unread(worker->pool);
        r = give_error(worker, task, NULL);
    }
    if (sh_unlikely(call.blocks[0] || call.blocks[1]) && return_blocks(&call) < 0)
        r = give_error(worker, task, NULL);
    return r;
}

/* --- sleeping --- */

static void rest(void *context)
{
    struct worker *worker = context;
    PyObject *nothing = PyObject_CallFunctionObjArgs(worker->flush, NULL);

    if (!nothing)
        PyErr_Clear();
    Py_XDECREF(nothing);
    worker->thread = PyEval_SaveThread();
}

static int resume(void *context)
{
    struct worker *worker = context;

    PyEval_RestoreThread(worker->thread);
    return PyErr_CheckSignals();
}

PyObject *shpy_worker_serve(PyObject *object, PyObject *args)
{
    struct worker worker = {.pool = (struct shpy_pool *)object};
    struct sh_worker_calls calls = {.run = run, .rest = rest, .resume = resume, .context = &worker};
    unsigned index, generation;

    if (!PyArg_ParseTuple(args, "IIOp:_serve", &index, &generation, &worker.flush, &worker.passes_all))
        return NULL;
    int r = sh_binding_serve(worker.pool->shared, index, generation, &calls);
    for (int i = 0; i < FOUND; i++)
        Py_XDECREF(worker.functions[i]);
    if (r < 0)
        return NULL; /* with what ended it */
    Py_RETURN_NONE;
}
