/* fast.c - small objects of the builtin types written as pickles, and read, without the pickle module.
 *
 * What is written is what pickle.loads reads. What is read is what is written here, and all else is left to it. */
#include "message.h"

#include <string.h>

enum opcode {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_NONE = 'N',
    OP_TRUE = 0x88,
    OP_FALSE = 0x89,
    OP_INT1 = 'K',
    OP_INT2 = 'M',
    OP_INT4 = 'J',
    OP_LONG1 = 0x8a,
    OP_FLOAT = 'G',
    OP_STR1 = 0x8c,
    OP_STR4 = 'X',
    OP_BYTES1 = 'C',
    OP_BYTES4 = 'B',
    OP_TUPLE0 = ')',
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_TUPLE = 't',
    OP_LIST = ']',
    OP_APPENDS = 'e',
    OP_DICT = '}',
    OP_SETITEMS = 'u',
    OP_PROTO = 0x80,
};
#define PROTOCOL 5
#define MOST_DEPTH 8   /* of containers in containers */
#define MOST_VALUES 64 /* on the reader's stack */
#define MOST_SEEN 8    /* lists and dicts in a message */
#define BATCH 16       /* items of a list, or a dict, that the reader has on its stack */

/* Where the next byte goes, and the end of the room. seen: the lists and dicts that were begun: one that comes twice,
 * or in itself, has to come out as one, which is left to the pickle module. */
struct out {
    unsigned char *at;
    unsigned char *end;
    int seen_count;
    PyObject *seen[MOST_SEEN];
};

static int has_room(const struct out *out, size_t size)
{
    return (size_t)(out->end - out->at) >= size;
}

static void put_little(struct out *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *out->at++ = (unsigned char)(value >> (8 * i));
}

static int write_int(PyObject *object, struct out *out)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);

    if (overflow || !has_room(out, 10))
        return 0;
    if (value >= 0 && value <= 0xff) {
        *out->at++ = OP_INT1;
        put_little(out, (uint64_t)value, 1);
    } else if (value >= 0 && value <= 0xffff) {
        *out->at++ = OP_INT2;
        put_little(out, (uint64_t)value, 2);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        *out->at++ = OP_INT4;
        put_little(out, (uint64_t)value, 4);
    } else {
        *out->at++ = OP_LONG1;
        *out->at++ = 8;
        put_little(out, (uint64_t)value, 8);
    }
    return 1;
}

static int write_float(PyObject *object, struct out *out)
{
    double value = PyFloat_AS_DOUBLE(object);
    uint64_t bits;

    if (!has_room(out, 9))
        return 0;
    memcpy(&bits, &value, sizeof bits);
    *out->at++ = OP_FLOAT;
    for (int i = 7; i >= 0; i--)
        *out->at++ = (unsigned char)(bits >> (8 * i));
    return 1;
}

static int write_run(struct out *out, int op1, int op4, const char *data, size_t size)
{
    if (!has_room(out, size + 5))
        return 0;
    *out->at++ = (unsigned char)(size <= 0xff ? op1 : op4);
    put_little(out, size, size <= 0xff ? 1 : 4);
    memcpy(out->at, data, size);
    out->at += size;
    return 1;
}

static int write_str(PyObject *object, struct out *out)
{
    Py_ssize_t size;

    if (PyUnicode_GET_LENGTH(object) > SHPY_SMALL)
        return 0;
    const char *text = PyUnicode_AsUTF8AndSize(object, &size);
    if (!text) { /* lone surrogates */
        PyErr_Clear();
        return 0;
    }
    return write_run(out, OP_STR1, OP_STR4, text, (size_t)size);
}

static int write_object(PyObject *object, struct out *out, int depth);

static int write_tuple(PyObject *object, struct out *out, int depth)
{
    static const unsigned char short_tuple[] = {OP_TUPLE0, OP_TUPLE1, OP_TUPLE2, OP_TUPLE3};
    Py_ssize_t count = PyTuple_GET_SIZE(object);

    if (depth >= MOST_DEPTH || count > MOST_VALUES / 2 || !has_room(out, 2))
        return 0;
    if (count > 3)
        *out->at++ = OP_MARK;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!write_object(PyTuple_GET_ITEM(object, i), out, depth + 1))
            return 0;
    if (!has_room(out, 1))
        return 0;
    *out->at++ = count > 3 ? OP_TUPLE : short_tuple[count];
    return 1;
}

/* Begin a list or dict: 1, or 0 where it is left to the pickle module. */
static int begin_container(PyObject *object, struct out *out, int depth, int op)
{
#ifdef Py_GIL_DISABLED
    return 0; /* another thread may change it meanwhile */
#endif
    if (depth >= MOST_DEPTH || out->seen_count == MOST_SEEN || !has_room(out, 1))
        return 0;
    for (int i = 0; i < out->seen_count; i++)
        if (out->seen[i] == object)
            return 0;
    out->seen[out->seen_count++] = object;
    *out->at++ = (unsigned char)op;
    return 1;
}

