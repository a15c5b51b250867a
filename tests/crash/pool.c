/* pool.c - death in a pool: of a worker in its turns and items, of the keeper while it buries, of main while it
 * submits, cancels and frees. The processes are played: nobody is there but the victim, the agent, and who sleeps. */
#include "pool/pool.h"

#include "arena/block.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "pool/bury.h"
#include "pool/run.h"
#include "pool/submit.h"
#include "pool/wait.h"
#include "whole.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAP 10  /* items of the map */
#define CHUNK 4 /* of it */
#define LARGE 300
#define VICTIM 0 /* places */
#define AGENT 1
#define OTHER 2 /* of a worker that is dead already */
#define FUTURES 4

struct ledger {
    _Atomic int runs[FUTURES][MAP]; /* how often an item was begun */
    _Atomic int submitted;          /* so many of the victim's submissions have returned */
    shoal_ref pool;                 /* where the victim is main */
};

static shoal_pool *pool;
static struct sh_pool_shared *shared;
static struct ledger *ledger;
static shoal_future *futures[FUTURES];
static int count;        /* of them */
static int is_cancelled; /* what of the first job nobody had taken */
static struct shoal_task worker;
static struct sh_claim *claim;
static struct sh_posted posted;
static const char buffer[MAP * LARGE];

/* --- tasks: their first bytes say which future they belong to --- */

static void note_run(shoal_task *task)
{
    ledger->runs[*(const int *)(const void *)task->data][task->item]++;
}

static int run_small(shoal_task *task)
{
    int result = 1000 + (int)task->item;

    note_run(task);
    return shoal_task_return(task, &result, sizeof result);
}

static int run_large(shoal_task *task)
{
    int result[LARGE / sizeof(int)];

    note_run(task);
    for (size_t i = 0; i < sizeof result / sizeof *result; i++)
        result[i] = 1000 + (int)task->item;
    return shoal_task_return(task, result, sizeof result);
}

static int run_told(shoal_task *task)
{
    note_run(task);
    return shoal_task_fail(task, -EDOM, "item %d", (int)task->item);
}

/* Dies in the second item of its chunk. */
static int run_half(shoal_task *task)
{
    if (getpid() == task->pid && task->place == &shared->worker[OTHER] && task->item % CHUNK == 1) {
        note_run(task);
        _exit(1);
    }
    return run_small(task);
}

/* --- main --- */

static void open_pool(void)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = 3};

    CRASH_EQ(CRASH_BROKEN, sh_pool_create(&options, &pool), 0);
    shared = pool->shared;
}

static int submit(shoal_task_function *function, size_t items)
{
    int data[MAP];
    struct sh_submission submission = {
        .function = function, .items = data, .size = sizeof *data, .count = items, .chunk = CHUNK};

    for (size_t i = 0; i < items; i++)
        data[i] = count;
    return sh_submit(pool, &submission, &futures[count]);
}

static void add(shoal_task_function *function, size_t items)
{
    CRASH_EQ(CRASH_BROKEN, submit(function, items), 0);
    count++;
}

static void setup_pool(void)
{
    whole_open();
    whole_note();
    ledger = crash_ledger();
    count = 0;
    open_pool();
}

static void setup_map(void)
{
    setup_pool();
    add(run_small, MAP);
    add(run_small, 1);
}

static void setup_single(void)
{
    setup_pool();
    add(run_small, 1);
    add(run_small, MAP);
}

static void setup_posted(void)
{
    setup_pool();
    add(run_small, 1);
    add(run_large, 1);
}

static void setup_large(void)
{
    setup_pool();
    add(run_large, MAP);
}

static void setup_large_single(void)
{
    setup_pool();
    add(run_large, 1);
}

static void setup_told(void)
{
    setup_pool();
    add(run_told, MAP);
}

static void setup_told_single(void)
{
    setup_pool();
    add(run_told, 1);
}

static void setup_last_chunk(void)
{
    setup_pool();
    add(run_small, CHUNK);
}

