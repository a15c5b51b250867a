/* main.c - the benchmark: all cases, one after the other, again and again, and what came of it. */
#include "harness/clock.h"
#include "harness/measure.h"
#include "harness/results.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bench_plan plan;
static struct bench_results results;

static const char usage[] = "usage: shoal-bench [options]\n"
                            "  --quick            about a minute: fewer cases, shorter windows\n"
                            "  --repetitions N    how often to go through all cases (default 7; quick: 3)\n"
                            "  --window MS        how long to measure a case, each time (default 120; quick: 50)\n"
                            "  --only TEXT        only cases with this in their name \"group/column/contestant\"\n"
                            "  --cpus A,B         the CPUs to pin to (default: the first two on different cores)\n"
                            "  --polite           do not ask for priority over other processes\n"
                            "  --text FILE        write the tables there too\n"
                            "  --json FILE        write all values there\n"
                            "  --list             name the cases and end\n";

enum { MILLISECOND = 1000000 };

struct options {
    struct bench_settings settings;
    const char *text, *json;
    int polite, list;
};

static int core_of(int cpu)
{
    char path[96];
    int core = cpu;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%d", &core) != 1)
        core = cpu;
    if (file)
        fclose(file);
    return core;
}

/* The first CPU that may be used, and the next one that does not share its core; where there is none, the next one;
 * where there is but one CPU, that one twice. */
static void choose_cpus(int ret_cpus[2])
{
    cpu_set_t allowed;
    int first = -1, second = -1;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        if (first < 0)
            first = cpu;
        else if (second < 0 || (core_of(second) == core_of(first) && core_of(cpu) != core_of(first)))
            second = cpu;
    }
    ret_cpus[0] = first;
    ret_cpus[1] = second < 0 ? first : second;
}

/* Where this program lies; its variants lie beside it. */
static const char *program_path(void)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    return path;
}

static int parse(int argc, char **argv, struct options *ret_options)
{
    static const struct option known[] = {
        {"quick", no_argument, NULL, 'q'},        {"repetitions", required_argument, NULL, 'r'},
        {"window", required_argument, NULL, 'w'}, {"only", required_argument, NULL, 'o'},
        {"cpus", required_argument, NULL, 'c'},   {"polite", no_argument, NULL, 'p'},
        {"text", required_argument, NULL, 't'},   {"json", required_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'l'},         {NULL, 0, NULL, 0},
    };
    struct bench_settings *settings = &ret_options->settings;
    int option, repetitions = 0, window = 0;
    choose_cpus(settings->cpus);
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'q':
            settings->quick = 1;
            break;
        case 'r':
            repetitions = atoi(optarg);
            break;
        case 'w':
            window = atoi(optarg);
            break;
        case 'o':
            settings->only = optarg;
            break;
        case 'c':
            if (sscanf(optarg, "%d,%d", &settings->cpus[0], &settings->cpus[1]) != 2)
                return -EINVAL;
            break;
        case 'p':
            ret_options->polite = 1;
            break;
        case 't':
            ret_options->text = optarg;
            break;
        case 'j':
            ret_options->json = optarg;
            break;
        case 'l':
            ret_options->list = 1;
            break;
        default:
            return -EINVAL;
        }
    }
    if (optind < argc || repetitions < 0 || repetitions > BENCH_REPETITIONS_MAX || window < 0)
        return -EINVAL;
    settings->program = program_path();
    settings->repetitions = repetitions ? (unsigned)repetitions : settings->quick ? 3 : 7;
    settings->window = (window ? window : settings->quick ? 50 : 120) * (int64_t)MILLISECOND;
    settings->warm = settings->window / 3;
    settings->patience = settings->window * 2 + INT64_C(10000) * MILLISECOND;
    return 0;
}

static void make_plan(const struct bench_settings *settings)
{
    bench_throughput_plan(&plan, settings);
    bench_round_trip_plan(&plan, settings);
    bench_put_get_plan(&plan, settings);
    bench_lock_plan(&plan, settings);
    bench_pool_plan(&plan, settings);
}

static void record(unsigned index, unsigned repetition, const struct bench_outcome *outcome)
{
    struct bench_series *series = &results.series[index];
    series->values[repetition] = outcome->error ? NAN : outcome->value;
    series->failures += outcome->error != 0;
    memcpy(outcome->error ? series->failure : series->note, outcome->note, sizeof outcome->note);
}

static void show_progress(unsigned repetition, unsigned index, const struct bench_settings *settings)
{
    const struct bench_case *what = &plan.cases[index];
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%u/%u  %u/%u  %s, %s, %s", repetition + 1, settings->repetitions, index + 1,
                plan.count, what->group->name, what->column, what->contestant);
    else if (index == 0)
        fprintf(stderr, "repetition %u of %u\n", repetition + 1, settings->repetitions);
}

/* Cases of a column are neighbours, so that they meet the same weather; every other repetition goes through them the
 * other way round, so that none is always the one after the heaviest. */
static void run_all(const struct bench_settings *settings)
{
    for (unsigned repetition = 0; repetition < settings->repetitions; repetition++) {
        for (unsigned i = 0; i < plan.count; i++) {
            unsigned index = repetition % 2 ? plan.count - 1 - i : i;
            show_progress(repetition, i, settings);
            struct bench_outcome outcome = bench_measure_case(&plan.cases[index], settings);
            record(index, repetition, &outcome);
        }
        results.repetitions = repetition + 1;
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static int write_file(const char *path, void (*print)(FILE *, const struct bench_results *))
{
    FILE *out = path ? fopen(path, "we") : NULL;
    if (!path)
        return 0;
    if (!out) {
        fprintf(stderr, "shoal-bench: %s: %s\n", path, strerror(errno));
        return -errno;
    }
    print(out, &results);
    return fclose(out) == 0 ? 0 : -errno;
}

static int bench(const struct options *options)
{
    results.plan = &plan;
    results.settings = &options->settings;
    snprintf(results.environment.priority, sizeof results.environment.priority, "no priority asked for");
    if (!options->polite)
        bench_measure_priority(results.environment.priority);
    bench_environment_begin(&results.environment);
    run_all(&options->settings);
    bench_environment_end(&results.environment);
    bench_text_print(stdout, &results);
    int text = write_file(options->text, bench_text_print);
    int json = write_file(options->json, bench_json_print);
    return text < 0 || json < 0;
}

/* All is done in a child, which may have a session of its own (a process that the shell started may not). Whoever
 * interrupts this process ends the child as well, and that its cases. */
static int bench_in_child(const struct options *options)
{
    int status;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        exit(bench(options));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    if (argc > 2 && strcmp(argv[1], "--case") == 0) {
        make_plan(&options.settings);
        return argc == 9 ? bench_measure_serve(&plan, &options.settings, argv + 2) : 1;
    }
    if (parse(argc, argv, &options) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    make_plan(&options.settings);
    for (unsigned i = 0; options.list && i < plan.count; i++)
        printf("%s/%s/%s\n", plan.cases[i].group->name, plan.cases[i].column, plan.cases[i].contestant);
    return options.list ? 0 : bench_in_child(&options);
}
