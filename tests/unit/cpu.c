/* cpu.c - which CPU a thread runs on, and how many a process may use. */
#include "os/cpu.h"

#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_on(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK_SYS(sched_setaffinity(0, sizeof set, &set));
}

TEST(the_current_cpu_is_the_one_the_thread_is_bound_to)
{
    cpu_set_t allowed;

    CHECK_SYS(sched_getaffinity(0, sizeof allowed, &allowed));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        run_on(cpu);
        CHECK_EQ(sh_cpu_current(), cpu);
        CHECK_EQ(sh_cpu_current_slow(), cpu);
    }
}

TEST(the_count_is_that_of_the_affinity_mask)
{
    cpu_set_t allowed;

    CHECK_SYS(sched_getaffinity(0, sizeof allowed, &allowed));
    CHECK_GE(sh_cpu_count(), 1);
    CHECK_LE(sh_cpu_count(), CPU_COUNT(&allowed));
    run_on(sched_getcpu());
    CHECK_EQ(sh_cpu_count(), 1);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[300];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        rmdir(folder);
        SKIP("%s cannot be written here", path);
    }
    close(fd);
}

/* The control group that a child of the test is put into, with a quota. Version 1 of the interface, then 2. */
static const char *make_group(char *folder, size_t capacity, const char *quota1, const char *quota2)
{
    snprintf(folder, capacity, "/sys/fs/cgroup/cpu/test-%d", (int)getpid());
    if (mkdir(folder, 0755) == 0) {
        write_file(folder, "cpu.cfs_period_us", "100000");
        write_file(folder, "cpu.cfs_quota_us", quota1);
        return folder;
    }
    snprintf(folder, capacity, "/sys/fs/cgroup/test-%d", (int)getpid());
    if (mkdir(folder, 0755) < 0)
        SKIP("control groups cannot be made here");
    write_file(folder, "cpu.max", quota2);
    return folder;
}

static void check_count_under_quota(const char *quota1, const char *quota2, int expected)
{
    char folder[200];
    pid_t pid;

    make_group(folder, sizeof folder, quota1, quota2);
    CHILD(pid) {
        write_file(folder, "cgroup.procs", "0");
        test_exit(sh_cpu_count());
    }
    int status;
    CHECK_SYS(waitpid(pid, &status, 0));
    rmdir(folder);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), expected);
}

TEST(a_control_groups_quota_counts_rounded_up)
{
    int all = sh_cpu_count();

    check_count_under_quota("30000", "30000 100000", 1);
    check_count_under_quota("100000", "100000 100000", 1);
    check_count_under_quota("150000", "150000 100000", all < 2 ? all : 2);
    check_count_under_quota("-1", "max 100000", all);
}
