/* process.c - threads start, watch and join processes of one program at once, in every way to start them. */
#include "harness.h"

#include <pthread.h>
#include <shoal/arena.h>
#include <shoal/process.h>
#include <signal.h>

enum { THREADS = 4, ROUNDS = 6 };

static int return_size(void *argument, size_t size)
{
    (void)argument;
    return (int)size;
}
SHOAL_REGISTER(return_size)

/* Thread n begins with its own way, so that different ones meet. */
static void *start_and_join(void *first)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process)};
        shoal_process *process;
        struct shoal_exit end;
        options.start = SHOAL_START_FORK + (*(unsigned *)first + i) % 3;
        CHECK_OK(shoal_process_start(&options, return_size, "argument", i, &process));
        CHECK_COUNT(shoal_process_is_alive(process));
        if (i % 3 == 2) { /* some call of some thread reaps it */
            pid_t pid = shoal_process_pid(process);
            shoal_process_free(process);
            AWAIT((shoal_process_free(NULL), kill(pid, 0) < 0));
            continue;
        }
        CHECK_OK(shoal_process_join(process, test_time(20)));
        CHECK_OK(shoal_process_exit(process, &end));
        CHECK_EQ(end.code, i);
        shoal_process_free(process);
    }
    return NULL;
}

TEST_WITHIN(60, threads_start_and_join_processes_at_once)
{
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .reserve = 1 << 30};
    pthread_t threads[THREADS];
    unsigned first[THREADS];

    CHECK_OK(shoal_arena_open(&options));
    for (unsigned i = 0; i < THREADS; i++) {
        first[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, start_and_join, &first[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

struct watched {
    shoal_process *process;
    int64_t timeout;
};

static void *watch(void *argument)
{
    const struct watched *watched = argument;

    while (shoal_process_is_alive(watched->process) == 1)
        shoal_process_join(watched->process, watched->timeout);
    return NULL;
}

static int wait_for_end(void *argument, size_t size)
{
    (void)argument, (void)size;
    for (;;)
        test_nap();
    return 0;
}
SHOAL_REGISTER(wait_for_end)

TEST(threads_watch_one_process)
{
    struct shoal_arena_options arena = {SHOAL_OPTIONS(shoal_arena), .reserve = 1 << 30};
    struct shoal_process_options options = {SHOAL_OPTIONS(shoal_process)};
    pthread_t threads[THREADS];
    struct watched watched;

    CHECK_OK(shoal_arena_open(&arena));
    for (int way = SHOAL_START_FORK; way <= SHOAL_START_SPAWN; way++) {
        options.start = (enum shoal_start)way;
        CHECK_OK(shoal_process_start(&options, wait_for_end, NULL, 0, &watched.process));
        watched.timeout = SHOAL_MILLISECONDS(3);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, watch, &watched), 0);
        CHECK_OK(shoal_process_terminate(watched.process));
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        shoal_process_free(watched.process);
    }
}
