/* throughput.c - how fast links carry messages while producers and consumers do nothing else.
 *
 * Producers send as fast as they can; consumers count. After a time of warming up, the counts are read twice, a window
 * apart: what the first touch of memory costs at the beginning, and how long the last consumer has nothing to do at the
 * end, is not in the figure. Then the producers are told to stop, what is under way is received, and what was sent
 * must be what was received, word for word. */
#include "harness/clock.h"
#include "harness/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    SLOTS_MAX = 1024, /* messages a link holds, where that can be chosen ... */
    SLOTS_MIN = 16,
    SLOTS_BYTES = 1024 * 1024, /* ... such that they hold this together, as a pipe does at most */
    MESSAGES_MIN = 20,         /* in a window, or it is no measurement */
};

struct load {
    const struct bench_peer *peer;
    void *link;
    unsigned processes;
};

static struct bench_shape shape_of(const struct bench_case *what)
{
    size_t slots = SLOTS_BYTES / what->size;
    return (struct bench_shape){
        .size = what->size,
        .producers = what->producers,
        .consumers = what->consumers,
        .slots = slots > SLOTS_MAX   ? SLOTS_MAX
                 : slots < SLOTS_MIN ? SLOTS_MIN
                                     : (unsigned)slots,
    };
}

static int produce(struct bench_run *run, unsigned index, void *context)
{
    struct load *load = context;
    struct bench_seat *seat = &run->seats[index];
    void *end;
    int r = load->peer->enter(load->link, BENCH_PRODUCER, index, &end);
    if (r < 0)
        return bench_seat_fail(seat, r, "cannot open the sender's end");
    bench_run_enter(run, load->processes);
    r = load->peer->produce(end, run, index);
    if (r < 0)
        return r;
    __atomic_fetch_add(&run->finished, 1, __ATOMIC_ACQ_REL);
    bench_run_leave(run, load->processes);
    load->peer->leave(end);
    return 0;
}

static int consume(struct bench_run *run, unsigned index, void *context)
{
    struct load *load = context;
    void *end;
    int r = load->peer->enter(load->link, BENCH_CONSUMER, index - run->producers, &end);
    if (r < 0)
        return bench_seat_fail(&run->seats[index], r, "cannot open the receiver's end");
    bench_run_enter(run, load->processes);
    r = load->peer->consume(end, run, index);
    if (r < 0)
        return r;
    bench_run_leave(run, load->processes);
    load->peer->leave(end);
    return 0;
}

static int start(struct bench_run *run, struct load *load, const struct bench_case *what,
                 const struct bench_settings *settings)
{
    for (unsigned i = 0; i < load->processes; i++) {
        int sends = i < run->producers;
        /* Apart: each pair on both CPUs, every other pair the other way round. */
        unsigned side = sends ? i : i - run->producers + 1;
        pid_t pid = bench_run_start(run, i, sends ? produce : consume, load, settings, what->placement, side);
        if (pid < 0)
            return (int)pid;
    }
    return 0;
}

/* Let the window pass; ret_value: nanoseconds a message. */
static int measure_window(struct bench_run *run, double *ret_value)
{
    int64_t begin, end;
    bench_sleep_until(bench_now() + run->warm);
    uint64_t before = bench_run_sample(run, run->producers, run->consumers, &begin);
    bench_sleep_until(begin + run->window);
    uint64_t count = bench_run_sample(run, run->producers, run->consumers, &end) - before;
    if (count < MESSAGES_MIN)
        return -ENODATA;
    *ret_value = (double)(end - begin) / (double)count;
    return 0;
}

/* Stop the producers, let the consumers have the rest, and end them one by one. */
static int finish(struct bench_run *run, struct load *load)
{
    void *end;
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELEASE);
    int r = bench_run_await(&run->finished, run->producers);
    if (r < 0 || load->peer->mesh)
        return r < 0 ? r : bench_run_await(&run->ended, load->processes);
    r = load->peer->enter(load->link, BENCH_PRODUCER, run->producers, &end);
    for (unsigned i = 1; r >= 0 && i <= run->consumers; i++) {
        r = load->peer->send_last(end, run->size);
        if (r >= 0)
            r = bench_run_await(&run->ended, run->producers + i);
    }
    return r;
}

