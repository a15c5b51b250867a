/* message.c - the soak's messages: each has a producer, a number and a checksum, and is accounted for. */
#include "soak.h"

#include <stdlib.h>

#define MOST_SIZE 300000

struct letter {
    uint32_t desk;
    uint32_t queue;
    uint64_t number;
    uint64_t size; /* of what follows */
    uint64_t sum;
};

static const struct {
    uint64_t least, most;
} sizes[QUEUES] = {{0, 900}, {1100, 60000}, {0, 3000}};

/* What is in a message follows from who sent it and its number. */
static void fill(unsigned char *bytes, uint64_t size, uint64_t salt)
{
    for (uint64_t i = 0; i < size; i += 97)
        bytes[i] = (unsigned char)(salt + i);
}

static uint64_t sum_of(const unsigned char *bytes, const struct letter *letter)
{
    uint64_t sum = letter->number << 20 ^ (uint64_t)letter->desk << 8 ^ letter->queue;

    for (uint64_t i = 0; i < letter->size; i += 97)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static unsigned char *buffer_of(uint64_t size)
{
    static unsigned char *buffer;

    if (!buffer)
        buffer = malloc(MOST_AT_ONCE * (MOST_SIZE + sizeof(struct letter) + sizeof(uint64_t)));
    CHECK(buffer && size <= MOST_AT_ONCE * (MOST_SIZE + sizeof(struct letter)));
    return buffer;
}

static uint64_t choose_size(int queue)
{
    if (queue == QUEUES - 1 && draw(500) == 0)
        return MOST_SIZE - draw(100000);
    return sizes[queue].least + draw(sizes[queue].most - sizes[queue].least);
}

/* The next message of this desk, written at `to`; returns its size. */
static uint64_t write_message(unsigned char *to, int queue, uint64_t size, struct letter *ret_letter)
{
    struct letter letter = {
        .desk = (uint32_t)(own_desk - ledger->desk),
        .queue = (uint32_t)queue,
        .number = ++own_desk->tried,
        .size = size,
    };

    fill(to + sizeof letter, size, letter.number);
    letter.sum = sum_of(to + sizeof letter, &letter);
    memcpy(to, &letter, sizeof letter);
    *ret_letter = letter;
    return sizeof letter + size;
}

static int is_room_for(uint64_t messages)
{
    return own_desk->tried + messages < MOST_MESSAGES;
}

/* What a put's return says of the message. */
static void note_put(const struct letter *letter, int r)
{
    if (r != -ETIMEDOUT && r != -EAGAIN)
        CHECK_OK(r);
    own_desk->put[letter->number] = (unsigned char)(r == 0 ? FIRST_QUEUE + letter->queue : MESSAGE_REFUSED);
}

static int64_t some_time(void)
{
    return draw(4) ? a_while() : 0;
}

/* The queue without a bound takes no more where nobody gets enough out of it. */
static int choose_queue(void)
{
    int queue = (int)draw(QUEUES);
    uint64_t items;

    CHECK_OK(shoal_queue_size(stage.queue[queue], &items, NULL));
    return items < 300 ? queue : 0;
}

void play_put(void)
{
    int queue = choose_queue();
    struct letter letter;

    if (!is_room_for(1))
        return;
    unsigned char *buffer = buffer_of(0);
    uint64_t size = write_message(buffer, queue, choose_size(queue), &letter);
    uint64_t half = draw(size);
    struct shoal_bytes parts[2] = {{buffer, half}, {buffer + half, size - half}};
    note_put(&letter, draw(2) ? shoal_queue_put(stage.queue[queue], buffer, size, some_time())
                              : shoal_queue_put_parts(stage.queue[queue], parts, 2, some_time()));
}

void play_put_many(void)
{
    int queue = choose_queue();
    struct letter letters[MOST_AT_ONCE];
    struct shoal_bytes messages[MOST_AT_ONCE];
    size_t count = 1 + draw(MOST_AT_ONCE);

    if (!is_room_for(count))
        return;
    unsigned char *at = buffer_of(0);
    for (size_t i = 0; i < count; i++) {
        messages[i] = (struct shoal_bytes){at, write_message(at, queue, choose_size(queue), &letters[i])};
        at += messages[i].size;
    }
    ssize_t r = shoal_queue_put_many(stage.queue[queue], messages, count, some_time());
    size_t done = r > 0 ? (size_t)r : 0;
    for (size_t i = 0; i < count; i++)
        note_put(&letters[i], i < done ? 0 : r < 0 ? (int)r : -EAGAIN);
}

void play_send(void)
{
    int queue = choose_queue();
    struct shoal_message loan;
    struct letter letter;

    if (!is_room_for(1))
        return;
    uint64_t size = choose_size(queue);
    CHECK_OK(shoal_queue_loan(stage.queue[queue], sizeof letter + size, &loan));
    write_message(loan.data, queue, size, &letter);
    int r = shoal_queue_send(stage.queue[queue], &loan, some_time());
    note_put(&letter, r);
    if (r < 0)
        shoal_message_release(&loan);
}

/* The highest number seen of each producer in each queue by this process: its messages come in order. */
static uint32_t seen[QUEUES][DESKS];

static void note_got(int queue, const unsigned char *bytes, size_t size)
{
    struct letter letter;

    CHECK_GE(size, sizeof letter);
    memcpy(&letter, bytes, sizeof letter);
    CHECK_EQ(letter.queue, queue);
    CHECK_LT(letter.desk, DESKS);
    CHECK_LT(letter.number, MOST_MESSAGES);
    CHECK_EQ(letter.size, size - sizeof letter);
    CHECK_EQ(letter.sum, sum_of(bytes + sizeof letter, &letter));
    CHECK_GT(letter.number, seen[queue][letter.desk]);
    seen[queue][letter.desk] = (uint32_t)letter.number;
    CHECK_EQ(ledger->got[letter.desk][letter.number]++, 0);
}

/* From here to its counterpart a death loses up to count messages of the queue. */
static void begin_get(int queue, uint64_t count)
{
    own_desk->may_lose = (uint64_t)queue << 32 | count;
}

static void end_get(ssize_t r)
{
    own_desk->may_lose = 0;
    if (r != -ETIMEDOUT && r != -EAGAIN)
        CHECK_COUNT(r);
}

/* What comes into a queue of messages of any size fits. */
void play_get(void)
{
    int queue = (int)draw(QUEUES);
    unsigned char *buffer = buffer_of(0);

    begin_get(queue, 1);
    ssize_t r = shoal_queue_get(stage.queue[queue], buffer, MOST_SIZE + sizeof(struct letter), some_time());
    if (r >= 0)
        note_got(queue, buffer, (size_t)r);
    end_get(r);
}

void play_get_many(void)
{
    int queue = (int)draw(QUEUES);
    struct shoal_bytes messages[MOST_AT_ONCE];
    size_t capacity = MOST_AT_ONCE * (MOST_SIZE + sizeof(struct letter));

    begin_get(queue, MOST_AT_ONCE);
    ssize_t r =
        shoal_queue_get_many(stage.queue[queue], buffer_of(capacity), capacity, messages, MOST_AT_ONCE, some_time());
    for (ssize_t i = 0; i < r; i++) {
        begin_get(queue, (uint64_t)(r - i));
        note_got(queue, messages[i].data, messages[i].size);
    }
    end_get(r);
}

void play_receive(void)
{
    int queue = (int)draw(QUEUES);
    struct shoal_message message;

    begin_get(queue, 1);
    int r = shoal_queue_receive(stage.queue[queue], &message, some_time());
    if (r == 0) {
        note_got(queue, message.data, message.size);
        shoal_message_release(&message);
    }
    end_get(r);
}

uint64_t drain(int queue)
{
    uint64_t count = 0;
    ssize_t r;

    while ((r = shoal_queue_get(stage.queue[queue], buffer_of(0), MOST_SIZE + sizeof(struct letter), 0)) >= 0) {
        note_got(queue, buffer_of(0), (size_t)r);
        count++;
    }
    CHECK_EQ(r, -EAGAIN);
    memset(seen[queue], 0, sizeof seen[queue]);
    return count;
}

/* A queue that is made for one answer: its handle travels in a message. */
static void ask(void)
{
    shoal_queue *answers;
    shoal_ref ref;
    int answer;

    CHECK_OK(shoal_queue_open(NULL, &answers));
    CHECK_OK(shoal_queue_ref(answers, &ref));
    int r = shoal_queue_put(stage.letters, &ref, sizeof ref, some_time());
    if (r == 0) {
        ssize_t size = shoal_queue_get(answers, &answer, sizeof answer, SHOAL_MILLISECONDS(5));
        if (size != -ETIMEDOUT)
            CHECK_EQ(size, sizeof answer);
    } else if (r != -EAGAIN) {
        CHECK_EQ(r, -ETIMEDOUT);
    }
    shoal_queue_free(answers);
}

static void answer(void)
{
    shoal_queue *answers;
    shoal_ref ref;
    ssize_t size = shoal_queue_get(stage.letters, &ref, sizeof ref, some_time());

    if (size == -ETIMEDOUT || size == -EAGAIN)
        return;
    CHECK_EQ(size, sizeof ref);
    int r = shoal_queue_attach(&ref, &answers);
    if (r == -ESTALE) /* who asked has gone on, or died */
        return;
    CHECK_OK(r);
    CHECK_OK(shoal_queue_put(answers, &(int){42}, sizeof(int), SHOAL_FOREVER));
    shoal_queue_free(answers);
}

void play_letter(void)
{
    if (draw(2))
        ask();
    else
        answer();
}
