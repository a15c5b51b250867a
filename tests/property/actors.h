/* actors.h - processes that do what a test tells them, one call at a time: the test knows what each of them is at, and
 * compares what their calls return with its model.
 *
 * An actor is told to make a call; the test then waits for its return, or, where the model says that the call blocks,
 * until the actor sleeps in it, and hears of its return later. */
#ifndef PROPERTY_ACTORS_H
#define PROPERTY_ACTORS_H

#include "arena/handle.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "harness.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ACTORS_MAX = 8 };

/* What an actor does: the test's own function, which gets the number of the call and its argument. */
typedef int actors_act(int call, int64_t argument);

struct actor {
    pid_t pid;
    int calls[2], returns[2]; /* pipes */
    bool is_blocked;          /* in a call whose return has not been heard of */
};

static struct actor actors[ACTORS_MAX];
static int actors_count;
static actors_act *actors_function;
static _Atomic int *actors_busy; /* of each: 1 from when it has read a call until it writes its return */

struct actors_call {
    int call;
    int64_t argument;
};

static inline void actors_serve(int index)
{
    struct actors_call call;

    while (read(actors[index].calls[0], &call, sizeof call) == sizeof call) {
        actors_busy[index] = 1;
        int r = actors_function(call.call, call.argument);
        actors_busy[index] = 0;
        CHECK_EQ(write(actors[index].returns[1], &r, sizeof r), sizeof r);
    }
    test_exit(0);
}

static inline void actors_start(int index)
{
    struct actor *actor = &actors[index];

    actors_busy[index] = 0;
    actor->is_blocked = false;
    CHECK_SYS(pipe(actor->calls));
    CHECK_SYS(pipe(actor->returns));
    actor->pid = FORK();
    if (actor->pid == 0)
        actors_serve(index);
}

static inline void actors_close_pipes(int index)
{
    for (int i = 0; i < 2; i++) {
        CHECK_SYS(close(actors[index].calls[i]));
        CHECK_SYS(close(actors[index].returns[i]));
    }
}

static inline void actors_open(int count, actors_act *function)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(page != MAP_FAILED);
    actors_busy = page;
    actors_count = count;
    actors_function = function;
    for (int i = 0; i < count; i++)
        actors_start(i);
}

/* Kill an actor wherever it is, and start another in its place. */
static inline void actors_replace(int index)
{
    CHECK_SYS(kill(actors[index].pid, SIGKILL));
    CHECK_KILLED(actors[index].pid, SIGKILL);
    actors_close_pipes(index);
    actors_start(index);
}

static inline void actors_close(void)
{
    for (int i = 0; i < actors_count; i++) {
        CHECK_SYS(kill(actors[i].pid, SIGKILL));
        CHECK_KILLED(actors[i].pid, SIGKILL);
        actors_close_pipes(i);
    }
    CHECK_SYS(munmap((void *)(uintptr_t)actors_busy, 4096));
}

static inline void actors_tell(int index, int call, int64_t argument)
{
    struct actors_call message = {.call = call, .argument = argument};

    CHECK(!actors[index].is_blocked);
    CHECK_EQ(write(actors[index].calls[1], &message, sizeof message), sizeof message);
}

static inline bool actors_has_returned(int index)
{
    struct pollfd entry = {.fd = actors[index].returns[0], .events = POLLIN};

    return poll(&entry, 1, 0) > 0;
}

/* Wait for an actor's return, and what it is. */
static inline int actors_hear(int index)
{
    int r;

    AWAIT(actors_has_returned(index));
    CHECK_EQ(read(actors[index].returns[0], &r, sizeof r), sizeof r);
    actors[index].is_blocked = false;
    return r;
}

/* Let an actor make a call that does not block. */
static inline int actors_call(int index, int call, int64_t argument)
{
    actors_tell(index, call, argument);
    return actors_hear(index);
}

/* Let an actor make a call that blocks. */
static inline void actors_block(int index, int call, int64_t argument)
{
    actors_tell(index, call, argument);
    actors[index].is_blocked = true;
    AWAIT(actors_busy[index] || actors_has_returned(index));
    test_await_asleep(actors[index].pid);
    CHECK(!actors_has_returned(index));
}

/* Wait until one of those in a set (bit n is actor n) has returned; which. */
static inline int actors_await_any(unsigned set)
{
    int found = -1;

    AWAIT(({
        for (int i = 0; i < actors_count; i++)
            if (set & 1u << i && actors_has_returned(i))
                found = i;
        found >= 0;
    }));
    return found;
}

/* Nobody of a set returns: as far as can be told without waiting for long. */
static inline void actors_check_blocked(unsigned set)
{
    for (int i = 0; i < actors_count; i++)
        if (set & 1u << i)
            CHECK(!actors_has_returned(i));
}

/* The invariants of the object behind a handle. */
static inline void actors_check_object(const void *noun)
{
    const struct sh_handle *handle = noun;
    if (sh_object_kinds[handle->kind]->check(handle->object) != 0)
        FAIL("%s: %s", sh_object_kinds[handle->kind]->name, sh_check_note);
}

#endif
