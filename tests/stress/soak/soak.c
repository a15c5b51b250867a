/* soak.c - a family of processes that do random operations on all nouns for as long as SOAK_SECONDS of the environment
 * says, while a controller kills, stops and continues them at random; and a ledger of what has to have come of it.
 *
 * The time is cut into rounds. At the end of each all processes end, what is left in the queues is taken out, and the
 * ledger is judged: each message that was put was got once, whole and in order, or is explained by a death in a get;
 * signals balance; locks and permits were held by as many as may. Objects live on from round to round, so that what
 * leaks or wears out shows: memory, descriptors, blocks and members are looked at after each. */
#include "soak.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "report.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUND_SECONDS = 4, SHORT_SECONDS = 12, STUCK_SECONDS = 20, SIGNALS = 20 };

struct ledger *ledger;
struct stage stage;
static struct report report;
static uint64_t seed;

/* An actor as its controller sees it. */
struct seat {
    pid_t pid;
    int64_t continues; /* stopped until then; 0: it runs */
    uint64_t done;     /* as it was last seen to have moved, and when that was */
    int64_t moved;
    uint64_t deaths;
};

static struct seat seats[ACTORS];
static uint64_t may_be_lost[QUEUES]; /* in this round, by deaths in a get */

static void open_stage(void)
{
    struct shoal_queue_options bounds[QUEUES] = {{SHOAL_OPTIONS(shoal_queue), .max_items = 50},
                                                 {SHOAL_OPTIONS(shoal_queue), .max_bytes = 500000},
                                                 {SHOAL_OPTIONS(shoal_queue)}};
    struct shoal_lock_options kinds[LOCKS] = {{SHOAL_OPTIONS(shoal_lock)},
                                              {SHOAL_OPTIONS(shoal_lock), .flags = SHOAL_LOCK_ANY_RELEASE},
                                              {SHOAL_OPTIONS(shoal_lock), .flags = SHOAL_LOCK_RECURSIVE},
                                              {SHOAL_OPTIONS(shoal_lock)}};

    for (int i = 0; i < QUEUES; i++)
        CHECK_OK(shoal_queue_open(&bounds[i], &stage.queue[i]));
    CHECK_OK(
        shoal_queue_open(&(struct shoal_queue_options){SHOAL_OPTIONS(shoal_queue), .max_items = 20}, &stage.letters));
    for (int i = 0; i < LOCKS; i++)
        CHECK_OK(shoal_lock_open(&kinds[i], &stage.lock[i]));
    CHECK_OK(
        shoal_semaphore_open(&(struct shoal_semaphore_options){SHOAL_OPTIONS(shoal_semaphore),
                                                               .flags = SHOAL_SEMAPHORE_OWNED, .value = MOST_PLACES},
                             &stage.permits));
    CHECK_OK(shoal_semaphore_open(&(struct shoal_semaphore_options){SHOAL_OPTIONS(shoal_semaphore), .value = SIGNALS},
                                  &stage.signals));
    CHECK_OK(shoal_condition_open(&stage.condition));
    CHECK_OK(shoal_event_open(&stage.event));
    CHECK_OK(shoal_event_open(&stage.over));
    CHECK_OK(shoal_barrier_open(2, &stage.barrier));
}

static void close_stage(void)
{
    for (int i = 0; i < QUEUES; i++)
        shoal_queue_free(stage.queue[i]);
    shoal_queue_free(stage.letters);
    for (int i = 0; i < LOCKS; i++)
        shoal_lock_free(stage.lock[i]);
    shoal_semaphore_free(stage.permits);
    shoal_semaphore_free(stage.signals);
    shoal_condition_free(stage.condition);
    shoal_event_free(stage.event);
    shoal_event_free(stage.over);
    shoal_barrier_free(stage.barrier);
}

/* --- chaos --- */

static void start_actor(int i)
{
    uint64_t own_seed = test_random(&seed);

    CHILD(seats[i].pid) {
        act(&ledger->desk[i], own_seed, UINT64_MAX);
    }
    seats[i].moved = test_now();
    seats[i].continues = 0;
}

