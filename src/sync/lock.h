/* lock.h - what a lock is, and what the condition needs of it. */
#ifndef SH_SYNC_LOCK_H
#define SH_SYNC_LOCK_H

#include "arena/handle.h"

#include <shoal/lock.h>

/* The shared body.
 *
 * state: the futex word in the lower half: the holder's thread id, SH_WORD_WAITERS, SH_WORD_DIED; in the upper half the
 *     tag of the holder's process, or of the one that died. 0 where the lock is free. Written by compare-and-swap, and
 *     in the lower half by the kernel.
 * sleepers: odd where somebody may sleep; counts up by two with each that comes, and with each waker. Whoever sleeps is
 *     covered by SH_WORD_WAITERS or by this, as in os/word.h.
 * again: how often the lock is held beyond the first time. Written by the holder.
 * dead_pid: of the last holder that was buried. Written by who buries.
 *
 * flags never changes. Where the lock is free again is 0; where flags is not SHOAL_LOCK_RECURSIVE it always is. */
struct sh_lock_shared {
    struct sh_object object;
    uint32_t flags;
    _Atomic uint32_t again;
    _Atomic uint64_t state;
    _Atomic uint32_t sleepers;
    _Atomic int32_t dead_pid;
};

struct shoal_lock {
    struct sh_handle handle;
};

/* For the condition. Whether the caller may release the lock: 0 or -EPERM. */
int sh_lock_is_held(shoal_lock *lock);

/* Let go of the lock, however often it is held: -EPERM. *ret_depth is for taking it again. */
int sh_lock_let_go(shoal_lock *lock, uint32_t *ret_depth);

/* Take it again, without a limit and whatever signals come: 0 or SHOAL_OWNER_DIED. The other way tries for a few
 * microseconds, -EAGAIN, and leaves announced what the caller has announced. */
int sh_lock_take_again(shoal_lock *lock, uint32_t depth);
int sh_lock_try_again(shoal_lock *lock, uint32_t depth);

extern const struct sh_object_kind sh_lock_kind;

#endif
