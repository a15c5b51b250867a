/* loops.h - what producers and consumers do, inlined into each peer's file: stamp a message, hand it over; take one,
 * check it. A peer defines its calls in a struct bench_ops and then its loops with BENCH_LOOPS. */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "harness/clock.h"
#include "harness/peer.h"
#include "harness/samples.h"

#include <errno.h>
#include <stdlib.h>

#define BENCH_INLINE static inline __attribute__((always_inline))

/* Words sit at the beginning, at the end, and - where the payload is copied anyway - at every page between. */
enum {
    BENCH_STRIDE = 4096,
    BENCH_BLOCK = 16,  /* round trips between two looks at the clock */
    BENCH_LAST = 0xff, /* "producer" of the message that ends a consumer */
};

struct bench_ops {
    /* Where the next message is to be written; NULL: out of memory. */
    void *(*begin)(void *end, size_t size);
    int (*commit)(void *end, void *message, size_t size);
    /* Send what commit held back; NULL where it holds nothing. */
    int (*flush)(void *end);
    /* The next message: its size, 0 where there is none yet (then the loop looks whether all is over), -errno. */
    ssize_t (*take)(void *end, void **ret_message);
    /* Done with the message taken; NULL where nothing is to be done. */
    void (*done)(void *end);
    int whole; /* stamp and check every page */
};

/* A message's word: producer, sequence and a check over both. */
BENCH_INLINE uint64_t bench_word(uint64_t producer, uint64_t sequence)
{
    uint64_t body = producer << 56 | (sequence & 0xffffffff) << 24;
    return body | (body * UINT64_C(0x9e3779b97f4a7c15)) >> 40;
}

BENCH_INLINE unsigned bench_word_producer(uint64_t word)
{
    return (unsigned)(word >> 56);
}

BENCH_INLINE uint64_t bench_word_sequence(uint64_t word)
{
    return word >> 24 & 0xffffffff;
}

BENCH_INLINE int bench_word_holds(uint64_t word)
{
    return word == bench_word(bench_word_producer(word), bench_word_sequence(word));
}

BENCH_INLINE void bench_stamp(void *message, size_t size, uint64_t word, int whole)
{
    uint64_t *words = (uint64_t *)message;
    words[0] = word;
    if (whole)
        for (size_t at = BENCH_STRIDE; at + sizeof word < size; at += BENCH_STRIDE)
            words[at / sizeof word] = word ^ at;
    if (size > sizeof word)
        words[size / sizeof word - 1] = ~word;
}

BENCH_INLINE int bench_intact(const void *message, size_t size, uint64_t word, int whole)
{
    const uint64_t *words = (const uint64_t *)message;
    if (whole)
        for (size_t at = BENCH_STRIDE; at + sizeof word < size; at += BENCH_STRIDE)
            if (words[at / sizeof word] != (word ^ at))
                return 0;
    return size == sizeof word || words[size / sizeof word - 1] == ~word;
}

BENCH_INLINE int bench_send(const struct bench_ops *ops, void *end, size_t size, uint64_t word)
{
    void *message = ops->begin(end, size);
    if (!message)
        return -ENOMEM;
    bench_stamp(message, size, word, ops->whole);
    return ops->commit(end, message, size);
}

BENCH_INLINE int bench_send_now(const struct bench_ops *ops, void *end, size_t size, uint64_t word)
{
    int r = bench_send(ops, end, size, word);
    return r < 0 || !ops->flush ? r : ops->flush(end);
}

BENCH_INLINE int bench_loop_produce(const struct bench_ops *ops, void *end, struct bench_run *run, unsigned index)
{
    struct bench_seat *seat = &run->seats[index];
    size_t size = run->size;
    uint64_t sequence = 0, sum = 0;
    int r = 0;
    while (!bench_run_stopped(run)) {
        uint64_t word = bench_word(index, ++sequence);
        r = bench_send(ops, end, size, word);
        if (r < 0)
            return bench_seat_fail(seat, r, "sending failed");
        sum += word;
    }
    if (ops->flush)
        r = ops->flush(end);
    seat->sent = sequence;
    seat->sum = sum;
    return r < 0 ? bench_seat_fail(seat, r, "sending failed") : 0;
}

/* All that was sent has been received: asked by consumers that found nothing. */
BENCH_INLINE int bench_all_received(const struct bench_run *run)
{
    uint64_t sent = 0, received = 0;
    if (__atomic_load_n(&run->finished, __ATOMIC_ACQUIRE) != run->producers)
        return 0;
    for (unsigned i = 0; i < run->producers; i++)
        sent += run->seats[i].sent;
    for (unsigned i = 0; i < run->consumers; i++)
        received += __atomic_load_n(&run->seats[run->producers + i].count, __ATOMIC_RELAXED);
    return received >= sent;
}

