/* pair_pool.c - two of a pool's processes at the same time: workers that take, run and retire, main that submits and
 * cancels, the keeper that buries. */
#include "crew.h"
#include "pair.h"
#include "pool/bury.h"
#include "whole.h"

#include <sys/wait.h>
#include <unistd.h>

#define FIRST 0 /* places of the two processes; the agent has the next, a dead worker the last */
#define SECOND 1

static void come(void)
{
    crew_come(pair_self() ? SECOND : FIRST);
}

static void come_and_take(void)
{
    come();
    crew_take();
}

static void come_and_run(void)
{
    come_and_take();
    crew_run();
}

static void take_and_run(void)
{
    crew_take();
    if (crew.claim)
        crew_run();
}

static void run_and_take(void)
{
    crew_run();
    crew_take();
}

static void leave(void)
{
    crew_leave();
}

static void cancel(void)
{
    sh_turn_cancel(crew.shared, crew.futures[0]->index);
}

static void bury_other(void)
{
    sh_bury_place(crew.shared, &crew.shared->worker[CREW_OTHER], (struct sh_item_loss){.code = 1});
}

static void setup_map(void)
{
    crew_setup();
    crew.is_cancelled = 0;
    crew_add(crew_run_small, CREW_MAP);
    crew_add(crew_run_small, 1);
}

static void setup_singles(void)
{
    crew_setup();
    crew.is_cancelled = 0;
    crew_add(crew_run_small, 1);
    crew_add(crew_run_small, 1);
}

static void setup_to_cancel(void)
{
    setup_map();
    crew.is_cancelled = 1;
}

static void setup_dead(void)
{
    crew_setup();
    crew.is_cancelled = 0;
    crew_add(crew_run_half, CREW_MAP);
    pid_t child = fork();
    if (child == 0) {
        crew_come(CREW_OTHER);
        crew_take();
        crew_run();
        _exit(0);
    }
    CRASH_UNLESS(CRASH_BROKEN, child > 0 && waitpid(child, NULL, 0) == child);
}

/* As many items are lost as workers died, at most; who ended without leaving has its last chunk retired by burial. */
static void check(void)
{
    crew_check(pair_died(0) + pair_died(1) + (crew.shared->worker[CREW_OTHER].pid != 0));
}

/* Where main dies while it cancels, the pool goes with it, as future.c checks: here, workers that are still there come
 * to the end of what is left. */
static void check_cancelled(void)
{
    if (!pair_died(0)) {
        check();
        return;
    }
    crew_bury_all();
    crew_run_all();
}

#define BOTH(x)                                                                                                        \
    {                                                                                                                  \
        x, x                                                                                                           \
    }

static const struct pair_case cases[] = {
    {"take and run | the same", .setup = setup_map, .prepare = BOTH(come), .operation = BOTH(take_and_run),
     .check = check},
    {"take and run | the same, tasks", .setup = setup_singles, .prepare = BOTH(come), .operation = BOTH(take_and_run),
     .check = check},
    {"run, retire, take | the same", .setup = setup_map, .prepare = BOTH(come_and_take),
     .operation = BOTH(run_and_take), .check = check},
    {"retire, take | leave", .setup = setup_map, .prepare = BOTH(come_and_run), .operation = {crew_take, leave},
     .check = check},
    {"cancel | take and run", .setup = setup_to_cancel, .prepare = {NULL, come}, .operation = {cancel, take_and_run},
     .check = check_cancelled},
    {"cancel | run, retire, take", .setup = setup_to_cancel, .prepare = {NULL, come_and_take},
     .operation = {cancel, run_and_take}, .check = check_cancelled},
    {"bury | take and run", .setup = setup_dead, .prepare = {NULL, come}, .operation = {bury_other, take_and_run},
     .check = check},
    {"bury | bury", .setup = setup_dead, .operation = BOTH(bury_other), .check = check},
    {"arrive | take and run", .setup = setup_map, .prepare = {NULL, come}, .operation = {come, take_and_run},
     .check = check},
};

int main(int argc, char **argv)
{
    return pair_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
