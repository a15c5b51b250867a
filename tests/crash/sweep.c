/* sweep.c - one agent for each kill point, and the tally. */
#include "sweep.h"

#include "board.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define POINTS_MAX 100000
#define VDSO_SIZE 16384
#define FIRST_TURNS 2 /* of a loop, which are always points */

struct crash_limits crash_limits = {.failures = 8, .stuck = 3000000000, .phase = 8000000000};

const char *crash_mode_name(enum crash_mode mode)
{
    static const char *const names[CRASH_MODE_COUNT] = {[CRASH_INSTRUCTION] = "instruction",
                                                        [CRASH_STATE] = "state",
                                                        [CRASH_ASLEEP] = "asleep",
                                                        [CRASH_TRACE] = "trace",
                                                        [CRASH_POINT] = "point"};
    return names[mode];
}

const char *crash_verdict_name(enum crash_verdict verdict)
{
    static const char *const names[CRASH_VERDICT_COUNT] = {[CRASH_HOLDS] = "late",
                                                           [CRASH_STUCK] = "stuck",
                                                           [CRASH_TORN] = "torn",
                                                           [CRASH_LEAKED] = "leaked",
                                                           [CRASH_BROKEN] = "broken"};
    return names[verdict];
}

static void run_point(const struct crash_case *test, enum crash_mode mode, enum crash_run run, uint64_t at)
{
    crash_board_clear();
    crash_board->test = test;
    crash_board->mode = mode;
    crash_board->run = run;
    crash_board->at = at;
    crash_run(crash_agent);
}

/* Whether the victim came to this point and died there. */
static bool died_there(void)
{
    if (crash_board->mode == CRASH_ASLEEP)
        return atomic_load(&crash_board->died) && !atomic_load(&crash_board->blocked);
    return atomic_load(&crash_board->report.killed_at) != 0;
}

/* Enter the point just run into the result; returns whether it failed. */
static bool tally(uint64_t at, struct crash_result *result)
{
    enum crash_verdict verdict = atomic_load(&crash_board->verdict);
    bool late = atomic_load(&crash_board->late);

    result->verdicts[verdict]++;
    result->late += late;
    result->points += died_there();
    if (atomic_load(&crash_board->worst_wake) > result->worst_wake)
        result->worst_wake = atomic_load(&crash_board->worst_wake);
    if (verdict == CRASH_HOLDS && (!late || crash_board->test->late_because))
        return false;
    if (result->failed++ == 0) {
        result->first = verdict;
        result->first_at = at;
        result->first_pc = atomic_load(&crash_board->report.pc);
        if (verdict == CRASH_HOLDS)
            snprintf(result->first_why, sizeof result->first_why, "woken by nothing but the backstop: %s",
                     crash_board->late_why);
        else
            snprintf(result->first_why, sizeof result->first_why, "%s", crash_board->why);
    }
    return true;
}

/* Number the turns in which the operation comes by each instruction. */
static void count_turns(void)
{
    enum { SLOTS = STEP_POINTS_MAX * 2 };
    static struct {
        uintptr_t pc;
        uint32_t turn;
    } seen[SLOTS];

    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < crash_record->count; i++) {
        struct step_point *point = &crash_record->point[i];
        size_t slot = point->pc * UINT64_C(0x9e3779b97f4a7c15) >> 40 & (SLOTS - 1);
        while (seen[slot].pc && seen[slot].pc != point->pc)
            slot = (slot + 1) & (SLOTS - 1);
        seen[slot].pc = point->pc;
        point->turn = ++seen[slot].turn;
    }
}

static bool steps_itself(enum crash_mode mode)
{
    return mode == CRASH_INSTRUCTION || mode == CRASH_STATE;
}

/* Victims that live: the operation itself must work, and where its points are is found out. */
static bool rehearse(const struct crash_case *test, enum crash_mode mode, struct crash_result *result)
{
    run_point(test, mode, RUN_LEARN, 0);
    if (tally(0, result))
        return false;
    if (mode == CRASH_TRACE)
        result->instructions = atomic_load(&crash_board->report.steps) - 1;
    if (!steps_itself(mode))
        return true;
    run_point(test, mode, RUN_RECORD, 0);
    if (crash_record->count > STEP_POINTS_MAX)
        crash_note(CRASH_BROKEN, "%zu instructions are more than can be noted", crash_record->count);
    if (tally(0, result))
        return false;
    result->instructions = crash_record->count - 1;
    count_turns();
    return true;
}

