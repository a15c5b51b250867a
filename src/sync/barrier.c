/* barrier.c - barriers: rounds in which a fixed number of parties wait for each other.
 *
 * A party has the bell announced from before it takes its place until it has left. So when it dies in there, at
 * whatever instruction, the kernel wakes one of those who sleep; that one finds nothing changed, looks at who waits,
 * and breaks the round when it finds the dead one. Who arrives looks too, should nobody have slept when the death came.
 */
#include "sync/barrier.h"

#include "arena/block.h"
#include "base/check.h"
#include "base/crash.h"
#include "os/clock.h"
#include "sync/watch.h"

#include <errno.h>

#define MOST_PARTIES 65535u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half of state is its first");

static struct sh_barrier_shared *shared_of(const shoal_barrier *barrier)
{
    return sh_container(barrier->handle.object, struct sh_barrier_shared, object);
}

/* What the body says, and no more than there is room for. */
static uint32_t parties_of(const struct sh_barrier_shared *shared)
{
    uint64_t capacity = sh_block_capacity(sh_offset(shared));
    uint64_t room = (sh_max(capacity, sizeof *shared) - sizeof *shared) / sizeof shared->places[0];

    return (uint32_t)sh_max(sh_min((uint64_t)shared->parties, room), UINT64_C(1));
}

static uint64_t round_in(uint64_t state)
{
    return (state & 0xffffffff) >> 2 | state >> 48 << 30;
}

static uint32_t arrived_in(uint64_t state)
{
    return state >> 32 & 0xffff;
}

static uint64_t place_in(uint64_t round, uint32_t tag)
{
    return round << 32 | tag;
}

static uint32_t tag_at(uint64_t place)
{
    return (uint32_t)place;
}

static int is_waiting_at(uint64_t place, uint64_t round)
{
    return tag_at(place) != 0 && place >> 32 == (uint32_t)round;
}

/* Free are places of earlier rounds. One of a later round means that the caller's round is over. */
static int is_free_at(uint64_t place, uint64_t round)
{
    return tag_at(place) == 0 || (int32_t)((uint32_t)(place >> 32) - (uint32_t)round) < 0;
}

/* Take a place in the round: its index, or -EAGAIN where there is none. */
static int take_place(struct sh_barrier_shared *shared, uint64_t state)
{
    uint64_t mine = place_in(round_in(state), sh_member_tag());
    uint32_t parties = parties_of(shared);
    uint32_t index = arrived_in(state) % parties;

    for (uint32_t n = 0; n < parties; n++) {
        uint64_t place = sh_load_acquire(&shared->places[index]);
        if (is_free_at(place, round_in(state)) && sh_cas_ordered(&shared->places[index], &place, mine)) {
            SH_CRASH_POINT(barrier_placed);
            return (int)index;
        }
        index = index + 1 < parties ? index + 1 : 0;
    }
    return -EAGAIN;
}

static void leave_place(struct sh_barrier_shared *shared, uint32_t index, uint64_t round)
{
    uint64_t mine = place_in(round, sh_member_tag());

    sh_cas_ordered(&shared->places[index], &mine, 0); /* once the round is over it may be another's */
}

/* Ends of a round. The bell is announced in all of them, and again after them. */

static void tell_all(struct sh_barrier_shared *shared)
{
    sh_word_ring(&shared->bell);
    sh_word_announce(&sh_thread_state, &shared->bell);
}

/* Note that the round ends by a reset, and begin the next. Any number may be at this, and some may be late. */
static void finish_reset(struct sh_barrier_shared *shared, uint64_t state)
{
    uint64_t round = round_in(state);
    _Atomic uint64_t *reset = &shared->resets[round % SH_BARRIER_RESETS];
    uint64_t noted = sh_load_acquire(reset);

    while (noted < round && !sh_cas_ordered(reset, &noted, round))
        ;
    SH_CRASH_POINT(barrier_noted);
    sh_cas_ordered(&shared->state, &state, sh_barrier_state(round + 1, 0));
    tell_all(shared);
}

/* Whether the round, which is over, was ended by a reset. Of those who slept through 64 rounds and more some are told
 * so though the barrier was reset later only: while they waited it was. */
static int was_reset(struct sh_barrier_shared *shared, uint64_t round)
{
    return sh_load_acquire(&shared->resets[round % SH_BARRIER_RESETS]) >= round;
}

