/* queue.c - random operations on a queue, beside a model that is an array of messages. */
#include "queue/queue.h"

#include "arena/block.h"
#include "base/check.h"
#include "harness.h"

#include <shoal/arena.h>
#include <shoal/queue.h>
#include <stdlib.h>

enum { MOST = 4096, LARGEST = 40000 };

/* The model: sizes and seeds of the messages in order. */
struct model {
    uint64_t max_items, max_bytes;
    uint64_t first, count, bytes, numbered;
    struct {
        size_t size;
        uint64_t number;
    } messages[MOST];
    int closed;
};

static void fill(unsigned char *data, size_t size, uint64_t number)
{
    uint64_t state = number * 2654435761u + 1;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = test_random(&state);
        memcpy(data + i, &word, size - i < 8 ? size - i : 8);
    }
}

static size_t random_size(uint64_t *seed)
{
    switch (test_random_below(seed, 6)) {
    case 0:
        return 0;
    case 1:
        return 1016 + test_random_below(seed, 16); /* around what lies in the ring */
    case 2:
        return test_random_below(seed, LARGEST);
    default:
        return test_random_below(seed, 200);
    }
}

static int model_put(struct model *model, size_t size)
{
    if (model->max_bytes && size > model->max_bytes)
        return -EMSGSIZE;
    if (model->closed)
        return -EPIPE;
    if (model->count == MOST || (model->max_items && model->count == model->max_items) ||
        (model->max_bytes && model->bytes + size > model->max_bytes))
        return -EAGAIN;
    uint64_t at = (model->first + model->count++) % MOST;
    model->messages[at].size = size;
    model->messages[at].number = model->numbered++;
    model->bytes += size;
    return 0;
}

static ssize_t model_get(struct model *model, size_t capacity, uint64_t *ret_number)
{
    if (!model->count)
        return model->closed ? -EPIPE : -EAGAIN;
    size_t size = model->messages[model->first].size;
    if (size > capacity)
        return -EMSGSIZE;
    *ret_number = model->messages[model->first].number;
    model->first = (model->first + 1) % MOST;
    model->count--;
    model->bytes -= size;
    return (ssize_t)size;
}

static unsigned char data[LARGEST * 8], expected[LARGEST];

static void check_same(struct model *model, shoal_queue *queue)
{
    uint64_t items, bytes;

    CHECK_OK(shoal_queue_size(queue, &items, &bytes));
    CHECK_EQ(items, model->count);
    CHECK_EQ(bytes, model->bytes);
    if (sh_queue_check(queue->handle.object) < 0)
        FAIL("%s", sh_check_note);
}

static void put_one(struct model *model, shoal_queue *queue, uint64_t *seed)
{
    size_t size = random_size(seed);
    int wanted = model_put(model, size), r;

    fill(data, size, model->numbered - (wanted == 0));
    switch (test_random_below(seed, 3)) {
    case 0:
        r = shoal_queue_put(queue, data, size, 0);
        break;
    case 1: {
        size_t cut = size ? test_random_below(seed, size) : 0;
        struct shoal_bytes parts[2] = {{data, cut}, {data + cut, size - cut}};
        r = shoal_queue_put_parts(queue, parts, 2, 0);
        break;
    }
    default: {
        struct shoal_message loan;
        CHECK_OK(shoal_queue_loan(queue, size, &loan));
        memcpy(loan.data, data, size);
        r = shoal_queue_send(queue, &loan, 0);
        shoal_message_release(&loan);
    }
    }
    CHECK_EQ(r, wanted);
}

