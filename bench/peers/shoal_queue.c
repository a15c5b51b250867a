/* shoal_queue.c - shoal's queue, used in three ways: copying, by loan, and many messages a call. */
#include "harness/loops.h"

#include <shoal/shoal.h>
#include <stdio.h>

enum { MANY = 16 };

struct link {
    shoal_queue *queue;
    struct bench_shape shape;
};

struct end {
    shoal_queue *queue;
    size_t size;
    void *buffer;                      /* copying: one message; many: MANY of them */
    struct shoal_message loan;         /* by loan: the one being filled, or the one taken */
    struct shoal_bytes messages[MANY]; /* many: those gathered, or taken */
    unsigned count, next;              /* many: how many those are, and which is next */
};

static int fits(const struct bench_shape *shape)
{
    (void)shape;
    return 1;
}

static int open_link(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    struct shoal_queue_options options = {SHOAL_OPTIONS(shoal_queue), .max_items = shape->slots};
    struct link *link = malloc(sizeof *link);
    int r = link ? shoal_queue_open(&options, &link->queue) : -ENOMEM;
    if (r < 0) {
        free(link);
        return r;
    }
    link->shape = *shape;
    snprintf(ret_note, 160, "%u slots", shape->slots);
    *ret_link = link;
    return 0;
}

static void close_link(void *context)
{
    struct link *link = context;
    shoal_queue_free(link->queue);
    free(link);
}

static int enter(void *context, enum bench_role role, unsigned index, void **ret_end)
{
    struct link *link = context;
    struct end *end = calloc(1, sizeof *end);
    (void)role;
    (void)index;
    if (!end)
        return -ENOMEM;
    end->queue = link->queue;
    end->size = link->shape.size;
    end->buffer = bench_buffer(MANY * link->shape.size);
    *ret_end = end;
    return end->buffer ? 0 : -ENOMEM;
}

static void leave(void *context)
{
    struct end *end = context;
    free(end->buffer);
    free(end);
}

static void *copy_begin(void *context, size_t size)
{
    struct end *end = context;
    (void)size;
    return end->buffer;
}

static int copy_commit(void *context, void *message, size_t size)
{
    struct end *end = context;
    return shoal_queue_put(end->queue, message, size, SHOAL_FOREVER);
}

static ssize_t copy_take(void *context, void **ret_message)
{
    struct end *end = context;
    *ret_message = end->buffer;
    return shoal_queue_get(end->queue, end->buffer, end->size, SHOAL_FOREVER);
}

static void *loan_begin(void *context, size_t size)
{
    struct end *end = context;
    return shoal_queue_loan(end->queue, size, &end->loan) < 0 ? NULL : end->loan.data;
}

static int loan_commit(void *context, void *message, size_t size)
{
    struct end *end = context;
    (void)message;
    (void)size;
    return shoal_queue_send(end->queue, &end->loan, SHOAL_FOREVER);
}

static ssize_t loan_take(void *context, void **ret_message)
{
    struct end *end = context;
    int r = shoal_queue_receive(end->queue, &end->loan, SHOAL_FOREVER);
    if (r < 0)
        return r;
    *ret_message = end->loan.data;
    return (ssize_t)end->loan.size;
}

static void loan_done(void *context)
{
    struct end *end = context;
    shoal_message_release(&end->loan);
}

static void *many_begin(void *context, size_t size)
{
    struct end *end = context;
    return (char *)end->buffer + end->count * size;
}

static int many_flush(void *context)
{
    struct end *end = context;
    for (unsigned sent = 0; sent < end->count;) {
        ssize_t n = shoal_queue_put_many(end->queue, end->messages + sent, end->count - sent, SHOAL_FOREVER);
        if (n < 0)
            return (int)n;
        sent += (unsigned)n;
    }
    end->count = 0;
    return 0;
}

static int many_commit(void *context, void *message, size_t size)
{
    struct end *end = context;
    end->messages[end->count++] = (struct shoal_bytes){message, size};
    return end->count < MANY ? 0 : many_flush(end);
}

static ssize_t many_take(void *context, void **ret_message)
{
    struct end *end = context;
    if (end->next == end->count) {
        ssize_t n = shoal_queue_get_many(end->queue, end->buffer, MANY * end->size, end->messages, MANY, SHOAL_FOREVER);
        if (n < 0)
            return n;
        end->count = (unsigned)n;
        end->next = 0;
    }
    struct shoal_bytes message = end->messages[end->next++];
    *ret_message = (char *)end->buffer + ((const char *)message.data - (const char *)end->buffer);
    return (ssize_t)message.size;
}

/* Loaned messages are stamped at both ends only: what they cost must not depend on their size. */
static const struct bench_ops copy_ops = {.begin = copy_begin, .commit = copy_commit, .take = copy_take, .whole = 1};
static const struct bench_ops loan_ops = {
    .begin = loan_begin,
    .commit = loan_commit,
    .take = loan_take,
    .done = loan_done,
};
static const struct bench_ops many_ops = {
    .begin = many_begin,
    .commit = many_commit,
    .flush = many_flush,
    .take = many_take,
    .whole = 1,
};
BENCH_LOOPS_NAMED(copy, copy_ops)
BENCH_LOOPS_NAMED(loan, loan_ops)
BENCH_LOOPS_NAMED(many, many_ops)

/* Enough of them in memory at a time to be worth a call. */
static int fits_many(const struct bench_shape *shape)
{
    return shape->slots > MANY;
}

const struct bench_peer bench_shoal_copy = {
    .name = "shoal",
    .fits = fits,
    .open = open_link,
    .close = close_link,
    .enter = enter,
    .leave = leave,
    .produce = copy_produce,
    .consume = copy_consume,
    .ping = copy_ping,
    .pong = copy_pong,
    .put_get = copy_put_get,
    .send_last = copy_send_last,
};

const struct bench_peer bench_shoal_loan = {
    .name = "shoal, by loan",
    .fits = fits,
    .open = open_link,
    .close = close_link,
    .enter = enter,
    .leave = leave,
    .produce = loan_produce,
    .consume = loan_consume,
    .ping = loan_ping,
    .pong = loan_pong,
    .put_get = loan_put_get,
    .send_last = loan_send_last,
};

const struct bench_peer bench_shoal_many = {
    .name = "shoal, 16 a call",
    .fits = fits_many,
    .open = open_link,
    .close = close_link,
    .enter = enter,
    .leave = leave,
    .produce = many_produce,
    .consume = many_consume,
    .send_last = many_send_last,
};
