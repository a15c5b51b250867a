/* queue.c - death in a queue: put and get of every kind of message, with and without others asleep on it. */
#include "arena/reclaim.h"
#include "whole.h"

#include <errno.h>
#include <poll.h>
#include <shoal/queue.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL 64
#define LARGE 5000 /* lies in a block */
#define BOUND 4
#define VICTIMS 100 /* numbers of the victim's messages begin here, */
#define AGENTS 200  /* and those of the agent's here, when it has looked at what was left */

/* What the victim knows of itself. */
struct ledger {
    _Atomic int put;               /* so many of its puts have returned */
    _Atomic int got[8], got_count; /* numbers of messages that its gets have returned */
    _Atomic int taken_by_sleepers;
};

static shoal_queue *queue;
static struct ledger *ledger;
static size_t size;    /* of all messages of this case */
static int were_there; /* messages 1 to this were in the queue before */
static struct shoal_queue_options options;
static struct shoal_message message;
static _Alignas(int) unsigned char buffer[8 * LARGE];
static int most_lost; /* how many messages the victim may take with it */

/* Messages have a number, and bytes that follow from it. */

static void fill(unsigned char *bytes, int number)
{
    memcpy(bytes, &number, sizeof number);
    for (size_t i = sizeof number; i < size; i++)
        bytes[i] = (unsigned char)(number * 31 + (int)i);
}

static int number_of(const unsigned char *bytes, size_t length)
{
    int number;

    if (length != size)
        crash_fail(CRASH_TORN, "a message of %zu bytes came out, %zu went in", length, size);
    memcpy(&number, bytes, sizeof number);
    for (size_t i = sizeof number; i < size; i++) {
        if (bytes[i] != (unsigned char)(number * 31 + (int)i))
            crash_fail(CRASH_TORN, "message %d is torn at byte %zu", number, i);
    }
    return number;
}

static int try_put(int number, int64_t timeout)
{
    fill(buffer, number);
    return shoal_queue_put(queue, buffer, size, timeout);
}

/* The next message's number, or an error. */
static int try_get(int64_t timeout)
{
    ssize_t length = shoal_queue_get(queue, buffer, sizeof buffer, timeout);
    return length < 0 ? (int)length : number_of(buffer, (size_t)length);
}

/* Setups. */

static void open_queue(unsigned flags, uint64_t max_items, size_t message_size, int messages)
{
    whole_open();
    whole_note();
    most_lost = 1;
    ledger = crash_ledger();
    size = message_size;
    options = (struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .flags = flags, .max_items = max_items};
    CRASH_EQ(CRASH_BROKEN, shoal_queue_open(&options, &queue), 0);
    for (were_there = 0; were_there < messages;)
        CRASH_EQ(CRASH_BROKEN, try_put(++were_there, 0), 0);
}

static void setup_empty_small(void)
{
    open_queue(0, BOUND, SMALL, 0);
}

static void setup_some_small(void)
{
    open_queue(0, BOUND, SMALL, 2);
}

static void setup_for_many(void)
{
    open_queue(0, BOUND, SMALL, BOUND);
    most_lost = 3;
}

static void setup_full_small(void)
{
    open_queue(0, BOUND, SMALL, BOUND);
}

static void setup_empty_large(void)
{
    open_queue(0, BOUND, LARGE, 0);
}

static void setup_some_large(void)
{
    open_queue(0, BOUND, LARGE, 2);
}

static void setup_full_large(void)
{
    open_queue(0, BOUND, LARGE, BOUND);
}

static void setup_nothing(void)
{
    open_queue(0, 0, 0, 0);
    size = sizeof(int);
}

static void setup_joinable(void)
{
    open_queue(SHOAL_QUEUE_JOINABLE, BOUND, SMALL, 2);
}

/* The agent has the queue's descriptor, and there are this many messages. */
static void open_polled(int messages)
{
    open_queue(0, BOUND, SMALL, messages);
    CRASH_UNLESS(CRASH_BROKEN, shoal_queue_fd(queue) >= 0);
}

static void setup_polled_empty(void)
{
    open_polled(0);
}

static void setup_polled(void)
{
    open_polled(1);
}

/* Unbounded; the next put must go on to a new ring. */
static void setup_ring_full(void)
{
    open_queue(0, 0, 1000, 3);
    CRASH_EQ(CRASH_BROKEN, try_put(++were_there, 0), 0);
}

