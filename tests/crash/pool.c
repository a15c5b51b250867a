/* pool.c - death in a pool: of a worker in its turns and items, of the keeper while it buries. */
#include "crew.h"
#include "pool/bury.h"
#include "whole.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define VICTIM 0 /* its place */

static void setup_map(void)
{
    crew_setup();
    crew_add(crew_run_small, CREW_MAP);
    crew_add(crew_run_small, 1);
}

static void setup_single(void)
{
    crew_setup();
    crew_add(crew_run_small, 1);
    crew_add(crew_run_small, CREW_MAP);
}

static void setup_posted(void)
{
    crew_setup();
    crew_add(crew_run_small, 1);
    crew_add(crew_run_large, 1);
}

static void setup_large(void)
{
    crew_setup();
    crew_add(crew_run_large, CREW_MAP);
}

static void setup_large_single(void)
{
    crew_setup();
    crew_add(crew_run_large, 1);
}

static void setup_told(void)
{
    crew_setup();
    crew_add(crew_run_told, CREW_MAP);
}

static void setup_told_single(void)
{
    crew_setup();
    crew_add(crew_run_told, 1);
}

static void setup_last_chunk(void)
{
    crew_setup();
    crew_add(crew_run_small, CREW_CHUNK);
}

/* Nobody wants its results: it goes through the list of finished jobs. */
static void setup_dropped(void)
{
    crew_setup();
    crew_add(crew_run_small, CREW_CHUNK);
    shoal_future_free(crew.futures[0]);
    crew.futures[0] = NULL;
}

static void setup_dropped_single(void)
{
    crew_setup();
    crew_add(crew_run_large, 1);
    shoal_future_free(crew.futures[0]);
    crew.futures[0] = NULL;
}

/* --- a worker --- */

static void prepare_worker(void)
{
    crew_come(VICTIM);
}

/* As an idle worker that looks at the posts. */
static void take_posted(void)
{
    sh_post_read(crew.shared, crew.shared->exhausted + 1, crew.shared->cancellations, &crew.posted);
    crew_take();
}

static void take_posted_and_run(void)
{
    take_posted();
    crew_run();
    take_posted();
}

static void prepare_taken(void)
{
    crew_come(VICTIM);
    crew_take();
}

static void prepare_run(void)
{
    prepare_taken();
    crew_run();
}

/* The map's last chunk has been run, with the next job behind it. */
static void prepare_last(void)
{
    crew_come(VICTIM);
    for (int i = 0; i < 3; i++) {
        crew_take();
        crew_run();
    }
}

/* What it has read of the first task is of before somebody cancelled something. */
static void prepare_stale_post(void)
{
    crew_come(VICTIM);
    sh_post_read(crew.shared, crew.shared->exhausted + 1, crew.shared->cancellations - 1, &crew.posted);
}

static void take_and_run(void)
{
    crew_take();
    crew_run();
}

static void run_and_take(void)
{
    crew_run();
    crew_take();
}

static void run_and_leave(void)
{
    crew_run();
    crew_leave();
}

/* Main, whose part this process plays for a moment, cancels what is left. */
static void cancel_rest(void)
{
    CRASH_UNLESS(CRASH_BROKEN, sh_turn_cancel(crew.shared, crew.futures[0]->index) > 0);
}

static void setup_cancelled(void)
{
    setup_map();
    cancel_rest();
    crew.is_cancelled = 1;
}

static void setup_to_cancel(void)
{
    setup_map();
    crew.is_cancelled = 1;
}

/* It has a chunk of a map of which the rest was cancelled; and has run it. */
static void prepare_taken_of_cancelled(void)
{
    prepare_taken();
    cancel_rest();
}

static void prepare_run_of_cancelled(void)
{
    prepare_taken_of_cancelled();
    crew_run();
}

/* --- a worker that is dead already --- */

static void die_in_item(void)
{
    pid_t child = fork();

    if (child == 0) {
        crew_come(CREW_OTHER);
        crew_take();
        crew_run();
        _exit(0);
    }
    CRASH_UNLESS(CRASH_BROKEN, child > 0 && waitpid(child, NULL, 0) == child);
}

static void bury_other(void)
{
    sh_bury_place(crew.shared, &crew.shared->worker[CREW_OTHER], (struct sh_item_loss){.code = 1});
}

static void setup_dead(void)
{
    crew_setup();
    crew_add(crew_run_half, CREW_MAP);
    die_in_item();
}

/* There is nothing but what the dead one had. */
static void setup_dead_alone(void)
{
    crew_setup();
    crew_add(crew_run_half, CREW_CHUNK);
    die_in_item();
}

static void setup_orphan(void)
{
    setup_dead();
    bury_other();
}

static void check(void)
{
    crew_check(1 + (crew.shared->worker[CREW_OTHER].pid != 0));
}

/* --- sleepers --- */

