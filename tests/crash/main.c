/* main.c - the command line of a crash test, and its table. */
#include "step.h"
#include "sweep.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODES_DEFAULT "instruction,state,asleep"
#define TURNS_DEFAULT 50
#define STEPS_DEFAULT 100000

struct options {
    bool mode[CRASH_MODE_COUNT];
    const char *only; /* cases whose name contains this; NULL: all */
    uint64_t at;
    bool list, lines;
};

static int usage(const char *program)
{
    fprintf(
        stderr,
        "usage: %s [--modes MODE,...] [--case TEXT] [--at POINT] [--all] [--steps N] [--lines] [--list]\n"
        "Kills a process at every point of each operation; modes: instruction, state, asleep, trace, point\n"
        "(default " MODES_DEFAULT "). --case: only operations with TEXT in their name; --at: only this point;\n"
        "--all: leave no instruction out, however often a loop comes by; --steps: with ptrace, leave points out, "
        "evenly,\n"
        "so that an operation takes N steps in all; --lines: print results as lines of fields, with tabs between.\n",
        program);
    return 2;
}

static bool parse_modes(const char *text, bool *modes)
{
    memset(modes, 0, CRASH_MODE_COUNT * sizeof *modes);
    while (*text) {
        size_t length = strcspn(text, ",");
        int mode = 0;
        while (mode < CRASH_MODE_COUNT &&
               (strlen(crash_mode_name(mode)) != length || strncmp(text, crash_mode_name(mode), length) != 0))
            mode++;
        if (mode == CRASH_MODE_COUNT)
            return false;
        modes[mode] = true;
        text += length + (text[length] == ',');
    }
    return true;
}

static bool parse(int argc, char **argv, struct options *options)
{
    parse_modes(MODES_DEFAULT, options->mode);
    crash_limits.turns = TURNS_DEFAULT;
    crash_limits.steps = STEPS_DEFAULT;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            options->list = true;
        } else if (strcmp(argv[i], "--all") == 0) {
            crash_limits.turns = crash_limits.steps = 0;
        } else if (strcmp(argv[i], "--lines") == 0) {
            options->lines = true;
        } else if (i + 1 == argc) {
            return false;
        } else if (strcmp(argv[i], "--steps") == 0) {
            crash_limits.steps = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--modes") == 0) {
            if (!parse_modes(argv[++i], options->mode))
                return false;
        } else if (strcmp(argv[i], "--case") == 0) {
            options->only = argv[++i];
        } else if (strcmp(argv[i], "--at") == 0) {
            options->at = strtoull(argv[++i], NULL, 10);
        } else {
            return false;
        }
    }
    return true;
}

static bool mode_applies(const struct crash_case *test, enum crash_mode mode)
{
    if (test->modes_left_out & 1u << mode)
        return false;
    return STEP_SUPPORTED || (mode != CRASH_INSTRUCTION && mode != CRASH_STATE);
}

static void print_result(const struct crash_case *test, enum crash_mode mode, const struct crash_result *result)
{
    char wake[16] = "-", instructions[24] = "-";

    if (test->sleepers)
        snprintf(wake, sizeof wake, "%.2f", (double)result->worst_wake / 1e6);
    if (result->instructions)
        snprintf(instructions, sizeof instructions, "%" PRIu64, result->instructions);
    printf("%-36s %-11s %6s %6" PRIu64 " %5" PRIu64 " %5" PRIu64 " %6" PRIu64 " %5" PRIu64 " %8s %7.2f\n", test->name,
           crash_mode_name(mode), instructions, result->points, result->verdicts[CRASH_STUCK],
           result->verdicts[CRASH_TORN], result->verdicts[CRASH_LEAKED], result->late, wake,
           (double)result->time / 1e9);
    if (result->late && test->late_because)
        printf("    late where %s\n", test->late_because);
    if (result->missed)
        printf("    %" PRIu64 " points were not come by again\n", result->missed);
}

/* For programs: operation, mode, instructions, points, stuck, torn, leaked, late, broken, worst wake in ns, and why it
 * may be late. */
static void print_line(const struct crash_case *test, enum crash_mode mode, const struct crash_result *result)
{
    printf("sweep\t%s\t%s\t%" PRIu64 "\t%" PRIu64, test->name, crash_mode_name(mode), result->instructions,
           result->points);
    printf("\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64, result->verdicts[CRASH_STUCK],
           result->verdicts[CRASH_TORN], result->verdicts[CRASH_LEAKED], result->late, result->verdicts[CRASH_BROKEN]);
    printf("\t%" PRId64 "\t%s\n", test->sleepers ? result->worst_wake : 0,
           result->late && test->late_because ? test->late_because : "");
}

static void print_failure(const char *program, const struct crash_case *test, enum crash_mode mode,
                          const struct crash_result *result)
{
    printf("    %s at point %" PRIu64 ": %s (%" PRIu64 " failed)\n", crash_verdict_name(result->first),
           result->first_at, result->first_why, result->failed);
    if (mode == CRASH_POINT && result->first_pc)
        printf("    died at crash point %s\n", (const char *)result->first_pc);
    else if (result->first_pc)
        printf("    addr2line -pfie %s 0x%" PRIxPTR "\n", program, result->first_pc - step_base());
    printf("    %s --modes %s --case '%s' --at %" PRIu64 "\n", program, crash_mode_name(mode), test->name,
           result->first_at);
}

int crash_main(int argc, char **argv, const struct crash_case *cases, size_t count)
{
    struct options options = {0};
    unsigned passed = 0, failed = 0;

    if (!parse(argc, argv, &options))
        return usage(argv[0]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!options.list && !options.lines)
        printf("%-36s %-11s %6s %6s %5s %5s %6s %5s %8s %7s\n", "operation", "mode", "instr", "points", "stuck", "torn",
               "leaked", "late", "wake ms", "s");
    for (size_t i = 0; i < count; i++) {
        if (options.only && !strstr(cases[i].name, options.only))
            continue;
        if (options.list)
            puts(cases[i].name);
        for (int mode = 0; mode < CRASH_MODE_COUNT && !options.list; mode++) {
            struct crash_result result;
            if (!options.mode[mode] || !mode_applies(&cases[i], mode))
                continue;
            crash_sweep(&cases[i], mode, options.at, &result);
            if (mode == CRASH_ASLEEP && result.points == 0 && !result.failed)
                continue; /* it never sleeps */
            if (options.lines)
                print_line(&cases[i], mode, &result);
            else
                print_result(&cases[i], mode, &result);
            if (result.failed && !options.lines)
                print_failure(argv[0], &cases[i], mode, &result);
            *(result.failed ? &failed : &passed) += 1;
        }
    }
    if (!options.list && !options.lines)
        printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
