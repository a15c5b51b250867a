/* queue.c - queues: order, bounds, sizes, closing, loans, and what is left when somebody dies. */
#include "queue/queue.h"

#include "arena/block.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "board.h"
#include "harness.h"

#include <poll.h>
#include <shoal/arena.h>
#include <shoal/queue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(shoal_queue *queue)
{
    if (sh_queue_check(queue->handle.object) != 0)
        FAIL("queue: %s", sh_check_note);
}

static shoal_queue *open_queue(const struct shoal_queue_options *options)
{
    shoal_queue *queue;
    CHECK_OK(shoal_queue_open(options, &queue));
    check(queue);
    return queue;
}

static shoal_queue *open_bounded(uint64_t max_items, uint64_t max_bytes)
{
    return open_queue(
        &(struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .max_items = max_items, .max_bytes = max_bytes});
}

static uint64_t blocks_in_use(void)
{
    struct shoal_arena_stats stats;
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&stats));
    return stats.blocks;
}

static uint64_t items(shoal_queue *queue)
{
    uint64_t items;
    CHECK_OK(shoal_queue_size(queue, &items, NULL));
    return items;
}

static uint64_t bytes(shoal_queue *queue)
{
    uint64_t bytes;
    CHECK_OK(shoal_queue_size(queue, NULL, &bytes));
    return bytes;
}

/* A message whose bytes follow from its number and size. */
static void fill(unsigned char *data, size_t size, uint64_t number)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(number * 31 + i * 7 + i / 251);
}

static void put(shoal_queue *queue, uint64_t number, size_t size)
{
    unsigned char *data = malloc(size + 1);
    fill(data, size, number);
    CHECK_OK(shoal_queue_put(queue, data, size, SHOAL_FOREVER));
    free(data);
}

static void get(shoal_queue *queue, uint64_t number, size_t size)
{
    unsigned char *data = malloc(size + 1), *expected = malloc(size + 1);
    fill(expected, size, number);
    CHECK_EQ(shoal_queue_get(queue, data, size, SHOAL_FOREVER), size);
    CHECK_MEM_EQ(data, expected, size);
    free(data);
    free(expected);
}

static const size_t sizes[] = {0, 1, 7, 8, 9, 64, 500, 1023, 1024, 1025, 4096, 70000, 3000000};
#define SIZES (sizeof sizes / sizeof *sizes)

TEST(a_message_of_any_size_put_is_the_message_got)
{
    shoal_queue *queue = open_queue(NULL);
    uint64_t before = blocks_in_use();

    for (size_t i = 0; i < SIZES; i++) {
        put(queue, i, sizes[i]);
        CHECK_EQ(items(queue), 1);
        CHECK_EQ(bytes(queue), sizes[i]);
        check(queue);
        get(queue, i, sizes[i]);
        check(queue);
    }
    CHECK_EQ(blocks_in_use(), before);
    shoal_queue_free(queue);
}

TEST(messages_come_out_in_the_order_they_went_in)
{
    shoal_queue *queue = open_queue(NULL);
    uint64_t total = 0;

    for (uint64_t i = 0; i < 3000; i++) {
        put(queue, i, sizes[i % 10]);
        total += sizes[i % 10];
    }
    CHECK_EQ(items(queue), 3000);
    CHECK_EQ(bytes(queue), total);
    check(queue);
    for (uint64_t i = 0; i < 3000; i++)
        get(queue, i, sizes[i % 10]);
    CHECK_EQ(items(queue), 0);
    CHECK_EQ(bytes(queue), 0);
    check(queue);
    shoal_queue_free(queue);
}

TEST(a_million_messages_fit_and_their_memory_comes_back)
{
    shoal_queue *queue = open_queue(NULL);
    uint64_t before = blocks_in_use(), value;

    for (uint64_t i = 0; i < 1000000; i++)
        CHECK_OK(shoal_queue_put(queue, &i, sizeof i, 0));
    check(queue);
    for (uint64_t i = 0; i < 1000000; i++) {
        CHECK_EQ(shoal_queue_get(queue, &value, sizeof value, 0), sizeof value);
        CHECK_EQ(value, i);
    }
    check(queue);
    CHECK_LE(blocks_in_use(), before + 1); /* the last ring stays */
    shoal_queue_free(queue);
    CHECK_EQ(blocks_in_use(), before - 1);
}

