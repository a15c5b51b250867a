/* text.c - the results as tables for people. */
#include "harness/peer.h"
#include "harness/results.h"

#include <math.h>
#include <string.h>

enum { NAME = 25, CELL = 23 };

/* What values are shown in, by how large they are. */
struct scale {
    double by;
    const char *unit;
};

static struct scale scale_of(double value, const char *unit)
{
    if (strcmp(unit, "ns") != 0)
        return (struct scale){1, unit};
    return value < 1e4 ? (struct scale){1, "ns"} : value < 1e6 ? (struct scale){1e3, "us"} : (struct scale){1e6, "ms"};
}

/* Three digits. */
static int digits(double value)
{
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

/* "407 ns (330) 9.03x": the median, the least, and how many times the reference that is. */
static void print_cell(FILE *out, const struct bench_results *results, const struct bench_case *what,
                       const struct bench_case *reference)
{
    char cell[96];
    double median = what ? bench_results_median(results, what) : NAN;
    if (!what || isnan(median)) {
        fprintf(out, "%*s%7s", CELL - 7, what ? "failed" : "-", "");
        return;
    }
    struct scale scale = scale_of(median, what->group->unit);
    double least = bench_results_least(results, what) / scale.by;
    median /= scale.by;
    int n = snprintf(cell, sizeof cell, "%.*f %s (%.*f)", digits(median), median, scale.unit, digits(least), least);
    double times = reference && reference != what ? bench_results_ratio(results, what, reference) : NAN;
    if (!isnan(times))
        snprintf(cell + n, sizeof cell - (size_t)n, " %*.*fx", 5, digits(times), times);
    else
        snprintf(cell + n, sizeof cell - (size_t)n, "%7s", "");
    fprintf(out, "%*s", CELL, cell);
}

/* Different columns, or contestants, of a group in the order in which they come. */
static unsigned distinct(const struct bench_plan *plan, const struct bench_group *group, int columns,
                         const char *ret_names[BENCH_CASES_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        const struct bench_case *what = &plan->cases[i];
        const char *name = columns ? what->column : what->contestant;
        unsigned k = 0;
        while (k < count && strcmp(ret_names[k], name) != 0)
            k++;
        if (what->group == group && k == count)
            ret_names[count++] = name;
    }
    return count;
}

/* What the others in a group are compared with: the first that is shoal's. */
static const char *reference_of(const char *const *contestants, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strncmp(contestants[i], "shoal", 5) == 0)
            return contestants[i];
    return contestants[0];
}

static void print_group(FILE *out, const struct bench_results *results, const struct bench_group *group)
{
    static const char *columns[BENCH_CASES_MAX], *contestants[BENCH_CASES_MAX];
    const struct bench_plan *plan = results->plan;
    unsigned width = distinct(plan, group, 1, columns), height = distinct(plan, group, 0, contestants);
    const char *reference = reference_of(contestants, height);
    fprintf(out, "\n%s\n%-*s", group->title, NAME, "");
    for (unsigned k = 0; k < width; k++)
        fprintf(out, "%*s       ", CELL - 7, columns[k]);
    for (unsigned i = 0; i < height; i++) {
        fprintf(out, "\n%-*s", NAME, contestants[i]);
        for (unsigned k = 0; k < width; k++)
            print_cell(out, results, bench_plan_find(plan, group->name, columns[k], contestants[i]),
                       bench_plan_find(plan, group->name, columns[k], reference));
    }
    fprintf(out, "\n");
}

static void print_environment(FILE *out, const struct bench_results *results)
{
    const struct bench_environment *here = &results->environment;
    fprintf(out, "shoal %s, %s\n", here->library, here->when);
    fprintf(out, "%s, %u CPUs, %s\n%s; %s\n", here->cpu, here->cpus, here->kernel, here->compiler, here->priority);
    fprintf(out, "load %.2f before, %.2f after; %.2f CPUs busy with other things; %.0f s\n", here->load_before,
            here->load_after, here->others, here->seconds);
    fprintf(out, "%u repetitions, each through all cases, %.0f ms a case after %.0f ms to warm up\n",
            results->repetitions, (double)results->settings->window / 1e6, (double)results->settings->warm / 1e6);
    fprintf(out, "Cells: median (quietest repetition), and how many times shoal's first row that is: the median of the "
                 "repetitions' ratios.\n");
    for (const char *const *name = bench_peers_left_out; *name; name++)
        fprintf(out, "Left out: %s\n", *name);
}

static void print_failures(FILE *out, const struct bench_results *results)
{
    int any = 0;
    for (unsigned i = 0; i < results->plan->count; i++) {
        const struct bench_series *series = &results->series[i];
        const struct bench_case *what = &results->plan->cases[i];
        if (series->failures == 0)
            continue;
        fprintf(out, "%s  %s, %s, %s: %u of %u: %s\n", any++ ? "" : "\nWithout a value\n", what->group->name,
                what->column, what->contestant, series->failures, results->repetitions, series->failure);
    }
}

static void print_targets(FILE *out, const struct bench_results *results)
{
    static struct bench_judgement judgements[BENCH_TARGETS_MAX];
    unsigned count = bench_targets_judge(results, judgements), measured = 0, met = 0;
    const char *row = "";
    fprintf(out, "\nTargets\n%-48s %18s %10s %10s\n", "", "at least/at most", "stretch", "measured");
    for (unsigned i = 0; i < count; i++) {
        const struct bench_judgement *it = &judgements[i];
        char bound[32], stretch[16] = "", value[16];
        if (it->verdict == BENCH_UNKNOWN)
            continue;
        if (strcmp(row, it->row) != 0)
            fprintf(out, "%s\n", it->row);
        row = it->row;
        snprintf(bound, sizeof bound, "%s %.6g %s", it->at_least ? ">=" : "<=", it->must, it->unit);
        if (it->stretch > 0)
            snprintf(stretch, sizeof stretch, "%.6g", it->stretch);
        snprintf(value, sizeof value, fabs(it->measured) < 100 ? "%.2f" : "%.0f", it->measured);
        fprintf(out, "    %-44s %18s %10s %10s  %s\n", it->what, bound, stretch, value,
                bench_verdict_names[it->verdict]);
        measured++;
        met += it->verdict >= BENCH_MET;
    }
    fprintf(out, "%u met of %u measured, of %u in all\n", met, measured, count);
}

void bench_text_print(FILE *out, const struct bench_results *results)
{
    const struct bench_plan *plan = results->plan;
    print_environment(out, results);
    for (unsigned i = 0; i < plan->count; i++) {
        unsigned k = 0;
        while (plan->cases[k].group != plan->cases[i].group)
            k++;
        if (k == i)
            print_group(out, results, plan->cases[i].group);
    }
    print_failures(out, results);
    print_targets(out, results);
}
