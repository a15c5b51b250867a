/* pool.c - the base of Pool: submitting tasks, and the pool's end. */
#include "pool.h"

#include "pool/binding.h"

#include <errno.h>

/* Whether tasks can be submitted: 0, or -1 with an exception. */
static int check_open(struct shpy_pool *pool)
{
    if (sh_likely(pool->pool && !pool->is_closed))
        return 0;
    return shpy_submit_raise(pool, -EPIPE);
}

/* --- apply --- */

static int call_wait(void *future, int64_t timeout)
{
    return shoal_future_wait(future, timeout);
}

static const char *const call_names[] = {"func", "args", "kwds", "callback", "error_callback"};

static int read_call(const char *method, Py_ssize_t count, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                     PyObject **values)
{
    if (shpy_arguments(method, call_names, count, args, nargs, kwnames, values) < 0)
        return -1;
    if (values[0])
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: 'func'", method);
    return -1;
}

static int submit(struct shpy_pool *pool, PyObject **values, shoal_future_callback *callback, void *context,
                  PyObject **ret_errors, shoal_future **ret_future)
{
    PyObject *none = values[1] ? NULL : PyTuple_New(0);
    PyObject *args = values[1] ? values[1] : none;
    int r = args ? shpy_submit_call(pool, values[0], args, values[2], callback, context, ret_errors, ret_future) : -1;

    Py_XDECREF(none);
    return r;
}

static PyObject *pool_apply(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;
    PyObject *values[3], *errors, *value = NULL;
    shoal_future *future;

    if (read_call("apply", 3, args, nargs, kwnames, values) < 0 || check_open(pool) < 0 ||
        submit(pool, values, NULL, NULL, &errors, &future) < 0)
        return NULL;
    int r = shpy_wait(call_wait, future, SHOAL_FOREVER);
    if (sh_likely(r == 0))
        value = shpy_outcome_item(pool, future, 0, errors);
    else if (!PyErr_Occurred())
        shpy_error_raise(r, "cannot wait for a result");
    shoal_future_free(future);
    Py_XDECREF(errors);
    return value;
}

