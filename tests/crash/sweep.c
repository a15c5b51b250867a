/* sweep.c - the runner: one agent for each kill point, watched with a time limit, and the tally. */
#include "sweep.h"

#include "board.h"
#include "watch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK 20000000 /* an agent asleep in a futex at two looks in a row waits for the backstop */
#define POINTS_MAX 100000

struct crash_limits crash_limits = {.failures = 8, .stuck = 3000000000, .phase = 8000000000};

static const char *const phase_names[PHASE_COUNT] = {
    [PHASE_SETUP] = "setup", [PHASE_OPERATION] = "the operation", [PHASE_WAKE] = "waking", [PHASE_CHECK] = "check"};

const char *crash_mode_name(enum crash_mode mode)
{
    static const char *const names[CRASH_MODE_COUNT] = {[CRASH_INSTRUCTION] = "instruction",
                                                        [CRASH_STATE] = "state",
                                                        [CRASH_ASLEEP] = "asleep",
                                                        [CRASH_TRACE] = "trace",
                                                        [CRASH_POINT] = "point"};
    return names[mode];
}

const char *crash_verdict_name(enum crash_verdict verdict)
{
    static const char *const names[CRASH_VERDICT_COUNT] = {[CRASH_HOLDS] = "late",
                                                           [CRASH_STUCK] = "stuck",
                                                           [CRASH_TORN] = "torn",
                                                           [CRASH_LEAKED] = "leaked",
                                                           [CRASH_BROKEN] = "broken"};
    return names[verdict];
}

/* The memory and the counters that all processes of all kill points share, once. */
static void make_board(void)
{
    if (crash_board)
        return;
    crash_board = mmap(NULL, sizeof *crash_board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (crash_board == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    crash_board->ready = eventfd(0, EFD_CLOEXEC);
    crash_board->go = eventfd(0, EFD_CLOEXEC);
    if (crash_board->ready < 0 || crash_board->go < 0) {
        perror("eventfd");
        exit(1);
    }
    /* Victims and sleepers of an agent that dies become the runner's, to be ended and reaped. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static void drain_counter(int fd)
{
    /* Left over from a point that ended in disorder: made readable, then read. */
    uint64_t count = 1;
    if (write(fd, &count, sizeof count) < 0 || read(fd, &count, sizeof count) < 0)
        abort();
}

static void clear_board(const struct crash_case *test, enum crash_mode mode, uint64_t at, bool learning)
{
    struct step_pages pages = crash_board->pages;
    int ready = crash_board->ready, go = crash_board->go;

    drain_counter(ready);
    drain_counter(go);
    memset(crash_board, 0, sizeof *crash_board);
    crash_board->test = test;
    crash_board->mode = mode;
    crash_board->at = at;
    crash_board->learning = learning;
    crash_board->ready = ready;
    crash_board->go = go;
    crash_board->pages = pages;
}

static void kill_left(_Atomic pid_t *pid)
{
    pid_t left = atomic_load(pid);
    if (left)
        kill(left, SIGKILL);
}

/* End what a dead agent left, and reap all. */
static void clean_up(void)
{
    int64_t deadline = step_now() + 3000000000;

    kill_left(&crash_board->victim);
    for (unsigned i = 0; i < CRASH_SLEEPERS_MAX; i++)
        kill_left(&crash_board->sleeper[i]);
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0)
            return;
        if (pid > 0)
            continue;
        if (step_now() > deadline) {
            crash_note(CRASH_BROKEN, "processes are left that nobody knows");
            return;
        }
        watch_nap(50000);
    }
}

/* The agent's own calls on the object must not need the backstop either. */
static void look_for_lateness(pid_t agent, uint64_t *sleep)
{
    if (atomic_load(&crash_board->phase) != PHASE_CHECK || !watch_asleep(agent)) {
        *sleep = UINT64_MAX;
        return;
    }
    uint64_t now = watch_sleeps(agent);
    if (now == *sleep)
        atomic_store(&crash_board->late, 1);
    *sleep = now;
}

static void watch_agent(pid_t agent)
{
    enum crash_phase phase = PHASE_SETUP;
    int64_t deadline = step_now() + crash_limits.phase;
    int fd = watch_open(agent), status;
    uint64_t sleep = UINT64_MAX;

    while (!watch_end(agent, fd, LOOK, &status)) {
        look_for_lateness(agent, &sleep);
        if (atomic_load(&crash_board->phase) != phase) {
            phase = atomic_load(&crash_board->phase);
            deadline = step_now() + crash_limits.phase;
        } else if (step_now() > deadline) {
            crash_note(CRASH_STUCK, "the agent hangs in %s", phase_names[phase]);
            kill(agent, SIGKILL);
            deadline = INT64_MAX;
        }
    }
    close(fd);
    if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0) {
        phase = atomic_load(&crash_board->phase);
        crash_note(phase == PHASE_SETUP ? CRASH_BROKEN : CRASH_TORN, "the agent ends with status 0x%x in %s",
                   (unsigned)status, phase_names[phase]);
    }
}

static void run_point(const struct crash_case *test, enum crash_mode mode, uint64_t at, bool learning)
{
    clear_board(test, mode, at, learning);
    pid_t agent = fork();
    if (agent < 0) {
        crash_note(CRASH_BROKEN, "fork: %s", strerror(errno));
        return;
    }
    if (agent == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        crash_agent();
    }
    watch_agent(agent);
    clean_up();
}

/* Whether the victim came to this point and died there. */
static bool died_there(void)
{
    if (crash_board->mode == CRASH_ASLEEP)
        return atomic_load(&crash_board->died) && !atomic_load(&crash_board->blocked);
    return atomic_load(&crash_board->report.killed_at) != 0;
}

/* Enter the point just run into the result; returns whether it failed. */
static bool tally(uint64_t at, struct crash_result *result)
{
    enum crash_verdict verdict = atomic_load(&crash_board->verdict);
    bool late = atomic_load(&crash_board->late);

    result->verdicts[verdict]++;
    result->late += late;
    result->points += died_there();
    if (atomic_load(&crash_board->worst_wake) > result->worst_wake)
        result->worst_wake = atomic_load(&crash_board->worst_wake);
    if (!died_there() && atomic_load(&crash_board->report.instructions))
        result->instructions = atomic_load(&crash_board->report.instructions);
    if (verdict == CRASH_HOLDS && !late)
        return false;
    if (result->failed++ == 0) {
        result->first = verdict;
        result->first_at = at;
        result->first_pc = atomic_load(&crash_board->report.pc);
        snprintf(result->first_why, sizeof result->first_why, "%s",
                 verdict == CRASH_HOLDS ? "woken by nothing but the backstop" : crash_board->why);
    }
    return true;
}

void crash_sweep(const struct crash_case *test, enum crash_mode mode, uint64_t only, struct crash_result *ret_result)
{
    struct crash_result result = {0};
    int64_t begin = step_now();
    bool broken = false;

    make_board();
    crash_board->pages.count = 0;
    if (mode == CRASH_STATE) {
        run_point(test, mode, 0, true);
        broken = tally(0, &result);
    }
    for (uint64_t at = only ? only : 1; !broken && at < POINTS_MAX; at++) {
        run_point(test, mode, at, false);
        tally(at, &result);
        if (!died_there() || result.failed == crash_limits.failures || only)
            break;
    }
    if (result.points == 0 && mode != CRASH_ASLEEP && !only && !result.failed) {
        result.failed = 1;
        result.first = CRASH_BROKEN;
        snprintf(result.first_why, sizeof result.first_why, "there is no kill point in it");
    }
    result.time = step_now() - begin;
    *ret_result = result;
}