BENCH_INLINE int bench_loop_consume(const struct bench_ops *ops, void *end, struct bench_run *run, unsigned index)
{
    struct bench_seat *seat = &run->seats[index];
    uint64_t latest[BENCH_PROCESSES_MAX] = {0};
    uint64_t received = 0, sum = 0;
    for (;;) {
        void *message;
        ssize_t size = ops->take(end, &message);
        if (size == 0 && bench_all_received(run))
            break;
        if (size == 0)
            continue;
        if (size < 0)
            return bench_seat_fail(seat, (int)size, "receiving failed");
        if ((size_t)size != run->size)
            return bench_seat_fail(seat, -EBADMSG, "a message of %zd bytes", size);
        uint64_t word = *(const uint64_t *)message;
        unsigned producer = bench_word_producer(word);
        if (!bench_word_holds(word) || !bench_intact(message, (size_t)size, word, ops->whole))
            return bench_seat_fail(seat, -EBADMSG, "a torn message");
        if (producer == BENCH_LAST)
            break;
        if (producer >= BENCH_PROCESSES_MAX || bench_word_sequence(word) <= latest[producer])
            return bench_seat_fail(seat, -EBADMSG, "messages out of order");
        latest[producer] = bench_word_sequence(word);
        sum += word;
        if (ops->done)
            ops->done(end);
        bench_seat_count(seat, ++received);
    }
    if (ops->done)
        ops->done(end);
    seat->sum = sum;
    return 0;
}

/* Take the one message that is due, and check that it is the one. */
BENCH_INLINE int bench_expect(const struct bench_ops *ops, void *end, struct bench_seat *seat, uint64_t word,
                              size_t due)
{
    void *message;
    ssize_t size;
    do
        size = ops->take(end, &message);
    while (size == 0);
    if (size < 0)
        return bench_seat_fail(seat, (int)size, "receiving failed");
    if ((size_t)size != due || *(const uint64_t *)message != word || !bench_intact(message, due, word, ops->whole))
        return bench_seat_fail(seat, -EBADMSG, "not the message that was due");
    if (ops->done)
        ops->done(end);
    return 0;
}

/* count times there and back. Returns the time taken without the thinking, or -errno. */
BENCH_INLINE int64_t bench_ping_some(const struct bench_ops *ops, void *out, void *in, struct bench_run *run,
                                     unsigned index, uint64_t *sequence, unsigned count)
{
    struct bench_seat *seat = &run->seats[index];
    struct bench_seat *other = &run->seats[1 - index];
    int64_t begin = bench_now();
    int64_t thought = -__atomic_load_n(&other->thought, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < count; i++) {
        if (run->think > 0)
            thought += bench_think(run->think);
        uint64_t word = bench_word(index, ++*sequence);
        int r = bench_send_now(ops, out, run->size, word);
        if (r < 0)
            return bench_seat_fail(seat, r, "sending failed");
        r = bench_expect(ops, in, seat, bench_word(1 - index, *sequence), run->size);
        if (r < 0)
            return r;
    }
    thought += __atomic_load_n(&other->thought, __ATOMIC_RELAXED);
    return bench_now() - begin - thought;
}

BENCH_INLINE int bench_loop_ping(const struct bench_ops *ops, void *out, void *in, struct bench_run *run,
                                 unsigned index)
{
    struct bench_samples samples;
    uint64_t sequence = 0;
    unsigned block = run->think > 0 ? 1 : BENCH_BLOCK;
    int64_t took = bench_samples_open(&samples);
    int64_t begin = bench_now();
    while (took >= 0 && bench_now() - begin < run->warm)
        took = bench_ping_some(ops, out, in, run, index, &sequence, block);
    begin = bench_now();
    do {
        if (took >= 0)
            took = bench_ping_some(ops, out, in, run, index, &sequence, block);
        if (took < 0)
            return (int)took;
    } while (bench_samples_add(&samples, took) && bench_now() - begin < run->window);
    bench_samples_close(&samples, block, run);
    return bench_send_now(ops, out, run->size, bench_word(BENCH_LAST, 0));
}

