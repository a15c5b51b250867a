/* process.c - the calls of shoal/process.h: how a process is started, and its handle. */
#include "os/process.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "arena/member.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/life.h"
#include "os/poll.h"
#include "process/again.h"
#include "process/child.h"
#include "process/registry.h"
#include "process/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_FLAGS (SHOAL_PROCESS_DAEMON | SHOAL_PROCESS_DETACHED)

/* A start on its way: what the caller asked for, and the handle that comes of it. */
struct plan {
    enum shoal_start how;
    const char *name; /* NULL: the caller gave none */
    shoal_process_function *function;
    const void *argument;
    size_t size;
    int ticket;
    struct shoal_process *process;
};

static _Atomic uint32_t last_number; /* of processes without a name */

/* By fork: the child has all that is needed in its copy of this memory. */
static int launch_fork(const struct plan *plan)
{
    struct shoal_process *process = plan->process;
    struct sh_start start = {
        .function = plan->function,
        .tag = process->tag,
        .flags = process->flags,
        .by_default = sh_load_relaxed(&sh_self.start),
        .name = plan->name ? process->name : NULL,
    };
    int gate;
    int r = sh_start_copy(&start, plan->argument, plan->size);

    if (r < 0)
        return r;
    sh_process_flush();
    process->pid = sh_process_fork_gated(&process->pidfd, &gate);
    if (process->pid == 0)
        sh_start_forked(&start, plan->ticket);
    free(start.argument);
    if (process->pid < 0)
        return process->pid;
    sh_process_open_gate(gate);
    return 0;
}

/* Put the start into words, and the argument into a block of the process to come: where that is not to be, the block
 * goes with it. */
static int fill_call(const struct plan *plan, struct sh_again_call *call)
{
    const struct shoal_process *process = plan->process;
    const char *function = sh_registry_name((sh_registry_function *)plan->function);

    if (!function)
        return -ENOENT;
    *call = (struct sh_again_call){
        .size = plan->size,
        .tag = process->tag,
        .flags = process->flags,
        .by_default = sh_load_relaxed(&sh_self.start),
    };
    snprintf(call->function, sizeof call->function, "%s", function);
    if (plan->name)
        snprintf(call->name, sizeof call->name, "%s", process->name);
    if (plan->size == 0)
        return 0;
    int r = sh_block_alloc(plan->size, &call->block);
    if (r < 0)
        return r;
    memcpy(sh_at(call->block), plan->argument, plan->size);
    sh_block_give(call->block, process->tag);
    return 0;
}

static int launch_forkserver(const struct plan *plan)
{
    struct shoal_process *process = plan->process;
    struct sh_again_call call;
    int gate;
    int r = fill_call(plan, &call);

    if (r < 0)
        return r;
    process->pid = sh_server_start(&call, plan->ticket, &process->server, &process->pidfd, &gate);
    if (process->pid < 0)
        return process->pid;
    sh_process_open_gate(gate);
    return 0;
}

static int launch_spawn(const struct plan *plan)
{
    struct shoal_process *process = plan->process;
    struct sh_again_call call;
    int r = fill_call(plan, &call);

    if (r < 0)
        return r;
    process->pid = sh_again_start(&call, plan->ticket, &process->pidfd, NULL);
    return process->pid < 0 ? process->pid : 0;
}

/* What is wrong with a start, before anything is done for it. Fills in the plan. */
static int read_options(const struct shoal_process_options *options, struct plan *plan)
{
    unsigned flags = options ? options->flags : 0;

    if (options && (options->size != sizeof *options || flags & ~(unsigned)ALL_FLAGS || flags == ALL_FLAGS))
        return -EINVAL;
    if (options && options->name && strlen(options->name) >= SH_NAME_SIZE)
        return -EINVAL;
    plan->how = options ? options->start : SHOAL_START_DEFAULT;
    plan->name = options ? options->name : NULL;
    if (plan->how == SHOAL_START_DEFAULT)
        plan->how = (enum shoal_start)sh_load_relaxed(&sh_self.start);
    if (plan->how == SHOAL_START_DEFAULT)
        plan->how = SHOAL_START_FORK;
    if (plan->how < SHOAL_START_FORK || plan->how > SHOAL_START_SPAWN)
        return -EINVAL;
    if (sh_self.is_daemon || sh_again_is_astray())
        return -EPERM;
    return plan->how == SHOAL_START_FORK || sh_again_is_possible() ? 0 : -EPERM;
}

