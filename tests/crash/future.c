/* future.c - death of a pool's main process while it opens, submits, cancels, collects and frees. */
#include "arena/block.h"
#include "arena/reclaim.h"
#include "crew.h"
#include "pool/submit.h"
#include "pool/wait.h"
#include "whole.h"

#include <errno.h>

static const char buffer[CREW_MAP * CREW_LARGE];

static void setup_nothing(void)
{
    whole_open();
    whole_note();
    crew.ledger = crash_ledger();
    crew.count = 0;
}

static void prepare_main(void)
{
    crew_open_pool();
    sh_object_ref(&crew.shared->object, &crew.ledger->pool);
}

static void open_main(void)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = 3};
    sh_pool_create(&options, &crew.pool);
}

static void prepare_main_full(void)
{
    prepare_main();
    while (sh_load_relaxed(&crew.shared->top) < SH_POOL_SEGMENT_FIRST)
        crew_add(crew_run_small, 0), crew.count = 0;
}

static void submit_single(void)
{
    crew_submit(crew_run_small, 1);
}

static void submit_map(void)
{
    struct sh_submission submission = {
        .function = crew_run_small, .items = buffer, .size = CREW_LARGE, .count = CREW_MAP};
    sh_submit(crew.pool, &submission, &crew.futures[0]);
}

static void submit_parts(void)
{
    struct shoal_bytes parts[3] = {{buffer, 10}, {buffer, CREW_LARGE}, {NULL, 0}};
    struct sh_submission submission = {.function = crew_run_small, .parts = parts, .count = 3};
    sh_submit(crew.pool, &submission, &crew.futures[0]);
}

static void prepare_cancel(void)
{
    prepare_main();
    crew_add(crew_run_small, CREW_MAP);
}

/* Beside a worker that has begun with it. */
static void prepare_cancel_begun(void)
{
    prepare_cancel();
    crew_come(CREW_AGENT);
    crew_take();
    crew_run();
}

static void cancel(void)
{
    shoal_future_cancel(crew.futures[0]);
}

/* A map whose results and failures lie in blocks, all ended. */
static void prepare_ended(void)
{
    prepare_main();
    crew_add(crew_run_large, CREW_MAP);
    crew_add(crew_run_told, 1);
    crew_run_all();
}

static void free_futures(void)
{
    shoal_future_free(crew.futures[0]);
    shoal_future_free(crew.futures[1]);
}

static void prepare_to_drop(void)
{
    prepare_main();
    crew_add(crew_run_small, CREW_MAP);
    crew_add(crew_run_small, 1);
}

static void prepare_to_collect(void)
{
    prepare_to_drop();
    free_futures();
    crew_run_all();
}

static void collect(void)
{
    sh_wait_collect(crew.pool);
}

static void prepare_to_release(void)
{
    prepare_ended();
    free_futures();
    crew_add(crew_run_large, CREW_MAP);
    crew_run_all();
    shoal_future_free(crew.futures[2]);
}

static void release(void)
{
    sh_pool_release(crew.pool);
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
    int r = sh_object_attach(&crew.ledger->pool, SH_KIND_POOL, &body);

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

    if (sh_object_attach(&crew.ledger->pool, SH_KIND_POOL, &body) == 0) {
        crew.shared = body;
        crew_run_all();
        sh_object_drop(body);
    }
    check_destroyed();
}

static const struct crash_case cases[] = {
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
