/* pipe.c - pipes: directions, both ways, and the end of a pipe whose other side is gone. */
#include "arena/arena.h"
#include "arena/block.h"
#include "board.h"
#include "harness.h"

#include <poll.h>
#include <shoal/arena.h>
#include <shoal/pipe.h>
#include <signal.h>
#include <unistd.h>

static void open_pipe(unsigned flags, shoal_pipe **first, shoal_pipe **second)
{
    CHECK_OK(shoal_pipe_open(flags, first, second));
}

TEST(what_the_second_end_sends_the_first_receives)
{
    shoal_pipe *first, *second;
    char data[10];

    open_pipe(0, &first, &second);
    CHECK_OK(shoal_pipe_send(second, "hello", 5, 0));
    CHECK_EQ(shoal_pipe_receive(first, data, sizeof data, 0), 5);
    CHECK_MEM_EQ(data, "hello", 5);
    CHECK_RETURN(shoal_pipe_send(first, "x", 1, 0), -EBADF);
    CHECK_RETURN(shoal_pipe_receive(second, data, 1, 0), -EBADF);
    CHECK_RETURN(shoal_pipe_poll(second, 0), -EBADF);
    CHECK_RETURN(shoal_pipe_fd(second), -EBADF);
    shoal_pipe_free(first);
    shoal_pipe_free(second);
}

TEST(a_duplex_pipe_goes_both_ways)
{
    shoal_pipe *first, *second;
    struct shoal_message message;
    char data[10];

    open_pipe(SHOAL_PIPE_DUPLEX, &first, &second);
    CHECK_OK(shoal_pipe_send_parts(first, (struct shoal_bytes[]){{"a", 1}, {"b", 1}}, 2, 0));
    CHECK_OK(shoal_pipe_send(second, "xyz", 3, 0));
    CHECK_EQ(shoal_pipe_receive(second, data, sizeof data, 0), 2);
    CHECK_OK(shoal_pipe_receive_message(first, &message, 0));
    CHECK_EQ(message.size, 3);
    shoal_message_release(&message);
    CHECK_RETURN(shoal_pipe_receive(first, data, sizeof data, 0), -EAGAIN);
    shoal_pipe_free(first);
    shoal_pipe_free(second);
}

TEST(when_an_end_is_gone_the_other_takes_what_was_sent_and_learns_it)
{
    shoal_pipe *first, *second;
    char byte;

    open_pipe(SHOAL_PIPE_DUPLEX, &first, &second);
    CHECK_OK(shoal_pipe_send(second, "a", 1, 0));
    shoal_pipe_free(second);
    CHECK_RETURN(shoal_pipe_send(first, "b", 1, 0), -EPIPE);
    CHECK_OK(shoal_pipe_poll(first, 0));
    CHECK_EQ(shoal_pipe_receive(first, &byte, 1, SHOAL_FOREVER), 1);
    CHECK_OK(shoal_pipe_poll(first, SHOAL_FOREVER));
    CHECK_RETURN(shoal_pipe_receive(first, &byte, 1, SHOAL_FOREVER), -EPIPE);
    shoal_pipe_free(first);
}

TEST(a_receiver_learns_that_the_only_sender_was_killed)
{
    shoal_pipe *first, *second;
    pid_t child;
    char byte;

    open_pipe(0, &first, &second);
    CHILD(child) {
        shoal_pipe_free(first);
        CHECK_OK(shoal_pipe_send(second, "a", 1, 0));
        pause();
    }
    CHECK_EQ(shoal_pipe_receive(first, &byte, 1, SHOAL_FOREVER), 1);
    shoal_pipe_free(second);
    CHECK_RETURN(shoal_pipe_receive(first, &byte, 1, SHOAL_MILLISECONDS(150)), -ETIMEDOUT);
    CHECK_SYS(kill(child, SIGKILL));
    CHECK_RETURN(shoal_pipe_receive(first, &byte, 1, SHOAL_SECONDS(10)), -EPIPE);
    CHECK_KILLED(child, SIGKILL);
    shoal_pipe_free(first);
}

