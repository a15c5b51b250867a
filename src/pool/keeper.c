/* keeper.c - watching workers, burying the dead, starting others. */
#include "pool/keeper.h"

#include "arena/reclaim.h"
#include "os/bell.h"
#include "os/clock.h"
#include "os/crowd.h"
#include "os/identity.h"
#include "os/life.h"
#include "os/process.h"
#include "pool/bury.h"
#include "pool/launch.h"

#include <errno.h>
#include <signal.h>

#define BELL UINT32_MAX
#define RETRY INT64_C(100000000) /* nanoseconds until a worker that could not be started is tried again */

uint32_t sh_keeper_raise_phase(struct sh_pool_shared *pool, uint32_t phase)
{
    uint32_t now = sh_load_acquire(&pool->phase);

    while (now < phase)
        if (sh_cas_ordered(&pool->phase, &now, phase))
            break;
    return now;
}

static struct sh_item_loss loss_of(const struct sh_process_end *end)
{
    return (struct sh_item_loss){.signal = (int16_t)end->signal, .code = (int16_t)end->code};
}

static const struct sh_item_loss unknown_loss = {.signal = -1};

static void watch(struct sh_crew *crew, uint32_t index)
{
    if (sh_crowd_add(crew->set, crew->hand[index].pidfd, index) < 0)
        sh_process_quit(1); /* the next keeper will adopt this worker */
}

static void let_go(struct sh_crew *crew, struct sh_hand *hand)
{
    if (hand->pidfd < 0)
        return;
    sh_crowd_remove(crew->set, hand->pidfd);
    sh_process_close(hand->pidfd);
    hand->pidfd = -1;
}

static void count_death(struct sh_worker *place)
{
    uint64_t deaths = sh_load_relaxed(&place->deaths);
    uint32_t generation = sh_load_relaxed(&place->generation);

    if (deaths >> 32 != generation)
        sh_store_step(&place->deaths, (uint64_t)generation << 32 | (uint32_t)(deaths + 1));
}

/* Count a worker that died, or did not come up. */
static void count(struct sh_pool_shared *pool, struct sh_worker *place, uint32_t state)
{
    if (state == SH_WORKER_LIVE || state == SH_WORKER_STARTING)
        count_death(place);
    if (state == SH_WORKER_STARTING || state == SH_WORKER_REFUSED) {
        sh_store_relaxed(&pool->refusal, state == SH_WORKER_REFUSED ? sh_load_relaxed(&place->refusal) : 0);
        sh_add_relaxed(&pool->failures, 1);
    }
}

/* The process of a place has ended. */
static void bury(struct sh_crew *crew, uint32_t index, struct sh_item_loss loss)
{
    struct sh_worker *place = &crew->shared->worker[index];
    uint32_t state = sh_load_acquire(&place->state);

    let_go(crew, &crew->hand[index]);
    if (state == SH_WORKER_NONE)
        return;
    if (sh_load_acquire(&crew->shared->phase) < SH_POOL_TERMINATED) /* else it did not die unasked */
        count(crew->shared, place, state);
    sh_bury_place(crew->shared, place, loss);
    sh_member_cancel(sh_load_relaxed(&place->tag)); /* where it had not become a member */
}

/* A worker's pidfd says that it has ended. */
static void attend_death(struct sh_crew *crew, uint32_t index)
{
    struct sh_process_end end;

    if (crew->hand[index].pidfd < 0)
        return;
    int r = sh_launch_reap(crew, index, &end);
    if (r != -EAGAIN)
        bury(crew, index, r == 0 ? loss_of(&end) : unknown_loss);
}

/* --- taking over --- */

/* Hold a worker that an earlier keeper, or main, has started. */
static void adopt(struct sh_crew *crew, uint32_t index)
{
    struct sh_worker *place = &crew->shared->worker[index];
    struct sh_hand *hand = &crew->hand[index];
    uint32_t tag = sh_load_relaxed(&place->tag);
    pid_t pid = sh_load_relaxed(&place->pid);

    if (pid == 0)
        pid = sh_member_pid(tag);
    int fd = pid > 0 ? sh_process_open(pid) : -ESRCH;
    *hand = (struct sh_hand){.generation = sh_load_relaxed(&place->generation), .pid = pid, .pidfd = -1};
    if (fd == -ESRCH) {
        bury(crew, index, unknown_loss);
        return;
    }
    if (fd < 0)
        sh_process_quit(1); /* without descriptors there is nothing to do but let main try again */
    hand->pidfd = fd;
    if (!sh_member_is_dead(tag)) /* so the pid was this worker's when it was opened */
        return;
    struct sh_process_end end;
    int r = sh_launch_reap(crew, index, &end);
    bury(crew, index, r == 0 ? loss_of(&end) : unknown_loss);
}