static PyObject *pool_apply_async(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;
    PyObject *values[5], *errors;
    shoal_future *future;

    if (read_call("apply_async", 5, args, nargs, kwnames, values) < 0 || check_open(pool) < 0)
        return NULL;
    PyObject *result = shpy_result_new(pool, values[3], values[4]);
    if (!result)
        return NULL;
    shoal_future_callback *callback = shpy_callback_expect((struct shpy_result *)result);
    if (submit(pool, values, callback, result, &errors, &future) < 0) {
        shpy_callback_cancel((struct shpy_result *)result);
        Py_CLEAR(result);
    } else if (shpy_callback_begin((struct shpy_result *)result, future, 1, errors) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* --- map --- */

static const char *const map_names[] = {"func", "iterable", "chunksize", "callback", "error_callback"};

static int read_map(const char *method, Py_ssize_t count, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                    PyObject **values)
{
    if (shpy_arguments(method, map_names, count, args, nargs, kwnames, values) < 0)
        return -1;
    if (values[0] && values[1])
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() missing required positional arguments: 'func', 'iterable'", method);
    return -1;
}

/* How many items a worker takes at a time: for each worker four chunks, where nothing is said. */
static int read_chunk(const struct shpy_pool *pool, PyObject *value, size_t count, size_t *ret_chunk)
{
    size_t parts = 4 * (size_t)pool->shared->workers;

    *ret_chunk = count ? (count + parts - 1) / parts : 1;
    if (!value || value == Py_None)
        return 0;
    Py_ssize_t chunk = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (chunk == -1 && PyErr_Occurred())
        return -1;
    if (chunk < 1) {
        PyErr_Format(PyExc_ValueError, "chunksize must be 1 or more, not %zd", chunk);
        return -1;
    }
    *ret_chunk = (size_t)chunk;
    return 0;
}

/* As many items as there are: where that is not known they are listed first. */
static int encode_all(struct shpy_pool *pool, PyObject *iterable, struct shpy_batch *batch)
{
    int is_known = PyList_CheckExact(iterable) || PyTuple_CheckExact(iterable) || PyRange_Check(iterable);
    PyObject *items = is_known ? Py_NewRef(iterable) : PySequence_List(iterable);
    Py_ssize_t count = items ? PyObject_Size(items) : -1;
    PyObject *iterator = count >= 0 ? PyObject_GetIter(items) : NULL;
    int r = iterator ? shpy_encode_begin(batch, (size_t)count) : -1;

    if (r == 0)
        r = shpy_encode_items(pool, batch, iterator, SIZE_MAX);
    Py_XDECREF(iterator);
    Py_XDECREF(items);
    return r;
}

static int submit_map(struct shpy_pool *pool, PyObject **values, enum shpy_call call, struct shpy_result *result)
{
    struct shpy_batch batch = {0};
    shoal_future *future;
    int r = encode_all(pool, values[1], &batch);

    if (r == 0)
        r = read_chunk(pool, values[2], batch.count, &result->chunk);
    if (r == 0) {
        shoal_future_callback *callback = shpy_callback_expect(result);
        r = shpy_submit_batch(pool, values[0], &batch, call, result->chunk, callback, result, &future);
        if (r < 0)
            shpy_callback_cancel(result);
    }
    if (r == 0) {
        PyObject *errors = batch.errors;
        batch.errors = NULL;
        r = shpy_callback_begin(result, future, batch.count, errors);
    }
    shpy_encode_clear(&batch);
    return r;
}

static PyObject *map(PyObject *object, PyObject **values, enum shpy_call call)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;
    PyObject *result = check_open(pool) == 0 ? shpy_result_new(pool, values[3], values[4]) : NULL;

    if (!result)
        return NULL;
    ((struct shpy_result *)result)->is_map = 1;
    if (submit_map(pool, values, call, (struct shpy_result *)result) < 0)
        Py_CLEAR(result);
    return result;
}

static PyObject *map_and_wait(PyObject *object, PyObject **values, enum shpy_call call)
{
    PyObject *result = map(object, values, call);
    PyObject *list = result ? shpy_outcome_get((struct shpy_result *)result, SHOAL_FOREVER) : NULL;

    Py_XDECREF(result);
    return list;
}

static PyObject *pool_map(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *values[5] = {NULL};
    return read_map("map", 3, args, nargs, kwnames, values) < 0 ? NULL : map_and_wait(object, values, SHPY_CALL_ITEM);
}

static PyObject *pool_starmap(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *values[5] = {NULL};
    return read_map("starmap", 3, args, nargs, kwnames, values) < 0 ? NULL
                                                                    : map_and_wait(object, values, SHPY_CALL_STAR);
}

static PyObject *pool_map_async(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *values[5] = {NULL};
    return read_map("map_async", 5, args, nargs, kwnames, values) < 0 ? NULL : map(object, values, SHPY_CALL_ITEM);
}

static PyObject *pool_starmap_async(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *values[5] = {NULL};
    return read_map("starmap_async", 5, args, nargs, kwnames, values) < 0 ? NULL : map(object, values, SHPY_CALL_STAR);
}

/* --- the end --- */

static PyObject *pool_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;

    pool->is_closed = 1;
    int r = pool->pool ? shoal_pool_close(pool->pool) : 0;
    if (r < 0)
        return shpy_error_raise(r, "cannot close the pool");
    Py_RETURN_NONE;
}

static PyObject *pool_terminate(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;

    pool->is_closed = 1;
    int r = pool->pool ? shoal_pool_terminate(pool->pool) : 0;
    if (r < 0)
        return shpy_error_raise(r, "cannot terminate the pool");
    Py_RETURN_NONE;
}

