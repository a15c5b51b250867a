/* lock.c - random calls on a lock by several processes that also die, beside a model of who holds it. */
#include "actors.h"

#include <shoal/lock.h>

enum { ACTORS = 4, STEPS = 1500, NOBODY = -1 };

enum { ACQUIRE, RELEASE };

struct model {
    unsigned flags;
    int owner;
    int depth;
    bool has_died;    /* the last owner died holding it, and nobody has been told */
    unsigned waiting; /* who is blocked in acquire */
};

static shoal_lock *lock;

static int act(int call, int64_t argument)
{
    return call == ACQUIRE ? shoal_lock_acquire(lock, argument) : shoal_lock_release(lock);
}

static void take(struct model *model, int actor, int r)
{
    CHECK_EQ(r, model->has_died ? SHOAL_OWNER_DIED : 0);
    model->owner = actor;
    model->depth = 1;
    model->has_died = false;
}

/* The lock has become free: one of those who wait for it gets it. */
static void hand_on(struct model *model)
{
    model->owner = NOBODY;
    model->depth = 0;
    if (!model->waiting)
        return;
    int next = actors_await_any(model->waiting);
    model->waiting &= ~(1u << next);
    take(model, next, actors_hear(next));
}

/* What acquire does where it cannot wait; 1 where it would get it. */
static int refusal(const struct model *model, int actor)
{
    if (model->owner == NOBODY)
        return 1;
    if (model->owner != actor || model->flags & SHOAL_LOCK_ANY_RELEASE)
        return -EAGAIN;
    return model->flags & SHOAL_LOCK_RECURSIVE ? 0 : -EDEADLK;
}

static void acquire(struct model *model, int actor, int64_t timeout)
{
    int refused = refusal(model, actor);

    if (refused == -EAGAIN && timeout == SHOAL_FOREVER) {
        actors_block(actor, ACQUIRE, timeout);
        model->waiting |= 1u << actor;
        return;
    }
    int r = actors_call(actor, ACQUIRE, timeout);
    if (refused == 1)
        take(model, actor, r);
    else
        CHECK_EQ(r, refused == -EAGAIN && timeout > 0 ? -ETIMEDOUT : refused);
    if (refused == 0)
        model->depth++;
}

static void release(struct model *model, int actor)
{
    int is_any = model->flags & SHOAL_LOCK_ANY_RELEASE;
    int may = model->owner != NOBODY ? model->owner == actor || is_any : model->has_died && is_any;

    CHECK_EQ(actors_call(actor, RELEASE, 0), may ? 0 : -EPERM);
    if (may && model->owner == NOBODY)
        model->has_died = false;
    else if (may && --model->depth == 0)
        hand_on(model);
}

static void die(struct model *model, int actor)
{
    int was_owner = model->owner == actor;

    actors_replace(actor);
    model->waiting &= ~(1u << actor);
    if (!was_owner)
        return;
    model->has_died = true;
    hand_on(model);
}

static void compare(const struct model *model)
{
    struct shoal_lock_owner owner;

    CHECK_OK(shoal_lock_owner(lock, &owner));
    if (model->owner != NOBODY) {
        CHECK_EQ(owner.pid, actors[model->owner].pid);
        CHECK_EQ(owner.depth, model->depth);
        CHECK_EQ(owner.alive, 1);
    } else {
        CHECK_EQ(owner.pid != 0, model->has_died);
        CHECK_EQ(owner.alive, 0);
    }
    actors_check_blocked(model->waiting);
    actors_check_object(lock);
}

static void step(struct model *model, uint64_t *seed)
{
    int actor = (int)test_random_below(seed, ACTORS);
    uint64_t choice = test_random_below(seed, 100);

    if (choice < 3) {
        die(model, actor);
    } else if (choice < 5) {
        sh_reclaim_wait();
    } else if (!(model->waiting & 1u << actor)) {
        if (choice < 45)
            release(model, actor);
        else
            acquire(model, actor, choice < 70 ? 0 : choice < 74 ? 300000 : SHOAL_FOREVER);
    }
    /* Where all wait for one that an actor may not release any more, only its death helps. */
    if (model->waiting == (1u << ACTORS) - 1)
        die(model, model->owner);
    compare(model);
}

static void run(unsigned flags)
{
    struct model model = {.flags = flags, .owner = NOBODY};
    uint64_t seed = test_seed();

    CHECK_OK(shoal_lock_open(&(struct shoal_lock_options){SHOAL_OPTIONS(shoal_lock), .flags = flags}, &lock));
    actors_open(ACTORS, act);
    for (int i = 0; i < STEPS; i++)
        step(&model, &seed);
    actors_close();
    shoal_lock_free(lock);
}

TEST_WITHIN(60, a_lock_does_what_its_model_does)
{
    run(0);
}

TEST_WITHIN(60, a_recursive_lock_does_what_its_model_does)
{
    run(SHOAL_LOCK_RECURSIVE);
}

TEST_WITHIN(60, a_lock_that_anybody_may_release_does_what_its_model_does)
{
    run(SHOAL_LOCK_ANY_RELEASE);
}
