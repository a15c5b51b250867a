/* crew.c - plays the processes of a pool. */
#include "crew.h"

#include "arena/block.h"
#include "base/check.h"
#include "pool/bury.h"
#include "pool/run.h"
#include "pool/submit.h"
#include "pool/wait.h"
#include "whole.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct crew crew;

/* --- tasks: their first bytes say which future they belong to --- */

static void note_run(shoal_task *task)
{
    crew.ledger->runs[*(const int *)(const void *)task->data][task->item]++;
}

int crew_run_small(shoal_task *task)
{
    int result = 1000 + (int)task->item;

    note_run(task);
    return shoal_task_return(task, &result, sizeof result);
}

int crew_run_large(shoal_task *task)
{
    int result[CREW_LARGE / sizeof(int)];

    note_run(task);
    for (size_t i = 0; i < sizeof result / sizeof *result; i++)
        result[i] = 1000 + (int)task->item;
    return shoal_task_return(task, result, sizeof result);
}

int crew_run_told(shoal_task *task)
{
    note_run(task);
    return shoal_task_fail(task, -EDOM, "item %d", (int)task->item);
}

/* Dies in the second item of its chunk. */
int crew_run_half(shoal_task *task)
{
    if (getpid() == task->pid && task->place == &crew.shared->worker[CREW_OTHER] && task->item % CREW_CHUNK == 1) {
        note_run(task);
        _exit(1);
    }
    return crew_run_small(task);
}

/* --- main --- */

void crew_open_pool(void)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = 3};

    CRASH_EQ(CRASH_BROKEN, sh_pool_create(&options, &crew.pool), 0);
    crew.shared = crew.pool->shared;
}

int crew_submit(shoal_task_function *function, size_t items)
{
    int data[CREW_MAP];
    struct sh_submission submission = {
        .function = function, .items = data, .size = sizeof *data, .count = items, .chunk = CREW_CHUNK};

    for (size_t i = 0; i < items; i++)
        data[i] = crew.count;
    return sh_submit(crew.pool, &submission, &crew.futures[crew.count]);
}

void crew_add(shoal_task_function *function, size_t items)
{
    CRASH_EQ(CRASH_BROKEN, crew_submit(function, items), 0);
    crew.count++;
}

void crew_setup(void)
{
    whole_open();
    whole_note();
    crew.ledger = crash_ledger();
    crew.count = 0;
    crew_open_pool();
}

/* --- a worker --- */

void crew_come(uint32_t place)
{
    struct sh_claim *left;

    CRASH_EQ(CRASH_BROKEN, sh_arena_enter(), 0);
    crew.worker = (struct shoal_task){
        .pool = crew.shared, .place = &crew.shared->worker[place], .pid = getpid(), .epoch = sh_thread_process_epoch()};
    sh_store_relaxed(&crew.worker.place->tag, sh_member_tag());
    sh_store_relaxed(&crew.worker.place->pid, getpid());
    sh_store_relaxed(&crew.worker.place->state, SH_WORKER_STARTING);
    CRASH_EQ(CRASH_BROKEN, sh_turn_arrive(crew.shared, crew.worker.place, 0, &left), 0);
    crew.claim = left;
}

void crew_take(void)
{
    crew.claim = sh_turn_take(crew.shared, crew.worker.place, &crew.posted);
}

void crew_run(void)
{
    sh_run_claim(&crew.worker, crew.claim, crew.posted.number ? &crew.posted : NULL);
}

void crew_leave(void)
{
    sh_turn_leave(crew.shared, crew.worker.place);
}

/* --- the agent, when the victim is dead --- */

void crew_bury_all(void)
{
    for (uint32_t i = 0; i < crew.shared->workers; i++)
        if (crew.shared->worker[i].state != SH_WORKER_NONE)
            sh_bury_place(crew.shared, &crew.shared->worker[i], (struct sh_item_loss){.signal = SIGKILL});
}

void crew_run_all(void)
{
    crew_come(CREW_AGENT);
    while (crew.claim || (crew.claim = sh_turn_take(crew.shared, crew.worker.place, &crew.posted))) {
        crew_run();
        crew.claim = NULL;
    }
    crew_leave();
}

static void check_result(int index, uint64_t item, const struct shoal_bytes *result)
{
    const int *values = result->data;

    CRASH_UNLESS(CRASH_TORN, result->size == sizeof(int) || result->size == CREW_LARGE);
    for (size_t i = 0; i < result->size / sizeof(int); i++)
        CRASH_EQ(CRASH_TORN, values[i], 1000 + (int)item);
    CRASH_EQ(CRASH_TORN, crew.ledger->runs[index][item], 1);
}

/* Each item ended once: with its result, or lost; lost is at most one for each worker that died. */
static int check_future(int index)
{
    shoal_future *future = crew.futures[index];
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
            CRASH_UNLESS(CRASH_TORN, crew.is_cancelled && index == 0 && crew.ledger->runs[index][i] == 0);
            continue;
        }
        CRASH_UNLESS(CRASH_TORN, crew.ledger->runs[index][i] <= 1);
        CRASH_UNLESS(CRASH_TORN, r == -ECHILD || r == -EDOM);
        lost += r == -ECHILD;
        if (r == -EDOM)
            CRASH_UNLESS(CRASH_TORN, strncmp(error.message, "item ", 5) == 0);
    }
    shoal_future_free(future);
    return lost;
}

void crew_check_pool(void)
{
    if (sh_pool_check(&crew.shared->object) < 0)
        crash_fail(CRASH_TORN, "%s", sh_check_note);
}

static int count_lost(void)
{
    int lost = 0;

    for (uint32_t i = 0; i < crew.shared->workers; i++)
        lost += (int)(uint32_t)crew.shared->worker[i].lost;
    return lost;
}

void crew_check(int dead)
{
    int lost = 0, is_wanted = crew.futures[0] != NULL;

    crew_bury_all();
    crew_check_pool();
    crew_run_all();
    crew_check_pool();
    CRASH_EQ(CRASH_TORN, crew.shared->completed, (uint64_t)crew.count);
    for (int i = 0; i < crew.count; i++)
        if (crew.futures[i])
            lost += check_future(i);
    CRASH_UNLESS(CRASH_TORN, lost <= dead);
    if (is_wanted)
        CRASH_EQ(CRASH_TORN, count_lost(), lost);
    sh_wait_collect(crew.pool);
    sh_pool_release(crew.pool);
    sh_block_flush();
    whole_check();
}