/* Unbounded; the next get must follow to a new ring, and free the one before. */
static void setup_ring_behind(void)
{
    setup_ring_full();
    for (int i = 0; i < 20; i++)
        CRASH_EQ(CRASH_BROKEN, try_put(++were_there, 0), 0);
}

/* Preparations of the victim: its caches are those of a process that has been at work. */

static void prepare(void)
{
    fill(buffer, VICTIMS);
    CRASH_EQ(CRASH_BROKEN, shoal_queue_loan(queue, size, &message), 0);
    shoal_message_release(&message);
}

static void prepare_loan(void)
{
    prepare();
    CRASH_EQ(CRASH_BROKEN, shoal_queue_loan(queue, size, &message), 0);
    fill(message.data, VICTIMS);
}

static void prepare_received(void)
{
    prepare();
    CRASH_EQ(CRASH_BROKEN, shoal_queue_receive(queue, &message, 0), 0);
    ledger->got[ledger->got_count++] = number_of(message.data, message.size);
}

static void prepare_got(void)
{
    prepare();
    ledger->got[ledger->got_count++] = try_get(0);
}

/* Operations. */

static void put(void)
{
    ledger->put += shoal_queue_put(queue, buffer, size, SHOAL_FOREVER) == 0;
}

static void put_many(void)
{
    static unsigned char bytes[3][SMALL];
    struct shoal_bytes messages[3];

    for (int i = 0; i < 3; i++) {
        fill(bytes[i], VICTIMS + i);
        messages[i] = (struct shoal_bytes){bytes[i], size};
    }
    ssize_t r = shoal_queue_put_many(queue, messages, 3, SHOAL_FOREVER);
    ledger->put += r > 0 ? (int)r : 0;
}

static void send(void)
{
    ledger->put += shoal_queue_send(queue, &message, SHOAL_FOREVER) == 0;
}

/* Only the number: what costs time here is stepped. */
static void note_got(const void *bytes)
{
    ledger->got[ledger->got_count] = *(const int *)bytes;
    ledger->got_count++;
}

static void get(void)
{
    ssize_t r = shoal_queue_get(queue, buffer, sizeof buffer, SHOAL_FOREVER);
    if (r >= 0)
        note_got(buffer);
}

static void get_many(void)
{
    struct shoal_bytes messages[3];
    ssize_t r = shoal_queue_get_many(queue, buffer, sizeof buffer, messages, 3, SHOAL_FOREVER);
    for (ssize_t i = 0; i < r; i++)
        note_got(messages[i].data);
}

static void receive(void)
{
    if (shoal_queue_receive(queue, &message, SHOAL_FOREVER) == 0)
        note_got(message.data);
}

static void loan(void)
{
    shoal_queue_loan(queue, size, &message);
}

static void release(void)
{
    shoal_message_release(&message);
}

static void task_done(void)
{
    shoal_queue_task_done(queue);
}

static void join(void)
{
    shoal_queue_join(queue, SHOAL_FOREVER);
}

static void close_queue(void)
{
    shoal_queue_close(queue);
}

static void open_another(void)
{
    shoal_queue *another;
    shoal_queue_open(&options, &another);
}

static void get_fd(void)
{
    shoal_queue_fd(queue);
}

static shoal_ref ref;

static void attach(void)
{
    shoal_queue *another;
    shoal_queue_attach(&ref, &another);
}

static void free_handle(void)
{
    shoal_queue_free(queue);
}

static void prepare_ref(void)
{
    prepare();
    CRASH_EQ(CRASH_BROKEN, shoal_queue_ref(queue, &ref), 0);
}

/* The victim is the only one with a handle: with its last the queue goes, and what is in it. */
static void prepare_own(void)
{
    prepare();
    CRASH_EQ(CRASH_BROKEN, shoal_queue_open(&options, &queue), 0);
    CRASH_EQ(CRASH_BROKEN, try_put(1, 0), 0);
    CRASH_EQ(CRASH_BROKEN, try_put(2, 0), 0);
}

/* What lets a blocked victim go on. */

static void feed_message(unsigned nth)
{
    if (nth == 1)
        CRASH_RETURNS(try_put(++were_there, WHOLE_LIMIT), 0);
}

/* The same, with a number that a sleeper may be given. */
static void feed_victims(unsigned nth)
{
    if (nth == 1)
        CRASH_RETURNS(try_put(VICTIMS, WHOLE_LIMIT), 0);
}

