/* pool.c - random use of a pool beside a trivial model: maps, tasks, cancels, drops, deaths. Every item ends once, as
 * the model says, whatever its workers do meanwhile. */
#include "pool/pool.h"

#include "arena/block.h"
#include "base/check.h"
#include "harness.h"

#include <shoal/shoal.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUT = 40, STEPS = 1500, ITEMS = 60 };

enum fate { GIVES_SMALL, GIVES_LARGE, FAILS, TELLS, DIES, FATES };

struct order {
    enum fate fate;
    uint32_t number;
};

/* What the model knows of a future that is out. */
struct expected {
    shoal_future *future;
    uint64_t count;
    struct order orders[ITEMS];
    int is_cancelled;
};

static struct expected out[OUT];
static uint64_t state;
static int deaths;

static uint64_t below(uint64_t bound)
{
    return test_random_below(&state, bound);
}

static int carry_out(shoal_task *task)
{
    struct order order;
    uint32_t large[40];
    int r = shoal_task_arg(task, &order, sizeof order);

    if (r < 0)
        return r;
    switch (order.fate) {
    case GIVES_SMALL:
        return shoal_task_return(task, &order.number, sizeof order.number);
    case GIVES_LARGE:
        for (int i = 0; i < 40; i++)
            large[i] = order.number;
        return shoal_task_return(task, large, sizeof large);
    case FAILS:
        return -(int)(order.number % 90 + 1);
    case TELLS:
        return shoal_task_fail(task, -EDOM, "number %u", order.number);
    default:
        raise(SIGKILL);
        return 0;
    }
}

static void submit(shoal_pool *pool, struct expected *expected)
{
    struct shoal_task_options options = {SHOAL_OPTIONS(shoal_task), .chunk = below(9)};

    expected->count = below(3) ? 1 : below(ITEMS + 1);
    expected->is_cancelled = 0;
    for (uint64_t i = 0; i < expected->count; i++) {
        enum fate fate = (enum fate)below(FATES);
        if (fate == DIES && below(10))
            fate = GIVES_SMALL;
        deaths += fate == DIES;
        expected->orders[i] = (struct order){fate, (uint32_t)below(1000000)};
    }
    CHECK_OK(shoal_pool_submit(pool, &options, carry_out, expected->orders, sizeof(struct order), expected->count,
                               &expected->future));
}

static void check_value(const struct shoal_bytes *result, const struct order *order)
{
    CHECK_EQ(result->size, order->fate == GIVES_LARGE ? 160 : 4);
    for (size_t i = 0; i < result->size / 4; i++)
        CHECK_EQ(((const uint32_t *)result->data)[i], order->number);
}

static void check_item(const struct expected *expected, uint64_t item)
{
    const struct order *order = &expected->orders[item];
    struct shoal_task_error error;
    struct shoal_bytes result;
    int r = shoal_future_result(expected->future, item, &result, SHOAL_FOREVER);

    if (r == -ECANCELED && expected->is_cancelled)
        return;
    CHECK_EQ(shoal_future_error(expected->future, item, &error), r < 0 ? 0 : -ENOENT);
    switch (order->fate) {
    case GIVES_SMALL:
    case GIVES_LARGE:
        CHECK_OK(r);
        check_value(&result, order);
        break;
    case FAILS:
        CHECK_EQ(r, -(int)(order->number % 90 + 1));
        break;
    case TELLS:
        CHECK_EQ(r, -EDOM);
        CHECK_EQ(strtoul(error.message + 7, NULL, 10), order->number);
        break;
    default:
        CHECK_EQ(r, -ECHILD);
        CHECK_EQ(error.signal, SIGKILL);
    }
}

static void settle(struct expected *expected)
{
    for (uint64_t i = 0; i < expected->count; i++)
        check_item(expected, i);
    shoal_future_free(expected->future);
    expected->future = NULL;
}

static void step(shoal_pool *pool)
{
    struct expected *expected = &out[below(OUT)];
    ssize_t cancelled;

    if (!expected->future) {
        submit(pool, expected);
        return;
    }
    switch (below(4)) {
    case 0:
        cancelled = CHECK_COUNT(shoal_future_cancel(expected->future));
        CHECK_LE(cancelled, expected->count);
        expected->is_cancelled |= cancelled > 0;
        break;
    case 1:
        shoal_future_free(expected->future);
        expected->future = NULL;
        break;
    default:
        settle(expected);
    }
}

TEST_WITHIN(100, whatever_is_done_with_a_pool_each_item_ends_as_the_model_says)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = 3};
    struct shoal_arena_stats stats;
    struct shoal_pool_stats counts;
    shoal_pool *pool;

    state = test_seed();
    CHECK_OK(shoal_pool_open(&options, &pool));
    for (int i = 0; i < STEPS; i++)
        step(pool);
    for (int i = 0; i < OUT; i++)
        if (out[i].future)
            settle(&out[i]);
    CHECK_OK(shoal_pool_close(pool));
    CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    CHECK_OK(shoal_pool_stats(pool, &counts));
    CHECK_EQ(counts.completed, counts.submitted);
    CHECK_LE(counts.lost, deaths);
    if (sh_pool_check(&pool->shared->object) != 0)
        FAIL("pool: %s", sh_check_note);
    shoal_pool_free(pool);
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&stats));
    CHECK_EQ(stats.blocks, 0);
}
