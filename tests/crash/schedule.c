/* schedule.c - which schedules a pair is run by, and the tally; the command line and the table. */
#include "baton.h"
#include "board.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define POINTS_MAX 4096 /* of one execution */
#define LOOKS 8         /* executions with one preemption by which writing instructions are found, for each beginner */
#define MOST_DEFAULT 60
#define RANDOM_DEFAULT 20

static struct options {
    const char *only; /* cases whose name contains this; NULL: all */
    const char *schedule;
    uint64_t most;   /* schedules with two preemptions, by chance, where there are more; 0: all */
    uint64_t random; /* with more */
    uint64_t seed;
    bool list, lines;
} options = {.most = MOST_DEFAULT, .random = RANDOM_DEFAULT, .seed = 1};

static const char *const end_names[BATON_END_COUNT] = {
    [BATON_PASS] = "pass", [BATON_KILL_HOLDER] = "kill", [BATON_KILL_OTHER] = "kill-other"};

/* A schedule as the command line has it: who begins, the points, what happens at the last. */
static void print_schedule(const struct baton_schedule *schedule, char *text, size_t size)
{
    int length = snprintf(text, size, "%u", schedule->first);

    for (unsigned i = 0; i < schedule->count; i++)
        length += snprintf(text + length, size - (size_t)length, ":%" PRIu64, schedule->at[i]);
    snprintf(text + length, size - (size_t)length, ":%s", end_names[schedule->end]);
}

static bool parse_schedule(const char *text, struct baton_schedule *schedule)
{
    char *end;

    *schedule = (struct baton_schedule){.first = (unsigned)strtoul(text, &end, 10)};
    while (*end == ':' && end[1] >= '0' && end[1] <= '9' && schedule->count < PAIR_PREEMPTIONS_MAX)
        schedule->at[schedule->count++] = strtoull(end + 1, &end, 10);
    for (int i = 0; i < BATON_END_COUNT; i++) {
        if (*end == ':' && strcmp(end + 1, end_names[i]) == 0)
            schedule->end = (enum baton_end)i;
    }
    return schedule->first < 2;
}

static void tally(struct pair_result *result)
{
    enum crash_verdict verdict = atomic_load(&crash_board->verdict);
    uint64_t points = atomic_load(&baton->points);
    bool killed = pair_died(0) || pair_died(1), late = atomic_load(&crash_board->late);

    result->runs++;
    result->kills += killed;
    result->verdicts[verdict]++;
    result->late += late;
    if (points > result->points)
        result->points = points;
    if (verdict == CRASH_HOLDS && (!late || (killed && baton->test->late_because)))
        return;
    if (result->failed++)
        return;
    result->first = verdict;
    print_schedule(&baton->schedule, result->first_schedule, sizeof result->first_schedule);
    memcpy(result->first_pc, baton->pc, sizeof result->first_pc);
    if (verdict == CRASH_HOLDS)
        snprintf(result->first_why, sizeof result->first_why, "woken by nothing but the backstop: %s",
                 crash_board->late_why);
    else
        snprintf(result->first_why, sizeof result->first_why, "%s", crash_board->why);
}

/* Run one schedule. Returns how many points the execution had; 0 where a preemption had no effect, or it failed. */
static uint64_t run(enum baton_run how, const struct baton_schedule *schedule, struct pair_result *result)
{
    baton_hear(); /* what was left over */
    baton->run = how;
    baton->schedule = *schedule;
    atomic_store(&baton->holder, BATON_AGENT);
    atomic_store(&baton->points, 0);
    atomic_store(&baton->passed, 0);
    atomic_store(&baton->killing, 0);
    memset(baton->process, 0, sizeof baton->process);
    memset(baton->pc, 0, sizeof baton->pc);
    crash_board_clear();
    crash_run(pair_agent);
    tally(result);
    uint64_t points = atomic_load(&baton->points);
    return schedule->count && !atomic_load(&baton->passed) ? 0 : points < POINTS_MAX ? points : POINTS_MAX - 1;
}

static uint64_t run_one(unsigned first, uint64_t at, enum baton_end end, struct pair_result *result)
{
    return run(BATON_RUN, &(struct baton_schedule){.first = first, .count = at > 0, .at = {at}, .end = end}, result);
}

