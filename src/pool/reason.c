/* reason.c - why an item has no result, in words. */
#include "pool/reason.h"

#include "arena/block.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int number;
    const char *name;
} signals[] = {
    {SIGKILL, "SIGKILL"}, {SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
    {SIGILL, "SIGILL"},   {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"},   {SIGHUP, "SIGHUP"},   {SIGQUIT, "SIGQUIT"},
    {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"}, {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"}, {SIGSYS, "SIGSYS"},
    {SIGTRAP, "SIGTRAP"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"},
};

static const char *name_of(int signal)
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (signals[i].number == signal)
            return signals[i].name;
    return "a signal";
}

static pid_t pid_of(uint64_t head)
{
    return (pid_t)(uint32_t)(head >> SH_ITEM_STATE_BITS);
}

static void tell_loss(uint64_t data, struct shoal_task_error *error)
{
    struct sh_item_loss loss;

    memcpy(&loss, &data, sizeof loss);
    error->error = -ECHILD;
    error->signal = sh_max(loss.signal, (int16_t)0);
    error->exit_code = loss.signal < 0 ? -1 : loss.code;
    if (loss.signal > 0)
        snprintf(error->message, sizeof error->message, "worker %d was killed by %s (signal %d) while it ran this item",
                 (int)error->pid, name_of(loss.signal), loss.signal);
    else if (loss.signal == 0)
        snprintf(error->message, sizeof error->message, "worker %d exited with code %d while it ran this item",
                 (int)error->pid, loss.code);
    else
        snprintf(error->message, sizeof error->message, "worker %d died while it ran this item; how is not known",
                 (int)error->pid);
}

/* A code of the program's own, so the words are libc's. */
static void tell_code(int code, struct shoal_task_error *error)
{
    error->error = code;
    snprintf(error->message, sizeof error->message, "the task function returned %d: %s", code, strerror(-code));
}

/* The block that a record names, if it is one: a worker may have gone wrong. */
static const struct sh_failure *failure_of(uint64_t offset)
{
    return sh_block_capacity(offset) >= sizeof(struct sh_failure) ? sh_at(offset) : NULL;
}

static void tell_failure(uint64_t data, struct shoal_task_error *error)
{
    const struct sh_failure *failure = failure_of(data);

    if (!failure || failure->error >= 0) {
        tell_code(-EIO, error);
        return;
    }
    tell_code(failure->error, error);
    if (failure->message[0])
        snprintf(error->message, sizeof error->message, "%.199s", failure->message);
}

void sh_reason_tell(const struct sh_item *item, uint64_t head, uint64_t number, struct shoal_task_error *ret_error)
{
    uint64_t data = sh_load_relaxed(&item->data);

    *ret_error = (struct shoal_task_error){.item = number, .pid = pid_of(head)};
    if (sh_item_state(head) == SH_ITEM_LOST)
        tell_loss(data, ret_error);
    else if (sh_item_state(head) == SH_ITEM_TOLD)
        tell_failure(data, ret_error);
    else
        tell_code((int32_t)(uint32_t)data, ret_error);
}

int sh_reason_code(const struct sh_item *item, uint64_t head)
{
    uint64_t data = sh_load_relaxed(&item->data);
    const struct sh_failure *failure;

    switch (sh_item_state(head)) {
    case SH_ITEM_DONE:
    case SH_ITEM_LARGE:
        return 0;
    case SH_ITEM_FAILED:
        return (int32_t)(uint32_t)data;
    case SH_ITEM_TOLD:
        failure = failure_of(data);
        return failure && failure->error < 0 ? failure->error : -EIO;
    default:
        return -ECHILD;
    }
}

int sh_reason_of_pool(struct sh_pool_shared *pool)
{
    return sh_load_acquire(&pool->phase) == SH_POOL_BROKEN ? -ENOEXEC : -ECANCELED;
}

void sh_reason_tell_of_pool(struct sh_pool_shared *pool, int was_cancelled, uint64_t number,
                            struct shoal_task_error *ret_error)
{
    *ret_error = (struct shoal_task_error){.item = number, .error = -ECANCELED};
    if (was_cancelled) {
        snprintf(ret_error->message, sizeof ret_error->message, "cancelled before it had begun");
    } else if (sh_reason_of_pool(pool) == -ENOEXEC) {
        int refusal = sh_load_relaxed(&pool->refusal);
        ret_error->error = -ENOEXEC;
        if (pool->reason[0]) {
            snprintf(ret_error->message, sizeof ret_error->message, "the pool was given up: %.159s", pool->reason);
            return;
        }
        snprintf(ret_error->message, sizeof ret_error->message,
                 "the pool was given up: worker after worker failed to start, the last one's initializer with %d: %s",
                 refusal, refusal < 0 ? strerror(-refusal) : "it died");
    } else {
        snprintf(ret_error->message, sizeof ret_error->message, "the pool was terminated before it had ended");
    }
}