/* Room: what the agent takes now is no longer there for its check. */
static void feed_room(unsigned nth)
{
    if (nth == 1) {
        CRASH_RETURNS(try_get(WHOLE_LIMIT), 1);
        ledger->got[ledger->got_count++] = 1;
    }
}

/* Room for one message each time. */
static void feed_places(unsigned nth)
{
    if (nth <= BOUND) {
        CRASH_RETURNS(try_get(WHOLE_LIMIT), (int)nth);
        ledger->got[ledger->got_count++] = (int)nth;
    }
}

static void feed_done(unsigned nth)
{
    for (int i = 1; nth == 1 && i <= 2; i++) {
        CRASH_RETURNS(try_get(WHOLE_LIMIT), i);
        ledger->got[ledger->got_count++] = i;
        CRASH_RETURNS(shoal_queue_task_done(queue), 0);
    }
}

/* Sleepers. */

static void sleep_in_get(unsigned index)
{
    (void)index;
    int number = try_get(SHOAL_FOREVER);
    if (number < VICTIMS)
        crash_fail(CRASH_TORN, "a getter was given %d", number);
    ledger->taken_by_sleepers++;
}

static void sleep_in_poll(unsigned index)
{
    struct pollfd entry = {.fd = shoal_queue_fd(queue), .events = POLLIN};
    int number;

    (void)index;
    CRASH_UNLESS(CRASH_BROKEN, entry.fd >= 0);
    while ((number = try_get(0)) == -EAGAIN)
        poll(&entry, 1, -1);
    CRASH_UNLESS(CRASH_TORN, number >= VICTIMS);
    ledger->taken_by_sleepers++;
}

static void sleep_in_put(unsigned index)
{
    CRASH_RETURNS(try_put(AGENTS - 1 - (int)index, SHOAL_FOREVER), 0);
}

static void sleep_in_join(unsigned index)
{
    (void)index;
    CRASH_RETURNS(shoal_queue_join(queue, SHOAL_FOREVER), 0);
}

/* Sleeps until the queue is closed. */
static void sleep_till_end(unsigned index)
{
    (void)index;
    CRASH_RETURNS(try_get(SHOAL_FOREVER), -EPIPE);
}

static void poll_till_end(unsigned index)
{
    struct pollfd entry = {.fd = shoal_queue_fd(queue), .events = POLLIN};
    int number;

    (void)index;
    while ((number = try_get(0)) == -EAGAIN)
        poll(&entry, 1, -1);
    CRASH_RETURNS(number, -EPIPE);
}

static uint64_t items(void)
{
    uint64_t count;

    CRASH_EQ(CRASH_BROKEN, shoal_queue_size(queue, &count, NULL), 0);
    return count;
}

static int due_message(unsigned index)
{
    (void)index;
    return items() > 0;
}

static int due_room(unsigned index)
{
    (void)index;
    return items() < BOUND;
}

static int due_joined(unsigned index)
{
    uint64_t unfinished;

    (void)index;
    CRASH_EQ(CRASH_BROKEN, shoal_queue_unfinished(queue, &unfinished), 0);
    return unfinished == 0;
}

static int due_closed(unsigned index)
{
    (void)index;
    return shoal_queue_is_closed(queue);
}

/* One message for each sleeper: those whose message came from the victim leave theirs in the queue. */
static void rouse_getters(void)
{
    for (int i = 0; i < 2; i++)
        CRASH_RETURNS(try_put(AGENTS + i, WHOLE_LIMIT), 0);
}

static void rouse_putters(void)
{
    for (int i = 0; i < 2 && items(); i++)
        ledger->got[ledger->got_count++] = try_get(WHOLE_LIMIT);
}

static void rouse_joiners(void)
{
    uint64_t unfinished;

    while (items())
        ledger->got[ledger->got_count++] = try_get(WHOLE_LIMIT);
    for (;;) {
        CRASH_EQ(CRASH_BROKEN, shoal_queue_unfinished(queue, &unfinished), 0);
        if (!unfinished)
            break;
        CRASH_RETURNS(shoal_queue_task_done(queue), 0);
    }
}

static void rouse_closed(void)
{
    CRASH_RETURNS(shoal_queue_close(queue), 0);
}

/* Checks. */