static void run_two(unsigned first, uint64_t one, uint64_t two, enum baton_end end, struct pair_result *result)
{
    run(BATON_RUN, &(struct baton_schedule){.first = first, .count = 2, .at = {one, two}, .end = end}, result);
}

static void add_pages(const struct step_pages *found)
{
    struct step_pages *all = &baton->pages;

    for (size_t i = 0; i < found->count; i++) {
        size_t known = 0;
        while (known < all->count && all->page[known] != found->page[i])
            known++;
        if (known == all->count && all->count < STEP_PAGES_MAX)
            all->page[all->count++] = found->page[i];
    }
}

/* Find out what the two write: by executions one after the other, then by some with one preemption, which come by where
 * each meets the other. */
static void rehearse(struct pair_result *result)
{
    struct baton_schedule schedule = {0};

    baton->pages.count = 0;
    memset(baton->writer, 0, sizeof baton->writer);
    for (schedule.first = 0; schedule.first < 2; schedule.first++) {
        run(BATON_FIND_PAGES, &schedule, result);
        add_pages(&baton->found[0]);
        add_pages(&baton->found[1]);
    }
    for (schedule.first = 0; schedule.first < 2; schedule.first++) {
        schedule.count = 0;
        uint64_t points = run(BATON_FIND_WRITERS, &schedule, result);
        schedule.count = 1;
        for (uint64_t i = 1; i <= LOOKS && !result->failed; i++) {
            schedule.at[0] = points * i / (LOOKS + 1) + 1;
            run(BATON_FIND_WRITERS, &schedule, result);
        }
    }
}

/* How many points the executions with one preemption have, by who begins and where it is. */
static uint64_t length[2][POINTS_MAX];

static bool goes_on(const struct pair_result *result)
{
    return result->failed < crash_limits.failures;
}

/* All schedules with one preemption, or with one kill. */
static void run_ones(struct pair_result *result)
{
    memset(length, 0, sizeof length);
    for (unsigned first = 0; first < 2; first++) {
        uint64_t points = run_one(first, 0, BATON_PASS, result);
        for (uint64_t at = 1; at <= points && goes_on(result); at++) {
            length[first][at] = run_one(first, at, BATON_PASS, result);
            run_one(first, at, BATON_KILL_HOLDER, result);
        }
    }
}

/* Schedules with two preemptions, the second of which may be a kill, are numbered. Run number n, or all where n is
 * UINT64_MAX; returns how many there are. */
static uint64_t run_number(uint64_t n, struct pair_result *result)
{
    uint64_t count = 0;

    for (unsigned first = 0; first < 2; first++) {
        for (uint64_t one = 1; one < POINTS_MAX; one++) {
            uint64_t here = length[first][one] > one ? (length[first][one] - one) * BATON_END_COUNT : 0;
            if (n >= count && n < count + here)
                run_two(first, one, one + 1 + (n - count) / BATON_END_COUNT,
                        (enum baton_end)((n - count) % BATON_END_COUNT), result);
            count += here;
        }
    }
    return count;
}

