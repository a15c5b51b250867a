/* pipe.c - pipes where the system refuses: making them, attaching, sending, waiting. */
#include "helper.h"

#include <shoal/pipe.h>

enum { LARGE = 300000 };

static shoal_pipe *first, *second;
static char bytes[LARGE];

static int make(void)
{
    shoal_pipe *again;
    shoal_ref ref;
    int r = shoal_pipe_open(SHOAL_PIPE_DUPLEX, &first, &second);

    if (r < 0)
        return r;
    CHECK_OK(shoal_pipe_ref(first, &ref));
    r = shoal_pipe_attach(&ref, &again);
    if (r == 0)
        shoal_pipe_free(again);
    shoal_pipe_free(first);
    shoal_pipe_free(second);
    return r;
}

TEST_WITHIN(120, a_pipe_that_cannot_be_made_leaves_nothing)
{
    test_each_fault(make, nothing);
}

static int send_and_receive(void)
{
    int r = shoal_pipe_open(0, &first, &second);

    if (r < 0)
        return r;
    r = shoal_pipe_send(second, bytes, LARGE, SHOAL_FOREVER);
    if (r == 0) {
        struct shoal_message message;
        r = shoal_pipe_receive_message(first, &message, 0);
        if (r == 0) {
            CHECK_EQ(message.size, LARGE);
            shoal_message_release(&message);
        }
    }
    shoal_pipe_free(first);
    shoal_pipe_free(second);
    return r;
}

TEST_WITHIN(120, a_message_that_cannot_be_sent_or_received_leaves_nothing)
{
    test_each_fault(send_and_receive, nothing);
}

static void send_byte(void)
{
    CHECK_OK(shoal_pipe_send(second, "", 1, 0));
}

static int await_byte(void)
{
    int fd = shoal_pipe_fd(first);

    return fd < 0 ? fd : shoal_pipe_poll(first, SHOAL_FOREVER);
}

static int wait_for_byte(void)
{
    int r = shoal_pipe_open(0, &first, &second);

    if (r < 0)
        return r;
    r = wait_for_helper(nothing, await_byte, send_byte);
    shoal_pipe_free(first);
    shoal_pipe_free(second);
    return r;
}

TEST_WITHIN(120, a_wait_for_bytes_ends_with_them_or_with_an_error)
{
    test_each_fault(wait_for_byte, nothing);
}
