/* map.c - submitting, and running a function and waiting for what comes of it. */
#include "pool/submit.h"

#include <errno.h>
#include <string.h>

static int verify(const struct shoal_task_options *options)
{
    return options && (options->size != sizeof *options || options->flags || options->reserved) ? -EINVAL : 0;
}

static void apply_options(struct sh_submission *submission, const struct shoal_task_options *options)
{
    submission->timeout = SHOAL_FOREVER;
    if (!options)
        return;
    submission->chunk = options->chunk;
    submission->callback = options->callback;
    submission->context = options->context;
    if (options->timeout)
        submission->timeout = options->timeout;
}

static int submit(shoal_pool *pool, const struct shoal_task_options *options, struct sh_submission *submission,
                  shoal_future **ret_future)
{
    shoal_future *future;
    int r = sh_pool_enter(pool);

    if (r < 0)
        return r;
    if (!submission->function || verify(options) < 0)
        return -EINVAL;
    apply_options(submission, options);
    r = sh_submit(pool, submission, &future);
    if (r < 0)
        return r;
    if (ret_future)
        *ret_future = future;
    else
        shoal_future_free(future); /* nobody will ask */
    return 0;
}

int shoal_pool_submit(shoal_pool *pool, const struct shoal_task_options *options, shoal_task_function *function,
                      const void *items, size_t size, size_t count, shoal_future **ret_future)
{
    struct sh_submission submission = {.function = function, .items = items, .size = size, .count = count};

    if (!items && size && count)
        return -EINVAL;
    return submit(pool, options, &submission, ret_future);
}

static int verify_parts(const struct shoal_bytes *items, size_t count)
{
    if (!items && count)
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (!items[i].data && items[i].size)
            return -EINVAL;
    return 0;
}

int shoal_pool_submit_items(shoal_pool *pool, const struct shoal_task_options *options, shoal_task_function *function,
                            const struct shoal_bytes *items, size_t count, shoal_future **ret_future)
{
    struct sh_submission submission = {.function = function, .parts = items, .count = count};
    int r = verify_parts(items, count);

    return r < 0 ? r : submit(pool, options, &submission, ret_future);
}

/* Signals do not end the wait of calls that have nothing to return half-way. */
static int await(shoal_future *future)
{
    int r;

    do
        r = shoal_future_wait(future, SHOAL_FOREVER);
    while (r == -EINTR);
    return r;
}

ssize_t shoal_pool_apply(shoal_pool *pool, shoal_task_function *function, const void *argument, size_t size,
                         void *result, size_t capacity)
{
    shoal_future *future;

    if (!result && capacity)
        return -EINVAL;
    int r = shoal_pool_submit(pool, NULL, function, argument, size, 1, &future);
    if (r < 0)
        return r;
    r = await(future);
    ssize_t got = r < 0 ? r : shoal_future_get(future, 0, result, capacity, 0);
    shoal_future_free(future);
    return got;
}

/* Copy all results; the first error in the items' order. */
static int copy_results(shoal_future *future, size_t count, char *results, size_t result_size)
{
    int error = 0;

    for (size_t i = 0; i < count; i++) {
        char *to = results ? results + i * result_size : NULL;
        ssize_t got = shoal_future_get(future, i, to, result_size, 0);
        if (got >= 0 && (size_t)got != result_size)
            got = -EMSGSIZE;
        if (got < 0 && error == 0)
            error = (int)got;
    }
    return error;
}

int shoal_pool_map(shoal_pool *pool, shoal_task_function *function, const void *items, size_t size, size_t count,
                   void *results, size_t result_size)
{
    struct sh_submission submission = {
        .function = function, .items = items, .size = size, .count = count, .result_size = result_size};
    shoal_future *future;

    if ((!items && size && count) || (!results && result_size && count))
        return -EINVAL;
    int r = submit(pool, NULL, &submission, &future);
    if (r < 0)
        return r;
    r = await(future);
    if (r == 0)
        r = copy_results(future, count, results, result_size);
    shoal_future_free(future);
    return r;
}