static uint64_t chance(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void run_twos(uint64_t *state, struct pair_result *result)
{
    uint64_t count = run_number(UINT64_MAX, result);
    bool all = options.most == 0 || count <= options.most;

    result->possible = result->runs + count;
    for (uint64_t i = 0; i < (all ? count : options.most) && goes_on(result); i++)
        run_number(all ? i : chance(state) % count, result);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Three preemptions and more, of which the last may be a kill, anywhere. */
static void run_random(uint64_t *state, struct pair_result *result)
{
    for (uint64_t i = 0; i < options.random && goes_on(result); i++) {
        struct baton_schedule schedule = {.first = (unsigned)(chance(state) % 2),
                                          .count = 3 + (unsigned)(chance(state) % (PAIR_PREEMPTIONS_MAX - 2)),
                                          .end = (enum baton_end)(chance(state) % BATON_END_COUNT)};
        for (unsigned j = 0; j < schedule.count; j++)
            schedule.at[j] = 1 + chance(state) % result->points;
        qsort(schedule.at, schedule.count, sizeof schedule.at[0], compare);
        run(BATON_RUN, &schedule, result);
    }
}

static void prepare_board(void)
{
    if (baton)
        return;
    crash_board_make();
    baton = crash_share(sizeof *baton);
    baton->to_agent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (baton->to_agent < 0) {
        perror("eventfd");
        exit(1);
    }
}

void pair_explore(const struct pair_case *test, struct pair_result *ret_result)
{
    struct pair_result rehearsal = {0}, result = {0};
    uint64_t state = options.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    struct baton_schedule schedule;
    int64_t begin = step_now();

    prepare_board();
    baton->test = test;
    rehearse(&rehearsal);
    if (rehearsal.failed) {
        result = rehearsal;
    } else if (options.schedule) {
        if (parse_schedule(options.schedule, &schedule))
            run(BATON_RUN, &schedule, &result);
    } else {
        run_ones(&result);
        run_twos(&state, &result);
        run_random(&state, &result);
    }
    result.time = step_now() - begin;
    *ret_result = result;
}

static void print_failure(const char *program, const struct pair_case *test, const struct pair_result *result)
{
    printf("    %s: %s (%" PRIu64 " failed)\n", crash_verdict_name(result->first), result->first_why, result->failed);
    printf("    addr2line -pfie %s", program);
    for (unsigned i = 0; i < PAIR_PREEMPTIONS_MAX && result->first_pc[i]; i++)
        printf(" 0x%" PRIxPTR, result->first_pc[i] - step_base());
    printf("\n    %s --case '%s' --schedule %s\n", program, test->name, result->first_schedule);
}

static void print_result(const struct pair_case *test, const struct pair_result *result)
{
    printf("%-44s %6" PRIu64 " %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %5" PRIu64 " %5" PRIu64 " %6" PRIu64 " %5" PRIu64
           " %7.2f\n",
           test->name, result->points, result->runs, result->possible, result->kills, result->verdicts[CRASH_STUCK],
           result->verdicts[CRASH_TORN], result->verdicts[CRASH_LEAKED], result->late, (double)result->time / 1e9);
    if (result->late && test->late_because)
        printf("    late where %s\n", test->late_because);
}

/* For programs: operations, points, schedules, how many with up to two preemptions there are, kills, stuck, torn,
 * leaked, late, broken, and why it may be late. */
static void print_line(const struct pair_case *test, const struct pair_result *result)
{
    printf("pair\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64, test->name, result->points, result->runs,
           result->possible, result->kills);
    printf("\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s\n", result->verdicts[CRASH_STUCK],
           result->verdicts[CRASH_TORN], result->verdicts[CRASH_LEAKED], result->late, result->verdicts[CRASH_BROKEN],
           result->late && test->late_because ? test->late_because : "");
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            options.list = true;
        else if (strcmp(argv[i], "--lines") == 0)
            options.lines = true;
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--case") == 0)
            options.only = argv[++i];
        else if (strcmp(argv[i], "--schedule") == 0)
            options.schedule = argv[++i];
        else if (strcmp(argv[i], "--most") == 0)
            options.most = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--random") == 0)
            options.random = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            options.seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--case TEXT] [--most N] [--random N] [--seed N] [--schedule FIRST:POINT...:END] [--lines] "
            "[--list]\n"
            "Runs two processes in steps, by all schedules with one preemption or one kill, by at most N, picked by\n"
            "chance, of those with two (--most 0: all), and by N random ones with more.\n",
            program);
    return 2;
}

int pair_main(int argc, char **argv, const struct pair_case *cases, size_t count)
{
    unsigned passed = 0, failed = 0;

    if (!parse(argc, argv))
        return usage(argv[0]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!STEP_SUPPORTED) {
        printf("needs the trap flag of x86-64\n");
        return 77;
    }
    if (!options.list && !options.lines)
        printf("seed %" PRIu64 "\n%-44s %6s %9s %9s %7s %5s %5s %6s %5s %7s\n", options.seed, "operations", "points",
               "schedules", "of", "kills", "stuck", "torn", "leaked", "late", "s");
    for (size_t i = 0; i < count; i++) {
        struct pair_result result;
        if (options.only && !strstr(cases[i].name, options.only))
            continue;
        if (options.list) {
            puts(cases[i].name);
            continue;
        }
        pair_explore(&cases[i], &result);
        if (options.lines)
            print_line(&cases[i], &result);
        else
            print_result(&cases[i], &result);
        if (result.failed && !options.lines)
            print_failure(argv[0], &cases[i], &result);
        *(result.failed ? &failed : &passed) += 1;
    }
    if (!options.list && !options.lines)
        printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
