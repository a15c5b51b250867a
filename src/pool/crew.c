/* crew.c - starting workers and the keeper, and main's part in their end. */
#include "pool/crew.h"

#include "arena/reclaim.h"
#include "base/crash.h"
#include "os/bell.h"
#include "os/clock.h"
#include "os/identity.h"
#include "os/life.h"
#include "os/poll.h"
#include "os/process.h"
#include "pool/keeper.h"
#include "pool/launch.h"
#include "pool/turn.h"
#include "process/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define KEEPER_TIME INT64_C(2000000000) /* for a keeper to go when the pool has ended */

/* --- starting --- */

/* Note in the place who is to come, and let it come. */
static int start_as(struct sh_crew *crew, uint32_t index, uint32_t tag, int ticket)
{
    struct sh_worker *place = &crew->shared->worker[index];

    sh_store_step(&place->generation, sh_load_relaxed(&place->generation) + 1);
    sh_store_step(&place->tag, tag);
    sh_store_step(&place->pid, 0);
    sh_store_step(&place->items_done, 0);
    sh_store_release(&place->state, SH_WORKER_STARTING);
    SH_CRASH_POINT(pool_worker_expected);
    int r = sh_launch_worker(crew, index, tag, ticket, &crew->hand[index]);
    if (r < 0)
        sh_store_release(&place->state, SH_WORKER_NONE);
    else
        sh_store_step(&place->pid, crew->hand[index].pid);
    return r;
}

int sh_crew_start(struct sh_crew *crew, uint32_t index, int (*ticket)(int *ret_ticket))
{
    uint32_t tag;
    int follow;
    int r = sh_member_expect(&tag);

    if (r < 0)
        return r;
    r = ticket(&follow);
    if (r == 0) {
        r = start_as(crew, index, tag, follow);
        sh_life_close(follow);
    }
    if (r < 0)
        sh_member_cancel(tag);
    return r;
}

/* --- the keeper --- */

static void be_keeper(struct sh_crew *crew, uint32_t tag, int ticket) __attribute__((noreturn));

static void be_keeper(struct sh_crew *crew, uint32_t tag, int ticket)
{
    sh_process_close(crew->keeper_pidfd);
    crew->keeper_pidfd = -1;
    sh_child_close_inherited();
    if (!crew->binding.fork) {
        sh_life_follow(ticket);
        if (sh_arena_enter_as(tag) < 0)
            sh_process_quit(1);
    }
    sh_store_release(&crew->shared->is_kept, 1);
    sh_process_set_name("shoal-keeper");
    sh_keeper_run(crew);
}

/* Fork the keeper with all signals blocked, so that it dies by none that was meant for the program. */
static int fork_keeper(struct sh_crew *crew, uint32_t tag, int ticket)
{
    int pidfd;

    sh_process_flush();
    sh_signals_block(&crew->signals);
    sh_store_release(&crew->shared->is_kept, 0);
    sh_store_release(&crew->shared->keeper_tag, tag);
    const struct sh_binding *binding = &crew->binding;
    pid_t pid = binding->fork ? binding->fork(binding->context, tag, ticket, &pidfd) : sh_process_fork(&pidfd);
    if (pid == 0)
        be_keeper(crew, tag, ticket);
    sh_signals_restore(&crew->signals);
    if (pid < 0)
        return (int)pid;
    crew->keeper_pid = pid;
    crew->keeper_pidfd = pidfd;
    return 0;
}

static int start_keeper(struct sh_crew *crew)
{
    uint32_t tag;
    int ticket;
    int r = sh_member_expect(&tag);

    if (r < 0)
        return r;
    r = sh_life_ticket(&ticket);
    if (r == 0) {
        r = fork_keeper(crew, tag, ticket);
        sh_life_close(ticket);
    }
    if (r < 0)
        sh_member_cancel(tag);
    return r;
}

/* Let go of a keeper that is dead or dying. */
static void reap_keeper(struct sh_crew *crew)
{
    struct sh_process_end end;

    if (crew->keeper_pidfd < 0)
        return;
    if (sh_poll_readable(crew->keeper_pidfd, sh_clock_now() + KEEPER_TIME) < 0)
        sh_process_signal(crew->keeper_pidfd, SIGKILL);
    while (sh_process_reap(crew->keeper_pidfd, crew->keeper_pid, &end) == -EAGAIN)
        sh_poll_readable(crew->keeper_pidfd, SH_DEADLINE_NEVER);
    sh_process_close(crew->keeper_pidfd);
    crew->keeper_pidfd = -1;
}

/* Whether there is a keeper, and it lives: one that has not yet come so far as to be a member shows it by its pidfd. */
static int is_kept(struct sh_pool_shared *shared)
{
    return sh_load_acquire(&shared->is_kept) && !sh_member_is_dead(sh_load_relaxed(&shared->keeper_tag));
}

static void replace_keeper(struct sh_crew *crew)
{
    struct sh_pool_shared *shared = crew->shared;

    if (is_kept(shared) || sh_load_acquire(&shared->ended))
        return;
    if (crew->keeper_pidfd >= 0 && sh_poll_readable(crew->keeper_pidfd, SH_DEADLINE_PAST) < 0)
        return; /* it is coming */
    reap_keeper(crew);
    sh_member_cancel(sh_load_relaxed(&shared->keeper_tag));
    sh_reclaim_dead();
    if (start_keeper(crew) == 0)
        sh_add_relaxed(&shared->keeper_restarts, 1);
}

