/* event.c - events: a flag and a word to sleep on. */
#include "sync/event.h"

#include "base/check.h"
#include "base/crash.h"
#include "os/clock.h"
#include "sync/watch.h"

#include <errno.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half of state is its first");

#define IS_SET 1u
#define SETTINGS(state) ((state) >> 1)

static struct sh_event_shared *shared_of(const shoal_event *event)
{
    return sh_container(event->handle.object, struct sh_event_shared, object);
}

int shoal_event_open(shoal_event **ret_event)
{
    struct sh_handle *handle;

    if (!ret_event)
        return -EINVAL;
    int r = sh_handle_create(SH_KIND_EVENT, sizeof(struct sh_event_shared), sizeof(shoal_event), &handle);
    if (r < 0)
        return r;
    sh_handle_publish(handle);
    *ret_event = sh_container(handle, shoal_event, handle);
    return 0;
}

int shoal_event_attach(const shoal_ref *ref, shoal_event **ret_event)
{
    struct sh_handle *handle;

    if (!ret_event)
        return -EINVAL;
    int r = sh_handle_attach(ref, SH_KIND_EVENT, sizeof(shoal_event), &handle);
    if (r == 0)
        *ret_event = sh_container(handle, shoal_event, handle);
    return r;
}

int shoal_event_ref(const shoal_event *event, shoal_ref *ret_ref)
{
    return event ? sh_handle_ref(&event->handle, ret_ref) : -EINVAL;
}

void shoal_event_free(shoal_event *event)
{
    if (event)
        sh_handle_free(&event->handle);
}

int shoal_event_set(shoal_event *event)
{
    int r = event ? sh_handle_enter(&event->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_event_shared *shared = shared_of(event);
    uint64_t state = sh_load_acquire(&shared->state);

    if (state & IS_SET) /* who set it wakes all, or the kernel does where he died */
        return 0;
    sh_word_announce(&sh_thread_state, &shared->bell); /* from here on: no death after the swap loses the wake */
    while (!(state & IS_SET)) {
        if (sh_cas_ordered(&shared->state, &state, (SETTINGS(state) + 1) << 1 | IS_SET)) {
            SH_CRASH_POINT(event_set);
            sh_word_ring(&shared->bell);
            return 0;
        }
    }
    sh_word_forget();
    return 0;
}

int shoal_event_clear(shoal_event *event)
{
    int r = event ? sh_handle_enter(&event->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_event_shared *shared = shared_of(event);
    uint64_t state = sh_load_acquire(&shared->state);

    while (state & IS_SET && !sh_cas_ordered(&shared->state, &state, state & ~(uint64_t)IS_SET))
        ;
    return 0;
}

int shoal_event_is_set(const shoal_event *event)
{
    int r = event ? sh_handle_enter(&event->handle) : -EINVAL;

    return r < 0 ? r : (int)(sh_load_acquire(&shared_of(event)->state) & IS_SET);
}

/* The half of state in which the flag is, and most of the count. */
static _Atomic uint32_t *low_half(struct sh_event_shared *shared)
{
    return (_Atomic uint32_t *)(uintptr_t)&shared->state;
}

/* Sleep until the event is set, or was set since it was in the state before. */
static int sleep_for(struct sh_event_shared *shared, uint64_t before, int64_t deadline)
{
    struct sh_watch watch = {0};

    for (;;) {
        uint32_t seen = sh_word_prepare(&shared->bell, SH_WORD_DATA);
        if (SETTINGS(sh_load_ordered(&shared->state)) != SETTINGS(before)) /* pairs with the swap in set */
            return 0;
        sh_watch_begin(&watch);
        sh_watch_value(&watch, low_half(shared), (uint32_t)before);
        int r = sh_watch_sleep(&watch, &shared->bell, seen, deadline);
        if (r < 0)
            return r;
    }
}

int shoal_event_wait(shoal_event *event, int64_t timeout)
{
    int r = event ? sh_handle_enter(&event->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_event_shared *shared = shared_of(event);
    uint64_t state = sh_load_acquire(&shared->state);

    if (state & IS_SET)
        return 0;
    if (timeout <= 0)
        return -EAGAIN;
    r = sleep_for(shared, state, sh_clock_deadline(timeout));
    sh_word_pass(&shared->bell, SH_WORD_DATA); /* who set it may have died before it had woken all */
    sh_word_forget();
    return r;
}

static int check(struct sh_object *object)
{
    struct sh_event_shared *shared = sh_container(object, struct sh_event_shared, object);
    uint64_t state = sh_load_acquire(&shared->state);

    SH_HOLDS(!(sh_load_acquire(&shared->bell.value) & ~SH_WORD_WAITERS));
    SH_HOLDS(!(state & IS_SET) || SETTINGS(state) > 0);
    return 0;
}

const struct sh_object_kind sh_event_kind = {
    .name = "event",
    .size = sizeof(struct sh_event_shared),
    .check = check,
};