TEST(an_empty_queue_gives_nothing_now_or_in_time)
{
    shoal_queue *queue = open_queue(NULL);
    char byte;

    CHECK_RETURN(shoal_queue_get(queue, &byte, 1, 0), -EAGAIN);
    CHECK_RETURN(shoal_queue_get(queue, &byte, 1, -5), -EAGAIN);
    int64_t begin = test_now();
    CHECK_RETURN(shoal_queue_get(queue, &byte, 1, SHOAL_MILLISECONDS(20)), -ETIMEDOUT);
    CHECK_GE(test_now() - begin, SHOAL_MILLISECONDS(20));
    check(queue);
    shoal_queue_free(queue);
}

TEST(a_queue_bounded_in_items_is_full_at_its_bound)
{
    shoal_queue *queue = open_bounded(3, 0);

    for (uint64_t i = 0; i < 3; i++)
        put(queue, i, i == 1 ? 5000 : 10);
    CHECK_RETURN(shoal_queue_put(queue, "x", 1, 0), -EAGAIN);
    CHECK_RETURN(shoal_queue_put(queue, "x", 1, SHOAL_MILLISECONDS(5)), -ETIMEDOUT);
    char large[4000] = {0};
    CHECK_RETURN(shoal_queue_put(queue, large, sizeof large, 0), -EAGAIN);
    get(queue, 0, 10);
    put(queue, 3, 10);
    get(queue, 1, 5000);
    check(queue);
    shoal_queue_free(queue);
}

TEST(a_queue_bounded_in_bytes_counts_them)
{
    shoal_queue *queue = open_bounded(0, 1000);
    char data[1001] = {0};

    CHECK_RETURN(shoal_queue_put(queue, data, 1001, 0), -EMSGSIZE);
    CHECK_OK(shoal_queue_put(queue, data, 600, 0));
    CHECK_RETURN(shoal_queue_put(queue, data, 401, 0), -EAGAIN);
    CHECK_OK(shoal_queue_put(queue, data, 400, 0));
    CHECK_OK(shoal_queue_put(queue, data, 0, 0));
    CHECK_RETURN(shoal_queue_put(queue, data, 1, 0), -EAGAIN);
    CHECK_EQ(shoal_queue_get(queue, data, sizeof data, 0), 600);
    CHECK_OK(shoal_queue_put(queue, data, 600, 0));
    check(queue);
    shoal_queue_free(queue);
}

TEST(a_message_larger_than_the_buffer_stays)
{
    shoal_queue *queue = open_queue(NULL);
    char data[10];

    put(queue, 1, 100);
    put(queue, 2, 5000);
    CHECK_RETURN(shoal_queue_get(queue, data, sizeof data, 0), -EMSGSIZE);
    CHECK_EQ(items(queue), 2);
    get(queue, 1, 100);
    CHECK_RETURN(shoal_queue_get(queue, data, sizeof data, 0), -EMSGSIZE);
    check(queue);
    get(queue, 2, 5000);
    shoal_queue_free(queue);
}

TEST(parts_are_gathered_into_one_message)
{
    shoal_queue *queue = open_queue(NULL);
    char big[3000], got[3100];
    struct shoal_bytes parts[] = {{"ab", 2}, {NULL, 0}, {"cde", 3}, {big, sizeof big}};

    memset(big, 'z', sizeof big);
    CHECK_OK(shoal_queue_put_parts(queue, parts, 3, 0));
    CHECK_OK(shoal_queue_put_parts(queue, parts, 4, 0));
    CHECK_OK(shoal_queue_put_parts(queue, NULL, 0, 0));
    CHECK_EQ(shoal_queue_get(queue, got, sizeof got, 0), 5);
    CHECK_MEM_EQ(got, "abcde", 5);
    CHECK_EQ(shoal_queue_get(queue, got, sizeof got, 0), 3005);
    CHECK_MEM_EQ(got + 5, big, 3000);
    CHECK_EQ(shoal_queue_get(queue, got, sizeof got, 0), 0);
    shoal_queue_free(queue);
}