static PyObject *pool_cancel_after(PyObject *object, PyObject *argument)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;
    unsigned long long number = PyLong_AsUnsignedLongLong(argument);

    if (number == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    int r = pool->pool ? sh_pool_enter(pool->pool) : 0;

    if (r < 0)
        return shpy_error_raise(r, "cannot cancel");
    Py_BEGIN_ALLOW_THREADS;
    if (pool->pool)
        sh_future_cancel_after(pool->pool, number);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static int call_join(void *context, int64_t timeout)
{
    int r;

    /* Never with the interpreter's lock: who ends the keeper may hold what its fork, which needs that lock, waits for.
     */
    Py_BEGIN_ALLOW_THREADS;
    r = shoal_pool_join(context, timeout);
    Py_END_ALLOW_THREADS;
    return r;
}

static PyObject *pool_join(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;

    if (!pool->pool)
        Py_RETURN_NONE;
    int r;
    do
        r = call_join(pool->pool, SHOAL_MILLISECONDS(500));
    while ((r == -EINTR || r == -ETIMEDOUT) && PyErr_CheckSignals() == 0);
    if (PyErr_Occurred())
        return NULL;
    if (r == -EINVAL)
        return PyErr_Format(PyExc_ValueError, "Pool is still running");
    if (r < 0)
        return shpy_error_raise(r, "cannot join the pool");
    Py_RETURN_NONE;
}

/* --- what it is made of --- */

static PyObject *pool_pids(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;
    uint32_t count = pool->shared ? pool->shared->workers : 0;
    PyObject *list = PyList_New((Py_ssize_t)count);

    for (uint32_t i = 0; list && i < count; i++) {
        struct sh_worker *place = &pool->shared->worker[i];
        int pid = sh_load_acquire(&place->state) == SH_WORKER_NONE ? 0 : sh_load_relaxed(&place->pid);
        PyObject *number = PyLong_FromLong(pid);
        if (number)
            PyList_SET_ITEM(list, (Py_ssize_t)i, number);
        else
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *pool_stats(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;
    struct shoal_pool_stats stats;
    int r = pool->pool ? shoal_pool_stats(pool->pool, &stats) : -EPIPE;

    if (r < 0)
        return shpy_error_raise(r, "no statistics");
    return Py_BuildValue("{sIsIsKsKsKsKsKsK}", "workers", stats.workers, "alive", stats.alive, "submitted",
                         (unsigned long long)stats.submitted, "pending", (unsigned long long)stats.pending, "completed",
                         (unsigned long long)stats.completed, "lost", (unsigned long long)stats.lost, "deaths",
                         (unsigned long long)stats.deaths, "keeper_restarts",
                         (unsigned long long)stats.keeper_restarts);
}

static PyObject *pool_ref(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;
    shoal_ref ref;

    sh_object_ref(&pool->shared->object, &ref);
    return shpy_ref_write(&ref);
}

static PyObject *pool_get_broken(PyObject *object, void *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;

    return PyBool_FromLong(pool->shared && sh_load_acquire(&pool->shared->phase) == SH_POOL_BROKEN);
}

/* --- in workers --- */

static PyObject *pool_attach(PyObject *object, PyObject *name)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;
    shoal_ref ref;
    void *body;

    if (pool->shared || shpy_ref_read(name, &ref) < 0)
        return shpy_ref_refuse("a pool");
    int r = sh_object_attach(&ref, SH_KIND_POOL, &body);
    if (r < 0)
        return shpy_error_raise(r, "a worker cannot find its pool");
    pool->shared = body;
    pool->is_worker = 1;
    Py_RETURN_NONE;
}

static PyObject *pool_close_inherited(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;

    if (pool->pool)
        sh_binding_close_inherited(pool->pool);
    Py_RETURN_NONE;
}

static PyObject *pool_refuse(PyObject *object, PyObject *args)
{
    unsigned index;
    const char *reason;

    if (!PyArg_ParseTuple(args, "Is:_refuse", &index, &reason))
        return NULL;
    return PyBool_FromLong(sh_binding_refuse(((struct shpy_pool *)object)->shared, index, reason));
}

/* --- the type --- */

static PyObject *pool_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    struct shpy_pool *pool = (struct shpy_pool *)type->tp_alloc(type, 0);

    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pool->state = shpy_state_of(type);
    pool->named = PyDict_New();
    if (!pool->state || !pool->named)
        Py_CLEAR(pool);
    return (PyObject *)pool;
}

static int pool_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;

    Py_VISIT(Py_TYPE(object));
    for (int i = 0; i < SHPY_KNOWN; i++)
        Py_VISIT(pool->known[i].function);
    return 0;
}

static int pool_clear(PyObject *object)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;

    for (int i = 0; i < SHPY_KNOWN; i++)
        Py_CLEAR(pool->known[i].function);
    return 0;
}

/* To end a pool may take the object's own methods (launch.c), so it is done while the object still lives. */
static PyObject *pool_free(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct shpy_pool *pool = (struct shpy_pool *)object;
    shoal_pool *core = pool->pool;

    if (core) {
        Py_BEGIN_ALLOW_THREADS;
        shoal_pool_free(core);
        Py_END_ALLOW_THREADS;
        pool->pool = NULL;
        pool->is_worker = 0;
    }
    Py_RETURN_NONE;
}

