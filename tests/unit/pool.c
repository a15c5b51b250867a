/* pool.c - pools: running tasks and maps, bad input, memory. */
#include "pools.h"

#include <pthread.h>
#include <signal.h>

/* --- running --- */

TEST(a_map_gives_the_results_in_the_items_order)
{
    shoal_pool *pool = open_pool(3);
    int in[1000], out[1000];

    for (int i = 0; i < 1000; i++)
        in[i] = i;
    CHECK_OK(shoal_pool_map(pool, square, in, sizeof *in, 1000, out, sizeof *out));
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(out[i], i * i);
    end_pool(pool);
}

TEST(apply_runs_one_task_in_another_process)
{
    shoal_pool *pool = open_pool(1);
    int x = 7, y = 0;
    pid_t pid = 0;

    CHECK_EQ(shoal_pool_apply(pool, square, &x, sizeof x, &y, sizeof y), sizeof y);
    CHECK_EQ(y, 49);
    CHECK_EQ(shoal_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid), sizeof pid);
    CHECK(pid > 0 && pid != getpid());
    CHECK_EQ(shoal_pool_apply(pool, nothing, NULL, 0, NULL, 0), 0);
    end_pool(pool);
}

TEST(every_chunk_size_runs_every_item_once)
{
    shoal_pool *pool = open_pool(2);

    for (size_t chunk = 1; chunk <= 130; chunk += chunk < 8 ? 1 : 61) {
        for (size_t count = 0; count <= 130; count += count < 4 ? 1 : 63) {
            struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = chunk};
            shoal_future *future;
            CHECK_OK(shoal_pool_submit(pool, &options, number_of_item, NULL, 0, count, &future));
            CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
            for (size_t i = 0; i < count; i++) {
                uint64_t item = UINT64_MAX;
                CHECK_EQ(shoal_future_get(future, i, &item, sizeof item, 0), sizeof item);
                CHECK_EQ(item, i);
            }
            shoal_future_free(future);
        }
    }
    end_pool(pool);
}

/* A result of size bytes, larger than inline room or not, in single tasks and in maps. */
static void check_echo(shoal_pool *pool, size_t size, size_t count)
{
    struct shoal_bytes *items = calloc(count, sizeof *items);
    unsigned char *data = malloc(size + count);
    shoal_future *future;

    for (size_t i = 0; i < size + count; i++)
        data[i] = (unsigned char)(i * 31 + i / 251);
    for (size_t i = 0; i < count; i++)
        items[i] = (struct shoal_bytes){data + i, size};
    CHECK_OK(shoal_pool_submit_items(pool, NULL, echo, items, count, &future));
    for (size_t i = 0; i < count; i++) {
        struct shoal_bytes result;
        CHECK_OK(shoal_future_result(future, i, &result, SHOAL_FOREVER));
        CHECK_EQ(result.size, size);
        CHECK_MEM_EQ(result.data, data + i, size);
    }
    shoal_future_free(future);
    free(items);
    free(data);
}

TEST(arguments_and_results_have_any_size)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 39, 40, 41, 95, 96, 97, 255, 256, 1000, 4096, 65536, 1 << 20};
    shoal_pool *pool = open_pool(2);

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_echo(pool, sizes[i], 1);
        check_echo(pool, sizes[i], 3);
    }
    check_echo(pool, 64 << 20, 1);
    end_pool(pool);
}

TEST(a_map_takes_results_larger_than_its_records)
{
    shoal_pool *pool = open_pool(2);
    enum { COUNT = 20, SIZE = 3000 };
    char *in = malloc(COUNT * SIZE), *out = calloc(COUNT, SIZE);

    for (int i = 0; i < COUNT * SIZE; i++)
        in[i] = (char)(i * 7);
    CHECK_OK(shoal_pool_map(pool, echo, in, SIZE, COUNT, out, SIZE));
    CHECK_MEM_EQ(in, out, COUNT * SIZE);
    CHECK_RETURN(shoal_pool_map(pool, echo, in, SIZE, COUNT, out, SIZE - 1), -EMSGSIZE);
    free(in);
    free(out);
    end_pool(pool);
}

