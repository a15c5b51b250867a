/* pool_of_three.c - ten tasks on three workers: look how the process ids repeat. */
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A call that fails returns a negative number; shoal_strerror says what it means. */
static void must(long result)
{
    if (result < 0) {
        fprintf(stderr, "%s\n", shoal_strerror((int)result));
        exit(1);
    }
}

/* Runs in a worker: sleeps for up to a second. */
static int work(shoal_task *task)
{
    int number, r = shoal_task_arg(task, &number, sizeof number);
    if (r < 0)
        return r;

    printf("%d begins, process %d\n", number, (int)getpid());
    srandom((unsigned)(getpid() + number));
    double seconds = (double)random() / RAND_MAX;
    nanosleep(&(struct timespec){.tv_nsec = (long)(seconds * 999999999)}, NULL);
    printf("%d is done, it took %0.2f\n", number, seconds);
    return 0;
}

int main(void)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = 3};
    shoal_pool *pool;

    setvbuf(stdout, NULL, _IOLBF, 0); /* a line goes out when it is printed, also where stdout is no terminal */
    must(shoal_pool_open(&options, &pool));
    for (int i = 0; i < 10; i++)
        must(shoal_pool_submit(pool, NULL, work, &i, sizeof i, 1, NULL)); /* nobody will ask for the result */

    printf("----start----\n");
    must(shoal_pool_close(pool));               /* no more tasks */
    must(shoal_pool_join(pool, SHOAL_FOREVER)); /* after close: waits until all tasks are done */
    printf("-----end-----\n");
    shoal_pool_free(pool);
    return 0;
}
