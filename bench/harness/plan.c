/* plan.c - the list of all cases. */
#include "harness/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wanted(const struct bench_case *what, const struct bench_settings *settings)
{
    char name[256];
    if (!settings->only)
        return 1;
    snprintf(name, sizeof name, "%s/%s/%s", what->group->name, what->column, what->contestant);
    return strstr(name, settings->only) != NULL;
}

void bench_plan_add(struct bench_plan *plan, const struct bench_settings *settings, struct bench_case what)
{
    if (!wanted(&what, settings))
        return;
    if (plan->count == BENCH_CASES_MAX) {
        fprintf(stderr, "bench: more than %d cases\n", BENCH_CASES_MAX);
        exit(1);
    }
    plan->cases[plan->count++] = what;
}

const struct bench_case *bench_plan_find(const struct bench_plan *plan, const char *group, const char *column,
                                         const char *contestant)
{
    for (unsigned i = 0; i < plan->count; i++) {
        const struct bench_case *what = &plan->cases[i];
        if (strcmp(what->group->name, group) == 0 && strcmp(what->column, column) == 0 &&
            strcmp(what->contestant, contestant) == 0)
            return what;
    }
    return NULL;
}
