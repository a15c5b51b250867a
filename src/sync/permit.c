/* permit.c - the permits of an owned semaphore: each names its holder, and comes back when that dies.
 *
 * Permits are held for long, so nothing is announced for them (see sync/lock.c): waiters watch the holders' lives. That
 * somebody always watches the present holders is kept up as with locks: who takes a permit after it slept, or gives up
 * waiting, wakes another, who looks at all of them anew. */
#include "arena/block.h"
#include "base/crash.h"
#include "os/clock.h"
#include "sync/semaphore.h"
#include "sync/watch.h"

#include <errno.h>

#define TAG_OF(permit) ((permit) & ~SH_PERMIT_LEAVING)

static struct sh_semaphore_shared *shared_of(shoal_semaphore *semaphore)
{
    return sh_container(semaphore->handle.object, struct sh_semaphore_shared, object);
}

uint32_t sh_permit_count(const struct sh_semaphore_shared *shared)
{
    uint64_t capacity = sh_block_capacity(sh_offset(shared));
    uint64_t room = (sh_max(capacity, sizeof *shared) - sizeof *shared) / sizeof shared->permits[0];

    return (uint32_t)sh_min((uint64_t)shared->maximum, room);
}

static int is_free(uint32_t permit)
{
    return permit == SH_PERMIT_FREE || permit == SH_PERMIT_LEFT;
}

/* The slots of members that a look over the permits has found alive: each is asked about once. */
struct alive {
    uint64_t slots[SH_MEMBERS_MAX / 64];
};

static int is_known_alive(const struct alive *alive, uint32_t tag)
{
    uint32_t slot = sh_member_slot(tag);
    return slot < SH_MEMBERS_MAX && alive->slots[slot / 64] >> slot % 64 & 1;
}

static void note_alive(struct alive *alive, uint32_t tag)
{
    uint32_t slot = sh_member_slot(tag);
    alive->slots[slot / 64] |= UINT64_C(1) << slot % 64;
}

/* Swap this process in for what the permit was. */
static int try_take(struct sh_semaphore_shared *shared, uint32_t index, uint32_t permit)
{
    return sh_cas_ordered(&shared->permits[index], &permit, sh_member_tag());
}

static int outcome(uint32_t permit)
{
    return permit == SH_PERMIT_FREE ? 0 : SHOAL_OWNER_DIED;
}

/* Take a permit that is free. -EAGAIN where none is. */
static int take_free(shoal_semaphore *semaphore)
{
    struct sh_semaphore_shared *shared = shared_of(semaphore);
    uint32_t index = sh_load_relaxed(&semaphore->hint);

    for (uint32_t n = 0; n < semaphore->permits; n++) {
        uint32_t permit = sh_load_relaxed(&shared->permits[index]);
        if (is_free(permit) && try_take(shared, index, permit)) {
            sh_store_relaxed(&semaphore->hint, index);
            return outcome(permit);
        }
        index = index + 1 < semaphore->permits ? index + 1 : 0;
    }
    return -EAGAIN;
}

/* Whether a permit can be had as it stands: it is free, or its holder is dead; a living holder is watched. */
static int is_to_be_had(uint32_t permit, struct alive *alive, struct sh_watch *watch)
{
    uint32_t tag = TAG_OF(permit);

    if (is_free(permit))
        return 1;
    if (is_known_alive(alive, tag))
        return 0;
    if (sh_watch_life(watch, tag) == -ESRCH)
        return 1;
    note_alive(alive, tag);
    return 0;
}

/* Take a permit that is free or whose holder is dead; where there is none, -EAGAIN, and the holders are watched. */
static int take_any(struct sh_semaphore_shared *shared, struct sh_watch *watch)
{
    uint32_t permits = sh_permit_count(shared);
    struct alive alive = {0};

    for (uint32_t index = 0; index < permits; index++) {
        for (;;) {
            uint32_t permit = sh_load_ordered(&shared->permits[index]);
            if (!is_to_be_had(permit, &alive, watch))
                break;
            if (try_take(shared, index, permit))
                return outcome(permit);
            /* Another was faster: it is the one to watch now. */
        }
    }
    return -EAGAIN;
}