TEST(items_of_different_sizes_come_as_they_were_given)
{
    shoal_pool *pool = open_pool(2);
    const char *words[] = {"", "a", "shoal", "of fish, which is longer than eight bytes", ""};
    struct shoal_bytes items[5];
    shoal_future *future;

    for (int i = 0; i < 5; i++)
        items[i] = (struct shoal_bytes){words[i], strlen(words[i])};
    CHECK_OK(shoal_pool_submit_items(pool, NULL, echo, items, 5, &future));
    for (int i = 0; i < 5; i++) {
        char text[100];
        ssize_t size = shoal_future_get(future, (uint64_t)i, text, sizeof text, SHOAL_FOREVER);
        CHECK_EQ(size, strlen(words[i]));
        CHECK_MEM_EQ(text, words[i], (size_t)size);
    }
    shoal_future_free(future);
    end_pool(pool);
}

static int return_twice(shoal_task *task)
{
    char large[1000] = "first";
    shoal_task_return(task, large, sizeof large);
    shoal_task_return(task, "second", 7);
    memset(large, 3, sizeof large);
    return shoal_task_item(task) ? shoal_task_return(task, large, sizeof large) : 0;
}

static int return_and_fail(shoal_task *task)
{
    char large[1000] = "for nothing";
    shoal_task_return(task, large, sizeof large);
    return shoal_task_fail(task, -EDOM, "changed my mind");
}

static int fail_and_return(shoal_task *task)
{
    char large[1000] = "after all";
    shoal_task_fail(task, -EDOM, "not quite");
    return shoal_task_return(task, large, sizeof large);
}

TEST(the_last_result_that_a_task_sets_counts)
{
    shoal_pool *pool = open_pool(1);
    shoal_future *future;
    char text[1000];

    CHECK_OK(shoal_pool_submit(pool, NULL, return_twice, NULL, 0, 2, &future));
    CHECK_EQ(shoal_future_get(future, 0, text, sizeof text, SHOAL_FOREVER), 7);
    CHECK_STR_EQ(text, "second");
    CHECK_EQ(shoal_future_get(future, 1, text, sizeof text, SHOAL_FOREVER), 1000);
    CHECK_EQ(text[999], 3);
    shoal_future_free(future);
    CHECK_RETURN(shoal_pool_apply(pool, return_and_fail, NULL, 0, text, sizeof text), -EDOM);
    CHECK_EQ(shoal_pool_apply(pool, fail_and_return, NULL, 0, text, sizeof text), 1000);
    CHECK_STR_EQ(text, "after all");
    end_pool(pool);
}

/* --- failing --- */

TEST(a_task_that_fails_says_why)
{
    shoal_pool *pool = open_pool(2);
    int in[8] = {0, 1, 2, 3, 4, 5, 6, 7}, out[8] = {0};
    struct shoal_task_error error;
    shoal_future *future;

    CHECK_RETURN(shoal_pool_map(pool, fail_odd, in, sizeof *in, 8, out, sizeof *out), -ERANGE);
    CHECK_EQ(out[6], 6);
    CHECK_OK(shoal_pool_submit(pool, NULL, fail_odd, in, sizeof *in, 8, &future));
    CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
    CHECK_EQ(shoal_future_successful(future), 0);
    CHECK_RETURN(shoal_future_error(future, 2, &error), -ENOENT);
    CHECK_OK(shoal_future_error(future, 3, &error));
    CHECK_EQ(error.error, -ENOTTY);
    CHECK_EQ(error.item, 3);
    CHECK(error.pid > 0);
    CHECK_EQ(error.signal, 0);
    CHECK_STR_EQ(error.message, "3 is odd");
    CHECK_OK(shoal_future_error(future, 5, &error));
    CHECK_EQ(error.error, -ERANGE);
    char expected[100];
    snprintf(expected, sizeof expected, "the task function returned -34: %s", strerror(ERANGE));
    CHECK_STR_EQ(error.message, expected);
    shoal_future_free(future);
    end_pool(pool);
}

