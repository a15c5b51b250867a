/* pair_queue.c - two processes at a queue at the same time. */
#include "pair.h"
#include "whole.h"

#include <errno.h>
#include <shoal/queue.h>
#include <stdatomic.h>
#include <string.h>

#define SMALL 64
#define LARGE 1100 /* lies in a block */
#define BOUND 2
#define MESSAGES 400 /* numbers: the agent's from 1 on, those of process n from 100 * (n + 1) on */
#define AGENTS 300   /* what the agent puts later */

struct ledger {
    _Atomic int puts[2];                 /* of its messages so many are in for certain */
    _Atomic int got[2][8], got_count[2]; /* numbers, or errors */
};

static shoal_queue *queue;
static struct ledger *ledger;
static size_t size;
static int were_there, fed;
static struct shoal_message message;
static _Alignas(int) unsigned char buffer[LARGE];

static void fill(unsigned char *bytes, int number)
{
    memset(bytes, number, size);
    memcpy(bytes, &number, sizeof number);
}

static int number_of(const unsigned char *bytes, size_t length)
{
    int number;

    if (length != size)
        crash_fail(CRASH_TORN, "a message of %zu bytes came out, %zu went in", length, size);
    memcpy(&number, bytes, sizeof number);
    for (size_t i = sizeof number; i < size; i++)
        if (bytes[i] != (unsigned char)number)
            crash_fail(CRASH_TORN, "message %d is torn at byte %zu", number, i);
    return number;
}

static int try_put(int number)
{
    fill(buffer, number);
    return shoal_queue_put(queue, buffer, size, WHOLE_LIMIT);
}

static int try_get(void)
{
    ssize_t length = shoal_queue_get(queue, buffer, sizeof buffer, 0);
    return length < 0 ? (int)length : number_of(buffer, (size_t)length);
}

static void open_queue(uint64_t max_items, size_t message_size, int messages)
{
    struct shoal_queue_options options = {SHOAL_OPTIONS(shoal_queue), .max_items = max_items};

    whole_open();
    whole_note();
    ledger = crash_ledger();
    size = message_size;
    fed = 0;
    CRASH_EQ(CRASH_BROKEN, shoal_queue_open(&options, &queue), 0);
    for (were_there = 0; were_there < messages;)
        CRASH_EQ(CRASH_BROKEN, try_put(++were_there), 0);
}

static void setup_empty(void)
{
    open_queue(BOUND, SMALL, 0);
}

static void setup_one(void)
{
    open_queue(BOUND, SMALL, 1);
}

static void setup_full(void)
{
    open_queue(BOUND, SMALL, BOUND);
}

static void setup_empty_large(void)
{
    open_queue(BOUND, LARGE, 0);
}

static void setup_one_large(void)
{
    open_queue(BOUND, LARGE, 1);
}

static void setup_full_large(void)
{
    open_queue(BOUND, LARGE, BOUND);
}

/* The next put goes on to a new ring, and the get after the fourth follows. */
static void setup_ring_full(void)
{
    open_queue(0, 1000, 4);
    for (int i = 1; i <= 4; i++)
        if (i < 4)
            CRASH_EQ(CRASH_BROKEN, try_get(), i);
}

/* --- the processes --- */

static void prepare(void)
{
    fill(buffer, 100 * (int)(pair_self() + 1));
    CRASH_EQ(CRASH_BROKEN, shoal_queue_loan(queue, size, &message), 0);
    shoal_message_release(&message);
}

static void prepare_loan(void)
{
    prepare();
    CRASH_EQ(CRASH_BROKEN, shoal_queue_loan(queue, size, &message), 0);
    fill(message.data, 100 * (int)(pair_self() + 1));
}

static void put(void)
{
    if (shoal_queue_put(queue, buffer, size, SHOAL_FOREVER) == 0)
        ledger->puts[pair_self()]++;
}

static void put_two(void)
{
    put();
    fill(buffer, 100 * (int)(pair_self() + 1) + 1);
    put();
}

static void send(void)
{
    if (shoal_queue_send(queue, &message, SHOAL_FOREVER) == 0)
        ledger->puts[pair_self()]++;
}

static void note_got(int number)
{
    unsigned self = pair_self();
    ledger->got[self][ledger->got_count[self]] = number;
    ledger->got_count[self]++;
}

static void get(void)
{
    ssize_t r = shoal_queue_get(queue, buffer, sizeof buffer, SHOAL_FOREVER);
    note_got(r < 0 ? (int)r : *(const int *)(const void *)buffer);
}

static void get_two(void)
{
    get();
    get();
}

static void receive(void)
{
    int r = shoal_queue_receive(queue, &message, SHOAL_FOREVER);
    note_got(r < 0 ? r : *(const int *)message.data);
}

static void end_queue(void)
{
    shoal_queue_close(queue);
}

/* --- the agent --- */

static uint64_t items(void)
{
    uint64_t count;

    CRASH_EQ(CRASH_TORN, shoal_queue_size(queue, &count, NULL), 0);
    return count;
}

static int due_message(unsigned who)
{
    (void)who;
    return items() > 0 || shoal_queue_is_closed(queue);
}

static int due_room(unsigned who)
{
    (void)who;
    return items() < BOUND || shoal_queue_is_closed(queue);
}

static void feed_messages(void)
{
    for (int i = 0; i < 2; i++)
        CRASH_RETURNS(try_put(AGENTS + i), 0);
    fed = 2;
}

static int seen[MESSAGES];