/* Wait for the first job as main does. */
static void sleep_for_job(unsigned index)
{
    struct sh_job *job = crew.futures[0]->job;

    (void)index;
    for (;;) {
        uint32_t seen = sh_word_prepare(&job->word, SH_WORD_DATA);
        if (sh_load_acquire(&job->life) & SH_JOB_DONE)
            break;
        sh_word_sleep(&job->word, seen, SH_WORD_DATA, INT64_MAX);
    }
    sh_word_forget();
}

static int due_job(unsigned index)
{
    (void)index;
    return (crew.futures[0]->job->life & SH_JOB_DONE) != 0;
}

/* What the dead one should have told is told by who stands in for it. */
static int never_due(unsigned index)
{
    (void)index;
    return 0;
}

static void rouse_by_work(void)
{
    crew_bury_all();
    crew_run_all();
}

static void rouse_by_burial(void)
{
    crew_bury_all();
    if (!due_job(0))
        crew_run_all();
}

/* Wait for work as an idle worker does. */
static void sleep_for_work(unsigned index)
{
    (void)index;
    for (;;) {
        uint32_t seen = sh_word_prepare(&crew.shared->idle, SH_WORD_DATA);
        if (sh_pool_has_work(crew.shared))
            break;
        sh_word_sleep(&crew.shared->idle, seen, SH_WORD_DATA, INT64_MAX);
    }
    sh_word_forget();
}

static void rouse_workers(void)
{
    sh_bury_alarm(crew.shared);
    if (!sh_pool_has_work(crew.shared))
        crew_add(crew_run_small, 1);
}

static const struct crash_case cases[] = {
    {"arrive", .setup = setup_map, .operation = prepare_worker, .check = check},
    {"take the first chunk", .setup = setup_map, .prepare = prepare_worker, .operation = crew_take, .check = check},
    {"retire a chunk and take the next", .setup = setup_map, .prepare = prepare_run, .operation = crew_take,
     .check = check},
    {"retire a map's last chunk", .setup = setup_map, .prepare = prepare_last, .operation = crew_take, .check = check},
    {"retire a map, one waits", .sleepers = 1, .setup = setup_last_chunk, .prepare = prepare_run,
     .operation = crew_take, .sleep = sleep_for_job, .due = never_due, .rouse = rouse_by_burial, .check = check},
    {"retire a map that nobody wants", .setup = setup_dropped, .prepare = prepare_run, .operation = crew_take,
     .check = check},
    {"run and retire a task that nobody wants", .setup = setup_dropped_single, .prepare = prepare_taken,
     .operation = run_and_take, .check = check},
    {"run a chunk", .setup = setup_map, .prepare = prepare_taken, .operation = crew_run, .check = check},
    {"run a chunk, results in blocks", .setup = setup_large, .prepare = prepare_taken, .operation = crew_run,
     .check = check},
    {"run a chunk that fails", .setup = setup_told, .prepare = prepare_taken, .operation = crew_run, .check = check},
    {"run a task", .setup = setup_single, .prepare = prepare_taken, .operation = run_and_take, .check = check},
    {"take a posted task and run it", .setup = setup_posted, .prepare = prepare_worker,
     .operation = take_posted_and_run, .check = check},
    {"take by a post that is not to be believed", .setup = setup_posted, .prepare = prepare_stale_post,
     .operation = take_and_run, .check = check},
    {"run a task, one waits", .sleepers = 1, .setup = setup_single, .prepare = prepare_taken, .operation = crew_run,
     .sleep = sleep_for_job, .due = due_job, .rouse = rouse_by_work, .check = check},
    {"run a task, result in a block", .setup = setup_large_single, .prepare = prepare_taken, .operation = run_and_take,
     .check = check},
    {"run a task that fails", .setup = setup_told_single, .prepare = prepare_taken, .operation = run_and_leave,
     .check = check},
    {"leave", .setup = setup_map, .prepare = prepare_run, .operation = crew_leave, .check = check},
    {"take an orphan", .setup = setup_orphan, .prepare = prepare_worker, .operation = crew_take, .check = check},
    {"retire a chunk and take an orphan", .setup = setup_orphan, .prepare = prepare_run, .operation = crew_take,
     .check = check},
    {"take behind what was cancelled", .setup = setup_cancelled, .prepare = prepare_worker, .operation = crew_take,
     .check = check},
    {"run a chunk of what was cancelled", .setup = setup_to_cancel, .prepare = prepare_taken_of_cancelled,
     .operation = run_and_take, .check = check},
    {"retire the last of a cancelled map", .setup = setup_to_cancel, .prepare = prepare_run_of_cancelled,
     .operation = crew_take, .check = check},
    {"bury", .setup = setup_dead, .operation = bury_other, .check = check},
    {"bury, a worker waits", .sleepers = 1, .setup = setup_dead_alone, .operation = bury_other, .sleep = sleep_for_work,
     .due = never_due, .rouse = rouse_workers, .check = check},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