TEST(many_go_in_and_out_in_one_call)
{
    enum { COUNT = 500 };
    shoal_queue *queue = open_queue(NULL);
    unsigned char *data = malloc(COUNT * 3000), *got = malloc(COUNT * 3008);
    struct shoal_bytes in[COUNT], out[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        in[i] = (struct shoal_bytes){data + i * 3000, i % 9 == 8 ? 2900 : i % 40};
        fill(data + i * 3000, in[i].size, i);
    }
    CHECK_EQ(shoal_queue_put_many(queue, in, COUNT, 0), COUNT);
    check(queue);
    CHECK_EQ(items(queue), COUNT);
    for (size_t done = 0; done < COUNT;) {
        ssize_t n = CHECK_COUNT(shoal_queue_get_many(queue, got, COUNT * 3008, out, COUNT - done, 0));
        CHECK_GT(n, 0);
        for (ssize_t i = 0; i < n; i++) {
            CHECK_EQ(out[i].size, in[done + (size_t)i].size);
            CHECK_MEM_EQ(out[i].data, in[done + (size_t)i].data, out[i].size);
        }
        done += (size_t)n;
    }
    CHECK_RETURN(shoal_queue_get_many(queue, got, 100, out, COUNT, 0), -EAGAIN);
    put(queue, 5, 50);
    put(queue, 6, 60);
    CHECK_RETURN(shoal_queue_get_many(queue, got, 40, out, COUNT, 0), -EMSGSIZE);
    CHECK_EQ(shoal_queue_get_many(queue, got, 100, out, COUNT, 0), 1);
    check(queue);
    shoal_queue_free(queue);
    free(data);
    free(got);
}

TEST(of_many_as_many_go_in_as_there_is_room_for)
{
    shoal_queue *queue = open_bounded(5, 0);
    struct shoal_bytes in[8];

    for (int i = 0; i < 8; i++)
        in[i] = (struct shoal_bytes){"message", 7};
    CHECK_EQ(shoal_queue_put_many(queue, in, 8, 0), 5);
    CHECK_RETURN(shoal_queue_put_many(queue, in, 8, 0), -EAGAIN);
    CHECK_RETURN(shoal_queue_put_many(queue, in, 8, SHOAL_MILLISECONDS(2)), -ETIMEDOUT);
    CHECK_EQ(shoal_queue_put_many(queue, in, 0, 0), 0);
    check(queue);
    shoal_queue_free(queue);
}

TEST(a_loan_travels_without_a_copy)
{
    shoal_queue *queue = open_queue(NULL);
    struct shoal_message message, got;
    uint64_t before = blocks_in_use();

    CHECK_OK(shoal_queue_loan(queue, 200000, &message));
    fill(message.data, message.size, 3);
    void *data = message.data;
    CHECK_OK(shoal_queue_send(queue, &message, 0));
    CHECK(message.data == NULL);
    CHECK_OK(shoal_queue_receive(queue, &got, 0));
    CHECK(got.data == data);
    CHECK_EQ(got.size, 200000);
    shoal_message_release(&got);
    shoal_message_release(&got);
    shoal_message_release(NULL);
    put(queue, 1, 20);
    CHECK_OK(shoal_queue_receive(queue, &got, 0));
    CHECK_EQ(got.size, 20);
    CHECK_OK(shoal_queue_send(queue, &got, 0));
    get(queue, 1, 20);
    CHECK_RETURN(shoal_queue_receive(queue, &got, 0), -EAGAIN);
    CHECK_OK(shoal_queue_loan(queue, 0, &message));
    CHECK_OK(shoal_queue_send(queue, &message, 0));
    CHECK_OK(shoal_queue_receive(queue, &got, 0));
    CHECK_EQ(got.size, 0);
    CHECK_OK(shoal_queue_send(queue, &got, 0));
    CHECK_RETURN(shoal_queue_get(queue, NULL, 0, 0), 0);
    CHECK_EQ(blocks_in_use(), before);
    check(queue);
    shoal_queue_free(queue);
}

