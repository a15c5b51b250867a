/* round_trip.c - how long a message takes to a second process and back, by where the two run and whether they sleep.
 *
 * In the plain groups each side answers at once: whoever spins before it sleeps will be found spinning. In the "asleep"
 * group each side first computes for so long that the other has surely gone to sleep; that time is taken off again, so
 * what is left is two wake-ups. On one CPU the waiting side must sleep in any case. */
#include "harness/clock.h"
#include "harness/peer.h"
#include "harness/samples.h"
#include "measures/pool.h"

#include <errno.h>

enum {
    SLOTS = 4,
    THINK = 100000, /* nanoseconds: some times what a sensible queue spins */
};

struct pair {
    const struct bench_peer *peer;
    void *there, *back;
};

static int ping(struct bench_run *run, unsigned index, void *context)
{
    struct pair *pair = context;
    void *out, *in;
    int r = pair->peer->enter(pair->there, BENCH_PRODUCER, 0, &out);
    if (r >= 0)
        r = pair->peer->enter(pair->back, BENCH_CONSUMER, 0, &in);
    if (r < 0)
        return bench_seat_fail(&run->seats[index], r, "cannot open its ends");
    bench_run_enter(run, 2);
    r = pair->peer->ping(out, in, run, index);
    if (r < 0)
        return r;
    bench_run_leave(run, 2);
    pair->peer->leave(out);
    pair->peer->leave(in);
    return 0;
}

static int pong(struct bench_run *run, unsigned index, void *context)
{
    struct pair *pair = context;
    void *out, *in;
    int r = pair->peer->enter(pair->there, BENCH_CONSUMER, 0, &in);
    if (r >= 0)
        r = pair->peer->enter(pair->back, BENCH_PRODUCER, 0, &out);
    if (r < 0)
        return bench_seat_fail(&run->seats[index], r, "cannot open its ends");
    bench_run_enter(run, 2);
    r = pair->peer->pong(out, in, run, index);
    if (r < 0)
        return r;
    bench_run_leave(run, 2);
    pair->peer->leave(out);
    pair->peer->leave(in);
    return 0;
}

static void measure(const struct bench_case *what, const struct bench_settings *settings,
                    struct bench_outcome *ret_outcome)
{
    struct pair pair = {.peer = what->subject};
    struct bench_shape shape = {.size = what->size, .producers = 1, .consumers = 1, .slots = SLOTS};
    struct bench_run *run = bench_run_open(what, settings);
    int r = run ? pair.peer->open(&shape, &pair.there, ret_outcome->note) : -ENOMEM;
    if (r >= 0)
        r = pair.peer->open(&shape, &pair.back, ret_outcome->note);
    if (r < 0) {
        bench_outcome_fail(ret_outcome, r, "cannot be opened");
        return;
    }
    pid_t first = bench_run_start(run, 0, ping, &pair, settings, what->placement, 0);
    pid_t second = bench_run_start(run, 1, pong, &pair, settings, what->placement, 1);
    if (first < 0 || second < 0) {
        bench_outcome_fail(ret_outcome, first < 0 ? (int)first : (int)second, "no process");
        return;
    }
    r = bench_run_await(&run->ended, 2);
    if (bench_run_reap(run, 2, ret_outcome) == 0 && r < 0)
        bench_outcome_fail(ret_outcome, r, "stopped before its end");
    pair.peer->close(pair.there);
    pair.peer->close(pair.back);
    bench_samples_report(run, ret_outcome);
}

static const struct group {
    struct bench_group group;
    enum bench_placement placement;
    int64_t think;
    size_t largest; /* size of message in it */
} groups[] = {
    {{"round trip apart", "Round trip, pinned to two CPUs (shoal and the raw line spin)", "ns"}, BENCH_APART, 0, -1ul},
    {{"round trip asleep", "Round trip, pinned to two CPUs, both sides asleep when their message comes", "ns"},
     BENCH_APART,
     THINK,
     8},
    {{"round trip together", "Round trip, both pinned to one CPU", "ns"}, BENCH_TOGETHER, 0, 64},
    {{"round trip free", "Round trip, placed by the scheduler", "ns"}, BENCH_FREE, 0, 64},
};

static void add(struct bench_plan *plan, const struct bench_settings *settings, const struct group *group,
                const struct bench_size *size)
{
    for (const struct bench_peer *const *peer = bench_peers; *peer; peer++) {
        struct bench_shape shape = {.size = size->bytes, .producers = 1, .consumers = 1, .slots = SLOTS};
        /* Two that spin on one CPU take a time slice a turn: that says nothing about the line between them. */
        if (!(*peer)->ping || !(*peer)->fits(&shape) || ((*peer)->spins && group->placement != BENCH_APART) ||
            ((*peer)->spins && group->think))
            continue;
        bench_plan_add(plan, settings,
                       (struct bench_case){
                           .group = &group->group,
                           .column = size->name,
                           .contestant = (*peer)->name,
                           .measure = measure,
                           .subject = *peer,
                           .size = size->bytes,
                           .producers = 1,
                           .consumers = 1,
                           .placement = group->placement,
                           .think = group->think,
                       });
    }
    if (size->bytes == sizeof(uint64_t))
        bench_pool_round_trip(plan, settings, &group->group, group->placement, group->think);
}

void bench_round_trip_plan(struct bench_plan *plan, const struct bench_settings *settings)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        for (unsigned k = 0; k < BENCH_SIZES; k++)
            if (bench_sizes[k].bytes <= groups[i].largest)
                add(plan, settings, &groups[i], &bench_sizes[k]);
}
