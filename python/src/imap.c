/* imap.c - results one by one: the iterators of imap and imap_unordered.
 *
 * Where all items are there at the beginning (a list, a tuple, a range) they are one job, of which the results are
 * looked at as they come. Otherwise chunk after chunk is a job of its own, an entry: a thread, or with a bound the one
 * that asks for results, feeds them. In order, entries are looked at as they were fed; unordered, the core says which
 * has ended (note_end), in any thread and without the interpreter's lock. */
#include "pool.h"
#include "pool/turn.h"
#include "pool/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOST_AT_ONCE 100000            /* items of one job */
#define MOST_BYTES_AT_ONCE (64u << 20) /* and of what they are written in */
#define SAMPLE 16
#define MOST_AHEAD 1000 /* jobs that no worker has begun, before who feeds waits */

struct entry {
    struct stream *stream;
    struct entry *next;
    shoal_future *future;
    uint64_t first, count, given;
};

struct line {
    struct entry *first, *last;
};

/* What outlives the iterator until the core has said of each unordered entry that it ended. Under mutex. */
struct stream {
    pthread_mutex_t mutex;
    struct line ended;
    size_t references; /* the iterator's, and the entries' */
    int is_abandoned;
};

/* All at once: future, of which `given` items were handed out, or unordered those that taken says, all below low among
 * them. Else stream: current is being handed out; out: the other entries, in order. source: what is fed; NULL: all has
 * been. failure: what ended that, to be raised when all else was handed out. */
struct iterator {
    PyObject_HEAD;
    struct shpy_pool *pool;
    PyObject *function;
    PyObject *errors;
    PyObject *source;
    PyObject *failure;
    size_t chunk;
    size_t most; /* items fed and not handed out; 0: any number */
    int is_unordered;

    shoal_future *future;
    uint64_t count, given, low;
    char *taken;

    struct stream *stream;
    struct entry *current;
    struct line out;
    uint64_t fed;
    int is_busy; /* a thread waits in next */
};

/* --- lines --- */

static void append(struct line *line, struct entry *entry)
{
    entry->next = NULL;
    if (line->last)
        line->last->next = entry;
    else
        line->first = entry;
    line->last = entry;
}

static struct entry *take_first(struct line *line)
{
    struct entry *entry = line->first;

    if (entry) {
        line->first = entry->next;
        if (!line->first)
            line->last = NULL;
    }
    return entry;
}

static void drop_entry(struct entry *entry)
{
    if (entry)
        shoal_future_free(entry->future);
    free(entry);
}

static void drop_line(struct line *line)
{
    struct entry *entry;

    while ((entry = take_first(line)))
        drop_entry(entry);
}

/* --- streams --- */

static void hold(struct stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    stream->references++;
    pthread_mutex_unlock(&stream->mutex);
}

static void release(struct stream *stream, int abandons)
{
    struct line ended = {0};

    pthread_mutex_lock(&stream->mutex);
    stream->is_abandoned |= abandons;
    if (stream->is_abandoned) {
        ended = stream->ended;
        stream->ended = (struct line){0};
    }
    int is_last = --stream->references == 0;
    pthread_mutex_unlock(&stream->mutex);
    drop_line(&ended);
    if (!is_last)
        return;
    pthread_mutex_destroy(&stream->mutex);
    free(stream);
}

static struct stream *new_stream(void)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (!stream) {
        PyErr_NoMemory();
        return NULL;
    }
    pthread_mutex_init(&stream->mutex, NULL);
    stream->references = 1;
    return stream;
}

/* An unordered entry has ended. */
static void note_end(shoal_future *future, void *context)
{
    struct entry *entry = context;
    struct stream *stream = entry->stream;
    struct sh_word *event = &future->pool->shared->event;

    entry->future = future;
    pthread_mutex_lock(&stream->mutex);
    append(&stream->ended, entry);
    pthread_mutex_unlock(&stream->mutex);
    sh_turn_ring(event);
    release(stream, 0);
}

static struct entry *take_ended(struct stream *stream)
{
    pthread_mutex_lock(&stream->mutex);
    struct entry *entry = take_first(&stream->ended);
    pthread_mutex_unlock(&stream->mutex);
    return entry;
}

/* --- feeding --- */