TEST(a_message_that_is_not_ones_own_is_not_sent)
{
    shoal_queue *queue = open_queue(NULL);
    struct shoal_message message, copy;

    CHECK_OK(shoal_queue_loan(queue, 100, &message));
    copy = message;
    CHECK_OK(shoal_queue_send(queue, &message, 0));
    CHECK_RETURN(shoal_queue_send(queue, &copy, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_send(queue, &message, 0), -EINVAL);
    copy.block += 8;
    CHECK_RETURN(shoal_queue_send(queue, &copy, 0), -EINVAL);
    CHECK_EQ(items(queue), 1);
    shoal_queue_free(queue);
}

TEST(a_closed_queue_gives_what_it_has_and_takes_no_more)
{
    shoal_queue *queue = open_queue(NULL);
    char byte;

    put(queue, 1, 10);
    CHECK_EQ(shoal_queue_is_closed(queue), 0);
    CHECK_OK(shoal_queue_close(queue));
    CHECK_OK(shoal_queue_close(queue));
    CHECK_EQ(shoal_queue_is_closed(queue), 1);
    CHECK_RETURN(shoal_queue_put(queue, "x", 1, SHOAL_FOREVER), -EPIPE);
    CHECK_RETURN(shoal_queue_put_many(queue, &(struct shoal_bytes){"x", 1}, 1, 0), -EPIPE);
    get(queue, 1, 10);
    CHECK_RETURN(shoal_queue_get(queue, &byte, 1, SHOAL_FOREVER), -EPIPE);
    shoal_queue_free(queue);
}

TEST(closing_wakes_all_who_wait)
{
    shoal_queue *empty = open_queue(NULL), *full = open_bounded(1, 0);
    pid_t getters[3], putters[3];
    char byte;

    put(full, 1, 1);
    for (int i = 0; i < 3; i++) {
        CHILD(getters[i])
            CHECK_RETURN(shoal_queue_get(empty, &byte, 1, SHOAL_FOREVER), -EPIPE);
        CHILD(putters[i])
            CHECK_RETURN(shoal_queue_put(full, "x", 1, SHOAL_FOREVER), -EPIPE);
    }
    for (int i = 0; i < 3; i++) {
        test_await_asleep(getters[i]);
        test_await_asleep(putters[i]);
    }
    CHECK_OK(shoal_queue_close(empty));
    CHECK_OK(shoal_queue_close(full));
    for (int i = 0; i < 3; i++) {
        CHECK_EXITS(getters[i], 0);
        CHECK_EXITS(putters[i], 0);
    }
    shoal_queue_free(empty);
    shoal_queue_free(full);
}

#define EACH 20000

TEST_WITHIN(60, many_producers_and_consumers_lose_and_double_nothing)
{
    struct record {
        uint64_t producer, number;
    };
    enum { PRODUCERS = 3, CONSUMERS = 3 };
    shoal_queue *queue = open_bounded(100, 0), *sums = open_queue(NULL);
    pid_t producers[PRODUCERS], consumers[CONSUMERS];

    for (uint64_t p = 0; p < PRODUCERS; p++) {
        CHILD(producers[p]) {
            for (uint64_t n = 0; n < EACH; n++) {
                char data[2000] = {0};
                memcpy(data, &(struct record){p, n}, sizeof(struct record));
                CHECK_OK(
                    shoal_queue_put(queue, data, n % 50 == 0 ? sizeof data : sizeof(struct record), SHOAL_FOREVER));
            }
        }
    }
    for (int c = 0; c < CONSUMERS; c++) {
        CHILD(consumers[c]) {
            uint64_t next[PRODUCERS] = {0}, totals[2] = {0};
            for (;;) {
                char data[2000];
                struct record record;
                ssize_t r = shoal_queue_get(queue, data, sizeof data, SHOAL_FOREVER);
                if (r == -EPIPE)
                    break;
                CHECK_COUNT(r);
                memcpy(&record, data, sizeof record);
                CHECK_GE(record.number, next[record.producer]); /* one producer's messages in order */
                next[record.producer] = record.number + 1;
                totals[0]++;
                totals[1] += record.number * (record.producer + 1);
            }
            CHECK_OK(shoal_queue_put(sums, totals, sizeof totals, 0));
        }
    }
    for (int p = 0; p < PRODUCERS; p++)
        CHECK_EXITS(producers[p], 0);
    CHECK_OK(shoal_queue_close(queue));
    uint64_t count = 0, sum = 0, totals[2];
    for (int c = 0; c < CONSUMERS; c++) {
        CHECK_EXITS(consumers[c], 0);
        CHECK_EQ(shoal_queue_get(sums, totals, sizeof totals, 0), sizeof totals);
        count += totals[0];
        sum += totals[1];
    }
    CHECK_EQ(count, PRODUCERS * EACH);
    CHECK_EQ(sum, 6LL * EACH * (EACH - 1) / 2);
    check(queue);
    shoal_queue_free(queue);
    shoal_queue_free(sums);
}

TEST(a_queue_made_later_is_handed_over_by_its_ref)
{
    shoal_queue *letters = open_queue(NULL), *parcel;
    pid_t child;
    shoal_ref ref;

    CHILD(child) {
        shoal_queue *given;
        CHECK_EQ(shoal_queue_get(letters, &ref, sizeof ref, SHOAL_FOREVER), sizeof ref);
        CHECK_OK(shoal_queue_attach(&ref, &given));
        CHECK_OK(shoal_queue_put(given, "hello", 5, 0));
        shoal_queue_free(given);
    }
    parcel = open_queue(NULL);
    CHECK_OK(shoal_queue_ref(parcel, &ref));
    CHECK_OK(shoal_queue_put(letters, &ref, sizeof ref, 0));
    char data[5];
    CHECK_EQ(shoal_queue_get(parcel, data, sizeof data, SHOAL_FOREVER), 5);
    CHECK_MEM_EQ(data, "hello", 5);
    CHECK_EXITS(child, 0);
    shoal_queue_free(letters);
    shoal_queue_free(parcel);
    shoal_queue *none;
    CHECK_RETURN(shoal_queue_attach(&ref, &none), -ESTALE);
    ref.family++;
    CHECK_RETURN(shoal_queue_attach(&ref, &none), -EXDEV);
    ref.kind++;
    CHECK_RETURN(shoal_queue_attach(&ref, &none), -EINVAL);
}

TEST(a_queue_goes_with_its_last_process_and_all_that_is_in_it)
{
    uint64_t before;
    pid_t child;

    CHECK_OK(sh_arena_enter());
    before = blocks_in_use();
    CHILD(child) {
        shoal_queue *queue = open_queue(NULL);
        for (uint64_t i = 0; i < 2000; i++)
            put(queue, i, sizes[i % 12]);
        raise(SIGKILL);
    }
    CHECK_KILLED(child, SIGKILL);
    CHECK_EQ(sh_reclaim_dead(), 1);
    CHECK_EQ(blocks_in_use(), before);
}

TEST(what_a_child_inherits_lives_on_when_the_parent_frees_it)
{
    shoal_queue *queue = open_queue(NULL), *answer = open_queue(NULL);
    pid_t child;
    char byte;

    CHILD(child) {
        CHECK_EQ(shoal_queue_size(queue, NULL, NULL), 0);
        CHECK_OK(shoal_queue_put(queue, "a", 1, 0)); /* this attaches the child */
        CHECK_OK(shoal_queue_put(answer, "b", 1, 0));
        usleep(20000);
        CHECK_OK(shoal_queue_put(queue, "c", 1, 0));
        CHECK_EQ(items(queue), 2);
        check(queue);
    }
    CHECK_EQ(shoal_queue_get(answer, &byte, 1, SHOAL_FOREVER), 1);
    shoal_queue_free(queue);
    CHECK_EXITS(child, 0);
    shoal_queue_free(answer);
}

TEST(a_queue_that_went_before_the_child_came_is_stale_in_it)
{
    struct board *board = board_map();
    shoal_queue *queue = open_queue(NULL);
    struct shoal_message message;
    shoal_ref ref;
    uint64_t count;
    pid_t child;
    char byte;

    CHILD(child) {
        AWAIT(board->step == 1);
        CHECK_RETURN(shoal_queue_put(queue, "a", 1, 0), -ESTALE);
        CHECK_RETURN(shoal_queue_put_many(queue, &(struct shoal_bytes){"a", 1}, 1, 0), -ESTALE);
        CHECK_RETURN(shoal_queue_get(queue, &byte, 1, SHOAL_FOREVER), -ESTALE);
        CHECK_RETURN(shoal_queue_get_many(queue, &byte, 1, &(struct shoal_bytes){0}, 1, 0), -ESTALE);
        CHECK_RETURN(shoal_queue_loan(queue, 1, &message), -ESTALE);
        CHECK_RETURN(shoal_queue_send(queue, &(struct shoal_message){0}, 0), -ESTALE);
        CHECK_RETURN(shoal_queue_receive(queue, &message, 0), -ESTALE);
        CHECK_RETURN(shoal_queue_close(queue), -ESTALE);
        CHECK_RETURN(shoal_queue_is_closed(queue), -ESTALE);
        CHECK_RETURN(shoal_queue_size(queue, &count, NULL), -ESTALE);
        CHECK_RETURN(shoal_queue_fd(queue), -ESTALE);
        shoal_queue_free(queue);
    }
    CHECK_OK(shoal_queue_ref(queue, &ref));
    shoal_queue_free(queue);
    shoal_queue *other = open_queue(NULL);
    shoal_ref others;
    CHECK_OK(shoal_queue_ref(other, &others));
    CHECK_EQ(others.offset, ref.offset); /* so the child might take it for the one that is gone */
    board->step = 1;
    CHECK_EXITS(child, 0);
    CHECK_EQ(items(other), 0);
    check(other);
    shoal_queue_free(other);
    board_unmap(board);
}

static int is_readable(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    return CHECK_SYS(poll(&poller, 1, 0)) == 1 && (poller.revents & POLLIN);
}

TEST(the_descriptor_is_readable_while_there_are_messages)
{
    shoal_queue *queue = open_queue(NULL);
    int fd = (int)CHECK_COUNT(shoal_queue_fd(queue));
    pid_t child;
    char byte;

    CHECK_EQ(shoal_queue_fd(queue), fd);
    CHECK(!is_readable(fd));
    CHECK_OK(shoal_queue_put(queue, "a", 1, 0));
    CHECK(is_readable(fd));
    CHECK_OK(shoal_queue_put(queue, "b", 1, 0));
    CHECK_EQ(shoal_queue_get(queue, &byte, 1, 0), 1);
    CHECK(is_readable(fd));
    CHECK_EQ(shoal_queue_get(queue, &byte, 1, 0), 1);
    CHECK(!is_readable(fd));
    CHILD(child) {
        CHECK_OK(shoal_queue_put(queue, "c", 1, 0));
        int own = (int)CHECK_COUNT(shoal_queue_fd(queue));
        CHECK(is_readable(own));
    }
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&poller, 1, 5000), 1);
    CHECK_EXITS(child, 0);
    CHECK_EQ(shoal_queue_get(queue, &byte, 1, 0), 1);
    CHECK(!is_readable(fd));
    CHECK_OK(shoal_queue_close(queue));
    CHECK(is_readable(fd));
    shoal_queue_free(queue);
}

