/* agent.c - the agent of one kill point: makes object, victim and sleepers, sees the death, and judges what is left. */
#include "board.h"
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Asleep for this long after it should have been woken: nobody did it but the backstop will (100 ms). */
#define LATE_AFTER 10000000
#define GLANCE 300000 /* between two looks at processes that are at work */

struct crash_board *crash_board;
struct step_record *crash_record;

static pid_t victim;
static int victim_fd;
static struct sleeper {
    pid_t pid;
    int fd;
} sleepers[CRASH_SLEEPERS_MAX];

void crash_note(enum crash_verdict verdict, const char *format, ...)
{
    va_list arguments;

    if (atomic_exchange(&crash_board->failed, 1))
        return;
    va_start(arguments, format);
    vsnprintf(crash_board->why, sizeof crash_board->why, format, arguments);
    va_end(arguments);
    atomic_store(&crash_board->verdict, verdict);
}

_Noreturn void crash_fail(enum crash_verdict verdict, const char *format, ...)
{
    va_list arguments;
    char why[sizeof crash_board->why];

    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    crash_note(verdict, "%s", why);
    _exit(1);
}

void *crash_ledger(void)
{
    return crash_board->ledger;
}

int crash_victim_pid(void)
{
    return atomic_load(&crash_board->victim_was);
}

int crash_victim_finished(void)
{
    return atomic_load(&crash_board->finished);
}

unsigned crash_sleepers_left(void)
{
    unsigned left = 0;

    for (unsigned i = 0; i < CRASH_SLEEPERS_MAX; i++)
        left += sleepers[i].pid != 0;
    return left;
}

pid_t crash_fork(void)
{
    pid_t agent = getpid();
    pid_t pid = fork();

    if (pid < 0)
        crash_fail(CRASH_BROKEN, "fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != agent)
            _exit(1);
    }
    return pid;
}

static void await_counter(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof count) != sizeof count)
        ;
}

static void raise_counter(int fd)
{
    if (write(fd, &(uint64_t){1}, sizeof(uint64_t)) != sizeof(uint64_t))
        abort();
}

/* Victim. */

/* Hits of crash points count in the victim, while it is in its operation. */
static bool points_count;

void crash_point_hook(const char *name)
{
    if (!points_count)
        return;
    struct step_report *report = &crash_board->report;
    uint64_t steps = atomic_load(&report->steps) + 1;
    atomic_store(&report->steps, steps);
    if (steps != crash_board->at)
        return;
    atomic_store(&report->pc, (uintptr_t)name);
    atomic_store(&report->killed_at, step_now());
    kill(getpid(), SIGKILL);
}

/* Come to the kill point by stepping itself, or prepare for that. */
static void step_operation(void)
{
    struct crash_board *board = crash_board;
    void (*operation)(void) = board->test->operation;
    const struct step_point *point = &crash_record->point[board->at - 1];
    int r;

    switch (board->run) {
    case RUN_LEARN:
        r = step_learn(&board->pages, operation);
        if (r < 0)
            crash_fail(CRASH_BROKEN, "which pages are written: %s", strerror(-r));
        break;
    case RUN_RECORD:
        step_record(&board->pages, crash_record, operation);
        break;
    case RUN_BREAK:
        if (step_break(point, STEP_KILL, &board->report, operation))
            break;
        /* fall through */
    case RUN_COUNT:
        step_run(board->at, STEP_KILL, &board->report, operation);
        break;
    }
}

static void run_operation(void)
{
    void (*operation)(void) = crash_board->test->operation;

    switch (crash_board->mode) {
    case CRASH_INSTRUCTION:
    case CRASH_STATE:
        step_operation();
        break;
    case CRASH_TRACE:
        crash_trace_me(operation);
        break;
    case CRASH_POINT:
        points_count = true;
        operation();
        points_count = false;
        break;
    default:
        operation();
    }
}

static void be_victim(void)
{
    if (crash_board->test->prepare)
        crash_board->test->prepare();
    raise_counter(crash_board->ready);
    await_counter(crash_board->go);
    run_operation();
    atomic_store(&crash_board->finished, 1);
    _exit(0);
}