/* The errors of a batch, by the items' numbers in the whole. */
static int note_errors(struct iterator *iterator, const struct shpy_batch *batch)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    int r = 0;

    if (!batch->errors)
        return 0;
    if (!iterator->errors && !(iterator->errors = PyDict_New()))
        return -1;
    while (r == 0 && PyDict_Next(batch->errors, &at, &key, &value)) {
        PyObject *number = PyLong_FromUnsignedLongLong(iterator->fed + PyLong_AsUnsignedLongLong(key));
        r = number ? PyDict_SetItem(iterator->errors, number, value) : -1;
        Py_XDECREF(number);
    }
    return r;
}

static int submit_entry(struct iterator *iterator, struct shpy_batch *batch)
{
    struct entry *entry = calloc(1, sizeof *entry);
    shoal_future *future;

    if (!entry) {
        PyErr_NoMemory();
        return -1;
    }
    *entry = (struct entry){.stream = iterator->stream, .first = iterator->fed, .count = batch->count};
    if (note_errors(iterator, batch) < 0)
        goto free_entry;
    if (iterator->is_unordered)
        hold(iterator->stream);
    if (shpy_submit_batch(iterator->pool, iterator->function, batch, SHPY_CALL_ITEM, batch->count,
                          iterator->is_unordered ? note_end : NULL, entry, &future) < 0)
        goto release_stream;
    iterator->fed += batch->count;
    if (!iterator->is_unordered) {
        entry->future = future;
        append(&iterator->out, entry);
    }
    return 0;

release_stream:
    if (iterator->is_unordered)
        release(iterator->stream, 0);
free_entry:
    free(entry);
    return -1;
}

/* Feed one chunk. What the source raises, or submitting, ends the input, and takes the chunk's place. */
static void feed_chunk(struct iterator *iterator)
{
    struct shpy_batch batch = {0};
    PyObject *source = Py_NewRef(iterator->source);
    int r = shpy_encode_begin(&batch, iterator->chunk);
    if (r == 0)
        r = shpy_encode_items(iterator->pool, &batch, source, iterator->chunk);
    PyObject *failure = r < 0 ? shpy_error_take() : NULL;
    int is_over = r < 0 || batch.count < iterator->chunk;

    if (r == 0 && batch.count && submit_entry(iterator, &batch) < 0) {
        is_over = 1;
        Py_XSETREF(failure, shpy_error_take());
    }
    shpy_encode_clear(&batch);
    Py_DECREF(source);
    if (is_over) {
        iterator->failure = failure;
        Py_CLEAR(iterator->source);
        sh_turn_ring(&iterator->pool->shared->event);
    }
}

static int is_room_ahead(struct sh_pool_shared *shared)
{
    return sh_load_relaxed(&shared->submitted) - sh_load_acquire(&shared->begun) < MOST_AHEAD;
}

static int call_await_room(void *context, int64_t timeout)
{
    struct iterator *iterator = context;
    struct sh_wait wait = {.timeout = timeout};

    if (is_room_ahead(iterator->pool->shared))
        return 0;
    int r = sh_wait_room(iterator->pool->pool, &wait, is_room_ahead);
    return r == 0 && !is_room_ahead(iterator->pool->shared) &&
                   sh_load_acquire(&iterator->pool->shared->phase) < SH_POOL_TERMINATED
               ? -EAGAIN
               : r;
}

/* In a thread of its own: feed all there is, and not much faster than it is taken. */
static PyObject *iterator_feed(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct iterator *iterator = (struct iterator *)object;

    while (iterator->source) {
        int r = shpy_wait(call_await_room, iterator, SHOAL_FOREVER);
        if (r == -EINTR && PyErr_Occurred())
            return NULL;
        feed_chunk(iterator);
        sh_turn_ring(&iterator->pool->shared->event);
    }
    Py_RETURN_NONE;
}

/* With a bound: by who asks for results. */
static void feed_bounded(struct iterator *iterator)
{
    while (iterator->most && iterator->source && iterator->fed - iterator->given < iterator->most)
        feed_chunk(iterator);
}

/* --- handing out --- */

/* The error of an item is known by its number in the whole. */
static PyObject *item_of(struct iterator *iterator, shoal_future *future, uint64_t item, uint64_t first)
{
    PyObject *errors = NULL, *value;

    if (!iterator->errors || first == 0)
        return shpy_outcome_item(iterator->pool, future, item, iterator->errors);
    PyObject *number = PyLong_FromUnsignedLongLong(first + item);
    PyObject *error = number ? PyDict_GetItemWithError(iterator->errors, number) : NULL;
    Py_XDECREF(number);
    if (error)
        errors = Py_BuildValue("{KO}", (unsigned long long)item, error);
    if (PyErr_Occurred())
        return NULL;
    value = shpy_outcome_item(iterator->pool, future, item, errors);
    Py_XDECREF(errors);
    return value;
}

