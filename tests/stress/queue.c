/* queue.c - producers and consumers of one queue, killed at random hundreds of times a second, and a ledger of every
 * message: none comes twice, none comes torn, and of those that were put none is lost but one for a consumer's death.
 *
 * Each size of messages is tried for STRESS_SECONDS of the environment, in rounds, each with a ledger of its own. */
#include "queue/queue.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "harness.h"

#include <shoal/shoal.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PRODUCERS = 3, CONSUMERS = 3, ACTORS = PRODUCERS + CONSUMERS, MOST = 4000000 };

struct letter {
    uint64_t producer, number, size, sum;
};

/* Written by the actors, read by the judge: what outlives them. A number is tried before its put begins, and put when
 * it has returned; a producer that takes the place of a dead one goes on behind what was tried. */
static struct ledger {
    _Atomic uint64_t tried[PRODUCERS];
    _Atomic unsigned char put[PRODUCERS][MOST], got[PRODUCERS][MOST];
    _Atomic uint64_t bad, steps;
    _Atomic int is_over;
} * ledger;

static shoal_queue *queue;

#define ROUND_SECONDS 1.5

static int rounds(void)
{
    const char *text = getenv("STRESS_SECONDS");
    return text ? (int)(atof(text) / ROUND_SECONDS) + 1 : 1;
}

static uint64_t sum_of(const unsigned char *bytes, uint64_t size, uint64_t number)
{
    uint64_t sum = number * UINT64_C(0x9e3779b97f4a7c15);

    for (uint64_t i = 0; i < size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + i, size - i < 8 ? size - i : 8);
        sum = (sum ^ word) * UINT64_C(0x100000001b3);
    }
    return sum;
}

static void produce(uint64_t me, size_t size)
{
    unsigned char *message = malloc(sizeof(struct letter) + size);

    while (!ledger->is_over) {
        uint64_t number = ++ledger->tried[me];
        if (number >= MOST)
            break;
        struct letter letter = {.producer = me, .number = number, .size = size - number % (size / 4)};
        unsigned char *bytes = message + sizeof letter;
        for (uint64_t i = 0; i < letter.size; i += 61)
            bytes[i] = (unsigned char)(number + i);
        letter.sum = sum_of(bytes, letter.size, number);
        memcpy(message, &letter, sizeof letter);
        CHECK_OK(shoal_queue_put(queue, message, sizeof letter + letter.size, SHOAL_FOREVER));
        ledger->put[me][number] = 1;
        ledger->steps++;
    }
    free(message);
}

static void note(const void *message, size_t size)
{
    struct letter letter;

    memcpy(&letter, message, sizeof letter);
    if (size < sizeof letter || letter.producer >= PRODUCERS || letter.number >= MOST ||
        letter.size != size - sizeof letter ||
        letter.sum != sum_of((const unsigned char *)message + sizeof letter, letter.size, letter.number))
        ledger->bad++;
    else
        ledger->got[letter.producer][letter.number]++;
    ledger->steps++;
}

/* Half of the messages are copied out, half read in place. */
static void consume(size_t size)
{
    unsigned char *buffer = malloc(sizeof(struct letter) + size);
    struct shoal_message message;

    for (uint64_t turn = 0;; turn++) {
        if (turn % 2) {
            ssize_t r = shoal_queue_get(queue, buffer, sizeof(struct letter) + size, SHOAL_FOREVER);
            if (r == -EPIPE)
                break;
            note(buffer, (size_t)CHECK_COUNT(r));
        } else {
            int r = shoal_queue_receive(queue, &message, SHOAL_FOREVER);
            if (r == -EPIPE)
                break;
            CHECK_OK(r);
            note(message.data, message.size);
            shoal_message_release(&message);
        }
    }
    free(buffer);
}

static pid_t start(int actor, size_t size)
{
    pid_t pid;

    CHILD(pid) {
        if (actor < PRODUCERS)
            produce((uint64_t)actor, size);
        else
            consume(size);
    }
    return pid;
}