static void start_victim(void)
{
    victim = crash_fork();
    if (victim == 0)
        be_victim();
    atomic_store(&crash_board->victim, victim);
    atomic_store(&crash_board->victim_was, victim);
    victim_fd = watch_open(victim);

    struct pollfd entries[2] = {{.fd = crash_board->ready, .events = POLLIN}, {.fd = victim_fd, .events = POLLIN}};
    if (poll(entries, 2, (int)(crash_limits.stuck / 1000000)) <= 0)
        crash_fail(CRASH_BROKEN, "the victim does not come to its operation");
    if (!(entries[0].revents & POLLIN))
        crash_fail(CRASH_BROKEN, "the victim ends before its operation");
    await_counter(crash_board->ready);
}

static void judge_victim(int status)
{
    atomic_store(&crash_board->victim, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        crash_fail(CRASH_TORN, "the victim dies of signal %d by itself", WTERMSIG(status));
    if (WIFEXITED(status) && !crash_victim_finished())
        crash_fail(CRASH_TORN, "the victim ends by itself with %d", WEXITSTATUS(status));
}

static void start_sleepers(void);

/* The sleep for which the victim was fed last, and when. */
static struct {
    uint64_t sleep;
    int64_t at;
} fed = {.sleep = UINT64_MAX};

/* It was fed for the sleep that it is in, and should be on its way. */
static void expect_waking(void)
{
    int64_t waited = step_now() - fed.at;

    if (waited > crash_limits.stuck)
        crash_fail(CRASH_STUCK, "the victim sleeps on, with all it needs to go on");
    if (waited > LATE_AFTER && watch_sleeps_on(victim, LATE_AFTER / 2) && watch_children_asleep(getpid()) &&
        watch_sleeps(victim) == fed.sleep) { /* and nobody is at work who may have been woken first */
        atomic_store(&crash_board->late, 1);
        watch_describe(victim, crash_board->late_why, sizeof crash_board->late_why);
    }
}

/* Look at a victim that seems to stand still: where it sleeps, it dies there, or is fed, or can come no further. */
void crash_attend_victim(void)
{
    struct crash_board *board = crash_board;

    if (!watch_asleep(victim))
        return;
    uint64_t sleep = watch_sleeps(victim);
    if (sleep == fed.sleep) {
        expect_waking();
        return;
    }
    uint64_t nth = atomic_fetch_add(&board->sleeps_seen, 1) + 1;
    if (nth == 1 && board->test->sleepers_last)
        start_sleepers();
    bool dies = board->mode == CRASH_ASLEEP && nth == board->at;
    if (dies || !board->test->feed) {
        atomic_store(&board->blocked, !dies);
        atomic_store(&board->died, step_now());
        kill(victim, SIGKILL);
    } else {
        board->test->feed((unsigned)nth);
    }
    fed.sleep = sleep;
    fed.at = step_now();
}

static void await_victim(void)
{
    int status;

    while (!watch_end(victim, victim_fd, GLANCE, &status))
        crash_attend_victim();
    judge_victim(status);
}

/* Sleepers. */

static void start_sleeper(unsigned i)
{
    struct sleeper *sleeper = &sleepers[i];

    sleeper->pid = crash_fork();
    if (sleeper->pid == 0) {
        crash_board->test->sleep(i);
        atomic_store(&crash_board->woke[i], step_now());
        _exit(0);
    }
    atomic_store(&crash_board->sleeper[i], sleeper->pid);
    sleeper->fd = watch_open(sleeper->pid);

    int64_t deadline = step_now() + crash_limits.stuck;
    while (!watch_asleep(sleeper->pid)) {
        if (step_now() > deadline)
            crash_fail(CRASH_BROKEN, "sleeper %u does not sleep", i);
        int status;
        if (watch_end(sleeper->pid, sleeper->fd, 20000, &status))
            crash_fail(CRASH_BROKEN, "sleeper %u does not sleep: it ends with status 0x%x", i, (unsigned)status);
    }
}

static void start_sleepers(void)
{
    for (unsigned i = 0; i < crash_board->test->sleepers; i++)
        start_sleeper(i);
}

static void judge_sleeper(unsigned i, int status, int64_t since)
{
    int64_t wake = atomic_load(&crash_board->woke[i]) - since;

    sleepers[i].pid = 0;
    atomic_store(&crash_board->sleeper[i], 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        crash_fail(CRASH_TORN, "sleeper %u ends with status 0x%x", i, (unsigned)status);
    if (wake > atomic_load(&crash_board->worst_wake))
        atomic_store(&crash_board->worst_wake, wake);
}

/* Reap sleepers that have come back; returns how many. */
static unsigned reap_sleepers(int64_t since)
{
    struct pollfd entries[CRASH_SLEEPERS_MAX];
    unsigned returned = 0, count = crash_board->test->sleepers;
    int status;

    for (unsigned i = 0; i < count; i++)
        entries[i] = (struct pollfd){.fd = sleepers[i].pid ? sleepers[i].fd : -1, .events = POLLIN};
    if (ppoll(entries, count, &(struct timespec){.tv_nsec = GLANCE}, NULL) <= 0)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        if (entries[i].revents && waitpid(sleepers[i].pid, &status, WNOHANG) == sleepers[i].pid) {
            judge_sleeper(i, status, since);
            returned++;
        }
    }
    return returned;
}

/* How many sleepers are to wake now, as the shared memory stands. */
static unsigned due_sleepers(bool roused)
{
    unsigned due = 0;

    for (unsigned i = 0; i < crash_board->test->sleepers; i++) {
        if (sleepers[i].pid && (roused || !crash_board->test->due || crash_board->test->due(i)))
            due++;
    }
    return due;
}

static bool all_sleep_on(void)
{
    uint64_t sleeps[CRASH_SLEEPERS_MAX] = {0};
    unsigned count = crash_board->test->sleepers;

    for (unsigned i = 0; i < count; i++) {
        if (!sleepers[i].pid)
            continue;
        if (!watch_asleep(sleepers[i].pid))
            return false;
        sleeps[i] = watch_sleeps(sleepers[i].pid);
    }
    watch_nap(LATE_AFTER / 2);
    for (unsigned i = 0; i < count; i++) {
        if (sleepers[i].pid && (!watch_asleep(sleepers[i].pid) || watch_sleeps(sleepers[i].pid) != sleeps[i]))
            return false;
    }
    return true;
}

static void note_late(void)
{
    char *why = crash_board->late_why;

    atomic_store(&crash_board->late, 1);
    *why = 0;
    for (unsigned i = 0; i < crash_board->test->sleepers; i++) {
        size_t length = strlen(why);
        if (sleepers[i].pid)
            watch_describe(sleepers[i].pid, why + length, sizeof crash_board->late_why - length);
    }
}

/* Wait until no sleeper is left that is to wake. Where one is, and all of them sleep on, the wake-up is lost, and only
 * the backstop can still bring it. */
static void await_sleepers(int64_t since, bool roused)
{
    int64_t begin = step_now();

    while (due_sleepers(roused)) {
        if (reap_sleepers(since)) {
            begin = step_now();
            continue;
        }
        int64_t waited = step_now() - begin;
        if (waited > crash_limits.stuck)
            crash_fail(CRASH_STUCK, "%u of %u sleepers are not woken%s", due_sleepers(roused),
                       crash_board->test->sleepers, roused ? " although roused" : "");
        if (!atomic_load(&crash_board->late) && waited > LATE_AFTER && due_sleepers(roused) && all_sleep_on())
            note_late();
    }
}

static void wake_sleepers(int64_t ended)
{
    int64_t killed = atomic_load(&crash_board->report.killed_at);
    int64_t died = atomic_load(&crash_board->died);

    if (!crash_board->test->sleepers)
        return;
    await_sleepers(killed ? killed : died ? died : ended, false);
    if (crash_board->test->rouse) {
        int64_t roused = step_now();
        crash_board->test->rouse();
        await_sleepers(roused, true);
    }
}

void crash_agent(void)
{
    const struct crash_case *test = crash_board->test;

    atomic_store(&crash_board->phase, PHASE_SETUP);
    if (test->setup)
        test->setup();
    if (test->sleepers_first)
        start_sleepers();
    start_victim();
    if (!test->sleepers_first && !test->sleepers_last)
        start_sleepers();
    atomic_store(&crash_board->phase, PHASE_OPERATION);
    raise_counter(crash_board->go);
    if (crash_board->mode == CRASH_TRACE)
        crash_trace(victim);
    await_victim();
    atomic_store(&crash_board->phase, PHASE_WAKE);
    wake_sleepers(step_now());
    atomic_store(&crash_board->phase, PHASE_CHECK);
    test->check();
}
