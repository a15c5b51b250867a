/* control.c - a race between two threads, which ThreadSanitizer has to see where it is there at all. */
#include "harness.h"

#include <pthread.h>

static int count;

static void *count_up(void *argument)
{
    for (int i = 0; i < 1000; i++)
        count++;
    return argument;
}

TEST(two_threads_count_without_a_lock)
{
    pthread_t one, two;

    CHECK_EQ(pthread_create(&one, NULL, count_up, NULL), 0);
    CHECK_EQ(pthread_create(&two, NULL, count_up, NULL), 0);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    CHECK_GT(count, 0);
}
