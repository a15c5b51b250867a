/* condition.c - random calls on a condition and its lock by several processes that also die, beside a model of who
 * waits, in which order, and who wants the lock. */
#include "actors.h"

#include <shoal/condition.h>
#include <shoal/lock.h>

enum { ACTORS = 6, STEPS = 2000, NOBODY = -1 };

enum { LOCK, UNLOCK, WAIT, NOTIFY, NOTIFY_ALL };

struct model {
    int owner;         /* of the lock */
    bool has_died;     /* the last owner died holding it, and nobody has been told */
    unsigned want;     /* who is blocked for the lock: in acquire, or in wait and notified */
    unsigned notified; /* of those: who was notified by a call that notifies some */
    int queue[ACTORS]; /* who waits and has not been notified, the first longest */
    int length;
};

static shoal_lock *lock;
static shoal_condition *condition;

static int act(int call, int64_t argument)
{
    switch (call) {
    case LOCK:
        return shoal_lock_acquire(lock, argument);
    case UNLOCK:
        return shoal_lock_release(lock);
    case WAIT:
        return shoal_condition_wait(condition, lock, argument);
    case NOTIFY:
        return shoal_condition_notify(condition, (uint32_t)argument);
    default:
        return shoal_condition_notify_all(condition);
    }
}

static unsigned blocked(const struct model *model)
{
    unsigned set = model->want;

    for (int i = 0; i < model->length; i++)
        set |= 1u << model->queue[i];
    return set;
}

static void own(struct model *model, int actor, int r)
{
    CHECK_EQ(r, model->has_died ? SHOAL_OWNER_DIED : 0);
    model->owner = actor;
    model->has_died = false;
}

/* The lock is free: one of those who want it gets it. */
static void hand_on(struct model *model)
{
    if (model->owner != NOBODY || !model->want)
        return;
    int next = actors_await_any(model->want);
    model->want &= ~(1u << next);
    model->notified &= ~(1u << next);
    own(model, next, actors_hear(next));
}

static void unqueue(struct model *model, int at)
{
    for (int i = at; i + 1 < model->length; i++)
        model->queue[i] = model->queue[i + 1];
    model->length--;
}

/* Those who wait longest are notified: they want the lock now. */
static void notify(struct model *model, int count, bool all)
{
    for (; count > 0 && model->length > 0; count--) {
        model->want |= 1u << model->queue[0];
        if (!all)
            model->notified |= 1u << model->queue[0];
        unqueue(model, 0);
    }
}

static void acquire(struct model *model, int actor)
{
    if (model->owner == NOBODY) {
        own(model, actor, actors_call(actor, LOCK, SHOAL_FOREVER));
    } else if (model->owner == actor) {
        CHECK_EQ(actors_call(actor, LOCK, 0), -EDEADLK);
    } else {
        actors_block(actor, LOCK, SHOAL_FOREVER);
        model->want |= 1u << actor;
    }
}

static void release(struct model *model, int actor)
{
    CHECK_EQ(actors_call(actor, UNLOCK, 0), model->owner == actor ? 0 : -EPERM);
    if (model->owner == actor)
        model->owner = NOBODY;
    hand_on(model);
}

static void wait_for(struct model *model, int actor, int64_t timeout)
{
    if (model->owner != actor) {
        CHECK_EQ(actors_call(actor, WAIT, timeout), -EPERM);
    } else if (timeout == SHOAL_FOREVER) {
        model->owner = NOBODY;
        model->queue[model->length++] = actor;
        actors_block(actor, WAIT, timeout);
        hand_on(model);
    } else if (!model->want) { /* else it may or may not get the lock again before the others */
        CHECK_EQ(actors_call(actor, WAIT, timeout), timeout > 0 ? -ETIMEDOUT : -EAGAIN);
    }
}

static void call_notify(struct model *model, int actor, int count)
{
    int woken = count < model->length ? count : model->length;

    if (count == ACTORS) {
        CHECK_EQ(actors_call(actor, NOTIFY_ALL, 0), model->length);
        notify(model, model->length, true);
    } else {
        CHECK_EQ(actors_call(actor, NOTIFY, count), woken);
        notify(model, count, false);
    }
    hand_on(model);
}

static void die(struct model *model, int actor)
{
    bool was_notified = model->notified >> actor & 1;

    actors_replace(actor);
    model->want &= ~(1u << actor);
    model->notified &= ~(1u << actor);
    for (int i = 0; i < model->length; i++)
        if (model->queue[i] == actor)
            unqueue(model, i--);
    sh_reclaim_wait();
    if (was_notified)
        notify(model, 1, false); /* it has passed to the next */
    if (model->owner == actor) {
        model->owner = NOBODY;
        model->has_died = true;
    }
    hand_on(model);
}

static uint32_t waiters(void)
{
    uint32_t count;
    CHECK_OK(shoal_condition_waiters(condition, &count));
    return count;
}

static void compare(const struct model *model)
{
    struct shoal_lock_owner owner;

    AWAIT(waiters() == (uint32_t)model->length); /* one on its way to another by a living process may take its time */
    CHECK_OK(shoal_lock_owner(lock, &owner));
    if (model->owner == NOBODY)
        CHECK_EQ(owner.pid != 0, model->has_died);
    else
        CHECK_EQ(owner.pid, actors[model->owner].pid);
    actors_check_blocked(blocked(model));
    actors_check_object(lock);
    actors_check_object(condition);
}

static void step(struct model *model, uint64_t *seed)
{
    int actor = (int)test_random_below(seed, ACTORS);
    uint64_t choice = test_random_below(seed, 100);

    if (choice < 4) {
        die(model, actor);
    } else if (blocked(model) == (1u << ACTORS) - 1) {
        die(model, actor); /* nobody is left who could do anything else */
    } else if (!(blocked(model) & 1u << actor)) {
        if (choice < 25)
            acquire(model, actor);
        else if (choice < 40)
            release(model, actor);
        else if (choice < 70)
            wait_for(model, actor, choice < 45 ? 0 : choice < 48 ? 300000 : SHOAL_FOREVER);
        else
            call_notify(model, actor, choice < 75 ? ACTORS : (int)test_random_below(seed, 4));
    }
    compare(model);
}

TEST_WITHIN(90, a_condition_does_what_its_model_does)
{
    struct model model = {.owner = NOBODY};
    uint64_t seed = test_seed();

    CHECK_OK(shoal_lock_open(NULL, &lock));
    CHECK_OK(shoal_condition_open(&condition));
    actors_open(ACTORS, act);
    for (int i = 0; i < STEPS; i++)
        step(&model, &seed);
    actors_close();
    shoal_condition_free(condition);
    shoal_lock_free(lock);
}
