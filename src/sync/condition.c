/* condition.c - conditions: waiters in a table, notified by one swap each, or all by one.
 *
 * A waiter has the bell announced from before it looks at its record until it has the lock again, or sleeps for that.
 * So wherever it dies, the kernel wakes another waiter, which finds that the dead one was notified, and passes that on;
 * the same where a notifier dies before it has woken those it notified. While a waiter that was notified sleeps for the
 * lock, another watches its life. */
#include "sync/condition.h"

#include "base/check.h"
#include "base/crash.h"
#include "os/clock.h"
#include "sync/lock.h"
#include "sync/watch.h"

#include <errno.h>
#include <limits.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the phase is the first half of a record's state");

static struct sh_condition_shared *shared_of(const shoal_condition *condition)
{
    return sh_container(condition->handle.object, struct sh_condition_shared, object);
}

/* The half of a record's state that says its phase: what its waiter sleeps on. */
static _Atomic uint32_t *phase_of(struct sh_waiter *waiter)
{
    return (_Atomic uint32_t *)(uintptr_t)&waiter->state;
}

static void wake(struct sh_waiter *waiter)
{
    sh_futex_wake(phase_of(waiter), SH_FUTEX_ALL, 1);
}

/* Whether the record waits and nobody has notified it: where all with its ticket are told it only does not know it yet.
 */
static int is_waiting(struct sh_condition_shared *shared, struct sh_waiter *waiter, uint64_t state)
{
    return sh_waiter_phase_in(state) == SH_WAITER_WAITING &&
           sh_load_ordered(&waiter->ticket) >= sh_load_ordered(&shared->told);
}

/* Of those that wait, the living one with the lowest ticket: NULL where there is none. One of whose life there is doubt
 * comes after all others: it may be on its way out. */
static struct sh_waiter *find_oldest(struct sh_condition_shared *shared, uint64_t *ret_state)
{
    struct sh_waiter *oldest = NULL, *waiter;
    uint64_t lowest = UINT64_MAX;
    int is_doubtful = 1;

    for (uint32_t index = 0; (waiter = sh_waiter_at(shared, index)); index++) {
        uint64_t state = sh_load_ordered(&waiter->state), ticket = sh_load_relaxed(&waiter->ticket);
        struct sh_watch watch = {0};
        if (!is_waiting(shared, waiter, state) || (ticket > lowest && !is_doubtful) ||
            sh_watch_glance(&watch, sh_waiter_tag_in(state)) == -ESRCH)
            continue;
        if (watch.in_doubt > is_doubtful || (watch.in_doubt == is_doubtful && ticket > lowest))
            continue;
        oldest = waiter;
        lowest = ticket;
        is_doubtful = watch.in_doubt;
        *ret_state = state;
    }
    return oldest;
}

/* Notify the waiter that waits longest. Returns 0 where none waits. The bell is announced. */
static int notify_one(struct sh_condition_shared *shared)
{
    struct sh_waiter *waiter;
    uint64_t state;

    while ((waiter = find_oldest(shared, &state))) {
        uint64_t notified = sh_waiter_state(SH_WAITER_NOTIFIED, sh_waiter_tag_in(state));
        if (sh_cas_ordered(&waiter->state, &state, notified)) {
            SH_CRASH_POINT(condition_notified);
            wake(waiter);
            return 1;
        }
    }
    return 0;
}

/* A waiter died notified: give that to another. One caller alone gets to it. Should it die too, the record says so, and
 * the next goes on; then, at worst, one is notified in excess. */
static void pass_on(struct sh_condition_shared *shared, struct sh_waiter *waiter, uint64_t state)
{
    if (!sh_cas_ordered(&waiter->state, &state, sh_waiter_state(SH_WAITER_PASSING, sh_member_tag())))
        return;
    SH_CRASH_POINT(condition_passing);
    notify_one(shared);
    sh_store_step(&waiter->state, 0);
}