static void interrupt(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_a_wait)
{
    struct sigaction action = {.sa_handler = interrupt};
    shoal_queue *queue = open_queue(NULL);
    pid_t parent = getpid(), child;
    char byte;

    CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
    CHILD(child) {
        test_await_asleep(parent);
        CHECK_SYS(kill(parent, SIGUSR1));
    }
    CHECK_RETURN(shoal_queue_get(queue, &byte, 1, SHOAL_FOREVER), -EINTR);
    CHECK_EXITS(child, 0);
    shoal_queue_free(queue);
}

TEST(a_full_arena_refuses_the_message_and_keeps_the_queue)
{
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = 4 << 20};
    shoal_queue *queue;
    char *data = calloc(1, 300000);
    int count = 0, r;

    CHECK_OK(shoal_arena_open(&options));
    queue = open_queue(NULL);
    while ((r = shoal_queue_put(queue, data, 300000, 0)) == 0)
        count++;
    CHECK_RETURN(r, -ENOMEM);
    CHECK_GE(count, 4);
    CHECK_EQ(items(queue), count);
    while ((r = shoal_queue_put(queue, data, 1000, 0)) == 0)
        count++;
    CHECK_RETURN(r, -ENOMEM);
    check(queue);
    struct shoal_message message;
    CHECK_RETURN(shoal_queue_loan(queue, 5 << 20, &message), -ENOMEM);
    CHECK_RETURN(shoal_queue_put(queue, data, SIZE_MAX / 2, 0), -ENOMEM);
    CHECK_EQ(shoal_queue_get(queue, data, 300000, 0), 300000);
    CHECK_OK(shoal_queue_put(queue, data, 300000, 0));
    check(queue);
    shoal_queue_free(queue);
    free(data);
}