static void settle(const struct bench_run *run, struct bench_outcome *ret_outcome)
{
    uint64_t sent = 0, received = 0, sum = 0;
    for (unsigned i = 0; i < run->producers; i++) {
        sent += run->seats[i].sent;
        sum += run->seats[i].sum;
    }
    for (unsigned i = 0; i < run->consumers; i++) {
        received += run->seats[run->producers + i].count;
        sum -= run->seats[run->producers + i].sum;
    }
    if (received != sent || sum != 0)
        bench_outcome_fail(ret_outcome, -EBADMSG, "%llu messages sent, %llu received%s", (unsigned long long)sent,
                           (unsigned long long)received, sum ? ", not the same ones" : "");
}

static void measure(const struct bench_case *what, const struct bench_settings *settings,
                    struct bench_outcome *ret_outcome)
{
    struct load load = {.peer = what->subject, .processes = what->producers + what->consumers};
    struct bench_shape shape = shape_of(what);
    struct bench_run *run = bench_run_open(what, settings);
    double value = 0;
    int r = run ? load.peer->open(&shape, &load.link, ret_outcome->note) : -ENOMEM;
    if (r < 0) {
        bench_outcome_fail(ret_outcome, r, "cannot be opened");
        return;
    }
    r = start(run, &load, what, settings);
    if (r >= 0)
        r = bench_run_await(&run->ready, load.processes);
    if (r >= 0)
        r = measure_window(run, &value);
    if (r >= 0)
        r = finish(run, &load);
    if (r == -ENODATA) {
        if (bench_run_blame(run, ret_outcome) == 0)
            bench_outcome_fail(ret_outcome, r, "fewer than %d messages in the window", MESSAGES_MIN);
        return;
    }
    if (bench_run_reap(run, load.processes, ret_outcome) == 0)
        settle(run, ret_outcome);
    if (r < 0)
        bench_outcome_fail(ret_outcome, r, "stopped before its end");
    load.peer->close(load.link);
    ret_outcome->value = value;
}

/* Pinned, all contestants run the same way: each pair on both CPUs. Left to the scheduler, those who sleep often end up
 * on one CPU, whose cache they then share: cheap, and slow only because nothing runs beside it. */
static const struct {
    struct bench_group group;
    unsigned pairs;
    enum bench_placement placement;
    size_t largest; /* size of message in it */
} tables[] = {
    {{"throughput 1:1 apart", "Queue, 1 producer and 1 consumer, pinned to two CPUs: time a message", "ns"},
     1,
     BENCH_APART,
     -1ul},
    {{"throughput 2:2 apart", "Queue, 2 producers and 2 consumers, pinned to two CPUs: time a message", "ns"},
     2,
     BENCH_APART,
     1024},
    {{"throughput 4:4 apart", "Queue, 4 producers and 4 consumers, pinned to two CPUs: time a message", "ns"},
     4,
     BENCH_APART,
     1024},
    {{"throughput 1:1", "Queue, 1 producer and 1 consumer, placed by the scheduler: time a message", "ns"},
     1,
     BENCH_FREE,
     -1ul},
    {{"throughput 2:2", "Queue, 2 producers and 2 consumers, placed by the scheduler: time a message", "ns"},
     2,
     BENCH_FREE,
     -1ul},
    {{"throughput 4:4", "Queue, 4 producers and 4 consumers, placed by the scheduler: time a message", "ns"},
     4,
     BENCH_FREE,
     -1ul},
};

static void add(struct bench_plan *plan, const struct bench_settings *settings, const struct bench_group *group,
                unsigned pairs, enum bench_placement placement, size_t size, const char *column)
{
    for (const struct bench_peer *const *peer = bench_peers; *peer; peer++) {
        struct bench_case what = {
            .group = group,
            .column = column,
            .contestant = (*peer)->name,
            .measure = measure,
            .subject = *peer,
            .size = size,
            .producers = pairs,
            .consumers = pairs,
            .placement = placement,
        };
        struct bench_shape shape = shape_of(&what);
        if ((*peer)->produce && (*peer)->fits(&shape))
            bench_plan_add(plan, settings, what);
    }
}

/* In a quick run what is not in a target is left out. */
static int is_quick(unsigned pairs, enum bench_placement placement, size_t size)
{
    return placement == BENCH_APART && (pairs == 1 || size <= 64);
}

void bench_throughput_plan(struct bench_plan *plan, const struct bench_settings *settings)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (unsigned k = 0; k < BENCH_SIZES; k++) {
            size_t size = bench_sizes[k].bytes;
            if (size > tables[i].largest || (settings->quick && !is_quick(tables[i].pairs, tables[i].placement, size)))
                continue;
            add(plan, settings, &tables[i].group, tables[i].pairs, tables[i].placement, size, bench_sizes[k].name);
        }
}
