/* cpu.c - affinity and control group quotas. */
#include "os/cpu.h"

#include "os/file.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than any kernel is built for (CONFIG_NR_CPUS is 8192 at most). */
#define MOST_CPUS 65536

uint32_t sh_cpu_current_slow(void)
{
    int cpu = sched_getcpu();

    return cpu < 0 ? 0 : (uint32_t)cpu;
}

/* CPUs in the calling thread's affinity mask, or where there is none (seccomp), online ones. */
static long count_affinity(void)
{
    unsigned long mask[MOST_CPUS / (CHAR_BIT * sizeof(unsigned long))] = {0};

    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)(void *)mask) == 0)
        return CPU_COUNT_S(sizeof mask, (cpu_set_t *)(void *)mask);
    return sysconf(_SC_NPROCESSORS_ONLN);
}

/* A quota in CPUs, rounded up; -1 for none. */
static long long whole_cpus(long long quota, long long period)
{
    return quota <= 0 || period <= 0 ? -1 : quota / period + (quota % period != 0);
}

static long long read_quota(const char *folder, int version)
{
    char path[1100];
    char text[64];
    char *end;

    if (version == 2) { /* "max 100000" or "150000 100000" */
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (sh_file_read(path, text, sizeof text) <= 0)
            return -1;
        long long quota = strtoll(text, &end, 10);
        return end == text ? -1 : whole_cpus(quota, strtoll(end, NULL, 10));
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    long long quota = sh_file_read_number(path);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    return whole_cpus(quota, sh_file_read_number(path));
}

int sh_cpu_count(void)
{
    long count = count_affinity();
    long long quota = sh_file_cgroup_least("cpu", read_quota);

    if (quota > 0 && quota < count)
        count = (long)quota;
    return count < 1 ? 1 : (int)count;
}