static int new_process(const struct plan *plan, unsigned flags, struct shoal_process **ret_process)
{
    struct shoal_process *process = calloc(1, sizeof *process);

    if (!process)
        return -ENOMEM;
    if (plan->name)
        snprintf(process->name, sizeof process->name, "%s", plan->name);
    else
        snprintf(process->name, sizeof process->name, "process-%u", sh_add_relaxed(&last_number, 1) + 1);
    process->flags = flags;
    process->pidfd = -1;
    process->epoch = sh_thread_process_epoch();
    *ret_process = process;
    return 0;
}

static int launch(const struct plan *plan)
{
    switch (plan->how) {
    case SHOAL_START_FORKSERVER:
        return launch_forkserver(plan);
    case SHOAL_START_SPAWN:
        return launch_spawn(plan);
    default:
        return launch_fork(plan);
    }
}

int shoal_process_start(const struct shoal_process_options *options, shoal_process_function *function,
                        const void *argument, size_t size, shoal_process **ret_process)
{
    struct plan plan = {.function = function, .argument = argument, .size = size};
    int r = !function || !ret_process || (size && !argument) ? -EINVAL : read_options(options, &plan);

    if (r == 0)
        r = sh_arena_enter();
    if (r < 0)
        return r;
    sh_child_collect();
    r = new_process(&plan, options ? options->flags : 0, &plan.process);
    if (r < 0)
        return r;
    r = sh_life_ticket(&plan.ticket);
    if (r < 0)
        goto free_process;
    r = plan.how == SHOAL_START_FORK ? sh_member_expect(&plan.process->tag)
                                     : sh_member_expect_afresh(argument, size, &plan.process->tag);
    if (r < 0)
        goto close_ticket;
    r = launch(&plan);
    if (r < 0)
        goto cancel_member;
    sh_life_close(plan.ticket);
    sh_child_add(plan.process);
    *ret_process = plan.process;
    return 0;

cancel_member:
    sh_member_cancel(plan.process->tag);
close_ticket:
    sh_life_close(plan.ticket);
free_process:
    free(plan.process);
    return r;
}

void shoal_process_free(shoal_process *process)
{
    if (process)
        sh_child_free(process);
    sh_child_collect();
}

pid_t shoal_process_pid(const shoal_process *process)
{
    return process ? process->pid : -EINVAL;
}

const char *shoal_process_name(const shoal_process *process)
{
    return process ? process->name : NULL;
}

int shoal_process_sentinel(const shoal_process *process)
{
    if (!process)
        return -EINVAL;
    return process->pidfd < 0 ? -ECHILD : process->pidfd;
}

int shoal_process_is_alive(shoal_process *process)
{
    int r = sh_child_is_own(process);

    if (r < 0)
        return r;
    sh_child_collect();
    return sh_child_settle(process) == -EAGAIN;
}

int shoal_process_join(shoal_process *process, int64_t timeout)
{
    int64_t deadline = sh_clock_deadline(timeout);
    int r = sh_child_is_own(process);

    while (r == 0 && sh_child_settle(process) == -EAGAIN)
        r = sh_poll_readable(process->pidfd, deadline);
    if (r == 0)
        sh_child_collect();
    return r == -ETIMEDOUT && timeout <= 0 ? -EAGAIN : r;
}

int shoal_process_exit(shoal_process *process, struct shoal_exit *ret_exit)
{
    int r = ret_exit ? sh_child_is_own(process) : -EINVAL;

    if (r == 0)
        r = sh_child_settle(process);
    if (r < 0)
        return r;
    if (process->state == SH_CHILD_UNKNOWN)
        return -ECHILD;
    *ret_exit = process->exit;
    return 0;
}

static int send_signal(shoal_process *process, int signal)
{
    int r = sh_child_is_own(process);

    if (r < 0)
        return r;
    r = sh_process_signal(process->pidfd, signal);
    return r == -ESRCH ? 0 : r;
}

int shoal_process_terminate(shoal_process *process)
{
    return send_signal(process, SIGTERM);
}

int shoal_process_kill(shoal_process *process)
{
    return send_signal(process, SIGKILL);
}

int shoal_process_set_start(enum shoal_start start)
{
    if (start < SHOAL_START_DEFAULT || start > SHOAL_START_SPAWN)
        return -EINVAL;
    sh_store_relaxed(&sh_self.start, (uint32_t)start);
    return 0;
}

int shoal_cpu_count(void)
{
    return sh_cpu_count();
}