/* All below this ticket are told: see that they know. */
static void tell_all(struct sh_condition_shared *shared)
{
    struct sh_waiter *waiter;

    for (uint32_t index = 0; (waiter = sh_waiter_at(shared, index)); index++) {
        uint64_t state = sh_load_ordered(&waiter->state);
        if (sh_waiter_phase_in(state) != SH_WAITER_WAITING || is_waiting(shared, waiter, state))
            continue;
        uint64_t called = sh_waiter_state(SH_WAITER_CALLED, sh_waiter_tag_in(state));
        if (sh_cas_ordered(&waiter->state, &state, called)) {
            SH_CRASH_POINT(condition_called);
            wake(waiter);
            sh_cas_ordered(&waiter->state, &called, sh_waiter_state(SH_WAITER_TOLD, sh_waiter_tag_in(called)));
        }
    }
}

/* How many wait and live. */
static uint32_t count_waiting(struct sh_condition_shared *shared)
{
    struct sh_waiter *waiter;
    uint32_t count = 0;

    for (uint32_t index = 0; (waiter = sh_waiter_at(shared, index)); index++) {
        uint64_t state = sh_load_ordered(&waiter->state);
        count += is_waiting(shared, waiter, state) && !sh_member_is_dead(sh_waiter_tag_in(state));
    }
    return count;
}

/* What another waiter or notifier may have left undone when it died: tell who was told, wake who was notified or
 * called, pass on what the dead had; and watch those who were notified and do not have the lock yet. */
static void look_around(struct sh_condition_shared *shared, struct sh_waiter *own, struct sh_watch *watch)
{
    struct sh_waiter *waiter;

    tell_all(shared);
    for (uint32_t index = 0; (waiter = sh_waiter_at(shared, index)); index++) {
        uint64_t state = sh_load_ordered(&waiter->state);
        enum sh_waiter_phase phase = sh_waiter_phase_in(state);
        if (waiter != own && phase == SH_WAITER_CALLED)
            wake(waiter);
        if (waiter == own || (phase != SH_WAITER_NOTIFIED && phase != SH_WAITER_PASSING))
            continue;
        if (sh_watch_life(watch, sh_waiter_tag_in(state)) == -ESRCH)
            pass_on(shared, waiter, state);
        else if (phase == SH_WAITER_NOTIFIED)
            wake(waiter);
    }
}

/* Sleep until notified. */
static int sleep_for(struct sh_condition_shared *shared, struct sh_waiter *own, int64_t deadline)
{
    struct sh_watch watch = {0};

    for (;;) {
        uint32_t seen = sh_word_prepare(&shared->bell, SH_WORD_DATA);
        sh_watch_begin(&watch);
        sh_watch_value(&watch, phase_of(own), SH_WAITER_WAITING);
        look_around(shared, own, &watch);
        if (!is_waiting(shared, own, sh_load_ordered(&own->state)))
            return 0;
        int r = sh_watch_sleep(&watch, &shared->bell, seen, deadline);
        if (r < 0)
            return r == -ETIMEDOUT && deadline == SH_DEADLINE_PAST ? -EAGAIN : r;
    }
}

/* Stop waiting without having been notified: 0, or 1 where that came after all. */
static int stop_waiting(struct sh_waiter *own)
{
    uint64_t waiting = sh_waiter_state(SH_WAITER_WAITING, sh_member_tag());

    return !sh_cas_ordered(&own->state, &waiting, 0);
}

/* Take the lock again with a notification in the record: it is given up last. */
static int take_lock_notified(struct sh_condition_shared *shared, struct sh_waiter *own, shoal_lock *lock,
                              uint32_t depth)
{
    int r = sh_lock_try_again(lock, depth); /* with the bell still announced */

    if (r == -EAGAIN) {
        if (sh_waiter_phase_in(sh_load_relaxed(&own->state)) == SH_WAITER_NOTIFIED)
            sh_word_pass(&shared->bell, SH_WORD_DATA); /* to watch this life: from here the bell is not announced */
        r = sh_lock_take_again(lock, depth);
    }
    sh_store_step(&own->state, 0);
    sh_word_forget();
    return r;
}