static int fail_badly(shoal_task *task)
{
    if (shoal_task_fail(task, 0, "no") != -EINVAL || shoal_task_fail(task, -1, NULL) != -EINVAL ||
        shoal_task_fail(NULL, -1, "no") != -EINVAL || shoal_task_return(NULL, NULL, 0) != -EINVAL ||
        shoal_task_return(task, NULL, 1) != -EINVAL || shoal_task_arg(NULL, NULL, 0) != -EINVAL ||
        shoal_task_data(task, NULL) != -EINVAL || shoal_task_data(NULL, NULL) != -EINVAL ||
        shoal_task_arg(task, NULL, 4) != -EINVAL || shoal_task_arg(task, &(short){0}, 2) != -EMSGSIZE ||
        shoal_task_item(NULL) != 0)
        return -EPROTO;
    return shoal_task_return(task, "fine", 5);
}

TEST(bad_calls_in_a_task_change_nothing)
{
    shoal_pool *pool = open_pool(1);
    char text[5];

    CHECK_EQ(shoal_pool_apply(pool, fail_badly, &(int){3}, sizeof(int), text, sizeof text), 5);
    CHECK_STR_EQ(text, "fine");
    end_pool(pool);
}

static int long_message(shoal_task *task)
{
    return shoal_task_fail(task, -E2BIG, "%0500d", 1);
}

TEST(a_message_is_cut_where_it_is_too_long)
{
    shoal_pool *pool = open_pool(1);
    struct shoal_task_error error;
    shoal_future *future = submit(pool, long_message, 0);

    CHECK_OK(shoal_future_wait(future, SHOAL_FOREVER));
    CHECK_OK(shoal_future_error(future, 0, &error));
    CHECK_EQ(strlen(error.message), sizeof error.message - 1);
    shoal_future_free(future);
    end_pool(pool);
}

/* --- many threads --- */

struct client {
    shoal_pool *pool;
    pthread_t thread;
    int seed;
};

static void *use_pool(void *argument)
{
    struct client *client = argument;

    for (int i = 0; i < 300; i++) {
        int in[5], out[5], x = client->seed * 1000 + i, y;
        CHECK_EQ(shoal_pool_apply(client->pool, square, &x, sizeof x, &y, sizeof y), sizeof y);
        CHECK_EQ(y, x * x);
        for (int j = 0; j < 5; j++)
            in[j] = i + j;
        CHECK_OK(shoal_pool_map(client->pool, square, in, sizeof *in, 5, out, sizeof *out));
        for (int j = 0; j < 5; j++)
            CHECK_EQ(out[j], in[j] * in[j]);
        if (i % 10 == 0)
            shoal_future_free(submit(client->pool, square, i));
    }
    return NULL;
}

