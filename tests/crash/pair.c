/* pair.c - the agent of one schedule: makes the object and the two processes, passes the baton on where its holder
 * sleeps or has ended, and judges what they leave. */
#include "baton.h"
#include "board.h"
#include "watch.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define GLANCE 200000       /* between two looks at the holder */
#define LATE_AFTER 10000000 /* asleep for so long after it should have been woken: see agent.c */

static int pidfd[2];

int pair_finished(unsigned who)
{
    return (int)atomic_load(&baton->process[who].finished);
}

int pair_died(unsigned who)
{
    return (int)atomic_load(&baton->process[who].died);
}

int pair_pid(unsigned who)
{
    return atomic_load(&baton->process[who].pid);
}

static bool is_over(unsigned who)
{
    return pair_finished(who) || pair_died(who);
}

/* All on one CPU: how long anybody spins depends on where the others are. */
static void stay_here(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void start(unsigned who)
{
    pid_t pid = crash_fork();

    if (pid == 0)
        baton_run_operation(who);
    atomic_store(&baton->process[who].pid, pid);
    atomic_store(&crash_board->sleeper[who], pid);
    pidfd[who] = watch_open(pid);
    struct pollfd entries[2] = {{.fd = baton->to_agent, .events = POLLIN}, {.fd = pidfd[who], .events = POLLIN}};
    if (poll(entries, 2, (int)(crash_limits.stuck / 1000000)) <= 0 || !(entries[0].revents & POLLIN))
        crash_fail(CRASH_BROKEN, "process %u does not come to its operation", who);
    baton_hear();
}

/* Wait until somebody has something to say, but not long. */
static void glance(void)
{
    struct pollfd entries[3] = {{.fd = baton->to_agent, .events = POLLIN}};

    for (unsigned who = 0; who < 2; who++)
        entries[who + 1] = (struct pollfd){.fd = pair_died(who) ? -1 : pidfd[who], .events = POLLIN};
    if (ppoll(entries, 3, &(struct timespec){.tv_nsec = GLANCE}, NULL) > 0 && entries[0].revents)
        baton_hear();
}

static void judge_death(unsigned who, int status)
{
    atomic_store(&crash_board->sleeper[who], 0);
    atomic_store(&baton->process[who].died, 1);
    atomic_store(&baton->process[who].is_asleep, 0);
    if (atomic_load(&baton->killing) != 1 + who || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        crash_fail(CRASH_TORN, "process %u ends by itself with status 0x%x", who, (unsigned)status);
    atomic_store(&baton->killing, 0);
}

static void notice_deaths(void)
{
    int status;

    for (unsigned who = 0; who < 2; who++) {
        if (!pair_died(who) && waitpid(pair_pid(who), &status, WNOHANG) == pair_pid(who))
            judge_death(who, status);
    }
}

static void kill_as_asked(void)
{
    unsigned who = atomic_load(&baton->killing) - 1;
    int status;

    kill(pair_pid(who), SIGKILL);
    if (waitpid(pair_pid(who), &status, 0) != pair_pid(who))
        crash_fail(CRASH_BROKEN, "waitpid");
    judge_death(who, status);
    baton_give(!who);
}

/* What is known of a process that sleeps in its operation while nobody is at work. */
static struct {
    uint64_t sleep;
    int64_t since;
} idle[2];
static bool is_fed;

static bool must_wake(unsigned who)
{
    const struct pair_case *test = baton->test;
    return is_fed || !test->due || test->due(who);
}

/* Nobody is at work: those who sleep must wake by themselves, or are fed. */
static void attend_sleepers(void)
{
    bool is_anybody_due = false;

    for (unsigned who = 0; who < 2; who++) {
        if (is_over(who) || !must_wake(who))
            continue;
        is_anybody_due = true;
        uint64_t sleep = watch_sleeps(pair_pid(who));
        if (!idle[who].since || sleep != idle[who].sleep) {
            if (!idle[who].since)
                idle[who].since = step_now();
            idle[who].sleep = sleep;
            continue;
        }
        int64_t waited = step_now() - idle[who].since;
        if (waited > crash_limits.stuck)
            crash_fail(CRASH_STUCK, "process %u sleeps on, with all it needs to go on", who);
        if (waited > LATE_AFTER && !atomic_load(&crash_board->late) && watch_sleeps_on(pair_pid(who), LATE_AFTER / 2) &&
            watch_sleeps(pair_pid(who)) == sleep) {
            watch_describe(pair_pid(who), crash_board->late_why, sizeof crash_board->late_why);
            atomic_store(&crash_board->late, 1);
        }
    }
    if (is_anybody_due)
        return;
    if (!baton->test->feed)
        crash_fail(CRASH_STUCK, "both sleep, and nothing would feed them");
    is_fed = true;
    idle[0].since = idle[1].since = 0;
    baton->test->feed();
}

/* The baton's holder sleeps or is gone, or nobody has it: give it to one that can go on. */
static void pass_on(void)
{
    uint32_t holder = atomic_load(&baton->holder);

    for (unsigned i = 0; i < 2; i++) {
        unsigned who = holder < 2 ? (holder + 1 + i) % 2 : i;
        if (baton_is_ready(who)) {
            idle[who].since = 0;
            baton_give(who);
            return;
        }
    }
    if (holder != BATON_AGENT)
        baton_give(BATON_AGENT);
    if (!is_over(0) || !is_over(1))
        attend_sleepers();
}

static bool has_fallen_asleep(unsigned who)
{
    struct baton_process *process = &baton->process[who];

    return !atomic_load(&process->waits) && watch_asleep(pair_pid(who)) && !atomic_load(&process->waits) &&
           atomic_load(&baton->holder) == who;
}

static void conduct(void)
{
    baton_give(baton->schedule.first);
    while (!is_over(0) || !is_over(1)) {
        glance();
        notice_deaths();
        uint32_t holder = atomic_load(&baton->holder);
        if (holder == BATON_AGENT && atomic_load(&baton->killing)) {
            kill_as_asked();
        } else if (holder == BATON_AGENT || is_over(holder)) {
            pass_on();
        } else if (has_fallen_asleep(holder)) {
            atomic_store(&baton->process[holder].is_asleep, 1);
            pass_on();
        }
    }
}

static void end(void)
{
    int status;

    baton_give(BATON_END);
    for (unsigned who = 0; who < 2; who++) {
        if (pair_died(who))
            continue;
        if (waitpid(pair_pid(who), &status, 0) != pair_pid(who) || status)
            crash_fail(CRASH_TORN, "process %u ends with status 0x%x", who, (unsigned)status);
        atomic_store(&crash_board->sleeper[who], 0);
    }
}

void pair_agent(void)
{
    const struct pair_case *test = baton->test;

    stay_here();
    atomic_store(&crash_board->phase, PHASE_SETUP);
    test->setup();
    start(0);
    start(1);
    atomic_store(&crash_board->phase, PHASE_OPERATION);
    conduct();
    end();
    atomic_store(&crash_board->phase, PHASE_CHECK);
    test->check();
}