static void take_over(struct sh_crew *crew)
{
    for (uint32_t i = 0; i < crew->workers; i++) {
        struct sh_worker *place = &crew->shared->worker[i];
        struct sh_hand *hand = &crew->hand[i];
        if (sh_load_acquire(&place->state) == SH_WORKER_NONE)
            let_go(crew, hand);
        else if (hand->pidfd < 0)
            adopt(crew, i);
        if (hand->pidfd >= 0)
            watch(crew, i);
    }
    sh_bury_alarm(crew->shared);
}

/* --- deciding --- */

static uint32_t count_held(const struct sh_crew *crew)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < crew->workers; i++)
        count += crew->hand[i].pidfd >= 0;
    return count;
}

static void kill_all(struct sh_crew *crew)
{
    for (uint32_t i = 0; i < crew->workers; i++)
        if (crew->hand[i].pidfd >= 0)
            sh_process_signal(crew->hand[i].pidfd, SIGKILL);
}

/* Workers that do not come up, one after another, so many that it is no accident. */
static void give_up_where_hopeless(struct sh_crew *crew)
{
    struct sh_pool_shared *pool = crew->shared;

    if (sh_load_relaxed(&pool->failures) >= 2 * pool->workers + 3)
        sh_keeper_raise_phase(pool, SH_POOL_BROKEN);
}

static int needs_workers(struct sh_pool_shared *pool)
{
    uint32_t phase = sh_load_acquire(&pool->phase);

    return phase == SH_POOL_OPEN || (phase == SH_POOL_CLOSED && sh_pool_has_work(pool));
}

/* Start workers in all places that have none. Returns whether all could be. */
static int start_missing(struct sh_crew *crew)
{
    int is_complete = 1;

    for (uint32_t i = 0; i < crew->workers && needs_workers(crew->shared); i++) {
        struct sh_hand *hand = &crew->hand[i];
        if (hand->pidfd >= 0)
            continue;
        if (sh_crew_start(crew, i, sh_life_ticket_again) < 0)
            is_complete = 0;
        else if (hand->pidfd >= 0)
            watch(crew, i);
        else
            bury(crew, i, unknown_loss);
    }
    return is_complete;
}

/* Nothing will be done any more: tell all who wait. In a pool that was closed all jobs have ended, and told so. */
static void end(struct sh_pool_shared *pool)
{
    sh_store_ordered(&pool->ended, 1);
    sh_turn_ring(&pool->event);
    if (sh_load_acquire(&pool->phase) < SH_POOL_TERMINATED)
        return;
    uint32_t top = sh_load_acquire(&pool->top);
    for (uint32_t i = 1; i < top; i++) {
        struct sh_job *job = sh_pool_job(pool, i);
        if (sh_load_ordered(&job->word.value) & SH_WORD_WAITERS)
            sh_word_ring(&job->word);
    }
}

/* Do what the state of the pool asks for. Returns whether it has ended; *ret_deadline: when to look again. */
static int decide(struct sh_crew *crew, int64_t *ret_deadline)
{
    struct sh_pool_shared *pool = crew->shared;

    give_up_where_hopeless(crew);
    if (sh_load_acquire(&pool->phase) >= SH_POOL_TERMINATED)
        kill_all(crew);
    *ret_deadline = start_missing(crew) ? SH_DEADLINE_NEVER : sh_clock_now() + RETRY;
    return count_held(crew) == 0 && !needs_workers(pool);
}

static void run(struct sh_crew *crew)
{
    int64_t deadline;
    uint32_t number;

    take_over(crew);
    while (!decide(crew, &deadline)) {
        int r = sh_crowd_wait(crew->set, deadline, &number);
        if (r == 0 && number == BELL)
            sh_bell_silence(sh_identity_pid(), crew->bell);
        else if (r == 0 && number < crew->workers)
            attend_death(crew, number);
        if (r == 0 && number != BELL && start_missing(crew))
            sh_reclaim_dead();
    }
    end(crew->shared);
}

void sh_keeper_run(struct sh_crew *crew)
{
    crew->set = sh_crowd_open();
    if (crew->set < 0 || sh_crowd_add(crew->set, crew->bell, BELL) < 0)
        sh_process_quit(1);
    run(crew);
    sh_process_quit(0);
}