static void note_seen(int number)
{
    if (number < 0) {
        CRASH_RETURNS(number, -EPIPE);
        return;
    }
    CRASH_UNLESS(CRASH_TORN, number < MESSAGES);
    if (seen[number]++)
        crash_fail(CRASH_TORN, "message %d came twice", number);
}

static void feed_room(void)
{
    for (int i = 0; i < BOUND; i++)
        note_seen(try_get());
}

/* Every message that was put for certain has come out, once, but for one that each dead one may have been taking. In
 * order, from each who put. */
static void check_messages(void)
{
    int last[4] = {0}, missing = 0, number;

    for (unsigned who = 0; who < 2; who++)
        for (int i = 0; i < ledger->got_count[who]; i++)
            note_seen(ledger->got[who][i]);
    while ((number = try_get()) >= 0) {
        note_seen(number);
        if (number < last[number / 100])
            crash_fail(CRASH_TORN, "message %d came after %d", number, last[number / 100]);
        last[number / 100] = number;
    }
    CRASH_UNLESS(CRASH_TORN, number == -EAGAIN || number == -EPIPE);
    for (int i = size == 1000 ? 4 : 1; i <= were_there; i++)
        missing += !seen[i];
    for (int who = 0; who < 2; who++)
        for (int i = 0; i < ledger->puts[who]; i++)
            missing += !seen[100 * (who + 1) + i];
    for (int i = 0; i < fed; i++)
        missing += !seen[AGENTS + i];
    if (missing > pair_died(0) + pair_died(1))
        crash_fail(CRASH_TORN, "%d messages are lost", missing);
}

static void end(void)
{
    shoal_queue_free(queue);
    whole_check();
}

static void check(void)
{
    check_messages();
    for (int i = 1; i <= BOUND; i++)
        CRASH_RETURNS(try_put(i), 0);
    for (int i = 1; i <= BOUND; i++)
        CRASH_RETURNS(try_get(), i);
    CRASH_RETURNS(try_get(), -EAGAIN);
    end();
}

static void check_closed(void)
{
    check_messages();
    CRASH_RETURNS(shoal_queue_close(queue), 0);
    CRASH_RETURNS(try_put(0), -EPIPE);
    CRASH_RETURNS(try_get(), -EPIPE);
    end();
}

#define BOTH(x)                                                                                                        \
    {                                                                                                                  \
        x, x                                                                                                           \
    }
#define PLAIN .prepare = BOTH(prepare), .check = check
#define WOKEN_DIES "a woken process dies before it acts, while the other sleeps"

static const struct pair_case cases[] = {
    {"put | put", PLAIN, .setup = setup_empty, .operation = BOTH(put)},
    {"put | put, in blocks", PLAIN, .setup = setup_empty_large, .operation = BOTH(put)},
    {"put | put, new ring", PLAIN, .setup = setup_ring_full, .operation = BOTH(put)},
    {"put | get", PLAIN, .setup = setup_one, .operation = {put, get}},
    {"put | get, empty", PLAIN, .setup = setup_empty, .due = due_message, .feed = feed_messages,
     .operation = {put, get}},
    {"put | get, in a block, empty", PLAIN, .setup = setup_empty_large, .due = due_message, .feed = feed_messages,
     .operation = {put, get}},
    {"put | get, full", PLAIN, .setup = setup_full, .due = due_room, .feed = feed_room, .operation = {put, get}},
    {"put | get, in a block, full", PLAIN, .setup = setup_full_large, .due = due_room, .feed = feed_room,
     .operation = {put, get}},
    {"put | get two, new ring", PLAIN, .setup = setup_ring_full, .due = due_message, .feed = feed_messages,
     .operation = {put, get_two}},
    {"put two | get two, empty", PLAIN, .setup = setup_empty, .due = due_message, .feed = feed_messages,
     .operation = {put_two, get_two}},
    {"get | get", PLAIN, .setup = setup_full, .operation = BOTH(get)},
    {"get | get, from blocks", PLAIN, .setup = setup_full_large, .operation = BOTH(get)},
    {"get | get, one message", PLAIN, .setup = setup_one, .due = due_message, .feed = feed_messages,
     .operation = BOTH(get), .late_because = WOKEN_DIES},
    {"put | put, room for one", PLAIN, .setup = setup_one, .due = due_room, .feed = feed_room, .operation = BOTH(put),
     .late_because = WOKEN_DIES},
    {"send | receive", .prepare = {prepare_loan, prepare}, .check = check, .setup = setup_empty_large,
     .due = due_message, .feed = feed_messages, .operation = {send, receive}},
    {"send | send", .prepare = BOTH(prepare_loan), .check = check, .setup = setup_empty_large, .operation = BOTH(send)},
    {"send | receive, full", .prepare = {prepare_loan, prepare}, .check = check, .setup = setup_full_large,
     .due = due_room, .feed = feed_room, .operation = {send, receive}},
    {"receive | receive, one message", PLAIN, .setup = setup_one_large, .due = due_message, .feed = feed_messages,
     .operation = BOTH(receive), .late_because = WOKEN_DIES},
    {"close | get", .prepare = BOTH(prepare), .check = check_closed, .setup = setup_empty, .due = due_message,
     .feed = end_queue, .operation = {end_queue, get}},
    {"close | put", .prepare = BOTH(prepare), .check = check_closed, .setup = setup_full, .due = due_room,
     .feed = end_queue, .operation = {end_queue, put}},
    {"close | close", .prepare = BOTH(prepare), .check = check_closed, .setup = setup_one,
     .operation = BOTH(end_queue)},
};

int main(int argc, char **argv)
{
    return pair_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