static bool is_further_turn(const struct step_point *point)
{
    return point->turn > FIRST_TURNS && !point->changed;
}

/* Every how many of the further turns of loops there is to be a point. */
static size_t choose_stride(void)
{
    size_t further = 0;

    for (size_t i = 0; i < crash_record->count; i++)
        further += is_further_turn(&crash_record->point[i]);
    return crash_limits.turns ? further / crash_limits.turns + 1 : 1;
}

/* Whether the kernel's own code runs there, to read the clock: no breakpoint can be planted in it, and all others can
 * see is the same before and after. */
static bool is_in_vdso(uintptr_t pc)
{
    uintptr_t begin = getauxval(AT_SYSINFO_EHDR);
    return begin && pc >= begin && pc < begin + VDSO_SIZE;
}

static bool is_chosen(const struct step_point *point, enum crash_mode mode, size_t stride, size_t *further)
{
    if (mode == CRASH_STATE)
        return point->changed;
    if (crash_limits.turns && is_in_vdso(point->pc))
        return false;
    return !is_further_turn(point) || (*further)++ % stride == 0;
}

/* Kill at one point of the record: by a breakpoint, or, where the victim does not come by there, by counting; but how
 * often it goes round a loop (a spin) may differ each time. */
static void sweep_point(const struct crash_case *test, enum crash_mode mode, uint64_t at, struct crash_result *result)
{
    run_point(test, mode, RUN_BREAK, at);
    bool failed = tally(at, result);
    if (died_there() || failed || crash_record->point[at - 1].turn > FIRST_TURNS)
        return;
    run_point(test, mode, RUN_COUNT, at);
    tally(at, result);
    result->missed += !died_there();
}

static void sweep_record(const struct crash_case *test, enum crash_mode mode, struct crash_result *result)
{
    size_t stride = choose_stride(), further = 0;

    for (size_t i = 0; i < crash_record->count && result->failed < crash_limits.failures; i++) {
        if (is_chosen(&crash_record->point[i], mode, stride, &further))
            sweep_point(test, mode, i + 1, result);
    }
}

/* In the modes without a record: one point after the other, until a victim lives. */
static void sweep_on(const struct crash_case *test, enum crash_mode mode, struct crash_result *result)
{
    uint64_t stride = 1;

    if (mode == CRASH_TRACE && crash_limits.steps) /* n points cost half n * n steps */
        stride = result->instructions * result->instructions / (crash_limits.steps * 2) + 1;
    for (uint64_t at = 1; at < POINTS_MAX && result->failed < crash_limits.failures; at += stride) {
        run_point(test, mode, RUN_COUNT, at);
        tally(at, result);
        if (!died_there())
            break;
    }
}

static void sweep_one(const struct crash_case *test, enum crash_mode mode, uint64_t at, struct crash_result *result)
{
    if (steps_itself(mode) && at <= crash_record->count) {
        sweep_point(test, mode, at, result);
    } else {
        run_point(test, mode, RUN_COUNT, at);
        tally(at, result);
    }
}

void crash_sweep(const struct crash_case *test, enum crash_mode mode, uint64_t only, struct crash_result *ret_result)
{
    struct crash_result result = {0};
    int64_t begin = step_now();

    crash_board_make();
    if (rehearse(test, mode, &result)) {
        if (only)
            sweep_one(test, mode, only, &result);
        else if (steps_itself(mode))
            sweep_record(test, mode, &result);
        else
            sweep_on(test, mode, &result);
    }
    if (result.points == 0 && mode != CRASH_ASLEEP && !result.failed) {
        result.failed = 1;
        result.first = CRASH_BROKEN;
        snprintf(result.first_why, sizeof result.first_why, "no victim came to a kill point");
    }
    result.time = step_now() - begin;
    *ret_result = result;
}
