/* barrier.c - random calls on a barrier by several processes that also die, beside a model of who waits at it. */
#include "actors.h"

#include <shoal/barrier.h>

enum { ACTORS = 5, PARTIES = 3, STEPS = 2000 };

enum { WAIT, ABORT, RESET };

struct model {
    bool is_broken;
    unsigned waiting;
};

static shoal_barrier *barrier;

static int act(int call, int64_t argument)
{
    switch (call) {
    case WAIT:
        return shoal_barrier_wait(barrier, argument);
    case ABORT:
        return shoal_barrier_abort(barrier);
    default:
        return shoal_barrier_reset(barrier);
    }
}

/* All who wait return this. */
static void send_away(struct model *model, int error)
{
    for (int i = 0; i < ACTORS; i++)
        if (model->waiting & 1u << i)
            CHECK_EQ(actors_hear(i), error);
    model->waiting = 0;
}

static void break_it(struct model *model)
{
    if (!model->is_broken)
        send_away(model, -EPIPE);
    model->is_broken = true;
}

/* All who wait return, each with another number than the rest. */
static void let_through(struct model *model, int last)
{
    unsigned numbers = 1u << last;

    for (int i = 0; i < ACTORS; i++)
        if (model->waiting & 1u << i)
            numbers |= 1u << CHECK_COUNT(actors_hear(i));
    CHECK_EQ(numbers, (1u << PARTIES) - 1);
    model->waiting = 0;
}

static void wait_at(struct model *model, int actor, int64_t timeout)
{
    int is_last = __builtin_popcount(model->waiting) == PARTIES - 1;

    if (model->is_broken) {
        CHECK_EQ(actors_call(actor, WAIT, timeout), -EPIPE);
    } else if (is_last) {
        let_through(model, (int)CHECK_COUNT(actors_call(actor, WAIT, timeout)));
    } else if (timeout == SHOAL_FOREVER) {
        actors_block(actor, WAIT, timeout);
        model->waiting |= 1u << actor;
    } else {
        CHECK_EQ(actors_call(actor, WAIT, timeout), timeout > 0 ? -ETIMEDOUT : -EAGAIN);
        break_it(model);
    }
}

static void die(struct model *model, int actor)
{
    int was_waiting = model->waiting >> actor & 1;

    actors_replace(actor);
    model->waiting &= ~(1u << actor);
    if (!was_waiting)
        return;
    if (!model->waiting)
        sh_reclaim_wait(); /* else nobody would notice until the next one comes */
    break_it(model);
}

static void compare(const struct model *model)
{
    uint32_t waiting;

    CHECK_OK(shoal_barrier_waiting(barrier, &waiting));
    CHECK_EQ(waiting, __builtin_popcount(model->waiting));
    CHECK_EQ(shoal_barrier_is_broken(barrier), model->is_broken);
    actors_check_blocked(model->waiting);
    actors_check_object(barrier);
}

static void step(struct model *model, uint64_t *seed)
{
    int actor = (int)test_random_below(seed, ACTORS);
    uint64_t choice = test_random_below(seed, 100);

    if (choice < 5) {
        die(model, actor);
    } else if (choice < 7) {
        sh_reclaim_wait();
    } else if (!(model->waiting & 1u << actor)) {
        if (choice < 10) {
            CHECK_OK(actors_call(actor, ABORT, 0));
            break_it(model);
        } else if (choice < 25) {
            CHECK_OK(actors_call(actor, RESET, 0));
            send_away(model, -ECANCELED);
            model->is_broken = false;
        } else {
            wait_at(model, actor, choice < 28 ? 0 : choice < 31 ? 300000 : SHOAL_FOREVER);
        }
    }
    compare(model);
}

TEST_WITHIN(60, a_barrier_does_what_its_model_does)
{
    struct model model = {0};
    uint64_t seed = test_seed();

    CHECK_OK(shoal_barrier_open(PARTIES, &barrier));
    actors_open(ACTORS, act);
    for (int i = 0; i < STEPS; i++)
        step(&model, &seed);
    actors_close();
    shoal_barrier_free(barrier);
}
