/* raw.c - what the machine itself takes for a round trip: a cache line that two processes spin on, and a bare futex.
 * No message, no check: these are the bounds the others are held against. */
#include "harness/loops.h"

#include <linux/futex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct line {
    uint32_t word __attribute__((aligned(BENCH_LINE)));
};

static int fits(const struct bench_shape *shape)
{
    return shape->size == sizeof(uint64_t);
}

static int open_link(const struct bench_shape *shape, void **ret_link, char *ret_note)
{
    struct line *line = mmap(NULL, sizeof *line, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)shape;
    (void)ret_note;
    if (line == MAP_FAILED)
        return -errno;
    *ret_link = line;
    return 0;
}

static void close_link(void *link)
{
    munmap(link, sizeof(struct line));
}

static int enter(void *link, enum bench_role role, unsigned index, void **ret_end)
{
    (void)role;
    (void)index;
    *ret_end = link;
    return 0;
}

static void leave(void *end)
{
    (void)end;
}

struct raw_ops {
    void (*publish)(struct line *line, uint32_t value);
    void (*await)(struct line *line, uint32_t value);
};

BENCH_INLINE int64_t ping_some(const struct raw_ops *raw, struct line *out, struct line *in, struct bench_run *run,
                               unsigned index, uint32_t *value, unsigned count)
{
    struct bench_seat *other = &run->seats[1 - index];
    int64_t begin = bench_now();
    int64_t thought = -__atomic_load_n(&other->thought, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < count; i++) {
        if (run->think > 0)
            thought += bench_think(run->think);
        raw->publish(out, ++*value);
        raw->await(in, *value);
    }
    thought += __atomic_load_n(&other->thought, __ATOMIC_RELAXED);
    return bench_now() - begin - thought;
}

BENCH_INLINE int raw_ping(const struct raw_ops *raw, struct line *out, struct line *in, struct bench_run *run,
                          unsigned index)
{
    struct bench_samples samples;
    uint32_t value = 0;
    unsigned block = run->think > 0 ? 1 : BENCH_BLOCK;
    int64_t took, begin = bench_now();
    int r = bench_samples_open(&samples);
    if (r < 0)
        return r;
    while (bench_now() - begin < run->warm)
        ping_some(raw, out, in, run, index, &value, block);
    begin = bench_now();
    do
        took = ping_some(raw, out, in, run, index, &value, block);
    while (bench_samples_add(&samples, took) && bench_now() - begin < run->window);
    bench_samples_close(&samples, block, run);
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    raw->publish(out, ++value);
    return 0;
}

BENCH_INLINE int raw_pong(const struct raw_ops *raw, struct line *out, struct line *in, struct bench_run *run,
                          unsigned index)
{
    struct bench_seat *seat = &run->seats[index];
    for (uint32_t value = 1;; value++) {
        raw->await(in, value);
        if (bench_run_stopped(run))
            return 0;
        if (run->think > 0)
            __atomic_store_n(&seat->thought, seat->thought + bench_think(run->think), __ATOMIC_RELAXED);
        raw->publish(out, value);
    }
}

static void publish_line(struct line *line, uint32_t value)
{
    __atomic_store_n(&line->word, value, __ATOMIC_RELEASE);
}

static void await_line(struct line *line, uint32_t value)
{
    while (__atomic_load_n(&line->word, __ATOMIC_ACQUIRE) != value)
        bench_pause();
}

static void publish_futex(struct line *line, uint32_t value)
{
    __atomic_store_n(&line->word, value, __ATOMIC_RELEASE);
    syscall(SYS_futex, &line->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await_futex(struct line *line, uint32_t value)
{
    uint32_t now;
    while ((now = __atomic_load_n(&line->word, __ATOMIC_ACQUIRE)) != value)
        syscall(SYS_futex, &line->word, FUTEX_WAIT, now, NULL, NULL, 0);
}

static const struct raw_ops line_ops = {.publish = publish_line, .await = await_line};
static const struct raw_ops futex_ops = {.publish = publish_futex, .await = await_futex};

static int ping_line(void *out, void *in, struct bench_run *run, unsigned index)
{
    return raw_ping(&line_ops, out, in, run, index);
}

static int pong_line(void *out, void *in, struct bench_run *run, unsigned index)
{
    return raw_pong(&line_ops, out, in, run, index);
}

static int ping_futex(void *out, void *in, struct bench_run *run, unsigned index)
{
    return raw_ping(&futex_ops, out, in, run, index);
}

static int pong_futex(void *out, void *in, struct bench_run *run, unsigned index)
{
    return raw_pong(&futex_ops, out, in, run, index);
}

const struct bench_peer bench_raw_line = {
    .name = "raw cache line",
    .fits = fits,
    .open = open_link,
    .close = close_link,
    .enter = enter,
    .leave = leave,
    .spins = 1,
    .ping = ping_line,
    .pong = pong_line,
};

const struct bench_peer bench_raw_futex = {
    .name = "raw futex",
    .fits = fits,
    .open = open_link,
    .close = close_link,
    .enter = enter,
    .leave = leave,
    .ping = ping_futex,
    .pong = pong_futex,
};