static int write_op(struct out *out, int op)
{
    if (!has_room(out, 1))
        return 0;
    *out->at++ = (unsigned char)op;
    return 1;
}

static int write_list(PyObject *object, struct out *out, int depth)
{
    Py_ssize_t count = PyList_GET_SIZE(object);

    if (count > SHPY_SMALL || !begin_container(object, out, depth, OP_LIST))
        return 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i % BATCH == 0 && !write_op(out, OP_MARK))
            return 0;
        if (!write_object(PyList_GET_ITEM(object, i), out, depth + 1))
            return 0;
        if ((i % BATCH == BATCH - 1 || i == count - 1) && !write_op(out, OP_APPENDS))
            return 0;
    }
    return 1;
}

static int write_dict(PyObject *object, struct out *out, int depth)
{
    Py_ssize_t count = PyDict_GET_SIZE(object), place = 0, i = 0;
    PyObject *key, *value;

    if (count > SHPY_SMALL || !begin_container(object, out, depth, OP_DICT))
        return 0;
    for (; PyDict_Next(object, &place, &key, &value); i++) {
        if (i % (BATCH / 2) == 0 && !write_op(out, OP_MARK))
            return 0;
        if (!write_object(key, out, depth + 1) || !write_object(value, out, depth + 1))
            return 0;
        if ((i % (BATCH / 2) == BATCH / 2 - 1 || i == count - 1) && !write_op(out, OP_SETITEMS))
            return 0;
    }
    return 1;
}

/* 1, or 0 where it cannot be written here. */
static int write_object(PyObject *object, struct out *out, int depth)
{
    if (PyLong_CheckExact(object))
        return write_int(object, out);
    if (PyUnicode_CheckExact(object))
        return write_str(object, out);
    if (PyTuple_CheckExact(object))
        return write_tuple(object, out, depth);
    if (PyBytes_CheckExact(object))
        return write_run(out, OP_BYTES1, OP_BYTES4, PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object));
    if (PyFloat_CheckExact(object))
        return write_float(object, out);
    if (PyDict_CheckExact(object))
        return write_dict(object, out, depth);
    if (PyList_CheckExact(object))
        return write_list(object, out, depth);
    if (!has_room(out, 1))
        return 0;
    if (object == Py_None)
        *out->at++ = OP_NONE;
    else if (object == Py_True)
        *out->at++ = OP_TRUE;
    else if (object == Py_False)
        *out->at++ = OP_FALSE;
    else
        return 0;
    return 1;
}

size_t shpy_fast_write(PyObject *object, char *to, size_t capacity)
{
    struct out out;

    out.at = (unsigned char *)to;
    out.end = out.at + capacity;
    out.seen_count = 0;
    *out.at++ = OP_PROTO;
    *out.at++ = PROTOCOL;
    if (!write_object(object, &out, 0) || !has_room(&out, 1))
        return 0;
    *out.at++ = OP_STOP;
    return (size_t)(out.at - (unsigned char *)to);
}

/* What has been read and not yet been used. */
struct stack {
    PyObject *values[MOST_VALUES];
    int count;
    int marks[MOST_DEPTH + 1];
    int mark_count;
};

struct in {
    const unsigned char *at;
    const unsigned char *end;
};

static uint64_t get_little(struct in *in, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)*in->at++ << (8 * i);
    return value;
}

static PyObject *read_float(struct in *in)
{
    uint64_t bits = 0;
    double value;

    for (int i = 0; i < 8; i++)
        bits = bits << 8 | *in->at++;
    memcpy(&value, &bits, sizeof value);
    return PyFloat_FromDouble(value);
}

/* Bytes that an opcode is followed by, before any run; -1 for those that are not read here. */
static int fixed_size(unsigned char op)
{
    switch (op) {
    case OP_NONE:
    case OP_TRUE:
    case OP_FALSE:
        return 0;
    case OP_INT1:
    case OP_LONG1:
    case OP_STR1:
    case OP_BYTES1:
        return 1;
    case OP_INT2:
        return 2;
    case OP_INT4:
    case OP_STR4:
    case OP_BYTES4:
        return 4;
    case OP_FLOAT:
        return 8;
    default:
        return -1;
    }
}

static PyObject *read_run(struct in *in, unsigned char op, uint64_t size)
{
    const unsigned char *run = in->at;

    if (size > (uint64_t)(in->end - in->at))
        return NULL;
    if (op == OP_LONG1 && size != 8)
        return NULL;
    in->at += size;
    if (op == OP_LONG1)
        return PyLong_FromLongLong((long long)get_little(&(struct in){run, in->end}, 8));
    if (op == OP_STR1 || op == OP_STR4)
        return PyUnicode_DecodeUTF8((const char *)run, (Py_ssize_t)size, "surrogatepass");
    return PyBytes_FromStringAndSize((const char *)run, (Py_ssize_t)size);
}