/* The state, once no reset is under way. */
static uint64_t settled_state(struct sh_barrier_shared *shared)
{
    for (;;) {
        uint64_t state = sh_load_ordered(&shared->state);
        if (!(state & SH_BARRIER_RESETTING))
            return state;
        finish_reset(shared, state);
    }
}

/* Break the round if it is still going on. Returns whether this call has. */
static int break_round(struct sh_barrier_shared *shared, uint64_t round)
{
    uint64_t state = settled_state(shared);

    while (!(state & SH_BARRIER_BROKEN) && round_in(state) == round) {
        if (sh_cas_ordered(&shared->state, &state, state | SH_BARRIER_BROKEN)) {
            SH_CRASH_POINT(barrier_broken);
            tell_all(shared);
            return 1;
        }
        state = settled_state(shared);
    }
    return 0;
}

/* Count this party in; where it is the last, begin the next round. Returns 1 for that, or 0; -EAGAIN where it would
 * have to wait but does not want to, -ECANCELED where the round is over or broken. */
static int count_in(struct sh_barrier_shared *shared, uint64_t state, int wants_to_wait)
{
    uint64_t round = round_in(state);

    for (;;) {
        uint32_t arrived = arrived_in(state) + 1;
        if (arrived < shared->parties && !wants_to_wait)
            return -EAGAIN;
        uint64_t next = arrived < shared->parties ? sh_barrier_state(round, arrived) : sh_barrier_state(round + 1, 0);
        if (sh_cas_ordered(&shared->state, &state, next))
            break;
        if (round_in(state) != round || state & SH_BARRIER_FLAGS)
            return -ECANCELED;
    }
    SH_CRASH_POINT(barrier_counted);
    if (arrived_in(state) + 1 < shared->parties)
        return 0;
    tell_all(shared);
    sh_store_step(&shared->rung, (uint32_t)round);
    return 1;
}

/* Count this party out: 0, or -EAGAIN where the round is over. */
static int count_out(struct sh_barrier_shared *shared, uint64_t round)
{
    uint64_t state = settled_state(shared);

    while (!(state & SH_BARRIER_BROKEN) && round_in(state) == round) {
        if (sh_cas_ordered(&shared->state, &state, sh_barrier_state(round, arrived_in(state) - 1)))
            return 0;
        state = settled_state(shared);
    }
    return -EAGAIN;
}

/* Look whether one of those who wait in the round is dead; then break it. Their lives are slept on, as many as can be:
 * a death between this look and the sleep has woken nobody. */
static void look_for_dead(struct sh_barrier_shared *shared, uint64_t round, struct sh_watch *watch)
{
    for (uint32_t index = 0, parties = parties_of(shared); index < parties; index++) {
        uint64_t place = sh_load_acquire(&shared->places[index]);
        if (is_waiting_at(place, round) && sh_watch_life(watch, tag_at(place)) == -ESRCH) {
            break_round(shared, round);
            return;
        }
    }
}

/* The outcome for a party of a round that is over or broken: its number, -EPIPE or -ECANCELED. */
static int outcome(struct sh_barrier_shared *shared, uint64_t round, uint32_t index)
{
    uint64_t state = settled_state(shared);

    if (round_in(state) == round) {
        leave_place(shared, index, round);
        sh_word_pass(&shared->bell, SH_WORD_DATA); /* who broke it may not have told all, and died */
        return -EPIPE;
    }
    if (sh_load_relaxed(&shared->rung) != (uint32_t)round) /* who ended it may not have told all, and died */
        sh_word_pass(&shared->bell, SH_WORD_DATA);
    return was_reset(shared, round) ? -ECANCELED : (int)index;
}

/* Leave before the round is over, because of a signal or of the time. */
static int leave_early(struct sh_barrier_shared *shared, uint64_t round, uint32_t index, int error)
{
    int is_out = error == -EINTR ? count_out(shared, round) == 0 : break_round(shared, round);

    if (!is_out)
        return outcome(shared, round, index);
    leave_place(shared, index, round);
    tell_all(shared); /* somebody may wait for a place */
    return error;
}

static _Atomic uint32_t *low_half(struct sh_barrier_shared *shared)
{
    return (_Atomic uint32_t *)(uintptr_t)&shared->state;
}