static void pool_dealloc(PyObject *object)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    pool_clear(object);
    Py_XDECREF(pool->named);
    if (pool->pool)
        shoal_pool_free(pool->pool);
    else if (pool->is_worker)
        sh_object_drop(&pool->shared->object);
    pthread_mutex_destroy(&pool->mutex);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef pool_methods[] = {
    {"apply", SHPY_FASTCALL(pool_apply), METH_FASTCALL | METH_KEYWORDS,
     "apply($self, /, func, args=(), kwds={})\n--\n\nReturn func(*args, **kwds), called in a worker."},
    {"apply_async", SHPY_FASTCALL(pool_apply_async), METH_FASTCALL | METH_KEYWORDS,
     "apply_async($self, /, func, args=(), kwds={}, callback=None, error_callback=None)\n--\n\n"
     "Have func(*args, **kwds) called in a worker: an AsyncResult. When it has ended a thread calls callback with "
     "what\n"
     "it returned, or error_callback with what it raised."},
    {"map", SHPY_FASTCALL(pool_map), METH_FASTCALL | METH_KEYWORDS,
     "map($self, /, func, iterable, chunksize=None)\n--\n\n"
     "Return [func(item) for item in iterable], the calls spread over the workers, which take chunksize items at a\n"
     "time. When all are done, raises what the first that failed has raised."},
    {"starmap", SHPY_FASTCALL(pool_starmap), METH_FASTCALL | METH_KEYWORDS,
     "starmap($self, /, func, iterable, chunksize=None)\n--\n\nAs map, with func(*item) for each item."},
    {"map_async", SHPY_FASTCALL(pool_map_async), METH_FASTCALL | METH_KEYWORDS,
     "map_async($self, /, func, iterable, chunksize=None, callback=None, error_callback=None)\n--\n\n"
     "As map, without waiting: an AsyncResult of the list."},
    {"starmap_async", SHPY_FASTCALL(pool_starmap_async), METH_FASTCALL | METH_KEYWORDS,
     "starmap_async($self, /, func, iterable, chunksize=None, callback=None, error_callback=None)\n--\n\n"
     "As starmap, without waiting: an AsyncResult of the list."},
    {"_open", shpy_launch_open, METH_VARARGS, "Start the pool's processes: (workers, tasks of each; 0: any number)."},
    {"_close", pool_close, METH_NOARGS, "No more tasks."},
    {"_terminate", pool_terminate, METH_NOARGS, "End the workers at once."},
    {"_join", pool_join, METH_NOARGS, "Wait until all workers have gone."},
    {"_free", pool_free, METH_NOARGS, "End what is left of the pool: nobody will use it again."},
    {"_cancel_after", pool_cancel_after, METH_O,
     "Let no worker begin what has not begun, but for so many first tasks."},
    {"_pids", pool_pids, METH_NOARGS, "The pid of each worker, 0 where there is none now."},
    {"_stats", pool_stats, METH_NOARGS, "What the core counts."},
    {"_ref", pool_ref, METH_NOARGS, "The pool's name in its family, as bytes."},
    {"_attach", pool_attach, METH_O, "In a worker that was started afresh: find the pool of this name."},
    {"_close_inherited", pool_close_inherited, METH_NOARGS, "In a worker that was forked: let go of what was main's."},
    {"_refuse", pool_refuse, METH_VARARGS, "In a worker: say (place, why), before it ends. Whether it is the first."},
    {"_serve", shpy_worker_serve, METH_VARARGS,
     "In a worker: run tasks (place, generation, flush, whether SystemExit and its kind cost a task alone)."},
    {"_await_ended", shpy_callback_await_ended, METH_NOARGS,
     "A result whose callback is due; None: there will be none."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef pool_properties[] = {
    {"_is_broken", pool_get_broken, NULL, "Whether it was given up, since its workers could not start.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot pool_slots[] = {
    {Py_tp_new, pool_new},
    {Py_tp_dealloc, pool_dealloc},
    {Py_tp_traverse, pool_traverse},
    {Py_tp_clear, pool_clear},
    {Py_tp_methods, pool_methods},
    {Py_tp_getset, pool_properties},
    {Py_tp_doc, (char *)"The base of Pool."},
    {0, NULL},
};

static PyType_Spec pool_spec = {
    .name = "shoal._core.Pool",
    .basicsize = sizeof(struct shpy_pool),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = pool_slots,
};

int shpy_pool_add(PyObject *module, struct shpy_state *state)
{
    state->pool_type = shpy_type_add(module, &pool_spec);
    if (!state->pool_type)
        return -1;
    return shpy_result_add(module, state) < 0 || shpy_imap_add(module, state) < 0 ? -1 : 0;
}