/* The value that an opcode stands for: a new reference; NULL without an exception where it is not read here. */
static PyObject *read_value(struct in *in, unsigned char op)
{
    int size = fixed_size(op);

    if (size < 0 || in->end - in->at < size)
        return NULL;
    switch (op) {
    case OP_NONE:
        return Py_NewRef(Py_None);
    case OP_TRUE:
        return Py_NewRef(Py_True);
    case OP_FALSE:
        return Py_NewRef(Py_False);
    case OP_INT1:
    case OP_INT2:
        return PyLong_FromLong((long)get_little(in, size));
    case OP_INT4:
        return PyLong_FromLong((int32_t)get_little(in, 4));
    case OP_FLOAT:
        return read_float(in);
    default:
        return read_run(in, op, get_little(in, size));
    }
}

/* How many values are below the last mark. */
static int below_mark(const struct stack *stack)
{
    return stack->mark_count ? stack->marks[stack->mark_count - 1] : 0;
}

/* Put the topmost count values into a tuple. */
static int fold(struct stack *stack, int count)
{
    if (count < 0 || stack->count - count < below_mark(stack) || stack->count - count >= MOST_VALUES)
        return 0;
    PyObject *tuple = PyTuple_New(count);
    if (!tuple)
        return 0;
    stack->count -= count;
    for (int i = 0; i < count; i++)
        PyTuple_SET_ITEM(tuple, i, stack->values[stack->count + i]);
    stack->values[stack->count++] = tuple;
    return 1;
}

static int push(struct stack *stack, PyObject *value)
{
    if (!value || stack->count == MOST_VALUES) {
        Py_XDECREF(value);
        return 0;
    }
    stack->values[stack->count++] = value;
    return 1;
}

/* Give what is above the last mark to the list or dict below it. */
static int fill(struct stack *stack, int is_dict)
{
    if (stack->mark_count == 0)
        return 0;
    int begin = stack->marks[--stack->mark_count], end = stack->count, width = is_dict ? 2 : 1;
    if (begin <= below_mark(stack) || begin > end || (end - begin) % width)
        return 0;
    PyObject *to = stack->values[begin - 1];
    if (is_dict ? !PyDict_CheckExact(to) : !PyList_CheckExact(to))
        return 0;
    for (int i = begin; i < end; i += width) {
        int r =
            is_dict ? PyDict_SetItem(to, stack->values[i], stack->values[i + 1]) : PyList_Append(to, stack->values[i]);
        if (r < 0)
            return 0;
    }
    while (stack->count > begin)
        Py_DECREF(stack->values[--stack->count]);
    return 1;
}

static int step(struct stack *stack, struct in *in, unsigned char op)
{
    switch (op) {
    case OP_MARK:
        if (stack->mark_count > MOST_DEPTH)
            return 0;
        stack->marks[stack->mark_count++] = stack->count;
        return 1;
    case OP_TUPLE:
        return stack->mark_count > 0 && fold(stack, stack->count - stack->marks[--stack->mark_count]);
    case OP_TUPLE0:
        return fold(stack, 0);
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
        return fold(stack, op - OP_TUPLE1 + 1);
    case OP_LIST:
        return push(stack, PyList_New(0));
    case OP_DICT:
        return push(stack, PyDict_New());
    case OP_APPENDS:
        return fill(stack, 0);
    case OP_SETITEMS:
        return fill(stack, 1);
    default:
        return push(stack, read_value(in, op));
    }
}

/* What most results of large maps are. */
static PyObject *read_small(const unsigned char *data, size_t size)
{
    if (size == 5 && data[2] == OP_INT1)
        return PyLong_FromLong(data[3]);
    if (size == 6 && data[2] == OP_INT2)
        return PyLong_FromLong(data[3] | data[4] << 8);
    if (size == 8 && data[2] == OP_INT4)
        return PyLong_FromLong((int32_t)get_little(&(struct in){data + 3, data + 7}, 4));
    if (size == 4 && data[2] == OP_NONE)
        return Py_NewRef(Py_None);
    return NULL;
}

PyObject *shpy_fast_read(const char *data, size_t size)
{
    struct in in = {(const unsigned char *)data, (const unsigned char *)data + size};
    struct stack stack;

    if (size < 4 || in.at[0] != OP_PROTO)
        return NULL;
    if (size <= 8 && in.end[-1] == OP_STOP) {
        PyObject *small = read_small(in.at, size);
        if (small)
            return small;
    }
    in.at += 2;
    stack.count = stack.mark_count = 0;
    while (in.at < in.end) {
        unsigned char op = *in.at++;
        if (op == OP_STOP && stack.count == 1 && stack.mark_count == 0)
            return stack.values[0];
        if (!step(&stack, &in, op))
            break;
    }
    while (stack.count > 0)
        Py_DECREF(stack.values[--stack.count]);
    return NULL;
}