/* Nobody wants its results: it goes through the list of finished jobs. */
static void setup_dropped(void)
{
    setup_pool();
    add(run_small, CHUNK);
    shoal_future_free(futures[0]);
    futures[0] = NULL;
}

static void setup_dropped_single(void)
{
    setup_pool();
    add(run_large, 1);
    shoal_future_free(futures[0]);
    futures[0] = NULL;
}

/* --- a worker --- */

static void come(uint32_t place)
{
    struct sh_claim *left;

    CRASH_EQ(CRASH_BROKEN, sh_arena_enter(), 0);
    worker = (struct shoal_task){
        .pool = shared, .place = &shared->worker[place], .pid = getpid(), .epoch = sh_thread_process_epoch()};
    sh_store_relaxed(&worker.place->tag, sh_member_tag());
    sh_store_relaxed(&worker.place->pid, getpid());
    sh_store_relaxed(&worker.place->state, SH_WORKER_STARTING);
    CRASH_EQ(CRASH_BROKEN, sh_turn_arrive(shared, worker.place, 0, &left), 0);
    claim = left;
}

static void prepare_worker(void)
{
    come(VICTIM);
}

static void take(void)
{
    claim = sh_turn_take(shared, worker.place, &posted);
}

static void run(void)
{
    sh_run_claim(&worker, claim, posted.number ? &posted : NULL);
}

/* As an idle worker that looks at the posts. */
static void take_posted(void)
{
    sh_post_read(shared, shared->exhausted + 1, shared->cancellations, &posted);
    take();
}

static void take_posted_and_run(void)
{
    take_posted();
    run();
    take_posted();
}

static void leave(void)
{
    sh_turn_leave(shared, worker.place);
}

static void prepare_taken(void)
{
    come(VICTIM);
    take();
}

static void prepare_run(void)
{
    prepare_taken();
    run();
}

/* The map's last chunk has been run, with the next job behind it. */
static void prepare_last(void)
{
    come(VICTIM);
    for (int i = 0; i < 3; i++) {
        take();
        run();
    }
}

/* What it has read of the first task is of before somebody cancelled something. */
static void prepare_stale_post(void)
{
    come(VICTIM);
    sh_post_read(shared, shared->exhausted + 1, shared->cancellations - 1, &posted);
}

static void take_and_run(void)
{
    take();
    run();
}

static void run_and_take(void)
{
    run();
    take();
}

static void run_and_leave(void)
{
    run();
    leave();
}

/* Main, whose part this process plays for a moment, cancels what is left. */
static void cancel_rest(void)
{
    CRASH_UNLESS(CRASH_BROKEN, sh_turn_cancel(shared, futures[0]->index) > 0);
}

static void setup_cancelled(void)
{
    setup_map();
    cancel_rest();
    is_cancelled = 1;
}

static void setup_to_cancel(void)
{
    setup_map();
    is_cancelled = 1;
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
    run();
}

/* --- a worker that is dead already --- */

static void die_in_item(void)
{
    pid_t child = fork();

    if (child == 0) {
        come(OTHER);
        take();
        run();
        _exit(0);
    }
    CRASH_UNLESS(CRASH_BROKEN, child > 0 && waitpid(child, NULL, 0) == child);
}

static void bury_other(void)
{
    sh_bury_place(shared, &shared->worker[OTHER], (struct sh_item_loss){.code = 1});
}

static void setup_dead(void)
{
    setup_pool();
    add(run_half, MAP);
    die_in_item();
}

/* There is nothing but what the dead one had. */
static void setup_dead_alone(void)
{
    setup_pool();
    add(run_half, CHUNK);
    die_in_item();
}

static void setup_orphan(void)
{
    setup_dead();
    bury_other();
}

/* --- the agent, when the victim is dead --- */

static void bury_all(void)
{
    for (uint32_t i = 0; i < shared->workers; i++)
        if (shared->worker[i].state != SH_WORKER_NONE)
            sh_bury_place(shared, &shared->worker[i], (struct sh_item_loss){.signal = SIGKILL});
}

static void run_all(void)
{
    come(AGENT);
    while (claim || (claim = sh_turn_take(shared, worker.place, &posted))) {
        run();
        claim = NULL;
    }
    leave();
}