static PyObject *raise_timeout(struct iterator *iterator, int r)
{
    if (r == -EAGAIN || r == -ETIMEDOUT)
        PyErr_SetNone(iterator->pool->state->timeout_error);
    else if (!PyErr_Occurred())
        shpy_error_raise(r, "cannot wait for a result");
    return NULL;
}

/* All at once, in order. */
static int call_await_given(void *context, int64_t timeout)
{
    struct iterator *iterator = context;
    uint64_t item = iterator->given;

    return item < iterator->count ? shoal_future_wait_item(iterator->future, item, timeout) : 0;
}

static PyObject *next_in_order(struct iterator *iterator, int64_t timeout)
{
    for (;;) {
        uint64_t item = iterator->given;
        if (item == iterator->count)
            return NULL;
        int r = shpy_wait(call_await_given, iterator, timeout);
        if (r < 0)
            return raise_timeout(iterator, r);
        if (iterator->given != item)
            continue; /* another thread was faster */
        iterator->given++;
        return item_of(iterator, iterator->future, item, 0);
    }
}

/* All at once, unordered: the first item that has ended and was not handed out; count where there is none. */
static uint64_t find_ended(const struct iterator *iterator)
{
    struct sh_job *job = iterator->future->job;
    int is_over = (sh_load_acquire(&job->life) & SH_JOB_DONE) || sh_load_acquire(&iterator->pool->shared->ended);
    uint64_t end = is_over ? iterator->count : sh_load_acquire(&job->next_item);

    for (uint64_t i = iterator->low; i < end; i++) {
        const char *found = memchr(iterator->taken + i, 0, end - i);
        if (!found)
            break;
        i = (uint64_t)(found - iterator->taken);
        if (is_over || sh_item_state(sh_load_acquire(&sh_pool_item(job, i)->head)) != SH_ITEM_OPEN)
            return i;
    }
    return iterator->count;
}

static int is_any_ended(shoal_pool *pool, const void *context)
{
    (void)pool;
    const struct iterator *iterator = context;

    return iterator->given == iterator->count || find_ended(iterator) < iterator->count;
}

static int call_await_any(void *context, int64_t timeout)
{
    struct iterator *iterator = context;
    struct sh_job *job = iterator->future->job;
    struct sh_wait wait = {.timeout = timeout};

    if (timeout > 0)
        sh_or_ordered(&job->life, SH_JOB_WATCHED); /* pairs with the load in pool/run.c */
    return sh_wait_until(iterator->pool->pool, &job->word, is_any_ended, iterator, &wait);
}

static PyObject *next_of_any(struct iterator *iterator, int64_t timeout)
{
    while (iterator->given < iterator->count) {
        uint64_t item = find_ended(iterator);
        if (item == iterator->count) {
            int r = shpy_wait(call_await_any, iterator, timeout);
            if (r < 0)
                return raise_timeout(iterator, r);
            continue;
        }
        iterator->taken[item] = 1;
        iterator->given++;
        while (iterator->low < iterator->count && iterator->taken[iterator->low])
            iterator->low++;
        return item_of(iterator, iterator->future, item, 0);
    }
    return NULL;
}

/* From a stream: whether there is an entry to look at, or there will be none. */
static int has_entry(shoal_pool *pool, const void *context)
{
    (void)pool;
    const struct iterator *iterator = context;
    struct stream *stream = iterator->stream;

    if (iterator->current || iterator->out.first || (!iterator->source && iterator->given == iterator->fed))
        return 1;
    pthread_mutex_lock(&stream->mutex);
    int is_there = stream->ended.first != NULL;
    pthread_mutex_unlock(&stream->mutex);
    return is_there;
}

static int call_await_entry(void *context, int64_t timeout)
{
    struct iterator *iterator = context;
    struct sh_wait wait = {.timeout = timeout};

    return sh_wait_until(iterator->pool->pool, NULL, has_entry, iterator, &wait);
}

static int call_await_current(void *context, int64_t timeout)
{
    const struct entry *entry = context;
    return shoal_future_wait_item(entry->future, entry->given, timeout);
}