static void put_many(struct model *model, shoal_queue *queue, uint64_t *seed)
{
    struct shoal_bytes messages[8];
    size_t count = 1 + test_random_below(seed, 8), at = 0, accepted = 0;
    uint64_t number = model->numbered;

    for (size_t i = 0; i < count; i++) {
        messages[i] = (struct shoal_bytes){data + at, random_size(seed)};
        fill(data + at, messages[i].size, number + i);
        at += messages[i].size;
    }
    int wanted = 0;
    while (accepted < count && (wanted = model_put(model, messages[accepted].size)) == 0)
        accepted++;
    CHECK_EQ(shoal_queue_put_many(queue, messages, count, 0), accepted ? (ssize_t)accepted : wanted);
}

static void check_message(const void *message, ssize_t size, uint64_t number)
{
    fill(expected, (size_t)size, number);
    CHECK_MEM_EQ(message, expected, (size_t)size);
}

static void get_one(struct model *model, shoal_queue *queue, uint64_t *seed)
{
    uint64_t number = 0;

    if (test_random_below(seed, 3)) {
        size_t capacity = test_random_below(seed, 5) ? LARGEST : test_random_below(seed, 300);
        ssize_t wanted = model_get(model, capacity, &number);
        CHECK_EQ(shoal_queue_get(queue, data, capacity, 0), wanted);
        if (wanted >= 0)
            check_message(data, wanted, number);
    } else {
        struct shoal_message message;
        ssize_t wanted = model_get(model, LARGEST, &number);
        CHECK_EQ(shoal_queue_receive(queue, &message, 0), wanted < 0 ? wanted : 0);
        if (wanted >= 0) {
            CHECK_EQ(message.size, wanted);
            check_message(message.data, wanted, number);
            shoal_message_release(&message);
        }
    }
}

static void get_many(struct model *model, shoal_queue *queue, uint64_t *seed)
{
    struct shoal_bytes out[8];
    size_t capacity = test_random_below(seed, sizeof data), count = 1 + test_random_below(seed, 8);
    ssize_t r = shoal_queue_get_many(queue, data, capacity, out, count, 0);
    uint64_t number = 0;

    if (r < 0) {
        CHECK_EQ(model_get(model, capacity, &number), r);
        return;
    }
    CHECK_GT(r, 0);
    for (ssize_t i = 0; i < r; i++) {
        CHECK_EQ(model_get(model, LARGEST, &number), out[i].size);
        check_message(out[i].data, (ssize_t)out[i].size, number);
    }
}

static void run(uint64_t *seed)
{
    static struct model model;
    shoal_queue *queue;

    model = (struct model){0};
    if (test_random_below(seed, 2))
        model.max_items = 1 + test_random_below(seed, 50);
    if (test_random_below(seed, 3) == 0)
        model.max_bytes = 1 + test_random_below(seed, 100000);
    CHECK_OK(shoal_queue_open(&(struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .max_items = model.max_items,
                                                            .max_bytes = model.max_bytes},
                              &queue));
    uint64_t eagerness = 1 + test_random_below(seed, 8); /* of putting */
    for (int step = 0; step < 3000; step++) {
        uint64_t which = test_random_below(seed, 10);
        if (which < eagerness && model.count < MOST - 8)
            (test_random_below(seed, 4) ? put_one : put_many)(&model, queue, seed);
        else
            (test_random_below(seed, 4) ? get_one : get_many)(&model, queue, seed);
        if (test_random_below(seed, 4000) == 0) {
            CHECK_OK(shoal_queue_close(queue));
            model.closed = 1;
        }
        if (test_random_below(seed, 300) == 0)
            eagerness = 1 + test_random_below(seed, 8);
        check_same(&model, queue);
    }
    shoal_queue_free(queue);
}

TEST_WITHIN(100, a_queue_does_what_an_array_of_messages_does)
{
    struct shoal_arena_stats before, after;
    uint64_t seed = test_seed();

    CHECK_OK(sh_arena_enter());
    CHECK_OK(shoal_arena_stats(&before));
    for (int i = 0; i < 12; i++)
        run(&seed);
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&after));
    CHECK_EQ(after.blocks, before.blocks);
    if (sh_arena_check() < 0)
        FAIL("%s", sh_check_note);
}