void sh_crew_attend(shoal_pool *pool)
{
    struct sh_crew *crew = pool->crew;

    if (sh_likely(is_kept(pool->shared)) || pthread_mutex_trylock(&crew->mutex) != 0)
        return;
    replace_keeper(crew);
    pthread_mutex_unlock(&crew->mutex);
}

/* A keeper that somebody has stopped goes on: an end of the pool waits for it. */
static void wake_keeper(struct sh_crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    if (crew->keeper_pidfd >= 0)
        sh_process_signal(crew->keeper_pidfd, SIGCONT);
    pthread_mutex_unlock(&crew->mutex);
}

void sh_crew_ring(shoal_pool *pool)
{
    sh_bell_ring(sh_identity_pid(), pool->crew->bell);
    wake_keeper(pool->crew);
    sh_crew_attend(pool);
}

/* --- main's children --- */

static void close_hands(struct sh_crew *crew)
{
    for (uint32_t i = 0; i < crew->workers; i++) {
        if (crew->hand[i].pidfd >= 0)
            sh_process_close(crew->hand[i].pidfd);
        crew->hand[i].pidfd = -1;
    }
}

/* Reap one of main's children, if it has ended. Waits where it must have. */
static void reap_one(struct sh_crew *crew, uint32_t index, int must)
{
    struct sh_hand *hand = &crew->hand[index];
    struct sh_process_end end;
    int r = -ECHILD;

    hand->pidfd = sh_process_open(hand->pid);
    if (hand->pidfd >= 0) {
        if (must)
            sh_poll_readable(hand->pidfd, SH_DEADLINE_NEVER);
        r = sh_launch_reap(crew, index, &end);
        sh_process_close(hand->pidfd);
    }
    hand->pidfd = -1;
    if (r != -EAGAIN)
        hand->pid = 0;
}

void sh_crew_reap(shoal_pool *pool)
{
    struct sh_pool_shared *shared = pool->shared;
    struct sh_crew *crew = pool->crew;

    if (crew->binding.fork || pthread_mutex_trylock(&crew->mutex) != 0)
        return;
    int has_ended = sh_load_acquire(&shared->ended) != 0;
    for (uint32_t i = 0; i < crew->workers; i++) {
        struct sh_hand *hand = &crew->hand[i];
        struct sh_worker *place = &shared->worker[i];
        int is_buried =
            sh_load_acquire(&place->state) == SH_WORKER_NONE || sh_load_acquire(&place->generation) != hand->generation;
        if (hand->pid > 0 && (is_buried || has_ended))
            reap_one(crew, i, has_ended);
    }
    pthread_mutex_unlock(&crew->mutex);
}

/* --- opening and closing --- */

static struct sh_crew *make_crew(struct sh_pool_shared *shared)
{
    struct sh_crew *crew = calloc(1, sizeof *crew + shared->workers * sizeof crew->hand[0]);

    if (!crew)
        return NULL;
    crew->shared = shared;
    crew->set = crew->keeper_pidfd = crew->bell = -1;
    crew->workers = shared->workers;
    for (uint32_t i = 0; i < crew->workers; i++)
        crew->hand[i].pidfd = -1;
    pthread_mutex_init(&crew->mutex, NULL);
    sh_process_get_name(crew->name);
    return crew;
}

/* Kill and reap what was started of a pool that could not be. */
static void abandon(struct sh_crew *crew)
{
    struct sh_process_end end;

    for (uint32_t i = 0; i < crew->workers; i++) {
        struct sh_hand *hand = &crew->hand[i];
        if (hand->pidfd < 0)
            continue;
        sh_process_signal(hand->pidfd, SIGKILL);
        sh_poll_readable(hand->pidfd, SH_DEADLINE_NEVER);
        sh_launch_reap(crew, i, &end);
        sh_member_cancel(sh_load_relaxed(&crew->shared->worker[i].tag));
    }
    close_hands(crew);
    sh_reclaim_wait();
}

int sh_crew_open(shoal_pool *pool, const struct sh_binding *binding)
{
    struct sh_crew *crew = make_crew(pool->shared);
    int r = crew ? sh_bell_open() : -ENOMEM;

    if (r < 0)
        goto free_crew;
    crew->bell = r;
    if (binding)
        crew->binding = *binding;
    crew->pool = pool;
    pool->crew = crew; /* what is forked from here on may look at it */
    sh_process_flush();
    r = 0;
    for (uint32_t i = 0; i < pool->shared->workers && r == 0; i++)
        r = sh_crew_start(crew, i, sh_life_ticket);
    if (r == 0)
        r = start_keeper(crew);
    if (r < 0)
        goto abandon;
    close_hands(crew);
    return 0;

abandon:
    abandon(crew);
    sh_bell_close(crew->bell);
    pool->crew = NULL;
free_crew:
    free(crew);
    return r;
}

void sh_crew_close(shoal_pool *pool)
{
    struct sh_crew *crew = pool->crew;

    sh_crew_reap(pool);
    pthread_mutex_lock(&crew->mutex);
    reap_keeper(crew);
    if (crew->bell >= 0)
        sh_bell_close(crew->bell);
    crew->bell = -1;
    pthread_mutex_unlock(&crew->mutex);
    sh_reclaim_wait();
}
