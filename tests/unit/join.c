/* join.c - joinable queues: who waits until all is done, and what counts as done. */
#include "board.h"

#include <shoal/queue.h>
#include <signal.h>
#include <unistd.h>

static shoal_queue *open_joinable(void)
{
    shoal_queue *queue;
    CHECK_OK(shoal_queue_open(&(struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .flags = SHOAL_QUEUE_JOINABLE},
                              &queue));
    return queue;
}

TEST(joining_waits_until_all_is_done)
{
    shoal_queue *queue = open_joinable();
    uint64_t unfinished;
    pid_t child;
    char byte;

    CHECK_OK(shoal_queue_join(queue, 0));
    CHECK_RETURN(shoal_queue_task_done(queue), -EINVAL);
    for (int i = 0; i < 10; i++)
        CHECK_OK(shoal_queue_put(queue, "x", 1, 0));
    CHECK_RETURN(shoal_queue_join(queue, 0), -EAGAIN);
    CHECK_RETURN(shoal_queue_join(queue, SHOAL_MILLISECONDS(3)), -ETIMEDOUT);
    CHILD(child) {
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(shoal_queue_get(queue, &byte, 1, 0), 1);
            usleep(500);
            CHECK_OK(shoal_queue_task_done(queue));
        }
    }
    CHECK_OK(shoal_queue_join(queue, SHOAL_FOREVER));
    CHECK_OK(shoal_queue_unfinished(queue, &unfinished));
    CHECK_EQ(unfinished, 0);
    CHECK_RETURN(shoal_queue_task_done(queue), -EINVAL);
    CHECK_EXITS(child, 0);
    shoal_queue_free(queue);
    shoal_queue *plain;
    CHECK_OK(shoal_queue_open(NULL, &plain));
    CHECK_RETURN(shoal_queue_join(plain, 0), -ENOTSUP);
    CHECK_RETURN(shoal_queue_task_done(plain), -ENOTSUP);
    shoal_queue_free(plain);
}

TEST(what_a_dead_process_had_taken_counts_as_done)
{
    shoal_queue *queue = open_joinable();
    pid_t child;
    char byte;

    for (int i = 0; i < 5; i++)
        CHECK_OK(shoal_queue_put(queue, "x", 1, 0));
    CHILD(child) {
        for (int i = 0; i < 5; i++)
            CHECK_EQ(shoal_queue_get(queue, &byte, 1, 0), 1);
        CHECK_OK(shoal_queue_task_done(queue));
        raise(SIGKILL);
    }
    CHECK_KILLED(child, SIGKILL);
    CHECK_OK(shoal_queue_join(queue, SHOAL_SECONDS(5)));
    shoal_queue_free(queue);
}

TEST(a_queue_that_went_before_the_child_came_is_stale_in_it)
{
    struct board *board = board_map();
    shoal_queue *queue = open_joinable();
    uint64_t unfinished;
    pid_t child;

    CHILD(child) {
        AWAIT(board->step == 1);
        CHECK_RETURN(shoal_queue_task_done(queue), -ESTALE);
        CHECK_RETURN(shoal_queue_join(queue, SHOAL_FOREVER), -ESTALE);
        CHECK_RETURN(shoal_queue_unfinished(queue, &unfinished), -ESTALE);
    }
    shoal_queue_free(queue);
    board->step = 1;
    CHECK_EXITS(child, 0);
    board_unmap(board);
}