/* Sleep until the round is over or broken. */
static int wait_in_place(struct sh_barrier_shared *shared, uint64_t round, uint32_t index, int64_t deadline)
{
    struct sh_watch watch = {0};

    for (;;) {
        uint32_t seen = sh_word_prepare(&shared->bell, SH_WORD_DATA);
        uint64_t state = sh_load_ordered(&shared->state);
        if (round_in(state) != round || state & SH_BARRIER_FLAGS)
            return outcome(shared, round, index);
        sh_watch_begin(&watch);
        sh_watch_value(&watch, low_half(shared), (uint32_t)state);
        look_for_dead(shared, round, &watch);
        int r = sh_watch_sleep(&watch, &shared->bell, seen, deadline);
        if (r < 0)
            return leave_early(shared, round, index, r);
    }
}

/* All places are taken, since the last party is just about to end the round. */
static int wait_for_place(struct sh_barrier_shared *shared, uint64_t round, int64_t deadline)
{
    struct sh_watch watch = {0};
    uint32_t seen = sh_word_prepare(&shared->bell, SH_WORD_DATA);

    sh_watch_begin(&watch);
    sh_watch_value(&watch, low_half(shared), (uint32_t)sh_barrier_state(round, 0));
    look_for_dead(shared, round, &watch);
    int r = sh_watch_sleep(&watch, &shared->bell, seen, deadline);
    return r == -ETIMEDOUT && deadline == SH_DEADLINE_PAST ? -EAGAIN : r;
}

static int wait_with(struct sh_barrier_shared *shared, int64_t deadline)
{
    int wants_to_wait = deadline != SH_DEADLINE_PAST;

    for (;;) {
        uint64_t state = settled_state(shared);
        uint64_t round = round_in(state);
        if (state & SH_BARRIER_BROKEN)
            return -EPIPE;
        int index = take_place(shared, state), r;
        if (index < 0) {
            r = wait_for_place(shared, round, deadline);
            if (r < 0)
                return r;
            continue;
        }
        r = count_in(shared, state, wants_to_wait);
        if (r == 1)
            return index;
        if (r == 0)
            return wait_in_place(shared, round, (uint32_t)index, deadline);
        int broken = r == -EAGAIN && break_round(shared, round);
        leave_place(shared, (uint32_t)index, round);
        if (broken)
            return -EAGAIN;
    }
}

