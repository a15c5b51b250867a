/* event.c - the base of Event. */
#include "module.h"

#include <errno.h>

struct event {
    PyObject_HEAD;
    shoal_event *event; /* set once */
};

static shoal_event *event_in(PyObject *object)
{
    return ((struct event *)object)->event;
}

static void event_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    shoal_event_free(event_in(object));
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *event_open(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = event_in(object) ? -EBUSY : shoal_event_open(&((struct event *)object)->event);

    if (r < 0)
        return shpy_error_raise(r, "an event cannot be made");
    Py_RETURN_NONE;
}

static PyObject *event_attach(PyObject *object, PyObject *argument)
{
    shoal_ref ref;

    if (event_in(object) || shpy_ref_read(argument, &ref) < 0)
        return shpy_ref_refuse("an event");
    int r = shoal_event_attach(&ref, &((struct event *)object)->event);
    if (r < 0)
        return shpy_ref_raise(r, "Event");
    Py_RETURN_NONE;
}

static PyObject *event_ref(PyObject *object, PyObject *unused)
{
    (void)unused;
    shoal_ref ref;
    int r = shoal_event_ref(event_in(object), &ref);

    return r < 0 ? shpy_error_raise(r, "this event has no name") : shpy_ref_write(&ref);
}

static PyObject *event_set(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = shoal_event_set(event_in(object));

    if (r < 0)
        return shpy_error_raise(r, "cannot set");
    Py_RETURN_NONE;
}

static PyObject *event_clear(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = shoal_event_clear(event_in(object));

    if (r < 0)
        return shpy_error_raise(r, "cannot clear");
    Py_RETURN_NONE;
}

static PyObject *event_is_set(PyObject *object, PyObject *unused)
{
    (void)unused;
    int r = shoal_event_is_set(event_in(object));

    return r < 0 ? shpy_error_raise(r, "cannot tell") : PyBool_FromLong(r);
}

static int call_wait(void *context, int64_t timeout)
{
    return shoal_event_wait(context, timeout);
}

static PyObject *event_wait(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"timeout"};
    PyObject *value;
    int64_t timeout;

    if (shpy_arguments("wait", names, 1, args, nargs, kwnames, &value) < 0 ||
        shpy_wait_parse(NULL, value, &timeout) < 0)
        return NULL;
    int r = shpy_wait(call_wait, event_in(object), timeout);
    if (r == -EINTR && PyErr_Occurred())
        return NULL;
    if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT)
        return shpy_error_raise(r, "cannot wait");
    return PyBool_FromLong(r == 0);
}

static PyMethodDef event_methods[] = {
    {"set", event_set, METH_NOARGS, "set($self, /)\n--\n\nSet the flag and wake all that wait for it."},
    {"clear", event_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake the flag back."},
    {"is_set", event_is_set, METH_NOARGS, "is_set($self, /)\n--\n\nWhether the flag is set."},
    {"wait", SHPY_FASTCALL(event_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, /, timeout=None)\n--\n\nWait until the flag is set: timeout seconds at most. Whether it was."},
    {"_open", event_open, METH_NOARGS, "Make the event."},
    {"_attach", event_attach, METH_O, "Attach to the event of a ref."},
    {"_ref", event_ref, METH_NOARGS, "The event's name in its family, as bytes."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot event_slots[] = {
    {Py_tp_dealloc, event_dealloc},
    {Py_tp_methods, event_methods},
    {Py_tp_doc, (char *)"The base of Event."},
    {0, NULL},
};

static PyType_Spec event_spec = {
    .name = "shoal._core.Event",
    .basicsize = sizeof(struct event),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = event_slots,
};

int shpy_event_add(PyObject *module, struct shpy_state *state)
{
    state->event_type = shpy_type_add(module, &event_spec);
    return state->event_type ? 0 : -1;
}