/* What the death of who sat here leaves unexplained otherwise. */
static void note_death(struct desk *desk)
{
    uint64_t lost = desk->may_lose;

    if (desk->stopped)
        kill(desk->stopped, SIGCONT);
    desk->stopped = 0;
    may_be_lost[lost >> 32] += (uint32_t)lost;
    desk->may_lose = 0;
    report.in_doubt += desk->doubt != 0;
    report.killed_in[desk->operation]++;
}

static void kill_actor(int i)
{
    CHECK_SYS(kill(seats[i].pid, SIGKILL));
    CHECK_KILLED(seats[i].pid, SIGKILL);
    note_death(&ledger->desk[i]);
    report.kills++;
    seats[i].deaths++;
}

static uint64_t done_by(const struct desk *desk)
{
    uint64_t sum = desk->tried;

    for (int i = 0; i < OP_COUNT; i++)
        sum += desk->done[i];
    return sum;
}

/* Let go on who has been stopped long enough; see that all others move. */
static void look_after(int i)
{
    struct seat *seat = &seats[i];
    uint64_t done = done_by(&ledger->desk[i]);
    int64_t now = test_now();

    if (seat->continues && now >= seat->continues) {
        CHECK_SYS(kill(seat->pid, SIGCONT));
        seat->continues = 0;
        seat->moved = now;
    }
    if (seat->continues || done != seat->done)
        seat->moved = now;
    seat->done = done;
    if (now - seat->moved > test_time(STUCK_SECONDS))
        FAIL("process %d has been in %s for %d seconds", (int)seat->pid, report_name(ledger->desk[i].operation),
             STUCK_SECONDS);
}

static void disturb(int i)
{
    if (test_random_below(&seed, 3) == 0) {
        CHECK_SYS(kill(seats[i].pid, SIGSTOP));
        seats[i].continues = test_now() + (int64_t)test_random_below(&seed, 50000000);
        report.stops++;
    } else {
        kill_actor(i);
        start_actor(i);
    }
}

static void rage(int64_t end)
{
    while (test_now() < end) {
        usleep((useconds_t)test_random_below(&seed, 20000));
        disturb((int)test_random_below(&seed, ACTORS));
        for (int i = 0; i < ACTORS; i++)
            look_after(i);
    }
}

/* What those who were killed had started is this process's now: in an hour it would fill the table of processes. */
static void reap_orphans(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}

