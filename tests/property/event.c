/* event.c - random calls on an event by several processes that also die, beside a model that is a flag. */
#include "actors.h"

#include <shoal/event.h>

enum { ACTORS = 5, STEPS = 2000 };

enum { SET, CLEAR, WAIT };

struct model {
    bool is_set;
    unsigned waiting;
};

static shoal_event *event;

static int act(int call, int64_t argument)
{
    switch (call) {
    case SET:
        return shoal_event_set(event);
    case CLEAR:
        return shoal_event_clear(event);
    default:
        return shoal_event_wait(event, argument);
    }
}

static void set(struct model *model, int actor)
{
    CHECK_OK(actors_call(actor, SET, 0));
    model->is_set = true;
    for (int i = 0; i < ACTORS; i++)
        if (model->waiting & 1u << i)
            CHECK_OK(actors_hear(i));
    model->waiting = 0;
}

static void wait_for(struct model *model, int actor, int64_t timeout)
{
    if (!model->is_set && timeout == SHOAL_FOREVER) {
        actors_block(actor, WAIT, timeout);
        model->waiting |= 1u << actor;
    } else {
        CHECK_EQ(actors_call(actor, WAIT, timeout), model->is_set ? 0 : timeout > 0 ? -ETIMEDOUT : -EAGAIN);
    }
}

static void step(struct model *model, uint64_t *seed)
{
    int actor = (int)test_random_below(seed, ACTORS);
    uint64_t choice = test_random_below(seed, 100);

    if (choice < 4 || model->waiting == (1u << ACTORS) - 1) {
        actors_replace(actor);
        model->waiting &= ~(1u << actor);
    } else if (model->waiting & 1u << actor) {
        sh_reclaim_dead();
    } else if (choice < 25) {
        set(model, actor);
    } else if (choice < 50) {
        CHECK_OK(actors_call(actor, CLEAR, 0));
        model->is_set = false;
    } else {
        wait_for(model, actor, choice < 60 ? 0 : choice < 64 ? 300000 : SHOAL_FOREVER);
    }
    CHECK_EQ(shoal_event_is_set(event), model->is_set);
    actors_check_blocked(model->waiting);
    actors_check_object(event);
}

TEST_WITHIN(60, an_event_does_what_its_model_does)
{
    struct model model = {0};
    uint64_t seed = test_seed();

    CHECK_OK(shoal_event_open(&event));
    actors_open(ACTORS, act);
    for (int i = 0; i < STEPS; i++)
        step(&model, &seed);
    actors_close();
    shoal_event_free(event);
}
