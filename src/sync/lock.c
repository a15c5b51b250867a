/* lock.c - locks that are held for long, by one thread of any process of the family.
 *
 * Taking one is a compare-and-swap, releasing one too. The futex word is half of the state and has the shape that the
 * kernel's robust futexes have, so a thread announces the lock (os/word.h) while it takes, releases, or waits. But a
 * holder keeps nothing announced: another may release its lock, and it takes others. What the kernel then does where a
 * process dies, instruction by instruction:
 *
 *   taking      before the swap: nothing. After it: the thread's id stands in the word, so the kernel marks it and
 * wakes a sleeper. holding     the kernel marks the process's life word, and wakes one of those who sleep on that.
 * Sleepers watch the holder's life. releasing   before the swap as in holding, or the kernel marks the word. After it
 * the word is 0, and the kernel repeats the wake that may not have come about. waiting     where the word is free the
 * kernel wakes another sleeper, since the dead one may have been woken to take it. Where it is held, and the dead one
 * was the last that watched this holder, only one more death, of the holder, would find nobody watching: until the
 * others' backstops, which make them look.
 *
 * Somebody always watches the present holder: a sleeper that was on the way when the lock was taken sees the new holder
 * and watches it; and who takes the lock after it slept, or gives up waiting, wakes one other, who does the same. */
#include "sync/lock.h"

#include "base/check.h"
#include "base/crash.h"
#include "os/clock.h"
#include "sync/watch.h"

#include <errno.h>
#include <stddef.h>

#define ALL_FLAGS (SHOAL_LOCK_RECURSIVE | SHOAL_LOCK_ANY_RELEASE)
#define PAUSES_FIRST 4  /* before the first look at a held lock, and before the last: twice as many each time, */
#define PAUSES_LAST 128 /* a few microseconds in all; for the reason see os/word.c */
#define MOST_HELD UINT32_MAX

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half of state is its first");

static struct sh_lock_shared *shared_of(const shoal_lock *lock)
{
    return sh_container(lock->handle.object, struct sh_lock_shared, object);
}

/* The lower half of state, for the kernel: nothing is read or written through it here. */
static struct sh_word *word_of(struct sh_lock_shared *shared)
{
    return (struct sh_word *)(uintptr_t)&shared->state;
}

static uint32_t word_in(uint64_t state)
{
    return (uint32_t)state;
}