/* The record is there and the lock released: sleep, and take the lock. */
static int wait_released(struct sh_condition_shared *shared, struct sh_waiter *own, shoal_lock *lock, uint32_t depth,
                         int64_t deadline)
{
    int r = sleep_for(shared, own, deadline);

    SH_CRASH_POINT(condition_slept);
    if (r < 0 && !stop_waiting(own)) {
        sh_word_forget();
        sh_lock_take_again(lock, depth);
        return r;
    }
    return take_lock_notified(shared, own, lock, depth);
}

static void fill(struct sh_condition_shared *shared, struct sh_waiter *own)
{
    sh_store_relaxed(&own->tid, (int32_t)sh_thread_state.tid);
    sh_store_relaxed(&own->ticket, sh_add_ordered(&shared->tickets, 1));
    sh_store_ordered(&own->state, sh_waiter_state(SH_WAITER_WAITING, sh_member_tag()));
    SH_CRASH_POINT(condition_waiting);
}

/* The lock turned out not to be the caller's: it was never a waiter. */
static void abandon(struct sh_condition_shared *shared, struct sh_waiter *own)
{
    if (!stop_waiting(own))
        return;
    sh_word_announce(&sh_thread_state, &shared->bell);
    uint64_t state = sh_load_ordered(&own->state);
    if (sh_waiter_phase_in(state) == SH_WAITER_NOTIFIED)
        pass_on(shared, own, state);
    else
        sh_store_step(&own->state, 0);
    sh_word_forget();
}

int shoal_condition_wait(shoal_condition *condition, shoal_lock *lock, int64_t timeout)
{
    int r = condition && lock ? sh_handle_enter(&condition->handle) : -EINVAL;
    struct sh_waiter *own;
    uint32_t depth;

    if (r == 0)
        r = sh_lock_is_held(lock);
    if (r < 0)
        return r;
    struct sh_condition_shared *shared = shared_of(condition);
    int64_t deadline = sh_clock_deadline(timeout);
    r = sh_waiter_claim(shared, &own);
    if (r < 0)
        return r;
    fill(shared, own);
    r = sh_lock_let_go(lock, &depth);
    if (r < 0) {
        abandon(shared, own);
        return r;
    }
    return wait_released(shared, own, lock, depth, deadline);
}

