/* map.c - the same function for ten numbers, on as many processes as this one may use CPUs. */
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

/* Runs in a worker, once for each number. */
static int square(shoal_task *task)
{
    int number, r = shoal_task_arg(task, &number, sizeof number);
    return r < 0 ? r : shoal_task_return(task, &(int){number * number}, sizeof(int));
}

int main(void)
{
    int numbers[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, squares[10];
    shoal_pool *pool;

    must(shoal_pool_open(NULL, &pool));
    must(shoal_pool_map(pool, square, numbers, sizeof numbers[0], 10, squares, sizeof squares[0]));

    /* The results are in the order of the numbers, whoever computed them. */
    for (int i = 0; i < 10; i++)
        printf("%s%d", i == 0 ? "[" : ", ", squares[i]);
    printf("]\n");

    shoal_pool_close(pool);               /* no more tasks */
    shoal_pool_join(pool, SHOAL_FOREVER); /* the workers have gone */
    shoal_pool_free(pool);
    return 0;
}
