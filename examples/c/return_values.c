/* return_values.c - two processes hand back what they computed through a queue: one get for each value. */
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What a process is told. */
struct work {
    shoal_ref queue; /* names the queue; to use it, attach */
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

/* Runs in a process of its own: its answer goes into the queue. */
static int job(void *argument, size_t size)
{
    const struct work *work = argument;
    shoal_queue *queue;

    (void)size;
    must(shoal_queue_attach(&work->queue, &queue));
    sleep(1);
    must(shoal_queue_put(queue, &work->number, sizeof work->number, SHOAL_FOREVER));
    shoal_queue_free(queue);
    return 0;
}

int main(void)
{
    struct work first = {.number = 1}, second = {.number = 2};
    shoal_process *p1, *p2;
    shoal_queue *queue;
    int answer1, answer2;
    double start = now();

    must(shoal_queue_open(NULL, &queue));
    must(shoal_queue_ref(queue, &first.queue));
    second.queue = first.queue;

    must(shoal_process_start(NULL, job, &first, sizeof first, &p1));
    must(shoal_process_start(NULL, job, &second, sizeof second, &p2));
    must(shoal_process_join(p1, SHOAL_FOREVER));
    must(shoal_process_join(p2, SHOAL_FOREVER));

    /* Two values were put, so there are two to get; who was first is anybody's guess. */
    must(shoal_queue_get(queue, &answer1, sizeof answer1, SHOAL_FOREVER));
    must(shoal_queue_get(queue, &answer2, sizeof answer2, SHOAL_FOREVER));
    printf("%d %d\n", answer1, answer2);
    printf("run time is %.3f\n", now() - start);

    shoal_process_free(p1);
    shoal_process_free(p2);
    shoal_queue_free(queue);
    return 0;
}