/* Receiving gives memory back, so it must not need any where the message has its own. */
TEST(a_message_in_a_block_is_received_where_there_is_no_memory)
{
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = 4 << 20};
    struct shoal_message message;
    shoal_queue *queue;
    char *data = calloc(1, 300000);
    uint64_t block;

    CHECK_OK(shoal_arena_open(&options));
    queue = open_queue(NULL);
    CHECK_OK(shoal_queue_put(queue, data, 300000, 0));
    CHECK_OK(shoal_queue_put(queue, data, 1, 0));
    for (uint64_t size = 1 << 20; size >= 1024; size /= 2)
        while (sh_block_alloc(size, &block) == 0)
            continue;
    CHECK_OK(shoal_queue_receive(queue, &message, 0));
    CHECK_EQ(message.size, 300000);
    CHECK_RETURN(shoal_queue_receive(queue, &message, 0), -ENOMEM);
    CHECK_EQ(message.size, 300000);
    CHECK_EQ(items(queue), 1);
    shoal_message_release(&message);
    CHECK_OK(shoal_queue_receive(queue, &message, 0));
    CHECK_EQ(message.size, 1);
    check(queue);
    shoal_queue_free(queue);
    free(data);
}

TEST(bad_arguments_are_refused)
{
    shoal_queue *queue;
    struct shoal_queue_options options = {.size = 1};
    struct shoal_message message;
    shoal_ref ref;
    char byte;

    CHECK_RETURN(shoal_queue_open(NULL, NULL), -EINVAL);
    CHECK_RETURN(shoal_queue_open(&options, &queue), -EINVAL);
    options = (struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .flags = 1u << 20};
    CHECK_RETURN(shoal_queue_open(&options, &queue), -EINVAL);
    options = (struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .reserved = 1};
    CHECK_RETURN(shoal_queue_open(&options, &queue), -EINVAL);
    queue = open_queue(NULL);
    CHECK_RETURN(shoal_queue_put(NULL, "x", 1, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_put(queue, NULL, 1, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_put_parts(queue, NULL, 1, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_put_parts(queue, &(struct shoal_bytes){"x", 1}, 1025, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_put_many(queue, NULL, 1, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_get(NULL, &byte, 1, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_get(queue, NULL, 1, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_get_many(queue, &byte, 1, NULL, 1, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_loan(NULL, 1, &message), -EINVAL);
    CHECK_RETURN(shoal_queue_send(queue, NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_receive(queue, NULL, 0), -EINVAL);
    CHECK_RETURN(shoal_queue_close(NULL), -EINVAL);
    CHECK_RETURN(shoal_queue_ref(NULL, &ref), -EINVAL);
    CHECK_RETURN(shoal_queue_attach(NULL, &queue), -EINVAL);
    CHECK_RETURN(shoal_queue_size(NULL, NULL, NULL), -EINVAL);
    CHECK_RETURN(shoal_queue_fd(NULL), -EINVAL);
    shoal_queue_free(queue);
    shoal_queue_free(NULL);
}