/* All end: of themselves, the guests that nobody waits for too. */
static void end_round(void)
{
    struct shoal_arena_stats stats;

    ledger->is_over = 1;
    CHECK_OK(shoal_event_set(stage.over));
    for (int i = 0; i < ACTORS; i++)
        CHECK_SYS(kill(seats[i].pid, SIGCONT)); /* one that is stopped may hold what another waits for */
    for (int i = 0; i < ACTORS; i++) {
        int64_t limit = test_now() + test_time(STUCK_SECONDS);
        int status;
        pid_t r;
        while ((r = (pid_t)CHECK_SYS(waitpid(seats[i].pid, &status, WNOHANG))) == 0) {
            if (test_now() > limit)
                FAIL("process %d does not come out of %s", (int)seats[i].pid, report_name(ledger->desk[i].operation));
            test_nap();
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            FAIL("process %d ended by status %x in %s", (int)r, (unsigned)status,
                 report_name(ledger->desk[i].operation));
    }
    AWAIT((sh_reclaim_wait(), shoal_arena_stats(&stats)) == 0 && stats.processes == 1);
    reap_orphans();
    CHECK_OK(shoal_event_clear(stage.over));
}

/* --- judgement --- */

static void judge_messages(void)
{
    uint64_t lost[QUEUES] = {0};

    for (int d = 0; d < DESKS; d++) {
        struct desk *desk = &ledger->desk[d];
        uint64_t unknown = 0, deaths = d < ACTORS ? seats[d].deaths : 1;
        for (uint64_t n = 1; n <= desk->tried; n++) {
            int put = desk->put[n], got = ledger->got[d][n];
            CHECK_LE(got, 1);
            unknown += put == MESSAGE_TRIED;
            report.sent += put >= FIRST_QUEUE;
            report.got += (uint64_t)got;
            report.unsaid += put == MESSAGE_TRIED && got;
            if (put == MESSAGE_REFUSED && got)
                FAIL("message %llu of desk %d came, though its put said that it was not put", (unsigned long long)n, d);
            if (put >= FIRST_QUEUE && !got)
                lost[put - FIRST_QUEUE]++;
        }
        CHECK_LE(unknown, deaths * MOST_AT_ONCE);
        report.unknown += unknown;
    }
    for (int q = 0; q < QUEUES; q++) {
        CHECK_LE(lost[q], may_be_lost[q]);
        report.lost += lost[q];
        report.may_be_lost += may_be_lost[q];
    }
}

/* The permits have come back, and the signals are as many as were given and not taken. */
static void judge_semaphores(void)
{
    static uint64_t given = SIGNALS, taken;
    uint32_t permits, signals;

    for (int d = 0; d < DESKS; d++) {
        given += ledger->desk[d].released;
        taken += ledger->desk[d].taken;
        report.told += ledger->desk[d].told;
    }
    CHECK_OK(shoal_semaphore_value(stage.permits, &permits));
    CHECK_EQ(permits, MOST_PLACES);
    CHECK_OK(shoal_semaphore_value(stage.signals, &signals));
    int64_t difference = (int64_t)signals - (int64_t)(given - taken);
    CHECK_LE(llabs(difference), report.in_doubt);
}

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -3; /* "." and "..", and this one */

    CHECK(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* Kilobytes that this process has in memory of its own. */
static uint64_t own_memory(void)
{
    unsigned long long size, resident, shared;
    FILE *file = fopen("/proc/self/statm", "re");

    CHECK(file && fscanf(file, "%llu %llu %llu", &size, &resident, &shared) == 3);
    fclose(file);
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* Blocks that are there when nothing is in use: an object's own, and what it keeps to go on with. */
static void judge_arena(void)
{
    struct shoal_arena_stats stats;

    if (sh_arena_check() < 0)
        FAIL("%s", sh_check_note);
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&stats));
    CHECK_EQ(stats.objects, QUEUES + 1 + LOCKS + 6);
    CHECK_LE(stats.blocks, stats.objects + QUEUES + 1);
    report_sample(&report, &stats, own_memory(), count_descriptors());
    report.reclaimed = stats.reclaimed;
    report.deaths = stats.deaths;
}

static void empty_letters(void)
{
    shoal_ref ref;

    while (shoal_queue_get(stage.letters, &ref, sizeof ref, 0) >= 0)
        continue;
}

static void play_round(int64_t end)
{
    int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;

    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(ledger != MAP_FAILED);
    memset(may_be_lost, 0, sizeof may_be_lost);
    for (int i = 0; i < ACTORS; i++) {
        seats[i] = (struct seat){0};
        start_actor(i);
    }
    rage(end);
    end_round();
    for (int d = ACTORS; d < DESKS; d++)
        if (ledger->desk[d].operation != OP_NONE)
            note_death(&ledger->desk[d]);
    for (int q = 0; q < QUEUES; q++)
        report.left += drain(q);
    empty_letters();
    judge_messages();
    judge_semaphores();
    report_add(&report);
    judge_arena();
    CHECK_SYS(munmap(ledger, sizeof *ledger));
}

TEST_WITHIN(10000, a_family_survives_random_kills_of_all_who_do_anything)
{
    const char *text = getenv("SOAK_SECONDS");
    int64_t seconds = text ? atoll(text) : SHORT_SECONDS, begin = test_now(), next_lines = begin + SHOAL_SECONDS(60);
    struct shoal_arena_stats before, after;

    seed = report.seed = test_seed();
    CHECK_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1));
    CHECK_OK(sh_arena_enter());
    CHECK_OK(shoal_arena_stats(&before));
    open_stage();
    while (test_now() - begin < SHOAL_SECONDS(seconds)) {
        play_round(test_now() + SHOAL_SECONDS(ROUND_SECONDS));
        report.seconds = (test_now() - begin) / SHOAL_SECONDS(1);
        if (test_now() > next_lines) {
            report_line(&report);
            next_lines += SHOAL_SECONDS(60);
        }
    }
    report_print(&report);
    report_check_flat(&report);
    close_stage();
    sh_block_flush();
    CHECK_OK(shoal_arena_stats(&after));
    CHECK_EQ(after.blocks, before.blocks);
}
