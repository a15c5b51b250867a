/* lock.c - how long it takes to take a lock and give it back, alone and against others. */
#include "harness/lock.h"

#include "harness/clock.h"

#include <errno.h>
#include <sys/mman.h>

struct contest {
    const struct bench_lock *kind;
    void *lock;
    struct bench_guarded *guarded;
    unsigned processes;
};

static int work(struct bench_run *run, unsigned index, void *context)
{
    struct contest *contest = context;
    bench_run_enter(run, contest->processes);
    int r = contest->kind->work(contest->lock, contest->guarded, run, index);
    if (r == 0)
        bench_run_leave(run, contest->processes);
    return r;
}

static void settle(const struct bench_run *run, const struct contest *contest, struct bench_outcome *ret_outcome)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < contest->processes; i++)
        total += run->seats[i].count;
    if (total != contest->guarded->count)
        bench_outcome_fail(ret_outcome, -EBADMSG, "counted %llu under the lock in %llu turns",
                           (unsigned long long)contest->guarded->count, (unsigned long long)total);
}

static int measure_window(struct bench_run *run, const struct contest *contest, double *ret_value)
{
    int64_t begin, end;
    int r = bench_run_await(&run->ready, contest->processes);
    if (r < 0)
        return r;
    bench_sleep_until(bench_now() + run->warm);
    uint64_t before = bench_run_sample(run, 0, contest->processes, &begin);
    bench_sleep_until(begin + run->window);
    uint64_t count = bench_run_sample(run, 0, contest->processes, &end) - before;
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    if (count == 0)
        return -ENODATA;
    *ret_value = (double)(end - begin) / (double)count;
    return bench_run_await(&run->ended, contest->processes);
}

static void measure(const struct bench_case *what, const struct bench_settings *settings,
                    struct bench_outcome *ret_outcome)
{
    struct contest contest = {.kind = what->subject, .processes = what->producers};
    struct bench_run *run = bench_run_open(what, settings);
    double value = 0;
    contest.guarded = mmap(NULL, sizeof *contest.guarded, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int r = run && contest.guarded != MAP_FAILED ? contest.kind->open(&contest.lock) : -ENOMEM;
    if (r < 0) {
        bench_outcome_fail(ret_outcome, r, "cannot be opened");
        return;
    }
    for (unsigned i = 0; i < contest.processes && r >= 0; i++)
        r = (int)bench_run_start(run, i, work, &contest, settings, what->placement, i);
    if (r >= 0)
        r = measure_window(run, &contest, &value);
    if (bench_run_reap(run, contest.processes, ret_outcome) == 0)
        settle(run, &contest, ret_outcome);
    if (r < 0)
        bench_outcome_fail(ret_outcome, r, "stopped before its end");
    contest.kind->close(contest.lock);
    ret_outcome->value = value;
}

static const struct bench_group group = {
    .name = "lock",
    .title = "Lock and unlock, processes pinned to two CPUs: time a pair, all processes together",
    .unit = "ns",
};

void bench_lock_plan(struct bench_plan *plan, const struct bench_settings *settings)
{
    static const struct {
        unsigned processes;
        const char *column;
    } columns[] = {{1, "alone"}, {2, "2 processes"}, {4, "4 processes"}};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        for (const struct bench_lock *const *lock = bench_locks; *lock; lock++)
            if (columns[i].processes == 1 || !(*lock)->alone)
                bench_plan_add(plan, settings,
                               (struct bench_case){
                                   .group = &group,
                                   .column = columns[i].column,
                                   .contestant = (*lock)->name,
                                   .variant = (*lock)->variant,
                                   .measure = measure,
                                   .subject = *lock,
                                   .producers = columns[i].processes,
                                   .placement = BENCH_APART,
                               });
}
