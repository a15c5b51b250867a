/* json.c - the results for programs: every value of every repetition. */
#include "harness/peer.h"
#include "harness/results.h"

#include <math.h>
#include <string.h>

static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void print_number(FILE *out, double value)
{
    if (isnan(value) || isinf(value))
        fputs("null", out);
    else
        fprintf(out, "%.6g", value);
}

static void print_pair(FILE *out, const char *indent, const char *name, const char *text)
{
    fprintf(out, "%s\"%s\": ", indent, name);
    print_string(out, text);
    fputs(",\n", out);
}

static void print_figure(FILE *out, const char *indent, const char *name, double value)
{
    fprintf(out, "%s\"%s\": ", indent, name);
    print_number(out, value);
    fputs(",\n", out);
}

static void print_environment(FILE *out, const struct bench_environment *here)
{
    static const char indent[] = "    ";
    fputs("  \"environment\": {\n", out);
    print_pair(out, indent, "shoal", here->library);
    print_pair(out, indent, "when", here->when);
    print_pair(out, indent, "cpu", here->cpu);
    print_figure(out, indent, "cpus", here->cpus);
    print_pair(out, indent, "kernel", here->kernel);
    print_pair(out, indent, "compiler", here->compiler);
    print_pair(out, indent, "priority", here->priority);
    print_figure(out, indent, "load_before", here->load_before);
    print_figure(out, indent, "load_after", here->load_after);
    print_figure(out, indent, "cpus_busy_with_other_things", here->others);
    fprintf(out, "%s\"seconds\": %.1f\n  },\n", indent, here->seconds);
}

static void print_settings(FILE *out, const struct bench_results *results)
{
    const struct bench_settings *settings = results->settings;
    fprintf(out,
            "  \"settings\": {\"repetitions\": %u, \"window_ns\": %lld, \"warm_ns\": %lld, \"cpus\": [%d, %d], "
            "\"quick\": %s},\n  \"left_out\": [",
            results->repetitions, (long long)settings->window, (long long)settings->warm, settings->cpus[0],
            settings->cpus[1], settings->quick ? "true" : "false");
    for (const char *const *name = bench_peers_left_out; *name; name++) {
        fputs(name == bench_peers_left_out ? "" : ", ", out);
        print_string(out, *name);
    }
    fputs("],\n", out);
}

static void print_series(FILE *out, const struct bench_results *results, unsigned index)
{
    const struct bench_case *what = &results->plan->cases[index];
    const struct bench_series *series = &results->series[index];
    static const char indent[] = "     ";
    fputs("    {\n", out);
    print_pair(out, indent, "group", what->group->name);
    print_pair(out, indent, "column", what->column);
    print_pair(out, indent, "contestant", what->contestant);
    print_pair(out, indent, "unit", what->group->unit);
    if (what->size > 0)
        print_figure(out, indent, "size", (double)what->size);
    print_figure(out, indent, "median", bench_results_median(results, what));
    print_figure(out, indent, "least", bench_results_least(results, what));
    print_pair(out, indent, "note", series->note);
    print_figure(out, indent, "failures", series->failures);
    print_pair(out, indent, "failure", series->failure);
    fprintf(out, "%s\"values\": [", indent);
    for (unsigned i = 0; i < results->repetitions; i++) {
        fputs(i ? ", " : "", out);
        print_number(out, series->values[i]);
    }
    fprintf(out, "]}%s\n", index + 1 < results->plan->count ? "," : "");
}

static void print_target(FILE *out, const struct bench_judgement *it, int last)
{
    static const char indent[] = "     ";
    fputs("    {\n", out);
    print_pair(out, indent, "row", it->row);
    print_pair(out, indent, "what", it->what);
    print_pair(out, indent, "bound", it->at_least ? "at least" : "at most");
    print_pair(out, indent, "unit", it->unit);
    print_figure(out, indent, "must", it->must);
    print_figure(out, indent, "stretch", it->stretch > 0 ? it->stretch : NAN);
    print_figure(out, indent, "measured", it->measured);
    fprintf(out, "%s\"verdict\": \"%s\"}%s\n", indent, bench_verdict_names[it->verdict], last ? "" : ",");
}

void bench_json_print(FILE *out, const struct bench_results *results)
{
    static struct bench_judgement judgements[BENCH_TARGETS_MAX];
    unsigned count = bench_targets_judge(results, judgements);
    fputs("{\n", out);
    print_environment(out, &results->environment);
    print_settings(out, results);
    fputs("  \"results\": [\n", out);
    for (unsigned i = 0; i < results->plan->count; i++)
        print_series(out, results, i);
    fputs("  ],\n  \"targets\": [\n", out);
    for (unsigned i = 0; i < count; i++)
        print_target(out, &judgements[i], i + 1 == count);
    fputs("  ]\n}\n", out);
}