/* Have a current entry whose next item has ended: 1; 0 at the end; or a code. */
static int await_current(struct iterator *iterator, int64_t timeout)
{
    for (;;) {
        feed_bounded(iterator);
        if (!iterator->current)
            iterator->current = iterator->is_unordered ? take_ended(iterator->stream) : take_first(&iterator->out);
        if (iterator->current)
            break;
        if (!iterator->source && iterator->given == iterator->fed)
            return 0;
        int r = shpy_wait(call_await_entry, iterator, timeout);
        if (r < 0)
            return r;
    }
    int r = shpy_wait(call_await_current, iterator->current, timeout);
    return r < 0 ? r : 1;
}

static PyObject *next_of_stream(struct iterator *iterator, int64_t timeout)
{
    int r = await_current(iterator, timeout);

    if (r < 0)
        return raise_timeout(iterator, r);
    if (r == 0) {
        PyObject *failure = iterator->failure;
        iterator->failure = NULL;
        return shpy_error_set(failure);
    }
    struct entry *entry = iterator->current;
    PyObject *value = item_of(iterator, entry->future, entry->given++, entry->first);
    iterator->given++;
    if (entry->given == entry->count) {
        iterator->current = NULL;
        drop_entry(entry);
    }
    return value;
}

/* NULL without an exception at the end. */
static PyObject *next(struct iterator *iterator, int64_t timeout)
{
    PyObject *value;

    if (iterator->is_busy) {
        PyErr_SetString(PyExc_ValueError, "another thread is waiting for this iterator's next result");
        return NULL;
    }
    iterator->is_busy = 1;
    if (iterator->stream)
        value = next_of_stream(iterator, timeout);
    else
        value = iterator->is_unordered ? next_of_any(iterator, timeout) : next_in_order(iterator, timeout);
    iterator->is_busy = 0;
    return value;
}

static PyObject *iterator_iternext(PyObject *object)
{
    return next((struct iterator *)object, SHOAL_FOREVER);
}

static PyObject *iterator_next(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"timeout"};
    PyObject *values[1] = {NULL};
    int64_t timeout = SHOAL_FOREVER;

    if ((nargs || kwnames) && (shpy_arguments("next", names, 1, args, nargs, kwnames, values) < 0 ||
                               shpy_wait_parse(NULL, values[0], &timeout) < 0))
        return NULL;
    PyObject *value = next((struct iterator *)object, timeout);
    if (!value && !PyErr_Occurred())
        PyErr_SetNone(PyExc_StopIteration);
    return value;
}

/* --- beginning --- */

/* Whether the items are all there, and not too many, so that nothing is waited for when they are looked at. */
static int is_at_hand(PyObject *iterable)
{
    if (!PyList_CheckExact(iterable) && !PyTuple_CheckExact(iterable) && !PyRange_Check(iterable))
        return 0;
    Py_ssize_t count = PyObject_Size(iterable);
    PyErr_Clear();
    return count >= 0 && count <= MOST_AT_ONCE;
}

/* Submit all at once: 1; 0 where that is too much. */
static int submit_all(struct iterator *iterator, PyObject *iterable)
{
    struct shpy_batch batch = {0};
    PyObject *items = PyObject_GetIter(iterable);
    Py_ssize_t count = PyObject_Size(iterable);
    int r = items && count >= 0 ? shpy_encode_begin(&batch, (size_t)count) : -1;

    if (r == 0)
        r = shpy_encode_items(iterator->pool, &batch, items, SAMPLE);

    if (r == 0 && batch.count && batch.size / batch.count > MOST_BYTES_AT_ONCE / (size_t)count) {
        shpy_encode_clear(&batch);
        Py_DECREF(items);
        return 0;
    }
    if (r == 0)
        r = shpy_encode_items(iterator->pool, &batch, items, SIZE_MAX);
    if (r == 0 && iterator->is_unordered && !(iterator->taken = calloc(batch.count + 1, 1))) {
        PyErr_NoMemory();
        r = -1;
    }
    if (r == 0)
        r = shpy_submit_batch(iterator->pool, iterator->function, &batch, SHPY_CALL_ITEM, iterator->chunk, NULL, NULL,
                              &iterator->future);
    iterator->count = batch.count;
    if (r == 0) {
        iterator->errors = batch.errors;
        batch.errors = NULL;
    }
    shpy_encode_clear(&batch);
    Py_XDECREF(items);
    return r < 0 ? -1 : 1;
}

