/* measure.c - run one case in a process of its own, and leave nothing behind. */
#include "harness/measure.h"

#include "harness/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    GRACE = 1000, /* milliseconds in which what a case started must have gone by itself */
    PATH_SIZE = 4096,
};

void bench_outcome_fail(struct bench_outcome *outcome, int error, const char *format, ...)
{
    va_list arguments;
    if (outcome->error)
        return; /* the first reason is the one that counts */
    va_start(arguments, format);
    size_t n = (size_t)vsnprintf(outcome->note, sizeof outcome->note, format, arguments);
    va_end(arguments);
    if (n < sizeof outcome->note && error != -EBADMSG && error != -ECHILD && error != -ENOTSUP)
        snprintf(outcome->note + n, sizeof outcome->note - n, ": %s", strerror(-error));
    outcome->error = error;
}

/* Start the sibling program for this case; it writes its outcome to descriptor 3. Never returns. */
static void become_variant(const struct bench_case *what, const struct bench_settings *settings, int memory)
{
    char path[PATH_SIZE], warm[24], window[24], first[12], second[12];
    snprintf(path, sizeof path, "%s-%s", settings->program, what->variant);
    snprintf(warm, sizeof warm, "%lld", (long long)settings->warm);
    snprintf(window, sizeof window, "%lld", (long long)settings->window);
    snprintf(first, sizeof first, "%d", settings->cpus[0]);
    snprintf(second, sizeof second, "%d", settings->cpus[1]);
    if (dup2(memory, 3) == 3 && fcntl(3, F_SETFD, 0) == 0) /* which dup2 leaves as it was where it is 3 already */
        execl(path, path, "--case", what->group->name, what->column, what->contestant, warm, window, first, second,
              (char *)NULL);
    _exit(127);
}

int bench_measure_serve(const struct bench_plan *plan, const struct bench_settings *settings, char *const arguments[])
{
    const struct bench_case *what = bench_plan_find(plan, arguments[0], arguments[1], arguments[2]);
    struct bench_outcome *outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
    struct bench_settings mine = *settings;
    if (outcome == MAP_FAILED || !what)
        return 1;
    mine.warm = atoll(arguments[3]);
    mine.window = atoll(arguments[4]);
    mine.cpus[0] = atoi(arguments[5]);
    mine.cpus[1] = atoi(arguments[6]);
    close(3);
    what->measure(what, &mine, outcome);
    return 0;
}

static pid_t start(const struct bench_case *what, const struct bench_settings *settings, struct bench_outcome *outcome,
                   int memory)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0) {
        if (pid > 0)
            setpgid(pid, pid); /* here and in the child: whoever comes first */
        return pid;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (what->variant)
        become_variant(what, settings, memory);
    close(memory);
    what->measure(what, settings, outcome);
    _exit(0);
}

/* Wait for a process's end: 0, or -ETIMEDOUT. */
static int await(pid_t pid, int64_t patience)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    int r;
    if (fd < 0)
        return -errno;
    do
        r = poll(&end, 1, (int)(patience / 1000000));
    while (r < 0 && errno == EINTR);
    close(fd);
    return r == 1 ? 0 : -ETIMEDOUT;
}

/* Kill every child this process has; as it is the subreaper, those that the case left without parents too. */
static unsigned kill_children(void)
{
    char path[64];
    int pid;
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *children = fopen(path, "re");
    if (!children)
        return 0;
    while (fscanf(children, "%d", &pid) == 1) {
        kill(pid, SIGKILL);
        count++;
    }
    fclose(children);
    return count;
}

/* Reap all children until deadline. Returns 0 where none is left. */
static int reap(int64_t deadline)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return 0;
        if (pid > 0)
            continue;
        if (bench_now() > deadline)
            return -ETIMEDOUT;
        bench_sleep_until(bench_now() + 200000);
    }
}

/* What the case started should have gone with it; kill what has not, and say so. */
static void sweep(pid_t group, struct bench_outcome *outcome)
{
    unsigned strays = 0;
    if (outcome->error == 0 && reap(bench_now() + GRACE * INT64_C(1000000)) == 0)
        return;
    kill(-group, SIGKILL);
    do
        strays += kill_children();
    while (reap(bench_now() + GRACE * INT64_C(1000000)) < 0);
    bench_outcome_fail(outcome, -ECHILD, "left %u process%s behind", strays, strays == 1 ? "" : "es");
}

struct bench_outcome bench_measure_case(const struct bench_case *what, const struct bench_settings *settings)
{
    struct bench_outcome result = {0};
    int status = 0;
    int memory = memfd_create("bench-outcome", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, sizeof result) < 0) {
        bench_outcome_fail(&result, -errno, "no memory for the outcome");
        return result;
    }
    struct bench_outcome *outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = outcome == MAP_FAILED ? -1 : start(what, settings, outcome, memory);
    if (pid < 0) {
        bench_outcome_fail(&result, -errno, "no process for the case");
    } else if (await(pid, settings->patience) < 0) {
        bench_outcome_fail(outcome, -ETIMEDOUT, "hung");
    } else if (waitpid(pid, &status, 0) == pid && status != 0) {
        bench_outcome_fail(outcome, -ECHILD, WIFSIGNALED(status) ? "died of signal %d" : "ended with code %d",
                           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    } else if (outcome->error == 0 && !(outcome->value > 0)) {
        bench_outcome_fail(outcome, -ENODATA, "brought no value");
    }
    if (pid > 0) {
        sweep(pid, outcome);
        result = *outcome;
    }
    if (outcome != MAP_FAILED)
        munmap(outcome, sizeof *outcome);
    close(memory);
    return result;
}

void bench_measure_priority(char *ret_how)
{
    FILE *group;
    int raised = 0;
    /* The scheduler shares the CPUs out between sessions first; in one of its own, nothing but the benchmark rises. */
    group = setsid() < 0 ? NULL : fopen("/proc/self/autogroup", "we");
    if (group) {
        raised = fprintf(group, "-20\n") > 0;
        raised = fclose(group) == 0 && raised;
    }
    int nice = setpriority(PRIO_PROCESS, 0, -20) == 0;
    snprintf(ret_how, 80, "%s, %s", raised ? "own session at autogroup -20" : "no priority over other sessions",
             nice ? "nice -20" : "nice as it was");
}
