/* queue.c - queues where memory, descriptors and address space run out: what was there stays, in order. */
#include "helper.h"

#include <poll.h>
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

    int r = shoal_queue_size(queue, &there, &bytes);
    if (r < 0)
        return r;
    for (uint64_t i = there; i < MANY; i++) {
        r = shoal_queue_put(queue, &i, sizeof i, 0);
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

/* --- waiting --- */

static const struct shoal_queue_options for_one = {SHOAL_OPTIONS(shoal_queue), .flags = SHOAL_QUEUE_JOINABLE,
                                                   .max_items = 1};

static void put_one(void)
{
    CHECK_OK(shoal_queue_put(queue, "1", 2, 0));
}

static void get_one(void)
{
    char text[2];

    CHECK_EQ(CHECK_COUNT(shoal_queue_get(queue, text, sizeof text, 0)), 2);
}

static void finish_one(void)
{
    get_one();
    CHECK_OK(shoal_queue_task_done(queue));
}

static int await_message(void)
{
    char text[2];
    ssize_t r = shoal_queue_get(queue, text, sizeof text, SHOAL_FOREVER);

    return r < 0 ? (int)r : 0;
}

static int await_room(void)
{
    return shoal_queue_put(queue, "2", 2, SHOAL_FOREVER);
}

static int await_done(void)
{
    return shoal_queue_join(queue, SHOAL_FOREVER);
}

/* With a queue that this makes and frees: begin in this process, then wait, with a helper that does end. */
static int wait_in_queue(void (*begin)(void), int (*wait)(void), void (*end)(void))
{
    int r = shoal_queue_open(&for_one, &queue);

    if (r < 0)
        return r;
    test_fault_hold();
    begin();
    test_fault_release();
    r = wait_for_helper(nothing, wait, end);
    drop();
    return r;
}

static int wait_for_message(void)
{
    return wait_in_queue(nothing, await_message, put_one);
}

static int wait_for_room(void)
{
    return wait_in_queue(put_one, await_room, get_one);
}

static int wait_for_end_of_work(void)
{
    return wait_in_queue(put_one, await_done, finish_one);
}

TEST_WITHIN(120, a_wait_in_a_queue_ends_with_what_was_waited_for_or_with_an_error)
{
    test_each_fault(wait_for_message, nothing);
    test_each_fault(wait_for_room, nothing);
    test_each_fault(wait_for_end_of_work, nothing);
}

/* The getter's descriptor is rung by another process, by way of /proc. */
static int await_ring(void)
{
    int fd = shoal_queue_fd(queue);

    return fd < 0 ? fd : await_message();
}

static int wait_for_ring(void)
{
    return wait_in_queue(nothing, await_ring, put_one);
}

TEST_WITHIN(120, a_wait_with_a_descriptor_ends_with_a_message_or_with_an_error)
{
    test_each_fault(wait_for_ring, nothing);
}

/* The ringing side: what has been put has been told. */
static int ring_other(void)
{
    int r = shoal_queue_open(NULL, &queue);
    int there[2], go[2];
    char byte;

    if (r < 0)
        return r;
    test_fault_hold();
    CHECK_SYS(pipe(there));
    CHECK_SYS(pipe(go));
    pid_t pid = FORK();
    if (pid == 0) {
        CHECK_COUNT(shoal_queue_fd(queue));
        CHECK_SYS(write(there[1], "", 1));
        CHECK_SYS(read(go[0], &byte, 1));
        int error = test_fault_error();
        if (error != ENOENT && error != EACCES) /* which stand for a poller that is gone, or another user's */
            CHECK_EQ(poll(&(struct pollfd){.fd = shoal_queue_fd(queue), .events = POLLIN}, 1, 0), 1);
        get_one();
        test_exit(0);
    }
    CHECK_SYS(read(there[0], &byte, 1));
    test_fault_release();
    r = shoal_queue_put(queue, "1", 2, 0);
    test_fault_hold();
    if (r < 0)
        put_one();
    CHECK_SYS(write(go[1], "", 1));
    CHECK_EXITS(pid, 0);
    sh_reclaim_wait();
    for (int i = 0; i < 2; i++) {
        CHECK_SYS(close(there[i]));
        CHECK_SYS(close(go[i]));
    }
    test_fault_release();
    drop();
    return r;
}

TEST_WITHIN(120, a_put_that_cannot_ring_a_poller_is_none)
{
    test_each_fault(ring_other, nothing);
}

/* --- loans, and messages in every way that they are got --- */

static int pass_large(void)
{
    struct shoal_message message;
    struct shoal_bytes got[2];
    shoal_queue *again = NULL;
    shoal_ref ref;
    int r = shoal_queue_open(NULL, &queue);

    if (r < 0)
        return r;
    CHECK_OK(shoal_queue_ref(queue, &ref));
    r = shoal_queue_attach(&ref, &again);
    if (r == 0)
        r = shoal_queue_loan(queue, LARGE, &message);
    if (r == 0) {
        r = shoal_queue_send(queue, &message, 0);
        if (r < 0)
            shoal_message_release(&message);
    }
    if (r == 0)
        r = (int)shoal_queue_put_many(again, (struct shoal_bytes[]){{large, LARGE}, {large, 1}}, 2, 0);
    if (r >= 0)
        r = (int)shoal_queue_get_many(again, large, LARGE, got, 2, 0);
    if (r >= 0)
        r = shoal_queue_receive(queue, &message, 0);
    if (r >= 0)
        shoal_message_release(&message);
    shoal_queue_free(again);
    drop();
    return r == -EAGAIN ? -ENOMEM : r; /* put_many may have put less than both */
}

TEST_WITHIN(120, messages_that_cannot_be_passed_leave_nothing)
{
    test_each_fault(pass_large, nothing);
}