static int begin(struct iterator *iterator, PyObject *iterable)
{
    if (!iterator->most && is_at_hand(iterable)) {
        int r = submit_all(iterator, iterable);
        if (r)
            return r < 0 ? -1 : 0;
    }
    iterator->source = PyObject_GetIter(iterable);
    iterator->stream = iterator->source ? new_stream() : NULL;
    return iterator->stream ? 0 : -1;
}

static PyObject *iterator_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct shpy_state *state = shpy_state_of(type);
    PyObject *pool, *function, *iterable;
    Py_ssize_t chunk, most;
    int is_unordered;

    (void)kwargs;
    if (!state ||
        !PyArg_ParseTuple(args, "O!OOnnp", state->pool_type, &pool, &function, &iterable, &chunk, &most, &is_unordered))
        return NULL;
    if (!((struct shpy_pool *)pool)->pool || ((struct shpy_pool *)pool)->is_closed) {
        shpy_submit_raise((struct shpy_pool *)pool, -EPIPE);
        return NULL;
    }
    struct iterator *iterator = (struct iterator *)type->tp_alloc(type, 0);
    if (!iterator)
        return NULL;
    iterator->pool = (struct shpy_pool *)Py_NewRef(pool);
    iterator->function = Py_NewRef(function);
    iterator->chunk = chunk < MOST_AT_ONCE ? (size_t)chunk : MOST_AT_ONCE;
    iterator->most = (size_t)most;
    iterator->is_unordered = is_unordered;
    if (begin(iterator, iterable) < 0) {
        Py_DECREF(iterator);
        return NULL;
    }
    feed_bounded(iterator);
    return (PyObject *)iterator;
}

static PyObject *iterator_get_is_fed(PyObject *object, void *unused)
{
    (void)unused;
    struct iterator *iterator = (struct iterator *)object;
    return PyBool_FromLong(!iterator->source || iterator->most);
}

static int iterator_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct iterator *iterator = (struct iterator *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(iterator->pool);
    Py_VISIT(iterator->function);
    Py_VISIT(iterator->errors);
    Py_VISIT(iterator->source);
    Py_VISIT(iterator->failure);
    return 0;
}

/* Not the pool, as for results. */
static int iterator_clear(PyObject *object)
{
    struct iterator *iterator = (struct iterator *)object;

    Py_CLEAR(iterator->function);
    Py_CLEAR(iterator->errors);
    Py_CLEAR(iterator->source);
    Py_CLEAR(iterator->failure);
    return 0;
}

static void iterator_dealloc(PyObject *object)
{
    struct iterator *iterator = (struct iterator *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    iterator_clear(object);
    shoal_future_free(iterator->future);
    free(iterator->taken);
    drop_entry(iterator->current);
    drop_line(&iterator->out);
    if (iterator->stream)
        release(iterator->stream, 1);
    Py_XDECREF((PyObject *)iterator->pool);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef iterator_methods[] = {
    {"next", SHPY_FASTCALL(iterator_next), METH_FASTCALL | METH_KEYWORDS,
     "next($self, /, timeout=None)\n--\n\n"
     "The next result, or what the item's call raised. multiprocessing.TimeoutError after timeout seconds without "
     "one."},
    {"_feed", iterator_feed, METH_NOARGS, "Submit all items, as they are produced."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef iterator_properties[] = {
    {"_is_fed", iterator_get_is_fed, NULL, "Whether no thread has to feed it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot iterator_slots[] = {
    {Py_tp_new, iterator_new},
    {Py_tp_dealloc, iterator_dealloc},
    {Py_tp_traverse, iterator_traverse},
    {Py_tp_clear, iterator_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, iterator_iternext},
    {Py_tp_methods, iterator_methods},
    {Py_tp_getset, iterator_properties},
    {Py_tp_doc, (char *)"Results one by one, as they come."},
    {0, NULL},
};

static PyType_Spec iterator_spec = {
    .name = "shoal._core.Iterator",
    .basicsize = sizeof(struct iterator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = iterator_slots,
};

int shpy_imap_add(PyObject *module, struct shpy_state *state)
{
    state->iterator_type = shpy_type_add(module, &iterator_spec);
    return state->iterator_type ? 0 : -1;
}
