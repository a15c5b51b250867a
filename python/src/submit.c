/* submit.c - handing tasks to the core: a single call, or a batch of items. */
#include "pool/submit.h"

#include "arena/block.h"
#include "base/parts.h"
#include "pool.h"

#include <errno.h>
#include <string.h>

#define DATA_ALIGNMENT 64
#define FEW_ITEMS 10000
#define ROOM_FEW 56  /* bytes for each result of few items, so that most lie in their records */
#define ROOM_MANY 16 /* and of many */
#define LEAST_UNLOCKED 65536

/* The pool was given up: the error says why. */
static void raise_broken(struct shpy_pool *pool)
{
    PyObject *exception = PyObject_CallMethod((PyObject *)pool, "_failure", "iiiiiis", -ENOEXEC, 0, 0, 0, 0, 0,
                                              pool->shared->reason[0] ? pool->shared->reason
                                                                      : "worker after worker died before it had begun");

    shpy_error_set(exception);
}

int shpy_submit_raise(struct shpy_pool *pool, int code)
{
    if (code == -EPIPE)
        PyErr_SetString(PyExc_ValueError, "Pool not running");
    else if (code == -EPERM)
        PyErr_SetString(PyExc_RuntimeError, "a pool can be used by the process alone that opened it: pass what is to "
                                            "be done to that one, or open a pool here");
    else if (code == -ENOEXEC)
        raise_broken(pool);
    else
        shpy_error_raise(code, "a task cannot be submitted");
    return -1;
}

static int submit(struct shpy_pool *pool, struct sh_submission *submission, shoal_future **ret_future)
{
    submission->timeout = SHOAL_FOREVER;
    int r = sh_pool_enter(pool->pool);
    if (r == 0)
        r = sh_submit(pool->pool, submission, ret_future);
    return r;
}

/* --- a call --- */

static int copy_to_block(const struct shpy_message *message, uint64_t *ret_block)
{
    int r;

    if (message->size < LEAST_UNLOCKED) {
        r = sh_block_alloc(message->size, ret_block);
        if (r == 0)
            sh_parts_copy(sh_at(*ret_block), message->parts, message->count);
        return r;
    }
    Py_BEGIN_ALLOW_THREADS;
    r = sh_block_alloc(message->size, ret_block);
    if (r == 0)
        sh_parts_copy(sh_at(*ret_block), message->parts, message->count);
    Py_END_ALLOW_THREADS;
    return r;
}

static int submit_message(struct shpy_pool *pool, const struct shpy_message *message, struct sh_submission *submission,
                          shoal_future **ret_future)
{
    char small[SH_JOB_INLINE_ARGUMENT];
    int r = 0;

    submission->count = 1;
    if (message->count == 1 && message->size <= sizeof small) {
        submission->items = message->parts[0].data;
        submission->size = message->size;
    } else {
        r = copy_to_block(message, &submission->block);
        submission->block_size = message->size;
    }
    if (r == 0)
        r = submit(pool, submission, ret_future);
    if (r < 0 && submission->block)
        sh_block_free(submission->block);
    return r < 0 ? shpy_submit_raise(pool, r) : 0;
}

/* What a call's item is made of: a new reference. */
static PyObject *build_call(PyObject *function, PyObject *args, PyObject *kwds, uint64_t *word)
{
    int has_keywords = kwds && kwds != Py_None ? PyObject_IsTrue(kwds) : 0;

    if (has_keywords < 0)
        return NULL;
    if (*word && !has_keywords) {
        *word |= SHPY_CALL_ARGS;
        return Py_NewRef(args);
    }
    if (*word) {
        *word |= SHPY_CALL_PAIR;
        return PyTuple_Pack(2, args, kwds);
    }
    *word = SHPY_CALL_WHOLE;
    return PyTuple_Pack(3, function, args, has_keywords ? kwds : Py_None);
}

int shpy_submit_call(struct shpy_pool *pool, PyObject *function, PyObject *args, PyObject *kwds,
                     shoal_future_callback *callback, void *context, PyObject **ret_errors, shoal_future **ret_future)
{
    struct sh_submission submission = {.callback = callback, .context = context};
    struct shpy_message message;
    static const char here = SHPY_RESULT_HERE;

    *ret_errors = NULL;
    if (shpy_encode_function(pool, function, &submission.word) < 0)
        return -1;
    PyObject *call = build_call(function, args, kwds, &submission.word);
    if (!call)
        return -1;
    int r = shpy_message_encode(pool->state, call, SHPY_BUFFERS | SHPY_CLOUDPICKLE, &message);
    Py_DECREF(call);
    if (r == 0) {
        r = submit_message(pool, &message, &submission, ret_future);
        shpy_message_clear(&message);
        return r;
    }
    PyObject *error = shpy_error_take_exception();
    *ret_errors = error ? Py_BuildValue("{iN}", 0, error) : NULL;
    if (!*ret_errors)
        return -1;
    submission.items = &here;
    submission.size = submission.count = 1;
    r = submit(pool, &submission, ret_future);
    if (r == 0)
        return 0;
    Py_CLEAR(*ret_errors);
    return shpy_submit_raise(pool, r);
}