static int was_got(int number)
{
    for (int i = 0; i < ledger->got_count; i++)
        if (ledger->got[i] == number)
            return 1;
    return 0;
}

/* Take out all that is left: in order, none twice, none missing but one at most that the victim was taking. */
static int drain(void)
{
    int last = 0, victims = 0, missing = 0, number;

    while ((number = try_get(0)) >= 0) {
        if (was_got(number))
            crash_fail(CRASH_TORN, "message %d came twice", number);
        if (number <= last && !(last >= AGENTS - CRASH_SLEEPERS_MAX))
            crash_fail(CRASH_TORN, "message %d came after %d", number, last);
        for (int i = last + 1; i < number && i <= were_there; i++)
            missing += !was_got(i);
        if (number <= were_there || (number >= VICTIMS && number < AGENTS - CRASH_SLEEPERS_MAX))
            last = number;
        victims += number >= VICTIMS && number < AGENTS - CRASH_SLEEPERS_MAX;
    }
    CRASH_RETURNS(number, -EAGAIN);
    for (int i = last < were_there ? last + 1 : were_there + 1; i <= were_there; i++)
        missing += !was_got(i);
    if (missing > most_lost)
        crash_fail(CRASH_TORN, "%d messages are lost", missing);
    if (missing && crash_victim_finished())
        crash_fail(CRASH_TORN, "a message is lost, and nobody died taking it");
    return victims;
}

/* The queue does all it did: filled to the brim and emptied, twice. */
static void use(void)
{
    int most = options.max_items ? (int)options.max_items : 40;

    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= most; i++)
            CRASH_RETURNS(try_put(i, WHOLE_LIMIT), 0);
        if (options.max_items)
            CRASH_RETURNS(try_put(0, 0), -EAGAIN);
        for (int i = 1; i <= most; i++)
            CRASH_RETURNS(try_get(WHOLE_LIMIT), i);
        CRASH_RETURNS(try_get(0), -EAGAIN);
        CRASH_EQ(CRASH_TORN, items(), 0);
    }
}

/* The queue goes with its last handle, and all it had with it. */
static void end(void)
{
    shoal_queue_free(queue);
    whole_check();
}

static void check(void)
{
    int victims = drain();

    if (victims + ledger->taken_by_sleepers < ledger->put)
        crash_fail(CRASH_TORN, "%d puts have returned, %d messages came out", ledger->put,
                   victims + ledger->taken_by_sleepers);
    use();
    end();
}

static int is_readable(void)
{
    struct pollfd entry = {.fd = shoal_queue_fd(queue), .events = POLLIN};
    return poll(&entry, 1, 0) > 0;
}

/* The descriptor is readable while there are messages. It may be once too often, but not for good. */
static void check_polled(void)
{
    CRASH_UNLESS(CRASH_STUCK, is_readable() || items() == 0);
    drain();
    for (int i = 0; i < 3 && is_readable(); i++)
        CRASH_RETURNS(try_get(0), -EAGAIN);
    CRASH_UNLESS(CRASH_TORN, !is_readable());
    CRASH_RETURNS(try_put(1, 0), 0);
    CRASH_UNLESS(CRASH_STUCK, is_readable());
    CRASH_RETURNS(try_get(0), 1);
    use();
    end();
}

static void check_joinable(void)
{
    uint64_t unfinished;

    drain();
    sh_reclaim_wait(); /* the dead one's messages count as done */
    CRASH_EQ(CRASH_TORN, shoal_queue_unfinished(queue, &unfinished), 0);
    while (unfinished--)
        if (shoal_queue_task_done(queue) < 0)
            break;
    CRASH_RETURNS(shoal_queue_join(queue, WHOLE_LIMIT), 0);
    CRASH_RETURNS(shoal_queue_task_done(queue), -EINVAL);
    use();
    for (int i = 0; i < 2 * BOUND; i++)
        CRASH_RETURNS(shoal_queue_task_done(queue), 0);
    CRASH_RETURNS(shoal_queue_join(queue, WHOLE_LIMIT), 0);
    end();
}

static void check_closed(void)
{
    CRASH_RETURNS(shoal_queue_close(queue), 0);
    CRASH_RETURNS(try_put(0, WHOLE_LIMIT), -EPIPE);
    for (int i = 1; i <= were_there; i++)
        CRASH_RETURNS(try_get(WHOLE_LIMIT), i);
    CRASH_RETURNS(try_get(WHOLE_LIMIT), -EPIPE);
    end();
}

