/* control.c - a race between two threads, which ThreadSanitizer has to see where it is there at all. */
#include "harness.h"

#include <pthread.h>
#include <stdlib.h>

static int count;

static void *count_up(void *argument)
{
    for (int i = 0; i < 1000; i++)
        count++;
    return argument;
}

static void race(void)
{
    pthread_t one, two;

    CHECK_EQ(pthread_create(&one, NULL, count_up, NULL), 0);
    CHECK_EQ(pthread_create(&two, NULL, count_up, NULL), 0);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
}

TEST(a_race_is_seen_where_thread_sanitizer_looks)
{
    pid_t pid = FORK();

    if (pid == 0) {
        race();
        exit(0);
    }
    CHECK_EXITS(pid, test_under_tsan() ? 66 : 0); /* its own exit code for "there was a race" */
}
