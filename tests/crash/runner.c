/* runner.c - runs an agent, watched with a time limit, and cleans up behind it. */
#include "board.h"
#include "watch.h"

#include <errno.h>
#include <signal.h>
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

static const char *const phase_names[PHASE_COUNT] = {
    [PHASE_SETUP] = "setup", [PHASE_OPERATION] = "the operation", [PHASE_WAKE] = "waking", [PHASE_CHECK] = "check"};

void *crash_share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return memory;
}

void crash_board_make(void)
{
    if (crash_board)
        return;
    crash_board = crash_share(sizeof *crash_board);
    crash_record = crash_share(sizeof *crash_record);
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

void crash_board_clear(void)
{
    struct step_pages pages = crash_board->pages;
    int ready = crash_board->ready, go = crash_board->go;

    drain_counter(ready);
    drain_counter(go);
    memset(crash_board, 0, sizeof *crash_board);
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

/* The agent's own calls on the object must not need the backstop either: nor where it waits for children of its own. */
static void look_for_lateness(pid_t agent, uint64_t *sleep)
{
    if (atomic_load(&crash_board->phase) != PHASE_CHECK || !watch_asleep(agent) || !watch_children_asleep(agent)) {
        *sleep = UINT64_MAX;
        return;
    }
    uint64_t now = watch_sleeps(agent);
    if (now == *sleep) {
        atomic_store(&crash_board->late, 1);
        watch_describe(agent, crash_board->late_why, sizeof crash_board->late_why);
    }
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

void crash_run(void (*agent_body)(void))
{
    pid_t agent = fork();

    if (agent < 0) {
        crash_note(CRASH_BROKEN, "fork: %s", strerror(errno));
        return;
    }
    if (agent == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        agent_body();
        _exit(0);
    }
    watch_agent(agent);
    clean_up();
}