/* Sleep until a permit can be taken. */
static int wait_for(struct sh_semaphore_shared *shared, int64_t deadline)
{
    struct sh_watch watch = {0};
    int slept = 0, r;

    for (;;) {
        uint32_t seen = sh_word_prepare(&shared->bell, SH_WORD_DATA);
        sh_watch_begin(&watch);
        sh_watch_value(&watch, &shared->changes, sh_load_ordered(&shared->changes));
        r = take_any(shared, &watch);
        if (r != -EAGAIN)
            break;
        slept = 1;
        r = sh_watch_sleep(&watch, &shared->bell, seen, deadline);
        if (r < 0)
            break;
    }
    SH_CRASH_POINT(permit_waited);
    if (slept)
        sh_word_pass(&shared->bell, SH_WORD_DATA);
    sh_word_forget();
    return r;
}

int sh_permit_acquire(shoal_semaphore *semaphore, int64_t timeout)
{
    struct sh_watch watch = {0};
    int r = take_free(semaphore);

    if (r != -EAGAIN)
        return r;
    if (timeout > 0)
        return wait_for(shared_of(semaphore), sh_clock_deadline(timeout));
    sh_watch_begin(&watch);
    return take_any(shared_of(semaphore), &watch);
}

/* Swap count of this process's permits for others, beginning with the one that it took last. Returns how many it found.
 */
static uint32_t swap_own(shoal_semaphore *semaphore, uint32_t from, uint32_t to, uint32_t count)
{
    struct sh_semaphore_shared *shared = shared_of(semaphore);
    uint32_t index = sh_load_relaxed(&semaphore->hint), found = 0;

    for (uint32_t n = 0; n < semaphore->permits && found < count; n++) {
        uint32_t permit = from;
        if (sh_load_relaxed(&shared->permits[index]) == from && sh_cas_ordered(&shared->permits[index], &permit, to)) {
            SH_CRASH_POINT(permit_swapped);
            found++;
        }
        index = index + 1 < semaphore->permits ? index + 1 : 0;
    }
    return found;
}

/* Several are marked first, so that the call can fail without having given back any. */
static int give_back(shoal_semaphore *semaphore, uint32_t count)
{
    uint32_t own = sh_member_tag(), leaving = own | SH_PERMIT_LEAVING;

    if (count == 1)
        return swap_own(semaphore, own, SH_PERMIT_FREE, 1) == 1 ? 0 : -EPERM;
    uint32_t marked = swap_own(semaphore, own, leaving, count);
    swap_own(semaphore, leaving, marked == count ? SH_PERMIT_FREE : own, marked);
    return marked == count ? 0 : -EPERM;
}

/* Permits have become free: tell waiters. The bell is announced. */
static void tell(struct sh_semaphore_shared *shared, uint32_t count)
{
    sh_add_ordered(&shared->changes, 1);
    if (sh_word_has_sleepers(&shared->bell))
        sh_word_ring_some(&shared->bell, (int)count);
}

int sh_permit_release(shoal_semaphore *semaphore, uint32_t count)
{
    struct sh_semaphore_shared *shared = shared_of(semaphore);
    int r = -EPERM;

    sh_word_announce(&sh_thread_state, &shared->bell); /* from here on: no death after a swap loses the wake */
    if (count <= semaphore->permits)
        r = give_back(semaphore, count);
    if (r == 0)
        tell(shared, count);
    sh_word_forget();
    return r;
}

uint32_t sh_permit_count_free(struct sh_semaphore_shared *shared)
{
    uint32_t permits = sh_permit_count(shared);
    struct alive alive = {0};
    uint32_t count = 0;

    for (uint32_t index = 0; index < permits; index++) {
        uint32_t permit = sh_load_acquire(&shared->permits[index]), tag = TAG_OF(permit);
        if (!is_free(permit)) {
            if (is_known_alive(&alive, tag))
                continue;
            if (!sh_member_is_dead(tag)) {
                note_alive(&alive, tag);
                continue;
            }
        }
        count++;
    }
    return count;
}

void sh_permit_bury(struct sh_semaphore_shared *shared, uint32_t tag)
{
    uint32_t permits = sh_permit_count(shared);
    uint32_t count = 0;

    sh_word_announce(sh_thread_self(), &shared->bell);
    for (uint32_t index = 0; index < permits; index++) {
        uint32_t permit = sh_load_relaxed(&shared->permits[index]);
        if (!is_free(permit) && TAG_OF(permit) == tag)
            count += (uint32_t)sh_cas_ordered(&shared->permits[index], &permit, SH_PERMIT_LEFT);
    }
    if (count)
        tell(shared, count);
    sh_word_forget();
}
