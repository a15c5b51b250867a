/* family.c - the process's place in its family: what Python's start methods need to hand it on. */
#include "arena/arena.h"
#include "arena/member.h"
#include "block.h"
#include "os/life.h"
#include "pool.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

/* The member that the next fork of this thread is to become, 0 for any; and its ticket (os/life.h), -1 for none. */
static _Thread_local uint32_t expected;
static _Thread_local uint32_t plain; /* the same for a fork that nobody announced */
static _Thread_local int expected_ticket = -1;

static PyObject *family_enter(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    int r = sh_arena_enter();

    if (r < 0)
        return shpy_error_raise(r, "shared memory");
    return PyLong_FromUnsignedLongLong(sh_arena.shared->family);
}

static PyObject *family_id(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    if (!sh_arena.base)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(sh_arena.shared->family);
}

static PyObject *family_descriptor(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    int r = sh_arena_enter();

    if (r < 0)
        return shpy_error_raise(r, "shared memory");
    return PyLong_FromLong(sh_arena.fd);
}

static PyObject *family_expect(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    uint32_t tag;
    int r = sh_arena_enter();

    if (r == 0)
        r = sh_member_expect(&tag);
    if (r < 0)
        return shpy_error_raise(r, "no room for another process in the family");
    return PyLong_FromUnsignedLong(tag);
}

static PyObject *family_cancel(PyObject *module, PyObject *argument)
{
    (void)module;
    unsigned long tag = PyLong_AsUnsignedLong(argument);

    if (tag == (unsigned long)-1 && PyErr_Occurred())
        return NULL;
    if (tag && sh_arena.base && sh_member_is_attached()) {
        Py_BEGIN_ALLOW_THREADS;
        sh_member_cancel((uint32_t)tag);
        Py_END_ALLOW_THREADS;
    }
    Py_RETURN_NONE;
}

static PyObject *family_ticket(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    int ticket;
    int r = sh_life_ticket_again(&ticket);

    if (r == -ESRCH) /* this process follows none: it is the main process */
        r = sh_life_ticket(&ticket);
    return r < 0 ? shpy_error_raise(r, "a child cannot be started") : PyLong_FromLong(ticket);
}

static PyObject *family_close_ticket(PyObject *module, PyObject *argument)
{
    (void)module;
    long ticket = PyLong_AsLong(argument);

    if (ticket == -1 && PyErr_Occurred())
        return NULL;
    sh_life_close((int)ticket);
    Py_RETURN_NONE;
}

static PyObject *family_follow(PyObject *module, PyObject *argument)
{
    (void)module;
    long ticket = PyLong_AsLong(argument);

    if (ticket == -1 && PyErr_Occurred())
        return NULL;
    sh_life_follow((int)ticket);
    Py_RETURN_NONE;
}

void shpy_family_next_fork(uint32_t tag, int ticket)
{
    expected = tag;
    expected_ticket = ticket;
}

static PyObject *family_next_fork(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned tag;
    int ticket;

    if (!PyArg_ParseTuple(args, "Ii:family_next_fork", &tag, &ticket))
        return NULL;
    shpy_family_next_fork(tag, ticket);
    Py_RETURN_NONE;
}

/* The places of the latest children that plain forks made, of which nobody tells when they end: a place that is not
 * taken by so many forks later never will be. Only hints: each number may be handed in again, and at any time. */
#define PLACES 64u
static _Atomic uint32_t places[PLACES];
static _Atomic uint32_t next_place;

/* A place for the child of a plain fork, so that it has what this process has, even where that is dropped here before
 * the child runs. Without one it comes into the family when it runs. */
static uint32_t reserve_place(void)
{
    uint32_t tag, number = atomic_fetch_add(&next_place, 1) % PLACES;
    uint32_t old = atomic_exchange(&places[number], 0);

    if (old)
        sh_member_cancel(old);
    if (sh_member_expect(&tag) < 0)
        return 0;
    atomic_store(&places[number], tag);
    return tag;
}

static PyObject *family_before_fork(PyObject *module, PyObject *unused)
{
    PyObject *done = shpy_block_before_fork(module, unused);

    plain = done && !expected && sh_arena.base && sh_member_is_attached() ? reserve_place() : 0;
    return done;
}