int shoal_condition_notify(shoal_condition *condition, uint32_t count)
{
    int r = condition ? sh_handle_enter(&condition->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_condition_shared *shared = shared_of(condition);
    int notified = 0;

    sh_word_announce(&sh_thread_state, &shared->bell);
    while (notified < (int)sh_min(count, (uint32_t)INT_MAX) && notify_one(shared))
        notified++;
    sh_word_forget();
    return notified;
}

int shoal_condition_notify_all(shoal_condition *condition)
{
    int r = condition ? sh_handle_enter(&condition->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_condition_shared *shared = shared_of(condition);
    uint64_t told = sh_load_ordered(&shared->told), tickets = sh_load_ordered(&shared->tickets);
    uint32_t count = count_waiting(shared);

    sh_word_announce(&sh_thread_state, &shared->bell);
    while (told < tickets && !sh_cas_ordered(&shared->told, &told, tickets))
        ;
    SH_CRASH_POINT(condition_all);
    tell_all(shared); /* some may learn it from others before this gets to them */
    sh_word_forget();
    return (int)count;
}

int shoal_condition_waiters(const shoal_condition *condition, uint32_t *ret_waiters)
{
    int r = condition && ret_waiters ? sh_handle_enter(&condition->handle) : -EINVAL;
    if (r < 0)
        return r;
    *ret_waiters = count_waiting(shared_of(condition));
    return 0;
}

int shoal_condition_open(shoal_condition **ret_condition)
{
    struct sh_handle *handle;

    if (!ret_condition)
        return -EINVAL;
    int r = sh_handle_create(SH_KIND_CONDITION, sizeof(struct sh_condition_shared), sizeof(shoal_condition), &handle);
    if (r < 0)
        return r;
    sh_handle_publish(handle);
    *ret_condition = sh_container(handle, shoal_condition, handle);
    return 0;
}

int shoal_condition_attach(const shoal_ref *ref, shoal_condition **ret_condition)
{
    struct sh_handle *handle;

    if (!ret_condition)
        return -EINVAL;
    int r = sh_handle_attach(ref, SH_KIND_CONDITION, sizeof(shoal_condition), &handle);
    if (r == 0)
        *ret_condition = sh_container(handle, shoal_condition, handle);
    return r;
}

int shoal_condition_ref(const shoal_condition *condition, shoal_ref *ret_ref)
{
    return condition ? sh_handle_ref(&condition->handle, ret_ref) : -EINVAL;
}

void shoal_condition_free(shoal_condition *condition)
{
    if (condition)
        sh_handle_free(&condition->handle);
}

static void destroy(struct sh_object *object)
{
    sh_waiter_destroy(sh_container(object, struct sh_condition_shared, object));
}

/* Free the records of the dead, and pass on what they were notified of. */
static void bury(struct sh_object *object, uint32_t tag)
{
    struct sh_condition_shared *shared = sh_container(object, struct sh_condition_shared, object);
    struct sh_waiter *waiter;

    sh_waiter_bury(shared, tag);
    sh_word_announce(sh_thread_self(), &shared->bell);
    tell_all(shared);
    for (uint32_t index = 0; (waiter = sh_waiter_at(shared, index)); index++) {
        uint64_t state = sh_load_ordered(&waiter->state);
        enum sh_waiter_phase phase = sh_waiter_phase_in(state);
        if (sh_waiter_tag_in(state) != tag)
            continue;
        if (phase == SH_WAITER_NOTIFIED || phase == SH_WAITER_PASSING)
            pass_on(shared, waiter, state);
        else
            sh_cas_ordered(&waiter->state, &state, 0);
    }
    sh_word_forget();
}

static int check(struct sh_object *object)
{
    struct sh_condition_shared *shared = sh_container(object, struct sh_condition_shared, object);
    uint64_t tickets = sh_load_acquire(&shared->tickets);
    struct sh_waiter *waiter;

    SH_HOLDS(sh_load_acquire(&shared->told) <= tickets);
    SH_HOLDS(!(sh_load_acquire(&shared->bell.value) & ~SH_WORD_WAITERS));
    for (uint32_t index = 0; (waiter = sh_waiter_at(shared, index)); index++) {
        uint64_t state = sh_load_acquire(&waiter->state);
        SH_HOLDS(sh_waiter_phase_in(state) <= SH_WAITER_PASSING);
        SH_HOLDS((state == 0) == (sh_waiter_phase_in(state) == SH_WAITER_FREE));
        SH_HOLDS(state == 0 || sh_member_slot(sh_waiter_tag_in(state)) < SH_MEMBERS_MAX);
        SH_HOLDS(sh_waiter_phase_in(state) <= SH_WAITER_CLAIMED || sh_load_acquire(&waiter->ticket) < tickets);
    }
    for (uint32_t chunk = 1; chunk < SH_WAITER_CHUNKS; chunk++)
        SH_HOLDS(!sh_load_acquire(&shared->chunks[chunk]) || sh_load_acquire(&shared->chunks[chunk - 1]));
    return 0;
}

const struct sh_object_kind sh_condition_kind = {
    .name = "condition",
    .size = sizeof(struct sh_condition_shared),
    .destroy = destroy,
    .bury = bury,
    .check = check,
};
