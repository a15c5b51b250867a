/* environment.c - the machine, and what else it was doing. */
#include "harness/clock.h"
#include "harness/results.h"

#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void read_cpu(char *ret_cpu, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(ret_cpu, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(ret_cpu, size, "%s", colon + 2);
        break;
    }
    if (file)
        fclose(file);
}

/* CPU time of the whole machine that was not idle, in seconds. */
static double busy_time(void)
{
    unsigned long long user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return 0;
    if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &waiting, &interrupts,
               &soft) != 7)
        user = nice = system = interrupts = soft = 0;
    fclose(file);
    return (double)(user + nice + system + interrupts + soft) / (double)sysconf(_SC_CLK_TCK);
}

/* CPU time of this process and of all those it waited for, in seconds. */
static double own_time(void)
{
    double total = 0;
    static const int who[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (size_t i = 0; i < sizeof who / sizeof *who; i++) {
        struct rusage usage;
        getrusage(who[i], &usage);
        total += (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
        total += (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    }
    return total;
}

static double load(void)
{
    double average;
    return getloadavg(&average, 1) == 1 ? average : 0;
}

void bench_environment_begin(struct bench_environment *environment)
{
    struct utsname system;
    time_t now = time(NULL);
    uname(&system);
    snprintf(environment->kernel, sizeof environment->kernel, "%.20s %.60s %.60s", system.sysname, system.release,
             system.machine);
    read_cpu(environment->cpu, sizeof environment->cpu);
    environment->cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __clang__
    snprintf(environment->compiler, sizeof environment->compiler, "clang %s, %s", __clang_version__, BENCH_FLAGS);
#else
    snprintf(environment->compiler, sizeof environment->compiler, "gcc %s, %s", __VERSION__, BENCH_FLAGS);
#endif
    snprintf(environment->library, sizeof environment->library, "%s", shoal_version());
    strftime(environment->when, sizeof environment->when, "%Y-%m-%d %H:%M UTC", gmtime(&now));
    environment->load_before = load();
    environment->others = busy_time() - own_time();
    environment->seconds = (double)bench_now() / 1e9;
}

void bench_environment_end(struct bench_environment *environment)
{
    environment->seconds = (double)bench_now() / 1e9 - environment->seconds;
    environment->others = (busy_time() - own_time() - environment->others) / environment->seconds;
    if (environment->others < 0)
        environment->others = 0; /* the two are counted by different clocks */
    environment->load_after = load();
}