/* Kill and replace actors at random for a while. Returns how many consumers died; fails where all stand still. */
static uint64_t reap_and_sow(pid_t *pids, size_t size, uint64_t *seed, uint64_t *ret_kills)
{
    int64_t end = test_now() + (int64_t)(ROUND_SECONDS * 1e9), moved = test_now();
    uint64_t steps = 0, dead_consumers = 0;

    while (test_now() < end) {
        int actor = (int)test_random_below(seed, ACTORS);
        usleep((useconds_t)test_random_below(seed, 3000));
        CHECK_SYS(kill(pids[actor], SIGKILL));
        CHECK_KILLED(pids[actor], SIGKILL);
        pids[actor] = start(actor, size);
        dead_consumers += actor >= PRODUCERS;
        (*ret_kills)++;
        if (ledger->steps != steps)
            moved = test_now();
        steps = ledger->steps;
        if (test_now() - moved > test_time(3))
            FAIL("nothing has moved for 3 seconds after %llu kills", (unsigned long long)*ret_kills);
    }
    return dead_consumers;
}

static void judge(size_t size, uint64_t kills, uint64_t dead_consumers)
{
    uint64_t put = 0, got = 0, lost = 0, twice = 0;

    for (int p = 0; p < PRODUCERS; p++)
        for (uint64_t n = 1; n < MOST && n <= ledger->tried[p]; n++) {
            put += ledger->put[p][n];
            got += ledger->got[p][n];
            lost += ledger->put[p][n] && !ledger->got[p][n];
            twice += ledger->got[p][n] > 1;
        }
    printf("# %zu bytes: %llu kills, %llu put, %llu got, %llu lost (consumers killed: %llu)\n", size,
           (unsigned long long)kills, (unsigned long long)put, (unsigned long long)got, (unsigned long long)lost,
           (unsigned long long)dead_consumers);
    CHECK_EQ(ledger->bad, 0);
    CHECK_EQ(twice, 0);
    CHECK_LE(lost, dead_consumers);
    CHECK_GT(got, kills); /* most of the time they were at work */
}

static void play(size_t size, uint64_t *seed)
{
    struct shoal_queue_options options = {SHOAL_OPTIONS(shoal_queue), .max_items = 50};
    struct shoal_arena_stats before, after;
    uint64_t kills = 0;
    pid_t pids[ACTORS];

    int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(ledger != MAP_FAILED);
    CHECK_OK(sh_arena_enter());
    CHECK_OK(shoal_arena_stats(&before));
    CHECK_OK(shoal_queue_open(&options, &queue));
    for (int i = 0; i < ACTORS; i++)
        pids[i] = start(i, size);
    uint64_t dead_consumers = reap_and_sow(pids, size, seed, &kills);
    ledger->is_over = 1;
    for (int i = 0; i < PRODUCERS; i++)
        CHECK_EXITS(pids[i], 0);
    CHECK_OK(shoal_queue_close(queue));
    for (int i = PRODUCERS; i < ACTORS; i++)
        CHECK_EXITS(pids[i], 0);
    judge(size, kills, dead_consumers);

    sh_reclaim_wait();
    if (sh_queue_check(queue->handle.object) < 0 || sh_arena_check() < 0)
        FAIL("%s", sh_check_note);
    shoal_queue_free(queue);
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&after));
    CHECK_EQ(after.blocks, before.blocks);
    CHECK_EQ(after.processes, 1);
    CHECK_SYS(munmap(ledger, sizeof *ledger));
}

static void stress(size_t size)
{
    uint64_t seed = test_seed();

    for (int round = 0; round < rounds(); round++)
        play(size, &seed);
}

TEST_WITHIN(4000, small_messages_survive_random_kills)
{
    stress(64);
}

TEST_WITHIN(4000, messages_in_blocks_survive_random_kills)
{
    stress(4096);
}

TEST_WITHIN(4000, large_messages_survive_random_kills)
{
    stress(300000);
}