/* Become the member that the parent expected, or else any. */
static int enter_as(uint32_t tag)
{
    int r = tag ? sh_arena_enter_as(tag) : 0;

    return r < 0 || !tag ? sh_arena_enter() : r;
}

static PyObject *family_after_fork(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    uint32_t tag = expected ? expected : plain;
    int ticket = expected_ticket;

    expected = plain = 0;
    for (unsigned i = 0; i < PLACES; i++) /* they are the parent's to give back */
        atomic_store_explicit(&places[i], 0, memory_order_relaxed);
    expected_ticket = -1;
    if (ticket >= 0)
        sh_life_follow(ticket);
    if (sh_arena.base) {
        int r = enter_as(tag);
        if (r < 0)
            return shpy_error_raise(r, "no room for another process in the family");
    }
    Py_RETURN_NONE;
}

/* Map the family's memory, without being one of it yet: False where this process has a family, or the descriptor is of
 * something else. For a fork server, whose children will be of the family. */
static PyObject *family_map(PyObject *module, PyObject *args)
{
    (void)module;
    int fd;
    unsigned long long family;
    uint64_t found;

    if (!PyArg_ParseTuple(args, "iK:family_map", &fd, &family))
        return NULL;
    if (sh_arena.base || pread(fd, &found, sizeof found, offsetof(struct sh_arena_shared, family)) != sizeof found ||
        found != family)
        Py_RETURN_FALSE;
    return PyBool_FromLong(sh_arena_join(fd) == 0);
}

static PyObject *family_join(PyObject *module, PyObject *args)
{
    (void)module;
    int fd;
    unsigned int tag;
    unsigned long long family;

    if (!PyArg_ParseTuple(args, "iIK:join", &fd, &tag, &family))
        return NULL;
    int r = 0;
    int had_family = sh_arena.base != NULL;
    if (!had_family)
        r = sh_arena_join(fd);
    if (r == 0 && sh_arena.shared->family != family)
        r = -EXDEV;
    if (r == 0)
        r = enter_as(tag);
    if (r < 0)
        return shpy_error_raise(r, "this process cannot join the family of the one that started it");
    return PyBool_FromLong(!had_family); /* whether the descriptor is the library's now */
}

static PyObject *family_cpu_count(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromLong(shoal_cpu_count());
}

PyMethodDef shpy_family_methods[] = {
    {"cpu_count", family_cpu_count, METH_NOARGS, "How many CPUs this process may use at a time."},
    {"family_enter", family_enter, METH_NOARGS,
     "Make or find this process's family and attach to it; returns the family's id."},
    {"family_id", family_id, METH_NOARGS, "The family's id, or None where this process has none yet."},
    {"family_descriptor", family_descriptor, METH_NOARGS, "The descriptor of the family's shared memory."},
    {"family_expect", family_expect, METH_NOARGS,
     "Reserve a place for a child that is about to start: all that this process has handles of lives on for it."},
    {"family_cancel", family_cancel, METH_O, "Give a place back that no child has taken, or will take."},
    {"family_ticket", family_ticket, METH_NOARGS, "A descriptor by which a child learns of the main process's death."},
    {"family_close_ticket", family_close_ticket, METH_O, "Close it, when the child has it."},
    {"family_follow", family_follow, METH_O, "In the child: die with the main process, by this ticket."},
    {"family_next_fork", family_next_fork, METH_VARARGS,
     "What the next fork of this thread takes: (place, ticket), (0, -1) for none."},
    {"family_before_fork", family_before_fork, METH_NOARGS,
     "Make private what has been received and lies in the family's memory, and keep a place for the child."},
    {"family_after_fork", family_after_fork, METH_NOARGS, "In a forked child: attach it to the family."},
    {"family_map", family_map, METH_VARARGS, "Map the memory of a family: (descriptor, family). Whether it was."},
    {"family_join", family_join, METH_VARARGS, "In a child that was started afresh: join (descriptor, place, family)."},
    {"ref_send", shpy_ref_send, METH_O,
     "Keep the object of this name, which this process has, until it is received: a ticket."},
    {"ref_receive", shpy_ref_receive, METH_O, "It was received: by this ticket."},
    {NULL, NULL, 0, NULL},
};
