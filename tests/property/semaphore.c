/* semaphore.c - random calls on semaphores by several processes that also die, beside a model that counts. */
#include "actors.h"

#include <shoal/semaphore.h>

enum { ACTORS = 4, STEPS = 1500, PERMITS = 5 };

enum { ACQUIRE, RELEASE };

struct model {
    bool is_owned;
    uint32_t free;         /* of a plain one: its value; of an owned one: permits that nobody died with */
    uint32_t left;         /* permits that came back from the dead, of which nobody has been told */
    uint32_t held[ACTORS]; /* of an owned one */
    unsigned waiting;      /* who is blocked in acquire */
};

static shoal_semaphore *semaphore;

static int act(int call, int64_t argument)
{
    return call == ACQUIRE ? shoal_semaphore_acquire(semaphore, argument)
                           : shoal_semaphore_release(semaphore, (uint32_t)argument);
}

/* An acquire has returned a permit: either sort, where there are both. */
static void take(struct model *model, int actor, int r)
{
    uint32_t *pot = r == SHOAL_OWNER_DIED ? &model->left : &model->free;

    CHECK(r == 0 || r == SHOAL_OWNER_DIED);
    CHECK_GT(*pot, 0);
    --*pot;
    if (model->is_owned)
        model->held[actor]++;
}

/* There are permits: those who wait get as many as there are. */
static void hand_out(struct model *model)
{
    while (model->free + model->left > 0 && model->waiting) {
        int next = actors_await_any(model->waiting);
        model->waiting &= ~(1u << next);
        take(model, next, actors_hear(next));
    }
}

static void acquire(struct model *model, int actor, int64_t timeout)
{
    if (model->free + model->left > 0) {
        take(model, actor, actors_call(actor, ACQUIRE, timeout));
    } else if (timeout == SHOAL_FOREVER) {
        actors_block(actor, ACQUIRE, timeout);
        model->waiting |= 1u << actor;
    } else {
        CHECK_EQ(actors_call(actor, ACQUIRE, timeout), timeout > 0 ? -ETIMEDOUT : -EAGAIN);
    }
}

static void release(struct model *model, int actor, uint32_t count)
{
    int expected = 0;

    if (count == 0)
        expected = -EINVAL;
    else if (model->is_owned && count > model->held[actor])
        expected = -EPERM;
    else if (!model->is_owned && model->free + count > PERMITS)
        expected = -EOVERFLOW;
    CHECK_EQ(actors_call(actor, RELEASE, count), expected);
    if (expected < 0)
        return;
    model->free += count;
    if (model->is_owned)
        model->held[actor] -= count;
    hand_out(model);
}

static void die(struct model *model, int actor)
{
    actors_replace(actor);
    model->waiting &= ~(1u << actor);
    model->left += model->held[actor];
    model->held[actor] = 0;
    hand_out(model);
}

static void compare(const struct model *model)
{
    uint32_t value;

    CHECK_OK(shoal_semaphore_value(semaphore, &value));
    CHECK_EQ(value, model->free + model->left);
    actors_check_blocked(model->waiting);
    actors_check_object(semaphore);
}

static void step(struct model *model, uint64_t *seed)
{
    int actor = (int)test_random_below(seed, ACTORS);
    uint64_t choice = test_random_below(seed, 100);

    if (choice < 3) {
        die(model, actor);
    } else if (choice < 5) {
        sh_reclaim_wait();
    } else if (model->waiting & 1u << actor) {
        if (!model->is_owned && model->waiting == (1u << ACTORS) - 1)
            die(model, actor); /* nobody is left who could release */
    } else if (choice < 45) {
        release(model, actor, (uint32_t)test_random_below(seed, 4));
    } else {
        acquire(model, actor, choice < 60 ? 0 : choice < 64 ? 300000 : SHOAL_FOREVER);
    }
    if (model->waiting == (1u << ACTORS) - 1)
        die(model, actor);
    compare(model);
}

static void run(bool is_owned)
{
    struct model model = {.is_owned = is_owned, .free = PERMITS};
    struct shoal_semaphore_options options = {SHOAL_OPTIONS(shoal_semaphore),
                                              .flags = is_owned ? SHOAL_SEMAPHORE_OWNED : 0, .value = PERMITS,
                                              .maximum = PERMITS};
    uint64_t seed = test_seed();

    CHECK_OK(shoal_semaphore_open(&options, &semaphore));
    actors_open(ACTORS, act);
    for (int i = 0; i < STEPS; i++)
        step(&model, &seed);
    actors_close();
    shoal_semaphore_free(semaphore);
}

TEST_WITHIN(60, a_semaphore_does_what_its_model_does)
{
    run(false);
}

TEST_WITHIN(60, an_owned_semaphore_does_what_its_model_does)
{
    run(true);
}