static void check_result(int index, uint64_t item, const struct shoal_bytes *result)
{
    const int *values = result->data;

    CRASH_UNLESS(CRASH_TORN, result->size == sizeof(int) || result->size == LARGE);
    for (size_t i = 0; i < result->size / sizeof(int); i++)
        CRASH_EQ(CRASH_TORN, values[i], 1000 + (int)item);
    CRASH_EQ(CRASH_TORN, ledger->runs[index][item], 1);
}

/* Each item ended once: with its result, or lost; lost is at most one for each worker that died. */
static int check_future(int index)
{
    shoal_future *future = futures[index];
    uint64_t done, items;
    int lost = 0;

    CRASH_UNLESS(CRASH_STUCK, shoal_future_ready(future) == 1);
    CRASH_EQ(CRASH_TORN, shoal_future_progress(future, &done, &items), 0);
    for (uint64_t i = 0; i < items; i++) {
        struct shoal_task_error error;
        struct shoal_bytes result;
        int r = shoal_future_result(future, i, &result, 0);
        if (r == 0) {
            check_result(index, i, &result);
            continue;
        }
        CRASH_EQ(CRASH_TORN, shoal_future_error(future, i, &error), 0);
        if (r == -ECANCELED) {
            CRASH_UNLESS(CRASH_TORN, is_cancelled && index == 0 && ledger->runs[index][i] == 0);
            continue;
        }
        CRASH_UNLESS(CRASH_TORN, ledger->runs[index][i] <= 1);
        CRASH_UNLESS(CRASH_TORN, r == -ECHILD || r == -EDOM);
        lost += r == -ECHILD;
        if (r == -EDOM)
            CRASH_UNLESS(CRASH_TORN, strncmp(error.message, "item ", 5) == 0);
    }
    shoal_future_free(future);
    return lost;
}

static void check_pool(void)
{
    if (sh_pool_check(&shared->object) < 0)
        crash_fail(CRASH_TORN, "%s", sh_check_note);
}

static int count_lost(void)
{
    int lost = 0;

    for (uint32_t i = 0; i < shared->workers; i++)
        lost += (int)(uint32_t)shared->worker[i].lost;
    return lost;
}

static void check(void)
{
    int lost = 0, is_wanted = futures[0] != NULL, dead = 1 + (shared->worker[OTHER].pid != 0);

    bury_all();
    check_pool();
    run_all();
    check_pool();
    CRASH_EQ(CRASH_TORN, shared->completed, (uint64_t)count);
    for (int i = 0; i < count; i++)
        if (futures[i])
            lost += check_future(i);
    CRASH_UNLESS(CRASH_TORN, lost <= dead);
    if (is_wanted)
        CRASH_EQ(CRASH_TORN, count_lost(), lost);
    sh_wait_collect(pool);
    sh_pool_release(pool);
    sh_block_flush();
    whole_check();
}

/* --- sleepers --- */

/* Wait for the first job as main does. */
static void sleep_for_job(unsigned index)
{
    struct sh_job *job = futures[0]->job;

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
    return (futures[0]->job->life & SH_JOB_DONE) != 0;
}

/* What the dead one should have told is told by who stands in for it. */
static int never_due(unsigned index)
{
    (void)index;
    return 0;
}

static void rouse_by_work(void)
{
    bury_all();
    run_all();
}

static void rouse_by_burial(void)
{
    bury_all();
    if (!due_job(0))
        run_all();
}

/* Wait for work as an idle worker does. */
static void sleep_for_work(unsigned index)
{
    (void)index;
    for (;;) {
        uint32_t seen = sh_word_prepare(&shared->idle, SH_WORD_DATA);
        if (sh_pool_has_work(shared))
            break;
        sh_word_sleep(&shared->idle, seen, SH_WORD_DATA, INT64_MAX);
    }
    sh_word_forget();
}

static void rouse_workers(void)
{
    sh_bury_alarm(shared);
    if (!sh_pool_has_work(shared))
        add(run_small, 1);
}

