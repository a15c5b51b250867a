/* apply_async_list.c - ten tasks at once, then their ten results. */
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASKS = 10 };

/* A call that fails returns a negative number; shoal_strerror says what it means. */
static void must(long result)
{
    if (result < 0) {
        fprintf(stderr, "%s\n", shoal_strerror((int)result));
        exit(1);
    }
}

/* Runs in a worker: returns what it was given. */
static int job(shoal_task *task)
{
    int number, r = shoal_task_arg(task, &number, sizeof number);
    return r < 0 ? r : shoal_task_return(task, &number, sizeof number);
}

int main(void)
{
    shoal_future *futures[TASKS];
    shoal_pool *pool;

    must(shoal_pool_open(NULL, &pool));
    for (int i = 0; i < TASKS; i++)
        must(shoal_pool_submit(pool, NULL, job, &i, sizeof i, 1, &futures[i]));

    for (int i = 0; i < TASKS; i++) {
        int result;
        must(shoal_future_get(futures[i], 0, &result, sizeof result, SHOAL_FOREVER));
        printf("%s%d", i == 0 ? "[" : ", ", result);
        shoal_future_free(futures[i]);
    }
    printf("]\n");

    shoal_pool_close(pool);
    shoal_pool_join(pool, SHOAL_FOREVER);
    shoal_pool_free(pool);
    return 0;
}