TEST(threads_share_a_pool)
{
    shoal_pool *pool = open_pool(2);
    struct client clients[4];

    for (int i = 0; i < 4; i++) {
        clients[i] = (struct client){.pool = pool, .seed = i};
        CHECK_EQ(pthread_create(&clients[i].thread, NULL, use_pool, &clients[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(clients[i].thread, NULL), 0);
    end_pool(pool);
}

/* --- bounds --- */

TEST(a_bounded_pool_lets_submitters_wait)
{
    shoal_pool *pool;
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .timeout = -1};
    shoal_future *futures[3], *more;
    int x = 400;

    CHECK_OK(shoal_pool_open(&(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 1, .max_pending = 2},
                             &pool));
    futures[0] = submit(pool, nap, x);
    AWAIT(pool->shared->begun == 1);
    futures[1] = submit(pool, nap, 0);
    futures[2] = submit(pool, nap, 0);
    CHECK_RETURN(shoal_pool_submit(pool, &options, nap, &x, sizeof x, 1, &more), -EAGAIN);
    options.timeout = SHOAL_MILLISECONDS(10);
    CHECK_RETURN(shoal_pool_submit(pool, &options, nap, &x, sizeof x, 1, &more), -ETIMEDOUT);
    CHECK_EQ(shoal_pool_apply(pool, nap, &(int){1}, sizeof x, &x, sizeof x), sizeof x);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(shoal_future_ready(futures[i]), 1);
        shoal_future_free(futures[i]);
    }
    end_pool(pool);
}

/* The worker is stopped in its sleep, so that the second task is cancelled while the first is still to be taken: it is
 * passed over later, and until then its post must not lead anybody to it. */
TEST(a_task_that_was_cancelled_is_not_found_by_its_post)
{
    shoal_pool *pool = open_pool(1);
    struct sh_pool_shared *shared = pool->shared;
    struct shoal_pool_stats stats;
    struct sh_posted posted;
    int x;

    AWAIT(sh_load_acquire(&shared->worker[0].state) == SH_WORKER_LIVE);
    test_await_asleep(shared->worker[0].pid);
    CHECK_SYS(kill(shared->worker[0].pid, SIGSTOP));
    shoal_future *first = submit(pool, square, 7), *second = submit(pool, square, 8);
    CHECK_EQ(sh_post_read(shared, 2, shared->cancellations, &posted), 1);
    CHECK_EQ(posted.number, 2);
    CHECK_EQ(shoal_future_cancel(second), 1);
    CHECK_EQ(shared->exhausted, 0);
    CHECK_EQ(sh_post_read(shared, 2, shared->cancellations, &posted), 0);
    CHECK_SYS(kill(shared->worker[0].pid, SIGCONT));
    CHECK_EQ(shoal_future_get(first, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
    CHECK_EQ(x, 49);
    CHECK_RETURN(shoal_future_get(second, 0, &x, sizeof x, SHOAL_FOREVER), -ECANCELED);
    shoal_future_free(first);
    shoal_future_free(second);
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    CHECK_OK(shoal_pool_stats(pool, &stats));
    CHECK_EQ(stats.completed, 2); /* each once */
    end_pool(pool);
}

TEST(room_in_a_bounded_pool_comes_with_a_cancel_too)
{
    shoal_pool *pool;
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .timeout = -1};
    shoal_future *running, *waiting, *more;
    int x = 300;

    CHECK_OK(shoal_pool_open(&(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 1, .max_pending = 1},
                             &pool));
    running = submit(pool, nap, x);
    AWAIT(pool->shared->begun == 1);
    waiting = submit(pool, nap, 0);
    CHECK_RETURN(shoal_pool_submit(pool, &options, nap, &x, sizeof x, 1, &more), -EAGAIN);
    CHECK_EQ(shoal_future_cancel(waiting), 1);
    CHECK_OK(shoal_pool_submit(pool, &options, nap, &x, sizeof x, 1, &more));
    shoal_future_free(running);
    shoal_future_free(waiting);
    shoal_future_free(more);
    end_pool(pool);
}

/* --- memory --- */

static int too_large(shoal_task *task)
{
    static const char data[1];
    if (shoal_task_item(task) % 2)
        return 0;
    return shoal_task_return(task, data, (size_t)1 << 50);
}

TEST(memory_that_runs_out_costs_one_call)
{
    shoal_pool *pool;
    shoal_future *future;
    static char data[2 << 20];

    CHECK_OK(shoal_arena_open(&(struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .limit = 4 << 20}));
    pool = open_pool(2);
    CHECK_RETURN(shoal_pool_submit(pool, NULL, echo, data, sizeof data, 3, &future), -ENOMEM);
    CHECK_RETURN(shoal_pool_submit(pool, NULL, echo, data, 1, (size_t)1 << 60, &future), -ENOMEM);
    CHECK_RETURN(shoal_pool_submit(pool, NULL, echo, NULL, 0, (size_t)1 << 61, &future), -ENOMEM);
    CHECK_OK(shoal_pool_submit(pool, NULL, too_large, NULL, 0, 4, &future));
    for (uint64_t i = 0; i < 4; i++)
        CHECK_RETURN(shoal_future_get(future, i, data, sizeof data, SHOAL_FOREVER), i % 2 ? 0 : -ENOMEM);
    shoal_future_free(future);
    CHECK_EQ(shoal_pool_apply(pool, echo, data, 1 << 20, data, sizeof data), 1 << 20);
    end_pool(pool);
}

TEST(a_full_arena_refuses_tasks_and_has_room_again_when_they_are_freed)
{
    shoal_pool *pool;
    shoal_future *futures[40000];
    int count = 0, r;

    CHECK_OK(shoal_arena_open(&(struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .limit = 4 << 20}));
    pool = open_pool(1);
    while ((r = shoal_pool_submit(pool, NULL, nothing, NULL, 0, 1, &futures[count])) == 0 && count < 39999)
        count++;
    CHECK_EQ(r, -ENOMEM);
    CHECK_GT(count, 1000);
    for (int i = 0; i < count; i++) {
        CHECK_OK(shoal_future_wait(futures[i], SHOAL_FOREVER));
        shoal_future_free(futures[i]);
    }
    CHECK_EQ(shoal_pool_apply(pool, nothing, NULL, 0, NULL, 0), 0);
    end_pool(pool);
}

/* --- bad input --- */

TEST(bad_options_are_refused)
{
    shoal_pool *pool;
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool)};

    CHECK_RETURN(shoal_pool_open(NULL, NULL), -EINVAL);
    options.size--;
    CHECK_RETURN(shoal_pool_open(&options, &pool), -EINVAL);
    options = (struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .flags = 1};
    CHECK_RETURN(shoal_pool_open(&options, &pool), -EINVAL);
    options = (struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .start = (enum shoal_start)7};
    CHECK_RETURN(shoal_pool_open(&options, &pool), -EINVAL);
    options = (struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .argument_size = 1};
    CHECK_RETURN(shoal_pool_open(&options, &pool), -EINVAL);
    options = (struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 1000000};
    CHECK_RETURN(shoal_pool_open(&options, &pool), -EAGAIN);
}