static void check_whole(void)
{
    drain();
    use();
    end();
}

static void sleep_in_vain(unsigned index)
{
    CRASH_RETURNS(try_put(AGENTS + (int)index, SHOAL_FOREVER), -EPIPE);
}

/* A message wakes one getter. From its waking to its commit it holds no more than head_word, on which no other getter
 * sleeps; so should it die there, nothing but the backstop wakes another. Waking two for each message would mend it. */
#define SLOW (1u << CRASH_INSTRUCTION | 1u << CRASH_TRACE) /* many late ones, 100 ms each */
#define WOKEN_DIES "a woken process dies before it acts, while others sleep"

static const struct crash_case cases[] = {
    {"put", .setup = setup_empty_small, .prepare = prepare, .operation = put, .check = check},
    {"put, in a block", .setup = setup_empty_large, .prepare = prepare, .operation = put, .check = check},
    {"put, new ring", .setup = setup_ring_full, .prepare = prepare, .operation = put, .check = check},
    {"put, nothing", .setup = setup_nothing, .prepare = prepare, .operation = put, .check = check},
    {"put many", .setup = setup_empty_small, .prepare = prepare, .operation = put_many, .check = check},
    {"put, full", .setup = setup_full_small, .prepare = prepare, .operation = put, .feed = feed_room, .check = check},
    {"put, in a block, full", .setup = setup_full_large, .prepare = prepare, .operation = put, .feed = feed_room,
     .check = check},
    {"put, joinable", .setup = setup_joinable, .prepare = prepare, .operation = put, .check = check_joinable},
    {"put many, full", .setup = setup_full_small, .prepare = prepare, .operation = put_many, .feed = feed_places,
     .check = check},
    {"put, one waits", .sleepers = 1, .setup = setup_empty_small, .prepare = prepare, .operation = put,
     .sleep = sleep_in_get, .due = due_message, .rouse = rouse_getters, .check = check},
    {"put, in a block, two wait", .sleepers = 2, .setup = setup_empty_large, .prepare = prepare, .operation = put,
     .sleep = sleep_in_get, .due = due_message, .rouse = rouse_getters, .check = check},
    {"put many, two wait", .sleepers = 2, .setup = setup_empty_small, .prepare = prepare, .operation = put_many,
     .sleep = sleep_in_get, .due = due_message, .rouse = rouse_getters, .check = check},
    {"put, one polls", .sleepers = 1, .sleepers_first = 1, .setup = setup_empty_small, .prepare = prepare,
     .operation = put, .sleep = sleep_in_poll, .due = due_message, .rouse = rouse_getters, .check = check},
    {"close, two poll", .sleepers = 2, .setup = setup_empty_small, .prepare = prepare, .operation = close_queue,
     .sleep = poll_till_end, .due = due_closed, .rouse = rouse_closed, .check = check_closed},
    {"put, the agent polls", .setup = setup_polled_empty, .prepare = prepare, .operation = put, .check = check_polled},
    {"get, the agent polls", .setup = setup_polled, .prepare = prepare, .operation = get, .check = check_polled},
    {"get fd", .setup = setup_some_small, .prepare = prepare, .operation = get_fd, .check = check},
    {"loan", .setup = setup_empty_large, .prepare = prepare, .operation = loan, .check = check},
    {"send", .setup = setup_empty_large, .prepare = prepare_loan, .operation = send, .check = check},
    {"send, one waits", .sleepers = 1, .setup = setup_empty_large, .prepare = prepare_loan, .operation = send,
     .sleep = sleep_in_get, .due = due_message, .rouse = rouse_getters, .check = check},
    {"send, full", .setup = setup_full_large, .prepare = prepare_loan, .operation = send, .feed = feed_room,
     .check = check},
    {"send, two wait", .sleepers = 2, .setup = setup_empty_large, .prepare = prepare_loan, .operation = send,
     .sleep = sleep_in_get, .due = due_message, .rouse = rouse_getters, .check = check},
    {"give a loan back", .setup = setup_some_large, .prepare = prepare_loan, .operation = release, .check = check},
    {"release", .setup = setup_some_large, .prepare = prepare_received, .operation = release, .check = check},
    {"get", .setup = setup_some_small, .prepare = prepare, .operation = get, .check = check},
    {"get, from a block", .setup = setup_some_large, .prepare = prepare, .operation = get, .check = check},
    {"get, next ring", .setup = setup_ring_behind, .prepare = prepare, .operation = get, .check = check},
    {"get many", .setup = setup_for_many, .prepare = prepare, .operation = get_many, .check = check},
    {"get, empty", .setup = setup_empty_small, .prepare = prepare, .operation = get, .feed = feed_message,
     .check = check},
    {"get, from a block, empty", .setup = setup_empty_large, .prepare = prepare, .operation = get, .feed = feed_message,
     .check = check},
    {"get many, empty", .setup = setup_empty_small, .prepare = prepare, .operation = get_many, .feed = feed_message,
     .check = check},
    {"get, empty, others come", .late_because = WOKEN_DIES, .modes_left_out = SLOW, .sleepers = 2, .sleepers_last = 1,
     .setup = setup_empty_small, .prepare = prepare, .operation = get, .feed = feed_victims, .sleep = sleep_in_get,
     .due = due_message, .rouse = rouse_getters, .check = check},
    {"put, full, others come", .late_because = WOKEN_DIES, .modes_left_out = SLOW, .sleepers = 2, .sleepers_last = 1,
     .setup = setup_full_small, .prepare = prepare, .operation = put, .feed = feed_room, .sleep = sleep_in_put,
     .due = due_room, .rouse = rouse_putters, .check = check},
    {"get, one waits", .sleepers = 1, .setup = setup_full_small, .prepare = prepare, .operation = get,
     .sleep = sleep_in_put, .due = due_room, .rouse = rouse_putters, .check = check},
    {"get, from a block, two wait", .sleepers = 2, .setup = setup_full_large, .prepare = prepare, .operation = get,
     .sleep = sleep_in_put, .due = due_room, .rouse = rouse_putters, .check = check},
    {"receive", .setup = setup_some_large, .prepare = prepare, .operation = receive, .check = check},
    {"receive, inline", .setup = setup_some_small, .prepare = prepare, .operation = receive, .check = check},
    {"receive, empty", .setup = setup_empty_large, .prepare = prepare, .operation = receive, .feed = feed_message,
     .check = check},
    {"receive, inline, empty", .setup = setup_empty_small, .prepare = prepare, .operation = receive,
     .feed = feed_message, .check = check},
    {"receive, one waits", .sleepers = 1, .setup = setup_full_large, .prepare = prepare, .operation = receive,
     .sleep = sleep_in_put, .due = due_room, .rouse = rouse_putters, .check = check},
    {"receive, inline, two wait", .sleepers = 2, .setup = setup_full_small, .prepare = prepare, .operation = receive,
     .sleep = sleep_in_put, .due = due_room, .rouse = rouse_putters, .check = check},
    {"get, joinable", .setup = setup_joinable, .prepare = prepare, .operation = get, .check = check_joinable},
    {"task done", .setup = setup_joinable, .prepare = prepare_got, .operation = task_done, .check = check_joinable},
    {"task done, one joins", .sleepers = 1, .setup = setup_joinable, .prepare = prepare_got, .operation = task_done,
     .sleep = sleep_in_join, .due = due_joined, .rouse = rouse_joiners, .check = check_joinable},
    {"join", .setup = setup_joinable, .prepare = prepare, .operation = join, .feed = feed_done,
     .check = check_joinable},
    {"close, two wait", .sleepers = 2, .setup = setup_empty_small, .prepare = prepare, .operation = close_queue,
     .sleep = sleep_till_end, .due = due_closed, .rouse = rouse_closed, .check = check_closed},
    {"close, two wait for room", .sleepers = 2, .setup = setup_full_small, .prepare = prepare, .operation = close_queue,
     .sleep = sleep_in_vain, .due = due_closed, .rouse = rouse_closed, .check = check_closed},
    {"close", .setup = setup_some_small, .prepare = prepare, .operation = close_queue, .check = check_closed},
    {"open", .setup = setup_empty_small, .prepare = prepare, .operation = open_another, .check = check_whole},
    {"attach", .setup = setup_some_small, .prepare = prepare_ref, .operation = attach, .check = check_whole},
    {"free", .setup = setup_some_small, .prepare = prepare, .operation = free_handle, .check = check_whole},
    {"free, the last", .setup = setup_empty_large, .prepare = prepare_own, .operation = free_handle,
     .check = check_whole},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