/* --- main as the victim --- */

static void setup_nothing(void)
{
    whole_open();
    whole_note();
    ledger = crash_ledger();
    count = 0;
}

static void prepare_main(void)
{
    open_pool();
    sh_object_ref(&shared->object, &ledger->pool);
}

static void open_main(void)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = 3};
    sh_pool_create(&options, &pool);
}

static void prepare_main_full(void)
{
    prepare_main();
    while (sh_load_relaxed(&shared->top) < SH_POOL_SEGMENT_FIRST)
        add(run_small, 0), count = 0;
}

static void submit_single(void)
{
    submit(run_small, 1);
}

static void submit_map(void)
{
    struct sh_submission submission = {.function = run_small, .items = buffer, .size = LARGE, .count = MAP};
    sh_submit(pool, &submission, &futures[0]);
}

static void submit_parts(void)
{
    struct shoal_bytes parts[3] = {{buffer, 10}, {buffer, LARGE}, {NULL, 0}};
    struct sh_submission submission = {.function = run_small, .parts = parts, .count = 3};
    sh_submit(pool, &submission, &futures[0]);
}

static void prepare_cancel(void)
{
    prepare_main();
    add(run_small, MAP);
}

/* Beside a worker that has begun with it. */
static void prepare_cancel_begun(void)
{
    prepare_cancel();
    come(AGENT);
    take();
    run();
}

static void cancel(void)
{
    shoal_future_cancel(futures[0]);
}

/* A map whose results and failures lie in blocks, all ended. */
static void prepare_ended(void)
{
    prepare_main();
    add(run_large, MAP);
    add(run_told, 1);
    run_all();
}

static void free_futures(void)
{
    shoal_future_free(futures[0]);
    shoal_future_free(futures[1]);
}

static void prepare_to_drop(void)
{
    prepare_main();
    add(run_small, MAP);
    add(run_small, 1);
}

static void prepare_to_collect(void)
{
    prepare_to_drop();
    free_futures();
    run_all();
}

static void collect(void)
{
    sh_wait_collect(pool);
}

static void prepare_to_release(void)
{
    prepare_ended();
    free_futures();
    add(run_large, MAP);
    run_all();
    shoal_future_free(futures[2]);
}

static void release(void)
{
    sh_pool_release(pool);
}

/* The arena's word may be the dead one's still: whoever takes it mends what that one left. */
static void check_gone(void)
{
    sh_block_lock_arena();
    sh_word_unlock(&sh_arena.shared->word);
    whole_check();
}

/* Another process of the family holds the pool until after main's burial: it is that one's to destroy. */
static void check_destroyed(void)
{
    void *body;
    int r = sh_object_attach(&ledger->pool, SH_KIND_POOL, &body);

    sh_reclaim_wait();
    if (r == 0)
        sh_object_drop(body);
    CRASH_UNLESS(CRASH_TORN, r == 0 || r == -ESTALE);
    sh_block_flush();
    whole_check();
}

/* A worker that is still there when main has died in the middle of cancelling can go on to the end. */
static void check_workers(void)
{
    void *body;

    if (sh_object_attach(&ledger->pool, SH_KIND_POOL, &body) == 0) {
        shared = body;
        run_all();
        sh_object_drop(body);
    }
    check_destroyed();
}

