/* queue.c - queues where memory, descriptors and address space run out: what was there stays, in order. */
#include "fault.h"
#include "harness.h"

#include <shoal/queue.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGE = 3 << 20, MANY = 3000 };

static shoal_queue *queue;
static char large[LARGE];

static int make(void)
{
    return shoal_queue_open(NULL, &queue);
}

static int make_joinable(void)
{
    return shoal_queue_open(
        &(struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .flags = SHOAL_QUEUE_JOINABLE, .max_items = 1000},
        &queue);
}

static void drop(void)
{
    shoal_queue_free(queue);
    queue = NULL;
}

TEST(a_queue_that_cannot_be_made_leaves_nothing)
{
    test_each_fault(make, drop);
    test_each_fault(make_joinable, drop);
}

static void check_size(uint64_t items)
{
    uint64_t is, bytes;

    CHECK_OK(shoal_queue_size(queue, &is, &bytes));
    CHECK_EQ(is, items);
}

static int put_large(void)
{
    if (!queue)
        CHECK_OK(make());
    int r = shoal_queue_put(queue, large, LARGE, 0);
    if (r < 0)
        check_size(0);
    return r;
}

static void get_large(void)
{
    struct shoal_message message;

    check_size(1);
    CHECK_OK(shoal_queue_receive(queue, &message, 0));
    CHECK_EQ(message.size, LARGE);
    shoal_message_release(&message);
}

TEST(a_large_message_that_finds_no_memory_is_not_put)
{
    CHECK_OK(make());
    test_each_fault(put_large, get_large);
    drop();
}

static int loan_large(void)
{
    struct shoal_message message;
    int r = shoal_queue_loan(queue, LARGE, &message);

    if (r == 0)
        shoal_message_release(&message);
    return r;
}

static void nothing(void)
{
}

TEST(a_loan_that_finds_no_memory_borrows_nothing)
{
    CHECK_OK(make());
    test_each_fault(loan_large, nothing);
    drop();
}

/* As many small messages as make the queue grow, each told apart. */
static int put_many(void)
{
    uint64_t there, bytes;

    CHECK_OK(shoal_queue_size(queue, &there, &bytes));
    for (uint64_t i = there; i < MANY; i++) {
        int r = shoal_queue_put(queue, &i, sizeof i, 0);
        if (r < 0) {
            check_size(i);
            return r;
        }
    }
    return 0;
}

static void get_many(void)
{
    uint64_t number;

    for (uint64_t i = 0; i < MANY; i++) {
        CHECK_EQ(CHECK_COUNT(shoal_queue_get(queue, &number, sizeof number, 0)), sizeof number);
        CHECK_EQ(number, i);
    }
    check_size(0);
}

TEST(a_queue_that_cannot_grow_keeps_what_it_has)
{
    CHECK_OK(make());
    test_each_fault(put_many, get_many);
    drop();
}

static int ask_for_descriptor(void)
{
    return shoal_queue_fd(queue);
}

TEST(a_descriptor_that_cannot_be_had_leaves_the_queue_as_it_was)
{
    CHECK_OK(make());
    test_each_fault(ask_for_descriptor, nothing);
    drop();
}
