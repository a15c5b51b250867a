/* run.c - the page that the processes of one measurement share. */
#include "harness/run.h"

#include "harness/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POLL = 200000 }; /* nanoseconds between two looks of those who wait outside the measured window */

struct bench_run *bench_run_open(const struct bench_case *what, const struct bench_settings *settings)
{
    struct bench_run *run = mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run == MAP_FAILED)
        return NULL;
    run->size = what->size;
    run->producers = what->producers;
    run->consumers = what->consumers;
    run->warm = settings->warm;
    run->window = settings->window;
    run->think = what->think;
    return run;
}

void bench_run_close(struct bench_run *run)
{
    if (run)
        munmap(run, sizeof *run);
}

int bench_seat_fail(struct bench_seat *seat, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(seat->note, sizeof seat->note, format, arguments);
    va_end(arguments);
    __atomic_store_n(&seat->error, error, __ATOMIC_RELEASE);
    return error;
}

int bench_place(const struct bench_settings *settings, enum bench_placement placement, unsigned side)
{
    cpu_set_t cpus;
    if (placement == BENCH_FREE)
        return 0;
    CPU_ZERO(&cpus);
    CPU_SET(settings->cpus[placement == BENCH_APART ? side & 1 : 0], &cpus);
    return sched_setaffinity(0, sizeof cpus, &cpus) < 0 ? -errno : 0;
}

pid_t bench_run_start(struct bench_run *run, unsigned seat, bench_run_work *work, void *context,
                      const struct bench_settings *settings, enum bench_placement placement, unsigned side)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid < 0 ? -errno : pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    int r = bench_place(settings, placement, side);
    if (r < 0)
        bench_seat_fail(&run->seats[seat], r, "cannot be pinned");
    else
        r = work(run, seat, context);
    _exit(r < 0);
}

static void meet(uint32_t *counter, uint32_t count)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < count)
        bench_sleep_until(bench_now() + POLL);
}

void bench_run_enter(struct bench_run *run, unsigned count)
{
    meet(&run->ready, count);
}

void bench_run_leave(struct bench_run *run, unsigned count)
{
    meet(&run->ended, count);
}

/* A child ended before its time, whatever its exit code: those left would wait for it. */
static int somebody_left(void)
{
    siginfo_t info = {0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

int bench_run_await(const uint32_t *counter, uint32_t count)
{
    while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < count) {
        if (somebody_left() && __atomic_load_n(counter, __ATOMIC_ACQUIRE) < count)
            return -ECHILD;
        bench_sleep_until(bench_now() + POLL);
    }
    return 0;
}

uint64_t bench_run_sample(const struct bench_run *run, unsigned first, unsigned count, int64_t *ret_moment)
{
    uint64_t sum;
    int64_t before, after;
    do { /* again where this process lost its CPU between the clock and the counts */
        before = bench_now();
        sum = 0;
        for (unsigned i = first; i < first + count; i++)
            sum += __atomic_load_n(&run->seats[i].count, __ATOMIC_RELAXED);
        after = bench_now();
    } while (after - before > 20000);
    *ret_moment = before + (after - before) / 2;
    return sum;
}

int bench_run_blame(const struct bench_run *run, struct bench_outcome *ret_outcome)
{
    siginfo_t end = {0};
    for (unsigned i = 0; i < BENCH_PROCESSES_MAX; i++) {
        int error = (int)__atomic_load_n(&run->seats[i].error, __ATOMIC_ACQUIRE);
        if (error < 0) {
            bench_outcome_fail(ret_outcome, error, "%s", run->seats[i].note);
            return error;
        }
    }
    if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) < 0 || end.si_pid == 0 || end.si_status == 0)
        return 0;
    bench_outcome_fail(ret_outcome, -ECHILD,
                       end.si_code == CLD_EXITED ? "a process ended with code %d" : "a process died of signal %d",
                       end.si_status);
    return -ECHILD;
}

int bench_run_reap(struct bench_run *run, unsigned count, struct bench_outcome *ret_outcome)
{
    for (unsigned i = 0; i < count; i++) {
        siginfo_t end = {0};
        if (waitid(P_ALL, 0, &end, WEXITED | WNOWAIT) < 0)
            break;
        /* The others may wait for it for ever; this process's end takes them along. */
        if (end.si_status != 0)
            return bench_run_blame(run, ret_outcome);
        waitpid(end.si_pid, NULL, 0);
    }
    return 0;
}