static const struct crash_case cases[] = {
    {"arrive", .setup = setup_map, .operation = prepare_worker, .check = check},
    {"take the first chunk", .setup = setup_map, .prepare = prepare_worker, .operation = take, .check = check},
    {"retire a chunk and take the next", .setup = setup_map, .prepare = prepare_run, .operation = take, .check = check},
    {"retire a map's last chunk", .setup = setup_map, .prepare = prepare_last, .operation = take, .check = check},
    {"retire a map, one waits", .sleepers = 1, .setup = setup_last_chunk, .prepare = prepare_run, .operation = take,
     .sleep = sleep_for_job, .due = never_due, .rouse = rouse_by_burial, .check = check},
    {"retire a map that nobody wants", .setup = setup_dropped, .prepare = prepare_run, .operation = take,
     .check = check},
    {"run and retire a task that nobody wants", .setup = setup_dropped_single, .prepare = prepare_taken,
     .operation = run_and_take, .check = check},
    {"run a chunk", .setup = setup_map, .prepare = prepare_taken, .operation = run, .check = check},
    {"run a chunk, results in blocks", .setup = setup_large, .prepare = prepare_taken, .operation = run,
     .check = check},
    {"run a chunk that fails", .setup = setup_told, .prepare = prepare_taken, .operation = run, .check = check},
    {"run a task", .setup = setup_single, .prepare = prepare_taken, .operation = run_and_take, .check = check},
    {"take a posted task and run it", .setup = setup_posted, .prepare = prepare_worker,
     .operation = take_posted_and_run, .check = check},
    {"take by a post that is not to be believed", .setup = setup_posted, .prepare = prepare_stale_post,
     .operation = take_and_run, .check = check},
    {"run a task, one waits", .sleepers = 1, .setup = setup_single, .prepare = prepare_taken, .operation = run,
     .sleep = sleep_for_job, .due = due_job, .rouse = rouse_by_work, .check = check},
    {"run a task, result in a block", .setup = setup_large_single, .prepare = prepare_taken, .operation = run_and_take,
     .check = check},
    {"run a task that fails", .setup = setup_told_single, .prepare = prepare_taken, .operation = run_and_leave,
     .check = check},
    {"leave", .setup = setup_map, .prepare = prepare_run, .operation = leave, .check = check},
    {"take an orphan", .setup = setup_orphan, .prepare = prepare_worker, .operation = take, .check = check},
    {"retire a chunk and take an orphan", .setup = setup_orphan, .prepare = prepare_run, .operation = take,
     .check = check},
    {"take behind what was cancelled", .setup = setup_cancelled, .prepare = prepare_worker, .operation = take,
     .check = check},
    {"run a chunk of what was cancelled", .setup = setup_to_cancel, .prepare = prepare_taken_of_cancelled,
     .operation = run_and_take, .check = check},
    {"retire the last of a cancelled map", .setup = setup_to_cancel, .prepare = prepare_run_of_cancelled,
     .operation = take, .check = check},
    {"bury", .setup = setup_dead, .operation = bury_other, .check = check},
    {"bury, a worker waits", .sleepers = 1, .setup = setup_dead_alone, .operation = bury_other, .sleep = sleep_for_work,
     .due = never_due, .rouse = rouse_workers, .check = check},
    {"open", .setup = setup_nothing, .operation = open_main, .check = check_gone},
    {"submit a task", .setup = setup_nothing, .prepare = prepare_main, .operation = submit_single,
     .check = check_destroyed},
    {"submit a map", .setup = setup_nothing, .prepare = prepare_main, .operation = submit_map,
     .check = check_destroyed},
    {"submit items of many sizes", .setup = setup_nothing, .prepare = prepare_main, .operation = submit_parts,
     .check = check_destroyed},
    {"submit, more slots", .setup = setup_nothing, .prepare = prepare_main_full, .operation = submit_single,
     .check = check_destroyed},
    {"cancel", .setup = setup_nothing, .prepare = prepare_cancel, .operation = cancel, .check = check_destroyed},
    {"cancel what a worker has begun", .setup = setup_nothing, .prepare = prepare_cancel_begun, .operation = cancel,
     .check = check_workers},
    {"cancel, and workers go on", .setup = setup_nothing, .prepare = prepare_cancel, .operation = cancel,
     .check = check_workers},
    {"free futures that have ended", .setup = setup_nothing, .prepare = prepare_ended, .operation = free_futures,
     .check = check_destroyed},
    {"free futures that have not", .setup = setup_nothing, .prepare = prepare_to_drop, .operation = free_futures,
     .check = check_destroyed},
    {"collect", .setup = setup_nothing, .prepare = prepare_to_collect, .operation = collect, .check = check_destroyed},
    {"free the pool", .setup = setup_nothing, .prepare = prepare_to_release, .operation = release,
     .check = check_destroyed},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