static uint32_t tag_in(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static int is_held(uint64_t state)
{
    return (word_in(state) & SH_WORD_ID) != 0;
}

static int is_held_by(uint64_t state, const struct sh_thread *self)
{
    return tag_in(state) == sh_member_tag() && (word_in(state) & SH_WORD_ID) == self->tid;
}

static uint32_t waiters_hint(struct sh_lock_shared *shared)
{
    return sh_load_relaxed(&shared->sleepers) & 1 ? SH_WORD_WAITERS : 0;
}

static uint64_t held_state(const struct sh_thread *self, uint32_t waiters)
{
    return (uint64_t)sh_member_tag() << 32 | self->tid | waiters;
}

static uint32_t note_sleepers(struct sh_lock_shared *shared)
{
    uint32_t old = sh_load_relaxed(&shared->sleepers);

    while (!sh_cas_ordered(&shared->sleepers, &old, (old | 1) + 2))
        ;
    return (old | 1) + 2;
}

static void wake_one(struct sh_lock_shared *shared)
{
    uint32_t noted = note_sleepers(shared);

    SH_CRASH_POINT(lock_before_wake);
    if (sh_futex_wake(&word_of(shared)->value, SH_FUTEX_ALL, 1) == 0)
        sh_cas_ordered(&shared->sleepers, &noted, noted & ~1u);
}

/* Whether the lock can be had as it stands: it is free, or its holder is dead. */
static int is_to_be_had(uint64_t state)
{
    return !is_held(state) || sh_member_is_dead(tag_in(state));
}

/* Swap this thread in. Whoever sleeps stays covered. */
static int try_take(struct sh_lock_shared *shared, const struct sh_thread *self, uint64_t state)
{
    uint32_t waiters = (word_in(state) & SH_WORD_WAITERS) | waiters_hint(shared);

    if (!sh_cas_acquire(&shared->state, &state, held_state(self, waiters))) /* pairs with the swap in release */
        return 0;
    SH_CRASH_POINT(lock_taken);
    if (state != 0)
        sh_store_relaxed(&shared->again, 0); /* of a dead holder */
    return 1;
}

/* What to return where the lock was taken in this state. */
static int outcome(uint64_t state)
{
    return is_held(state) || word_in(state) & SH_WORD_DIED ? SHOAL_OWNER_DIED : 0;
}

/* Set WAITERS, without which no release wakes. Returns the state with it; 0 where it has become another. */
static uint64_t prepare(struct sh_lock_shared *shared, uint64_t state)
{
    uint64_t with = state | SH_WORD_WAITERS;

    note_sleepers(shared);
    return state == with || sh_cas_ordered(&shared->state, &state, with) ? with : 0;
}

/* Take the lock, sleeping until it can be had. */
static int wait_for(struct sh_lock_shared *shared, const struct sh_thread *self, int64_t deadline, int *ret_slept)
{
    struct sh_watch watch = {0};

    for (;;) {
        uint64_t state = sh_load_acquire(&shared->state);
        if (is_to_be_had(state)) {
            if (try_take(shared, self, state))
                return outcome(state);
            continue;
        }
        if (deadline == SH_DEADLINE_PAST)
            return -EAGAIN;
        state = prepare(shared, state);
        sh_watch_begin(&watch);
        if (state == 0 || sh_watch_life(&watch, tag_in(state)) == -ESRCH)
            continue;
        *ret_slept = 1;
        int r = sh_watch_sleep(&watch, word_of(shared), word_in(state), deadline);
        if (r < 0)
            return r;
    }
}

/* Take the lock if it comes free soon: its holders may be quick. */
static int spin_for(struct sh_lock_shared *shared, const struct sh_thread *self, int *ret_outcome)
{
    for (int pauses = PAUSES_FIRST; pauses <= PAUSES_LAST; pauses *= 2) {
        for (int i = 0; i < pauses; i++)
            sh_pause();
        uint64_t state = sh_load_relaxed(&shared->state);
        if (!is_held(state) && try_take(shared, self, state)) {
            *ret_outcome = outcome(state);
            return 1;
        }
    }
    return 0;
}

static int take(struct sh_lock_shared *shared, int64_t timeout)
{
    struct sh_thread *self = &sh_thread_state;
    int slept = 0, r;

    sh_word_announce(self, word_of(shared));
    if (timeout <= 0 || !spin_for(shared, self, &r))
        r = wait_for(shared, self, sh_clock_deadline(timeout), &slept);
    if (slept)
        wake_one(shared); /* to watch this holder: nobody else may */
    sh_word_withdraw(self);
    return r;
}

/* The lock is not free: what the caller may do with it depends on its kind. */
static int acquire_slowly(struct sh_lock_shared *shared, uint64_t state, int64_t timeout)
{
    if (!is_held_by(state, &sh_thread_state) || shared->flags & SHOAL_LOCK_ANY_RELEASE)
        return take(shared, timeout);
    if (!(shared->flags & SHOAL_LOCK_RECURSIVE))
        return -EDEADLK;
    uint32_t again = sh_load_relaxed(&shared->again);
    if (again >= MOST_HELD - 1)
        return -EOVERFLOW;
    sh_store_relaxed(&shared->again, again + 1);
    return 0;
}

static __attribute__((noinline, cold)) int enter_and_acquire(shoal_lock *lock, int64_t timeout)
{
    int r = lock ? sh_handle_enter(&lock->handle) : -EINVAL;

    return r < 0 ? r : shoal_lock_acquire(lock, timeout);
}

/* Written so that what is not the common case is a jump out of it: it saves no registers. */
int shoal_lock_acquire(shoal_lock *lock, int64_t timeout)
{
    if (sh_unlikely(!lock || !sh_handle_is_entered(&lock->handle)))
        return enter_and_acquire(lock, timeout);
    struct sh_lock_shared *shared = shared_of(lock);
    struct sh_thread *self = &sh_thread_state;
    uint64_t state = 0;

    sh_word_announce(self, word_of(shared));
    int is_taken = sh_cas_acquire(&shared->state, &state, held_state(self, waiters_hint(shared)));
    sh_word_withdraw(self);
    return sh_likely(is_taken) ? 0 : acquire_slowly(shared, state, timeout);
}

/* Where anybody may release the lock, that goes for one whose holder died too, noticed or not. */
static int may_release(const struct sh_lock_shared *shared, uint64_t state)
{
    if (shared->flags & SHOAL_LOCK_ANY_RELEASE)
        return state != 0;
    return is_held_by(state, &sh_thread_state);
}

/* Make the lock free and wake one who waits for it. */
static int release(struct sh_lock_shared *shared, uint64_t state)
{
    struct sh_thread *self = &sh_thread_state;

    sh_word_announce(self, word_of(shared));
    while (!sh_cas_ordered(&shared->state, &state, 0)) { /* pairs with the swap in try_take and prepare */
        if (!may_release(shared, state)) {
            sh_word_withdraw(self);
            return -EPERM;
        }
    }
    SH_CRASH_POINT(lock_released);
    if (sh_unlikely(word_in(state) & SH_WORD_WAITERS))
        wake_one(shared);
    sh_word_withdraw(self);
    return 0;
}

static __attribute__((noinline)) int release_slowly(shoal_lock *lock)
{
    int r = lock ? sh_handle_enter(&lock->handle) : -EINVAL;

    if (r < 0)
        return r;
    struct sh_lock_shared *shared = shared_of(lock);
    uint64_t state = sh_load_relaxed(&shared->state);
    if (!may_release(shared, state))
        return -EPERM;
    uint32_t again = sh_load_relaxed(&shared->again);
    if (again == 0)
        return release(shared, state);
    sh_store_relaxed(&shared->again, again - 1);
    return 0;
}

/* In the common case this thread holds the lock, once, and nobody waits: one swap tests all that. */
int shoal_lock_release(shoal_lock *lock)
{
    if (sh_unlikely(!lock || !sh_handle_is_entered(&lock->handle)))
        return release_slowly(lock);
    struct sh_lock_shared *shared = shared_of(lock);
    struct sh_thread *self = &sh_thread_state;
    uint64_t state = held_state(self, 0);

    if (sh_unlikely(sh_load_relaxed(&shared->again)))
        return release_slowly(lock);
    sh_word_announce(self, word_of(shared));
    int is_free = sh_cas_ordered(&shared->state, &state, 0); /* pairs with the swaps in acquire and prepare */
    sh_word_withdraw(self);
    return sh_likely(is_free) ? 0 : release_slowly(lock);
}

int sh_lock_is_held(shoal_lock *lock)
{
    int r = sh_handle_enter(&lock->handle);

    if (r < 0)
        return r;
    return may_release(shared_of(lock), sh_load_relaxed(&shared_of(lock)->state)) ? 0 : -EPERM;
}

int sh_lock_let_go(shoal_lock *lock, uint32_t *ret_depth)
{
    struct sh_lock_shared *shared = shared_of(lock);
    uint32_t again = sh_load_relaxed(&shared->again);
    int r = sh_lock_is_held(lock);

    if (r < 0)
        return r;
    sh_store_step(&shared->again, 0);
    r = release(shared, sh_load_relaxed(&shared->state));
    if (r == 0)
        *ret_depth = again;
    return r;
}

int sh_lock_take_again(shoal_lock *lock, uint32_t depth)
{
    struct sh_lock_shared *shared = shared_of(lock);
    int r;

    do {
        r = take(shared, SHOAL_FOREVER);
    } while (r == -EINTR);
    sh_store_relaxed(&shared->again, depth);
    return r;
}

/* Nothing of this lock is announced: a death after the swap is one of a holder. */
int sh_lock_try_again(shoal_lock *lock, uint32_t depth)
{
    struct sh_lock_shared *shared = shared_of(lock);
    uint64_t state = sh_load_relaxed(&shared->state);
    int r;

    if (!is_held(state) && try_take(shared, &sh_thread_state, state))
        r = outcome(state);
    else if (!spin_for(shared, &sh_thread_state, &r))
        return -EAGAIN;
    sh_store_relaxed(&shared->again, depth);
    return r;
}

int shoal_lock_open(const struct shoal_lock_options *options, shoal_lock **ret_lock)
{
    unsigned flags = options ? options->flags : 0;
    struct sh_handle *handle;

    if (!ret_lock || (options && (options->size != sizeof *options || options->reserved)))
        return -EINVAL;
    if (flags & ~(unsigned)ALL_FLAGS || flags == ALL_FLAGS)
        return -EINVAL;
    int r = sh_handle_create(SH_KIND_LOCK, sizeof(struct sh_lock_shared), sizeof(shoal_lock), &handle);
    if (r < 0)
        return r;
    sh_container(handle->object, struct sh_lock_shared, object)->flags = flags;
    sh_handle_publish(handle);
    *ret_lock = sh_container(handle, shoal_lock, handle);
    return 0;
}

int shoal_lock_attach(const shoal_ref *ref, shoal_lock **ret_lock)
{
    struct sh_handle *handle;

    if (!ret_lock)
        return -EINVAL;
    int r = sh_handle_attach(ref, SH_KIND_LOCK, sizeof(shoal_lock), &handle);
    if (r == 0)
        *ret_lock = sh_container(handle, shoal_lock, handle);
    return r;
}

int shoal_lock_ref(const shoal_lock *lock, shoal_ref *ret_ref)
{
    return lock ? sh_handle_ref(&lock->handle, ret_ref) : -EINVAL;
}

void shoal_lock_free(shoal_lock *lock)
{
    if (lock)
        sh_handle_free(&lock->handle);
}

int shoal_lock_owner(const shoal_lock *lock, struct shoal_lock_owner *ret_owner)
{
    if (!lock || !ret_owner)
        return -EINVAL;
    int r = sh_handle_enter(&lock->handle);
    if (r < 0)
        return r;
    struct sh_lock_shared *shared = shared_of(lock);
    uint64_t state = sh_load_acquire(&shared->state), before;
    struct shoal_lock_owner owner;

    do { /* until all of it was read in one state */
        before = state;
        uint32_t tag = tag_in(state);
        owner = (struct shoal_lock_owner){0};
        if (state != 0) {
            owner.pid = sh_member_pid(tag);
            if (owner.pid == 0)
                owner.pid = sh_load_relaxed(&shared->dead_pid);
            owner.tid = (pid_t)(word_in(state) & SH_WORD_ID);
            owner.depth = sh_load_relaxed(&shared->again) + 1;
            owner.alive = is_held(state) && !sh_member_is_dead(tag);
        }
        state = sh_load_ordered(&shared->state);
    } while (state >> 32 != before >> 32 || (word_in(state ^ before) & ~SH_WORD_WAITERS));
    *ret_owner = owner;
    return 0;
}

/* What the dead process held becomes free, with the mark that tells the next owner. Called again where its caller died:
 * the wake is then repeated. */
static void bury(struct sh_object *object, uint32_t tag)
{
    struct sh_lock_shared *shared = sh_container(object, struct sh_lock_shared, object);
    uint64_t state = sh_load_acquire(&shared->state);

    if (tag_in(state) != tag)
        return;
    sh_store_step(&shared->dead_pid, sh_member_pid(tag));
    while (is_held(state)) {
        uint64_t died = (state & ~(uint64_t)SH_WORD_ID) | SH_WORD_DIED;
        if (sh_cas_ordered(&shared->state, &state, died))
            break;
        if (tag_in(state) != tag)
            return;
    }
    SH_CRASH_POINT(lock_buried);
    wake_one(shared);
}

static int check(struct sh_object *object)
{
    struct sh_lock_shared *shared = sh_container(object, struct sh_lock_shared, object);
    uint64_t state = sh_load_acquire(&shared->state);

    SH_HOLDS(!(shared->flags & ~(unsigned)ALL_FLAGS) && shared->flags != ALL_FLAGS);
    SH_HOLDS(state == 0 || tag_in(state) != 0);
    SH_HOLDS(state == 0 || is_held(state) || word_in(state) & SH_WORD_DIED);
    SH_HOLDS(!(is_held(state) && word_in(state) & SH_WORD_DIED));
    SH_HOLDS(sh_load_relaxed(&shared->again) == 0 || (shared->flags & SHOAL_LOCK_RECURSIVE && state != 0));
    return 0;
}

const struct sh_object_kind sh_lock_kind = {
    .name = "lock",
    .size = sizeof(struct sh_lock_shared),
    .bury = bury,
    .check = check,
};
