/* apply_async.c - hand one task to a pool, go on, and ask for its result later. */
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>

/* A call that fails returns a negative number; shoal_strerror says what it means. */
static void must(long result)
{
    if (result < 0) {
        fprintf(stderr, "%s\n", shoal_strerror((int)result));
        exit(1);
    }
}

/* Runs in a worker. */
static int square(shoal_task *task)
{
    int number, r = shoal_task_arg(task, &number, sizeof number);
    return r < 0 ? r : shoal_task_return(task, &(int){number * number}, sizeof(int));
}

int main(void)
{
    shoal_future *future;
    shoal_pool *pool;
    int result;

    must(shoal_pool_open(NULL, &pool));
    must(shoal_pool_submit(pool, NULL, square, &(int){2}, sizeof(int), 1, &future));
    /* ... here this process could do something else ... */
    must(shoal_future_get(future, 0, &result, sizeof result, SHOAL_FOREVER));
    printf("%d\n", result);

    shoal_future_free(future);
    shoal_pool_close(pool);
    shoal_pool_join(pool, SHOAL_FOREVER);
    shoal_pool_free(pool);
    return 0;
}
