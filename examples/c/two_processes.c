/* two_processes.c - two processes that sleep at the same time: together they take the time of one. */
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What a process is told: plain bytes, so the queue goes as a ref, which is the name of a shared object. */
struct work {
    shoal_ref queue;
    int number;
};

/* A call that fails returns a negative number; shoal_strerror says what it means. */
static void must(long result)
{
    if (result < 0) {
        fprintf(stderr, "%s\n", shoal_strerror((int)result));
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Runs in a process of its own. */
static int job(void *argument, size_t size)
{
    const struct work *work = argument;
    shoal_queue *queue;

    (void)size;
    must(shoal_queue_attach(&work->queue, &queue));
    sleep(1);
    printf("this is test...%d\n", work->number);
    must(shoal_queue_put(queue, &work->number, sizeof work->number, SHOAL_FOREVER));
    shoal_queue_free(queue);
    return 0;
}

int main(void)
{
    struct work first = {.number = 1}, second = {.number = 2};
    shoal_process *p1, *p2;
    shoal_queue *queue;
    uint64_t messages;
    double start = now();

    setvbuf(stdout, NULL, _IOLBF, 0); /* a line goes out when it is printed, also where stdout is no terminal */
    must(shoal_queue_open(NULL, &queue));
    must(shoal_queue_ref(queue, &first.queue));
    second.queue = first.queue;

    must(shoal_process_start(NULL, job, &first, sizeof first, &p1));
    must(shoal_process_start(NULL, job, &second, sizeof second, &p2));
    must(shoal_process_join(p1, SHOAL_FOREVER));
    must(shoal_process_join(p2, SHOAL_FOREVER));
    printf("run time is %.3f\n", now() - start);

    /* Both have ended, and what they put is still there. */
    must(shoal_queue_size(queue, &messages, NULL));
    printf("messages in the queue: %d\n", (int)messages);

    shoal_process_free(p1);
    shoal_process_free(p2);
    shoal_queue_free(queue);
    return 0;
}
