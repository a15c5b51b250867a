/* queue_in_pool.c - two tasks of a pool share a queue that was made when the pool was there already. */
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A call that fails returns a negative number; shoal_strerror says what it means. */
static void must(long result)
{
    if (result < 0) {
        fprintf(stderr, "%s\n", shoal_strerror((int)result));
        exit(1);
    }
}

/* The task's argument is a ref, which names a queue: this is how a worker gets at it. */
static shoal_queue *attach(shoal_task *task)
{
    shoal_queue *queue;
    shoal_ref ref;

    must(shoal_task_arg(task, &ref, sizeof ref));
    must(shoal_queue_attach(&ref, &queue));
    return queue;
}

/* Runs in a worker. */
static int writer(shoal_task *task)
{
    shoal_queue *queue = attach(task);

    printf("writer started (%d), its parent is (%d)\n", (int)getpid(), (int)getppid());
    for (const char *c = "helloworld"; *c != '\0'; c++)
        must(shoal_queue_put(queue, c, 1, SHOAL_FOREVER));
    shoal_queue_free(queue);
    return 0;
}

/* Runs in a worker: in another one, or in the same one later. */
static int reader(shoal_task *task)
{
    shoal_queue *queue = attach(task);
    uint64_t messages;
    char c;

    printf("reader started (%d), its parent is (%d)\n", (int)getpid(), (int)getppid());
    must(shoal_queue_size(queue, &messages, NULL));
    while (messages-- > 0) {
        must(shoal_queue_get(queue, &c, 1, SHOAL_FOREVER));
        printf("reader got a message from the queue: %c\n", c);
    }
    shoal_queue_free(queue);
    return 0;
}

/* Hand the queue to a task of the pool, and wait until the task has ended. */
static void run(shoal_pool *pool, shoal_task_function *function, const shoal_queue *queue)
{
    shoal_ref ref;

    must(shoal_queue_ref(queue, &ref));
    must(shoal_pool_apply(pool, function, &ref, sizeof ref, NULL, 0));
}

int main(void)
{
    shoal_pool *pool;
    shoal_queue *queue;

    setvbuf(stdout, NULL, _IOLBF, 0); /* a line goes out when it is printed, also where stdout is no terminal */
    printf("(%d) start\n", (int)getpid());
    must(shoal_pool_open(NULL, &pool));
    must(shoal_queue_open(NULL, &queue)); /* the workers live already: no matter */

    run(pool, writer, queue);
    run(pool, reader, queue);

    must(shoal_pool_close(pool));
    must(shoal_pool_join(pool, SHOAL_FOREVER));
    printf("(%d) end\n", (int)getpid());
    shoal_pool_free(pool);
    shoal_queue_free(queue);
    return 0;
}
