/* put_get.c - the cost of a put and a get alone: one process, nobody to share with, nobody to wake. */
#include "harness/peer.h"
#include "harness/samples.h"

#include <errno.h>

enum { SLOTS = 16 };

struct link {
    const struct bench_peer *peer;
    void *link;
};

static int put_get(struct bench_run *run, unsigned index, void *context)
{
    struct link *link = context;
    void *out, *in;
    int r = link->peer->enter(link->link, BENCH_CONSUMER, 0, &in);
    if (r >= 0)
        r = link->peer->enter(link->link, BENCH_PRODUCER, 0, &out);
    if (r < 0)
        return bench_seat_fail(&run->seats[index], r, "cannot open its ends");
    r = link->peer->put_get(out, in, run, index);
    if (r < 0)
        return r;
    link->peer->leave(out);
    link->peer->leave(in);
    return 0;
}

static void measure(const struct bench_case *what, const struct bench_settings *settings,
                    struct bench_outcome *ret_outcome)
{
    struct link link = {.peer = what->subject};
    struct bench_shape shape = {.size = what->size, .producers = 1, .consumers = 1, .slots = SLOTS};
    struct bench_run *run = bench_run_open(what, settings);
    int r = run ? link.peer->open(&shape, &link.link, ret_outcome->note) : -ENOMEM;
    if (r < 0) {
        bench_outcome_fail(ret_outcome, r, "cannot be opened");
        return;
    }
    pid_t pid = bench_run_start(run, 0, put_get, &link, settings, what->placement, 0);
    if (pid < 0)
        bench_outcome_fail(ret_outcome, (int)pid, "no process");
    else
        bench_run_reap(run, 1, ret_outcome);
    link.peer->close(link.link);
    bench_samples_report(run, ret_outcome);
}

static const struct bench_group group = {
    .name = "put+get",
    .title = "A put and a get in one process",
    .unit = "ns",
};

void bench_put_get_plan(struct bench_plan *plan, const struct bench_settings *settings)
{
    static const size_t size = 64;
    for (const struct bench_peer *const *peer = bench_peers; *peer; peer++) {
        struct bench_shape shape = {.size = size, .producers = 1, .consumers = 1, .slots = SLOTS};
        struct bench_case what = {
            .group = &group,
            .column = "64 B",
            .contestant = (*peer)->name,
            .measure = measure,
            .subject = *peer,
            .size = size,
            .producers = 1,
            .consumers = 1,
            .placement = BENCH_TOGETHER,
        };
        if (!(*peer)->put_get || !(*peer)->fits(&shape))
            continue;
        bench_plan_add(plan, settings, what);
    }
    /* What robustness costs: the same code with it and without, both linked statically. */
    static const struct {
        const char *contestant, *variant;
    } variants[] = {{"shoal, static", "inside"}, {"shoal, static, not robust", "plain"}};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        bench_plan_add(plan, settings,
                       (struct bench_case){
                           .group = &group,
                           .column = "64 B",
                           .contestant = variants[i].contestant,
                           .variant = variants[i].variant,
                           .measure = measure,
                           .subject = &bench_shoal_copy,
                           .size = size,
                           .producers = 1,
                           .consumers = 1,
                           .placement = BENCH_TOGETHER,
                       });
}
