/* queue.c - threads that stand for processes put and get: plain copies, loans, many at once. */
#include "queue/queue.h"

#include "harness.h"

#include <pthread.h>
#include <shoal/arena.h>
#include <shoal/queue.h>

enum { PRODUCERS = 2, CONSUMERS = 2, MESSAGES = 4000 };

static shoal_queue *queue;
static _Atomic uint64_t received, sum;

/* Every message is its number, again and again: of a size that changes between ring and block. */
static void *produce(void *unused)
{
    (void)unused;
    for (uint64_t n = 1; n <= MESSAGES; n++) {
        uint64_t words[200];
        size_t count = n % 7 == 0 ? 200 : 1 + n % 5;
        for (size_t i = 0; i < count; i++)
            words[i] = n;
        if (n % 11 == 0) {
            struct shoal_message loan;
            CHECK_OK(shoal_queue_loan(queue, count * sizeof *words, &loan));
            memcpy(loan.data, words, loan.size);
            CHECK_OK(shoal_queue_send(queue, &loan, SHOAL_FOREVER));
        } else if (n % 13 == 0) {
            CHECK_EQ(shoal_queue_put_many(queue, &(struct shoal_bytes){words, count * sizeof *words}, 1, SHOAL_FOREVER),
                     1);
        } else {
            CHECK_OK(shoal_queue_put(queue, words, count * sizeof *words, SHOAL_FOREVER));
        }
    }
    return NULL;
}

static void take(const uint64_t *words, size_t size)
{
    for (size_t i = 1; i < size / sizeof *words; i++)
        CHECK_EQ(words[i], words[0]);
    atomic_fetch_add(&sum, words[0]);
    atomic_fetch_add(&received, 1);
}

static void *consume(void *unused)
{
    (void)unused;
    for (uint64_t turn = 0;; turn++) {
        uint64_t words[400];
        if (turn % 3 == 0) {
            struct shoal_message message;
            int r = shoal_queue_receive(queue, &message, SHOAL_FOREVER);
            if (r == -EPIPE)
                return NULL;
            CHECK_OK(r);
            take(message.data, message.size);
            shoal_message_release(&message);
        } else if (turn % 3 == 1) {
            ssize_t r = shoal_queue_get(queue, words, sizeof words, SHOAL_FOREVER);
            if (r == -EPIPE)
                return NULL;
            take(words, (size_t)CHECK_COUNT(r));
        } else {
            struct shoal_bytes messages[4];
            ssize_t r = shoal_queue_get_many(queue, words, sizeof words, messages, 4, SHOAL_FOREVER);
            if (r == -EPIPE)
                return NULL;
            for (ssize_t i = 0; i < CHECK_COUNT(r); i++)
                take(messages[i].data, messages[i].size);
        }
    }
}

TEST_WITHIN(60, messages_pass_between_threads_without_a_race)
{
    pthread_t producers[PRODUCERS], consumers[CONSUMERS];

    CHECK_OK(shoal_arena_open(
        &(struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .limit = 64 << 20, .reserve = 1 << 30}));
    CHECK_OK(shoal_queue_open(&(struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .max_items = 50}, &queue));
    for (int i = 0; i < PRODUCERS; i++)
        CHECK_EQ(pthread_create(&producers[i], NULL, produce, NULL), 0);
    for (int i = 0; i < CONSUMERS; i++)
        CHECK_EQ(pthread_create(&consumers[i], NULL, consume, NULL), 0);
    for (int i = 0; i < PRODUCERS; i++)
        CHECK_EQ(pthread_join(producers[i], NULL), 0);
    CHECK_OK(shoal_queue_close(queue));
    for (int i = 0; i < CONSUMERS; i++)
        CHECK_EQ(pthread_join(consumers[i], NULL), 0);
    CHECK_EQ(received, PRODUCERS * MESSAGES);
    CHECK_EQ(sum, PRODUCERS * (uint64_t)MESSAGES * (MESSAGES + 1) / 2);
    shoal_queue_free(queue);
}
