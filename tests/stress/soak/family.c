/* family.c - the soak's pools and processes: what actors start, and what they do to it. */
#include "pool/crew.h"
#include "pool/pool.h"
#include "soak.h"

#include <signal.h>
#include <unistd.h>

enum { WORKERS = 2, TASKS = 30, MAPPED = 40 };

/* --- tasks --- */

static int square(shoal_task *task)
{
    int x;
    int r = shoal_task_arg(task, &x, sizeof x);
    return r < 0 ? r : shoal_task_return(task, &(int){x * x}, sizeof(int));
}

static int die(shoal_task *task)
{
    (void)task;
    return raise(SIGKILL);
}

/* A worker has no desk: what it does with locks is known by its pid. */
static int use_lock(shoal_task *task)
{
    own_desk = NULL;
    play_lock();
    return square(task);
}

/* --- pools --- */

/* One of the pool's workers that lives now; 0 where there is none. */
static pid_t choose_worker(shoal_pool *pool)
{
    struct shoal_worker_info info[WORKERS];

    CHECK_COUNT(shoal_pool_workers(pool, info, WORKERS));
    return info[draw(WORKERS)].pid;
}

/* Kill the keeper, or kill or stop a worker. Returns 1 where a worker was killed, which may have cost a task. */
static uint64_t disturb(shoal_pool *pool)
{
    pid_t pid = choose_worker(pool);

    if (draw(4) == 0) {
        kill(pool->crew->keeper_pid, SIGKILL);
        own_desk->keepers++;
        return 0;
    }
    if (pid <= 0 || !test_is_alive(pid))
        return 0;
    if (draw(2)) {
        kill(pid, SIGKILL);
        return 1;
    }
    own_desk->stopped = pid;
    kill(pid, SIGSTOP);
    usleep((useconds_t)draw(5000));
    kill(pid, SIGCONT);
    own_desk->stopped = 0;
    return 0;
}

struct errand {
    shoal_future *future;
    int x, dies, is_cancelled;
};

static void submit(shoal_pool *pool, struct errand *errand)
{
    shoal_task_function *function = draw(15) == 0 ? die : draw(4) == 0 ? use_lock : square;

    *errand = (struct errand){.x = (int)draw(1000), .dies = function == die};
    CHECK_OK(shoal_pool_submit(pool, NULL, function, &errand->x, sizeof errand->x, 1, &errand->future));
    own_desk->tasks++;
}

/* See what became of a task. Returns 1 where its worker died. */
static uint64_t collect(struct errand *errand)
{
    int result = -1;
    ssize_t r = shoal_future_get(errand->future, 0, &result, sizeof result, SHOAL_FOREVER);

    shoal_future_free(errand->future);
    if (r == -ECHILD) {
        own_desk->tasks_lost++;
        return 1;
    }
    if (r == -ECANCELED && errand->is_cancelled) {
        own_desk->tasks_cancelled++;
        return 0;
    }
    CHECK_EQ(r, sizeof result);
    CHECK(!errand->dies);
    CHECK_EQ(result, errand->x * errand->x);
    return 0;
}

/* Submit, disturb, cancel, collect: no task is lost but for a death. */
static void use_pool(shoal_pool *pool)
{
    struct errand errands[TASKS];
    uint64_t deaths = 0, lost = 0;

    for (int i = 0; i < TASKS; i++) {
        submit(pool, &errands[i]);
        deaths += (uint64_t)errands[i].dies;
        if (draw(TASKS) == 0)
            deaths += disturb(pool);
    }
    for (int i = 0; i < TASKS; i++)
        if (draw(8) == 0)
            errands[i].is_cancelled = CHECK_COUNT(shoal_future_cancel(errands[i].future)) > 0;
    for (int i = 0; i < TASKS; i++)
        lost += collect(&errands[i]);
    CHECK_LE(lost, deaths);
}

static void map(shoal_pool *pool)
{
    int in[MAPPED], out[MAPPED];

    for (int i = 0; i < MAPPED; i++)
        in[i] = i;
    CHECK_OK(shoal_pool_map(pool, square, in, sizeof *in, MAPPED, out, sizeof *out));
    for (int i = 0; i < MAPPED; i++)
        CHECK_EQ(out[i], i * i);
    own_desk->tasks += MAPPED;
}

/* Tasks that nobody waits for: the pool ends with or without them. */
static void leave(shoal_pool *pool)
{
    uint64_t count = draw(TASKS);

    for (uint64_t i = 0; i < count; i++)
        CHECK_OK(shoal_pool_submit(pool, NULL, square, &(int){1}, sizeof(int), 1, NULL));
    own_desk->tasks += count;
    own_desk->tasks_left += count;
}

void play_pool(void)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = WORKERS};
    shoal_pool *pool;

    options.tasks_per_worker = draw(3) ? 0 : 5;
    CHECK_OK(shoal_pool_open(&options, &pool));
    use_pool(pool);
    map(pool);
    leave(pool);
    if (draw(3)) {
        CHECK_OK(draw(2) ? shoal_pool_close(pool) : shoal_pool_terminate(pool));
        CHECK_OK(shoal_pool_join(pool, SHOAL_FOREVER));
    }
    shoal_pool_free(pool);
}

/* --- processes --- */

struct visit {
    uint64_t seed;
    int guest;
};

static int be_guest(void *argument, size_t size)
{
    struct visit *visit = argument;

    CHECK_EQ(size, sizeof *visit);
    act(&ledger->desk[ACTORS + visit->guest], visit->seed, 1 + visit->seed % 200);
    return 7;
}

/* Start a guest; wait for its end, or kill it, or let it be. */
void play_process(void)
{
    struct visit visit = {.seed = draw(UINT64_MAX), .guest = ledger->next_guest++};
    shoal_process *process;
    struct shoal_exit end;

    if (visit.guest >= GUESTS)
        return;
    CHECK_OK(shoal_process_start(NULL, be_guest, &visit, sizeof visit, &process));
    int what = (int)draw(3);
    if (what == 1) {
        usleep((useconds_t)draw(20000));
        CHECK_OK(shoal_process_kill(process));
    }
    if (what < 2) {
        CHECK_OK(shoal_process_join(process, SHOAL_FOREVER));
        CHECK_OK(shoal_process_exit(process, &end));
        CHECK((end.code == 7 && end.signal == 0) || (what == 1 && end.signal == SIGKILL));
    }
    shoal_process_free(process);
}
