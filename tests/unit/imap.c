/* imap.c - results one by one, in order and as they come. */
#include "pools.h"

/* --- imap --- */

TEST(imap_gives_results_in_order_and_looks_ahead_no_further_than_told)
{
    shoal_pool *pool = open_pool(2);
    struct counting counting = {.end = 200};
    struct shoal_imap_options options = {SHOAL_OPTIONS(shoal_imap), .lookahead = 5};
    shoal_iterator *iterator;
    struct shoal_bytes result;
    uint64_t item;

    CHECK_OK(shoal_pool_imap(pool, &options, square, count_up, &counting, &iterator));
    CHECK_EQ(counting.next, 0);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(shoal_iterator_next(iterator, &item, &result, NULL, SHOAL_FOREVER), 1);
        CHECK_EQ(item, i);
        CHECK_EQ(*(const int *)result.data, i * i);
        CHECK_LE(counting.next, i + 5);
    }
    CHECK_EQ(shoal_iterator_next(iterator, &item, &result, NULL, SHOAL_FOREVER), 0);
    CHECK_EQ(shoal_iterator_next(iterator, &item, &result, NULL, 0), 0);
    shoal_iterator_free(iterator);
    end_pool(pool);
}

TEST(imap_unordered_gives_every_result_once_the_quick_ones_first)
{
    shoal_pool *pool = open_pool(2);
    struct counting counting = {.end = 100};
    struct shoal_imap_options options = {SHOAL_OPTIONS(shoal_imap), .flags = SHOAL_IMAP_UNORDERED};
    shoal_iterator *iterator;
    struct shoal_bytes result;
    char seen[100] = "";
    uint64_t item;

    CHECK_OK(shoal_pool_imap(pool, &options, square, count_up, &counting, &iterator));
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(shoal_iterator_next(iterator, &item, &result, NULL, SHOAL_FOREVER), 1);
        CHECK_LT(item, 100);
        CHECK_EQ(seen[item]++, 0);
        CHECK_EQ(*(const int *)result.data, (int)(item * item));
    }
    CHECK_EQ(shoal_iterator_next(iterator, &item, &result, NULL, SHOAL_FOREVER), 0);
    shoal_iterator_free(iterator);

    counting = (struct counting){.next = 399, .end = 401}; /* naps of 399 and 400 ms, then one of none */
    CHECK_OK(shoal_pool_imap(pool, &options, nap, count_up, &counting, &iterator));
    CHECK_RETURN(shoal_iterator_next(iterator, &item, &result, NULL, SHOAL_MILLISECONDS(5)), -ETIMEDOUT);
    CHECK_RETURN(shoal_iterator_next(iterator, &item, &result, NULL, 0), -EAGAIN);
    shoal_iterator_free(iterator);
    end_pool(pool);
}

TEST(an_iteration_goes_on_after_an_item_that_failed)
{
    shoal_pool *pool = open_pool(2);
    struct counting counting = {.end = 6};

    for (unsigned flags = 0; flags <= SHOAL_IMAP_UNORDERED; flags++) {
        struct shoal_imap_options options = {SHOAL_OPTIONS(shoal_imap), .flags = flags};
        struct shoal_task_error error;
        struct shoal_bytes result;
        shoal_iterator *iterator;
        int failed = 0, fine = 0;
        uint64_t item;

        counting.next = 0;
        CHECK_OK(shoal_pool_imap(pool, &options, fail_odd, count_up, &counting, &iterator));
        for (int i = 0; i < 6; i++) {
            int r = shoal_iterator_next(iterator, &item, &result, &error, SHOAL_FOREVER);
            if (r == 1) {
                fine++;
                CHECK_EQ(*(const int *)result.data, (int)item);
            } else {
                failed++;
                CHECK_EQ(error.error, r);
                CHECK_EQ(error.item, item);
                CHECK_EQ(item % 2, 1);
            }
        }
        CHECK_EQ(fine, 3);
        CHECK_EQ(failed, 3);
        CHECK_EQ(shoal_iterator_next(iterator, NULL, &result, NULL, SHOAL_FOREVER), 0);
        shoal_iterator_free(iterator);
    }
    end_pool(pool);
}

TEST(a_producer_that_fails_ends_the_iteration_with_its_error)
{
    shoal_pool *pool = open_pool(1);
    struct counting counting = {.end = 3, .error = -EBADF};
    struct shoal_bytes result;
    shoal_iterator *iterator;

    CHECK_OK(shoal_pool_imap(pool, NULL, square, count_up, &counting, &iterator));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(shoal_iterator_next(iterator, NULL, &result, NULL, SHOAL_FOREVER), 1);
    CHECK_RETURN(shoal_iterator_next(iterator, NULL, &result, NULL, SHOAL_FOREVER), -EBADF);
    CHECK_RETURN(shoal_iterator_next(iterator, NULL, &result, NULL, SHOAL_FOREVER), -EBADF);
    shoal_iterator_free(iterator);
    end_pool(pool);
}

TEST(an_iterator_may_be_freed_half_way)
{
    shoal_pool *pool = open_pool(2);

    for (unsigned flags = 0; flags <= SHOAL_IMAP_UNORDERED; flags++) {
        struct shoal_imap_options options = {SHOAL_OPTIONS(shoal_imap), .flags = flags};
        struct counting counting = {.end = 1000};
        struct shoal_bytes result;
        shoal_iterator *iterator;

        CHECK_OK(shoal_pool_imap(pool, &options, square, count_up, &counting, &iterator));
        for (int i = 0; i < 10; i++)
            CHECK_EQ(shoal_iterator_next(iterator, NULL, &result, NULL, SHOAL_FOREVER), 1);
        shoal_iterator_free(iterator);
    }
    end_pool(pool);
}

TEST(a_bounded_pool_does_not_stop_an_iteration)
{
    shoal_pool *pool;
    struct counting counting = {.end = 100};
    struct shoal_imap_options options = {SHOAL_OPTIONS(shoal_imap), .lookahead = 20};
    struct shoal_bytes result;
    shoal_iterator *iterator;

    CHECK_OK(shoal_pool_open(&(struct shoal_pool_options){SHOAL_OPTIONS(shoal_pool), .workers = 2, .max_pending = 2},
                             &pool));
    CHECK_OK(shoal_pool_imap(pool, &options, square, count_up, &counting, &iterator));
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(shoal_iterator_next(iterator, NULL, &result, NULL, SHOAL_FOREVER), 1);
        CHECK_EQ(*(const int *)result.data, i * i);
    }
    shoal_iterator_free(iterator);
    end_pool(pool);
}