TEST(bad_calls_are_refused_and_change_nothing)
{
    shoal_pool *pool = open_pool(1);
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .flags = 1};
    struct shoal_imap_options imap = {SHOAL_OPTIONS(shoal_imap), .flags = 2};
    struct shoal_task_error error;
    struct shoal_bytes bytes = {NULL, 3};
    shoal_future *future;
    shoal_iterator *iterator;
    int x = 3;

    CHECK_RETURN(shoal_pool_submit(NULL, NULL, square, &x, sizeof x, 1, &future), -EINVAL);
    CHECK_RETURN(shoal_pool_submit(pool, NULL, NULL, &x, sizeof x, 1, &future), -EINVAL);
    CHECK_RETURN(shoal_pool_submit(pool, NULL, square, NULL, sizeof x, 1, &future), -EINVAL);
    CHECK_RETURN(shoal_pool_submit(pool, &options, square, &x, sizeof x, 1, &future), -EINVAL);
    options = (struct shoal_task_options){SHOAL_OPTIONS(shoal_task), .reserved = 1};
    CHECK_RETURN(shoal_pool_submit(pool, &options, square, &x, sizeof x, 1, &future), -EINVAL);
    options = (struct shoal_task_options){.size = 3};
    CHECK_RETURN(shoal_pool_submit_items(pool, &options, square, NULL, 0, &future), -EINVAL);
    CHECK_RETURN(shoal_pool_submit_items(pool, NULL, square, NULL, 1, &future), -EINVAL);
    CHECK_RETURN(shoal_pool_submit_items(pool, NULL, square, &bytes, 1, &future), -EINVAL);
    CHECK_RETURN(shoal_pool_apply(NULL, square, &x, sizeof x, &x, sizeof x), -EINVAL);
    CHECK_RETURN(shoal_pool_apply(pool, NULL, &x, sizeof x, &x, sizeof x), -EINVAL);
    CHECK_RETURN(shoal_pool_apply(pool, square, &x, sizeof x, NULL, sizeof x), -EINVAL);
    CHECK_RETURN(shoal_pool_map(NULL, square, &x, sizeof x, 1, &x, sizeof x), -EINVAL);
    CHECK_RETURN(shoal_pool_map(pool, square, NULL, sizeof x, 1, &x, sizeof x), -EINVAL);
    CHECK_RETURN(shoal_pool_map(pool, square, &x, sizeof x, 1, NULL, sizeof x), -EINVAL);
    CHECK_RETURN(shoal_pool_imap(NULL, NULL, square, count_up, NULL, &iterator), -EINVAL);
    CHECK_RETURN(shoal_pool_imap(pool, &imap, square, count_up, NULL, &iterator), -EINVAL);
    CHECK_RETURN(shoal_pool_imap(pool, NULL, NULL, count_up, NULL, &iterator), -EINVAL);
    CHECK_RETURN(shoal_pool_imap(pool, NULL, square, NULL, NULL, &iterator), -EINVAL);
    CHECK_RETURN(shoal_pool_imap(pool, NULL, square, count_up, NULL, NULL), -EINVAL);
    CHECK_RETURN(shoal_iterator_next(NULL, NULL, &bytes, NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_pool_close(NULL), -EINVAL);
    CHECK_RETURN(shoal_pool_terminate(NULL), -EINVAL);
    CHECK_RETURN(shoal_pool_join(NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_pool_poll(NULL), -EINVAL);
    CHECK_RETURN(shoal_pool_stats(NULL, &(struct shoal_pool_stats){0}), -EINVAL);
    CHECK_RETURN(shoal_pool_stats(pool, NULL), -EINVAL);
    CHECK_RETURN(shoal_pool_workers(NULL, NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_pool_workers(pool, NULL, 1), -EINVAL);
    CHECK_RETURN(shoal_future_wait(NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_future_wait_item(NULL, 0, 0), -EINVAL);
    CHECK_RETURN(shoal_future_ready(NULL), -EINVAL);
    CHECK_RETURN(shoal_future_successful(NULL), -EINVAL);
    CHECK_RETURN(shoal_future_progress(NULL, NULL, NULL), -EINVAL);
    CHECK_RETURN(shoal_future_get(NULL, 0, NULL, 0, 0), -EINVAL);
    CHECK_RETURN(shoal_future_result(NULL, 0, &bytes, 0), -EINVAL);
    CHECK_RETURN(shoal_future_error(NULL, 0, &error), -EINVAL);
    CHECK_RETURN(shoal_future_cancel(NULL), -EINVAL);
    shoal_future_free(NULL);
    shoal_iterator_free(NULL);
    shoal_pool_free(NULL);

    future = submit(pool, square, 3);
    CHECK_RETURN(shoal_future_wait_item(future, 1, 0), -EINVAL);
    CHECK_RETURN(shoal_future_get(future, 1, &x, sizeof x, 0), -EINVAL);
    CHECK_RETURN(shoal_future_get(future, 0, NULL, sizeof x, 0), -EINVAL);
    CHECK_RETURN(shoal_future_result(future, 0, NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_future_error(future, 0, NULL), -EINVAL);
    CHECK_RETURN(shoal_future_error(future, 1, &error), -EINVAL);
    CHECK_EQ(shoal_future_get(future, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
    CHECK_EQ(x, 9);
    shoal_future_free(future);
    end_pool(pool);
}

TEST(a_pool_belongs_to_the_process_that_opened_it)
{
    shoal_pool *pool = open_pool(1);
    shoal_future *future = submit(pool, square, 3);
    pid_t child;
    int x;

    CHILD(child) {
        CHECK_RETURN(shoal_pool_apply(pool, square, &x, sizeof x, &x, sizeof x), -EPERM);
        CHECK_RETURN(shoal_future_wait(future, 0), -EPERM);
        CHECK_RETURN(shoal_pool_close(pool), -EPERM);
        CHECK_RETURN(shoal_pool_terminate(pool), -EPERM);
        shoal_future_free(future);
        shoal_pool_free(pool);
    }
    CHECK_EXITS(child, 0);
    CHECK_EQ(shoal_future_get(future, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
    CHECK_EQ(x, 9);
    shoal_future_free(future);
    end_pool(pool);
}