int shoal_barrier_wait(shoal_barrier *barrier, int64_t timeout)
{
    int r = barrier ? sh_handle_enter(&barrier->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_barrier_shared *shared = shared_of(barrier);

    sh_word_announce(&sh_thread_state, &shared->bell);
    r = wait_with(shared, sh_clock_deadline(timeout));
    sh_word_forget();
    return r;
}

int shoal_barrier_abort(shoal_barrier *barrier)
{
    int r = barrier ? sh_handle_enter(&barrier->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_barrier_shared *shared = shared_of(barrier);
    uint64_t state;

    sh_word_announce(&sh_thread_state, &shared->bell);
    do {
        state = settled_state(shared);
    } while (!(state & SH_BARRIER_BROKEN) && !break_round(shared, round_in(state)));
    sh_word_forget();
    return 0;
}

/* Whether somebody has a place in the round: one who died before it had counted itself has it still. */
static int is_any_placed(struct sh_barrier_shared *shared, uint64_t round)
{
    for (uint32_t index = 0, parties = parties_of(shared); index < parties; index++)
        if (is_waiting_at(sh_load_acquire(&shared->places[index]), round))
            return 1;
    return 0;
}

int shoal_barrier_reset(shoal_barrier *barrier)
{
    int r = barrier ? sh_handle_enter(&barrier->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_barrier_shared *shared = shared_of(barrier);
    uint64_t state = sh_load_ordered(&shared->state);

    sh_word_announce(&sh_thread_state, &shared->bell);
    while (state & SH_BARRIER_FLAGS || arrived_in(state) > 0 || is_any_placed(shared, round_in(state))) {
        if (state & SH_BARRIER_RESETTING || sh_cas_ordered(&shared->state, &state, state | SH_BARRIER_RESETTING)) {
            finish_reset(shared, state | SH_BARRIER_RESETTING);
            break;
        }
    }
    sh_word_forget();
    return 0;
}

int shoal_barrier_parties(const shoal_barrier *barrier, uint32_t *ret_parties)
{
    int r = barrier && ret_parties ? sh_handle_enter(&barrier->handle) : -EINVAL;

    if (r == 0)
        *ret_parties = shared_of(barrier)->parties;
    return r;
}

int shoal_barrier_waiting(const shoal_barrier *barrier, uint32_t *ret_waiting)
{
    int r = barrier && ret_waiting ? sh_handle_enter(&barrier->handle) : -EINVAL;
    if (r < 0)
        return r;
    uint64_t state = sh_load_acquire(&shared_of(barrier)->state);

    *ret_waiting = state & SH_BARRIER_FLAGS ? 0 : arrived_in(state);
    return 0;
}

int shoal_barrier_is_broken(const shoal_barrier *barrier)
{
    int r = barrier ? sh_handle_enter(&barrier->handle) : -EINVAL;

    return r < 0 ? r : (sh_load_acquire(&shared_of(barrier)->state) & SH_BARRIER_FLAGS) == SH_BARRIER_BROKEN;
}

int shoal_barrier_open(uint32_t parties, shoal_barrier **ret_barrier)
{
    struct sh_handle *handle;

    if (!ret_barrier || parties == 0 || parties > MOST_PARTIES)
        return -EINVAL;
    size_t size = sizeof(struct sh_barrier_shared) + parties * sizeof(uint64_t);
    int r = sh_handle_create(SH_KIND_BARRIER, size, sizeof(shoal_barrier), &handle);
    if (r < 0)
        return r;
    struct sh_barrier_shared *shared = sh_container(handle->object, struct sh_barrier_shared, object);
    shared->parties = parties;
    sh_store_relaxed(&shared->state, sh_barrier_state(1, 0));
    sh_handle_publish(handle);
    *ret_barrier = sh_container(handle, shoal_barrier, handle);
    return 0;
}

int shoal_barrier_attach(const shoal_ref *ref, shoal_barrier **ret_barrier)
{
    struct sh_handle *handle;

    if (!ret_barrier)
        return -EINVAL;
    int r = sh_handle_attach(ref, SH_KIND_BARRIER, sizeof(shoal_barrier), &handle);
    if (r == 0)
        *ret_barrier = sh_container(handle, shoal_barrier, handle);
    return r;
}

int shoal_barrier_ref(const shoal_barrier *barrier, shoal_ref *ret_ref)
{
    return barrier ? sh_handle_ref(&barrier->handle, ret_ref) : -EINVAL;
}

void shoal_barrier_free(shoal_barrier *barrier)
{
    if (barrier)
        sh_handle_free(&barrier->handle);
}

/* Break the round in which the dead one waited, then empty its places. */
static void bury(struct sh_object *object, uint32_t tag)
{
    struct sh_barrier_shared *shared = sh_container(object, struct sh_barrier_shared, object);

    sh_word_announce(sh_thread_self(), &shared->bell);
    settled_state(shared); /* it may have died resetting */
    for (uint32_t index = 0, parties = parties_of(shared); index < parties; index++) {
        uint64_t place = sh_load_acquire(&shared->places[index]);
        if (tag_at(place) != tag)
            continue;
        uint64_t round = round_in(settled_state(shared));
        if (is_waiting_at(place, round))
            break_round(shared, round);
        SH_CRASH_POINT(barrier_bury);
        sh_cas_ordered(&shared->places[index], &place, 0);
    }
    sh_word_forget();
}

static int check(struct sh_object *object)
{
    struct sh_barrier_shared *shared = sh_container(object, struct sh_barrier_shared, object);
    uint64_t state = sh_load_acquire(&shared->state);
    uint32_t waiting = 0;

    SH_HOLDS(shared->parties > 0 && shared->parties <= MOST_PARTIES);
    SH_HOLDS(!(sh_load_acquire(&shared->bell.value) & ~SH_WORD_WAITERS));
    SH_HOLDS(parties_of(shared) == shared->parties);
    SH_HOLDS(arrived_in(state) < shared->parties);
    for (uint32_t index = 0, parties = parties_of(shared); index < parties; index++) {
        uint64_t place = sh_load_acquire(&shared->places[index]);
        SH_HOLDS(place == 0 || sh_member_slot(tag_at(place)) < SH_MEMBERS_MAX);
        waiting += (uint32_t)is_waiting_at(place, round_in(state));
    }
    SH_HOLDS(state & SH_BARRIER_FLAGS || waiting == arrived_in(state));
    return 0;
}

const struct sh_object_kind sh_barrier_kind = {
    .name = "barrier",
    .size = sizeof(struct sh_barrier_shared),
    .bury = bury,
    .check = check,
};