BENCH_INLINE int bench_loop_pong(const struct bench_ops *ops, void *out, void *in, struct bench_run *run,
                                 unsigned index)
{
    struct bench_seat *seat = &run->seats[index];
    int64_t thought = 0;
    for (;;) {
        void *message;
        ssize_t size = ops->take(in, &message);
        if (size == 0)
            continue;
        if (size < 0)
            return bench_seat_fail(seat, (int)size, "receiving failed");
        uint64_t word = *(const uint64_t *)message;
        if ((size_t)size != run->size || !bench_word_holds(word) ||
            !bench_intact(message, (size_t)size, word, ops->whole))
            return bench_seat_fail(seat, -EBADMSG, "a torn message");
        if (ops->done)
            ops->done(in);
        if (bench_word_producer(word) == BENCH_LAST)
            return 0;
        if (run->think > 0) {
            thought += bench_think(run->think);
            __atomic_store_n(&seat->thought, thought, __ATOMIC_RELAXED);
        }
        int r = bench_send_now(ops, out, run->size, bench_word(index, bench_word_sequence(word)));
        if (r < 0)
            return bench_seat_fail(seat, r, "sending failed");
    }
}

/* One message in, the same one out, in one process, count times. Returns the time taken, or -errno. */
BENCH_INLINE int64_t bench_put_get_some(const struct bench_ops *ops, void *out, void *in, struct bench_run *run,
                                        unsigned index, uint64_t *sequence, unsigned count)
{
    struct bench_seat *seat = &run->seats[index];
    int64_t begin = bench_now();
    for (unsigned i = 0; i < count; i++) {
        uint64_t word = bench_word(index, ++*sequence);
        int r = bench_send_now(ops, out, run->size, word);
        if (r < 0)
            return bench_seat_fail(seat, r, "sending failed");
        r = bench_expect(ops, in, seat, word, run->size);
        if (r < 0)
            return r;
    }
    return bench_now() - begin;
}

BENCH_INLINE int bench_loop_put_get(const struct bench_ops *ops, void *out, void *in, struct bench_run *run,
                                    unsigned index)
{
    struct bench_samples samples;
    uint64_t sequence = 0;
    unsigned block = 8 * BENCH_BLOCK;
    int64_t took = bench_samples_open(&samples);
    int64_t begin = bench_now();
    while (took >= 0 && bench_now() - begin < run->warm)
        took = bench_put_get_some(ops, out, in, run, index, &sequence, block);
    begin = bench_now();
    do {
        if (took >= 0)
            took = bench_put_get_some(ops, out, in, run, index, &sequence, block);
        if (took < 0)
            return (int)took;
    } while (bench_samples_add(&samples, took) && bench_now() - begin < run->window);
    bench_samples_close(&samples, block, run);
    return 0;
}

/* A buffer of this process for messages of size bytes, every page of it touched. */
static inline void *bench_buffer(size_t size)
{
    size_t room = (size + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE;
    unsigned char *buffer =
        (unsigned char *)aligned_alloc(BENCH_STRIDE, (room + BENCH_STRIDE - 1) & -(size_t)BENCH_STRIDE);
    for (size_t i = 0; buffer && i < room; i++)
        buffer[i] = (unsigned char)i;
    return buffer;
}

/* A peer's loops: name_produce and so on. */
#define BENCH_LOOPS_NAMED(name, ops)                                                                                   \
    __attribute__((unused)) static int name##_produce(void *end, struct bench_run *run, unsigned seat)                 \
    {                                                                                                                  \
        return bench_loop_produce(&(ops), end, run, seat);                                                             \
    }                                                                                                                  \
    __attribute__((unused)) static int name##_consume(void *end, struct bench_run *run, unsigned seat)                 \
    {                                                                                                                  \
        return bench_loop_consume(&(ops), end, run, seat);                                                             \
    }                                                                                                                  \
    __attribute__((unused)) static int name##_ping(void *out, void *in, struct bench_run *run, unsigned seat)          \
    {                                                                                                                  \
        return bench_loop_ping(&(ops), out, in, run, seat);                                                            \
    }                                                                                                                  \
    __attribute__((unused)) static int name##_pong(void *out, void *in, struct bench_run *run, unsigned seat)          \
    {                                                                                                                  \
        return bench_loop_pong(&(ops), out, in, run, seat);                                                            \
    }                                                                                                                  \
    __attribute__((unused)) static int name##_put_get(void *out, void *in, struct bench_run *run, unsigned seat)       \
    {                                                                                                                  \
        return bench_loop_put_get(&(ops), out, in, run, seat);                                                         \
    }                                                                                                                  \
    __attribute__((unused)) static int name##_send_last(void *end, size_t size)                                        \
    {                                                                                                                  \
        return bench_send_now(&(ops), end, size, bench_word(BENCH_LAST, 0));                                           \
    }

#define BENCH_LOOPS(ops) BENCH_LOOPS_NAMED(loop, ops)

#endif
