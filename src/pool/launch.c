/* launch.c - making a worker's process by fork, forkserver or spawn. */
#include "pool/launch.h"

#include "arena/block.h"
#include "os/bell.h"
#include "os/life.h"
#include "os/process.h"
#include "pool/work.h"
#include "process/again.h"
#include "process/child.h"
#include "process/server.h"

#include <errno.h>
#include <string.h>

#define WORKER "shoal.worker" /* no function of a program can have this name by SHOAL_REGISTER */

/* What a worker is told that does not share its starter's memory. */
struct introduction {
    shoal_ref pool;
    uint32_t index;
    uint32_t generation;
    struct sh_signals signals;
};

int sh_launch_verify(enum shoal_start *how)
{
    if (*how == SHOAL_START_DEFAULT)
        *how = (enum shoal_start)sh_load_relaxed(&sh_self.start);
    if (*how == SHOAL_START_DEFAULT)
        *how = SHOAL_START_FORK;
    if (sh_self.is_daemon || sh_again_is_astray())
        return -EPERM;
    return *how == SHOAL_START_FORK || sh_again_is_possible() ? 0 : -EPERM;
}

/* --- by fork --- */

void sh_launch_close_inherited(struct sh_crew *crew)
{
    if (crew->set >= 0) /* the starter is the keeper, and this process is called as it is */
        sh_process_set_name(crew->name);
    for (uint32_t i = 0; i < crew->workers; i++) {
        sh_process_close(crew->hand[i].pidfd);
        crew->hand[i].pidfd = -1;
    }
    sh_process_close(crew->set);
    sh_process_close(crew->keeper_pidfd);
    crew->set = crew->keeper_pidfd = -1;
    sh_child_close_inherited();
}

static void be_worker(struct sh_crew *crew, uint32_t index, uint32_t tag, int ticket) __attribute__((noreturn));

static void be_worker(struct sh_crew *crew, uint32_t index, uint32_t tag, int ticket)
{
    struct sh_worker *place = &crew->shared->worker[index];
    uint32_t generation = sh_load_relaxed(&place->generation);

    sh_life_follow(ticket);
    if (crew->set >= 0) /* the starter is the keeper */
        sh_signals_restore(&crew->signals);
    sh_launch_close_inherited(crew);
    sh_bell_close(crew->bell);
    if (sh_arena_enter_as(tag) < 0) /* only where the starter died, and this place was given up */
        sh_process_quit(0);
    sh_work_run(crew->shared, place, generation);
}

static int launch_fork(struct sh_crew *crew, uint32_t index, uint32_t tag, int ticket, struct sh_hand *hand)
{
    hand->pid = sh_process_fork(&hand->pidfd);
    if (hand->pid == 0)
        be_worker(crew, index, tag, ticket);
    return hand->pid < 0 ? hand->pid : 0;
}

/* --- by starting the program again --- */

/* In the new process: find the pool, and be the worker. */
static int begin_worker(void *argument, size_t size)
{
    struct introduction introduction;
    void *body;

    if (size != sizeof introduction)
        return 1;
    memcpy(&introduction, argument, sizeof introduction);
    sh_signals_restore(&introduction.signals);
    if (sh_object_attach(&introduction.pool, SH_KIND_POOL, &body) < 0)
        return 1;
    struct sh_pool_shared *shared = body;
    sh_work_run(shared, &shared->worker[introduction.index], introduction.generation);
}

__attribute__((constructor)) static void register_worker(void)
{
    (void)shoal_register(WORKER, (void (*)(void))begin_worker);
}

static int introduce(struct sh_crew *crew, uint32_t index, uint32_t tag, struct sh_again_call *call)
{
    struct introduction introduction = {
        .index = index,
        .generation = sh_load_relaxed(&crew->shared->worker[index].generation),
        .signals = crew->signals,
    };

    sh_object_ref(&crew->shared->object, &introduction.pool);
    *call = (struct sh_again_call){
        .function = WORKER, .size = sizeof introduction, .tag = tag, .by_default = sh_load_relaxed(&sh_self.start)};
    int r = sh_block_alloc(sizeof introduction, &call->block);
    if (r < 0)
        return r;
    memcpy(sh_at(call->block), &introduction, sizeof introduction);
    sh_block_give(call->block, tag); /* and goes with it, should it not come */
    return 0;
}

static int launch_forkserver(struct sh_crew *crew, uint32_t index, uint32_t tag, int ticket, struct sh_hand *hand)
{
    struct sh_again_call call;
    int gate;
    int r = introduce(crew, index, tag, &call);

    if (r < 0)
        return r;
    hand->pid = sh_server_start(&call, ticket, &hand->server, &hand->pidfd, &gate);
    if (hand->pid < 0)
        return hand->pid;
    sh_process_open_gate(gate);
    return 0;
}

static int launch_spawn(struct sh_crew *crew, uint32_t index, uint32_t tag, int ticket, struct sh_hand *hand)
{
    struct sh_again_call call;
    int r = introduce(crew, index, tag, &call);

    if (r < 0)
        return r;
    hand->pid = sh_again_start(&call, ticket, &hand->pidfd, NULL);
    return hand->pid < 0 ? hand->pid : 0;
}

int sh_launch_worker(struct sh_crew *crew, uint32_t index, uint32_t tag, int ticket, struct sh_hand *ret_hand)
{
    struct sh_hand hand = {.generation = sh_load_relaxed(&crew->shared->worker[index].generation), .pidfd = -1};
    const struct sh_binding *binding = &crew->binding;
    int r;

    if (binding->launch) {
        const struct sh_expected expected = {crew->pool, index, hand.generation, tag, ticket};
        r = binding->launch(binding->context, &expected, &hand.pid, &hand.pidfd);
        if (r == 0)
            *ret_hand = hand;
        return r;
    }
    switch (crew->shared->start) {
    case SHOAL_START_FORKSERVER:
        r = launch_forkserver(crew, index, tag, ticket, &hand);
        break;
    case SHOAL_START_SPAWN:
        r = launch_spawn(crew, index, tag, ticket, &hand);
        break;
    default:
        r = launch_fork(crew, index, tag, ticket, &hand);
    }
    if (r == 0)
        *ret_hand = hand;
    return r;
}

int sh_launch_reap(struct sh_crew *crew, uint32_t index, struct sh_process_end *ret_end)
{
    const struct sh_hand *hand = &crew->hand[index];
    const struct sh_binding *binding = &crew->binding;
    struct sh_process_end end;

    if (binding->reap)
        return binding->reap(binding->context, index, hand->pidfd, hand->pid, ret_end);
    int r = sh_process_reap(hand->pidfd, hand->pid, ret_end);

    if (r == -EAGAIN || !hand->server)
        return r;
    sh_self_lock();
    int reaped = sh_server_reap(hand->server, hand->pid, &end);
    sh_self_unlock();
    if (r < 0 && reaped == 0)
        *ret_end = end;
    return reaped == 0 ? 0 : r;
}