TEST(an_end_is_handed_over_by_its_ref)
{
    shoal_pipe *letters, *reader, *first, *second;
    pid_t child;
    shoal_ref ref;
    char data[2];

    open_pipe(0, &reader, &letters);
    CHILD(child) {
        shoal_pipe *given;
        CHECK_EQ(shoal_pipe_receive(reader, &ref, sizeof ref, SHOAL_FOREVER), sizeof ref);
        CHECK_OK(shoal_pipe_attach(&ref, &given));
        CHECK_OK(shoal_pipe_send(given, "ok", 2, 0));
        shoal_pipe_free(given);
    }
    open_pipe(0, &first, &second);
    CHECK_OK(shoal_pipe_ref(second, &ref));
    CHECK_OK(shoal_pipe_send(letters, &ref, sizeof ref, 0));
    CHECK_EQ(shoal_pipe_receive(first, data, sizeof data, SHOAL_FOREVER), 2);
    CHECK_EXITS(child, 0);
    shoal_pipe_free(second);
    CHECK_RETURN(shoal_pipe_receive(first, data, sizeof data, SHOAL_SECONDS(10)), -EPIPE);
    shoal_pipe *none;
    CHECK_RETURN(shoal_pipe_attach(&ref, &none), -ESTALE);
    shoal_pipe_free(first);
    shoal_pipe_free(letters);
    shoal_pipe_free(reader);
}

TEST(a_pipe_that_went_before_the_child_came_is_stale_in_it)
{
    struct board *board = board_map();
    shoal_pipe *first, *second;
    pid_t child;
    char byte;

    open_pipe(0, &first, &second);
    CHILD(child) {
        AWAIT(board->step == 1);
        CHECK_RETURN(shoal_pipe_send(second, "a", 1, 0), -ESTALE);
        CHECK_RETURN(shoal_pipe_receive(first, &byte, 1, SHOAL_FOREVER), -ESTALE);
        CHECK_RETURN(shoal_pipe_poll(first, SHOAL_FOREVER), -ESTALE);
        CHECK_RETURN(shoal_pipe_fd(first), -ESTALE);
        shoal_pipe_free(first);
        shoal_pipe_free(second);
    }
    shoal_pipe_free(first);
    shoal_pipe_free(second);
    board->step = 1;
    CHECK_EXITS(child, 0);
    board_unmap(board);
}

TEST(pipes_leave_nothing_in_the_arena)
{
    struct shoal_arena_stats before, after;
    shoal_pipe *first, *second;

    CHECK_OK(sh_arena_enter());
    CHECK_OK(shoal_arena_stats(&before));
    for (int i = 0; i < 50; i++) {
        open_pipe(i % 2 ? SHOAL_PIPE_DUPLEX : 0, &first, &second);
        CHECK_OK(shoal_pipe_send(second, "left", 4, 0));
        shoal_pipe_free(i % 3 ? first : second);
        shoal_pipe_free(i % 3 ? second : first);
    }
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&after));
    CHECK_EQ(after.blocks, before.blocks);
    CHECK_EQ(after.objects, before.objects);
}

TEST(the_descriptor_of_an_end_can_be_polled)
{
    shoal_pipe *first, *second;

    open_pipe(0, &first, &second);
    struct pollfd poller = {.fd = (int)CHECK_COUNT(shoal_pipe_fd(first)), .events = POLLIN};
    CHECK_EQ(poll(&poller, 1, 0), 0);
    CHECK_OK(shoal_pipe_send(second, "a", 1, 0));
    CHECK_EQ(poll(&poller, 1, 0), 1);
    shoal_pipe_free(first);
    shoal_pipe_free(second);
}

TEST(bad_arguments_are_refused)
{
    shoal_pipe *first, *second;
    shoal_ref ref;

    CHECK_RETURN(shoal_pipe_open(8, &first, &second), -EINVAL);
    CHECK_RETURN(shoal_pipe_open(0, NULL, &second), -EINVAL);
    CHECK_RETURN(shoal_pipe_attach(NULL, &first), -EINVAL);
    CHECK_RETURN(shoal_pipe_ref(NULL, &ref), -EINVAL);
    CHECK_RETURN(shoal_pipe_send(NULL, "", 0, 0), -EINVAL);
    CHECK_RETURN(shoal_pipe_send_parts(NULL, NULL, 0, 0), -EINVAL);
    CHECK_RETURN(shoal_pipe_receive(NULL, NULL, 0, 0), -EINVAL);
    CHECK_RETURN(shoal_pipe_poll(NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_pipe_fd(NULL), -EINVAL);
    shoal_pipe_free(NULL);
}
