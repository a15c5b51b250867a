/* semaphore.h - what a semaphore is. */
#ifndef SH_SYNC_SEMAPHORE_H
#define SH_SYNC_SEMAPHORE_H

#include "arena/handle.h"
#include "os/word.h"

#include <shoal/semaphore.h>

/* The shared body. Every change is one compare-and-swap, made with the bell announced, so that waiters are woken even
 * where its maker dies of it.
 *
 * value: permits that are free, 0 to maximum; not used where the semaphore is owned.
 * changes: of an owned one: counts releases.
 * bell: where waiters sleep; never locked.
 * permits: of an owned one, `maximum` of them: 0 where it is free, SH_PERMIT_LEFT where it is free because its holder
 *     died, else the tag of the member that holds it, with SH_PERMIT_LEAVING while it gives back several at once.
 *
 * flags and maximum never change. */
struct sh_semaphore_shared {
    struct sh_object object;
    uint32_t flags;
    uint32_t maximum;
    _Atomic uint32_t value;
    _Atomic uint32_t changes;
    struct sh_word bell;
    _Atomic uint32_t permits[];
};

#define SH_PERMIT_FREE 0u
#define SH_PERMIT_LEFT 0x80000000u
#define SH_PERMIT_LEAVING 0x40000000u

/* permits never changes. hint: where a permit was taken or released last; any thread may write it. */
struct shoal_semaphore {
    struct sh_handle handle;
    uint32_t permits; /* of an owned one */
    _Atomic uint32_t hint;
};

/* permit.c: the permits of an owned semaphore, as shoal_semaphore_acquire, _release and _value. The handle is entered.
 */
int sh_permit_acquire(shoal_semaphore *semaphore, int64_t timeout);
int sh_permit_release(shoal_semaphore *semaphore, uint32_t count);
uint32_t sh_permit_count_free(struct sh_semaphore_shared *shared);

/* Give back what a dead member held. */
void sh_permit_bury(struct sh_semaphore_shared *shared, uint32_t tag);

/* How many permits an owned semaphore has: what the body says, and no more than there is room for. */
uint32_t sh_permit_count(const struct sh_semaphore_shared *shared);

extern const struct sh_object_kind sh_semaphore_kind;

#endif
