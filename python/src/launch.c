/* launch.c - how a pool's processes are made: by multiprocessing's classes, in main and in the keeper. */
#include "arena/arena.h"
#include "pool.h"
#include "pool/binding.h"

#include <errno.h>

/* The exception that is set, as a code; the exception stays. */
static int code_of_error(void)
{
    return PyErr_ExceptionMatches(PyExc_MemoryError) ? -ENOMEM : -ECHILD;
}

/* In the keeper nobody sees an exception: it will be tried again. */
static void report(struct shpy_pool *pool, int r)
{
    if (r < 0 && pool->is_keeper)
        PyErr_Clear();
}

/* Called with the interpreter's lock, or without it where a thread that waits finds the keeper dead. */
static pid_t fork_keeper(void *context, uint32_t tag, int ticket, int *ret_pidfd)
{
    struct shpy_pool *pool = context;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *nothing = PyObject_CallMethod((PyObject *)pool, "_before_keeper", NULL);
    pid_t pid;

    if (!nothing)
        PyErr_Clear();
    Py_XDECREF(nothing);
    PyOS_BeforeFork();
    shpy_family_next_fork(tag, ticket);
    pid = sh_process_fork(ret_pidfd);
    if (pid == 0) {
        PyOS_AfterFork_Child();
        pool->is_keeper = 1;
        nothing = PyObject_CallMethod((PyObject *)pool, "_become_keeper", NULL);
        if (!nothing)
            PyErr_Clear();
        Py_XDECREF(nothing);
        return 0; /* and never lets go of the lock */
    }
    shpy_family_next_fork(0, -1);
    PyOS_AfterFork_Parent();
    PyGILState_Release(lock);
    return pid;
}

static int launch(void *context, const struct sh_expected *expected, pid_t *ret_pid, int *ret_pidfd)
{
    struct shpy_pool *pool = context;

    pool->pool = expected->pool; /* for what is forked of this process */
    pool->shared = expected->pool->shared;
    PyObject *answer = PyObject_CallMethod((PyObject *)pool, "_launch", "IIIi", expected->index, expected->generation,
                                           expected->tag, expected->ticket);
    long pid = answer ? PyLong_AsLong(answer) : -1;
    int r = 0;

    Py_XDECREF(answer);
    if (PyErr_Occurred()) {
        r = code_of_error();
        report(pool, r);
        return r;
    }
    int fd = sh_process_open((pid_t)pid);
    if (fd < 0 && fd != -ESRCH)
        return fd;
    *ret_pid = (pid_t)pid;
    *ret_pidfd = fd < 0 ? -1 : fd;
    return 0;
}

/* The process objects are told, and may know what the system does not. What is set already, where a pool that cannot be
 * opened is taken apart, stays. */
static int reap(void *context, uint32_t index, int pidfd, pid_t pid, struct sh_process_end *ret_end)
{
    struct shpy_pool *pool = context;
    struct sh_process_end end = {0};
    int r = sh_process_reap(pidfd, pid, &end);

    if (r == -EAGAIN)
        return r;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *known = r == 0 ? PyLong_FromLong(end.signal ? -end.signal : end.code) : Py_NewRef(Py_None);
    PyObject *answer = known ? PyObject_CallMethod((PyObject *)pool, "_reaped", "IO", index, known) : NULL;
    long code = answer && answer != Py_None ? PyLong_AsLong(answer) : 0;
    if (answer && answer != Py_None && !PyErr_Occurred()) {
        end = code < 0 ? (struct sh_process_end){.signal = (int)-code} : (struct sh_process_end){.code = (int)code};
        r = 0;
    }
    Py_XDECREF(known);
    Py_XDECREF(answer);
    PyErr_Restore(type, value, traceback);
    if (r == 0)
        *ret_end = end;
    return r;
}

PyObject *shpy_launch_open(PyObject *object, PyObject *args)
{
    struct shpy_pool *pool = (struct shpy_pool *)object;
    struct sh_binding binding = {.fork = fork_keeper, .launch = launch, .reap = reap, .context = pool};
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .start = SHOAL_START_FORK};

    if (!PyArg_ParseTuple(args, "II:_open", &options.workers, &options.tasks_per_worker))
        return NULL;
    if (pool->shared) {
        PyErr_SetString(PyExc_RuntimeError, "this pool is open already");
        return NULL;
    }
    int r = sh_arena_enter();
    if (r == 0)
        r = sh_binding_open(&options, &binding, &pool->pool);
    if (r < 0) {
        pool->pool = NULL;
        pool->shared = NULL;
    }
    if (r < 0 && PyErr_Occurred())
        return NULL;
    if (r < 0)
        return shpy_error_raise(r, "a pool cannot be opened");
    Py_RETURN_NONE;
}