/* --- a batch --- */

/* A block for what is in private memory. */
static int move_to_block(struct shpy_batch *batch)
{
    size_t head = sh_round_up((batch->count + 1) * sizeof(struct sh_part), (size_t)DATA_ALIGNMENT);
    uint64_t block;
    int r = sh_block_alloc(head + batch->size + DATA_ALIGNMENT, &block);

    if (r < 0)
        return r;
    struct sh_part *parts = sh_at(block);
    for (size_t i = 0; i < batch->count; i++)
        parts[i] = (struct sh_part){.offset = head + batch->parts[i].offset, .size = batch->parts[i].size};
    if (batch->size)
        memcpy((char *)sh_at(block) + head, batch->data, batch->size);
    PyMem_RawFree(batch->parts);
    PyMem_RawFree(batch->data);
    batch->block = block;
    batch->head = head;
    batch->parts = parts;
    batch->data = (char *)parts + head;
    batch->capacity = sh_block_capacity(block) - head;
    return 0;
}

/* The job's block: where each item lies, and what they have in common, then the bytes. */
static int make_block(struct shpy_pool *pool, struct shpy_batch *batch, const struct shpy_message *common,
                      struct sh_submission *submission)
{
    size_t at = sh_round_up(batch->size, (size_t)DATA_ALIGNMENT);
    int r = batch->block ? 0 : move_to_block(batch);

    if (r < 0)
        return shpy_submit_raise(pool, r);
    if (common->size && shpy_encode_grow(batch, common->size + 2 * DATA_ALIGNMENT) < 0)
        return -1;
    if (common->size) {
        batch->parts[batch->count] = (struct sh_part){.offset = batch->head + at, .size = common->size};
        sh_parts_copy(batch->data + at, common->parts, common->count);
        batch->size = at + common->size;
    }
    submission->block = batch->block;
    submission->block_size = batch->head + batch->size;
    submission->block_flags = SH_JOB_SIZES | (common->size ? SH_JOB_COMMON : 0);
    return 0;
}

/* Encode what the items have in common: nothing, where the function has a name; 1 where it cannot be written. */
static int encode_common(struct shpy_pool *pool, PyObject *function, uint64_t *ret_word,
                         struct shpy_message *ret_common)
{
    ret_common->size = ret_common->count = 0;
    ret_common->keep = ret_common->heap = NULL;
    if (shpy_encode_function(pool, function, ret_word) < 0)
        return -1;
    return *ret_word ? 0 : shpy_message_encode(pool->state, function, SHPY_BUFFERS | SHPY_CLOUDPICKLE, ret_common);
}

/* The function cannot be written: that is what each item comes to. */
static int fail_all(struct shpy_batch *batch)
{
    PyObject *error = shpy_error_take_exception();
    int r = error ? 0 : -1;

    Py_XSETREF(batch->errors, PyDict_New());
    if (!batch->errors)
        r = -1;
    for (size_t i = 0; r == 0 && i < batch->count; i++) {
        PyObject *number = PyLong_FromSize_t(i);
        r = number ? PyDict_SetItem(batch->errors, number, error) : -1;
        Py_XDECREF(number);
        batch->parts[i].size = 1;
        batch->data[batch->parts[i].offset - batch->head] = SHPY_RESULT_HERE;
    }
    Py_XDECREF(error);
    return r;
}

int shpy_submit_batch(struct shpy_pool *pool, PyObject *function, struct shpy_batch *batch, enum shpy_call call,
                      size_t chunk, shoal_future_callback *callback, void *context, shoal_future **ret_future)
{
    struct sh_submission submission = {.callback = callback,
                                       .context = context,
                                       .count = batch->count,
                                       .chunk = chunk,
                                       .result_size = batch->count <= FEW_ITEMS ? ROOM_FEW : ROOM_MANY};
    struct shpy_message common;
    int r = 0;

    if (encode_common(pool, function, &submission.word, &common) < 0 && fail_all(batch) < 0)
        return -1;
    submission.word |= call;
    if (batch->count == 1 && common.size == 0 && batch->parts[0].size <= SH_JOB_INLINE_ARGUMENT) {
        submission.items = batch->data + (batch->parts[0].offset - batch->head);
        submission.size = batch->parts[0].size;
    } else if (batch->count) {
        r = make_block(pool, batch, &common, &submission);
    }
    shpy_message_clear(&common);
    if (r < 0)
        return -1;
    r = submit(pool, &submission, ret_future);
    if (r < 0)
        return shpy_submit_raise(pool, r);
    if (submission.block) /* it is the job's now */
        *batch = (struct shpy_batch){.errors = batch->errors, .count = batch->count};
    return 0;
}
